//! Stopping a process at each place where that makes a difference to others, and killing it there.

use crate::engine::Store;
use crate::engine::tests::actor::heap_of;
use crate::engine::tests::crash_points::table::Image;
use crate::format::geometry::Geometry;
use crate::sys::lock::Lock;
use crate::sys::probe::{self, Event};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// Where a process can be stopped: before everything that changes what others see, and also after whatever is over only
/// then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    BeforeStore,
    AfterStore { word: usize },
    BeforeTouch,
    BeforeLock,
    AfterLock,
    BeforeUnlock,
    BeforeFlush,
    AfterFlush,
}

/// Where the words of a table begin in memory.
pub fn base_of(store: &Store) -> usize {
    store.medium.words().all().as_ptr() as usize
}

/// The place of an event at a table whose words begin there; `None` for those that change nothing.
pub fn place_of(event: &Event<'_>, base: usize) -> Option<Place> {
    match event {
        Event::Store => Some(Place::BeforeStore),
        Event::Stored { word, .. } => Some(Place::AfterStore { word: (std::ptr::from_ref(*word) as usize - base) / 8 }),
        Event::Touch { .. } => Some(Place::BeforeTouch),
        Event::Lock => Some(Place::BeforeLock),
        Event::Locked { .. } => Some(Place::AfterLock),
        Event::Unlock { .. } => Some(Place::BeforeUnlock),
        Event::Flush { .. } => Some(Place::BeforeFlush),
        Event::Flushed { .. } => Some(Place::AfterFlush),
        Event::Load | Event::Blocked => None,
    }
}

/// How many places were visited, of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub store_count: usize,
    /// The stores among them that write the payload of a cell.
    pub payload_store_count: usize,
    pub touch_count: usize,
    pub lock_count: usize,
    pub unlock_count: usize,
    pub flush_count: usize,
    /// All places: before and after a store are two.
    pub place_count: usize,
}

impl Tally {
    pub fn count(&mut self, place: Place, geometry: &Geometry) {
        self.place_count += 1;
        match place {
            Place::BeforeStore => self.store_count += 1,
            Place::AfterStore { word } => {
                let in_cell = word.checked_sub(geometry.cells()).map(|offset| offset % geometry.cell_words());
                let is_payload = in_cell.is_some_and(|offset| offset >= crate::format::cell::CELL_HEADER_WORDS);
                self.payload_store_count += usize::from(is_payload);
            }
            Place::BeforeTouch => self.touch_count += 1,
            Place::BeforeLock => self.lock_count += 1,
            Place::BeforeUnlock => self.unlock_count += 1,
            Place::BeforeFlush => self.flush_count += 1,
            Place::AfterLock | Place::AfterFlush => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} points ({} stores, {} of them of payload, {} touches, {} locks, {} unlocks, {} flushes)",
            self.place_count,
            self.store_count,
            self.payload_store_count,
            self.touch_count,
            self.lock_count,
            self.unlock_count,
            self.flush_count
        )
    }
}

/// How a process that was to be killed ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At the place where it was to die.
    Died { place: Place },
    /// While it waited for a lock that another process holds.
    DiedWaiting,
    /// It had finished before.
    Finished,
}

/// Lets a process do something with a table up to the place with this number, counted from 0, and kills it there.
pub fn kill_at(store: &Arc<Store>, number: usize, body: impl FnOnce()) -> End {
    let mut left = number;
    let is_there = move |_| {
        let is_there = left == 0;
        left = left.saturating_sub(1);
        is_there
    };
    kill_where(store, is_there, body)
}

/// Lets a process do something with a table and kills it at the first place that is the right one. Locks that it held
/// are then held by a dead owner.
/// then held by a dead owner.
pub fn kill_where(store: &Arc<Store>, mut is_there: impl FnMut(Place) -> bool + 'static, body: impl FnOnce()) -> End {
    let held: Rc<RefCell<Vec<Lock>>> = Rc::default();
    let died_at = Rc::new(Cell::new(None));
    let hook = {
        let (store, held, died_at) = (Arc::clone(store), Rc::clone(&held), Rc::clone(&died_at));
        move |event: &Event<'_>| {
            if let Event::Locked { which } = event {
                held.borrow_mut().push(*which);
            }
            if matches!(event, Event::Blocked) {
                probe::die();
            }
            if let Some(place) = place_of(event, base_of(&store)) {
                if is_there(place) {
                    died_at.set(Some(place));
                    probe::die();
                }
            }
            if let Event::Unlock { which } = event {
                held.borrow_mut().retain(|lock| lock != which);
            }
        }
    };
    let finished = probe::with_hook(hook, body);
    for lock in held.borrow().iter() {
        heap_of(store).owner_died(*lock);
    }
    match (finished, died_at.get()) {
        (Some(()), _) => End::Finished,
        (None, Some(place)) => End::Died { place },
        (None, None) => End::DiedWaiting,
    }
}

/// Kills a process at each place of what it does, each time with a table as in the image, and shows what is left.
/// Returns how the table is when the process is not killed, and how many places there were.
pub fn at_every_place(
    image: &Image,
    open: impl Fn(&Image) -> Arc<Store>,
    body: impl Fn(&Store),
    mut look: impl FnMut(Place, Image),
) -> (Image, Tally) {
    let mut tally = Tally::default();
    for number in 0.. {
        let store = open(image);
        let end = kill_at(&store, number, || body(&store));
        let left_locked = left_locked(&store);
        match end {
            End::Died { place } => {
                tally.count(place, &store.geometry);
                look(place, Image::of(&store, &left_locked));
            }
            End::Finished => return (Image::of(&store, &left_locked), tally),
            End::DiedWaiting => panic!("nobody else holds a lock"),
        }
    }
    unreachable!("everything ends")
}

/// Shows in one go what a process would leave if it died at each place of what it does: the words and the locks are
/// copied when they have changed. Returns how the table is in the end, and how many places there were.
pub fn copies_at_every_place(image: &Image, body: impl Fn(&Store)) -> (Vec<Image>, Tally) {
    let store = image.store();
    let seen: Rc<RefCell<(Vec<Image>, Tally)>> = Rc::default();
    let hook = {
        let (store, seen) = (Arc::clone(&store), Rc::clone(&seen));
        let mut held: Vec<Lock> = Vec::new();
        let mut has_changed = true;
        move |event: &Event<'_>| {
            if let Event::Locked { which } = event {
                held.push(*which);
            }
            let Some(place) = place_of(event, base_of(&store)) else { return };
            has_changed |= matches!(place, Place::AfterStore { .. } | Place::AfterLock);
            let (images, tally) = &mut *seen.borrow_mut();
            tally.count(place, &store.geometry);
            if has_changed {
                let locks: Vec<Lock> = left_locked(&store).into_iter().chain(held.iter().copied()).collect();
                images.push(Image::of(&store, &locks));
                has_changed = false;
            }
            if let Event::Unlock { which } = event {
                held.retain(|lock| lock != which);
                has_changed = true;
            }
        }
    };
    assert!(probe::with_hook(hook, || body(&store)).is_some(), "nobody killed him");
    let (mut images, tally) = seen.take();
    images.push(Image::of(&store, &left_locked(&store)));
    (images, tally)
}

/// The locks that a dead process holds.
pub fn left_locked(store: &Store) -> Vec<Lock> {
    [Lock::Write, Lock::Sync].into_iter().filter(|lock| heap_of(store).is_left_by_dead_owner(*lock)).collect()
}
