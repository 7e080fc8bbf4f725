//! What a first opener proves before it believes a control group that seems to be in order.
//!
//! The boot id and the file say that it was left here, on this machine start; they do not say that it belongs to these cells.
//! A copy that was made under load and put back has the same ones, and so has a file whose file system was lost after only a
//! part of it was written. So, without changing anything that is not in order:
//!
//! 1. The sealed state of the last prepared transaction is borne out by the cells: their digest and their count, each live record
//!    with its checksum. No cell is newer, but those on the intent list that are being staged.
//! 2. The commit records fit: one carries the durable number, and neither is newer than the last published transaction.
//! 3. What a dead writer left half done is finished or undone, as whoever gets the lock from it would.
//! 4. The heads name the cells that are visible, the index leads to every live record and nowhere else, and the free ring has each
//!    free slot once.
//!
//! What does not hold is recovered as after a power cut. Those who come while others are attached prove nothing: those
//! who are attached have kept it true.

use super::Store;
use crate::error::{Error, Result};
use crate::format::cell::{CELLS_PER_SLOT, CellHeader, GENERATION_LIMIT, Head, NUMBER_LIMIT};
use crate::format::checksum::{crc32, digest_of_cell};
use crate::format::control::{
    DURABLE, FREE_RETURNED, FREE_RETURNED_NEXT, FREE_TAKEN, FREE_TAKEN_NEXT, GENERATION_FLOOR, INDEX_OCCUPIED, INTENT,
    INTENT_COUNT, LAST, NEWEST, NO_PIN, PIN, PREPARED, USED,
};
use crate::format::geometry::{widen, word};
use crate::shm::index::Entry;
use crate::shm::slot::visible_cell;
use crate::shm::words::Ordering;

/// What the cells of a slot say: the cell that is current, and its header. `None` if it was never written.
type Visible = Option<(u32, CellHeader)>;

impl Store {
    /// Whether the control group is what the cells bear out; what a dead writer left is put right if it is. The caller is alone.
    pub(super) fn is_proved(&self) -> Result<bool> {
        let Some(visible) = self.prove_state() else { return Ok(false) };
        if !self.is_commit_proved() || !self.are_intents_proved(&visible) {
            return Ok(false);
        }
        if self.known(INTENT_COUNT) != 0 || self.known(PREPARED) != self.known(LAST) {
            self.repair(true)?;
            // Its death has been dealt with, and nobody else must count it.
            self.medium.initialise_locks().map_err(Error::io("make the locks of", self.path()))?;
        }
        Ok(self.are_heads_proved(&visible) && self.is_index_proved() && self.is_free_ring_proved(&visible))
    }

    fn known(&self, index: usize) -> u64 {
        self.control().load(index, Ordering::Relaxed)
    }

    /// The visible cell of each slot, if together they are the state that was prepared last.
    fn prove_state(&self) -> Option<Vec<Visible>> {
        let [used, prepared, last] = [USED, PREPARED, LAST].map(|index| self.known(index));
        if !(last <= prepared && prepared <= used && used < NUMBER_LIMIT) {
            return None;
        }
        let place = if prepared == last { NEWEST } else { INTENT };
        let state = self.shared().state(place).filter(|state| state.number == prepared)?;
        let (mut digest, mut live_count) = (self.digest_seed, 0);
        let mut payload = vec![0; self.geometry.record_words()];
        let mut visible = Vec::with_capacity(widen(self.geometry.capacity()));
        for index in 0..self.geometry.capacity() {
            let slot = self.slot(index);
            let cell = visible_cell(slot.cell_numbers(), prepared);
            visible.push(cell.map(|cell| (cell, slot.cell_header(cell))));
            let Some(Some((cell, header))) = visible.last() else { continue };
            digest = digest.wrapping_add(digest_of_cell(index, header.number, header.check));
            live_count += u64::from(header.is_live);
            if header.is_live {
                slot.payload(*cell, 0, payload.len()).copy_to(&mut payload);
            }
            if !header.verifies(crc32(bytemuck::cast_slice(&payload))) {
                return None;
            }
        }
        ((digest, live_count) == (state.digest, state.live_count)).then_some(visible)
    }

    /// The records of commits and what is said of them belong to this state.
    fn is_commit_proved(&self) -> bool {
        let [last, durable, pin, floor] = [LAST, DURABLE, PIN, GENERATION_FLOOR].map(|index| self.known(index));
        let records = self.commit_records();
        let is_past = |record: &crate::format::commit_record::CommitRecord| {
            record.state.number <= last && record.predecessor <= durable && record.generation_floor <= floor
        };
        let is_not_newer = records.iter().flatten().all(is_past);
        let is_carried = records.iter().flatten().any(|record| record.state.number == durable);
        let is_pin_past = pin == NO_PIN || pin <= last;
        durable <= last && is_pin_past && is_not_newer && is_carried && floor < GENERATION_LIMIT
    }

    /// Every cell that is newer than the state is on the intent list of a transaction that was not prepared, and what is on the
    /// list of one that was is visible: so neither finishing nor undoing touches anything else.
    fn are_intents_proved(&self, visible: &[Visible]) -> bool {
        let shared = self.shared();
        let [used, prepared, last] = [USED, PREPARED, LAST].map(|index| self.known(index));
        let Ok(intent_count) = shared.intent_count() else { return false };
        let is_prepared = prepared != last;
        let is_staging = !is_prepared && used > prepared;
        let mut staged = std::collections::HashSet::new();
        for position in 0..intent_count {
            let Ok(intent) = shared.intent(position) else { return false };
            let shown = visible.get(widen(intent.slot)).copied().flatten();
            let is_shown = shown.is_some_and(|(cell, _)| cell == intent.cell);
            if is_staging == is_shown {
                return false;
            }
            if is_prepared && shown.is_none_or(|(_, header)| header.number != prepared) {
                return false;
            }
            if is_staging && !staged.insert((intent.slot, intent.cell)) {
                return false;
            }
        }
        (0..self.geometry.capacity()).all(|slot| {
            let numbers = self.slot(slot).cell_numbers();
            (0..CELLS_PER_SLOT).zip(numbers).all(|(cell, number)| number <= prepared || staged.contains(&(slot, cell)))
        })
    }

    fn are_heads_proved(&self, visible: &[Visible]) -> bool {
        let heads = (0..self.geometry.capacity()).map(|slot| self.slot(slot).head());
        heads.zip(visible).all(|(head, shown)| {
            head == shown.map_or(Head::EMPTY, |(cell, header)| Head::new(header.number, header.is_live, cell))
        })
    }

    /// Every entry leads to a live record with that hash, and there are as many as there are live records, each another.
    fn is_index_proved(&self) -> bool {
        let Some(index) = self.key_index() else { return true };
        let mut is_found = vec![false; widen(self.geometry.capacity())];
        let (mut occupied_count, mut key_count) = (0, 0);
        for entry in index.entries() {
            occupied_count += u64::from(entry != Entry::Empty);
            match entry {
                Entry::Empty | Entry::Tombstone => {}
                Entry::Meaningless(_) => return false,
                Entry::Key { hash, slot } => {
                    let Some(is_found) = is_found.get_mut(widen(slot)).filter(|is_found| !**is_found) else {
                        return false;
                    };
                    *is_found = true;
                    key_count += 1;
                    let (slot, shared) = (self.slot(slot), self.shared());
                    let head = slot.head();
                    let is_its_hash = head.is_live() && shared.hash_of_key_in(slot, head.cell()) == Some(hash);
                    if !is_its_hash || !index.candidates(index.epoch(), hash).any(|found| found == slot.index()) {
                        return false;
                    }
                }
            }
        }
        let live_count = self.shared().state(NEWEST).map_or(0, |state| state.live_count);
        key_count == live_count && self.known(INDEX_OCCUPIED) >= occupied_count
    }

    /// The ring has every slot once that is free and not worn out, and no other.
    fn is_free_ring_proved(&self, visible: &[Visible]) -> bool {
        let [taken, returned] = [FREE_TAKEN, FREE_RETURNED].map(|index| self.known(index));
        let is_settled = [taken, returned] == [FREE_TAKEN_NEXT, FREE_RETURNED_NEXT].map(|index| self.known(index));
        let is_free = |shown: &Visible| {
            shown.is_none_or(|(_, header)| !header.is_live && header.generation < GENERATION_LIMIT - 1)
        };
        let free_count = word(visible.iter().filter(|shown| is_free(shown)).count());
        if !is_settled || returned.wrapping_sub(taken) != free_count {
            return false;
        }
        let mut is_seen = vec![false; visible.len()];
        (0..free_count).all(|position| {
            let Ok(slot) = self.shared().free_ring_entry(taken.wrapping_add(position)) else { return false };
            let is_free = visible.get(widen(slot)).is_some_and(is_free);
            is_free && is_seen.get_mut(widen(slot)).is_some_and(|is_seen| !std::mem::replace(is_seen, true))
        })
    }
}
