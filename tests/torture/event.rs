//! What a worker asked of a table, with what result, and between which moments.

/// Nanoseconds of the monotonic clock, which all processes of one machine share.
pub fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(now.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap()
}

/// One operation on one key. A transaction or a snapshot of several keys is several events of one worker file and one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The worker file whose ledger it is in.
    pub worker_file: u64,
    pub key: u64,
    /// A moment before the table was called.
    pub start: u64,
    /// A moment after the call returned; `None` if its process died in it, and it is not known whether the operation
    /// happened.
    pub end: Option<u64>,
    pub step: Step,
    /// Whether it is one of several reads that agree with each other.
    pub is_snapshot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The key's record was read.
    Saw(Seen),
    /// There was no record of the key.
    SawNone,
    /// There was a record of the key, whatever it held.
    SawSome,
    /// The record of the key had this version.
    SawVersion { version: u64 },
    /// There was no record of this id any more.
    SawGone { id: u64 },
    /// A write.
    Wrote(Write),
    /// The table was not changed, and nothing was learned about it.
    Nothing,
}

/// A record as it was read. Each write writes a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub version: u64,
    pub value: u64,
    pub id: u64,
    pub update_count: u64,
}

/// A write that was made, or that was begun by a process that died. What is not known about it is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub change: Change,
    pub version: Option<u64>,
    /// What was written; `None` for a delete.
    pub value: Option<u64>,
    pub id: Option<u64>,
    /// The value that the write replaced.
    pub replaced: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Insert,
    Update,
    Delete,
    /// An insert or an update.
    Upsert,
}
