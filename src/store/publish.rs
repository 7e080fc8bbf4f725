//! Publishing what was prepared, and repairing what a dead owner left: the same steps.
//!
//! Invariants:
//!
//! 1. Publishing can be cut short after any store and done again from the start: every step is the same done twice. All
//!    that it needs is in the intent list, the cells that it names, and words that do not change meanwhile.
//! 2. Keys are put into the index before heads are published, and taken out after.
//! 3. The sealed newest state is written after everything that it describes, then `LAST`, then the list is emptied.
//! 4. What was not prepared is undone: its cells are wiped. Its number stays burned (`USED`).
//!
//! So a list that is not empty is one of: being staged (`USED` above `PREPARED`); prepared or being published
//! (`PREPARED` above `LAST`); published, and only not emptied yet (all three the same).

use super::Store;
use crate::error::{Error, Result};
use crate::format::cell::{Head, Intent};
use crate::format::commit_record::{STATE_WORDS, State};
use crate::format::control::{
    FREE_RETURNED, FREE_RETURNED_NEXT, FREE_TAKEN, FREE_TAKEN_NEXT, INTENT, INTENT_COUNT, LAST, NEWEST, PREPARED,
    REPAIRED_PREPARED_COUNT, REPAIRED_PUBLISHING_COUNT, REPAIRED_STAGING_COUNT, USED,
};
use crate::format::geometry::widen;
use crate::shm::index::KeyHash;
use crate::shm::slot;
use crate::shm::words::Ordering;

impl Store {
    /// Publishes a prepared transaction. Under the write mutex.
    pub(super) fn publish(&self, state: State, intent_count: usize) -> Result<()> {
        let (words, geometry, control) = (self.words(), &self.geometry, self.control());
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            if intent.inserts_key {
                if let Some(hash) = self.hash_of_live_cell(intent.slot, intent.cell) {
                    if !self.index().insert(hash, intent.slot) {
                        return Err(Error::damaged("the index is full, which its size makes impossible"));
                    }
                }
            }
        }
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            let header = slot::cell_header(words, geometry, intent.slot, intent.cell);
            slot::publish(words, geometry, intent.slot, Head::new(state.number, header.is_live, intent.cell));
        }
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            if intent.removes_key {
                if let Some(hash) = self.hash_of_live_cell(intent.slot, intent.old_cell) {
                    self.index().remove(hash, intent.slot);
                }
            }
        }
        self.publish_free_slots(intent_count)?;
        self.put_state(NEWEST, state);
        control.store(LAST, state.number, Ordering::Release);
        control.store(INTENT_COUNT, 0, Ordering::Release);
        Ok(())
    }

    /// Puts the slots that became free at the end of the ring. Their places are counted back from what the end will be,
    /// which does not change when this is done again.
    fn publish_free_slots(&self, intent_count: usize) -> Result<()> {
        let control = self.control();
        let returned = control.load(FREE_RETURNED_NEXT, Ordering::Relaxed);
        let taken = control.load(FREE_TAKEN_NEXT, Ordering::Relaxed);
        let mut left = returned;
        for position in (0..intent_count).rev() {
            let intent = self.intent(position)?;
            if intent.frees_slot {
                left = left.wrapping_sub(1);
                self.put_free_ring_entry(left, intent.slot);
            }
        }
        control.store(FREE_RETURNED, returned, Ordering::Relaxed);
        control.store(FREE_TAKEN, taken, Ordering::Relaxed);
        Ok(())
    }

    /// Undoes what was staged and not prepared. Under the write mutex.
    pub(super) fn undo(&self, intent_count: usize) {
        for position in 0..intent_count {
            if let Ok(intent) = self.intent(position) {
                slot::wipe(self.words(), &self.geometry, intent.slot, intent.cell);
            }
        }
        self.control().store(INTENT_COUNT, 0, Ordering::Release);
    }

    /// Finishes or undoes what the owner before left half done. Under the write mutex.
    pub(super) fn repair(&self, owner_died: bool) -> Result<()> {
        let control = self.control();
        let intent_count = self.intent_count()?;
        let prepared = control.load(PREPARED, Ordering::Relaxed);
        let counter = if prepared != control.load(LAST, Ordering::Relaxed) {
            let Some(state) = self.state(INTENT).filter(|state| state.number == prepared) else {
                return Err(Error::damaged(format!(
                    "transaction {prepared} is prepared, and its intent does not verify"
                )));
            };
            let counter = if self.is_partly_published(prepared, intent_count) {
                REPAIRED_PUBLISHING_COUNT
            } else {
                REPAIRED_PREPARED_COUNT
            };
            self.publish(state, intent_count)?;
            counter
        } else if control.load(USED, Ordering::Relaxed) > prepared {
            self.undo(intent_count);
            REPAIRED_STAGING_COUNT
        } else {
            control.store(INTENT_COUNT, 0, Ordering::Release);
            REPAIRED_PUBLISHING_COUNT
        };
        if owner_died {
            self.count(counter);
        }
        Ok(())
    }

    /// Whether some head has the number of the prepared transaction already.
    pub(super) fn is_partly_published(&self, prepared: u64, intent_count: usize) -> bool {
        (0..intent_count).any(|position| {
            self.intent(position)
                .is_ok_and(|intent| slot::head(self.words(), &self.geometry, intent.slot).number() == prepared)
        })
    }

    // -- words of the control group ----------------------------------------------------------------

    /// One entry of the intent list.
    #[inline]
    pub(super) fn intent(&self, position: usize) -> Result<Intent> {
        let word = self.words().load(self.geometry.intents() + position, Ordering::Relaxed);
        Intent::from_word(word, self.geometry.capacity())
    }

    pub(super) fn put_intent(&self, position: usize, intent: Intent) {
        self.words().store(self.geometry.intents() + position, intent.to_word(), Ordering::Release);
    }

    /// How many entries the intent list has.
    pub(super) fn intent_count(&self) -> Result<usize> {
        let count = self.control().load(INTENT_COUNT, Ordering::Relaxed);
        usize::try_from(count).ok().filter(|count| *count <= widen(self.geometry.capacity())).ok_or_else(|| {
            Error::damaged(format!("the intent list has {count} entries in a table of {}", self.geometry.capacity()))
        })
    }

    /// A sealed state, if it verifies.
    #[inline]
    pub(super) fn state(&self, at: usize) -> Option<State> {
        State::from_words(self.control().to_array::<STATE_WORDS>(at), self.digest_seed)
    }

    /// The sealed newest state. Under the write mutex it always verifies.
    #[inline]
    pub(super) fn newest_state(&self) -> Result<State> {
        self.state(NEWEST).ok_or_else(|| Error::damaged("the newest state does not verify"))
    }

    pub(super) fn put_state(&self, at: usize, state: State) {
        for (offset, word) in state.to_words(self.digest_seed).into_iter().enumerate() {
            self.control().store(at + offset, word, Ordering::Relaxed);
        }
    }

    fn free_ring_index(&self, count: u64) -> usize {
        let position = count % u64::from(self.geometry.capacity());
        self.geometry.free_ring() + usize::try_from(position).unwrap_or(0)
    }

    /// The slot at a position of the free ring, counted from the beginning of time.
    pub(super) fn free_ring_entry(&self, count: u64) -> Result<u32> {
        let word = self.words().load(self.free_ring_index(count), Ordering::Relaxed);
        u32::try_from(word)
            .ok()
            .filter(|slot| *slot < self.geometry.capacity())
            .ok_or_else(|| Error::damaged(format!("the free ring names slot {word} of {}", self.geometry.capacity())))
    }

    pub(super) fn put_free_ring_entry(&self, count: u64, slot: u32) {
        self.words().store(self.free_ring_index(count), u64::from(slot), Ordering::Relaxed);
    }

    // -- keys in cells -----------------------------------------------------------------------------

    /// The hash of the key in a cell; `None` without a key, or if the cell is a tombstone.
    pub(super) fn hash_of_live_cell(&self, slot: u32, cell: u32) -> Option<KeyHash> {
        let key = self.geometry.key()?;
        let header = slot::cell_header(self.words(), &self.geometry, slot, cell);
        if !header.is_live {
            return None;
        }
        let mut bytes = Vec::with_capacity(key.key_bytes);
        self.for_key_bytes(slot, cell, |part| {
            bytes.extend_from_slice(part);
            true
        });
        Some(self.hash(&bytes))
    }

    /// Whether the record in a cell has this key.
    pub(super) fn cell_has_key(&self, slot: u32, cell: u32, key: &[u8]) -> bool {
        let mut rest = key;
        self.for_key_bytes(slot, cell, |part| match rest.strip_prefix(part) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        }) && rest.is_empty()
    }

    /// Calls `visit` with the key's bytes, word by word, as long as it returns true.
    fn for_key_bytes(&self, slot: u32, cell: u32, mut visit: impl FnMut(&[u8]) -> bool) -> bool {
        let Some(key) = self.geometry.key() else { return true };
        let payload = self.geometry.cell(slot, cell) + crate::format::cell::CELL_HEADER_WORDS;
        let (start, end) = (key.offset_bytes, key.offset_bytes + key.key_bytes);
        for index in start / 8..end.div_ceil(8) {
            let bytes = self.words().load(payload + index, Ordering::Relaxed).to_ne_bytes();
            let from = start.saturating_sub(index * 8);
            let to = (end - index * 8).min(8);
            if !bytes.get(from..to).is_some_and(&mut visit) {
                return false;
            }
        }
        true
    }
}
