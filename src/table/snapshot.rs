//! What the closure of a snapshot reads from.

use super::content::Content;
use super::record::Keyed;
use super::row::Row;
use super::rows::Rows;
use super::which::{ByKey, Which};
use super::words::row_of;
use crate::cursor::Cursor;
use crate::engine::read::{Meta, Moment};
use crate::error::Result;
use crate::record_id::RecordId;
use crate::value::field::Key;
use std::fmt;
use std::marker::PhantomData;

/// A table as of one moment. See [`Table::snapshot`](crate::Table::snapshot).
///
/// Whatever is read from it is of this moment. Once something else is written the moment has passed, and each read
/// returns [`StaleSnapshot`](crate::Error::StaleSnapshot): the closure passes that on, and runs again with another
/// moment.
///
/// ```
/// use locule::{Result, Snapshot};
///
/// # locule::record! { struct Account { key id: u64, amount: i64 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
/// # table.replace_all([(1, 5), (2, -5)].map(|(id, amount)| Account { id, amount }))?;
/// /// What all accounts have together.
/// fn sum(view: &Snapshot<'_, Account>) -> Result<i64> {
///     view.iter().map(|row| Ok(row?.amount)).sum()
/// }
///
/// let (count, sum) = table.snapshot(|view| Ok((view.len()?, sum(view)?)))?;
/// assert_eq!((count, sum), (2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Snapshot<'a, T> {
    pub(super) moment: Moment<'a>,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Content> Snapshot<'a, T> {
    pub(super) fn new(moment: Moment<'a>) -> Self {
        Snapshot { moment, _records: PhantomData }
    }

    /// The record with an id.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// let from = table.insert(&Account { id: 1, amount: 5 })?;
    /// let to = table.insert(&Account { id: 2, amount: 0 })?;
    /// // Whoever moves money between the two, none is seen twice or nowhere.
    /// let amounts = table.snapshot(|view| {
    ///     Ok([view.get(from)?, view.get(to)?].map(|row| row.map_or(0, |row| row.amount)))
    /// })?;
    /// assert_eq!(amounts, [5, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::get`](crate::Table::get).
    pub fn get(&self, id: RecordId) -> Result<Option<Row<T>>> {
        self.read(&id)
    }

    pub(super) fn read(&self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let mut words = T::zeroed(self.moment.store().schema());
        let meta = self.look(which, &mut words)?;
        row_of(self.moment.store(), meta, &words)
    }

    /// Copies a record, which may be one that cannot be decoded.
    fn look(&self, which: &impl Which<T>, words: &mut T::Words) -> Result<Option<Meta>> {
        Ok(which.read_at(self.moment, words)?)
    }

    /// All records. Once the moment has passed, an error that says so is the last item.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, -5)].map(|(id, amount)| Account { id, amount }))?;
    /// let sum = table.snapshot(|view| {
    ///     let mut sum = 0;
    ///     for row in view.iter() {
    ///         sum += row?.amount;
    ///     }
    ///     Ok(sum)
    /// })?;
    /// assert_eq!(sum, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Rows<'a, T> {
        Rows::of_moment(self.moment)
    }

    /// The records that a closure accepts.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1), (3, 4)].map(|(id, hits)| Visit { id, hits }))?;
    /// let (often, seldom) = table.snapshot(|view| {
    ///     Ok((view.select(|visit| visit.hits > 3)?, view.select(|visit| visit.hits <= 3)?))
    /// })?;
    /// // Each visit is in one of the two.
    /// assert_eq!((often.len(), seldom.len()), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the first error ends the search.
    pub fn select(&self, accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        self.iter().select(accept)
    }

    /// How many records there are.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// // The number fits the records.
    /// let (count, rows) = table.snapshot(|view| Ok((view.len()?, view.select(|_| true)?)))?;
    /// assert_eq!((count, rows.len()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::len`](crate::Table::len).
    pub fn len(&self) -> Result<u64> {
        Ok(self.moment.live_count()?)
    }

    /// The cursor of this moment, from which its changes can be followed: what is read here, and the changes since this
    /// cursor, are together everything.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 1, hits: 5 })?;
    /// let (mut sum, cursor) = table.snapshot(|view| {
    ///     let hits = view.iter().map(|row| Ok(row?.hits)).sum::<locule::Result<u32>>()?;
    ///     Ok((hits, view.cursor()?))
    /// })?;
    /// table.insert(&Visit { id: 2, hits: 3 })?;
    /// for change in table.changes_since(&cursor)? {
    ///     if let locule::Change::Put(row) = change {
    ///         sum += row.hits;
    ///     }
    /// }
    /// assert_eq!(sum, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed.
    pub fn cursor(&self) -> Result<Cursor> {
        self.moment.check()?;
        Ok(self.moment.cursor())
    }

    /// Whether there is no record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let newest = table.snapshot(|view| {
    ///     if view.is_empty()? {
    ///         return Ok(None);
    ///     }
    ///     Ok(view.select(|_| true)?.into_iter().max_by_key(|row| row.version()))
    /// })?;
    /// assert_eq!(newest, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl<T: Keyed> Snapshot<'_, T> {
    /// The record with a key.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 0)].map(|(id, amount)| Account { id, amount }))?;
    /// let amounts = table.snapshot(|view| {
    ///     Ok([view.find(&1)?, view.find(&2)?].map(|row| row.map_or(0, |row| row.amount)))
    /// })?;
    /// assert_eq!(amounts, [5, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::find`](crate::Table::find).
    pub fn find<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<Option<Row<T>>> {
        self.read(&ByKey(key))
    }

    /// Whether there is a record with a key.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// // If both are replaced by one another in a transaction, exactly one is seen.
    /// let (first, second) = table.snapshot(|view| Ok((view.contains_key(&42)?, view.contains_key(&43)?)))?;
    /// assert!(first && !second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn contains_key<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<bool> {
        let mut words = T::zeroed(self.moment.store().schema());
        Ok(self.look(&ByKey(key), &mut words)?.is_some())
    }
}

impl<T> Clone for Snapshot<'_, T> {
    fn clone(&self) -> Self {
        Snapshot { ..*self }
    }
}

impl<'a, T: Content> IntoIterator for &Snapshot<'a, T> {
    type Item = Result<Row<T>>;
    type IntoIter = Rows<'a, T>;

    fn into_iter(self) -> Rows<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Snapshot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
