//! The engine: lock-free reads, transactions, syncs, and recovery. Knows records as words and keys as
//! bytes; what they mean is the business of the layer above.
//!
//! | file | what is there |
//! |---|---|
//! | `read` | `get`, `find`, snapshots: no lock, no system call |
//! | `scan` | going over all records, and copying only those that a filter accepts |
//! | `guard` | taking the write mutex, what is checked then, and which process and thread may unlock it |
//! | `change` | what a transaction does to one slot |
//! | `stage` | step 1 of a write: a number, a cell, the intent list |
//! | `commit` | steps 2 and 3: the commit point, and publishing |
//! | `single` | transactions of one record |
//! | `transaction` | transactions of any number of records |
//! | `duplicate` | what is reported when a key is there already |
//! | `scrub` | overwriting what nobody needs any more |
//! | `repair` | finishing or undoing what a dead owner left |
//! | `sync` | making everything durable with one flush |
//! | `choose` | which state a first opener believes |
//! | `recover` | how the file gets there |
//! | `outcome` | what a user is told about that |
//! | `changes` | what has changed since a transaction |
//! | `wait` | sleeping until something is published or synced |
//! | `copy` | a private copy of the newest state, made while others write, for snapshots of read-only handles |
//! | `inspect` | looking at what the others keep, for checks and reports |
//! | `occupancy` | which process and how many of its threads use a handle, and when it is dead |
//! | `attach` | attaching to a mapped file, as the first or as one of many |
//! | `faults` | what is wrong with a table as a whole, and what it ends |
//! | `fork` | attaching anew in the child of a fork |
//! | `prove` | whether a first opener finds the table in order |
//! | `leave` | giving a handle up |
//! | `private_copy` | what a read-only handle reads where the file needs a recovery |
//! | `pending`, `status`, `glance` | what a dead writer has left half done, counters, and which process writes, seen from outside |

#[cfg(not(loom))]
pub mod attach;
pub mod change;
pub mod changes;
pub mod choose;
pub mod commit;
pub mod copy;
mod duplicate;
pub mod faults;
#[cfg(not(loom))]
pub mod fork;
pub mod glance;
pub mod guard;
pub mod inspect;
#[cfg(not(loom))]
pub mod leave;
pub mod occupancy;
pub mod outcome;
#[cfg(not(loom))]
pub mod pending;
#[cfg(not(loom))]
pub mod private_copy;
#[cfg(not(loom))]
pub mod prove;
pub mod read;
pub mod recover;
pub mod repair;
pub mod scan;
pub mod scrub;
pub mod single;
pub mod stage;
pub mod status;
pub mod sync;
pub mod transaction;
pub mod wait;

use crate::error::{Fault, Internal};
use crate::format::control::{CONDEMNED, DURABLE, LOSING_ITS_NAME, RECOVERY_NUMBER, SUCCESSOR, SUPERSEDED};
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::layout::index::KeyHash;
use crate::layout::slot::Slot;
use crate::layout::view::{Control, TableView};
use crate::schema::Schema;
use crate::sys::attachment::Attachment;
use crate::sys::medium::Medium;
use crate::sys::private::{Remembered, ThreadLock};
use crate::sys::words::{Ordering, Words};
use occupancy::{Death, Occupancy};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a handle was opened with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub lock_timeout: Duration,
    pub sync_every: Option<Duration>,
    pub verify_reads: bool,
    pub prefault: bool,
    pub any_file_system: bool,
    /// How many slots the table has to have, if that was said.
    pub required_capacity: Option<u64>,
    /// Of which kind its records have to be, if that was said.
    pub required_schema: Option<Arc<Schema>>,
    /// The wall clock: microseconds since 1970, for sync records.
    pub wall_clock: fn() -> i64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lock_timeout: Duration::from_secs(5),
            sync_every: Some(Duration::from_secs(1)),
            verify_reads: true,
            prefault: false,
            any_file_system: false,
            required_capacity: None,
            required_schema: None,
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
    recovery: outcome::Recovery,
    occupancy: Occupancy,
    /// Held by the thread that attaches in the child of a fork, or gives the attachment up.
    attaching: ThreadLock,
    /// The recovery of the table under which this handle was attached.
    recovery_number: Remembered,
    seen_sync: sync::SeenSync,
    /// Tells this table from others in this process; it is not 0.
    table_id: u64,
    /// What a private copy was made from, to notice when that is recovered.
    #[cfg(not(loom))]
    origin: Option<private_copy::Origin>,
    /// The file, unless this is a private copy of it. Dropped after the mapping.
    attachment: Option<Attachment>,
}

/// A record to be written: its words, and their checksum.
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
        let occupancy = match access {
            Access::PrivateCopy => Occupancy::of_nobody(),
            Access::ReadWrite | Access::ReadOnly => Occupancy::of_this_process(),
        };
        let store = Store {
            medium,
            header,
            geometry,
            digest_seed,
            settings,
            access,
            recovery: outcome::Recovery::IN_ORDER,
            occupancy,
            attaching: ThreadLock::default(),
            recovery_number: Remembered::default(),
            seen_sync: sync::SeenSync::default(),
            table_id: attachment.as_ref().map_or(digest_seed, |attachment| attachment.id().number()),
            #[cfg(not(loom))]
            origin: None,
            attachment,
        };
        store.note_recovery_number();
        store
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The schema of its records.
    #[inline(always)]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.header.schema
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub fn access(&self) -> Access {
        self.access
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The absolute path that the file was opened by; for a private copy, the path of what was copied.
    pub fn path(&self) -> &Path {
        #[cfg(not(loom))]
        if let Some(origin) = &self.origin {
            return origin.path();
        }
        self.attachment.as_ref().map_or(Path::new("(memory)"), Attachment::path)
    }

    /// The open file, if the handle is on one.
    pub fn attachment(&self) -> Option<&Attachment> {
        self.attachment.as_ref()
    }

    /// What opening found and repaired.
    pub fn recovery(&self) -> &outcome::Recovery {
        &self.recovery
    }

    /// The table's words, for the length of one operation.
    #[inline(always)]
    fn view(&self) -> TableView<'_> {
        TableView {
            words: self.medium.words(),
            control: self.medium.control(),
            geometry: &self.geometry,
            digest_seed: self.digest_seed,
            hash_seed: self.header.hash_seed,
        }
    }

    /// A slot, which must be below the capacity.
    #[inline(always)]
    fn slot(&self, index: u32) -> Slot<'_> {
        Slot::new(self.words(), &self.geometry, index)
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

    /// Whether this handle can be used. Every operation begins with this.
    #[inline(always)]
    pub fn check_usable(&self) -> Internal<()> {
        if self.is_marked() || !self.occupancy.is_usable() { self.look_closer() } else { Ok(()) }
    }

    /// The same, for a thread that is counted as inside, or will be.
    #[inline(always)]
    fn check_marks(&self) -> Internal<()> {
        if self.is_marked() { self.look_closer() } else { Ok(()) }
    }

    #[inline(always)]
    fn is_marked(&self) -> bool {
        let control = self.control();
        let marks = control.load(SUPERSEDED, Ordering::Relaxed) | control.load(CONDEMNED, Ordering::Relaxed);
        let is_stale = control.load(RECOVERY_NUMBER, Ordering::Relaxed) ^ self.recovery_number.get();
        marks | is_stale != 0
    }

    /// The slow part of [`check_usable`](Self::check_usable), for when something is not as it usually is.
    #[cold]
    fn look_closer(&self) -> Internal<()> {
        if self.access == Access::PrivateCopy {
            return self.check_origin();
        }
        if !self.occupancy.is_of_this_process() {
            self.attach_after_fork()?;
        }
        if self.occupancy.death().is_some() {
            return Err(self.dead());
        }
        match self.cause_of_death() {
            Some(death) => Err(self.die(death)),
            None => Ok(()),
        }
    }

    /// Whether the table was recovered since this handle was attached.
    fn is_stale(&self) -> bool {
        self.control().load(RECOVERY_NUMBER, Ordering::Acquire) != self.recovery_number.get()
    }

    /// The same, for the holder of the write mutex.
    #[inline(always)]
    fn check_not_recovered(&self) -> Internal<()> {
        if self.is_stale() { Err(self.die(Death::Recovered)) } else { Ok(()) }
    }

    /// Why this handle must not be used any more.
    fn cause_of_death(&self) -> Option<Death> {
        // A table that was recovered had other faults, which say nothing about this handle.
        if self.is_stale() {
            return Some(Death::Recovered);
        }
        let is_lost = || self.is_losing_its_name() && self.has_lost_its_name();
        self.faults().mortal().or_else(|| is_lost().then_some(Death::Superseded))
    }

    /// Ends the use of this handle, for every thread and for good. The last thread inside gives the attachment up, so that a
    /// first opener can be alone.
    #[cold]
    fn die(&self, death: Death) -> Fault {
        if self.occupancy.die(death) {
            self.let_go();
        }
        self.wake_own_threads();
        // Another thread may have found another reason first.
        self.dead()
    }

    /// What every operation of a dead handle returns.
    #[cold]
    fn dead(&self) -> Fault {
        self.occupancy.death().unwrap_or(Death::Recovered).error().into()
    }

    fn let_go(&self) {
        if let Some(attachment) = &self.attachment {
            attachment.let_go();
        }
    }

    /// Notes that the table is as the recovery left it that this handle found or made.
    fn note_recovery_number(&self) {
        self.recovery_number.set(self.control().load(RECOVERY_NUMBER, Ordering::Acquire));
        self.note_sync();
    }

    /// Begins to watch how long no sync is made.
    fn note_sync(&self) {
        self.seen_sync.see(self.control().load(DURABLE, Ordering::Relaxed), status::monotonic_milliseconds());
    }

    /// Checks that the file has the name that it was opened by. If it has no name at all any more, every user is told.
    fn check_name(&self) -> Internal<()> {
        if self.has_lost_its_name() {
            if self.attachment.as_ref().is_some_and(Attachment::is_nameless) {
                self.supersede();
            }
            return Err(self.die(Death::Superseded));
        }
        Ok(())
    }

    /// Whether the path names another file now, or no file.
    pub fn has_lost_its_name(&self) -> bool {
        #[cfg(not(loom))]
        if let Some(origin) = &self.origin {
            return origin.has_lost_its_name();
        }
        self.attachment.as_ref().is_some_and(Attachment::has_lost_its_name)
    }

    /// Tells every user of the file that it has lost its name.
    pub fn supersede(&self) {
        self.control().store(SUPERSEDED, 1, Ordering::Release);
        self.wake_everyone();
    }

    /// Says that the file is about to lose its name, and whether to one that has everything that it holds. If this process
    /// dies before it has told the others, each of them looks for itself. Under the write mutex, or alone.
    #[cfg(not(loom))]
    pub fn announce_departure(&self, is_carried_on: bool) {
        self.control().store(SUCCESSOR, u64::from(is_carried_on), Ordering::Relaxed);
        self.control().store(SUPERSEDED, LOSING_ITS_NAME, Ordering::Release);
    }

    /// Says that the file keeps its name.
    pub fn call_departure_off(&self) {
        self.control().store(SUPERSEDED, 0, Ordering::Release);
        self.control().store(SUCCESSOR, 0, Ordering::Relaxed);
    }

    /// The dead owner may have been taking the file's name away: looks how far it came. Under the write mutex.
    fn settle_name(&self) -> Internal<()> {
        let was_announced = self.is_losing_its_name();
        if was_announced {
            // Threads that sleep look for themselves.
            self.wake_everyone();
        }
        self.check_name()?;
        if !was_announced {
            return Ok(());
        }
        if !self.attachment.as_ref().is_none_or(Attachment::has_its_name) {
            // This process cannot know, such as after it has changed its root.
            return Err(self.die(Death::Superseded));
        }
        self.call_departure_off();
        Ok(())
    }

    /// Whether what was written to the file before it lost its name goes on in the one that has it now.
    fn is_carried_on(&self) -> bool {
        // A process that died while it announced a successor, or took that back, has left the word alone.
        self.control().load(SUPERSEDED, Ordering::Acquire) != 0
            && self.control().load(SUCCESSOR, Ordering::Relaxed) == 1
    }

    #[cfg(loom)]
    fn attach_after_fork(&self) -> Internal<()> {
        Ok(())
    }

    #[cfg(loom)]
    fn check_origin(&self) -> Internal<()> {
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod golden_tests;
#[cfg(all(test, loom))]
pub(crate) mod loom_tests;
#[cfg(all(test, not(loom)))]
pub(crate) mod tests;
