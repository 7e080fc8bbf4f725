//! The schema of a table: the names and types of the fields of its records, where they lie, and how the file describes
//! them.
//!
//! A [`Schema`] can only be made by checking. So its fields follow each other without gaps, their offsets and widths
//! add up to at most [`Schema::RECORD_BYTES_MAX`], and all the rules below hold.

use std::collections::HashSet;
use std::fmt;

use crate::value::bytes::wrong_length;
use crate::value::field::Field;
use crate::value::field_type::FieldType;
use crate::value::padding::padded;
use crate::nearest::nearest;
use crate::value::untyped::Value;
use crate::error::broken_invariant;
use crate::{Error, Result};

/// One field of a [`Schema`]. It is described by [`new`](Self::new) and the methods after it, and gets its place in the
/// record from [`Schema::new`].
///
/// ```
/// use locule::{FieldSchema, FieldType};
///
/// let field = FieldSchema::new("note", FieldType::Text(40)).nullable().with_doc("What the visitor said.");
/// assert_eq!(field.to_string(), "note: Option<Text<40>>");
/// assert_eq!(field.field_bytes(), 1 + 2 + 40);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldSchema {
    name: String,
    field_type: FieldType,
    is_nullable: bool,
    is_key: bool,
    offset_bytes: usize,
    default: Option<Vec<u8>>,
    doc: String,
}

impl FieldSchema {
    /// A field that is not nullable and not the key, without default and documentation.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).to_string(), "id: u64");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, field_type: FieldType) -> Self {
        FieldSchema {
            name: name.into(),
            field_type,
            is_nullable: false,
            is_key: false,
            offset_bytes: 0,
            default: None,
            doc: String::new(),
        }
    }

    /// The same, but it can hold nothing.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().to_string(), "age: Option<u8>");
    /// ```
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.is_nullable = true;
        self
    }

    /// The same, but it is the key.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).key().to_string(), "key id: u64");
    /// ```
    #[must_use]
    pub fn key(mut self) -> Self {
        self.is_key = true;
        self
    }

    /// The same, with the encoded value that is used by inserts that leave the field out.
    ///
    /// ```
    /// use locule::{Field, FieldSchema, FieldType, decode_value};
    /// let mut bytes = vec![0; u32::FIELD_BYTES];
    /// 7_u32.encode(&mut bytes);
    /// let field = FieldSchema::new("hits", FieldType::U32).with_default(bytes);
    /// let default = field.default().map(|bytes| decode_value(&field, bytes)).transpose()?;
    /// assert_eq!(default, Some(7_u32.into()));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn with_default(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.default = Some(bytes.into());
        self
    }

    /// The same, with documentation for people.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).with_doc("Never reused.").doc(), "Never reused.");
    /// ```
    #[must_use]
    pub fn with_doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// The field's name: ASCII letters, digits and underscores, not beginning with a digit, at most 255 bytes.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).name(), "id");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's type, without the option.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().field_type(), FieldType::U8);
    /// ```
    #[must_use]
    pub fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// Whether the field can hold nothing.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// let age = FieldSchema::new("age", FieldType::U8);
    /// assert!(!age.is_nullable() && age.nullable().is_nullable());
    /// ```
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    /// Whether the field is the key.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// let id = FieldSchema::new("id", FieldType::U64);
    /// assert!(!id.is_key() && id.key().is_key());
    /// ```
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// Where the field begins in the record, in bytes. It is 0 until the field is part of a [`Schema`].
    ///
    /// ```
    /// use locule::Record;
    /// locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(Visit::schema().field("hits").map(|field| field.offset_bytes()), Some(8));
    /// ```
    #[must_use]
    pub fn offset_bytes(&self) -> usize {
        self.offset_bytes
    }

    /// The width of the field in the record, in bytes, with the presence byte of a nullable one.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().field_bytes(), 1 + 1);
    /// ```
    #[must_use]
    pub fn field_bytes(&self) -> usize {
        usize::from(self.is_nullable) + self.field_type.value_bytes()
    }

    /// The encoded default value, if there is one.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).default(), None);
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).with_default([9]).default(), Some(&[9][..]));
    /// ```
    #[must_use]
    pub fn default(&self) -> Option<&[u8]> {
        self.default.as_deref()
    }

    /// The documentation, empty if there is none.
    ///
    /// ```
    /// use locule::Record;
    /// locule::record! {
    ///     struct Visit {
    ///         /// The number in the cookie.
    ///         key id: u64,
    ///     }
    /// }
    /// assert_eq!(Visit::schema().key().map(|key| key.doc().to_owned()), Some("The number in the cookie.".to_owned()));
    /// ```
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The rules that concern a single field.
    fn check(&self) -> Result<()> {
        let name = &self.name;
        if !is_field_name(name.as_bytes()) {
            return Err(invalid(format!(
                "a field is named {name:?}: expected ASCII letters, digits and underscores, no digit first, \
                 1 to 255 bytes"
            )));
        }
        if let FieldType::Text(0) | FieldType::Bytes(0) = self.field_type {
            return Err(invalid(format!("field `{name}` has type {}, which holds nothing", self.field_type)));
        }
        if self.is_key && self.is_nullable {
            return Err(invalid(format!("key `{name}` is nullable: a key must have a value")));
        }
        if self.is_key && !self.field_type.can_be_key() {
            return Err(invalid(format!("key `{name}` is a float: expected a type whose values equal themselves")));
        }
        if u32::try_from(self.doc.len()).is_err() {
            return Err(invalid(format!("the documentation of field `{name}` has more than 4 GiB")));
        }
        if let Some(default) = &self.default {
            decode_value(self, default)
                .map_err(|error| invalid(format!("the default of field `{name}` is not one of its values: {error}")))?;
        }
        Ok(())
    }
}

/// As in `record!`: `key id: u64`, `note: Option<Text<40>>`.
impl fmt::Display for FieldSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.is_key { "key " } else { "" };
        let (option, end) = if self.is_nullable { ("Option<", ">") } else { ("", "") };
        padded(f, format_args!("{key}{}: {option}{}{end}", self.name, self.field_type))
    }
}

/// Whether a field can have this name. It is a constant function so that `record!` can ask when a program is compiled.
pub(crate) const fn is_field_name(name: &[u8]) -> bool {
    if let [] | [b'0'..=b'9', ..] = name {
        return false;
    }
    let mut rest = name;
    while let [byte, others @ ..] = rest {
        if !(byte.is_ascii_alphanumeric() || *byte == b'_') {
            return false;
        }
        rest = others;
    }
    name.len() <= 255
}

/// The fields of the records of a table, in the order in which they lie in a record, without gaps.
///
/// ```
/// use locule::{FieldSchema, FieldType, Schema};
///
/// let schema = Schema::new(vec![
///     FieldSchema::new("id", FieldType::U64).key(),
///     FieldSchema::new("user", FieldType::Text(32)),
/// ])?;
/// assert_eq!(schema.to_string(), "key id: u64, user: Text<32>");
/// assert_eq!(schema.record_bytes(), 8 + 2 + 32);
/// assert_eq!(schema.field("user").map(FieldSchema::offset_bytes), Some(8));
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schema {
    fields: Vec<FieldSchema>,
    record_bytes: usize,
}

impl Schema {
    /// The largest record there can be, in bytes: 64 KiB.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Schema};
    /// let fields = ["a", "b"].map(|name| FieldSchema::new(name, FieldType::Bytes(65_000)));
    /// assert!(fields.iter().map(FieldSchema::field_bytes).sum::<usize>() > Schema::RECORD_BYTES_MAX);
    /// assert!(Schema::new(fields.into()).is_err());
    /// ```
    pub const RECORD_BYTES_MAX: usize = 65_536;

    /// A schema of these fields, which get their offsets in this order.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Schema};
    /// assert!(Schema::new(vec![FieldSchema::new("id", FieldType::U64).key()]).is_ok());
    /// let error = Schema::new(vec![FieldSchema::new("score", FieldType::F64).key()]).unwrap_err();
    /// assert!(error.to_string().starts_with("key `score` is a float"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] unless there is at least one field, a record has at most
    /// [`RECORD_BYTES_MAX`](Self::RECORD_BYTES_MAX) bytes, names differ from each other and are ASCII letters, digits
    /// and underscores (at most 255, no digit first), at most one field is the key, which is neither nullable nor a
    /// float, text and bytes have a capacity of at least 1, and each default is a value that its field can have.
    pub fn new(fields: Vec<FieldSchema>) -> Result<Self> {
        if fields.is_empty() {
            return Err(invalid("a record without fields: expected at least one".to_owned()));
        }
        let mut names = HashSet::new();
        for field in &fields {
            field.check()?;
            if !names.insert(field.name()) {
                return Err(invalid(format!("two fields are named `{}`", field.name)));
            }
        }
        if fields.iter().filter(|field| field.is_key).count() > 1 {
            return Err(invalid("two fields are keys: expected at most one".to_owned()));
        }
        let schema = Schema::from_valid_fields(fields);
        if schema.record_bytes > Self::RECORD_BYTES_MAX {
            return Err(invalid(format!(
                "a record has {} bytes: expected at most {}",
                schema.record_bytes,
                Self::RECORD_BYTES_MAX
            )));
        }
        Ok(schema)
    }

    /// A schema of fields that have been found valid: by `new`, or by the compiler where `record!` was used.
    pub(crate) fn from_valid_fields(mut fields: Vec<FieldSchema>) -> Self {
        let mut record_bytes = 0_usize;
        for field in &mut fields {
            field.offset_bytes = record_bytes;
            record_bytes = record_bytes.saturating_add(field.field_bytes());
        }
        Schema { fields, record_bytes }
    }

    /// The fields, in the order in which they lie in a record.
    ///
    /// ```
    /// # use locule::Record;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// let names: Vec<_> = Visit::schema().fields().iter().map(|field| field.name().to_owned()).collect();
    /// assert_eq!(names, ["id", "hits"]);
    /// ```
    #[must_use]
    pub fn fields(&self) -> &[FieldSchema] {
        &self.fields
    }

    /// The width of a record, in bytes.
    ///
    /// ```
    /// # use locule::Record;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(Visit::schema().record_bytes(), 8 + 4);
    /// ```
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// The key field, if there is one.
    ///
    /// ```
    /// # use locule::Record;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(Visit::schema().key().map(|key| key.name().to_owned()), Some("id".to_owned()));
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.is_key)
    }

    /// The field with this name, if there is one.
    ///
    /// ```
    /// # use locule::Record;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert!(Visit::schema().field("hits").is_some() && Visit::schema().field("misses").is_none());
    /// ```
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&FieldSchema> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Whether records of both schemas are the same bytes with the same meaning: the same names, types and nullability
    /// in the same order, and the same key. Defaults and documentation can differ.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Schema};
    /// let id = FieldSchema::new("id", FieldType::U64);
    /// let plain = Schema::new(vec![id.clone()])?;
    /// assert!(plain.same_records(&Schema::new(vec![id.clone().with_doc("Never reused.")])?));
    /// assert!(!plain.same_records(&Schema::new(vec![id.key()])?));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn same_records(&self, other: &Schema) -> bool {
        let meaning = |field: &FieldSchema| (field.field_type, field.is_nullable, field.is_key);
        self.fields.len() == other.fields.len()
            && self
                .fields
                .iter()
                .zip(&other.fields)
                .all(|(mine, theirs)| mine.name == theirs.name && meaning(mine) == meaning(theirs))
    }

    /// The field with a name, and its position among the others.
    pub(crate) fn expect_field(&self, name: &str) -> Result<(usize, &FieldSchema)> {
        let found = self.fields.iter().enumerate().find(|(_, field)| field.name == name);
        found.ok_or_else(|| {
            let names = self.fields.iter().map(FieldSchema::name);
            Error::UnknownField { name: name.to_owned(), suggestion: nearest(name, names).map(str::to_owned) }
        })
    }

    /// The values of a record, in the order of the fields, from its words.
    pub(crate) fn decode_record(&self, words: &[u64]) -> Result<Vec<Value>> {
        let mut rest: &[u8] = bytemuck::cast_slice(words);
        let decode = |field: &FieldSchema| {
            let (bytes, others) = rest.split_at_checked(field.field_bytes()).unwrap_or((rest, &[]));
            rest = others;
            decode_value(field, bytes).map_err(|error| match error {
                Error::Damaged { reason } => Error::damaged(format!("field `{}`: {reason}", field.name)),
                other => other,
            })
        };
        self.fields.iter().map(decode).collect()
    }

    /// Writes the values of a record, which fit the fields, into words that are zero.
    pub(crate) fn encode_record(&self, values: &[Value], words: &mut [u64]) -> Result<()> {
        let mut rest: &mut [u8] = bytemuck::cast_slice_mut(words);
        for (field, value) in self.fields.iter().zip(values) {
            let Some((bytes, others)) = rest.split_at_mut_checked(field.field_bytes()) else {
                broken_invariant("a record has room for each field of its schema");
            };
            field.encode_value(value, bytes)?;
            rest = others;
        }
        Ok(())
    }

    /// Refuses the schema of a file whose records are not those of this one.
    pub(crate) fn expect_in_file(&self, found: &Schema) -> Result<()> {
        if self.same_records(found) {
            return Ok(());
        }
        Err(Error::SchemaMismatch { expected: self.to_string(), found: found.to_string() })
    }

    /// The schema as the file has it, described in `format.md`.
    ///
    /// ```
    /// # use locule::Record;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(locule::Schema::decode(&Visit::schema().encode())?, Visit::schema());
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A schema has at most 65,536 fields, since each takes at least one byte, so no cast here can lose anything.
        bytes.extend((self.fields.len() as u32).to_ne_bytes());
        for field in &self.fields {
            let flags = [(field.is_nullable, NULLABLE), (field.is_key, KEY), (field.default.is_some(), DEFAULT)];
            bytes.push(field.field_type.code());
            bytes.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
            bytes.extend(field.field_type.capacity_bytes().to_ne_bytes());
            bytes.extend((field.doc.len() as u32).to_ne_bytes());
            bytes.push(field.name.len() as u8);
            bytes.extend(field.name.as_bytes());
            bytes.extend(field.default.iter().flatten());
            bytes.extend(field.doc.as_bytes());
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote, all of it and nothing after it.
    ///
    /// ```
    /// assert!(locule::Schema::decode(b"no schema").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] for any bytes that `encode` does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { rest: bytes };
        let field_count: u32 = reader.number()?;
        // Nothing is reserved for the count before that many fields have been read: it can be any number.
        let mut fields = Vec::new();
        for _ in 0..field_count {
            fields.push(reader.field()?);
        }
        if !reader.rest.is_empty() {
            return Err(Error::damaged(format!("expected the end of the schema, found {} bytes", reader.rest.len())));
        }
        Schema::new(fields).map_err(|error| Error::damaged(format!("the schema is not a valid one: {error}")))
    }
}

/// One line that a person can read: `key id: u64, user: Text<32>, note: Option<Text<40>>`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(FieldSchema::to_string).collect();
        f.pad(&fields.join(", "))
    }
}

const NULLABLE: u8 = 1;
const KEY: u8 = 2;
const DEFAULT: u8 = 4;

/// Reads a schema from the front of some bytes.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| {
            Error::damaged(format!("the schema ends where {count} bytes were expected: found {}", self.rest.len()))
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<T: Field>(&mut self) -> Result<T> {
        self.bytes(T::FIELD_BYTES).and_then(T::decode)
    }

    fn text(&mut self, count: usize) -> Result<String> {
        String::from_utf8(self.bytes(count)?.to_owned())
            .map_err(|error| Error::damaged(format!("expected UTF-8 text in the schema: {error}")))
    }

    fn field(&mut self) -> Result<FieldSchema> {
        let code = self.number()?;
        let flags: u8 = self.number()?;
        let field_type = FieldType::from_code(code, self.number()?)?;
        let doc_bytes: u32 = self.number()?;
        let name_bytes: u8 = self.number()?;
        let mut field = FieldSchema::new(self.text(usize::from(name_bytes))?, field_type);
        if flags & !(NULLABLE | KEY | DEFAULT) != 0 {
            return Err(Error::damaged(format!("unknown flags {flags:#04x} at field `{}` of the schema", field.name)));
        }
        field.is_nullable = flags & NULLABLE != 0;
        field.is_key = flags & KEY != 0;
        if flags & DEFAULT != 0 {
            field.default = Some(self.bytes(field.field_bytes())?.to_owned());
        }
        let doc_bytes = usize::try_from(doc_bytes).unwrap_or(usize::MAX);
        field.doc = self.text(doc_bytes)?;
        Ok(field)
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidArgument { reason }
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
    Value::decode(field.field_type(), field.is_nullable(), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::field::tests::Random;

    fn every_type() -> Vec<FieldType> {
        (1..=17).map(|code| FieldType::from_code(code, if matches!(code, 14 | 15) { 9 } else { 0 }).unwrap()).collect()
    }

    fn session() -> Schema {
        Schema::new(vec![
            FieldSchema::new("id", FieldType::U64).key().with_doc("The number in the cookie.\nNever reused."),
            FieldSchema::new("hits", FieldType::U32).with_default(7_u32.to_ne_bytes()),
            FieldSchema::new("note", FieldType::Text(3)).nullable().with_default([0; 6]),
        ])
        .unwrap()
    }

    #[test]
    fn fields_follow_each_other_without_gaps() {
        let fields = every_type().into_iter().enumerate();
        let fields =
            fields.map(|(number, field_type)| FieldSchema::new(format!("field_{number}"), field_type).nullable());
        let schema = Schema::new(fields.collect()).unwrap();
        let mut offset_bytes = 0;
        for field in schema.fields() {
            assert_eq!(field.offset_bytes(), offset_bytes);
            offset_bytes += 1 + field.field_type().value_bytes();
        }
        assert_eq!(schema.record_bytes(), offset_bytes);
    }

    #[test]
    fn a_field_is_what_it_was_declared_to_be() {
        let schema = session();
        let [id, hits, note] = ["id", "hits", "note"].map(|name| schema.field(name).unwrap());
        assert_eq!([id, hits, note].map(FieldSchema::name), ["id", "hits", "note"]);
        assert_eq!([id, hits, note].map(FieldSchema::is_key), [true, false, false]);
        assert_eq!([id, hits, note].map(FieldSchema::is_nullable), [false, false, true]);
        assert_eq!([id, hits, note].map(FieldSchema::default), [None, Some(&[7, 0, 0, 0][..]), Some(&[0; 6][..])]);
        assert_eq!([id, hits, note].map(FieldSchema::doc), ["The number in the cookie.\nNever reused.", "", ""]);
        assert!(schema.field("Hits").is_none());
    }

    #[test]
    fn a_schema_that_cannot_be_is_refused_with_the_reason() {
        let field = |name: &str, field_type| FieldSchema::new(name, field_type);
        let id = || field("id", FieldType::U64);
        let cases = [
            (vec![], "without fields"),
            (vec![id(), id()], "two fields are named `id`"),
            (vec![id().key(), field("other", FieldType::U8).key()], "two fields are keys"),
            (vec![id().key().nullable()], "key `id` is nullable"),
            (vec![field("score", FieldType::F64).key()], "key `score` is a float"),
            (vec![field("score", FieldType::F32).key()], "key `score` is a float"),
            (vec![field("text", FieldType::Text(0))], "holds nothing"),
            (vec![field("bytes", FieldType::Bytes(0))], "holds nothing"),
            (vec![field("", FieldType::U8)], "a field is named \"\""),
            (vec![field("1st", FieldType::U8)], "no digit first"),
            (vec![field("first name", FieldType::U8)], "a field is named"),
            (vec![field("größe", FieldType::U8)], "ASCII"),
            (vec![field(&"x".repeat(256), FieldType::U8)], "1 to 255 bytes"),
            (vec![id().with_default([0; 7])], "8 bytes, found 7"),
            (vec![field("flag", FieldType::Bool).with_default([2])], "the default of field `flag`"),
            (vec![field("large", FieldType::Text(65_535))], "65537 bytes: expected at most 65536"),
        ];
        for (fields, phrase) in cases {
            match Schema::new(fields) {
                Err(Error::InvalidArgument { reason }) => assert!(reason.contains(phrase), "{reason:?}: {phrase:?}"),
                other => panic!("expected {phrase:?}, found {other:?}"),
            }
        }
        assert_eq!(Schema::new(vec![field("large", FieldType::Text(65_534))]).unwrap().record_bytes(), 65_536);
        assert!(Schema::new(vec![field(&"x".repeat(255), FieldType::U8)]).is_ok());
    }

    #[test]
    fn only_names_types_order_and_key_make_records_differ() {
        let id = || FieldSchema::new("id", FieldType::U64);
        let hits = || FieldSchema::new("hits", FieldType::U32);
        let schema = |fields: Vec<FieldSchema>| Schema::new(fields).unwrap();
        let plain = schema(vec![id().key(), hits()]);
        assert!(plain.same_records(&schema(vec![id().key(), hits().with_doc("How many.").with_default([0; 4])])));
        for other in [
            vec![id(), hits()],
            vec![id(), hits().key()],
            vec![hits(), id().key()],
            vec![id().key()],
            vec![id().key(), hits().nullable()],
            vec![id().key(), FieldSchema::new("hits", FieldType::I32)],
            vec![id().key(), FieldSchema::new("clicks", FieldType::U32)],
            vec![id().key(), hits(), FieldSchema::new("more", FieldType::U8)],
        ] {
            let other = schema(other);
            assert!(!plain.same_records(&other) && !other.same_records(&plain), "{other}");
        }
    }

    #[test]
    fn a_person_reads_it_in_one_line() {
        assert_eq!(session().to_string(), "key id: u64, hits: u32, note: Option<Text<3>>");
        let names: Vec<_> = every_type().iter().map(FieldType::to_string).collect();
        assert_eq!(
            names.join(" "),
            "bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 Text<9> Bytes<9> Timestamp Date"
        );
    }

    #[test]
    fn the_bytes_are_those_that_the_format_describes() {
        let schema = Schema::new(vec![
            FieldSchema::new("id", FieldType::U16).key().with_default([5, 6]).with_doc("é"),
            FieldSchema::new("note", FieldType::Text(258)).nullable(),
        ]);
        let expected = [
            &2_u32.to_ne_bytes()[..],
            &[8, 2 + 4],
            &0_u16.to_ne_bytes(),
            &2_u32.to_ne_bytes(),
            &[2],
            b"id",
            &[5, 6],
            "é".as_bytes(),
            &[14, 1],
            &258_u16.to_ne_bytes(),
            &0_u32.to_ne_bytes(),
            &[4],
            b"note",
        ];
        assert_eq!(schema.unwrap().encode(), expected.concat());
    }

    #[test]
    fn an_encoded_schema_comes_back() {
        for key in every_type() {
            let mut fields = vec![FieldSchema::new("key", key)];
            fields[0].is_key = key.can_be_key();
            fields.extend(every_type().iter().enumerate().map(|(number, field_type)| {
                let field =
                    FieldSchema::new(format!("field_{number}"), *field_type).nullable().with_doc("ä ".repeat(number));
                let width = field.field_bytes();
                if number % 2 == 0 { field } else { field.with_default(vec![0; width]) }
            }));
            let schema = Schema::new(fields).unwrap();
            assert_eq!(Schema::decode(&schema.encode()).unwrap(), schema);
        }
    }

    #[test]
    fn damaged_schemas_are_refused_or_another_valid_schema() {
        fn check(bytes: &[u8]) -> bool {
            match Schema::decode(bytes) {
                Ok(schema) => {
                    assert_eq!(schema.encode(), bytes);
                    true
                }
                Err(error) => {
                    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
                    false
                }
            }
        }
        let whole = session().encode();
        assert!(check(&whole));
        for length in 0..whole.len() {
            assert!(!check(&whole[..length]));
        }
        assert!(!check(&[&whole[..], &[0]].concat()));
        for place in 0..whole.len() {
            for value in (0..=255).step_by(if cfg!(miri) { 85 } else { 1 }) {
                let mut bytes = whole.clone();
                bytes[place] = value;
                check(&bytes);
            }
        }
        let mut random = Random(4);
        for _ in 0..if cfg!(miri) { 50 } else { 20_000 } {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let place = random.below(bytes.len());
                bytes[place] = random.next() as u8;
            }
            check(&bytes);
            let length = random.below(64);
            check(&(0..length).map(|_| random.below(20) as u8).collect::<Vec<_>>());
        }
        // The highest possible count of fields, and no field: refused without reserving room for them.
        assert!(!check(&u32::MAX.to_ne_bytes()));
    }
}
