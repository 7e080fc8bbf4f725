//! The golden file: what a fixed history leaves in a file, byte by byte. A file that a release has written stays readable, so
//! if a test here fails after a release, the format needs another version, and not another golden file.
//!
//! Until then, when the format was changed on purpose, the file is written anew by
//!
//! ```text
//! LOCULE_WRITE_GOLDEN_FILE=1 cargo test golden
//! ```
//!
//! That run fails, so that a run that was meant to compare cannot pass by writing.
#![cfg(target_endian = "little")]

use super::{Encoded, Settings, Store};
use crate::engine::tests::{heap_store, heap_store_of};
use crate::engine::transaction::Transaction;
use crate::format::control::LAST_SYNC_MILLISECONDS;
use crate::format::header::Header;
use crate::sys::words::Ordering;
use crate::{Record, RecordId, Result, Text};

crate::record! {
    /// Seventeen bytes, so that some are left in the last word.
    struct Visit {
        /// The number in the visitor's cookie.
        key id: u32,
        name: Text<6>,
        score: Option<f32> = Some(0.5),
    }
}

const GOLDEN_FILE: &[u8] = include_bytes!("../../tests/golden/visits.loc");

fn settings() -> Settings {
    // 2001-02-03T04:05:06.000007Z
    Settings { sync_every: None, wall_clock: || 981_173_106_000_007, ..Settings::default() }
}

fn visit(id: u32, name: &str, score: Option<f32>) -> Visit {
    Visit { id, name: Text::new(name).unwrap(), score }
}

fn words_of(visit: Visit) -> <Visit as Record>::Words {
    let mut words = Visit::ZEROED;
    visit.encode(&mut bytemuck::cast_slice_mut(&mut words)[..Visit::RECORD_BYTES]);
    words
}

fn insert(transaction: &mut Transaction<'_>, visit: Visit) -> RecordId {
    let record = words_of(visit);
    transaction.insert(Encoded::new(&record)).unwrap().id
}

fn update(transaction: &mut Transaction<'_>, id: RecordId, visit: Visit) {
    let record = words_of(visit);
    transaction.update(id, None, Encoded::new(&record)).unwrap();
}

fn one<R>(store: &Store, operation: impl FnOnce(&mut Transaction<'_>) -> R) -> R {
    let mut transaction = store.begin().unwrap();
    let result = operation(&mut transaction);
    transaction.commit().unwrap();
    result
}

/// A table of four slots with a bit of everything in it: cells of every kind, a slot that was used twice, a number that was
/// burned, two syncs, and writes after the last one.
fn history() -> Store {
    let uuid = *b"locule golden \x01\x02";
    let header = Header::new(4, Visit::schema(), uuid, 0x0123_4567_89ab_cdef, (settings().wall_clock)()).unwrap();
    let store = heap_store(header, settings());

    let ada = one(&store, |transaction| insert(transaction, visit(1, "ada", None)));
    let bob = one(&store, |transaction| insert(transaction, visit(2, "bob", Some(1.5))));
    one(&store, |transaction| insert(transaction, visit(3, "Łód", Some(-0.0))));
    store.sync().unwrap();
    one(&store, |transaction| update(transaction, ada, visit(1, "ada", Some(f32::NAN))));
    one(&store, |transaction| transaction.delete(bob, None)).unwrap();
    one(&store, |transaction| {
        insert(transaction, visit(4, "", Some(f32::INFINITY)));
        update(transaction, ada, visit(1, "ada L.", Some(3.25)));
    });
    store.sync().unwrap();
    one(&store, |transaction| insert(transaction, visit(5, "mia", Some(1e-45))));
    let mut burned = store.begin().unwrap();
    update(&mut burned, ada, visit(1, "nobody", None));
    drop(burned);
    one(&store, |transaction| update(transaction, ada, visit(1, "ada", None)));
    store
}

/// What is in the table at the end of the history.
fn rows_at_the_end() -> Vec<(u32, Visit)> {
    vec![
        (0, visit(1, "ada", None)),
        (1, visit(4, "", Some(f32::INFINITY))),
        (2, visit(3, "Łód", Some(-0.0))),
        (3, visit(5, "mia", Some(1e-45))),
    ]
}

fn rows(store: &Store) -> Result<Vec<(u32, Visit)>> {
    let mut rows = Vec::new();
    for slot in 0..store.geometry().capacity() {
        let mut words = Visit::ZEROED;
        if store.read_slot(slot, &mut words)?.is_some() {
            rows.push((slot, Visit::decode(&bytemuck::cast_slice(&words)[..Visit::RECORD_BYTES])?));
        }
    }
    Ok(rows)
}

#[test]
fn the_golden_history_leaves_the_golden_file() {
    let store = history();
    assert_eq!(rows(&store).unwrap(), rows_at_the_end());
    // The only word that comes from a clock other than that of the settings.
    store.control().store(LAST_SYNC_MILLISECONDS, 0, Ordering::Relaxed);
    let mut words = vec![0; store.geometry().word_count()];
    store.words().copy_to(&mut words);
    let bytes: &[u8] = bytemuck::cast_slice(&words);

    if std::env::var_os("LOCULE_WRITE_GOLDEN_FILE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/visits.loc");
        std::fs::write(path, bytes).unwrap();
        panic!("{path} was written: look at the difference, and run again without LOCULE_WRITE_GOLDEN_FILE");
    }
    assert_eq!(bytes.len(), GOLDEN_FILE.len());
    for (offset, (found, golden)) in bytes.chunks(8).zip(GOLDEN_FILE.chunks(8)).enumerate() {
        assert_eq!(found, golden, "the word at byte {} is not that of the golden file", offset * 8);
    }
}

#[test]
fn a_golden_file_of_another_machine_start_is_recovered_with_every_row() {
    let header = Header::decode(GOLDEN_FILE, "visits.loc".as_ref()).unwrap();
    assert!(header.schema.same_records(&Visit::schema()));
    let words = GOLDEN_FILE.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
    let store = heap_store_of(words.collect(), header, settings(), false).unwrap();
    assert_eq!(rows(&store).unwrap(), rows_at_the_end());
}
