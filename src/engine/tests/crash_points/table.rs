//! Tables of tests, what is done to them, and what a death leaves of one.

use crate::FieldType;
use crate::engine::tests::actor::heap_of;
use crate::engine::tests::crash_points::model::{Model, Record, Step};
use crate::engine::tests::new_words;
use crate::engine::tests::world::settings;
use crate::engine::{Access, Encoded, Settings, Store};
use crate::format::control::LAST;
use crate::format::header::Header;
use crate::schema::{FieldSchema, Schema};
use crate::sys::attachment::{FileId, Incarnation};
use crate::sys::heap::Heap;
use crate::sys::lock::Lock;
use crate::sys::medium::Medium;
use crate::sys::words::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// What tables of a test look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub slot_count: u64,
    pub is_keyed: bool,
    pub record_words: usize,
}

/// Three records with a key.
pub const SMALL: Shape = Shape { slot_count: 3, is_keyed: true, record_words: 2 };

impl Shape {
    pub fn header(self) -> Header {
        let mut fields: Vec<_> =
            (0..self.record_words).map(|number| FieldSchema::new(format!("f{number}"), FieldType::U64)).collect();
        if self.is_keyed {
            fields[0] = fields[0].clone().key();
        }
        Header::new(self.slot_count, Schema::new(fields).unwrap(), [7; 16], 5, 0).unwrap()
    }

    /// A record all of whose words follow from the first two, so that a mixture of two is noticed.
    pub fn payload(self, key: u64, value: u64) -> Vec<u64> {
        let rest = (2..self.record_words as u64).map(|index| value * 1000 + index);
        [key, value].into_iter().chain(rest).collect()
    }
}

/// Where the tables of tests are used, unless a test is about another place.
pub const HOME: Incarnation = Incarnation {
    boot_id: [1, 1],
    file: FileId { device: 1, inode: 1, birth_time: 1 },
    pid_namespace: 1,
    mutex_fingerprint: 1,
};

/// One thing that a process does.
#[derive(Clone, Debug)]
pub enum Operation {
    /// One call for one record.
    One(Step),
    /// A transaction.
    Several(Vec<Step>),
    /// A transaction that is given up at its end.
    RolledBack(Vec<Step>),
    /// One call for one record, after which a sync is due.
    OneAndSync(Step),
    Sync,
    Scrub,
    /// Only the part of a scrub between its syncs.
    ScrubCells,
    /// A transaction that does nothing: it takes the lock, and so repairs, and unlocks.
    Nothing,
}

impl Operation {
    /// The model after the operation, and what each of its steps returns.
    pub fn apply(&self, model: &Model) -> (Model, Vec<Record>) {
        match self {
            Operation::One(step) | Operation::OneAndSync(step) => model.after(&[*step]),
            Operation::Several(steps) => model.after(steps),
            Operation::RolledBack(steps) => (model.rolled_back(steps), model.after(steps).1),
            Operation::Sync | Operation::Scrub | Operation::ScrubCells | Operation::Nothing => {
                (model.clone(), Vec::new())
            }
        }
    }

    /// Does it with the shipped code; what it returns must be what the model says.
    pub fn perform(&self, store: &Store, shape: Shape, before: &Model) {
        let (after, expected) = self.apply(before);
        match self {
            Operation::One(step) | Operation::OneAndSync(step) => {
                let record = expected[0];
                let payload = step.payload(shape);
                let encoded = Encoded::new(&payload);
                let meta = match step {
                    Step::Insert { .. } => store.insert(encoded),
                    Step::Update { .. } => store.update(record.id, None, encoded),
                    Step::Upsert { .. } => store.upsert(encoded),
                    Step::Delete { .. } => store.delete(record.id, None),
                };
                assert_returned(meta.unwrap(), record);
            }
            Operation::Several(steps) | Operation::RolledBack(steps) => {
                let mut transaction = store.begin().unwrap();
                for (step, record) in steps.iter().zip(expected) {
                    let payload = step.payload(shape);
                    let encoded = Encoded::new(&payload);
                    let meta = match step {
                        Step::Insert { .. } => transaction.insert(encoded),
                        Step::Update { .. } => transaction.update(record.id, None, encoded),
                        Step::Upsert { .. } => transaction.upsert(encoded),
                        Step::Delete { .. } => transaction.delete(record.id, None),
                    };
                    assert_returned(meta.unwrap(), record);
                }
                if matches!(self, Operation::Several(_)) {
                    assert_eq!(transaction.commit().unwrap(), after.last);
                }
            }
            Operation::Sync => assert!(store.sync().unwrap() >= before.last),
            Operation::Scrub => drop(store.scrub().unwrap()),
            Operation::ScrubCells => drop(store.scrub_cells().unwrap()),
            Operation::Nothing => drop(store.begin().unwrap()),
        }
    }
}

impl Step {
    fn payload(self, shape: Shape) -> Vec<u64> {
        match self {
            Step::Insert { key, value } | Step::Update { key, value } | Step::Upsert { key, value } => {
                shape.payload(key, value)
            }
            Step::Delete { .. } => Vec::new(),
        }
    }
}

fn assert_returned(meta: crate::engine::read::Meta, expected: Record) {
    let found = (meta.id, meta.version, meta.update_count);
    assert_eq!(found, (expected.id, expected.version, expected.update_count), "what the caller was told");
}

/// A table as a death, or the end of a process, leaves it: its words, and the locks that a dead owner holds.
#[derive(Clone)]
pub struct Image {
    pub header: Arc<Header>,
    pub words: Vec<u64>,
    pub left_locked: Vec<Lock>,
}

impl Image {
    pub fn of(store: &Store, left_locked: &[Lock]) -> Self {
        let words = store.medium.words().all().iter().map(|word| word.load(Ordering::Relaxed)).collect();
        Image { header: Arc::new(store.header.clone()), words, left_locked: left_locked.to_vec() }
    }

    /// A live process that has this table open.
    pub fn store(&self) -> Arc<Store> {
        self.store_with(settings(), Access::ReadWrite)
    }

    /// One that can only read.
    pub fn reader(&self) -> Arc<Store> {
        self.store_with(settings(), Access::ReadOnly)
    }

    /// One that syncs with every write.
    pub fn syncing_store(&self) -> Arc<Store> {
        self.store_with(Settings { sync_every: Some(Duration::ZERO), ..settings() }, Access::ReadWrite)
    }

    fn store_with(&self, settings: Settings, access: Access) -> Arc<Store> {
        let medium = Medium::Heap(Box::new(Heap::new(&self.words, self.header.geometry.control())));
        let store = Store::new(medium, (*self.header).clone(), settings, access, None);
        for lock in &self.left_locked {
            let taken = heap_of(&store).try_lock(*lock);
            assert!(taken.is_some(), "a lock has one owner");
            heap_of(&store).owner_died(*lock);
        }
        Arc::new(store)
    }
}

/// A new table with a history, as its users left it; and the model of it.
pub fn table_with_history(shape: Shape, history: &[Operation]) -> (Image, Model) {
    let header = shape.header();
    let empty = Image { words: new_words(&header), header: Arc::new(header), left_locked: Vec::new() };
    let mut store = Arc::into_inner(empty.store()).unwrap();
    store.attach_as_the_first(&HOME).unwrap();
    let last = store.control().load(LAST, Ordering::Relaxed);
    let mut model = Model::new(usize::try_from(shape.slot_count).unwrap(), shape.is_keyed, last);
    for operation in history {
        operation.perform(&store, shape, &model);
        model = operation.apply(&model).0;
    }
    (Image::of(&store, &[]), model)
}
