//! What a table should hold: a plain map; and the table beside it.

use super::choices::Choices;
use super::fields::{FieldModel, are_same, is_same, schema};
use locule::{Error, RecordId, Row, Schema, Table, Value, Values};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is known about a record.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: RecordId,
    pub values: Vec<Value>,
    /// Unknown from when it is written until the transaction has ended.
    pub version: Option<u64>,
    pub update_count: u32,
}

/// What a table should hold: its records by their slots, so in the order of a query that does not sort.
#[derive(Clone, Debug)]
pub struct Model {
    pub fields: Vec<FieldModel>,
    pub capacity: usize,
    pub records: BTreeMap<u32, Known>,
}

impl Model {
    pub fn schema(&self) -> Schema {
        schema(&self.fields).expect("a model has fields that can be")
    }

    pub fn key_position(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.is_key)
    }

    pub fn key_of<'v>(&self, values: &'v [Value]) -> Option<&'v Value> {
        self.key_position().map(|position| &values[position])
    }

    /// The record with a key.
    pub fn find(&self, key: Option<&Value>) -> Option<&Known> {
        let (position, key) = (self.key_position()?, key?);
        self.records.values().find(|known| is_same(&known.values[position], key))
    }

    pub fn get(&self, id: RecordId) -> Option<&Known> {
        self.records.get(&id.slot()).filter(|known| known.id == id)
    }

    pub fn is_full(&self) -> bool {
        self.records.len() == self.capacity
    }

    /// A record was written.
    pub fn update(&mut self, id: RecordId, values: Vec<Value>) {
        let known = self.records.get_mut(&id.slot()).expect("it is there");
        *known = Known { values, version: None, update_count: known.update_count + 1, ..*known };
    }

    pub fn insert(&mut self, id: RecordId, values: Vec<Value>) {
        assert!((id.slot() as usize) < self.capacity, "{id:?} is behind the last slot");
        let old = self.records.insert(id.slot(), Known { id, values, version: None, update_count: 0 });
        assert!(old.is_none(), "the slot of {id:?} had {old:?}");
    }
}

/// A table, and its model.
pub struct World {
    pub path: PathBuf,
    pub table: Table<Values>,
    pub model: Model,
    pub backup: Option<Model>,
    given_ids: HashSet<RecordId>,
    highest_version: u64,
}

impl World {
    pub fn create(path: &Path, choices: &mut Choices<'_>) -> Self {
        let fields = FieldModel::several(choices);
        let capacity = 1 + choices.below(12);
        let model = Model { fields, capacity, records: BTreeMap::new() };
        let written = model.schema().to_string();
        let read: Schema = written.parse().expect("a schema that was written");
        assert_eq!(read, model.schema(), "{written}");
        let options = Table::<Values>::options().schema(read).capacity(capacity as u64).sync_every(None);
        let table = options.create(path).expect("a new table");
        let mut world =
            World { path: path.to_owned(), table, model, backup: None, given_ids: HashSet::new(), highest_version: 0 };
        world.settle(world.model.clone());
        world
    }

    pub fn schema(&self) -> &Arc<Schema> {
        self.table.schema()
    }

    /// An id that names no record: of one that was deleted, or of none that ever was.
    pub fn dead_id(&self, choices: &mut Choices<'_>) -> RecordId {
        let mut dead: Vec<RecordId> =
            self.given_ids.iter().copied().filter(|id| self.model.get(*id).is_none()).collect();
        dead.sort_unstable();
        dead.push(RecordId::from_u64(u64::MAX));
        choices.one_of(&dead)
    }

    /// Whether a record may get this id.
    pub fn is_new(&self, id: RecordId) -> bool {
        !self.given_ids.contains(&id)
    }

    pub fn open(&mut self, open: impl FnOnce(&Path) -> locule::Result<Table<Values>>) {
        self.table = open(&self.path).expect("a table that is there");
    }

    /// The table was replaced by another process, which this handle is told.
    pub fn expect_superseded(&mut self) {
        let outcome = self.table.len();
        assert!(matches!(outcome, Err(Error::Superseded)), "expected a superseded file, found {outcome:?}");
        self.table.reopen().expect("the new file");
    }

    /// A transaction has ended, and the table should hold this. What was written has a new version.
    pub fn settle(&mut self, mut expected: Model) {
        let schema = expected.schema();
        assert_eq!(**self.schema(), schema);
        assert_eq!(self.table.capacity(), expected.capacity as u64);
        let rows: Vec<Row<Values>> = self.table.iter().collect::<Result<_, _>>().expect("a table in order");
        let slots: Vec<u32> = rows.iter().map(|row| row.id().slot()).collect();
        let expected_slots: Vec<u32> = expected.records.keys().copied().collect();
        assert_eq!(slots, expected_slots, "expected {expected:#?}, found {rows:#?}");
        assert_eq!(self.table.len().expect("in order"), rows.len() as u64);
        let mut new_version = None;
        for (row, known) in rows.iter().zip(expected.records.values_mut()) {
            assert_holds(row, known);
            if known.version.is_none() {
                assert!(row.version() > self.highest_version, "its version was given out before: {row:?}");
                assert!(new_version.is_none_or(|version| version == row.version()), "one transaction, one number");
                new_version = Some(row.version());
                known.version = new_version;
            }
            if self.model.get(row.id()).is_none_or(|known| known.id != row.id()) {
                let is_restored = known.version.is_some_and(|version| version <= self.highest_version);
                assert!(self.given_ids.insert(row.id()) || is_restored, "its id was given out before: {row:?}");
            }
        }
        self.highest_version = new_version.unwrap_or(self.highest_version);
        for known in expected.records.values() {
            let row = self.table.get(known.id).expect("in order").expect("it is there");
            assert_holds(&row, known);
            if let Some(key) = expected.key_of(&known.values) {
                let row = self.table.find(key.clone()).expect("in order").expect("it is found");
                assert_holds(&row, known);
            }
        }
        for id in self.given_ids.iter().filter(|id| expected.get(**id).is_none()).take(20) {
            assert!(self.table.get(*id).expect("in order").is_none(), "{id:?} is dead");
        }
        self.model = expected;
    }
}

/// A row is what is known.
pub fn assert_holds(row: &Row<Values>, known: &Known) {
    let values = row.record().clone().into_vec();
    assert!(
        row.id() == known.id
            && row.update_count() == known.update_count
            && known.version.is_none_or(|version| version == row.version())
            && are_same(&values, &known.values),
        "expected {known:#?}, found {row:#?}"
    );
}
