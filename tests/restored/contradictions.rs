//! One thing in the control group of a closed table is not confirmed by the cells: the next process that opens the
//! table, in the same boot and in the same file, recovers it, and finds everything.

use super::{
    DURABLE, FREE_COUNT, FREE_COUNT_NEXT, GENERATION_FLOOR, INDEX_OCCUPIED, INTENT_COUNT, Image, LAST, NEWEST_STATE,
    PIN, USED, assert_good, mix, open, records, use_busily,
};
use locule::{Error, RecoveryOutcome};
use std::collections::BTreeMap;
use std::path::Path;
use test_kit::{Visit, insert_all, options, scratch, visit};

/// A process that opens it for reading, or asks for its state, once believed what the next writer did not.
fn assert_a_reader_finds(what: &str, path: &Path, expected: &BTreeMap<u64, Visit>) {
    let reader = options().open_read_only(path).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert!(reader.recovery().is_private_copy, "{what}");
    assert_eq!(&records(&reader), expected, "{what}");
    let condition = locule::admin::info(path).unwrap().condition;
    assert!(
        matches!(condition, locule::admin::Condition::NeedsRecovery { outcome: Ok(_), .. }),
        "{what}: {condition:?}"
    );
}

/// A table that has gone through a few things; ids in it begin above a floor.
fn make_table(path: &Path) {
    let original = path.with_extension("original");
    drop(options().create(&original).unwrap());
    std::fs::copy(&original, path).unwrap();
    let table = options().open(path).unwrap();
    insert_all(&table, 0..10);
    for key in [8, 9] {
        table.delete(table.find(&key).unwrap().unwrap().id()).unwrap();
    }
    table.sync().unwrap();
    table.update(table.find(&0).unwrap().unwrap().id(), |content| *content = visit(0, 1)).unwrap();
    table.insert(&visit(10, 0)).unwrap();
    table.sync().unwrap();
    table.update(table.find(&1).unwrap().unwrap().id(), |content| *content = visit(1, 1)).unwrap();
    table.insert(&visit(11, 0)).unwrap();
}

/// An entry of the intent list.
fn intent(slot: u64, cell: u64) -> u64 {
    slot | cell << 24
}

/// The first three words of a tombstone that verifies.
fn tombstone(number: u64) -> [u64; 3] {
    [number, 1, mix(number, 1, 0) << 32]
}

/// Puts a tombstone with a number into a cell that was never used.
fn put_tombstone(image: &mut Image, number: u64) {
    assert_eq!(image.cell(60, 2)[0], 0);
    image.cell(60, 2)[..3].copy_from_slice(&tombstone(number));
}

fn last(image: &mut Image) -> u64 {
    *image.control(LAST)
}

fn put_newest(image: &mut Image, change: fn([u64; 3]) -> [u64; 3]) {
    let state = [0, 1, 2].map(|word| *image.control(NEWEST_STATE + word));
    assert_eq!(image.sealed(state)[3], *image.control(NEWEST_STATE + 3), "this test does not know the format");
    for (word, content) in image.sealed(change(state)).into_iter().enumerate() {
        *image.control(NEWEST_STATE + word) = content;
    }
}

/// A position of the hash table with an entry, and one without.
fn positions(image: &mut Image) -> (usize, usize) {
    let index = image.index();
    // A word of 1 was an entry once: two keys were deleted.
    let entry = index.iter().position(|word| *word > 1).unwrap();
    let empty = index.iter().position(|word| *word == 0).unwrap();
    (entry, empty)
}

type Plant = fn(&mut Image);

const CONTRADICTIONS: &[(&str, Plant)] = &[
    ("a number was given out that is not taken", |image| *image.control(USED) = last(image) - 1),
    ("numbers are used up", |image| *image.control(USED) = 1 << 61),
    ("the newest state is of another number", |image| {
        put_newest(image, |[number, live, digest]| [number - 1, live, digest])
    }),
    ("the newest state has another count", |image| {
        put_newest(image, |[number, live, digest]| [number, live + 1, digest])
    }),
    ("the newest state has another digest", |image| {
        put_newest(image, |[number, live, digest]| [number, live, digest + 1])
    }),
    ("the newest state does not verify", |image| *image.control(NEWEST_STATE + 3) ^= 1),
    ("a head names another cell", |image| *image.head(0) ^= 1 << 62),
    ("a head says deleted of what lives", |image| *image.head(0) ^= 1 << 61),
    ("a head has another number", |image| *image.head(0) += 1),
    ("a slot that was never used has a head", |image| *image.head(60) = 5),
    ("no sync record carries the durable number", |image| *image.control(DURABLE) -= 1),
    ("a sync is in flight of what is still to come", |image| *image.control(PIN) = last(image) + 5),
    ("the floor of the ids is above all ids", |image| *image.control(GENERATION_FLOOR) = 1 << 40),
    ("the floor of the ids is below what a sync record says", |image| *image.control(GENERATION_FLOOR) = 0),
    ("the intent list is longer than the table", |image| *image.control(INTENT_COUNT) = 65),
    ("the intent list names no slot", |image| {
        *image.control(INTENT_COUNT) = 1;
        *image.intent(0) = intent(64, 0);
    }),
    ("what is being staged is what is current", |image| {
        *image.control(USED) += 1;
        *image.control(INTENT_COUNT) = 1;
        let cell = *image.head(0) >> 62;
        *image.intent(0) = intent(0, cell);
    }),
    ("what is being staged is there twice", |image| {
        *image.control(USED) += 1;
        *image.control(INTENT_COUNT) = 2;
        [*image.intent(0), *image.intent(1)] = [intent(60, 2); 2];
    }),
    ("what is being staged has a number of its own", |image| {
        let number = last(image);
        put_tombstone(image, number + 3);
        *image.control(USED) += 1;
        *image.control(INTENT_COUNT) = 1;
        *image.intent(0) = intent(60, 2);
    }),
    ("what is on the intent list is old, and nothing is in progress", |image| {
        *image.control(INTENT_COUNT) = 1;
        *image.intent(0) = intent(0, (*image.head(0) >> 62) ^ 1);
    }),
    ("a cell has a number that was never taken", |image| {
        let number = last(image);
        put_tombstone(image, number + 3);
    }),
    ("a cell was staged and is not on the intent list", |image| {
        let number = last(image);
        put_tombstone(image, number + 1);
        *image.control(USED) += 1;
    }),
    ("a key is missing in the index", |image| {
        let (entry, _) = positions(image);
        image.index()[entry] = 1;
    }),
    ("a key is in the index twice", |image| {
        let (entry, empty) = positions(image);
        image.index()[empty] = image.index()[entry];
        *image.control(INDEX_OCCUPIED) += 1;
    }),
    ("a key leads to another slot", |image| {
        let (entry, _) = positions(image);
        image.index()[entry] ^= 1;
    }),
    ("a word of the index means nothing", |image| {
        let (_, empty) = positions(image);
        image.index()[empty] = 2;
        *image.control(INDEX_OCCUPIED) += 1;
    }),
    ("the index is fuller than it says", |image| *image.control(INDEX_OCCUPIED) = 0),
    ("slots are about to be taken, and nothing is in progress", |image| *image.control(FREE_COUNT_NEXT) -= 1),
    ("slots are about to be free, and nothing is in progress", |image| *image.control(FREE_COUNT_NEXT) += 1),
    ("a free slot is missing", |image| {
        *image.control(FREE_COUNT) -= 1;
        *image.control(FREE_COUNT_NEXT) -= 1;
    }),
    ("there are too many free slots", |image| {
        *image.control(FREE_COUNT) += 1;
        *image.control(FREE_COUNT_NEXT) += 1;
    }),
    ("a free slot is there twice", |image| *image.free_slot(1) = *image.free_slot(0)),
    ("a free slot is none of the table", |image| *image.free_slot(0) = 64),
    ("a free slot is not free", |image| *image.free_slot(0) = 0),
];

/// Opens a table that was made by `make_table` and spoilt: it is recovered, and everything is there.
#[track_caller]
fn assert_is_recovered(what: &str, path: &Path, expected: &BTreeMap<u64, Visit>, floor: u64) {
    let table = open(path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::Newest, "{what}");
    assert_eq!(records(&table), *expected, "{what}");
    assert_good(&table, path);
    assert!(table.insert(&visit(50, 0)).unwrap().generation() > floor, "{what}");
    use_busily(&table, 100, &mut fastrand::Rng::with_seed(7));
    assert_good(&table, path);
    drop(table);
    assert_eq!(open(path).recovery().outcome, RecoveryOutcome::InOrder, "{what}");
}

#[test]
fn whatever_the_cells_do_not_bear_out_is_recovered() {
    let (_directory, path) = scratch();
    make_table(&path);
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    let expected = records(&table);
    drop(table);
    let mut image = Image::of(&path);
    let floor = *image.control(GENERATION_FLOOR);
    assert!(floor > 0);
    for (what, plant) in CONTRADICTIONS {
        let mut spoilt = image.clone();
        plant(&mut spoilt);
        assert!(spoilt.0 != image.0, "{what}");
        spoilt.put_back(&path);
        assert!(options().open(&path).unwrap().recovery().nothing_lost, "{what}");
        spoilt.put_back(&path);
        assert_is_recovered(what, &path, &expected, floor);
    }
    // It was none of these.
    image.put_back(&path);
    assert_eq!(open(&path).recovery().outcome, RecoveryOutcome::InOrder);
}

#[test]
fn a_sync_record_of_a_later_moment_is_no_part_of_the_table() {
    let (_directory, path) = scratch();
    make_table(&path);
    let mut image = Image::of(&path);
    let floor = *image.control(GENERATION_FLOOR);
    let table = open(&path);
    let expected = records(&table);
    table.insert(&visit(20, 0)).unwrap();
    table.sync().unwrap();
    drop(table);
    let mut later = Image::of(&path);
    for record in [0, 1] {
        let words = later.sync_record(record).to_vec();
        image.sync_record(record).copy_from_slice(&words);
    }
    image.put_back(&path);
    assert_is_recovered("records of a later moment", &path, &expected, floor);
}

#[test]
fn a_sync_record_of_an_earlier_moment_does_not_hide_what_was_durable() {
    let (_directory, path) = scratch();
    make_table(&path);
    let mut earlier = Image::of(&path);
    let floor = *earlier.control(GENERATION_FLOOR);
    let durable = *earlier.control(DURABLE);
    let table = open(&path);
    for key in 20..23 {
        table.insert(&visit(key, 0)).unwrap();
        table.sync().unwrap();
    }
    let expected = records(&table);
    drop(table);
    let mut image = Image::of(&path);
    let carrying = [0, 1].into_iter().find(|record| earlier.sync_record(*record)[0] == durable).unwrap();
    let words = earlier.sync_record(carrying).to_vec();
    // It replaces the one in between; the newest still says what came before it.
    let newest = *image.control(DURABLE);
    assert_ne!(image.sync_record(carrying)[0], newest);
    image.sync_record(carrying).copy_from_slice(&words);
    *image.control(DURABLE) = durable;
    image.put_back(&path);
    assert_is_recovered("a record of an earlier moment", &path, &expected, floor);
}

#[test]
fn a_number_that_no_sync_record_carries_is_not_durable() {
    let (_directory, path) = scratch();
    make_table(&path);
    let table = open(&path);
    table.insert(&visit(20, 0)).unwrap();
    let expected = records(&table);
    drop(table);
    let mut image = Image::of(&path);
    let floor = *image.control(GENERATION_FLOOR);
    let last = *image.control(LAST);
    assert_ne!(*image.control(DURABLE), last);
    *image.control(DURABLE) = last;
    image.put_back(&path);
    assert_is_recovered("a number that no record carries", &path, &expected, floor);
}

/// What was in it cannot be known, so it is not served as something older.
#[test]
fn a_record_that_does_not_have_its_checksum_is_found_by_the_first_opener() {
    let (_directory, path) = scratch();
    make_table(&path);
    open(&path).close().unwrap();
    let mut image = Image::of(&path);
    let cell = usize::try_from(*image.head(2) >> 62).unwrap();
    image.cell(2, cell)[5] ^= 1;
    image.put_back(&path);
    let outcome = options().open(&path).map(drop);
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
    assert!(Image::of(&path).0 == image.0, "the file was changed");
}

// -- what a dead writer left is no contradiction ---------------------------------------------------

/// A table as it is left by a process that is killed after an insertion was prepared and before it was published; and
/// what is in it when that is finished.
fn prepared_insertion(path: &Path) -> (Image, BTreeMap<u64, Visit>) {
    make_table(path);
    let mut before = Image::of(path);
    let table = open(path);
    let slot = usize::try_from(table.insert(&visit(20, 0)).unwrap().slot()).unwrap();
    let expected = records(&table);
    drop(table);
    let mut image = Image::of(path);
    for index in [LAST, NEWEST_STATE, NEWEST_STATE + 1, NEWEST_STATE + 2, NEWEST_STATE + 3, FREE_COUNT, INDEX_OCCUPIED]
    {
        *image.control(index) = *before.control(index);
    }
    *image.control(INTENT_COUNT) = 1;
    *image.head(slot) = *before.head(slot);
    image.index().copy_from_slice(before.index());
    assert_eq!((*image.intent(0) & 0xff_ffff, *image.control(USED)), (slot as u64, *before.control(USED) + 1));
    (image, expected)
}

#[test]
fn what_a_dead_writer_has_prepared_is_finished_and_the_table_is_in_order() {
    let (_directory, path) = scratch();
    let (image, expected) = prepared_insertion(&path);
    image.put_back(&path);
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    assert_eq!(table.status().repair_counts.prepared, 1);
    assert_eq!(records(&table), expected);
    assert_good(&table, &path);
    use_busily(&table, 100, &mut fastrand::Rng::with_seed(7));
    assert_good(&table, &path);
}

#[test]
fn what_a_dead_writer_was_staging_is_undone_and_the_table_is_in_order() {
    let (_directory, path) = scratch();
    make_table(&path);
    let mut image = Image::of(&path);
    let expected = records(&open(&path));
    let number = last(&mut image) + 1;
    *image.control(USED) = number;
    *image.control(INTENT_COUNT) = 1;
    *image.intent(0) = intent(60, 2);
    put_tombstone(&mut image, number);
    image.put_back(&path);
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    assert_eq!(table.status().repair_counts.staging, 1);
    assert_eq!(records(&table), expected);
    use_busily(&table, 100, &mut fastrand::Rng::with_seed(7));
    assert_good(&table, &path);
}

#[test]
fn what_was_prepared_is_believed_only_with_an_intent_list_that_leads_there() {
    let plants: [(&str, Plant); 4] = [
        ("the list is empty", |image| *image.control(INTENT_COUNT) = 0),
        ("the list names another slot", |image| {
            let cell = *image.head(0) >> 62;
            *image.intent(0) = intent(0, cell);
        }),
        ("the list names another cell", |image| *image.intent(0) ^= 1 << 24),
        ("a head is wrong that it does not lead to", |image| *image.head(0) ^= 1 << 62),
    ];
    for (what, plant) in plants {
        let (_directory, path) = scratch();
        let (mut image, expected) = prepared_insertion(&path);
        let floor = *image.control(GENERATION_FLOOR);
        plant(&mut image);
        image.put_back(&path);
        assert_a_reader_finds(what, &path, &expected);
        assert_is_recovered(what, &path, &expected, floor);
    }
}

// -- a part of the file that did not reach the disk -----------------------------------------------

/// The file system was lost and mounted again in the same boot, after only the control group had been written back.
#[test]
fn a_control_group_that_is_newer_than_the_cells_goes_back_to_the_sync() {
    let (_directory, path) = scratch();
    make_table(&path);
    let table = open(&path);
    table.sync().unwrap();
    let expected = records(&table);
    drop(table);
    let mut earlier = Image::of(&path);
    let table = open(&path);
    use_busily_without_syncs(&table);
    drop(table);
    let mut image = Image::of(&path);
    image.durable_group().copy_from_slice(earlier.durable_group());
    image.put_back(&path);
    let table = open(&path);
    let recovery = table.recovery();
    assert!(matches!(recovery.outcome, RecoveryOutcome::Checkpoint { .. }) && !recovery.nothing_lost, "{recovery}");
    assert_eq!(records(&table), expected);
    assert_good(&table, &path);
    use_busily(&table, 500, &mut fastrand::Rng::with_seed(7));
    assert_good(&table, &path);
}

fn use_busily_without_syncs(table: &test_kit::Visits) {
    for key in 0..8 {
        table.update(table.find(&key).unwrap().unwrap().id(), |content| *content = visit(key, 9)).unwrap();
    }
    insert_all(table, 20..40);
    table.delete(table.find(&5).unwrap().unwrap().id()).unwrap();
}

/// The same, but what was lost had been synced: that is damage, and nothing older is served in its place.
#[test]
fn a_control_group_that_is_a_sync_newer_than_the_cells_is_damage() {
    let (_directory, path) = scratch();
    make_table(&path);
    open(&path).close().unwrap();
    let mut earlier = Image::of(&path);
    let table = open(&path);
    use_busily_without_syncs(&table);
    table.close().unwrap();
    let mut image = Image::of(&path);
    image.durable_group().copy_from_slice(earlier.durable_group());
    image.put_back(&path);
    let outcome = options().open(&path).map(drop);
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
    assert!(Image::of(&path).0 == image.0, "the file was changed");
}

/// The other way round: the cells reached the disk, and the control group did not.
#[test]
fn cells_that_are_newer_than_the_control_group_are_recovered() {
    let (_directory, path) = scratch();
    make_table(&path);
    open(&path).close().unwrap();
    let mut earlier = Image::of(&path);
    let table = open(&path);
    use_busily_without_syncs(&table);
    table.sync().unwrap();
    let expected = records(&table);
    drop(table);
    let mut image = Image::of(&path);
    earlier.durable_group().copy_from_slice(image.durable_group());
    earlier.put_back(&path);
    let table = open(&path);
    assert_ne!(table.recovery().outcome, RecoveryOutcome::InOrder);
    assert_eq!(records(&table), expected);
    assert_good(&table, &path);
}

/// Locks that are half made look free, and the death of their owners is not noticed.
#[test]
fn locks_that_a_first_opener_was_making_when_it_died_are_made_anew() {
    let (_directory, path) = scratch();
    make_table(&path);
    let mut image = Image::of(&path);
    let made: Vec<u64> = (0..16).map(|word| *image.control(word)).collect();
    assert!(made[..8].iter().any(|word| *word != 0) && made[8..].iter().any(|word| *word != 0));
    (0..16).for_each(|word| *image.control(word) = 0);
    image.put_back(&path);
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    let mut image = Image::of(&path);
    let mut is_made = |words: std::ops::Range<usize>| words.into_iter().any(|word| *image.control(word) != 0);
    assert!([0..8, 8..16].map(&mut is_made) == [true; 2], "all zeros are a mutex of another kind");
}
