//! Reading one slot while it is written, and the moment of several reads.

use super::{Start, body, first, get};
use crate::engine::commit::{ListedChanges, Tally};
use crate::engine::copy::CopyOfNewest;
use crate::engine::transaction::Transaction;
use crate::engine::{Encoded, Store};
use crate::format::cell::CELL_HEADER_WORDS;
use crate::format::control::PREPARED;
use crate::format::sync_record::State;
use crate::sys::lock::Lock;
use crate::sys::words::Ordering;

#[test]
fn a_read_against_two_writes_gets_one_of_the_three_contents_whole() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let (meta, payload) = get(store, first(0)).expect("it is there all the time");
        let value = 100 + u64::from(meta.update_count);
        assert_eq!(payload, [value, value], "a mixture of two writes");
    });
    let writer = body(|store: &Store| {
        for value in [101] {
            store.update(first(0), None, Encoded::new(&[value, value])).unwrap();
        }
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_second_read_never_gets_something_older_than_the_first() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let (before, _) = get(store, first(0)).expect("it is there all the time");
        let (after, _) = get(store, first(0)).expect("it is there all the time");
        assert!(after.version >= before.version, "something older than what was seen before");
    });
    let writer = body(|store: &Store| {
        store.update(first(0), None, Encoded::new(&[101, 101])).unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

#[test]
fn a_read_by_id_against_a_slot_that_is_reused_gets_its_own_record_or_none() {
    let start = Start::new(1, true, |store| {
        store.insert(Encoded::new(&[1, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        if let Some((_, payload)) = get(store, first(0)) {
            assert_eq!(payload, [1, 100], "an id names no other record");
        }
    });
    let writer = body(|store: &Store| {
        store.delete(first(0), None).unwrap();
        store.insert(Encoded::new(&[2, 200])).unwrap();
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_read_of_a_slot_that_is_reused_gets_one_record_or_the_other() {
    let start = Start::new(1, true, |store| {
        store.insert(Encoded::new(&[1, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let mut payload = [0; 2];
        if let Some(meta) = store.read_slot(0, &mut payload).unwrap() {
            assert_eq!(payload, if meta.id == first(0) { [1, 100] } else { [2, 200] });
        }
    });
    let writer = body(|store: &Store| {
        store.delete(first(0), None).unwrap();
        store.insert(Encoded::new(&[2, 200])).unwrap();
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_transaction_that_is_given_up_is_never_seen() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let (_, payload) = get(store, first(0)).expect("it is there all the time");
        assert!([[100, 100], [101, 101]].contains(&payload), "{payload:?}");
    });
    let writer = body(|store: &Store| {
        let mut transaction = store.begin().unwrap();
        transaction.update(first(0), None, Encoded::new(&[999, 999])).unwrap();
        drop(transaction);
        store.update(first(0), None, Encoded::new(&[101, 101])).unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

#[test]
fn what_a_snapshot_reads_is_of_one_moment_of_a_transaction_over_two_records() {
    let start = Start::new(2, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let value = store.snapshot(|moment| {
            let mut payload = [0; 2];
            moment.get(first(0), &mut payload)?.expect("always there");
            let one = payload[1];
            moment.get(first(1), &mut payload)?.expect("always there");
            // Even in a run whose result is thrown away.
            assert_eq!(one, payload[1], "two records of different moments");
            Ok::<_, crate::Error>(one)
        });
        assert!([100, 101].contains(&value.unwrap()));
    });
    let writer = body(|store: &Store| {
        let mut transaction = store.begin().unwrap();
        for slot in [0, 1] {
            transaction.update(first(slot), None, Encoded::new(&[0, 101])).unwrap();
        }
        transaction.commit().unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

/// A scrub wipes what readers may still be reading: what was deleted, and the older content of what was updated.
#[test]
fn a_read_against_a_scrub_gets_what_was_published() {
    let start = Start::new(2, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
        store.insert(Encoded::new(&[200, 200])).unwrap();
    });
    let reader = body(|store: &Store| {
        let (_, payload) = get(store, first(0)).expect("it is there all the time");
        assert!([[100, 100], [101, 101]].contains(&payload), "{payload:?}");
        if let Some((_, payload)) = get(store, first(1)) {
            assert_eq!(payload, [200, 200]);
        }
    });
    let writer = body(|store: &Store| {
        store.update(first(0), None, Encoded::new(&[101, 101])).unwrap();
        store.delete(first(1), None).unwrap();
        assert_eq!(store.scrub().unwrap(), 2);
    });
    start.explore(Some(2), [reader, writer], |_| {});
}

/// The live count is no record, and has no head that orders it: a snapshot once could see the count of a transaction
/// that it did not see prepared at its end, while the record itself was still the old one.
#[test]
fn what_a_snapshot_counts_is_what_it_reads() {
    let start = Start::new(2, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let counted = store.snapshot(|moment| {
            let count = moment.live_count()?;
            let second = moment.get(first(1), &mut [0; 2])?;
            assert_eq!(count, 1 + u64::from(second.is_some()), "a count and a record of different moments");
            Ok::<_, crate::Error>(())
        });
        counted.unwrap();
    });
    let writer = body(|store: &Store| {
        store.insert(Encoded::new(&[0, 200])).unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

/// A copy that a write overtakes is of one of the two states, and never seems to be of a damaged table, even when the
/// cell of the older state is overwritten.
#[test]
fn what_a_copy_holds_is_of_one_moment() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let mut copy = CopyOfNewest::begin(store).unwrap();
        let state = copy.catch_up().unwrap();
        let value = copy.words[store.geometry.cell(0, 0) + CELL_HEADER_WORDS + 1];
        assert_eq!(value - 100, state.number - 2, "transaction {}", state.number);
    });
    let writer = body(|store: &Store| {
        store.update(first(0), None, Encoded::new(&[0, 101])).unwrap();
        let mut transaction = store.begin().unwrap();
        transaction.update(first(0), None, Encoded::new(&[0, 999])).unwrap();
    });
    start.explore(Some(1), [reader, writer], |_| {});
}

#[test]
fn what_a_copy_holds_is_all_of_a_transaction_over_two_records_or_nothing() {
    let start = Start::new(2, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let mut copy = CopyOfNewest::begin(store).unwrap();
        let state = copy.catch_up().unwrap();
        for slot in [0, 1] {
            let value = copy.words[store.geometry.cell(slot, 0) + CELL_HEADER_WORDS + 1];
            assert_eq!(value - 100, state.number - 3, "slot {slot}, transaction {}", state.number);
        }
    });
    let writer = body(|store: &Store| {
        let mut transaction = store.begin().unwrap();
        for slot in [0, 1] {
            transaction.update(first(slot), None, Encoded::new(&[0, 101])).unwrap();
        }
        transaction.commit().unwrap();
    });
    start.explore(Some(2), [reader, writer], |_| {});
}

/// If there is no sealed state for what a copy takes for the newest transaction, a newer one is prepared; otherwise the
/// table would be damaged.
#[test]
fn the_state_of_what_is_prepared_is_there_until_something_newer_is_prepared() {
    let start = Start::new(1, false, |_| {});
    let reader = body(|store: &Store| {
        let mut copy = CopyOfNewest::begin(store).unwrap();
        copy.number = store.control().load(PREPARED, Ordering::Acquire);
        match copy.sealed_state() {
            Some(state) => assert_eq!((state.number, state.live_count), (copy.number, 0)),
            None => assert!(store.control().load(PREPARED, Ordering::Relaxed) > copy.number),
        }
    });
    let writer = body(|store: &Store| {
        let view = store.view();
        let newest = view.newest_state().unwrap();
        for number in [2, 3] {
            view.commit(State { number, ..newest }, ListedChanges { count: 0 }, Tally::NOTHING).unwrap();
        }
    });
    start.explore(Some(2), [reader, writer], |_| {});
}

#[test]
fn a_read_against_the_repair_after_a_death_in_staging_gets_what_was_published() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let (_, payload) = get(store, first(0)).expect("it is there all the time");
        assert!([[100, 100], [101, 101]].contains(&payload), "{payload:?}");
    });
    let dying = body(|store: &Store| {
        store.update(first(0), None, Encoded::new(&[101, 101])).unwrap();
        die_in(store, |transaction| {
            transaction.update(first(0), None, Encoded::new(&[999, 999])).unwrap();
        });
    });
    let repairer = body(|store: &Store| drop(store.begin().unwrap()));
    start.explore(Some(2), [reader, dying, repairer], |_| {});
}

/// Begins a transaction that is never ended. Its lock is handed on with everything that it stored, as the kernel does.
fn die_in(store: &Store, body: impl FnOnce(&mut Transaction<'_>)) {
    let mut transaction = store.begin().unwrap();
    body(&mut transaction);
    std::mem::forget(transaction);
    store.medium.unlock(Lock::Write);
}
