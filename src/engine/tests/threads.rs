//! Threads that run freely. This is mainly for Miri, which tries another order, and other values of relaxed loads, with
//! each seed: `MIRIFLAGS=-Zmiri-many-seeds=0..64 cargo +nightly miri test --lib threads_that_run_freely`.

use crate::engine::tests::heap_store;
use crate::engine::tests::world::{header, settings};
use crate::engine::{Encoded, Store};
use crate::error::Error;

const ROUND_COUNT: u64 = if cfg!(miri) { 2 } else { 500 };

fn update(store: &Store, key: u64) {
    loop {
        let mut payload = [0; 2];
        let meta = store.find(&key.to_ne_bytes(), &mut payload).unwrap().expect("it is always there");
        assert_eq!(payload, [key, u64::from(meta.update_count)], "a mixture of two writes");
        let record = [key, payload[1] + 1];
        match store.update(meta.id, Some(meta.version), Encoded::new(&record)) {
            Ok(_) => return,
            Err(fault) if fault.is_conflict() => {}
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

#[test]
fn threads_that_run_freely_lose_nothing_and_read_whole_records() {
    let store = heap_store(header(3), settings());
    for key in [1, 2] {
        store.insert(Encoded::new(&[key, 0])).unwrap();
    }
    std::thread::scope(|scope| {
        for keys in [[1, 2], [2, 1]] {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..ROUND_COUNT {
                    for key in keys {
                        update(store, key);
                    }
                }
            });
        }
        // A key that comes and goes, in the slot that the others leave.
        scope.spawn(|| {
            for round in 0..ROUND_COUNT {
                let meta = store.insert(Encoded::new(&[3, round])).unwrap();
                store.delete(meta.id, None).unwrap();
                store.sync().unwrap();
            }
        });
        for _ in 0..ROUND_COUNT {
            let count = store.snapshot(|moment| {
                let mut payload = [0; 2];
                let third = moment.find(&3_u64.to_ne_bytes(), &mut payload)?;
                Ok::<_, Error>((moment.live_count()?, third.is_some()))
            });
            let (count, has_third) = count.unwrap();
            assert_eq!(count, 2 + u64::from(has_third), "a count and a record of different moments");
        }
    });
    for key in [1_u64, 2] {
        let mut payload = [0; 2];
        store.find(&key.to_ne_bytes(), &mut payload).unwrap().expect("it is there");
        assert_eq!(payload[1], 2 * ROUND_COUNT, "an update was lost");
    }
}
