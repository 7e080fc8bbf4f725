//! What a condition means, evaluated on values in the plainest way.

use crate::query::condition::Condition;
use crate::query::field_name::field;
use crate::value::untyped::Value;
use std::cmp::Ordering;

/// A condition as a tree.
#[derive(Clone, Debug)]
pub enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Compare(String, &'static str, Value),
    IsIn(String, Vec<Value>),
    Has(String, &'static str, Value),
    IsNone(String),
    IsSome(String),
}

impl Tree {
    /// The condition that the library makes of it.
    pub fn condition(&self) -> Condition {
        match self {
            Tree::All(trees) => Condition::all(trees.iter().map(Tree::condition)),
            Tree::Any(trees) => Condition::any(trees.iter().map(Tree::condition)),
            Tree::Not(tree) => !tree.condition(),
            Tree::Compare(name, symbol, value) => {
                let (name, value) = (field(name.clone()), value.clone());
                match *symbol {
                    "==" => name.eq(value),
                    "!=" => name.ne(value),
                    "<" => name.lt(value),
                    "<=" => name.le(value),
                    ">" => name.gt(value),
                    _ => name.ge(value),
                }
            }
            Tree::IsIn(name, values) => field(name.clone()).is_in(values.iter().cloned()),
            Tree::Has(name, what, value) => {
                let (name, value) = (field(name.clone()), value.clone());
                match *what {
                    "start" => name.starts_with(value),
                    "middle" => name.contains(value),
                    _ => name.ends_with(value),
                }
            }
            Tree::IsNone(name) => field(name.clone()).is_none(),
            Tree::IsSome(name) => field(name.clone()).is_some(),
        }
    }

    /// Whether it is true of a record whose values these are; `None` if that is not known.
    pub fn holds(&self, value_of: &impl Fn(&str) -> Value) -> Option<bool> {
        let present = |name: &str| Some(value_of(name)).filter(|value| *value != Value::Null);
        match self {
            Tree::All(trees) => {
                let answers: Vec<_> = trees.iter().map(|tree| tree.holds(value_of)).collect();
                if answers.contains(&Some(false)) {
                    Some(false)
                } else {
                    answers.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
                }
            }
            Tree::Any(trees) => {
                let answers: Vec<_> = trees.iter().map(|tree| tree.holds(value_of)).collect();
                if answers.contains(&Some(true)) {
                    Some(true)
                } else {
                    answers.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
                }
            }
            Tree::Not(tree) => tree.holds(value_of).map(|is_true| !is_true),
            Tree::Compare(name, symbol, value) => {
                let order = compare(&present(name)?, value);
                Some(match *symbol {
                    "==" => order == Some(Ordering::Equal),
                    "!=" => order != Some(Ordering::Equal),
                    "<" => order == Some(Ordering::Less),
                    "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    ">" => order == Some(Ordering::Greater),
                    _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                })
            }
            Tree::IsIn(name, values) => {
                let there = present(name)?;
                Some(values.iter().any(|value| compare(&there, value) == Some(Ordering::Equal)))
            }
            Tree::Has(name, what, value) => {
                let (there, value) = (bytes_of(&present(name)?), bytes_of(value));
                Some(match *what {
                    "start" => there.starts_with(&value),
                    "middle" => (0..=there.len()).any(|start| there[start..].starts_with(&value)),
                    _ => there.ends_with(&value),
                })
            }
            Tree::IsNone(name) => Some(present(name).is_none()),
            Tree::IsSome(name) => Some(present(name).is_some()),
        }
    }
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => text.clone().into_bytes(),
        Value::Bytes(bytes) => bytes.clone(),
        other => panic!("{other} is no content"),
    }
}

/// A number as its sign, digits before the point, and what is behind the point; `None` for what is none.
#[derive(PartialEq, PartialOrd)]
struct Decimal {
    /// 0 for what is below all integers, 1 for negative ones, 2 for others, 3 for what is above all.
    region: u8,
    whole: i128,
    natural: u128,
    fraction: f64,
}

fn decimal(value: &Value) -> Option<Decimal> {
    let natural = |natural: u128| Decimal { region: 2, whole: 0, natural, fraction: 0.0 };
    let float = |float: f64| {
        let floor = float.floor();
        // Whether there is something behind the point is enough to compare it with an integer.
        let fraction = f64::from(u8::from(float != floor));
        Some(match floor {
            _ if float.is_nan() => return None,
            _ if floor >= two_to_the(128) => Decimal { region: 3, whole: 0, natural: 0, fraction: float },
            _ if floor < -two_to_the(127) => Decimal { region: 0, whole: 0, natural: 0, fraction: float },
            _ if floor < 0.0 => Decimal { region: 1, whole: floor as i128, natural: 0, fraction },
            _ => Decimal { fraction, ..natural(floor as u128) },
        })
    };
    match value {
        Value::Signed(value) if *value < 0 => Some(Decimal { region: 1, whole: *value, natural: 0, fraction: 0.0 }),
        Value::Signed(value) => Some(natural(value.unsigned_abs())),
        Value::Unsigned(value) => Some(natural(*value)),
        Value::Float32(value) => float((*value).into()),
        Value::Float64(value) => float(*value),
        other => panic!("{other} is no number"),
    }
}

/// How a value that is there compares with another one of its kind; `None` if one is no number.
fn compare(there: &Value, value: &Value) -> Option<Ordering> {
    match (there, value) {
        (Value::Bool(left), Value::Bool(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => left.partial_cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.partial_cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.partial_cmp(right),
        (Value::Date(left), Value::Date(right)) => left.partial_cmp(right),
        (Value::Float32(left), Value::Float32(right)) => left.partial_cmp(right),
        (Value::Float32(left), Value::Float64(right)) => f64::from(*left).partial_cmp(right),
        (Value::Float64(left), Value::Float32(right)) => left.partial_cmp(&f64::from(*right)),
        (Value::Float64(left), Value::Float64(right)) => left.partial_cmp(right),
        (left, right) => decimal(left)?.partial_cmp(&decimal(right)?),
    }
}

/// Exactly, which `powi` need not be.
pub(super) fn two_to_the(exponent: i32) -> f64 {
    let half = (1_u128 << (exponent - 1)) as f64;
    half * 2.0
}
