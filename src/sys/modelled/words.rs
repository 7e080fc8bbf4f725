//! Words that the model checker watches.
//!
//! A table has thousands of words that no operation writes, and at each acquire fence the checker looks at every atomic
//! that exists. So a word is the checker's only if that is asked for; the others must never be written.
//!
//! One ordering can be weakened while the tests run, to see that a test fails: `LOCULE_WEAKEN=src/layout/slot.rs:52`
//! makes the access on that line relaxed, or leaves out the fence there. `LOCULE_LIST_ORDERINGS` prints each place that
//! orders something when it is first reached. `tests/weaken_orderings.py` does this for all of them.

use crate::sys::modelled::thread::modelled_thread_local;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// A word.
#[derive(Debug)]
pub enum AtomicU64 {
    /// One that the checker watches.
    Modelled(Modelled),
    /// One that is never written.
    Constant(u64),
}

/// A word that the checker watches, and for each thread a mark that it writes when it has loaded the word.
///
/// The checker itself remembers only the last thread that loaded an atomic. So a thread that loads a word and then
/// stores into it hides that another thread had loaded it before, and the order in which the store comes first is never
/// tried (loom's issues 166 and 392). Here a store looks at the marks of the other threads: the checker remembers
/// those, and goes back to the load. A load and its mark are one step, and so are a store and its look at the marks.
#[derive(Debug)]
pub struct Modelled {
    word: loom::sync::atomic::AtomicU64,
    loaded_by: Box<[loom::sync::atomic::AtomicBool]>,
}

impl Modelled {
    fn after_load<R>(&self, result: R) -> R {
        if let Some(mark) = self.loaded_by.get(THREAD.get()) {
            as_one_step(|| mark.store(true, Ordering::Relaxed));
        }
        result
    }

    fn after_store<R>(&self, result: R) -> R {
        as_one_step(|| {
            for mark in self.loaded_by.iter().enumerate().filter(|(thread, _)| *thread != THREAD.get()) {
                mark.1.load(Ordering::Relaxed);
            }
        });
        result
    }
}

/// Does something that belongs to the access before it: no other thread runs in between.
fn as_one_step(body: impl FnOnce()) {
    loom::stop_exploring();
    body();
    loom::explore();
}

modelled_thread_local! {
    /// The number of this thread in its model.
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

/// Says which thread of its model this is; the first is 0.
pub fn set_thread(number: usize) {
    THREAD.set(number);
}

impl AtomicU64 {
    /// A word that only one thread uses.
    pub fn new(value: u64) -> Self {
        Self::shared(value, 0)
    }

    /// A word that this many threads use.
    pub fn shared(value: u64, thread_count: usize) -> Self {
        let loaded_by = (0..thread_count).map(|_| loom::sync::atomic::AtomicBool::new(false)).collect();
        AtomicU64::Modelled(Modelled { word: loom::sync::atomic::AtomicU64::new(value), loaded_by })
    }

    #[track_caller]
    pub fn load(&self, ordering: Ordering) -> u64 {
        match self {
            AtomicU64::Modelled(modelled) => modelled.after_load(modelled.word.load(weakened(ordering))),
            AtomicU64::Constant(value) => *value,
        }
    }

    #[track_caller]
    pub fn store(&self, value: u64, ordering: Ordering) {
        let modelled = self.modelled();
        modelled.word.store(value, weakened(ordering));
        modelled.after_store(());
    }

    /// Exchanges a word for itself, which is all that a table uses this for. The checker knows only part of the order
    /// of the stores into a word, and may take such an exchange for a newer store than one that came after it. Since
    /// the exchange changes nothing, it is a load here.
    pub fn compare_exchange(&self, from: u64, to: u64, _success: Ordering, failure: Ordering) -> Result<u64, u64> {
        assert_eq!(from, to, "an exchange that changes something is not modelled");
        let found = self.load(failure);
        if found == from { Ok(found) } else { Err(found) }
    }

    #[track_caller]
    pub fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        let modelled = self.modelled();
        modelled.after_store(modelled.word.fetch_add(value, weakened(ordering)))
    }

    #[track_caller]
    pub fn fetch_max(&self, value: u64, ordering: Ordering) -> u64 {
        let modelled = self.modelled();
        modelled.after_store(modelled.word.fetch_max(value, weakened(ordering)))
    }

    /// An exchange that changes something. Only for words into which all stores are made in one step with a load.
    #[track_caller]
    pub fn exchange(&self, from: u64, to: u64, ordering: Ordering) -> bool {
        let modelled = self.modelled();
        modelled.after_store(modelled.word.compare_exchange(from, to, weakened(ordering), Ordering::Relaxed).is_ok())
    }

    #[track_caller]
    fn modelled(&self) -> &Modelled {
        match self {
            AtomicU64::Modelled(modelled) => modelled,
            AtomicU64::Constant(_) => panic!("a word is written that the model holds constant"),
        }
    }
}

#[track_caller]
pub fn fence(ordering: Ordering) {
    if weakened(ordering) != Ordering::Relaxed {
        loom::sync::atomic::fence(ordering);
    }
}

/// The ordering that is asked for at the caller's place in the source, unless that is the one to be weakened.
#[track_caller]
fn weakened(ordering: Ordering) -> Ordering {
    static WEAKENED: OnceLock<Option<String>> = OnceLock::new();
    static IS_LISTED: OnceLock<bool> = OnceLock::new();
    static SEEN: std::sync::Mutex<BTreeSet<(&str, u32)>> = std::sync::Mutex::new(BTreeSet::new());
    if ordering == Ordering::Relaxed {
        return ordering;
    }
    let place = Location::caller();
    if *IS_LISTED.get_or_init(|| std::env::var_os("LOCULE_LIST_ORDERINGS").is_some())
        && SEEN.lock().unwrap().insert((place.file(), place.line()))
    {
        println!("ordering {}:{} {ordering:?}", place.file(), place.line());
    }
    let weakened = WEAKENED.get_or_init(|| std::env::var("LOCULE_WEAKEN").ok());
    let is_weakened = weakened
        .as_deref()
        .and_then(|weakened| weakened.rsplit_once(':'))
        .is_some_and(|(file, line)| place.file() == file && line.parse() == Ok(place.line()));
    if is_weakened { Ordering::Relaxed } else { ordering }
}
