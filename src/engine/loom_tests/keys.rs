//! Looking for a key while the index is changed and rebuilt.

use super::{Start, body, find, first, get};
use crate::engine::{Encoded, Store};
use crate::layout::index::IndexEntry;

/// Keys that take the same way through the index: each lies behind those before it.
fn keys_on_one_way(entry_count: u64) -> [u64; 3] {
    let home = |key: u64| {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&key.to_ne_bytes(), super::HASH_SEED);
        (hash >> 25) % entry_count
    };
    let mut keys = (1..).filter(|key| home(*key) == home(1));
    [(); 3].map(|()| keys.next().unwrap())
}

/// A table whose index has room for `entry_count` entries, with the first of three keys on one way, and the second if it is asked for.
fn table(slot_count: u64, entry_count: u64, has_second: bool) -> (Start, [u64; 3]) {
    let keys = keys_on_one_way(entry_count);
    let start = Start::new(slot_count, true, move |store| {
        assert_eq!(store.geometry.index_entry_count() as u64, entry_count);
        insert(store, keys[0], 100);
        if has_second {
            insert(store, keys[1], 200);
            let entries: Vec<IndexEntry> = store.view().index().entries().collect();
            assert_eq!(entries.len(), 8);
            let place =
                |slot| entries.iter().position(|entry| matches!(entry, IndexEntry::Key { slot: s, .. } if *s == slot));
            assert_eq!(place(1), place(0).map(|place| (place + 1) % entries.len()), "the keys are on one way");
        }
    });
    (start, keys)
}

fn insert(store: &Store, key: u64, value: u64) {
    store.insert(Encoded::new(&[key, value])).unwrap();
}

fn rebuild(store: &Store, count: u32) {
    let _transaction = store.begin().unwrap();
    for _ in 0..count {
        store.view().index().rebuild(0);
    }
}

#[test]
fn a_key_that_is_there_is_found_while_another_before_it_on_its_way_is_deleted_and_inserted() {
    let (start, [before, key, _]) = table(2, 8, true);
    let reader = body(move |store: &Store| assert_eq!(find(store, key), Some(200), "a live key was missed"));
    let writer = body(move |store: &Store| {
        store.delete(first(0), None).unwrap();
        insert(store, before, 101);
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_key_that_is_there_is_found_while_the_index_grows_and_is_rebuilt_again() {
    let (start, [_, key, _]) = table(4, 16, true);
    let reader = body(move |store: &Store| assert_eq!(find(store, key), Some(200), "a live key was missed"));
    let writer = body(|store: &Store| rebuild(store, 2));
    start.explore(Some(2), [reader, writer], |_| {});
}

#[test]
fn a_key_that_is_absent_is_not_found_while_others_on_its_way_come_and_go() {
    let (start, [_, other, key]) = table(2, 8, false);
    let reader = body(move |store: &Store| assert_eq!(find(store, key), None));
    let writer = body(move |store: &Store| {
        insert(store, other, 1);
        store.delete(first(1), None).unwrap();
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_key_that_is_absent_is_not_found_while_the_index_is_rebuilt() {
    let (start, [_, _, key]) = table(2, 8, true);
    let reader = body(move |store: &Store| assert_eq!(find(store, key), None));
    let writer = body(|store: &Store| rebuild(store, 1));
    start.explore(Some(2), [reader, writer], |_| {});
}

#[test]
fn a_record_that_was_seen_is_found_by_its_key() {
    let (start, [_, key, _]) = table(2, 8, false);
    let reader = body(move |store: &Store| {
        let seen = get(store, first(1));
        let found = find(store, key);
        assert!(seen.is_none() || found == Some(200), "a live key was missed");
    });
    let writer = body(move |store: &Store| insert(store, key, 200));
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_key_whose_record_is_deleted_and_inserted_again_in_one_transaction_is_always_there() {
    let (start, [key, _, _]) = table(1, 4, false);
    let reader =
        body(move |store: &Store| assert!(matches!(find(store, key), Some(100 | 101)), "a live key was missed"));
    let writer = body(move |store: &Store| {
        let mut transaction = store.begin().unwrap();
        transaction.delete(first(0), None).unwrap();
        transaction.insert(Encoded::new(&[key, 101])).unwrap();
        transaction.commit().unwrap();
    });
    start.explore(Some(3), [reader, writer], |_| {});
}

#[test]
fn a_record_whose_key_was_not_found_any_more_is_gone() {
    let (start, [key, _, _]) = table(2, 8, false);
    let reader = body(move |store: &Store| {
        let found = find(store, key);
        let seen = get(store, first(0));
        assert!(found.is_some() || seen.is_none(), "deleted by its key, and there by its id");
    });
    let writer = body(|store: &Store| {
        store.delete(first(0), None).unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

#[test]
fn a_record_whose_key_was_not_found_any_more_before_others_on_its_way_is_gone() {
    let (start, [_, key, _]) = table(2, 8, true);
    let reader = body(move |store: &Store| {
        let found = find(store, key);
        let seen = get(store, first(1));
        assert!(found.is_some() || seen.is_none(), "deleted by its key, and there by its id");
    });
    let writer = body(|store: &Store| {
        store.delete(first(1), None).unwrap();
    });
    start.explore(None, [reader, writer], |_| {});
}

#[test]
fn a_record_that_was_counted_is_found() {
    let (start, [_, key, _]) = table(2, 8, false);
    let reader = body(move |store: &Store| {
        let count = store.live_count().unwrap();
        assert!(count < 2 || find(store, key) == Some(200), "counted, and not there");
    });
    let writer = body(move |store: &Store| insert(store, key, 200));
    start.explore(None, [reader, writer], |_| {});
}
