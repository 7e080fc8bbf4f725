//! Only in builds for tests and for fuzzing: what a test sees, and can do, at each access to shared memory.
//!
//! A hook is called on the thread that makes the access, before it happens (for a store, also after it). It may stop
//! there for as long as it likes, run other operations on the same table (its own accesses are not probed then), or
//! kill the thread's "process" with [`die`]: from then on nothing that the thread does reaches shared memory, locks or
//! the disk, destructors included, just as after SIGKILL.

#![cfg_attr(not(test), allow(dead_code, reason = "fuzzers use only a part of this"))]

use crate::sys::atomic::{AtomicU64, Ordering};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::AtomicUsize;

/// What is about to happen.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A load that orders something (acquire), or any load: see [`see_all_loads`].
    Load,
    /// A store is about to happen.
    Store,
    /// A store has happened.
    Stored { word: &'a AtomicU64, value: u64 },
    /// A page is made dirty, unchanged.
    Touch { word: &'a AtomicU64 },
    /// A lock is about to be taken.
    Lock,
    /// Another thread has to do something first: a lock is about to be tried again.
    Blocked,
    /// A lock was taken.
    Locked { which: crate::sys::lock::Lock },
    /// A lock is about to be released.
    Unlock { which: crate::sys::lock::Lock },
    /// A flush of these words is about to begin.
    Flush { words: Range<usize> },
    /// The flush is done on the disk, or has failed, and its caller is about to be told.
    Flushed { succeeded: bool },
}

type Hook = Box<dyn FnMut(&Event<'_>)>;

/// How many threads have a hook. If there are none, an access need not look for the hook of its thread, which takes ten
/// times as long as the access in Miri. A thread sees its own counting in any case, whatever the ordering.
static HOOK_COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static DEAD: Cell<bool> = const { Cell::new(false) };
    static SEES_ALL_LOADS: Cell<bool> = const { Cell::new(false) };
}

/// Lets this thread's hook see relaxed loads too. For readers, which do nothing else.
pub fn see_all_loads() {
    SEES_ALL_LOADS.set(true);
}

/// Called by the facade before each load.
pub fn visit_load(ordering: Ordering) {
    if HOOK_COUNT.load(Ordering::Relaxed) != 0 && (ordering != Ordering::Relaxed || SEES_ALL_LOADS.get()) {
        visit(Event::Load);
    }
}

/// The payload of the unwinding that stands for SIGKILL.
pub struct Killed;

/// Ends this thread's process at this very access. Only to be called by a hook.
pub fn die() -> ! {
    DEAD.set(true);
    std::panic::resume_unwind(Box::new(Killed))
}

/// Runs `body` with a hook; `None` if it was killed. Other panics go through.
pub fn with_hook<R>(hook: impl FnMut(&Event<'_>) + 'static, body: impl FnOnce() -> R) -> Option<R> {
    HOOK.set(Some(Box::new(hook)));
    HOOK_COUNT.fetch_add(1, Ordering::Relaxed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    HOOK_COUNT.fetch_sub(1, Ordering::Relaxed);
    HOOK.set(None);
    DEAD.set(false);
    match outcome {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Killed>() => None,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Runs `body`, and ends it after its store with this number, counted from 1; `None` if it was ended.
#[cfg(all(test, not(loom)))]
pub fn die_after_store<R>(number: u32, body: impl FnOnce() -> R) -> Option<R> {
    let mut left = number;
    let hook = move |event: &Event<'_>| {
        if let Event::Stored { .. } = event {
            left -= 1;
            if left == 0 {
                die();
            }
        }
    };
    with_hook(hook, body)
}

/// Called by the facade. Returns whether the access is to happen.
pub fn visit(event: Event<'_>) -> bool {
    if HOOK_COUNT.load(Ordering::Relaxed) == 0 {
        return true;
    }
    if DEAD.get() {
        return false;
    }
    if std::thread::panicking() {
        // A test has failed; what its destructors do does not matter.
        return true;
    }
    // The hook is taken out while it runs, so that what it does itself is not probed.
    if let Some(mut hook) = HOOK.take() {
        hook(&event);
        HOOK.set(Some(hook));
    }
    true
}
