//! Power cuts: after each step of a history, what a first opener makes of what the disk may then hold.

use crate::engine::outcome::RecoveryOutcome;
use crate::engine::tests::disk::{Disk, GRAINS, Place, Step, written_ranges};
use crate::engine::tests::one_of;
use crate::engine::tests::past::{Past, Recovered, record_of};
use crate::engine::tests::world::{incarnation, store_of};
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::format::control::{DURABLE, LAST, PREPARED, USED};
use crate::format::geometry::SYNC_RECORD_COUNT;
use crate::format::header::Header;
use crate::format::sync_record::{SYNC_RECORD_WORDS, SyncRecord};
use crate::sys::probe;
use crate::sys::words::Ordering;
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::rc::Rc;

/// The boots on the bench are different from all those in the histories.
const BENCH_BOOT: u64 = 1 << 32;

/// How many images are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// After each step, chosen at random.
    pub image_count: u32,
    /// All images that there are, if they are at most this many.
    pub all_up_to: usize,
    /// One image out of this many rots, or is written to after its recovery, or loses the power again in its recovery.
    pub one_of: u32,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub step_count: u64,
    pub image_count: u64,
    /// Images of steps for which there are so few that all were looked at.
    pub image_of_all_count: u64,
    pub image_in_recovery_count: u64,
    pub rotten_image_count: u64,
    pub refused_count: u64,
    pub written_after_count: u64,
    pub recovery_count: u64,
    /// Histories whose outcomes differ in content, number, or what is reported about them, are counted separately.
    pub outcome_count: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.step_count += other.step_count;
        self.image_count += other.image_count;
        self.image_of_all_count += other.image_of_all_count;
        self.image_in_recovery_count += other.image_in_recovery_count;
        self.rotten_image_count += other.rotten_image_count;
        self.refused_count += other.refused_count;
        self.written_after_count += other.written_after_count;
        self.recovery_count += other.recovery_count;
        self.outcome_count += other.outcome_count;
    }
}

pub struct Cuts {
    effort: Effort,
    random: fastrand::Rng,
    /// Where images are recovered, one after the other.
    bench: Store,
    image: Vec<u64>,
    written_ranges: Vec<Range<usize>>,
    outcomes: HashSet<u64>,
    counts: Counts,
}

impl Cuts {
    /// `words` are those of the table when it was created.
    pub fn new(header: &Header, words: Vec<u64>, effort: Effort, random: fastrand::Rng) -> Self {
        Cuts {
            effort,
            random,
            bench: store_of(words.clone(), header),
            image: words,
            written_ranges: written_ranges(&header.geometry),
            outcomes: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// Uses this effort from here on.
    pub fn spend(&mut self, effort: Effort) {
        self.effort = effort;
    }

    pub fn counts(&self) -> Counts {
        Counts { outcome_count: self.outcomes.len() as u64, ..self.counts }
    }

    /// The power is cut after a step. `changed` is the word of the durable group that this step changed, if it did.
    pub fn after_step(&mut self, past: &Past, disk: &Disk, changed: Option<usize>) {
        self.counts.step_count += 1;
        if self.counts.step_count % one_of(50) as u64 != 0 {
            return;
        }
        let mut image = std::mem::take(&mut self.image);
        for _ in 0..self.effort.image_count {
            disk.cut(&mut image, &mut self.random);
            self.look(past, disk, &image);
        }
        self.image = image;
        if changed.is_some() {
            self.look_at_all(past, disk, changed);
        }
    }

    /// Looks at every image that the disk may hold, if there are few; with `changed`, only at those that contain that
    /// change.
    pub fn look_at_all(&mut self, past: &Past, disk: &Disk, changed: Option<usize>) {
        let mut image = std::mem::take(&mut self.image);
        let mut random = self.random.fork();
        for grain in GRAINS {
            disk.for_each_cut(grain, changed, self.effort.all_up_to, &mut image, &mut random, |image| {
                self.counts.image_of_all_count += 1;
                self.look(past, disk, image);
            });
        }
        self.image = image;
    }

    /// Recovers an image, and now and then tries more with it.
    fn look(&mut self, past: &Past, disk: &Disk, image: &[u64]) {
        self.counts.image_count += 1;
        let is_chosen = self.random.u32(..self.effort.one_of) == 0;
        match if is_chosen { self.random.u8(..3) } else { u8::MAX } {
            0 => self.write_after(past, image),
            1 => self.cut_inside(past, image),
            2 => self.rot(past, disk, image),
            _ => drop(self.recover(past, image)),
        }
    }

    /// A first opener finds an image, in the next boot.
    fn open(&mut self, image: &[u64]) -> Result<(), Error> {
        self.counts.recovery_count += 1;
        let words = self.bench.medium.words().all();
        for range in &self.written_ranges {
            for (word, content) in words[range.clone()].iter().zip(&image[range.clone()]) {
                word.store(*content, Ordering::Relaxed);
            }
        }
        // Each opening is in a boot of its own, even that of an image that an opening left.
        self.bench.attach_as_the_first(&incarnation(BENCH_BOOT + self.counts.recovery_count))
    }

    fn recover(&mut self, past: &Past, image: &[u64]) -> Recovered {
        self.open(image).unwrap_or_else(|error| panic!("nothing is damaged, but: {error}"));
        let recovered = past.judge(&self.bench, false);
        self.check_report(image);
        let mut hasher = DefaultHasher::new();
        (recovered.number, &recovered.content, self.bench.recovery().to_string()).hash(&mut hasher);
        self.outcomes.insert(hasher.finish());
        recovered
    }

    /// The table can be used, and gives out no id or number that was given out before.
    fn write_after(&mut self, past: &Past, image: &[u64]) {
        let recovered = self.recover(past, image);
        self.counts.written_after_count += 1;
        let mut transaction = self.bench.begin().unwrap_or_else(|error| panic!("{}", Error::from(error)));
        for (key_number, content) in recovered.content.iter().enumerate() {
            let mut record = record_of(&self.bench, key_number, 1);
            if content.is_some() {
                let meta = transaction.find(&record.clone(), &mut record).unwrap().expect("it is there");
                transaction.delete(meta.id, None).unwrap();
            }
            let meta = transaction.insert(Encoded::new(&record)).unwrap();
            let id = (meta.id.slot() as usize, meta.id.generation());
            assert!(!past.given_ids.contains(&id), "the id {id:?} is given out again");
            assert!(past.is_new(meta.version), "the number {} is given out again", meta.version);
        }
        let number = transaction.commit().unwrap();
        drop(transaction);
        assert_eq!(self.bench.sync().unwrap(), number);
        assert_eq!(self.bench.live_count().unwrap(), recovered.content.len() as u64);
    }

    /// The power is cut again, after each step of the recovery: the next recovery then arrives at the same state.
    fn cut_inside(&mut self, past: &Past, image: &[u64]) {
        let steps = Rc::new(RefCell::new(Vec::new()));
        let (seen, place) = (Rc::clone(&steps), Place::of(&self.bench));
        let hook = move |event: &probe::Event<'_>| seen.borrow_mut().extend(Step::of(event, place));
        let recovered = probe::with_hook(hook, || self.recover(past, image)).expect("nobody kills it");
        let mut inside = past.clone();
        inside.begin_recovery(&recovered, true);
        let mut disk = Disk::new(&self.bench.geometry, image);
        let mut image = image.to_vec();
        // What was put there before the recovery began is not one of its steps.
        for (number, step) in steps.take().into_iter().enumerate() {
            disk.see(&step, &mut self.random);
            if let Step::Stored { word, value } = step {
                inside.see_store(&self.bench.geometry, disk.latest(), word, value);
            }
            if number % one_of(50) != 0 {
                continue;
            }
            disk.cut(&mut image, &mut self.random);
            self.counts.image_count += 1;
            self.counts.image_in_recovery_count += 1;
            self.recover(&inside, &image);
        }
    }

    /// What is reported is what was in the image.
    fn check_report(&self, image: &[u64]) {
        let recovery = self.bench.recovery();
        let carrying = (0..SYNC_RECORD_COUNT).find_map(|record| {
            let start = self.bench.geometry.sync_record(record);
            let words = image[start..start + SYNC_RECORD_WORDS].try_into().expect("so many words");
            SyncRecord::from_words(words, self.bench.digest_seed)
                .filter(|record| record.state.number == recovery.number)
        });
        match (recovery.outcome, carrying) {
            (RecoveryOutcome::Checkpoint { wall_time }, Some(record)) => {
                assert_eq!(wall_time.microseconds(), record.wall_time_microseconds, "the time of the sync");
            }
            (RecoveryOutcome::New, Some(_)) | (RecoveryOutcome::Newest, None) => {}
            (found, carrying) => panic!("{found:?} is said, and there is {carrying:?}"),
        }
        let control = self.bench.geometry.control();
        for number in [USED, PREPARED, LAST, DURABLE].map(|index| image[control + index]) {
            assert!(recovery.highest_number_seen >= number, "there is a trace of {number}: {recovery:?}");
        }
        let lost = format!("losing transactions up to {}", recovery.highest_number_seen);
        let is_lost = recovery.highest_number_seen > recovery.number;
        assert_eq!(recovery.to_string().contains(&lost), is_lost && !recovery.nothing_lost, "{recovery}");
    }

    /// Bits rot, of the durable group or of the control group: nothing is served that is older than the last
    /// acknowledged sync, and a file that is refused stays as it is.
    fn rot(&mut self, past: &Past, disk: &Disk, image: &[u64]) {
        if past.recovering.is_some() {
            self.recover(past, image);
            return;
        }
        let mut image = image.to_vec();
        let [control, .., first_record, second_record, cells] = &self.written_ranges[..] else {
            unreachable!("there are so many")
        };
        // What shows the sync must be there: if both proofs are missing, damage looks just like a sync in flight.
        image[control.clone()].copy_from_slice(&disk.latest()[control.clone()]);
        let range = [control, first_record, second_record, cells, cells][self.random.usize(..5)];
        for _ in 0..self.random.u32(1..3) {
            let mut words = (0..8).map(|_| self.random.usize(range.clone()));
            let word = words.find(|word| image[*word] != 0).unwrap_or(range.start);
            image[word] ^= 1 << self.random.u32(..64);
        }
        self.counts.rotten_image_count += 1;
        match self.open(&image) {
            Ok(()) => drop(past.judge_state(&self.bench)),
            Err(Error::Damaged { .. }) => {
                self.counts.refused_count += 1;
                let words = self.bench.medium.words().all().iter().map(|word| word.load(Ordering::Relaxed));
                assert!(words.eq(image.iter().copied()), "a file that was refused was changed");
            }
            Err(error) => panic!("neither damaged nor served: {error}"),
        }
    }
}
