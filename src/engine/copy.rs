//! A private copy of the newest state, made while others write.
//!
//! A table that is written without a pause never stands still long enough to be copied. So it is copied slot by slot, and the
//! copy then catches up: each pass looks at all heads, which takes microseconds, and copies again only what changed.
//!
//! Invariants:
//!
//! 1. A pass is about the transaction whose number it finds in `PREPARED`: that one has happened, published or not, whichever
//!    process dies. Every cell with a number up to this one was prepared too: what was undone was wiped before anything later
//!    was prepared.
//! 2. Of each slot the copy holds one cell, whole: the cell had the same number before and after it was copied. It is the
//!    newest, up to the number of the pass, that any pass found. `PREPARED` only grows, and so do the numbers of the cells that
//!    are held.
//! 3. The copy is the table as that transaction left it if the digest over what it holds is the sealed one: a recovery believes
//!    a state for the same reason. The table does not have to stand still for that. If a slot was written once meanwhile, the
//!    cell that is wanted is still there, as the one before the current one; if it was written twice, the next pass is about a
//!    later number.
//! 4. The cells that are wanted are named by heads, and, until the transaction is published, by its intent list. Until another
//!    one is prepared they stay where they are. So a pass during which none was prepared has found all of them: if the digest
//!    does not fit then, the table is damaged.
//!
//! Memory ordering: `PREPARED` is loaded with acquire. It was stored with release after every cell with a number up to it was
//! filled, and after the heads of every transaction before it. `LAST` likewise was stored after the heads of its own
//! transaction. A pass that finds a cell overwritten has an acquire fence before it loads `PREPARED` again, and then loads a
//! later number. Two passes have to find the same number before anything is called damaged, so the model checker does not see
//! the orderings that only let a first pass find everything.

use super::{Access, Store};
use crate::error::{Error, Result, broken_invariant};
use crate::format::cell::{CellHeader, Head};
use crate::format::checksum::digest_of_cell;
use crate::format::control::{GENERATION_FLOOR, INTENDED_STATE, LAST, NEWEST_STATE, PREPARED};
use crate::format::gaps::Gaps;
use crate::format::geometry::{SYNC_RECORD_COUNT, widen};
use crate::format::sync_record::{State, SyncRecord};
use crate::layout::slot::visible_cell;
use crate::sys::deadline::Deadline;
use crate::sys::medium::Medium;
use crate::sys::words::{Ordering, fence};
use crate::sys::zeroed_words;

impl Store {
    /// A copy of the table as its newest transaction left it, in this process's memory. If writers write so much that no pass
    /// succeeds, it keeps trying for as long as the handle waits for a lock.
    pub fn copy_of_newest_state(&self) -> Result<Store> {
        let mut copy = CopyOfNewest::begin(self)?;
        let state = copy.catch_up()?;
        copy.into_store(state)
    }
}

/// A copy that is being made.
pub struct CopyOfNewest<'a> {
    store: &'a Store,
    /// The words of a table, of which only first cells are filled in.
    pub(super) words: Vec<u64>,
    /// The number of the cell that is held for each slot; 0 for none.
    numbers: Vec<u64>,
    /// The digest over what is held.
    digest: u64,
    live_count: u64,
    /// Which transaction the last pass was about.
    pub(super) number: u64,
    /// The slots that changed before the last pass or during it.
    changed: Vec<u32>,
    payload: Vec<u64>,
}

impl<'a> CopyOfNewest<'a> {
    pub fn begin(store: &'a Store) -> Result<Self> {
        let geometry = store.geometry();
        Ok(CopyOfNewest {
            store,
            words: zeroed_words(geometry.word_count()).map_err(Error::io("copy", store.path()))?,
            numbers: zeroed_words(widen(geometry.capacity())).map_err(Error::io("copy", store.path()))?,
            digest: store.digest_seed,
            live_count: 0,
            // No transaction has this number.
            number: 0,
            changed: Vec::new(),
            payload: vec![0; geometry.record_words()],
        })
    }

    /// Makes passes until the copy is in a state of the table, which it returns.
    pub fn catch_up(&mut self) -> Result<State> {
        let deadline = Deadline::after(self.store.settings.lock_timeout);
        let mut pass_count: u32 = 0;
        loop {
            self.store.check_usable()?;
            let number_before = self.number;
            self.number = self.store.control().load(PREPARED, Ordering::Acquire);
            if let Some(state) = self.pass() {
                return Ok(state);
            }
            if self.number == number_before {
                // Nothing was prepared during the pass before this one.
                let reason = format!("its records are not those of the newest state, transaction {number_before}");
                return Err(Error::damaged(reason));
            }
            pass_count = pass_count.saturating_add(1);
            if deadline.has_passed() {
                return Err(Error::SnapshotBusy { attempt_count: pass_count });
            }
        }
    }

    /// The number of the cell that is held for a slot; 0 for none.
    pub fn number_in(&self, slot: u32) -> u64 {
        self.numbers.get(widen(slot)).copied().unwrap_or(0)
    }

    /// The cell that is held for a slot, if it was ever written. After a catch-up it is the slot's visible one.
    pub fn cell(&self, slot: u32) -> Option<(CellHeader, &[u64])> {
        let first_word = self.store.geometry.cell(slot, 0);
        let cell = self.words.get(first_word..first_word + self.store.geometry.cell_words())?;
        let (header, payload) = cell.split_first_chunk()?;
        let header = CellHeader::from_words(*header);
        (header.number != 0).then_some((header, payload))
    }

    /// Makes one pass. Returns the state that the copy is in, if it is in one.
    fn pass(&mut self) -> Option<State> {
        let state = self.sealed_state()?;
        self.take_unpublished();
        // Slots that change often are looked at first, before they change twice.
        for slot in std::mem::take(&mut self.changed) {
            if self.take(slot) {
                self.changed.push(slot);
            }
        }
        let heads = self.store.words().part_of(self.store.geometry.heads(), self.numbers.len());
        for slot in 0..self.store.geometry.capacity() {
            let head = Head::from_word(heads.load(widen(slot), Ordering::Relaxed));
            if self.numbers.get(widen(slot)) != Some(&head.number()) {
                self.take(slot);
                self.changed.push(slot);
            }
        }
        // If something was overwritten before it was taken, a newer transaction is prepared: the next pass sees that.
        fence(Ordering::Acquire);
        ((self.digest, self.live_count) == (state.digest, state.live_count)).then_some(state)
    }

    /// The state that the transaction left: the intended state until it is published, and from then on the newest state, until
    /// another transaction is published.
    pub(super) fn sealed_state(&self) -> Option<State> {
        let sealed = |at| {
            let state = self.store.view().state(at);
            // A pass that reads the next intended state then finds this transaction published; one that reads the next newest
            // state then finds another transaction prepared.
            fence(Ordering::Acquire);
            state.filter(|state| state.number == self.number)
        };
        sealed(INTENDED_STATE).or_else(|| sealed(NEWEST_STATE))
    }

    /// Takes what is prepared and not published: no head names it yet.
    fn take_unpublished(&mut self) {
        let shared = self.store.view();
        if shared.control.load(LAST, Ordering::Acquire) == self.number {
            return;
        }
        for position in 0..shared.intent_count().unwrap_or(0) {
            if let Ok(intent) = shared.intent(position) {
                self.take(intent.slot);
            }
        }
        // If the list was that of a later transaction, this one was published, and then its heads are seen.
        fence(Ordering::Acquire);
    }

    /// Takes the newest cell of a slot up to the number, if it is newer than the one that is held. Returns whether it did.
    fn take(&mut self, index: u32) -> bool {
        let slot = self.store.slot(index);
        let Some(held) = self.numbers.get(widen(index)).copied() else {
            broken_invariant("a copy has a number for each slot");
        };
        let numbers = slot.cell_numbers();
        let Some(cell) = visible_cell(numbers, self.number) else { return false };
        let Some(number) = numbers.get(widen(cell)).copied().filter(|number| *number > held) else { return false };
        match slot.copy(Head::new(number, true, cell), &mut self.payload) {
            Some(header) => self.hold(index, header),
            None => return false,
        }
        true
    }

    /// Holds the cell that was copied instead of the one before.
    fn hold(&mut self, slot: u32, new: CellHeader) {
        let first_cell = self.store.geometry.cell(slot, 0);
        let cell = self.words.get_mut(first_cell..first_cell + self.store.geometry.cell_words());
        let (Some([first, second, third, payload @ ..]), Some(number)) = (cell, self.numbers.get_mut(widen(slot)))
        else {
            return;
        };
        let old = CellHeader::from_words([*first, *second, *third]);
        if old.number != 0 {
            self.digest = self.digest.wrapping_sub(digest_of_cell(slot, old.number, old.check));
            self.live_count = self.live_count.wrapping_sub(u64::from(old.is_live));
        }
        self.digest = self.digest.wrapping_add(digest_of_cell(slot, new.number, new.check));
        self.live_count = self.live_count.wrapping_add(u64::from(new.is_live));
        [*first, *second, *third] = new.to_words();
        payload.copy_from_slice(&self.payload);
        *number = new.number;
    }

    /// The copy as a table in order, with heads, index and free stack made from what is held.
    fn into_store(self, state: State) -> Result<Store> {
        let Store { header, settings, geometry, .. } = self.store;
        let medium = Medium::private(self.words, geometry.control()).map_err(Error::io("copy", self.store.path()))?;
        let copy = Store::new(medium, header.clone(), settings.clone(), Access::PrivateCopy, None);
        let generation_floor = self.store.control().load(GENERATION_FLOOR, Ordering::Relaxed);
        let wall_time_microseconds = (settings.wall_clock)();
        let predecessor = state.number;
        let gaps = self.store.gaps().unwrap_or(Gaps::forgotten(state.number));
        let record = SyncRecord { state, predecessor, generation_floor, wall_time_microseconds, gaps };
        (0..SYNC_RECORD_COUNT).for_each(|number| copy.put_sync_record(number, record));
        copy.rebuild_control(state, generation_floor)?;
        Ok(copy)
    }
}
