//! Holding the write mutex: what is checked when it is taken, and which process and thread may unlock it.

use super::{Access, Store};
use crate::engine::occupancy::{Death, Entered};
use crate::error::{Error, Fault, Internal};
use crate::format::control::{INTENT_COUNT, LAST, PREPARED, REPAIRED_HOLDING_COUNT, SUPERSEDED};
use crate::sys::fork_generation;
use crate::sys::lock::{Acquired, Lock, LockFailure};
#[cfg(loom)]
use crate::sys::modelled::thread::modelled_thread_local as thread_local;
use crate::sys::words::Ordering;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

thread_local! {
    /// The table whose closure this thread is inside of, by its id; `NO_TABLE` if it is in none.
    static INSIDE: Cell<u64> = const { Cell::new(NO_TABLE) };
    /// The tables whose closures are around that one. They are kept apart, since there rarely are any.
    static AROUND: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

const NO_TABLE: u64 = 0;

/// Runs a caller's closure, in which calls that take a lock of the same table are refused.
#[inline(always)]
pub fn inside_closure<R>(store: &Store, body: impl FnOnce() -> R) -> R {
    struct Leave {
        around: u64,
    }
    impl Drop for Leave {
        #[inline(always)]
        fn drop(&mut self) {
            INSIDE.set(self.around);
            if self.around != NO_TABLE {
                leave_inner();
            }
        }
    }
    let around = INSIDE.replace(store.table_id);
    if around != NO_TABLE {
        enter_inner(around);
    }
    let _leave = Leave { around };
    body()
}

#[cold]
fn enter_inner(around: u64) {
    AROUND.with_borrow_mut(|tables| tables.push(around));
}

#[cold]
fn leave_inner() {
    AROUND.with_borrow_mut(Vec::pop);
}

/// Whether this thread is inside a closure of a table.
#[inline(always)]
fn is_inside(table: u64) -> bool {
    let innermost = INSIDE.get();
    innermost != NO_TABLE && (innermost == table || AROUND.with_borrow(|tables| tables.contains(&table)))
}

/// The write mutex, held. Everything that a dead owner left is repaired, and the table is usable.
///
/// When dropped, it unlocks the mutex, unless this is the child of a fork: what the parent held is the parent's.
pub struct WriteGuard<'a> {
    inside: Inside<'a>,
    /// A mutex must be unlocked by the thread that took it.
    _not_send: PhantomData<*const ()>,
}

impl<'a> WriteGuard<'a> {
    /// Takes the mutex, waiting for at most the handle's timeout, and repairs.
    #[inline(always)]
    pub fn lock(store: &'a Store) -> Internal<Self> {
        store.check_may_lock("writing")?;
        store.check_marks()?;
        let inside = Inside::enter(store)?;
        let acquired = match store.medium.lock(Lock::Write, store.settings.lock_timeout) {
            Ok(acquired) => acquired,
            Err(failure) => return Err(inside.fail(Lock::Write, failure)),
        };
        let guard = WriteGuard { inside, _not_send: PhantomData };
        // The file may have been replaced while this thread waited. Or it was recovered, if this process turns out not to be
        // attached.
        store.check_marks()?;
        let control = store.control();
        let is_clean = control.load(INTENT_COUNT, Ordering::Relaxed) == 0
            && control.load(PREPARED, Ordering::Relaxed) == control.load(LAST, Ordering::Relaxed);
        if acquired == Acquired::OwnerDied || !is_clean || control.load(SUPERSEDED, Ordering::Relaxed) != 0 {
            guard.repair(acquired, is_clean)?;
        }
        Ok(guard)
    }

    /// A process that gets the mutex from a dead owner, or finds something half done, puts it right: it finishes what was
    /// prepared, and undoes what was not.
    #[cold]
    fn repair(&self, acquired: Acquired, is_clean: bool) -> Internal<()> {
        let store = self.inside.store;
        if !is_clean {
            store.repair(acquired == Acquired::OwnerDied)?;
        } else if acquired == Acquired::OwnerDied {
            store.count(REPAIRED_HOLDING_COUNT);
        }
        store.settle_name()
    }

    /// Whether this process is still the one that took the mutex.
    #[inline(always)]
    pub fn is_mine(&self) -> bool {
        self.inside.is_mine()
    }
}

impl Drop for WriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.inside.is_mine() {
            self.inside.store.medium.unlock(Lock::Write);
            self.inside.store.wake_waiters();
            self.inside.leave();
        }
    }
}

/// The sync mutex, held.
pub struct SyncGuard<'a> {
    inside: Inside<'a>,
    _not_send: PhantomData<*const ()>,
}

impl<'a> SyncGuard<'a> {
    /// Takes the mutex if nobody holds it.
    pub fn try_lock(store: &'a Store, asks_for_holder: bool) -> Internal<Option<(Self, Acquired)>> {
        let inside = Inside::enter(store)?;
        match store.medium.try_lock(Lock::Sync, asks_for_holder) {
            Ok(Some(acquired)) => Ok(Some((SyncGuard { inside, _not_send: PhantomData }, acquired))),
            Ok(None) => {
                inside.leave();
                Ok(None)
            }
            Err(failure) => Err(inside.fail(Lock::Sync, failure)),
        }
    }
}

impl Drop for SyncGuard<'_> {
    fn drop(&mut self) {
        if self.inside.is_mine() {
            self.inside.store.medium.unlock(Lock::Sync);
            self.inside.leave();
        }
    }
}

/// A thread that holds or tries a lock of a handle's table. Until it is gone, the handle's attachment is not given up.
struct Inside<'a> {
    store: &'a Store,
    process: u32,
}

impl<'a> Inside<'a> {
    #[inline(always)]
    fn enter(store: &'a Store) -> Internal<Self> {
        let inside = Inside { store, process: fork_generation() };
        match store.occupancy.enter() {
            Entered::Inside => Ok(inside),
            Entered::TurnedAway { is_last } => inside.enter_again(is_last),
        }
    }

    /// Called after the handle was found unusable: it may be a parent's, and may be usable by now.
    #[cold]
    fn enter_again(self, is_last: bool) -> Internal<Self> {
        if is_last {
            self.store.let_go();
        }
        self.store.check_usable()?;
        match self.store.occupancy.enter() {
            Entered::Inside => Ok(self),
            Entered::TurnedAway { is_last } => {
                if is_last {
                    self.store.let_go();
                }
                Err(self.store.dead())
            }
        }
    }

    /// Whether this process is the one that entered: in the child of a fork, the thread inside is the parent's.
    #[inline(always)]
    fn is_mine(&self) -> bool {
        self.process == fork_generation()
    }

    /// Leaves without the lock.
    #[cold]
    fn fail(self, lock: Lock, failure: LockFailure) -> Fault {
        let error = self.store.lock_failed(lock, failure);
        self.leave();
        error.into()
    }

    #[inline(always)]
    fn leave(&self) {
        if self.store.occupancy.leave() {
            self.store.let_go();
        }
    }
}

impl Store {
    /// Whether this thread may take a lock of this table now.
    #[inline(always)]
    pub(super) fn check_may_lock(&self, operation: &'static str) -> Internal<()> {
        if self.access != Access::ReadWrite {
            return Err(Error::ReadOnly { operation }.into());
        }
        self.check_not_nested()
    }

    /// Checks that this thread is not in a closure of this table, where it would wait for itself.
    #[inline(always)]
    pub fn check_not_nested(&self) -> Internal<()> {
        if is_inside(self.table_id) { Err(Error::Nested.into()) } else { Ok(()) }
    }

    #[cold]
    fn lock_failed(&self, lock: Lock, failure: LockFailure) -> Error {
        match failure {
            LockFailure::Nested => Error::Nested,
            LockFailure::Timeout { holder } => Error::Timeout {
                lock: lock.in_errors(),
                holder_pid: holder.map(crate::engine::status::process_of_thread),
                waited: self.settings.lock_timeout,
            },
            LockFailure::Unusable => {
                self.control().store(crate::format::control::CONDEMNED, 1, Ordering::Release);
                self.wake_everyone();
                self.die(Death::Condemned).into()
            }
        }
    }

    /// The error that another process held the sync mutex for the whole timeout. Mostly that process is waiting for the write
    /// mutex itself, and then the holder of the write mutex is to blame.
    #[cold]
    pub(super) fn sync_timeout(&self) -> Error {
        let holders = [Lock::Write, Lock::Sync].map(|lock| (lock, self.medium.lock_holder(lock)));
        let blamed = holders.into_iter().find(|(_, holder)| holder.is_some());
        let (lock, holder) = blamed.unwrap_or((Lock::Sync, None));
        self.lock_failed(lock, LockFailure::Timeout { holder })
    }

    /// Increments a counter. The counters of different kinds of writers are each under a mutex of their own.
    pub(super) fn count(&self, counter: usize) {
        let control = self.control();
        control.store(counter, control.load(counter, Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}
