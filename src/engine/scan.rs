//! Going over all records, and copying only those that a filter accepts.
//!
//! A record that is not wanted costs its head, the words that the filter looks at, and the number of its cell: see
//! [`refused_slot_count`]. What may be wanted is looked at again by [`Slot::read_if`], copied and verified. What is in the
//! other words of the records that are passed over is not looked at, and so neither is whether it is damaged.

use super::Store;
use crate::engine::read::{Meta, Moment, verify};
use crate::engine::transaction::Transaction;
use crate::error::Internal;
use crate::layout::filter::Filter;
use crate::layout::slot::{Slot, refused_slot_count};
use std::ops::Range;

/// What can be scanned: a table, a moment of it, and what a transaction sees.
pub trait Scan {
    /// All slots.
    #[cfg(test)]
    fn slots(&self) -> Range<u32>;

    /// Copies the first record of some slots that a filter accepts into `payload`, which has the table's record length.
    /// What was looked at is taken off the slots, so that the next call goes on behind it, also after an error.
    fn scan(&mut self, slots: &mut Range<u32>, filter: &mut impl Filter, payload: &mut [u64])
    -> Internal<Option<Meta>>;
}

impl Store {
    /// The same, of what is published.
    #[inline(always)]
    fn scan_published(
        &self,
        slots: &mut Range<u32>,
        filter: &mut impl Filter,
        payload: &mut [u64],
        verifies: bool,
    ) -> Internal<Option<Meta>> {
        // Copies, which the compiler can keep in registers: after each fence it reads again what others might see.
        let (words, geometry) = (self.words(), self.geometry);
        slots.end = slots.end.min(geometry.capacity());
        while slots.start < slots.end {
            slots.start += refused_slot_count(words, &geometry, slots.clone(), filter);
            let Some(index) = slots.next() else { break };
            if let Some(header) = Slot::new(words, &geometry, index).read_if(payload, filter)? {
                if verifies {
                    verify(index, header, payload)?;
                }
                return Ok(Some(Meta::new(index, header)));
            }
        }
        Ok(None)
    }
}

/// Each record is as it was published at some moment during the call.
impl Scan for &Store {
    #[cfg(test)]
    fn slots(&self) -> Range<u32> {
        0..self.geometry.capacity()
    }

    #[inline(always)]
    fn scan(
        &mut self,
        slots: &mut Range<u32>,
        filter: &mut impl Filter,
        payload: &mut [u64],
    ) -> Internal<Option<Meta>> {
        self.check_usable()?;
        self.scan_published(slots, filter, payload, self.settings.verify_reads)
    }
}

/// All records are as of the moment. If it has passed, that is the error, even if nothing was found: that there is nothing
/// more has to be of the moment too.
impl Scan for Moment<'_> {
    #[cfg(test)]
    fn slots(&self) -> Range<u32> {
        self.store().slots()
    }

    #[inline(always)]
    fn scan(
        &mut self,
        slots: &mut Range<u32>,
        filter: &mut impl Filter,
        payload: &mut [u64],
    ) -> Internal<Option<Meta>> {
        let found = self.store().scan(slots, filter, payload);
        self.check()?;
        found
    }
}

/// As the transaction sees them: what it has staged itself, and otherwise what is published, which nobody else can change.
impl Scan for Transaction<'_> {
    #[cfg(test)]
    fn slots(&self) -> Range<u32> {
        self.store().slots()
    }

    #[inline(always)]
    fn scan(
        &mut self,
        slots: &mut Range<u32>,
        filter: &mut impl Filter,
        payload: &mut [u64],
    ) -> Internal<Option<Meta>> {
        self.check_not_forked()?;
        slots.end = slots.end.min(self.capacity());
        while slots.start < slots.end {
            let touched = self.first_touched(slots)?;
            let mut untouched = slots.start..touched.unwrap_or(slots.end);
            let found = self.store().scan_published(&mut untouched, filter, payload, true);
            slots.start = untouched.start;
            if let Some(meta) = found? {
                return Ok(Some(meta));
            }
            if let Some(slot) = touched {
                slots.start = slot.saturating_add(1);
                let seen = self.seen(slot)?;
                if seen.header.is_live && filter.accepts(seen.slot.whole_payload(seen.cell)) {
                    return self.read_slot(slot, payload);
                }
            }
        }
        Ok(None)
    }
}
