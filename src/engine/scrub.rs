//! Overwriting what no reader, no sync and no recovery needs any more.
//!
//! Invariants:
//!
//! 1. A cell is overwritten only under the write mutex, and only if no head names it and it is visible neither at `PIN` (read
//!    first) nor at `DURABLE` (read second): as with a cell that a writer takes. So it can be done again from the start wherever
//!    it is cut short.
//! 2. Behind a tombstone that is needed, the payload is overwritten: its check does not cover that.
//! 3. The table is synced first. So `DURABLE` and a pin are not below what was published when the call began, and what was
//!    replaced or deleted by then is visible at neither.

use super::Store;
use crate::engine::guard::WriteGuard;
use crate::error::Result;
use crate::format::cell::CELLS_PER_SLOT;
use crate::format::control::{DURABLE, NO_PIN, PIN};
use crate::layout::slot::visible_cell;
use crate::sys::words::Ordering;

/// The words that are looked at before others may write in between.
const TURN_WORDS: usize = 1 << 16;

impl Store {
    /// Overwrites with zeros every cell that was not needed any more when the call began, and what tombstones have behind them,
    /// and waits until that is on the disk. Returns how many cells that were.
    pub fn scrub(&self) -> Result<u64> {
        // What a dead writer has left half done is finished, so that it is synced too.
        drop(WriteGuard::lock(self)?);
        self.sync()?;
        let cell_count = self.scrub_cells()?;
        self.sync_anew()?;
        Ok(cell_count)
    }

    /// The same without the syncs.
    pub(super) fn scrub_cells(&self) -> Result<u64> {
        let slots_per_turn = (TURN_WORDS / self.geometry.slot(0).len()).max(1);
        let mut cell_count = 0;
        let mut slots = 0..self.geometry.capacity();
        while !slots.is_empty() {
            let _guard = WriteGuard::lock(self)?;
            let kept = [PIN, DURABLE].map(|index| self.control().load(index, Ordering::Acquire));
            cell_count += slots.by_ref().take(slots_per_turn).map(|slot| self.scrub_slot(slot, kept)).sum::<u64>();
        }
        Ok(cell_count)
    }

    /// The same for one slot, under the write mutex.
    fn scrub_slot(&self, index: u32, kept: [u64; 2]) -> u64 {
        let slot = self.slot(index);
        let head = slot.head();
        let numbers = slot.cell_numbers();
        let is_needed = |cell: u32| {
            (head.exists() && head.cell() == cell)
                || kept.iter().any(|number| *number != NO_PIN && visible_cell(numbers, *number) == Some(cell))
        };
        let record_words = self.geometry.record_words();
        let scrubbed = (0..CELLS_PER_SLOT).filter(|cell| match is_needed(*cell) {
            false => slot.scrub(*cell, record_words),
            true => !slot.cell_header(*cell).is_live && slot.scrub_payload(*cell, record_words),
        });
        u64::try_from(scrubbed.count()).unwrap_or(0)
    }
}
