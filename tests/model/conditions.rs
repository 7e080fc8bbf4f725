//! What a query wants, and what that means for plain values.

use super::choices::Choices;
use super::fields::FieldModel;
use super::world::Known;
use locule::{Condition, Query, Value, Values, field};
use std::cmp::Ordering;

/// A condition as a tree; a field is known by its position.
#[derive(Clone, Debug)]
enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Compare(usize, &'static str, Value),
    Between(usize, Value, Value),
    IsIn(usize, Vec<Value>),
    Has(usize, &'static str, Value),
    IsNone(usize),
    IsSome(usize),
}

impl Tree {
    fn any(fields: &[FieldModel], depth: usize, choices: &mut Choices<'_>) -> Self {
        let kinds = if depth == 0 { 7 } else { 10 };
        let kind = choices.below(kinds);
        if kind >= 7 {
            let parts = |choices: &mut Choices<'_>| {
                (0..choices.below(4)).map(|_| Tree::any(fields, depth - 1, choices)).collect::<Vec<_>>()
            };
            return match kind {
                7 => Tree::All(parts(choices)),
                8 => Tree::Any(parts(choices)),
                _ => Tree::Not(Box::new(Tree::any(fields, depth - 1, choices))),
            };
        }
        let position = choices.below(fields.len());
        let required = FieldModel { is_nullable: false, ..fields[position].clone() };
        match kind {
            0..3 => {
                let symbol = choices.one_of(&["==", "!=", "<", "<=", ">", ">="]);
                Tree::Compare(position, symbol, required.value(choices))
            }
            3 => Tree::Between(position, required.value(choices), required.value(choices)),
            4 => Tree::IsIn(position, (0..choices.below(4)).map(|_| required.value(choices)).collect()),
            5 => match required.value(choices) {
                value @ (Value::Text(_) | Value::Bytes(_)) => {
                    Tree::Has(position, choices.one_of(&["start", "middle", "end"]), value)
                }
                _ => Tree::IsSome(position),
            },
            _ => Tree::IsNone(position),
        }
    }

    fn condition(&self, fields: &[FieldModel]) -> Condition {
        let name = |position: &usize| field(fields[*position].name.clone());
        match self {
            Tree::All(parts) => Condition::all(parts.iter().map(|part| part.condition(fields))),
            Tree::Any(parts) => Condition::any(parts.iter().map(|part| part.condition(fields))),
            Tree::Not(part) => !part.condition(fields),
            Tree::Compare(position, symbol, value) => {
                let (name, value) = (name(position), value.clone());
                match *symbol {
                    "==" => name.eq(value),
                    "!=" => name.ne(value),
                    "<" => name.lt(value),
                    "<=" => name.le(value),
                    ">" => name.gt(value),
                    _ => name.ge(value),
                }
            }
            Tree::Between(position, least, greatest) => name(position).between(least.clone(), greatest.clone()),
            Tree::IsIn(position, values) => name(position).is_in(values.iter().cloned()),
            Tree::Has(position, "start", value) => name(position).starts_with(value.clone()),
            Tree::Has(position, "middle", value) => name(position).contains(value.clone()),
            Tree::Has(position, _, value) => name(position).ends_with(value.clone()),
            Tree::IsNone(position) => name(position).is_none(),
            Tree::IsSome(position) => name(position).is_some(),
        }
    }

    /// Whether it is true; `None` if that is not known.
    fn holds(&self, values: &[Value]) -> Option<bool> {
        let there = |position: &usize| Some(&values[*position]).filter(|value| **value != Value::Null);
        let answers = |parts: &[Tree]| parts.iter().map(|part| part.holds(values)).collect::<Vec<_>>();
        match self {
            Tree::All(parts) => match answers(parts) {
                answers if answers.contains(&Some(false)) => Some(false),
                answers => (!answers.contains(&None)).then_some(true),
            },
            Tree::Any(parts) => match answers(parts) {
                answers if answers.contains(&Some(true)) => Some(true),
                answers => (!answers.contains(&None)).then_some(false),
            },
            Tree::Not(part) => part.holds(values).map(|is_true| !is_true),
            Tree::Compare(position, symbol, value) => {
                let order = compare(there(position)?, value);
                Some(match *symbol {
                    "==" => order == Some(Ordering::Equal),
                    "!=" => order != Some(Ordering::Equal),
                    "<" => order == Some(Ordering::Less),
                    "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                    ">" => order == Some(Ordering::Greater),
                    _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                })
            }
            Tree::Between(position, least, greatest) => {
                let bounds = [(least, Ordering::Less), (greatest, Ordering::Greater)];
                let value = there(position)?;
                Some(bounds.iter().all(|(bound, wrong)| compare(value, bound).is_some_and(|order| order != *wrong)))
            }
            Tree::IsIn(position, values) => {
                let value = there(position)?;
                Some(values.iter().any(|other| compare(value, other) == Some(Ordering::Equal)))
            }
            Tree::Has(position, place, fragment) => {
                let (content, fragment) = (content(there(position)?), content(fragment));
                Some(match *place {
                    "start" => content.starts_with(fragment),
                    "end" => content.ends_with(fragment),
                    _ => (0..=content.len()).any(|start| content[start..].starts_with(fragment)),
                })
            }
            Tree::IsNone(position) => Some(there(position).is_none()),
            Tree::IsSome(position) => Some(there(position).is_some()),
        }
    }
}

fn content(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => panic!("{other} is no content"),
    }
}

/// How two values of one field compare that are there; `None` if one of them is not a number.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.partial_cmp(right),
        (Value::Signed(left), Value::Signed(right)) => left.partial_cmp(right),
        (Value::Unsigned(left), Value::Unsigned(right)) => left.partial_cmp(right),
        (Value::Float32(left), Value::Float32(right)) => left.partial_cmp(right),
        (Value::Float64(left), Value::Float64(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => left.partial_cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.partial_cmp(right),
        (Value::Timestamp(left), Value::Timestamp(right)) => left.partial_cmp(right),
        (Value::Date(left), Value::Date(right)) => left.partial_cmp(right),
        (left, right) => panic!("{left:?} and {right:?} are of two kinds"),
    }
}

/// The same for sorting: what is not a number is behind all numbers.
fn order(left: &Value, right: &Value) -> Ordering {
    compare(left, right).unwrap_or_else(|| is_nan(left).cmp(&is_nan(right)))
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float32(number) if number.is_nan())
        || matches!(value, Value::Float64(number) if number.is_nan())
}

#[derive(Clone, Debug)]
struct SortingModel {
    position: usize,
    is_descending: bool,
    has_nones_first: bool,
}

impl SortingModel {
    fn compare(&self, left: &Value, right: &Value) -> Ordering {
        match (*left == Value::Null, *right == Value::Null) {
            (false, false) if self.is_descending => order(right, left),
            (false, false) => order(left, right),
            (is_left_none, is_right_none) if self.has_nones_first => is_right_none.cmp(&is_left_none),
            (is_left_none, is_right_none) => is_left_none.cmp(&is_right_none),
        }
    }
}

/// What a query asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    filters: Vec<Tree>,
    sortings: Vec<SortingModel>,
    offset: Option<usize>,
    limit: Option<usize>,
}

impl Wanted {
    pub fn any(fields: &[FieldModel], choices: &mut Choices<'_>) -> Self {
        let filters = (0..choices.below(3)).map(|_| Tree::any(fields, 3, choices)).collect();
        let sortings = (0..choices.below(4)).map(|_| SortingModel {
            position: choices.below(fields.len()),
            is_descending: choices.below(2) == 1,
            has_nones_first: choices.below(2) == 1,
        });
        let sortings = sortings.collect();
        let mut number = || if choices.one_in(3) { Some(choices.below(6)) } else { None };
        Wanted { filters, sortings, offset: number(), limit: number() }
    }

    pub fn ask<'q>(&self, mut query: Query<'q, Values>, fields: &[FieldModel]) -> Query<'q, Values> {
        for filter in &self.filters {
            query = query.filter(filter.condition(fields));
        }
        for SortingModel { position, is_descending, has_nones_first } in &self.sortings {
            let name = field(fields[*position].name.clone());
            let sorting = if *is_descending { name.descending() } else { name.ascending() };
            query = query.sort_by(if *has_nones_first { sorting.nones_first() } else { sorting });
        }
        if let Some(offset) = self.offset {
            query = query.offset(offset as u64);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit as u64);
        }
        query
    }

    /// What is found among records that are in the order of their slots.
    pub fn choose<'r>(&self, records: impl Iterator<Item = &'r Known>) -> Vec<&'r Known> {
        let is_wanted = |known: &&Known| self.filters.iter().all(|tree| tree.holds(&known.values) == Some(true));
        let mut found: Vec<&Known> = records.filter(is_wanted).collect();
        found.sort_by(|left, right| {
            let compare = |sorting: &SortingModel| {
                sorting.compare(&left.values[sorting.position], &right.values[sorting.position])
            };
            self.sortings.iter().map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        found.into_iter().skip(self.offset.unwrap_or(0)).take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// The smallest or the largest of some values of a field; the first of those that are equal.
pub fn extreme<'v>(values: impl Iterator<Item = &'v Value>, better: Ordering) -> Option<Value> {
    let mut there: Vec<&Value> = values.filter(|value| **value != Value::Null).collect();
    if there.iter().any(|value| !is_nan(value)) {
        there.retain(|value| !is_nan(value));
    }
    let first = *there.first()?;
    let best = there.iter().fold(first, |best, value| if order(value, best) == better { value } else { best });
    Some(best.clone())
}

/// The sum of some values of a field of numbers; an error if it has more than 128 bits.
pub fn sum<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Option<Value>, ()> {
    let mut there = values.filter(|value| **value != Value::Null);
    let Some(first) = there.next() else { return Ok(None) };
    if let Value::Signed(first) = first {
        let rest = there.map(|value| if let Value::Signed(value) = value { *value } else { panic!("{value:?}") });
        return signed_sum(*first, rest.collect()).map(|sum| Some(Value::Signed(sum)));
    }
    let start = if let Value::Float32(number) = first { Value::Float64((*number).into()) } else { first.clone() };
    let add = |sum: Value, value: &Value| match (sum, value) {
        (Value::Unsigned(sum), Value::Unsigned(value)) => sum.checked_add(*value).map(Value::Unsigned).ok_or(()),
        (Value::Float64(sum), Value::Float32(value)) => Ok(Value::Float64(sum + f64::from(*value))),
        (Value::Float64(sum), Value::Float64(value)) => Ok(Value::Float64(sum + *value)),
        (sum, value) => panic!("{sum:?} and {value:?} are no numbers"),
    };
    there.try_fold(start, add).map(Some)
}

/// Adds what brings the sum nearer to zero first: so it is too large in between only if it is in the end.
fn signed_sum(first: i128, mut rest: Vec<i128>) -> Result<i128, ()> {
    let mut sum = first;
    while !rest.is_empty() {
        let position = rest.iter().position(|value| value.is_negative() != sum.is_negative()).unwrap_or(0);
        sum = sum.checked_add(rest.swap_remove(position)).ok_or(())?;
    }
    Ok(sum)
}
