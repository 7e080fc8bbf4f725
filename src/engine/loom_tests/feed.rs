//! Followers beside writers and syncs.

use super::{Start, body, first};
use crate::cursor::Cursor;
use crate::engine::changes::ChangedSlots;
use crate::engine::{Encoded, Store};

/// Two records that each transaction changes together.
fn start(prepare: impl Fn(&Store) + Send + Sync + 'static) -> Start {
    Start::new(2, false, move |store| {
        for key in 0..2 {
            store.insert(Encoded::new(&[key, 100])).unwrap();
        }
        prepare(store);
    })
}

/// The number of the second insertion.
const BEGINNING: u64 = 3;

fn cursor(store: &Store, number: u64) -> Cursor {
    Cursor { number, ..store.first_cursor() }
}

fn write(store: &Store, value: u64) {
    let mut transaction = store.begin().unwrap();
    for key in 0..2 {
        let slot = u32::try_from(key).unwrap();
        transaction.update(first(slot), None, Encoded::new(&[key, value])).unwrap();
    }
    transaction.commit().unwrap();
}

/// The value of both records, which must be the same; `None` if none has changed.
fn value_of(changes: &ChangedSlots) -> Option<u64> {
    let values: Vec<u64> = changes.iter().map(|(_, payload)| payload.unwrap()[1]).collect();
    assert!(values.is_empty() || values.len() == 2 && values[0] == values[1], "half of a transaction: {values:?}");
    values.first().copied()
}

#[test]
fn a_follower_sees_all_of_a_transaction_or_nothing() {
    let writer = body(|store: &Store| write(store, 101));
    let follower = body(|store: &Store| {
        let changes = store.changes_since(cursor(store, BEGINNING)).unwrap();
        assert_eq!(changes.cursor.number() > BEGINNING, value_of(&changes).is_some());
    });
    start(|_| {}).explore(Some(2), [writer, follower], |_| {});
}

#[test]
fn a_follower_of_syncs_sees_all_of_what_was_synced() {
    let start = start(|store| {
        store.sync().unwrap();
        write(store, 101);
    });
    let writer = body(|store: &Store| {
        store.sync().unwrap();
        write(store, 102);
        write(store, 103);
    });
    let follower = body(|store: &Store| {
        let changes = store.synced_changes_since(cursor(store, BEGINNING - 2)).unwrap();
        let expected = if changes.cursor.number() == BEGINNING { 100 } else { 101 };
        assert_eq!(value_of(&changes), Some(expected));
    });
    start.explore(Some(2), [writer, follower], |_| {});
}
