//! Staging, and the commit point: the steps of every write, of one record or of many.
//!
//! Invariants:
//!
//! 1. The number of a transaction is above every number ever taken, and is written down as taken (`USED`) before the
//!    first cell gets it: so whoever dies burns it.
//! 2. A (slot, cell) is on the intent list before the cell is touched: so whoever repairs finds every cell.
//! 3. A write never touches the current cell, the cell visible at `DURABLE`, or the one visible at `PIN`. `PIN` is
//!    read first and `DURABLE` second: a syncer stores them in the other order, so that a sync that ends in
//!    between is seen in one of the two.
//! 4. The sealed intent is complete before `PREPARED` gets the transaction's number, in one release store. From then on
//!    the transaction has happened, whoever dies.
//!
//! Memory ordering: `USED`, the intent list and its count, and `PREPARED` are each stored with release, so that the compiler too keeps their
//! order for a repairer. The model checker lets nobody die in between, and does not see that.

use crate::engine::Encoded;
use crate::engine::read::Meta;
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Head, Intent, NUMBER_LIMIT};
use crate::format::checksum::digest_of_cell;
use crate::format::control::{
    DURABLE, FREE_RETURNED, FREE_RETURNED_NEXT, FREE_TAKEN, FREE_TAKEN_NEXT, GENERATION_FLOOR, INTENDED_STATE,
    INTENT_COUNT, NO_PIN, PIN, PREPARED, USED,
};
use crate::format::geometry::word;
use crate::format::sync_record::{STATE_WORDS, State};
use crate::layout::index::KeyHash;
use crate::layout::slot::{Slot, free_cell};
use crate::layout::view::TableView;
use crate::record_id::RecordId;
use crate::sys::words::Ordering;

/// What a writer sees in a slot: the current cell, or the one that it has staged. Of a slot that was never written, a
/// header of zeros.
#[derive(Clone, Copy)]
pub struct VisibleCell<'a> {
    pub slot: Slot<'a>,
    pub cell: u32,
    pub header: CellHeader,
}

impl VisibleCell<'_> {
    /// That this is the live record with an id, of the version that is expected.
    #[inline(always)]
    pub fn expect(self, id: RecordId, expected_version: Option<u64>) -> Internal<()> {
        if !self.header.is_live || self.header.generation != id.generation() {
            return Err(not_found(id));
        }
        match expected_version {
            Some(expected) if expected != self.header.number => Err(conflict(expected, self.header.number)),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    pub fn meta(self) -> Meta {
        Meta::new(self.slot.index(), self.header)
    }
}

/// The next content of a slot: a record, or `None` for a tombstone.
#[derive(Clone, Copy)]
pub struct NewContent<'a> {
    pub record: Option<Encoded<'a>>,
    pub generation: u64,
    pub update_count: u32,
}

impl<'a> NewContent<'a> {
    /// Another content of a record.
    #[inline(always)]
    pub fn update(header: CellHeader, record: Encoded<'a>) -> Self {
        let update_count = header.update_count.saturating_add(1);
        NewContent { record: Some(record), generation: header.generation, update_count }
    }

    /// The end of a record.
    #[inline(always)]
    pub fn delete(header: CellHeader) -> Self {
        NewContent { record: None, generation: header.generation, update_count: header.update_count }
    }

    #[inline(always)]
    pub fn header(self, number: u64) -> CellHeader {
        let payload_crc = self.record.map_or(0, |record| record.payload_crc);
        CellHeader::new(number, self.generation, self.record.is_some(), self.update_count, payload_crc)
    }

    #[inline(always)]
    pub fn payload(self) -> &'a [u64] {
        match self.record {
            Some(record) => record.payload,
            None => &[],
        }
    }
}

/// What a transaction does to one slot.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub slot: Slot<'a>,
    pub old_head: Head,
    /// The header of the cell that the old head names, if there is one.
    pub old: CellHeader,
    pub new: CellHeader,
}

impl Change<'_> {
    /// Brings a state of the table up to date.
    #[inline(always)]
    pub fn apply_to(&self, state: &mut State) {
        let Change { old_head, old, new, .. } = self;
        state.digest = state.digest.wrapping_add(digest_of_cell(self.slot.index(), new.number, new.check));
        if old_head.exists() {
            state.digest = state.digest.wrapping_sub(digest_of_cell(self.slot.index(), old.number, old.check));
        }
        state.live_count =
            state.live_count.wrapping_add(u64::from(new.is_live)).wrapping_sub(u64::from(old_head.is_live()));
    }

    /// What publishing will have to do. An entry of the index is a hash and a slot: an old and a new key of one hash share it.
    #[inline(always)]
    pub fn intent(&self, cell: u32, has_key: bool, keeps_hash: bool) -> Intent {
        let Change { old_head, new, .. } = self;
        let keeps_entry = old_head.is_live() && new.is_live && keeps_hash;
        Intent {
            slot: self.slot.index(),
            cell,
            old_cell: old_head.cell(),
            was_live: old_head.is_live(),
            inserts_key: has_key && new.is_live && !keeps_entry,
            removes_key: has_key && old_head.is_live() && !keeps_entry,
            // A slot that has used up its generations is not given out again.
            frees_slot: !new.is_live && new.generation < GENERATION_LIMIT - 1,
        }
    }
}

impl<'a> TableView<'a> {
    /// The slot of a record, if the table has as many.
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

    /// The slot with a live record that has the key of a record, of which nothing else is looked at.
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

    /// A cell of a slot that nobody needs.
    #[inline(always)]
    pub fn choose_cell(self, slot: Slot<'_>, head: Head) -> u32 {
        let pin = match self.control.load(PIN, Ordering::Acquire) {
            NO_PIN => 0,
            number => number,
        };
        let durable = self.control.load(DURABLE, Ordering::Acquire);
        free_cell(|cell| slot.cell_number(cell), head, [pin, durable])
    }

    /// The slot that has been free for longest but for the `taken_count` that the transaction has taken already; `None` if
    /// there is no other.
    #[inline(always)]
    pub fn free_slot(self, taken_count: u64) -> Internal<Option<u32>> {
        let taken = self.control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(taken_count);
        if taken == self.control.load(FREE_RETURNED, Ordering::Relaxed) {
            return Ok(None);
        }
        let slot = self.free_ring_entry(taken)?;
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
        let control = self.control;
        let free_count =
            control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_sub(control.load(FREE_TAKEN, Ordering::Relaxed));
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

    /// The commit point. The intent list is complete; what is sealed is the state that it leads to.
    #[inline(always)]
    pub fn prepare(self, state: State, taken_count: u64, freed_count: u64) -> [u64; STATE_WORDS] {
        let control = self.control;
        if taken_count + freed_count > 0 {
            let taken = control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(taken_count);
            control.store(FREE_TAKEN_NEXT, taken, Ordering::Relaxed);
            let returned = control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_add(freed_count);
            control.store(FREE_RETURNED_NEXT, returned, Ordering::Relaxed);
        }
        let sealed = state.to_words(self.digest_seed);
        self.put_state(INTENDED_STATE, sealed);
        control.store(PREPARED, state.number, Ordering::Release);
        sealed
    }

    /// Makes room in the index for keys that are about to be put in. Before the commit point, since readers look on.
    #[inline(always)]
    pub fn make_room_for_keys(self, insert_count: u64, live_count: u64) {
        if insert_count > 0 && self.index().needs_rebuild(insert_count, live_count) {
            self.index().rebuild();
        }
    }

    #[cold]
    pub fn stray_entry(self, slot: u32) -> Fault {
        Error::damaged(format!("the index names slot {slot} of {}", self.geometry.capacity())).into()
    }
}

#[cold]
fn not_found(id: RecordId) -> Fault {
    Error::NotFound { id }.into()
}

#[cold]
fn conflict(expected: u64, found: u64) -> Fault {
    Error::Conflict { expected, found }.into()
}

#[cold]
fn unfitting(slot: u32, head: Head) -> Fault {
    Error::damaged(format!("the head of slot {slot} does not fit its cell {}", head.cell())).into()
}

#[cold]
pub fn not_free(slot: u32) -> Fault {
    Error::damaged(format!("slot {slot} is in the free ring and is not free")).into()
}

#[cold]
fn numbers_used_up() -> Fault {
    Error::damaged("transaction numbers are used up, which takes longer than there is time").into()
}
