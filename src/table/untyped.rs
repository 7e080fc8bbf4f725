//! Tables without a Rust type: what takes a key or fields by name. Everything else is as for any table.

use super::options::OpenOptions;
use super::row::Row;
use super::snapshot::Snapshot;
use super::table::Table;
use super::transaction::WriteTransaction;
use super::upserted::Upserted;
use super::values::Values;
use super::which::{Which, found};
use crate::engine::Store;
use crate::engine::read::{Meta, Moment};
use crate::engine::transaction::Transaction;
use crate::error::{Error, Internal, Result};
use crate::record_id::RecordId;
use crate::schema::{FieldSchema, Schema};
use crate::value::untyped::Value;
use std::borrow::Borrow;
use std::sync::Arc;

impl OpenOptions<Values> {
    /// The schema of a new table. A table that exists has to have one of the same records.
    ///
    /// ```
    /// use locule::{Schema, Table, Values};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let schema: Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// Table::<Values>::options().schema(schema).create(&path)?;
    /// // By the schema in the file:
    /// assert_eq!(Table::<Values>::open(&path)?.schema().to_string(), "key id: u64, hits: u32 = 0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(mut self, schema: impl Into<Arc<Schema>>) -> Self {
        self.settings.required_schema = Some(schema.into());
        self
    }
}

/// A table that is only looked at, with what harms none on any file system.
#[cfg(not(loom))]
pub(crate) fn open_for_looking(path: &std::path::Path) -> Result<Table<Values>> {
    Table::<Values>::options().allow_any_file_system(true).open_read_only(path)
}

/// The key of a record, encoded as in a record whose other fields are zero.
struct KeyWords {
    record: Vec<u64>,
    key: std::ops::Range<usize>,
}

impl KeyWords {
    /// `None` if no record can have this key.
    fn of(schema: &Schema, key: &Value) -> Result<Option<Self>> {
        let field = key_field(schema)?;
        let range = field.offset_bytes()..field.offset_bytes().saturating_add(field.field_bytes());
        let mut words = vec![0_u64; schema.record_bytes().div_ceil(8)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let Some(bytes) = bytes.get_mut(range.clone()) else { return Ok(None) };
        match field.encode_value(key, bytes) {
            Ok(()) => Ok(Some(KeyWords { record: words, key: range })),
            // A number or a text that the field cannot hold is the key of no record; anything else is a mistake.
            Err(_) if field.is_of_its_kind(key) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn key(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.record);
        bytes.get(self.key.clone()).unwrap_or_default()
    }
}

fn key_field(schema: &Schema) -> Result<&FieldSchema> {
    schema.key().ok_or_else(|| {
        let reason = format!("expected a table with a key, found one without: `{schema}`");
        Error::InvalidArgument { reason }
    })
}

fn key_of(schema: &Schema, record: &Values) -> Result<ByValue> {
    let key = record.get(key_field(schema)?.name()).cloned();
    Ok(ByValue(key.unwrap_or_default()))
}

/// The record with a key, given as a value.
pub struct ByValue(Value);

impl Which<Values> for ByValue {
    fn read(&self, store: &Store, words: &mut Vec<u64>) -> Internal<Option<Meta>> {
        match KeyWords::of(store.schema(), &self.0)? {
            Some(key) => store.find(key.key(), words),
            None => Ok(None),
        }
    }

    fn read_at(&self, moment: Moment<'_>, words: &mut Vec<u64>) -> Internal<Option<Meta>> {
        match KeyWords::of(moment.store().schema(), &self.0)? {
            Some(key) => moment.find(key.key(), words),
            None => Ok(None),
        }
    }

    fn read_in(&self, transaction: &mut Transaction<'_>, words: &mut Vec<u64>) -> Internal<Option<Meta>> {
        match KeyWords::of(transaction.store().schema(), &self.0)? {
            Some(key) => transaction.find(&key.record, words),
            None => Ok(None),
        }
    }
}

impl Table<Values> {
    /// A record for this table, of which some fields are named: see [`Values::named`].
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let id = table.insert(&table.values(values! { id: 42 })?)?;
    /// assert_eq!(table.get(id)?.map(|row| row.to_string()), Some("id: 42, hits: 0".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Values::named`].
    pub fn values<N: AsRef<str>, V: Into<Value>>(&self, fields: impl IntoIterator<Item = (N, V)>) -> Result<Values> {
        Values::named(self.schema(), fields)
    }

    /// The record with a key; `None` if there is none. As [`find`](Table::find) of a table with a type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("users.loc");
    /// # let schema: locule::Schema = "key name: text(9), age: u8".parse()?;
    /// let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// table.insert(&table.values(values! { name: "ada", age: 36 })?)?;
    /// assert_eq!(table.find("ada")?.and_then(|row| row.get("age").cloned()), Some(36_u8.into()));
    /// assert_eq!(table.find("a name that is longer than the field")?, None);
    /// assert!(table.find(36).is_err()); // no text
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](Error::InvalidArgument) if the table has no key, [`InvalidValue`](Error::InvalidValue) if the
    /// value is of another kind than the key, and those of [any call](Self#errors-that-any-call-can-return).
    pub fn find(&self, key: impl Into<Value>) -> Result<Option<Row<Values>>> {
        self.read(&ByValue(key.into()))
    }

    /// Whether there is a record with a key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// table.insert(&table.values(values! { id: 42 })?)?;
    /// assert!(table.contains_key(42)? && !table.contains_key(43)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn contains_key(&self, key: impl Into<Value>) -> Result<bool> {
        Ok(self.find(key)?.is_some())
    }

    /// Inserts a record, or writes it over the one that has its key. As [`upsert`](Table::upsert) of a table with a
    /// type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert!(table.upsert(&table.values(values! { id: 42, hits: 1 })?)?.is_new);
    /// assert!(!table.upsert(&table.values(values! { id: 42, hits: 2 })?)?.is_new);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`, and [`InvalidArgument`](Error::InvalidArgument) if the table
    /// has no key.
    pub fn upsert(&self, record: &Values) -> Result<Upserted> {
        key_field(self.schema())?;
        self.put_by_key(record)
    }

    /// Inserts a record, or changes the one that has its key. As [`upsert_with`](Table::upsert_with) of a table with a
    /// type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let visit = table.values(values! { id: 42, hits: 1 })?;
    /// table.upsert_with(&visit, |_| {})?;
    /// assert_eq!(table.len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`upsert`](Self::upsert).
    pub fn upsert_with(&self, record: &Values, change: impl FnMut(&mut Values)) -> Result<Row<Values>> {
        self.insert_or_change(&key_of(self.schema(), record)?, record, change)
    }

    /// Gives some fields of a record other values. Returns its new version.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let id = table.insert(&table.values(values! { id: 42 })?)?;
    /// table.update_fields(id, values! { hits: 2 })?;
    /// assert!(table.update_fields(id, values! { hits: "two" }).is_err());
    /// assert_eq!(table.get(id)?.map(|row| row.to_string()), Some("id: 42, hits: 2".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update) and [`Values::set_all`].
    pub fn update_fields<N: AsRef<str> + Clone, V: Into<Value> + Clone>(
        &self,
        id: RecordId,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<u64> {
        let fields: Vec<(N, V)> = fields.into_iter().collect();
        let set = |row: &mut Values| row.set_all(fields.iter().cloned());
        found(id, self.change(&id, set, |row, ()| row.version())?)
    }

    /// Changes the record with a key, and returns it as it is now; `None` if there is none. As
    /// [`update_by_key`](Table::update_by_key) of a table with a type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert_eq!(table.update_by_key(42, |_| {})?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find) and [`update`](Self::update), without `NotFound`.
    pub fn update_by_key(&self, key: impl Into<Value>, change: impl FnMut(&mut Values)) -> Result<Option<Row<Values>>> {
        self.change_row(&ByValue(key.into()), change)
    }

    /// Deletes the record with a key, and returns it; `None` if there is none. As
    /// [`remove_by_key`](Table::remove_by_key) of a table with a type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// table.insert(&table.values(values! { id: 42 })?)?;
    /// assert!(table.remove_by_key(42)?.is_some() && table.is_empty()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find) and [`delete`](Self::delete), without `NotFound`.
    pub fn remove_by_key(&self, key: impl Into<Value>) -> Result<Option<Row<Values>>> {
        self.take(&ByValue(key.into()))
    }

    /// Makes the table hold exactly these records. As [`replace_all`](Table::replace_all) of a table with a type.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// table.replace_all([table.values(values! { id: 1 })?, table.values(values! { id: 2 })?])?;
    /// table.replace_all([table.values(values! { id: 3 })?])?;
    /// assert_eq!((table.len()?, table.contains_key(3)?), (1, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that; and [`InvalidArgument`](Error::InvalidArgument) if the table has no key.
    pub fn replace_all(&self, records: impl IntoIterator<Item = impl Borrow<Values>>) -> Result<()> {
        self.write(|transaction| transaction.replace_all(records))
    }
}

/// What takes a key or fields by name, in a table without a type. Each is as the method of [`Table`] of that name.
impl WriteTransaction<'_, Values> {
    /// The record with a key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let visit = table.values(values! { id: 42 })?;
    /// table.write(|transaction| {
    ///     transaction.insert(&visit)?;
    ///     assert!(transaction.find(42)?.is_some()); // it sees what it wrote
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn find(&mut self, key: impl Into<Value>) -> Result<Option<Row<Values>>> {
        self.read(&ByValue(key.into()))
    }

    /// Whether there is a record with a key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert!(!table.write(|transaction| transaction.contains_key(42))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn contains_key(&mut self, key: impl Into<Value>) -> Result<bool> {
        Ok(self.find(key)?.is_some())
    }

    /// Inserts a record, or writes it over the one that has its key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let visit = table.values(values! { id: 42 })?;
    /// assert!(table.write(|transaction| transaction.upsert(&visit))?.is_new);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn upsert(&mut self, record: &Values) -> Result<Upserted> {
        key_field(self.transaction.store().schema())?;
        self.put_by_key(record)
    }

    /// Inserts a record, or changes the one that has its key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let visit = table.values(values! { id: 42 })?;
    /// assert_eq!(table.write(|transaction| transaction.upsert_with(&visit, |_| {}))?.update_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn upsert_with(&mut self, record: &Values, change: impl FnOnce(&mut Values)) -> Result<Row<Values>> {
        let key = key_of(self.transaction.store().schema(), record)?;
        self.insert_or_change(&key, record, change)
    }

    /// Gives some fields of a record other values. Returns its new version.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let id = table.insert(&table.values(values! { id: 42 })?)?;
    /// table.write(|transaction| transaction.update_fields(id, values! { hits: 2 }))?;
    /// assert_eq!(table.get(id)?.map(|row| row.to_string()), Some("id: 42, hits: 2".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn update_fields<N: AsRef<str>, V: Into<Value>>(
        &mut self,
        id: RecordId,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<u64> {
        let (row, ()) = found(id, self.change(&id, |row: &mut Values| row.set_all(fields))?)?;
        Ok(row.version())
    }

    /// Changes the record with a key, and returns it as it is now; `None` if there is none.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert_eq!(table.write(|transaction| transaction.update_by_key(42, |_| {}))?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn update_by_key(
        &mut self,
        key: impl Into<Value>,
        change: impl FnOnce(&mut Values),
    ) -> Result<Option<Row<Values>>> {
        self.change_row(&ByValue(key.into()), change)
    }

    /// Deletes the record with a key, and returns it; `None` if there is none.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert_eq!(table.write(|transaction| transaction.remove_by_key(42))?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table.
    pub fn remove_by_key(&mut self, key: impl Into<Value>) -> Result<Option<Row<Values>>> {
        self.take(&ByValue(key.into()))
    }

    /// Makes the table hold exactly these records.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// let visit = table.values(values! { id: 42 })?;
    /// table.write(|transaction| transaction.replace_all([&visit]))?;
    /// assert_eq!(table.len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As that call of the table; after one, nothing of the transaction happens.
    pub fn replace_all(&mut self, records: impl IntoIterator<Item = impl Borrow<Values>>) -> Result<()> {
        key_field(self.transaction.store().schema())?;
        self.hold_exactly(records)
    }
}

/// What takes a key, in a table without a type.
impl Snapshot<'_, Values> {
    /// The record with a key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// table.insert(&table.values(values! { id: 42 })?)?;
    /// assert!(table.snapshot(|view| Ok(view.find(42)?.is_some()))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::find`](crate::Table::find), and [`StaleSnapshot`](Error::StaleSnapshot).
    pub fn find(&self, key: impl Into<Value>) -> Result<Option<Row<Values>>> {
        self.read(&ByValue(key.into()))
    }

    /// Whether there is a record with a key.
    ///
    /// ```
    /// # use locule::{Table, Values, values};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
    /// # let table = Table::<Values>::options().schema(schema).create(&path)?;
    /// assert!(!table.snapshot(|view| view.contains_key(42))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn contains_key(&self, key: impl Into<Value>) -> Result<bool> {
        Ok(self.find(key)?.is_some())
    }
}
