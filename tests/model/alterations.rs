//! Changes of the schema and of the capacity, and what they should make of the records.

use super::choices::Choices;
use super::fields::{FieldModel, other_type, schema};
use super::world::{Model, World};
use locule::maintenance::{self, Alteration, Position};
use locule::{Error, Value, Values};
use std::sync::Arc;

/// A field to be, and which of the old ones it was.
type Column = (FieldModel, Option<usize>);

/// Alters the table, if that is possible.
pub fn alter(world: &mut World, choices: &mut Choices<'_>) {
    let mut alteration = Alteration::of(&world.path);
    let mut columns: Option<Vec<Column>> =
        Some(world.model.fields.iter().cloned().enumerate().map(|(place, field)| (field, Some(place))).collect());
    for _ in 0..choices.below(4) {
        let name = match &columns {
            Some(columns) if !columns.is_empty() && !choices.one_in(16) => choices.one_of(columns).0.name,
            _ => "unknown".to_owned(),
        };
        (alteration, columns) = step(alteration, columns, name, choices);
    }
    let mut capacity = world.model.capacity;
    if choices.one_in(2) {
        capacity = 1 + choices.below(12);
        alteration = alteration.capacity(capacity as u64);
    }
    let possible = columns.filter(|columns| can_be(columns));
    let preview = alteration.preview();
    match (&preview, &possible) {
        (Ok(found), Some(columns)) => assert_eq!(**found, schema(&fields_of(columns)).expect("possible")),
        (Err(_), None) => {}
        _ => panic!("{alteration:#?}: expected {possible:#?}, found {preview:?}"),
    }
    let expected = possible.and_then(|columns| altered(&world.model, &columns, capacity));
    finish(world, alteration.apply().map(drop), expected, &format!("{alteration:#?}"));
}

fn finish(world: &mut World, outcome: locule::Result<()>, expected: Option<Model>, what: &str) {
    match (&outcome, &expected) {
        (Ok(()), Some(_)) => world.expect_superseded(),
        (
            Err(
                Error::InvalidValue { .. }
                | Error::InvalidArgument { .. }
                | Error::UnknownField { .. }
                | Error::DuplicateKey { .. }
                | Error::SchemaMismatch { .. }
                | Error::Caller { .. },
            ),
            None,
        ) => {}
        _ => panic!("{what}: expected {expected:#?}, found {outcome:?}"),
    }
    let now = expected.unwrap_or_else(|| world.model.clone());
    world.settle(now);
}

fn fields_of(columns: &[Column]) -> Vec<FieldModel> {
    columns.iter().map(|(field, _)| field.clone()).collect()
}

/// Whether there can be a schema of these fields: what the library says is the subject of other tests.
fn can_be(columns: &[Column]) -> bool {
    let keys: Vec<&FieldModel> = columns.iter().map(|(field, _)| field).filter(|field| field.is_key).collect();
    let is_twice = |name: &str| columns.iter().filter(|(field, _)| field.name == name).count() > 1;
    !columns.is_empty()
        && columns.iter().all(|(field, _)| !is_twice(&field.name))
        && keys.len() <= 1
        && keys.iter().all(|key| !key.is_nullable && key.field_type.can_be_key())
}

/// One step more, of the alteration and of the model.
fn step(
    alteration: Alteration,
    columns: Option<Vec<Column>>,
    name: String,
    choices: &mut Choices<'_>,
) -> (Alteration, Option<Vec<Column>>) {
    let place = |columns: &[Column]| columns.iter().position(|(field, _)| field.name == name);
    let change = |columns: Option<Vec<Column>>, change: &dyn Fn(&mut FieldModel)| {
        let mut columns = columns?;
        let place = place(&columns)?;
        let field = &mut columns[place].0;
        let before = field.default.clone();
        change(field);
        // A default stays, so it has to fit.
        if let Some(default) = before.filter(|_| field.default.is_some()) {
            let new = field.default.clone().unwrap_or_default();
            let given = if super::fields::is_same(&new, &default) { default } else { new };
            field.default = Some(field.fit(&given)?);
        }
        Some(columns)
    };
    match choices.below(7) {
        0 | 1 => {
            let mut field = FieldModel::any(choices);
            field.is_key = choices.one_in(20);
            let position = choices.below(3);
            let altered = alteration.add_field_at(
                [Position::First, Position::After(name.clone()), Position::Last][position].clone(),
                field.schema().expect("it is its own value"),
            );
            let columns = columns.and_then(|mut columns| {
                field.omitted()?;
                let place = match position {
                    0 => 0,
                    1 => place(&columns)? + 1,
                    _ => columns.len(),
                };
                columns.insert(place, (field, None));
                Some(columns)
            });
            (altered, columns)
        }
        2 => {
            let columns = columns.and_then(|mut columns| {
                columns.remove(place(&columns)?);
                Some(columns)
            });
            (alteration.drop_field(name), columns)
        }
        3 => {
            let new = choices.one_of(&["renamed", "id", "note", "other"]);
            let columns = change(columns, &|field| field.name = new.to_owned());
            (alteration.rename_field(name, new), columns)
        }
        4 => {
            let old = columns.as_ref().and_then(|columns| Some(columns[place(columns)?].0.field_type));
            let new = other_type(old.unwrap_or(locule::FieldType::U8), choices);
            let columns = change(columns, &|field| field.field_type = new);
            (alteration.set_type(name, new), columns)
        }
        5 => {
            let is_nullable = choices.below(2) == 1;
            let columns = change(columns, &|field| field.is_nullable = is_nullable);
            (alteration.set_nullable(name, is_nullable), columns)
        }
        _ => {
            let field = columns.as_ref().and_then(|columns| Some(columns[place(columns)?].0.clone()));
            let default = field.filter(|_| !choices.one_in(4)).map(|field| field.value(choices));
            let columns = change(columns, &|field| field.default.clone_from(&default));
            (alteration.set_default(name, default), columns)
        }
    }
}

/// The records in their new form; `None` if one does not fit.
fn altered(model: &Model, columns: &[Column], capacity: usize) -> Option<Model> {
    let mut after = Model { fields: fields_of(columns), capacity, records: model.records.clone() };
    for (slot, known) in &mut after.records {
        let value = |(field, old): &Column| match old {
            Some(old) => field.fit(&known.values[*old]),
            None => field.omitted(),
        };
        known.values = columns.iter().map(value).collect::<Option<_>>()?;
        if *slot as usize >= capacity {
            return None;
        }
    }
    has_different_keys(&after).then_some(after)
}

fn has_different_keys(model: &Model) -> bool {
    model.records.values().all(|known| match model.find(model.key_of(&known.values)) {
        Some(first) => first.id == known.id,
        None => true,
    })
}

/// Makes the records anew by a function: the fields in another order, under other names, or nothing if it gives up.
pub fn migrate(world: &mut World, choices: &mut Choices<'_>) {
    let shift = choices.below(world.model.fields.len());
    let mut fields = world.model.fields.clone();
    fields.rotate_left(shift);
    if choices.below(2) == 1 {
        fields.iter_mut().enumerate().for_each(|(number, field)| field.name = format!("field_{number}"));
    }
    let gives_up_at = if choices.one_in(4) { Some(choices.below(4)) } else { None };
    let new = Arc::new(schema(&fields).expect("the same fields"));
    let mut turn = 0;
    let outcome = maintenance::migrate(&world.path, &new, |_, row| {
        turn += 1;
        if gives_up_at == Some(turn - 1) {
            return Err(Error::caller("enough"));
        }
        let mut values: Vec<Value> = row.into_vec();
        values.rotate_left(shift);
        Values::positional(&new, values)
    });
    let has_given_up = gives_up_at.is_some_and(|turn| turn < world.model.records.len());
    let expected = (!has_given_up).then(|| {
        let mut after = Model { fields, ..world.model.clone() };
        after.records.values_mut().for_each(|known| known.values.rotate_left(shift));
        after
    });
    finish(world, outcome.map(drop), expected, "a migration");
}

/// Copies the table, or puts an earlier copy in its place.
pub fn back_up_or_restore(world: &mut World, choices: &mut Choices<'_>) {
    let copy = world.path.with_extension("copy");
    match world.backup.take() {
        Some(model) if choices.below(2) == 0 => {
            maintenance::restore(&copy, &world.path).expect("a copy");
            world.expect_superseded();
            world.settle(model);
        }
        _ => {
            let _ = std::fs::remove_file(&copy);
            let copied = maintenance::backup(&world.path, &copy).expect("a table in order");
            assert_eq!(copied.live_count, world.model.records.len() as u64);
            world.backup = Some(world.model.clone());
            return;
        }
    }
    std::fs::remove_file(copy).expect("the copy stays");
}
