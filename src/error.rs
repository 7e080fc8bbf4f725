//! One error type for the whole crate. Each variant says what was expected, what was found, and what to do.

use crate::record_id::RecordId;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of every fallible operation in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not happen. Unless a variant says otherwise, the table is as it was before the call.
///
/// The text of an error includes that of the error that caused it. Its `source()` is what comes after that one, so a
/// report of the whole chain says nothing twice.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::options().capacity(1).create(directory.path().join("visits.loc"))?;
/// table.insert(&Visit { id: 1, hits: 0 })?;
/// match table.insert(&Visit { id: 2, hits: 0 }) {
///     Err(locule::Error::Full { live_count, capacity, .. }) => assert_eq!((live_count, capacity), (1, 1)),
///     other => panic!("expected a full table, found {other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub enum Error {
    /// The operating system refused something.
    Io {
        /// What was being done, such as "open" or "flush".
        action: &'static str,
        /// The file on which it was being done.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// [`create`](crate::Table::create) found a file of that name.
    AlreadyExists {
        /// The file that is there.
        path: PathBuf,
    },
    /// [`open`](crate::Table::open) found no file of that name.
    DoesNotExist {
        /// The path that names nothing.
        path: PathBuf,
    },
    /// An option or an argument is outside what the store can do.
    InvalidArgument {
        /// What was asked for, and what is possible.
        reason: String,
    },
    /// The file is not a locule table, or is of a version or byte order that this program cannot read.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// Something in the file contradicts itself: a bad sector, a bug, or a program that wrote where it should not.
    /// Nothing damaged is ever returned as data.
    Damaged {
        /// What was expected and what was found, and where.
        reason: String,
    },
    /// The file was made for another record type.
    SchemaMismatch {
        /// The schema of the record type, in its text form.
        expected: String,
        /// The schema in the file.
        found: String,
        /// What is different in the file, field by field: see [`Schema::difference`](crate::Schema::difference).
        differences: Vec<String>,
    },
    /// The table has room for another number of records than was required ([`require_capacity`](crate::OpenOptions::require_capacity)).
    CapacityMismatch {
        /// The capacity that was required.
        expected: u64,
        /// The capacity that the table has.
        found: u64,
    },
    /// The file is attached by processes that this one cannot share it with.
    Incompatible {
        /// Which part of the environment differs, and what to do.
        reason: String,
    },
    /// Another process or thread held a lock for the whole timeout. The holder is alive, perhaps stopped: what a dead
    /// holder left is repaired.
    Timeout {
        /// Which lock.
        lock: TableLock,
        /// The process that holds it, if it could be found out. If it is this one, another of its threads does.
        holder_pid: Option<u32>,
        /// How long this call waited.
        waited: Duration,
    },
    /// A lock of the table can no longer be used. Every process must call [`reopen`](crate::Table::reopen) on its handles, or drop them. The
    /// first process that then opens the file makes the locks anew, and no published write is lost.
    Condemned,
    /// The file was replaced or destroyed, or the table was made anew with another schema or capacity. [`reopen`](crate::Table::reopen) attaches to the file that has its name now, if there is one.
    Superseded,
    /// Another process recovered the file while this handle was not attached to it. That happens to a read-only handle,
    /// to one whose descriptor or lock was taken away without its knowledge, and to one that the child of a fork
    /// inherited and had not used yet; in that case it can also mean that the file needs a recovery now. Or `reopen` gave
    /// the handle up, and did not succeed, or had not yet. [`reopen`](crate::Table::reopen)
    /// attaches to the file as it is now.
    Recovered,
    /// A flush failed in this process or another, so it cannot be promised that anything written since the last sync
    /// survives a power cut. Writes that were published are still served. Every process must call `reopen` on its
    /// handles, or drop them. The first process that then opens the file recovers it.
    FlushFailed {
        /// What the operating system said, if it said so in this process.
        source: Option<io::Error>,
    },
    /// The write happened and is served, but the sync that it triggered ([`sync_every`](crate::OpenOptions::sync_every)) did not finish.
    SyncAfterWrite {
        /// Why the sync failed.
        source: Box<Error>,
    },
    /// The handle is read-only, and the operation writes or needs a lock.
    ReadOnly {
        /// What was asked for.
        operation: &'static str,
    },
    /// The operation was called inside the closure of another one on the same thread, where it would wait for itself.
    /// Use the transaction that the closure is given.
    Nested,
    /// The process forked inside a transaction, and this is the child: the transaction is its parent's.
    Forked,
    /// No slot is free.
    Full {
        /// How many records there are.
        live_count: u64,
        /// How many there can be.
        capacity: u64,
        /// How many slots have used up their generations and are never used again.
        retired_count: u64,
    },
    /// A record with this key is there already.
    DuplicateKey {
        /// The key, as text.
        key: String,
        /// The record that has it.
        id: RecordId,
    },
    /// An update would have changed the record's key. Delete it and insert a new one, in one [`write`](crate::Table::write) if need be.
    KeyChanged,
    /// In one transaction a key was deleted, its slot was given to another record because no other was free, and now
    /// the key is to be inserted again. Insert the keys that stay before those that are new, or update in place, as
    /// [`replace_all`](crate::Table::replace_all) does, which makes a table hold exactly the records that it is given.
    SlotTaken {
        /// The slot.
        slot: u32,
    },
    /// No record has this id: it was deleted, or never was.
    NotFound {
        /// The id.
        id: RecordId,
    },
    /// The record was changed since the caller read it.
    Conflict {
        /// The version that the caller had seen.
        expected: u64,
        /// The version that the record has now.
        found: u64,
    },
    /// Something was written since the closure of a snapshot began, so a read could only return what was there at
    /// another moment. Only the closure gets this error: pass it on with `?`, and the closure runs again.
    StaleSnapshot,
    /// Other processes wrote so much during the whole lock timeout that no moment of the table could be copied, and a
    /// read-only handle cannot take the lock to stop them.
    SnapshotBusy {
        /// How often it was tried.
        attempt_count: u32,
    },
    /// A value does not fit its field. Nothing is ever cut to fit.
    TooLong {
        /// What the field holds, in bytes.
        capacity_bytes: usize,
        /// The size of the value, in bytes.
        found_bytes: usize,
    },
    /// What happened since a cursor was given out cannot be told. Start again: take all records and a new cursor, such as
    /// by [`changes_since`](crate::Table::changes_since) the [`first_cursor`](crate::Table::first_cursor), and forget
    /// what is not among them.
    CursorLost {
        /// Why not.
        reason: CursorLoss,
    },
    /// The closure of a [`write`](crate::Table::write) gave up for a reason of its own: see [`Error::caller`], and [`try_write`](crate::Table::try_write).
    Caller {
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no field of this name.
    UnknownField {
        /// The name.
        name: String,
        /// The field whose name is nearest, if one is near.
        suggestion: Option<String>,
    },
    /// A value is not one that its type can have.
    InvalidValue {
        /// What was expected and what was found.
        reason: String,
    },
}

/// What a process can wait for.
///
/// ```
/// use locule::{Error, TableLock};
///
/// // Only a process that holds the write lock keeps others from writing.
/// fn is_held_up_by_a_writer(error: &Error) -> bool {
///     matches!(error, Error::Timeout { lock: TableLock::Write, .. })
/// }
/// # assert!(!is_held_up_by_a_writer(&Error::Nested));
/// assert_eq!(TableLock::Write.to_string(), "write");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableLock {
    /// Held while records are written.
    Write,
    /// Held while a sync is made.
    Sync,
    /// Held while the file is opened, or replaced.
    Gate,
    /// Not in the file: another thread of this process uses the handle, or reopens it.
    Handle,
}

impl fmt::Display for TableLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TableLock::Write => "write",
            TableLock::Sync => "sync",
            TableLock::Gate => "gate",
            TableLock::Handle => "handle",
        })
    }
}

/// Why a [`Cursor`](crate::Cursor) cannot be followed any more.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// let [first, second] = ["first.loc", "second.loc"].map(|name| directory.path().join(name));
/// let cursor = locule::Table::<Visit>::create(&first, 9)?.cursor()?;
/// let other = locule::Table::<Visit>::create(&second, 9)?;
/// match other.changes_since(&cursor) {
///     Err(locule::Error::CursorLost { reason }) => assert_eq!(reason, locule::CursorLoss::OtherTable),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CursorLoss {
    /// It is a cursor of another table, or of one that was replaced, or altered in a way that
    /// [keeps no cursors](crate::maintenance).
    OtherTable,
    /// What it had seen was rolled back, such as by a power cut before the next sync; or it was given out by another copy
    /// of the file.
    RolledBack,
    /// The table remembers its last eight recoveries, and there were more since.
    TooManyRecoveries,
    /// It is newer than the table, such as after an older copy of the file was put back.
    NewerThanTable,
}

impl fmt::Display for CursorLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            CursorLoss::OtherTable => {
                "it is a cursor of another table, or of this one before it was replaced or altered"
            }
            CursorLoss::RolledBack => "what it had seen was rolled back, or is of another copy of the file",
            CursorLoss::TooManyRecoveries => "the table was recovered more than eight times since",
            CursorLoss::NewerThanTable => "it is newer than the table, as if an older copy of the file was put back",
        })
    }
}

/// An error on its way up through the engine: one word, so that results that are hardly ever errors stay in registers.
#[derive(Debug)]
pub struct Fault(Box<Error>);

/// What an error shows of a part of a text that can be anything.
pub(crate) fn shortened(text: &str) -> String {
    const PART_COUNT_MAX: usize = 40;
    let (part, end) = match text.char_indices().nth(PART_COUNT_MAX) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "…"),
        None => (text, ""),
    };
    let is_shown_as_it_is = |next: char| matches!(next, '"' | '\'' | '\\');
    let shown =
        part.chars().map(|next| if is_shown_as_it_is(next) { next.into() } else { next.escape_debug().to_string() });
    shown.chain([end.to_owned()]).collect()
}

/// The result of functions that are called on every operation.
pub type Internal<T> = std::result::Result<T, Fault>;

impl Fault {
    /// Whether another writer changed the record first.
    #[cfg(test)]
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(*self.0, Error::Conflict { .. })
    }
}

impl From<Error> for Fault {
    #[cold]
    #[inline(never)]
    fn from(error: Error) -> Self {
        Fault(Box::new(error))
    }
}

impl From<Fault> for Error {
    #[cold]
    #[inline(never)]
    fn from(fault: Fault) -> Self {
        *fault.0
    }
}

impl Error {
    /// An error of the caller's own, for a closure that gives up. A closure of
    /// [`try_write`](crate::Table::try_write) can return one of any type instead.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::options().capacity(9).create(directory.path().join("visits.loc"))?;
    /// let outcome = table.write(|transaction| {
    ///     transaction.insert(&Visit { id: 1, hits: 0 })?;
    ///     Err::<(), _>(locule::Error::caller("not today"))
    /// });
    /// assert_eq!(outcome.unwrap_err().to_string(), "not today");
    /// assert!(table.is_empty()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn caller(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Caller { source: source.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Error::Damaged { reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::AlreadyExists { path } => write!(
                f,
                "{} exists already: open it, or create with `replace` if it is to be thrown away",
                path.display()
            ),
            Error::DoesNotExist { path } => {
                write!(f, "{} does not exist: a table has to be created before it is opened", path.display())
            }
            Error::UnknownField { name, suggestion } => {
                write!(f, "there is no field `{}`", shortened(name))?;
                match suggestion {
                    Some(suggestion) => write!(f, ": did you mean `{suggestion}`?"),
                    None => Ok(()),
                }
            }
            Error::InvalidArgument { reason } | Error::InvalidValue { reason } => f.write_str(reason),
            Error::Foreign { path, reason } => write!(f, "{} cannot be read as a table: {reason}", path.display()),
            Error::Damaged { reason } => {
                write!(
                    f,
                    "the table is damaged: {reason}; keep a copy of the file: `locule verify` names every bad place, \
                     and `locule dump --salvage FILE` prints what is left"
                )
            }
            Error::SchemaMismatch { differences, .. } => {
                f.write_str("the table's records are not of the schema that they are expected to have; in the table")?;
                differences.iter().try_for_each(|difference| write!(f, "\n  {difference}"))
            }
            Error::CapacityMismatch { expected, found } => write!(
                f,
                "the table has room for {found} records, not for the {expected} that were required: require {found}, \
                 or change its capacity by `Alteration::capacity`"
            ),
            Error::Incompatible { reason } => f.write_str(reason),
            Error::Timeout { lock: TableLock::Handle, waited, .. } => write!(
                f,
                "waited {waited:?} for the handle, which another thread of this process is using or reopening: let \
                 that end, and try again"
            ),
            Error::Timeout { lock, holder_pid, waited } => {
                write!(f, "waited {waited:?} for the {lock} lock, ")?;
                match holder_pid {
                    Some(pid) if *pid == std::process::id() => f.write_str(
                        "which another thread of this process holds: let that end what it is doing, and try again",
                    ),
                    Some(pid) => write!(f, "which process {pid} holds: continue it if it is stopped, or end it"),
                    None => f.write_str("whose holder could not be found out: try again"),
                }
            }
            Error::Condemned => f.write_str(
                "a lock of the table can no longer be used: call `reopen` on every handle in every process, or drop \
                 them all and open the file again",
            ),
            Error::Superseded => {
                f.write_str("the table was replaced, destroyed or altered since it was opened: call `reopen`")
            }
            Error::Recovered => f.write_str(
                "another process recovered the file while this handle was not attached to it, or `reopen` gave the \
                 handle up: call `reopen`",
            ),
            Error::FlushFailed { source } => {
                f.write_str("a flush to disk failed")?;
                if let Some(source) = source {
                    write!(f, " ({source})")?;
                }
                f.write_str(
                    ": syncs are refused until every process has called `reopen` on its handles, or dropped them, and \
                     the file is opened again",
                )
            }
            Error::SyncAfterWrite { source } => {
                write!(f, "the write is published, and not to be repeated, but the sync after it failed: {source}")
            }
            Error::ReadOnly { operation } => write!(f, "{operation} on a read-only handle: open the file for writing"),
            Error::Nested => f.write_str(
                "the call would wait for the transaction that it is made in: \
                 use the transaction that the closure is given",
            ),
            Error::Forked => {
                f.write_str("this process was forked inside a transaction, which is its parent's to finish")
            }
            Error::Full { live_count, capacity, retired_count } => {
                write!(f, "the table is full: {live_count} records in {capacity} slots")?;
                if *retired_count > 0 {
                    write!(f, " ({retired_count} worn out)")?;
                }
                f.write_str(if *live_count == 0 || *retired_count > 0 {
                    ": make a new one, and insert the records there"
                } else {
                    ": delete some, or give it a larger capacity by `Alteration::capacity`"
                })
            }
            Error::DuplicateKey { key, id } => {
                write!(
                    f,
                    "a record with the key {key} is there already, under id {id}: update it or use `upsert`, or \
                     give the other one another key"
                )
            }
            Error::KeyChanged => {
                f.write_str("an update must not change the key: delete the record and insert it under its new key")
            }
            Error::SlotTaken { slot } => write!(
                f,
                "this key was deleted in this transaction and its slot {slot} given to another: \
                 insert the keys that stay before the new ones, or call `replace_all`, which keeps them in place"
            ),
            Error::NotFound { id } => write!(f, "no record has id {id}: it was deleted, or never was"),
            Error::Conflict { expected, found } => {
                write!(f, "expected version {expected} and found {found}: somebody was faster, read the record again")
            }
            Error::Caller { source } => fmt::Display::fmt(source, f),
            Error::StaleSnapshot => {
                f.write_str("the table changed since the snapshot began: return this error, and the closure runs again")
            }
            Error::SnapshotBusy { attempt_count } => write!(
                f,
                "the table changed too much during each of {attempt_count} passes over it: allow a longer lock \
                 timeout, or open the file for writing"
            ),
            Error::CursorLost { reason } => write!(
                f,
                "the cursor cannot be followed: {reason}; take all records again, with a new cursor, and forget the others"
            ),
            Error::TooLong { capacity_bytes, found_bytes } => {
                write!(f, "a value of {found_bytes} bytes does not fit a field of {capacity_bytes} bytes")
            }
        }
    }
}

impl std::error::Error for Error {
    /// What follows the error whose reason is in this one's text.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } | Error::FlushFailed { source: Some(source) } => source.source(),
            Error::SyncAfterWrite { source } => source.source(),
            Error::Caller { source } => source.source(),
            _ => None,
        }
    }
}

/// Ends the thread, since something is not as this crate always leaves it: going on could only do harm. Names the
/// invariant.
#[cold]
#[expect(clippy::panic, reason = "an error in this crate, after which nothing that is returned could be believed")]
pub fn broken_invariant(invariant: &str) -> ! {
    panic!("an error in locule: not so: {invariant}")
}
