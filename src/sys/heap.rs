//! Words on the heap: the medium of tests and fuzzers.
//!
//! The locks are words beside the table, so that a test can say that an owner died.

use crate::format::geometry::PAGE_WORDS;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::deadline::Deadline;
use crate::sys::lock::{Acquired, Lock, LockFailure};
use std::time::Duration;

const FREE: u64 = 0;
const HELD: u64 = 1;
const OWNER_DIED: u64 = 2;

/// A table on the heap.
pub struct Heap {
    words: Box<[AtomicU64]>,
    control: usize,
    locks: [AtomicU64; 2],
    /// Whether flushes fail.
    #[cfg(test)]
    pub fail_flushes: std::sync::Arc<AtomicU64>,
}

impl Heap {
    /// A table of these words, whose control region begins at the word `control`.
    pub fn new(words: impl AsRef<[u64]>, control: usize) -> Self {
        // Most of a small table is blank, and is made so in one go: word by word, that takes Miri seconds.
        const BLANK: [u64; 32] = [0; 32];
        let words = words.as_ref();
        let pages: Vec<_> = words.chunks(PAGE_WORDS).map(|_| [const { AtomicU64::new(0) }; PAGE_WORDS]).collect();
        let mut table = pages.into_flattened();
        table.truncate(words.len());
        for (part, content) in table.chunks_mut(BLANK.len()).zip(words.chunks(BLANK.len())) {
            if content != BLANK {
                part.iter_mut().zip(content).for_each(|(word, value)| *word = AtomicU64::new(*value));
            }
        }
        Heap {
            words: table.into(),
            control,
            locks: [AtomicU64::new(FREE), AtomicU64::new(FREE)],
            #[cfg(test)]
            fail_flushes: std::sync::Arc::new(AtomicU64::new(0)),
        }
    }

    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    pub fn control(&self) -> usize {
        self.control
    }

    fn word(&self, lock: Lock) -> &AtomicU64 {
        let [write, sync] = &self.locks;
        match lock {
            Lock::Write => write,
            Lock::Sync => sync,
        }
    }

    /// Takes a lock if it is free or its owner died.
    pub fn try_lock(&self, lock: Lock) -> Option<Acquired> {
        let word = self.word(lock);
        let take = |from| word.compare_exchange(from, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if take(FREE) {
            Some(Acquired::Clean)
        } else if take(OWNER_DIED) {
            Some(Acquired::OwnerDied)
        } else {
            None
        }
    }

    pub fn lock(&self, lock: Lock, timeout: Duration) -> Result<Acquired, LockFailure> {
        let deadline = Deadline::after(timeout);
        loop {
            if let Some(acquired) = self.try_lock(lock) {
                return Ok(acquired);
            }
            if deadline.has_passed() {
                return Err(LockFailure::Timeout { holder: None });
            }
            self.sleep();
        }
    }

    /// Lets other threads run: there is nothing to sleep on.
    fn sleep(&self) {
        crate::sys::probe::visit(crate::sys::probe::Event::Blocked);
        std::thread::yield_now();
    }

    pub fn sleep_on(&self, _index: usize, _seen: u64) {
        self.sleep();
    }

    pub fn wake_all(&self) {}

    pub fn unlock(&self, lock: Lock) {
        self.word(lock).store(FREE, Ordering::Release);
    }

    pub fn initialise_locks(&self) {
        for lock in &self.locks {
            lock.store(FREE, Ordering::Release);
        }
    }

    pub fn locks_are_free(&self) -> bool {
        self.locks.iter().all(|lock| lock.load(Ordering::Acquire) != HELD)
    }

    /// There is no disk under a heap; tests make its flushes fail.
    pub fn flush(&self) -> std::io::Result<()> {
        #[cfg(test)]
        if self.fail_flushes.load(Ordering::Relaxed) != 0 {
            return Err(std::io::Error::other("a test makes flushes fail"));
        }
        Ok(())
    }

    /// As if the owner of each held lock had died.
    #[cfg(test)]
    pub fn owner_died(&self, lock: Lock) {
        let _ = self.word(lock).compare_exchange(HELD, OWNER_DIED, Ordering::Release, Ordering::Relaxed);
    }

    /// Whether the owner of a lock died and the lock has not been taken since.
    #[cfg(test)]
    pub fn is_left_by_dead_owner(&self, lock: Lock) -> bool {
        self.word(lock).load(Ordering::Acquire) == OWNER_DIED
    }
}
