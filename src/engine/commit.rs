//! Steps 2 and 3 of every write, of one record or of many: preparing, which commits it, and publishing. Finishing what a dead
//! owner left half published means doing step 3 again, see [`repair`](super::repair).
//!
//! Invariants:
//!
//! 1. The sealed intent is complete before `PREPARED` gets the transaction's number, in one release store: the commit point.
//!    From then on the transaction has happened, whichever process dies.
//! 2. Publishing can be cut short after any store and done again from the start: doing a step twice is the same as doing it
//!    once. All that it needs is in the intent list, the cells that it names, and words that do not change meanwhile.
//! 3. Keys are put into the index before heads are published, and taken out after.
//! 4. The sealed newest state is written after everything that it describes, then `LAST`; then the list is emptied. The last
//!    two are releases, so that the compiler too keeps this order for a repairer. In the model checker no thread can die
//!    between them, so it does not see that.
//!
//! So a list that is not empty is in one of three states: being staged (`USED` above `PREPARED`); prepared or being published
//! (`PREPARED` above `LAST`); published but not emptied yet (all three the same).

use crate::error::{Error, Fault, Internal};
use crate::format::cell::{Head, Intent};
use crate::format::control::{FREE_COUNT, FREE_COUNT_NEXT, INTENDED_STATE, INTENT_COUNT, LAST, NEWEST_STATE, PREPARED};
use crate::format::sync_record::{STATE_WORDS, State};
use crate::layout::index::KeyHash;
use crate::layout::slot::Slot;
use crate::layout::view::TableView;
use crate::sys::words::Ordering;

/// What the changes of a transaction amount to, so that steps with nothing to do are left out.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    pub inserted_key_count: u64,
    pub removed_key_count: u64,
    pub freed_slot_count: u64,
    /// How many slots were taken from the free stack.
    pub taken_slot_count: u64,
}

impl Tally {
    pub const NOTHING: Tally =
        Tally { inserted_key_count: 0, removed_key_count: 0, freed_slot_count: 0, taken_slot_count: 0 };

    /// For a repair, which does not know the counts.
    pub const ALL: Tally =
        Tally { inserted_key_count: 1, removed_key_count: 1, freed_slot_count: 1, taken_slot_count: 1 };
}

/// The changes of a transaction, in the order of its intent list.
pub trait Changes<'a>: Copy {
    fn each(self, view: TableView<'a>) -> impl DoubleEndedIterator<Item = Internal<(Slot<'a>, Intent)>>;

    /// Whether the new content is a record and not a tombstone.
    fn is_live(self, slot: Slot<'_>, intent: Intent) -> bool;

    /// The hash of the key that comes with the new content.
    fn inserted_hash(self, view: TableView<'_>, slot: Slot<'_>, intent: Intent) -> Option<KeyHash>;

    /// The hash of the key that goes with the old content.
    fn removed_hash(self, view: TableView<'_>, slot: Slot<'_>, intent: Intent) -> Option<KeyHash>;
}

/// The change of a transaction of one record, with what was known when it was staged.
#[derive(Clone, Copy)]
pub struct OneChange<'a> {
    pub slot: Slot<'a>,
    pub intent: Intent,
    pub is_live: bool,
    /// The hash of the key, if it comes or goes.
    pub hash: Option<KeyHash>,
}

impl OneChange<'_> {
    #[inline(always)]
    pub fn tally(self, taken_slot_count: u64) -> Tally {
        Tally {
            inserted_key_count: u64::from(self.intent.inserts_key),
            removed_key_count: u64::from(self.intent.removes_key),
            freed_slot_count: u64::from(self.intent.frees_slot),
            taken_slot_count,
        }
    }
}

/// The changes on the intent list, which may be those of a dead owner: everything is read from the file.
#[derive(Clone, Copy)]
pub struct ListedChanges {
    pub count: usize,
}

impl<'a> TableView<'a> {
    /// Steps 2 and 3. The intent list is complete; `state` is what it leads to.
    #[inline(always)]
    pub fn commit(self, state: State, changes: impl Changes<'a>, tally: Tally) -> Internal<()> {
        let sealed = self.prepare(state, tally);
        // From here on the transaction has happened: whatever comes, it will be finished and not undone.
        self.publish(sealed, changes, tally)
    }

    /// Step 2: prepare.
    #[inline(always)]
    fn prepare(self, state: State, tally: Tally) -> [u64; STATE_WORDS] {
        let control = self.control;
        // 2.1. Room in the index for the keys that will be put in. It is made now, since readers can go on looking while it is
        // made.
        if tally.inserted_key_count > 0 && self.index().needs_rebuild(tally.inserted_key_count, state.live_count) {
            self.index().rebuild(tally.inserted_key_count);
        }
        // 2.2. How high the free stack will be.
        if tally.taken_slot_count + tally.freed_slot_count > 0 {
            let left_count = control.load(FREE_COUNT, Ordering::Relaxed).wrapping_sub(tally.taken_slot_count);
            control.store(FREE_COUNT_NEXT, left_count.wrapping_add(tally.freed_slot_count), Ordering::Relaxed);
        }
        // 2.3. The state that all this leads to.
        let sealed = state.to_words(self.digest_seed);
        self.put_state(INTENDED_STATE, sealed);
        // 2.4. The commit point.
        control.store(PREPARED, state.number, Ordering::Release);
        sealed
    }

    /// Step 3: publish what was prepared. Under the write mutex.
    #[inline(always)]
    pub fn publish(self, state: [u64; STATE_WORDS], changes: impl Changes<'a>, tally: Tally) -> Internal<()> {
        let [number, ..] = state;
        // 3.1. The keys that come.
        if tally.inserted_key_count > 0 {
            for change in changes.each(self) {
                let (slot, intent) = change?;
                if intent.inserts_key {
                    if let Some(hash) = changes.inserted_hash(self, slot, intent) {
                        self.insert_key(slot, hash)?;
                    }
                }
            }
        }
        // 3.2. The heads.
        for change in changes.each(self) {
            let (slot, intent) = change?;
            slot.publish(Head::new(number, changes.is_live(slot, intent), intent.cell));
        }
        // 3.3. The keys that go.
        if tally.removed_key_count > 0 {
            for change in changes.each(self) {
                let (slot, intent) = change?;
                if intent.removes_key {
                    if let Some(hash) = changes.removed_hash(self, slot, intent) {
                        self.index().remove(hash, slot.index());
                    }
                }
            }
        }
        // 3.4. The slots that became free go on top of the stack; those that were taken may be overwritten. Their places are
        // counted down from what the top will be, which stays the same when this is done again.
        if tally.taken_slot_count + tally.freed_slot_count > 0 {
            let free_count = self.control.load(FREE_COUNT_NEXT, Ordering::Relaxed);
            let mut position = free_count;
            for change in changes.each(self).rev() {
                let (slot, intent) = change?;
                if intent.frees_slot {
                    position = position.wrapping_sub(1);
                    self.put_free_stack_entry(position, slot.index())?;
                }
            }
            self.control.store(FREE_COUNT, free_count, Ordering::Relaxed);
        }
        // 3.5. The newest state is what was prepared.
        self.put_state(NEWEST_STATE, state);
        self.control.store(LAST, number, Ordering::Release);
        // 3.6. Nothing is in progress.
        self.control.store(INTENT_COUNT, 0, Ordering::Release);
        Ok(())
    }

    #[inline(always)]
    fn insert_key(self, slot: Slot<'_>, hash: KeyHash) -> Internal<()> {
        if self.index().insert(hash, slot.index()) { Ok(()) } else { Err(index_full()) }
    }
}

impl<'a> Changes<'a> for OneChange<'a> {
    #[inline(always)]
    fn each(self, _: TableView<'a>) -> impl DoubleEndedIterator<Item = Internal<(Slot<'a>, Intent)>> {
        std::iter::once(Ok((self.slot, self.intent)))
    }

    #[inline(always)]
    fn is_live(self, _: Slot<'_>, _: Intent) -> bool {
        self.is_live
    }

    #[inline(always)]
    fn inserted_hash(self, _: TableView<'_>, _: Slot<'_>, _: Intent) -> Option<KeyHash> {
        self.hash
    }

    #[inline(always)]
    fn removed_hash(self, _: TableView<'_>, _: Slot<'_>, _: Intent) -> Option<KeyHash> {
        self.hash
    }
}

impl<'a> Changes<'a> for ListedChanges {
    fn each(self, view: TableView<'a>) -> impl DoubleEndedIterator<Item = Internal<(Slot<'a>, Intent)>> {
        (0..self.count).map(move |position| {
            let intent = view.intent(position)?;
            Ok((view.slot(intent.slot), intent))
        })
    }

    fn is_live(self, slot: Slot<'_>, intent: Intent) -> bool {
        slot.cell_header(intent.cell).is_live
    }

    fn inserted_hash(self, view: TableView<'_>, slot: Slot<'_>, intent: Intent) -> Option<KeyHash> {
        view.hash_of_live_cell(slot, intent.cell)
    }

    fn removed_hash(self, view: TableView<'_>, slot: Slot<'_>, intent: Intent) -> Option<KeyHash> {
        view.hash_of_live_cell(slot, intent.old_cell)
    }
}

#[cold]
fn index_full() -> Fault {
    Error::damaged("the index is full, which its size makes impossible").into()
}
