//! What the closure of a `write` works on.

use super::content::Content;
use super::record::Keyed;
use super::row::Row;
use super::upserted::Upserted;
use super::which::{ByKey, Unwritten, Which, found};
use super::words::row_of;
use crate::engine::Encoded;
use crate::engine::Store;
use crate::engine::read::Meta;
use crate::engine::transaction::Transaction;
use crate::error::{Error, Result};
use crate::record_id::RecordId;
use crate::value::field::Key;
use std::fmt;
use std::marker::PhantomData;

/// A transaction in progress. See [`Table::write`](crate::Table::write).
///
/// Its methods are those of the table. They see what the transaction has written, and their closures run once. An error
/// leaves the transaction as it was before the call that returned it, except for [`replace_all`](Self::replace_all).
/// The closure decides whether the whole transaction fails.
///
/// Besides the errors that they name, all methods can return [`Damaged`](Error::Damaged), and [`Forked`](Error::Forked), in a
/// child that was forked inside the closure. Those that write can also return [`Recovered`](Error::Recovered), if a recovery
/// has ended the handle meanwhile.
///
/// ```
/// use locule::{Result, WriteTransaction};
///
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// /// A part of several transactions.
/// fn count(transaction: &mut WriteTransaction<'_, Visit>, id: u64) -> Result<()> {
///     transaction.upsert_with(&Visit { id, hits: 1 }, |visit| visit.hits += 1).map(drop)
/// }
///
/// table.write(|transaction| {
///     count(transaction, 1)?;
///     count(transaction, 2)
/// })?;
/// assert_eq!(table.len()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WriteTransaction<'a, T> {
    pub(super) transaction: Transaction<'a>,
    /// Whether a call failed half way, so that nothing of the transaction may happen.
    pub(super) is_broken: bool,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Content> WriteTransaction<'a, T> {
    pub(super) fn begin(store: &'a Store) -> Result<Self> {
        Ok(WriteTransaction { transaction: store.begin()?, is_broken: false, _records: PhantomData })
    }

    pub(super) fn commit(&mut self) -> Result<u64> {
        if self.is_broken {
            return Err(broken());
        }
        Ok(self.transaction.commit()?)
    }

    // -- reading -----------------------------------------------------------------------------------

    /// The record with an id; `None` if it was deleted.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// table.write(|transaction| {
    ///     transaction.update(id, |visit| visit.hits += 1)?;
    ///     // The transaction sees what it has written, and others do not yet.
    ///     assert_eq!(transaction.get(id)?.map(|row| row.hits), Some(2));
    ///     assert_eq!(table.get(id)?.map(|row| row.hits), Some(1));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::get`](crate::Table::get).
    pub fn get(&mut self, id: RecordId) -> Result<Option<Row<T>>> {
        self.read(&id)
    }

    /// How many records there are. It looks at each record that the transaction has touched.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.write(|transaction| {
    ///     transaction.insert(&Visit { id: 42, hits: 1 })?;
    ///     assert_eq!((transaction.len()?, table.len()?), (1, 0)); // others do not see the record yet
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::len`](crate::Table::len).
    pub fn len(&mut self) -> Result<u64> {
        Ok(self.transaction.live_count()?)
    }

    /// Whether there is no record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// // Any number of processes can do this at once: one of them makes the first record.
    /// table.write(|transaction| {
    ///     if transaction.is_empty()? {
    ///         transaction.insert(&Visit { id: 1, hits: 0 })?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(table.len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// All records, in no particular order. To write while you go through them, collect them first, or use
    /// [`select`](Self::select).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let hits = table.write(|transaction| {
    ///     transaction.insert(&Visit { id: 42, hits: 7 })?;
    ///     let mut hits = 0;
    ///     for row in transaction.iter() {
    ///         hits += row?.hits;
    ///     }
    ///     Ok(hits)
    /// })?;
    /// assert_eq!(hits, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> TransactionRows<'_, 'a, T> {
        TransactionRows { transaction: &mut self.transaction, next_slot: 0, _records: PhantomData }
    }

    /// The records that a closure accepts.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 4)].map(|(id, hits)| Visit { id, hits }))?;
    /// table.write(|transaction| {
    ///     for row in transaction.select(|visit| visit.hits > 3)? {
    ///         transaction.delete(row.id())?;
    ///     }
    ///     assert_eq!(transaction.len()?, 1);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the first error ends the search.
    pub fn select(&mut self, mut accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        self.iter().filter(|row| row.as_ref().map_or(true, |row| accept(row))).collect()
    }

    // -- writing -----------------------------------------------------------------------------------

    /// Inserts a record. A slot that the transaction itself made free is taken only if there is no other.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let outcome = table.write(|transaction| {
    ///     transaction.insert(&Visit { id: 42, hits: 0 })?;
    ///     transaction.insert(&Visit { id: 42, hits: 1 })
    /// });
    /// // Both or none.
    /// assert!(matches!(outcome, Err(locule::Error::DuplicateKey { .. })));
    /// assert!(table.is_empty()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DuplicateKey`](Error::DuplicateKey), [`Full`](Error::Full), and [`SlotTaken`](Error::SlotTaken) if the key was
    /// deleted in this transaction and its slot given to another record since.
    pub fn insert(&mut self, record: &T) -> Result<RecordId> {
        let words = record.to_words(self.transaction.store().schema())?;
        let encoded = Encoded::new(words.as_ref());
        Ok(self.transaction.insert(encoded)?.id)
    }

    /// Inserts a record, and returns its version besides its id. Everything that the transaction writes gets the same
    /// version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let (id, version) = table.write(|transaction| transaction.insert_versioned(&Visit { id: 42, hits: 0 }))?;
    /// // It is deleted only if no process has changed it since.
    /// table.delete_if(id, version)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_versioned(&mut self, record: &T) -> Result<(RecordId, u64)> {
        let words = record.to_words(self.transaction.store().schema())?;
        let meta = self.transaction.insert(Encoded::new(words.as_ref()))?;
        Ok((meta.id, meta.version))
    }

    /// Changes the record with an id, and returns its new version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// table.write(|transaction| {
    ///     transaction.update(id, |visit| visit.hits += 1)?;
    ///     transaction.insert(&Visit { id: 43, hits: 0 })
    /// })?;
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound), [`KeyChanged`](Error::KeyChanged).
    pub fn update(&mut self, id: RecordId, change: impl FnOnce(&mut T)) -> Result<u64> {
        let changed = self.change(&id, |record| {
            change(record);
            Ok::<_, Error>(())
        })?;
        let (row, ()) = found(id, changed)?;
        Ok(row.version())
    }

    /// Changes the record with an id, or leaves it as it is. The record is written if the closure returns `Some`, and
    /// what the closure returns is returned.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// let take_one = || {
    ///     table.write(|transaction| {
    ///         transaction.update_with(id, |visit| {
    ///             visit.hits = visit.hits.checked_sub(1)?; // if there is none left, nothing is written
    ///             Some(visit.hits)
    ///         })
    ///     })
    /// };
    /// assert_eq!((take_one()?, take_one()?), (Some(0), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_with<R>(&mut self, id: RecordId, change: impl FnOnce(&mut T) -> Option<R>) -> Result<Option<R>> {
        Unwritten::catch(self.try_update(id, |record| change(record).ok_or(Unwritten::Left)))
    }

    /// Changes the record with an id, unless the closure returns an error: then the record stays as it was before this
    /// call. The error can be of a type of your own that has `From<Error>`. What the closure returns is returned.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// # let id = table.insert(&Account { id: 1, amount: 5 })?;
    /// let outcome = table.write(|transaction| {
    ///     transaction.try_update(id, |account| {
    ///         account.amount -= 7;
    ///         if account.amount < 0 { Err(locule::Error::caller("not enough money")) } else { Ok(account.amount) }
    ///     })
    /// });
    /// assert_eq!(outcome.unwrap_err().to_string(), "not enough money");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returns, and as [`update`](Self::update).
    pub fn try_update<R, E: From<Error>>(
        &mut self,
        id: RecordId,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        let (_, result) = found(id, self.change(&id, change)?)?;
        Ok(result)
    }

    /// Writes new content of the record with an id, and returns its new version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// table.write(|transaction| {
    ///     transaction.replace(id, &Visit { id: 42, hits: 0 })?;
    ///     transaction.insert(&Visit { id: 43, hits: 0 })
    /// })?;
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn replace(&mut self, id: RecordId, record: &T) -> Result<u64> {
        Ok(self.put(id, None, record)?.version)
    }

    /// Writes new content of the record with an id if it still has this version, and returns its new version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let (id, version) = table.insert_versioned(&Visit { id: 42, hits: 1 })?;
    /// let write = |hits| table.write(|transaction| transaction.update_if(id, version, &Visit { id: 42, hits }));
    /// write(2)?;
    /// // By now the record has another version.
    /// assert!(matches!(write(3), Err(locule::Error::Conflict { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), and as [`update`](Self::update).
    pub fn update_if(&mut self, id: RecordId, version: u64, record: &T) -> Result<u64> {
        Ok(self.put(id, Some(version), record)?.version)
    }

    /// Deletes the record with an id.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// // Nobody sees both of them, or none.
    /// table.write(|transaction| {
    ///     transaction.delete(id)?;
    ///     transaction.insert(&Visit { id: 43, hits: 1 })
    /// })?;
    /// assert_eq!(table.get(id)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound).
    pub fn delete(&mut self, id: RecordId) -> Result<()> {
        self.transaction.delete(id, None)?;
        Ok(())
    }

    /// Deletes the record with an id if it still has this version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let (id, version) = table.insert_versioned(&Visit { id: 42, hits: 1 })?;
    /// table.update(id, |visit| visit.hits += 1)?;
    /// // Whoever changed the record still needs it.
    /// let outcome = table.write(|transaction| transaction.delete_if(id, version));
    /// assert!(matches!(outcome, Err(locule::Error::Conflict { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), [`NotFound`](Error::NotFound).
    pub fn delete_if(&mut self, id: RecordId, version: u64) -> Result<()> {
        self.transaction.delete(id, Some(version))?;
        Ok(())
    }

    /// Deletes the record with an id, and returns it as it was.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// // The hits go over to another visit, and nobody sees them twice, or not at all.
    /// table.write(|transaction| {
    ///     let old = transaction.remove(id)?;
    ///     transaction.insert(&Visit { id: 43, hits: old.hits })
    /// })?;
    /// assert_eq!(table.find(&43)?.map(|row| row.hits), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub fn remove(&mut self, id: RecordId) -> Result<Row<T>> {
        found(id, self.take(&id)?)
    }

    pub(super) fn zeroed(&self) -> T::Words {
        T::zeroed(self.transaction.store().schema())
    }

    pub(super) fn read(&mut self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let mut words = self.zeroed();
        let meta = which.read_in(&mut self.transaction, &mut words)?;
        row_of(self.transaction.store(), meta, &words)
    }

    /// Changes a record. Returns what it is now, and what the closure returned; `None` if there is none.
    pub(super) fn change<R, E: From<Error>>(
        &mut self,
        which: &impl Which<T>,
        change: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<Option<(Row<T>, R)>, E> {
        let Some(row) = self.read(which)? else { return Ok(None) };
        let id = row.id();
        let mut record = row.into_record();
        let result = change(&mut record)?;
        let meta = self.put(id, None, &record)?;
        Ok(Some((Row::new(meta, record), result)))
    }

    /// Deletes a record, and returns what it was. `None` if there is none.
    pub(super) fn take(&mut self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let Some(row) = self.read(which)? else { return Ok(None) };
        self.delete(row.id())?;
        Ok(Some(row))
    }

    pub(super) fn change_row(&mut self, which: &impl Which<T>, change: impl FnOnce(&mut T)) -> Result<Option<Row<T>>> {
        let changed = self.change(which, |record| {
            change(record);
            Ok::<_, Error>(())
        })?;
        Ok(changed.map(|(row, ())| row))
    }

    pub(super) fn put_by_key(&mut self, record: &T) -> Result<Upserted> {
        let words = record.to_words(self.transaction.store().schema())?;
        Ok(Upserted::new(self.transaction.upsert(Encoded::new(words.as_ref()))?))
    }

    pub(super) fn insert_or_change(
        &mut self,
        which: &impl Which<T>,
        record: &T,
        change: impl FnOnce(&mut T),
    ) -> Result<Row<T>> {
        if let Some(row) = self.change_row(which, change)? {
            return Ok(row);
        }
        let words = record.to_words(self.transaction.store().schema())?;
        // A record that cannot be read back is not written, since it is to be returned.
        let inserted = T::from_words(&words, self.transaction.store().schema())?;
        Ok(Row::new(self.transaction.insert(Encoded::new(words.as_ref()))?, inserted))
    }

    fn put(&mut self, id: RecordId, version: Option<u64>, record: &T) -> Result<Meta> {
        let words = record.to_words(self.transaction.store().schema())?;
        let encoded = Encoded::new(words.as_ref());
        Ok(self.transaction.update(id, version, encoded)?)
    }
}

impl<T: Keyed> WriteTransaction<'_, T> {
    /// The record with a key; `None` if there is none.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 1, hits: 5 })?;
    /// table.write(|transaction| {
    ///     // What was found stays as it is until the transaction is done.
    ///     let hits = transaction.find(&1)?.map_or(0, |row| row.hits);
    ///     transaction.insert(&Visit { id: 2, hits })
    /// })?;
    /// assert_eq!(table.find(&2)?.map(|row| row.hits), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::find`](crate::Table::find).
    pub fn find<Q: Key<T::Key> + ?Sized>(&mut self, key: &Q) -> Result<Option<Row<T>>> {
        self.read(&ByKey(key))
    }

    /// Whether there is a record with a key.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.write(|transaction| {
    ///     // Nobody can insert it between the question and the answer.
    ///     if !transaction.contains_key(&42)? {
    ///         transaction.insert(&Visit { id: 42, hits: 0 })?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert!(table.contains_key(&42)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::find`](crate::Table::find).
    pub fn contains_key<Q: Key<T::Key> + ?Sized>(&mut self, key: &Q) -> Result<bool> {
        let mut words = self.zeroed();
        Ok(Which::<T>::read_in(&ByKey(key), &mut self.transaction, &mut words)?.is_some())
    }

    /// Inserts a record, or writes it over the one that has its key, and says which of the two it did.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let is_new = table.write(|transaction| {
    ///     let upserted = transaction.upsert(&Visit { id: 42, hits: 1 })?;
    ///     transaction.upsert(&Visit { id: 43, hits: 1 })?;
    ///     Ok(upserted.is_new)
    /// })?;
    /// assert!(is_new);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`.
    pub fn upsert(&mut self, record: &T) -> Result<Upserted> {
        self.put_by_key(record)
    }

    /// Inserts a record, or changes the one that has its key, and returns what is there now: its
    /// [`update_count`](Row::update_count) is 0 if it was inserted.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.write(|transaction| {
    ///     for id in [1, 2, 1] {
    ///         transaction.upsert_with(&Visit { id, hits: 1 }, |visit| visit.hits += 1)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(table.find(&1)?.map(|row| row.hits), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`; [`KeyChanged`](Error::KeyChanged) if the closure changed
    /// the key.
    pub fn upsert_with(&mut self, record: &T, change: impl FnOnce(&mut T)) -> Result<Row<T>> {
        self.insert_or_change(&ByKey(record.key()), record, change)
    }

    /// Changes the record with a key, and returns what it is now; `None` if there is none.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// table.write(|transaction| {
    ///     let changed = transaction.update_by_key(&42, |visit| visit.hits += 1)?;
    ///     assert_eq!(changed.map(|row| row.hits), Some(2));
    ///     assert_eq!(transaction.update_by_key(&43, |visit| visit.hits += 1)?, None);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), without `NotFound`.
    pub fn update_by_key<Q: Key<T::Key> + ?Sized>(
        &mut self,
        key: &Q,
        change: impl FnOnce(&mut T),
    ) -> Result<Option<Row<T>>> {
        self.change_row(&ByKey(key), change)
    }

    /// Deletes the record with a key, and returns it as it was; `None` if there is none.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// let hits = table.write(|transaction| {
    ///     let old = transaction.remove_by_key(&42)?;
    ///     assert!(!transaction.contains_key(&42)?);
    ///     Ok(old.map(|row| row.hits))
    /// })?;
    /// assert_eq!(hits, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete), without `NotFound`.
    pub fn remove_by_key<Q: Key<T::Key> + ?Sized>(&mut self, key: &Q) -> Result<Option<Row<T>>> {
        self.take(&ByKey(key))
    }
}

impl<'t, 'a, T: Content> IntoIterator for &'t mut WriteTransaction<'a, T> {
    type Item = Result<Row<T>>;
    type IntoIter = TransactionRows<'t, 'a, T>;

    fn into_iter(self) -> TransactionRows<'t, 'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for WriteTransaction<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction").finish_non_exhaustive()
    }
}

/// The records of a table as a transaction sees them, one slot after the other. See [`WriteTransaction::iter`].
///
/// ```
/// use locule::{Result, TransactionRows};
///
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// /// All hits together.
/// fn sum(rows: TransactionRows<'_, '_, Visit>) -> Result<u32> {
///     rows.map(|row| Ok(row?.hits)).sum()
/// }
///
/// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
/// table.write(|transaction| {
///     let hits = sum(transaction.iter())?;
///     transaction.insert(&Visit { id: 3, hits })
/// })?;
/// assert_eq!(table.find(&3)?.map(|row| row.hits), Some(6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct TransactionRows<'t, 'a, T> {
    transaction: &'t mut Transaction<'a>,
    next_slot: u32,
    _records: PhantomData<fn() -> T>,
}

impl<T: Content> Iterator for TransactionRows<'_, '_, T> {
    type Item = Result<Row<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut words = T::zeroed(self.transaction.store().schema());
        while self.next_slot < self.transaction.capacity() {
            let slot = self.next_slot;
            self.next_slot += 1;
            match self.transaction.read_slot(slot, words.as_mut()) {
                Ok(None) => {}
                Ok(meta) => return row_of(self.transaction.store(), meta, &words).transpose(),
                Err(fault) => return Some(Err(fault.into())),
            }
        }
        None
    }
}

impl<T: Content> std::iter::FusedIterator for TransactionRows<'_, '_, T> {}

impl<T> fmt::Debug for TransactionRows<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionRows").field("next_slot", &self.next_slot).finish_non_exhaustive()
    }
}

/// The error that a transaction must not happen.
#[cold]
pub(super) fn broken() -> Error {
    let reason =
        "`replace_all` failed half way in this transaction, so nothing of it happened: return its error".to_owned();
    Error::InvalidArgument { reason }
}
