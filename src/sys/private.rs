//! What the threads of one process share in a handle, and no other process sees.

use crate::sys::deadline::poll;
use crate::sys::fork_generation;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A number that a handle remembers. It orders nothing.
#[derive(Default)]
pub struct Remembered(AtomicU64);

impl Remembered {
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// A lock between the threads of one process, which a fork cannot leave locked: in a child it is free.
#[derive(Default)]
pub struct ThreadLock {
    /// The process whose thread holds it, by its fork generation; 0 if none does.
    process: AtomicU32,
}

/// A [`ThreadLock`], held.
pub struct ThreadGuard<'a>(&'a ThreadLock);

impl ThreadLock {
    /// Waits for the lock, but no longer than this.
    pub fn lock(&self, timeout: Duration) -> Option<ThreadGuard<'_>> {
        poll(timeout, || self.try_lock())
    }

    fn try_lock(&self) -> Option<ThreadGuard<'_>> {
        let own = fork_generation();
        let found = self.process.load(Ordering::Relaxed);
        // A holder of another process is from before the fork.
        if found == own {
            return None;
        }
        self.take_from(found, own)
    }

    /// Takes the lock if it still is as it was found.
    fn take_from(&self, found: u32, own: u32) -> Option<ThreadGuard<'_>> {
        match self.process.compare_exchange(found, own, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(ThreadGuard(self)),
            // A guard that is made and dropped here would unlock what another thread holds.
            Err(_) => None,
        }
    }
}

impl Drop for ThreadGuard<'_> {
    fn drop(&mut self) {
        self.0.process.store(0, Ordering::Release);
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_lock_is_held_by_one_thread_and_by_nobody_after_a_fork() {
        let lock = ThreadLock::default();
        let held = lock.lock(Duration::ZERO).expect("nobody holds it");
        assert!(lock.lock(Duration::ZERO).is_none());
        drop(held);
        assert!(lock.lock(Duration::ZERO).is_some());
        // Another thread found it free as well, and comes too late: that once unlocked it.
        let held = lock.lock(Duration::ZERO).expect("nobody holds it");
        assert!(lock.take_from(0, fork_generation()).is_none());
        assert!(lock.lock(Duration::ZERO).is_none());
        drop(held);
        // As if a thread of the parent held it.
        lock.process.store(fork_generation() ^ 1, Ordering::Relaxed);
        assert!(lock.lock(Duration::ZERO).is_some());
    }
}
