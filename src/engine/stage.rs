//! Step 1 of every write, of one record or of many: staging. It takes a number, slots, cells and generations, lists each cell, and
//! fills it. Steps 2 and 3 are in [`commit`](super::commit).
//!
//! Invariants:
//!
//! 1. The number of a transaction is above every number ever taken, and is recorded as taken (`USED`) before the first cell
//!    gets it. So a writer that dies burns it.
//! 2. A (slot, cell) is on the intent list before the cell is touched. So a repairer finds every cell.
//! 3. A write never touches the current cell, the cell visible at `DURABLE`, or the one visible at `PIN`. `PIN` is read first
//!    and `DURABLE` second; a syncer stores them in the opposite order, so that a sync that ends in between is seen in one of
//!    the two.
//!
//! Memory ordering: `USED`, and the intent list and its count, are stored with release, so that the compiler too keeps their
//! order for a repairer. In the model checker no thread can die in between, so it does not see that.

use super::Encoded;
use super::change::{NewContent, VisibleCell, not_found};
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Head, Intent, NUMBER_LIMIT};
use crate::format::control::{DURABLE, FREE_COUNT, GENERATION_FLOOR, INTENT_COUNT, NO_PIN, PIN, USED};
use crate::format::geometry::word;
use crate::layout::index::KeyHash;
use crate::layout::slot::{Slot, free_cell};
use crate::layout::view::TableView;
use crate::record_id::RecordId;
use crate::sys::words::Ordering;

impl<'a> TableView<'a> {
    /// The slot of a record, if the table has that many.
    #[inline(always)]
    pub fn slot_of(self, id: RecordId) -> Internal<Slot<'a>> {
        if id.slot() < self.geometry.capacity() { Ok(self.slot(id.slot())) } else { Err(not_found(id)) }
    }

    /// What a slot's head says, and the header of the cell that it names.
    #[inline(always)]
    pub fn current(self, slot: Slot<'a>) -> Internal<(Head, VisibleCell<'a>)> {
        let head = slot.head();
        if !head.exists() {
            return Ok((head, VisibleCell { slot, cell: 0, header: CellHeader::from_words([0; 3]) }));
        }
        let header = slot.cell_header(head.cell());
        if header.number != head.number() || header.is_live != head.is_live() {
            return Err(unfitting(slot.index(), head));
        }
        Ok((head, VisibleCell { slot, cell: head.cell(), header }))
    }

    /// The slot with a live record that has the key of the given record, whose other fields are ignored.
    #[inline(always)]
    pub fn locate(self, record: &[u64], hash: KeyHash) -> Internal<Option<u32>> {
        if self.geometry.key().is_none() {
            return Ok(None);
        }
        let index = self.index();
        for slot in index.candidates(index.epoch(), hash) {
            if slot >= self.geometry.capacity() {
                return Err(self.stray_entry(slot));
            }
            if self.is_live_with_key_of(slot, record) {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Whether a slot, which must be below the capacity, has a live record with the key of a record.
    #[inline(always)]
    pub fn is_live_with_key_of(self, slot: u32, record: &[u64]) -> bool {
        let found = self.slot(slot);
        let head = found.head();
        head.is_live() && found.has_key_of(head.cell(), self.geometry, record)
    }

    // -- what a write takes: a number, a cell, a slot, a generation --------------------------------

    /// A number for a transaction.
    #[inline(always)]
    pub fn take_number(self) -> Internal<u64> {
        let number = self.control.load(USED, Ordering::Relaxed).saturating_add(1);
        if number >= NUMBER_LIMIT {
            return Err(numbers_used_up());
        }
        self.control.store(USED, number, Ordering::Release);
        Ok(number)
    }

    /// A cell of a slot that is not needed.
    #[inline(always)]
    pub fn choose_cell(self, slot: Slot<'_>, head: Head) -> u32 {
        let pin = match self.control.load(PIN, Ordering::Acquire) {
            NO_PIN => 0,
            number => number,
        };
        let durable = self.control.load(DURABLE, Ordering::Acquire);
        free_cell(|cell| slot.cell_number(cell), head, [pin, durable])
    }

    /// The slot that became free last, below the `taken_count` that the transaction has taken already; `None` if there is no
    /// other. What was used last is in the caches, and its pages have been written to since the last sync.
    #[inline(always)]
    pub fn free_slot(self, taken_count: u64) -> Internal<Option<u32>> {
        let free_count = self.control.load(FREE_COUNT, Ordering::Relaxed);
        if free_count == taken_count {
            return Ok(None);
        }
        let slot = self.free_stack_entry(free_count.wrapping_sub(taken_count).wrapping_sub(1))?;
        if self.slot(slot).head().is_live() {
            return Err(not_free(slot));
        }
        Ok(Some(slot))
    }

    /// The first content of a slot's next record.
    #[inline(always)]
    pub fn insertion<'r>(self, header: CellHeader, record: Encoded<'r>) -> Internal<NewContent<'r>> {
        let floor = self.control.load(GENERATION_FLOOR, Ordering::Relaxed);
        let generation = header.generation.max(floor).saturating_add(1);
        if generation >= GENERATION_LIMIT {
            return Err(self.full());
        }
        Ok(NewContent { record: Some(record), generation, update_count: 0 })
    }

    #[cold]
    pub fn full(self) -> Fault {
        let live_count = self.newest_state().map_or(0, |state| state.live_count);
        let capacity = u64::from(self.geometry.capacity());
        // Above the highest floor no slot has a generation left.
        let is_floor_highest = self.control.load(GENERATION_FLOOR, Ordering::Relaxed) >= GENERATION_LIMIT - 1;
        let free_count = if is_floor_highest { 0 } else { self.control.load(FREE_COUNT, Ordering::Relaxed) };
        let retired_count = capacity.saturating_sub(live_count).saturating_sub(free_count);
        Error::Full { live_count, capacity, retired_count }.into()
    }

    // -- the steps ---------------------------------------------------------------------------------

    /// Puts an entry on the intent list, which had `position` entries.
    #[inline(always)]
    pub fn list(self, position: usize, intent: Intent) {
        self.put_intent(position, intent);
        self.control.store(INTENT_COUNT, word(position).wrapping_add(1), Ordering::Release);
    }

    #[cold]
    pub fn stray_entry(self, slot: u32) -> Fault {
        Error::damaged(format!("the index names slot {slot} of {}", self.geometry.capacity())).into()
    }
}

#[cold]
fn unfitting(slot: u32, head: Head) -> Fault {
    Error::damaged(format!("the head of slot {slot} does not fit its cell {}", head.cell())).into()
}

#[cold]
pub fn not_free(slot: u32) -> Fault {
    Error::damaged(format!("slot {slot} is on the free stack and is not free")).into()
}

#[cold]
fn numbers_used_up() -> Fault {
    Error::damaged("transaction numbers are used up, which takes longer than there is time").into()
}
