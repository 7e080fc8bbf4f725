//! The types of fields, and the numbers that stand for them in the file.

use std::fmt;
use std::ops::RangeInclusive;

use super::padding::padded;
use crate::{Error, Result};

/// The type of a field, without the option.
///
/// ```
/// use locule::{Field, FieldType, Text, Timestamp};
///
/// assert_eq!(<Text<32> as Field>::TYPE, FieldType::Text(32));
/// assert_eq!(<Option<Timestamp> as Field>::TYPE, FieldType::Timestamp);
/// assert_eq!(FieldType::Text(32).to_string(), "text(32)");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// `bool`
    Bool,
    /// `i8`
    I8,
    /// `i16`
    I16,
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `i128`
    I128,
    /// `u8`
    U8,
    /// `u16`
    U16,
    /// `u32`
    U32,
    /// `u64`
    U64,
    /// `u128`
    U128,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// [`Text`](crate::Text) of at most this many bytes, at least 1.
    Text(u16),
    /// [`Bytes`](crate::Bytes) of at most this many bytes, at least 1.
    Bytes(u16),
    /// [`Timestamp`](crate::Timestamp)
    Timestamp,
    /// [`Date`](crate::Date)
    Date,
}

impl FieldType {
    /// The width of a value, in bytes, without the presence byte that a nullable field has before it.
    ///
    /// ```
    /// assert_eq!(locule::FieldType::Text(32).value_bytes(), 2 + 32);
    /// ```
    #[must_use]
    pub const fn value_bytes(self) -> usize {
        match self {
            FieldType::Bool | FieldType::I8 | FieldType::U8 => 1,
            FieldType::I16 | FieldType::U16 => 2,
            FieldType::I32 | FieldType::U32 | FieldType::F32 | FieldType::Date => 4,
            FieldType::I64 | FieldType::U64 | FieldType::F64 | FieldType::Timestamp => 8,
            FieldType::I128 | FieldType::U128 => 16,
            FieldType::Text(capacity_bytes) | FieldType::Bytes(capacity_bytes) => 2 + capacity_bytes as usize,
        }
    }

    /// Whether a key can have this type: all except floats.
    ///
    /// ```
    /// use locule::FieldType;
    /// assert!(FieldType::Text(32).can_be_key() && !FieldType::F64.can_be_key());
    /// ```
    #[must_use]
    pub const fn can_be_key(self) -> bool {
        // Each type is named, so that a new one is asked for.
        match self {
            FieldType::F32 | FieldType::F64 => false,
            FieldType::Bool
            | FieldType::I8
            | FieldType::I16
            | FieldType::I32
            | FieldType::I64
            | FieldType::I128
            | FieldType::U8
            | FieldType::U16
            | FieldType::U32
            | FieldType::U64
            | FieldType::U128
            | FieldType::Text(_)
            | FieldType::Bytes(_)
            | FieldType::Timestamp
            | FieldType::Date => true,
        }
    }

    /// All the codes that there are.
    pub(crate) const CODES: RangeInclusive<u8> = 1..=17;

    pub(crate) const fn is_integer(self) -> bool {
        use FieldType::{I8, I16, I32, I64, I128, U8, U16, U32, U64, U128};
        matches!(self, I8 | I16 | I32 | I64 | I128 | U8 | U16 | U32 | U64 | U128)
    }

    /// The number that stands for the type in the file. It never changes its meaning.
    pub(crate) const fn code(self) -> u8 {
        match self {
            FieldType::Bool => 1,
            FieldType::I8 => 2,
            FieldType::I16 => 3,
            FieldType::I32 => 4,
            FieldType::I64 => 5,
            FieldType::I128 => 6,
            FieldType::U8 => 7,
            FieldType::U16 => 8,
            FieldType::U32 => 9,
            FieldType::U64 => 10,
            FieldType::U128 => 11,
            FieldType::F32 => 12,
            FieldType::F64 => 13,
            FieldType::Text(_) => 14,
            FieldType::Bytes(_) => 15,
            FieldType::Timestamp => 16,
            FieldType::Date => 17,
        }
    }

    /// The name of the type, without the capacity.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            FieldType::Bool => "bool",
            FieldType::I8 => "i8",
            FieldType::I16 => "i16",
            FieldType::I32 => "i32",
            FieldType::I64 => "i64",
            FieldType::I128 => "i128",
            FieldType::U8 => "u8",
            FieldType::U16 => "u16",
            FieldType::U32 => "u32",
            FieldType::U64 => "u64",
            FieldType::U128 => "u128",
            FieldType::F32 => "f32",
            FieldType::F64 => "f64",
            FieldType::Text(_) => "text",
            FieldType::Bytes(_) => "bytes",
            FieldType::Timestamp => "timestamp",
            FieldType::Date => "date",
        }
    }

    /// The type with this name; text and bytes with the capacity 0, which has to be replaced.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::CODES.filter_map(|code| Self::from_code(code, 0).ok()).find(|field_type| field_type.name() == name)
    }

    /// What follows the code in the file: the capacity of text and bytes, zero for all other types.
    pub(crate) const fn capacity_bytes(self) -> u16 {
        match self {
            FieldType::Text(capacity_bytes) | FieldType::Bytes(capacity_bytes) => capacity_bytes,
            _ => 0,
        }
    }

    /// The type with this code.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if there is none, or a type without capacity has one.
    pub(crate) fn from_code(code: u8, capacity_bytes: u16) -> Result<Self> {
        let field_type = match code {
            1 => FieldType::Bool,
            2 => FieldType::I8,
            3 => FieldType::I16,
            4 => FieldType::I32,
            5 => FieldType::I64,
            6 => FieldType::I128,
            7 => FieldType::U8,
            8 => FieldType::U16,
            9 => FieldType::U32,
            10 => FieldType::U64,
            11 => FieldType::U128,
            12 => FieldType::F32,
            13 => FieldType::F64,
            14 => FieldType::Text(capacity_bytes),
            15 => FieldType::Bytes(capacity_bytes),
            16 => FieldType::Timestamp,
            17 => FieldType::Date,
            _ => return Err(Error::damaged(format!("expected a type code from 1 to 17 in the schema, found {code}"))),
        };
        if field_type.capacity_bytes() != capacity_bytes {
            return Err(Error::damaged(format!("expected capacity 0 for {field_type}, found {capacity_bytes}")));
        }
        Ok(field_type)
    }
}

/// As in the text form of a schema: `u64`, `text(32)`.
impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldType::Text(capacity_bytes) | FieldType::Bytes(capacity_bytes) => {
                padded(f, format_args!("{}({capacity_bytes})", self.name()))
            }
            _ => f.pad(self.name()),
        }
    }
}
