//! Sleeping until something is published or synced, without looking again and again; and waking those that sleep.
//!
//! A waiter of publications loads `WAKE_COUNT`, raises `WAITING` to one more than that, which is its wish to be woken, looks
//! whether there is something, and if not sleeps on the low half of `WAKE_COUNT`, as long as that is what it has loaded. A writer
//! that has published and unlocked loads `WAITING`. If it is not 0, it increments `WAKE_COUNT`, wakes everyone that sleeps on it,
//! and then puts 0 into `WAITING`, if that is still what it has loaded.
//!
//! Invariants:
//!
//! 1. Either the writer sees the wish, or the waiter sees what was published: each stores, has a fence, and then loads what the
//!    other stores. On x86-64 the writer's fence is its unlocking.
//! 2. A wish that is taken away was granted. It was at most what the writer had loaded, so it is that of a waiter that had loaded
//!    `WAKE_COUNT` before the writer incremented it: that one was woken, or finds another count and does not sleep. A waiter that
//!    has loaded the new count raises `WAITING` further: then the exchange fails, and its wish stays.
//! 3. A wish is taken away only after the wake. So a writer that dies in between leaves it to the next one, and a waiter that
//!    died costs one useless wake.
//! 4. Whatever ends handles (a recovery, a file that lost its name, a mutex that cannot be used) wakes everyone, after it is
//!    marked.
//! 5. A writer that dies between publishing and waking wakes nobody. The next one does; and a waiter looks again after a long
//!    while in any case.
//!
//! A waiter of syncs needs no wish: each end of a sync wakes everyone that sleeps on `SYNC_END_COUNT`.

use super::{Access, Store};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::format::control::{DURABLE, SYNC_END_COUNT, WAITING, WAKE_COUNT};
#[cfg(not(loom))]
use crate::sys::attachment::Attachment;
use crate::sys::deadline::Deadline;
#[cfg(not(loom))]
use crate::sys::medium::ControlRegion;
use crate::sys::words::{Ordering, fence, fence_after_unlocking};
use std::time::Duration;

/// After this long a waiter looks again, in case a writer died in the instant between publishing and waking.
const LONG_WHILE: Duration = Duration::from_secs(10);
/// How often a process looks that may not write to the file, and so can wish for nothing.
const PAUSE_WITHOUT_WISH: Duration = Duration::from_millis(5);

/// Where a handle puts its wish to be woken.
enum Bell<'a> {
    /// Into the table that it has mapped.
    Mapped(&'a Store),
    /// Into the control region, which a read-only handle maps for this alone.
    #[cfg(not(loom))]
    OfFile(ControlRegion),
    /// Nowhere: this process may not write to the file.
    None,
}

impl Bell<'_> {
    /// Wishes to be woken by the next writer that finds this count. Returns how long the wish can be relied on.
    fn ring(&self, wake_count: u64) -> Duration {
        let (words, start) = match self {
            Bell::Mapped(store) => (store.words(), store.geometry.control()),
            #[cfg(not(loom))]
            Bell::OfFile(region) => (region.words(), 0),
            Bell::None => return PAUSE_WITHOUT_WISH,
        };
        words.raise(start + WAITING, wake_count.wrapping_add(1), Ordering::Release);
        LONG_WHILE
    }
}

impl Store {
    /// Sleeps until something was published after a cursor. False if that did not happen in time.
    pub fn wait(&self, cursor: Cursor, timeout: Duration) -> Result<bool> {
        self.check_not_nested()?;
        let deadline = Deadline::after(timeout);
        self.check_cursor(cursor, self.last_prepared_cursor()?)?;
        let mut bell = None;
        let watched = self.watched();
        let index = watched.geometry.control() + WAKE_COUNT;
        loop {
            if self.newest_cursor()?.number > cursor.number {
                return Ok(true);
            }
            if deadline.has_passed() {
                return Ok(false);
            }
            let bell = bell.get_or_insert_with(|| watched.bell());
            // Acquire, so that it is loaded before what is looked at below.
            let wake_count = watched.words().load(index, Ordering::Acquire);
            let longest = bell.ring(wake_count);
            fence(Ordering::SeqCst);
            if self.newest_cursor()?.number <= cursor.number {
                watched.medium.sleep_on(index, wake_count, deadline.left().min(longest));
            }
        }
    }

    /// Sleeps until something was synced after a cursor. False if that did not happen in time.
    pub fn wait_synced(&self, cursor: Cursor, timeout: Duration) -> Result<bool> {
        self.check_not_nested()?;
        let deadline = Deadline::after(timeout);
        self.check_cursor(cursor, self.last_prepared_cursor()?)?;
        let watched = self.watched();
        let index = watched.geometry.control() + SYNC_END_COUNT;
        loop {
            // As in `sync`: it is loaded before what is looked at.
            let end_count = watched.words().load(index, Ordering::Acquire);
            self.check_usable()?;
            if self.cursor_of(self.control().load(DURABLE, Ordering::Acquire)).number > cursor.number {
                return Ok(true);
            }
            if self.faults().is_flush_failed {
                return Err(Error::FlushFailed { source: None });
            }
            let left = deadline.left();
            if left.is_zero() {
                return Ok(false);
            }
            watched.medium.sleep_on(index, end_count, left.min(LONG_WHILE));
        }
    }

    /// Wakes those that wait for publications. The caller has just unlocked a mutex.
    #[inline(always)]
    pub(super) fn wake_waiters(&self) {
        fence_after_unlocking();
        if self.control().load(WAITING, Ordering::Relaxed) != 0 {
            self.grant();
        }
    }

    #[cold]
    fn grant(&self) {
        let control = self.geometry.control();
        // Acquire, so that the increment is one of a count that is not older than the one that the waiter had loaded.
        let wish = self.words().load(control + WAITING, Ordering::Acquire);
        self.words().increment(control + WAKE_COUNT, Ordering::Relaxed);
        self.medium.wake_all(control + WAKE_COUNT);
        self.words().exchange(control + WAITING, wish, 0, Ordering::Relaxed);
    }

    /// Wakes all that sleep, to see a mark that ends their handles.
    #[cold]
    pub(super) fn wake_everyone(&self) {
        fence(Ordering::SeqCst);
        self.wake_waiters();
        let index = self.geometry.control() + SYNC_END_COUNT;
        // Behind the fence: a thread that loads what is stored here sees the mark.
        self.words().increment(index, Ordering::Relaxed);
        self.medium.wake_all(index);
    }

    /// Wakes the threads that sleep through this handle, which has died, and all others. It may not write any more; so a thread
    /// that is just about to sleep sleeps for a while.
    #[cold]
    pub(super) fn wake_own_threads(&self) {
        for word in [WAKE_COUNT, SYNC_END_COUNT] {
            self.medium.wake_all(self.geometry.control() + word);
        }
    }

    /// The table in which others publish: for a private copy, the file that it was made from.
    fn watched(&self) -> &Store {
        #[cfg(not(loom))]
        if let Some(origin) = self.origin_store() {
            return origin;
        }
        self
    }

    fn bell(&self) -> Bell<'_> {
        match self.access {
            Access::ReadWrite => Bell::Mapped(self),
            #[cfg(not(loom))]
            Access::ReadOnly => {
                let map = |attachment: &Attachment| self.map_control_region(attachment).ok();
                self.attachment.as_ref().and_then(map).map_or(Bell::None, Bell::OfFile)
            }
            _ => Bell::None,
        }
    }

    #[cfg(not(loom))]
    fn map_control_region(&self, attachment: &Attachment) -> Result<ControlRegion> {
        let writable = attachment.open_again()?;
        ControlRegion::of_file(writable.file(), self.geometry.control()).map_err(Error::io("map", self.path()))
    }
}
