//! How values are written and read by serde. The crate's documentation says in which form.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, EnumAccess, SeqAccess, Unexpected, VariantAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::inline::{Bytes, Text, read_hexadecimal, write_hexadecimal};
use super::time::{Date, Timestamp};
use super::untyped::Value;
use crate::cursor::Cursor;
use crate::record_id::RecordId;
use crate::{Error, Result};

/// A value that is written as its `Display` writes it.
struct Shown<'a>(&'a dyn fmt::Display);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// Reads what `FromStr` reads.
struct Parsed<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = Error>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

fn parsed<'de, T: FromStr<Err = Error>, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Parsed(expected, PhantomData))
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "a text")
    }
}

/// The types that are text in formats for people, and a number in formats for machines.
macro_rules! shown_or_a_number {
    ($($type:ty: $number:ty, $expected:literal, $to_number:path, $from_number:path);+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    Shown(self).serialize(serializer)
                } else {
                    $to_number(*self).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    parsed(deserializer, $expected)
                } else {
                    <$number>::deserialize(deserializer).map($from_number)
                }
            }
        }
    )+};
}

shown_or_a_number!(
    Timestamp: i64, "a time such as 2024-02-29T23:59:59.999999Z", Timestamp::microseconds, Timestamp::from_microseconds;
    Date: i32, "a date such as 2024-02-29", Date::days, Date::from_days;
    RecordId: u64, "the number of a record id, as text", u64::from, RecordId::from_u64
);

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Shown(self).serialize(serializer)
        } else {
            (self.uuid, self.number).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            parsed(deserializer, "a cursor, as text")
        } else {
            <([u8; 16], u64)>::deserialize(deserializer).map(|(uuid, number)| Cursor { uuid, number })
        }
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawBytes(self).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OwnedBytes::deserialize(deserializer).and_then(|bytes| Bytes::new(&bytes.0).map_err(de::Error::custom))
    }
}

/// Hexadecimal digits in formats for people, bytes in formats for machines.
struct RawBytes<'a>(&'a [u8]);

impl fmt::Display for RawBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hexadecimal(self.0, f)
    }
}

impl Serialize for RawBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Shown(self).serialize(serializer)
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

struct OwnedBytes(Vec<u8>);

impl FromStr for OwnedBytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read_hexadecimal(text).map(OwnedBytes)
    }
}

impl<'de> Deserialize<'de> for OwnedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            parsed(deserializer, "hexadecimal digits")
        } else {
            deserializer.deserialize_byte_buf(BytesVisitor)
        }
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = OwnedBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<OwnedBytes, E> {
        Ok(OwnedBytes(bytes.to_owned()))
    }

    /// Some formats have no bytes, and write a sequence of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<OwnedBytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(OwnedBytes(bytes))
    }
}

/// The variants of [`Value`], each at the index by which formats without names write it.
const VARIANTS: &[&str] =
    &["Null", "Bool", "Signed", "Unsigned", "Float32", "Float64", "Text", "Bytes", "Timestamp", "Date"];

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit_variant("Value", 0, "Null"),
            Value::Bool(value) => serializer.serialize_newtype_variant("Value", 1, "Bool", value),
            Value::Signed(value) => serializer.serialize_newtype_variant("Value", 2, "Signed", value),
            Value::Unsigned(value) => serializer.serialize_newtype_variant("Value", 3, "Unsigned", value),
            Value::Float32(value) => serializer.serialize_newtype_variant("Value", 4, "Float32", value),
            Value::Float64(value) => serializer.serialize_newtype_variant("Value", 5, "Float64", value),
            Value::Text(value) => serializer.serialize_newtype_variant("Value", 6, "Text", value),
            Value::Bytes(value) => serializer.serialize_newtype_variant("Value", 7, "Bytes", &RawBytes(value)),
            Value::Timestamp(value) => serializer.serialize_newtype_variant("Value", 8, "Timestamp", value),
            Value::Date(value) => serializer.serialize_newtype_variant("Value", 9, "Date", value),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Value", VARIANTS, ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a field")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (Variant(name), content) = access.variant()?;
        match name {
            "Null" => content.unit_variant().map(|()| Value::Null),
            "Bool" => content.newtype_variant().map(Value::Bool),
            "Signed" => content.newtype_variant().map(Value::Signed),
            "Unsigned" => content.newtype_variant().map(Value::Unsigned),
            "Float32" => content.newtype_variant().map(Value::Float32),
            "Float64" => content.newtype_variant().map(Value::Float64),
            "Text" => content.newtype_variant().map(Value::Text),
            "Bytes" => content.newtype_variant().map(|OwnedBytes(bytes)| Value::Bytes(bytes)),
            "Timestamp" => content.newtype_variant().map(Value::Timestamp),
            "Date" => content.newtype_variant().map(Value::Date),
            other => Err(de::Error::unknown_variant(other, VARIANTS)),
        }
    }
}

/// The name of a variant, one of [`VARIANTS`].
struct Variant(&'static str);

impl<'de> Deserialize<'de> for Variant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(VariantVisitor)
    }
}

struct VariantVisitor;

impl Visitor<'_> for VariantVisitor {
    type Value = Variant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a variant")
    }

    fn visit_u64<E: de::Error>(self, index: u64) -> Result<Variant, E> {
        let name = usize::try_from(index).ok().and_then(|index| VARIANTS.get(index));
        name.map(|name| Variant(name)).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(index), &self))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Variant, E> {
        let variant = VARIANTS.iter().find(|variant| **variant == name);
        variant.map(|variant| Variant(variant)).ok_or_else(|| E::unknown_variant(name, VARIANTS))
    }

    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Variant, E> {
        let variant = VARIANTS.iter().find(|variant| variant.as_bytes() == name);
        variant.map(|variant| Variant(variant)).ok_or_else(|| E::invalid_value(Unexpected::Bytes(name), &self))
    }
}
