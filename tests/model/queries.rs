//! Queries, and what they should find, change and delete.

use super::choices::Choices;
use super::conditions::{Wanted, extreme, sum};
use super::fields::{are_same, is_same};
use super::target::{Operations, Queried, Refusal, expect, refusal};
use super::world::{Known, Model, assert_holds};
use locule::{Error, FieldType, Row, Value, Values, field};
use std::cmp::Ordering;

/// Asks for something, and compares it with what the model says.
pub fn read(model: &Model, source: &mut impl Queried, choices: &mut Choices<'_>) {
    let fields = &model.fields;
    let wanted = Wanted::any(fields, choices);
    let found = wanted.choose(model.records.values());
    macro_rules! ask {
        () => {
            wanted.ask(source.query(), fields)
        };
    }
    let position = choices.below(fields.len());
    let name = fields[position].name.clone();
    let values = || found.iter().map(|known| &known.values[position]);
    match choices.below(9) {
        0 | 1 => assert_rows(&ask!().rows().expect("a possible query"), &found, &wanted),
        2 => {
            let rows: Vec<_> = ask!().iter().expect("a possible query").collect::<Result<_, _>>().expect("in order");
            assert_rows(&rows, &found, &wanted);
        }
        3 => {
            let first: Vec<_> = ask!().first().expect("a possible query").into_iter().collect();
            assert_rows(&first, &found[..found.len().min(1)], &wanted);
        }
        4 => {
            assert_eq!(ask!().count().expect("a possible query"), found.len() as u64, "{wanted:?}");
            assert_eq!(ask!().exists().expect("a possible query"), !found.is_empty(), "{wanted:?}");
        }
        5 => {
            let rows = ask!().values([name.clone(), fields[0].name.clone()]).expect("a possible query");
            assert_eq!(rows.len(), found.len(), "{wanted:?}");
            for (row, known) in rows.iter().zip(found) {
                assert!(are_same(row, &[known.values[position].clone(), known.values[0].clone()]), "{wanted:?}");
            }
        }
        6 => {
            let least = ask!().min(name.clone()).expect("a possible query");
            assert_alike(least, extreme(values(), Ordering::Less), &wanted);
            let greatest = ask!().max(name).expect("a possible query");
            assert_alike(greatest, extreme(values(), Ordering::Greater), &wanted);
        }
        7 => {
            let outcome = ask!().sum(name);
            if is_number(fields[position].field_type) {
                match (outcome, sum(values())) {
                    (Ok(found), Ok(expected)) => assert_alike(found, expected, &wanted),
                    (Err(Error::InvalidArgument { .. }), Err(())) => {}
                    (found, expected) => panic!("expected {expected:?}, found {found:?}"),
                }
            } else {
                expect(outcome, Err(Refusal::Impossible), "a sum of what are no numbers");
            }
        }
        _ => {
            let mistake = match choices.below(3) {
                0 => field("unknown").eq(1),
                1 => field(name).is_in([Value::Bool(true), Value::from("a"), Value::from(1)]),
                _ => !field(name).eq(Value::Null),
            };
            let error = ask!().filter(mistake).count().expect_err("it cannot be asked");
            assert!(matches!(refusal(&error), Refusal::UnknownField | Refusal::Impossible), "{error:?}");
        }
    }
}

fn is_number(field_type: FieldType) -> bool {
    use FieldType::{Bool, Bytes, Date, Text, Timestamp};
    !matches!(field_type, Bool | Text(_) | Bytes(_) | Timestamp | Date)
}

fn assert_rows(rows: &[Row<Values>], expected: &[&Known], wanted: &Wanted) {
    let same = rows.len() == expected.len() && rows.iter().zip(expected).all(|(row, known)| row.id() == known.id);
    assert!(same, "{wanted:#?}: expected {expected:#?}, found {rows:#?}");
    rows.iter().zip(expected).for_each(|(row, known)| assert_holds(row, known));
}

/// Two results are the same; one NaN is as good as another, since adding may make any.
fn assert_alike(found: Option<Value>, expected: Option<Value>, wanted: &Wanted) {
    let is_nan = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64).is_some_and(f64::is_nan);
    let same = match (&found, &expected) {
        (Some(found), Some(expected)) => is_same(found, expected),
        (None, None) => true,
        _ => false,
    };
    assert!(same || is_nan(&found) && is_nan(&expected), "{wanted:#?}: expected {expected:?}, found {found:?}");
}

/// Changes or deletes what a query finds.
pub fn write(model: &mut Model, target: &mut impl Operations, choices: &mut Choices<'_>) {
    let fields = model.fields.clone();
    let wanted = Wanted::any(&fields, choices);
    let found: Vec<Known> = wanted.choose(model.records.values()).into_iter().cloned().collect();
    let query = wanted.ask(target.query(), &fields);
    let count = found.len() as u64;
    if choices.one_in(3) {
        assert_eq!(query.delete().expect("a possible query"), count, "{wanted:?}");
        found.iter().for_each(|known| drop(model.records.remove(&known.id.slot())));
        return;
    }
    let position = choices.below(fields.len());
    let (name, held) = (fields[position].name.clone(), fields[position].value(choices));
    let give_up_at = if choices.one_in(3) { Some(choices.below(4)) } else { None };
    let is_key_changed = |known: &Known| fields[position].is_key && !is_same(&known.values[position], &held);
    // The closure fails at its turn, unless the key of an earlier record would have changed.
    let refusals = found.iter().enumerate().map(|(turn, known)| match give_up_at {
        Some(last) if last == turn => Err(Refusal::Caller),
        _ if is_key_changed(known) => Err(Refusal::KeyChanged),
        _ => Ok(()),
    });
    let expected = refusals.fold(Ok(()), Result::and);
    let mut turn = 0;
    let outcome = query.try_update(|row| {
        row.set(&name, held.clone())?;
        turn += 1;
        if Some(turn - 1) == give_up_at { Err(Error::caller("enough")) } else { Ok(()) }
    });
    if let Some(done) = expect(outcome, expected, "an update by a query") {
        assert_eq!(done, count, "{wanted:?}");
        for mut known in found {
            known.values[position] = held.clone();
            model.update(known.id, known.values);
        }
    }
}
