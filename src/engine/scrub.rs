//! Overwriting what no reader, no sync and no recovery needs any more.

use super::Store;
use crate::engine::guard::WriteGuard;
use crate::error::Result;
use crate::format::cell::CELLS_PER_SLOT;
use crate::format::control::{DURABLE, NO_PIN, PIN};
use crate::layout::slot::visible_cell;
use crate::sys::words::Ordering;

/// How often it is tried to meet the table while its newest state is the one that was synced, which needs nothing old.
const ATTEMPT_COUNT: u32 = 16;

impl Store {
    /// Overwrites with zeros every cell that is not needed, and what tombstones have behind them. Returns how many cells that
    /// were. What the last sync needs is kept, so the table is synced first; if others write all the time, some cells stay.
    pub fn scrub(&self) -> Result<u64> {
        for attempt in 1..=ATTEMPT_COUNT {
            self.sync()?;
            let guard = WriteGuard::lock(self)?;
            let newest = self.view().newest_state()?.number;
            let kept = [DURABLE, PIN].map(|index| self.control().load(index, Ordering::Acquire));
            if (kept == [newest, NO_PIN]) || attempt == ATTEMPT_COUNT {
                let cell_count = (0..self.geometry.capacity()).map(|slot| self.scrub_slot(slot, kept)).sum();
                drop(guard);
                self.sync_anew()?;
                return Ok(cell_count);
            }
        }
        Ok(0)
    }

    /// The same for one slot, under the write mutex.
    fn scrub_slot(&self, index: u32, kept: [u64; 2]) -> u64 {
        let slot = self.slot(index);
        let head = slot.head();
        let numbers = slot.cell_numbers();
        let is_kept = |cell: u32| {
            (head.exists() && head.cell() == cell)
                || kept.iter().any(|number| *number != NO_PIN && visible_cell(numbers, *number) == Some(cell))
        };
        let mut cell_count = 0;
        for cell in 0..CELLS_PER_SLOT {
            let is_scrubbed = if !is_kept(cell) {
                slot.scrub(cell, self.geometry.record_words(), true)
            } else if !slot.cell_header(cell).is_live {
                slot.scrub(cell, self.geometry.record_words(), false)
            } else {
                false
            };
            cell_count += u64::from(is_scrubbed);
        }
        cell_count
    }
}
