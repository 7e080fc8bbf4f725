//! Syncs beside writers, and beside each other.

use super::{Start, body, first};
use crate::engine::{Encoded, Store};
use crate::format::control::{DURABLE, LAST};
use crate::sys::words::Ordering;

/// Checks that what `DURABLE` says is on the disk is there: a sync record carries that number, and the cells confirm
/// it.
fn check_durable(store: &Store) -> u64 {
    let durable = store.control().load(DURABLE, Ordering::Acquire);
    let records = [0, 1].map(|record| store.sync_record(record));
    let carrying = records.iter().flatten().find(|record| record.state.number == durable);
    let state = carrying.expect("a sync record carries the durable number").state;
    assert_eq!(store.digest_at(durable), (state.digest, state.live_count), "a cell of the durable sync is gone");
    durable
}

fn update(store: &Store, value: u64) -> u64 {
    store.update(first(0), None, Encoded::new(&[0, value])).unwrap().version
}

#[test]
fn a_writer_that_chooses_cells_while_a_sync_ends_keeps_what_is_durable() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
        store.sync().unwrap();
        update(store, 101);
    });
    let writer = body(|store: &Store| {
        update(store, 102);
        update(store, 103);
    });
    let syncer = body(|store: &Store| {
        store.sync().unwrap();
    });
    start.explore(Some(3), [writer, syncer], |store| {
        check_durable(store);
    });
}

#[test]
fn a_scrub_while_a_sync_ends_keeps_what_is_durable() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
        store.sync().unwrap();
        update(store, 101);
    });
    let scrubber = body(|store: &Store| {
        update(store, 102);
        store.scrub_cells().unwrap();
    });
    let syncer = body(|store: &Store| {
        store.sync().unwrap();
    });
    start.explore(Some(3), [scrubber, syncer], |store| {
        check_durable(store);
    });
}

/// A sync was once counted as ended before its mutex was free. A thread that looked in between saw the new count and a
/// mutex that was held, and slept on that count. No thread woke it, so it slept the 20 ms after which it looks again.
/// Here it does not look again, so that is a deadlock.
#[test]
fn of_three_who_sync_at_once_each_returns_when_its_write_is_durable() {
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let writer = body(|store: &Store| {
        let version = update(store, 101);
        assert!(store.sync().unwrap() >= version);
    });
    let syncer = || {
        body(|store: &Store| {
            let version = store.control().load(LAST, Ordering::Acquire);
            assert!(store.sync().unwrap() >= version);
        })
    };
    let bodies = [writer, syncer(), syncer()];
    start.explore(Some(2), bodies, |store| {
        check_durable(store);
    });
}
