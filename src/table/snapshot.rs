//! What the closure of a snapshot reads from.

use super::record::{Keyed, Record};
use super::row::Row;
use super::rows::Rows;
use super::table::Table;
use crate::error::Result;
use crate::format::cell::RecordId;
use crate::format::values::Key;

/// A table as of one moment. See [`Table::snapshot`].
///
/// While the closure runs, what it reads may be of several moments: then it runs again. So nothing should leave the
/// closure but by its result.
pub struct Snapshot<'a, T> {
    table: &'a Table<T>,
}

impl<'a, T: Record> Snapshot<'a, T> {
    pub(super) fn new(table: &'a Table<T>) -> Self {
        Snapshot { table }
    }

    /// The record with an id.
    ///
    /// # Errors
    ///
    /// As [`Table::get`].
    pub fn get(&self, id: RecordId) -> Result<Option<Row<T>>> {
        self.table.get(id)
    }

    /// All records.
    pub fn iter(&self) -> Rows<'a, T> {
        self.table.iter()
    }

    /// How many records there are.
    ///
    /// # Errors
    ///
    /// As [`Table::len`].
    pub fn len(&self) -> Result<u64> {
        self.table.len()
    }

    /// Whether there is no record.
    ///
    /// # Errors
    ///
    /// As [`Table::len`].
    pub fn is_empty(&self) -> Result<bool> {
        self.table.is_empty()
    }
}

impl<T: Keyed> Snapshot<'_, T> {
    /// The record with a key.
    ///
    /// # Errors
    ///
    /// As [`Table::find`].
    pub fn find<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<Option<Row<T>>> {
        self.table.find(key)
    }
}
