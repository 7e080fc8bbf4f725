//! Fields and values of all types, described without the library's schemas.

use super::choices::Choices;
use locule::{Date, Error, FieldSchema, FieldType, Result, Schema, Timestamp, Value};

/// What is known about a field.
#[derive(Clone, Debug)]
pub struct FieldModel {
    pub name: String,
    pub field_type: FieldType,
    pub is_nullable: bool,
    pub is_key: bool,
    pub default: Option<Value>,
}

const TYPES: [FieldType; 20] = [
    FieldType::U64,
    FieldType::Text(7),
    FieldType::U8,
    FieldType::I8,
    FieldType::Bool,
    FieldType::F64,
    FieldType::Timestamp,
    FieldType::Date,
    FieldType::Bytes(5),
    FieldType::F32,
    FieldType::I16,
    FieldType::I32,
    FieldType::I64,
    FieldType::I128,
    FieldType::U16,
    FieldType::U32,
    FieldType::U128,
    FieldType::Text(1),
    FieldType::Text(40),
    FieldType::Bytes(16),
];

const NAMES: [&str; 9] = ["id", "user", "hits", "note", "seen", "day", "score", "token", "is_new"];

impl FieldModel {
    /// Any field. It may not be a possible one: two fields can have one name, and a key can be nullable.
    pub fn any(choices: &mut Choices<'_>) -> Self {
        let field_type = choices.one_of(&TYPES);
        let (name, is_nullable) = (choices.one_of(&NAMES).to_owned(), choices.below(2) == 1);
        let field = FieldModel { name, field_type, is_nullable, is_key: false, default: None };
        let default = if choices.one_in(3) { Some(field.value(choices)) } else { None };
        FieldModel { default, ..field }
    }

    /// The fields of a table, mostly with a key.
    pub fn several(choices: &mut Choices<'_>) -> Vec<Self> {
        let mut fields: Vec<FieldModel> = Vec::new();
        for _ in 0..1 + choices.below(7) {
            let field = FieldModel::any(choices);
            if fields.iter().all(|other| other.name != field.name) {
                fields.push(field);
            }
        }
        let key = choices.below(fields.len() + 1);
        if let Some(field) = fields.get_mut(key).filter(|field| field.field_type.can_be_key()) {
            field.is_key = true;
            field.is_nullable = false;
            field.default = field.default.take().filter(|default| *default != Value::Null);
        }
        fields
    }

    pub fn schema(&self) -> Result<FieldSchema> {
        let mut field = FieldSchema::new(self.name.clone(), self.field_type);
        if self.is_nullable {
            field = field.nullable();
        }
        if self.is_key {
            field = field.key();
        }
        match &self.default {
            Some(default) => field.with_default_value(default.clone()),
            None => Ok(field),
        }
    }

    /// What a field holds that is not named.
    pub fn omitted(&self) -> Option<Value> {
        self.default.clone().or_else(|| self.is_nullable.then_some(Value::Null))
    }

    /// A value that the field can hold, as it is read again. There are few, so that keys and comparisons meet.
    pub fn value(&self, choices: &mut Choices<'_>) -> Value {
        if self.is_nullable && choices.one_in(4) { Value::Null } else { value(self.field_type, choices) }
    }

    /// A value that is given to the field, and what it is there, if it fits.
    pub fn offer(&self, choices: &mut Choices<'_>) -> (Value, Option<Value>) {
        if choices.one_in(16) {
            return self.misfit(choices);
        }
        let held = self.value(choices);
        // Numbers fit by their value, whatever their type.
        let given = match (&held, choices.below(3)) {
            (Value::Unsigned(number), 1) => i128::try_from(*number).map(Value::Signed).ok(),
            (Value::Signed(number), 1) => u128::try_from(*number).map(Value::Unsigned).ok(),
            (Value::Float32(number), 1) if !number.is_nan() => Some(Value::Float64(f64::from(*number))),
            (Value::Float64(number), 1) if *number == 2.0 => Some(Value::Signed(2)),
            _ => None,
        };
        (given.unwrap_or_else(|| held.clone()), Some(held))
    }

    fn misfit(&self, choices: &mut Choices<'_>) -> (Value, Option<Value>) {
        let other_kind = match self.field_type {
            FieldType::Text(_) => Value::Bool(true),
            _ => Value::from("a text"),
        };
        let given = match (choices.below(3), self.field_type) {
            (0, _) if !self.is_nullable => Value::Null,
            (1, FieldType::Text(bytes)) => "x".repeat(usize::from(bytes) + 1).into(),
            (1, FieldType::Bytes(bytes)) => Value::Bytes(vec![0; usize::from(bytes) + 1]),
            (1, FieldType::U8) => 256.into(),
            (1, FieldType::U16 | FieldType::U32 | FieldType::U64 | FieldType::U128) => (-1).into(),
            (1, FieldType::I8 | FieldType::I16 | FieldType::I32 | FieldType::I64) => (1_u64 << 63).into(),
            _ => other_kind,
        };
        (given, None)
    }

    /// What a value of the field would be in a field of another type; `None` if it does not fit.
    pub fn fit(&self, value: &Value) -> Option<Value> {
        let bits = |bits: u32, value: i128| {
            (value >= -(1 << (bits - 1)) && value < 1 << (bits - 1)).then_some(Value::Signed(value))
        };
        let unsigned_bits = |bits: u32, value: u128| (value >> bits == 0).then_some(Value::Unsigned(value));
        match (value, self.field_type) {
            (Value::Null, _) => self.is_nullable.then_some(Value::Null),
            (Value::Bool(_), FieldType::Bool)
            | (Value::Timestamp(_), FieldType::Timestamp)
            | (Value::Date(_), FieldType::Date)
            | (Value::Float32(_), FieldType::F32)
            | (Value::Float64(_), FieldType::F64) => Some(value.clone()),
            (Value::Float32(number), FieldType::F64) => Some(Value::Float64(f64::from(*number))),
            (Value::Text(text), FieldType::Text(bytes)) => (text.len() <= bytes.into()).then(|| value.clone()),
            (Value::Bytes(content), FieldType::Bytes(bytes)) => (content.len() <= bytes.into()).then(|| value.clone()),
            (Value::Signed(number), field_type) => match field_type {
                FieldType::I8 => bits(8, *number),
                FieldType::I16 => bits(16, *number),
                FieldType::I32 => bits(32, *number),
                FieldType::I64 => bits(64, *number),
                FieldType::I128 => Some(value.clone()),
                _ => self.fit_unsigned(u128::try_from(*number).ok()?, unsigned_bits),
            },
            (Value::Unsigned(number), field_type) => match (field_type, i128::try_from(*number)) {
                (FieldType::I8, Ok(number)) => bits(8, number),
                (FieldType::I16, Ok(number)) => bits(16, number),
                (FieldType::I32, Ok(number)) => bits(32, number),
                (FieldType::I64, Ok(number)) => bits(64, number),
                (FieldType::I128, number) => number.ok().map(Value::Signed),
                _ => self.fit_unsigned(*number, unsigned_bits),
            },
            _ => None,
        }
    }

    fn fit_unsigned(&self, number: u128, bits: impl Fn(u32, u128) -> Option<Value>) -> Option<Value> {
        match self.field_type {
            FieldType::U8 => bits(8, number),
            FieldType::U16 => bits(16, number),
            FieldType::U32 => bits(32, number),
            FieldType::U64 => bits(64, number),
            FieldType::U128 => Some(Value::Unsigned(number)),
            _ => None,
        }
    }
}

/// Another type, of the same kind more often than not. Floats are not mixed with integers, and are never narrowed.
pub fn other_type(field_type: FieldType, choices: &mut Choices<'_>) -> FieldType {
    let alike: &[FieldType] = match field_type {
        FieldType::Text(_) => &[FieldType::Text(1), FieldType::Text(7), FieldType::Text(40)],
        FieldType::Bytes(_) => &[FieldType::Bytes(2), FieldType::Bytes(5), FieldType::Bytes(16)],
        FieldType::F32 => &[FieldType::F32, FieldType::F64, FieldType::Date],
        FieldType::F64 => &[FieldType::F64, FieldType::Bool],
        FieldType::Bool | FieldType::Timestamp | FieldType::Date => &[FieldType::U8, FieldType::Text(7), field_type],
        _ => &TYPES,
    };
    let chosen = choices.one_of(alike);
    if matches!(chosen, FieldType::F32 | FieldType::F64) && !matches!(field_type, FieldType::F32 | FieldType::F64) {
        return FieldType::I128;
    }
    chosen
}

pub fn schema(fields: &[FieldModel]) -> Result<Schema> {
    Schema::new(fields.iter().map(FieldModel::schema).collect::<Result<_, Error>>()?)
}

/// A value of a type: mostly one of a few, among them the extremes.
fn value(field_type: FieldType, choices: &mut Choices<'_>) -> Value {
    let signed = |bits: u32, choices: &mut Choices<'_>| {
        let (least, greatest) = (i128::MIN >> (128 - bits), i128::MAX >> (128 - bits));
        Value::Signed(choices.one_of(&[0, 1, -1, 2, 7, least, greatest, greatest / 3]))
    };
    let unsigned = |bits: u32, choices: &mut Choices<'_>| {
        let greatest = u128::MAX >> (128 - bits);
        Value::Unsigned(choices.one_of(&[0, 1, 2, 3, 4, 5, 7, greatest, greatest / 3]))
    };
    match field_type {
        FieldType::Bool => Value::Bool(choices.below(2) == 1),
        FieldType::I8 => signed(8, choices),
        FieldType::I16 => signed(16, choices),
        FieldType::I32 => signed(32, choices),
        FieldType::I64 => signed(64, choices),
        FieldType::I128 => signed(128, choices),
        FieldType::U8 => unsigned(8, choices),
        FieldType::U16 => unsigned(16, choices),
        FieldType::U32 => unsigned(32, choices),
        FieldType::U64 => unsigned(64, choices),
        FieldType::U128 => unsigned(128, choices),
        FieldType::F32 => Value::Float32(match choices.below(9) {
            8 => f32::from_bits(choices.number() as u32),
            place => [0.0, -0.0, 2.0, -2.5, 0.1, f32::NAN, f32::INFINITY, f32::MIN][place],
        }),
        FieldType::F64 => Value::Float64(match choices.below(9) {
            8 => f64::from_bits(choices.number()),
            place => [0.0, -0.0, 2.0, -2.5, 0.1, f64::NAN, f64::NEG_INFINITY, f64::MAX][place],
        }),
        FieldType::Text(bytes) => {
            let text = choices.one_of(&["", "a", "ab", "b", "null", "Łó", "a\0b", "abcdefghijk"]);
            let end = (0..=text.len()).rev().find(|end| *end <= bytes.into() && text.is_char_boundary(*end));
            text[..end.unwrap_or(0)].into()
        }
        FieldType::Bytes(bytes) => {
            let content = choices.one_of(&[&b""[..], b"\0", b"a", b"a\0", b"ab", b"\xff\xfe", b"abcdefghijk"]);
            Value::Bytes(content[..content.len().min(bytes.into())].to_vec())
        }
        FieldType::Timestamp => {
            let microseconds = choices.one_of(&[0, -1, 1, i64::MIN, i64::MAX, 1_709_164_799_999_999]);
            Value::Timestamp(Timestamp::from_microseconds(microseconds))
        }
        FieldType::Date => Value::Date(Date::from_days(choices.one_of(&[0, -1, 1, i32::MIN, i32::MAX, 19_782]))),
        other => panic!("{other} is a new type: say what its values are"),
    }
}

/// Whether two values are the same to the bit: a NaN is itself, and the two zeros differ.
pub fn is_same(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right) && left.to_string() == right.to_string()
}

pub fn are_same(left: &[Value], right: &[Value]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same(left, right))
}
