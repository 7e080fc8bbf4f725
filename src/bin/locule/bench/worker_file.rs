//! The files of words that workers and their parent share, beside the table: one for each worker file, and one for all.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use locule::testing::SharedWords;

use super::latency::{self, Latencies};
use super::ledger::{self, Ledger};
use crate::Result;

/// Counted by a worker file's worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Not a count: 1 when the worker has opened everything and waits to be released.
    Ready,
    /// One record read, and one write done.
    Iteration,
    /// One operation measured: a read, a write, or a sync after one.
    Operation,
    /// A write found that another worker had changed or deleted the record since it was read.
    Conflict,
    /// An insert found the key taken.
    Duplicate,
    /// An insert found no free slot.
    Full,
    /// A read found that the record had been deleted since it was chosen.
    Absent,
}

const COUNTER_WORD_COUNT: usize = 8;
const LEDGER_OFFSET: usize = (COUNTER_WORD_COUNT + latency::WORD_COUNT).next_multiple_of(8);

/// What a worker leaves behind, in a file of its own.
pub struct WorkerFile {
    shared: SharedWords,
}

impl WorkerFile {
    /// How many words the file of a worker file has.
    pub const fn word_count(key_count: usize) -> usize {
        LEDGER_OFFSET + ledger::word_count(key_count)
    }

    pub fn create(path: &Path, key_count: usize) -> Result<WorkerFile> {
        Ok(WorkerFile { shared: SharedWords::create(path, WorkerFile::word_count(key_count))? })
    }

    pub fn open(path: &Path) -> Result<WorkerFile> {
        Ok(WorkerFile { shared: SharedWords::open(path)? })
    }

    pub fn ledger(&self) -> Ledger<'_> {
        Ledger::new(self.shared.words().get(LEDGER_OFFSET..).unwrap_or_default())
    }

    pub fn latencies(&self) -> Latencies<'_> {
        Latencies::new(self.shared.words().get(COUNTER_WORD_COUNT..LEDGER_OFFSET).unwrap_or_default())
    }

    pub fn counters(&self) -> Counters<'_> {
        Counters { words: self.shared.words().get(..COUNTER_WORD_COUNT).unwrap_or_default() }
    }
}

/// A view of the counters of one worker file.
#[derive(Clone, Copy)]
pub struct Counters<'words> {
    words: &'words [AtomicU64],
}

impl Counters<'_> {
    /// Adds one. Only the worker file's worker counts, so a load and a store are enough.
    #[inline]
    pub fn add(&self, counter: Counter) {
        self.set(counter, self.get(counter) + 1);
    }

    pub fn set(&self, counter: Counter, value: u64) {
        if let Some(word) = self.words.get(counter as usize) {
            word.store(value, Ordering::Relaxed);
        }
    }

    #[inline]
    pub fn get(&self, counter: Counter) -> u64 {
        self.words.get(counter as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

/// What the parent wants of all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Wait,
    Work,
    Stop,
}

const CONTROL_WORD_COUNT: usize = 8;

/// The page through which the parent releases and stops the workers, and on which they tell each other which keys are
/// probably live, so that a worker chooses a live record, or a key to insert, with one look. It is a hint: a worker
/// that is killed between its write and its hint leaves it wrong until the next worker runs into it and puts it right.
pub struct Control {
    shared: SharedWords,
    key_count: u32,
}

impl Control {
    pub fn create(path: &Path, key_count: u32) -> Result<Control> {
        let word_count = CONTROL_WORD_COUNT + (key_count as usize).div_ceil(64);
        Ok(Control { shared: SharedWords::create(path, word_count)?, key_count })
    }

    pub fn open(path: &Path, key_count: u32) -> Result<Control> {
        Ok(Control { shared: SharedWords::open(path)?, key_count })
    }

    pub fn set_phase(&self, phase: Phase) {
        if let Some(word) = self.shared.words().first() {
            word.store(phase as u64, Ordering::Release);
        }
    }

    #[inline]
    pub fn phase(&self) -> Phase {
        match self.shared.words().first().map(|word| word.load(Ordering::Acquire)) {
            Some(0) => Phase::Wait,
            Some(1) => Phase::Work,
            _ => Phase::Stop,
        }
    }

    pub fn key_count(&self) -> u32 {
        self.key_count
    }

    #[inline]
    pub fn is_probably_live(&self, key_index: u32) -> bool {
        let (word, bit) = self.hint(key_index);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    #[inline]
    pub fn set_live(&self, key_index: u32) {
        let (word, bit) = self.hint(key_index);
        if let Some(word) = word {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    #[inline]
    pub fn set_absent(&self, key_index: u32) {
        let (word, bit) = self.hint(key_index);
        if let Some(word) = word {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    #[inline]
    fn hint(&self, key_index: u32) -> (Option<&AtomicU64>, u64) {
        let word = self.shared.words().get(CONTROL_WORD_COUNT + key_index as usize / 64);
        (word, 1 << (key_index % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_worker_file_do_not_overlap_and_outlive_its_handle() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("worker_file");
        let operation =
            ledger::Operation { kind: ledger::WriteKind::Insert, key_index: 0, content_seed: 9, read_version: 0 };
        {
            let worker_file = WorkerFile::create(&path, 3)?;
            worker_file.counters().add(Counter::Absent);
            worker_file.latencies().record(latency::Kind::Read, 0);
            worker_file.latencies().record(latency::Kind::Sync, u64::MAX);
            worker_file.ledger().begin(&operation);
            worker_file.ledger().acknowledge(&ledger::Operation { key_index: 2, ..operation }, 7);
        }
        let worker_file = WorkerFile::open(&path)?;
        assert_eq!((worker_file.counters().get(Counter::Absent), worker_file.counters().get(Counter::Full)), (1, 0));
        assert_eq!(worker_file.ledger().entry(2), Some(ledger::Entry { version: 7, content_seed: 9 }));
        assert_eq!((worker_file.ledger().entry(0), worker_file.ledger().synced()), (None, 0));
        let merged =
            latency::Merged::new(&latency::Kind::ALL, [worker_file.latencies()].into_iter(), |ticks| ticks >> 20)?;
        assert_eq!(merged.count(), 2);
        Ok(())
    }

    #[test]
    fn the_control_page_carries_the_phase_and_a_hint_for_each_key() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control");
        let parent = Control::create(&path, 130)?;
        let worker = Control::open(&path, 130)?;
        assert_eq!(worker.phase(), Phase::Wait);
        for phase in [Phase::Work, Phase::Stop] {
            parent.set_phase(phase);
            assert_eq!(worker.phase(), phase);
        }
        for key_index in [0, 63, 64, 129] {
            worker.set_live(key_index);
        }
        worker.set_absent(64);
        let live: Vec<u32> = (0..130).filter(|&index| parent.is_probably_live(index)).collect();
        assert_eq!(live, [0, 63, 129]);
        Ok(())
    }
}
