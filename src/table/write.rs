//! What the closure of a `write` works on.

use crate::engine::Encoded;
use crate::engine::txn::Transaction;
use crate::error::{Error, Result};
use crate::format::cell::RecordId;
use crate::table::record::{Keyed, Record};
use crate::table::row::Row;
use crate::table::table::{Table, key_words, row_of, words_of};
use crate::value::field::Key;
use std::marker::PhantomData;

/// A transaction in progress. See [`Table::write`].
///
/// Its methods see what the transaction has written. An error of one of them leaves the transaction as it was before
/// that call; whether the whole is to fail is the closure's decision.
pub struct WriteTransaction<'a, T> {
    transaction: Transaction<'a>,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Record> WriteTransaction<'a, T> {
    pub(super) fn begin(table: &'a Table<T>) -> Result<Self> {
        Ok(WriteTransaction { transaction: table.store().begin()?, _records: PhantomData })
    }

    pub(super) fn publish(&mut self) -> Result<u64> {
        Ok(self.transaction.publish()?)
    }

    /// The record with an id.
    ///
    /// # Errors
    ///
    /// As [`Table::get`].
    pub fn get(&mut self, id: RecordId) -> Result<Option<Row<T>>> {
        let mut words = T::ZEROED;
        let meta = self.transaction.get(id, words.as_mut())?;
        row_of(meta, &words)
    }

    /// Inserts a record. A slot that the transaction itself made free is taken only if there is no other.
    ///
    /// # Errors
    ///
    /// [`DuplicateKey`](Error::DuplicateKey), [`Full`](Error::Full), and [`SlotTaken`](Error::SlotTaken) if the key was
    /// deleted in this transaction and its slot given to another record since.
    pub fn insert(&mut self, record: &T) -> Result<RecordId> {
        let words = words_of(record);
        let encoded = Encoded::new(words.as_ref());
        Ok(self.transaction.insert(encoded)?.id)
    }

    /// Changes the record with an id; returns its new version.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound), [`KeyChanged`](Error::KeyChanged).
    pub fn update(&mut self, id: RecordId, change: impl FnOnce(&mut T)) -> Result<u64> {
        let Some(Row { mut record, .. }) = self.get(id)? else {
            return Err(Error::NotFound { id: id.into() });
        };
        change(&mut record);
        self.put(id, None, &record)
    }

    /// Writes another content of the record with an id; returns its new version.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn replace(&mut self, id: RecordId, record: &T) -> Result<u64> {
        self.put(id, None, record)
    }

    /// Writes another content of the record with an id if it still is this version.
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), and as [`update`](Self::update).
    pub fn update_if(&mut self, id: RecordId, version: u64, record: &T) -> Result<u64> {
        self.put(id, Some(version), record)
    }

    /// Deletes the record with an id.
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound).
    pub fn delete(&mut self, id: RecordId) -> Result<()> {
        self.transaction.delete(id, None)?;
        Ok(())
    }

    /// Deletes the record with an id if it still is this version.
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), [`NotFound`](Error::NotFound).
    pub fn delete_if(&mut self, id: RecordId, version: u64) -> Result<()> {
        self.transaction.delete(id, Some(version))?;
        Ok(())
    }

    fn put(&mut self, id: RecordId, version: Option<u64>, record: &T) -> Result<u64> {
        let words = words_of(record);
        let encoded = Encoded::new(words.as_ref());
        Ok(self.transaction.update(id, version, encoded)?.version)
    }
}

impl<T: Keyed> WriteTransaction<'_, T> {
    /// The record with a key.
    ///
    /// # Errors
    ///
    /// As [`Table::find`].
    pub fn find<Q: Key<T::Key> + ?Sized>(&mut self, key: &Q) -> Result<Option<Row<T>>> {
        let mut words = T::ZEROED;
        let Some(key) = key_words::<T, Q>(key) else { return Ok(None) };
        let meta = self.transaction.find(key.as_ref(), words.as_mut())?;
        row_of(meta, &words)
    }

    /// Inserts a record, or writes it over the one that has its key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`.
    pub fn upsert(&mut self, record: &T) -> Result<RecordId> {
        let words = words_of(record);
        let encoded = Encoded::new(words.as_ref());
        Ok(self.transaction.upsert(encoded)?.id)
    }
}
