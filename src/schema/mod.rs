//! The schema of a table: the names and types of the fields of its records, and where they lie.
//!
//! A [`Schema`] can only be made by checking. So its fields follow each other without gaps, their offsets and widths
//! add up to at most [`Schema::RECORD_BYTES_MAX`], and all the rules below hold.

mod difference;
mod encoding;
mod field_schema;
#[cfg(feature = "json")]
mod json;
mod record;
mod text_form;
mod text_reader;
mod values;

use std::collections::HashSet;

use crate::{Error, Result};
use field_schema::invalid;

pub use difference::Difference;
pub use field_schema::FieldSchema;
pub(crate) use field_schema::is_field_name;
pub use values::decode_value;

/// The fields of the records of a table, in the order in which they lie in a record, without gaps.
///
/// ```
/// use locule::{FieldSchema, FieldType, Schema};
///
/// let schema = Schema::new(vec![
///     FieldSchema::new("id", FieldType::U64).key(),
///     FieldSchema::new("user", FieldType::Text(32)),
/// ])?;
/// assert_eq!(schema.to_string(), "key id: u64, user: text(32)");
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

    /// Refuses the schema of a file whose records are not those of this one.
    pub(crate) fn expect_in_file(&self, found: &Schema) -> Result<()> {
        if self.same_records(found) {
            return Ok(());
        }
        let differences = self.difference(found).into_iter().filter(Difference::concerns_records);
        Err(Error::SchemaMismatch {
            expected: self.to_string(),
            found: found.to_string(),
            differences: differences.map(|difference| difference.to_string()).collect(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::value::field::tests::Random;
    use crate::value::field_type::FieldType;
    use crate::value::untyped::Value;

    pub(crate) fn every_type() -> Vec<FieldType> {
        (1..=17).map(|code| FieldType::from_code(code, if matches!(code, 14 | 15) { 9 } else { 0 }).unwrap()).collect()
    }

    pub(crate) fn session() -> Schema {
        Schema::new(vec![
            FieldSchema::new("id", FieldType::U64).key().with_doc("The number in the cookie.\nNever reused."),
            FieldSchema::new("hits", FieldType::U32).with_default(7_u32.to_ne_bytes()),
            FieldSchema::new("note", FieldType::Text(3)).nullable().with_default([0; 6]),
        ])
        .unwrap()
    }

    /// A value of this type; extremes and odd texts more often than not.
    pub(crate) fn random_value(field_type: FieldType, random: &mut Random) -> Value {
        const CHARACTERS: [char; 18] = [
            'a', 'Ł', '🦀', '"', '\'', '\\', '\n', '\r', '\t', '\0', '\u{1b}', '\u{7f}', '\u{301}', '\u{2028}', '/',
            ',', ' ', '=',
        ];
        let text = |limit_bytes: usize, random: &mut Random| {
            let mut text = String::new();
            for _ in 0..random.below(12) {
                let next = CHARACTERS[random.below(CHARACTERS.len())];
                if text.len() + next.len_utf8() <= limit_bytes {
                    text.push(next);
                }
            }
            text
        };
        match field_type {
            FieldType::Bool => Value::Bool(random.below(2) == 0),
            FieldType::Text(capacity_bytes) => Value::Text(match random.below(8) {
                0 => "x".repeat(capacity_bytes.into()),
                1 if capacity_bytes >= 4 => "null".to_owned(),
                _ => text(capacity_bytes.into(), random),
            }),
            FieldType::Bytes(capacity_bytes) => {
                let length = random.below(usize::from(capacity_bytes) + 1);
                Value::Bytes((0..length).map(|_| random.next() as u8).collect())
            }
            other => {
                let mut bytes: Vec<u8> = match random.below(4) {
                    0 => vec![0; other.value_bytes()],
                    1 => vec![0xff; other.value_bytes()],
                    _ => (0..other.value_bytes()).map(|_| random.next() as u8).collect(),
                };
                let most_significant = if cfg!(target_endian = "little") { bytes.len() - 1 } else { 0 };
                match random.below(4) {
                    0 => bytes[most_significant] ^= 0x80,
                    1 => bytes[most_significant] = 0x7f,
                    _ => {}
                }
                Value::decode(other, false, &bytes).unwrap()
            }
        }
    }

    /// Any schema that there can be, with few fields.
    pub(crate) fn random_schema(random: &mut Random) -> Schema {
        const DOCS: [&str; 12] = [
            "",
            "",
            "What it is.",
            "Two\nlines.",
            "\n",
            " ",
            "\n\n a\t\n",
            "ends in one\r",
            "\r\n\r\r\n",
            "/// slashes",
            "\0\u{1b}\"",
            "🦀 = 5, `key`",
        ];
        const NAMES: [&str; 6] = ["key", "id", "_", "null", "A9", "text"];
        let key = random.below(8);
        let fields = (0..1 + random.below(6)).map(|number| {
            let mut field_type = every_type()[random.below(17)];
            if let FieldType::Text(capacity_bytes) | FieldType::Bytes(capacity_bytes) = &mut field_type {
                *capacity_bytes = 1 + random.below(20) as u16;
            }
            let name = NAMES[random.below(NAMES.len())];
            let name = if random.below(2) == 0 { format!("{name}_{number}") } else { format!("{name}{number}") };
            let name = if number == 0 { name.trim_end_matches('0').to_owned() } else { name };
            let mut field = FieldSchema::new(name, field_type).with_doc(DOCS[random.below(DOCS.len())]);
            if number == key && field_type.can_be_key() {
                field = field.key();
            } else if random.below(2) == 0 {
                field = field.nullable();
            }
            match random.below(3) {
                0 => field,
                1 if field.is_nullable() => field.with_default_value(Value::Null).unwrap(),
                _ => field.with_default_value(random_value(field_type, random)).unwrap(),
            }
        });
        Schema::new(fields.collect()).unwrap()
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
            (vec![field(&"x".repeat(9_999), FieldType::U8)], "1 to 255 bytes"),
            (vec![id().with_default([0; 7])], "is not one of its values: expected a value of 8 bytes, found 7"),
            (vec![field("flag", FieldType::Bool).with_default([2])], "the default of field `flag`"),
            (vec![field("large", FieldType::Text(65_535))], "65537 bytes: expected at most 65536"),
        ];
        for (fields, phrase) in cases {
            match Schema::new(fields) {
                Err(Error::InvalidArgument { reason }) => {
                    assert!(reason.contains(phrase) && reason.len() < 200, "{reason:?}: {phrase:?}");
                }
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
    fn a_person_reads_it() {
        assert_eq!(
            session().to_string(),
            "/// The number in the cookie.\n/// Never reused.\nkey id: u64,\nhits: u32 = 7,\nnote: text(3)? = null"
        );
        let names: Vec<_> = every_type().iter().map(FieldType::to_string).collect();
        assert_eq!(
            names.join(" "),
            "bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 text(9) bytes(9) timestamp date"
        );
    }
}
