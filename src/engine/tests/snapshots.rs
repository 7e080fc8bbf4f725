//! Snapshots, and the copies that read-only handles make for them, beside writers that never pause or died half way.

use super::{heap_store, words_of};
use crate::admin::problems_of;
use crate::engine::read::SNAPSHOT_ATTEMPT_COUNT;
use crate::engine::tests::readers::interleave;
use crate::engine::tests::world::{header, settings, store_of};
use crate::engine::{Access, Encoded, Settings, Store};
use crate::error::Error;
use crate::format::control::{INTENDED_STATE, LAST, PREPARED, SUPERSEDED, USED};
use crate::sys::probe::{self, Event, die_after_store};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The records of a table: values by keys.
type Records = BTreeMap<u64, u64>;
/// The records after each transaction that was published or is about to be.
type States = Arc<Mutex<BTreeMap<u64, Records>>>;

fn records_of(store: &Store) -> Records {
    let mut payload = [0; 2];
    let read = |slot| store.read_slot(slot, &mut payload).unwrap().map(|_| (payload[0], payload[1]));
    (0..store.geometry().capacity()).filter_map(read).collect()
}

/// One random change of a table and of its model: of one record or of several, some of them given up.
fn write(store: &Store, random: &mut fastrand::Rng, records: &mut Records, states: &States) {
    let number = store.control_word(USED) + 1;
    let (key, value) = (random.u64(..6), random.u64(..1000));
    let expect = |records: &Records| drop(states.lock().unwrap().insert(number, records.clone()));
    let is_full = |records: &Records| records.len() == store.geometry().capacity() as usize;
    if random.u32(..2) == 0 {
        if let Some(meta) = store.find(&key.to_ne_bytes(), &mut [0; 2]).unwrap().filter(|_| random.bool()) {
            records.remove(&key);
            expect(records);
            store.delete(meta.id, None).unwrap();
        } else if records.contains_key(&key) || !is_full(records) {
            records.insert(key, value);
            expect(records);
            store.upsert(Encoded::new(&[key, value])).unwrap();
        }
        return;
    }
    let mut transaction = store.begin().unwrap();
    let mut after = records.clone();
    for _ in 0..random.u32(1..4) {
        let key = random.u64(..6);
        let found = transaction.find(&[key, 0], &mut [0; 2]).unwrap();
        match found.filter(|_| random.bool()) {
            Some(meta) => {
                transaction.delete(meta.id, None).unwrap();
                after.remove(&key);
            }
            None => {
                if transaction.upsert(Encoded::new(&[key, value])).is_ok() {
                    after.insert(key, value);
                }
            }
        }
    }
    if random.u32(..4) > 0 {
        expect(&after);
        transaction.commit().unwrap();
        *records = after;
    }
}

#[test]
fn a_copy_made_while_others_write_is_exactly_one_of_the_states_that_the_table_had() {
    for seed in 0..if cfg!(miri) { 1 } else { 600 } {
        let store = Arc::new(heap_store(header(4), settings()));
        let states = States::default();
        states.lock().unwrap().insert(store.control_word(PREPARED), Records::new());
        let (reading, writing) = (Arc::clone(&store), store);
        let (known, told) = (Arc::clone(&states), states);
        interleave(
            seed,
            move || {
                for _ in 0..4 {
                    let before = reading.control_word(PREPARED);
                    let copy = reading.copy_of_newest_state().unwrap();
                    let after = reading.control_word(PREPARED);
                    let number = copy.control_word(LAST);
                    assert!((before..=after).contains(&number), "{number} is not of the time from {before} to {after}");
                    let expected = known.lock().unwrap()[&number].clone();
                    assert_eq!(records_of(&copy), expected, "transaction {number}");
                    let problems = problems_of(&copy);
                    assert!(problems.is_empty(), "{problems:?}");
                }
            },
            move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut records = Records::new();
                for step in 0..40 {
                    write(&writing, &mut random, &mut records, &told);
                    if step % 8 == 0 {
                        writing.sync().unwrap();
                    }
                }
            },
        );
    }
}

/// A table of this many records, each with its slot as its key.
fn table(slot_count: u64, lock_timeout: Duration) -> Arc<Store> {
    let store = heap_store(header(slot_count), Settings { lock_timeout, ..settings() });
    for key in 0..slot_count {
        store.insert(Encoded::new(&[key, 0])).unwrap();
    }
    Arc::new(store)
}

/// Makes a copy, and writes one record each time after this many of its loads.
fn copy_while_writing(
    store: &Arc<Store>,
    period: u32,
    mut write: impl FnMut(&Store) + 'static,
) -> Result<Store, Error> {
    probe::see_all_loads();
    let writing = Arc::clone(store);
    let mut load_count = 0;
    let hook = move |event: &Event<'_>| {
        if let Event::Load = event {
            load_count += 1;
            if load_count % period == 0 {
                write(&writing);
            }
        }
    };
    probe::with_hook(hook, || store.copy_of_newest_state()).unwrap()
}

#[test]
fn a_copy_needs_no_pause_of_those_who_write() {
    const SLOT_COUNT: u64 = 64;
    const WRITE_LIMIT: u64 = 1000;
    // Each record in turn; one record all the time, which is the last that a pass comes to; and two of them.
    let choices: [fn(u64) -> u64; 3] = [|round| round % SLOT_COUNT, |_| SLOT_COUNT - 1, |round| 62 + round % 2];
    for choose in choices {
        let store = table(SLOT_COUNT, Duration::from_secs(3600));
        let write_count = Arc::new(Mutex::new(0));
        let counting = Arc::clone(&write_count);
        let copy = copy_while_writing(&store, 25, move |store| {
            let mut count = counting.lock().unwrap();
            *count += 1;
            if *count < WRITE_LIMIT {
                store.upsert(Encoded::new(&[choose(*count), *count])).unwrap();
            }
        });
        let records = records_of(&copy.unwrap());
        let write_count = *write_count.lock().unwrap();
        assert!(write_count < WRITE_LIMIT, "it waited until nobody wrote any more");
        // The newest value says how far the table had come: each of its records must be exactly that far.
        let newest = *records.values().max().unwrap();
        let mut expected: Records = (0..SLOT_COUNT).map(|key| (key, 0)).collect();
        expected.extend((1..=newest).map(|round| (choose(round), round)));
        assert_eq!(records, expected);
    }
}

#[test]
fn a_copy_that_never_catches_up_is_given_up_after_the_lock_timeout() {
    for lock_timeout in [Duration::ZERO, Duration::from_millis(500)] {
        let store = table(2, lock_timeout);
        let start = Instant::now();
        let outcome = copy_while_writing(&store, 1, move |store| {
            assert!(start.elapsed() < Duration::from_secs(60), "it is never given up");
            for value in 0..3 {
                store.upsert(Encoded::new(&[1, value])).unwrap();
            }
        });
        let Err(Error::SnapshotBusy { attempt_count }) = outcome else { panic!("{:?}", outcome.map(drop)) };
        assert!(start.elapsed() >= lock_timeout);
        assert_eq!(attempt_count == 1, lock_timeout.is_zero(), "{attempt_count}");
    }
}

#[test]
fn a_copy_of_a_table_that_is_replaced_meanwhile_is_given_up_at_once() {
    let store = table(2, Duration::from_secs(3600));
    let superseded = store.geometry().control() + SUPERSEDED;
    let mut write_count = 0;
    let outcome = copy_while_writing(&store, 1, move |store| {
        write_count += 1;
        let written = (0..3).try_for_each(|value| store.upsert(Encoded::new(&[1, value])).map(drop));
        assert_eq!(written.is_err(), write_count > 500);
        if write_count == 500 {
            store.plant(superseded, &[1]);
        }
    });
    assert!(matches!(outcome, Err(Error::Superseded)), "{:?}", outcome.map(drop));
}

/// Once the runs without the lock are used up, nothing is written while the body runs. Whether a test noticed that the
/// lock was missing used to depend on which thread was faster.
#[test]
fn the_last_run_of_a_snapshot_holds_the_lock_and_those_before_do_not() {
    let store = table(1, Duration::from_millis(10));
    let mut run_count = 0;
    let seen = store.snapshot(|moment| {
        run_count += 1;
        let write = || store.upsert(Encoded::new(&[0, run_count])).map(drop).map_err(Error::from);
        let outcome = std::thread::scope(|scope| scope.spawn(write).join().unwrap());
        if run_count <= u64::from(SNAPSHOT_ATTEMPT_COUNT) {
            outcome.unwrap();
            // Neither a value nor an error from such a run is returned to the caller.
            assert!(matches!(moment.check().map_err(Error::from), Err(Error::StaleSnapshot)));
            return if run_count % 2 == 0 { Ok(0) } else { Err(Error::caller("of a moment that has passed")) };
        }
        assert!(matches!(outcome, Err(Error::Timeout { lock: crate::error::TableLock::Write, .. })), "{outcome:?}");
        let mut payload = [0; 2];
        moment.find(&0_u64.to_ne_bytes(), &mut payload)?;
        Ok(payload[1])
    });
    assert_eq!((seen.unwrap(), run_count), (u64::from(SNAPSHOT_ATTEMPT_COUNT), u64::from(SNAPSHOT_ATTEMPT_COUNT) + 1));
    store.upsert(Encoded::new(&[0, 1])).unwrap();
}

#[test]
fn the_body_of_a_snapshot_that_nobody_disturbs_runs_once_whatever_it_returns() {
    let mut store = Arc::into_inner(table(1, Duration::ZERO)).unwrap();
    for access in [Access::ReadWrite, Access::ReadOnly] {
        store.access = access;
        for is_error in [false, true] {
            let mut run_count = 0;
            let outcome = store.snapshot(|_| {
                run_count += 1;
                if is_error { Err(Error::caller("not today")) } else { Ok(()) }
            });
            assert_eq!((outcome.is_err(), run_count), (is_error, 1));
        }
    }
}

/// The last run of a read-only handle is on its own copy: what others write meanwhile does not disturb it, and it holds
/// no other process up.
#[test]
fn the_last_run_of_a_read_only_snapshot_is_one_and_undisturbed() {
    let writing = table(2, Duration::from_secs(3600));
    let mut reading = store_of(words_of(&writing), writing.header());
    reading.access = Access::ReadOnly;
    let mut run_count = 0;
    let seen = reading.snapshot(|moment| {
        run_count += 1;
        // What another process would write: the same words, of the next transaction.
        let write = || writing.upsert(Encoded::new(&[0, run_count])).map(drop);
        std::thread::scope(|scope| scope.spawn(write).join().unwrap()).unwrap();
        reading.plant(0, &words_of(&writing));
        let mut payload = [0; 2];
        moment.find(&0_u64.to_ne_bytes(), &mut payload)?;
        assert_eq!(moment.live_count()?, 2);
        Ok::<_, Error>(payload[1])
    });
    assert_eq!((seen.unwrap(), run_count), (u64::from(SNAPSHOT_ATTEMPT_COUNT), u64::from(SNAPSHOT_ATTEMPT_COUNT) + 1));
}

/// A read-only handle on a table of three records, and whether the transaction that wrote two of them had been prepared when
/// its process died, after this many stores. `None` if it has fewer.
fn after_a_death(store_count: u32, lock_timeout: Duration) -> Option<(Store, bool)> {
    let mut store = Arc::into_inner(table(3, lock_timeout)).unwrap();
    let before = store.control_word(PREPARED);
    let write = || {
        let mut transaction = store.begin().unwrap();
        for key in 0..2 {
            transaction.upsert(Encoded::new(&[key, 1])).unwrap();
        }
        transaction.commit().unwrap();
    };
    if die_after_store(store_count, write).is_some() {
        return None;
    }
    store.access = Access::ReadOnly;
    let is_prepared = store.control_word(PREPARED) != before;
    Some((store, is_prepared))
}

/// A read-only snapshot was once an error until a process came that could repair.
#[test]
fn a_snapshot_beside_a_dead_writer_sees_what_was_prepared_as_done_at_once() {
    let mut found = Vec::new();
    for store_count in 1.. {
        let Some((store, has_happened)) = after_a_death(store_count, Duration::ZERO) else { break };
        let values = store
            .snapshot(|moment| {
                let mut payload = [0; 2];
                let mut value = |key: u64| {
                    moment.find(&key.to_ne_bytes(), &mut payload)?.expect("it is always there");
                    Ok::<_, Error>(payload[1])
                };
                Ok::<_, Error>([value(0)?, value(1)?, value(2)?])
            })
            .unwrap();
        let written = u64::from(has_happened);
        assert_eq!(values, [written, written, 0], "after {store_count} stores");
        found.push(has_happened);
    }
    assert!(found.contains(&false) && found.contains(&true));
}

#[test]
fn a_copy_of_what_is_damaged_is_an_error_that_says_so_and_not_that_others_write() {
    let half_published = || {
        let mut deaths = (1..).map_while(|store_count| after_a_death(store_count, Duration::from_secs(10)));
        deaths.find(|(store, _)| store.control_word(PREPARED) != store.control_word(LAST)).unwrap().0
    };
    let geometry = *half_published().geometry();
    // The check of a record that the transaction left alone, and of the one that it wrote; and the sealed intent.
    let check = |slot, cell| geometry.cell(slot, cell) + 2;
    for word in [check(2, 0), check(0, 1), geometry.control() + INTENDED_STATE + 2] {
        let store = half_published();
        store.plant(word, &[store.word_at(word) ^ 1 << 40]);
        let outcome = store.snapshot(|_| Ok(()));
        assert!(matches!(outcome, Err(Error::Damaged { .. })), "word {word}: {outcome:?}");
    }
}
