//! A story: a table is made and used, and after each step it is what the model says.

use super::alterations::{alter, back_up_or_restore, migrate};
use super::choices::Choices;
use super::operations::{insert_stranger, operate, replace_all};
use super::queries;
use super::world::{Model, World, assert_holds};
use locule::{Error, Result, Row, Table, Values, maintenance};
use std::path::Path;
use std::sync::Arc;

const STEP_COUNT: usize = 60;

/// Plays a story with a new table at this path.
pub fn play(path: &Path, choices: &mut Choices<'_>) {
    let mut world = World::create(path, choices);
    for _ in 0..STEP_COUNT {
        if choices.is_over() {
            break;
        }
        step(&mut world, choices);
    }
    let verification = locule::admin::verify(path).expect("a table");
    assert!(verification.is_good(), "{verification}");
}

fn step(world: &mut World, choices: &mut Choices<'_>) {
    match choices.below(32) {
        0..12 => {
            let mut model = world.model.clone();
            let mut table = Table::<Values>::open(&world.path).expect("a table that is there");
            if choices.below(2) == 0 {
                // Another handle of this process is as good.
                std::mem::swap(&mut table, &mut world.table);
            }
            operate(world, &mut model, &mut table, false, choices);
            world.settle(model);
        }
        12..17 => transact(world, choices),
        17..22 => queries::read(&world.model.clone(), &mut world.table, choices),
        22 => {
            let model = world.model.clone();
            let outcome = world.table.snapshot(|view| {
                assert_all(view.iter(), &model);
                for known in model.records.values() {
                    assert_holds(&view.get(known.id)?.expect("it is there"), known);
                    if let Some(key) = model.key_of(&known.values) {
                        assert_holds(&view.find(key.clone())?.expect("it is found"), known);
                    }
                }
                queries::read(&model, &mut view.clone(), choices);
                view.query().delete()
            });
            assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
        }
        23 | 24 => {
            let mut model = world.model.clone();
            queries::write(&mut model, &mut world.table, choices);
            world.settle(model);
        }
        25 => {
            let after = replace_all(world, &world.model.clone(), choices);
            world.settle(after.unwrap_or_else(|| world.model.clone()));
        }
        26 | 27 => alter(world, choices),
        28 => migrate(world, choices),
        29 => back_up_or_restore(world, choices),
        30 => reopen(world, choices),
        _ => {
            let other = Arc::new("other_than_all: u64".parse().expect("a schema"));
            insert_stranger(world, &other, choices);
        }
    }
}

/// Rows are all that is known.
fn assert_all(rows: impl Iterator<Item = Result<Row<Values>>>, model: &Model) {
    let rows: Vec<Row<Values>> = rows.collect::<Result<_>>().expect("in order");
    assert_eq!(rows.len(), model.records.len(), "expected {model:#?}, found {rows:#?}");
    rows.iter().zip(model.records.values()).for_each(|(row, known)| assert_holds(row, known));
}

/// Several operations in one transaction: all of them happen, or none.
fn transact(world: &mut World, choices: &mut Choices<'_>) {
    let mut model = world.model.clone();
    let count = 1 + choices.below(8);
    let is_given_up = choices.one_in(3);
    let outcome = world.table.write(|transaction| {
        for _ in 0..count {
            match choices.below(6) {
                0..4 => operate(world, &mut model, transaction, true, choices),
                4 => queries::read(&model, transaction, choices),
                _ => queries::write(&mut model, transaction, choices),
            }
            assert_eq!(transaction.len()?, model.records.len() as u64);
            assert_all(transaction.iter(), &model);
        }
        if is_given_up { Err(Error::caller("not today")) } else { Ok(()) }
    });
    match (is_given_up, outcome) {
        (true, Err(Error::Caller { .. })) => world.settle(world.model.clone()),
        (false, Ok(())) => world.settle(model),
        (_, outcome) => panic!("unexpected: {outcome:?}"),
    }
}

fn reopen(world: &mut World, choices: &mut Choices<'_>) {
    match choices.below(5) {
        0 => drop(world.table.sync().expect("a disk in order")),
        1 => world.open(|path| Table::<Values>::open(path)),
        2 => {
            let schema = world.model.schema();
            world.open(|path| Table::<Values>::options().schema(schema).sync_every(None).open_or_create(path));
        }
        3 => drop(maintenance::scrub(&world.path).expect("a table in order")),
        _ => {
            let view = Table::<Values>::open_read_only(&world.path).expect("a table in order");
            assert_eq!(view.len().expect("in order"), world.model.records.len() as u64);
            world.table.reopen().expect("the same file");
        }
    }
    world.settle(world.model.clone());
}
