//! The child of a fork, which attaches on its own to what it has inherited.
//!
//! An open-file-description lock belongs to every process that has inherited the description: a process that unlocks it takes
//! it from all of them. So the child opens the file once more and attaches through that, under the same checks as any other
//! process. Only then does it close what it has inherited, the mapping too; it never unlocks it.

use super::{Access, Store};
use crate::error::{Error, Internal, Result, TableLock};
use crate::sys::attachment::{Attachment, Hold, Incarnation};
use crate::sys::private::ThreadGuard;

impl Store {
    /// Attaches this process, which has inherited the handle. Once in each process, before its first use of the handle.
    #[cold]
    pub(super) fn attach_after_fork(&self) -> Internal<()> {
        let _turn = self.take_turn()?;
        // Another thread may have been faster.
        if self.occupancy.is_of_this_process() {
            return Ok(());
        }
        if self.occupancy.death().is_none() {
            self.attach_anew()?;
        } else {
            // A handle that was dead in the parent stays dead, and must keep nothing of the parent's open: the parent may have
            // died without letting go, and then no process could be alone as long as this one lives.
            self.leave_inherited()?;
        }
        self.note_sync();
        self.occupancy.adopt();
        Ok(())
    }

    /// Ends the inherited use of this handle, whether or not this process ever used it. No thread of this process is inside.
    pub(super) fn disown(&self) -> Internal<()> {
        if self.occupancy.is_of_this_process() {
            return Ok(());
        }
        let _turn = self.take_turn()?;
        if !self.occupancy.is_of_this_process() {
            self.leave_inherited()?;
            self.occupancy.adopt();
        }
        Ok(())
    }

    /// Goes over to an open file of this process, which holds no lock.
    fn leave_inherited(&self) -> Result<()> {
        let (Some(inherited), Access::ReadWrite) = (&self.attachment, self.access) else { return Ok(()) };
        match inherited.open_again() {
            Ok(own) => self.go_over_to(inherited, &own),
            // A file that cannot be opened again cannot get a first opener either.
            Err(Error::Superseded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn go_over_to(&self, inherited: &Attachment, own: &Attachment) -> Result<()> {
        inherited.take_over(own)?;
        // A mapping keeps its open file open, and so keeps its locks: those of a parent that was killed and could not let go.
        self.medium.map_again(own.file()).map_err(Error::io("map again, in the child of a fork,", self.path()))
    }

    fn take_turn(&self) -> Internal<ThreadGuard<'_>> {
        self.attaching.lock(self.settings.lock_timeout).ok_or_else(|| {
            Error::Timeout {
                lock: TableLock::Handle,
                holder_pid: Some(std::process::id()),
                waited: self.settings.lock_timeout,
            }
            .into()
        })
    }

    fn attach_anew(&self) -> Result<()> {
        // A read-only handle is not attached, and an inherited descriptor serves it as well as one of its own.
        let (Some(inherited), Access::ReadWrite) = (&self.attachment, self.access) else { return Ok(()) };
        let own = inherited.open_again()?;
        own.enter_gate(Hold::Exclusive, self.settings.lock_timeout)?;
        if self.is_stale() {
            return Err(Error::Recovered);
        }
        // If no process is attached any more, none has kept the table in order since this process was forked.
        if own.try_attach(Hold::Exclusive)? {
            let incarnation = Incarnation::current(own.id(), own.path(), None)?;
            if !self.is_left_in_order(&incarnation)? {
                return Err(Error::Recovered);
            }
            self.make_locks_anew()?;
        }
        self.share_through(&own)?;
        own.leave_gate()?;
        self.go_over_to(inherited, &own)
    }
}
