//! One table, everybody who uses it, its disk, and what really happened to it.
//!
//! Writers, committers and first openers run the shipped code.

use super::actor::{Actor, heap_of};
use super::disk::Disk;
use super::new_words;
use crate::error::Error;
use crate::format::control::{DURABLE, FAILED, PREPARED};
use crate::format::header::Header;
use crate::format::schema::{FieldSchema, Schema};
use crate::shm::heap::Heap;
use crate::shm::medium::Medium;
use crate::shm::probe::{self, Event};
use crate::shm::words::{AtomicU64, Ordering};
use crate::store::attach::Incarnation;
use crate::store::{Access, Encoded, Settings, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the table holds under each key: the generation and the value of the record.
pub type Content = Vec<Option<(u64, u64)>>;

/// What really happened, and the disk.
pub struct Truth {
    pub random: fastrand::Rng,
    pub disk: Disk,
    /// Contents by the number of the transaction that made them.
    pub published: BTreeMap<u64, Content>,
    pub newest_published: u64,
    pub acknowledged: u64,
    /// What the transaction that is being written will make.
    pub intended: Content,
    pub intended_ids: Vec<(usize, u64)>,
    /// Every record id that anybody was given, and every version.
    pub given_ids: BTreeSet<(usize, u64)>,
    pub given_numbers: BTreeSet<u64>,
    pub commit_count: u32,
    /// Recoveries to this content may be going on under numbers that are not known yet.
    pub recovering: Option<Content>,
    pub flush_failure_rate: f64,
}

/// The table.
pub struct World {
    pub store: Arc<Store>,
    pub truth: Arc<Mutex<Truth>>,
    pub boot: u64,
    pub flush_failure_rate: f64,
    last_value: u64,
}

pub fn header(slot_count: u64) -> Header {
    let fields = ["key", "value"].map(|name| FieldSchema::new(name, crate::FieldType::U64));
    let [key, value] = fields;
    let schema = Schema::new(vec![key.key(), value]).expect("two fields");
    Header::new(slot_count, schema, [7; 16], 5, 0).expect("a small table")
}

pub fn settings() -> Settings {
    Settings {
        lock_timeout: Duration::from_secs(3600),
        commit_every: None,
        wall_clock: || 1_000_000,
        ..Settings::default()
    }
}

fn incarnation(boot: u64) -> Incarnation {
    Incarnation { boot_id: [boot, 1], device: 1, inode: 1, pid_namespace: 1, mutex_fingerprint: 1 }
}

fn store_of(words: Vec<u64>, header: &Header) -> Store {
    Store::new(Medium::Heap(Box::new(Heap::new(words))), header.clone(), settings(), Access::ReadWrite, None)
}

impl World {
    pub fn new(slot_count: u64, seed: u64) -> Self {
        let header = header(slot_count);
        let words = new_words(&header);
        let nothing: Content = vec![None; usize::try_from(slot_count).expect("few slots")];
        let truth = Truth {
            random: fastrand::Rng::with_seed(seed),
            disk: Disk::new(&header.geometry, &words),
            published: BTreeMap::from([(0, nothing.clone())]),
            newest_published: 0,
            acknowledged: 0,
            intended: nothing,
            intended_ids: Vec::new(),
            given_ids: BTreeSet::new(),
            given_numbers: BTreeSet::new(),
            commit_count: 0,
            recovering: None,
            flush_failure_rate: 0.0,
        };
        let store = Arc::new(store_of(words, &header));
        let mut world =
            World { store, truth: Arc::new(Mutex::new(truth)), boot: 1, flush_failure_rate: 0.0, last_value: 0 };
        world.open(false);
        world
    }

    pub fn truth(&self) -> std::sync::MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn image(&self) -> Vec<u64> {
        self.store.medium.words().all().iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }

    // -- writing and committing --------------------------------------------------------------------

    /// A transaction over some slots: each gets a new value, is inserted, or is deleted.
    pub fn writer(&mut self) -> Actor {
        let slot_count = self.store.geometry.capacity();
        let mut random = self.truth().random.fork();
        let first_value = self.last_value + 1;
        self.last_value += u64::from(slot_count);
        let (store, truth) = (Arc::clone(&self.store), Arc::clone(&self.truth));
        let observer = observer(Arc::clone(&self.truth), Arc::clone(&self.store));
        Actor::start(observer, move || write(&store, &truth, &mut random, first_value))
    }

    pub fn committer(&self) -> Actor {
        let store = Arc::clone(&self.store);
        let observer = observer(Arc::clone(&self.truth), Arc::clone(&self.store));
        Actor::start(observer, move || match store.commit() {
            Ok(_) | Err(Error::FlushFailed { .. }) => {}
            Err(error) => panic!("a commit failed: {error}"),
        })
    }

    // -- checking ----------------------------------------------------------------------------------

    /// What is served now is exactly the newest published transaction.
    pub fn check_served(&self) {
        let truth = self.truth();
        let state = self.store.shared().newest_state().expect("a served table has its newest state");
        assert_eq!(state.number, truth.newest_published, "a served table is not of the newest published transaction");
        let content = self.content(truth.published[&state.number].len());
        assert_eq!(content, truth.published[&state.number], "a served table is not what was published");
        let live_count = content.iter().flatten().count();
        assert_eq!(state.live_count, live_count as u64, "the live count");
        for (number, record) in content.iter().enumerate() {
            let key = key_of(number);
            let mut payload = [0; 2];
            let found = self.store.find(&key.to_ne_bytes(), &mut payload).expect("served");
            assert_eq!(found.map(|_| payload[1]), record.map(|(_, value)| value), "the index");
        }
    }

    fn content(&self, key_count: usize) -> Content {
        let mut content = vec![None; key_count];
        let mut payload = [0; 2];
        for slot in 0..self.store.geometry.capacity() {
            if let Some(meta) = self.store.read_slot(slot, &mut payload).expect("served") {
                content[number_of(payload[0])] = Some((meta.id.generation(), payload[1]));
            }
        }
        content
    }

    /// What a recovery would make of the disk if the power failed now.
    pub fn look_at_a_loss(&self) {
        let image = self.image();
        let mut truth = self.truth();
        let mut random = truth.random.fork();
        let lost = truth.disk.lose_power(&image, &mut random);
        check_choice(&mut truth, lost, &self.store.header, false);
    }

    pub fn lose_power(&mut self) {
        let image = self.image();
        let lost = {
            let mut truth = self.truth();
            let mut random = truth.random.fork();
            let lost = truth.disk.lose_power(&image, &mut random);
            check_choice(&mut truth, lost.clone(), &self.store.header, false);
            truth.disk = Disk::new(&self.store.geometry, &lost);
            lost
        };
        self.store = Arc::new(store_of(lost, &self.store.header));
        self.boot += 1;
    }

    // -- opening -----------------------------------------------------------------------------------

    /// Everybody is gone; a first opener comes, and is cut short now and then.
    pub fn open(&mut self, needs_recovery: bool) {
        if self.store.control().load(FAILED, Ordering::Relaxed) != 0 {
            let mut image = self.image();
            {
                let mut truth = self.truth();
                let mut random = truth.random.fork();
                truth.disk.evict(&mut image, &mut random);
            }
            self.store = Arc::new(store_of(image, &self.store.header));
        }
        let mut own = incarnation(self.boot);
        if needs_recovery {
            // As if the file had been moved.
            own.mutex_fingerprint = self.truth().random.u64(2..);
        }
        loop {
            let trouble = [0.0, 0.01, 0.05][self.truth().random.usize(..3)];
            let words = self.image();
            let mut store = store_of(words, &self.store.header);
            let is_same_start = store.incarnation().is_some_and(|found| found.is_same_start(&own));
            let choice = check_choice(&mut self.truth(), self.image(), &self.store.header, is_same_start);
            self.truth().recovering = Some(choice.1.clone());
            // The hook needs the words that the recovery works on.
            let opener = Opener {
                truth: Arc::clone(&self.truth),
                header: self.store.header.clone(),
                fail_flushes: Arc::clone(&heap_of(&store).fail_flushes),
                trouble,
            };
            let base = store.medium.words().all().as_ptr() as usize;
            let count = store.geometry.word_count();
            let mut cut_short = None;
            self.truth().flush_failure_rate = 0.02;
            let cut = Arc::new(Mutex::new(false));
            let cut_by_hook = Arc::clone(&cut);
            let outcome = probe::with_hook(
                move |event| opener.see(event, base, count, &cut_by_hook),
                || store.attach_as_the_first(&own),
            );
            self.truth().flush_failure_rate = self.flush_failure_rate;
            match outcome {
                Some(Ok(())) => {}
                Some(Err(Error::FlushFailed { .. })) => cut_short = Some(false),
                Some(Err(error)) => panic!("opening failed: {error}"),
                None => cut_short = Some(*cut.lock().expect("not poisoned")),
            }
            self.store = Arc::new(store);
            match cut_short {
                None => {
                    self.opened(&choice);
                    return;
                }
                Some(true) => {
                    self.lose_power();
                    own.boot_id = [self.boot, 1];
                }
                Some(false) => {}
            }
        }
    }

    fn opened(&self, (number, content): &(u64, Content)) {
        let served = self.store.shared().newest_state().map_or(0, |state| state.number);
        let mut truth = self.truth();
        truth.recovering = None;
        if self.store.recovery().found != crate::store::recover::Found::InOrder {
            assert!(truth.given_numbers.last().is_none_or(|given| served > *given), "numbers go on above all before");
            // What was rolled back must never return.
            truth.published.retain(|published, _| published <= number);
            truth.published.insert(served, content.clone());
            truth.newest_published = served;
            truth.acknowledged = served;
        }
        drop(truth);
        let recovery = self.store.recovery();
        if recovery.found != crate::store::recover::Found::InOrder {
            assert_eq!(recovery.live_count as usize, content.iter().flatten().count(), "the report's live count");
        }
        // A half-finished transaction of the last process is repaired by the next writer, not here.
        if self.store.shared().intent_count().is_ok_and(|count| count == 0) {
            self.check_served();
        }
    }
}

/// The keys are numbered.
fn key_of(number: usize) -> u64 {
    1000 + number as u64
}

fn number_of(key: u64) -> usize {
    key.wrapping_sub(1000) as usize
}

fn write(store: &Store, truth: &Mutex<Truth>, random: &mut fastrand::Rng, first_value: u64) {
    let locked = || truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut transaction =
        store.begin().unwrap_or_else(|error| panic!("a transaction could not begin: {}", Error::from(error)));
    // Whatever was prepared is published now.
    let mut content = {
        let truth = locked();
        truth.published[&truth.newest_published].clone()
    };
    let mut value = first_value;
    let mut touched = false;
    let mut new_ids = Vec::new();
    let mut number = 0;
    for key_number in 0..content.len() {
        if random.bool() && (touched || key_number + 1 < content.len()) {
            continue;
        }
        touched = true;
        let record = [key_of(key_number), value];
        value += 1;
        let encoded = Encoded::new(&record);
        let meta = if content[key_number].is_some() && random.f64() < 0.2 {
            let mut payload = [0; 2];
            let meta = transaction.find(&record, &mut payload).unwrap().expect("it is there");
            let meta = transaction.delete(meta.id, None).unwrap();
            content[key_number] = None;
            meta
        } else {
            let was_there = content[key_number].is_some();
            let meta = transaction.upsert(encoded).unwrap();
            if !was_there {
                new_ids.push((meta.id.slot() as usize, meta.id.generation()));
            }
            content[key_number] = Some((meta.id.generation(), record[1]));
            meta
        };
        number = meta.version;
    }
    {
        let mut truth = locked();
        truth.intended = content;
        truth.intended_ids = new_ids;
        assert!(truth.given_numbers.insert(number), "the number {number} was given out twice");
    }
    transaction.publish().unwrap();
}

/// Index of a word that an event is about.
fn index_of(word: &AtomicU64, base: usize) -> usize {
    (std::ptr::from_ref(word) as usize - base) / 8
}

/// Lets the disk and the truth see a store, and the other events that they care about.
fn record(truth: &mut Truth, event: &Event<'_>, base: usize, count: usize, control: usize, fail_flushes: &AtomicU64) {
    match event {
        Event::Stored { word, value } => {
            let index = index_of(word, base);
            if index >= count {
                return;
            }
            truth.disk.store(index, *value);
            if index == control + PREPARED && truth.recovering.is_none() {
                let content = truth.intended.clone();
                truth.published.insert(*value, content);
                truth.newest_published = *value;
                for id in std::mem::take(&mut truth.intended_ids) {
                    assert!(truth.given_ids.insert(id), "the id {id:?} was given out twice");
                }
            }
            if index == control + DURABLE && truth.recovering.is_none() {
                truth.acknowledged = *value;
                truth.commit_count += 1;
            }
        }
        Event::Touch { word } => {
            let page = index_of(word, base) / 512 * 512;
            truth.disk.touch(page..page + 512);
        }
        Event::Flush { words } => {
            truth.disk.begin_flush(words);
            let fails = truth.random.f64() < truth.flush_failure_rate;
            fail_flushes.store(u64::from(fails), Ordering::Relaxed);
        }
        Event::Flushed { succeeded: true } => truth.disk.end_flush(),
        Event::Flushed { succeeded: false } => {
            let mut random = truth.random.fork();
            truth.disk.fail_flush(&mut random);
        }
        _ => {}
    }
}

/// The state that a recovery would choose: something, no older than what was acknowledged, exactly what was published.
fn check_choice(truth: &mut Truth, image: Vec<u64>, header: &Header, is_same_start: bool) -> (u64, Content) {
    let store = store_of(image, header);
    let choice = store.choose().unwrap_or_else(|error| panic!("nothing is damaged, but: {error}"));
    let number = choice.state.number;
    assert!(number >= truth.acknowledged, "commit {} was acknowledged and is lost: {number}", truth.acknowledged);
    let mut content: Content = vec![None; header.geometry.capacity() as usize];
    store.for_visible_cells(number, |slot, cell, found| {
        let mut payload = [0; 2];
        store.slot(slot).read_cell(cell, &mut payload);
        if found.is_live {
            content[number_of(payload[0])] = Some((found.generation, payload[1]));
        }
    });
    if !truth.published.contains_key(&number) && truth.recovering.as_ref() == Some(&content) {
        // A recovery that was cut short has carried the state on under another number.
        truth.published.insert(number, content.clone());
        truth.newest_published = number;
    }
    match truth.published.get(&number) {
        None => panic!("transaction {number} was never published, or was rolled back"),
        Some(published) => assert_eq!(*published, content, "transaction {number} with another moment's content"),
    }
    if choice.is_newest && is_same_start {
        assert_eq!(number, truth.newest_published, "nothing lost is said, and something is");
    }
    (number, content)
}

/// Who watches a first opener.
struct Opener {
    truth: Arc<Mutex<Truth>>,
    header: Header,
    fail_flushes: Arc<AtomicU64>,
    trouble: f64,
}

impl Opener {
    fn see(&self, event: &Event<'_>, base: usize, count: usize, cut: &Mutex<bool>) {
        let control = self.header.geometry.control();
        let mut truth = self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        record(&mut truth, event, base, count, control, &self.fail_flushes);
        if !matches!(event, Event::Stored { .. } | Event::Flush { .. } | Event::Flushed { .. }) {
            return;
        }
        let is_flush = !matches!(event, Event::Stored { .. });
        let trouble = if is_flush { self.trouble * 4.0 } else { self.trouble };
        if truth.random.f64() < if is_flush { 0.3 } else { 0.02 } {
            let mut random = truth.random.fork();
            let lost = truth.disk.lose_power(&self.disk_header(), &mut random);
            check_choice(&mut truth, lost, &self.header, false);
        }
        if truth.random.f64() < trouble {
            *cut.lock().expect("not poisoned") = truth.random.f64() < 0.6;
            drop(truth);
            probe::die();
        }
    }

    /// The header's words; the disk knows all others that matter.
    fn disk_header(&self) -> Vec<u64> {
        new_words(&self.header)
    }
}

/// What the actors of a world do at each access.
fn observer(truth: Arc<Mutex<Truth>>, store: Arc<Store>) -> impl FnMut(&Event<'_>) -> bool + Send {
    let fail_flushes = Arc::clone(&heap_of(&store).fail_flushes);
    move |event| {
        let base = store.medium.words().all().as_ptr() as usize;
        let geometry = &store.geometry;
        let mut truth = truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        record(&mut truth, event, base, geometry.word_count(), geometry.control(), &fail_flushes);
        // Where it pays to stop or die: at the words that others look at.
        let is_brink = match event {
            Event::Stored { word, .. } => {
                let index = index_of(word, base);
                index < geometry.intents() || (geometry.commit_records()..geometry.cells()).contains(&index)
            }
            Event::Store | Event::Touch { .. } => false,
            _ => true,
        };
        is_brink && truth.random.f64() < 0.02
    }
}
