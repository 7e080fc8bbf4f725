//! Choosing the state that a recovery brings a table to. Nothing is changed here.
//!
//! Invariants:
//!
//! 1. The candidates are sealed: the two sync records, the newest state, and the intended state of what was prepared. Of those
//!    whose digest and count are those of the cells that are visible at their number, the one with the highest number is
//!    chosen.
//! 2. If a sealed record shows that something newer had been acknowledged, the file is damaged rather than hit by a power cut,
//!    and nothing is chosen.

use crate::engine::Store;
use crate::error::{Error, Result};
use crate::format::cell::{CELLS_PER_SLOT, CellHeader, GENERATION_LIMIT, NUMBER_LIMIT};
use crate::format::checksum::{crc32, digest_of_cell};
use crate::format::control::{DURABLE, GENERATION_FLOOR, INTENDED_STATE, LAST, NEWEST_STATE, PREPARED, USED};
use crate::format::gaps::Gaps;
use crate::format::geometry::widen;
use crate::format::sync_record::{State, SyncRecord};
use crate::layout::slot::visible_cell;
use crate::sys::words::Ordering;

/// A number and a generation that are not below any that a table gave out, but for the generations that its cells tell.
#[derive(Clone, Copy, Debug)]
pub struct GivenOut {
    pub number: u64,
    pub generation: u64,
}

/// A state that the cells confirm.
pub(super) struct Choice {
    pub(super) state: State,
    /// Whether no candidate has a higher number.
    pub(super) is_newest: bool,
    /// The sync record that carries it, if one does.
    pub(super) record: Option<(usize, SyncRecord)>,
    /// The highest number that some sealed word says was acknowledged.
    pub(super) acknowledged: u64,
    pub(super) highest_number_seen: u64,
    pub(super) generation_floor: u64,
    /// Which numbers earlier recoveries have jumped over.
    pub(super) gaps: Gaps,
}

impl Store {
    /// The candidate with the highest number that the cells confirm.
    pub(super) fn choose(&self) -> Result<Choice> {
        let control = self.control();
        let records = [0, 1].map(|record| self.sync_record(record).map(|found| (record, found)));
        let prepared = control.load(PREPARED, Ordering::Relaxed);
        let intent = self.view().state(INTENDED_STATE).filter(|state| state.number == prepared);
        let mut candidates: Vec<State> = records.iter().flatten().map(|(_, record)| record.state).collect();
        candidates.extend(self.view().state(NEWEST_STATE));
        candidates.extend(intent);
        candidates.sort_by_key(|state| std::cmp::Reverse(state.number));
        let highest = candidates.first().map_or(0, |state| state.number);
        let durable = Some(control.load(DURABLE, Ordering::Relaxed)).filter(|number| *number < NUMBER_LIMIT);
        let predecessors = records.iter().flatten().map(|(_, record)| record.predecessor);
        let acknowledged = predecessors.chain(durable).max().unwrap_or(0);
        let generation_floor = records.iter().flatten().map(|(_, record)| record.generation_floor).max().unwrap_or(0);
        // The newest record has all gaps, unless it is not the newest: then the one that was acknowledged cannot be read any more.
        let newest_record = records.iter().flatten().max_by_key(|(_, record)| record.state.number);
        let gaps =
            newest_record.filter(|(_, record)| record.state.number >= acknowledged).map(|(_, record)| record.gaps);

        for state in &candidates {
            let (digest, live_count) = self.digest_at(state.number);
            if (digest, live_count) != (state.digest, state.live_count) {
                continue;
            }
            if acknowledged > state.number {
                return Err(Error::damaged(format!(
                    "the newest state that is whole is transaction {}, and transaction {acknowledged} had been \
                     synced: part of it is missing; the file was left as it was",
                    state.number
                )));
            }
            return Ok(Choice {
                state: *state,
                is_newest: state.number == highest,
                record: records.into_iter().flatten().find(|(_, record)| record.state == *state),
                acknowledged,
                highest_number_seen: self.highest_number_seen(highest),
                generation_floor,
                gaps: gaps.unwrap_or(Gaps::forgotten(state.number)),
            });
        }
        Err(Error::damaged(format!(
            "none of its {} sealed states fits the cells; the file was left as it was",
            candidates.len()
        )))
    }

    /// Digest and live count of the table as it was at a transaction number.
    pub(super) fn digest_at(&self, number: u64) -> (u64, u64) {
        let mut digest = self.digest_seed;
        let mut live_count = 0;
        self.for_visible_cells(number, |slot, _, header| {
            digest = digest.wrapping_add(digest_of_cell(slot, header.number, header.check));
            live_count += u64::from(header.is_live);
        });
        (digest, live_count)
    }

    /// Calls `visit` with each slot's visible cell: the one with the highest number up to `number` that verifies.
    pub(super) fn for_visible_cells(&self, number: u64, mut visit: impl FnMut(u32, u32, CellHeader)) {
        let mut payload = vec![0; self.geometry.record_words()];
        for slot in 0..self.geometry.capacity() {
            let mut numbers = self.slot(slot).cell_numbers();
            while let Some(cell) = visible_cell(numbers, number) {
                if let Some(header) = self.verified_cell(slot, cell, &mut payload) {
                    visit(slot, cell, header);
                    break;
                }
                if let Some(found) = numbers.get_mut(widen(cell)) {
                    *found = 0;
                }
            }
        }
    }

    /// The header of a cell that holds something and verifies.
    pub(super) fn verified_cell(&self, slot: u32, cell: u32, payload: &mut [u64]) -> Option<CellHeader> {
        let header = self.slot(slot).cell_header(cell);
        if header.number == 0 || header.number >= NUMBER_LIMIT {
            return None;
        }
        if header.is_live {
            self.slot(slot).payload(cell, 0, payload.len()).copy_to(payload);
        }
        header.verifies(crc32(bytemuck::cast_slice(payload))).then_some(header)
    }

    /// The highest number in any cell that verifies, in any sealed state, or in a word that may belong to a state that is gone.
    fn highest_number_seen(&self, highest_sealed: u64) -> u64 {
        let control = self.control();
        let words = [PREPARED, USED, DURABLE, LAST].map(|index| control.load(index, Ordering::Relaxed));
        // These words are not sealed, so they are believed only as far as they are plausible.
        let plausible = words.into_iter().filter(|number| *number < NUMBER_LIMIT / 2).max().unwrap_or(0);
        let mut highest = highest_sealed.max(plausible);
        self.for_verified_cells(|_, header| highest = highest.max(header.number));
        highest
    }

    /// What a table that is in use gave out.
    #[cfg(not(loom))]
    pub fn given_out(&self) -> GivenOut {
        let [number, generation] = [USED, GENERATION_FLOOR].map(|index| self.control().load(index, Ordering::Relaxed));
        GivenOut { number, generation }
    }

    /// What a table gave out that may need a recovery or be damaged, as far as the file tells, and with what its cells tell.
    #[cfg(not(loom))]
    pub fn given_out_at_most(&self) -> GivenOut {
        let records = self.sync_records();
        let sealed = records.iter().flatten().map(|record| record.state.number).max().unwrap_or(0);
        let floors = records.iter().flatten().map(|record| record.generation_floor);
        // A generation that leaves no next one does not count: all slots would be used up with the one that has it.
        let is_credible = |generation: &u64| *generation < GENERATION_LIMIT - 1;
        let mut generation = floors.chain([self.given_out().generation]).filter(is_credible).max().unwrap_or(0);
        self.for_verified_cells(|_, header| {
            if is_credible(&header.generation) {
                generation = generation.max(header.generation);
            }
        });
        GivenOut { number: self.highest_number_seen(sealed), generation }
    }

    pub(super) fn for_verified_cells(&self, mut visit: impl FnMut(u32, CellHeader)) {
        let mut payload = vec![0; self.geometry.record_words()];
        for slot in 0..self.geometry.capacity() {
            for cell in 0..CELLS_PER_SLOT {
                if let Some(header) = self.verified_cell(slot, cell, &mut payload) {
                    visit(slot, header);
                }
            }
        }
    }
}
