//! A table on the heap, with locks that the model checker knows.
//!
//! A waiter sleeps on the checker's condition variable, since a loop would give the checker more to explore than it
//! can. There are no timeouts, since no holder is slow: a waiter that is not woken is found as a deadlock.
//!
//! A try that fails synchronises with nothing, as with a pthread mutex. A woken thread synchronises with the thread
//! that wakes it, which the kernel does not promise: if a woken thread relied on that, the checker could not see it.

use crate::sys::lock::{Acquired, Lock, LockFailure};
use crate::sys::modelled::words::AtomicU64;
use loom::sync::{Condvar, Mutex};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A table on the heap.
pub struct Heap {
    words: Box<[AtomicU64]>,
    control: usize,
    write: HeapLock,
    sync: HeapLock,
    /// The kernel's side of a futex: comparing the word and going to sleep is one step.
    futex: Mutex<()>,
    woken: Condvar,
}

impl Heap {
    /// A table of these words, whose control region begins at the word `control`.
    pub fn new(words: impl IntoIterator<Item = u64>, control: usize) -> Self {
        Self::of(words.into_iter().map(AtomicU64::new).collect(), control)
    }

    /// The same for that many threads; only the words in some ranges are ever written.
    pub fn with_written(words: &[u64], control: usize, written: &[Range<usize>], thread_count: usize) -> Self {
        let mut content: Vec<AtomicU64> = words.iter().copied().map(AtomicU64::Constant).collect();
        for index in written.iter().cloned().flatten() {
            content[index] = AtomicU64::shared(words[index], thread_count);
        }
        Self::of(content.into(), control)
    }

    fn of(words: Box<[AtomicU64]>, control: usize) -> Self {
        Heap {
            words,
            control,
            write: HeapLock::new(),
            sync: HeapLock::new(),
            futex: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub fn control(&self) -> usize {
        self.control
    }

    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    fn lock_of(&self, lock: Lock) -> &HeapLock {
        match lock {
            Lock::Write => &self.write,
            Lock::Sync => &self.sync,
        }
    }

    pub fn try_lock(&self, lock: Lock) -> Option<Acquired> {
        self.lock_of(lock).try_lock().then_some(Acquired::Clean)
    }

    pub fn lock(&self, lock: Lock, _timeout: Duration) -> Result<Acquired, LockFailure> {
        self.lock_of(lock).lock();
        Ok(Acquired::Clean)
    }

    pub fn unlock(&self, lock: Lock) {
        self.lock_of(lock).unlock();
    }

    pub fn initialise_locks(&self) {}

    pub fn locks_are_free(&self) -> bool {
        true
    }

    pub fn sleep_on(&self, index: usize, seen: u64) {
        let Some(word) = self.words.get(index) else { return };
        let futex = self.futex.lock().unwrap();
        if word.load(Ordering::Relaxed) == seen {
            drop(self.woken.wait(futex).unwrap());
        }
    }

    pub fn wake_all(&self) {
        let _futex = self.futex.lock().unwrap();
        self.woken.notify_all();
    }

    pub fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

struct HeapLock {
    is_held: loom::sync::atomic::AtomicBool,
    waiters: Mutex<()>,
    freed: Condvar,
}

impl HeapLock {
    fn new() -> Self {
        HeapLock { is_held: loom::sync::atomic::AtomicBool::new(false), waiters: Mutex::new(()), freed: Condvar::new() }
    }

    fn try_lock(&self) -> bool {
        self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn lock(&self) {
        while !self.try_lock() {
            let waiters = self.waiters.lock().unwrap();
            if self.is_held.load(Ordering::Relaxed) {
                drop(self.freed.wait(waiters).unwrap());
            }
        }
    }

    fn unlock(&self) {
        self.is_held.store(false, Ordering::Release);
        let _waiters = self.waiters.lock().unwrap();
        self.freed.notify_one();
    }
}
