//! What a first opener proves before it believes a control group that seems to be in order.
//!
//! The boot id and the file say that the control group was left here, in this boot; they do not say that it belongs to these
//! cells. A copy that was made under load and put back has the same boot id and file, and so has a file whose file system was
//! lost after only a part of the file was written. So the following is proved, without changing anything that is not in order:
//!
//! 1. The sealed state of the last prepared transaction is borne out by the cells: their digest and their count, each live record
//!    with its checksum. No cell is newer, but those on the intent list that are being staged.
//! 2. The sync records fit: one carries the durable number, and neither is newer than the last published transaction. A newer one than
//!    the durable is that of the sync in progress: else it may have been acknowledged, and the next sync would overwrite it.
//! 3. What a dead writer left half done is finished or undone, as whoever gets the lock from it would.
//! 4. The heads name the cells that are visible, the index leads to every live record and nowhere else, and the free stack has each
//!    free slot once.
//!
//! A table for which this does not hold is recovered as after a power cut. Processes that attach beside others prove nothing:
//! those that are attached have kept the table in order.

use super::{Access, Store};
use crate::error::Result;
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Head, NUMBER_LIMIT};
use crate::format::checksum::{crc32, digest_of_cell};
use crate::format::control::{
    DURABLE, FREE_COUNT, FREE_COUNT_NEXT, GENERATION_FLOOR, INDEX_OCCUPIED, INTENDED_STATE, INTENT_COUNT, LAST,
    NEWEST_STATE, NO_PIN, PIN, PREPARED, USED,
};
use crate::format::geometry::widen;
use crate::format::sync_record::SyncRecord;
use crate::layout::index::IndexEntry;
use crate::layout::slot::visible_cell;
use crate::sys::words::Ordering;
use std::collections::HashSet;

/// What a pass over the cells has found.
#[derive(Default)]
struct Cells {
    live_count: u64,
    free_count: u64,
    /// Cells that are newer than the last prepared transaction.
    newer_count: usize,
    /// Whether each head names its slot's newest cell.
    are_heads_right: bool,
}

impl Store {
    /// Whether the cells confirm the control group. If they do, what a dead writer left is put right. The caller is alone.
    pub(super) fn is_proved(&self) -> Result<bool> {
        let Some(mut cells) = self.prove_cells() else { return Ok(false) };
        if !self.are_syncs_proved() || !self.are_intents_proved(cells.newer_count) {
            return Ok(false);
        }
        if self.is_anything_pending() {
            // A reader repairs nothing: what is pending may belong to a writer that has attached meanwhile.
            if self.access != Access::ReadWrite || self.repair(true).is_err() {
                return Ok(false);
            }
            cells.are_heads_right = self.are_heads_right();
        }
        Ok(cells.are_heads_right
            && self.is_index_proved(cells.live_count)
            && self.is_free_stack_proved(cells.free_count))
    }

    /// Whether a writer has left a transaction half done.
    pub(super) fn is_anything_pending(&self) -> bool {
        self.known(INTENT_COUNT) != 0 || self.known(PREPARED) != self.known(LAST)
    }

    fn known(&self, index: usize) -> u64 {
        self.control().load(index, Ordering::Relaxed)
    }

    /// Looks at every cell; `None` if they are not the state that was prepared last.
    fn prove_cells(&self) -> Option<Cells> {
        let [used, prepared, last] = [USED, PREPARED, LAST].map(|index| self.known(index));
        if !(last <= prepared && prepared <= used && used < NUMBER_LIMIT) {
            return None;
        }
        let place = if prepared == last { NEWEST_STATE } else { INTENDED_STATE };
        let state = self.view().state(place).filter(|state| state.number == prepared)?;
        let mut cells = Cells { are_heads_right: true, ..Cells::default() };
        let mut digest = self.digest_seed;
        let mut payload = vec![0; self.geometry.record_words()];
        for index in 0..self.geometry.capacity() {
            let slot = self.slot(index);
            let numbers = slot.cell_numbers();
            cells.newer_count += numbers.iter().filter(|number| **number > prepared).count();
            let Some(cell) = visible_cell(numbers, prepared) else {
                cells.free_count += 1;
                cells.are_heads_right &= slot.head() == Head::EMPTY;
                continue;
            };
            let header = slot.cell_header(cell);
            cells.are_heads_right &= slot.head() == Head::new(header.number, header.is_live, cell);
            digest = digest.wrapping_add(digest_of_cell(index, header.number, header.check));
            cells.live_count += u64::from(header.is_live);
            cells.free_count += u64::from(is_free(header));
            if header.is_live {
                slot.payload(cell, 0, payload.len()).copy_to(&mut payload);
            }
            if !header.verifies(crc32(bytemuck::cast_slice(&payload))) {
                return None;
            }
        }
        ((digest, cells.live_count) == (state.digest, state.live_count)).then_some(cells)
    }

    /// Whether the sync records, and the words about syncs, belong to this state.
    fn are_syncs_proved(&self) -> bool {
        let [last, durable, pin, floor] = [LAST, DURABLE, PIN, GENERATION_FLOOR].map(|index| self.known(index));
        let records = self.sync_records();
        let is_past = |record: &SyncRecord| {
            let number = record.state.number;
            // If a record says that more was durable, a recovery refuses the file, and then it must not have been changed here.
            (number <= durable || number == pin) && record.predecessor <= durable && record.generation_floor <= floor
        };
        let is_carried = records.iter().flatten().any(|record| record.state.number == durable);
        let is_pin_past = pin == NO_PIN || pin <= last;
        durable <= last
            && floor < GENERATION_LIMIT
            && is_pin_past
            && is_carried
            && records.iter().flatten().all(is_past)
    }

    /// Whether the intent list can be finished or undone without harm. If its transaction was prepared, what is on it must be
    /// what that transaction wrote; if not, nothing that is needed may be on it, and nothing else may be newer than what was
    /// prepared.
    fn are_intents_proved(&self, newer_count: usize) -> bool {
        let [used, prepared, last] = [USED, PREPARED, LAST].map(|index| self.known(index));
        let Ok(intent_count) = self.view().intent_count() else { return false };
        let mut listed_newer_count = 0;
        let mut listed = HashSet::new();
        for position in 0..intent_count {
            let Ok(intent) = self.view().intent(position) else { return false };
            let slot = self.slot(intent.slot);
            let number = slot.cell_number(intent.cell);
            let is_visible = visible_cell(slot.cell_numbers(), prepared) == Some(intent.cell);
            // A cell that is being staged may still have its old number.
            let is_as_listed = if used > prepared {
                !is_visible && (number <= prepared || number == used)
            } else {
                number == prepared
            };
            if !is_as_listed || !listed.insert(intent.slot) {
                return false;
            }
            listed_newer_count += usize::from(number > prepared);
        }
        let is_nothing_missing = prepared == last || intent_count > 0;
        is_nothing_missing && listed_newer_count == newer_count
    }

    /// The same, after something was finished or undone.
    fn are_heads_right(&self) -> bool {
        let last = self.known(LAST);
        (0..self.geometry.capacity()).map(|index| self.slot(index)).all(|slot| {
            let expected = visible_cell(slot.cell_numbers(), last).map_or(Head::EMPTY, |cell| {
                let header = slot.cell_header(cell);
                Head::new(header.number, header.is_live, cell)
            });
            slot.head() == expected
        })
    }

    /// The index leads to every live record, and has as many entries as there are live records: so it leads nowhere else.
    fn is_index_proved(&self, live_count: u64) -> bool {
        let Some(index) = self.key_index() else { return true };
        let shared = self.view();
        let (mut occupied_count, mut key_count) = (0, 0);
        for entry in index.entries() {
            match entry {
                IndexEntry::Empty => continue,
                IndexEntry::Tombstone => {}
                IndexEntry::Key { .. } => key_count += 1,
                IndexEntry::Meaningless(_) => return false,
            }
            occupied_count += 1;
        }
        let mut live = (0..self.geometry.capacity()).map(|index| self.slot(index)).filter(|slot| slot.head().is_live());
        key_count == live_count
            && self.known(INDEX_OCCUPIED) >= occupied_count
            && live.all(|slot| {
                let hash = shared.hash_of_key_in(slot, slot.head().cell());
                hash.is_some_and(|hash| index.candidates(index.epoch(), hash).any(|found| found == slot.index()))
            })
    }

    /// Whether the stack has every slot that is free and not worn out exactly once, and no other.
    fn is_free_stack_proved(&self, free_count: u64) -> bool {
        let [known_count, next_count] = [FREE_COUNT, FREE_COUNT_NEXT].map(|index| self.known(index));
        if next_count != known_count || known_count != free_count {
            return false;
        }
        let mut is_seen = vec![false; widen(self.geometry.capacity())];
        (0..free_count).all(|position| {
            let Ok(slot) = self.view().free_stack_entry(position) else { return false };
            let found = self.slot(slot);
            let head = found.head();
            let is_free = !head.exists() || is_free(found.cell_header(head.cell()));
            is_free && is_seen.get_mut(widen(slot)).is_some_and(|is_seen| !std::mem::replace(is_seen, true))
        })
    }
}

/// Whether a slot whose newest cell this is can be given to another record.
fn is_free(header: CellHeader) -> bool {
    !header.is_live && header.generation < GENERATION_LIMIT - 1
}
