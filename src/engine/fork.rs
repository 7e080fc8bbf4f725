//! The child of a fork, which attaches by itself to what it has inherited.
//!
//! An open-file-description lock is one for all who have inherited the description: whoever lets it go takes it from all. So
//! the child opens the file once more and attaches through that, under the same checks as any other process, and
//! only then closes what it has inherited, the mapping too: it is never unlocked here.

use super::{Access, Store};
use crate::error::{Error, Internal, Result};
use crate::sys::attachment::{Hold, Incarnation};

impl Store {
    /// Attaches this process, which has inherited the handle. Once in each process, before its first use of the handle.
    #[cold]
    pub(super) fn attach_after_fork(&self) -> Internal<()> {
        let Some(_turn) = self.attaching.lock(self.settings.lock_timeout) else {
            return Err(Error::Timeout {
                lock: "handle",
                holder_pid: Some(std::process::id()),
                waited: self.settings.lock_timeout,
            }
            .into());
        };
        // Another thread may have been faster; a handle that was dead in the parent stays so.
        if !self.occupancy.is_of_this_process() {
            if self.occupancy.death().is_none() {
                self.open_again()?;
            }
            self.note_sync();
            self.occupancy.adopt();
        }
        Ok(())
    }

    fn open_again(&self) -> Result<()> {
        // A read-only handle is not attached, and its descriptor is as good as one of its own.
        let (Some(inherited), Access::ReadWrite) = (&self.attachment, self.access) else { return Ok(()) };
        let own = inherited.open_again()?;
        own.enter_gate(Hold::Exclusive, self.settings.lock_timeout)?;
        if self.is_stale() {
            return Err(Error::Recovered);
        }
        // Where nobody is attached any more, nobody has kept the table true since this process was forked.
        if own.try_attach(Hold::Exclusive)? {
            let incarnation = Incarnation::current(own.id(), own.path(), None)?;
            if !self.is_left_in_order(&incarnation)? {
                return Err(Error::Recovered);
            }
        }
        self.share_through(&own)?;
        own.leave_gate()?;
        inherited.take_over(&own)?;
        // A mapping keeps its open file open, and that keeps its locks: those of a parent that could not let go, since it was killed.
        self.medium.map_again(own.file()).map_err(Error::io("map again, in the child of a fork,", self.path()))
    }
}
