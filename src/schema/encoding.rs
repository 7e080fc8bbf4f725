//! Schemas as the file has them, which `format.md` describes.

use super::Schema;
use super::field_schema::FieldSchema;
use crate::value::field::Field;
use crate::value::field_type::FieldType;
use crate::{Error, Result};

const NULLABLE: u8 = 1;
const KEY: u8 = 2;
const DEFAULT: u8 = 4;

impl Schema {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{every_type, session};
    use crate::value::field::tests::Random;

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
