//! What a table is, and how it is doing.

use crate::engine::Store;
use crate::engine::outcome::{Recovery, RecoveryOutcome};
use crate::engine::pending::Pending;
use crate::engine::status::{Status, WriterState};
use crate::error::{Error, Result};
use crate::file::open_read_only::{Belief, FileForReading};
use crate::format::header::FORMAT_VERSION;
use crate::format::sync_record::SyncRecord;
use crate::schema::Schema;
use crate::sys::deadline::poll;
use crate::value::time::Timestamp;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// For how long a moment is looked for in which no writer is in the middle of something.
const MOMENT_TIMEOUT: Duration = Duration::from_millis(100);

/// The other file system in memory.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// What a table is and how it is doing, seen from outside. Made by [`info`].
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// let info = locule::admin::info(&path)?;
/// assert_eq!((info.status.capacity, info.free_count, info.pending), (100, 100, None));
/// println!("made at {}, {} bytes", info.created, info.file_bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Info {
    /// The version of the file's format.
    pub format_version: u32,
    /// What distinguishes this table from all others, as text.
    pub uuid: String,
    /// When the file was made.
    pub created: Timestamp,
    /// The fields of the records.
    pub schema: Schema,
    /// The length of the file.
    pub file_bytes: u64,
    /// Whether the file is in memory (tmpfs): then `sync` makes nothing durable, and the file is gone in the next boot.
    pub is_in_memory: bool,
    /// Whether other handles had the file open.
    pub is_in_use: bool,
    /// Whether the file needs a recovery.
    pub condition: Condition,
    /// The counters as they are in the file, and which process holds the write lock. If the file needs a recovery that
    /// is possible, `live_count` is already the count after the recovery.
    pub status: Status,
    /// The transaction that a dead writer has left half done, if there is one and the file needs no recovery. What a
    /// writer that is alive, or may be, is doing is in `status.writer`.
    pub pending: Option<Pending>,
    /// How many records can be inserted before the table is full.
    pub free_count: u64,
    /// The two sync records; `None` for one that is not whole. That is normal while a sync is made, and after the
    /// syncing process died.
    pub syncs: [Option<SyncInfo>; 2],
}

/// Whether a table needs a recovery. The next process that opens the table for writing makes it without being asked.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// use locule::admin::Condition;
///
/// match locule::admin::info(&path)?.condition {
///     Condition::InOrder => {}
///     Condition::NeedsRecovery { reason, outcome: Ok(recovery) } => println!("{reason}: {recovery}"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Condition {
    /// It can be used as it is.
    InOrder,
    /// No process has opened it since it was made, by [`backup`](crate::maintenance::backup) or another function of
    /// [`maintenance`](crate::maintenance). It holds what was put into it then; the first process that opens it for writing makes
    /// it ready.
    Unopened {
        /// When it was made.
        made: Timestamp,
    },
    /// It needs a recovery.
    NeedsRecovery {
        /// Why.
        reason: &'static str,
        /// What the recovery would find, or why it is not possible.
        outcome: Result<Recovery>,
    },
}

/// A sync: a state of the table that survives a power cut.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// let number = table.sync()?;
/// let newest = locule::admin::info(&path)?.syncs.into_iter().flatten().max_by_key(|sync| sync.number);
/// assert_eq!(newest.map(|sync| (sync.number, sync.live_count)), Some((number, 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SyncInfo {
    /// The newest transaction that is in it.
    pub number: u64,
    /// When it was made.
    pub wall_time: Timestamp,
    /// Records in the table then.
    pub live_count: u64,
}

impl From<SyncRecord> for SyncInfo {
    fn from(record: SyncRecord) -> Self {
        SyncInfo {
            number: record.state.number,
            wall_time: Timestamp::from_microseconds(record.wall_time_microseconds),
            live_count: record.state.live_count,
        }
    }
}

/// What the holder of the lock is doing, in one word.
///
/// ```
/// assert_eq!(locule::WriterState::Staging.to_string(), "staging");
/// ```
impl fmt::Display for WriterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            WriterState::Holding => "holding",
            WriterState::Staging => "staging",
            WriterState::Prepared => "prepared",
            WriterState::Publishing => "publishing",
        })
    }
}

/// Reports what a table is and how it is doing. It reads word by word while others may write.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// let info = locule::admin::info(&path)?;
/// assert_eq!((info.status.live_count, info.free_count), (1, 99));
/// assert_eq!(info.schema.to_string(), "key id: u64, hits: u32");
/// assert!(info.is_in_use);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`DoesNotExist`](Error::DoesNotExist), [`Foreign`](Error::Foreign) if the file is not a locule table or its header
/// is damaged, [`Timeout`](Error::Timeout) if another process was opening it all the time, [`Io`](Error::Io).
pub fn info(path: impl AsRef<Path>) -> Result<Info> {
    let path = path.as_ref();
    let FileForReading { store, is_same_boot, recovery_reason, is_in_use } =
        Store::open_for_reading(path, &super::settings(), Belief::Proof)?;
    let (mut status, mut free_count) = counts_of(&store);
    let pending = if recovery_reason.is_none() { store.pending() } else { None };
    let syncs = store.sync_records().map(|record| record.map(SyncInfo::from));
    let condition = match recovery_reason {
        None => Condition::InOrder,
        Some(reason) => {
            let outcome = store.recover_copy(is_same_boot);
            if let Ok(recovery) = &outcome {
                // The counters may be gone, or older than the records.
                status.live_count = recovery.live_count;
                status.last = status.last.max(recovery.number);
                if matches!(recovery.outcome, RecoveryOutcome::Checkpoint { .. }) {
                    status.durable = status.durable.max(recovery.number);
                }
                free_count = store.free_count();
            }
            match outcome {
                Ok(Recovery { outcome: RecoveryOutcome::Unopened { wall_time }, .. }) => {
                    Condition::Unopened { made: wall_time }
                }
                outcome => Condition::NeedsRecovery { reason, outcome },
            }
        }
    };
    let header = store.header();
    Ok(Info {
        format_version: FORMAT_VERSION,
        uuid: hyphenated(header.uuid),
        created: Timestamp::from_microseconds(header.created_microseconds),
        schema: Schema::clone(&header.schema),
        file_bytes: store.file_bytes()?,
        is_in_memory: is_in_memory(path)?,
        is_in_use,
        condition,
        status,
        pending,
        free_count,
        syncs,
    })
}

/// The counters, and how many slots are free: of one moment, unless the writers leave none for as long as it is tried.
fn counts_of(store: &Store) -> (Status, u64) {
    let look = || (store.status(), store.free_count());
    let of_one_moment = poll(MOMENT_TIMEOUT, || {
        let moment = store.moment()?;
        let counts = look();
        moment.check().is_ok().then_some(counts)
    });
    of_one_moment.unwrap_or_else(look)
}

fn is_in_memory(path: &Path) -> Result<bool> {
    let found = statfs(path).map_err(|error| Error::io("look at", path)(error.into()))?.filesystem_type();
    Ok(found == TMPFS_MAGIC || found == RAMFS_MAGIC)
}

/// A UUID as it is usually written.
fn hyphenated(uuid: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    let part = |range| digits.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_uuid_is_written_as_usual() {
        let uuid = 0x0123_4567_89ab_cdef_0011_2233_4455_6677_u128;
        assert_eq!(super::hyphenated(uuid.to_be_bytes()), "01234567-89ab-cdef-0011-223344556677");
    }
}
