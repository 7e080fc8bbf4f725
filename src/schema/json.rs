//! Values in JSON, as `format.md` specifies it.
//!
//! Most readers of JSON take its numbers for doubles, so only what a double holds exactly is a number: integers of up to
//! 32 bits, and floats. Which form a field has depends on its type and never on the value, except that a float which is
//! not finite has no form as a number.

use serde_json::{Number, Value as Json};

use super::field_schema::FieldSchema;
use crate::Result;
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;

impl FieldSchema {
    /// A value of this field in JSON: nothing as `null`, bools, integers of up to 32 bits and floats as such, integers
    /// of 64 and 128 bits as a text of their digits, floats that are not finite as `"NaN"`, `"Infinity"` and
    /// `"-Infinity"`, bytes as hexadecimal digits, times and dates in ISO 8601. No reader loses anything of it, even if
    /// it takes all numbers for doubles. What a value that the field cannot hold becomes need not be
    /// readable.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// use serde_json::json;
    ///
    /// let id = FieldSchema::new("id", FieldType::U64);
    /// assert_eq!(id.value_to_json(&u64::MAX.into()), json!("18446744073709551615"));
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).value_to_json(&36.into()), json!(36));
    /// ```
    #[must_use]
    pub fn value_to_json(&self, value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Signed(_) | Value::Unsigned(_) => self.integer_to_json(value),
            Value::Float32(float) => float_to_json(as_double(*float)).unwrap_or_else(|| not_finite(value)),
            Value::Float64(float) => float_to_json(*float).unwrap_or_else(|| not_finite(value)),
            Value::Text(_) | Value::Bytes(_) | Value::Timestamp(_) | Value::Date(_) => Json::String(value.to_string()),
        }
    }

    /// Reads a value of this field: what [`value_to_json`](Self::value_to_json) writes, and any number as a number or as
    /// a text of its digits, also where the other is written. An integer of more than 64 bits that is a number is
    /// refused, unless `serde_json` keeps all digits (its feature `arbitrary_precision`).
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType, Value};
    /// use serde_json::json;
    ///
    /// let id = FieldSchema::new("id", FieldType::U64);
    /// assert_eq!(id.value_from_json(&json!("42"))?, Value::Unsigned(42));
    /// assert_eq!(id.value_from_json(&json!(42))?, Value::Unsigned(42));
    /// let error = id.value_from_json(&json!([42])).unwrap_err().to_string();
    /// assert_eq!(error, "field `id`: expected a number, or a text of its digits, found an array");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) if it is not a value that the field can hold.
    pub fn value_from_json(&self, json: &Json) -> Result<Value> {
        let parsed = |text: &str| Value::parse(self.field_type(), text).map_err(|reason| self.refusal(&reason));
        let form = form_of(self.field_type());
        match (json, form) {
            (Json::Null, _) if self.is_nullable() => Ok(Value::Null),
            (Json::Bool(value), Form::Bool) => Ok(Value::Bool(*value)),
            // Its digits as they are: a number that is not an integer is none, even if it is rounded to one.
            (Json::Number(number), Form::Number | Form::Digits) => parsed(&number.to_string()),
            (Json::String(text), Form::Number | Form::Digits | Form::Text) => parsed(text),
            _ => {
                let null = if matches!(json, Json::Null) { ": the field is not nullable" } else { "" };
                Err(self.refusal(&format!("expected {}, found {}{null}", form.name(), name_of(json))))
            }
        }
    }

    fn integer_to_json(&self, value: &Value) -> Json {
        let digits = value.to_string();
        match form_of(self.field_type()) {
            Form::Number => digits.parse().map_or(Json::String(digits), |integer: i64| Json::Number(integer.into())),
            _ => Json::String(digits),
        }
    }
}

/// How the values of a type are written, unless they are null or not finite.
#[derive(Clone, Copy)]
enum Form {
    Bool,
    Number,
    /// A text of decimal digits.
    Digits,
    Text,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Form::Bool => "true or false",
            Form::Number | Form::Digits => "a number, or a text of its digits",
            Form::Text => "a text",
        }
    }
}

fn form_of(field_type: FieldType) -> Form {
    match field_type {
        FieldType::Bool => Form::Bool,
        FieldType::I8
        | FieldType::I16
        | FieldType::I32
        | FieldType::U8
        | FieldType::U16
        | FieldType::U32
        | FieldType::F32
        | FieldType::F64 => Form::Number,
        FieldType::I64 | FieldType::I128 | FieldType::U64 | FieldType::U128 => Form::Digits,
        FieldType::Text(_) | FieldType::Bytes(_) | FieldType::Timestamp | FieldType::Date => Form::Text,
    }
}

fn float_to_json(float: f64) -> Option<Json> {
    Number::from_f64(float).map(Json::Number)
}

/// The double that is written for an `f32`: the one with the `f32`'s own digits, 0.1 and not 0.10000000149011612,
/// since that one is rounded to the `f32` again. Where it should not be, the `f32` itself.
fn as_double(float: f32) -> f64 {
    let of_its_digits = Value::Float32(float).to_string().parse().ok();
    of_its_digits.filter(|double: &f64| (*double as f32).to_bits() == float.to_bits()).unwrap_or_else(|| float.into())
}

/// The names that JavaScript has. `FieldSchema::parse_value` reads them, too.
fn not_finite(value: &Value) -> Json {
    Json::String(value.to_string().replace("inf", "Infinity"))
}

fn name_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{every_type, random_value};
    use crate::value::field::tests::Random;
    use serde_json::json;

    fn bytes_of(field: &FieldSchema, value: &Value) -> Vec<u8> {
        let mut bytes = vec![0; field.field_bytes()];
        field.encode_value(value, &mut bytes).unwrap();
        bytes
    }

    /// What a reader has that takes every number for a double.
    fn through_doubles(json: &Json) -> Json {
        match json {
            Json::Number(number) => Number::from_f64(number.to_string().parse().unwrap()).unwrap().into(),
            other => other.clone(),
        }
    }

    #[test]
    fn every_value_comes_back_from_its_json_even_through_doubles() {
        let mut random = Random(10);
        for field_type in every_type() {
            let field = FieldSchema::new("field", field_type).nullable();
            for round in 0..if cfg!(miri) { 10 } else { 2_000 } {
                let value = if round == 0 { Value::Null } else { random_value(field_type, &mut random) };
                let written = field.value_to_json(&value);
                let read = field.value_from_json(&serde_json::from_str(&written.to_string()).unwrap()).unwrap();
                assert_eq!(bytes_of(&field, &read), bytes_of(&field, &value), "{written}");
                match (through_doubles(&written), field_type) {
                    // They write an integer without a point.
                    (Json::Number(number), FieldType::F32 | FieldType::F64) => {
                        let read = field.value_from_json(&Json::Number(number)).unwrap();
                        assert_eq!(bytes_of(&field, &read), bytes_of(&field, &value), "{written}");
                    }
                    (Json::Number(number), _) => {
                        let double: f64 = number.to_string().parse().unwrap();
                        assert_eq!(format!("{double}"), value.to_string());
                    }
                    (other, _) => assert_eq!(other, written),
                }
                // Numbers as texts are read in every type.
                let as_text = field.value_from_json(&Json::String(value.to_string()));
                if !matches!(value, Value::Bool(_) | Value::Null) {
                    assert_eq!(bytes_of(&field, &as_text.unwrap()), bytes_of(&field, &value), "{written}");
                }
            }
        }
    }

    #[test]
    fn integers_of_all_widths_are_read_as_numbers_too() {
        let read = |field_type, json: Json| FieldSchema::new("field", field_type).value_from_json(&json).ok();
        assert_eq!(read(FieldType::U64, json!(u64::MAX)), Some(u64::MAX.into()));
        assert_eq!(read(FieldType::I64, json!(i64::MIN)), Some(i64::MIN.into()));
        assert_eq!(read(FieldType::I128, json!(-7)), Some((-7_i128).into()));
        // A number that is no integer is not rounded to one.
        assert_eq!((read(FieldType::U64, json!(1.5)), read(FieldType::U64, json!(1.0))), (None, None));
        for number in ["1.0", "1e2", "\"1.0\""] {
            for field_type in [FieldType::U8, FieldType::I64] {
                assert_eq!(read(field_type, serde_json::from_str(number).unwrap()), None, "{number}");
            }
        }
        assert_eq!(read(FieldType::F64, json!(7)), Some(7.0.into()));
        assert_eq!(read(FieldType::F64, json!("Infinity")), Some(f64::INFINITY.into()));
    }

    #[test]
    fn json_that_is_no_value_is_refused_with_the_field_and_both_sides() {
        let text = "expected a text, found";
        let number = "expected a number, or a text of its digits, found";
        for (field_type, json, expected) in [
            (FieldType::U8, json!(null), format!("{number} null: the field is not nullable")),
            (FieldType::U8, json!(256), "expected a u8, 0 to 255, found \"256\"".to_owned()),
            (FieldType::U8, json!("x"), "expected a u8, 0 to 255, found \"x\"".to_owned()),
            (FieldType::U8, json!(true), format!("{number} a bool")),
            (FieldType::Bool, json!(1), "expected true or false, found a number".to_owned()),
            (FieldType::Bool, json!("true"), "expected true or false, found a text".to_owned()),
            (FieldType::Text(9), json!(1), format!("{text} a number")),
            (FieldType::Bytes(9), json!([1]), format!("{text} an array")),
            (FieldType::Date, json!({}), format!("{text} an object")),
        ] {
            let error = FieldSchema::new("field", field_type).value_from_json(&json).unwrap_err();
            assert_eq!(error.to_string(), format!("field `field`: {expected}"));
        }
    }
}
