//! The smallest and the largest of some values of one field, and their sum. Those that hold nothing do not count.

use crate::error::{Error, Result};
use crate::query::order::compare_present;
use crate::schema::FieldSchema;
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use std::cmp::Ordering;

/// The smallest or largest of the values that were given to it.
///
/// A NaN is neither smaller nor larger than a number: it is the result only if there is no number.
#[derive(Clone, Debug)]
pub struct Extreme {
    /// How a value has to compare with the one that is held, to be held instead.
    wanted: Ordering,
    held: Option<Value>,
}

impl Extreme {
    pub fn smallest() -> Self {
        Extreme { wanted: Ordering::Less, held: None }
    }

    pub fn largest() -> Self {
        Extreme { wanted: Ordering::Greater, held: None }
    }

    pub fn add(&mut self, value: Value) {
        let is_held = match &self.held {
            _ if value == Value::Null => false,
            None => true,
            Some(held) if is_nan(held) || is_nan(&value) => is_nan(held) && !is_nan(&value),
            Some(held) => compare_present(&value, held) == self.wanted,
        };
        if is_held {
            self.held = Some(value);
        }
    }

    /// None if there was no value.
    pub fn result(self) -> Option<Value> {
        self.held
    }
}

fn is_nan(value: &Value) -> bool {
    match value {
        Value::Float32(value) => value.is_nan(),
        Value::Float64(value) => value.is_nan(),
        _ => false,
    }
}

/// The sum of the values that were given to it. That of integers is exact in whatever order they come, and that it is no
/// integer of 128 bits is an error; floats are added as `f64`, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    held: Held,
}

#[derive(Clone, Copy, Debug, Default)]
enum Held {
    /// No value yet.
    #[default]
    Nothing,
    /// The low 128 bits of the sum, and what has to be added to it in units of 2^128: not 0 only as long as the sum does not
    /// fit.
    Signed(i128, i64),
    Unsigned(u128),
    Float(f64),
}

impl Sum {
    /// The sum of no values yet of a field. That the field holds no numbers is an error even if there is no record.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the field holds no numbers.
    pub fn of(field: &FieldSchema) -> Result<Self> {
        let field_type = field.field_type();
        if field_type.is_integer() || matches!(field_type, FieldType::F32 | FieldType::F64) {
            return Ok(Sum::default());
        }
        let reason = format!("only numbers have a sum, and `{}` is {field_type}", field.name());
        Err(Error::InvalidArgument { reason })
    }

    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the value is no number, or the sum of unsigned ones has more than 128 bits: it will never
    /// have fewer.
    pub fn add(&mut self, value: &Value) -> Result<()> {
        self.held = match (self.held, value) {
            (held, Value::Null) => held,
            (Held::Nothing, Value::Signed(value)) => Held::Signed(*value, 0),
            (Held::Nothing, Value::Unsigned(value)) => Held::Unsigned(*value),
            (Held::Nothing, Value::Float32(value)) => Held::Float((*value).into()),
            (Held::Nothing, Value::Float64(value)) => Held::Float(*value),
            (Held::Signed(sum, excess), Value::Signed(value)) => {
                let (sum, has_overflowed) = sum.overflowing_add(*value);
                let step = if value.is_negative() { -1 } else { 1 };
                Held::Signed(sum, excess + if has_overflowed { step } else { 0 })
            }
            (Held::Unsigned(sum), Value::Unsigned(value)) => {
                Held::Unsigned(sum.checked_add(*value).ok_or_else(too_large)?)
            }
            (Held::Float(sum), Value::Float32(value)) => Held::Float(sum + f64::from(*value)),
            (Held::Float(sum), Value::Float64(value)) => Held::Float(sum + *value),
            (_, value) => return Err(no_number(value)),
        };
        Ok(())
    }

    /// None if there was no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the sum has more than 128 bits.
    pub fn result(self) -> Result<Option<Value>> {
        Ok(match self.held {
            Held::Nothing => None,
            Held::Signed(sum, 0) => Some(Value::Signed(sum)),
            Held::Signed(..) => return Err(too_large()),
            Held::Unsigned(sum) => Some(Value::Unsigned(sum)),
            Held::Float(sum) => Some(Value::Float64(sum)),
        })
    }
}

#[cold]
fn too_large() -> Error {
    Error::InvalidArgument { reason: "the sum has more than 128 bits: add up fewer records".to_owned() }
}

#[cold]
fn no_number(value: &Value) -> Error {
    Error::InvalidArgument { reason: format!("only numbers have a sum, and not such values as {value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes(values: &[Value]) -> (Option<Value>, Option<Value>) {
        let (mut smallest, mut largest) = (Extreme::smallest(), Extreme::largest());
        for value in values {
            smallest.add(value.clone());
            largest.add(value.clone());
        }
        (smallest.result(), largest.result())
    }

    fn sum(values: &[Value]) -> Result<Option<Value>> {
        let mut sum = Sum::default();
        values.iter().try_for_each(|value| sum.add(value))?;
        sum.result()
    }

    #[test]
    fn the_smallest_and_the_largest_are_among_those_that_are_there() {
        assert_eq!(extremes(&[]), (None, None));
        assert_eq!(extremes(&[Value::Null, Value::Null]), (None, None));
        let values = [Value::Null, 3.into(), (-5).into(), Value::Null, 4.into()];
        assert_eq!(extremes(&values), (Some((-5).into()), Some(4.into())));
        assert_eq!(extremes(&["b".into(), "a".into(), "ab".into()]), (Some("a".into()), Some("b".into())));
    }

    #[test]
    fn what_is_no_number_is_an_extreme_only_if_there_is_no_number() {
        for values in [[f64::NAN, 1.0, 2.0], [1.0, f64::NAN, 2.0], [2.0, 1.0, f64::NAN]] {
            assert_eq!(extremes(&values.map(Value::from)), (Some(1.0.into()), Some(2.0.into())));
        }
        let (smallest, largest) = extremes(&[f32::NAN.into(), f32::NAN.into()]);
        assert_eq!([smallest, largest].map(|extreme| extreme.unwrap().to_string()), ["NaN", "NaN"]);
    }

    #[test]
    fn a_sum_is_exact_or_an_error() {
        assert_eq!(sum(&[]).unwrap(), None);
        assert_eq!(sum(&[Value::Null]).unwrap(), None);
        assert_eq!(sum(&[1.into(), Value::Null, (-3).into()]).unwrap(), Some(Value::Signed(-2)));
        assert_eq!(sum(&[u64::MAX.into(), 1_u8.into()]).unwrap(), Some(Value::Unsigned(1 << 64)));
        assert_eq!(sum(&[0.5_f32.into(), 0.25_f32.into()]).unwrap(), Some(Value::Float64(0.75)));
        assert_eq!(sum(&[0.5.into(), 0.25.into()]).unwrap(), Some(Value::Float64(0.75)));
        for values in [[i128::MAX.into(), 1.into()], [i128::MIN.into(), (-1).into()], [u128::MAX.into(), 1_u8.into()]] {
            assert!(sum(&values).unwrap_err().to_string().contains("128 bits"));
        }
        for value in [Value::from("a"), true.into(), Value::Bytes(vec![1])] {
            assert!(sum(&[value]).unwrap_err().to_string().starts_with("only numbers have a sum"));
        }
    }

    /// The sum of -5, of 1 and of the largest integer was an error, unless -5 came before one of the others.
    #[test]
    fn a_sum_is_the_same_in_whatever_order_the_values_come() {
        let edges = [i128::MAX, i128::MIN, 1, -1, -5, 0, 1 << 126, i128::MAX - 1];
        let mut random = fastrand::Rng::with_seed(1);
        let mut fitting_count = 0;
        for round in 0..3_000 {
            let values: Vec<i128> = (0..random.usize(1..9)).map(|_| edges[random.usize(..edges.len())]).collect();
            // In two halves: of what is above the low 64 bits, and of these.
            let high: i128 = values.iter().map(|value| value >> 64).sum();
            let low: i128 = values.iter().map(|value| value & i128::from(u64::MAX)).sum();
            let high = high + (low >> 64);
            let expected = i64::try_from(high).ok().map(|_| high << 64 | low & i128::from(u64::MAX));
            fitting_count += u32::from(expected.is_some());
            let found = sum(&values.iter().copied().map(Value::from).collect::<Vec<_>>());
            assert_eq!(found.ok(), expected.map(|sum| Some(Value::Signed(sum))), "round {round}: {values:?}");
        }
        assert!((1_000..2_900).contains(&fitting_count), "{fitting_count}");
    }
}
