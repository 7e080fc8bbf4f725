//! What has to be true after a death: for a process that reads at that moment, after a repair, and for every process
//! that goes on.

use crate::cursor::Cursor;
use crate::engine::read::Meta;
use crate::engine::tests::crash_points::death::{self, End, Place};
use crate::engine::tests::crash_points::model::{Model, Record, Step};
use crate::engine::tests::crash_points::table::{Image, Operation, Shape};
use crate::engine::{Encoded, Store};
use crate::error::{Error, Result};
use crate::format::control::{
    FREE_COUNT, GENERATION_FLOOR, INTENDED_STATE, INTENT_COUNT, LAST, NEWEST_STATE, PREPARED, USED,
};
use crate::sys::words::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key that no script uses.
const ABSENT_KEY: u64 = 4711;

/// Says where a test was when it failed.
pub struct Context(String);

impl Context {
    pub fn new(place: impl Into<String>) -> Self {
        Context(place.into())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("  in: {}", self.0);
        }
    }
}

pub fn control_word(store: &Store, index: usize) -> u64 {
    store.control().load(index, Ordering::Relaxed)
}

fn record_of(shape: Shape, meta: Option<Meta>, payload: &[u64]) -> Option<Record> {
    let Meta { id, version, update_count } = meta?;
    assert_eq!(payload, shape.payload(payload[0], payload[1]), "a mixture of two records");
    Some(Record { id, version, update_count, key: payload[0], value: payload[1] })
}

pub fn get(store: &Store, shape: Shape, id: crate::RecordId) -> Option<Record> {
    let mut payload = vec![0; shape.record_words];
    let meta = store.get(id, &mut payload).unwrap();
    record_of(shape, meta, &payload)
}

pub fn find(store: &Store, shape: Shape, key: u64) -> Option<Record> {
    let mut payload = vec![0; shape.record_words];
    let meta = store.find(&key.to_ne_bytes(), &mut payload).unwrap();
    record_of(shape, meta, &payload)
}

/// All records, in the order of their slots.
pub fn all(store: &Store, shape: Shape) -> Vec<Record> {
    let mut payload = vec![0; shape.record_words];
    (0..store.geometry().capacity())
        .filter_map(|slot| {
            let meta = store.read_slot(slot, &mut payload).unwrap();
            record_of(shape, meta, &payload)
        })
        .collect()
}

/// All records and their number, of one moment.
pub fn snapshot(store: &Store, shape: Shape) -> Result<(Vec<Record>, u64)> {
    store.snapshot(|moment| {
        let records = all(moment.store(), shape);
        moment.check()?;
        Ok((records, moment.live_count()?))
    })
}

/// What has changed since a transaction, and the number of the newest one.
pub type Changes = (Vec<(u64, crate::RecordId, Option<Record>)>, u64);

pub fn changes_since(store: &Store, shape: Shape, number: u64) -> Changes {
    let found = store.changes_since(Cursor { number, ..store.first_cursor() }).unwrap();
    let changes = found.iter().map(|(meta, payload)| {
        (meta.version, meta.id, payload.and_then(|payload| record_of(shape, Some(meta), payload)))
    });
    (changes.collect(), found.cursor.number())
}

/// Everything that readers can ask gets an answer that is right before the operation or after it. Returns whether one
/// was only right after it. Nothing happens meanwhile: the process that did the operation is dead, or stands still.
pub fn assert_readers_see_one_of_two(image: &Image, shape: Shape, [old, new]: [&Model; 2]) -> bool {
    let store = image.reader();
    let mut saw_new = false;
    let mut is_right = |what: &str, found: String, before: String, after: String| {
        assert!(found == before || found == after, "{what}: {found}, expected {before} or {after}");
        saw_new |= found != before;
    };
    macro_rules! compare {
        ($what:expr, $found:expr, $of_model:expr) => {
            is_right($what, format!("{:?}", $found), format!("{:?}", $of_model(old)), format!("{:?}", $of_model(new)))
        };
    }
    let records: Vec<_> = old.records().into_iter().chain(new.records()).collect();
    for Record { id, key, .. } in &records {
        compare!("by id", get(&store, shape, *id), |model: &Model| model.get(*id));
        if shape.is_keyed {
            compare!("by key", find(&store, shape, *key), |model: &Model| model.find(*key));
        }
    }
    assert_eq!(find(&store, shape, ABSENT_KEY), None);
    compare!("the count", store.live_count().unwrap(), Model::live_count);
    for record in all(&store, shape) {
        assert!(records.contains(&record), "an iteration came upon {record:?}, which never was");
    }
    let is_resting = control_word(&store, PREPARED) == control_word(&store, LAST);
    let of_snapshot = |model: &Model| (model.records(), model.live_count());
    for number in [0, old.last] {
        compare!("the changes", changes_since(&store, shape, number), |model: &Model| {
            (model.changes_since(number), model.last)
        });
    }
    let found = snapshot(&store, shape).unwrap();
    assert!(is_resting || found == of_snapshot(new), "what is prepared has happened, and a snapshot does not see it");
    compare!("a snapshot", found, of_snapshot);
    saw_new
}

/// The table is exactly this one, down to the order in which free slots are given out, and nothing is left half done.
pub fn assert_is(store: &Store, shape: Shape, model: &Model) {
    assert_eq!(all(store, shape), model.records(), "the records");
    for record in model.records() {
        assert_eq!(get(store, shape, record.id), Some(record));
        if shape.is_keyed {
            assert_eq!(find(store, shape, record.key), Some(record), "the index");
        }
    }
    assert_eq!(find(store, shape, ABSENT_KEY), None);
    let found = snapshot(store, shape).unwrap();
    assert_eq!(found, (model.records(), model.live_count()), "a snapshot, and the live count");
    assert_eq!(changes_since(store, shape, 0), (model.changes_since(0), model.last), "the changes");
    let [last, prepared, used, intent_count] =
        [LAST, PREPARED, USED, INTENT_COUNT].map(|index| control_word(store, index));
    assert_eq!((last, prepared, used), (model.last, model.last, model.used), "last, prepared and used number");
    assert_eq!(intent_count, 0, "the intent list");
    let free_slots: Vec<_> = (0..control_word(store, FREE_COUNT))
        .map(|position| store.view().free_stack_entry(position).unwrap() as usize)
        .collect();
    assert_eq!(free_slots, model.free_slots(), "the free slots, in order");
    let problems = crate::admin::problems_of(store);
    assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
}

/// Which of the two the table is, with nothing half done: 0 or 1. If there is no difference, it is the second. A number
/// that was taken in vain stays taken.
pub fn which(store: &Store, shape: Shape, [old, new]: [&Model; 2]) -> (usize, Model) {
    let used = control_word(store, USED);
    let last = control_word(store, LAST);
    let is_new = last == new.last;
    let expected = if is_new { new } else { old };
    assert!(used == old.used || used == new.used.max(old.used + 1), "the highest number is {used}");
    let floor = control_word(store, GENERATION_FLOOR);
    // By a transaction that did not happen, more or fewer ids were given out before the death.
    let highest =
        if last == old.last { new.highest_generation().max(new.generation_floor) } else { new.generation_floor };
    assert!((old.generation_floor..=highest).contains(&floor), "the generation floor is {floor}");
    let expected = expected.with_used(used, floor);
    assert_is(store, shape, &expected);
    (usize::from(is_new), expected)
}

/// A process that goes on with a table can do everything: it can also be killed again in the middle, fill the table,
/// empty it, and sync.
pub fn assert_is_usable(image: &Image, shape: Shape, model: &Model) {
    let go_on = |store: &Store, model: &mut Model, operation: Operation| {
        operation.perform(store, shape, model);
        *model = operation.apply(model).0;
        assert_is(store, shape, model);
    };
    // A process that takes no free slot dies while it publishes: its repairer publishes everything, the free slots too.
    let first_key = model.records().first().map(|record| record.key);
    let store = image.store();
    let mut now = model.clone();
    if let Some(key) = first_key {
        let operation = Operation::One(Step::Update { key, value: 900 });
        kill_after_preparing(&store, || operation.perform(&store, shape, &now));
        now = operation.apply(&now).0;
        Operation::Nothing.perform(&store, shape, &now);
        assert_is(&store, shape, &now);
    }
    for key in 901.. {
        if now.free_slots().is_empty() {
            // As many slots are free as the table says, and no more.
            let refused = store.insert(Encoded::new(&shape.payload(key, 0))).map_err(Error::from);
            let live_count = now.live_count();
            assert!(
                matches!(refused, Err(Error::Full { live_count: found, retired_count: 0, .. }) if found == live_count),
                "{refused:?}"
            );
            break;
        }
        go_on(&store, &mut now, Operation::One(Step::Insert { key, value: 1 }));
    }
    go_on(&store, &mut now, Operation::Sync);
    let steps = now.records().into_iter().map(|record| Step::Delete { key: record.key }).collect();
    go_on(&store, &mut now, Operation::Several(steps));
    go_on(&store, &mut now, Operation::One(Step::Insert { key: 1, value: 2 }));
    go_on(&store, &mut now, Operation::Sync);
}

/// Kills a process just after the store that makes its operation happen.
fn kill_after_preparing(store: &Arc<Store>, body: impl FnOnce()) {
    let prepared = store.geometry.control() + PREPARED;
    let is_prepared = move |place| matches!(place, Place::AfterStore { word } if word == prepared);
    let end = death::kill_where(store, is_prepared, body);
    assert!(matches!(end, End::Died { .. }), "somebody who writes prepares");
}

/// Numbers that cells hold, published or not.
pub fn highest_number_in_cells(store: &Store) -> u64 {
    let geometry = store.geometry();
    let cells = (0..geometry.capacity()).flat_map(|slot| (0..4).map(move |cell| (slot, cell)));
    cells.map(|(slot, cell)| store.words().load(geometry.cell(slot, cell), Ordering::Relaxed)).max().unwrap_or(0)
}

/// After a power cut that left the durable group as it is and took the rest, a recovery arrives at a sync that was
/// whole: no older than the last that was acknowledged, and with the records of that moment.
pub fn assert_survives_the_power(image: &Image, shape: Shape, history: &BTreeMap<u64, Model>) {
    let store = image.store();
    let acknowledged = control_word(&store, crate::format::control::DURABLE);
    for state in [NEWEST_STATE, INTENDED_STATE] {
        store.plant(store.geometry.control() + state, &[0; crate::format::sync_record::STATE_WORDS]);
    }
    let number = store.choose().unwrap().state.number;
    assert!(number >= acknowledged, "sync {acknowledged} was acknowledged, and {number} is what is left");
    let mut payload = vec![0; shape.record_words];
    let mut records = Vec::new();
    store.for_visible_cells(number, |slot, cell, header| {
        store.read_cell(slot, cell, &mut payload);
        if header.is_live {
            records.extend(record_of(shape, Some(Meta::new(slot, header)), &payload));
        }
    });
    let expected = history.get(&number).expect("a state that the table had");
    assert_eq!(records, expected.records(), "sync {number} with other records");
}
