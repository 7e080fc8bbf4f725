//! Syncing: what has been published so far survives a power cut from here on.
//!
//! Invariants:
//!
//! 1. The syncer reads the newest state and pins its number in one go, under the write mutex. Until the pin is gone,
//!    writers leave every cell alone that is visible at that number.
//! 2. A sync overwrites the record that does *not* carry the number `DURABLE`. Which one that is follows from that
//!    number alone.
//! 3. One flush, of the durable group, without the write mutex. It is enough, since a recovery believes a record only if
//!    the digest of the cells that it finds matches.
//! 4. `DURABLE` is stored before `PIN` is taken away; writers read them in the other order.
//! 5. `FLUSHING` is set before a flush and cleared after it. A syncer that finds it or `PIN` set has a predecessor that died: its
//!    flush may have failed, and the kernel takes the pages for clean. So every page is written to and flushed again before
//!    anything else, and the predecessor's sync is finished if its record is whole. So a whole record above `DURABLE` always is
//!    that of the pinned state.
//! 6. After a failed flush (`FAILED`) no sync succeeds until a recovery.
//! 7. A sync is acknowledged only if the table has not been recovered since this handle attached, and the file still has the
//!    name that it was opened by.
//! 8. Whether a sync is due depends on no single clock: see [`Store::is_sync_due`].
//!
//! Memory ordering: what only syncers write is ordered by the sync mutex. `PIN` is ordered between them and writers by the
//! write mutex, except for its end: it is taken away with release, and a writer that loads that with acquire sees the new
//! `DURABLE`. The other release stores keep their order for the processes that go on after a syncer died; in the model checker
//! no thread can die there, so it does not see that. It does not see a delayed load either. The acquire of `SYNC_END_COUNT`
//! forbids one: it comes before the mutex is tried, and the matching release comes after the mutex was unlocked.

use super::{Access, Store};
use crate::engine::guard::{SyncGuard, WriteGuard};
use crate::error::{Error, Internal, Result};
use crate::format::control::{
    DEAD_SYNCER_COUNT, DURABLE, FAILED, FLUSHING, GENERATION_FLOOR, LAST, LAST_SYNC_MILLISECONDS,
    LAST_SYNC_WALL_MILLISECONDS, NO_PIN, PIN, SYNC_COUNT, SYNC_END_COUNT,
};
use crate::format::gaps::Gaps;
use crate::format::geometry::{PAGE_WORDS, SYNC_RECORD_COUNT};
use crate::format::sync_record::{SYNC_RECORD_WORDS, State, SyncRecord};
use crate::sys::attachment::Attachment;
use crate::sys::deadline::Deadline;
use crate::sys::lock::Acquired;
use crate::sys::private::Remembered;
use crate::sys::words::Ordering;
use std::io;
use std::time::Duration;

/// How long one wait for another's sync lasts at most, before the lock is tried again.
const SLICE: Duration = Duration::from_millis(20);

/// The sync that a handle saw last, and when it first saw it, by its own clock.
#[derive(Default)]
pub struct SeenSync {
    number: Remembered,
    milliseconds: Remembered,
}

impl SeenSync {
    /// Whether the sync with a number has been the newest for that long. Threads of a handle may mix up their times: each of
    /// them was true once.
    #[inline(always)]
    fn is_older(&self, number: u64, now_milliseconds: u64, interval_milliseconds: u64) -> bool {
        if self.number.get() != number {
            self.see(number, now_milliseconds);
        }
        now_milliseconds.saturating_sub(self.milliseconds.get()) >= interval_milliseconds
    }

    #[cold]
    pub fn see(&self, number: u64, now_milliseconds: u64) {
        self.milliseconds.set(now_milliseconds);
        self.number.set(number);
    }
}

impl Store {
    /// Makes everything that was published before the call durable. Returns the number of the newest transaction that is. While
    /// another process is syncing, it waits for the end of that, and then usually finds the work done: one flush serves
    /// everyone that waits.
    pub fn sync(&self) -> Result<u64> {
        self.sync_up_to(self.control().load(LAST, Ordering::Relaxed))
    }

    /// The same, even if everything is durable already: for what was written beside transactions.
    pub fn sync_anew(&self) -> Result<u64> {
        self.sync_up_to(u64::MAX)
    }

    fn sync_up_to(&self, wanted: u64) -> Result<u64> {
        self.check_may_lock("sync")?;
        let control = self.control();
        let deadline = Deadline::after(self.settings.lock_timeout);
        let mut waited_in_vain = false;
        loop {
            let end_count = control.load(SYNC_END_COUNT, Ordering::Acquire);
            if let Some((guard, acquired)) = SyncGuard::try_lock(self, waited_in_vain)? {
                return self.sync_in_turn(guard, acquired, wanted);
            }
            let durable = control.load(DURABLE, Ordering::Acquire);
            self.check_usable()?;
            if durable >= wanted && !self.faults().is_flush_failed {
                self.check_name()?;
                return Ok(durable);
            }
            let left = deadline.left();
            if left.is_zero() && waited_in_vain {
                return Err(self.sync_timeout());
            }
            // The death of a syncer wakes no one, so the lock is tried again after a slice.
            let index = self.geometry.control() + SYNC_END_COUNT;
            self.medium.sleep_on(index, end_count, left.min(SLICE));
            waited_in_vain = control.load(SYNC_END_COUNT, Ordering::Relaxed) == end_count;
        }
    }

    /// Syncs if the handle's interval has passed since the last sync by any process, and none is syncing.
    #[inline(always)]
    pub fn sync_if_due(&self) -> Internal<()> {
        // A recovery may have met this write half way; then the caller must not be told that it happened.
        self.check_not_recovered()?;
        match self.settings.sync_every {
            Some(interval) if self.is_sync_due(interval) => self.sync_in_passing(interval),
            _ => Ok(()),
        }
    }

    /// Syncs after a write, unless another process is syncing. The write has happened, whatever becomes of this sync.
    #[cold]
    fn sync_in_passing(&self, interval: Duration) -> Internal<()> {
        let wanted = self.control().load(LAST, Ordering::Relaxed);
        // If the other process takes as long again, it may be dead.
        let is_overdue = self.is_sync_due(interval.saturating_mul(2));
        let turn = SyncGuard::try_lock(self, is_overdue).map_err(Error::from);
        let synced =
            turn.and_then(|turn| turn.map(|(guard, owner)| self.sync_in_turn(guard, owner, wanted)).transpose());
        match synced {
            Ok(_) => Ok(()),
            // The write is in the file that has the name now, and that was flushed.
            Err(Error::Superseded) if self.is_carried_on() => Ok(()),
            // The write went to a file that can no longer be found: it counts as not written.
            Err(source @ Error::Superseded) if self.attachment.as_ref().is_some_and(Attachment::is_nameless) => {
                Err(source.into())
            }
            Err(source) => Err(Error::SyncAfterWrite { source: Box::new(source) }.into()),
        }
    }

    /// Whether the last sync is older than an interval.
    ///
    /// The time when it ended is recorded by two clocks. A process in another time namespace has another monotonic clock, and
    /// the wall clock can be set. So both clocks must say that a sync is due; a recorded time in the future counts as saying
    /// so. And whatever they say, a sync is due when this handle has seen none for that long by its own clock.
    #[inline(always)]
    pub(super) fn is_sync_due(&self, interval: Duration) -> bool {
        let now = crate::engine::status::monotonic_milliseconds();
        let interval_milliseconds = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let durable = self.control().load(DURABLE, Ordering::Relaxed);
        if self.seen_sync.is_older(durable, now, interval_milliseconds) {
            return true;
        }
        let last = self.control().load(LAST_SYNC_MILLISECONDS, Ordering::Relaxed);
        now.wrapping_sub(last) >= interval_milliseconds && self.is_old_by_the_wall_clock(interval_milliseconds)
    }

    #[cold]
    fn is_old_by_the_wall_clock(&self, interval_milliseconds: u64) -> bool {
        let last = self.control().load(LAST_SYNC_WALL_MILLISECONDS, Ordering::Relaxed);
        self.wall_milliseconds().wrapping_sub(last) >= interval_milliseconds
    }

    pub(super) fn wall_milliseconds(&self) -> u64 {
        u64::try_from((self.settings.wall_clock)() / 1000).unwrap_or(0)
    }

    /// Writes a checkpoint, unlocks the mutex, and tells the threads that wait.
    fn sync_in_turn(&self, guard: SyncGuard<'_>, acquired: Acquired, wanted: u64) -> Result<u64> {
        let result = self.write_checkpoint(acquired, wanted);
        drop(guard);
        // Counted after the mutex is free: a thread that finds it held has seen the old count, and sleeps on that. Other
        // threads may now count too, so counting is a single atomic step.
        self.words().increment(self.geometry.control() + SYNC_END_COUNT, Ordering::Release);
        self.medium.wake_all(self.geometry.control() + SYNC_END_COUNT);
        result
    }

    /// Makes what is published durable, unless what is wanted is durable already. Returns the number of the newest transaction
    /// that is durable. Under the sync mutex.
    fn write_checkpoint(&self, acquired: Acquired, wanted: u64) -> Result<u64> {
        self.check_usable()?;
        let control = self.control();
        // Step 0: what the last owner of the mutex left.
        if acquired == Acquired::OwnerDied {
            self.count(DEAD_SYNCER_COUNT);
        }
        if self.faults().is_flush_failed {
            return Err(Error::FlushFailed { source: None });
        }
        if control.load(FLUSHING, Ordering::Relaxed) != 0 || control.load(PIN, Ordering::Relaxed) != NO_PIN {
            self.dirty_durable_group();
            self.flush_or_fail()?;
            // What belongs to another recovery is left alone, here as below.
            self.check_marks()?;
            self.finish_flushed();
        }
        let durable = control.load(DURABLE, Ordering::Relaxed);
        if durable >= wanted {
            self.check_name()?;
            return Ok(durable);
        }
        // Step 1: the newest state is pinned.
        let state = self.pin_newest()?;
        // Step 2: its record takes the place of the one that is not durable. If it is the durable one itself, only what was
        // written beside transactions is to be flushed, and a syncer that dies here must not leave half a record for that.
        if state.number != durable {
            let (target, gaps) = match self.record_carrying(durable) {
                Some((carrying, record)) => (1 - carrying, record.gaps),
                // Damaged: a recovery would refuse the file, or find another state.
                None => (0, Gaps::forgotten(state.number)),
            };
            self.put_sync_record(
                target,
                SyncRecord {
                    state,
                    predecessor: durable,
                    generation_floor: control.load(GENERATION_FLOOR, Ordering::Relaxed),
                    wall_time_microseconds: (self.settings.wall_clock)(),
                    gaps,
                },
            );
        }
        // Step 3: one flush of the durable group.
        control.store(FLUSHING, 1, Ordering::Release);
        self.flush_or_fail()?;
        // What belongs to another recovery is left alone.
        self.check_marks()?;
        // Step 4: it is durable, and nothing is pinned any more.
        control.store(DURABLE, state.number, Ordering::Release);
        control.store(PIN, NO_PIN, Ordering::Release);
        control.store(LAST_SYNC_MILLISECONDS, crate::engine::status::monotonic_milliseconds(), Ordering::Relaxed);
        control.store(LAST_SYNC_WALL_MILLISECONDS, self.wall_milliseconds(), Ordering::Relaxed);
        control.store(FLUSHING, 0, Ordering::Release);
        self.count(SYNC_COUNT);
        // Step 5: a sync counts only if the file still has its name.
        self.check_name()?;
        Ok(state.number)
    }

    /// Everything is on the disk by now, and if the record of a dead syncer is whole, what it was syncing is durable. The next sync must
    /// not overwrite that record: perhaps it was the file system that died, and not the syncer, and the sync had been acknowledged.
    fn finish_flushed(&self) {
        let control = self.control();
        let pinned = control.load(PIN, Ordering::Relaxed);
        if self.sync_records().iter().flatten().any(|record| record.state.number == pinned) {
            control.store(DURABLE, pinned, Ordering::Release);
            control.store(PIN, NO_PIN, Ordering::Release);
        }
        control.store(FLUSHING, 0, Ordering::Release);
    }

    /// Pins the newest state, so that writers keep its cells.
    fn pin_newest(&self) -> Result<State> {
        let _guard = WriteGuard::lock(self)?;
        let state = self.view().newest_state()?;
        self.control().store(PIN, state.number, Ordering::Relaxed);
        Ok(state)
    }

    /// The sync record that carries the durable number: the other one may be overwritten.
    pub(super) fn record_carrying(&self, durable: u64) -> Option<(usize, SyncRecord)> {
        // The rest of a record is looked at only if this is its number: the other one may be being overwritten.
        let number_of = |record: usize| self.words().load(self.geometry.sync_record(record), Ordering::Relaxed);
        let found = |record| self.sync_record(record).filter(|found| found.state.number == durable);
        // If both carry it, the first is overwritten.
        let mut records = (0..SYNC_RECORD_COUNT).rev().filter(|record| number_of(*record) == durable);
        records.find_map(|record| Some((record, found(record)?)))
    }

    fn flush_or_fail(&self) -> Result<()> {
        let result = self.flush_durable_group();
        if let Err(source) = result {
            let control = self.control();
            control.store(FAILED, 1, Ordering::Release);
            control.store(FLUSHING, 0, Ordering::Release);
            return Err(Error::FlushFailed { source: Some(source) });
        }
        Ok(())
    }

    pub(super) fn flush_durable_group(&self) -> io::Result<()> {
        self.medium.flush(self.geometry.durable_group())
    }

    /// Makes every page of the durable group dirty.
    pub(super) fn dirty_durable_group(&self) {
        for index in self.geometry.durable_group().step_by(PAGE_WORDS) {
            self.words().touch(index);
        }
    }

    /// Touches the pages of a slot before the lock is taken: after a flush the first write to a page faults, and may wait for
    /// the disk. It does not do so while no process syncs, nor in a handle that is about to be told that it may not write: the
    /// pages of that one cannot be written to.
    #[inline(always)]
    pub(super) fn touch_slot(&self, slot: u32) {
        if self.syncs_are_made() && slot < self.geometry.capacity() && self.access == Access::ReadWrite {
            self.touch_pages(slot);
        }
    }

    #[inline(always)]
    pub(super) fn syncs_are_made(&self) -> bool {
        self.settings.sync_every.is_some() || self.control().load(SYNC_COUNT, Ordering::Relaxed) != 0
    }

    fn touch_pages(&self, slot: u32) {
        let cells = self.geometry.slot(slot);
        for index in cells.clone().step_by(PAGE_WORDS) {
            self.words().touch(index);
        }
        // The last cell may reach into one more page.
        self.words().touch(cells.end - 1);
    }

    /// A sync record, if it verifies.
    pub(super) fn sync_record(&self, record: usize) -> Option<SyncRecord> {
        let words = self.words().fixed::<SYNC_RECORD_WORDS>(self.geometry.sync_record(record));
        SyncRecord::from_words(words.to_array(0), self.digest_seed)
    }

    pub(super) fn put_sync_record(&self, record: usize, content: SyncRecord) {
        let start = self.geometry.sync_record(record);
        for (offset, word) in content.to_words(self.digest_seed).into_iter().enumerate() {
            self.words().store(start + offset, word, Ordering::Relaxed);
        }
    }
}
