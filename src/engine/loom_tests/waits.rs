//! Waiting for publications beside those that publish. A thread that sleeps and is not woken is found as a deadlock: here nobody
//! looks again after a while.

use super::{Start, body, first};
use crate::cursor::Cursor;
use crate::engine::{Encoded, Store};
use crate::format::control::WAITING;
use crate::sys::words::Ordering;
use std::time::Duration;

const FOR_EVER: Duration = Duration::from_secs(1 << 30);

fn start() -> Start {
    Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
    })
}

/// The number of the insertion, after which everything is waited for.
const BEGINNING: u64 = 2;

fn cursor(store: &Store, number: u64) -> Cursor {
    Cursor { number, ..store.first_cursor() }
}

fn update(store: &Store) {
    store.update(first(0), None, Encoded::new(&[0, 101])).unwrap();
}

/// Waits until this many transactions are published, as one that follows them.
fn wait_for(store: &Store, count: u64) {
    let mut seen = BEGINNING;
    while seen < BEGINNING + count {
        assert!(store.wait(cursor(store, seen), FOR_EVER).unwrap());
        let newest = store.newest_cursor().unwrap().number();
        assert!(newest > seen);
        seen = newest;
    }
}

#[test]
fn a_waiter_is_woken_by_the_writer_that_it_waits_for() {
    start().explore(Some(3), [body(update), body(|store: &Store| wait_for(store, 1))], |_| {});
}

/// A wish that was made after the first writer had published must not be taken away by it.
#[test]
fn a_waiter_is_woken_by_each_of_two_writers() {
    let writer = body(|store: &Store| {
        update(store);
        update(store);
    });
    start().explore(Some(3), [writer, body(|store: &Store| wait_for(store, 2))], |_| {});
}

#[test]
fn of_three_two_wait_and_both_are_woken() {
    let waiter = || body(|store: &Store| wait_for(store, 1));
    start().explore(Some(2), [body(update), waiter(), waiter()], |_| {});
}

#[test]
fn of_three_two_write_and_the_one_that_waits_misses_neither() {
    let bodies = [body(update), body(update), body(|store: &Store| wait_for(store, 2))];
    start().explore(Some(2), bodies, |_| {});
}

#[test]
fn a_waiter_is_woken_when_the_table_is_replaced() {
    let replacer = body(Store::supersede);
    let waiter = body(|store: &Store| {
        let outcome = store.wait(cursor(store, BEGINNING), FOR_EVER);
        assert!(matches!(outcome, Err(crate::Error::Superseded)), "{outcome:?}");
    });
    start().explore(Some(3), [replacer, waiter], |_| {});
}

#[test]
fn a_waiter_of_a_sync_is_woken_when_the_table_is_replaced() {
    let replacer = body(Store::supersede);
    let waiter = body(|store: &Store| {
        let outcome = store.wait_synced(cursor(store, BEGINNING), FOR_EVER);
        assert!(matches!(outcome, Err(crate::Error::Superseded)), "{outcome:?}");
    });
    start().explore(Some(3), [replacer, waiter], |_| {});
}

#[test]
fn a_waiter_of_a_sync_is_woken_by_it() {
    let syncer = body(|store: &Store| {
        store.sync().unwrap();
    });
    let start = Start::new(1, false, |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
    });
    let waiter = body(|store: &Store| {
        assert!(store.wait_synced(cursor(store, BEGINNING - 1), FOR_EVER).unwrap());
        // Nobody has wished for anything else.
        assert_eq!(store.control().load(WAITING, Ordering::Relaxed), 0);
    });
    start.explore(Some(2), [syncer, waiter], |_| {});
}
