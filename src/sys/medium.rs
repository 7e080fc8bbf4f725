//! Where a table's words are: mapped, from a file or for this process alone; in tests and fuzzers also on the heap.
//!
//! The engine above sees words, two locks and a flush, but neither pthread nor mmap.

use super::lock::{Acquired, Lock, LockFailure, LockState};
use crate::format::control::CONTROL_WORDS;
#[cfg(any(test, fuzzing, loom))]
use crate::sys::heap::Heap;
#[cfg(not(loom))]
use crate::sys::mapping::{Map, MappedWords};
#[cfg(any(test, fuzzing))]
use crate::sys::probe;
use crate::sys::words::{FixedWords, Words};
#[cfg(not(loom))]
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// The words of a table, its locks, and the disk under it. The shipped library has only mappings, and nothing to
/// choose.
pub enum Medium {
    #[cfg(not(loom))]
    Mapped(Map),
    /// In a box, so that a handle itself holds nothing that other threads write.
    #[cfg(any(test, fuzzing, loom))]
    Heap(Box<Heap>),
}

impl Medium {
    /// The words of a table, whose control region begins at the word `control`, for this process alone.
    pub fn private(words: Vec<u64>, control: usize) -> io::Result<Self> {
        #[cfg(any(test, fuzzing, loom))]
        return Ok(Medium::Heap(Box::new(Heap::new(words, control))));
        #[cfg(not(any(test, fuzzing, loom)))]
        return Ok(Medium::Mapped(Map::new(MappedWords::private(&words)?, control)?));
    }

    #[inline(always)]
    pub fn words(&self) -> Words<'_> {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => Words::new(map.words()),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => Words::new(heap.words()),
        }
    }

    /// The control region.
    #[inline(always)]
    pub fn control(&self) -> FixedWords<'_, CONTROL_WORDS> {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => FixedWords::new(map.control()),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => Words::new(heap.words()).fixed(heap.control()),
        }
    }

    /// Takes a lock, waiting for at most `timeout`.
    #[inline]
    pub fn lock(&self, lock: Lock, timeout: Duration) -> Result<Acquired, LockFailure> {
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Lock);
        let acquired = match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => map.mutex(lock).lock(timeout, map.arbiter()),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.lock(lock, timeout),
        };
        #[cfg(any(test, fuzzing))]
        if acquired.is_ok() {
            probe::visit(probe::Event::Locked { which: lock });
        }
        acquired
    }

    /// Takes a lock if that is possible at once; `None` if a thread holds it that may be alive. The kernel is asked
    /// whether that thread is alive only if `asks_for_holder`: that takes longer than most of what is done under a
    /// lock.
    pub fn try_lock(&self, lock: Lock, asks_for_holder: bool) -> Result<Option<Acquired>, LockFailure> {
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Lock);
        let acquired = match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) if asks_for_holder => map.mutex(lock).try_lock(map.arbiter())?,
            #[cfg(not(loom))]
            Medium::Mapped(map) => map.mutex(lock).try_once()?,
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.try_lock(lock),
        };
        #[cfg(any(test, fuzzing))]
        if acquired.is_some() {
            probe::visit(probe::Event::Locked { which: lock });
        }
        Ok(acquired)
    }

    /// Releases a lock that this thread holds.
    #[inline]
    pub fn unlock(&self, lock: Lock) {
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Unlock { which: lock }) {
            return;
        }
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => map.mutex(lock).unlock(),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.unlock(lock),
        }
    }

    /// Sleeps until [`wake_all`](Self::wake_all) is called for a word, if the word is still what was seen, for a
    /// bounded time. May return early.
    pub fn sleep_on(&self, index: usize, seen: u64, timeout: Duration) {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => {
                if let Some(word) = map.words().get(index) {
                    crate::sys::robust_mutex::sleep_on(word, seen, timeout);
                }
            }
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.sleep_on(index, seen),
        }
    }

    /// Wakes every thread that sleeps on a word.
    pub fn wake_all(&self, index: usize) {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => {
                if let Some(word) = map.words().get(index) {
                    crate::sys::robust_mutex::wake_all(word);
                }
            }
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.wake_all(),
        }
    }

    /// Who holds a lock at this moment, as far as that can be seen.
    pub fn lock_state(&self, lock: Lock) -> LockState {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => map.mutex(lock).state(),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(_) => LockState::default(),
        }
    }

    /// The kernel thread id of the holder of a lock at this moment, if that can be seen.
    pub fn lock_holder(&self, lock: Lock) -> Option<u32> {
        self.lock_state(lock).holder
    }

    /// Makes the locks anew. No other process or thread may be using the table.
    pub fn initialise_locks(&self) -> io::Result<()> {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => {
                map.arbiter().initialise()?;
                map.mutex(Lock::Write).initialise()?;
                map.mutex(Lock::Sync).initialise()
            }
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => {
                heap.initialise_locks();
                Ok(())
            }
        }
    }

    /// Whether no live thread holds a lock. Only meaningful while no other process or thread uses the table.
    pub fn locks_are_free(&self) -> bool {
        match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => {
                [map.mutex(Lock::Write), map.mutex(Lock::Sync), map.arbiter()].iter().all(|mutex| mutex.is_free())
            }
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.locks_are_free(),
        }
    }

    /// Maps the file through another open file of this process: this medium no longer keeps the first one open.
    #[cfg(not(loom))]
    pub fn map_again(&self, file: &File) -> io::Result<()> {
        match self {
            Medium::Mapped(map) => map.map_again(file),
            #[cfg(any(test, fuzzing))]
            Medium::Heap(_) => Ok(()),
        }
    }

    /// Waits until these words are on the disk as they are now, or newer. Nothing happens on the heap.
    pub fn flush(&self, words: Range<usize>) -> io::Result<()> {
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Flush { words: words.clone() }) {
            return Ok(());
        }
        let result = match self {
            #[cfg(not(loom))]
            Medium::Mapped(map) => map.flush(words.clone()),
            #[cfg(any(test, fuzzing, loom))]
            Medium::Heap(heap) => heap.flush(),
        };
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Flushed { succeeded: result.is_ok() });
        result
    }
}

/// The control region of a file, mapped for writing, of which all else is mapped for reading only.
#[cfg(not(loom))]
pub struct ControlRegion(MappedWords);

#[cfg(not(loom))]
impl ControlRegion {
    /// The control region begins at the word `control` of the file.
    pub fn of_file(file: &File, control: usize) -> io::Result<Self> {
        MappedWords::of_control_region(file, control).map(ControlRegion)
    }

    pub fn words(&self) -> Words<'_> {
        Words::new(self.0.words())
    }
}

#[cfg(not(any(loom, miri)))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::control::{ARBITER_MUTEX, MUTEX_WORDS, SYNC_MUTEX, WRITE_MUTEX};
    use std::time::Instant;

    /// Longer than any of these tests takes.
    const FOR_EVER: Duration = Duration::from_secs(600);

    #[test]
    fn the_mutexes_and_their_arbiter_are_of_one_kind() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(crate::format::geometry::word(CONTROL_WORDS) * 8).unwrap();
        let words = MappedWords::of_file(&file, CONTROL_WORDS, true, false).unwrap();
        let medium = Medium::Mapped(Map::new(words, 0).unwrap());
        medium.initialise_locks().unwrap();
        assert!(medium.locks_are_free());
        let mutex = |start| medium.control().to_array::<CONTROL_WORDS>(0)[start..start + MUTEX_WORDS].to_owned();
        let made = mutex(WRITE_MUTEX);
        assert_ne!(made, [0; MUTEX_WORDS]);
        assert_eq!((mutex(SYNC_MUTEX), mutex(ARBITER_MUTEX)), (made.clone(), made));
        // A file may have been restored while any of them was held.
        for start in [WRITE_MUTEX, SYNC_MUTEX, ARBITER_MUTEX] {
            medium.words().store(start, 1 << 32 | 1, crate::sys::words::Ordering::Relaxed);
            assert!(!medium.locks_are_free());
            medium.initialise_locks().unwrap();
            assert!(medium.locks_are_free());
        }
    }

    #[test]
    fn who_sleeps_on_a_word_of_a_file_is_woken_and_nobody_sleeps_on_what_has_changed() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(crate::format::geometry::word(CONTROL_WORDS) * 8).unwrap();
        let words = MappedWords::of_file(&file, CONTROL_WORDS, true, false).unwrap();
        let medium = Medium::Mapped(Map::new(words, 0).unwrap());
        let index = 46;
        medium.words().store(index, 5, crate::sys::words::Ordering::Relaxed);
        // Not the value that is there: it does not sleep.
        medium.sleep_on(index, 6, FOR_EVER);
        let (start, pause) = (Instant::now(), Duration::from_millis(5));
        medium.sleep_on(index, 5, pause);
        assert!(start.elapsed() >= pause);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| medium.sleep_on(index, 5, FOR_EVER));
            // It may not sleep yet.
            while !sleeper.is_finished() && start.elapsed() < FOR_EVER / 2 {
                medium.wake_all(index);
                std::thread::yield_now();
            }
            assert!(sleeper.is_finished(), "nobody woke it");
        });
    }
}
