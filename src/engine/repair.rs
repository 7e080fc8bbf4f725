//! Repairing what a dead owner of the write mutex left: rolled forward if it was prepared, else rolled back.
//!
//! Invariants:
//!
//! 1. What was prepared is published, by the same steps as by its owner, done again from the start.
//! 2. What was not prepared is undone: its cells are wiped. Its number stays burned (`USED`). So do the generations of the
//!    records that it inserted (`GENERATION_FLOOR`), since their ids may have been told to others; this is stored before the
//!    cells that say which they are are wiped.
//! 3. A repair can be cut short after any store and done again from the start.

use super::Store;
use super::commit::{ListedChanges, Tally};
use crate::error::{Error, Internal};
use crate::format::cell::GENERATION_LIMIT;
use crate::format::control::{
    FREE_COUNT, FREE_COUNT_NEXT, GENERATION_FLOOR, INTENDED_STATE, INTENT_COUNT, LAST, PREPARED,
    REPAIRED_PREPARED_COUNT, REPAIRED_PUBLISHING_COUNT, REPAIRED_STAGING_COUNT, USED,
};
use crate::layout::view::TableView;
use crate::sys::words::Ordering;

impl Store {
    /// Finishes or undoes what the previous owner left half done. Under the write mutex.
    pub(super) fn repair(&self, owner_died: bool) -> Internal<()> {
        let view = self.view();
        let control = view.control;
        let intent_count = view.intent_count()?;
        let prepared = control.load(PREPARED, Ordering::Relaxed);
        let counter = if prepared != control.load(LAST, Ordering::Relaxed) {
            let Some(state) = view.state(INTENDED_STATE).filter(|state| state.number == prepared) else {
                return Err(Error::damaged(format!(
                    "transaction {prepared} is prepared, and its intent does not verify"
                ))
                .into());
            };
            let counter = if view.is_partly_published(prepared, intent_count) {
                REPAIRED_PUBLISHING_COUNT
            } else {
                REPAIRED_PREPARED_COUNT
            };
            view.publish(state.to_words(self.digest_seed), ListedChanges { count: intent_count }, Tally::ALL)?;
            counter
        } else if control.load(USED, Ordering::Relaxed) > prepared {
            view.undo(intent_count);
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

impl TableView<'_> {
    /// Undoes what was staged and not prepared. Under the write mutex.
    pub fn undo(self, intent_count: usize) {
        let control = self.control;
        self.burn_generations(intent_count);
        for position in 0..intent_count {
            if let Ok(intent) = self.intent(position) {
                self.slot(intent.slot).wipe(intent.cell);
            }
        }
        // The next transaction may not use the free stack, and then it does not store this word either.
        control.store(FREE_COUNT_NEXT, control.load(FREE_COUNT, Ordering::Relaxed), Ordering::Relaxed);
        control.store(INTENT_COUNT, 0, Ordering::Release);
    }

    /// Makes sure that no id that the transaction has given out is given out again: the ids of new records are above the floor.
    fn burn_generations(self, intent_count: usize) {
        let used = self.control.load(USED, Ordering::Relaxed);
        let floor = self.control.load(GENERATION_FLOOR, Ordering::Relaxed);
        let given_out = (0..intent_count).filter_map(|position| {
            let intent = self.intent(position).ok()?;
            let slot = self.slot(intent.slot);
            let (head, staged) = (slot.head(), slot.cell_header(intent.cell));
            let before = if head.exists() { slot.cell_header(head.cell()).generation } else { 0 };
            // A cell that is being staged has the number 0, also if it was staged before in this transaction, and its id was told.
            ([0, used].contains(&staged.number) && staged.generation > before).then_some(staged.generation)
        });
        // The next insert gets a generation above this one, so one that leaves no next generation does not count.
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
