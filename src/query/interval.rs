//! A comparison with a value of fixed width, as an interval of keys.
//!
//! Each value of such a type has a key, an unsigned number: keys are ordered as the values are. That of an integer counts
//! from the least one of its type. That of a float orders all bit patterns, with the negative NaNs below minus infinity and
//! the positive ones above infinity: so an interval within the infinities contains none of them. The keys of -0.0 and 0.0
//! are neighbours.

use crate::query::condition::Comparison;
use crate::query::number::{Bound, Integer, Number};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use std::cmp::Ordering;

/// A type of fixed width.
#[derive(Clone, Copy, Debug)]
pub enum FixedType {
    /// Also a bool, which is 0 or 1, and a time, which is a count.
    Integer {
        least: Integer,
        greatest: Integer,
    },
    Float32,
    Float64,
}

/// Keys from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub low: u128,
    pub high: u128,
}

/// The keys beside a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Neighbours {
    /// The lowest key of a value that is not less; none if each one is less.
    not_less: Option<u128>,
    /// The highest key of a value that is not greater.
    not_greater: Option<u128>,
}

impl FixedType {
    /// The type of a field; `None` for text and bytes.
    pub fn of(field_type: FieldType) -> Option<Self> {
        macro_rules! integer {
            ($type:ty, $wide:ty) => {
                FixedType::Integer {
                    least: Integer::from(<$wide>::from(<$type>::MIN)),
                    greatest: Integer::from(<$wide>::from(<$type>::MAX)),
                }
            };
        }
        Some(match field_type {
            FieldType::Bool => FixedType::Integer { least: Integer::Natural(0), greatest: Integer::Natural(1) },
            FieldType::I8 => integer!(i8, i128),
            FieldType::I16 => integer!(i16, i128),
            FieldType::I32 | FieldType::Date => integer!(i32, i128),
            FieldType::I64 | FieldType::Timestamp => integer!(i64, i128),
            FieldType::I128 => integer!(i128, i128),
            FieldType::U8 => integer!(u8, u128),
            FieldType::U16 => integer!(u16, u128),
            FieldType::U32 => integer!(u32, u128),
            FieldType::U64 => integer!(u64, u128),
            FieldType::U128 => integer!(u128, u128),
            FieldType::F32 => FixedType::Float32,
            FieldType::F64 => FixedType::Float64,
            FieldType::Text(_) | FieldType::Bytes(_) => return None,
        })
    }

    /// The keys of the values for which a comparison is true; `None` if there are none.
    pub fn interval(self, comparison: Comparison, number: Number) -> Option<Interval> {
        let Neighbours { not_less, not_greater } = self.neighbours(number);
        let Interval { low: lowest, high: highest } = self.all();
        let between = |low: u128, high: u128| (low <= high).then_some(Interval { low, high });
        match comparison {
            Comparison::Equal | Comparison::NotEqual => between(not_less?, not_greater?),
            Comparison::Less => match not_less {
                Some(key) => between(lowest, key.checked_sub(1)?),
                None => between(lowest, highest),
            },
            Comparison::AtMost => between(lowest, not_greater?),
            Comparison::Greater => match not_greater {
                Some(key) => between(key.checked_add(1)?, highest),
                None => between(lowest, highest),
            },
            Comparison::AtLeast => between(not_less?, highest),
        }
    }

    /// The keys of all values that are equal to themselves.
    pub fn all(self) -> Interval {
        match self {
            FixedType::Integer { greatest, .. } => Interval { low: 0, high: self.key_of(greatest) },
            FixedType::Float32 => Interval { low: key_of_f32(f32::NEG_INFINITY), high: key_of_f32(f32::INFINITY) },
            FixedType::Float64 => Interval { low: key_of_f64(f64::NEG_INFINITY), high: key_of_f64(f64::INFINITY) },
        }
    }

    /// Whether there are values that are not equal to themselves.
    pub fn is_float(self) -> bool {
        matches!(self, FixedType::Float32 | FixedType::Float64)
    }

    /// Whether the least integer is negative.
    pub fn is_signed(self) -> bool {
        matches!(self, FixedType::Integer { least: Integer::Negative(_), .. })
    }

    fn neighbours(self, number: Number) -> Neighbours {
        match self {
            FixedType::Integer { least, greatest } => {
                let key = |bound: Bound| match bound {
                    Bound::Integer(integer) => Some(self.key_of(integer)),
                    Bound::BelowAll | Bound::AboveAll => None,
                };
                let is_between = Bound::Integer(least)..=Bound::Integer(greatest);
                Neighbours {
                    not_less: match number.ceiling() {
                        bound if bound < *is_between.start() => Some(self.key_of(least)),
                        bound if is_between.contains(&bound) => key(bound),
                        _ => None,
                    },
                    not_greater: match number.floor() {
                        bound if bound > *is_between.end() => Some(self.key_of(greatest)),
                        bound if is_between.contains(&bound) => key(bound),
                        _ => None,
                    },
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "the nearest is what is looked for")]
            FixedType::Float32 => {
                let (nearest, order) = match number {
                    Number::Float(float) => {
                        let nearest = float as f32;
                        (nearest, f64::from(nearest).partial_cmp(&float))
                    }
                    Number::Integer(integer) => {
                        let nearest = integer.nearest_f32();
                        (nearest, Bound::of_whole(nearest.into()).partial_cmp(&Bound::Integer(integer)))
                    }
                };
                let zeros = [-0.0, 0.0].map(key_of_f32);
                beside(if nearest == 0.0 { zeros } else { [key_of_f32(nearest); 2] }, order)
            }
            FixedType::Float64 => {
                let (nearest, order) = match number {
                    Number::Float(float) => (float, Some(Ordering::Equal)),
                    Number::Integer(integer) => {
                        let nearest = integer.nearest_f64();
                        (nearest, Bound::of_whole(nearest).partial_cmp(&Bound::Integer(integer)))
                    }
                };
                let zeros = [-0.0, 0.0].map(key_of_f64);
                beside(if nearest == 0.0 { zeros } else { [key_of_f64(nearest); 2] }, order)
            }
        }
    }

    /// The key of an integer of this type.
    fn key_of(self, integer: Integer) -> u128 {
        match self {
            FixedType::Integer { least, .. } => integer.bits().wrapping_sub(least.bits()),
            FixedType::Float32 | FixedType::Float64 => 0,
        }
    }
}

/// The keys beside a number, by the lowest and the highest key of the float that is nearest to it, and how that compares
/// with the number.
fn beside([low, high]: [u128; 2], nearest_to_number: Option<Ordering>) -> Neighbours {
    match nearest_to_number {
        Some(Ordering::Less) => Neighbours { not_less: high.checked_add(1), not_greater: Some(high) },
        Some(Ordering::Greater) => Neighbours { not_less: Some(low), not_greater: low.checked_sub(1) },
        _ => Neighbours { not_less: Some(low), not_greater: Some(high) },
    }
}

fn key_of_f32(float: f32) -> u128 {
    let bits = float.to_bits();
    let negative = 1 << 31;
    u128::from(if bits & negative == 0 { bits | negative } else { !bits })
}

fn key_of_f64(float: f64) -> u128 {
    let bits = float.to_bits();
    let negative = 1 << 63;
    u128::from(if bits & negative == 0 { bits | negative } else { !bits })
}

/// What a value is as a number that a field of fixed width can be compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparable {
    Number(Number),
    /// A float that is no number: no comparison with it is true.
    NotANumber,
}

/// A value as it is compared with a field of this type; `None` if it cannot be.
pub fn comparable(field_type: FieldType, value: &Value) -> Option<Comparable> {
    let integer = |integer: Integer| Comparable::Number(Number::Integer(integer));
    let float = |float: f64| {
        if float.is_nan() { Comparable::NotANumber } else { Comparable::Number(Number::Float(float)) }
    };
    let is_number = !matches!(
        field_type,
        FieldType::Bool | FieldType::Timestamp | FieldType::Date | FieldType::Text(_) | FieldType::Bytes(_)
    );
    Some(match (field_type, value) {
        (FieldType::Bool, Value::Bool(value)) => integer(u128::from(*value).into()),
        (FieldType::Timestamp, Value::Timestamp(value)) => integer(i128::from(value.microseconds()).into()),
        (FieldType::Date, Value::Date(value)) => integer(i128::from(value.days()).into()),
        (_, Value::Signed(value)) if is_number => integer((*value).into()),
        (_, Value::Unsigned(value)) if is_number => integer((*value).into()),
        (_, Value::Float32(value)) if is_number => float((*value).into()),
        (_, Value::Float64(value)) if is_number => float(*value),
        _ => return None,
    })
}
