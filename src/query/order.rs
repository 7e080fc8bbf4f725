//! Sorting values, with none first or last.

use crate::value::untyped::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// By which field records are sorted, in which direction, and where those are that hold nothing in it: behind all others,
/// whatever the direction, unless [`nones_first`](Self::nones_first) is asked for.
///
/// ```
/// use locule::field;
/// let oldest_first = field("age").descending();
/// let unknown_first = field("age").ascending().nones_first();
/// assert_eq!((oldest_first.field(), unknown_first.field()), ("age", "age"));
/// ```
///
/// Floats are in the order of their numbers; -0.0 and 0.0 are equal, as they are in a condition; and a NaN, which is neither
/// smaller nor larger than a number, counts as larger than all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    field: Cow<'static, str>,
    direction: Direction,
    nones: Nones,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Nones {
    First,
    Last,
}

impl Order {
    pub(super) fn new(field: Cow<'static, str>, direction: Direction) -> Self {
        Order { field, direction, nones: Nones::Last }
    }

    /// The same, but those that hold nothing are before all others.
    ///
    /// ```
    /// use locule::field;
    /// assert_ne!(field("age").ascending(), field("age").ascending().nones_first());
    /// ```
    #[must_use]
    pub fn nones_first(mut self) -> Self {
        self.nones = Nones::First;
        self
    }

    /// The name of the field.
    ///
    /// ```
    /// assert_eq!(locule::field("age").descending().field(), "age");
    /// ```
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Compares two values of the field: nulls are where the order has them, whichever way it goes; of floats, NaN is above all
    /// others. Values of different kinds, which no field has, are ordered by their kinds.
    pub fn compare(&self, left: &Value, right: &Value) -> Ordering {
        compare(left, right, self.direction, self.nones)
    }
}

/// Compares two values for sorting: a total order, in which each value has its place. Values of different kinds, which are
/// never of one field, are ordered by their kind.
fn compare(left: &Value, right: &Value, direction: Direction, nones: Nones) -> Ordering {
    let none_first = |order: Ordering| if nones == Nones::First { order } else { order.reverse() };
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => none_first(Ordering::Less),
        (_, Value::Null) => none_first(Ordering::Greater),
        _ => match direction {
            Direction::Ascending => compare_present(left, right),
            Direction::Descending => compare_present(right, left),
        },
    }
}

/// The order of two values that are there.
pub(super) fn compare_present(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Signed(left), Value::Signed(right)) => left.cmp(right),
        (Value::Unsigned(left), Value::Unsigned(right)) => left.cmp(right),
        (Value::Float32(left), Value::Float32(right)) => compare_floats((*left).into(), (*right).into()),
        (Value::Float64(left), Value::Float64(right)) => compare_floats(*left, *right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.cmp(right),
        (Value::Date(left), Value::Date(right)) => left.cmp(right),
        _ => kind(left).cmp(&kind(right)),
    }
}

fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Signed(_) => 2,
        Value::Unsigned(_) => 3,
        Value::Float32(_) => 4,
        Value::Float64(_) => 5,
        Value::Text(_) => 6,
        Value::Bytes(_) => 7,
        Value::Timestamp(_) => 8,
        Value::Date(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::{Date, Timestamp};

    fn sorted(mut values: Vec<Value>, direction: Direction, nones: Nones) -> Vec<Value> {
        values.sort_by(|left, right| compare(left, right, direction, nones));
        values
    }

    #[test]
    fn none_is_where_it_is_asked_for_in_either_direction() {
        let values = || vec![Value::from(2), Value::Null, Value::from(-1), Value::Null, Value::from(7)];
        let texts =
            |direction, nones| sorted(values(), direction, nones).iter().map(Value::to_string).collect::<Vec<_>>();
        assert_eq!(texts(Direction::Ascending, Nones::Last), ["-1", "2", "7", "null", "null"]);
        assert_eq!(texts(Direction::Ascending, Nones::First), ["null", "null", "-1", "2", "7"]);
        assert_eq!(texts(Direction::Descending, Nones::Last), ["7", "2", "-1", "null", "null"]);
        assert_eq!(texts(Direction::Descending, Nones::First), ["null", "null", "7", "2", "-1"]);
    }

    #[test]
    fn an_order_is_what_it_was_asked_to_be() {
        use crate::query::field_name::field;
        let (small, large) = (Value::from(1), Value::from(2));
        assert_eq!(field("x").ascending().compare(&small, &large), Ordering::Less);
        assert_eq!(field("x").descending().compare(&small, &large), Ordering::Greater);
        for order in [field("x").ascending(), field("x").descending()] {
            assert_eq!(order.compare(&Value::Null, &small), Ordering::Greater);
            assert_eq!(order.nones_first().compare(&Value::Null, &small), Ordering::Less);
        }
    }

    #[test]
    fn each_type_has_its_order() {
        let increasing: [Vec<Value>; 9] = [
            vec![false.into(), true.into()],
            vec![i128::MIN.into(), (-1).into(), 0.into(), i128::MAX.into()],
            vec![0_u8.into(), 1_u8.into(), u128::MAX.into()],
            vec![f32::NEG_INFINITY.into(), 0_f32.into(), 1e-40_f32.into(), f32::INFINITY.into(), f32::NAN.into()],
            vec![f64::NEG_INFINITY.into(), (-0.0).into(), 5e-324.into(), f64::INFINITY.into(), f64::NAN.into()],
            vec!["".into(), "B".into(), "a".into(), "aa".into(), "ä".into()],
            vec![Value::Bytes(vec![]), Value::Bytes(vec![0]), Value::Bytes(vec![0, 0]), Value::Bytes(vec![255])],
            vec![Timestamp::from_microseconds(-1).into(), Timestamp::from_microseconds(0).into()],
            vec![Date::MIN.into(), Date::from_days(0).into(), Date::MAX.into()],
        ];
        for values in increasing {
            for (left_index, left) in values.iter().enumerate() {
                for (right_index, right) in values.iter().enumerate() {
                    let order = left_index.cmp(&right_index);
                    assert_eq!(compare(left, right, Direction::Ascending, Nones::Last), order, "{left} {right}");
                    assert_eq!(compare(left, right, Direction::Descending, Nones::First), order.reverse());
                }
            }
        }
        assert_eq!(compare(&(-0.0).into(), &0.0.into(), Direction::Ascending, Nones::Last), Ordering::Equal);
        let (first, second) = (Value::from(f64::NAN), Value::from(-f64::NAN));
        assert_eq!(compare(&first, &second, Direction::Ascending, Nones::Last), Ordering::Equal);
    }
}
