//! Opening a file for reading: without a lock if it is in order, and on a copy if it is not.
//!
//! Invariants:
//!
//! 1. A read-only handle changes no byte of the file but one word, by which it asks to be woken while it waits for changes, and
//!    which means nothing to anything else. It holds no lock of the file while it is open: so it keeps nobody out, and
//!    whoever may only read can use a table of processes of any PID namespace.
//! 2. It is not attached, so the table can be recovered under it. A recovery changes `RECOVERY_NUMBER` before anything else, and
//!    every operation compares that: then the handle is dead. What it had read by then was whole.
//! 3. A file that needs a recovery is copied behind its gate, for a reason that was found there, so that nobody is in the middle of
//!    one, or has made one since. Where another process keeps the gate, it is copied without: only if nothing was changed
//!    meanwhile and a recovery of the copy succeeds. That handle is dead as soon as the other process goes on, or anybody writes.

use super::open::{open_file, read_header};
use crate::engine::private_copy::BEING_OPENED;
use crate::engine::{Access, Settings, Store};
use crate::error::{Error, Result};
use crate::format::geometry::word;
use crate::format::header::Header;
use crate::sys::attachment::{Attachment, Incarnation};
use crate::sys::deadline::{Deadline, poll};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How long a process that opens the file is waited for before a reader goes on beside it.
const GATE_PATIENCE: Duration = Duration::from_millis(100);

/// Why a file that no writer has open is taken to be in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// Its marks say so: for callers that check whether the rest confirms them.
    Marks,
    /// Its cells confirm it.
    Proof,
}

/// A table that was opened for reading and not recovered.
pub struct FileForReading {
    /// A handle on the file, or on a copy of it if the file needs a recovery.
    pub store: Store,
    pub is_same_boot: bool,
    /// Why the file needs a recovery before it can be read.
    pub recovery_reason: Option<&'static str>,
    /// Whether other processes had the file open for writing.
    pub is_in_use: bool,
}

impl Store {
    /// Opens a table for reading. Never changes a byte of the file: if that needs a recovery, the handle recovers a copy.
    pub fn open_read_only(path: &Path, settings: &Settings) -> Result<Self> {
        let FileForReading { mut store, is_same_boot, recovery_reason, .. } =
            Self::open_for_reading(path, settings, Belief::Proof)?;
        if recovery_reason.is_some() {
            store.recover_private_copy(is_same_boot)?;
        }
        Ok(store)
    }

    /// Opens a table for reading; if it needs a recovery, makes a copy of it, which is not recovered yet.
    pub fn open_for_reading(path: &Path, settings: &Settings, belief: Belief) -> Result<FileForReading> {
        let deadline = Deadline::after(settings.lock_timeout);
        loop {
            match Self::try_open_for_reading(path, settings, belief, deadline)? {
                Some(opened) => return Ok(opened),
                None if deadline.has_passed() => return Err(Error::Superseded),
                None => {}
            }
        }
    }

    /// The same; `None` if the file was replaced meanwhile.
    fn try_open_for_reading(
        path: &Path,
        settings: &Settings,
        belief: Belief,
        deadline: Deadline,
    ) -> Result<Option<FileForReading>> {
        let attachment =
            open_file(path, false, settings)?.ok_or_else(|| Error::DoesNotExist { path: path.to_owned() })?;
        let header = read_header(attachment.file(), path)?;
        let is_in_use = attachment.is_attached_by_others()?;
        let own = Incarnation::current(attachment.id(), path, None)?;
        // A writer gives the file its blocks when it opens it.
        let has_no_room = !is_in_use && is_sparse_in_memory(&attachment, &header)?;
        let mut store = Store::map(attachment, header, Access::ReadOnly, settings)?;
        let reason_for_copy = |store: &Store| match belief {
            _ if has_no_room => Ok(Some("it is sparse, and in memory there may be no room to map all of it")),
            Belief::Marks => store.marked_reason(&own),
            Belief::Proof => store.reason_for_copy(&own),
        };
        let reason = loop {
            let patience = Deadline::after(deadline.left().min(GATE_PATIENCE));
            // Not at the gate, where a reader would be in the way of the next writer.
            let reason = poll(patience.left(), || match reason_for_copy(&store) {
                Ok(Some(BEING_OPENED)) => None,
                reason => Some(reason),
            });
            if let Some(None) = reason.transpose()? {
                break None;
            }
            // Another process may have recovered the file since, and have begun to write, or have replaced it. At the gate nobody is
            // opening it; what holds it up is told.
            match store.wait_at_gate(patience.left()) {
                Ok(()) => {}
                // A process that has been stopped there holds up those that write, and nobody who only reads.
                Err(timeout @ Error::Timeout { .. }) => match store.into_copy_beside_opener()? {
                    Ok((store, is_same_boot)) => {
                        return Ok(Some(FileForReading {
                            store,
                            is_same_boot,
                            recovery_reason: Some(BEING_OPENED),
                            is_in_use,
                        }));
                    }
                    Err(_) if deadline.has_passed() => return Err(timeout),
                    Err(same) => {
                        store = same;
                        continue;
                    }
                },
                Err(error) => return Err(error),
            }
            match reason_for_copy(&store)? {
                // Another program has locked the file.
                Some(BEING_OPENED) if deadline.has_passed() => return Err(store.opening_timeout()),
                Some(BEING_OPENED) => store.leave_gate()?,
                Some(_) if store.has_lost_its_name() => return Ok(None),
                reason => break reason,
            }
        };
        // Readers use no mutex, so it does not matter whose they are.
        let Some(reason) = reason else {
            store.note_in_order();
            store.leave_gate()?;
            return Ok(Some(FileForReading { store, is_same_boot: true, recovery_reason: None, is_in_use }));
        };
        let is_same_boot = store.incarnation().is_some_and(|attached| attached.is_same_boot(&own));
        let store = store.into_private_copy()?;
        Ok(Some(FileForReading { store, is_same_boot, recovery_reason: Some(reason), is_in_use }))
    }
}

/// Whether reading the mapped file could need memory that is not there, and end the process: on tmpfs even a look at a hole takes a
/// page.
fn is_sparse_in_memory(attachment: &Attachment, header: &Header) -> Result<bool> {
    let error = |source| Error::io("look at", attachment.path())(source);
    let file_system = fstatfs(attachment.file()).map_err(|errno| error(errno.into()))?;
    if file_system.filesystem_type() != TMPFS_MAGIC {
        return Ok(false);
    }
    // Not by its holes: what was reserved and not written to yet is one for tmpfs.
    let reserved_bytes = attachment.file().metadata().map_err(error)?.blocks().saturating_mul(512);
    Ok(reserved_bytes < word(header.geometry.file_bytes()))
}
