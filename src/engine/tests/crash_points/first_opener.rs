//! A first opener dies at each place of a recovery, and so does the next one, at each place of its own: the one after
//! them finds the same table.

use crate::engine::outcome::{Recovery, RecoveryOutcome};
use crate::engine::tests::crash_points::check::{Context, assert_is, assert_is_usable, control_word};
use crate::engine::tests::crash_points::death::{End, Place, Tally, base_of, kill_where, place_of};
use crate::engine::tests::crash_points::model::{Model, Step};
use crate::engine::tests::crash_points::table::{HOME, Image, Operation, SMALL, Shape, table_with_history};
use crate::format::control::{FLUSHING, GENERATION_FLOOR, INTENDED_STATE, LAST, NEWEST_STATE, PREPARED};
use crate::format::sync_record::STATE_WORDS;
use crate::sys::attachment::Incarnation;
use crate::sys::probe::{self, Event};
use Operation::{One, Several, Sync};
use Step::{Delete, Insert, Update};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

/// The same place, for programs with other mutexes: the table has to be recovered, and nothing was lost.
const OTHER_PROGRAMS: Incarnation = Incarnation { mutex_fingerprint: 2, ..HOME };
/// The machine was booted again.
const NEXT_START: Incarnation = Incarnation { boot_id: [2, 1], ..HOME };

/// What a first opener does and leaves behind.
struct Opening {
    before: Image,
    /// Which word got which value.
    stores: Vec<(usize, u64)>,
    finished: Image,
    recovery: Recovery,
    tally: Tally,
}

/// What a first opener does, as the probe sees it.
#[derive(Default)]
struct Seen {
    /// Which word got which value.
    stores: Vec<(usize, u64)>,
    tally: Tally,
}

fn open_first(image: &Image, own: &Incarnation) -> Opening {
    let mut store = Arc::into_inner(image.store()).unwrap();
    let (base, geometry) = (base_of(&store), store.geometry);
    let seen: Rc<RefCell<Seen>> = Rc::default();
    let hook = {
        let seen = Rc::clone(&seen);
        move |event: &Event<'_>| {
            let Some(place) = place_of(event, base) else { return };
            let Seen { stores, tally } = &mut *seen.borrow_mut();
            tally.count(place, &geometry);
            if let (Place::AfterStore { word }, Event::Stored { value, .. }) = (place, event) {
                stores.push((word, *value));
            }
        }
    };
    probe::with_hook(hook, || store.attach_as_the_first(own).unwrap()).unwrap();
    let Seen { stores, tally } = seen.take();
    let finished = Image::of(&store, &[]);
    let opening = Opening { before: image.clone(), stores, finished, recovery: *store.recovery(), tally };
    let mut words = opening.before.words.clone();
    opening.stores.iter().for_each(|(word, value)| words[*word] = *value);
    assert_eq!(words, opening.finished.words, "a change that no probe has seen");
    opening
}

impl Opening {
    /// What each death would leave. Nothing but stores changes a table.
    fn images(&self) -> impl Iterator<Item = Image> {
        let mut image = self.before.clone();
        let after = self.stores.iter().map(move |(word, value)| {
            image.words[*word] = *value;
            image.clone()
        });
        std::iter::once(self.before.clone()).chain(after)
    }
}

/// Checks what a first opener made of a table.
fn assert_recovered(opening: &Opening, shape: Shape, model: &Model, is_same_boot: bool) -> Model {
    let store = opening.finished.store();
    let recovery = opening.recovery;
    assert_eq!(recovery.live_count, model.live_count());
    // The previous one may have died when everything was done.
    let is_in_order = recovery.outcome == RecoveryOutcome::InOrder;
    assert!(is_same_boot || is_in_order || !recovery.nothing_lost, "that nothing was lost cannot be known");
    let last = control_word(&store, LAST);
    let is_above = last > model.used && (is_in_order || last > recovery.highest_number_seen);
    assert!(is_above, "numbers go on above all that were taken");
    let floor = control_word(&store, GENERATION_FLOOR);
    assert!(recovery.nothing_lost || floor >= 1 << 20, "ids that were given out in the lost time may come again");
    let recovered = model.recovered(last, floor);
    assert_is(&store, shape, &recovered);
    recovered
}

/// The words in which two tables differ.
fn difference(image: &Image, other: &Image) -> Vec<(usize, u64)> {
    let words = (0..).zip(image.words.iter().zip(&other.words));
    words.filter(|(_, (word, other))| word != other).map(|(index, (word, _))| (index, *word)).collect()
}

/// Kills first openers of a table, two one after the other, at every pair of places.
fn run(name: &str, start: &Image, own: &Incarnation, shape: Shape, model: &Model) {
    let _name = Context::new(name);
    let is_same_boot = own.is_same_boot(&HOME);
    let first = open_first(start, own);
    let recovered = assert_recovered(&first, shape, model, is_same_boot);
    assert_eq!(first.recovery.nothing_lost, is_same_boot);
    assert_is_usable(&first.finished, shape, &recovered);
    let mut seen = HashSet::new();
    let mut place_count = 0;
    for (number, image) in first.images().enumerate() {
        let _number = Context::new(format!("the first died after store {number}"));
        let second = open_first(&image, own);
        let recovered = assert_recovered(&second, shape, model, is_same_boot);
        if number % 8 == 0 {
            assert_is_usable(&second.finished, shape, &recovered);
        }
        place_count += second.tally.place_count;
        for (number, image) in second.images().enumerate() {
            if seen.insert(difference(&image, start)) {
                let _number = Context::new(format!("the second died after store {number}"));
                assert_recovered(&open_first(&image, own), shape, model, is_same_boot);
            }
        }
        if number > 0 {
            // Processes for which the table was in order before must not take half a recovery for order.
            assert_recovered(&open_first(&image, &HOME), shape, model, is_same_boot);
        }
    }
    println!("{name}: {}; {place_count} in a second opening; {} different tables", first.tally, seen.len());
    assert!(first.tally.store_count > 0 && first.tally.touch_count > 0 && first.tally.flush_count >= 3);
}

fn used() -> [Operation; 5] {
    [
        One(Insert { key: 1, value: 10 }),
        Several(vec![Insert { key: 2, value: 20 }, Insert { key: 3, value: 30 }]),
        Sync,
        One(Update { key: 2, value: 21 }),
        One(Delete { key: 1 }),
    ]
}

/// A table in which a process died just after a store to this word.
fn die_after(image: &Image, shape: Shape, model: &Model, operation: &Operation, control_index: usize) -> Image {
    let store = image.store();
    let wanted = store.geometry.control() + control_index;
    let is_there = move |place| matches!(place, Place::AfterStore { word } if word == wanted);
    let end = kill_where(&store, is_there, || operation.perform(&store, shape, model));
    assert!(matches!(end, End::Died { .. }));
    Image::of(&store, &crate::engine::tests::crash_points::death::left_locked(&store))
}

#[test]
fn a_recovery_finds_the_same_wherever_those_before_it_died() {
    for shape in [SMALL, Shape { is_keyed: false, ..SMALL }, Shape { slot_count: 1, ..SMALL }] {
        let history = if shape.slot_count == 1 { vec![One(Insert { key: 1, value: 10 })] } else { used().to_vec() };
        let (image, model) = table_with_history(shape, &history);
        run("first opener for other programs", &image, &OTHER_PROGRAMS, shape, &model);
        run("first opener on the next boot", &image, &NEXT_START, shape, &model);
    }
}

#[test]
fn a_recovery_after_the_death_of_a_writer_or_a_syncer_finds_the_same_wherever_it_dies() {
    let (image, model) = table_with_history(SMALL, &used());
    let operation = One(Update { key: 3, value: 31 });
    let staging = die_after(&image, SMALL, &model, &operation, crate::format::control::INTENT_COUNT);
    run(
        "first opener after a death while staging",
        &staging,
        &NEXT_START,
        SMALL,
        &model.with_used(model.used + 1, model.generation_floor),
    );
    let prepared = die_after(&image, SMALL, &model, &operation, PREPARED);
    let (new, _) = operation.apply(&model);
    run("first opener after a death while publishing", &prepared, &OTHER_PROGRAMS, SMALL, &new);
    let syncing = die_after(&image, SMALL, &model, &Sync, FLUSHING);
    run("first opener after a death while syncing", &syncing, &NEXT_START, SMALL, &model);
}

#[test]
fn a_recovery_that_goes_back_to_a_sync_goes_back_to_the_same_wherever_it_dies() {
    let (mut image, model) = table_with_history(SMALL, &used());
    let (_, synced) = table_with_history(SMALL, &used()[..3]);
    // The power cut took the sealed states.
    for state in [NEWEST_STATE, INTENDED_STATE] {
        let start = image.header.geometry.control() + state;
        image.words[start..start + STATE_WORDS].fill(0);
    }
    run(
        "first opener that goes back to a sync",
        &image,
        &NEXT_START,
        SMALL,
        &synced.with_used(model.used, synced.generation_floor),
    );
}
