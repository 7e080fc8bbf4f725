//! What one worker did, and the one operation it is doing: words outside the table that outlive the worker.
//!
//! A worker file is a worker's number. Its file of shared words holds its ledger, its counters and its latencies; when
//! a worker is killed its replacement takes over the worker file. One process at a time writes to a worker file, and
//! the parent reads and [settles](Ledger::settle) it only after it has reaped that process.
//!
//! # Invariants
//!
//! The worker makes every change as a list of single-word stores in a fixed order, and can be killed between any two:
//!
//! 1. `TARGET` is 0, or an operation is in flight and the other words of the in-flight line describe it: `begin` stores
//!    `TARGET` last, `acknowledge` and `abandon` clear it last.
//! 2. `begin` is complete before the table is called. So a write that is in the table and in no entry is in flight.
//! 3. While an operation is in flight and `ACKNOWLEDGED` is 0, no entry is being changed, and it is not known whether
//!    the operation happened.
//! 4. While an operation is in flight and `ACKNOWLEDGED` is a version, the table returned that version, and the entry
//!    of its key can be half old and half new: `settle` writes it again, whole. This is a redo log of one entry.
//! 5. Otherwise each entry is whole: version and content seed of this worker file's newest acknowledged write to that key, or
//!    0 for none. The versions in an entry only grow.
//!
//! `SIGKILL` arrives between two instructions, and the stores before it reach memory, in the end, as surely as if the
//! worker had gone on. So what matters is the order of the instructions, which the compiler decides: the same as
//! between a thread and its own signal handler, and what `compiler_fence` is for. No other process reads these words
//! before the parent has waited for the worker, so no ordering of the processor is needed; that keeps the ledger cheap.

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

/// The content seed of a write that left no record.
pub const DELETED: u64 = 0;

const TARGET: usize = 0;
const CONTENT_SEED: usize = 1;
const READ_VERSION: usize = 2;
const ACKNOWLEDGED: usize = 3;
const SYNCED: usize = 4;
/// The entries begin on a cache line of their own.
const ENTRIES: usize = 8;

/// How many words a ledger for this many keys takes.
pub const fn word_count(key_count: usize) -> usize {
    ENTRIES + 2 * key_count
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    Update,
    Insert,
    Delete,
}

/// A write that a worker is about to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    pub kind: WriteKind,
    pub key_index: u32,
    /// The seed that the payload is the expansion of; [`DELETED`] for a delete.
    pub content_seed: u64,
    /// The version that an update or a delete must find, 0 for an insert.
    pub read_version: u64,
}

impl Operation {
    /// Never 0. The kind is above the 32 bits of the key's index.
    fn target(&self) -> u64 {
        let kind = match self.kind {
            WriteKind::Update => 1,
            WriteKind::Insert => 2,
            WriteKind::Delete => 3,
        };
        (kind << 32) | u64::from(self.key_index)
    }
}

/// The newest acknowledged write of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub version: u64,
    pub content_seed: u64,
}

/// A view of the words of one worker file's ledger.
#[derive(Clone, Copy)]
pub struct Ledger<'words> {
    words: &'words [AtomicU64],
}

type Store = (usize, u64);

impl<'words> Ledger<'words> {
    pub fn new(words: &'words [AtomicU64]) -> Self {
        Ledger { words }
    }

    /// Records an operation before the table is asked to do it.
    pub fn begin(&self, operation: &Operation) {
        self.apply(&begin_stores(operation));
    }

    /// Records that the table did the operation that was begun, and as which version.
    pub fn acknowledge(&self, operation: &Operation, version: u64) {
        self.apply(&acknowledge_stores(operation, version));
    }

    /// Records that the table refused the operation that was begun.
    pub fn abandon(&self) {
        self.apply(&[(TARGET, 0)]);
    }

    /// Records what a sync returned: everything up to this number is on disk.
    pub fn acknowledge_sync(&self, number: u64) {
        self.apply(&[(SYNCED, number)]);
    }

    /// The highest number that a sync returned to this worker file.
    pub fn synced(&self) -> u64 {
        self.load(SYNCED)
    }

    /// What this worker file did to the key last, if anything.
    pub fn entry(&self, key_index: u32) -> Option<Entry> {
        let [version, content_seed] = entry_words(key_index);
        let entry = Entry { version: self.load(version), content_seed: self.load(content_seed) };
        (entry.version != 0).then_some(entry)
    }

    /// Called when the worker of this worker file is dead and reaped: finishes what the worker had been told, clears
    /// what was in flight, and returns the operation of which it is not known whether it happened.
    pub fn settle(&self) -> Option<Operation> {
        let operation = self.in_flight()?;
        match self.load(ACKNOWLEDGED) {
            0 => {
                self.abandon();
                Some(operation)
            }
            version => {
                self.acknowledge(&operation, version);
                None
            }
        }
    }

    fn in_flight(&self) -> Option<Operation> {
        let target = self.load(TARGET);
        let kind = match target >> 32 {
            1 => WriteKind::Update,
            2 => WriteKind::Insert,
            3 => WriteKind::Delete,
            _ => return None,
        };
        let key_index = (target & u64::from(u32::MAX)) as u32;
        Some(Operation {
            kind,
            key_index,
            content_seed: self.load(CONTENT_SEED),
            read_version: self.load(READ_VERSION),
        })
    }

    fn load(&self, word: usize) -> u64 {
        self.words.get(word).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    #[inline]
    fn apply(&self, stores: &[Store]) {
        // Nothing that the program does before this, such as calling the table, may sink below the first store.
        compiler_fence(Ordering::SeqCst);
        for &(word, value) in stores {
            if let Some(word) = self.words.get(word) {
                word.store(value, Ordering::Relaxed);
            }
            compiler_fence(Ordering::SeqCst);
        }
    }
}

fn entry_words(key_index: u32) -> [usize; 2] {
    let version = ENTRIES + 2 * key_index as usize;
    [version, version + 1]
}

#[inline]
fn begin_stores(operation: &Operation) -> [Store; 4] {
    [
        (CONTENT_SEED, operation.content_seed),
        (READ_VERSION, operation.read_version),
        (ACKNOWLEDGED, 0),
        (TARGET, operation.target()),
    ]
}

#[inline]
fn acknowledge_stores(operation: &Operation, version: u64) -> [Store; 4] {
    let [entry_version, entry_content_seed] = entry_words(operation.key_index);
    [(ACKNOWLEDGED, version), (entry_content_seed, operation.content_seed), (entry_version, version), (TARGET, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_COUNT: usize = 4;

    fn words() -> Vec<AtomicU64> {
        (0..word_count(KEY_COUNT)).map(|_| AtomicU64::new(0)).collect()
    }

    fn update(content_seed: u64, read_version: u64) -> Operation {
        Operation { kind: WriteKind::Update, key_index: 2, content_seed, read_version }
    }

    const OLD: Entry = Entry { version: 10, content_seed: 100 };

    /// A ledger with [`OLD`] in it, and the first `count` stores of `stores` made by a worker that then died.
    fn died_after(words: &[AtomicU64], stores: &[Store], count: usize) -> Option<Operation> {
        Ledger::new(words).apply(&stores[..count]);
        Ledger::new(words).settle()
    }

    fn with_old() -> Vec<AtomicU64> {
        let words = words();
        let ledger = Ledger::new(&words);
        let operation = Operation { kind: WriteKind::Insert, key_index: 2, content_seed: 100, read_version: 0 };
        ledger.begin(&operation);
        ledger.acknowledge(&operation, 10);
        assert_eq!(ledger.settle(), None);
        words
    }

    #[test]
    fn a_worker_killed_at_any_store_of_begin_leaves_nothing_or_one_uncertain_operation() {
        let operation = update(200, 10);
        let stores = begin_stores(&operation);
        for count in 0..=stores.len() {
            let words = with_old();
            let uncertain = died_after(&words, &stores, count);
            assert_eq!(uncertain, (count == stores.len()).then_some(operation), "after {count} stores");
            assert_eq!(Ledger::new(&words).entry(2), Some(OLD), "after {count} stores");
            assert_eq!(Ledger::new(&words).settle(), None, "settled once and for all, after {count} stores");
        }
    }

    #[test]
    fn a_worker_killed_at_any_store_of_acknowledge_keeps_what_the_table_returned() {
        let operation = update(200, 10);
        let stores = acknowledge_stores(&operation, 11);
        for count in 0..=stores.len() {
            let words = with_old();
            Ledger::new(&words).begin(&operation);
            let uncertain = died_after(&words, &stores, count);
            let entry = Ledger::new(&words).entry(2);
            if count == 0 {
                assert_eq!((uncertain, entry), (Some(operation), Some(OLD)));
            } else {
                let new = Entry { version: 11, content_seed: 200 };
                assert_eq!((uncertain, entry), (None, Some(new)), "after {count} stores");
            }
        }
    }

    #[test]
    fn an_entry_written_before_the_acknowledgement_would_be_left_half_old() {
        // Shows why the order is what it is, and that the test above is able to fail.
        let operation = update(200, 10);
        let mut stores = acknowledge_stores(&operation, 11);
        stores.swap(0, 2);
        let words = with_old();
        Ledger::new(&words).begin(&operation);
        assert_eq!(died_after(&words, &stores, 1), Some(operation));
        let half = Ledger::new(&words).entry(2);
        assert_eq!(half, Some(Entry { version: 11, content_seed: 100 }), "half old, half new");
    }

    #[test]
    fn a_refused_operation_leaves_no_trace() {
        let words = with_old();
        let ledger = Ledger::new(&words);
        ledger.begin(&update(200, 9));
        ledger.abandon();
        assert_eq!((ledger.settle(), ledger.entry(2)), (None, Some(OLD)));
    }

    #[test]
    fn each_kind_of_operation_comes_back_as_it_was_begun() {
        for (kind, content_seed, read_version) in
            [(WriteKind::Update, 5, 6), (WriteKind::Insert, 7, 0), (WriteKind::Delete, DELETED, 8)]
        {
            let words = words();
            let operation = Operation { kind, key_index: u32::MAX, content_seed, read_version };
            Ledger::new(&words).begin(&operation);
            assert_eq!(Ledger::new(&words).settle(), Some(operation));
        }
    }

    #[test]
    fn keys_and_the_sync_number_do_not_touch_each_other() {
        let words = words();
        let ledger = Ledger::new(&words);
        for key_index in 0..KEY_COUNT as u32 {
            let operation = Operation { key_index, ..update(u64::from(key_index) + 50, 1) };
            ledger.begin(&operation);
            ledger.acknowledge(&operation, u64::from(key_index) + 5);
        }
        ledger.acknowledge_sync(8);
        for key_index in 0..KEY_COUNT as u32 {
            let number = u64::from(key_index);
            assert_eq!(ledger.entry(key_index), Some(Entry { version: number + 5, content_seed: number + 50 }));
        }
        assert_eq!(ledger.synced(), 8);
    }
}
