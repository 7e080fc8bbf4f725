//! What one worker did, outside the table, in shared words that outlive it. Entries are only added.
//!
//! A worker can be killed between any two stores, so an entry is published by its last store: with `START` it is there,
//! and in flight; with `END` it is complete. Stores that a killed process has made reach memory as if it had gone on,
//! so what matters is the order of the instructions. A ledger is not read before its worker is reaped.

use super::event::{Change, Event, Seen, Step, Write, now};
use locule::testing::SharedWords;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

/// How many entries a ledger has room for.
pub const ENTRY_LIMIT: usize = 16_384;

/// How many entries are begun, perhaps one less.
const COUNT: usize = 0;
const FIRST_ENTRY: usize = 8;
const ENTRY_WORDS: usize = 12;

const KIND: usize = 0;
const KEY: usize = 1;
/// The record that the operation is about, by its id.
const TARGET: usize = 2;
const WRITTEN: usize = 3;
const START: usize = 4;
const OUTCOME: usize = 5;
const VERSION: usize = 6;
const VALUE: usize = 7;
const ID: usize = 8;
const UPDATE_COUNT: usize = 9;
const END: usize = 10;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read = 1,
    SnapshotRead = 2,
    Insert = 3,
    Update = 4,
    Delete = 5,
    Upsert = 6,
}

/// The result of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The write was made, as this version of the record with this id. For an update: over which value.
    Wrote {
        version: u64,
        id: u64,
        replaced: Option<u64>,
    },
    Saw(Seen),
    SawNone,
    SawSome,
    SawVersion(u64),
    SawGone,
    Nothing,
}

/// A ledger of one worker file.
pub struct Ledger {
    shared: SharedWords,
}

/// An entry that was begun.
#[derive(Clone, Copy)]
pub struct Entry {
    position: usize,
}

impl Ledger {
    pub fn create(path: &Path) -> Self {
        Ledger { shared: SharedWords::create(path, FIRST_ENTRY + ENTRY_LIMIT * ENTRY_WORDS).unwrap() }
    }

    pub fn open(path: &Path) -> Self {
        Ledger { shared: SharedWords::open(path).unwrap() }
    }

    fn count_word(&self) -> &AtomicU64 {
        &self.shared.words()[COUNT]
    }

    fn word(&self, position: usize, field: usize) -> &AtomicU64 {
        &self.shared.words()[FIRST_ENTRY + position * ENTRY_WORDS + field]
    }

    fn load(&self, position: usize, field: usize) -> u64 {
        self.word(position, field).load(Ordering::Acquire)
    }

    fn store(&self, position: usize, field: usize, content: u64) {
        self.word(position, field).store(content, Ordering::Release);
        // What comes later in the program, such as the call of the table, stays later.
        compiler_fence(Ordering::SeqCst);
    }

    /// How many entries were begun.
    pub fn count(&self) -> usize {
        let mut count = usize::try_from(self.count_word().load(Ordering::Acquire)).unwrap();
        // A worker can have died before it counted its last entry.
        while count < ENTRY_LIMIT && self.load(count, START) != 0 {
            count += 1;
        }
        count
    }

    /// Whether there is room for this many more.
    pub fn has_room(&self, count: usize) -> bool {
        self.count() + count <= ENTRY_LIMIT
    }

    /// A number that no other entry of any ledger has, if the parts do not.
    pub fn unique_value(&self, epoch: u64, worker_file: u64) -> u64 {
        epoch << 40 | worker_file << 24 | u64::try_from(self.count()).unwrap()
    }

    /// Records an operation before the table is asked to do it.
    pub fn begin(&self, kind: Kind, key: u64, target: u64, written: u64) -> Entry {
        self.begin_at(kind, key, target, written, now())
    }

    /// The same for one of several that begin together.
    pub fn begin_at(&self, kind: Kind, key: u64, target: u64, written: u64, start: u64) -> Entry {
        let position = self.count();
        for (field, content) in [(KIND, kind as u64), (KEY, key), (TARGET, target), (WRITTEN, written)] {
            self.store(position, field, content);
        }
        self.store(position, START, start);
        self.count_word().store(u64::try_from(position + 1).unwrap(), Ordering::Release);
        Entry { position }
    }

    /// Records inside a transaction what its write will be, once that is known.
    pub fn decide(&self, entry: Entry, kind: Kind, target: u64) {
        self.store(entry.position, TARGET, target);
        self.store(entry.position, KIND, kind as u64);
    }

    /// Records the result of an operation, after the table has returned.
    pub fn end(&self, entry: Entry, outcome: Outcome) {
        self.end_at(entry, outcome, now());
    }

    pub fn end_at(&self, Entry { position }: Entry, outcome: Outcome, end: u64) {
        let words = match outcome {
            Outcome::Wrote { version, id, replaced } => [1, version, replaced.unwrap_or(0), id, 0],
            Outcome::Saw(seen) => [2, seen.version, seen.value, seen.id, seen.update_count],
            Outcome::SawNone => [3, 0, 0, 0, 0],
            Outcome::SawSome => [4, 0, 0, 0, 0],
            Outcome::SawVersion(version) => [5, version, 0, 0, 0],
            Outcome::SawGone => [6, 0, 0, 0, 0],
            Outcome::Nothing => [7, 0, 0, 0, 0],
        };
        for (field, content) in [OUTCOME, VERSION, VALUE, ID, UPDATE_COUNT].into_iter().zip(words) {
            self.store(position, field, content);
        }
        self.store(position, END, end);
    }

    /// All entries, as events. Called when the worker is gone.
    pub fn events(&self, worker_file: u64) -> Vec<Event> {
        (0..self.count()).map(|position| self.event(worker_file, position)).collect()
    }

    fn event(&self, worker_file: u64, position: usize) -> Event {
        let load = |field| self.load(position, field);
        let some = |word: u64| Some(word).filter(|word| *word != 0);
        let kind = load(KIND);
        let end = some(load(END));
        let change = match kind {
            kind if kind == Kind::Insert as u64 => Some(Change::Insert),
            kind if kind == Kind::Update as u64 => Some(Change::Update),
            kind if kind == Kind::Delete as u64 => Some(Change::Delete),
            kind if kind == Kind::Upsert as u64 => Some(Change::Upsert),
            _ => None,
        };
        let write = |version, id, replaced| match change {
            Some(change) => {
                let value = some(load(WRITTEN)).filter(|_| change != Change::Delete);
                Step::Wrote(Write { change, version, value, id, replaced })
            }
            None => Step::Nothing,
        };
        let step = match load(OUTCOME) {
            _ if end.is_none() => write(None, some(load(TARGET)), None),
            1 => write(some(load(VERSION)), some(load(ID)), some(load(VALUE))),
            2 => Step::Saw(Seen {
                version: load(VERSION),
                value: load(VALUE),
                id: load(ID),
                update_count: load(UPDATE_COUNT),
            }),
            3 => Step::SawNone,
            4 => Step::SawSome,
            5 => Step::SawVersion { version: load(VERSION) },
            6 => Step::SawGone { id: load(TARGET) },
            7 => Step::Nothing,
            other => panic!("the ledger of worker_file {worker_file} holds outcome {other} in entry {position}"),
        };
        let is_snapshot = kind == Kind::SnapshotRead as u64;
        Event { worker_file, key: load(KEY), start: load(START), end, step, is_snapshot }
    }
}
