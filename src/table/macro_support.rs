//! What is called by the code that `record!` and `field_enum!` write. It is public only since that code is in other
//! crates.

#![allow(missing_docs, missing_debug_implementations)]

use crate::schema;
use crate::value::field as values;
use crate::{Error, Field, FieldSchema, FieldValue, Result, Schema};
use std::fmt;

/// A raw identifier without its prefix.
const fn plain(name: &[u8]) -> &[u8] {
    match name {
        [b'r', b'#', plain @ ..] => plain,
        _ => name,
    }
}

/// A field's name in the file.
pub const fn plain_name(name: &'static str) -> &'static str {
    match std::str::from_utf8(plain(name.as_bytes())) {
        Ok(plain) => plain,
        Err(_) => name,
    }
}

pub const fn is_field_name(name: &str) -> bool {
    schema::is_field_name(plain(name.as_bytes()))
}

pub fn schema<const N: usize>(fields: [FieldSchema; N]) -> Schema {
    Schema::from_valid_fields(fields.into())
}

#[inline(always)]
pub fn exactly(bytes: &[u8], record_bytes: usize) -> Result<&[u8]> {
    if bytes.len() == record_bytes {
        Ok(bytes)
    } else {
        Err(Error::damaged(format!("expected a record of {record_bytes} bytes, found {}", bytes.len())))
    }
}

/// All that `record!` asks of the type of a field, as one constant. If the type cannot be a field, each thing of it
/// that is named would be an error of its own; naming one thing, in one place, makes it one error. The compiler knows
/// the functions and inlines them.
pub trait RecordField: FieldValue {
    const CODE: FieldCode<Self> = FieldCode {
        stored_bytes: <Self::Stored as Field>::FIELD_BYTES,
        schema: schema_of::<Self>,
        encode_next: encode_next::<Self>,
        decode_next: decode_next::<Self>,
    };
}

impl<T: FieldValue> RecordField for T {}

pub struct FieldCode<T> {
    /// The width of what is stored.
    pub stored_bytes: usize,
    /// The field's part of the schema. The default has one element or none.
    pub schema: fn(&Declaration<'_>, &[T]) -> FieldSchema,
    pub encode_next: fn(&T, &mut &mut [u8]),
    pub decode_next: fn(&mut &[u8], &str) -> Result<T>,
}

/// A field as it is declared.
pub struct Declaration<'a> {
    pub name: &'a str,
    pub is_key: bool,
    /// One element for each attribute.
    pub doc_lines: &'a [Option<&'a str>],
}

fn schema_of<T: FieldValue>(declaration: &Declaration<'_>, default: &[T]) -> FieldSchema {
    let Declaration { name, is_key, doc_lines } = *declaration;
    let mut field = FieldSchema::new(name.strip_prefix("r#").unwrap_or(name), T::Stored::TYPE);
    if T::Stored::NULLABLE {
        field = field.nullable();
    }
    if is_key {
        field = field.key();
    }
    for default in default {
        let mut bytes = vec![0; T::Stored::FIELD_BYTES];
        values::encode_stored(default, &mut bytes);
        field = field.with_default(bytes);
    }
    // The compiler leaves the space between `///` and the text in the text.
    let lines: Vec<_> = doc_lines.iter().flatten().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    field.with_doc(lines.join("\n").trim_end())
}

#[inline(always)]
fn encode_next<T: FieldValue>(value: &T, rest: &mut &mut [u8]) {
    let (bytes, others) = std::mem::take(rest).split_at_mut(T::Stored::FIELD_BYTES);
    values::encode_stored(value, bytes);
    *rest = others;
}

#[inline(always)]
fn decode_next<T: FieldValue>(rest: &mut &[u8], name: &str) -> Result<T> {
    let (bytes, others) = rest.split_at_checked(T::Stored::FIELD_BYTES).unwrap_or((rest, &[]));
    *rest = others;
    T::Stored::decode(bytes).and_then(T::from_stored).map_err(|error| in_field(name, error))
}

#[cold]
fn in_field(name: &str, error: Error) -> Error {
    match error {
        Error::Damaged { reason } => Error::damaged(format!("field `{name}`: {reason}")),
        Error::InvalidValue { reason } => Error::InvalidValue { reason: format!("field `{name}`: {reason}") },
        other => other,
    }
}

/// The error that a number is not one of an enumeration's.
#[cold]
pub fn no_variant(name: &str, variants: &[(&str, &dyn fmt::Display)], stored: &dyn fmt::Display) -> Error {
    let variants: Vec<_> = variants.iter().map(|(variant, number)| format!("{number} ({variant})")).collect();
    let expected = variants.join(", ");
    Error::InvalidValue {
        reason: format!("expected a `{name}`: {expected}; found {stored}, which a newer program may have written"),
    }
}
