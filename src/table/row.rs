//! A record as it was read.

use crate::engine::read::Meta;
use crate::format::cell::RecordId;
use std::ops::Deref;

/// A record and what the table knows of it, as of one moment. It is a copy: nothing that others do later changes it, and
/// changing it changes nothing in the table.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::options().capacity(10).create(directory.path().join("visits.loc"))?;
/// table.insert(&Visit { id: 42, hits: 1 })?;
/// let row = table.find(&42)?.ok_or("not there")?;
/// assert_eq!((row.hits, row.update_count), (1, 0));
/// // Nobody has changed it since:
/// table.update_if(row.id, row.version, &Visit { hits: 2, ..row.record })?;
/// assert!(table.update_if(row.id, row.version, &Visit { hits: 3, ..row.record }).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<T> {
    /// Which record it is, until it is deleted.
    pub id: RecordId,
    /// The number of the transaction that last wrote the record: what `update_if` and `delete_if` compare. Numbers grow
    /// over the whole table and are never used twice.
    pub version: u64,
    /// How often the record was updated since it was inserted.
    pub update_count: u32,
    /// The record itself. The row dereferences to it.
    pub record: T,
}

impl<T> Row<T> {
    pub(crate) fn new(meta: Meta, record: T) -> Self {
        Row { id: meta.id, version: meta.version, update_count: meta.update_count, record }
    }
}

impl<T> Deref for Row<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}
