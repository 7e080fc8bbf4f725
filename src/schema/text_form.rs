//! A schema as people write it: `key id: u64, user: text(32), hits: u32 = 0, note: text(40)?`. `format.md` has the
//! grammar. What is written here is read by [`text_reader`](super::text_reader) as the same schema.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::Schema;
use super::field_schema::FieldSchema;
use super::text_reader::Reader;
use crate::value::field_type::FieldType;
use crate::value::padding::padded;
use crate::value::untyped::Value;
use crate::{Error, Result};

/// The text form: `key id: u64, user: text(32), note: text(40)?`. A schema without documentation is one line; with it,
/// each field has a line of its own, and before it a line `/// …` for each line of its documentation.
///
/// ```
/// use locule::{FieldSchema, FieldType, Schema};
/// let hits = FieldSchema::new("hits", FieldType::U32).with_default_value(0)?;
/// let id = FieldSchema::new("id", FieldType::U64).key();
/// assert_eq!(Schema::new(vec![id.clone(), hits.clone()])?.to_string(), "key id: u64, hits: u32 = 0");
///
/// let documented = Schema::new(vec![id.with_doc("Never reused."), hits])?;
/// assert_eq!(documented.to_string(), "/// Never reused.\nkey id: u64,\nhits: u32 = 0");
/// # Ok::<(), locule::Error>(())
/// ```
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.fields.iter().all(|field| field.doc.is_empty()) { ", " } else { ",\n" };
        let fields: Vec<_> = self.fields.iter().map(FieldSchema::to_string).collect();
        f.pad(&fields.join(separator))
    }
}

/// The text form: `key id: u64`, `note: text(40)? = "none yet"`, after a line `/// …` for each line of documentation.
impl fmt::Display for FieldSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.is_key { "key " } else { "" };
        let null = if self.is_nullable { "?" } else { "" };
        let documentation = Documentation(&self.doc);
        let default = DefaultValue(self);
        padded(f, format_args!("{documentation}{key}{}: {}{null}{default}", self.name, self.field_type))
    }
}

struct Documentation<'a>(&'a str);

impl fmt::Display for Documentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        for line in self.0.split('\n') {
            let space = if line.is_empty() { "" } else { " " };
            // The reader takes one carriage return for a part of the line's end.
            let end = if line.ends_with('\r') { "\r\n" } else { "\n" };
            write!(f, "///{space}{line}{end}")?;
        }
        Ok(())
    }
}

struct DefaultValue<'a>(&'a FieldSchema);

impl fmt::Display for DefaultValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.default(), self.0.default_value()) {
            (None, _) => Ok(()),
            (Some(_), Some(value)) => write!(f, " = {}", Literal(&value)),
            // No schema has such a field, but it can be shown before it is refused.
            (Some(bytes), None) => write!(f, " = ({} bytes that are no value of the field)", bytes.len()),
        }
    }
}

/// A value as the text form has it: as `Display` of the value, but texts in quotes, with the escapes of Rust, and bytes
/// as `x"cafe"`.
pub(super) struct Literal<'a>(pub(super) &'a Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Bytes(_) => {
                f.write_str("x\"")?;
                fmt::Display::fmt(self.0, f)?;
                f.write_char('"')
            }
            other => fmt::Display::fmt(other, f),
        }
    }
}

/// Reads the text form. Blanks and line breaks can be anywhere between its parts, and a comma after the last field.
///
/// ```
/// use locule::{FieldType, Schema};
///
/// let schema: Schema = "key id: u64, user: text(32), hits: u32 = 0, note: text(40)?".parse()?;
/// assert_eq!(schema.field("note").map(|note| note.field_type()), Some(FieldType::Text(40)));
/// assert_eq!(schema.to_string().parse::<Schema>()?, schema);
///
/// let error = "key id: u46".parse::<Schema>().unwrap_err();
/// assert_eq!(error.to_string(), "column 9: expected a type such as u64, text(32) or timestamp, found `u46`");
/// # Ok::<(), locule::Error>(())
/// ```
impl FromStr for Schema {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidArgument`], in one line that says where and what was expected and found, if it is not written as
    /// `Display` writes it, or if there is no such schema: see [`Schema::new`].
    fn from_str(text: &str) -> Result<Self> {
        Reader::new(text)?.schema()
    }
}

/// Reads one field of the text form.
///
/// ```
/// use locule::{FieldSchema, Value};
/// let hits: FieldSchema = "hits: u32 = 7".parse()?;
/// assert_eq!((hits.name(), hits.default_value()), ("hits", Some(Value::Unsigned(7))));
/// # Ok::<(), locule::Error>(())
/// ```
impl FromStr for FieldSchema {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidArgument`], as for a [`Schema`].
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader::new(text)?;
        let field = reader.field()?;
        reader.expect_end("the end of the field")?;
        Ok(field)
    }
}

/// Reads what `Display` writes.
///
/// ```
/// use locule::FieldType;
/// assert_eq!("text(32)".parse::<FieldType>()?, FieldType::Text(32));
/// assert!("Text<32>".parse::<FieldType>().is_err());
/// # Ok::<(), locule::Error>(())
/// ```
impl FromStr for FieldType {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidArgument`], as for a [`Schema`].
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader::new(text)?;
        let field_type = reader.field_type()?;
        reader.expect_end("the end of the type")?;
        Ok(field_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{every_type, random_schema, session};
    use crate::value::field::tests::Random;

    fn parsed(text: &str) -> Schema {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[test]
    fn every_schema_comes_back_from_its_text() {
        let mut random = Random(5);
        for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
            let schema = random_schema(&mut random);
            let text = schema.to_string();
            assert_eq!(parsed(&text), schema, "{text:?}");
            assert_eq!(parsed(&format!(" {text} ,\n")), schema, "{text:?}");
            let is_one_line = schema.fields().iter().all(|field| field.doc().is_empty());
            assert_eq!(!text.contains('\n'), is_one_line, "{text:?}");
            for field in schema.fields() {
                let alone: FieldSchema = field.to_string().parse().unwrap();
                assert_eq!(Schema::new(vec![alone]).unwrap(), Schema::new(vec![field.clone()]).unwrap());
            }
        }
        let every_type = every_type().into_iter().map(|field_type| {
            assert_eq!(field_type.to_string().parse::<FieldType>().unwrap(), field_type);
            FieldSchema::new(field_type.name(), field_type)
        });
        let every_type = Schema::new(every_type.collect()).unwrap();
        assert_eq!(parsed(&every_type.to_string()), every_type);
    }

    #[test]
    fn what_people_write_is_read() {
        let expected = session();
        for text in [
            "/// The number in the cookie.\n/// Never reused.\nkey id: u64, hits: u32 = 7, note: text(3)? = null",
            "///The number in the cookie.\r\n\r\n  /// Never reused.\r\nkey id:u64,hits:u32=7,note:text(3)?=null,",
            "/// The number in the cookie.\n///Never reused.\n\tkey\n id : u64 , hits : u32 = 7 , note : text ( 3 ) ? = null\n",
        ] {
            assert_eq!(parsed(text), expected, "{text:?}");
        }
        // A field named `key`, and the key with that name.
        assert!(parsed("key: u8").key().is_none());
        assert_eq!(parsed("key key: u8").key().map(FieldSchema::name), Some("key"));
        let default = |text: &str| text.parse::<FieldSchema>().unwrap().default_value().unwrap();
        assert_eq!(default("a: f64 = 1"), Value::Float64(1.0));
        assert_eq!(default("a: i8? = -128"), Value::Signed(-128));
        assert_eq!(
            default(r#"a: text(20) = "\u{0041}\'\x = /// ,""#.replace("\\x", "x").as_str()),
            "A'x = /// ,".into()
        );
        assert_eq!(default("a: text(9) = \"b\nc\""), "b\nc".into());
        assert_eq!(default(r#"a: bytes(2) = x"CAfe""#), Value::Bytes(vec![0xca, 0xfe]));
        assert_eq!(default(r#"a: text(4)? = "null""#), "null".into());
        assert_eq!(default("a: date = -0001-12-31").to_string(), "-0001-12-31");
        assert_eq!(default("a: timestamp = 2024-02-29T14:30:00+02:00").to_string(), "2024-02-29T12:30:00.000000Z");
    }

    #[test]
    fn what_is_read_is_written_in_one_way() {
        for text in [
            "key id: u64, user: text(32), hits: u32 = 0, note: text(40)?",
            r#"a: text(9) = "\0\n\"\u{1b}é", b: bytes(2)? = x"cafe", c: f32 = NaN(0x7fc00001), d: f64 = -0.0, e: f64? = -inf"#,
            "t: timestamp = 2024-02-29T23:59:59.999999Z, d: date = +10000-01-01, n: i128 = -170141183460469231731687303715884105728",
            "/// A\n///\n///  B\nkey id: u8,\nhits: u32",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn an_error_is_one_line_that_says_where_and_what() {
        for (text, expected) in [
            (
                "",
                "column 1: expected the name of a field: ASCII letters, digits and `_`, no digit first, found the end",
            ),
            ("/// Nothing.\n", "line 2, column 1: expected the name of a field"),
            (
                "id: u64, 9: u8",
                "column 10: expected the name of a field: ASCII letters, digits and `_`, no digit first, found `9`",
            ),
            ("größe: u8", "column 3: expected `:` and the type of the field, found `öße`"),
            ("key id u64", "column 8: expected `:` and the type of the field, found `u64`"),
            ("id:", "column 4: expected a type such as u64, text(32) or timestamp, found the end"),
            ("id: Text<32>", "found `Text`: types are written in lower case"),
            ("id: Option<u8>", "found `Option`: a type that can be null is written with `?` behind it"),
            ("id: \n\t\"", "line 2, column 2: expected a type such as u64, text(32) or timestamp, found `\\\"`"),
            ("id: text", "column 9: expected `(` and the capacity in bytes, such as text(32), found the end"),
            ("id: bytes(0)", "column 11: expected a capacity of 1 to 65534 bytes, found `0`"),
            ("id: bytes(65536)", "column 11: expected a capacity of 1 to 65534 bytes, found `65536`"),
            ("id: bytes(9", "column 12: expected `)` after the capacity, found the end"),
            ("id: u8 hits: u8", "column 8: expected `,` and another field, or the end, found `hits`"),
            ("id: u8,, hits: u8", "column 8: expected the name of a field"),
            ("id: u8 = 256", "column 10: field `id`: expected a u8, 0 to 255, found \"256\""),
            ("id: u8 = \"5\"", "column 10: expected a value without quotes, found `\\\"`"),
            ("id: u8 =", "column 9: expected a value without quotes, found the end"),
            ("id: u8 = null", "column 10: field `id`: expected a u8, 0 to 255, found null: the field is not nullable"),
            ("id: text(3) = abc", "column 15: expected a text in quotes, such as \"none yet\", found `abc`"),
            ("id: text(3) = \"abcd\"", "column 15: field `id`: expected a text of at most 3 bytes"),
            ("id: text(3) = \"ab", "column 15: expected `\"` at the end of the text, found the end"),
            (r#"id: text(3) = "a\q""#, "column 17: expected one of the escapes"),
            (r#"id: text(3) = "\u{d800}""#, "column 16: expected one of the escapes"),
            (r#"id: text(3) = "\u{+41}""#, "column 16: expected one of the escapes"),
            ("id: bytes(3) = cafe", "column 16: expected bytes in hexadecimal digits, such as x\"cafe\", found `cafe`"),
            ("id: bytes(3) = x\"caf\"", "column 16: field `id`: expected at most 3 bytes, two hexadecimal digits each"),
            ("id: f32 = 1e39", "column 11: field `id`: expected an f32, at most 3.4028235e38, found \"1e39\""),
            ("id: date = yesterday", "column 12: field `id`: expected a date such as 2024-02-29, found \"yesterday\""),
            ("id: u8,\nkey x: f64", "line 2, column 1: key `x` is a float"),
            ("key id: u8?", "column 1: key `id` is nullable"),
            ("id: u8, id: u8", "two fields are named `id`"),
            ("key a: u8, key b: u8", "two fields are keys"),
            ("a: text(65535)", "column 1: expected records of at most 65536 bytes, found 65537 with field `a`"),
        ] {
            match text.parse::<Schema>() {
                Err(Error::InvalidArgument { reason }) => {
                    assert!(reason.contains(expected), "{text:?}: {reason}");
                    assert!(!reason.contains('\n'), "{text:?}: {reason:?}");
                }
                other => panic!("{text:?}: expected {expected:?}, found {other:?}"),
            }
        }
        assert!("id: u8, hits: u8".parse::<FieldSchema>().is_err() && "u8?".parse::<FieldType>().is_err());
        // What was found can be long.
        let error = format!("id: {}", "x".repeat(10_000)).parse::<Schema>().unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }

    #[test]
    fn any_text_is_a_schema_or_an_error_of_one_line() {
        let mut random = Random(6);
        let mut accepted_count = 0;
        for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
            let mut text: Vec<char> = random_schema(&mut random).to_string().chars().collect();
            for _ in 0..random.below(3) {
                let place = random.below(text.len());
                match random.below(3) {
                    0 => text.truncate(place),
                    1 => text.insert(place, text[random.below(text.len())]),
                    _ => drop(text.remove(place)),
                }
                if text.is_empty() {
                    break;
                }
            }
            let text: String = text.into_iter().collect();
            match text.parse::<Schema>() {
                Ok(schema) => {
                    assert_eq!(parsed(&schema.to_string()), schema, "{text:?}");
                    accepted_count += 1;
                }
                Err(Error::InvalidArgument { reason }) => assert!(!reason.contains('\n'), "{text:?}: {reason:?}"),
                Err(other) => panic!("{text:?}: {other:?}"),
            }
        }
        assert!(cfg!(miri) || accepted_count > 1_000, "{accepted_count}");
    }

    #[test]
    fn as_many_fields_as_there_can_be_come_back_and_longer_texts_are_refused() {
        if cfg!(miri) {
            return;
        }
        let fields = (0..Schema::RECORD_BYTES_MAX).map(|number| FieldSchema::new(format!("f{number}"), FieldType::U8));
        let schema = Schema::new(fields.collect()).unwrap();
        let text = schema.to_string();
        assert!(parsed(&text) == schema);
        let error = format!("{text}, one_more: u8").parse::<Schema>().unwrap_err().to_string();
        assert!(error.contains("found 65537 with field `one_more`"), "{error}");
        // Zeros that were never written take no memory.
        let zeros = String::from_utf8(vec![0; (6 << 26) + 1]).unwrap();
        assert!(zeros.parse::<Schema>().unwrap_err().to_string().contains("expected at most"));
    }

    #[test]
    fn a_field_that_no_schema_has_can_be_shown() {
        let field = FieldSchema::new("hits", FieldType::U32).with_default([1, 2, 3]);
        assert_eq!(field.to_string(), "hits: u32 = (3 bytes that are no value of the field)");
    }
}
