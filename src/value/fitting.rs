//! Which values fit which types of fields, and how they are written there: the mirror of [`Value::decode`].

use super::field::Field;
use super::field_type::FieldType;
use super::untyped::Value;

/// Texts in errors have at most so many characters.
const SHOWN_CHARACTERS_MAX: usize = 40;

impl Value {
    /// Writes the value as a field of this type holds it, into as many bytes as that takes. If it does not fit, nothing
    /// is written, and the error says what was expected and what was found.
    pub(crate) fn encode(&self, field_type: FieldType, is_nullable: bool, bytes: &mut [u8]) -> Result<(), String> {
        let (presence, content) = bytes.split_at_mut(usize::from(is_nullable));
        if is_nullable && *self == Value::Null {
            presence.fill(0);
            content.fill(0);
            return Ok(());
        }
        let fits = match field_type {
            FieldType::Bool => put(self.as_bool(), content),
            FieldType::I8 => put(self.to_integer::<i8>(), content),
            FieldType::I16 => put(self.to_integer::<i16>(), content),
            FieldType::I32 => put(self.to_integer::<i32>(), content),
            FieldType::I64 => put(self.to_integer::<i64>(), content),
            FieldType::I128 => put(self.to_integer::<i128>(), content),
            FieldType::U8 => put(self.to_integer::<u8>(), content),
            FieldType::U16 => put(self.to_integer::<u16>(), content),
            FieldType::U32 => put(self.to_integer::<u32>(), content),
            FieldType::U64 => put(self.to_integer::<u64>(), content),
            FieldType::U128 => put(self.to_integer::<u128>(), content),
            FieldType::F32 => put(self.to_f32(), content),
            FieldType::F64 => put(self.to_f64(), content),
            FieldType::Text(_) => matches!(self, Value::Text(text) if put_content(text.as_bytes(), content)),
            FieldType::Bytes(_) => matches!(self, Value::Bytes(value) if put_content(value, content)),
            FieldType::Timestamp => match self {
                Value::Timestamp(value) => put(Some(*value), content),
                _ => false,
            },
            FieldType::Date => match self {
                Value::Date(value) => put(Some(*value), content),
                _ => false,
            },
        };
        if !fits {
            return Err(self.misfit(field_type));
        }
        presence.fill(1);
        Ok(())
    }

    /// Any integer whose value the type has.
    fn to_integer<T: TryFrom<i128> + TryFrom<u128>>(&self) -> Option<T> {
        match self {
            Value::Signed(value) => T::try_from(*value).ok(),
            Value::Unsigned(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }

    /// An integer that is such a float exactly. A wider float is rounded, as in all arithmetic with such floats, unless
    /// it is more than the greatest, or would be 0.
    fn to_f32(&self) -> Option<f32> {
        match self {
            Value::Float32(value) => Some(*value),
            Value::Float64(value) => Some(*value as f32)
                .filter(|narrow| narrow.is_infinite() == value.is_infinite() && (*narrow == 0.0) == (*value == 0.0)),
            _ => self.exact_integer(f32::MANTISSA_DIGITS).map(|integer| integer as f32),
        }
    }

    fn to_f64(&self) -> Option<f64> {
        match self {
            Value::Float32(value) => Some((*value).into()),
            Value::Float64(value) => Some(*value),
            _ => self.exact_integer(f64::MANTISSA_DIGITS),
        }
    }

    /// An integer that has no more significant bits than this. No exponent is too large, since even an `f32` reaches
    /// beyond 128 bits.
    fn exact_integer(&self, significant_bits: u32) -> Option<f64> {
        let (magnitude, float) = match self {
            Value::Signed(value) => (value.unsigned_abs(), *value as f64),
            Value::Unsigned(value) => (*value, *value as f64),
            _ => return None,
        };
        let used_bits =
            magnitude.checked_shr(magnitude.trailing_zeros()).map_or(0, |odd| u128::BITS - odd.leading_zeros());
        (used_bits <= significant_bits).then_some(float)
    }

    fn misfit(&self, field_type: FieldType) -> String {
        let why = match (field_type, self) {
            (_, Value::Null) => ": the field is not nullable",
            (FieldType::F32, Value::Float64(value)) if *value as f32 == 0.0 => ", which would be rounded to 0",
            (FieldType::F32 | FieldType::F64, Value::Signed(_) | Value::Unsigned(_)) => {
                ", which no float of this width is exactly"
            }
            _ => "",
        };
        let found = match self {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Signed(_) | Value::Unsigned(_) => format!("the integer {self}"),
            Value::Float32(_) | Value::Float64(_) => format!("the float {self}"),
            Value::Text(text) => format!("a text of {} bytes, {}", text.len(), shortened(text)),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Value::Timestamp(value) => format!("the time {value}"),
            Value::Date(value) => format!("the date {value}"),
        };
        format!("expected {}, found {found}{why}", content_of(field_type))
    }
}

/// What a field of this type holds, in the words of an error.
pub(super) fn content_of(field_type: FieldType) -> String {
    match field_type {
        FieldType::Bool => "true or false".to_owned(),
        FieldType::I8 => range("an i8", i8::MIN, i8::MAX),
        FieldType::I16 => range("an i16", i16::MIN, i16::MAX),
        FieldType::I32 => range("an i32", i32::MIN, i32::MAX),
        FieldType::I64 => range("an i64", i64::MIN, i64::MAX),
        FieldType::I128 => range("an i128", i128::MIN, i128::MAX),
        FieldType::U8 => range("a u8", u8::MIN, u8::MAX),
        FieldType::U16 => range("a u16", u16::MIN, u16::MAX),
        FieldType::U32 => range("a u32", u32::MIN, u32::MAX),
        FieldType::U64 => range("a u64", u64::MIN, u64::MAX),
        FieldType::U128 => range("a u128", u128::MIN, u128::MAX),
        FieldType::F32 => format!("an f32, at most {:?}", f32::MAX),
        FieldType::F64 => format!("an f64, at most {:?}", f64::MAX),
        FieldType::Text(capacity_bytes) => format!("a text of at most {capacity_bytes} bytes"),
        FieldType::Bytes(capacity_bytes) => format!("at most {capacity_bytes} bytes"),
        FieldType::Timestamp => "a time such as 2024-02-29T23:59:59.999999Z".to_owned(),
        FieldType::Date => "a date such as 2024-02-29".to_owned(),
    }
}

fn range<T: std::fmt::Display>(name: &str, least: T, most: T) -> String {
    format!("{name}, {least} to {most}")
}

/// A text in quotes and on one line, the beginning of it if it is long.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX).and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => format!("{beginning:?}…"),
        None => format!("{text:?}"),
    }
}

fn put<T: Field>(value: Option<T>, bytes: &mut [u8]) -> bool {
    value.map(|value| value.encode(bytes)).is_some()
}

/// Writes a text or a byte string: its length, the content, and zeros up to the capacity.
fn put_content(content: &[u8], bytes: &mut [u8]) -> bool {
    let (length, room) = bytes.split_at_mut(2);
    let (Ok(length_bytes), Some((used, padding))) =
        (u16::try_from(content.len()), room.split_at_mut_checked(content.len()))
    else {
        return false;
    };
    length.copy_from_slice(&length_bytes.to_ne_bytes());
    used.copy_from_slice(content);
    padding.fill(0);
    true
}
