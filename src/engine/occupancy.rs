//! Which process may use a handle, and how many of its threads hold or try locks through it.
//!
//! Invariants:
//!
//! 1. A handle is used by the process that attached through it and by no other. The child of a fork attaches on its own before
//!    its first use of the handle; that it is another process is noticed without a system call.
//! 2. A thread is counted from before it tries a lock of the table until after it has unlocked it.
//! 3. A handle dies once, for one reason, and for good: a thread that wants to lock after that is turned away.
//! 4. The attachment of a dead handle is given up when no thread is counted. So no thread holds or tries a lock of a table that
//!    this process is not attached to.
//!
//! All of it is in one word, so that entering, leaving and dying have one order. What a thread did under a lock comes before
//! its leaving (release), and the thread that gives the attachment up has seen it leave (acquire).

use crate::error::Error;
use crate::sys::fork_generation;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits 0 to 23 are the number of threads inside, 24 to 55 the process, and those above are why the handle is dead.
const THREAD_COUNT_MASK: u64 = (1 << PROCESS_SHIFT) - 1;
const PROCESS_SHIFT: u32 = 24;
const DEATH_SHIFT: u32 = 56;
const PROCESS_MASK: u64 = (1 << DEATH_SHIFT) - 1 - THREAD_COUNT_MASK;

/// Why a handle cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Superseded = 1,
    Condemned = 2,
    FlushFailed = 3,
    Recovered = 4,
}

impl Death {
    const ALL: [Death; 4] = [Death::Superseded, Death::Condemned, Death::FlushFailed, Death::Recovered];

    pub fn error(self) -> Error {
        match self {
            Death::Superseded => Error::Superseded,
            Death::Condemned => Error::Condemned,
            Death::FlushFailed => Error::FlushFailed { source: None },
            Death::Recovered => Error::Recovered,
        }
    }
}

/// What became of a thread that wanted to lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    Inside,
    /// The handle is dead, or belongs to another process. `is_last`: whether this thread was the last inside a dead one.
    TurnedAway {
        is_last: bool,
    },
}

/// Which process may use a handle, and how many of its threads hold or try a lock through it.
pub struct Occupancy(AtomicU64);

impl Occupancy {
    /// A handle of this process.
    pub fn of_this_process() -> Self {
        Occupancy(AtomicU64::new(this_process()))
    }

    /// A handle that no process is attached through.
    pub fn of_nobody() -> Self {
        Occupancy(AtomicU64::new(0))
    }

    /// Whether the handle is this process's, and alive.
    #[inline(always)]
    pub fn is_usable(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !THREAD_COUNT_MASK == this_process()
    }

    /// Whether the handle is this process's, dead or alive.
    pub fn is_of_this_process(&self) -> bool {
        (self.0.load(Ordering::Acquire) ^ this_process()) & PROCESS_MASK == 0
    }

    /// Why the handle is dead, if it is.
    pub fn death(&self) -> Option<Death> {
        let death = self.0.load(Ordering::Acquire) >> DEATH_SHIFT;
        Death::ALL.into_iter().find(|known| *known as u64 == death)
    }

    /// Counts a thread in, if the handle is usable.
    #[inline(always)]
    pub fn enter(&self) -> Entered {
        let before = self.0.fetch_add(1, Ordering::Acquire);
        if before & !THREAD_COUNT_MASK == this_process() { Entered::Inside } else { self.turn_away(before) }
    }

    /// Takes back the count of a thread that must not go on. If the handle is another process's, a thread that adopted it may
    /// have started the count anew in the meantime.
    #[cold]
    fn turn_away(&self, before: u64) -> Entered {
        let is_same_process = |word: u64| (word ^ before) & PROCESS_MASK == 0;
        let taken_back = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            is_same_process(word).then(|| word.wrapping_sub(1))
        });
        let is_last = taken_back.is_ok_and(|word| word >> DEATH_SHIFT != 0 && word & THREAD_COUNT_MASK == 1);
        Entered::TurnedAway { is_last }
    }

    /// Counts a thread out. Returns whether it was the last one inside a dead handle: then the attachment is to be given up.
    #[inline(always)]
    #[must_use]
    pub fn leave(&self) -> bool {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        before >> DEATH_SHIFT != 0 && before & THREAD_COUNT_MASK == 1
    }

    /// Ends the use of the handle, unless it is dead already. Returns whether no thread is inside: then the attachment is to be
    /// given up.
    #[must_use]
    pub fn die(&self, death: Death) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word >> DEATH_SHIFT == 0 {
            let dead = word | (death as u64) << DEATH_SHIFT;
            match self.0.compare_exchange_weak(word, dead, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(found) => word = found,
            }
        }
        self.is_empty()
    }

    /// Whether no thread is inside.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & THREAD_COUNT_MASK == 0
    }

    /// Makes the handle this process's from now on. None of its threads is inside: those that were are the parent's.
    pub fn adopt(&self) {
        let death = self.0.load(Ordering::Relaxed) >> DEATH_SHIFT << DEATH_SHIFT;
        self.0.store(death | this_process(), Ordering::Release);
    }
}

#[inline(always)]
fn this_process() -> u64 {
    u64::from(fork_generation()) << PROCESS_SHIFT
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_dies_once_and_the_last_thread_out_gives_its_attachment_up() {
        let occupancy = Occupancy::of_this_process();
        assert!(occupancy.is_usable() && occupancy.is_of_this_process() && occupancy.is_empty());
        assert_eq!([occupancy.enter(), occupancy.enter()], [Entered::Inside; 2]);
        assert!(!occupancy.leave(), "a handle that is alive is left as it is");
        assert!(!occupancy.die(Death::Condemned), "somebody is inside");
        assert_eq!((occupancy.death(), occupancy.is_usable()), (Some(Death::Condemned), false));
        assert!(occupancy.is_of_this_process());
        assert_eq!(
            occupancy.enter(),
            Entered::TurnedAway { is_last: false },
            "nobody begins to lock through a dead handle"
        );
        assert!(!occupancy.die(Death::Superseded), "it is dead already");
        assert_eq!(occupancy.death(), Some(Death::Condemned));
        assert!(occupancy.leave() && occupancy.is_empty());
        // A thread that looked while the last one was turned away took that one for one inside. So the attachment is given up
        // again.
        assert_eq!(occupancy.enter(), Entered::TurnedAway { is_last: true });
        assert!(Occupancy::of_this_process().die(Death::Recovered), "nobody is inside");
    }

    #[test]
    fn each_death_is_told_by_its_own_error() {
        for death in Death::ALL {
            let occupancy = Occupancy::of_this_process();
            assert!(occupancy.die(death));
            assert_eq!(occupancy.death(), Some(death));
        }
        assert!(matches!(Death::Superseded.error(), Error::Superseded));
        assert!(matches!(Death::Condemned.error(), Error::Condemned));
        assert!(matches!(Death::FlushFailed.error(), Error::FlushFailed { source: None }));
        assert!(matches!(Death::Recovered.error(), Error::Recovered));
    }

    #[test]
    fn a_handle_of_another_process_is_adopted_with_nobody_inside_and_stays_dead() {
        let occupancy = Occupancy::of_nobody();
        assert!(!occupancy.is_usable() && !occupancy.is_of_this_process());
        // As if threads of its parent were inside, and had let the handle die.
        occupancy.0.store(5 | 77 << PROCESS_SHIFT, Ordering::Relaxed);
        assert_eq!(occupancy.enter(), Entered::TurnedAway { is_last: false });
        assert_eq!(occupancy.0.load(Ordering::Relaxed), 5 | 77 << PROCESS_SHIFT);
        // A thread is turned away while another adopts the handle and starts the count anew.
        let before = occupancy.0.fetch_add(1, Ordering::Relaxed);
        occupancy.adopt();
        assert_eq!(occupancy.turn_away(before), Entered::TurnedAway { is_last: false });
        assert!(occupancy.is_usable() && occupancy.is_empty() && occupancy.death().is_none());
        occupancy.0.store(5 | 77 << PROCESS_SHIFT | (Death::FlushFailed as u64) << DEATH_SHIFT, Ordering::Relaxed);
        occupancy.adopt();
        assert!(!occupancy.is_usable() && occupancy.is_of_this_process() && occupancy.is_empty());
        assert_eq!(occupancy.death(), Some(Death::FlushFailed));
    }
}
