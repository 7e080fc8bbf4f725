//! Going over all records, and copying only those that a filter accepts.
//!
//! A record that is not wanted costs its head, the number of its cell, the words that the filter looks at, and the number
//! again: see [`Slot::read_if`](crate::layout::slot::Slot::read_if). Only what was accepted is copied and verified. What
//! is in the other words of the records that are passed over is not looked at, and so neither is whether it is damaged.

use super::Store;
use crate::engine::read::{Meta, Moment, verify};
use crate::engine::transaction::Transaction;
use crate::error::Internal;
use crate::layout::slot::Slot;
use crate::sys::words::{Ordering, Words};
use std::ops::Range;

/// Which records are wanted.
///
/// A filter is asked about words that another process may be changing. So it must have an answer for any words, and must
/// not remember what it has seen: it may be asked again about the same record, and the first answer is then not used.
pub trait Filter {
    /// Whether a record is wanted, by what is in its words.
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool;
}

/// The words of a record, padded with zeros to whole words, wherever they are.
pub trait RecordWords: Copy {
    /// The word with this index, which must be inside the record.
    fn word(self, index: usize) -> u64;

    /// Copies words from an index on; all of them must be inside the record.
    fn copy_words(self, first: usize, target: &mut [u64]);
}

/// Those of a cell.
impl RecordWords for Words<'_> {
    #[inline(always)]
    fn word(self, index: usize) -> u64 {
        self.load(index, Ordering::Relaxed)
    }

    #[inline(always)]
    fn copy_words(self, first: usize, target: &mut [u64]) {
        self.part_of(first, target.len()).copy_to(target);
    }
}

/// What can be scanned: a table, a moment of it, and what a transaction sees.
pub trait Scan {
    /// All slots.
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
        slots.end = slots.end.min(self.geometry.capacity());
        let words = self.words();
        for index in slots {
            let slot = Slot::new(words, &self.geometry, index);
            if let Some(header) = slot.read_if(payload, |words| filter.accepts(words))? {
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
    fn slots(&self) -> Range<u32> {
        0..self.geometry.capacity()
    }

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
    fn slots(&self) -> Range<u32> {
        self.store().slots()
    }

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
    fn slots(&self) -> Range<u32> {
        self.store().slots()
    }

    fn scan(
        &mut self,
        slots: &mut Range<u32>,
        filter: &mut impl Filter,
        payload: &mut [u64],
    ) -> Internal<Option<Meta>> {
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
                let record = seen.slot.payload(seen.cell, 0, payload.len());
                if seen.header.is_live && filter.accepts(record) {
                    return self.read_slot(slot, payload);
                }
            }
        }
        Ok(None)
    }
}
