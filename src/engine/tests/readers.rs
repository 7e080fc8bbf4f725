//! Lock-free readers against writers, access by access: either stands still while the other goes on.

use super::{heap_store, new_words};
use crate::engine::tests::actor::{Actor, Outcome};
use crate::engine::tests::world::{header, settings};
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::sys::probe;
use std::sync::Arc;

const STEPS: [u32; 8] = [1, 1, 2, 3, 8, 30, 200, 1000];

/// Runs a reader and a writer in an order that the seed decides.
pub fn interleave(seed: u64, reader: impl FnOnce() + Send + 'static, writer: impl FnOnce() + Send + 'static) {
    let mut random = fastrand::Rng::with_seed(seed);
    let never_stops = |_: &probe::Event<'_>| false;
    let reader = Actor::start(never_stops, move || {
        probe::see_all_loads();
        reader();
    });
    let mut actors = [Some(reader), Some(Actor::start(never_stops, writer))];
    while actors.iter().any(Option::is_some) {
        let chosen = random.usize(..2);
        if let Some(actor) = actors[chosen].take() {
            if let Outcome::Running(actor) = actor.advance(STEPS[random.usize(..STEPS.len())]) {
                actors[chosen] = Some(actor);
            }
        }
    }
}

fn table(slot_count: u64) -> Arc<Store> {
    Arc::new(heap_store(header(slot_count), settings()))
}

fn insert(store: &Store, key: u64, value: u64) {
    store.insert(Encoded::new(&[key, value])).unwrap();
}

fn find(store: &Store, key: u64) -> Option<u64> {
    let mut payload = [0; 2];
    let found = store.find(&key.to_ne_bytes(), &mut payload).unwrap();
    found.map(|_| payload[1])
}

fn delete(store: &Store, key: u64) {
    let mut payload = [0; 2];
    let meta = store.find(&key.to_ne_bytes(), &mut payload).unwrap().expect("it is there");
    store.delete(meta.id, None).unwrap();
}

#[test]
fn a_reader_gets_exactly_what_was_published_and_never_something_older() {
    for seed in 0..if cfg!(miri) { 2 } else { 600 } {
        let store = table(1);
        insert(&store, 1, 100);
        let (reading, writing) = (Arc::clone(&store), store);
        interleave(
            seed,
            move || {
                let mut newest = 0;
                for _ in 0..6 {
                    let mut payload = [0; 2];
                    // Every write so far has value 100 + its number of updates, and the version that goes with it.
                    let meta = reading.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().expect("it is always there");
                    assert_eq!(payload[1], 100 + u64::from(meta.update_count), "a mixture of two writes");
                    assert!(meta.version >= newest, "something older than what was seen before");
                    newest = meta.version;
                }
            },
            move || {
                let mut payload = [0; 2];
                for step in 1..12 {
                    let meta = writing.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().expect("it is there");
                    if step % 3 == 0 {
                        // Staged and given up: no reader may ever see it.
                        let mut transaction = writing.begin().unwrap();
                        transaction.update(meta.id, None, Encoded::new(&[1, 999])).unwrap();
                        drop(transaction);
                    }
                    let value = 101 + u64::from(meta.update_count);
                    writing.update(meta.id, None, Encoded::new(&[1, value])).unwrap();
                }
            },
        );
    }
}

#[test]
fn what_is_only_staged_is_not_seen_by_a_reader_that_stood_still_before() {
    for steps in 1.. {
        let store = table(1);
        insert(&store, 1, 100);
        let id = store.find(&1_u64.to_ne_bytes(), &mut [0; 2]).unwrap().expect("it is there").id;
        let reading = Arc::clone(&store);
        let reader = Actor::start(
            |_: &probe::Event<'_>| false,
            move || {
                probe::see_all_loads();
                assert!(matches!(find(&reading, 1), Some(100 | 101)), "only staged, and seen");
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
fn what_a_snapshot_reads_is_of_one_moment() {
    for seed in 0..if cfg!(miri) { 2 } else { 600 } {
        let store = table(2);
        insert(&store, 1, 100);
        insert(&store, 2, 100);
        let (reading, writing) = (Arc::clone(&store), store);
        interleave(
            seed,
            move || {
                for _ in 0..4 {
                    let seen = reading.snapshot(|moment| {
                        let mut values = [0; 2];
                        for (key, value) in (1_u64..).zip(&mut values) {
                            let mut payload = [0; 2];
                            moment.find(&key.to_ne_bytes(), &mut payload)?.expect("it is always there");
                            *value = payload[1];
                        }
                        // Even in a run whose result is thrown away.
                        assert_eq!(values[0], values[1], "two records of different moments");
                        Ok::<_, Error>(values[0])
                    });
                    assert!((100..105).contains(&seen.unwrap()));
                }
            },
            move || {
                for value in 101..105 {
                    let mut transaction = writing.begin().unwrap();
                    transaction.upsert(Encoded::new(&[1, value])).unwrap();
                    transaction.upsert(Encoded::new(&[2, value])).unwrap();
                    transaction.commit().unwrap();
                }
            },
        );
    }
}

#[test]
fn a_key_that_is_there_all_the_time_is_never_missed() {
    for seed in 0..if cfg!(miri) { 2 } else { 2000 } {
        let store = table(3);
        // Other keys come and go around it, so that its way through the index changes.
        let mut random = fastrand::Rng::with_seed(seed);
        let key = random.u64(..50);
        insert(&store, 60 + random.u64(..50), 1);
        insert(&store, key, 7);
        let (reading, writing) = (Arc::clone(&store), store);
        interleave(
            seed,
            move || {
                for _ in 0..4 {
                    assert_eq!(find(&reading, key), Some(7), "a live key was missed");
                }
            },
            move || {
                for step in 0..4 {
                    let other = 200 + random.u64(..50);
                    insert(&writing, other, 1);
                    if step % 2 == 1 {
                        let _transaction = writing.begin().unwrap();
                        writing.view().index().rebuild(0);
                    }
                    delete(&writing, other);
                }
            },
        );
    }
}

#[test]
fn a_search_that_stands_still_while_the_index_is_rebuilt_twice_misses_nothing() {
    // A reader stops after each of its accesses, a writer goes on to each of its own, and the reader then finishes. So
    // it also looks into a table that is just being cleared for the second rebuild.
    let never_stops = |_: &probe::Event<'_>| false;
    for reader_steps in (1..12).step_by(if cfg!(miri) { 4 } else { 1 }) {
        for writer_steps in (1..).step_by(if cfg!(miri) { 29 } else { 1 }) {
            let store = table(3);
            insert(&store, 1, 7);
            insert(&store, 2, 8);
            let (reading, writing) = (Arc::clone(&store), Arc::clone(&store));
            let reader = Actor::start(never_stops, move || {
                probe::see_all_loads();
                assert_eq!(find(&reading, 2), Some(8), "a live key was missed");
            });
            let writer = Actor::start(never_stops, move || {
                let _transaction = writing.begin().unwrap();
                writing.view().index().rebuild(0);
                writing.view().index().rebuild(0);
            });
            let Outcome::Running(reader) = reader.advance(reader_steps) else { break };
            let writer = writer.advance(writer_steps);
            assert!(matches!(reader.advance(u32::MAX), Outcome::Done));
            let Outcome::Running(writer) = writer else { break };
            writer.kill(&store);
        }
    }
}

/// The two ways to write a record: on its own, and in a transaction that could write more.
type Write = (fn(&Store, u64, u64), fn(&Store, u64));

fn insert_in_transaction(store: &Store, key: u64, value: u64) {
    let mut transaction = store.begin().unwrap();
    transaction.insert(Encoded::new(&[key, value])).unwrap();
    transaction.commit().unwrap();
}

fn delete_in_transaction(store: &Store, key: u64) {
    let mut transaction = store.begin().unwrap();
    let meta = transaction.find(&[key, 0], &mut [0; 2]).unwrap().expect("it is there");
    transaction.delete(meta.id, None).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_key_is_there_from_the_moment_of_its_insertion_to_that_of_its_deletion() {
    let ways: [Write; 2] = [(insert, delete), (insert_in_transaction, delete_in_transaction)];
    for (seed, (insert_one, delete_one)) in (0..if cfg!(miri) { 2 } else { 4000 }).zip(ways.into_iter().cycle()) {
        let store = table(3);
        let mut random = fastrand::Rng::with_seed(seed);
        let (key, other) = (random.u64(..50), 100 + random.u64(..50));
        insert(&store, other, 1);
        let (reading, writing) = (Arc::clone(&store), Arc::clone(&store));
        let slot = 1;
        interleave(
            seed,
            move || {
                let mut payload = [0; 2];
                // By id and by key must agree: what is seen in its slot before and after was there in between.
                for _ in 0..8 {
                    let before = reading.read_slot(slot, &mut payload).unwrap();
                    let found = find(&reading, key);
                    let after = reading.read_slot(slot, &mut payload).unwrap();
                    if let (Some(before), Some(after)) = (before, after) {
                        let is_same = before.id == after.id && payload.first() == Some(&key);
                        assert!(!is_same || found.is_some(), "a live key was missed");
                    }
                }
            },
            move || {
                for _ in 0..2 {
                    insert_one(&writing, key, 7);
                    delete_one(&writing, other);
                    insert_one(&writing, other, 1);
                    delete_one(&writing, key);
                    insert_one(&writing, 300, 1);
                    delete_one(&writing, 300);
                }
            },
        );
    }
}

#[test]
fn a_stopped_writer_holds_no_reader_up() {
    // The writer is stopped at each of its accesses for ever; a reader then finishes nevertheless.
    for steps in (1..).step_by(if cfg!(miri) { 29 } else { 1 }) {
        let store = table(2);
        insert(&store, 1, 100);
        insert(&store, 2, 100);
        let writing = Arc::clone(&store);
        let writer = Actor::start(
            |_: &probe::Event<'_>| false,
            move || {
                let mut transaction = writing.begin().unwrap();
                transaction.upsert(Encoded::new(&[1, 101])).unwrap();
                let mut payload = [0; 2];
                let meta = transaction.find(&[2, 0], &mut payload).unwrap().expect("it is there");
                transaction.delete(meta.id, None).unwrap();
                transaction.commit().unwrap();
            },
        );
        let Outcome::Running(writer) = writer.advance(steps) else { return };
        assert!(matches!(find(&store, 1), Some(100 | 101)));
        assert!(matches!(find(&store, 2), Some(100) | None));
        assert_eq!(find(&store, 3), None);
        assert!(store.live_count().unwrap() >= 1);
        writer.kill(&store);
    }
}

#[test]
fn the_first_words_of_a_new_file_are_its_header() {
    let header = header(1);
    let words = new_words(&header);
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let decoded = crate::format::header::Header::decode(bytes, std::path::Path::new("test")).unwrap();
    assert_eq!(decoded, header);
}
