//! The operations on single records, and what they should do.

use super::choices::Choices;
use super::fields::{are_same, is_same};
use super::target::{Operations, Refusal, expect, refusal};
use super::world::{Known, Model, World, assert_holds};
use locule::{Error, RecordId, Result, Value, Values};
use std::collections::HashSet;
use std::sync::Arc;

/// Makes a record in one of the four ways. Of values that do not fit none is made.
pub fn record(world: &World, model: &Model, choices: &mut Choices<'_>) -> Option<(Values, Vec<Value>)> {
    let (schema, way) = (world.schema(), choices.below(4));
    let mut offers: Vec<(Value, Option<Value>)> = model.fields.iter().map(|field| field.offer(choices)).collect();
    let mut named: Vec<usize> = (0..offers.len()).collect();
    if way % 2 == 0 {
        for (position, field) in model.fields.iter().enumerate() {
            let omitted = field.omitted();
            if choices.one_in(if omitted.is_some() { 2 } else { 30 }) {
                named.retain(|name| *name != position);
                offers[position] = (Value::Null, omitted);
            }
        }
    }
    if way >= 2 {
        for (position, field) in model.fields.iter().enumerate().filter(|(position, _)| named.contains(position)) {
            let is_text = matches!(field.field_type, locule::FieldType::Text(_));
            let (given, held) = &mut offers[position];
            *given = match held {
                // There is no way to write a text that is not there.
                Some(Value::Null) if is_text => return None,
                Some(held) => held.to_string().into(),
                None if is_text => "x".repeat(99).into(),
                None => "?".into(),
            };
        }
    }
    let name = |position: &usize| (model.fields[*position].name.clone(), offers[*position].0.clone());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let made = match way {
        0 => Values::named(schema, named.iter().map(name)),
        1 => Values::positional(schema, offers.iter().map(|(given, _)| given.clone())),
        2 => Values::parse_named(schema, named.iter().map(name).map(|(name, value)| (name, text(&value)))),
        _ => Values::parse_positional(schema, offers.iter().map(|(given, _)| text(given))),
    };
    let held: Option<Vec<Value>> = offers.iter().map(|(_, held)| held.clone()).collect();
    match (made, held) {
        (Ok(made), Some(held)) => {
            assert!(are_same(&made.clone().into_vec(), &held), "expected {held:?}, found {made:?}");
            Some((made, held))
        }
        (Err(error), None) => {
            assert!(matches!(refusal(&error), Refusal::Unfit | Refusal::Impossible), "{error:?}");
            None
        }
        (made, held) => panic!("expected {held:?}, found {made:?} of {offers:?}"),
    }
}

/// The same with the key of a record that is there.
fn record_like(world: &World, model: &Model, old: &Known, choices: &mut Choices<'_>) -> Option<(Values, Vec<Value>)> {
    let (mut made, mut held) = record(world, model, choices)?;
    if let Some(position) = model.key_position().filter(|_| !choices.one_in(8)) {
        held[position] = old.values[position].clone();
        made.set(&model.fields[position].name, held[position].clone()).expect("a value that was there");
    }
    Some((made, held))
}

/// Does one thing to the records, and the same to the model.
pub fn operate(
    world: &World,
    model: &mut Model,
    target: &mut impl Operations,
    is_in_transaction: bool,
    choices: &mut Choices<'_>,
) {
    match choices.below(10) {
        0..4 => insert(world, model, target, is_in_transaction, choices),
        4..7 => update(world, model, target, choices),
        7 | 8 => delete(world, model, target, choices),
        _ => by_key(world, model, target, is_in_transaction, choices),
    }
}

/// In a transaction a key may have to come back to a slot that another record has by now: then nothing happens.
fn is_slot_taken<R>(outcome: &Result<R>, is_in_transaction: bool) -> bool {
    is_in_transaction && matches!(outcome, Err(Error::SlotTaken { .. }))
}

fn insert(
    world: &World,
    model: &mut Model,
    target: &mut impl Operations,
    is_in_transaction: bool,
    choices: &mut Choices<'_>,
) {
    let Some((made, held)) = record(world, model, choices) else { return };
    let expected = match model.find(model.key_of(&held)) {
        Some(_) => Err(Refusal::Duplicate),
        None if model.is_full() => Err(Refusal::Full),
        None => Ok(()),
    };
    let outcome = target.insert(&made);
    if is_slot_taken(&outcome, is_in_transaction) {
        return;
    }
    if let Some(id) = expect(outcome, expected, "insert") {
        assert!(world.is_new(id), "{id:?} was given out before");
        model.insert(id, held);
    }
}

/// A record of the model, or none.
fn target(world: &World, model: &Model, choices: &mut Choices<'_>) -> (RecordId, Option<Known>) {
    let records: Vec<&Known> = model.records.values().collect();
    if records.is_empty() || choices.one_in(10) {
        let dead = world.dead_id(choices);
        // The transaction may have given it out.
        return (dead, model.get(dead).cloned());
    }
    let known = choices.one_of(&records);
    (known.id, Some(known.clone()))
}

fn update(world: &World, model: &mut Model, target_: &mut impl Operations, choices: &mut Choices<'_>) {
    let (id, old) = target(world, model, choices);
    let way = choices.below(6);
    if way < 3 {
        return replace(world, model, target_, (id, old.as_ref()), choices);
    }
    let position = choices.below(model.fields.len());
    let name = model.fields[position].name.clone();
    let (given, held) = model.fields[position].offer(choices);
    let new = old.clone().zip(held.clone()).map(|(known, held)| {
        let mut values = known.values;
        values[position] = held;
        values
    });
    let is_same_key = |new: &[Value]| match (model.key_position(), &old) {
        (Some(key), Some(old)) => is_same(&new[key], &old.values[key]),
        _ => true,
    };
    let expected = match (&old, &new) {
        (None, _) => Err(Refusal::NotFound),
        (_, None) => Err(Refusal::Unfit),
        (_, Some(new)) if !is_same_key(new) => Err(Refusal::KeyChanged),
        _ => Ok(()),
    };
    let done = match way {
        3 => {
            let mut fields = vec![(name, given)];
            let is_unknown = choices.one_in(10);
            if is_unknown {
                fields.push(("unknown".to_owned(), 1.into()));
            }
            let expected = match expected {
                Ok(()) | Err(Refusal::KeyChanged) if is_unknown => Err(Refusal::UnknownField),
                expected => expected,
            };
            expect(target_.update_fields(id, fields), expected, "update_fields")
        }
        4 => {
            let outcome = target_.try_update(id, &mut |row| row.set(&name, given.clone()));
            expect(outcome, expected, "try_update")
        }
        _ => {
            // Leaves the record as it is if the value does not fit.
            let outcome = target_.update_with(id, &mut |row| row.set(&name, given.clone()).ok());
            let expected = expected.or_else(|refusal| if refusal == Refusal::Unfit { Ok(()) } else { Err(refusal) });
            let done = expect(outcome, expected, "update_with");
            assert!(done.is_none_or(|done| done.is_some() == new.is_some()));
            done.flatten()
        }
    };
    if done.is_some() {
        model.update(id, new.expect("what was done was possible"));
    }
}

/// Writes all of a record anew.
fn replace(
    world: &World,
    model: &mut Model,
    target: &mut impl Operations,
    (id, old): (RecordId, Option<&Known>),
    choices: &mut Choices<'_>,
) {
    let made = match old {
        Some(old) => record_like(world, model, old, choices),
        None => record(world, model, choices),
    };
    let Some((made, held)) = made else { return };
    let is_same_key = old.is_none_or(|old| match (model.key_of(&held), model.key_of(&old.values)) {
        (Some(new), Some(old)) => is_same(new, old),
        _ => true,
    });
    let is_current = !choices.one_in(4);
    let way = choices.below(3);
    let expected = match old {
        None => Err(Refusal::NotFound),
        Some(_) if way == 0 && !is_current => Err(Refusal::Conflict),
        Some(_) if !is_same_key => Err(Refusal::KeyChanged),
        Some(_) => Ok(()),
    };
    let outcome = match way {
        0 => {
            let version = target.get(id).expect("in order").map_or(1, |row| row.version());
            target.update_if(id, if is_current { version } else { version.wrapping_sub(1) }, &made)
        }
        1 => target.replace(id, &made),
        _ => target.update(id, &mut |row| row.clone_from(&made)),
    };
    if expect(outcome, expected, "replace").is_some() {
        model.update(id, held);
    }
}

fn delete(world: &World, model: &mut Model, target_: &mut impl Operations, choices: &mut Choices<'_>) {
    let (id, old) = target(world, model, choices);
    let is_current = !choices.one_in(3);
    let way = choices.below(3);
    let expected = match old {
        None => Err(Refusal::NotFound),
        Some(_) if way == 0 && !is_current => Err(Refusal::Conflict),
        Some(_) => Ok(()),
    };
    let outcome = match way {
        0 => {
            let version = target_.get(id).expect("in order").map_or(1, |row| row.version());
            target_.delete_if(id, if is_current { version } else { version.wrapping_sub(1) })
        }
        1 => target_.delete(id),
        _ => target_.remove(id).map(|row| assert_holds(&row, old.as_ref().expect("it was there"))),
    };
    if expect(outcome, expected, "delete").is_some() {
        model.records.remove(&id.slot());
    }
}

/// What needs a key.
fn by_key(
    world: &World,
    model: &mut Model,
    target_: &mut impl Operations,
    is_in_transaction: bool,
    choices: &mut Choices<'_>,
) {
    let (_, old) = target(world, model, choices);
    let made = match &old {
        Some(old) => record_like(world, model, old, choices),
        None => record(world, model, choices),
    };
    let Some((made, held)) = made else { return };
    let Some(key) = model.key_of(&held).cloned() else {
        let outcomes = [target_.upsert(&made).map(drop), target_.find(1.into()).map(drop)];
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Error::InvalidArgument { .. }))), "{outcomes:?}");
        return;
    };
    let there = model.find(Some(&key)).cloned();
    let expected = if there.is_none() && model.is_full() { Err(Refusal::Full) } else { Ok(()) };
    match choices.below(5) {
        0 | 1 => {
            let outcome = if choices.below(2) == 0 {
                target_.upsert(&made).map(|upserted| (upserted.id, upserted.is_new))
            } else {
                let row = target_.upsert_with(&made, &mut |row| row.clone_from(&made));
                row.map(|row| (row.id(), row.update_count() == 0))
            };
            if is_slot_taken(&outcome, is_in_transaction) {
                return;
            }
            let Some((id, is_new)) = expect(outcome, expected, "upsert") else { return };
            assert_eq!(is_new, there.is_none());
            match there {
                Some(known) => {
                    assert_eq!(known.id, id);
                    model.update(id, held);
                }
                None => model.insert(id, held),
            }
        }
        2 => {
            let row = target_.update_by_key(key, &mut |row| row.clone_from(&made)).expect("the key stays");
            assert_eq!(row.is_some(), there.is_some());
            if let Some(known) = there {
                model.update(known.id, held);
            }
        }
        3 => {
            let row = target_.remove_by_key(key).expect("in order");
            assert_eq!(row.is_some(), there.is_some());
            if let (Some(row), Some(known)) = (row, there) {
                assert_holds(&row, &known);
                model.records.remove(&known.id.slot());
            }
        }
        _ => {
            let row = target_.find(key).expect("in order");
            assert_eq!(row.is_some(), there.is_some());
            if let (Some(row), Some(known)) = (row, there) {
                assert_holds(&row, &known);
            }
        }
    }
}

/// Makes the table hold exactly some records. Returns the model then, if that is possible.
pub fn replace_all(world: &World, model: &Model, choices: &mut Choices<'_>) -> Option<Model> {
    let kept: Vec<Known> = model.records.values().filter(|_| choices.below(2) == 0).cloned().collect();
    let mut records: Vec<(Values, Vec<Value>)> = Vec::new();
    for known in kept {
        records.extend(match choices.below(2) {
            0 => Values::positional(world.schema(), known.values.clone()).ok().map(|made| (made, known.values)),
            _ => record_like(world, model, &known, choices),
        });
    }
    for _ in 0..choices.below(4) {
        records.extend(record(world, model, choices));
    }
    let key = |held: &[Value]| model.key_of(held).map(|key| (std::mem::discriminant(key), key.to_string()));
    let keys: HashSet<_> = records.iter().map(|(_, held)| key(held)).collect();
    let expected = match model.key_position() {
        None => Err(Refusal::Impossible),
        Some(_) if keys.len() < records.len() => Err(Refusal::Duplicate),
        Some(_) if records.len() > model.capacity => Err(Refusal::Full),
        Some(_) => Ok(()),
    };
    let outcome = world.table.replace_all(records.iter().map(|(made, _)| made));
    // Of two mistakes either may be found first.
    if expected == Err(Refusal::Duplicate) && matches!(outcome, Err(Error::Full { .. })) {
        return None;
    }
    expect(outcome, expected, "replace_all")?;
    let mut after = Model { records: Default::default(), ..model.clone() };
    for (_, held) in records {
        let key = model.key_of(&held).expect("a key");
        match model.find(Some(key)) {
            Some(known) => {
                after.records.insert(known.id.slot(), known.clone());
                if !are_same(&known.values, &held) {
                    after.update(known.id, held);
                }
            }
            None => {
                let row = world.table.find(key.clone()).expect("in order").expect("it was inserted");
                assert!(world.is_new(row.id()));
                after.insert(row.id(), held);
            }
        }
    }
    Some(after)
}

/// A record of another schema is refused.
pub fn insert_stranger(world: &World, schema: &Arc<locule::Schema>, choices: &mut Choices<'_>) {
    let Ok(stranger) = Values::named(schema, [("other_than_all", choices.below(9) as u64)]) else { return };
    expect(world.table.insert(&stranger), Err(Refusal::OtherSchema), "insert of another schema");
}
