//! Whichever store a writer or syncer dies at, `verify` finds nothing: what is half done is not damage. And `dump`
//! shows what the next writer would find.

use crate::admin::dump::{Dump, DumpedRow};
use crate::admin::verification::{Extent, Verification};
use crate::admin::verify::usable;
use crate::engine::{Encoded, Settings, Store};
use crate::error::{Error, Result};
use crate::file::create::{self, Plan};
use crate::format::cell::CellHeader;
use crate::format::checksum::crc32;
use crate::format::control::{DURABLE, INDEX_EPOCH, INDEX_OCCUPIED, INTENT_COUNT, LAST, NEWEST_STATE, PREPARED, USED};
use crate::format::geometry::Geometry;
use crate::format::sync_record::SyncRecord;
use crate::layout::index::IndexEntry;
use crate::record_id::RecordId;
use crate::schema::{FieldSchema, Schema};
use crate::sys::probe::{self, Event, die_after_store};
use crate::value::field_type::FieldType;
use std::time::Duration;

const CAPACITY: u64 = 7;

/// One of a series of operations on a full table, whose records have the keys from `first_key` on. Returns the first
/// key after it.
fn operate(store: &Store, step: u64, first_key: u64) -> Result<u64> {
    let record = |key: u64| [key];
    let id_of = |key: u64| -> Result<RecordId> {
        let found = store.find(&key.to_ne_bytes(), &mut [0])?;
        Ok(found.expect("the series has inserted it").id)
    };
    match step % 3 {
        0 => {
            for key in first_key..first_key + 3 {
                store.delete(id_of(key)?, None)?;
                store.insert(Encoded::new(&record(key + CAPACITY)))?;
            }
            Ok(first_key + 3)
        }
        1 => {
            store.update(id_of(first_key)?, None, Encoded::new(&record(first_key)))?;
            store.sync()?;
            Ok(first_key)
        }
        _ => {
            let mut transaction = store.begin()?;
            for key in first_key..first_key + CAPACITY {
                transaction.delete(id_of(key)?, None)?;
            }
            for key in first_key + CAPACITY..first_key + 2 * CAPACITY {
                transaction.insert(Encoded::new(&record(key)))?;
            }
            transaction.commit()?;
            Ok(first_key + CAPACITY)
        }
    }
}

fn full_table() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![FieldSchema::new("id", FieldType::U64).key()]).unwrap();
    let settings = Settings { sync_every: None, ..Settings::default() };
    let plan = Plan { capacity: CAPACITY, mode: 0o600, schema: schema.into() };
    let table = create::create(&directory.path().join("small.loc"), &plan, &settings).unwrap().writable_copy().unwrap();
    for key in 0..CAPACITY {
        table.insert(Encoded::new(&[key])).unwrap();
    }
    table
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn nothing_is_found_whichever_store_is_the_last() {
    let mut table = full_table();
    let (mut first_key, mut step) = (0, 0);
    let first_epoch = table.control_word(INDEX_EPOCH);
    // Until the index was rebuilt too; when that happens depends on the table's own hash seed.
    while step < 6 || table.control_word(INDEX_EPOCH) == first_epoch {
        let mut store_count = 0;
        (table, first_key) = loop {
            store_count += 1;
            let victim = table.writable_copy().unwrap();
            let next_key = die_after_store(store_count, || operate(&victim, step, first_key).unwrap());
            let mut verification = Verification::new();
            usable(&victim, &mut verification).unwrap();
            assert!(verification.is_good(), "step {step}, store {store_count}: {verification}");
            assert_eq!(verification.extent, Extent::Everything);
            if let Some(next_key) = next_key {
                break (victim, next_key);
            }
        };
        assert!(store_count > 20, "step {step} was not killed at each store");
        step += 1;
        assert!(step < 1000, "the index is never rebuilt");
    }
}

/// The records of a table that no process is using, with their versions.
fn rows_of(dump: Dump) -> Vec<DumpedRow> {
    dump.map(Result::unwrap).collect()
}

/// After a death at "prepared" a dump once showed the state before, and after one while publishing half of the
/// transaction.
#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn a_dump_is_what_the_next_writer_would_find_whichever_store_is_the_last() {
    let mut table = full_table();
    let (mut first_key, mut before_count, mut after_count) = (0, 0, 0);
    for step in 0..6 {
        let mut store_count = 0;
        (table, first_key) = loop {
            store_count += 1;
            let victim = table.writable_copy().unwrap();
            let next_key = die_after_store(store_count, || operate(&victim, step, first_key).unwrap());
            let mut repaired = victim.copy_of_one_moment().unwrap().unwrap();
            let has_happened = victim.control_word(PREPARED) != victim.control_word(LAST);
            let expected_pending = has_happened || victim.control_word(INTENT_COUNT) != 0;
            assert_eq!(victim.pending().is_some(), expected_pending);
            assert_eq!(victim.pending().is_some_and(|pending| pending.is_prepared), {
                expected_pending && victim.control_word(USED) == victim.control_word(PREPARED)
            });
            assert!(repaired.settle().unwrap());
            assert_eq!(repaired.pending(), None);
            let mut payload = [0];
            let expected: Vec<_> = (0..repaired.geometry().capacity())
                .filter_map(|slot| repaired.read_slot(slot, &mut payload).unwrap().map(|meta| (meta.id, meta.version)))
                .collect();
            let going_on = victim.writable_copy().unwrap();
            let dump = Dump::of(victim).unwrap();
            assert!(dump.is_of_one_moment());
            let found: Vec<_> = rows_of(dump).into_iter().map(|row| (row.id, row.version)).collect();
            assert_eq!(found, expected, "step {step}, store {store_count}");
            *if has_happened { &mut after_count } else { &mut before_count } += 1;
            if let Some(next_key) = next_key {
                break (going_on, next_key);
            }
        };
    }
    assert!(before_count > 20 && after_count > 20, "{before_count}, {after_count}");
}

/// A dump of a table of two records whose writers write again each time it has looked.
fn dump_of_busy_table() -> Dump {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("busy.loc");
    let schema = Schema::new(vec![FieldSchema::new("id", FieldType::U64).key()]).unwrap();
    let settings = Settings { sync_every: None, lock_timeout: Duration::ZERO, ..Settings::default() };
    let writer = create::create(&path, &Plan { capacity: 2, mode: 0o600, schema: schema.into() }, &settings).unwrap();
    for key in 0..2 {
        writer.insert(Encoded::new(&[key])).unwrap();
    }
    let reader = Store::open_read_only(&path, &settings).unwrap();
    probe::see_all_loads();
    let hook = move |event: &Event<'_>| {
        if let Event::Load = event {
            for _ in 0..3 {
                writer.upsert(Encoded::new(&[1])).unwrap();
            }
        }
    };
    probe::with_hook(hook, || Dump::of(reader)).unwrap().unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn a_dump_beside_writers_that_never_pause_goes_on_record_by_record_and_says_so() {
    let dump = dump_of_busy_table();
    assert!(!dump.is_of_one_moment());
    assert_eq!(rows_of(dump).len(), 2);
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn a_dump_of_a_table_that_is_damaged_begins_with_that_and_gives_the_rest() {
    let table = full_table();
    let head = table.head_of(3);
    table.plant(table.geometry().cell(3, head.cell()), &[0]);
    let mut dump = Dump::of(table).unwrap();
    assert!(!dump.is_of_one_moment());
    assert!(matches!(dump.next(), Some(Err(Error::Damaged { .. }))));
    let (good, bad): (Vec<_>, Vec<_>) = dump.partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (6, 1));
}

/// What `verify` says about a table in which a whole, sealed lie was planted, which no single flipped word can be.
fn lie(plant: impl FnOnce(&Store, &Geometry, SyncRecord)) -> String {
    let table = full_table();
    table.sync().unwrap();
    table.update(RecordId::new(0, 1), None, Encoded::new(&[0])).unwrap();
    let record = table.sync_records().into_iter().flatten().max_by_key(|record| record.state.number).unwrap();
    plant(&table, table.geometry(), record);
    let mut verification = Verification::new();
    usable(&table, &mut verification).unwrap();
    verification.to_string()
}

fn plant_cell(table: &Store, (slot, cell): (u32, u32), number: u64, key: u64) {
    let header = CellHeader::new(number, 1, true, 0, crc32(&key.to_ne_bytes()));
    let [first, second, third] = header.to_words();
    table.plant(table.geometry().cell(slot, cell), &[first, second, third, key]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn lies_with_a_right_seal_are_found() {
    let found = lie(|table, _, _| plant_cell(table, (3, 2), table.control_word(LAST) + 1, 3));
    assert!(found.contains("slot 3, cell 2: expected a transaction up to"), "{found}");

    let found = lie(|table, _, _| {
        let head = table.head_of(3);
        plant_cell(table, (3, head.cell() + 1), head.number(), 3);
    });
    assert!(found.contains("slot 3, cell 1: transaction") && found.contains("wrote cell 0 too"), "{found}");

    let found = lie(|table, _, _| {
        let head = table.head_of(3);
        plant_cell(table, (3, head.cell()), head.number(), 2);
    });
    assert!(found.contains("head of slot 3: slot 2 holds a record with the same key"), "{found}");

    let found = lie(|table, geometry, _| {
        let mut state = table.sealed_state(NEWEST_STATE).unwrap();
        state.live_count -= 1;
        table.plant(geometry.control() + NEWEST_STATE, &state.to_words(table.header().digest_seed()));
    });
    assert!(found.contains("6 records are counted, and the cells hold 7"), "{found}");

    let found = lie(|table, geometry, _| {
        let half = geometry.index_entry_count();
        let start = geometry.index() + half * usize::try_from(table.control_word(INDEX_EPOCH) & 1).unwrap();
        let entries = table.key_index().unwrap().entries().zip(start..);
        let (mut key, mut empty) = (0, 0);
        for (entry, index) in entries {
            match entry {
                IndexEntry::Key { .. } => key = index,
                _ => empty = index,
            }
        }
        table.plant(empty, &[table.word_at(key)]);
        table.plant(geometry.control() + INDEX_OCCUPIED, &[8]);
    });
    assert!(found.contains("two entries lead to slot"), "{found}");

    let sync = |change: fn(&mut SyncRecord)| {
        lie(|table, geometry, mut record| {
            change(&mut record);
            for number in 0..2 {
                table.plant(geometry.sync_record(number), &record.to_words(table.header().digest_seed()));
            }
            table.plant(geometry.control() + DURABLE, &[record.state.number]);
        })
    };
    let found = sync(|record| record.state.number += 2);
    assert!(found.contains("is durable, and the last that is published"), "{found}");
    let found = sync(|record| record.predecessor = record.state.number + 1);
    assert!(found.contains("sync record 0: transaction") && found.contains("a later one"), "{found}");
    let found = sync(|record| record.generation_floor += 1);
    assert!(found.contains("its generation floor is 1, and the table's is 0"), "{found}");
}

/// What was left half done was once finished before anything was looked at, so nothing was found in a file that every
/// opener recovers.
#[test]
#[cfg_attr(miri, ignore = "Miri maps no files")]
fn an_intent_list_that_no_writer_left_is_found() {
    let found = lie(|table, geometry, _| {
        let intent = table.word_at(geometry.intents());
        table.plant(geometry.intents(), &[intent, intent]);
        table.plant(geometry.control() + INTENT_COUNT, &[2]);
    });
    assert!(found.contains("what a writer left half done, or a sync, contradicts the records"), "{found}");
}
