//! The fault words: what is wrong with a table as a whole, until it is recovered.

use super::Store;
use crate::engine::occupancy::Death;
use crate::format::control::{CONDEMNED, FAILED, LOSING_ITS_NAME, SUPERSEDED};
use crate::sys::words::Ordering;

/// The fault words of a table, read one by one. If there are several faults, the first one in this order is reported.
#[derive(Clone, Copy)]
pub struct Faults {
    /// A lock can never be taken again.
    pub is_condemned: bool,
    /// No sync can succeed.
    pub is_flush_failed: bool,
    /// Another file has taken the place of this one.
    pub is_superseded: bool,
}

impl Faults {
    /// What ends the use of a handle.
    pub fn mortal(self) -> Option<Death> {
        Faults { is_flush_failed: false, ..self }.any()
    }

    /// What keeps newcomers out: a handle that could not sync would be of no use.
    pub fn any(self) -> Option<Death> {
        if self.is_condemned {
            Some(Death::Condemned)
        } else if self.is_flush_failed {
            Some(Death::FlushFailed)
        } else if self.is_superseded {
            Some(Death::Superseded)
        } else {
            None
        }
    }
}

impl Store {
    pub(super) fn faults(&self) -> Faults {
        let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;
        let is_superseded = is_set(SUPERSEDED) && !self.is_losing_its_name();
        Faults { is_condemned: is_set(CONDEMNED), is_flush_failed: is_set(FAILED), is_superseded }
    }

    /// Whether a process is taking the file's name away, or has died on the way.
    pub(super) fn is_losing_its_name(&self) -> bool {
        self.control().load(SUPERSEDED, Ordering::Acquire) == LOSING_ITS_NAME
    }
}
