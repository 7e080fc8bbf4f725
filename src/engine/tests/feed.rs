//! Followers of a table: what they make of its changes is the table, whatever was done to it, and whenever they look.

use super::{heap_store, heap_store_of, one_of, words_of};
use crate::cursor::Cursor;
use crate::engine::changes::ChangedSlots;
use crate::engine::read::Meta;
use crate::engine::tests::world::{header, settings};
use crate::engine::{Access, Encoded, Store};
use crate::error::{CursorLoss, Error};
use crate::format::control::{DURABLE, LAST, PREPARED};
use crate::sys::probe::{self, Event};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SLOT_COUNT: u64 = 6;
const KEY_COUNT: u64 = 9;

/// The records by slot.
type Rows = BTreeMap<u32, (Meta, [u64; 2])>;

/// One that knows nothing of the table but its changes.
#[derive(Clone)]
struct Follower {
    rows: Rows,
    cursor: Cursor,
    follows_syncs: bool,
}

impl Follower {
    fn new(store: &Store, follows_syncs: bool) -> Self {
        Follower { rows: Rows::new(), cursor: store.first_cursor(), follows_syncs }
    }

    fn changes(&self, store: &Store, cursor: Cursor) -> Result<ChangedSlots, Error> {
        if self.follows_syncs { store.synced_changes_since(cursor) } else { store.changes_since(cursor) }
    }

    /// Returns whether it had to begin anew.
    fn catch_up(&mut self, store: &Store) -> bool {
        let (changes, is_lost) = match self.changes(store, self.cursor) {
            Err(Error::CursorLost { .. }) => {
                self.rows.clear();
                (self.changes(store, store.first_cursor()).unwrap(), true)
            }
            changes => (changes.unwrap(), false),
        };
        let mut version_before = self.cursor.number();
        assert!(is_lost || changes.cursor.number() >= version_before);
        for (meta, payload) in changes.iter() {
            assert!(meta.version >= version_before || is_lost, "they come in the order of transactions");
            assert!(meta.version <= changes.cursor.number());
            version_before = meta.version;
            match payload {
                Some(payload) => self.rows.insert(meta.id.slot(), (meta, payload.try_into().unwrap())),
                None => self.rows.remove(&meta.id.slot()),
            };
        }
        self.cursor = changes.cursor;
        is_lost
    }
}

/// The records, slot by slot, without any of the code that is tested here.
fn rows_of(store: &Store) -> Rows {
    let mut payload = [0; 2];
    let slots = 0..store.geometry.capacity();
    slots.filter_map(|slot| Some((slot, (store.read_slot(slot, &mut payload).unwrap()?, payload)))).collect()
}

/// One transaction, of one record or of several.
fn write(store: &Store, random: &mut fastrand::Rng, round: u64) {
    if random.bool() {
        let key = random.u64(..KEY_COUNT);
        match store.find(&key.to_ne_bytes(), &mut [0; 2]).unwrap() {
            Some(meta) if random.bool() => drop(store.delete(meta.id, None).unwrap()),
            // A full table is refused, and then nothing has changed.
            _ => drop(store.upsert(Encoded::new(&[key, round]))),
        }
        return;
    }
    let mut transaction = store.begin().unwrap();
    for _ in 0..random.u32(1..5) {
        let key = random.u64(..KEY_COUNT);
        match transaction.find(&[key, 0], &mut [0; 2]).unwrap() {
            Some(meta) if random.bool() => drop(transaction.delete(meta.id, None).unwrap()),
            _ => drop(transaction.upsert(Encoded::new(&[key, round]))),
        }
    }
    if random.u32(..4) > 0 {
        transaction.commit().unwrap();
    }
}

/// The table as of a first opener: in another boot what was not synced may be gone.
fn recover(store: &Store, synced: &[u64], random: &mut fastrand::Rng) -> Store {
    let words = if random.bool() { words_of(store) } else { synced.to_vec() };
    heap_store_of(words, store.header.clone(), settings(), random.bool()).unwrap()
}

#[test]
fn what_a_follower_makes_of_the_changes_is_the_table() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut store = heap_store(header(SLOT_COUNT), settings());
    let mut followers: Vec<_> = (0..6).map(|number| Follower::new(&store, number % 2 == 1)).collect();
    let mut synced = (words_of(&store), Rows::new());
    let (mut change_count, mut lost_count, mut rolled_back_count) = (0, 0, 0);
    for round in 0..10_000_u64.div_ceil(one_of(200) as u64) {
        match random.u32(..100) {
            0 => {
                let before = rows_of(&store);
                store = recover(&store, &synced.0, &mut random);
                rolled_back_count += u32::from(before != rows_of(&store));
                synced = (words_of(&store), rows_of(&store));
            }
            1..15 => {
                store.sync().unwrap();
                synced = (words_of(&store), rows_of(&store));
            }
            _ => write(&store, &mut random, round),
        }
        // Some look often and some hardly ever.
        let number = random.usize(..followers.len() * 4);
        let Some(follower) = followers.get_mut(number / (1 + random.usize(..4))) else { continue };
        let before = follower.rows.clone();
        lost_count += u32::from(follower.catch_up(&store));
        change_count += u32::from(follower.rows != before);
        let expected = if follower.follows_syncs { &synced.1 } else { &rows_of(&store) };
        if !follower.follows_syncs || follower.cursor.number() == store.control_word(DURABLE) {
            assert_eq!(follower.rows, *expected, "round {round}");
        }
        let again = follower.changes(&store, follower.cursor).unwrap();
        assert_eq!((again.iter().count(), again.cursor), (0, follower.cursor));
    }
    println!(
        "{change_count} times something had changed, {lost_count} times a cursor was lost, {rolled_back_count} rollbacks"
    );
    assert!(cfg!(miri) || change_count > 1000 && lost_count > 5 && rolled_back_count > 10);
}

/// Another process writes at each load of a follower, which takes the lock in the end.
#[test]
fn a_follower_sees_no_half_of_a_transaction_wherever_others_write() {
    probe::see_all_loads();
    for period in [1, 2, 3, 7, 11].into_iter().step_by(one_of(4)) {
        let store = Arc::new(heap_store(header(3), settings()));
        for key in 0..3 {
            store.insert(Encoded::new(&[key, 0])).unwrap();
        }
        let cursor = store.newest_cursor().unwrap();
        let writing = Arc::clone(&store);
        let (mut load_count, mut value, mut is_reading) = (0, 0, true);
        let hook = move |event: &Event<'_>| {
            is_reading &= !matches!(event, Event::Lock);
            load_count += u32::from(matches!(event, Event::Load));
            if is_reading && load_count % period == 0 {
                value += 1;
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        let mut transaction = writing.begin().unwrap();
                        for key in 0..3 {
                            transaction.upsert(Encoded::new(&[key, value])).unwrap();
                        }
                        transaction.commit().unwrap();
                    });
                });
            }
        };
        let changes = probe::with_hook(hook, || store.changes_since(cursor)).unwrap().unwrap();
        let values: Vec<_> = changes.iter().map(|(meta, payload)| (meta.version, payload.unwrap()[1])).collect();
        assert_eq!(values.len(), 3, "period {period}");
        assert!(values.iter().all(|value| *value == values[0] && value.0 == changes.cursor.number()), "{values:?}");
    }
}

/// What a sync has made durable stays where it is while others write; only another sync takes it away.
#[test]
fn a_follower_of_syncs_sees_the_newest_sync_whatever_was_written_since() {
    for writes_before in 0..4 {
        for writes_after in 0..6 {
            let store = heap_store(header(3), settings());
            let put = |value: u64| {
                let mut transaction = store.begin().unwrap();
                for key in 0..2 {
                    transaction.upsert(Encoded::new(&[key, value])).unwrap();
                }
                transaction.commit().unwrap();
            };
            put(0);
            let cursor = store.newest_cursor().unwrap();
            (0..writes_before).for_each(|round| put(10 + round));
            let number = store.sync().unwrap();
            (0..writes_after).for_each(|round| put(20 + round));
            store.insert(Encoded::new(&[5, 5])).unwrap();
            let changes = store.synced_changes_since(cursor).unwrap();
            let values: Vec<_> = changes.iter().map(|(_, payload)| payload.unwrap()[1]).collect();
            let expected = if writes_before == 0 { vec![] } else { vec![9 + writes_before; 2] };
            assert_eq!((values, changes.cursor.number()), (expected, number));
            // One that is newer than the sync does not go back.
            let newest = store.newest_cursor().unwrap();
            let changes = store.synced_changes_since(newest).unwrap();
            assert_eq!((changes.iter().count(), changes.cursor), (0, newest));
        }
    }
}

/// Syncs end at each load of a follower of syncs.
#[test]
fn a_follower_of_syncs_sees_one_sync_wherever_another_ends() {
    probe::see_all_loads();
    let mut disturbed_count = 0;
    for access in (0_u32..).step_by(one_of(19)) {
        let store = Arc::new(heap_store(header(3), settings()));
        let put = |store: &Store, value: u64| {
            let mut transaction = store.begin().unwrap();
            for key in 0..3 {
                transaction.upsert(Encoded::new(&[key, value])).unwrap();
            }
            transaction.commit().unwrap();
        };
        put(&store, 0);
        let cursor = store.newest_cursor().unwrap();
        put(&store, 1);
        store.sync().unwrap();
        put(&store, 2);
        let (writing, mut left, is_over) = (Arc::clone(&store), access, Arc::new(std::sync::Mutex::new(true)));
        let seen = Arc::clone(&is_over);
        let hook = move |event: &Event<'_>| {
            if matches!(event, Event::Load) {
                if left == 0 {
                    *seen.lock().unwrap() = false;
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            for value in 3..7 {
                                writing.sync().unwrap();
                                put(&writing, value);
                            }
                        });
                    });
                }
                left = left.wrapping_sub(1);
            }
        };
        let changes = probe::with_hook(hook, || store.synced_changes_since(cursor)).unwrap().unwrap();
        let values: Vec<_> = changes.iter().map(|(_, payload)| payload.unwrap()[1]).collect();
        assert!([[1; 3], [5; 3]].contains(&values[..].try_into().unwrap()), "access {access}: {values:?}");
        disturbed_count += u32::from(values[0] == 5);
        if *is_over.lock().unwrap() {
            return assert!(disturbed_count > 5 || cfg!(miri));
        }
    }
}

#[test]
fn a_cursor_of_another_table_or_of_the_future_is_refused() {
    let store = heap_store(header(2), settings());
    store.insert(Encoded::new(&[1, 0])).unwrap();
    let cursor = store.newest_cursor().unwrap();
    let reason = |cursor: Cursor| match store.changes_since(cursor) {
        Err(Error::CursorLost { reason }) => Some(reason),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    assert_eq!(reason(cursor), None);
    assert_eq!(reason(Cursor { number: cursor.number() + 1, ..cursor }), Some(CursorLoss::NewerThanTable));
    assert_eq!(reason(Cursor { uuid: [1; 16], ..cursor }), Some(CursorLoss::OtherTable));
    assert_eq!(reason(Cursor { uuid: [1; 16], ..store.first_cursor() }), Some(CursorLoss::OtherTable));
    assert_eq!(reason(store.first_cursor()), None);
}

#[test]
fn a_cursor_outlives_eight_recoveries_and_no_more() {
    let mut store = heap_store(header(2), settings());
    store.insert(Encoded::new(&[1, 0])).unwrap();
    let cursor = store.newest_cursor().unwrap();
    for recovery in 1..=10 {
        store = heap_store_of(words_of(&store), store.header.clone(), settings(), recovery % 2 == 0).unwrap();
        let outcome = store.changes_since(cursor);
        if recovery <= 8 {
            let changes = outcome.unwrap();
            assert_eq!(changes.iter().count(), usize::from(recovery > 3), "what was written after the third");
        } else {
            let Err(Error::CursorLost { reason }) = outcome else { panic!("{:?}", outcome.map(drop)) };
            assert_eq!(reason, CursorLoss::TooManyRecoveries);
        }
        // A sync passes on what is known.
        if recovery % 3 == 0 {
            store.upsert(Encoded::new(&[2, recovery])).unwrap();
            let before = store.gaps().unwrap();
            store.sync().unwrap();
            assert_eq!(store.gaps().unwrap(), before);
            store.delete(store.find(&2_u64.to_ne_bytes(), &mut [0; 2]).unwrap().unwrap().id, None).unwrap();
        }
        if recovery == 3 || recovery == 6 {
            return_of_cursor(&store, cursor);
        }
    }
}

/// Changes since a cursor from before a recovery are those from after it.
fn return_of_cursor(store: &Store, cursor: Cursor) {
    let changes = store.changes_since(cursor).unwrap();
    assert!(changes.iter().all(|(meta, _)| meta.version > cursor.number()));
    assert_eq!(changes.cursor.number(), store.control_word(LAST));
}

/// A read-only handle sees what a dead writer had prepared as done at once. Its cursor once was newer than the table for a wait.
#[test]
fn a_reader_beside_a_dead_writer_follows_what_was_prepared_and_can_wait_for_more() {
    let mut found = Vec::new();
    for store_count in (1..).step_by(one_of(7)) {
        let mut store = heap_store(header(3), settings());
        store.insert(Encoded::new(&[1, 0])).unwrap();
        let cursor = store.newest_cursor().unwrap();
        let write = || {
            let mut transaction = store.begin().unwrap();
            for key in 1..3 {
                transaction.upsert(Encoded::new(&[key, 1])).unwrap();
            }
            transaction.commit().unwrap();
        };
        if probe::die_after_store(store_count, write).is_some() {
            break;
        }
        store.access = Access::ReadOnly;
        let changes = store.changes_since(cursor).unwrap();
        let has_happened = store.control_word(PREPARED) > cursor.number();
        assert_eq!(changes.iter().count(), if has_happened { 2 } else { 0 }, "after {store_count} stores");
        assert!(!store.wait(changes.cursor, Duration::ZERO).unwrap());
        assert!(!store.wait_synced(changes.cursor, Duration::ZERO).unwrap());
        assert_eq!(store.synced_changes_since(changes.cursor).unwrap().cursor, changes.cursor);
        assert_eq!(store.changes_since(changes.cursor).unwrap().iter().count(), 0);
        found.push(has_happened);
    }
    assert!(found.contains(&false) && found.contains(&true));
}

/// A private copy gives its state a number of its own. A cursor from it once would have meant another state in the file.
#[test]
fn the_cursor_of_a_recovered_copy_is_that_of_the_state_that_was_chosen() {
    let store = heap_store(header(2), settings());
    let id = store.insert(Encoded::new(&[1, 0])).unwrap().id;
    let cursor = store.newest_cursor().unwrap();
    store.update(id, None, Encoded::new(&[1, 1])).unwrap();
    let mut copy = heap_store_of(words_of(&store), store.header.clone(), settings(), true).unwrap();
    copy.recovery.is_private_copy = true;
    assert!(copy.control_word(LAST) > store.control_word(LAST) + 1);
    assert_eq!(copy.newest_cursor().unwrap(), store.newest_cursor().unwrap());
    for changes in [copy.changes_since(cursor).unwrap(), copy.synced_changes_since(cursor).unwrap()] {
        assert_eq!((changes.iter().count(), changes.cursor), (1, store.newest_cursor().unwrap()));
    }
    let after = copy.changes_since(copy.newest_cursor().unwrap()).unwrap();
    assert_eq!((after.iter().count(), after.cursor), (0, store.newest_cursor().unwrap()));
    assert_eq!(copy.snapshot(|moment| Ok::<_, Error>(moment.cursor())).unwrap(), store.newest_cursor().unwrap());
    assert_eq!(store.control_word(PREPARED), store.newest_cursor().unwrap().number());
}
