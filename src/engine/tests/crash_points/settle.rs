//! Processes that take over from the dead, and die in turn: however many die one after the other, and wherever they
//! die, the table is as it was before the operation or as it is after it.

use crate::engine::outcome::RecoveryOutcome;
use crate::engine::tests::crash_points::check::{
    assert_is, assert_is_usable, assert_readers_see_one_of_two, control_word, highest_number_in_cells, which,
};
use crate::engine::tests::crash_points::death::copies_at_every_place;
use crate::engine::tests::crash_points::model::Model;
use crate::engine::tests::crash_points::table::{HOME, Image, Operation, Shape};
use crate::format::control::{
    DEAD_SYNCER_COUNT, GENERATION_FLOOR, INDEX_OCCUPIED, LAST, LAST_SYNC_MILLISECONDS, LAST_SYNC_WALL_MILLISECONDS,
    RECOVERY_NUMBER, REPAIRED_HOLDING_COUNT, REPAIRED_PREPARED_COUNT, REPAIRED_PUBLISHING_COUNT,
    REPAIRED_STAGING_COUNT, SYNC_COUNT, SYNC_END_COUNT, USED,
};
use crate::sys::lock::Lock;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Words that only count or tell the time: if two tables differ in nothing else, they need not both be looked at. The
/// occupied entries of the index are among them, since each process that dies between counting and inserting leaves one
/// too many.
const COUNTERS: [usize; 11] = [
    INDEX_OCCUPIED,
    LAST_SYNC_MILLISECONDS,
    LAST_SYNC_WALL_MILLISECONDS,
    SYNC_END_COUNT,
    SYNC_COUNT,
    RECOVERY_NUMBER,
    REPAIRED_HOLDING_COUNT,
    REPAIRED_STAGING_COUNT,
    REPAIRED_PREPARED_COUNT,
    REPAIRED_PUBLISHING_COUNT,
    DEAD_SYNCER_COUNT,
];

/// What distinguishes one image of a table from another: the words that are not as at the beginning, and which locks
/// were left by a dead owner.
type Difference = (Vec<(usize, u64)>, Vec<bool>);

/// All that became of a table in which a process died.
pub struct Deaths<'a> {
    shape: Shape,
    start: &'a Image,
    old: &'a Model,
    new: &'a Model,
    /// Images that were looked at, and whether the operation has happened there.
    outcomes: HashMap<Difference, bool>,
    usable: HashSet<Difference>,
    /// Places in repairs, in syncs that repair and in recoveries, and how many of these were gone through.
    pub repair_place_count: usize,
}

impl<'a> Deaths<'a> {
    pub fn new(shape: Shape, start: &'a Image, old: &'a Model, new: &'a Model) -> Self {
        let (outcomes, usable) = (HashMap::new(), HashSet::new());
        Deaths { shape, start, old, new, outcomes, usable, repair_place_count: 0 }
    }

    /// How many different tables were looked at.
    pub fn image_count(&self) -> usize {
        self.outcomes.len()
    }

    /// Checks a table that a process left by its death, and lets others repair it, each of which dies at each place of
    /// that. Returns whether the operation has happened.
    pub fn settle(&mut self, image: Image) -> bool {
        let (has_happened, is_known) = self.look_at(&image);
        if is_known {
            return has_happened;
        }
        let mut left = self.deaths_in(&image, Operation::Sync);
        left.push(image);
        while let Some(image) = left.pop() {
            for image in self.deaths_in(&image, Operation::Nothing) {
                let (outcome, is_known) = self.look_at(&image);
                assert_eq!(outcome, has_happened, "a repair that dies changes what has happened");
                if !is_known {
                    left.push(image);
                }
            }
        }
        has_happened
    }

    fn deaths_in(&mut self, image: &Image, operation: Operation) -> Vec<Image> {
        let (images, tally) = copies_at_every_place(image, |store| operation.perform(store, self.shape, self.old));
        self.repair_place_count += tally.place_count;
        images
    }

    /// Checks a table. Returns whether the operation has happened, and whether the table was checked before.
    fn look_at(&mut self, image: &Image) -> (bool, bool) {
        let difference = self.difference(image);
        if let Some(outcome) = self.outcomes.get(&difference) {
            return (*outcome, true);
        }
        let models = [self.old, self.new];
        let saw_new = assert_readers_see_one_of_two(image, self.shape, models);
        let store = image.store();
        let highest_number = highest_number_in_cells(&store);
        Operation::Nothing.perform(&store, self.shape, self.old);
        let (outcome, model) = which(&store, self.shape, models);
        assert!(outcome == 1 || !saw_new, "a reader saw what did not happen");
        assert!(model.used >= highest_number, "number {highest_number} was taken, and will be taken again");
        let repaired = Image::of(&store, &[]);
        if self.usable.insert(self.difference(&repaired)) {
            assert_is_usable(&repaired, self.shape, &model);
        }
        self.open_first(image, &model);
        self.outcomes.insert(difference, outcome == 1);
        (outcome == 1, false)
    }

    /// Every process has died or gone: the next one that opens the table first finds the same as a repair.
    fn open_first(&self, image: &Image, model: &Model) {
        // In the same boot, in place, there is nothing to recover: the first writer repairs.
        let mut store = Arc::into_inner(image.store()).unwrap();
        store.attach_as_the_first(&HOME).unwrap();
        assert_eq!(store.recovery().outcome, RecoveryOutcome::InOrder);
        Operation::Nothing.perform(&store, self.shape, model);
        assert_is(&store, self.shape, model);
        for is_same_boot in [true, false] {
            let store = image.store();
            let recovery = store.recover(is_same_boot).unwrap();
            assert_eq!((recovery.number, recovery.live_count), (model.last, model.live_count()));
            assert_eq!(recovery.nothing_lost, is_same_boot);
            let last = control_word(&store, LAST);
            assert!(
                last > image.words[image.header.geometry.control() + USED],
                "numbers go on above all that were taken"
            );
            let recovered = model.recovered(last, control_word(&store, GENERATION_FLOOR));
            assert_is(&store, self.shape, &recovered);
        }
    }

    fn difference(&self, image: &Image) -> Difference {
        let control = self.start.header.geometry.control();
        let is_counter = |index: usize| COUNTERS.iter().any(|counter| control + counter == index);
        let words = (0..).zip(image.words.iter().zip(&self.start.words));
        let changed = words.filter(|(_, (word, start))| word != start).map(|(index, (word, _))| (index, *word));
        let locks = [Lock::Write, Lock::Sync].map(|lock| image.left_locked.contains(&lock));
        (changed.filter(|(index, _)| !is_counter(*index)).collect(), locks.to_vec())
    }
}
