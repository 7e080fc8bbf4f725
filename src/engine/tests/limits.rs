//! Ids that lead nowhere, keys that share a hash, generations that are used up, heads that do not fit: in a write of
//! one record and in a transaction of several.

use crate::RecordId;
use crate::engine::read::Meta;
use crate::engine::tests::heap_store;
use crate::engine::tests::world::{header, settings};
use crate::engine::transaction::Transaction;
use crate::engine::{Encoded, Store};
use crate::error::{Error, Internal};
use crate::format::cell::GENERATION_LIMIT;
use crate::format::control::{GENERATION_FLOOR, INTENT_COUNT, PREPARED, USED};

fn table(slot_count: u64) -> Store {
    heap_store(header(slot_count), settings())
}

fn insert(store: &Store, key: u64) -> RecordId {
    store.insert(Encoded::new(&[key, key + 100])).unwrap().id
}

/// Runs an operation in a transaction that has done another thing before.
fn in_transaction<R>(store: &Store, body: impl FnOnce(&mut Transaction<'_>) -> Internal<R>) -> Option<Error> {
    let mut transaction = store.begin().unwrap();
    transaction.upsert(Encoded::new(&[1000, 0])).unwrap();
    let result = body(&mut transaction);
    error_of(result).or_else(|| error_of(transaction.commit()))
}

fn error_of<T>(result: Internal<T>) -> Option<Error> {
    result.err().map(Error::from)
}

fn key_of(meta: Option<Meta>, payload: [u64; 2]) -> Option<u64> {
    meta.map(|_| payload[0])
}

#[test]
fn an_id_of_nowhere_or_of_the_past_is_not_found() {
    let store = table(4);
    let deleted = insert(&store, 1);
    store.delete(deleted, None).unwrap();
    let live = insert(&store, 2);
    let [before, after] = [live.generation() - 1, live.generation() + 1];
    let nowhere = [4, 5, 1 << 20].map(|slot| RecordId::new(slot, 1));
    let others = [before, after].map(|generation| RecordId::new(live.slot(), generation));
    for id in nowhere.into_iter().chain(others).chain([deleted, RecordId::new(3, 1)]) {
        let mut payload = [0; 2];
        assert_eq!(store.get(id, &mut payload).unwrap(), None, "{id:?}");
        let record = Encoded::new(&[2, 7]);
        for error in [
            error_of(store.update(id, None, record)),
            error_of(store.delete(id, None)),
            in_transaction(&store, |transaction| transaction.update(id, None, record)),
            in_transaction(&store, |transaction| transaction.delete(id, None)),
            in_transaction(&store, |transaction| {
                assert_eq!(transaction.get(id, &mut [0; 2])?, None, "{id:?}");
                Err::<(), _>(Error::NotFound { id: RecordId::from_u64(0) }.into())
            }),
        ] {
            assert!(matches!(error, Some(Error::NotFound { .. })), "{id:?}: {error:?}");
        }
    }
    let mut payload = [0; 2];
    assert!(store.get(live, &mut payload).unwrap().is_some_and(|meta| meta.id == live));
    let mut transaction = store.begin().unwrap();
    assert!(transaction.get(live, &mut payload).unwrap().is_some_and(|meta| meta.id == live));
    assert_eq!(payload, [2, 102]);
}

#[test]
fn keys_that_share_a_hash_are_told_apart() {
    for is_several in [false, true] {
        let store = table(8);
        let first = insert(&store, 1);
        // As if the two had one hash.
        let hash = store.key_hash_of(&[2, 0]).unwrap();
        assert!(store.key_index().unwrap().insert(hash, first.slot()));
        let mut payload = [0; 2];
        assert_eq!(store.find(&2_u64.to_ne_bytes(), &mut payload).unwrap(), None);
        let record = Encoded::new(&[2, 7]);
        if is_several {
            let error = in_transaction(&store, |transaction| {
                assert_eq!(transaction.find(&[2, 0], &mut [0; 2])?, None);
                transaction.insert(record)?;
                let mut payload = [0; 2];
                let found = transaction.find(&[2, 0], &mut payload)?;
                assert_eq!(key_of(found, payload), Some(2));
                let other = transaction.update(first, None, record);
                assert!(matches!(error_of(other), Some(Error::KeyChanged)));
                Ok(())
            });
            assert!(error.is_none(), "{error:?}");
        } else {
            store.insert(record).unwrap();
        }
        for key in [1, 2] {
            let found = store.find(&u64::to_ne_bytes(key), &mut payload).unwrap();
            assert_eq!(key_of(found, payload), Some(key));
        }
        // A record that was deleted is no candidate, though its entry is still there.
        store.delete(first, None).unwrap();
        let hash = store.key_hash_of(&[1, 0]).unwrap();
        assert!(store.key_index().unwrap().insert(hash, first.slot()));
        assert_eq!(store.find(&1_u64.to_ne_bytes(), &mut payload).unwrap(), None);
        if is_several {
            let error = in_transaction(&store, |transaction| transaction.insert(Encoded::new(&[1, 8])));
            assert!(error.is_none(), "{error:?}");
        } else {
            insert(&store, 1);
        }
    }
}

#[test]
fn a_transaction_sees_what_it_deleted_and_put_in_its_place() {
    let store = table(2);
    let [first, _] = [1, 2].map(|key| insert(&store, key));
    let mut transaction = store.begin().unwrap();
    let mut payload = [0; 2];
    transaction.delete(first, None).unwrap();
    assert_eq!(transaction.find(&[1, 0], &mut payload).unwrap(), None);
    assert_eq!(transaction.get(first, &mut payload).unwrap(), None);
    assert!(matches!(error_of(transaction.delete(first, None)), Some(Error::NotFound { .. })));
    // Its key may come back in its slot, which then belongs to another record.
    let again = transaction.insert(Encoded::new(&[1, 5])).unwrap();
    assert!(again.id.slot() == first.slot() && again.id != first);
    let found = transaction.find(&[1, 0], &mut payload).unwrap();
    assert_eq!((found, payload), (Some(again), [1, 5]));
    transaction.delete(again.id, None).unwrap();
    // Another key takes the slot, and the first cannot come back in this transaction.
    let other = transaction.insert(Encoded::new(&[3, 6])).unwrap();
    assert_eq!(other.id.slot(), first.slot());
    assert!(matches!(error_of(transaction.insert(Encoded::new(&[1, 7]))), Some(Error::SlotTaken { .. })));
    assert_eq!(transaction.find(&[1, 0], &mut payload).unwrap(), None);
    assert!(matches!(error_of(transaction.insert(Encoded::new(&[3, 7]))), Some(Error::DuplicateKey { .. })));
    assert!(matches!(error_of(transaction.insert(Encoded::new(&[2, 7]))), Some(Error::DuplicateKey { .. })));
    assert!(matches!(error_of(transaction.insert(Encoded::new(&[4, 7]))), Some(Error::Full { .. })));
    transaction.commit().unwrap();
    drop(transaction);
    for (key, expected) in [(1, None), (2, Some(2)), (3, Some(3))] {
        let found = store.find(&u64::to_ne_bytes(key), &mut payload).unwrap();
        assert_eq!(key_of(found, payload), expected);
    }
    assert_eq!(store.live_count().unwrap(), 2);
}

#[test]
fn a_slot_that_has_used_up_its_generations_is_not_given_out_again() {
    let store = table(1);
    store.plant(store.geometry.control() + GENERATION_FLOOR, &[GENERATION_LIMIT - 3]);
    for generation in [GENERATION_LIMIT - 2, GENERATION_LIMIT - 1] {
        let id = insert(&store, 1);
        assert_eq!(id.generation(), generation);
        store.delete(id, None).unwrap();
    }
    let full = error_of(store.insert(Encoded::new(&[1, 0])));
    assert!(matches!(full, Some(Error::Full { live_count: 0, capacity: 1, retired_count: 1 })), "{full:?}");
    assert_eq!(store.free_count(), 0);
}

/// A cell that is staged again has the number 0 for a while, and was taken for one that nobody had been told of.
#[test]
fn an_id_that_was_told_is_burned_also_if_its_writer_dies_staging_it_again() {
    use crate::sys::probe::die_after_store;
    let (mut told_count, mut is_finished) = (0, false);
    for store_count in 1.. {
        if is_finished {
            break;
        }
        let store = table(2);
        let told = std::cell::Cell::new(None);
        let body = || {
            let mut transaction = store.begin().unwrap();
            let id = transaction.insert(Encoded::new(&[1, 5])).unwrap().id;
            told.set(Some(id));
            transaction.update(id, None, Encoded::new(&[1, 6])).unwrap();
            std::mem::forget(transaction);
        };
        is_finished = die_after_store(store_count, body).is_some();
        let Some(told) = told.get() else { continue };
        told_count += 1;
        for is_opened_first in [false, true] {
            let next = store.writable_copy().unwrap();
            if is_opened_first {
                next.recover(true).unwrap();
            }
            let id = insert(&next, 7);
            assert!(id.slot() == told.slot() && id.generation() > told.generation(), "store {store_count}: {id:?}");
        }
    }
    assert!(told_count > 5);
}

/// The control group can be that of the moment before, if the file system was lost.
#[test]
fn an_id_in_a_cell_that_no_intent_names_is_not_given_out_again() {
    let store = table(2);
    let mut transaction = store.begin().unwrap();
    let told = transaction.insert(Encoded::new(&[1, 5])).unwrap().id;
    std::mem::forget(transaction);
    let control = store.geometry.control();
    store.plant(control + INTENT_COUNT, &[0]);
    store.plant(control + USED, &[store.control_word(PREPARED)]);
    let next = store.writable_copy().unwrap();
    assert!(next.recover(true).unwrap().nothing_lost);
    let id = insert(&next, 7);
    assert!(id.slot() == told.slot() && id.generation() > told.generation(), "{id:?}");
}

/// An insert that failed had taken its slot, which no record ever got again once the transaction committed.
#[test]
fn an_insert_that_fails_in_a_transaction_takes_no_slot() {
    let store = table(3);
    insert(&store, 1);
    store.plant(store.geometry.control() + GENERATION_FLOOR, &[GENERATION_LIMIT - 1]);
    let mut transaction = store.begin().unwrap();
    let full = error_of(transaction.insert(Encoded::new(&[2, 0])));
    assert!(matches!(full, Some(Error::Full { live_count: 1, capacity: 3, retired_count: 2 })), "{full:?}");
    transaction.upsert(Encoded::new(&[1, 7])).unwrap();
    transaction.commit().unwrap();
    drop(transaction);
    assert_eq!(store.free_count(), 2);
}

#[test]
fn a_head_that_does_not_fit_its_cell_is_damage_for_a_writer() {
    for (offset, bit) in [(0, 0), (1, 40)] {
        let store = table(2);
        let id = insert(&store, 1);
        let cell = store.geometry.cell(id.slot(), store.head_of(id.slot()).cell()) + offset;
        store.plant(cell, &[store.word_at(cell) ^ 1 << bit]);
        for error in [
            error_of(store.update(id, None, Encoded::new(&[1, 5]))),
            error_of(store.delete(id, None)),
            in_transaction(&store, |transaction| transaction.delete(id, None)),
        ] {
            assert!(matches!(error, Some(Error::Damaged { .. })), "{offset}: {error:?}");
        }
        assert_eq!(store.control_word(INTENT_COUNT), 0);
    }
}

#[test]
fn a_table_that_was_replaced_or_has_no_lock_any_more_is_not_used() {
    use crate::format::control::{CONDEMNED, SUPERSEDED};
    for (superseded, condemned) in [(1, 0), (0, 1), (1, 1)] {
        let store = table(2);
        let id = insert(&store, 1);
        store.plant(store.geometry.control() + SUPERSEDED, &[superseded]);
        store.plant(store.geometry.control() + CONDEMNED, &[condemned]);
        for error in [
            error_of(store.get(id, &mut [0; 2])),
            error_of(store.find(&[0; 8], &mut [0; 2])),
            error_of(store.live_count()),
            error_of(store.delete(id, None)),
            error_of(store.begin()),
            store.sync().err(),
        ] {
            match error {
                Some(Error::Condemned) => assert_eq!(condemned, 1),
                Some(Error::Superseded) => assert_eq!((superseded, condemned), (1, 0)),
                other => panic!("{superseded} {condemned}: {other:?}"),
            }
        }
    }
    let store = table(2);
    store.supersede();
    assert!(matches!(error_of(store.live_count()), Some(Error::Superseded)));
}
