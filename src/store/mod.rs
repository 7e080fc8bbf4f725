//! The engine: lock-free reads, transactions, commits, recovery, and opening. Knows records as words and keys as
//! bytes; what they mean is the business of the layer above.
//!
//! | file | what is there |
//! |---|---|
//! | `read` | `get`, `find`, snapshots: no lock, no system call |
//! | `guard` | taking the write mutex, what is checked then, and who may let it go |
//! | `stage` | staging: the choice of a cell, the intent list, the commit point |
//! | `txn` | transactions of any number of records |
//! | `single` | transactions of one record |
//! | `publish` | publishing, and repairing what a dead owner left |
//! | `commit` | making everything durable with one flush |
//! | `recover` | which state a first opener believes, and how the file gets there |
//! | `shared` | a table's words, for the length of one operation |
//! | `inspect` | looking at what the others keep, for checks and reports |
//! | `open`, `create`, `attach` | files, their locks, and who may share one |

pub mod attach;
pub mod commit;
#[cfg(not(loom))]
pub mod create;
pub mod guard;
pub mod inspect;
#[cfg(not(loom))]
pub mod open;
pub mod publish;
pub mod read;
pub mod recover;
pub mod shared;
pub mod single;
pub mod stage;
pub mod status;
pub mod txn;

use crate::error::{Error, Fault, Internal};
use crate::format::control::{CONDEMNED, FAILED, SUPERSEDED};
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::shm::index::KeyHash;
use crate::shm::medium::Medium;
use crate::shm::words::{Ordering, Words};
use attach::Attachment;
use shared::Control;
use std::path::Path;
use std::time::Duration;

/// What a handle was opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub lock_timeout: Duration,
    pub commit_every: Option<Duration>,
    pub verify_reads: bool,
    pub prefault: bool,
    pub any_file_system: bool,
    /// Microseconds since 1970, for commit records.
    pub wall_clock: fn() -> i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lock_timeout: Duration::from_secs(5),
            commit_every: Some(Duration::from_secs(1)),
            verify_reads: true,
            prefault: false,
            any_file_system: false,
            wall_clock: status::wall_time_microseconds,
        }
    }
}

/// What a handle may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadWrite,
    /// Reads what others write.
    ReadOnly,
    /// Reads a recovered copy of its own, since the file needs a recovery that this handle may not make.
    PrivateCopy,
}

/// One handle on a table.
pub struct Store {
    medium: Medium,
    header: Header,
    geometry: Geometry,
    digest_seed: u64,
    settings: Settings,
    access: Access,
    recovery: recover::Recovery,
    /// The file, unless this is a private copy of it. Dropped after the mapping.
    attachment: Option<Attachment>,
}

/// A record that is to be written: its words, and their checksum.
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    payload: &'a [u64],
    payload_crc: u32,
}

impl<'a> Encoded<'a> {
    /// Computes the checksum, so that it is not done under the lock.
    #[inline(always)]
    pub fn new(payload: &'a [u64]) -> Self {
        Encoded { payload, payload_crc: crate::format::checksum::crc32(bytemuck::cast_slice(payload)) }
    }
}

impl Store {
    /// A handle that is not attached yet.
    fn new(medium: Medium, header: Header, settings: Settings, access: Access, attachment: Option<Attachment>) -> Self {
        let (geometry, digest_seed) = (header.geometry, header.digest_seed());
        let recovery = recover::Recovery::IN_ORDER;
        Store { medium, header, geometry, digest_seed, settings, access, recovery, attachment }
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// The path that the file was opened by.
    pub fn path(&self) -> &Path {
        self.attachment.as_ref().map_or(Path::new("(memory)"), Attachment::path)
    }

    /// What opening found and repaired.
    pub fn recovery(&self) -> &recover::Recovery {
        &self.recovery
    }

    #[inline(always)]
    fn words(&self) -> Words<'_> {
        self.medium.words()
    }

    #[inline(always)]
    fn control(&self) -> Control<'_> {
        self.medium.control()
    }

    #[inline(always)]
    fn hash_of_key(&self, record: &[u64]) -> KeyHash {
        KeyHash::of_record(record, &self.geometry, self.header.hash_seed)
    }

    /// Whether this handle can still be used. Every operation begins with this.
    #[inline(always)]
    pub fn check_usable(&self) -> Internal<()> {
        let control = self.control();
        if control.load(SUPERSEDED, Ordering::Relaxed) | control.load(CONDEMNED, Ordering::Relaxed) != 0 {
            return Err(self.unusable());
        }
        Ok(())
    }

    #[cold]
    fn unusable(&self) -> Fault {
        if self.control().load(CONDEMNED, Ordering::Relaxed) != 0 {
            self.let_go();
            return Error::Condemned.into();
        }
        Error::Superseded.into()
    }

    /// Tells every user of the file that it has lost its name. Under the write mutex.
    fn supersede(&self) {
        self.control().store(SUPERSEDED, 1, Ordering::Release);
    }

    /// Gives the attachment up if nobody can attach before a recovery.
    pub fn detach_if_unusable(&self) {
        let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;
        if is_set(CONDEMNED) || is_set(FAILED) {
            self.let_go();
        }
    }

    /// Gives the attachment up, so that a first opener can be alone.
    fn let_go(&self) {
        if let Some(attachment) = &self.attachment {
            attachment.let_go();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod golden_tests;
#[cfg(all(test, loom))]
pub(crate) mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
