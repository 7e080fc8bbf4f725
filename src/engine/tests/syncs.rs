//! The end of a sync at every access of a writer, from every point of the sync; and what a write does for syncs: it
//! touches pages before it takes the lock, and syncs when one is due.

use super::{heap_store, heap_store_of, words_of};
use crate::engine::guard::SyncGuard;
use crate::engine::tests::actor::{Actor, Outcome, heap_of};
use crate::engine::tests::world::{header, settings, wide_header};
use crate::engine::{Access, Encoded, Settings, Store};
use crate::error::Error;
use crate::format::control::{DURABLE, FAILED, FLUSHING, LAST_SYNC_MILLISECONDS, SYNC_COUNT, SYNC_END_COUNT};
use crate::format::geometry::PAGE_WORDS;
use crate::record_id::RecordId;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::probe::{Event, with_hook};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TO_THE_END: u32 = u32::MAX;

/// Checks that every cell is there that was visible at the number of the newest durable sync.
fn assert_is_whole(store: &Store) {
    let durable = store.control().load(DURABLE, Ordering::Relaxed);
    let records = [0, 1].map(|record| store.sync_record(record));
    let record = records.into_iter().flatten().find(|record| record.state.number == durable).expect("it was written");
    let found = store.digest_and_live_count_at(durable);
    assert_eq!(found, (record.state.digest, record.state.live_count), "part of the sync of {durable} is missing");
}

/// Finishes what is left to do for an actor.
fn finish(actor: Outcome) {
    if let Outcome::Running(actor) = actor {
        assert!(matches!(actor.advance(TO_THE_END), Outcome::Done), "nobody is in its way");
    }
}

#[test]
fn a_scrub_keeps_what_a_sync_in_flight_needs() {
    let store = Arc::new(heap_store(header(1), settings()));
    let write = |value| store.update(RecordId::new(0, 1), None, Encoded::new(&[1, value])).unwrap();
    store.insert(Encoded::new(&[1, 0])).unwrap();
    store.sync().unwrap();
    write(1);
    let syncing = Arc::clone(&store);
    let at_the_flush = |event: &Event<'_>| matches!(event, Event::Flush { .. });
    let syncer = Actor::start(at_the_flush, move || {
        syncing.sync().unwrap();
    });
    let Outcome::Running(syncer) = syncer.advance(TO_THE_END) else { panic!("it flushes") };
    // What the sync needs is not current any more.
    write(2);
    store.scrub_cells().unwrap();
    assert_is_whole(&store);
    finish(Outcome::Running(syncer));
    assert_is_whole(&store);
}

/// A sync stands still `syncer_steps` accesses after it has begun its flush, a writer after `writer_steps` of its own;
/// then the sync comes to its end, and then the writer. Returns whether each still had something to do by then.
fn end_a_sync_inside_a_write(syncer_steps: u32, writer_steps: u32) -> [bool; 2] {
    let store = Arc::new(heap_store(header(1), settings()));
    let write = |store: &Store, id: RecordId, value| store.update(id, None, Encoded::new(&[1, value])).unwrap();
    let id = store.insert(Encoded::new(&[1, 0])).unwrap().id;
    store.sync().unwrap();
    write(&store, id, 1);
    let syncing = Arc::clone(&store);
    let at_the_flush = |event: &Event<'_>| matches!(event, Event::Flush { .. });
    let syncer = Actor::start(at_the_flush, move || {
        syncing.sync().unwrap();
    });
    let Outcome::Running(syncer) = syncer.advance(TO_THE_END) else { panic!("it flushes") };
    // Now the slot has three cells that are needed: one of each sync, and the current one.
    write(&store, id, 2);
    let syncer = if syncer_steps > 0 { syncer.advance(syncer_steps) } else { Outcome::Running(syncer) };
    let writing = Arc::clone(&store);
    let writer = Actor::start(
        |_| false,
        move || {
            write(&writing, id, 3);
        },
    );
    let writer = if writer_steps > 0 { writer.advance(writer_steps) } else { Outcome::Running(writer) };
    let were_running = [&syncer, &writer].map(|actor| matches!(actor, Outcome::Running(_)));
    finish(syncer);
    assert_is_whole(&store);
    finish(writer);
    assert_is_whole(&store);
    were_running
}

#[test]
fn what_a_sync_made_durable_stays_whole_wherever_in_a_write_it_ends() {
    let mut case_count = 0;
    // Miri takes seconds for each case.
    let [syncer_stride, writer_stride] = if cfg!(miri) { [19, 17] } else { [1, 1] };
    for syncer_steps in (0..).step_by(syncer_stride) {
        for writer_steps in (0..).step_by(writer_stride) {
            let [syncer_ran, writer_ran] = end_a_sync_inside_a_write(syncer_steps, writer_steps);
            case_count += 1;
            if !syncer_ran {
                println!("{case_count} cases");
                return assert!(case_count > 200 || cfg!(miri));
            }
            if !writer_ran {
                break;
            }
        }
    }
}

/// The pages that an operation touches before it takes the lock. It touches none after that.
fn pages_touched_by(store: &Store, operation: impl FnOnce(&Store)) -> BTreeSet<usize> {
    let base = store.words().all().as_ptr();
    let pages = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&pages);
    let mut is_locked = false;
    let hook = move |event: &Event<'_>| match event {
        Event::Touch { word } => {
            assert!(!is_locked, "a page is touched under the lock");
            seen.lock().unwrap().insert(index_of(base, word) / PAGE_WORDS);
        }
        Event::Lock => is_locked = true,
        _ => {}
    };
    with_hook(hook, || operation(store)).expect("nobody kills it");
    let pages = pages.lock().unwrap();
    pages.clone()
}

fn index_of(base: *const AtomicU64, word: &AtomicU64) -> usize {
    (std::ptr::from_ref(word) as usize - base as usize) / 8
}

#[test]
fn all_pages_of_a_slot_are_touched_before_the_lock_if_syncs_are_made() {
    let payload = |key: u64| [vec![key], vec![key + 1; 701]].concat();
    let never = Settings { sync_every: None, ..settings() };
    let always = Settings { sync_every: Some(Duration::from_secs(1 << 40)), ..settings() };
    let mut store = heap_store(wide_header(3, 700), never);
    let pages_of = |store: &Store, slot: u32| -> BTreeSet<usize> {
        store.geometry.slot(slot).map(|word| word / PAGE_WORDS).collect()
    };
    let insert = |store: &Store, key: u64| store.insert(Encoded::new(&payload(key))).unwrap().id;
    let first = insert(&store, 1);
    let update = |store: &Store| {
        store.update(first, None, Encoded::new(&payload(1))).unwrap();
    };
    assert_eq!(pages_touched_by(&store, update), BTreeSet::new(), "nobody syncs");
    store.sync().unwrap();
    let all = pages_of(&store, first.slot());
    assert!(all.len() > 5);
    assert_eq!(pages_touched_by(&store, update), all);
    // An insert touches the slot that it will get.
    let insert_another = |store: &Store| {
        insert(store, 2);
    };
    assert_eq!(pages_touched_by(&store, insert_another), pages_of(&store, 1));
    let delete = |store: &Store| {
        store.delete(RecordId::new(1, 1), None).unwrap();
    };
    assert_eq!(pages_touched_by(&store, delete), pages_of(&store, 1));
    // An upsert touches the record's own slot, or the one that it will get; a transaction touches the one that its
    // first insert will get.
    let upsert = |key: u64| {
        move |store: &Store| {
            store.upsert(Encoded::new(&payload(key))).unwrap();
        }
    };
    assert_eq!(pages_touched_by(&store, upsert(1)), all);
    assert_eq!(pages_touched_by(&store, upsert(3)), pages_of(&store, 1));
    let delete_again = |store: &Store| {
        store.delete(RecordId::new(1, 2), None).unwrap();
    };
    assert_eq!(pages_touched_by(&store, delete_again), pages_of(&store, 1));
    let begin = |store: &Store| drop(store.begin().unwrap());
    assert_eq!(pages_touched_by(&store, begin), pages_of(&store, 1));
    // No slot, no pages; and a handle that may not write could not touch any.
    let nowhere = |store: &Store| assert!(store.delete(RecordId::new(3, 1), None).is_err());
    assert_eq!(pages_touched_by(&store, nowhere), BTreeSet::new());
    store.access = Access::ReadOnly;
    let refused = |store: &Store| assert!(store.delete(first, None).is_err());
    assert_eq!(pages_touched_by(&store, refused), BTreeSet::new());

    let store = heap_store(wide_header(3, 700), always);
    insert(&store, 1);
    assert_eq!(pages_touched_by(&store, update), all, "this handle syncs");
}

#[test]
fn a_write_syncs_when_the_interval_has_passed_and_not_before() {
    for (interval, is_due) in [(Duration::ZERO, true), (Duration::from_secs(1 << 40), false)] {
        let store = heap_store(header(2), Settings { sync_every: Some(interval), ..settings() });
        for value in 0..3 {
            let version = store.upsert(Encoded::new(&[1, value])).unwrap().version;
            let durable = store.control().load(DURABLE, Ordering::Relaxed);
            assert_eq!(durable == version, is_due, "{interval:?}");
        }
    }
}

#[test]
fn a_sync_changes_its_own_words_only_and_counts_its_end() {
    let store = heap_store(header(2), settings());
    store.insert(Encoded::new(&[1, 10])).unwrap();
    let words = || -> Vec<u64> { (0..store.geometry.word_count()).map(|index| store.word_at(index)).collect() };
    let before = words();
    store.sync().unwrap();
    let control = store.geometry.control();
    let records = store.geometry.sync_records()..store.geometry.cells();
    let changed: BTreeSet<usize> = (0..)
        .zip(before.iter().zip(words()))
        .filter_map(|(index, (before, after))| (*before != after && !records.contains(&index)).then_some(index))
        .collect();
    // The number that is durable now, and that a sync ended, and was made. The time when it ended may be the same
    // millisecond.
    let mut expected = BTreeSet::from([DURABLE, SYNC_END_COUNT, SYNC_COUNT].map(|index| control + index));
    expected.extend(changed.get(&(control + LAST_SYNC_MILLISECONDS)));
    assert_eq!(changed, expected);
    for index in [SYNC_END_COUNT, SYNC_COUNT] {
        assert_eq!(store.control_word(index), before[control + index] + 1);
    }
}

#[test]
fn who_finds_his_work_durable_does_not_wait_for_the_sync_of_another() {
    let store = heap_store(header(2), Settings { lock_timeout: Duration::ZERO, ..settings() });
    store.insert(Encoded::new(&[1, 10])).unwrap();
    let durable = store.sync().unwrap();
    let _of_another = SyncGuard::try_lock(&store, true).unwrap().expect("nobody holds it");
    assert_eq!(store.sync().unwrap(), durable);
    // After a failed flush nothing is said to be durable before a recovery.
    let failed = store.geometry.control() + FAILED;
    store.plant(failed, &[1]);
    assert!(matches!(store.sync(), Err(Error::Timeout { lock: crate::error::TableLock::Sync, .. })));
    store.plant(failed, &[0]);
    store.upsert(Encoded::new(&[1, 11])).unwrap();
    assert!(matches!(store.sync(), Err(Error::Timeout { lock: crate::error::TableLock::Sync, .. })));
}

/// After a syncer that died in its flush everything is flushed again. The result of that flush was once not looked at
/// by any test.
#[test]
fn a_flush_that_fails_after_a_dead_syncer_fails_the_sync_though_the_next_one_would_succeed() {
    for has_something_to_sync in [false, true] {
        let store = heap_store(header(2), settings());
        store.insert(Encoded::new(&[1, 10])).unwrap();
        let durable = store.sync().unwrap();
        if has_something_to_sync {
            store.upsert(Encoded::new(&[1, 11])).unwrap();
        }
        store.plant(store.geometry.control() + FLUSHING, &[1]);
        let (failing, flush_count) = (Arc::clone(&heap_of(&store).fail_flushes), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&flush_count);
        let only_the_first_fails = move |event: &Event<'_>| {
            if let Event::Flush { .. } = event {
                let mut count = counted.lock().unwrap();
                failing.store(u64::from(*count == 0), Ordering::Relaxed);
                *count += 1;
            }
        };
        let outcome = with_hook(only_the_first_fails, || store.sync()).expect("nobody kills it");
        assert!(matches!(outcome, Err(Error::FlushFailed { source: Some(_) })), "{outcome:?}");
        assert_eq!((*flush_count.lock().unwrap(), store.control_word(DURABLE)), (1, durable));
        // The error stays, though flushes succeed.
        assert!(matches!(store.sync(), Err(Error::FlushFailed { source: None })));
    }
}

#[test]
fn a_sync_record_names_the_sync_that_was_acknowledged_before_it() {
    let store = heap_store(header(2), settings());
    for value in 0..4 {
        store.upsert(Encoded::new(&[1, value])).unwrap();
        let before = store.control_word(DURABLE);
        let number = store.sync().unwrap();
        let records = [0, 1].map(|record| store.sync_record(record).expect("it is whole"));
        let record = records.iter().find(|record| record.state.number == number).expect("it was made");
        assert_eq!(record.predecessor, before);
    }
}

/// A sync was in flight when the power failed, and what it was to replace has rotted: what is left is whole, but older
/// than a sync that had been acknowledged. Only the sync in flight still shows that one.
#[test]
fn a_sync_that_rotted_is_missed_by_the_one_that_was_in_flight_after_it() {
    let store = heap_store(header(3), settings());
    store.insert(Encoded::new(&[1, 10])).unwrap();
    let older = words_of(&store);
    store.insert(Encoded::new(&[2, 20])).unwrap();
    let acknowledged = store.sync().unwrap();
    let of_acknowledged =
        (0..2).find(|record| store.sync_record(*record).is_some_and(|found| found.state.number == acknowledged));
    store.insert(Encoded::new(&[3, 30])).unwrap();
    store.sync().unwrap();
    let mut words = words_of(&store);
    // The control group was never flushed, nor was the last insert; the sync before it, and its insert, can no longer
    // be read.
    let geometry = store.geometry;
    let control_group = geometry.control()..geometry.sync_records();
    words[control_group.clone()].copy_from_slice(&older[control_group]);
    words[geometry.sync_record(of_acknowledged.expect("it was made"))] ^= 1;
    for slot in [1, 2] {
        words[geometry.slot(slot)].fill(0);
    }
    let outcome = heap_store_of(words, header(3), settings(), false).map(|store| *store.recovery());
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
}
