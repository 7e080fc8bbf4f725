//! What a read-only handle reads if the file needs a recovery that it may not make: a recovered copy in its own memory.

use super::outcome::Recovery;
use super::{Access, Store};
use crate::error::{Error, Internal, Result};
use crate::format::control::{CONDEMNED, INCARNATION_SEAL, RECOVERY_NUMBER, SUPERSEDED, USED};
use crate::sys::attachment::{Attachment, Hold, Incarnation};
use crate::sys::medium::Medium;
use crate::sys::words::Ordering;
use crate::sys::zeroed_words;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The reason that mostly goes away by itself.
pub const BEING_OPENED: &str = "another process is just opening it";

/// The file that a private copy was made from, and its marks at that time.
pub struct Origin {
    store: Box<Store>,
    marks: [u64; 5],
}

impl Origin {
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    pub fn has_lost_its_name(&self) -> bool {
        self.store.has_lost_its_name()
    }
}

impl Store {
    /// Why the file cannot be read as it is. If no writer keeps the control region in order, it is believed only if the cells
    /// confirm it.
    pub fn reason_for_copy(&self, own: &Incarnation) -> Result<Option<&'static str>> {
        let marked = self.marked_reason(own)?;
        if marked.is_some() || self.hold_of_others()? == Hold::Shared {
            return Ok(marked);
        }
        // What a dead writer left half done is put right before it is looked at; a reader does that only in memory of its own.
        let is_proved = if self.is_anything_pending() {
            match self.writable_copy() {
                Ok(copy) => copy.is_proved()?,
                // A writer has attached meanwhile.
                Err(Error::SnapshotBusy { .. }) => false,
                Err(error) => return Err(error),
            }
        } else {
            self.is_proved()?
        };
        Ok((!is_proved).then_some("its records are not what its control region says"))
    }

    /// The same, as far as the marks of the file say it.
    pub fn marked_reason(&self, own: &Incarnation) -> Result<Option<&'static str>> {
        if let Some(reason) = self.recovery_reason(own) {
            return Ok(Some(reason));
        }
        Ok(match self.hold_of_others()? {
            Hold::Shared => None,
            // A first opener is at it, and believes it no more than this reader.
            Hold::Exclusive => Some(BEING_OPENED),
            Hold::Nothing if self.faults().is_flush_failed => Some("a flush of it to disk failed"),
            Hold::Nothing if !self.medium.locks_are_free() => {
                Some("it was copied or restored while a lock of it was held")
            }
            Hold::Nothing => None,
        })
    }

    fn hold_of_others(&self) -> Result<Hold> {
        self.attachment.as_ref().map_or(Ok(Hold::Nothing), Attachment::hold_of_others)
    }

    /// Why everybody has to wait for a recovery.
    pub fn recovery_reason(&self, own: &Incarnation) -> Option<&'static str> {
        let faults = self.faults();
        if faults.is_condemned {
            return Some("one of its locks can no longer be used");
        }
        if faults.is_superseded {
            return Some("it is marked as replaced");
        }
        match self.incarnation() {
            None => Some("whoever opened or repaired it last did not finish"),
            Some(attached) if attached.boot_id != own.boot_id => Some("it was last used in another boot"),
            Some(attached) if !attached.is_same_boot(own) => Some("it was copied, moved or restored"),
            Some(_) if self.is_unopened() => Some("no process has opened it since it was made"),
            Some(_) => None,
        }
    }

    /// Recovers a copy that [`into_private_copy`](Self::into_private_copy) made.
    pub fn recover_private_copy(&mut self, is_same_boot: bool) -> Result<()> {
        self.recovery = Recovery { is_private_copy: true, ..self.recover(is_same_boot)? };
        Ok(())
    }

    /// Copies the file into this process's memory, and unlocks its gate.
    pub fn into_private_copy(self) -> Result<Store> {
        let mut words = zeroed_words(self.geometry.word_count()).map_err(Error::io("copy", self.path()))?;
        let attachment = self.attachment.as_ref().ok_or(Error::Superseded)?;
        attachment
            .file()
            .read_exact_at(bytemuck::cast_slice_mut(&mut words), 0)
            .map_err(Error::io("read", self.path()))?;
        let medium = Medium::private(words, self.geometry.control()).map_err(Error::io("copy", self.path()))?;
        let mut copy = Store::new(medium, self.header.clone(), self.settings.clone(), Access::PrivateCopy, None);
        let marks = self.marks();
        self.leave_gate()?;
        copy.origin = Some(Origin { store: Box::new(self), marks });
        Ok(copy)
    }

    /// Copies the file while another process keeps its gate. This handle is given back if that process is not standing still, or
    /// if what it has left cannot be recovered, which may be so only because of a change in between. The second answer is whether
    /// the file was last used in this boot, in place.
    pub fn into_copy_beside_opener(self) -> Result<std::result::Result<(Store, bool), Store>> {
        let own = Incarnation::current(self.attachment.as_ref().ok_or(Error::Superseded)?.id(), self.path(), None)?;
        let marks = self.marks();
        let Some(tried) = self.copy_of_one_moment()? else { return Ok(Err(self)) };
        let is_same_boot = tried.incarnation().is_some_and(|attached| attached.is_same_boot(&own));
        // Nobody writes to a copy, so there is one of it.
        let Some(mut copy) = tried.copy_of_one_moment()? else { return Ok(Err(self)) };
        if tried.recover_copy(is_same_boot).is_err() || self.has_lost_its_name() {
            return Ok(Err(self));
        }
        copy.origin = Some(Origin { store: Box::new(self), marks });
        Ok(Ok((copy, is_same_boot)))
    }

    /// How long the file is that was opened, which may have lost its name to another.
    pub fn file_bytes(&self) -> Result<u64> {
        let attachment = self.origin_store().unwrap_or(self).attachment.as_ref().ok_or(Error::Superseded)?;
        Ok(attachment.file().metadata().map_err(Error::io("look at", self.path()))?.len())
    }

    /// The file that a private copy was made from.
    pub(super) fn origin_store(&self) -> Option<&Store> {
        self.origin.as_ref().map(|origin| &*origin.store)
    }

    /// What changes in the file when it is recovered or replaced; and, if a process that was opening it when it was copied goes on,
    /// when that one has done so or somebody writes.
    fn marks(&self) -> [u64; 5] {
        [RECOVERY_NUMBER, SUPERSEDED, CONDEMNED, INCARNATION_SEAL, USED]
            .map(|index| self.control().load(index, Ordering::Acquire))
    }

    /// Checks that a private copy is still valid: it is, as long as the file has not been recovered or replaced.
    pub(super) fn check_origin(&self) -> Internal<()> {
        match &self.origin {
            Some(origin) if origin.store.marks() != origin.marks => Err(Error::Recovered.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::super::tests::world::{header, settings};
    use super::super::{Encoded, Store};
    use super::*;
    use crate::file::create::{Plan, create};

    /// A reader once looked at what was pending, thought that nothing was, and then repaired what a writer had begun meanwhile:
    /// in a mapping that it cannot write to.
    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn a_proof_by_a_reader_repairs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let schema = header(5).schema;
        let writer = create(&path, &Plan { capacity: 5, mode: 0o600, schema }, &settings()).unwrap();
        writer.insert(Encoded::new(&[1, 0])).unwrap();
        let reader = Store::open_read_only(&path, &settings()).unwrap();
        let mut transaction = writer.begin().unwrap();
        transaction.insert(Encoded::new(&[2, 0])).unwrap();
        assert!(reader.is_anything_pending());
        assert!(!reader.is_proved().unwrap());
        transaction.commit().unwrap();
    }

    /// A reader once took a file that a first opener was still looking at for one in use, and so for one in order.
    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn what_a_first_opener_is_just_opening_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let schema = header(5).schema;
        drop(create(&path, &Plan { capacity: 5, mode: 0o600, schema }, &settings()).unwrap());
        let reader = Store::open_read_only(&path, &settings()).unwrap();
        let own = reader.incarnation().unwrap();
        assert_eq!(reader.reason_for_copy(&own).unwrap(), None);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let opener = crate::sys::attachment::Attachment::new(file, &path).unwrap();
        assert!(opener.try_attach(Hold::Exclusive).unwrap());
        assert_eq!(reader.reason_for_copy(&own).unwrap(), Some(BEING_OPENED));
        assert!(opener.try_attach(Hold::Shared).unwrap());
        assert_eq!(reader.reason_for_copy(&own).unwrap(), None);
    }
}
