//! A process writes to a table that another one is just recovering, since its attachment was taken away without its
//! knowledge: each write that is acknowledged to it is there afterwards. Here the number of the recovery alone ensures
//! that.

use super::world::{header, settings};
use super::{heap_store, words_of};
use crate::engine::tests::actor::{Actor, Outcome};
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::format::control::RECOVERY_NUMBER;
use crate::sys::probe::{self, Event};
use crate::sys::words::Ordering;
use std::sync::{Arc, Mutex};

fn table() -> Arc<Store> {
    let store = heap_store(header(8), settings());
    for key in [1, 2, 3] {
        store.insert(Encoded::new(&[key, 10 * key])).unwrap();
    }
    Arc::new(store)
}

/// Whether an insert is acknowledged.
fn insert(store: &Store, key: u64) -> bool {
    match store.insert(Encoded::new(&[key, 10 * key])).map_err(Error::from) {
        Ok(_) => true,
        Err(Error::Recovered) => false,
        // It has found something that is just being rebuilt; that is refused too.
        Err(Error::Damaged { .. } | Error::Full { .. } | Error::DuplicateKey { .. }) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Checks that a new handle finds what the recovered table has to have, and that nothing in it contradicts anything
/// else.
fn check(store: &Store, acknowledged: &[u64], what: &str) {
    let fresh = Store::new(
        crate::sys::medium::Medium::private(words_of(store), store.geometry.control()).unwrap(),
        store.header().clone(),
        settings(),
        crate::engine::Access::ReadWrite,
        None,
    );
    let mut payload = [0; 2];
    for key in [1, 2, 3].iter().chain(acknowledged) {
        let found = fresh.find(&key.to_ne_bytes(), &mut payload).unwrap();
        assert!(found.is_some() && payload[1] == 10 * key, "{what}: {key} was acknowledged");
    }
}

#[test]
fn what_is_acknowledged_during_a_recovery_is_there_after_it() {
    let step = if cfg!(miri) { 97 } else { 1 };
    let mut acknowledged_count = 0;
    for point in (0..).step_by(step) {
        let store = table();
        let (stale, acknowledged) = (Arc::clone(&store), Arc::new(Mutex::new(None)));
        let mut count = 0;
        let outcome = Arc::clone(&acknowledged);
        let hook = move |event: &Event<'_>| {
            if matches!(event, Event::Store | Event::Flush { .. } | Event::Touch { .. }) {
                if count == point {
                    *outcome.lock().unwrap() = Some(insert(&stale, 4));
                }
                count += 1;
            }
        };
        probe::with_hook(hook, || store.recover(true).unwrap());
        let Some(is_acknowledged) = *acknowledged.lock().unwrap() else { break };
        acknowledged_count += u32::from(is_acknowledged);
        check(&store, if is_acknowledged { &[4] } else { &[] }, &format!("at point {point}"));
    }
    assert!(acknowledged_count > 0 || cfg!(miri));
}

#[test]
fn a_write_that_a_recovery_overtakes_is_acknowledged_only_if_it_is_kept() {
    let mut refused_count = 0;
    for steps in 1.. {
        let store = table();
        let (writing, acknowledged) = (Arc::clone(&store), Arc::new(Mutex::new(false)));
        let outcome = Arc::clone(&acknowledged);
        let before = store.control().load(RECOVERY_NUMBER, Ordering::Relaxed);
        let writer = Actor::start(|_: &Event<'_>| false, move || *outcome.lock().unwrap() = insert(&writing, 4));
        let Outcome::Running(writer) = writer.advance(steps) else { break };
        let is_recovered = store.recover(true).is_ok();
        // The recovery was made by another handle: this one goes on with what it knew.
        store.recovery_number.set(before);
        let is_over = matches!(writer.advance(u32::MAX), Outcome::Done);
        assert!(is_over && is_recovered, "after {steps} steps");
        let is_acknowledged = *acknowledged.lock().unwrap();
        refused_count += u32::from(!is_acknowledged);
        if is_acknowledged {
            check(&store, &[4], &format!("after {steps} steps"));
        }
    }
    assert!(refused_count > 10);
}

#[test]
fn a_writer_that_waits_for_the_lock_during_a_recovery_writes_nothing() {
    let store = table();
    let (recovering, left) = (Arc::clone(&store), Arc::new(Mutex::new(None)));
    let recovered = Arc::clone(&left);
    let hook = move |event: &Event<'_>| {
        let mut recovered = recovered.lock().unwrap();
        if matches!(event, Event::Lock) && recovered.is_none() {
            let before = recovering.control().load(RECOVERY_NUMBER, Ordering::Relaxed);
            recovering.recover(true).unwrap();
            // The recovery was made by another handle: this one goes on with what it knew.
            recovering.recovery_number.set(before);
            *recovered = Some(words_of(&recovering));
        }
    };
    let outcome = probe::with_hook(hook, || store.insert(Encoded::new(&[4, 40])).map_err(Error::from).map(drop));
    assert!(matches!(outcome, Some(Err(Error::Recovered))));
    assert!(*left.lock().unwrap() == Some(words_of(&store)), "it was refused, and had written");
}
