//! What a dead writer has left half done, seen from outside, without a lock.

use crate::engine::Store;
use crate::format::control::{INTENT_COUNT, LAST, PREPARED, USED};
use crate::sys::lock::Lock;
use crate::sys::process::pid_namespace;
use crate::sys::thread::is_gone;
use crate::sys::words::{Ordering, fence};

/// A transaction that a writer left half done when it died. The next writer finishes or undoes it without being asked, and so
/// does a process that opens the table to write; a process that only reads it waits for neither.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// assert_eq!(locule::admin::info(&path)?.pending, None); // no writer has died
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Pending {
    /// The number of the transaction.
    pub number: u64,
    /// Whether it has happened: then the next writer finishes it, and reads of a whole table show it already. If not, the next
    /// writer undoes it.
    pub is_prepared: bool,
}

/// How far the transaction in progress has come.
#[derive(PartialEq)]
struct Progress {
    used: u64,
    prepared: u64,
    last: u64,
    intent_count: u64,
}

impl Store {
    /// What is left half done while no process is working on it.
    pub fn pending(&self) -> Option<Pending> {
        let seen = self.progress();
        let pending = seen.pending()?;
        if self.may_have_live_writer() {
            return None;
        }
        // If a writer has unlocked since, it finished first, and that would be seen here. Numbers do not come again, so if the
        // number is the same, the transaction was in progress while no process held the lock.
        fence(Ordering::Acquire);
        (self.progress() == seen).then_some(pending)
    }

    fn progress(&self) -> Progress {
        let [used, prepared, last, intent_count] =
            [USED, PREPARED, LAST, INTENT_COUNT].map(|index| self.control_word(index));
        Progress { used, prepared, last, intent_count }
    }

    /// In a PID namespace other than the writers', thread ids mean nothing, so a named thread counts as alive there.
    fn may_have_live_writer(&self) -> bool {
        let Some(thread_id) = self.medium.lock_holder(Lock::Write) else { return false };
        let theirs = self.incarnation().map(|attached| attached.pid_namespace);
        theirs != pid_namespace().ok() || !is_gone(thread_id)
    }
}

impl Progress {
    fn pending(&self) -> Option<Pending> {
        if self.prepared != self.last {
            Some(Pending { number: self.prepared, is_prepared: true })
        } else if self.intent_count == 0 {
            None
        } else if self.used > self.prepared {
            Some(Pending { number: self.used, is_prepared: false })
        } else {
            // Published: only the list is not emptied yet.
            Some(Pending { number: self.prepared, is_prepared: true })
        }
    }
}
