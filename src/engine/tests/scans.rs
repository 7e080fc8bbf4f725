//! Scans: what a filter accepts is found, whole and as it was when it was accepted, also beside writers.

use super::actor::{Actor, Outcome};
use super::heap_store;
use super::readers::interleave;
use super::world::{header, settings, wide_header};
use crate::engine::read::Meta;
use crate::engine::scan::Scan;
use crate::engine::{Encoded, Settings, Store};
use crate::error::Error;
use crate::layout::filter::{Filter, RecordWords};
use crate::sys::probe;
use std::ops::Range;
use std::sync::Arc;

/// Accepts records whose value, their second word, is in a range.
#[derive(Clone)]
struct Values(Range<u64>);

impl Filter for Values {
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        self.0.contains(&record.word(1))
    }
}

/// Key and value of all records with values in a range.
fn found(mut source: impl Scan, values: Range<u64>) -> Vec<(u64, u64)> {
    let mut slots = source.slots();
    let mut payload = [0; 2];
    let mut found = Vec::new();
    while source.scan(&mut slots, &mut Values(values.clone()), &mut payload).unwrap().is_some() {
        found.push((payload[0], payload[1]));
    }
    found
}

fn table(records: impl IntoIterator<Item = (u64, u64)>) -> Arc<Store> {
    let store = heap_store(header(40), settings());
    for (key, value) in records {
        insert(&store, key, value);
    }
    Arc::new(store)
}

fn insert(store: &Store, key: u64, value: u64) -> Meta {
    store.insert(Encoded::new(&[key, value])).unwrap()
}

#[test]
fn what_is_accepted_is_found_with_its_id_and_its_version() {
    let store = table((0..20).map(|key| (key, 100 + key)));
    let mut source = &*store;
    assert_eq!(found(source, 110..113), [(10, 110), (11, 111), (12, 112)]);
    assert_eq!(found(source, 0..100), []);
    assert_eq!(found(source, 0..u64::MAX).len(), 20);
    let mut payload = [0; 2];
    let mut slots = source.slots();
    let meta = source.scan(&mut slots, &mut Values(107..108), &mut payload).unwrap();
    assert_eq!(meta, store.find(&7_u64.to_ne_bytes(), &mut [0; 2]).unwrap());
    // The next call goes on behind it; a range beyond the table ends with it.
    assert_eq!(slots, meta.unwrap().id.slot() + 1..40);
    assert_eq!(source.scan(&mut slots, &mut Values(107..108), &mut payload).unwrap(), None);
    assert!(slots.is_empty());
    assert_eq!(source.scan(&mut (30..u32::MAX), &mut Values(0..u64::MAX), &mut payload).unwrap(), None);
}

/// The filter is not asked about records that were deleted, and what it does not look at is not read.
#[test]
fn only_live_records_are_asked_about_and_only_what_is_accepted_is_verified() {
    let store = table((0..5).map(|key| (key, 100 + key)));
    let meta = store.find(&3_u64.to_ne_bytes(), &mut [0; 2]).unwrap().unwrap();
    store.delete(meta.id, None).unwrap();
    assert_eq!(found(&*store, 0..u64::MAX).len(), 4);
    // A bit of the key of another one is turned over.
    let rotten = store.find(&2_u64.to_ne_bytes(), &mut [0; 2]).unwrap().unwrap().id.slot();
    let place = store.geometry().cell(rotten, store.head_of(rotten).cell()) + crate::format::cell::CELL_HEADER_WORDS;
    store.plant(place, &[store.word_at(place) ^ 1]);
    assert_eq!(found(&*store, 103..200), [(4, 104)]);
    let mut source = &*store;
    let mut slots = source.slots();
    let error = source.scan(&mut slots, &mut Values(102..200), &mut [0; 2]).map_err(Error::from).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    // After the error it goes on behind the record.
    assert_eq!(slots.start, rotten + 1);
    let next = source.scan(&mut slots, &mut Values(102..200), &mut [0; 2]).unwrap();
    assert_eq!(next.map(|meta| meta.id.slot()), Some(4));
}

#[test]
fn unverified_handles_do_not_verify() {
    let store = heap_store(header(3), Settings { verify_reads: false, ..settings() });
    insert(&store, 1, 100);
    let place = store.geometry().cell(0, store.head_of(0).cell()) + crate::format::cell::CELL_HEADER_WORDS;
    store.plant(place, &[9]);
    assert_eq!(found(&store, 0..u64::MAX), [(9, 100)]);
    // What a transaction sees may be written back, so it is verified anyway.
    let mut transaction = store.begin().unwrap();
    let mut slots = transaction.slots();
    let error = transaction.scan(&mut slots, &mut Values(0..u64::MAX), &mut [0; 2]).map_err(Error::from);
    assert!(matches!(error, Err(Error::Damaged { .. })));
}

#[test]
fn what_was_accepted_is_what_is_returned() {
    // Key, value and more words, so that there is much between what is looked at and what is copied.
    const WIDE_WORDS: usize = 6;
    for seed in 0..if cfg!(miri) { 2 } else { 600 } {
        let store = Arc::new(heap_store(wide_header(1, WIDE_WORDS - 2), settings()));
        let record = |value: u64| [1, value, value, value, value, value];
        let id = store.insert(Encoded::new(&record(100))).unwrap().id;
        let (reading, writing) = (Arc::clone(&store), store);
        interleave(
            seed,
            move || {
                for _ in 0..8 {
                    let mut payload = [0; WIDE_WORDS];
                    let mut source = &*reading;
                    let mut slots = source.slots();
                    let meta = source.scan(&mut slots, &mut Even, &mut payload).unwrap();
                    if let Some(meta) = meta {
                        let value = 100 + u64::from(meta.update_count);
                        assert_eq!(payload, record(value), "a mixture of two writes");
                        assert_eq!(value % 2, 0, "another record than the one that was accepted");
                    }
                }
            },
            move || {
                for value in 101..112 {
                    if value % 3 == 0 {
                        // Staged and given up: no scan may ever see it.
                        let mut transaction = writing.begin().unwrap();
                        transaction.update(id, None, Encoded::new(&record(998))).unwrap();
                        drop(transaction);
                    }
                    writing.update(id, None, Encoded::new(&record(value))).unwrap();
                }
            },
        );
    }
}

struct Even;

impl Filter for Even {
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        record.word(1) % 2 == 0
    }
}

/// A record that always satisfies the filter must be found, whatever happens to it meanwhile.
#[test]
fn what_is_always_accepted_is_always_found() {
    for seed in 0..if cfg!(miri) { 2 } else { 600 } {
        let store = table([(1, 100)]);
        let id = store.find(&1_u64.to_ne_bytes(), &mut [0; 2]).unwrap().unwrap().id;
        let (reading, writing) = (Arc::clone(&store), store);
        interleave(
            seed,
            move || (0..8).for_each(|_| assert_eq!(found(&*reading, 100..200).len(), 1, "a record was missed")),
            move || {
                for value in 101..112 {
                    let mut transaction = writing.begin().unwrap();
                    transaction.update(id, None, Encoded::new(&[1, 999])).unwrap();
                    drop(transaction);
                    writing.update(id, None, Encoded::new(&[1, value])).unwrap();
                }
            },
        );
    }
}

/// A refusal counts only if the cell still held the record when its words were looked at: otherwise the record is missed.
#[test]
fn a_scan_that_stood_still_refuses_nothing_by_what_was_staged_meanwhile() {
    for steps in 1.. {
        let store = table([(1, 100)]);
        let id = store.find(&1_u64.to_ne_bytes(), &mut [0; 2]).unwrap().unwrap().id;
        let reading = Arc::clone(&store);
        let reader = Actor::start(
            |_: &probe::Event<'_>| false,
            move || {
                probe::see_all_loads();
                let found = found(&*reading, 100..200);
                assert!(matches!(*found, [(1, 100 | 101)]), "a record was missed: {found:?}");
            },
        );
        let Outcome::Running(reader) = reader.advance(steps) else { return assert!(steps > 8) };
        // The current cell is another one now, and the one that was current holds what is not published.
        store.update(id, None, Encoded::new(&[1, 101])).unwrap();
        let mut transaction = store.begin().unwrap();
        transaction.update(id, None, Encoded::new(&[1, 999])).unwrap();
        assert!(matches!(reader.advance(u32::MAX), Outcome::Done));
    }
}

#[test]
fn a_scan_of_a_moment_says_so_when_the_moment_has_passed() {
    let store = table((0..5).map(|key| (key, 100)));
    let mut run_count = 0;
    let counted = store.snapshot(|mut moment| {
        run_count += 1;
        let mut slots = moment.slots();
        let mut payload = [0; 2];
        moment.scan(&mut slots, &mut Values(100..101), &mut payload)?.expect("there are five");
        if run_count == 1 {
            std::thread::scope(|scope| scope.spawn(|| insert(&store, 10, 100)).join().unwrap());
            let next = moment.scan(&mut slots, &mut Values(100..101), &mut payload).map_err(Error::from);
            assert!(matches!(next, Err(Error::StaleSnapshot)));
            // Nor is there nothing more.
            let nothing = moment.scan(&mut (0..0), &mut Values(100..101), &mut payload).map_err(Error::from);
            assert!(matches!(nothing, Err(Error::StaleSnapshot)));
        }
        let mut count = 1;
        while moment.scan(&mut slots, &mut Values(100..101), &mut payload)?.is_some() {
            count += 1;
        }
        Ok::<_, Error>(count)
    });
    assert_eq!((counted.unwrap(), run_count), (6, 2));
}

/// What a transaction sees in a scan is what it sees slot by slot, however much it has staged.
#[test]
fn a_transaction_finds_what_it_staged_itself() {
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..if cfg!(miri) { 2 } else { 300 } {
        let store = table((0..20).map(|key| (key, random.u64(0..6))));
        let mut transaction = store.begin().unwrap();
        for step in 0..random.u64(0..25) {
            let slot = random.u32(0..20);
            let mut payload = [0; 2];
            let there = transaction.read_slot(slot, &mut payload).unwrap();
            let outcome = match (there, random.u32(0..3)) {
                (Some(meta), 0) => transaction.delete(meta.id, None),
                (Some(meta), _) => transaction.update(meta.id, None, Encoded::new(&[payload[0], random.u64(0..6)])),
                (None, _) => transaction.insert(Encoded::new(&[100 + step, random.u64(0..6)])),
            };
            outcome.unwrap();
        }
        let mut expected = Vec::new();
        for slot in 0..transaction.capacity() {
            let mut payload = [0; 2];
            let meta = transaction.read_slot(slot, &mut payload).unwrap();
            expected.extend(meta.filter(|_| (2..4).contains(&payload[1])).map(|meta| (meta, payload)));
        }
        let mut slots = transaction.slots();
        let mut payload = [0; 2];
        let mut found = Vec::new();
        while let Some(meta) = transaction.scan(&mut slots, &mut Values(2..4), &mut payload).unwrap() {
            found.push((meta, payload));
        }
        assert_eq!(found, expected, "round {round}");
    }
}
