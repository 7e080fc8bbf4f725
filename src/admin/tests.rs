//! Whatever store a writer or committer dies at, `verify` finds nothing: what is half done is no damage.

use super::verify::{Extent, Verification, usable};
use crate::error::Result;
use crate::format::cell::RecordId;
use crate::format::control::INDEX_EPOCH;
use crate::format::field_type::FieldType;
use crate::format::schema::{FieldSchema, Schema};
use crate::shm::probe::{self, Event};
use crate::store::create::{self, Plan};
use crate::store::{Settings, Store};

const CAPACITY: u64 = 7;

/// One of a series of operations on a full table, whose records have the keys from `first_key` on. Returns the first key
/// after it.
fn operate(store: &Store, step: u64, first_key: u64) -> Result<u64> {
    let record = |key: u64| [key];
    let id_of = |key: u64| -> Result<RecordId> {
        let found = store.find(&key.to_ne_bytes(), &mut [0])?;
        Ok(found.expect("the series has inserted it").id)
    };
    match step % 3 {
        0 => {
            for key in first_key..first_key + 3 {
                store.delete(id_of(key)?, None)?;
                store.insert(store.encoded(&record(key + CAPACITY)))?;
            }
            Ok(first_key + 3)
        }
        1 => {
            store.update(id_of(first_key)?, None, store.encoded(&record(first_key)))?;
            store.commit()?;
            Ok(first_key)
        }
        _ => {
            let mut transaction = store.begin()?;
            for key in first_key..first_key + CAPACITY {
                transaction.delete(id_of(key)?, None)?;
            }
            for key in first_key + CAPACITY..first_key + 2 * CAPACITY {
                transaction.insert(store.encoded(&record(key)))?;
            }
            transaction.publish()?;
            Ok(first_key + CAPACITY)
        }
    }
}

fn full_table() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![FieldSchema::new("id", FieldType::U64).key()]).unwrap();
    let settings = Settings { commit_every: None, ..Settings::default() };
    let plan = Plan { capacity: CAPACITY, mode: 0o600, schema };
    let table = create::create(&directory.path().join("small.loc"), &plan, &settings).unwrap().writable_copy();
    for key in 0..CAPACITY {
        table.insert(table.encoded(&[key])).unwrap();
    }
    table
}

#[test]
fn nothing_is_found_whichever_store_is_the_last() {
    let mut table = full_table();
    let (mut first_key, mut step) = (0, 0);
    let first_epoch = table.control_word(INDEX_EPOCH);
    // Until the index was rebuilt too; when that happens depends on the table's own hash seed.
    while step < 6 || table.control_word(INDEX_EPOCH) == first_epoch {
        let mut store_count = 0;
        (table, first_key) = loop {
            store_count += 1;
            let victim = table.writable_copy();
            let mut left = store_count;
            let hook = move |event: &Event<'_>| {
                if let Event::Stored { .. } = event {
                    left -= 1;
                    if left == 0 {
                        probe::die();
                    }
                }
            };
            let next_key = probe::with_hook(hook, || operate(&victim, step, first_key).unwrap());
            let mut verification = Verification::new();
            usable(&victim, &mut verification);
            assert!(verification.is_good(), "step {step}, store {store_count}: {verification}");
            assert_eq!(verification.extent, Extent::Everything);
            if let Some(next_key) = next_key {
                break (victim, next_key);
            }
        };
        assert!(store_count > 20, "step {step} was not killed at each store");
        step += 1;
        assert!(step < 1000, "the index is never rebuilt");
    }
}
