//! Followers beside writers and syncs.

use super::{Start, body, first};
use crate::cursor::Cursor;
use crate::engine::changes::ChangedSlots;
use crate::engine::{Encoded, Store};

/// Two records that each transaction changes together.
fn start() -> Start {
    Start::new(2, false, |store| {
        for key in 0..2 {
            store.insert(Encoded::new(&[key, 100])).unwrap();
        }
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
    start().explore(Some(2), [writer, follower], |_| {});
}

/// The write after the sync takes the cell that was the last sync's, which the follower may be looking at.
#[test]
fn a_follower_of_syncs_sees_what_was_synced() {
    let update = |store: &Store, value| _ = store.update(first(0), None, Encoded::new(&[0, value])).unwrap();
    let start = Start::new(1, false, move |store| {
        store.insert(Encoded::new(&[0, 100])).unwrap();
        store.sync().unwrap();
        update(store, 101);
    });
    let writer = body(move |store: &Store| {
        store.sync().unwrap();
        update(store, 102);
    });
    let follower = body(|store: &Store| {
        let changes = store.synced_changes_since(store.first_cursor()).unwrap();
        let values: Vec<u64> = changes.iter().map(|(_, payload)| payload.unwrap()[1]).collect();
        assert_eq!(values, if changes.cursor.number() == 2 { [100] } else { [101] });
    });
    start.explore(Some(2), [writer, follower], |_| {});
}
