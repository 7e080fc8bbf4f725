//! Damage to what an acknowledged sync needs is never silently served as something older, if a word is left that shows
//! the sync; and a few rules that random histories meet too seldom.

use super::{heap_store, heap_store_of, new_words, words_of};
use crate::engine::outcome::RecoveryOutcome;
use crate::engine::tests::world::{World, header, settings};
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::format::control::{DURABLE, INCARNATION_SEAL, INTENDED_STATE, LAST, NEWEST_STATE, USED};
use crate::format::sync_record::SYNC_RECORD_WORDS;
use crate::sys::words::Ordering;

fn put(store: &Store, key: u64, value: u64) -> u64 {
    store.upsert(Encoded::new(&[key, value])).unwrap().version
}

/// Every bit of this many words; under Miri, which takes seconds for each, three of them.
fn bits_of(word_count: usize) -> impl Iterator<Item = usize> {
    let bit_count = 64 * word_count;
    (0..bit_count).step_by(if cfg!(miri) { bit_count / 3 + 1 } else { 1 })
}

fn recovered(words: Vec<u64>) -> Result<Store, Error> {
    heap_store_of(words, header(2), settings(), false)
}

#[test]
fn a_synced_cell_that_rots_is_refused_and_never_replaced_by_an_older_one() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    put(&store, 1, 11);
    store.sync().unwrap();
    let words = words_of(&store);
    let visible = store.slot(0).head();
    for bit in bits_of(store.geometry.cell_words()) {
        let mut damaged = words.clone();
        damaged[store.geometry.cell(0, visible.cell()) + bit / 64] ^= 1 << (bit % 64);
        match recovered(damaged) {
            Err(Error::Damaged { reason }) => assert!(reason.contains("left as it was"), "{reason}"),
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(store) => {
                // A bit that means nothing: the content is exactly what was synced.
                let mut payload = [0; 2];
                store.read_slot(0, &mut payload).unwrap().expect("it is there");
                assert_eq!(payload, [1, 11], "bit {bit}");
            }
        }
    }
}

/// A table with two syncs, of 10 and then of 11, and a 12 that was only published.
fn twice_synced() -> Store {
    let store = heap_store(header(2), settings());
    for value in 10..12 {
        put(&store, 1, value);
        store.sync().unwrap();
    }
    put(&store, 1, 12);
    store
}

fn value_in(store: &Store) -> u64 {
    let mut payload = [0; 2];
    store.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().expect("it is there");
    payload[1]
}

#[test]
fn a_sync_record_that_rots_is_never_replaced_by_the_one_before() {
    let store = twice_synced();
    let words = words_of(&store);
    let newest = (0..2).max_by_key(|record| store.sync_record(*record).map(|found| found.state.number)).unwrap();
    let start = store.geometry.sync_record(newest);
    for bit in bits_of(SYNC_RECORD_WORDS) {
        let mut damaged = words.clone();
        damaged[start + bit / 64] ^= 1 << (bit % 64);
        let served = recovered(damaged.clone()).unwrap();
        assert_eq!(value_in(&served), 12, "bit {bit}: the sealed newest state is all that is needed");
        // Without it the record would be needed, and its number is still in `DURABLE`.
        let control = store.geometry.control();
        damaged[control + NEWEST_STATE..control + DURABLE].fill(0);
        let refused = recovered(damaged).err().unwrap_or_else(|| panic!("bit {bit}: something older is served"));
        assert!(matches!(refused, Error::Damaged { .. }), "bit {bit}: {refused}");
    }
}

#[test]
fn a_control_word_that_rots_makes_nothing_older_and_no_promise() {
    let store = twice_synced();
    let (words, control) = (words_of(&store), store.geometry.control());
    let mut refused_count = 0;
    for bit in bits_of(INCARNATION_SEAL + 1) {
        for is_same_boot in [false, true] {
            let mut damaged = words.clone();
            damaged[control + bit / 64] ^= 1 << (bit % 64);
            match heap_store_of(damaged, header(2), settings(), is_same_boot) {
                Ok(store) => {
                    let value = value_in(&store);
                    assert!(value == 12 || value == 11 && !store.recovery().nothing_lost, "bit {bit}: {value}");
                }
                Err(Error::Damaged { .. }) => refused_count += 1,
                Err(error) => panic!("bit {bit}: {error}"),
            }
        }
    }
    assert!(refused_count > 0 || cfg!(miri), "a number that was never synced stood in `DURABLE`");
}

#[test]
fn a_cell_that_both_syncs_need_is_missed_even_if_the_control_region_is_gone() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    for value in 20..22 {
        put(&store, 2, value);
        store.sync().unwrap();
    }
    let mut words = words_of(&store);
    words[store.geometry.control()..store.geometry.sync_records()].fill(0);
    assert!(recovered(words.clone()).is_ok(), "without the damage it is the last sync");
    let visible = store.slot(0).head();
    words[store.geometry.cell(0, visible.cell()) + 4] ^= 1;
    assert!(matches!(recovered(words), Err(Error::Damaged { .. })));
}

#[test]
fn blank_pages_are_not_an_empty_table() {
    let header = header(2);
    assert_ne!(header.digest_seed(), 0);
    let mut words = new_words(&header);
    words[header.geometry.control()..].fill(0);
    let found = heap_store_of(words, header, settings(), false).err().expect("nothing there is a table");
    assert!(matches!(found, Error::Damaged { .. }), "{found}");
    // The digest of a table is not 0 either, which is what a record of zeros would claim.
    assert_ne!(heap_store(crate::engine::tests::world::header(2), settings()).view().newest_state().unwrap().digest, 0);
}

#[test]
fn the_number_of_a_transaction_that_was_given_up_is_never_used_again() {
    let store = heap_store(header(2), settings());
    let first = put(&store, 1, 10);
    let mut transaction = store.begin().unwrap();
    let burned = transaction.upsert(Encoded::new(&[1, 11])).unwrap().version;
    drop(transaction);
    assert_eq!(burned, first + 1);
    assert_eq!(put(&store, 1, 12), first + 2);
}

#[test]
fn numbers_and_ids_of_the_time_that_was_lost_do_not_come_again() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    let before = words_of(&store);
    // In memory only: a record is deleted and inserted again, and readers are given its new id and version.
    let mut payload = [0; 2];
    let id = store.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().unwrap().id;
    store.delete(id, None).unwrap();
    let lost = store.insert(Encoded::new(&[1, 11])).unwrap();
    // The power fails; then again before the first sync after the recovery.
    let store = recovered(before).unwrap();
    let mut survivor = words_of(&store);
    let again = {
        let id = store.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().unwrap().id;
        store.delete(id, None).unwrap();
        store.insert(Encoded::new(&[1, 12])).unwrap()
    };
    assert!(again.id != lost.id && again.version > lost.version);
    survivor[store.geometry.control()..store.geometry.sync_records()].fill(0);
    let store = recovered(survivor).unwrap();
    let id = store.find(&1_u64.to_ne_bytes(), &mut payload).unwrap().unwrap().id;
    store.delete(id, None).unwrap();
    let third = store.insert(Encoded::new(&[1, 13])).unwrap();
    assert!(third.id != lost.id && third.id != again.id, "{:?} {:?} {:?}", lost.id, again.id, third.id);
    assert!(third.version > again.version);
}

#[test]
fn numbers_go_on_above_every_number_that_there_is_a_trace_of() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    put(&store, 1, 11);
    let words = words_of(&store);
    let used = store.control().load(USED, Ordering::Relaxed);
    // Traces in the control words only, in a cell only, in the sealed words only.
    for region in 0..3 {
        let mut words = words.clone();
        let control = store.geometry.control();
        match region {
            0 => words[store.geometry.cells()..].fill(0),
            1 => words[control..store.geometry.sync_records()].fill(0),
            _ => words[control + USED..control + NEWEST_STATE].fill(0),
        }
        if region == 0 {
            // Without its cells the sync is damaged, so that is refused.
            assert!(recovered(words).is_err());
            continue;
        }
        let store = recovered(words).unwrap();
        assert!(put(&store, 2, 1) > used, "region {region}");
    }
}

#[test]
fn a_recovery_writes_over_the_record_that_does_not_verify_though_the_other_is_older() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    let good = (0..2).max_by_key(|record| store.sync_record(*record).map(|found| found.state.number)).unwrap();
    // A sync in flight tore the other record into one with a higher number that fits nothing. What was published since
    // is only in memory and in the sealed newest state.
    put(&store, 1, 11);
    let mut torn = store.sync_record(good).unwrap();
    torn.state.number += 1000;
    torn.state.digest ^= 1;
    store.put_sync_record(1 - good, torn);
    let geometry = store.geometry;
    let record = |number: usize| geometry.sync_record(number)..geometry.sync_record(number) + 7;
    let kept: Vec<u64> = words_of(&store)[record(good)].to_vec();
    let words = words_of(&store);
    let after = heap_store_of(words, header(2), settings(), true).unwrap();
    assert_eq!(after.recovery().outcome, RecoveryOutcome::Newest);
    // The order of events is what matters: the first record that changes is the torn one.
    let order = record_stores(&store);
    assert_eq!(order.first(), Some(&(1 - good)), "the good record {good} was overwritten first: {kept:?}");
}

/// The order in which a recovery of this table writes sync records.
fn record_stores(store: &Store) -> Vec<usize> {
    use crate::sys::probe::{Event, with_hook};
    use std::sync::{Arc, Mutex};
    let copy = Store::new(
        crate::sys::medium::Medium::private(words_of(store), store.geometry.control()).unwrap(),
        header(2),
        settings(),
        crate::engine::Access::ReadWrite,
        None,
    );
    let base = copy.words().all().as_ptr() as usize;
    let geometry = copy.geometry;
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let hook = move |event: &Event<'_>| {
        if let Event::Stored { word, .. } = event {
            let index = (std::ptr::from_ref(*word) as usize - base) / 8;
            for record in 0..2 {
                if index == geometry.sync_record(record) {
                    seen.lock().unwrap().push(record);
                }
            }
        }
    };
    with_hook(hook, || copy.recover(true).map(drop)).unwrap().unwrap();
    let order = order.lock().unwrap();
    order.clone()
}

#[test]
fn a_syncer_flushes_everything_again_after_one_that_died_in_its_flush() {
    use super::actor::Outcome;
    use crate::sys::probe::Event;
    use std::sync::{Arc, Mutex};
    // The first syncer's flush fails, and it dies before it can say so: the kernel takes the pages for clean.
    let count = if cfg!(miri) { 2 } else { 40 };
    let mut seen_touch_before_flush = 0;
    for seed in 0..count {
        let mut world = World::new(2, seed);
        let is_synced = |store: &Store| {
            let [last, durable] = [LAST, DURABLE].map(|index| store.control().load(index, Ordering::Relaxed));
            last == durable
        };
        while is_synced(&world.store) {
            if let Outcome::Running(actor) = world.writer().advance(10_000) {
                actor.kill(&world.store);
            }
        }
        let mut syncer = world.syncer();
        // Up to the moment when the flush is under way.
        let store = Arc::clone(&world.store);
        let is_flushing = || store.control().load(crate::format::control::FLUSHING, Ordering::Relaxed) != 0;
        while !is_flushing() {
            match syncer.advance(1) {
                Outcome::Running(actor) => syncer = actor,
                Outcome::Done => panic!("the sync ended without a flush"),
            }
        }
        syncer.kill(&world.store);
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let hook = move |event: &Event<'_>| match event {
            Event::Touch { .. } => seen.lock().unwrap().push("touch"),
            Event::Flush { .. } => seen.lock().unwrap().push("flush"),
            _ => {}
        };
        let store = Arc::clone(&world.store);
        crate::sys::probe::with_hook(hook, move || store.sync().map(drop)).unwrap().unwrap();
        let events = events.lock().unwrap();
        let pages = world.store.geometry.durable_group().len() / 512;
        assert!(events.iter().take(pages).all(|event| *event == "touch") && events[pages] == "flush", "{events:?}");
        // The sync of the dead one is finished with that, and nothing is left for another.
        assert_eq!(events.iter().filter(|event| **event == "flush").count(), 1);
        seen_touch_before_flush += 1;
    }
    assert_eq!(seen_touch_before_flush, count);
}

#[test]
fn the_sealed_intent_counts_only_when_it_was_prepared() {
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    let mut state = store.view().newest_state().unwrap();
    // A transaction that was staged and sealed, and died before the commit point: its cell is there, whole.
    let mut transaction = store.begin().unwrap();
    transaction.upsert(Encoded::new(&[1, 11])).unwrap();
    let words = words_of(&store);
    drop(transaction);
    let with_intent = Store::new(
        crate::sys::medium::Medium::private(words, store.geometry.control()).unwrap(),
        header(2),
        settings(),
        crate::engine::Access::ReadWrite,
        None,
    );
    state.number += 1;
    let (digest, live_count) = with_intent.digest_at(state.number);
    state.digest = digest;
    state.live_count = live_count;
    with_intent.view().put_state(INTENDED_STATE, state.to_words(with_intent.digest_seed));
    let after = recovered(words_of(&with_intent)).unwrap();
    let mut payload = [0; 2];
    after.read_slot(0, &mut payload).unwrap().expect("it is there");
    assert_eq!(payload, [1, 10], "what was never prepared was recovered");
    assert!(after.control().load(DURABLE, Ordering::Relaxed) > state.number);
}

#[test]
fn what_is_lost_is_said_also_when_no_sync_record_has_the_state() {
    // The power failed after transaction 3 had reached the disk with its sealed state, but only the sealed intent of
    // transaction 4 had: its cell was missing. The report was "recovered the newest state, transaction 3", and did not
    // mention 4.
    let store = heap_store(header(2), settings());
    put(&store, 1, 10);
    let kept = put(&store, 1, 11);
    let newest = (NEWEST_STATE..NEWEST_STATE + 4)
        .map(|index| store.control().load(index, Ordering::Relaxed))
        .collect::<Vec<_>>();
    let lost = put(&store, 1, 12);
    let mut words = words_of(&store);
    let control = store.geometry.control();
    words[control + NEWEST_STATE..control + NEWEST_STATE + 4].copy_from_slice(&newest);
    words[store.geometry.cell(0, store.slot(0).head().cell())] = 0;
    let after = recovered(words).unwrap();
    assert_eq!((after.recovery().outcome, after.recovery().number), (RecoveryOutcome::Newest, kept));
    let report = after.recovery().to_string();
    assert!(report.contains(&format!("losing transactions up to {lost}")), "{report}");
}
