//! One table, all its users, its disk, and what really happened to it.
//!
//! Writers, syncers and first openers run the shipped code. Each step that they take is seen by the disk and by the past,
//! and then the power is cut there.

use super::{new_words, words_of};
use crate::engine::outcome::RecoveryOutcome;
use crate::engine::tests::actor::{Actor, heap_of};
use crate::engine::tests::cuts::{Cuts, Effort};
use crate::engine::tests::disk::{Disk, Place, Step};
use crate::engine::tests::past::{Past, Recovered, content_of, record_of};
use crate::engine::transaction::Transaction;
use crate::engine::{Access, Encoded, Settings, Store};
use crate::error::Error;
use crate::format::control::{FAILED, LAST};
use crate::format::geometry::Geometry;
use crate::format::header::Header;
use crate::schema::{FieldSchema, Schema};
use crate::sys::attachment::{FileId, Incarnation};
use crate::sys::heap::Heap;
use crate::sys::medium::Medium;
use crate::sys::probe::{self, Event};
use crate::sys::words::Ordering;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often an actor stops where stopping is worthwhile.
const BRINK_STOP_RATE: f64 = 0.03;

/// What really happened, the disk, and what is made of that at each step.
pub struct Truth {
    pub past: Past,
    pub disk: Disk,
    pub cuts: Cuts,
    pub random: fastrand::Rng,
    pub flush_failure_rate: f64,
}

/// The table.
pub struct World {
    pub store: Arc<Store>,
    truth: Arc<Mutex<Truth>>,
    boot: u64,
    /// While the table is in use; recoveries have a rate of their own.
    flush_failure_rate: f64,
    last_value: u64,
}

/// A table with a key, a value, and as many more words as are asked for.
pub fn wide_header(slot_count: u64, filler_words: usize) -> Header {
    let field = |name: &str| FieldSchema::new(name, crate::FieldType::U64);
    let mut fields = vec![field("key").key(), field("value")];
    fields.extend((0..filler_words).map(|number| field(&format!("filler_{number}"))));
    let schema = Schema::new(fields).expect("a few fields");
    Header::new(slot_count, schema, [7; 16], 5, 0).expect("a small table")
}

pub fn header(slot_count: u64) -> Header {
    wide_header(slot_count, 0)
}

pub fn settings() -> Settings {
    /// Each sync has another time, so that it can be distinguished from the others.
    static CLOCK: AtomicI64 = AtomicI64::new(1_000_000);
    Settings {
        lock_timeout: Duration::from_secs(3600),
        sync_every: None,
        wall_clock: || CLOCK.fetch_add(1, Ordering::Relaxed),
        ..Settings::default()
    }
}

pub fn incarnation(boot: u64) -> Incarnation {
    Incarnation {
        boot_id: [boot, 1],
        file: FileId { device: 1, inode: 1, birth_time: 1 },
        pid_namespace: 1,
        mutex_fingerprint: 1,
    }
}

pub fn store_of(words: Vec<u64>, header: &Header) -> Store {
    Store::new(
        Medium::Heap(Box::new(Heap::new(words, header.geometry.control()))),
        header.clone(),
        settings(),
        Access::ReadWrite,
        None,
    )
}

fn locked(truth: &Mutex<Truth>) -> MutexGuard<'_, Truth> {
    truth.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Truth {
    /// Sees what a process does, and cuts the power there.
    fn see(&mut self, event: &Event<'_>, place: Place, shown: &Shown) -> Option<Step> {
        let step = Step::of(event, place)?;
        if matches!(step, Step::FlushBegan { .. }) {
            let fails = self.random.f64() < self.flush_failure_rate;
            shown.fail_flushes.store(u64::from(fails), Ordering::Relaxed);
        }
        let mut random = self.random.fork();
        let changed = self.disk.see(&step, &mut random);
        let acknowledged = self.past.acknowledged;
        if let Step::Stored { word, value } = step {
            self.past.see_store(&shown.geometry, self.disk.latest(), word, value);
        }
        self.cuts.after_step(&self.past, &self.disk, changed);
        if matches!(step, Step::FlushEnded { .. }) || self.past.acknowledged > acknowledged {
            self.cuts.look_at_all(&self.past, &self.disk, None);
        }
        Some(step)
    }
}

/// What a hook must know about the table that it watches.
struct Shown {
    geometry: Geometry,
    fail_flushes: Arc<crate::sys::atomic::AtomicU64>,
}

impl Shown {
    fn of(store: &Store) -> Self {
        Shown { geometry: store.geometry, fail_flushes: Arc::clone(&heap_of(store).fail_flushes) }
    }
}

impl World {
    pub fn new(slot_count: u64, seed: u64) -> Self {
        Self::with_cuts(&header(slot_count), seed, Effort { image_count: 0, all_up_to: 0, one_of: 1 })
    }

    /// A table that was just created and opened, with this effort spent on cuts.
    pub fn with_cuts(header: &Header, seed: u64, effort: Effort) -> Self {
        let words = new_words(header);
        let mut random = fastrand::Rng::with_seed(seed);
        let truth = Truth {
            past: Past::new(header.geometry.capacity() as usize),
            disk: Disk::new(&header.geometry, &words),
            cuts: Cuts::new(header, words.clone(), effort, random.fork()),
            random,
            flush_failure_rate: 0.0,
        };
        let store = Arc::new(store_of(words, header));
        let truth = Arc::new(Mutex::new(truth));
        let mut world = World { store, truth, boot: 1, flush_failure_rate: 0.0, last_value: 0 };
        world.open(false);
        world
    }

    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        locked(&self.truth)
    }

    pub fn fail_flushes_at(&mut self, rate: f64) {
        self.flush_failure_rate = rate;
        self.truth().flush_failure_rate = rate;
    }

    fn image(&self) -> Vec<u64> {
        words_of(&self.store)
    }

    // -- writing and syncing --------------------------------------------------------------------

    /// A transaction over some slots: each gets a new value, is inserted, or is deleted. Now and then it is rolled back.
    pub fn writer(&mut self) -> Actor {
        let mut random = self.truth().random.fork();
        let first_value = self.last_value + 1;
        self.last_value += u64::from(self.store.geometry.capacity());
        let (store, truth) = (Arc::clone(&self.store), Arc::clone(&self.truth));
        Actor::start(self.observer(), move || write(&store, &truth, &mut random, first_value))
    }

    /// A sync. A caller that is told that it succeeded can rely on everything that was published before.
    pub fn syncer(&self) -> Actor {
        let (store, truth) = (Arc::clone(&self.store), Arc::clone(&self.truth));
        Actor::start(self.observer(), move || {
            let wanted = store.control().load(LAST, Ordering::Acquire);
            match store.sync() {
                Ok(number) => {
                    assert!(number >= wanted, "{wanted} was published, and the sync is of {number}");
                    locked(&truth).past.acknowledge(number);
                }
                Err(Error::FlushFailed { .. }) => {}
                Err(error) => panic!("a sync failed: {error}"),
            }
        })
    }

    /// What an actor does at each access. It stops now and then where that is worthwhile: at the words that others look
    /// at.
    fn observer(&self) -> impl FnMut(&Event<'_>) -> bool + Send + use<> {
        let (truth, geometry) = (Arc::clone(&self.truth), self.store.geometry);
        let (place, shown) = (Place::of(&self.store), Shown::of(&self.store));
        move |event| {
            let mut truth = locked(&truth);
            let is_brink = match truth.see(event, place, &shown) {
                Some(Step::Stored { word, .. }) => {
                    word < geometry.intents() || (geometry.sync_records()..geometry.cells()).contains(&word)
                }
                Some(Step::Touched { .. }) => false,
                Some(_) => true,
                None => !matches!(event, Event::Store | Event::Stored { .. }),
            };
            is_brink && truth.random.f64() < BRINK_STOP_RATE
        }
    }

    // -- checking ----------------------------------------------------------------------------------

    /// What is served now is exactly the newest published transaction.
    pub fn check_served(&self) {
        let truth = self.truth();
        let state = self.store.view().newest_state().expect("a served table has its newest state");
        let newest = truth.past.newest_published;
        assert_eq!(state.number, newest, "a served table is not of the newest published transaction");
        let content = content_of(&self.store, truth.past.key_count());
        assert_eq!(content, truth.past.published[&newest], "a served table is not what was published");
        assert_eq!(state.live_count, content.iter().flatten().count() as u64, "the live count");
    }

    /// The power is cut between two steps.
    pub fn look_at_all_losses(&self) {
        let mut truth = self.truth();
        let Truth { past, disk, cuts, .. } = &mut *truth;
        cuts.look_at_all(past, disk, None);
    }

    // -- losses and openings -----------------------------------------------------------------------

    /// The power is cut, and comes back: the disk holds one of the images that it may hold.
    pub fn lose_power(&mut self) {
        let mut image = self.image();
        {
            let mut truth = self.truth();
            let mut random = truth.random.fork();
            truth.disk.cut(&mut image, &mut random);
            truth.disk = Disk::new(&self.store.geometry, &image);
        }
        self.store = Arc::new(store_of(image, &self.store.header));
        self.boot += 1;
    }

    /// Every process is gone; a first opener comes, and is cut short now and then, by its death, by a flush that fails,
    /// or by another loss of power. `needs_recovery`: as if the file had been moved.
    pub fn open(&mut self, needs_recovery: bool) {
        if self.store.control().load(FAILED, Ordering::Relaxed) != 0 {
            let mut image = self.image();
            let mut truth = self.truth();
            let mut random = truth.random.fork();
            truth.disk.evict(&mut image, &mut random);
            drop(truth);
            self.store = Arc::new(store_of(image, &self.store.header));
        }
        let mut own = incarnation(self.boot);
        if needs_recovery {
            own.mutex_fingerprint = self.truth().random.u64(2..);
        }
        loop {
            match self.open_once(&own) {
                None => return,
                Some(CutShort::Power) => {
                    self.lose_power();
                    own.boot_id = incarnation(self.boot).boot_id;
                }
                Some(CutShort::Process) => {}
            }
        }
    }

    fn open_once(&mut self, own: &Incarnation) -> Option<CutShort> {
        let mut store = store_of(self.image(), &self.store.header);
        let is_same_boot = store.incarnation().is_some_and(|found| found.is_same_boot(own));
        let recovered = self.what_is_in(own, is_same_boot);
        let power_fails = Arc::new(AtomicBool::new(false));
        let trouble = {
            let mut truth = self.truth();
            if let Some(recovered) = recovered {
                let is_certain = truth.disk.is_certain();
                truth.past.begin_recovery(&recovered, is_certain);
            }
            truth.flush_failure_rate = 0.02;
            [0.0, 0.01, 0.05][truth.random.usize(..3)]
        };
        let (truth, place, shown) = (Arc::clone(&self.truth), Place::of(&store), Shown::of(&store));
        let fails = Arc::clone(&power_fails);
        let hook = move |event: &Event<'_>| {
            let mut truth = locked(&truth);
            let danger = match truth.see(event, place, &shown) {
                Some(Step::Stored { .. }) => trouble,
                Some(Step::FlushBegan { .. } | Step::FlushEnded { .. }) => trouble * 4.0,
                _ => return,
            };
            if truth.random.f64() < danger {
                fails.store(truth.random.f64() < 0.6, Ordering::Relaxed);
                drop(truth);
                probe::die();
            }
        };
        let outcome = probe::with_hook(hook, || store.attach_as_the_first(own));
        self.truth().flush_failure_rate = self.flush_failure_rate;
        self.store = Arc::new(store);
        match outcome {
            Some(Ok(())) => {
                self.opened(is_same_boot);
                None
            }
            Some(Err(Error::FlushFailed { .. })) => Some(CutShort::Process),
            Some(Err(error)) => panic!("opening failed: {error}"),
            None if power_fails.load(Ordering::Relaxed) => Some(CutShort::Power),
            None => Some(CutShort::Process),
        }
    }

    /// What a first opener would recover, by letting one open a copy; `None` if there is nothing to recover.
    fn what_is_in(&self, own: &Incarnation, is_same_boot: bool) -> Option<Recovered> {
        let mut copy = store_of(self.image(), &self.store.header);
        copy.attach_as_the_first(own).unwrap_or_else(|error| panic!("nothing is damaged, but: {error}"));
        (copy.recovery().outcome != RecoveryOutcome::InOrder).then(|| self.truth().past.judge(&copy, is_same_boot))
    }

    fn opened(&self, is_same_boot: bool) {
        {
            let past = &mut self.truth().past;
            if self.store.recovery().outcome != RecoveryOutcome::InOrder {
                past.judge(&self.store, is_same_boot);
            }
            // Even if another process had done it all, and died then.
            past.end_recovery(self.store.view().newest_state().map_or(0, |state| state.number));
        }
        // A half-finished transaction of the last process is repaired by the next writer, not here.
        if self.store.view().intent_count().is_ok_and(|count| count == 0) {
            self.check_served();
        }
    }
}

/// How an opening ended before its time.
enum CutShort {
    Process,
    Power,
}

fn write(store: &Store, truth: &Mutex<Truth>, random: &mut fastrand::Rng, first_value: u64) {
    let transaction =
        store.begin().unwrap_or_else(|error| panic!("a transaction could not begin: {}", Error::from(error)));
    if random.bool() {
        // What a process left half done is put right by now, and no other process writes.
        drop(transaction);
        write_one(store, truth, random, first_value);
    } else {
        write_several(store, transaction, truth, random, first_value);
    }
}

/// An operation on one record.
fn write_one(store: &Store, truth: &Mutex<Truth>, random: &mut fastrand::Rng, value: u64) {
    let mut content = {
        let past = &locked(truth).past;
        past.published[&past.newest_published].clone()
    };
    let key_number = random.usize(..content.len());
    let record = record_of(store, key_number, value);
    let mut found = vec![0; record.len()];
    let key = &bytemuck::cast_slice(&record)[..8];
    let meta = store.find(key, &mut found).unwrap();
    assert_eq!(meta.map(|meta| meta.id.generation()), content[key_number].map(|(generation, _)| generation));
    let mut new_ids = Vec::new();
    let deletes = meta.is_some() && random.f64() < 0.3;
    content[key_number] = match meta {
        Some(_) if deletes => None,
        Some(meta) => Some((meta.id.generation(), value)),
        None => {
            let shared = store.view();
            let slot = shared.free_slot(0).unwrap().expect("there are more slots than keys");
            let (_, seen) = shared.current(shared.slot(slot)).unwrap();
            let next = shared.insertion(seen.header, Encoded::new(&record)).unwrap();
            new_ids.push((slot as usize, next.generation));
            Some((next.generation, value))
        }
    };
    {
        let past = &mut locked(truth).past;
        past.intended = content;
        past.intended_ids = new_ids;
    }
    let written = match meta {
        Some(meta) if deletes => store.delete(meta.id, Some(meta.version)),
        Some(meta) if random.bool() => store.update(meta.id, Some(meta.version), Encoded::new(&record)),
        None if random.bool() => store.insert(Encoded::new(&record)),
        _ => store.upsert(Encoded::new(&record)),
    };
    let number = written.unwrap_or_else(|error| panic!("a write failed: {}", Error::from(error))).version;
    assert!(locked(truth).past.given_numbers.insert(number), "the number {number} was given out twice");
}

/// A transaction of several steps.
fn write_several(
    store: &Store,
    mut transaction: Transaction<'_>,
    truth: &Mutex<Truth>,
    random: &mut fastrand::Rng,
    first_value: u64,
) {
    let mut content = {
        let past = &locked(truth).past;
        past.published[&past.newest_published].clone()
    };
    let mut value = first_value;
    let mut new_ids = Vec::new();
    let mut number = 0;
    for key_number in 0..content.len() {
        if random.bool() && (number != 0 || key_number + 1 < content.len()) {
            continue;
        }
        let mut record = record_of(store, key_number, value);
        let meta = if content[key_number].is_some() && random.f64() < 0.2 {
            let meta = transaction.find(&record.clone(), &mut record).unwrap().expect("it is there");
            content[key_number] = None;
            transaction.delete(meta.id, None).unwrap()
        } else {
            let meta = transaction.upsert(Encoded::new(&record)).unwrap();
            if content[key_number].replace((meta.id.generation(), value)).is_none() {
                new_ids.push((meta.id.slot() as usize, meta.id.generation()));
            }
            meta
        };
        value += 1;
        number = meta.version;
    }
    let is_rolled_back = random.f64() < 0.1;
    {
        let past = &mut locked(truth).past;
        assert!(past.given_numbers.insert(number), "the number {number} was given out twice");
        past.intended = content;
        past.intended_ids = new_ids;
    }
    if !is_rolled_back {
        transaction.commit().unwrap();
    }
}
