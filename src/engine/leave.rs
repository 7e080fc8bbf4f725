//! Giving a handle up: by dropping it, or before the file is opened anew in its place.

use super::{Access, Store};
use crate::engine::occupancy::Death;
use crate::error::{Error, Result, TableLock};
use crate::format::control::{DURABLE, LAST};
use crate::sys::deadline::poll;
use crate::sys::words::Ordering;
use std::time::Duration;

/// How long a handle waits for others that are about to leave, to find out which is the last. After that it syncs to be sure.
const DEPARTURE_TIMEOUT: Duration = Duration::from_millis(20);

impl Store {
    /// Whether this handle is usable for as long as nothing else happens: alive, on the file that has the path, with syncs that
    /// can succeed. A private copy is usable as long as the file that it was made from has not been recovered.
    pub fn is_in_order(&self) -> bool {
        self.check_usable().is_ok() && self.reason_to_reopen().is_none()
    }

    fn reason_to_reopen(&self) -> Option<Death> {
        if self.faults().is_flush_failed {
            return Some(Death::FlushFailed);
        }
        self.has_lost_its_name().then_some(Death::Superseded)
    }

    /// Ends the use of this handle in all threads, waits until none of them is inside, and gives the attachment up. After an
    /// error the handle is dead nevertheless, and this can be called again.
    pub fn retire(&self) -> Result<()> {
        // Inherited, and never used here: no thread of this process is inside.
        self.disown()?;
        if self.occupancy.death().is_none() {
            let _ = self.die(self.cause_of_death().or_else(|| self.reason_to_reopen()).unwrap_or(Death::Recovered));
        }
        let timeout = self.settings.lock_timeout;
        let is_empty = poll(timeout, || self.occupancy.is_empty().then_some(())).is_some();
        if !is_empty {
            return Err(Error::Timeout {
                lock: TableLock::Handle,
                holder_pid: Some(std::process::id()),
                waited: timeout,
            });
        }
        self.let_go();
        self.let_closed_file_go()
    }

    /// A program that closes descriptors by their numbers leaves the mapping alone, which keeps the file open, and so keeps the
    /// attachment. So the pages are mapped again through an open file that has no lock.
    fn let_closed_file_go(&self) -> Result<()> {
        let (Some(attachment), Access::ReadWrite) = (&self.attachment, self.access) else { return Ok(()) };
        if attachment.has_its_descriptor() {
            return Ok(());
        }
        match attachment.open_by_path("open again, to give it up,") {
            Ok(own) => self.medium.map_again(own.file()).map_err(Error::io("map again", self.path())),
            // The file has lost this name. By another one it stays attached until the handle is dropped.
            Err(Error::Superseded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A handle that goes last syncs, and so does one that goes when a sync is due: nobody may come by later to do it.
    fn leave(&self) -> Result<()> {
        let (Some(attachment), Access::ReadWrite) = (&self.attachment, self.access) else { return Ok(()) };
        // A child of a fork that has not used the handle leaves alone what is its parent's business.
        if !self.occupancy.is_usable() {
            return Ok(());
        }
        if !attachment.has_its_descriptor() {
            // Its locks can no longer be queried, so it may be the last.
            return if self.is_sync_owed(false) { self.sync().map(drop) } else { Ok(()) };
        }
        if self.is_sync_owed(true) {
            self.sync()?;
        }
        // If two handles leave at once, the second must see that the first is gone.
        let is_alone_in_going = attachment.begin_departure(DEPARTURE_TIMEOUT)?;
        let is_last = !attachment.is_attached_by_others()?;
        if (is_last || !is_alone_in_going) && self.is_sync_owed(false) {
            self.sync()?;
        }
        attachment.let_go();
        Ok(())
    }

    /// Whether something is unsynced that this handle should sync at all; with `only_if_due`, only if the last sync is old.
    fn is_sync_owed(&self, only_if_due: bool) -> bool {
        let Some(interval) = self.settings.sync_every else { return false };
        self.has_something_to_sync() && (!only_if_due || self.is_sync_due(interval))
    }

    fn has_something_to_sync(&self) -> bool {
        self.control().load(LAST, Ordering::Acquire) > self.control().load(DURABLE, Ordering::Acquire)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // An error cannot be reported here; a user who wants to know closes the table.
        let _ = self.leave();
    }
}
