//! What a recovery reports, which numbers it believes, and which death a repair counts.

use super::{heap_store, heap_store_of, words_of};
use crate::engine::outcome::RecoveryOutcome;
use crate::engine::tests::actor::heap_of;
use crate::engine::tests::world::{header, settings};
use crate::engine::{Access, Encoded, Store};
use crate::error::Result;
use crate::format::cell::{CellHeader, GENERATION_LIMIT, NUMBER_LIMIT};
use crate::format::control::{DURABLE, GENERATION_FLOOR, INTENT_COUNT, LAST, PREPARED, USED};
use crate::format::sync_record::SyncRecord;
use crate::sys::lock::Lock;
use crate::sys::medium::Medium;
use crate::sys::probe::{Event, die, die_after_store, with_hook};

fn put(store: &Store, key: u64, value: u64) -> u64 {
    store.upsert(Encoded::new(&[key, value])).unwrap().version
}

fn value_of(store: &Store, key: u64) -> Option<u64> {
    let mut payload = [0; 2];
    store.find(&key.to_ne_bytes(), &mut payload).unwrap().map(|_| payload[1])
}

/// What the first opener gets after every process is gone.
fn opened_again(store: &Store, is_same_boot: bool) -> Result<Store> {
    heap_store_of(words_of(store), header(u64::from(store.geometry.capacity())), settings(), is_same_boot)
}

#[test]
fn a_recovery_reports_what_it_found_and_what_is_lost() {
    let new = heap_store(header(3), settings());
    assert_eq!((new.recovery().outcome, new.recovery().nothing_lost), (RecoveryOutcome::New, true));
    assert_eq!((new.recovery().number, new.recovery().live_count), (0, 0));

    let store = heap_store(header(3), settings());
    put(&store, 1, 10);
    let synced = store.sync().unwrap();
    for is_published_only in [false, true] {
        let last = if is_published_only { put(&store, 2, 20) } else { synced };
        for is_same_boot in [false, true] {
            let again = opened_again(&store, is_same_boot).unwrap();
            let recovery = again.recovery();
            assert_eq!((recovery.number, recovery.nothing_lost, recovery.is_private_copy), (last, is_same_boot, false));
            assert_eq!(recovery.live_count, if is_published_only { 2 } else { 1 });
            assert!(recovery.highest_number_seen >= last);
            let is_a_sync =
                matches!(recovery.outcome, RecoveryOutcome::Checkpoint { wall_time } if wall_time.microseconds() > 0);
            assert_eq!(is_a_sync, !is_same_boot && !is_published_only, "{recovery:?}");
            assert!(is_a_sync || recovery.outcome == RecoveryOutcome::Newest, "{recovery:?}");
        }
    }

    // A process took a number and died: the table is no longer new.
    let store = heap_store(header(3), settings());
    store.plant(store.geometry.control() + USED, &[5]);
    let again = opened_again(&store, true).unwrap();
    assert_eq!((again.recovery().outcome, again.recovery().highest_number_seen), (RecoveryOutcome::Newest, 5));
    assert!(put(&again, 1, 1) > 5 + 1000);
}

#[test]
fn numbers_that_cannot_be_are_not_believed() {
    let store = heap_store(header(3), settings());
    put(&store, 1, 10);
    store.sync().unwrap();
    let control = store.geometry.control();
    for (index, number) in
        [(DURABLE, NUMBER_LIMIT), (USED, NUMBER_LIMIT / 2), (USED, NUMBER_LIMIT - 1), (LAST, u64::MAX)]
    {
        let before = store.word_at(control + index);
        store.plant(control + index, &[number]);
        let again = opened_again(&store, false).unwrap();
        assert_eq!(value_of(&again, 1), Some(10));
        assert!(put(&again, 2, 1) < NUMBER_LIMIT / 4, "{index} {number:#x}");
        store.plant(control + index, &[before]);
    }
    // A cell is not believed either, though it has its checksum.
    let [first, second, third] = CellHeader::new(NUMBER_LIMIT, 1, false, 0, 0).to_words();
    store.plant(store.geometry.cell(2, 3), &[first, second, third]);
    assert!(put(&opened_again(&store, false).unwrap(), 2, 1) < NUMBER_LIMIT / 4);
}

#[test]
fn a_recovery_gives_out_a_free_slot_again_unless_its_generations_are_used_up() {
    for (floor, is_free) in [(GENERATION_LIMIT - 3, true), (GENERATION_LIMIT - 2, false)] {
        let store = heap_store(header(1), settings());
        store.plant(store.geometry.control() + GENERATION_FLOOR, &[floor]);
        let id = store.insert(Encoded::new(&[1, 1])).unwrap().id;
        assert_eq!(id.generation(), floor + 1);
        store.delete(id, None).unwrap();
        assert_eq!(store.free_count(), u64::from(is_free));
        let again = opened_again(&store, true).unwrap();
        assert_eq!(again.free_count(), u64::from(is_free), "{floor:#x}");
    }
}

#[test]
fn a_repair_counts_in_which_state_its_owner_died() {
    let mut counts = [0; 4];
    for store_count in 1.. {
        let store = heap_store(header(1), settings());
        let before = put(&store, 1, 10);
        if die_after_store(store_count, || put(&store, 1, 11)).is_some() {
            break;
        }
        heap_of(&store).owner_died(Lock::Write);
        let is_published = store.head_of(0).number() > before;
        let is_prepared = store.control_word(PREPARED) > before;
        let is_finished = store.control_word(LAST) > before && store.control_word(INTENT_COUNT) == 0;
        let is_listed = store.control_word(INTENT_COUNT) != 0;
        drop(store.begin().unwrap());
        let found = store.status().repair_counts;
        let found = [found.holding, found.staging, found.prepared, found.publishing];
        // A number that was taken, with nothing on the list yet, is nothing in progress.
        let expected = match (is_finished, is_published, is_prepared, is_listed) {
            (true, ..) | (_, false, false, false) => [1, 0, 0, 0],
            (_, true, ..) => [0, 0, 0, 1],
            (_, _, true, _) => [0, 0, 1, 0],
            _ => [0, 1, 0, 0],
        };
        assert_eq!(found, expected, "after {store_count} stores");
        assert_eq!(value_of(&store, 1), Some(if is_prepared { 11 } else { 10 }));
        counts = std::array::from_fn(|kind| counts[kind] + found[kind]);
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// The sync records that a recovery leaves, if it may go on until it has flushed this many times.
fn records_after(store: &Store, flush_count: u32) -> [Option<SyncRecord>; 2] {
    let again = Store::new(
        Medium::private(words_of(store), store.geometry.control()).unwrap(),
        store.header.clone(),
        settings(),
        Access::ReadWrite,
        None,
    );
    let mut left = flush_count;
    let hook = move |event: &Event<'_>| {
        if let Event::Flushed { .. } = event {
            left -= 1;
            if left == 0 {
                die();
            }
        }
    };
    assert!(with_hook(hook, || again.recover(false).map(drop)).is_none());
    [0, 1].map(|record| again.sync_record(record))
}

#[test]
fn the_sync_records_of_a_recovery_name_what_was_acknowledged_before_them() {
    let store = heap_store(header(3), settings());
    put(&store, 1, 10);
    put(&store, 2, 20);
    let acknowledged = store.sync().unwrap();
    let chosen = put(&store, 3, 30);
    let predecessor_of = |records: [Option<SyncRecord>; 2], number: u64| {
        let record = records.iter().flatten().find(|record| record.state.number == number);
        record.map(|record| record.predecessor)
    };
    // The first flush is of the pages as they were, the second of the state that was found, which no sync has.
    assert_eq!(predecessor_of(records_after(&store, 1), chosen), None);
    assert_eq!(predecessor_of(records_after(&store, 2), chosen), Some(acknowledged));
    // The fourth is of the same state under its new number.
    let records = records_after(&store, 4);
    let raised = records.iter().flatten().map(|record| record.state.number).max().unwrap();
    assert!(raised > chosen);
    assert_eq!(predecessor_of(records, raised), Some(chosen));
    assert_eq!(predecessor_of(records, chosen), Some(acknowledged));
}
