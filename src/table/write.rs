//! Writing to a table: one record at a time, or many in a transaction.
//!
//! The closure of an update runs without the lock, on a copy of the newest content; then the lock is taken, and the
//! record is written if it is still that version. If others were faster a few times, all of it is done under the lock.

use super::content::Content;
use super::record::Keyed;
use super::row::Row;
use super::table::Table;
use super::transaction::WriteTransaction;
use super::upserted::Upserted;
use super::which::{ByKey, Unwritten, Which, found};
use super::words::row_of;
use crate::engine::guard::inside_closure;
use crate::engine::read::Meta;
use crate::engine::{Encoded, Store};
use crate::error::{Error, Fault, Internal, Result};
use crate::record_id::RecordId;
use crate::value::field::Key;
use std::borrow::Borrow;

/// How often an update is tried without the lock.
const ATTEMPT_COUNT: u32 = 4;

impl<T: Content> Table<T> {
    /// Inserts a record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// match table.insert(&Visit { id: 42, hits: 2 }) {
    ///     Err(locule::Error::DuplicateKey { id: other, .. }) => assert_eq!(other, id),
    ///     outcome => panic!("expected that the key is taken, found {outcome:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DuplicateKey`](Error::DuplicateKey), which names the record that has the key; [`Full`](Error::Full), with the
    /// number of records, of slots, and of slots that are worn out; and those of [any
    /// call](Self#errors-that-any-call-can-return) that writes.
    #[inline]
    pub fn insert(&self, record: &T) -> Result<RecordId> {
        let store = self.store();
        let words = record.to_words(store.schema())?;
        Ok(store.insert(Encoded::new(words.as_ref()))?.id)
    }

    /// Inserts a record, and returns its first version besides its id.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let (id, version) = table.insert_versioned(&Visit { id: 42, hits: 1 })?;
    /// // It is written only if no process has changed it since.
    /// table.update_if(id, version, &Visit { id: 42, hits: 2 })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_versioned(&self, record: &T) -> Result<(RecordId, u64)> {
        let store = self.store();
        let words = record.to_words(store.schema())?;
        let meta = store.insert(Encoded::new(words.as_ref()))?;
        Ok((meta.id, meta.version))
    }

    /// Changes the record with an id, and returns its new version. The closure gets a copy of the newest content and
    /// runs *without* the lock. If another process or thread changes the record meanwhile, the closure runs again on
    /// the newer content; after a few attempts it runs under the lock. So it must not rely on running once. Inside it,
    /// calls of this table that take a lock are refused. A closure that panics changes nothing.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 0 })?;
    /// let count = || table.update(id, |visit| visit.hits += 1);
    /// std::thread::scope(|scope| {
    ///     for _ in 0..4 {
    ///         scope.spawn(count);
    ///     }
    /// });
    /// // None of the four is lost.
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if the record was deleted, [`KeyChanged`](Error::KeyChanged) if the closure
    /// changed the key, and those of [any call](Self#errors-that-any-call-can-return) that writes.
    #[inline]
    pub fn update(&self, id: RecordId, mut change: impl FnMut(&mut T)) -> Result<u64> {
        let change = |record: &mut T| {
            change(record);
            Ok::<_, Error>(())
        };
        found(id, self.change(&id, change, |row, ()| row.version())?)
    }

    /// Changes the record with an id, or leaves it as it is. The record is written if the closure returns `Some`, and
    /// what the closure returns is returned. It may run several times, like that of [`update`](Self::update).
    ///
    /// ```
    /// # locule::record! { struct Seat { key number: u64, guest: u64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Seat>::create(directory.path().join("seats.loc"), 9)?;
    /// let id = table.insert(&Seat { number: 7, guest: 0 })?;
    /// let take = |guest| {
    ///     table.update_with(id, |seat| {
    ///         if seat.guest != 0 {
    ///             return None; // it is taken: nothing is written
    ///         }
    ///         seat.guest = guest;
    ///         Some(seat.number)
    ///     })
    /// };
    /// assert_eq!((take(1)?, take(2)?), (Some(7), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_with<R>(&self, id: RecordId, mut change: impl FnMut(&mut T) -> Option<R>) -> Result<Option<R>> {
        Unwritten::catch(self.try_update(id, |record| change(record).ok_or(Unwritten::Left)))
    }

    /// Changes the record with an id, unless the closure returns an error: then the record stays as it is. The error
    /// can be of a type of your own that has `From<Error>`. What the closure returns is returned. It may run several
    /// times, like that of [`update`](Self::update).
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// # let id = table.insert(&Account { id: 1, amount: 5 })?;
    /// let withdraw = |amount| {
    ///     table.try_update(id, |account| -> Result<i64, Box<dyn std::error::Error>> {
    ///         account.amount -= amount;
    ///         if account.amount < 0 {
    ///             return Err("not enough money".into());
    ///         }
    ///         Ok(account.amount)
    ///     })
    /// };
    /// assert_eq!(withdraw(3)?, 2);
    /// assert_eq!(withdraw(3).unwrap_err().to_string(), "not enough money");
    /// assert_eq!(table.get(id)?.map(|row| row.amount), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returns, and as [`update`](Self::update).
    pub fn try_update<R, E: From<Error>>(
        &self,
        id: RecordId,
        change: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<R, E> {
        Ok(found(id, self.change(&id, change, |_, result| result)?)?)
    }

    /// Writes new content of the record with an id, whatever its version, and returns the new version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 7 })?;
    /// table.replace(id, &Visit { id: 42, hits: 0 })?;
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    #[inline]
    pub fn replace(&self, id: RecordId, record: &T) -> Result<u64> {
        Ok(put(self.store(), id, None, record)?.version)
    }

    /// Writes new content of the record with an id if it still has this version, and returns the new version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// let row = table.get(id)?.ok_or("no such visit")?;
    /// // While a person looks at the record, another process changes it. So what the person writes is refused.
    /// table.update(id, |visit| visit.hits += 1)?;
    /// let outcome = table.update_if(row.id(), row.version(), &Visit { hits: 9, ..*row });
    /// assert!(matches!(outcome, Err(locule::Error::Conflict { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), with both versions, if the record was changed since; else as
    /// [`update`](Self::update).
    #[inline]
    pub fn update_if(&self, id: RecordId, version: u64, record: &T) -> Result<u64> {
        Ok(put(self.store(), id, Some(version), record)?.version)
    }

    /// Deletes the record with an id, and returns the number of the transaction that did it. This also works in a full
    /// table.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// table.delete(id)?;
    /// assert!(matches!(table.delete(id), Err(locule::Error::NotFound { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](Error::NotFound) if it was deleted already (an id never names another record later), and those of
    /// [any call](Self#errors-that-any-call-can-return) that writes.
    pub fn delete(&self, id: RecordId) -> Result<u64> {
        Ok(self.store().delete(id, None)?.version)
    }

    /// Deletes the record with an id if it still has this version.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// // Visits with one hit are deleted, unless there was another hit since they were read.
    /// for row in table.select(|visit| visit.hits == 1)? {
    ///     match table.delete_if(row.id(), row.version()) {
    ///         Ok(_) | Err(locule::Error::Conflict { .. } | locule::Error::NotFound { .. }) => {}
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// # assert!(table.is_empty()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Conflict`](Error::Conflict), with both versions, if the record was changed since; else as
    /// [`delete`](Self::delete).
    pub fn delete_if(&self, id: RecordId, version: u64) -> Result<u64> {
        Ok(self.store().delete(id, Some(version))?.version)
    }

    /// Deletes the record with an id, and returns it as it was. [`delete`](Self::delete) does not copy it.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 7 })?;
    /// // Of all that do this at once, one gets the record.
    /// assert_eq!(table.remove(id)?.hits, 7);
    /// assert!(matches!(table.remove(id), Err(locule::Error::NotFound { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub fn remove(&self, id: RecordId) -> Result<Row<T>> {
        found(id, self.take(&id)?)
    }

    /// All or nothing: what the closure does happens at once when it returns `Ok`, and not at all when it returns an
    /// error or panics. It may touch any number of records, up to all of them, and sees its own writes. No other
    /// process writes between what it reads and what it writes. Others go on reading meanwhile, and wait with their
    /// writes, so the closure should be short.
    ///
    /// The first write to a page of the file after a flush takes longer, and may wait for the disk. An operation on one
    /// record does that part before it takes the lock. A transaction learns under the lock what it is to write, so
    /// others wait for it meanwhile. Where single operations are enough, they are better for the other processes.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// # let from = table.insert(&Account { id: 1, amount: 5 })?;
    /// # let to = table.insert(&Account { id: 2, amount: 0 })?;
    /// table.write(|transaction| {
    ///     transaction.update(from, |account| account.amount -= 5)?;
    ///     transaction.update(to, |account| account.amount += 5)
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Many workers that each take the oldest job nobody has:
    ///
    /// ```
    /// locule::record! {
    ///     struct Job { key number: u64, worker: Option<u32> }
    /// }
    ///
    /// fn claim(table: &locule::Table<Job>) -> locule::Result<Option<Job>> {
    ///     table.write(|transaction| {
    ///         let free = transaction.select(|job| job.worker.is_none())?;
    ///         let Some(oldest) = free.into_iter().min_by_key(|job| job.number) else { return Ok(None) };
    ///         transaction.update(oldest.id(), |job| job.worker = Some(std::process::id()))?;
    ///         Ok(Some(oldest.into_record()))
    ///     })
    /// }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Job>::create(directory.path().join("jobs.loc"), 9)?;
    /// table.insert(&Job { number: 2, worker: None })?;
    /// table.insert(&Job { number: 1, worker: None })?;
    /// assert_eq!(claim(&table)?.map(|job| job.number), Some(1));
    /// assert_eq!(claim(&table)?.map(|job| job.number), Some(2));
    /// assert_eq!(claim(&table)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returns (for errors of another type there is [`try_write`](Self::try_write)),
    /// [`Forked`](Error::Forked) in the child if the closure forked, and those of
    /// [any call](Self#errors-that-any-call-can-return) that writes.
    pub fn write<R>(&self, body: impl FnOnce(&mut WriteTransaction<'_, T>) -> Result<R>) -> Result<R> {
        self.try_write(body)
    }

    /// A [`write`](Self::write) whose closure returns errors of a type of your own. That type must have `From<Error>`,
    /// so that `?` works for both kinds. (The name does not mean that it gives up early: it waits for the lock as
    /// [`write`](Self::write) does.)
    ///
    /// The compiler must be able to infer the type: from an `Err` of it in the closure, from the result of the function
    /// if the call is the last thing in it, or from a type that is written down, as here.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// # let from = table.insert(&Account { id: 1, amount: 5 })?;
    /// #[derive(Debug)]
    /// enum BankError {
    ///     NotEnough { missing: i64 },
    ///     Table(locule::Error),
    /// }
    ///
    /// impl From<locule::Error> for BankError {
    ///     fn from(error: locule::Error) -> Self {
    ///         BankError::Table(error)
    ///     }
    /// }
    ///
    /// let outcome = table.try_write(|transaction| -> Result<(), BankError> {
    ///     transaction.update(from, |account| account.amount -= 7)?;
    ///     match transaction.get(from)? {
    ///         Some(account) if account.amount < 0 => Err(BankError::NotEnough { missing: -account.amount }),
    ///         _ => Ok(()),
    ///     }
    /// });
    /// assert!(matches!(outcome, Err(BankError::NotEnough { missing: 2 })));
    /// assert_eq!(table.get(from)?.map(|row| row.amount), Some(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn try_write<R, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut WriteTransaction<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut write = WriteTransaction::begin(self.store())?;
        let result = inside_closure(self.store(), || body(&mut write))?;
        write.commit()?;
        // A sync takes the write lock itself.
        drop(write);
        self.store().sync_if_due().map_err(Error::from)?;
        Ok(result)
    }

    /// Changes a record. Returns what the caller keeps of what it is now and of what the closure returned, so that
    /// nothing else is copied; `None` if there is none.
    #[inline(always)]
    pub(super) fn change<R, E: From<Error>, K>(
        &self,
        which: &impl Which<T>,
        mut change: impl FnMut(&mut T) -> Result<R, E>,
        keep: impl FnOnce(Row<T>, R) -> K,
    ) -> Result<Option<K>, E> {
        let store = self.store();
        for _ in 0..ATTEMPT_COUNT {
            let mut words = T::zeroed(store.schema());
            let Some(Meta { id, version, .. }) = which.read(store, &mut words).map_err(Error::from)? else {
                return Ok(None);
            };
            let mut record = T::from_words(&words, store.schema())?;
            let result = inside_closure(store, || change(&mut record))?;
            match put(store, id, Some(version), &record) {
                Ok(meta) => return Ok(Some(keep(Row::new(meta, record), result))),
                Err(fault) => somebody_was_faster(fault)?,
            }
        }
        let changed = self.try_write(|transaction| transaction.change(which, change))?;
        Ok(changed.map(|(row, result)| keep(row, result)))
    }

    /// Deletes a record, and returns what it was. `None` if there is none.
    pub(super) fn take(&self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let store = self.store();
        for _ in 0..ATTEMPT_COUNT {
            let mut words = T::zeroed(store.schema());
            let Some(row) = row_of::<T>(store, which.read(store, &mut words)?, &words)? else { return Ok(None) };
            match store.delete(row.id(), Some(row.version())) {
                Ok(_) => return Ok(Some(row)),
                Err(fault) => somebody_was_faster(fault)?,
            }
        }
        self.write(|transaction| transaction.take(which))
    }

    /// [`change`](Self::change) with a closure that cannot fail.
    #[inline(always)]
    pub(super) fn change_row(&self, which: &impl Which<T>, mut change: impl FnMut(&mut T)) -> Result<Option<Row<T>>> {
        let change = |record: &mut T| {
            change(record);
            Ok::<_, Error>(())
        };
        self.change(which, change, |row, ()| row)
    }

    /// Inserts a record, or writes it over the one that has its key.
    pub(super) fn put_by_key(&self, record: &T) -> Result<Upserted> {
        let store = self.store();
        let words = record.to_words(store.schema())?;
        Ok(Upserted::new(store.upsert(Encoded::new(words.as_ref()))?))
    }

    /// Inserts a record, or changes the one that has its key, which is `which`.
    pub(super) fn insert_or_change(
        &self,
        which: &impl Which<T>,
        record: &T,
        mut change: impl FnMut(&mut T),
    ) -> Result<Row<T>> {
        let store = self.store();
        let words = record.to_words(store.schema())?;
        // A record that cannot be read back is not written, since it is to be returned.
        let inserted = T::from_words(&words, store.schema())?;
        for _ in 0..ATTEMPT_COUNT {
            if let Some(row) = self.change_row(which, &mut change)? {
                return Ok(row);
            }
            match store.insert(Encoded::new(words.as_ref())) {
                Ok(meta) => return Ok(Row::new(meta, inserted)),
                Err(fault) => somebody_was_faster(fault)?,
            }
        }
        self.write(|transaction| transaction.insert_or_change(which, record, &mut change))
    }
}

impl<T: Keyed> Table<T> {
    /// Inserts a record, or writes it over the one that has its key, and says which of the two it did.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// // It does not matter whether an earlier run has come this far.
    /// for id in [1, 2, 1] {
    ///     let upserted = table.upsert(&Visit { id, hits: 0 })?;
    ///     println!("{} {id}", if upserted.is_new { "inserted" } else { "wrote over" });
    /// }
    /// assert_eq!(table.len()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`.
    pub fn upsert(&self, record: &T) -> Result<Upserted> {
        self.put_by_key(record)
    }

    /// Inserts a record, or changes the one that has its key, and returns what is there now: its
    /// [`update_count`](Row::update_count) is 0 if it was inserted. The closure may run several times, like that of
    /// [`update`](Self::update).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let count = |id| table.upsert_with(&Visit { id, hits: 1 }, |visit| visit.hits += 1);
    /// assert_eq!((count(42)?.hits, count(42)?.hits, count(7)?.hits), (1, 2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert), without `DuplicateKey`; [`KeyChanged`](Error::KeyChanged) if the closure changed
    /// the key.
    pub fn upsert_with(&self, record: &T, change: impl FnMut(&mut T)) -> Result<Row<T>> {
        self.insert_or_change(&ByKey(record.key()), record, change)
    }

    /// Changes the record with a key, and returns what it is now; `None` if there is none. The closure may run several
    /// times, like that of [`update`](Self::update).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert_eq!(table.update_by_key(&42, |visit| visit.hits += 1)?.map(|row| row.hits), Some(2));
    /// assert_eq!(table.update_by_key(&43, |visit| visit.hits += 1)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), without `NotFound`.
    pub fn update_by_key<Q: Key<T::Key> + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(&mut T),
    ) -> Result<Option<Row<T>>> {
        let change = |record: &mut T| {
            change(record);
            Ok::<_, Error>(())
        };
        self.change(&ByKey(key), change, |row, ()| row)
    }

    /// Deletes the record with a key, and returns it as it was; `None` if there is none.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert_eq!(table.remove_by_key(&42)?.map(|row| row.hits), Some(1));
    /// assert_eq!(table.remove_by_key(&42)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete), without `NotFound`.
    pub fn remove_by_key<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<Option<Row<T>>> {
        self.take(&ByKey(key))
    }

    /// Makes the table hold exactly these records, all or nothing; this also works in a full table. A record that has
    /// the key of one of them is updated in place and keeps its id; if its content is the same already, it keeps its
    /// version too. Records with other keys are deleted, and the rest are inserted.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 2)?;
    /// table.replace_all([Visit { id: 1, hits: 1 }, Visit { id: 2, hits: 1 }])?;
    /// table.replace_all([Visit { id: 3, hits: 2 }, Visit { id: 2, hits: 2 }])?;
    /// assert_eq!((table.len()?, table.contains_key(&1)?), (2, false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DuplicateKey`](Error::DuplicateKey) if two of the records have the same key, [`Full`](Error::Full) if they are
    /// more than the table has room for, and those of [any call](Self#errors-that-any-call-can-return) that writes.
    pub fn replace_all(&self, records: impl IntoIterator<Item = impl Borrow<T>>) -> Result<()> {
        self.write(|transaction| transaction.replace_all(records))
    }
}

/// The error that it has to be tried again, since another writer changed, deleted or inserted the record meanwhile.
#[cold]
fn somebody_was_faster(fault: Fault) -> Result<()> {
    match fault.into() {
        Error::Conflict { .. } | Error::NotFound { .. } | Error::DuplicateKey { .. } => Ok(()),
        error => Err(error),
    }
}

#[inline(always)]
fn put<T: Content>(store: &Store, id: RecordId, version: Option<u64>, record: &T) -> Internal<Meta> {
    let words = record.to_words(store.schema())?;
    store.update(id, version, Encoded::new(words.as_ref()))
}
