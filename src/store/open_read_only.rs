//! Opening a file for reading: without a lock where it is in order, and on a copy where it is not.
//!
//! Invariants:
//!
//! 1. A read-only handle changes no byte of the file, and holds no lock of it while it is open: so it keeps nobody out, and
//!    whoever may only read can use a table of processes of any PID namespace.
//! 2. It is not attached, so the table can be recovered under it. A recovery changes `RECOVERY_NUMBER` before anything else, and
//!    every operation compares that: then the handle is dead. What it had read by then was whole.
//! 3. A file that needs a recovery is copied behind its gate, so that nobody is in the middle of one.

use super::attach::{Hold, Incarnation};
use super::open::{map_file, open_file, read_header};
use super::recover::Recovery;
use super::{Access, Settings, Store};
use crate::error::{Error, Internal, Result};
use crate::format::control::{CONDEMNED, RECOVERY_NUMBER, SUPERSEDED};
use crate::shm::medium::Medium;
use crate::shm::words::Ordering;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A table that was opened for reading and not recovered.
pub struct FileForReading {
    /// A handle on the file; on a copy of it if it needs a recovery.
    pub store: Store,
    pub is_same_boot: bool,
    /// Why the file needs a recovery before it can be read.
    pub recovery_reason: Option<&'static str>,
    /// Whether others had the file open to write.
    pub is_in_use: bool,
}

/// The file that a private copy was made of, and what marked it then.
pub struct Origin {
    store: Box<Store>,
    marks: [u64; 3],
}

impl Origin {
    pub fn path(&self) -> &Path {
        self.store.path()
    }
}

impl Store {
    /// Opens a table for reading. Never changes a byte of the file: if that needs a recovery, the handle recovers a copy.
    pub fn open_read_only(path: &Path, settings: &Settings) -> Result<Self> {
        let FileForReading { mut store, is_same_boot, recovery_reason, .. } = Self::open_for_reading(path, settings)?;
        if recovery_reason.is_some() {
            store.recovery = Recovery { is_private_copy: true, ..store.recover(is_same_boot)? };
        }
        Ok(store)
    }

    /// Opens a table for reading; if it needs a recovery, makes a copy of it, which is not recovered yet.
    pub fn open_for_reading(path: &Path, settings: &Settings) -> Result<FileForReading> {
        let attachment =
            open_file(path, false, settings)?.ok_or_else(|| Error::DoesNotExist { path: path.to_owned() })?;
        let header = read_header(attachment.file(), path)?;
        let is_in_use = attachment.is_attached_by_others()?;
        let own = Incarnation::current(attachment.id(), path, None)?;
        let mut store = map_file(attachment, header, Access::ReadOnly, settings)?;
        if store.recovery_reason(&own).is_some() {
            // Perhaps somebody is just at it.
            if let Some(attachment) = &store.attachment {
                attachment.enter_gate(Hold::Shared, settings.lock_timeout)?;
            }
            store.note_recovery_number();
        }
        // Readers use no mutex, so it does not matter whose they are.
        let Some(reason) = store.recovery_reason(&own) else {
            store.recovery = store.recovery_in_order();
            store.leave_gate()?;
            return Ok(FileForReading { store, is_same_boot: true, recovery_reason: None, is_in_use });
        };
        let is_same_boot = store.incarnation().is_some_and(|attached| attached.is_same_boot(&own));
        let store = store.into_private_copy()?;
        Ok(FileForReading { store, is_same_boot, recovery_reason: Some(reason), is_in_use })
    }

    /// Why the file cannot be read as it is.
    pub(super) fn recovery_reason(&self, own: &Incarnation) -> Option<&'static str> {
        let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;
        if is_set(CONDEMNED) {
            return Some("one of its locks can no longer be used");
        }
        if is_set(SUPERSEDED) {
            return Some("it is marked as replaced");
        }
        match self.incarnation() {
            None => Some("whoever opened or repaired it last did not finish"),
            Some(attached) if attached.boot_id != own.boot_id => Some("it was last used in another boot"),
            Some(attached) if !attached.is_same_boot(own) => Some("it was copied, moved or restored"),
            Some(_) => None,
        }
    }

    /// Copies the file into this process's memory, and lets its gate go.
    fn into_private_copy(self) -> Result<Store> {
        let mut words = vec![0_u64; self.geometry.word_count()];
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

    /// What a recovery changes in the file, or whoever replaces it.
    fn marks(&self) -> [u64; 3] {
        [RECOVERY_NUMBER, SUPERSEDED, CONDEMNED].map(|index| self.control().load(index, Ordering::Acquire))
    }

    /// Whether a private copy still is what there is to see: as long as nobody has recovered or replaced the file.
    pub(super) fn check_origin(&self) -> Internal<()> {
        match &self.origin {
            Some(origin) if origin.store.marks() != origin.marks => Err(Error::Recovered.into()),
            _ => Ok(()),
        }
    }
}
