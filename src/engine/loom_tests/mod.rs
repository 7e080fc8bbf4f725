//! What the model checker shows: the shipped code on a table in memory, under every interleaving of its threads and every value that
//! the memory model lets a load return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --release --lib loom       less than a minute
//! LOOM_MAX_PREEMPTIONS=2 ...      at most so many interruptions of threads in an execution, for a model that would take more
//! LOCULE_LOOM_LONG=1 ...          every model without a bound; for some that is longer than anybody waits
//! ```
//!
//! Models that finish without a bound have none: those of the index, of snapshots, and of a single write.
//!
//! What the checker cannot see: a load that returns what is stored only later (it runs stores in the order in which
//! they are executed), a load that returns a value more than seven stores old, and anything about processes, the
//! kernel, and the disk: a flush does nothing here.

use super::{Access, Settings, Store};
use crate::RecordId;
use crate::engine::read::Meta;
use crate::format::control::{SUPERSEDED, WAITING, WAKE_COUNT};
use crate::format::gaps::Gaps;
use crate::format::header::Header;
use crate::format::sync_record::{SYNC_RECORD_WORDS, State, SyncRecord};
use crate::schema::{FieldSchema, Schema};
use crate::sys::heap::Heap;
use crate::sys::medium::Medium;
use crate::sys::modelled::words::set_thread;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

mod feed;
mod keys;
mod scans;
mod slots;
mod syncs;
mod waits;

const HASH_SEED: u64 = 5;

/// Room for formatting an error.
const STACK_WORDS: usize = 0x8000;

/// What one thread of a model does with a handle.
pub type Body<H> = Arc<dyn Fn(&H) + Send + Sync>;

pub fn body<H>(body: impl Fn(&H) + Send + Sync + 'static) -> Body<H> {
    Arc::new(body)
}

/// A table as it is when a model begins.
#[derive(Clone)]
pub struct Start {
    header: Header,
    words: Arc<Vec<u64>>,
}

impl Start {
    /// A new table of two-word records, whose first word is the key if there is one, after `prepare` ran.
    pub fn new(slot_count: u64, has_key: bool, prepare: impl Fn(&Store) + Send + Sync + 'static) -> Self {
        let [key, value] = ["key", "value"].map(|name| FieldSchema::new(name, crate::FieldType::U64));
        let schema = Schema::new(vec![if has_key { key.key() } else { key }, value]).unwrap();
        Self::of_schema(slot_count, schema, prepare)
    }

    pub fn of_schema(slot_count: u64, schema: Schema, prepare: impl Fn(&Store) + Send + Sync + 'static) -> Self {
        let header = Header::new(slot_count, schema, [7; 16], HASH_SEED, 0).unwrap();
        let empty = Start { words: Arc::new(vec![0; header.geometry.word_count()]), header: header.clone() };
        let prepared = Arc::new(Mutex::new(Vec::new()));
        let prepared_in_model = Arc::clone(&prepared);
        builder(None).check(move || {
            let (empty, prepared) = (empty.clone(), Arc::clone(&prepared_in_model));
            let prepare = &prepare;
            let store = empty.store(1);
            let digest = store.digest_seed;
            let nothing = SyncRecord {
                state: State { number: 0, live_count: 0, digest },
                predecessor: 0,
                generation_floor: 0,
                wall_time_microseconds: 0,
                gaps: Gaps::default(),
            };
            store.put_sync_record(0, nothing);
            store.recover(false).unwrap();
            prepare(&store);
            *prepared.lock().unwrap() = store.words().all().iter().map(|word| word.load(Ordering::Relaxed)).collect();
        });
        let words = std::mem::take(&mut *prepared.lock().unwrap());
        Start { header, words: Arc::new(words) }
    }

    fn store(&self, thread_count: usize) -> Store {
        let settings = Settings { sync_every: None, verify_reads: false, wall_clock: || 1, ..Settings::default() };
        let heap = Heap::with_written(&self.words, self.header.geometry.control(), &self.written(), thread_count);
        Store::new(Medium::Heap(Box::new(heap)), self.header.clone(), settings, Access::ReadWrite, None)
    }

    /// The words that operations write.
    fn written(&self) -> Vec<Range<usize>> {
        let geometry = &self.header.geometry;
        let [first, second] = [0, 1].map(|record| geometry.sync_record(record));
        let cells = geometry.slot(0).start..geometry.slot(geometry.capacity() - 1).end;
        vec![
            geometry.control() + SUPERSEDED..geometry.control() + 64,
            geometry.control() + WAITING..geometry.control() + WAKE_COUNT + 1,
            geometry.intents()..geometry.index() + 2 * geometry.index_entry_count(),
            first..first + SYNC_RECORD_WORDS,
            second..second + SYNC_RECORD_WORDS,
            cells,
        ]
    }

    /// Runs all of these at once on a fresh copy of the table, in every possible way in which a thread is interrupted
    /// at most that many times, and then `finally`.
    pub fn explore<const N: usize>(
        self,
        interruptions: Option<usize>,
        bodies: [Body<Store>; N],
        finally: impl Fn(&Store) + Send + Sync + 'static,
    ) {
        self.explore_as(interruptions, |store| store, bodies, finally);
    }

    /// As [`explore`](Self::explore), with another handle made of the store.
    pub fn explore_as<H: Send + Sync + 'static, const N: usize>(
        self,
        interruptions: Option<usize>,
        make_handle: impl Fn(Store) -> H + Send + Sync + 'static,
        bodies: [Body<H>; N],
        finally: impl Fn(&H) + Send + Sync + 'static,
    ) {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let bodies: Vec<(usize, Body<H>)> = bodies.into_iter().enumerate().collect();
        let builder = builder(interruptions);
        let bound = builder.preemption_bound;
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let handle = Arc::new(make_handle(self.store(N)));
            let [(_, first), others @ ..] = &*bodies else { unreachable!("somebody does something") };
            let others = others.iter().map(|(number, body)| {
                let (number, body, handle) = (*number, Arc::clone(body), Arc::clone(&handle));
                spawn(move || {
                    set_thread(number);
                    body(&handle);
                })
            });
            let others: Vec<_> = others.collect();
            first(&handle);
            for other in others {
                other.join().unwrap();
            }
            finally(&handle);
        });
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        println!("{name}: {} executions, interruptions: {bound:?}", count.load(Ordering::Relaxed));
    }
}

fn builder(interruptions: Option<usize>) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 50_000;
    if std::env::var_os("LOCULE_LOOM_LONG").is_none() {
        builder.preemption_bound = [builder.preemption_bound, interruptions].into_iter().flatten().min();
    }
    builder
}

fn spawn(body: impl FnOnce() + Send + 'static) -> loom::thread::JoinHandle<()> {
    loom::thread::Builder::new().stack_size(STACK_WORDS).spawn(body).unwrap()
}

/// The first record that a slot of a new table holds.
pub fn first(slot: u32) -> RecordId {
    RecordId::new(slot, 1)
}

pub fn get(store: &Store, id: RecordId) -> Option<(Meta, [u64; 2])> {
    let mut payload = [0; 2];
    store.get(id, &mut payload).unwrap().map(|meta| (meta, payload))
}

/// The value of the record with a key, which must be that record.
pub fn find(store: &Store, key: u64) -> Option<u64> {
    let mut payload = [0; 2];
    let found = store.find(&key.to_ne_bytes(), &mut payload).unwrap();
    found.map(|_| {
        assert_eq!(payload[0], key, "another key's record");
        payload[1]
    })
}
