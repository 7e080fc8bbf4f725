//! The values of a field: to its bytes and back, and from text.

use super::field_schema::{FieldSchema, invalid};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use crate::{Error, Result};

impl FieldSchema {
    /// The same, with the value that is used by inserts that leave the field out.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// let hits = FieldSchema::new("hits", FieldType::U32).with_default_value(7)?;
    /// assert_eq!(hits.to_string(), "hits: u32 = 7");
    /// assert!(hits.with_default_value("seven").is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the field cannot hold it, as for [`encode_value`](Self::encode_value). So a field is
    /// made [`nullable`](Self::nullable) before nothing becomes its default.
    pub fn with_default_value(self, value: impl Into<Value>) -> Result<Self> {
        let mut bytes = vec![0; self.field_bytes()];
        self.encode_value(&value.into(), &mut bytes)?;
        Ok(self.with_default(bytes))
    }

    /// The default value, if there is one. In a [`Schema`](crate::Schema), it is what [`default`](Self::default) encodes;
    /// before that, bytes that are no value of the field are no default.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Value};
    /// let note = FieldSchema::new("note", FieldType::Text(40));
    /// assert_eq!(note.default_value(), None);
    /// assert_eq!(note.with_default_value("none yet")?.default_value(), Some(Value::from("none yet")));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        self.default().and_then(|bytes| self.decode(bytes).ok())
    }

    /// Writes a value as the field holds it: into the bytes of a record from
    /// [`offset_bytes`](Self::offset_bytes) on, [`field_bytes`](Self::field_bytes) of them. [`decode_value`] reads it.
    ///
    /// Integers fit by value, whichever type they had. An integer fits a float field if it is such a float exactly. An
    /// `f64` is rounded to the nearest `f32`, and one beyond the greatest, or that would become 0, does not fit. Nothing else is converted, and
    /// no text or byte string is cut.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Value, decode_value};
    ///
    /// let age = FieldSchema::new("age", FieldType::U8).nullable();
    /// let mut bytes = [0; 2];
    /// age.encode_value(&Value::Signed(7), &mut bytes)?;
    /// assert_eq!(decode_value(&age, &bytes)?, Value::Unsigned(7));
    /// let error = age.encode_value(&300.into(), &mut bytes).unwrap_err();
    /// assert_eq!(error.to_string(), "field `age`: expected a u8, 0 to 255, found the integer 300");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the value does not fit, [`Error::InvalidArgument`] if there is another number of
    /// bytes than the field has. Then nothing was written.
    pub fn encode_value(&self, value: &Value, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() != self.field_bytes() {
            return Err(invalid(format!(
                "field `{}` is written into {} bytes: expected {}",
                self.name(),
                bytes.len(),
                self.field_bytes()
            )));
        }
        value.encode(self.field_type(), self.is_nullable(), bytes).map_err(|reason| self.refusal(&reason))
    }

    /// Reads a value from the text that `Display` of [`Value`] writes: `true` and `false`, integers and floats in
    /// decimal digits, `inf`, `-inf`, `NaN`, bytes in hexadecimal digits, times and dates in ISO 8601, texts as they are.
    /// Digits of a float are rounded to the nearest one, but not to 0 or to infinity.
    ///
    /// `null` is nothing, if the field is nullable and not a text: a text can say that. What else means nothing, such as
    /// a text of no length, is for the caller to say.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Value};
    ///
    /// let token = FieldSchema::new("token", FieldType::Bytes(4)).nullable();
    /// assert_eq!(token.parse_value("cafe")?, Value::Bytes(vec![0xca, 0xfe]));
    /// assert_eq!(token.parse_value("null")?, Value::Null);
    /// let error = token.parse_value("coffee").unwrap_err().to_string();
    /// assert_eq!(error, r#"field `token`: expected at most 4 bytes, two hexadecimal digits each, found "coffee""#);
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if it is not a value that the field can hold.
    pub fn parse_value(&self, text: &str) -> Result<Value> {
        if text == "null" && self.is_nullable() && !matches!(self.field_type(), FieldType::Text(_)) {
            return Ok(Value::Null);
        }
        Value::parse(self.field_type(), text).map_err(|reason| self.refusal(&reason))
    }

    /// Whether a value is of the kind that the field holds, even if it does not fit: any integer for an integer, any text
    /// for a text.
    pub(crate) fn is_of_its_kind(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(_) => self.field_type() == FieldType::Bool,
            Value::Signed(_) | Value::Unsigned(_) => self.field_type().is_integer(),
            Value::Float32(_) | Value::Float64(_) => matches!(self.field_type(), FieldType::F32 | FieldType::F64),
            Value::Text(_) => matches!(self.field_type(), FieldType::Text(_)),
            Value::Bytes(_) => matches!(self.field_type(), FieldType::Bytes(_)),
            Value::Timestamp(_) => self.field_type() == FieldType::Timestamp,
            Value::Date(_) => self.field_type() == FieldType::Date,
        }
    }

    /// The error that names the field.
    pub(super) fn refusal(&self, reason: &str) -> Error {
        Error::InvalidValue { reason: format!("field `{}`: {reason}", self.name()) }
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
    field.decode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{every_type, random_value};
    use crate::value::field::Field;
    use crate::value::field::tests::Random;
    use crate::value::time::{Date, Timestamp};

    fn field(field_type: FieldType) -> FieldSchema {
        FieldSchema::new("field", field_type)
    }

    fn encoded(field: &FieldSchema, value: &Value) -> Result<Vec<u8>> {
        // Not zeros, so that a byte that is left out shows.
        let mut bytes = vec![0xa5; field.field_bytes()];
        let outcome = field.encode_value(value, &mut bytes);
        assert!(outcome.is_ok() || bytes.iter().all(|byte| *byte == 0xa5), "a refusal writes nothing");
        outcome.map(|()| bytes)
    }

    /// The value comes back from its bytes and from its text.
    fn round_trip(field: &FieldSchema, value: &Value) {
        let bytes = encoded(field, value).unwrap();
        let decoded = decode_value(field, &bytes).unwrap();
        // Of bytes, since no NaN is equal to itself.
        assert_eq!(encoded(field, &decoded).unwrap(), bytes, "{value:?}");
        assert_eq!(std::mem::discriminant(&decoded), std::mem::discriminant(value));
        let is_text = matches!(field.field_type(), FieldType::Text(_));
        if !(is_text && *value == Value::Null) {
            let read = field.parse_value(&value.to_string()).unwrap();
            assert_eq!(encoded(field, &read).unwrap(), bytes, "{value:?}");
        }
        let with_default = field.clone().with_default_value(value.clone()).unwrap();
        assert_eq!(with_default.default(), Some(&bytes[..]));
        assert_eq!(with_default.default_value().map(|value| encoded(field, &value).unwrap()), Some(bytes));
    }

    #[test]
    fn every_value_comes_back_from_its_bytes_and_its_text() {
        let mut random = Random(9);
        for field_type in every_type() {
            let (required, nullable) = (field(field_type), field(field_type).nullable());
            for _ in 0..if cfg!(miri) { 10 } else { 1_000 } {
                let value = random_value(field_type, &mut random);
                round_trip(&required, &value);
                round_trip(&nullable, &value);
            }
            round_trip(&nullable, &Value::Null);
        }
        for bits in [0, 1 << 63, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0xfff8_dead_beef_0042, 1] {
            round_trip(&field(FieldType::F64), &f64::from_bits(bits).into());
        }
        for value in [Timestamp::MIN, Timestamp::MAX] {
            round_trip(&field(FieldType::Timestamp), &value.into());
        }
        for value in [Date::MIN, Date::MAX] {
            round_trip(&field(FieldType::Date), &value.into());
        }
    }

    #[test]
    fn untyped_and_typed_encoding_are_the_same_bytes() {
        fn check<T: Field + Into<Value>>(values: &[T]) {
            for value in values {
                let field = field(T::TYPE);
                let field = if T::NULLABLE { field.nullable() } else { field };
                let mut bytes = vec![0xa5; T::FIELD_BYTES];
                value.encode(&mut bytes);
                assert_eq!(encoded(&field, &(*value).into()).unwrap(), bytes, "{value:?}");
            }
        }
        check(&[false, true]);
        check(&[i8::MIN, 0, i8::MAX]);
        check(&[i16::MIN, 0, i16::MAX]);
        check(&[i32::MIN, 0, i32::MAX]);
        check(&[i64::MIN, 0, i64::MAX]);
        check(&[i128::MIN, 0, i128::MAX]);
        check(&[0, u8::MAX]);
        check(&[0, u16::MAX]);
        check(&[0, u32::MAX]);
        check(&[0, u64::MAX]);
        check(&[0, u128::MAX]);
        check(&[f32::MIN, -0.0, f32::NAN, f32::INFINITY]);
        check(&[f64::MIN, -0.0, f64::NAN, f64::NEG_INFINITY]);
        check(&["", "a\0b", "Łó", "12345"].map(|text| crate::Text::<5>::new(text).unwrap()));
        check(&[&b""[..], b"\xff\0", b"12345"].map(|bytes| crate::Bytes::<5>::new(bytes).unwrap()));
        check(&[Timestamp::MIN, Timestamp::MAX]);
        check(&[Date::MIN, Date::MAX]);
        check(&[None, Some(i64::MIN)]);
        check(&[None, Some(crate::Text::<5>::literal("ab"))]);
    }

    #[test]
    fn integers_fit_by_value_and_floats_take_those_that_are_exact() {
        let fits = |field_type, value: Value| encoded(&field(field_type), &value).is_ok();
        assert!(fits(FieldType::U8, Value::Signed(255)) && !fits(FieldType::U8, Value::Signed(256)));
        assert!(!fits(FieldType::U8, Value::Signed(-1)) && !fits(FieldType::U128, Value::Signed(-1)));
        assert!(fits(FieldType::I8, Value::Unsigned(127)) && !fits(FieldType::I8, Value::Unsigned(128)));
        assert!(fits(FieldType::I128, Value::Unsigned(i128::MAX as u128)));
        assert!(!fits(FieldType::I128, Value::Unsigned(i128::MAX as u128 + 1)));
        let bytes_of = |field_type, value: Value| encoded(&field(field_type), &value).unwrap();
        for (integer, float) in
            [(0, 0.0), (-1, -1.0), (1 << 53, (1_u64 << 53) as f64), (i128::MIN, -((1_u128 << 127) as f64))]
        {
            assert_eq!(bytes_of(FieldType::F64, Value::Signed(integer)), float.to_ne_bytes());
        }
        assert!(!fits(FieldType::F64, Value::Signed((1 << 53) + 1)) && !fits(FieldType::F64, Value::Signed(i128::MAX)));
        assert!(fits(FieldType::F32, Value::Unsigned(1 << 127)) && !fits(FieldType::F32, Value::Unsigned(u128::MAX)));
        assert!(fits(FieldType::F32, Value::Signed(1 << 24)) && !fits(FieldType::F32, Value::Signed((1 << 24) + 1)));
        assert_eq!(bytes_of(FieldType::F32, 0.1_f64.into()), 0.1_f32.to_ne_bytes());
        assert_eq!(bytes_of(FieldType::F64, 0.5_f32.into()), 0.5_f64.to_ne_bytes());
        assert!(!fits(FieldType::F32, 1e39.into()) && fits(FieldType::F32, f64::INFINITY.into()));
        assert!(
            !fits(FieldType::F32, 1e-50.into())
                && fits(FieldType::F32, 1e-45.into())
                && fits(FieldType::F32, (-0.0).into())
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_field_and_both_sides() {
        for (field_type, value, expected) in [
            (FieldType::U8, Value::from(300), "expected a u8, 0 to 255, found the integer 300"),
            (FieldType::I8, Value::from(128), "expected an i8, -128 to 127, found the integer 128"),
            (FieldType::U8, Value::from(5.0), "expected a u8, 0 to 255, found the float 5.0"),
            (FieldType::U8, Value::from("5"), "expected a u8, 0 to 255, found a text of 1 bytes, \"5\""),
            (FieldType::U8, Value::Null, "expected a u8, 0 to 255, found null: the field is not nullable"),
            (FieldType::Bool, Value::from(1), "expected true or false, found the integer 1"),
            (
                FieldType::F32,
                Value::from(16_777_217),
                "expected an f32, at most 3.4028235e38, found the integer 16777217, which no float of this width is exactly",
            ),
            (FieldType::F32, Value::from(1e39), "expected an f32, at most 3.4028235e38, found the float 1e39"),
            (
                FieldType::F32,
                Value::from(1e-50),
                "expected an f32, at most 3.4028235e38, found the float 1e-50, which would be rounded to 0",
            ),
            (
                FieldType::Text(3),
                Value::from("Łódź"),
                "expected a text of at most 3 bytes, found a text of 7 bytes, \"Łódź\"",
            ),
            (FieldType::Text(3), Value::from(b"ab"), "expected a text of at most 3 bytes, found 2 bytes"),
            (FieldType::Bytes(3), Value::from(b"abcd"), "expected at most 3 bytes, found 4 bytes"),
            (FieldType::Bytes(3), Value::from("ab"), "expected at most 3 bytes, found a text of 2 bytes, \"ab\""),
            (FieldType::Date, Value::from(Timestamp::default()), "found the time 1970-01-01T00:00:00.000000Z"),
            (FieldType::Timestamp, Value::from(Date::default()), "found the date 1970-01-01"),
            (
                FieldType::Timestamp,
                Value::from(true),
                "expected a time such as 2024-02-29T23:59:59.999999Z, found true",
            ),
        ] {
            let Err(Error::InvalidValue { reason }) = encoded(&field(field_type), &value) else { panic!("{value:?}") };
            assert!(reason.starts_with("field `field`: ") && reason.ends_with(expected), "{reason}");
            // Nothing else is accepted as a default.
            assert_eq!(field(field_type).with_default_value(value).unwrap_err().to_string(), reason);
        }
        let long = encoded(&field(FieldType::Text(3)), &"x\n".repeat(9_999).into()).unwrap_err().to_string();
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
        let mut short = [0; 3];
        let outcome = field(FieldType::U32).encode_value(&7.into(), &mut short);
        assert_eq!(outcome.unwrap_err().to_string(), "field `field` is written into 3 bytes: expected 4");
    }

    #[test]
    fn text_that_is_no_value_is_refused_with_the_field_and_both_sides() {
        for (field_type, text, expected) in [
            (FieldType::Bool, "yes", "expected true or false, found \"yes\""),
            (FieldType::U8, "256", "expected a u8, 0 to 255, found \"256\""),
            (FieldType::U8, "", "expected a u8, 0 to 255, found \"\""),
            (FieldType::U8, "null", "expected a u8, 0 to 255, found \"null\""),
            (FieldType::I8, "1.0", "expected an i8, -128 to 127, found \"1.0\""),
            (FieldType::F64, "1e309", "expected an f64, at most 1.7976931348623157e308, found \"1e309\""),
            (
                FieldType::F32,
                "1e-50",
                "expected an f32, at most 3.4028235e38, found \"1e-50\", which would be rounded to 0",
            ),
            (FieldType::Text(3), "abcd", "expected a text of at most 3 bytes, found one of 4 bytes, \"abcd\""),
            (FieldType::Bytes(1), "cafe", "expected at most 1 bytes, two hexadecimal digits each, found \"cafe\""),
            (FieldType::Date, "2023-02-29", "expected a date such as 2024-02-29, found \"2023-02-29\""),
            (
                FieldType::Timestamp,
                "2024-02-29",
                "expected a time such as 2024-02-29T23:59:59.999999Z, found \"2024-02-29\"",
            ),
        ] {
            let Err(Error::InvalidValue { reason }) = field(field_type).parse_value(text) else { panic!("{text}") };
            assert_eq!(reason, format!("field `field`: {expected}"));
        }
    }

    #[test]
    fn null_is_nothing_where_no_text_can_say_it() {
        for field_type in every_type() {
            let read = field(field_type).nullable().parse_value("null").unwrap();
            match field_type {
                FieldType::Text(_) => assert_eq!(read, "null".into()),
                _ => assert_eq!(read, Value::Null),
            }
        }
    }

    #[test]
    fn a_default_stays_when_the_field_becomes_nullable() {
        let before = field(FieldType::U16).with_default_value(7).unwrap();
        let after = before.nullable();
        assert_eq!(after.default_value(), Some(Value::Unsigned(7)));
        assert_eq!(after.clone().nullable(), after);
        let none = field(FieldType::U16).nullable().with_default_value(Value::Null).unwrap();
        assert_eq!((none.default(), none.clone().nullable().default_value()), (Some(&[0; 3][..]), Some(Value::Null)));
        assert_eq!(field(FieldType::U16).with_default([1]).default_value(), None);
    }
}
