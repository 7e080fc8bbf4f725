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
use super::publish::Steps;
use super::read::Meta;
use super::shared::Shared;
use super::{Encoded, Store};
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Intent, NUMBER_LIMIT, RecordId};
use crate::format::checksum::digest_of_cell;
use crate::format::commit_record::{STATE_WORDS, State};
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
///
/// It is kept small and is not moved: the usual one is of one record, and takes a few dozen nanoseconds.
pub struct Transaction<'a> {
    store: &'a Store,
    shared: Shared<'a>,
    guard: WriteGuard<'a>,
    /// The number; 0 before anything is staged.
    number: u64,
    intent_count: usize,
    /// How many slots were taken from the free ring.
    taken_count: u64,
    /// What only a transaction of several steps needs.
    several: Option<Box<Several>>,
}

#[derive(Default)]
struct Several {
    /// Before this position of the intent list there is no slot that the transaction made free.
    freed_search_start: usize,
    /// Whether a slot may have another key now than before.
    reuses_slots: bool,
    /// How much of the intent list is in the two maps.
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
    #[inline(always)]
    pub fn begin(&self) -> Internal<Transaction<'_>> {
        let guard = WriteGuard::lock(self)?;
        Ok(Transaction {
            store: self,
            shared: self.shared(),
            guard,
            number: 0,
            intent_count: 0,
            taken_count: 0,
            several: None,
        })
    }
}

impl<'a> Transaction<'a> {
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Inserts a record; its key must not be there.
    #[inline(always)]
    pub fn insert(&mut self, record: Encoded<'_>) -> Internal<Meta> {
        let located = self.locate(record.payload, record.key_hash)?;
        self.insert_located(located, record)
    }

    /// Inserts a record whose key was looked for.
    #[inline(always)]
    fn insert_located(&mut self, located: Located, record: Encoded<'_>) -> Internal<Meta> {
        let slot = match located {
            Located::Live(slot) => return Err(Error::DuplicateKey { slot }.into()),
            Located::Deleted(slot) if self.seen(slot)?.header.is_live => return Err(Error::SlotTaken { slot }.into()),
            Located::Deleted(slot) => slot,
            Located::Absent => self.take_free_slot()?,
        };
        let floor = self.shared.control.load(GENERATION_FLOOR, Ordering::Relaxed);
        let generation = self.seen(slot)?.header.generation.max(floor).saturating_add(1);
        if generation >= GENERATION_LIMIT {
            return Err(self.full());
        }
        self.stage(slot, Some(record), generation, 0)
    }

    /// Writes another content of the record with an id, if it is the version that is expected.
    #[inline(always)]
    pub fn update(&mut self, id: RecordId, expected_version: Option<u64>, record: Encoded<'_>) -> Internal<Meta> {
        let seen = self.expect(id, expected_version)?;
        if !self.has_key(seen, record.payload) {
            return Err(Error::KeyChanged.into());
        }
        self.stage(seen.slot, Some(record), seen.header.generation, seen.header.update_count.saturating_add(1))
    }

    /// Deletes the record with an id, if it is the version that is expected.
    #[inline(always)]
    pub fn delete(&mut self, id: RecordId, expected_version: Option<u64>) -> Internal<Meta> {
        let seen = self.expect(id, expected_version)?;
        let meta = self.stage(seen.slot, None, seen.header.generation, seen.header.update_count)?;
        if let Some(several) = &mut self.several {
            several.freed_search_start = 0;
        }
        Ok(meta)
    }

    /// Inserts a record, or writes it over the one that has its key.
    pub fn upsert(&mut self, record: Encoded<'_>) -> Internal<Meta> {
        match self.locate(record.payload, record.key_hash)? {
            Located::Live(slot) => {
                let CellHeader { generation, update_count, .. } = self.seen(slot)?.header;
                self.stage(slot, Some(record), generation, update_count.saturating_add(1))
            }
            absent => self.insert_located(absent, record),
        }
    }

    /// Copies the record with an id, as this transaction sees it.
    pub fn get(&mut self, id: RecordId, payload: &mut [u64]) -> Internal<Option<Meta>> {
        if id.slot() >= self.shared.geometry.capacity() {
            return Ok(None);
        }
        Ok(self.read_slot(id.slot(), payload)?.filter(|meta| meta.id == id))
    }

    /// Copies the record with a key, as this transaction sees it.
    pub fn find(&mut self, key: &[u64], payload: &mut [u64]) -> Internal<Option<Meta>> {
        match self.locate(key, self.store.hash_of_key(key))? {
            Located::Live(slot) => self.read_slot(slot, payload),
            Located::Deleted(_) | Located::Absent => Ok(None),
        }
    }

    /// Copies the record in a slot, as this transaction sees it. The slot must be below the capacity.
    pub fn read_slot(&mut self, slot: u32, payload: &mut [u64]) -> Internal<Option<Meta>> {
        let seen = self.seen(slot)?;
        if !seen.header.is_live {
            return Ok(None);
        }
        slot::read_cell(self.shared.words, self.shared.geometry, slot, seen.cell, payload);
        if !seen.header.verifies(crate::format::checksum::crc32(bytemuck::cast_slice(payload))) {
            return Err(Error::damaged(format!("the record in slot {slot} does not have its checksum")).into());
        }
        Ok(Some(Meta::new(slot, seen.header)))
    }

    /// The live record with this id and version.
    #[inline(always)]
    fn expect(&mut self, id: RecordId, expected_version: Option<u64>) -> Internal<Seen> {
        let not_found = || Error::NotFound { id: id.into() }.into();
        if id.slot() >= self.shared.geometry.capacity() {
            return Err(not_found());
        }
        let seen = self.seen(id.slot())?;
        if !seen.header.is_live || seen.header.generation != id.generation() {
            return Err(not_found());
        }
        match expected_version {
            Some(expected) if expected != seen.header.number => {
                Err(Error::Conflict { expected, found: seen.header.number }.into())
            }
            _ => Ok(seen),
        }
    }

    /// The cell of a slot that this transaction sees: its own, or the current one. A slot that was never written has a
    /// header of zeros.
    #[inline(always)]
    fn seen(&mut self, slot: u32) -> Internal<Seen> {
        let Shared { geometry, .. } = self.shared;
        let words = self.shared.words;
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
            return Err(Error::damaged(format!("the head of slot {slot} does not fit its cell {}", head.cell())).into());
        }
        Ok(Seen { slot, cell: head.cell(), header })
    }

    #[inline(always)]
    fn has_key(&self, seen: Seen, record: &[u64]) -> bool {
        slot::has_key_of(self.shared.words, self.shared.geometry, seen.slot, seen.cell, record)
    }

    // -- looking for keys --------------------------------------------------------------------------

    /// Looks for a key, given as a record of which nothing else is looked at.
    fn locate(&mut self, key: &[u64], hash: KeyHash) -> Internal<Located> {
        if self.shared.geometry.key().is_none() {
            return Ok(Located::Absent);
        }
        if self.intent_count > 0 {
            let staged = self.up_to_date()?.keys.get(&hash).cloned().unwrap_or_default();
            for slot in staged {
                let seen = self.seen(slot)?;
                if seen.header.is_live && self.has_key(seen, key) {
                    return Ok(Located::Live(slot));
                }
            }
        }
        let index = self.shared.index();
        for slot in index.candidates(index.epoch(), hash) {
            if slot >= self.shared.geometry.capacity() {
                return Err(self.store.stray_entry(slot));
            }
            let head = slot::head(self.shared.words, self.shared.geometry, slot);
            if head.is_live() && slot::has_key_of(self.shared.words, self.shared.geometry, slot, head.cell(), key) {
                let is_touched = self.intent_of(slot)?.is_some();
                let seen = self.seen(slot)?;
                let is_live = !is_touched || seen.header.is_live && self.has_key(seen, key);
                return Ok(if is_live { Located::Live(slot) } else { Located::Deleted(slot) });
            }
        }
        Ok(Located::Absent)
    }

    /// The entry of the intent list for a slot, and its position.
    #[inline(always)]
    fn intent_of(&mut self, slot: u32) -> Internal<Option<(usize, Intent)>> {
        if self.intent_count <= SHORT_LIST {
            for position in 0..self.intent_count {
                let intent = self.shared.intent(position)?;
                if intent.slot == slot {
                    return Ok(Some((position, intent)));
                }
            }
            return Ok(None);
        }
        match self.up_to_date()?.positions.get(&slot).copied() {
            Some(position) => Ok(Some((position, self.shared.intent(position)?))),
            None => Ok(None),
        }
    }

    /// The maps of a transaction of several steps, with everything that is on the intent list.
    fn up_to_date(&mut self) -> Internal<&mut Several> {
        let shared = self.shared;
        let several = self.several.get_or_insert_default();
        for position in several.seen_count..self.intent_count {
            let intent = shared.intent(position)?;
            several.positions.insert(intent.slot, position);
            several.seen_count = position + 1;
            if let Some(hash) = shared.hash_of_live_cell(intent.slot, intent.cell) {
                several.keys.entry(hash).or_default().push(intent.slot);
            }
        }
        Ok(several)
    }

    // -- staging -----------------------------------------------------------------------------------

    /// The slot that has been free for longest; when the ring is empty, one that this transaction made free.
    #[inline(always)]
    fn take_free_slot(&mut self) -> Internal<u32> {
        let control = self.shared.control;
        let taken = control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(self.taken_count);
        if taken != control.load(FREE_RETURNED, Ordering::Relaxed) {
            let slot = self.shared.free_ring_entry(taken)?;
            if slot::head(self.shared.words, self.shared.geometry, slot).is_live() || self.intent_of(slot)?.is_some() {
                return Err(Error::damaged(format!("slot {slot} is in the free ring and is not free")).into());
            }
            self.taken_count += 1;
            return Ok(slot);
        }
        for position in self.several.get_or_insert_default().freed_search_start..self.intent_count {
            let slot = self.shared.intent(position)?.slot;
            if !self.seen(slot)?.header.is_live {
                let several = self.several.get_or_insert_default();
                several.freed_search_start = position + 1;
                several.reuses_slots = true;
                return Ok(slot);
            }
        }
        Err(self.full())
    }

    #[cold]
    fn full(&self) -> Fault {
        let control = self.shared.control;
        let live_count = self.shared.newest_state().map_or(0, |state| state.live_count);
        let capacity = u64::from(self.shared.geometry.capacity());
        let free_count =
            control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_sub(control.load(FREE_TAKEN, Ordering::Relaxed));
        let retired_count = capacity.saturating_sub(live_count).saturating_sub(free_count);
        Error::Full { live_count, capacity, retired_count }.into()
    }

    /// Writes the next content of a slot, `None` for a tombstone, into a cell that nobody needs.
    #[inline(always)]
    fn stage(&mut self, slot: u32, record: Option<Encoded<'_>>, generation: u64, update_count: u32) -> Internal<Meta> {
        if !self.guard.is_mine() {
            return Err(Error::Forked.into());
        }
        let number = self.number()?;
        let cell = match self.intent_of(slot)? {
            Some((_, intent)) => intent.cell,
            None => self.list(slot)?,
        };
        let (payload, payload_crc) = record.map_or((&[][..], 0), |record| (record.payload, record.payload_crc));
        let header = CellHeader::new(number, generation, record.is_some(), update_count, payload_crc);
        slot::stage(self.shared.words, self.shared.geometry, slot, cell, header, payload);
        if let (Some(several), Some(Encoded { payload, .. })) = (&mut self.several, record) {
            // A slot that is in the maps already may have got another key.
            let key_hash = self.store.hash_of_key(payload);
            several.keys.entry(key_hash).or_default().push(slot);
        }
        Ok(Meta::new(slot, header))
    }

    /// The number of this transaction, taken when it is first asked for.
    #[inline(always)]
    fn number(&mut self) -> Internal<u64> {
        if self.number != 0 {
            return Ok(self.number);
        }
        let control = self.shared.control;
        let number = control.load(USED, Ordering::Relaxed).saturating_add(1);
        if number >= NUMBER_LIMIT {
            return Err(Error::damaged("transaction numbers are used up, which takes longer than there is time").into());
        }
        control.store(USED, number, Ordering::Release);
        self.number = number;
        Ok(number)
    }

    /// Chooses a cell of a slot and puts both on the intent list.
    #[inline(always)]
    fn list(&mut self, slot: u32) -> Internal<u32> {
        let Shared { geometry, .. } = self.shared;
        let (words, control) = (self.shared.words, self.shared.control);
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
            return Err(Error::damaged("the intent list is longer than the table").into());
        }
        self.shared.put_intent(self.intent_count, intent);
        self.intent_count += 1;
        control.store(INTENT_COUNT, word(self.intent_count), Ordering::Release);
        Ok(cell)
    }

    // -- the end -----------------------------------------------------------------------------------

    /// Makes everything that was staged happen at once. Returns the transaction's number: the version of every record
    /// that it wrote. A transaction that staged nothing has the number of the one before it.
    #[inline(always)]
    pub fn publish(&mut self) -> Internal<u64> {
        if self.intent_count == 0 {
            return Ok(self.shared.newest_state()?.number);
        }
        if !self.guard.is_mine() {
            return Err(Error::Forked.into());
        }
        let (state, steps) = self.prepare(self.number)?;
        // From here on the transaction has happened: whatever comes, it is finished and not undone.
        let intent_count = std::mem::take(&mut self.intent_count);
        self.shared.publish(state, intent_count, steps)?;
        Ok(self.number)
    }

    #[cold]
    fn undo(&mut self) {
        if self.guard.is_mine() {
            self.shared.undo(self.intent_count);
        }
    }

    /// Completes the intent list and seals the intent: the commit point.
    #[inline(always)]
    fn prepare(&mut self, number: u64) -> Internal<([u64; STATE_WORDS], Steps)> {
        let shared = self.shared;
        let control = shared.control;
        let mut state = shared.newest_state()?;
        state.number = number;
        let reuses_slots = self.several.as_ref().is_some_and(|several| several.reuses_slots);
        let (mut insert_count, mut remove_count, mut freed_count) = (0, 0, 0);
        for position in 0..self.intent_count {
            let intent = shared.intent(position)?;
            let finished = finish_intent(shared, intent, reuses_slots, &mut state);
            insert_count += u64::from(finished.inserts_key);
            remove_count += u64::from(finished.removes_key);
            freed_count += u64::from(finished.frees_slot);
            if finished != intent {
                shared.put_intent(position, finished);
            }
        }
        if insert_count > 0 && shared.index().needs_rebuild(insert_count, state.live_count) {
            shared.index().rebuild();
        }
        if self.taken_count + freed_count > 0 {
            let taken = control.load(FREE_TAKEN, Ordering::Relaxed).wrapping_add(self.taken_count);
            control.store(FREE_TAKEN_NEXT, taken, Ordering::Relaxed);
            let returned = control.load(FREE_RETURNED, Ordering::Relaxed).wrapping_add(freed_count);
            control.store(FREE_RETURNED_NEXT, returned, Ordering::Relaxed);
        }
        let sealed = state.to_words(shared.digest_seed);
        shared.put_state(INTENT, sealed);
        control.store(PREPARED, number, Ordering::Release);
        let steps = Steps {
            inserts_keys: insert_count > 0,
            removes_keys: remove_count > 0,
            moves_free_slots: self.taken_count + freed_count > 0,
        };
        Ok((sealed, steps))
    }
}

/// What publishing will have to do for one slot, and what that changes in the state of the table.
#[inline(always)]
fn finish_intent(shared: Shared<'_>, intent: Intent, may_have_new_key: bool, state: &mut State) -> Intent {
    let Shared { words, geometry, .. } = shared;
    let new = slot::cell_header(words, geometry, intent.slot, intent.cell);
    state.digest = state.digest.wrapping_add(digest_of_cell(intent.slot, new.number, new.check));
    let head = slot::head(words, geometry, intent.slot);
    if head.exists() {
        let old = slot::cell_header(words, geometry, intent.slot, head.cell());
        state.digest = state.digest.wrapping_sub(digest_of_cell(intent.slot, old.number, old.check));
    }
    state.live_count = state.live_count.wrapping_add(u64::from(new.is_live)).wrapping_sub(u64::from(head.is_live()));
    let hash_in = |cell| shared.hash_of_live_cell(intent.slot, cell);
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

impl Drop for Transaction<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.intent_count > 0 {
            self.undo();
        }
    }
}
