//! A write transaction: staging, and the commit point.
//!
//! Invariants:
//!
//! 1. The number of a transaction is above every number ever taken, and is written down as taken (`USED`) before the
//!    first cell gets it: so whoever dies burns it.
//! 2. A (slot, cell) is on the intent list before the cell is touched: so whoever repairs finds every cell.
//! 3. A write never touches the current cell, the cell visible at `DURABLE`, or the one visible at `PIN`. `PIN` is
//!    read first and `DURABLE` second: a committer stores them in the other order, so that a commit that ends in
//!    between is seen in one of the two.
//! 4. The sealed intent is complete before `PREPARED` gets the transaction's number, in one release store. From then on
//!    the transaction has happened, whoever dies.
//! 5. No slot holds another record than its own until the transaction is published; a key that was there before the
//!    transaction can only come back to its own slot, so readers never miss it.

use super::guard::WriteGuard;
use super::read::Meta;
use super::{Encoded, Store};
use crate::error::{Error, Result};
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Intent, NUMBER_LIMIT, RecordId};
use crate::format::checksum::digest_of_cell;
use crate::format::commit_record::State;
use crate::format::control::{
    DURABLE, FREE_RETURNED, FREE_RETURNED_NEXT, FREE_TAKEN, FREE_TAKEN_NEXT, GENERATION_FLOOR, INTENT, INTENT_COUNT,
    PIN, PREPARED, USED,
};
use crate::format::geometry::{widen, word};
use crate::shm::index::KeyHash;
use crate::shm::slot;
use crate::shm::words::Ordering;
use std::collections::HashMap;

/// Up to this many touched slots are looked for one by one on the intent list.
const SHORT_LIST: usize = 8;

/// A transaction in progress. Dropped before it is published, it never happened.
pub struct Transaction<'a> {
    store: &'a Store,
    guard: WriteGuard<'a>,
    /// The number, once something was staged.
    number: Option<u64>,
    intent_count: usize,
    /// How many slots were taken from the free ring.
    taken_count: u64,
    /// Slots that this transaction made free; some may be in use again.
    freed: Vec<u32>,
    /// Whether a slot may have another key now than before.
    reuses_slots: bool,
    overlay: Overlay,
}

/// What a transaction of several steps knows of its own intent list, brought up to date when it is asked.
#[derive(Default)]
struct Overlay {
    /// How much of the list is in here.
    seen_count: usize,
    positions: HashMap<u32, usize>,
    /// The slots with live staged records by the hash of their key; each is verified.
    keys: HashMap<KeyHash, Vec<u32>>,
}

/// Where a key is, as a transaction sees it.
enum Located {
    Live(u32),
    /// It was there before the transaction, which deleted it.
    Deleted(u32),
    Absent,
}

/// A record that a transaction sees: its slot's current cell, or the one that was staged.
#[derive(Clone, Copy)]
struct Seen {
    slot: u32,
    cell: u32,
    header: CellHeader,
}

impl Store {
    /// Takes the write mutex and begins a transaction.
    #[inline]
    pub fn begin(&self) -> Result<Transaction<'_>> {
        let guard = WriteGuard::lock(self)?;
        Ok(Transaction {
            store: self,
            guard,
            number: None,
            intent_count: 0,
            taken_count: 0,
            freed: Vec::new(),
            reuses_slots: false,
            overlay: Overlay::default(),
        })
    }
}

impl<'a> Transaction<'a> {
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Inserts a record; its key must not be there.
    pub fn insert(&mut self, record: Encoded<'_>) -> Result<Meta> {
        let slot = match self.locate(record)? {
            Located::Live(slot) => return Err(Error::DuplicateKey { slot }),
            Located::Deleted(slot) if self.seen(slot)?.header.is_live => return Err(Error::SlotTaken { slot }),
            Located::Deleted(slot) => slot,
            Located::Absent => self.take_free_slot()?,
        };
        let floor = self.store.control().load(GENERATION_FLOOR, Ordering::Relaxed);
        let generation = self.seen(slot)?.header.generation.max(floor).saturating_add(1);
        if generation >= GENERATION_LIMIT {
            return Err(self.full());
        }
        self.stage(slot, Some(record), generation, 0)
    }

    /// Writes another content of the record with an id, if it is the version that is expected.
    pub fn update(&mut self, id: RecordId, expected_version: Option<u64>, record: Encoded<'_>) -> Result<Meta> {
        let seen = self.expect(id, expected_version)?;
        let key_is_same = self.store.key_of(record.payload).is_none_or(|key| self.has_key(seen, key));
        if !key_is_same {
            return Err(Error::KeyChanged);
        }
        self.stage(seen.slot, Some(record), seen.header.generation, seen.header.update_count.saturating_add(1))
    }

    /// Deletes the record with an id, if it is the version that is expected.
    pub fn delete(&mut self, id: RecordId, expected_version: Option<u64>) -> Result<Meta> {
        let seen = self.expect(id, expected_version)?;
        let meta = self.stage(seen.slot, None, seen.header.generation, seen.header.update_count)?;
        self.freed.push(seen.slot);
        Ok(meta)
    }

    /// Inserts a record, or writes it over the one that has its key.
    pub fn upsert(&mut self, record: Encoded<'_>) -> Result<Meta> {
        match self.locate(record)? {
            Located::Live(slot) => {
                let CellHeader { generation, update_count, .. } = self.seen(slot)?.header;
                self.stage(slot, Some(record), generation, update_count.saturating_add(1))
            }
            Located::Deleted(_) | Located::Absent => self.insert(record),
        }
    }

    /// Copies the record with an id, as this transaction sees it.
    pub fn get(&mut self, id: RecordId, payload: &mut [u64]) -> Result<Option<Meta>> {
        if id.slot() >= self.store.geometry.capacity() {
            return Ok(None);
        }
        Ok(self.read_slot(id.slot(), payload)?.filter(|meta| meta.id == id))
    }

    /// Copies the record with a key, as this transaction sees it.
    pub fn find(&mut self, key: &[u8], payload: &mut [u64]) -> Result<Option<Meta>> {
        match self.locate_key(key, self.store.hash(key))? {
            Located::Live(slot) => self.read_slot(slot, payload),
            Located::Deleted(_) | Located::Absent => Ok(None),
        }
    }

    /// Copies the record in a slot, as this transaction sees it. The slot must be below the capacity.
    pub fn read_slot(&mut self, slot: u32, payload: &mut [u64]) -> Result<Option<Meta>> {
        let seen = self.seen(slot)?;
        if !seen.header.is_live {
            return Ok(None);
        }
        slot::read_cell(self.store.words(), &self.store.geometry, slot, seen.cell, payload);
        if !seen.header.verifies(crate::format::checksum::crc32(bytemuck::cast_slice(payload))) {
            return Err(Error::damaged(format!("the record in slot {slot} does not have its checksum")));
        }
        Ok(Some(Meta::new(slot, seen.header)))
    }

    /// The live record with this id and version.
    fn expect(&mut self, id: RecordId, expected_version: Option<u64>) -> Result<Seen> {
        let not_found = || Error::NotFound { id: id.into() };
        if id.slot() >= self.store.geometry.capacity() {
            return Err(not_found());
        }
        let seen = self.seen(id.slot())?;
        if !seen.header.is_live || seen.header.generation != id.generation() {
            return Err(not_found());
        }
        match expected_version {
            Some(expected) if expected != seen.header.number => {
                Err(Error::Conflict { expected, found: seen.header.number })
            }
            _ => Ok(seen),
        }
    }

    /// The cell of a slot that this transaction sees: its own, or the current one. A slot that was never written has a
    /// header of zeros.
    fn seen(&mut self, slot: u32) -> Result<Seen> {
        let Store { geometry, .. } = self.store;
        let words = self.store.words();
        if let Some((_, intent)) = self.intent_of(slot)? {
            let header = slot::cell_header(words, geometry, slot, intent.cell);
            return Ok(Seen { slot, cell: intent.cell, header });
        }
        let head = slot::head(words, geometry, slot);
        if !head.exists() {
            return Ok(Seen { slot, cell: 0, header: CellHeader::from_words([0; 3]) });
        }
        let header = slot::cell_header(words, geometry, slot, head.cell());
        if header.number != head.number() || header.is_live != head.is_live() {
            return Err(Error::damaged(format!("the head of slot {slot} does not fit its cell {}", head.cell())));
        }
        Ok(Seen { slot, cell: head.cell(), header })
    }

    fn has_key(&self, seen: Seen, key: &[u8]) -> bool {
        self.store.cell_has_key(seen.slot, seen.cell, key)
    }

    // -- looking for keys --------------------------------------------------------------------------

    fn locate(&mut self, record: Encoded<'_>) -> Result<Located> {
        match (record.key_hash, self.store.key_of(record.payload)) {
            (Some(hash), Some(key)) => self.locate_key(key, hash),
            _ => Ok(Located::Absent),
        }
    }

    fn locate_key(&mut self, key: &[u8], hash: KeyHash) -> Result<Located> {
        if self.intent_count > 0 {
            self.update_overlay()?;
            for slot in self.overlay.keys.get(&hash).cloned().unwrap_or_default() {
                let seen = self.seen(slot)?;
                if seen.header.is_live && self.has_key(seen, key) {
                    return Ok(Located::Live(slot));
                }
            }
        }
        let store = self.store;
        let index = store.index();
        for slot in index.candidates(index.epoch(), hash) {
            if slot >= store.geometry.capacity() {
                return Err(Error::damaged(format!("the index names slot {slot} of {}", store.geometry.capacity())));
            }
            let head = slot::head(store.words(), &store.geometry, slot);
            if head.is_live() && store.cell_has_key(slot, head.cell(), key) {
                let is_touched = self.intent_of(slot)?.is_some();
                let seen = self.seen(slot)?;
                let is_live = !is_touched || seen.header.is_live && self.has_key(seen, key);
                return Ok(if is_live { Located::Live(slot) } else { Located::Deleted(slot) });
            }
        }
        Ok(Located::Absent)
    }

    /// The entry of the intent list for a slot, and its position.
    fn intent_of(&mut self, slot: u32) -> Result<Option<(usize, Intent)>> {
        if self.intent_count <= SHORT_LIST {
            for position in 0..self.intent_count {
                let intent = self.store.intent(position)?;
                if intent.slot == slot {
                    return Ok(Some((position, intent)));
                }
            }
            return Ok(None);
        }
        self.update_overlay()?;
        match self.overlay.positions.get(&slot) {
            Some(position) => Ok(Some((*position, self.store.intent(*position)?))),
            None => Ok(None),
        }
    }

    fn update_overlay(&mut self) -> Result<()> {
        for position in self.overlay.seen_count..self.intent_count {
            let intent = self.store.intent(position)?;
            self.overlay.positions.insert(intent.slot, position);
            self.overlay.seen_count = position + 1;
            if let Some(hash) = self.store.hash_of_live_cell(intent.slot, intent.cell) {
                self.overlay.keys.entry(hash).or_default().push(intent.slot);
            }
        }
        Ok(())
    }

    // -- staging -----------------------------------------------------------------------------------

    /// The slot that has been free for longest; when the ring is empty, one that this transaction made free.
    fn take_free_slot(&mut self) -> Result<u32> {
        let store = self.store;
        let control = store.control();
        let taken = control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(self.taken_count);
        if taken != control.load(FREE_RETURNED, Ordering::Relaxed) {
            let slot = store.free_ring_entry(taken)?;
            if slot::head(store.words(), &store.geometry, slot).is_live() || self.intent_of(slot)?.is_some() {
                return Err(Error::damaged(format!("slot {slot} is in the free ring and is not free")));
            }
            self.taken_count += 1;
            return Ok(slot);
        }
        while let Some(slot) = self.freed.pop() {
            if !self.seen(slot)?.header.is_live {
                self.reuses_slots = true;
                return Ok(slot);
            }
        }
        Err(self.full())
    }

    #[cold]
    fn full(&self) -> Error {
        let control = self.store.control();
        let live_count = self.store.newest_state().map_or(0, |state| state.live_count);
        let capacity = u64::from(self.store.geometry.capacity());
        let free_count =
            control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_sub(control.load(FREE_TAKEN, Ordering::Relaxed));
        let retired_count = capacity.saturating_sub(live_count).saturating_sub(free_count);
        Error::Full { live_count, capacity, retired_count }
    }

    /// Writes the next content of a slot, `None` for a tombstone, into a cell that nobody needs.
    fn stage(&mut self, slot: u32, record: Option<Encoded<'_>>, generation: u64, update_count: u32) -> Result<Meta> {
        if !self.guard.is_mine() {
            return Err(Error::Forked);
        }
        let store = self.store;
        let number = self.number()?;
        let cell = match self.intent_of(slot)? {
            Some((_, intent)) => intent.cell,
            None => self.list(slot)?,
        };
        let (payload, payload_crc) = record.map_or((&[][..], 0), |record| (record.payload, record.payload_crc));
        let header = CellHeader::new(number, generation, record.is_some(), update_count, payload_crc);
        slot::stage(store.words(), &store.geometry, slot, cell, header, payload);
        if let (Some(hash), true) = (record.and_then(|record| record.key_hash), self.overlay.seen_count > 0) {
            // A slot that is in the overlay already may have got another key.
            self.overlay.keys.entry(hash).or_default().push(slot);
        }
        Ok(Meta::new(slot, header))
    }

    /// The number of this transaction, taken when it is first asked for.
    fn number(&mut self) -> Result<u64> {
        if let Some(number) = self.number {
            return Ok(number);
        }
        let control = self.store.control();
        let number = control.load(USED, Ordering::Relaxed).saturating_add(1);
        if number >= NUMBER_LIMIT {
            return Err(Error::damaged("transaction numbers are used up, which takes longer than there is time"));
        }
        control.store(USED, number, Ordering::Release);
        self.number = Some(number);
        Ok(number)
    }

    /// Chooses a cell of a slot and puts both on the intent list.
    fn list(&mut self, slot: u32) -> Result<u32> {
        let Store { geometry, .. } = self.store;
        let (words, control) = (self.store.words(), self.store.control());
        let head = slot::head(words, geometry, slot);
        let pin = control.load(PIN, Ordering::Acquire);
        let durable = control.load(DURABLE, Ordering::Acquire);
        let numbers = slot::cell_numbers(words, geometry, slot);
        let cell = slot::free_cell(numbers, head, [pin, durable]);
        let intent = Intent {
            slot,
            cell,
            old_cell: head.cell(),
            was_live: head.is_live(),
            inserts_key: false,
            removes_key: false,
            frees_slot: false,
        };
        if self.intent_count >= widen(geometry.capacity()) {
            return Err(Error::damaged("the intent list is longer than the table"));
        }
        self.store.put_intent(self.intent_count, intent);
        self.intent_count += 1;
        control.store(INTENT_COUNT, word(self.intent_count), Ordering::Release);
        Ok(cell)
    }

    // -- the end -----------------------------------------------------------------------------------

    /// Makes everything that was staged happen at once. Returns the transaction's number: the version of every record
    /// that it wrote. A transaction that staged nothing has the number of the one before it.
    pub fn publish(mut self) -> Result<u64> {
        let Some(number) = self.number else {
            return Ok(self.store.newest_state()?.number);
        };
        if !self.guard.is_mine() {
            return Err(Error::Forked);
        }
        let state = self.prepare(number)?;
        // From here on the transaction has happened: whatever comes, it is finished and not undone.
        let intent_count = std::mem::take(&mut self.intent_count);
        self.store.publish(state, intent_count)?;
        Ok(number)
    }

    /// Completes the intent list and seals the intent: the commit point.
    fn prepare(&mut self, number: u64) -> Result<State> {
        let store = self.store;
        let control = store.control();
        let mut state = store.newest_state()?;
        state.number = number;
        let (mut insert_count, mut freed_count) = (0, 0);
        for position in 0..self.intent_count {
            let intent = self.store.intent(position)?;
            let finished = store.finish_intent(intent, self.reuses_slots, &mut state);
            insert_count += u64::from(finished.inserts_key);
            freed_count += u64::from(finished.frees_slot);
            if finished != intent {
                store.put_intent(position, finished);
            }
        }
        if insert_count > 0 {
            let index = store.index();
            if index.needs_rebuild(insert_count, state.live_count) {
                index.rebuild();
            }
        }
        let taken = control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(self.taken_count);
        control.store(FREE_TAKEN_NEXT, taken, Ordering::Relaxed);
        let returned = control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_add(freed_count);
        control.store(FREE_RETURNED_NEXT, returned, Ordering::Relaxed);
        store.put_state(INTENT, state);
        control.store(PREPARED, number, Ordering::Release);
        Ok(state)
    }
}

impl Store {
    /// What publishing will have to do for one slot, and what that changes in the state of the table.
    fn finish_intent(&self, intent: Intent, may_have_new_key: bool, state: &mut State) -> Intent {
        let (words, geometry) = (self.words(), &self.geometry);
        let new = slot::cell_header(words, geometry, intent.slot, intent.cell);
        state.digest = state.digest.wrapping_add(digest_of_cell(intent.slot, new.number, new.check));
        let head = slot::head(words, geometry, intent.slot);
        if head.exists() {
            let old = slot::cell_header(words, geometry, intent.slot, head.cell());
            state.digest = state.digest.wrapping_sub(digest_of_cell(intent.slot, old.number, old.check));
        }
        state.live_count =
            state.live_count.wrapping_add(u64::from(new.is_live)).wrapping_sub(u64::from(head.is_live()));
        let hash_in = |cell| self.hash_of_live_cell(intent.slot, cell);
        // An entry of the index is a hash and a slot: two keys of one hash in one slot share it.
        let keeps_entry =
            head.is_live() && new.is_live && (!may_have_new_key || hash_in(head.cell()) == hash_in(intent.cell));
        let has_key = geometry.key().is_some();
        Intent {
            inserts_key: has_key && new.is_live && !keeps_entry,
            removes_key: has_key && head.is_live() && !keeps_entry,
            // A slot that has used up its generations is not given out again.
            frees_slot: !new.is_live && new.generation < GENERATION_LIMIT - 1,
            ..intent
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.intent_count > 0 && self.guard.is_mine() {
            self.store.undo(self.intent_count);
        }
    }
}
