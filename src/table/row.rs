//! A record as it was read.

use crate::engine::read::Meta;
use crate::record_id::RecordId;
use std::fmt;
use std::ops::Deref;

/// A record and what the table knows about it, as of one moment. It is a copy: nothing that others do later changes it,
/// and changing it changes nothing in the table.
///
/// The row dereferences to the record, and has no field of its own: `row.hits` is the record's field, and so are
/// `row.id` and `row.version` if the record has fields with these names. What the table knows is returned by methods.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, version: u8, record: u8, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 10)?;
/// let id = table.insert(&Visit { id: 42, version: 1, record: 2, hits: 3 })?;
/// let row = table.find(&42)?.ok_or("not there")?;
/// assert_eq!((row.id, row.version, row.record, row.hits), (42, 1, 2, 3));
/// assert_eq!((row.id(), row.update_count()), (id, 0));
/// // It was not changed since:
/// table.update_if(row.id(), row.version(), &Visit { hits: 4, ..*row })?;
/// assert!(table.update_if(row.id(), row.version(), &Visit { hits: 5, ..*row }).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row<T> {
    meta: Meta,
    record: T,
}

impl<T> Row<T> {
    #[inline(always)]
    pub(crate) fn new(meta: Meta, record: T) -> Self {
        Row { meta, record }
    }

    /// Which record it is, until it is deleted.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// let row = table.find(&42)?.ok_or("not there")?;
    /// table.update(row.id(), |visit| visit.hits += 1)?;
    /// assert_eq!(row.id, 42); // this is the record's field
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.meta.id
    }

    /// The number of the transaction that last wrote the record: what `update_if` and `delete_if` compare. Numbers grow
    /// over the whole table and are never used twice.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// let row = table.get(id)?.ok_or("not there")?;
    /// let is_unchanged = || Ok::<_, locule::Error>(table.get(id)?.is_some_and(|now| now.version() == row.version()));
    /// assert!(is_unchanged()?);
    /// table.update(id, |_| {})?;
    /// assert!(!is_unchanged()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        self.meta.version
    }

    /// How often the record was updated since it was inserted.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let row = table.upsert_with(&Visit { id: 42, hits: 1 }, |visit| visit.hits += 1)?;
    /// assert_eq!(row.update_count(), 0); // it was inserted
    /// let row = table.upsert_with(&Visit { id: 42, hits: 1 }, |visit| visit.hits += 1)?;
    /// assert_eq!(row.update_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn update_count(&self) -> u32 {
        self.meta.update_count
    }

    /// The record, to which the row also dereferences.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// fn show(visit: &Visit) -> String {
    ///     format!("{} hits", visit.hits)
    /// }
    ///
    /// let id = table.insert(&Visit { id: 42, hits: 7 })?;
    /// assert_eq!(table.get(id)?.map(|row| show(row.record())), Some("7 hits".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn record(&self) -> &T {
        &self.record
    }

    /// The record alone.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 7 })?;
    /// let visit: Option<Visit> = table.get(id)?.map(|row| row.into_record());
    /// assert_eq!(visit, Some(Visit { id: 42, hits: 7 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn into_record(self) -> T {
        self.record
    }
}

impl<T> Deref for Row<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.record
    }
}

impl<T> AsRef<T> for Row<T> {
    #[inline]
    fn as_ref(&self) -> &T {
        &self.record
    }
}

impl<T: fmt::Debug> fmt::Debug for Row<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Meta { id, version, update_count } = self.meta;
        f.debug_struct("Row")
            .field("id", &id)
            .field("version", &version)
            .field("update_count", &update_count)
            .field("record", &self.record)
            .finish()
    }
}
