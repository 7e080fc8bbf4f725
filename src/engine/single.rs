//! Operations on one record: transactions with a list of one.
//!
//! They take the same steps as a [`Transaction`](crate::engine::transaction::Transaction), those of [`stage`](super::stage) and
//! [`commit`](super::commit). But they know what a transaction has to look up again, since nothing happens in between.
//!
//! Whatever can be done before the lock is taken is done before: the checksum, the hash, and touching the pages of the slot.

use super::{Encoded, Store};
use crate::engine::change::{Change, NewContent, VisibleCell};
use crate::engine::commit::OneChange;
use crate::engine::guard::WriteGuard;
use crate::engine::read::Meta;
use crate::error::{Error, Internal};
use crate::format::cell::Head;
use crate::format::control::FREE_COUNT;
use crate::layout::index::KeyHash;
use crate::layout::view::TableView;
use crate::record_id::RecordId;
use crate::sys::words::Ordering;

impl Store {
    /// Inserts a record.
    #[inline(always)]
    pub fn insert(&self, record: Encoded<'_>) -> Internal<Meta> {
        self.touch_next_free_slot();
        let hash = self.hash_of_key(record.payload);
        self.under_lock(|view| match view.locate(record.payload, hash)? {
            Some(slot) => Err(self.duplicate_key_in(slot, record)),
            None => insert(view, record, hash),
        })
    }

    /// Writes new content into a record, if it is the version that is expected.
    #[inline(always)]
    pub fn update(&self, id: RecordId, expected_version: Option<u64>, record: Encoded<'_>) -> Internal<Meta> {
        self.touch_slot(id.slot());
        self.under_lock(|view| {
            let (head, seen) = view.current(view.slot_of(id)?)?;
            seen.expect(id, expected_version)?;
            if !seen.slot.has_key_of(seen.cell, view.geometry, record.payload) {
                return Err(Error::KeyChanged.into());
            }
            write(view, head, seen, NewContent::update(seen.header, record), 0, None)
        })
    }

    /// Deletes a record, if it is the version that is expected.
    #[inline(always)]
    pub fn delete(&self, id: RecordId, expected_version: Option<u64>) -> Internal<Meta> {
        self.touch_slot(id.slot());
        self.under_lock(|view| {
            let (head, seen) = view.current(view.slot_of(id)?)?;
            seen.expect(id, expected_version)?;
            let hash = view.hash_of_key_in(seen.slot, seen.cell);
            write(view, head, seen, NewContent::delete(seen.header), 0, hash)
        })
    }

    /// Inserts a record or writes it over the one with its key.
    pub fn upsert(&self, record: Encoded<'_>) -> Internal<Meta> {
        let hash = self.hash_of_key(record.payload);
        let guess = self.touch_slot_with_key(record, hash);
        self.under_lock(|view| {
            let located = match guess {
                Some(slot) if view.is_live_with_key_of(slot, record.payload) => guess,
                _ => view.locate(record.payload, hash)?,
            };
            match located {
                Some(slot) => {
                    let (head, seen) = view.current(view.slot(slot))?;
                    write(view, head, seen, NewContent::update(seen.header, record), 0, None)
                }
                None => insert(view, record, hash),
            }
        })
    }

    /// Touches the slot that has the key of a record, or the slot that the next insert will probably get. Returns the slot that
    /// has the key, as far as that can be known without the lock.
    #[inline(always)]
    fn touch_slot_with_key(&self, record: Encoded<'_>, hash: KeyHash) -> Option<u32> {
        if !self.syncs_are_made() {
            return None;
        }
        let located = self.view().locate(record.payload, hash).ok().flatten();
        match located {
            Some(slot) => self.touch_slot(slot),
            None => self.touch_next_free_slot(),
        }
        located
    }

    /// Touches the slot that the next insert will probably get. If it is another one by then, that does no harm.
    #[inline(always)]
    pub(super) fn touch_next_free_slot(&self) {
        if self.syncs_are_made() {
            let view = self.view();
            let free_count = view.control.load(FREE_COUNT, Ordering::Relaxed);
            if let Ok(slot) = view.free_stack_entry(free_count.wrapping_sub(1)) {
                self.touch_slot(slot);
            }
        }
    }

    #[inline(always)]
    fn under_lock<'a>(&'a self, operation: impl FnOnce(TableView<'a>) -> Internal<Meta>) -> Internal<Meta> {
        let guard = WriteGuard::lock(self)?;
        let meta = operation(self.view())?;
        // A sync takes the write mutex itself.
        drop(guard);
        self.sync_if_due()?;
        Ok(meta)
    }
}

/// Inserts a record whose key is not there.
#[inline(always)]
fn insert(view: TableView<'_>, record: Encoded<'_>, hash: KeyHash) -> Internal<Meta> {
    let Some(slot) = view.free_slot(0)? else { return Err(view.full()) };
    let (head, seen) = view.current(view.slot(slot))?;
    let next = view.insertion(seen.header, record)?;
    write(view, head, seen, next, 1, Some(hash))
}

/// Makes the next content of a slot current. `hash` is the hash of the key, if the key comes or goes.
#[inline(always)]
fn write(
    view: TableView<'_>,
    old_head: Head,
    VisibleCell { slot, header: old, .. }: VisibleCell<'_>,
    next: NewContent<'_>,
    taken_slot_count: u64,
    hash: Option<KeyHash>,
) -> Internal<Meta> {
    let mut state = view.newest_state()?;
    // 1. Stage.
    state.number = view.take_number()?;
    let cell = view.choose_cell(slot, old_head);
    let change = Change { slot, old_head, old, new: next.header(state.number) };
    let intent = change.intent(cell, hash.is_some() && view.geometry.key().is_some(), true);
    view.list(0, intent);
    slot.stage(cell, change.new, next.payload());
    // 2. and 3.
    change.apply_to(&mut state);
    let one = OneChange { slot, intent, is_live: change.new.is_live, hash };
    view.commit(state, one, one.tally(taken_slot_count))?;
    Ok(Meta::new(slot.index(), change.new))
}
