//! Values from text, by the type of their field: what `Display` of [`Value`] writes.

use super::field_type::FieldType;
use super::fitting::{content_of, shortened};
use super::float_text::{read_f32, read_f64};
use super::inline::read_hexadecimal;
use super::time::{Date, Timestamp};
use super::untyped::Value;
use std::str::FromStr;

impl Value {
    /// Reads a value that a field of this type can hold. The error says what was expected and what was found.
    pub(crate) fn parse(field_type: FieldType, text: &str) -> Result<Self, String> {
        let value = match field_type {
            FieldType::Bool => parsed::<bool>(text),
            FieldType::I8 => parsed::<i8>(text),
            FieldType::I16 => parsed::<i16>(text),
            FieldType::I32 => parsed::<i32>(text),
            FieldType::I64 => parsed::<i64>(text),
            FieldType::I128 => parsed::<i128>(text),
            FieldType::U8 => parsed::<u8>(text),
            FieldType::U16 => parsed::<u16>(text),
            FieldType::U32 => parsed::<u32>(text),
            FieldType::U64 => parsed::<u64>(text),
            FieldType::U128 => parsed::<u128>(text),
            FieldType::F32 => read_f32(text).map(Value::from),
            FieldType::F64 => read_f64(text).map(Value::from),
            FieldType::Text(capacity_bytes) => (text.len() <= usize::from(capacity_bytes)).then(|| text.into()),
            FieldType::Bytes(capacity_bytes) => {
                let bytes = read_hexadecimal(text).ok();
                bytes.filter(|bytes| bytes.len() <= usize::from(capacity_bytes)).map(Value::from)
            }
            FieldType::Timestamp => parsed::<Timestamp>(text),
            FieldType::Date => parsed::<Date>(text),
        };
        value.ok_or_else(|| {
            let form = if matches!(field_type, FieldType::Bytes(_)) { ", two hexadecimal digits each" } else { "" };
            let found = match field_type {
                FieldType::Text(_) => format!("one of {} bytes, {}", text.len(), shortened(text)),
                _ => shortened(text),
            };
            let why = match field_type {
                FieldType::F32 | FieldType::F64 if text.parse() == Ok(0.0_f32) => ", which would be rounded to 0",
                _ => "",
            };
            format!("expected {}{form}, found {found}{why}", content_of(field_type))
        })
    }
}

fn parsed<T: FromStr + Into<Value>>(text: &str) -> Option<Value> {
    text.parse::<T>().ok().map(T::into)
}
