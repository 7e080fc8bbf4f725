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

/// The sum of the values that were given to it. That of integers is exact, and that it is no integer of 128 bits is an
/// error; floats are added as `f64`, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    held: Held,
}

#[derive(Clone, Copy, Debug, Default)]
enum Held {
    /// No value yet.
    #[default]
    Nothing,
    Signed(i128),
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
    /// [`Error::InvalidArgument`] if the values are no numbers, or their sum has more than 128 bits.
    pub fn add(&mut self, value: &Value) -> Result<()> {
        self.held = match (self.held, value) {
            (held, Value::Null) => held,
            (Held::Nothing, Value::Signed(value)) => Held::Signed(*value),
            (Held::Nothing, Value::Unsigned(value)) => Held::Unsigned(*value),
            (Held::Nothing, Value::Float32(value)) => Held::Float((*value).into()),
            (Held::Nothing, Value::Float64(value)) => Held::Float(*value),
            (Held::Signed(sum), Value::Signed(value)) => Held::Signed(sum.checked_add(*value).ok_or_else(too_large)?),
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
    pub fn result(self) -> Option<Value> {
        match self.held {
            Held::Nothing => None,
            Held::Signed(sum) => Some(Value::Signed(sum)),
            Held::Unsigned(sum) => Some(Value::Unsigned(sum)),
            Held::Float(sum) => Some(Value::Float64(sum)),
        }
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
        Ok(sum.result())
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
}
