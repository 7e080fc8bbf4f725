//! What one look at a table shows, for those who look thousands of times a second: a few loads, no lock and no system call.

use crate::engine::Store;
use crate::format::control::{DURABLE, FLUSHING, LAST, USED};
use crate::sys::lock::{Lock, LockState};
use crate::sys::words::Ordering;

/// What one look at a table's write lock and its syncs shows; made by [`Table::glance`](crate::Table::glance).
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// let before = table.glance();
/// table.write(|transaction| {
///     transaction.insert(&Visit { id: 42, hits: 7 })?;
///     // The same thread with the same number is in the same transaction.
///     let inside = table.glance();
///     assert!(inside.holder_thread_id.is_some() && inside.taken > before.taken && inside.last == before.last);
///     Ok(())
/// })?;
/// let after = table.glance();
/// assert!(after.holder_thread_id.is_none() && after.last > before.last);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Glance {
    /// The kernel's id of the thread that holds the write lock.
    pub holder_thread_id: Option<u32>,
    /// Whether some thread sleeps until the write lock is free. Before it sleeps, a thread tries for some microseconds, which is
    /// not seen.
    pub is_waited_for: bool,
    /// Whether the last holder of the write lock died, and nobody has taken the lock since. Whoever takes it next finishes or
    /// undoes what was begun.
    pub is_abandoned: bool,
    /// The highest transaction number that was ever taken. A transaction takes it when it begins to write.
    pub taken: u64,
    /// The number of the newest published transaction.
    pub last: u64,
    /// The number of the newest transaction that survives a power cut.
    pub durable: u64,
    /// Whether a sync is waiting for the disk.
    pub is_flushing: bool,
}

impl Store {
    /// Looks once. The words are loaded one by one while others may change them.
    pub fn glance(&self) -> Glance {
        let LockState { holder, is_waited_for, is_abandoned } = self.medium.lock_state(Lock::Write);
        let word = |index| self.control().load(index, Ordering::Relaxed);
        Glance {
            holder_thread_id: holder,
            is_waited_for,
            is_abandoned,
            taken: word(USED),
            last: word(LAST),
            durable: word(DURABLE),
            is_flushing: word(FLUSHING) != 0,
        }
    }

    /// How many records there are in each run of slots, the last of which may be shorter.
    pub fn live_counts(&self, slots_per_run: u32) -> Vec<u32> {
        let capacity = self.geometry.capacity();
        let slots_per_run = slots_per_run.max(1);
        let runs = (0..capacity).step_by(usize::try_from(slots_per_run).unwrap_or(usize::MAX));
        let live_count = |first: u32| {
            let slots = first..first.saturating_add(slots_per_run).min(capacity);
            slots.map(|slot| u32::from(self.slot(slot).head().is_live())).sum()
        };
        runs.map(live_count).collect()
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use crate::engine::Encoded;
    use crate::engine::tests::heap_store;
    use crate::engine::tests::world::{header, settings};
    use crate::format::control::FLUSHING;

    #[test]
    fn a_glance_shows_what_was_taken_published_and_synced() {
        let store = heap_store(header(3), settings());
        let before = store.glance();
        let mut transaction = store.begin().unwrap();
        transaction.insert(Encoded::new(&[1, 2])).unwrap();
        let inside = store.glance();
        assert!(inside.taken > before.taken && inside.last == before.last);
        drop(transaction);
        let version = store.insert(Encoded::new(&[1, 2])).unwrap().version;
        let after = store.glance();
        assert!((after.taken, after.last) == (version, version) && after.durable < version && !after.is_flushing);
        assert_eq!(store.sync().unwrap(), store.glance().durable);
        store.plant(store.geometry.control() + FLUSHING, &[1]);
        assert!(store.glance().is_flushing);
    }

    #[test]
    fn records_are_counted_where_they_are() {
        let store = heap_store(header(5), settings());
        for key in 0..3 {
            store.insert(Encoded::new(&[key, 0])).unwrap();
        }
        assert_eq!(store.live_counts(1), [1, 1, 1, 0, 0]);
        assert_eq!(store.live_counts(2), [2, 1, 0]);
        assert_eq!((store.live_counts(u32::MAX), store.live_counts(0).len()), (vec![3], 5));
    }
}
