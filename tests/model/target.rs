//! What is done to a table and inside a transaction alike, and how it can be refused.

use locule::{Error, Query, RecordId, Result, Row, Snapshot, Table, Upserted, Value, Values, WriteTransaction};

/// What can be asked.
pub trait Queried {
    fn query(&mut self) -> Query<'_, Values>;
}

impl Queried for Snapshot<'_, Values> {
    fn query(&mut self) -> Query<'_, Values> {
        Snapshot::query(self)
    }
}

type Change<'c> = &'c mut dyn FnMut(&mut Values);

/// What a table and a transaction can both do.
pub trait Operations: Queried {
    fn get(&mut self, id: RecordId) -> Result<Option<Row<Values>>>;
    fn find(&mut self, key: Value) -> Result<Option<Row<Values>>>;
    fn insert(&mut self, record: &Values) -> Result<RecordId>;
    fn upsert(&mut self, record: &Values) -> Result<Upserted>;
    fn upsert_with(&mut self, record: &Values, change: Change<'_>) -> Result<Row<Values>>;
    fn update(&mut self, id: RecordId, change: Change<'_>) -> Result<()>;
    fn update_with(&mut self, id: RecordId, change: &mut dyn FnMut(&mut Values) -> Option<()>) -> Result<Option<()>>;
    fn try_update(&mut self, id: RecordId, change: &mut dyn FnMut(&mut Values) -> Result<()>) -> Result<()>;
    fn update_fields(&mut self, id: RecordId, fields: Vec<(String, Value)>) -> Result<()>;
    fn update_by_key(&mut self, key: Value, change: Change<'_>) -> Result<Option<Row<Values>>>;
    fn replace(&mut self, id: RecordId, record: &Values) -> Result<()>;
    fn update_if(&mut self, id: RecordId, version: u64, record: &Values) -> Result<()>;
    fn delete(&mut self, id: RecordId) -> Result<()>;
    fn delete_if(&mut self, id: RecordId, version: u64) -> Result<()>;
    fn remove(&mut self, id: RecordId) -> Result<Row<Values>>;
    fn remove_by_key(&mut self, key: Value) -> Result<Option<Row<Values>>>;
}

macro_rules! operations {
    ($($target:ty),+) => {$(
        impl Queried for $target {
            fn query(&mut self) -> Query<'_, Values> {
                <$target>::query(self)
            }
        }

        impl Operations for $target {
            fn get(&mut self, id: RecordId) -> Result<Option<Row<Values>>> {
                <$target>::get(self, id)
            }

            fn find(&mut self, key: Value) -> Result<Option<Row<Values>>> {
                <$target>::find(self, key)
            }

            fn insert(&mut self, record: &Values) -> Result<RecordId> {
                <$target>::insert(self, record)
            }

            fn upsert(&mut self, record: &Values) -> Result<Upserted> {
                <$target>::upsert(self, record)
            }

            fn upsert_with(&mut self, record: &Values, change: Change<'_>) -> Result<Row<Values>> {
                <$target>::upsert_with(self, record, change)
            }

            fn update(&mut self, id: RecordId, change: Change<'_>) -> Result<()> {
                <$target>::update(self, id, change).map(drop)
            }

            fn update_with(
                &mut self,
                id: RecordId,
                change: &mut dyn FnMut(&mut Values) -> Option<()>,
            ) -> Result<Option<()>> {
                <$target>::update_with(self, id, change)
            }

            fn try_update(&mut self, id: RecordId, change: &mut dyn FnMut(&mut Values) -> Result<()>) -> Result<()> {
                <$target>::try_update(self, id, change)
            }

            fn update_fields(&mut self, id: RecordId, fields: Vec<(String, Value)>) -> Result<()> {
                <$target>::update_fields(self, id, fields).map(drop)
            }

            fn update_by_key(&mut self, key: Value, change: Change<'_>) -> Result<Option<Row<Values>>> {
                <$target>::update_by_key(self, key, change)
            }

            fn replace(&mut self, id: RecordId, record: &Values) -> Result<()> {
                <$target>::replace(self, id, record).map(drop)
            }

            fn update_if(&mut self, id: RecordId, version: u64, record: &Values) -> Result<()> {
                <$target>::update_if(self, id, version, record).map(drop)
            }

            fn delete(&mut self, id: RecordId) -> Result<()> {
                <$target>::delete(self, id).map(drop)
            }

            fn delete_if(&mut self, id: RecordId, version: u64) -> Result<()> {
                <$target>::delete_if(self, id, version).map(drop)
            }

            fn remove(&mut self, id: RecordId) -> Result<Row<Values>> {
                <$target>::remove(self, id)
            }

            fn remove_by_key(&mut self, key: Value) -> Result<Option<Row<Values>>> {
                <$target>::remove_by_key(self, key)
            }
        }
    )+};
}

operations!(Table<Values>, WriteTransaction<'_, Values>);

/// Which error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Duplicate,
    Full,
    NotFound,
    Conflict,
    KeyChanged,
    SlotTaken,
    UnknownField,
    Unfit,
    Impossible,
    Caller,
    OtherSchema,
}

pub fn refusal(error: &Error) -> Refusal {
    match error {
        Error::DuplicateKey { .. } => Refusal::Duplicate,
        Error::Full { .. } => Refusal::Full,
        Error::NotFound { .. } => Refusal::NotFound,
        Error::Conflict { .. } => Refusal::Conflict,
        Error::KeyChanged => Refusal::KeyChanged,
        Error::SlotTaken { .. } => Refusal::SlotTaken,
        Error::UnknownField { .. } => Refusal::UnknownField,
        Error::InvalidValue { .. } => Refusal::Unfit,
        Error::InvalidArgument { .. } => Refusal::Impossible,
        Error::Caller { .. } => Refusal::Caller,
        Error::SchemaMismatch { .. } => Refusal::OtherSchema,
        other => panic!("unexpected: {other:?}"),
    }
}

/// An operation ended as it should. Returns what it returned, if it was no error.
#[track_caller]
pub fn expect<R: std::fmt::Debug>(outcome: Result<R>, expected: Result<(), Refusal>, what: &str) -> Option<R> {
    match (&outcome, expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(expected)) if refusal(error) == expected => {}
        _ => panic!("{what}: expected {expected:?}, found {outcome:?}"),
    }
    outcome.ok()
}
