//! The two locks of a table, and the outcomes of taking one.

use crate::error::TableLock;

/// One of a table's two mutexes. A thread that takes both takes `Sync` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Held while records are written.
    Write,
    /// Held while a sync is made.
    Sync,
}

impl Lock {
    /// How errors name it.
    pub fn in_errors(self) -> TableLock {
        match self {
            Lock::Write => TableLock::Write,
            Lock::Sync => TableLock::Sync,
        }
    }
}

/// What can be seen of a lock from outside, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockState {
    /// The kernel thread id of the thread that holds it.
    pub holder: Option<u32>,
    /// Whether some thread sleeps until it is free.
    pub is_waited_for: bool,
    /// Whether its last owner died, and nobody has taken it since.
    pub is_abandoned: bool,
}

/// A lock was taken. That its last owner died is not an error, and does not mean that anything is left half done.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    Clean,
    OwnerDied,
}

/// A lock was not taken.
#[derive(Debug)]
pub enum LockFailure {
    /// Another thread held it all the time: the one with this kernel thread id, if that could be read.
    Timeout { holder: Option<u32> },
    /// This thread holds it already.
    Nested,
    /// The lock can never be taken again.
    Unusable,
}
