//! What has to be true of a table at rest: each part on its own, and each against the others.
//!
//! 1. Every cell that holds something has its check and a number that was published, and no two cells of a slot have
//!    the same one.
//! 2. A head names the cell of its slot with the highest number, and what it says about that cell is true.
//! 3. The newest state is sealed, of the last transaction, and its digest and live count are those of the cells.
//! 4. One sync record carries the durable number, and the cells that were visible then are all there.
//! 5. Every live record decodes, and its key leads to it alone; no entry of the index leads anywhere else.
//! 6. Every slot that is not live is on the free stack exactly once, unless its generations are used up.

use super::cell::content_of;
use super::verification::{Location, Problem, Verification, reason_of};
use crate::engine::Store;
use crate::format::cell::{CELLS_PER_SLOT, CellHeader, GENERATION_LIMIT, NUMBER_LIMIT};
use crate::format::control::{
    CONDEMNED, DURABLE, FAILED, FLUSHING, FREE_COUNT_NEXT, GENERATION_FLOOR, INDEX_OCCUPIED, LAST, LOSING_ITS_NAME,
    NEWEST_STATE, NO_PIN, PIN, PREPARED, SUCCESSOR, SUPERSEDED, USED,
};
use crate::format::geometry::{SYNC_RECORD_COUNT, widen};
use crate::format::sync_record::SyncRecord;
use crate::layout::index::{IndexEntry, KeyHash};
use std::collections::HashMap;

/// Checks each record on its own, while others write.
pub fn records(store: &Store, verification: &mut Verification) {
    let mut payload = vec![0; store.geometry().record_words()];
    for slot in 0..store.geometry().capacity() {
        let read = store.read_slot(slot, &mut payload);
        let read = read.map_err(crate::error::Error::from);
        let decoded = read.and_then(|meta| meta.map(|_| store.schema().decode_record(&payload)).transpose());
        match decoded {
            Ok(None) => {}
            Ok(Some(_)) => verification.record_count += 1,
            Err(error) => verification.report(Location::Head { slot }, reason_of(error)),
        }
    }
}

/// The first cells that hold something and are not whole, each judged on its own, in a copy that does not change.
pub fn broken_cells(store: &Store, limit: usize) -> Vec<Problem> {
    let mut payload = vec![0; store.geometry().record_words()];
    let cells = (0..store.geometry().capacity()).flat_map(|slot| (0..CELLS_PER_SLOT).map(move |cell| (slot, cell)));
    let broken = cells.filter_map(|(slot, cell)| {
        let header = store.read_cell(slot, cell, &mut payload);
        let description = content_of(&store.header().schema, &header, &payload).err()?;
        Some(Problem { place: Location::Cell { slot, cell }, description })
    });
    broken.take(limit).collect()
}

/// Checks what is true of the three numbers even while a transaction is in progress.
pub fn numbers(store: &Store, verification: &mut Verification) {
    let [last, prepared, used] = [LAST, PREPARED, USED].map(|index| store.control_word(index));
    if !(last <= prepared && prepared <= used && used < NUMBER_LIMIT) {
        let description = format!("the last published, prepared and used numbers are {last}, {prepared}, {used}");
        verification.report(Location::Control, description);
    }
}

/// Checks everything, in a table that no other process uses and in which nothing is in progress.
pub fn everything(store: &Store, verification: &mut Verification) {
    let mut check = Check { store, verification, payload: vec![0; store.geometry().record_words()], slots: Vec::new() };
    check.slots();
    check.control();
    check.newest_state();
    check.sync_records();
    check.index();
    check.free_stack();
}

/// What was found in a slot.
#[derive(Clone, Copy)]
enum SlotState {
    Live {
        key_hash: Option<KeyHash>,
    },
    Free,
    /// Free, and never to be used again.
    Retired,
    /// Its head does not fit its cells: anything else that is reported about it would only repeat that.
    Broken,
}

struct Check<'a> {
    store: &'a Store,
    verification: &'a mut Verification,
    payload: Vec<u64>,
    slots: Vec<SlotState>,
}

impl Check<'_> {
    fn report(&mut self, place: Location, description: impl Into<String>) {
        self.verification.report(place, description);
    }

    fn word(&self, index: usize) -> u64 {
        self.store.control_word(index)
    }

    fn read_cell(&mut self, slot: u32, cell: u32) -> CellHeader {
        self.store.read_cell(slot, cell, &mut self.payload)
    }

    // -- slots -------------------------------------------------------------------------------------

    fn slots(&mut self) {
        let mut keys: HashMap<Vec<u8>, u32> = HashMap::new();
        for slot in 0..self.store.geometry().capacity() {
            self.cells(slot);
            let state = self.head(slot);
            if let SlotState::Live { .. } = state {
                self.verification.record_count += 1;
                if let Some(key) = self.store.key_bytes_of(&self.payload) {
                    if let Some(other) = keys.insert(key.to_owned(), slot) {
                        self.report(Location::Head { slot }, format!("slot {other} holds a record with the same key"));
                    }
                }
            }
            self.slots.push(state);
        }
    }

    /// Checks each cell of a slot on its own.
    fn cells(&mut self, slot: u32) {
        let last = self.word(LAST);
        let mut numbers = HashMap::new();
        for cell in 0..CELLS_PER_SLOT {
            let (place, header) = (Location::Cell { slot, cell }, self.read_cell(slot, cell));
            if header.number == 0 {
                continue;
            }
            if header.number > last {
                self.report(place, format!("expected a transaction up to {last}, found {}", header.number));
            }
            if let Some(other) = numbers.insert(header.number, cell) {
                self.report(place, format!("transaction {} wrote cell {other} too", header.number));
            }
            if let Err(reason) = content_of(&self.store.header().schema, &header, &self.payload) {
                self.report(place, reason);
            }
        }
    }

    /// Checks a head against its cells. If it is live, leaves its record in `payload`.
    fn head(&mut self, slot: u32) -> SlotState {
        let (head, last, place) = (self.store.head_of(slot), self.word(LAST), Location::Head { slot });
        let headers = [0, 1, 2, 3].map(|cell| (cell, self.read_cell(slot, cell)));
        let held = headers.into_iter().filter(|(_, header)| (1..=last).contains(&header.number));
        let newest = held.max_by_key(|(_, header)| header.number);
        let Some((cell, header)) = newest else {
            if head.word() == 0 {
                return SlotState::Free;
            }
            self.report(place, format!("it names transaction {}, and the slot is empty", head.number()));
            return SlotState::Broken;
        };
        let (expected, found) = ((header.number, cell, header.is_live), (head.number(), head.cell(), head.is_live()));
        if expected != found {
            let show = |(number, cell, is_live)| {
                let what = if is_live { "a live record" } else { "a tombstone" };
                format!("{what} of transaction {number} in cell {cell}")
            };
            self.report(place, format!("expected {}, found {}", show(expected), show(found)));
            return SlotState::Broken;
        }
        if !header.is_live {
            let is_retired = header.generation >= GENERATION_LIMIT - 1;
            return if is_retired { SlotState::Retired } else { SlotState::Free };
        }
        self.read_cell(slot, cell);
        SlotState::Live { key_hash: self.store.key_hash_of(&self.payload) }
    }

    // -- the control region ------------------------------------------------------------------------

    fn control(&mut self) {
        let [last, durable, pin] = [LAST, DURABLE, PIN].map(|index| self.word(index));
        let generation_floor = self.word(GENERATION_FLOOR);
        for (is_right, description) in [
            (durable <= last, format!("transaction {durable} is durable, and the last that is published is {last}")),
            (pin == NO_PIN || pin <= last, format!("transaction {pin} is being synced, and the last is {last}")),
            (generation_floor < GENERATION_LIMIT, format!("the generation floor is {generation_floor}")),
        ] {
            if !is_right {
                self.report(Location::Control, description);
            }
        }
        let flags = [
            (SUPERSEDED, "superseded", LOSING_ITS_NAME),
            (SUCCESSOR, "successor", 1),
            (CONDEMNED, "condemned", 1),
            (FAILED, "failed", 1),
            (FLUSHING, "flushing", 1),
        ];
        for (index, name, most) in flags {
            let found = self.word(index);
            if found > most {
                self.report(Location::Control, format!("expected `{name}` to be at most {most}, found {found}"));
            }
        }
    }

    fn newest_state(&mut self) {
        let Some(state) = self.store.sealed_state(NEWEST_STATE) else {
            return self.report(Location::Control, "the newest state does not have its seal");
        };
        let last = self.word(LAST);
        if state.number != last {
            self.report(Location::Control, format!("the newest state is {}, expected {last}", state.number));
        }
        let (digest, live_count) = self.store.digest_and_live_count_at(last);
        if state.live_count != live_count {
            let found = state.live_count;
            self.report(Location::Control, format!("{found} records are counted, and the cells hold {live_count}"));
        }
        if state.digest != digest {
            self.report(Location::Control, format!("expected digest {digest:016x}, found {:016x}", state.digest));
        }
    }

    fn sync_records(&mut self) {
        let records = self.store.sync_records();
        let (durable, is_syncing) = (self.word(DURABLE), self.word(PIN) != NO_PIN);
        if !records.iter().flatten().any(|record| record.state.number == durable) {
            let carried = records.map(|record| record.map(|record| record.state.number));
            self.report(Location::Control, format!("transaction {durable} is durable, and the syncs are {carried:?}"));
        }
        for (place, record) in (0..SYNC_RECORD_COUNT).map(Location::SyncRecord).zip(records) {
            match record {
                Some(record) => self.sync_record(place, record, durable),
                // A sync overwrites the record that is not durable; a syncer that dies while doing so leaves half of
                // one.
                None if is_syncing => {}
                None => self.report(place, "its CRC does not match"),
            }
        }
    }

    fn sync_record(&mut self, place: Location, record: SyncRecord, durable: u64) {
        let (state, floor) = (record.state, self.word(GENERATION_FLOOR));
        if record.predecessor > state.number {
            let before = record.predecessor;
            self.report(place, format!("transaction {} was synced after {before}, a later one", state.number));
        }
        if record.generation_floor > floor {
            let expected = record.generation_floor;
            self.report(place, format!("its generation floor is {expected}, and the table's is {floor}"));
        }
        if state.number != durable {
            return;
        }
        let (digest, live_count) = self.store.digest_and_live_count_at(durable);
        if (state.digest, state.live_count) != (digest, live_count) {
            self.report(
                place,
                format!(
                    "the cells have digest {digest:016x} and {live_count} records at transaction {durable}, and it \
                     says {:016x} and {}",
                    state.digest, state.live_count
                ),
            );
        }
    }

    // -- the index and the free stack -----------------------------------------------------------------

    fn index(&mut self) {
        let Some(index) = self.store.key_index() else { return };
        let mut occupied_count = 0;
        let mut seen = vec![false; self.slots.len()];
        for entry in index.entries() {
            occupied_count += u64::from(entry != IndexEntry::Empty);
            match entry {
                IndexEntry::Empty | IndexEntry::Tombstone => {}
                IndexEntry::Meaningless(content) => {
                    self.report(Location::Index, format!("an entry is {content:#x}, which means nothing"));
                }
                IndexEntry::Key { hash, slot } => self.index_entry(hash, slot, &mut seen),
            }
        }
        let counted = self.word(INDEX_OCCUPIED);
        if counted < occupied_count {
            self.report(Location::Index, format!("{counted} entries are counted, and {occupied_count} are in use"));
        }
        for (slot, state) in (0..).zip(self.slots.clone()) {
            let SlotState::Live { key_hash: Some(hash) } = state else { continue };
            if !index.candidates(index.epoch(), hash).any(|candidate| candidate == slot) {
                self.report(Location::Index, format!("the key of slot {slot} cannot be found"));
            }
        }
    }

    fn index_entry(&mut self, hash: KeyHash, slot: u32, seen: &mut [bool]) {
        let (Some(state), Some(is_seen)) = (self.slots.get(widen(slot)), seen.get_mut(widen(slot))) else {
            let capacity = self.store.geometry().capacity();
            return self.report(Location::Index, format!("an entry names slot {slot} of {capacity}"));
        };
        match state {
            SlotState::Broken => {}
            SlotState::Live { key_hash } if *key_hash == Some(hash) => {
                if std::mem::replace(is_seen, true) {
                    self.report(Location::Index, format!("two entries lead to slot {slot}"));
                }
            }
            SlotState::Live { .. } => {
                self.report(Location::Index, format!("an entry leads to slot {slot}, which holds another key"));
            }
            SlotState::Free | SlotState::Retired => {
                self.report(Location::Index, format!("an entry leads to slot {slot}, which holds no record"));
            }
        }
    }

    fn free_stack(&mut self) {
        let capacity = u64::from(self.store.geometry().capacity());
        let free_count = self.store.free_count();
        if free_count > capacity {
            return self.report(Location::FreeStack, format!("{free_count} slots are on it, in a table of {capacity}"));
        }
        let next_count = self.word(FREE_COUNT_NEXT);
        if next_count != free_count {
            let description = format!("{free_count} slots are on it, and {next_count} are to be");
            self.report(Location::FreeStack, description);
        }
        let mut is_in_stack = vec![false; self.slots.len()];
        for position in 0..free_count {
            match self.store.free_slot(position) {
                Ok(slot) => {
                    let is_seen = is_in_stack.get_mut(widen(slot)).map(|seen| std::mem::replace(seen, true));
                    self.free_slot(slot, is_seen.unwrap_or(false));
                }
                Err(error) => self.report(Location::FreeStack, reason_of(error)),
            }
        }
        for ((slot, state), is_in_stack) in (0_u32..).zip(self.slots.clone()).zip(is_in_stack) {
            if let (SlotState::Free, false) = (state, is_in_stack) {
                self.report(Location::FreeStack, format!("slot {slot} is free and not on it"));
            }
        }
    }

    fn free_slot(&mut self, slot: u32, is_seen: bool) {
        if is_seen {
            self.report(Location::FreeStack, format!("slot {slot} is on it twice"));
        }
        match self.slots.get(widen(slot)) {
            Some(SlotState::Live { .. }) => {
                self.report(Location::FreeStack, format!("slot {slot} is on it, and holds a record"));
            }
            Some(SlotState::Retired) => {
                self.report(Location::FreeStack, format!("slot {slot} is on it, and has used up its generations"));
            }
            Some(SlotState::Free | SlotState::Broken) | None => {}
        }
    }
}
