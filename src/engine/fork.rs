//! The child of a fork, which attaches by itself to what it has inherited.
//!
//! An open-file-description lock is one for all who have inherited the description: whoever lets it go takes it from all. So
//! the child opens the file once more and attaches through that, under the same checks as any other process, and
//! only then closes what it has inherited, the mapping too: it is never unlocked here.

use super::{Access, Store};
use crate::error::{Error, Internal, Result};
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
            // A handle that was dead in the parent stays so, and holds nothing of the parent's: that may have died without letting
            // go, and nobody could be alone as long as this process lives.
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
            // Of what cannot be opened again nobody can become the first opener either.
            Err(Error::Superseded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn go_over_to(&self, inherited: &Attachment, own: &Attachment) -> Result<()> {
        inherited.take_over(own)?;
        // A mapping keeps its open file open, and that keeps its locks: those of a parent that could not let go, since it was killed.
        self.medium.map_again(own.file()).map_err(Error::io("map again, in the child of a fork,", self.path()))
    }

    fn take_turn(&self) -> Internal<ThreadGuard<'_>> {
        self.attaching.lock(self.settings.lock_timeout).ok_or_else(|| {
            Error::Timeout { lock: "handle", holder_pid: Some(std::process::id()), waited: self.settings.lock_timeout }
                .into()
        })
    }

    fn attach_anew(&self) -> Result<()> {
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
        self.go_over_to(inherited, &own)
    }
}
