//! Values whose type is known only when the program runs: what a dump prints and the untyped table hands out.

use std::fmt;

use super::inline::{content_of, utf8, write_hexadecimal};
use super::schema::{FieldSchema, FieldType};
use super::time::{Date, Timestamp};
use super::values::{Field, split_presence, wrong_length};
use crate::Result;

/// A value of any field type. `Display` writes it as a person reads it: text as it is, bytes in hexadecimal, times in
/// ISO 8601, floats with as many digits as it takes to read them back, nothing as `null`.
///
/// ```
/// use locule::Value;
///
/// assert_eq!(Value::Unsigned(42).to_string(), "42");
/// assert_eq!(Value::Float64(-0.0).to_string(), "-0.0");
/// assert_eq!(Value::Bytes(vec![0xca, 0xfe]).to_string(), "cafe");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A nullable field holds nothing.
    Null,
    /// A `bool`.
    Bool(bool),
    /// An `i8`, `i16`, `i32`, `i64` or `i128`.
    Signed(i128),
    /// A `u8`, `u16`, `u32`, `u64` or `u128`.
    Unsigned(u128),
    /// An `f32`. It has its own variant, since it takes fewer digits to write than the `f64` of the same value.
    Float32(f32),
    /// An `f64`.
    Float64(f64),
    /// A [`Text`](crate::Text).
    Text(String),
    /// A [`Bytes`](crate::Bytes).
    Bytes(Vec<u8>),
    /// A [`Timestamp`].
    Timestamp(Timestamp),
    /// A [`Date`].
    Date(Date),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => fmt::Display::fmt(value, f),
            Value::Signed(value) => fmt::Display::fmt(value, f),
            Value::Unsigned(value) => fmt::Display::fmt(value, f),
            // `Display` of floats writes no exponent, so 1e300 would be 301 digits.
            Value::Float32(value) => write!(f, "{value:?}"),
            Value::Float64(value) => write!(f, "{value:?}"),
            Value::Text(value) => fmt::Display::fmt(value, f),
            Value::Bytes(value) => write_hexadecimal(value, f),
            Value::Timestamp(value) => fmt::Display::fmt(value, f),
            Value::Date(value) => fmt::Display::fmt(value, f),
        }
    }
}

/// Reads the value of one field from its bytes: those of a record from `field.offset_bytes()` on, `field.field_bytes()`
/// of them.
///
/// # Errors
///
/// [`Error::Damaged`](crate::Error::Damaged) for any bytes that the field's type does not write.
///
/// ```
/// use locule::{FieldSchema, FieldType, Value, decode_value};
///
/// let field = FieldSchema::new("hits", FieldType::U32).nullable();
/// assert_eq!(decode_value(&field, &[0; 5])?, Value::Null);
/// # Ok::<(), locule::Error>(())
/// ```
pub fn decode_value(field: &FieldSchema, bytes: &[u8]) -> Result<Value> {
    if bytes.len() != field.field_bytes() {
        return Err(wrong_length(field.field_bytes(), bytes.len()));
    }
    let bytes = if field.is_nullable() {
        match split_presence(bytes)? {
            Some(value) => value,
            None => return Ok(Value::Null),
        }
    } else {
        bytes
    };
    Ok(match field.field_type() {
        FieldType::Bool => Value::Bool(bool::decode(bytes)?),
        FieldType::I8 => Value::Signed(i8::decode(bytes)?.into()),
        FieldType::I16 => Value::Signed(i16::decode(bytes)?.into()),
        FieldType::I32 => Value::Signed(i32::decode(bytes)?.into()),
        FieldType::I64 => Value::Signed(i64::decode(bytes)?.into()),
        FieldType::I128 => Value::Signed(i128::decode(bytes)?),
        FieldType::U8 => Value::Unsigned(u8::decode(bytes)?.into()),
        FieldType::U16 => Value::Unsigned(u16::decode(bytes)?.into()),
        FieldType::U32 => Value::Unsigned(u32::decode(bytes)?.into()),
        FieldType::U64 => Value::Unsigned(u64::decode(bytes)?.into()),
        FieldType::U128 => Value::Unsigned(u128::decode(bytes)?),
        FieldType::F32 => Value::Float32(f32::decode(bytes)?),
        FieldType::F64 => Value::Float64(f64::decode(bytes)?),
        FieldType::Text(_) => Value::Text(utf8(content_of(bytes)?)?.to_owned()),
        FieldType::Bytes(_) => Value::Bytes(content_of(bytes)?.to_owned()),
        FieldType::Timestamp => Value::Timestamp(Timestamp::decode(bytes)?),
        FieldType::Date => Value::Date(Date::decode(bytes)?),
    })
}
