//! Looking at a table without changing it: what checks and reports need to know besides the records.

use super::{Access, Store};
use crate::error::{Error, Result};
use crate::format::cell::{CellHeader, Head};
use crate::format::control::{
    CONTROL_WORDS, DEAD_SYNCER_COUNT, FLUSHING, FREE_COUNT, LAST_SYNC_MILLISECONDS, SUPERSEDED, SYNC_COUNT, WAITING,
    WAKE_COUNT,
};
use crate::format::sync_record::{State, SyncRecord};
use crate::layout::index::{Index, KeyHash};
use crate::sys::medium::Medium;
use crate::sys::words::{Ordering, fence};
use crate::sys::zeroed_words;
use std::ops::Range;

/// How often a copy is tried while others write.
pub const COPY_ATTEMPT_COUNT: u32 = 16;

impl Store {
    /// A copy of the table as it was at one moment, in this process's memory; `None` if others kept writing.
    ///
    /// Whatever a writer does, it first takes a number and then changes words of the control group, and it does not change them
    /// back. So if none of them changed while the cells were copied, the copy is what a repairer would have found if every
    /// process had died at that moment: the cells that are being staged are on the intent list. The fences are those of the
    /// read of a slot; here they cover thousands of words, which is more than the model checker can explore.
    pub fn copy_of_one_moment(&self) -> Result<Option<Store>> {
        let control_group = 0..self.geometry.sync_records();
        let error = || Error::io("copy", self.path());
        let mut words = zeroed_words(self.geometry.word_count()).map_err(error())?;
        let mut control_group_after = zeroed_words(control_group.len()).map_err(error())?;
        for _ in 0..COPY_ATTEMPT_COUNT {
            let (before, cells) = words.split_at_mut(control_group.end);
            self.words().part(control_group.clone()).copy_to(before);
            fence(Ordering::Acquire);
            self.words().part(self.geometry.durable_group()).copy_to(cells);
            fence(Ordering::Acquire);
            self.words().part(control_group.clone()).copy_to(&mut control_group_after);
            let is_same = |range: Range<usize>| before.get(range.clone()) == control_group_after.get(range);
            if self.compared_words().into_iter().all(is_same) {
                let medium = Medium::private(words, self.geometry.control()).map_err(Error::io("copy", self.path()))?;
                let (header, settings) = (self.header.clone(), self.settings.clone());
                return Ok(Some(Store::new(medium, header, settings, Access::PrivateCopy, None)));
            }
        }
        Ok(None)
    }

    /// A copy that can be written to, of a table that no other process writes to.
    pub fn writable_copy(&self) -> Result<Store> {
        let mut copy = self.copy_of_one_moment()?.ok_or(Error::SnapshotBusy { attempt_count: COPY_ATTEMPT_COUNT })?;
        copy.access = Access::ReadWrite;
        Ok(copy)
    }

    /// Writes words from an index on, as a scribbler would.
    #[cfg(test)]
    pub fn plant(&self, index: usize, words: &[u64]) {
        self.words().part(index..index + words.len()).copy_from(words);
    }

    /// Any word of the file.
    #[cfg(test)]
    pub fn word_at(&self, index: usize) -> u64 {
        self.words().load(index, Ordering::Relaxed)
    }

    /// The control group without the mutexes, and without words that also change when nothing is written or synced.
    fn compared_words(&self) -> [Range<usize>; 5] {
        let control = self.geometry.control();
        [
            control + SUPERSEDED..control + FLUSHING,
            control + LAST_SYNC_MILLISECONDS + 1..control + SYNC_COUNT,
            control + DEAD_SYNCER_COUNT + 1..control + WAITING,
            control + WAKE_COUNT + 1..control + CONTROL_WORDS,
            control + CONTROL_WORDS..self.geometry.sync_records(),
        ]
    }

    /// Finishes or undoes, in a copy, what a writer was doing when it was made. Returns whether the next writer would do so
    /// too: that one first proves that the control region belongs to the cells, and recovers the table if it does not.
    #[cfg(not(loom))]
    pub fn settle(&mut self) -> Result<bool> {
        self.check_is_copy()?;
        self.access = Access::ReadWrite;
        let is_proved = self.is_proved();
        self.access = Access::PrivateCopy;
        // What cannot be proved is looked at all the same. If nothing is half done, this changes nothing that is ever read.
        self.repair(false)?;
        is_proved
    }

    /// Recovers a copy, and says what was found.
    pub fn recover_copy(&self, is_same_boot: bool) -> Result<crate::engine::outcome::Recovery> {
        self.check_is_copy()?;
        Ok(crate::engine::outcome::Recovery { is_private_copy: true, ..self.recover(is_same_boot)? })
    }

    /// Only an error in this crate brings a handle here that can write to the file; the file must not suffer from it.
    fn check_is_copy(&self) -> Result<()> {
        match self.access {
            Access::PrivateCopy => Ok(()),
            Access::ReadWrite | Access::ReadOnly => Err(Error::ReadOnly { operation: "repairing" }),
        }
    }

    /// A word of the control region.
    pub fn control_word(&self, index: usize) -> u64 {
        self.control().load(index, Ordering::Acquire)
    }

    /// A sealed state, if it verifies.
    pub fn sealed_state(&self, at: usize) -> Option<State> {
        self.view().state(at)
    }

    /// Both sync records, each if it verifies.
    pub fn sync_records(&self) -> [Option<SyncRecord>; 2] {
        [0, 1].map(|record| self.sync_record(record))
    }

    /// Digest and live count of the table as it was at a transaction number.
    pub fn digest_and_live_count_at(&self, number: u64) -> (u64, u64) {
        self.digest_at(number)
    }

    /// The head of a slot, which must be below the capacity.
    pub fn head_of(&self, slot: u32) -> Head {
        self.slot(slot).head()
    }

    /// Copies a cell, whatever is in it. The slot must be below the capacity, and no other process may be writing.
    pub fn read_cell(&self, slot: u32, cell: u32, payload: &mut [u64]) -> CellHeader {
        self.slot(slot).read_cell(cell, payload)
    }

    /// The index; `None` if records have no key.
    pub fn key_index(&self) -> Option<Index<'_>> {
        self.geometry.key().map(|_| self.view().index())
    }

    /// The hash of a record's key.
    pub fn key_hash_of(&self, payload: &[u64]) -> Option<KeyHash> {
        self.geometry.key().map(|_| KeyHash::of_record(payload, &self.geometry, self.header.hash_seed))
    }

    /// The bytes of a record's key.
    pub fn key_bytes_of<'a>(&self, payload: &'a [u64]) -> Option<&'a [u8]> {
        self.geometry.key_bytes_of(payload)
    }

    /// How many slots are on the free stack.
    pub fn free_count(&self) -> u64 {
        self.control_word(FREE_COUNT)
    }

    /// The slot at a position of the free stack: 0 is the one that is taken last.
    pub fn free_slot(&self, position: u64) -> Result<u32> {
        Ok(self.view().free_stack_entry(position)?)
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::heap_store;
    use crate::engine::tests::world::{header, settings};
    use crate::format::control::{MUTEX_WORDS, SYNC_MUTEX, WRITE_MUTEX};

    #[test]
    fn a_copy_compares_all_but_the_mutexes_and_what_changes_without_a_write() {
        let store = heap_store(header(3), settings());
        let control = store.geometry.control();
        let mutexes = (WRITE_MUTEX..WRITE_MUTEX + MUTEX_WORDS).chain(SYNC_MUTEX..SYNC_MUTEX + MUTEX_WORDS);
        let counters = SYNC_COUNT..DEAD_SYNCER_COUNT + 1;
        let words = [FLUSHING, LAST_SYNC_MILLISECONDS, WAITING, WAKE_COUNT];
        let left_out: Vec<_> = mutexes.chain(words).chain(counters).collect();
        for index in 0..store.geometry.word_count() {
            let is_compared = store.compared_words().iter().any(|range| range.contains(&index));
            let is_in_group = (control..store.geometry.sync_records()).contains(&index);
            let is_left_out = left_out.iter().any(|word| control + word == index);
            assert_eq!(is_compared, is_in_group && !is_left_out, "word {index}");
        }
    }

    #[test]
    fn a_copy_can_be_settled_and_the_table_itself_cannot() {
        let mut store = heap_store(header(3), settings());
        let mut transaction = store.begin().unwrap();
        transaction.insert(crate::engine::Encoded::new(&[1, 2])).unwrap();
        let mut copy = store.copy_of_one_moment().unwrap().expect("nobody else writes");
        let intent_count = |table: &Store| table.view().intent_count().unwrap();
        assert_eq!(intent_count(&copy), 1);
        for _ in 0..2 {
            assert!(copy.settle().is_ok());
            assert_eq!([&copy, &store].map(intent_count), [0, 1]);
        }
        drop(transaction);
        assert!(matches!(store.settle(), Err(Error::ReadOnly { .. })));
        assert!(matches!(store.recover_copy(true), Err(Error::ReadOnly { .. })));
        assert!(copy.recover_copy(true).unwrap().is_private_copy);
    }
}
