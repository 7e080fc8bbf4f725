//! A table's words and how they lie, for the length of one operation: so an operation looks up only once where its
//! table is, and the compiler can keep that in registers.

use crate::error::{Error, Fault, Internal};
use crate::format::cell::Intent;
use crate::format::control::{CONTROL_WORDS, INTENT_COUNT, NEWEST_STATE};
use crate::format::geometry::{Geometry, widen};
use crate::format::sync_record::{STATE_WORDS, State};
use crate::layout::index::{Index, KeyHash};
use crate::layout::slot::Slot;
use crate::sys::words::{FixedWords, Ordering, Words};

/// The control region.
pub type Control<'a> = FixedWords<'a, CONTROL_WORDS>;

/// A table's words and how they lie.
#[derive(Clone, Copy)]
pub struct TableView<'a> {
    pub words: Words<'a>,
    pub control: Control<'a>,
    pub geometry: &'a Geometry,
    pub digest_seed: u64,
    pub hash_seed: u64,
}

impl<'a> TableView<'a> {
    /// A slot, which must be below the capacity.
    #[inline(always)]
    pub fn slot(self, index: u32) -> Slot<'a> {
        Slot::new(self.words, self.geometry, index)
    }

    #[inline(always)]
    pub fn index(self) -> Index<'a> {
        Index::new(self.words, self.control, self.geometry)
    }

    /// One entry of the intent list.
    #[inline(always)]
    pub fn intent(self, position: usize) -> Internal<Intent> {
        let word = self.words.load(self.geometry.intents() + position, Ordering::Relaxed);
        Intent::from_word(word, self.geometry.capacity())
    }

    #[inline(always)]
    pub fn put_intent(self, position: usize, intent: Intent) {
        self.words.store(self.geometry.intents() + position, intent.to_word(), Ordering::Release);
    }

    /// How many entries the intent list has.
    pub fn intent_count(self) -> Internal<usize> {
        let count = self.control.load(INTENT_COUNT, Ordering::Relaxed);
        let capacity = self.geometry.capacity();
        usize::try_from(count).ok().filter(|count| *count <= widen(capacity)).ok_or_else(|| {
            Error::damaged(format!("the intent list has {count} entries in a table of {capacity}")).into()
        })
    }

    /// A sealed state, if it verifies.
    #[inline(always)]
    pub fn state(self, at: usize) -> Option<State> {
        State::from_words(self.control.to_array::<STATE_WORDS>(at), self.digest_seed)
    }

    /// The sealed newest state. Under the write mutex it always verifies.
    #[inline(always)]
    pub fn newest_state(self) -> Internal<State> {
        match self.state(NEWEST_STATE) {
            Some(state) => Ok(state),
            None => Err(unsealed()),
        }
    }

    #[inline(always)]
    pub fn put_state(self, at: usize, state: [u64; STATE_WORDS]) {
        for (offset, word) in state.into_iter().enumerate() {
            // Readers read the live count alone: one that sees it sees what it counts. And a reader that finds any word
            // of the next intended state sees the newest state that was stored before.
            self.control.store(at + offset, word, Ordering::Release);
        }
    }

    /// The place of a position of the free stack, counted from its bottom.
    #[inline(always)]
    fn free_stack_index(self, position: u64) -> Internal<usize> {
        match usize::try_from(position) {
            Ok(position) if position < widen(self.geometry.capacity()) => Ok(self.geometry.free_stack() + position),
            _ => Err(stray_free_count(position, self.geometry.capacity())),
        }
    }

    /// The slot at a position of the free stack.
    #[inline(always)]
    pub fn free_stack_entry(self, position: u64) -> Internal<u32> {
        let word = self.words.load(self.free_stack_index(position)?, Ordering::Relaxed);
        match u32::try_from(word) {
            Ok(slot) if slot < self.geometry.capacity() => Ok(slot),
            _ => Err(stray_free_slot(word, self.geometry.capacity())),
        }
    }

    #[inline(always)]
    pub fn put_free_stack_entry(self, position: u64, slot: u32) -> Internal<()> {
        self.words.store(self.free_stack_index(position)?, u64::from(slot), Ordering::Relaxed);
        Ok(())
    }

    /// The hash of the key in a cell; `None` without a key, or if the cell is a tombstone.
    pub fn hash_of_live_cell(self, slot: Slot<'_>, cell: u32) -> Option<KeyHash> {
        if slot.cell_header(cell).is_live { self.hash_of_key_in(slot, cell) } else { None }
    }

    /// The hash of the key in a cell that holds a record; `None` without a key.
    pub fn hash_of_key_in(self, slot: Slot<'_>, cell: u32) -> Option<KeyHash> {
        let key = self.geometry.key()?;
        // Only the words that the key lies in; on the stack, unless the key is long.
        let first_word = key.offset_bytes / 8;
        let word_count = (key.offset_bytes + key.key_bytes).div_ceil(8) - first_word;
        let mut short = [0; 8];
        let mut long = Vec::new();
        let words = match short.get_mut(..word_count) {
            Some(words) => words,
            None => {
                long.resize(word_count, 0);
                &mut long
            }
        };
        slot.payload(cell, first_word, word_count).copy_to(words);
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let key_start = key.offset_bytes % 8;
        Some(KeyHash::new(bytes.get(key_start..key_start + key.key_bytes)?, self.hash_seed))
    }
}

#[cold]
fn unsealed() -> Fault {
    Error::damaged("the newest state does not verify").into()
}

#[cold]
fn stray_free_count(position: u64, capacity: u32) -> Fault {
    Error::damaged(format!("the free stack reaches to position {position} in a table of {capacity}")).into()
}

#[cold]
fn stray_free_slot(word: u64, capacity: u32) -> Fault {
    Error::damaged(format!("the free stack names slot {word} of {capacity}")).into()
}
