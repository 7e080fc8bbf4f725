//! Publishing what was prepared, and repairing what a dead owner left: the same steps.
//!
//! Invariants:
//!
//! 1. Publishing can be cut short after any store and done again from the start: every step is the same done twice. All
//!    that it needs is in the intent list, the cells that it names, and words that do not change meanwhile.
//! 2. Keys are put into the index before heads are published, and taken out after.
//! 3. The sealed newest state is written after everything that it describes, then `LAST`, then the list is emptied.
//!    Each of the two is a release, so that the compiler too keeps this order for a repairer. The model checker lets nobody
//!    die in between, and does not see that.
//! 4. What was not prepared is undone: its cells are wiped. Its number stays burned (`USED`), and so do the generations of the
//!    records that it inserted (`GENERATION_FLOOR`), before the cells are wiped that say which: their ids may have been told.
//!
//! So a list that is not empty is one of: being staged (`USED` above `PREPARED`); prepared or being published
//! (`PREPARED` above `LAST`); published, and only not emptied yet (all three the same).

use crate::engine::Store;
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{GENERATION_LIMIT, Head, Intent};
use crate::format::control::{
    FREE_RETURNED, FREE_RETURNED_NEXT, FREE_TAKEN, FREE_TAKEN_NEXT, GENERATION_FLOOR, INTENDED_STATE, INTENT_COUNT,
    LAST, NEWEST_STATE, PREPARED, REPAIRED_PREPARED_COUNT, REPAIRED_PUBLISHING_COUNT, REPAIRED_STAGING_COUNT, USED,
};
use crate::format::sync_record::STATE_WORDS;
use crate::layout::index::KeyHash;
use crate::layout::slot::Slot;
use crate::layout::view::TableView;
use crate::sys::words::Ordering;

/// Which steps of publishing have anything to do.
#[derive(Clone, Copy)]
pub struct Steps {
    pub inserts_keys: bool,
    pub removes_keys: bool,
    pub moves_free_slots: bool,
}

impl Steps {
    /// For a repair, which does not know.
    const ALL: Steps = Steps { inserts_keys: true, removes_keys: true, moves_free_slots: true };
}

impl TableView<'_> {
    /// Publishes a prepared transaction. Under the write mutex.
    pub fn publish(self, state: [u64; STATE_WORDS], intent_count: usize, steps: Steps) -> Internal<()> {
        let [number, ..] = state;
        if steps.inserts_keys {
            self.insert_keys(intent_count)?;
        }
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            let slot = self.slot(intent.slot);
            slot.publish(Head::new(number, slot.cell_header(intent.cell).is_live, intent.cell));
        }
        if steps.removes_keys {
            self.remove_keys(intent_count)?;
        }
        if steps.moves_free_slots {
            // All of them can be decoded: they were, just now.
            self.move_free_slots((0..intent_count).filter_map(|position| self.intent(position).ok()));
        }
        self.finish(state);
        Ok(())
    }

    fn insert_keys(self, intent_count: usize) -> Internal<()> {
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            let slot = self.slot(intent.slot);
            if intent.inserts_key {
                if let Some(hash) = self.hash_of_live_cell(slot, intent.cell) {
                    self.insert_key(slot, hash)?;
                }
            }
        }
        Ok(())
    }

    fn remove_keys(self, intent_count: usize) -> Internal<()> {
        for position in 0..intent_count {
            let intent = self.intent(position)?;
            if intent.removes_key {
                if let Some(hash) = self.hash_of_live_cell(self.slot(intent.slot), intent.old_cell) {
                    self.index().remove(hash, intent.slot);
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub fn insert_key(self, slot: Slot<'_>, hash: KeyHash) -> Internal<()> {
        if self.index().insert(hash, slot.index()) { Ok(()) } else { Err(index_full()) }
    }

    /// Puts the slots that became free at the end of the ring. Their places are counted back from what the end will be,
    /// which does not change when this is done again.
    #[inline(always)]
    pub fn move_free_slots(self, intents: impl DoubleEndedIterator<Item = Intent>) {
        let control = self.control;
        let returned = control.load(FREE_RETURNED_NEXT, Ordering::Relaxed);
        let taken = control.load(FREE_TAKEN_NEXT, Ordering::Relaxed);
        let mut left = returned;
        for intent in intents.rev() {
            if intent.frees_slot {
                left = left.wrapping_sub(1);
                self.put_free_ring_entry(left, intent.slot);
            }
        }
        control.store(FREE_RETURNED, returned, Ordering::Relaxed);
        control.store(FREE_TAKEN, taken, Ordering::Relaxed);
    }

    /// The end of publishing: the newest state is what was prepared.
    #[inline(always)]
    pub fn finish(self, state: [u64; STATE_WORDS]) {
        let [number, ..] = state;
        self.put_state(NEWEST_STATE, state);
        self.control.store(LAST, number, Ordering::Release);
        self.control.store(INTENT_COUNT, 0, Ordering::Release);
    }

    /// Undoes what was staged and not prepared. Under the write mutex.
    pub fn undo(self, intent_count: usize) {
        let control = self.control;
        self.burn_generations(intent_count);
        for position in 0..intent_count {
            if let Ok(intent) = self.intent(position) {
                self.slot(intent.slot).wipe(intent.cell);
            }
        }
        // The next transaction may leave the ring alone, and then leaves these two alone too.
        control.store(FREE_TAKEN_NEXT, control.load(FREE_TAKEN, Ordering::Relaxed), Ordering::Relaxed);
        control.store(FREE_RETURNED_NEXT, control.load(FREE_RETURNED, Ordering::Relaxed), Ordering::Relaxed);
        control.store(INTENT_COUNT, 0, Ordering::Release);
    }

    /// Sees to it that no id is given out again that the transaction has given out: the ids of new records are above the floor.
    fn burn_generations(self, intent_count: usize) {
        let used = self.control.load(USED, Ordering::Relaxed);
        let floor = self.control.load(GENERATION_FLOOR, Ordering::Relaxed);
        let given_out = (0..intent_count).filter_map(|position| {
            let intent = self.intent(position).ok()?;
            let slot = self.slot(intent.slot);
            let (head, staged) = (slot.head(), slot.cell_header(intent.cell));
            let before = if head.exists() { slot.cell_header(head.cell()).generation } else { 0 };
            // A cell without the number was not finished, so its id has not been told.
            (staged.number == used && staged.generation > before).then_some(staged.generation)
        });
        // Whoever inserts next gets a generation above, so this is none that cannot be counted further.
        let highest = given_out.filter(|generation| *generation < GENERATION_LIMIT - 1).max().unwrap_or(0);
        if highest > floor {
            self.control.store(GENERATION_FLOOR, highest, Ordering::Relaxed);
        }
    }

    /// Whether some head has the number of the prepared transaction already.
    pub fn is_partly_published(self, prepared: u64, intent_count: usize) -> bool {
        (0..intent_count).any(|position| {
            self.intent(position).is_ok_and(|intent| self.slot(intent.slot).head().number() == prepared)
        })
    }
}

impl Store {
    /// Finishes or undoes what the owner before left half done. Under the write mutex.
    pub(super) fn repair(&self, owner_died: bool) -> Internal<()> {
        let shared = self.view();
        let control = shared.control;
        let intent_count = shared.intent_count()?;
        let prepared = control.load(PREPARED, Ordering::Relaxed);
        let counter = if prepared != control.load(LAST, Ordering::Relaxed) {
            let Some(state) = shared.state(INTENDED_STATE).filter(|state| state.number == prepared) else {
                return Err(Error::damaged(format!(
                    "transaction {prepared} is prepared, and its intent does not verify"
                ))
                .into());
            };
            let counter = if shared.is_partly_published(prepared, intent_count) {
                REPAIRED_PUBLISHING_COUNT
            } else {
                REPAIRED_PREPARED_COUNT
            };
            shared.publish(state.to_words(self.digest_seed), intent_count, Steps::ALL)?;
            counter
        } else if control.load(USED, Ordering::Relaxed) > prepared {
            shared.undo(intent_count);
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
}

#[cold]
fn index_full() -> Fault {
    Error::damaged("the index is full, which its size makes impossible").into()
}
