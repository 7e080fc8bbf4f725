//! Values whose type is known only when the program runs: what a dump prints and the untyped table hands out.

use std::fmt;

use super::bytes::split_presence;
use super::field::Field;
use super::field_type::FieldType;
use super::float_text;
use super::inline::{Bytes, Text, content_of, utf8, write_hexadecimal};
use super::time::{Date, Timestamp};
use crate::Result;
use crate::record_id::RecordId;

/// A value of any field type. `Display` writes it as a person reads it: text as it is, bytes in hexadecimal, times in
/// ISO 8601, floats with as many digits as it takes to read them back, nothing as `null`. What is not a number is `NaN`,
/// and `NaN(0x7fc00001)` with its bits if these are not the usual ones.
///
/// ```
/// use locule::Value;
///
/// assert_eq!(Value::Unsigned(42).to_string(), "42");
/// assert_eq!(Value::Float64(-0.0).to_string(), "-0.0");
/// assert_eq!(Value::Bytes(vec![0xca, 0xfe]).to_string(), "cafe");
/// ```
///
/// Any value of a field becomes one by `into`; only whether its integer type has a sign is kept, not which type it was.
///
/// ```
/// use locule::{Text, Value};
///
/// assert_eq!(Value::from(42_u8), Value::Unsigned(42));
/// assert_eq!(Value::from(Some("ab")), Value::from(Text::<8>::new("ab")?));
/// assert_eq!(Value::from(None::<i64>), Value::Null);
/// assert_eq!(Value::from([0xca, 0xfe]), Value::Bytes(vec![0xca, 0xfe]));
/// # Ok::<(), locule::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// A nullable field holds nothing.
    #[default]
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
            Value::Null => f.pad("null"),
            Value::Bool(value) => fmt::Display::fmt(value, f),
            Value::Signed(value) => fmt::Display::fmt(value, f),
            Value::Unsigned(value) => fmt::Display::fmt(value, f),
            Value::Float32(value) => float_text::write_f32(*value, f),
            Value::Float64(value) => float_text::write_f64(*value, f),
            Value::Text(value) => fmt::Display::fmt(value, f),
            Value::Bytes(value) => write_hexadecimal(value, f),
            Value::Timestamp(value) => fmt::Display::fmt(value, f),
            Value::Date(value) => fmt::Display::fmt(value, f),
        }
    }
}

macro_rules! value_from {
    ($variant:ident: $($type:ty),+) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Value::$variant(value.into())
            }
        }
    )+};
}

value_from!(Bool: bool);
value_from!(Signed: i8, i16, i32, i64, i128);
value_from!(Unsigned: u8, u16, u32, u64, u128);
value_from!(Float32: f32);
value_from!(Float64: f64);
value_from!(Text: &str, String);
value_from!(Bytes: &[u8], Vec<u8>);
value_from!(Timestamp: Timestamp);
value_from!(Date: Date);

impl<const N: usize> From<Text<N>> for Value {
    fn from(value: Text<N>) -> Self {
        Value::Text(value.into())
    }
}

impl<const N: usize> From<Bytes<N>> for Value {
    fn from(value: Bytes<N>) -> Self {
        Value::Bytes(value.into())
    }
}

/// The number as which a field stores it.
impl From<RecordId> for Value {
    fn from(value: RecordId) -> Self {
        value.to_u64().into()
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Value::Bytes(value.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Value::Bytes(value.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, T::into)
    }
}

impl Value {
    /// Whether it is nothing.
    ///
    /// ```
    /// use locule::Value;
    /// assert!(Value::from(None::<u8>).is_null() && !Value::from(0).is_null());
    /// ```
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The truth value, if it is one.
    ///
    /// ```
    /// use locule::Value;
    /// assert_eq!((Value::from(true).as_bool(), Value::from(1).as_bool()), (Some(true), None));
    /// ```
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one. Those above `i128::MAX`, which only a `u128` can be, have none.
    ///
    /// ```
    /// use locule::Value;
    /// assert_eq!((Value::from(7_u8).as_i128(), Value::from(-7).as_i128()), (Some(7), Some(-7)));
    /// assert_eq!((Value::from(7.0).as_i128(), Value::from(u128::MAX).as_i128()), (None, None));
    /// ```
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        match self {
            Value::Signed(value) => Some(*value),
            Value::Unsigned(value) => i128::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The floating-point number, if it is one.
    ///
    /// ```
    /// use locule::Value;
    /// assert_eq!((Value::from(0.5_f32).as_f64(), Value::from(1).as_f64()), (Some(0.5), None));
    /// ```
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float32(value) => Some(f64::from(*value)),
            Value::Float64(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    ///
    /// ```
    /// use locule::Value;
    /// assert_eq!((Value::from("ada").as_str(), Value::from(1).as_str()), (Some("ada"), None));
    /// ```
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(value) = self { Some(value) } else { None }
    }

    /// The bytes, if it is some.
    ///
    /// ```
    /// use locule::Value;
    /// assert_eq!((Value::from(b"ab").as_bytes(), Value::from("ab").as_bytes()), (Some(&b"ab"[..]), None));
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Value::Bytes(value) = self { Some(value) } else { None }
    }

    /// The value of a field from its bytes, of which there are as many as the type has.
    pub(crate) fn decode(field_type: FieldType, is_nullable: bool, bytes: &[u8]) -> Result<Self> {
        let bytes = if is_nullable {
            match split_presence(bytes)? {
                Some(value) => value,
                None => return Ok(Value::Null),
            }
        } else {
            bytes
        };
        Ok(match field_type {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::schema::{FieldSchema, decode_value};
    use crate::value::field::FieldValue;
    use crate::value::field::tests::Random;

    /// The value that a field of type `T` holds, by way of its bytes, as a person reads it.
    fn shown<T: Field + Into<Value>>(value: T) -> String {
        let mut bytes = vec![0; T::FIELD_BYTES];
        value.encode(&mut bytes);
        let field = FieldSchema::new("field", T::TYPE);
        let field = if T::NULLABLE { field.nullable() } else { field };
        let decoded = decode_value(&field, &bytes).unwrap();
        assert_eq!(decoded, value.into());
        decoded.to_string()
    }

    #[test]
    fn a_person_reads_what_the_field_holds() {
        assert_eq!(shown(true), "true");
        assert_eq!(shown(i8::MIN), "-128");
        assert_eq!(shown(i16::MIN), "-32768");
        assert_eq!(shown(i32::MIN), "-2147483648");
        assert_eq!(shown(i64::MIN), "-9223372036854775808");
        assert_eq!(shown(i128::MIN), "-170141183460469231731687303715884105728");
        assert_eq!(shown(u8::MAX), "255");
        assert_eq!(shown(u16::MAX), "65535");
        assert_eq!(shown(u32::MAX), "4294967295");
        assert_eq!(shown(u64::MAX), "18446744073709551615");
        assert_eq!(shown(u128::MAX), "340282366920938463463374607431768211455");
        assert_eq!((shown(0.1_f32), shown(0.1_f64)), ("0.1".to_owned(), "0.1".to_owned()));
        assert_eq!((shown(1.0), shown(-0.0), shown(1e300)), ("1.0".into(), "-0.0".into(), "1e300".into()));
        assert_eq!(shown(Text::<8>::literal("Łódź")), "Łódź");
        assert_eq!(shown(Bytes::<8>::literal(&[0, 255])), "00ff");
        assert_eq!(shown(Timestamp::from_microseconds(-1)), "1969-12-31T23:59:59.999999Z");
        assert_eq!(shown(Date::from_days(-1)), "1969-12-31");
        assert_eq!((shown(Some(5_u8)), shown(None::<u8>)), ("5".into(), "null".into()));
        assert_eq!(shown(Some(Text::<8>::default())), "");
    }

    #[test]
    fn what_a_field_stores_as_another_type_becomes_that_value() {
        let id = RecordId::new(5, 3);
        assert_eq!(Value::from(id), Value::Unsigned(id.to_u64().into()));
        assert_eq!(Value::from(id), Value::from(id.to_stored()));
        assert_eq!(Value::from([1, 0]), Value::from([1, 0].to_stored()));
        assert_eq!(Value::from(b"ab"), Value::Bytes(b"ab".to_vec()));
        assert_eq!((Value::from(Some(id)), Value::from(None::<[u8; 2]>)), (id.into(), Value::Null));
    }

    #[test]
    fn typed_and_untyped_decoding_accept_the_same_bytes() {
        fn check<T: Field>(random: &mut Random) {
            let field = FieldSchema::new("field", T::TYPE);
            let field = if T::NULLABLE { field.nullable() } else { field };
            assert_eq!(field.field_bytes(), T::FIELD_BYTES);
            for _ in 0..if cfg!(miri) { 20 } else { 2_000 } {
                let mut bytes: Vec<u8> = (0..T::FIELD_BYTES).map(|_| random.below(3) as u8).collect();
                bytes.resize(T::FIELD_BYTES - usize::from(random.below(20) == 0), 0);
                if random.below(2) == 0 {
                    let kept = random.below(bytes.len() + 1);
                    bytes[kept..].fill(0);
                }
                match (T::decode(&bytes), decode_value(&field, &bytes)) {
                    (Ok(_), Ok(_)) | (Err(Error::Damaged { .. }), Err(Error::Damaged { .. })) => {}
                    other => panic!("{bytes:?} are {other:?}"),
                }
            }
        }
        let mut random = Random(3);
        check::<bool>(&mut random);
        check::<u16>(&mut random);
        check::<Option<i128>>(&mut random);
        check::<Text<4>>(&mut random);
        check::<Option<Text<4>>>(&mut random);
        check::<Bytes<4>>(&mut random);
        check::<Option<Bytes<4>>>(&mut random);
        check::<Option<Timestamp>>(&mut random);
        check::<Date>(&mut random);
    }
}
