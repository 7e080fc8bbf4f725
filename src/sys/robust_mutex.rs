//! The process-shared robust mutex: all of pthread that this crate uses.
//!
//! Invariants:
//!
//! - The mutex is `PTHREAD_PROCESS_SHARED`, `PTHREAD_MUTEX_ROBUST`, `PTHREAD_MUTEX_ERRORCHECK`, without a priority
//!   protocol. It is initialised by a first opener, which is alone, and never destroyed.
//! - Every way of locking reports the death of an owner as [`Acquired::OwnerDied`]. The mutex is made consistent at
//!   once, so that a repairer that dies too is noticed in the same way, and one that gives up leaves a usable mutex:
//!   the table, not the mutex, records whether something is half done.
//! - Every wait is cut into slices. On kernels before 6.2, a waiter that is killed just after an owner's death woke it
//!   takes the wake-up with it, and the others would sleep for ever. Each slice is measured by the monotonic clock if
//!   the C library can do that.
//! - A thread that is gone holds nothing. Mostly the kernel makes sure of that when the thread ends; where it does not,
//!   a waiter does: see [`free_if_orphaned`](RobustMutex::free_if_orphaned).
//! - A waiter first spins for a bounded time. Critical sections are shorter than a system call, robust mutexes do not
//!   spin on their own, and sleeping at once halves the throughput of 50 processes.
#![allow(unsafe_code)]

use crate::error::broken_invariant;
use crate::format::control::MUTEX_WORDS;
use crate::sys::atomic::{AtomicU64, Ordering};
use crate::sys::deadline::Deadline;
use crate::sys::lock::{Acquired, LockFailure, LockState};
use crate::sys::thread::{THREAD_ID_LIMIT, is_gone};
use nix::libc;
use std::hint::spin_loop;
use std::io;
use std::mem::{MaybeUninit, align_of, size_of};
use std::time::Duration;

const _: () = {
    assert!(size_of::<libc::pthread_mutex_t>() <= MUTEX_WORDS * 8);
    assert!(align_of::<libc::pthread_mutex_t>() <= align_of::<AtomicU64>());
};

/// How long one wait in the kernel lasts at most, before the lock is tried again.
const SLICE: Duration = Duration::from_millis(50);
/// How often a waiter looks at the lock before it sleeps.
const SPIN_COUNT: u32 = 200;
/// The part of the kernel's futex word that is a thread id, and the bits that say that the owner died, and that a
/// thread waits.
const THREAD_ID_MASK: u32 = 0x3fff_ffff;
const OWNER_DIED_BIT: u32 = 0x4000_0000;
const WAITERS_BIT: u32 = 0x8000_0000;
/// Which 32-bit word of the mutex is the one that the kernel's robust list points at.
const FUTEX_INDEX: usize = if cfg!(target_env = "musl") { 1 } else { 0 };

/// A mutex that lies in shared words.
#[derive(Clone, Copy)]
pub struct RobustMutex<'a> {
    words: &'a [AtomicU64; MUTEX_WORDS],
}

impl<'a> RobustMutex<'a> {
    /// The mutex in these words.
    ///
    /// # Safety
    ///
    /// If anything other than [`state`](Self::state) and [`is_free`](Self::is_free), which only load, is called, the
    /// words are in writable memory and hold a mutex that [`initialise`](Self::initialise) made in this boot, or will
    /// make before anything else is called. Only these functions and the kernel write them.
    pub unsafe fn new(words: &'a [AtomicU64; MUTEX_WORDS]) -> Self {
        RobustMutex { words }
    }

    fn pointer(self) -> *mut libc::pthread_mutex_t {
        self.words.as_ptr().cast_mut().cast()
    }

    /// Makes the mutex, free. No other thread may be using it.
    pub fn initialise(self) -> io::Result<()> {
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: `attributes` points to writable memory of the right type; it is initialised by the first call before
        // the others read it, and destroyed once, after its last use. The mutex's words are writable, aligned and large
        // enough (asserted above), outlive the call, and by the contract of `new` nothing else uses them.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes))?;
            let made = check(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED))
                .and_then(|()| check(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST)))
                .and_then(|()| check(libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK)))
                .and_then(|()| {
                    for word in self.words {
                        word.store(0, Ordering::Relaxed);
                    }
                    check(libc::pthread_mutex_init(self.pointer(), attributes))
                });
            libc::pthread_mutexattr_destroy(attributes);
            made
        }
    }

    /// Takes the lock, waiting for at most `timeout`. The arbiter is another mutex, the same for all users of this one:
    /// see [`free_if_orphaned`](Self::free_if_orphaned).
    #[inline]
    pub fn lock(self, timeout: Duration, arbiter: RobustMutex<'_>) -> Result<Acquired, LockFailure> {
        match self.try_once()? {
            Some(acquired) => Ok(acquired),
            None => self.wait(timeout, arbiter),
        }
    }

    /// Takes the lock unless a thread holds it that may be alive.
    pub fn try_lock(self, arbiter: RobustMutex<'_>) -> Result<Option<Acquired>, LockFailure> {
        match self.try_once()? {
            None if self.free_if_orphaned(arbiter)? => self.try_once(),
            acquired => Ok(acquired),
        }
    }

    /// Takes the lock unless a thread holds it, dead or alive.
    #[inline]
    pub fn try_once(self) -> Result<Option<Acquired>, LockFailure> {
        // SAFETY: by the contract of `new` the pointer is to an initialised mutex, which stays mapped for the
        // lifetime of `words`.
        let code = unsafe { libc::pthread_mutex_trylock(self.pointer()) };
        self.interpret(code)
    }

    #[cold]
    fn wait(self, timeout: Duration, arbiter: RobustMutex<'_>) -> Result<Acquired, LockFailure> {
        for _ in 0..SPIN_COUNT {
            if self.futex_word() & THREAD_ID_MASK == 0 {
                if let Some(acquired) = self.try_once()? {
                    return Ok(acquired);
                }
            }
            spin_loop();
        }
        let deadline = Deadline::after(timeout);
        loop {
            let left = deadline.left();
            let code = self.lock_before(left.min(SLICE));
            if let Some(acquired) = self.interpret(code)? {
                return Ok(acquired);
            }
            if !self.free_if_orphaned(arbiter)? && left.is_zero() {
                return Err(LockFailure::Timeout { holder: self.holder() });
            }
        }
    }

    /// If the lock is held by a thread that is gone, does what the kernel does at a thread's death: marks the lock as a
    /// dead owner's, and wakes one waiter. Returns whether it did.
    ///
    /// The kernel cannot do it if the mapping was gone before the thread. Nor does it do it for a thread other than the
    /// first that executes another program: by the time that the kernel looks at that thread's list, the thread has got
    /// the process's id, and so is not taken for the owner (seen on Linux 6.18).
    ///
    /// The lock is never taken from a thread that may be alive:
    ///
    /// - A thread puts its own id into the word, and only where no id is. So an id that is there is that of the owner.
    ///   Either the owner unlocked before it ended, or it never will: a thread that is gone ([`is_gone`]) does nothing
    ///   any more, and the kernel does nothing for it either.
    /// - Its id can be given to a new thread, and then counts as not gone. Before that, the new thread cannot have the
    ///   lock, unless another thread freed it between the look at the word and the exchange. A thread that frees it
    ///   does so here, and holds the arbiter from the look to the exchange. (A first opener makes mutexes anew, but
    ///   only while no process is attached.)
    /// - An id means the same thread to every process: all that are attached are in the same PID namespace.
    ///
    /// No code of a caller runs under the arbiter, so the kernel does hand that on when its owner dies; unless the
    /// table was unmapped under that thread, which nothing can put right.
    #[cold]
    fn free_if_orphaned(self, arbiter: RobustMutex<'_>) -> Result<bool, LockFailure> {
        match self.holder() {
            // No C library writes such an id either: it is a mutex that cannot be recovered, or something that strayed
            // here.
            Some(THREAD_ID_LIMIT..) => return Err(LockFailure::Unusable),
            Some(holder) if is_gone(holder) => {}
            _ => return Ok(false),
        }
        if arbiter.try_once()?.is_none() {
            let other = arbiter.holder();
            let is_lost = other.is_some_and(is_gone) && arbiter.holder() == other;
            return if is_lost { Err(LockFailure::Unusable) } else { Ok(false) };
        }
        let is_freed = self.mark_owner_died();
        arbiter.unlock();
        Ok(is_freed)
    }

    /// What the kernel's `handle_futex_death` does, if the owner is gone. Under the arbiter.
    fn mark_owner_died(self) -> bool {
        let Some(word) = self.words.first() else { return false };
        let seen = word.load(Ordering::Relaxed);
        let [futex, beside] = halves(seen);
        let owner = futex & THREAD_ID_MASK;
        if owner == 0 || !is_gone(owner) {
            return false;
        }
        // Beside the futex's 32 bits are others of the mutex, which only its owner changes. Acquire, since only the
        // kernel's word tells that what the owner stored before it was gone is there; release hands that on to the next
        // owner.
        let marked = joined([futex & WAITERS_BIT | OWNER_DIED_BIT, beside]);
        if word.compare_exchange(seen, marked, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        if futex & WAITERS_BIT != 0 {
            let futex = self.words.as_ptr().cast::<u32>().wrapping_add(FUTEX_INDEX);
            // SAFETY: FUTEX_WAKE uses the address only to find the sleepers.
            unsafe { libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAKE, 1) };
        }
        true
    }

    /// One slice of waiting in the kernel.
    fn lock_before(self, slice: Duration) -> i32 {
        #[cfg(target_env = "gnu")]
        {
            unsafe extern "C" {
                fn pthread_mutex_clocklock(
                    mutex: *mut libc::pthread_mutex_t,
                    clock: libc::clockid_t,
                    deadline: *const libc::timespec,
                ) -> libc::c_int;
            }
            let deadline = deadline(libc::CLOCK_MONOTONIC, slice);
            // SAFETY: the declaration is that of pthread.h since glibc 2.30; the mutex as in `try_once`; the deadline
            // is a normalised timespec that outlives the call.
            unsafe { pthread_mutex_clocklock(self.pointer(), libc::CLOCK_MONOTONIC, &deadline) }
        }
        #[cfg(not(target_env = "gnu"))]
        {
            let deadline = deadline(libc::CLOCK_REALTIME, slice);
            // SAFETY: the mutex as in `try_once`; the deadline is a normalised timespec that outlives the call.
            unsafe { libc::pthread_mutex_timedlock(self.pointer(), &deadline) }
        }
    }

    /// What a locking function's result means; `None` is "not yet".
    #[inline]
    fn interpret(self, code: i32) -> Result<Option<Acquired>, LockFailure> {
        match code {
            0 => Ok(Some(Acquired::Clean)),
            libc::EOWNERDEAD => {
                // SAFETY: the pointer as in `try_once`; this thread owns the mutex, which is in the inconsistent
                // state, as EOWNERDEAD says.
                unsafe { libc::pthread_mutex_consistent(self.pointer()) };
                Ok(Some(Acquired::OwnerDied))
            }
            libc::EBUSY | libc::ETIMEDOUT => Ok(None),
            libc::EDEADLK => Err(LockFailure::Nested),
            _ => Err(LockFailure::Unusable),
        }
    }

    /// Releases the lock. Does nothing if this thread does not hold it: the mutex checks that.
    #[inline]
    pub fn unlock(self) {
        // SAFETY: the pointer as in `try_once`. An error-checking mutex that the thread does not own is left alone.
        unsafe { libc::pthread_mutex_unlock(self.pointer()) };
    }

    /// The kernel thread id of the owner, if there is one.
    pub fn holder(self) -> Option<u32> {
        self.state().holder
    }

    /// Who holds it, and whether somebody waits for it.
    pub fn state(self) -> LockState {
        let word = self.futex_word();
        LockState {
            holder: Some(word & THREAD_ID_MASK).filter(|thread_id| *thread_id != 0),
            is_waited_for: word & WAITERS_BIT != 0,
            is_abandoned: word & OWNER_DIED_BIT != 0,
        }
    }

    /// Whether the mutex is not owned by a thread that may be alive.
    pub fn is_free(self) -> bool {
        let word = self.futex_word();
        word & THREAD_ID_MASK == 0 || word & OWNER_DIED_BIT != 0
    }

    /// The word that the kernel reads when a thread dies: it is part of the kernel's ABI, and every C library keeps its
    /// place, since processes share these mutexes across its versions.
    #[inline]
    fn futex_word(self) -> u32 {
        let [futex, _] = halves(self.words.first().map_or(0, |word| word.load(Ordering::Relaxed)));
        futex
    }
}

/// The first word of a mutex, split into the kernel's futex and what is beside it.
#[inline]
fn halves(word: u64) -> [u32; 2] {
    let [first, second]: [u32; 2] = bytemuck::cast(word);
    if FUTEX_INDEX == 0 { [first, second] } else { [second, first] }
}

fn joined([futex, beside]: [u32; 2]) -> u64 {
    bytemuck::cast(if FUTEX_INDEX == 0 { [futex, beside] } else { [beside, futex] })
}

/// Sleeps until [`wake_all`] is called on the word, if its low half is still that of `seen`, for at most `timeout`. May
/// return early: the caller looks again.
pub fn sleep_on(word: &AtomicU64, seen: u64, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: nanoseconds_of(timeout),
    };
    let low_half = crate::format::checksum::low_half(seen);
    // SAFETY: FUTEX_WAIT reads 32 bits at the address, which is inside the word, aligned, and mapped for the call; the
    // timeout is normalised, relative, and outlives the call. The kernel writes nothing.
    unsafe { libc::syscall(libc::SYS_futex, low_half_of(word), libc::FUTEX_WAIT, low_half, &raw const timeout) };
}

/// Wakes every thread that sleeps on the word, in any process.
pub fn wake_all(word: &AtomicU64) {
    // SAFETY: FUTEX_WAKE uses the address only to find the sleepers.
    unsafe { libc::syscall(libc::SYS_futex, low_half_of(word), libc::FUTEX_WAKE, libc::c_int::MAX) };
}

fn low_half_of(word: &AtomicU64) -> *mut u32 {
    let half: *mut u32 = word.as_ptr().cast();
    if cfg!(target_endian = "little") { half } else { half.wrapping_add(1) }
}

/// What distinguishes one C library's mutexes from another's: two that share a file must agree in this number.
pub fn mutex_fingerprint() -> io::Result<u64> {
    let words: [AtomicU64; MUTEX_WORDS] = Default::default();
    // SAFETY: the words are this function's own, and the mutex is never locked.
    unsafe { RobustMutex::new(&words) }.initialise()?;
    let mut description = format!(
        "{} {} {} {}",
        std::env::consts::ARCH,
        if cfg!(target_env = "musl") { "musl" } else { "gnu" },
        size_of::<usize>(),
        size_of::<libc::pthread_mutex_t>()
    )
    .into_bytes();
    for word in &words {
        description.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
    }
    Ok(xxhash_rust::xxh3::xxh3_64(&description))
}

fn check(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

/// What is left of a duration beside its whole seconds.
fn nanoseconds_of(duration: Duration) -> libc::c_long {
    match i32::try_from(duration.subsec_nanos()) {
        Ok(nanoseconds) => libc::c_long::from(nanoseconds),
        Err(_) => broken_invariant("a second has a billion nanoseconds"),
    }
}

/// Now plus a slice, by this clock.
fn deadline(clock: libc::clockid_t, slice: Duration) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable. Both clocks exist on every Linux; if one were missing, the deadline would be in the
    // past, and the wait would be short.
    unsafe { libc::clock_gettime(clock, &mut now) };
    let nanoseconds = now.tv_nsec + nanoseconds_of(slice);
    libc::timespec {
        tv_sec: now.tv_sec + libc::time_t::try_from(slice.as_secs()).unwrap_or(0) + nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    /// Longer than any of these tests takes.
    const FOR_EVER: Duration = Duration::from_secs(600);

    /// A mutex and its arbiter in this process's memory, shared between threads by their words, as processes share them.
    #[derive(Default)]
    struct Pair {
        words: [[AtomicU64; MUTEX_WORDS]; 2],
    }

    impl Pair {
        fn new() -> Arc<Self> {
            let pair = Arc::new(Self::default());
            pair.mutex().initialise().unwrap();
            pair.arbiter().initialise().unwrap();
            pair
        }

        fn mutex(&self) -> RobustMutex<'_> {
            // SAFETY: the words are writable memory of the test, which initialises the mutex before anything else, and only
            // these functions write them.
            unsafe { RobustMutex::new(&self.words[0]) }
        }

        fn arbiter(&self) -> RobustMutex<'_> {
            // SAFETY: as in `mutex`.
            unsafe { RobustMutex::new(&self.words[1]) }
        }

        fn lock(&self, timeout: Duration) -> Result<Acquired, LockFailure> {
            self.mutex().lock(timeout, self.arbiter())
        }

        fn try_lock(&self) -> Result<Option<Acquired>, LockFailure> {
            self.mutex().try_lock(self.arbiter())
        }

        /// As if a thread with this id had locked the mutex.
        fn set_holder(&self, thread_id: u32) {
            let word = &self.words[0][0];
            let [_, beside] = halves(word.load(Ordering::Relaxed));
            word.store(joined([thread_id, beside]), Ordering::Relaxed);
        }
    }

    /// The id of a thread that no longer exists. Its number is not given out again before all others.
    fn dead_thread_id() -> u32 {
        let thread_id = std::thread::spawn(own_thread_id).join().unwrap();
        let start = Instant::now();
        // The thread that joined it may be told so before the id is free.
        while !is_gone(thread_id) {
            assert!(start.elapsed() < FOR_EVER, "it does not go");
            std::thread::yield_now();
        }
        thread_id
    }

    fn own_thread_id() -> u32 {
        u32::try_from(nix::unistd::gettid().as_raw()).unwrap()
    }

    #[test]
    fn a_mutex_tells_who_holds_it_and_that_its_owner_died() {
        let pair = Pair::new();
        let mutex = pair.mutex();
        assert_eq!((mutex.holder(), mutex.is_free()), (None, true));
        assert_eq!(pair.lock(FOR_EVER).unwrap(), Acquired::Clean);
        assert_eq!((mutex.holder(), mutex.is_free()), (Some(own_thread_id()), false));
        let held = LockState { holder: Some(own_thread_id()), is_waited_for: false, is_abandoned: false };
        assert_eq!(mutex.state(), held);
        pair.set_holder(own_thread_id() | WAITERS_BIT);
        assert_eq!(mutex.state(), LockState { is_waited_for: true, ..held });
        pair.set_holder(own_thread_id());
        assert!(matches!(pair.try_lock(), Err(LockFailure::Nested)));
        assert!(matches!(pair.lock(FOR_EVER), Err(LockFailure::Nested)));
        mutex.unlock();
        assert_eq!((mutex.holder(), mutex.is_free()), (None, true));

        let dying = Arc::clone(&pair);
        std::thread::spawn(move || assert!(dying.try_lock().unwrap().is_some())).join().unwrap();
        assert!(mutex.is_free());
        assert!(mutex.state().is_abandoned && mutex.state().holder.is_none());
        assert_eq!(pair.try_lock().unwrap(), Some(Acquired::OwnerDied));
        assert!(!mutex.is_free());
        mutex.unlock();
        assert_eq!(pair.lock(FOR_EVER).unwrap(), Acquired::Clean, "it is said once");
        mutex.unlock();
    }

    #[test]
    fn who_waits_gets_the_mutex_when_it_is_let_go_or_gives_up_and_names_the_holder() {
        let pair = Pair::new();
        assert_eq!(pair.lock(FOR_EVER).unwrap(), Acquired::Clean);
        let own_id = pair.mutex().holder();
        let shared = Arc::clone(&pair);
        let waiting = std::thread::spawn(move || {
            match shared.lock(Duration::from_millis(1)) {
                Err(LockFailure::Timeout { holder }) => assert_eq!(holder, own_id),
                other => panic!("{other:?}"),
            }
            assert_eq!(shared.try_lock().unwrap(), None);
            // This thread does not hold it, so this does nothing.
            shared.mutex().unlock();
            assert_eq!(shared.mutex().holder(), own_id);
        });
        waiting.join().unwrap();
        let shared = Arc::clone(&pair);
        let waiting = std::thread::spawn(move || {
            assert_eq!(shared.lock(FOR_EVER).unwrap(), Acquired::Clean);
            shared.mutex().unlock();
        });
        pair.mutex().unlock();
        waiting.join().unwrap();
    }

    #[test]
    fn what_a_thread_that_is_gone_still_holds_is_a_dead_owners() {
        let ways: [fn(&Pair) -> Option<Acquired>; 3] = [
            |pair| pair.try_lock().unwrap(),
            |pair| Some(pair.lock(FOR_EVER).unwrap()),
            // A thread that does not wait finds it out too.
            |pair| Some(pair.lock(Duration::ZERO).unwrap()),
        ];
        for way in ways {
            for beside_the_id in [0, WAITERS_BIT, OWNER_DIED_BIT] {
                let pair = Pair::new();
                pair.set_holder(dead_thread_id() | beside_the_id);
                assert_eq!(way(&pair), Some(Acquired::OwnerDied));
                assert_eq!(pair.mutex().holder(), Some(own_thread_id()));
                assert_eq!((pair.arbiter().holder(), pair.arbiter().is_free()), (None, true));
                pair.mutex().unlock();
                assert_eq!(pair.try_lock().unwrap(), Some(Acquired::Clean));
                pair.mutex().unlock();
            }
        }
    }

    #[test]
    fn every_sleeper_gets_what_a_thread_that_is_gone_still_holds() {
        let pair = Pair::new();
        pair.set_holder(own_thread_id());
        let sleepers = [0; 3].map(|_| {
            let shared = Arc::clone(&pair);
            std::thread::spawn(move || {
                let acquired = shared.lock(FOR_EVER).unwrap();
                shared.mutex().unlock();
                acquired
            })
        });
        let is_waited_for = || halves(pair.words[0][0].load(Ordering::Relaxed))[0] & WAITERS_BIT != 0;
        let start = Instant::now();
        while !is_waited_for() {
            assert!(start.elapsed() < FOR_EVER, "nobody waits");
            std::thread::yield_now();
        }
        pair.set_holder(dead_thread_id() | WAITERS_BIT);
        let found = sleepers.map(|sleeper| sleeper.join().unwrap());
        assert_eq!(found.iter().filter(|acquired| **acquired == Acquired::OwnerDied).count(), 1, "{found:?}");
    }

    #[test]
    #[cfg(all(target_env = "gnu", target_endian = "little"))]
    fn who_frees_what_a_thread_that_is_gone_holds_wakes_a_sleeper_and_says_if_there_are_more() {
        let pair = Pair::new();
        let held = dead_thread_id() | WAITERS_BIT;
        pair.set_holder(held);
        // A thread that does not come back on its own to look.
        let (shared, sleeping) = (Arc::clone(&pair), std::sync::mpsc::channel());
        let sleeper = std::thread::spawn(move || {
            sleeping.0.send(own_thread_id()).unwrap();
            sleep_on(&shared.words[0][0], u64::from(held), FOR_EVER);
        });
        let calls = format!("/proc/self/task/{}/syscall", sleeping.1.recv().unwrap());
        let futex = format!("{} ", libc::SYS_futex);
        while !std::fs::read_to_string(&calls).unwrap().starts_with(&futex) {
            std::thread::yield_now();
        }
        assert!(pair.mutex().mark_owner_died());
        assert_eq!(pair.mutex().futex_word(), WAITERS_BIT | OWNER_DIED_BIT);
        let start = Instant::now();
        while !sleeper.is_finished() {
            assert!(start.elapsed() < FOR_EVER / 10, "nobody woke it");
            std::thread::yield_now();
        }
        pair.set_holder(held & !WAITERS_BIT);
        assert!(pair.mutex().mark_owner_died());
        assert_eq!(pair.mutex().futex_word(), OWNER_DIED_BIT);
    }

    #[test]
    fn what_a_living_thread_holds_is_not_taken_nor_while_another_is_at_taking_it() {
        let pair = Pair::new();
        assert_eq!(pair.lock(FOR_EVER).unwrap(), Acquired::Clean);
        assert!(!pair.mutex().free_if_orphaned(pair.arbiter()).unwrap());
        assert!(!pair.mutex().mark_owner_died());
        pair.mutex().unlock();
        assert!(!pair.mutex().free_if_orphaned(pair.arbiter()).unwrap() && !pair.mutex().mark_owner_died());

        let dead = dead_thread_id();
        pair.set_holder(dead);
        assert_eq!(pair.arbiter().try_once().unwrap(), Some(Acquired::Clean));
        let shared = Arc::clone(&pair);
        let other = std::thread::spawn(move || {
            assert_eq!(shared.try_lock().unwrap(), None);
            assert!(
                matches!(shared.lock(Duration::ZERO), Err(LockFailure::Timeout { holder }) if holder == Some(dead))
            );
            shared
        });
        let shared = other.join().unwrap();
        pair.arbiter().unlock();
        // The arbiter's owner may die too.
        std::thread::spawn(move || assert!(shared.arbiter().try_once().unwrap().is_some())).join().unwrap();
        assert_eq!(pair.try_lock().unwrap(), Some(Acquired::OwnerDied));
        pair.mutex().unlock();
    }

    #[test]
    fn a_mutex_whose_words_make_no_sense_is_unusable() {
        for thread_id in [THREAD_ID_LIMIT, THREAD_ID_MASK] {
            let pair = Pair::new();
            pair.set_holder(thread_id);
            assert!(matches!(pair.try_lock(), Err(LockFailure::Unusable)));
            assert!(matches!(pair.lock(FOR_EVER), Err(LockFailure::Unusable)));
        }
        // The arbiter cannot be taken either, if it was left with an owner that is gone for good.
        let pair = Pair::new();
        let dead = dead_thread_id();
        pair.set_holder(dead);
        pair.words[1][0].store(pair.words[0][0].load(Ordering::Relaxed), Ordering::Relaxed);
        assert!(matches!(pair.try_lock(), Err(LockFailure::Unusable)));
    }

    #[test]
    fn a_sleeper_wakes_when_it_is_woken_and_sleeps_only_on_what_it_saw() {
        let word = Arc::new(AtomicU64::new(7 << 32 | 5));
        let start = Instant::now();
        // Another value: it does not sleep.
        sleep_on(&word, 6, FOR_EVER);
        assert!(start.elapsed() < FOR_EVER);
        // The same value: it does, as nobody wakes it and no signal comes. Here too the high half is not looked at.
        let (start, pause) = (Instant::now(), Duration::from_millis(5));
        sleep_on(&word, 9 << 32 | 5, pause);
        assert!(start.elapsed() >= pause);
        let sleeping = Arc::clone(&word);
        let sleeper = std::thread::spawn(move || sleep_on(&sleeping, 5, FOR_EVER));
        // It may not sleep yet.
        let start = Instant::now();
        while !sleeper.is_finished() && start.elapsed() < FOR_EVER / 2 {
            wake_all(&word);
            std::thread::yield_now();
        }
        assert!(sleeper.is_finished(), "nobody woke it");
    }

    #[test]
    fn a_deadline_is_so_long_after_now_and_normalised() {
        let now = || {
            let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
            Duration::from(now)
        };
        for milliseconds in (0..3_000).step_by(37) {
            let slice = Duration::from_millis(milliseconds);
            let before = now();
            let libc::timespec { tv_sec, tv_nsec, .. } = deadline(libc::CLOCK_MONOTONIC, slice);
            let after = now();
            assert!((0..1_000_000_000).contains(&tv_nsec), "{tv_nsec}");
            let found = Duration::new(tv_sec.try_into().unwrap(), tv_nsec.try_into().unwrap());
            assert!(before + slice <= found && found <= after + slice, "{before:?} + {slice:?}: {found:?}");
        }
    }

    #[test]
    fn mutexes_of_one_c_library_have_one_fingerprint() {
        let fingerprint = mutex_fingerprint().unwrap();
        assert_eq!(mutex_fingerprint().unwrap(), fingerprint);
        // It is made of the bytes of a mutex, and not of nothing.
        assert!(fingerprint > 1);
        assert!(check(0).is_ok() && check(libc::EINVAL).is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)));
    }
}
