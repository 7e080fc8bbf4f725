//! What can be seen of a table from outside, without a lock: counters, and which process holds the write mutex.

use crate::engine::Store;
use crate::format::control::{
    DEAD_SYNCER_COUNT, DURABLE, FAILED, INDEX_EPOCH, INTENT_COUNT, LAST, LAST_SYNC_WALL_MILLISECONDS, NEWEST_STATE,
    PREPARED, RECOVERY_NUMBER, REPAIRED_HOLDING_COUNT, REPAIRED_PREPARED_COUNT, REPAIRED_PUBLISHING_COUNT,
    REPAIRED_STAGING_COUNT, SYNC_COUNT,
};
use crate::layout::index::Epoch;
use crate::sys::lock::Lock;
use crate::sys::words::Ordering;
use crate::value::time::Timestamp;

/// Where the holder of the write mutex is in its transaction.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// table.write(|transaction| {
///     transaction.insert(&Visit { id: 42, hits: 7 })?;
///     let writer = locule::admin::info(&path)?.status.writer;
///     assert_eq!(writer.map(|writer| writer.state), Some(locule::WriterState::Staging));
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriterState {
    /// It holds the lock, and has not begun or is done.
    Holding,
    /// It is writing cells. If it died, the transaction would be undone.
    Staging,
    /// The transaction has happened, but is not visible yet. If the holder died, it would be finished.
    Prepared,
    /// The transaction is being made visible. If the holder died, it would be finished.
    Publishing,
}

/// The process that holds the write mutex.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// table.write(|_| {
///     let writer = table.status().writer;
///     assert_eq!(writer.map(|writer| writer.pid), Some(std::process::id()));
///     Ok(())
/// })?;
/// assert_eq!(table.status().writer, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Writer {
    /// The process.
    pub pid: u32,
    /// The kernel's id of its thread; that of the first thread is the process's.
    pub thread_id: u32,
    /// What it is doing.
    pub state: WriterState,
}

/// How many owners of the write mutex died and were repaired, by what they were doing.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// assert_eq!(table.status().repair_counts, locule::RepairCounts::default()); // nobody has died
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RepairCounts {
    /// They held the lock with nothing half done.
    pub holding: u64,
    /// They were writing cells: undone.
    pub staging: u64,
    /// They had prepared, but published nothing yet: finished.
    pub prepared: u64,
    /// They were publishing: finished.
    pub publishing: u64,
}

/// The counters of a table since its last recovery, read one by one while others may change them.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// let status = table.status();
/// assert_eq!((status.live_count, status.capacity), (1, 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Status {
    /// Records in the table.
    pub live_count: u64,
    /// Slots in the table.
    pub capacity: u64,
    /// The number of the newest published transaction.
    pub last: u64,
    /// The number of the newest transaction that survives a power cut.
    pub durable: u64,
    /// When the last sync ended, by the clock of the process that made it. A recovery counts as one.
    pub last_sync: Option<Timestamp>,
    /// Whether a flush failed since the last recovery.
    pub flush_failed: bool,
    /// Syncs made.
    pub sync_count: u64,
    /// Recoveries by a first opener, over the life of the file; its creation does not count as one.
    pub recovery_count: u64,
    /// Owners of the write mutex that died and were repaired.
    pub repair_counts: RepairCounts,
    /// Owners of the sync mutex that died.
    pub dead_syncer_count: u64,
    /// How often the index was rebuilt.
    pub index_rebuild_count: u64,
    /// The process that holds the write mutex at the moment.
    pub writer: Option<Writer>,
}

impl Store {
    /// Reads the counters. Takes no lock; works while other processes write or hold the lock, or after they died.
    pub fn status(&self) -> Status {
        let control = self.control();
        let word = |index| control.load(index, Ordering::Relaxed);
        Status {
            live_count: word(NEWEST_STATE + 1),
            capacity: u64::from(self.geometry.capacity()),
            last: word(LAST),
            durable: word(DURABLE),
            last_sync: i64::try_from(word(LAST_SYNC_WALL_MILLISECONDS))
                .ok()
                .filter(|milliseconds| *milliseconds != 0)
                .map(|milliseconds| Timestamp::from_microseconds(milliseconds.saturating_mul(1000))),
            flush_failed: word(FAILED) != 0,
            sync_count: word(SYNC_COUNT),
            // The creation of the file does not count.
            recovery_count: word(RECOVERY_NUMBER).saturating_sub(1),
            repair_counts: RepairCounts {
                holding: word(REPAIRED_HOLDING_COUNT),
                staging: word(REPAIRED_STAGING_COUNT),
                prepared: word(REPAIRED_PREPARED_COUNT),
                publishing: word(REPAIRED_PUBLISHING_COUNT),
            },
            dead_syncer_count: word(DEAD_SYNCER_COUNT),
            index_rebuild_count: Epoch::from_word(word(INDEX_EPOCH)).rebuild_count(),
            writer: self.writer(),
        }
    }

    fn writer(&self) -> Option<Writer> {
        let thread_id = self.medium.lock_holder(Lock::Write)?;
        Some(Writer { pid: process_of_thread(thread_id), thread_id, state: self.writer_state() })
    }

    fn writer_state(&self) -> WriterState {
        let control = self.control();
        let prepared = control.load(PREPARED, Ordering::Acquire);
        let intent_count = self.view().intent_count().unwrap_or(0);
        if prepared != control.load(LAST, Ordering::Acquire) {
            if self.view().is_partly_published(prepared, intent_count) {
                WriterState::Publishing
            } else {
                WriterState::Prepared
            }
        } else if control.load(INTENT_COUNT, Ordering::Relaxed) == 0 {
            WriterState::Holding
        } else if control.load(crate::format::control::USED, Ordering::Relaxed) > prepared {
            WriterState::Staging
        } else {
            WriterState::Publishing
        }
    }
}

/// The process that a thread belongs to. If that cannot be found out, the thread's own id, which is the same for a process with
/// one thread.
pub fn process_of_thread(thread_id: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{thread_id}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.and_then(|group| group.trim().parse().ok()).unwrap_or(thread_id)
}

/// Milliseconds since this boot, the same clock in every process.
#[inline]
pub fn monotonic_milliseconds() -> u64 {
    // The coarse clock costs a few loads and no system call; its ticks of up to 10 ms are fine enough for intervals between
    // syncs.
    let clock = nix::time::ClockId::CLOCK_MONOTONIC_COARSE;
    let now = nix::time::clock_gettime(clock).map(std::time::Duration::from).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970.
pub fn wall_time_microseconds() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Encoded;
    use crate::engine::tests::heap_store;
    use crate::engine::tests::world::{header, settings};
    use crate::sys::probe::die_after_store;
    use std::time::Duration;

    #[test]
    fn a_writer_is_where_its_last_store_has_brought_it() {
        let mut found = Vec::new();
        for store_count in 1.. {
            let store = heap_store(header(1), settings());
            let before = store.insert(Encoded::new(&[1, 10])).unwrap().version;
            let word = |index| store.control_word(index);
            if die_after_store(store_count, || store.upsert(Encoded::new(&[1, 11])).unwrap()).is_some() {
                break;
            }
            let is_published = store.head_of(0).number() > before;
            let expected = match (word(INTENT_COUNT), word(PREPARED) > before, is_published) {
                (0, ..) => WriterState::Holding,
                (_, false, _) => WriterState::Staging,
                (_, true, false) => WriterState::Prepared,
                (_, true, true) => WriterState::Publishing,
            };
            assert_eq!(store.writer_state(), expected, "after {store_count} stores");
            if found.last() != Some(&expected) {
                found.push(expected);
            }
        }
        let in_order = [WriterState::Holding, WriterState::Staging, WriterState::Prepared, WriterState::Publishing];
        assert_eq!(found[..4], in_order);
        assert_eq!(found[4..], [WriterState::Holding]);
    }

    #[test]
    fn a_status_tells_when_the_last_sync_was() {
        let store = heap_store(header(1), settings());
        store.insert(Encoded::new(&[1, 10])).unwrap();
        store.sync().unwrap();
        let synced = store.status().last_sync.unwrap();
        assert_eq!(synced.microseconds(), (store.settings.wall_clock)() / 1000 * 1000);
        store.plant(store.geometry.control() + LAST_SYNC_WALL_MILLISECONDS, &[0]);
        assert_eq!(store.status().last_sync, None);
    }

    #[test]
    fn a_status_tells_whether_a_flush_failed() {
        let store = heap_store(header(1), settings());
        assert!(!store.status().flush_failed);
        store.plant(store.geometry.control() + FAILED, &[1]);
        assert!(store.status().flush_failed);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri shows no clock of the machine")]
    fn the_clocks_are_those_of_the_machine() {
        let milliseconds = || {
            let clock = nix::time::ClockId::CLOCK_MONOTONIC_COARSE;
            Duration::from(nix::time::clock_gettime(clock).unwrap()).as_millis()
        };
        let before = milliseconds();
        let found = u128::from(monotonic_milliseconds());
        assert!(before <= found && found <= milliseconds());

        // The clock may be set while the test runs, but hardly by a day.
        let day = Duration::from_secs(86_400);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let found = Duration::from_micros(u64::try_from(wall_time_microseconds()).unwrap());
        assert!(now.abs_diff(found) < day, "{now:?}, {found:?}");
    }
}
