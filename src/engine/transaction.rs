//! A transaction of any number of records: what it sees, and which slot a record gets.
//!
//! Invariant: until the transaction is published, each slot holds its own record and no other. A key that was there before the
//! transaction can only come back to its own slot, so readers never miss it.

use super::{Encoded, Store};
use crate::engine::change::{Change, NewContent, VisibleCell};
use crate::engine::commit::{ListedChanges, Tally};
use crate::engine::guard::WriteGuard;
use crate::engine::read::{Meta, verify};
use crate::engine::stage::not_free;
use crate::error::{Error, Fault, Internal};
use crate::format::cell::Intent;
use crate::format::geometry::widen;
use crate::format::sync_record::State;
use crate::layout::index::KeyHash;
use crate::layout::view::TableView;
use crate::record_id::RecordId;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A list of touched slots up to this long is searched one by one.
const SHORT_LIST: usize = 8;

/// A transaction in progress. If it is dropped before it is published, it never happened.
pub struct Transaction<'a> {
    store: &'a Store,
    view: TableView<'a>,
    guard: WriteGuard<'a>,
    /// The number; 0 before anything is staged.
    number: u64,
    intent_count: usize,
    /// How many slots were taken from the free stack.
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
    /// The slots that the transaction touched, and where on the intent list they are.
    positions: BTreeMap<u32, usize>,
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

impl Store {
    /// Takes the write mutex and begins a transaction. What it will write is not known yet, except the slot that an insert
    /// gets.
    #[inline(always)]
    pub fn begin(&self) -> Internal<Transaction<'_>> {
        self.touch_next_free_slot();
        let guard = WriteGuard::lock(self)?;
        Ok(Transaction {
            store: self,
            view: self.view(),
            guard,
            number: 0,
            intent_count: 0,
            taken_count: 0,
            several: None,
        })
    }
}

impl<'a> Transaction<'a> {
    /// Inserts a record; its key must not be there.
    pub fn insert(&mut self, record: Encoded<'_>) -> Internal<Meta> {
        let located = self.locate(record.payload)?;
        self.insert_located(located, record)
    }

    /// Inserts a record whose key was looked for.
    fn insert_located(&mut self, located: Located, record: Encoded<'_>) -> Internal<Meta> {
        let slot = match located {
            Located::Live(slot) => {
                let there = self.seen(slot)?;
                return Err(self.store.duplicate_key(there, record));
            }
            Located::Deleted(slot) if self.seen(slot)?.header.is_live => return Err(Error::SlotTaken { slot }.into()),
            Located::Deleted(slot) => slot,
            Located::Absent => return self.insert_into_free_slot(record),
        };
        self.insert_into(slot, record)
    }

    /// Inserts a record into the slot that became free last; when the stack is empty, into one that this transaction made free.
    fn insert_into_free_slot(&mut self, record: Encoded<'_>) -> Internal<Meta> {
        let Some(slot) = self.view.free_slot(self.taken_count)? else {
            let slot = self.freed_slot()?;
            return self.insert_into(slot, record);
        };
        if self.intent_of(slot)?.is_some() {
            return Err(not_free(slot));
        }
        let meta = self.insert_into(slot, record)?;
        // After an error the slot is still free.
        self.taken_count += 1;
        Ok(meta)
    }

    fn insert_into(&mut self, slot: u32, record: Encoded<'_>) -> Internal<Meta> {
        let next = self.view.insertion(self.seen(slot)?.header, record)?;
        self.stage(slot, next)
    }

    /// Writes new content into the record with an id, if it is the version that is expected.
    pub fn update(&mut self, id: RecordId, expected_version: Option<u64>, record: Encoded<'_>) -> Internal<Meta> {
        let seen = self.expect(id, expected_version)?;
        if !self.has_key_of(seen, record.payload) {
            return Err(Error::KeyChanged.into());
        }
        self.stage(id.slot(), NewContent::update(seen.header, record))
    }

    /// Deletes the record with an id, if it is the version that is expected.
    pub fn delete(&mut self, id: RecordId, expected_version: Option<u64>) -> Internal<Meta> {
        let seen = self.expect(id, expected_version)?;
        let meta = self.stage(id.slot(), NewContent::delete(seen.header))?;
        if let Some(several) = &mut self.several {
            several.freed_search_start = 0;
        }
        Ok(meta)
    }

    /// Inserts a record, or writes it over the one that has its key.
    pub fn upsert(&mut self, record: Encoded<'_>) -> Internal<Meta> {
        match self.locate(record.payload)? {
            Located::Live(slot) => {
                let seen = self.seen(slot)?;
                self.stage(slot, NewContent::update(seen.header, record))
            }
            absent => self.insert_located(absent, record),
        }
    }

    /// Inserts a record whose key was there before the transaction, which deleted it: so it has a slot to come back to. For any
    /// other record it does nothing.
    pub fn insert_again(&mut self, record: Encoded<'_>) -> Internal<Option<Meta>> {
        match self.locate(record.payload)? {
            located @ Located::Deleted(_) => self.insert_located(located, record).map(Some),
            Located::Live(_) | Located::Absent => Ok(None),
        }
    }

    /// The table.
    #[inline(always)]
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// How many slots the table has.
    pub fn capacity(&self) -> u32 {
        self.view.geometry.capacity()
    }

    /// How many records there are, as this transaction sees it.
    pub fn live_count(&self) -> Internal<u64> {
        self.check_not_forked()?;
        let mut count = self.view.newest_state()?.live_count;
        for position in 0..self.intent_count {
            let intent = self.view.intent(position)?;
            let staged = self.view.slot(intent.slot).cell_header(intent.cell);
            count = count.wrapping_add(u64::from(staged.is_live)).wrapping_sub(u64::from(intent.was_live));
        }
        Ok(count)
    }

    /// Copies the record with an id, as this transaction sees it.
    pub fn get(&mut self, id: RecordId, payload: &mut [u64]) -> Internal<Option<Meta>> {
        self.check_not_forked()?;
        if id.slot() >= self.view.geometry.capacity() {
            return Ok(None);
        }
        Ok(self.read(id.slot(), payload)?.filter(|meta| meta.id == id))
    }

    /// Copies the record with a key, as this transaction sees it.
    pub fn find(&mut self, key: &[u64], payload: &mut [u64]) -> Internal<Option<Meta>> {
        match self.locate(key)? {
            Located::Live(slot) => self.read(slot, payload),
            Located::Deleted(_) | Located::Absent => Ok(None),
        }
    }

    /// Copies the record in a slot, as this transaction sees it. The slot must be below the capacity.
    pub fn read_slot(&mut self, slot: u32, payload: &mut [u64]) -> Internal<Option<Meta>> {
        self.check_not_forked()?;
        self.read(slot, payload)
    }

    /// The same, in a call that has checked whose the transaction is.
    fn read(&mut self, slot: u32, payload: &mut [u64]) -> Internal<Option<Meta>> {
        let seen = self.seen(slot)?;
        if !seen.header.is_live {
            return Ok(None);
        }
        seen.slot.read_cell(seen.cell, payload);
        verify(slot, seen.header, payload)?;
        Ok(Some(seen.meta()))
    }

    /// The live record with this id and version.
    fn expect(&mut self, id: RecordId, expected_version: Option<u64>) -> Internal<VisibleCell<'a>> {
        self.check_not_forked()?;
        self.view.slot_of(id)?;
        let seen = self.seen(id.slot())?;
        seen.expect(id, expected_version)?;
        Ok(seen)
    }

    /// What this transaction sees in a slot: what it staged itself, or what is current.
    pub(super) fn seen(&mut self, slot: u32) -> Internal<VisibleCell<'a>> {
        if let Some((_, intent)) = self.intent_of(slot)? {
            let slot = self.view.slot(slot);
            return Ok(VisibleCell { slot, cell: intent.cell, header: slot.cell_header(intent.cell) });
        }
        let (_, seen) = self.view.current(self.view.slot(slot))?;
        Ok(seen)
    }

    fn has_key_of(&self, seen: VisibleCell<'_>, record: &[u64]) -> bool {
        seen.slot.has_key_of(seen.cell, self.view.geometry, record)
    }

    // -- looking for keys --------------------------------------------------------------------------

    /// Looks for a key, given as a record whose other fields are ignored.
    fn locate(&mut self, record: &[u64]) -> Internal<Located> {
        self.check_not_forked()?;
        let hash = self.store.hash_of_key(record);
        if self.intent_count > 0 && self.view.geometry.key().is_some() {
            let staged = self.up_to_date()?.keys.get(&hash).cloned().unwrap_or_default();
            for slot in staged {
                let seen = self.seen(slot)?;
                if seen.header.is_live && self.has_key_of(seen, record) {
                    return Ok(Located::Live(slot));
                }
            }
        }
        let Some(slot) = self.view.locate(record, hash)? else { return Ok(Located::Absent) };
        // A slot that the transaction touched and that still has the key was found above.
        let is_touched = self.intent_of(slot)?.is_some();
        Ok(if is_touched { Located::Deleted(slot) } else { Located::Live(slot) })
    }

    /// The entry of the intent list for a slot, and its position.
    #[inline(always)]
    fn intent_of(&mut self, slot: u32) -> Internal<Option<(usize, Intent)>> {
        if self.intent_count <= SHORT_LIST {
            for position in 0..self.intent_count {
                let intent = self.view.intent(position)?;
                if intent.slot == slot {
                    return Ok(Some((position, intent)));
                }
            }
            return Ok(None);
        }
        match self.up_to_date()?.positions.get(&slot).copied() {
            Some(position) => Ok(Some((position, self.view.intent(position)?))),
            None => Ok(None),
        }
    }

    /// The first slot of some that this transaction touched.
    pub(super) fn first_touched(&mut self, slots: &Range<u32>) -> Internal<Option<u32>> {
        if self.intent_count > SHORT_LIST {
            return Ok(self.up_to_date()?.positions.range(slots.clone()).next().map(|(slot, _)| *slot));
        }
        let mut first = None;
        for position in 0..self.intent_count {
            let touched = self.view.intent(position)?.slot;
            if slots.contains(&touched) {
                first = Some(first.map_or(touched, |first: u32| first.min(touched)));
            }
        }
        Ok(first)
    }

    /// The maps of a transaction of several steps, with everything that is on the intent list.
    fn up_to_date(&mut self) -> Internal<&mut Several> {
        let view = self.view;
        let several = self.several.get_or_insert_default();
        for position in several.seen_count..self.intent_count {
            let intent = view.intent(position)?;
            several.positions.insert(intent.slot, position);
            several.seen_count = position + 1;
            if let Some(hash) = view.hash_of_live_cell(view.slot(intent.slot), intent.cell) {
                several.keys.entry(hash).or_default().push(intent.slot);
            }
        }
        Ok(several)
    }

    // -- staging -----------------------------------------------------------------------------------

    /// A slot that this transaction made free.
    fn freed_slot(&mut self) -> Internal<u32> {
        for position in self.several.get_or_insert_default().freed_search_start..self.intent_count {
            let slot = self.view.intent(position)?.slot;
            if !self.seen(slot)?.header.is_live {
                let several = self.several.get_or_insert_default();
                several.freed_search_start = position + 1;
                several.reuses_slots = true;
                return Ok(slot);
            }
        }
        Err(self.view.full())
    }

    /// Writes the next content of a slot into a cell that nobody needs.
    fn stage(&mut self, slot: u32, next: NewContent<'_>) -> Internal<Meta> {
        self.check_mine()?;
        if self.number == 0 {
            self.number = self.view.take_number()?;
        }
        let cell = match self.intent_of(slot)? {
            Some((_, intent)) => intent.cell,
            None => self.list(slot)?,
        };
        let header = next.header(self.number);
        self.view.slot(slot).stage(cell, header, next.payload());
        if let (Some(several), Some(Encoded { payload, .. })) = (&mut self.several, next.record) {
            // A slot that is in the maps already may have got another key.
            let key_hash = self.store.hash_of_key(payload);
            let slots = several.keys.entry(key_hash).or_default();
            if slots.last() != Some(&slot) {
                slots.push(slot);
            }
        }
        Ok(Meta::new(slot, header))
    }

    /// Chooses a cell of a slot and puts both on the intent list.
    fn list(&mut self, slot: u32) -> Internal<u32> {
        if self.intent_count >= widen(self.view.geometry.capacity()) {
            return Err(list_too_long());
        }
        let found = self.view.slot(slot);
        let head = found.head();
        let cell = self.view.choose_cell(found, head);
        let intent = Intent {
            slot,
            cell,
            old_cell: head.cell(),
            was_live: head.is_live(),
            inserts_key: false,
            removes_key: false,
            frees_slot: false,
        };
        self.view.list(self.intent_count, intent);
        self.intent_count += 1;
        Ok(cell)
    }

    // -- the end -----------------------------------------------------------------------------------

    /// Makes everything that was staged happen at once. Returns the transaction's number: the version of every record
    /// that it wrote. A transaction that staged nothing has the number of the one before it.
    pub fn commit(&mut self) -> Internal<u64> {
        if self.intent_count == 0 {
            self.check_not_forked()?;
            return Ok(self.view.newest_state()?.number);
        }
        self.check_mine()?;
        let (state, tally) = self.complete_list()?;
        // Whether it was prepared or not, from here on it is left to a repair.
        let changes = ListedChanges { count: std::mem::take(&mut self.intent_count) };
        self.view.commit(state, changes, tally)?;
        Ok(self.number)
    }

    /// Checks that this transaction is this process's, and that the table has not been recovered since it began: a caller's
    /// closure may have taken long, and a recovery would have undone the transaction.
    fn check_mine(&self) -> Internal<()> {
        self.check_not_forked()?;
        self.store.check_not_recovered()
    }

    /// Checks that this process is not a child that was forked inside the transaction. It must not even read: the lock is its
    /// parent's, which may be writing what the child would look at.
    #[inline(always)]
    pub(super) fn check_not_forked(&self) -> Internal<()> {
        if self.guard.is_mine() { Ok(()) } else { Err(forked()) }
    }

    fn undo(&mut self) {
        if self.check_mine().is_ok() {
            self.view.undo(self.intent_count);
        }
    }

    /// The end of step 1: the flags of the intent list, and what all of it leads to.
    fn complete_list(&self) -> Internal<(State, Tally)> {
        let view = self.view;
        let mut state = view.newest_state()?;
        state.number = self.number;
        let reuses_slots = self.several.as_ref().is_some_and(|several| several.reuses_slots);
        let mut tally = Tally { taken_slot_count: self.taken_count, ..Tally::NOTHING };
        for position in 0..self.intent_count {
            let intent = view.intent(position)?;
            let slot = view.slot(intent.slot);
            let (old_head, seen) = view.current(slot)?;
            let change = Change { slot, old_head, old: seen.header, new: slot.cell_header(intent.cell) };
            change.apply_to(&mut state);
            let hash_in = |cell| view.hash_of_live_cell(slot, cell);
            let keeps_hash = !reuses_slots || hash_in(old_head.cell()) == hash_in(intent.cell);
            let finished = change.intent(intent.cell, view.geometry.key().is_some(), keeps_hash);
            tally.inserted_key_count += u64::from(finished.inserts_key);
            tally.removed_key_count += u64::from(finished.removes_key);
            tally.freed_slot_count += u64::from(finished.frees_slot);
            if finished != intent {
                view.put_intent(position, finished);
            }
        }
        Ok((state, tally))
    }
}

#[cold]
fn forked() -> Fault {
    Error::Forked.into()
}

#[cold]
fn list_too_long() -> Fault {
    Error::damaged("the intent list is longer than the table").into()
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.intent_count > 0 {
            self.undo();
        }
    }
}
