//! A table whose writer was killed in a transaction of several records: its opener undoes or finishes exactly that, and
//! if the list of what the transaction touched says something else, it recovers.

use super::{
    FREE_COUNT_NEXT, INTENT_COUNT, Image, NEWEST_STATE, PREPARED, USED, assert_good, open, records, use_busily,
};
use locule::RecoveryOutcome;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use test_kit::{Child, Role, Visit, Visits, hear, insert_all, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[("stage three", stage_three)];

/// How many slots the transaction touches: it changes, deletes and inserts.
const TOUCHED_COUNT: usize = 3;
/// A slot that it does not touch.
const UNTOUCHED: usize = 8;
const INTENDED_STATE: usize = NEWEST_STATE + 4;

fn work(table: &Visits, say_staged: impl FnOnce()) {
    let ids = [2, 3].map(|key| table.find(&key).unwrap().unwrap().id());
    table
        .write(|transaction| {
            transaction.update(ids[0], |record| *record = visit(2, 1))?;
            transaction.delete(ids[1])?;
            transaction.insert(&visit(30, 0))?;
            say_staged();
            Ok(())
        })
        .unwrap();
}

fn stage_three(path: &Path, _: &str) {
    work(&open(path), || {
        say("staged");
        hear();
    });
}

/// A table that was left in order, though not shut down cleanly.
fn first_table() -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..10);
    table.sync().unwrap();
    table.update(table.find(&7).unwrap().unwrap().id(), |record| *record = visit(7, 1)).unwrap();
    (directory, path)
}

type Spoilt = (tempfile::TempDir, PathBuf, BTreeMap<u64, Visit>);

/// A table whose writer was killed before its transaction was prepared, and what is in it.
fn staged() -> Spoilt {
    let (directory, path) = first_table();
    let expected = records(&open(&path));
    let mut child = Child::spawn("stage three", &path, "");
    child.expect("staged");
    child.kill();
    (directory, path, expected)
}

/// A table as it is left by a writer that dies after its transaction was prepared: made from what it was before, and
/// after.
fn prepared() -> Spoilt {
    let (directory, path) = first_table();
    let before = Image::of(&path);
    let table = open(&path);
    work(&table, || {});
    let expected = records(&table);
    drop(table);
    let mut after = Image::of(&path);
    let mut image = before;
    image.durable_group().copy_from_slice(after.durable_group());
    for position in 0..TOUCHED_COUNT {
        *image.intent(position) = *after.intent(position);
    }
    for index in [USED, PREPARED, FREE_COUNT_NEXT] {
        *image.control(index) = *after.control(index);
    }
    for offset in 0..4 {
        *image.control(INTENDED_STATE + offset) = *after.control(NEWEST_STATE + offset);
    }
    *image.control(INTENT_COUNT) = TOUCHED_COUNT as u64;
    image.put_back(&path);
    (directory, path, expected)
}

#[track_caller]
fn assert_is(table: &Visits, path: &Path, expected: &BTreeMap<u64, Visit>) {
    assert_eq!(records(table), *expected);
    assert_good(table, path);
    use_busily(table, 300, &mut fastrand::Rng::with_seed(7));
    assert_good(table, path);
}

#[test]
fn a_transaction_of_several_records_is_undone_or_finished_and_the_table_is_in_order() {
    let (_directory, path, expected) = staged();
    let table = open(&path);
    assert_eq!((table.recovery().outcome, table.status().repair_counts.staging), (RecoveryOutcome::InOrder, 1));
    assert_is(&table, &path, &expected);

    let (_directory, path, expected) = prepared();
    let table = open(&path);
    assert_eq!((table.recovery().outcome, table.status().repair_counts.prepared), (RecoveryOutcome::InOrder, 1));
    assert_is(&table, &path, &expected);
}

type Plant = fn(&mut Image);

#[track_caller]
fn assert_each_is_recovered(make: fn() -> Spoilt, plants: &[(&str, Plant)]) {
    for (what, plant) in plants {
        let (_directory, path, expected) = make();
        let mut image = Image::of(&path);
        plant(&mut image);
        image.put_back(&path);
        println!("{what}");
        let table = open(&path);
        assert_eq!(
            (table.recovery().outcome, table.recovery().nothing_lost),
            (RecoveryOutcome::Newest, true),
            "{what}"
        );
        assert_is(&table, &path, &expected);
    }
}

/// Lists the current cell of a slot that the transaction did not touch.
fn list_untouched(image: &mut Image) {
    let cell = *image.head(UNTOUCHED) >> 62;
    *image.intent(TOUCHED_COUNT) = cell << 24 | UNTOUCHED as u64;
    *image.control(INTENT_COUNT) += 1;
}

#[test]
fn a_list_of_what_is_to_be_undone_that_says_other_things_than_the_cells_is_not_followed() {
    assert_each_is_recovered(
        staged,
        &[
            ("no list", |image| *image.control(INTENT_COUNT) = 0),
            ("a cell that was staged is missing", |image| *image.control(INTENT_COUNT) -= 1),
            ("a cell is there that others see", list_untouched),
            ("a slot is there twice, and another is missing", |image| *image.intent(1) = *image.intent(0)),
        ],
    );
}

#[test]
fn a_list_of_what_is_to_be_finished_that_says_other_things_than_the_cells_is_not_followed() {
    /// Takes a flag away from all entries.
    fn clear<const BIT: u32>(image: &mut Image) {
        (0..TOUCHED_COUNT).for_each(|position| *image.intent(position) &= !(1 << BIT));
    }
    assert_each_is_recovered(
        prepared,
        &[
            ("no list", |image| *image.control(INTENT_COUNT) = 0),
            ("a slot is missing", |image| *image.control(INTENT_COUNT) -= 1),
            ("a cell of an older transaction is there", list_untouched),
            ("a slot is there twice, and another is missing", |image| *image.intent(1) = *image.intent(0)),
            ("no key is put into the index", clear::<29>),
            ("no key is taken out of the index", clear::<30>),
            ("no slot becomes free", clear::<31>),
        ],
    );
}
