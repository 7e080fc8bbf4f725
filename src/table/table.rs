//! A typed table: what users type.

use super::handles::Handles;
use super::record::{Keyed, Record};
use super::row::Row;
use super::rows::Rows;
use super::snapshot::Snapshot;
use super::which::{ByKey, Which};
use super::words::row_of;
use crate::engine::recover::Recovery;
use crate::engine::status::Status;
use crate::engine::{Access, Store};
use crate::error::{Error, Result};
use crate::record_id::RecordId;
use crate::sys::private::ThreadLock;
use crate::value::field::Key;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// A table of records of one type, shared with any number of processes.
///
/// A handle can be used by many threads at once. Dropping it syncs only if it is the last one of all processes, or if a sync is
/// due ([`OpenOptions::sync_every`]), and tells nobody of an error; [`close`](Self::close) syncs always.
///
/// ```
/// use locule::{Table, Text};
///
/// locule::record! {
///     /// One visitor's session.
///     pub struct Session {
///         pub key id: u64,
///         pub user: Text<32>,
///         pub hits: u32 = 0,
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("sessions.loc");
/// let table = Table::<Session>::options().capacity(10_000).open_or_create(&path)?;
/// let id = table.insert(&Session { id: 42, user: Text::new("ada")?, ..Session::default() })?;
/// table.update(id, |session| session.hits += 1)?;
/// assert_eq!(table.find(&42)?.map(|row| row.hits), Some(1));
/// table.sync()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Table<T> {
    handles: Handles,
    /// Held by the thread that reopens.
    reopening: ThreadLock,
    _records: PhantomData<fn() -> T>,
}

impl<T: Record> Table<T> {
    pub(super) fn new(store: Store) -> Result<Self> {
        Self::check_records(&store)?;
        Ok(Table { handles: Handles::new(store), reopening: ThreadLock::default(), _records: PhantomData })
    }

    /// That a file holds records of this type, and as many as it has to.
    fn check_records(store: &Store) -> Result<()> {
        T::schema().expect_in_file(&store.header().schema)?;
        let geometry = store.geometry();
        let word_count = T::ZEROED.as_ref().len();
        if (T::RECORD_BYTES, word_count) != (geometry.record_bytes(), geometry.record_words()) {
            let reason = format!("{} bytes in {word_count} words are not what the schema says", T::RECORD_BYTES);
            return Err(Error::InvalidArgument { reason });
        }
        let found = u64::from(geometry.capacity());
        match store.settings().required_capacity {
            Some(expected) if expected != found => Err(Error::CapacityMismatch { expected, found }),
            _ => Ok(()),
        }
    }

    /// The handle in use.
    #[inline(always)]
    pub(super) fn store(&self) -> &Store {
        self.handles.current()
    }

    // -- reading -----------------------------------------------------------------------------------

    /// The record with an id; `None` if it was deleted. Takes no lock, makes no system call, never waits for a writer.
    ///
    /// # Errors
    ///
    /// [`Damaged`](Error::Damaged) if the record does not have its checksum, [`Superseded`](Error::Superseded),
    /// [`Condemned`](Error::Condemned).
    #[inline]
    pub fn get(&self, id: RecordId) -> Result<Option<Row<T>>> {
        self.read(&id)
    }

    #[inline(always)]
    fn read(&self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let mut words = T::ZEROED;
        let meta = which.read(self.store(), &mut words)?;
        row_of(meta, &words)
    }

    /// How many records there are.
    ///
    /// # Errors
    ///
    /// [`Superseded`](Error::Superseded), [`Condemned`](Error::Condemned).
    pub fn len(&self) -> Result<u64> {
        Ok(self.store().live_count()?)
    }

    /// Whether there is no record.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// How many records there can be.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.store().geometry().capacity())
    }

    /// All records, in no order that means anything. Each is whole, and was there at some moment while the iteration passed
    /// it; a record that is there all the time is seen exactly once; one that is inserted or deleted meanwhile may be seen or
    /// not. For records of one moment, use [`snapshot`](Self::snapshot).
    pub fn iter(&self) -> Rows<'_, T> {
        Rows::new(self.store())
    }

    /// The records that a closure accepts. They are seen as [`iter`](Self::iter) sees them: while others write, they need
    /// not be of one moment. What is returned are copies, which may be out of date when they are looked at; so change
    /// them with [`update`](Self::update), which starts from the newest content, or [`update_if`](Self::update_if).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::options().capacity(9).create(directory.path().join("visits.loc"))?;
    /// for (id, hits) in [(1, 5), (2, 1), (3, 4)] {
    ///     table.insert(&Visit { id, hits })?;
    /// }
    /// for row in table.select(|visit| visit.hits > 3)? {
    ///     table.delete(row.id())?;
    /// }
    /// assert_eq!(table.len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the first error ends the search.
    pub fn select(&self, mut accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        self.iter().filter(|row| row.as_ref().map_or(true, |row| accept(row))).collect()
    }

    /// Several reads that agree: everything that the closure reads from its argument is of one moment, in each of its runs.
    ///
    /// A run takes no lock and holds nobody up. When something else is written meanwhile, the moment is gone: from then on each
    /// read returns [`StaleSnapshot`](Error::StaleSnapshot), which the closure passes on with `?`; it runs again, with another
    /// moment, whatever it returned. So it may run up to 17 times, must not rely on running once, and what it does
    /// besides reading should do no harm when it is done again. What its last run returns is the result.
    ///
    /// The last of these runs cannot be disturbed. It is made under the write lock, for which others wait meanwhile, so the closure
    /// should be short. A read-only handle, which cannot take that, makes it on a copy of the newest state in its own memory
    /// instead: that holds nobody up, and takes a few milliseconds and as much memory as the file has for a table of 10,000 small
    /// records. The copy is also made when a writer has died half way, and then what it had prepared has happened.
    ///
    /// Inside, calls of this table that take a lock are refused. Reads of the table itself, and not of the closure's argument, are of
    /// any moment.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::options().capacity(9).create(directory.path().join("accounts.loc"))?;
    /// # table.insert(&Account { id: 1, amount: 5 })?;
    /// # table.insert(&Account { id: 2, amount: -5 })?;
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
    ///
    /// # Errors
    ///
    /// What the closure returns; what taking the lock returns ([`Timeout`](Error::Timeout), for one); on a read-only handle
    /// [`SnapshotBusy`](Error::SnapshotBusy) if others wrote so much for the whole lock timeout that no copy of one moment could be
    /// made, and [`Damaged`](Error::Damaged) if the records are not those of the newest state.
    pub fn snapshot<R>(&self, body: impl FnMut(&Snapshot<'_, T>) -> Result<R>) -> Result<R> {
        self.try_snapshot(body)
    }

    /// A [`snapshot`](Self::snapshot) whose closure has errors of its own type, which has to be made from an [`Error`]: so `?` takes
    /// both kinds. A run that met [`StaleSnapshot`](Error::StaleSnapshot) is repeated, whatever the closure made of that.
    ///
    /// ```
    /// # locule::record! { struct Account { key id: u64, amount: i64 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Account>::create(directory.path().join("accounts.loc"), 9)?;
    /// # table.insert(&Account { id: 1, amount: 5 })?;
    /// // `Box<dyn Error>` stands for `anyhow::Error`, or an enum with a `From<locule::Error>`.
    /// let amount = table.try_snapshot(|view| -> Result<i64, Box<dyn std::error::Error>> {
    ///     Ok(view.find(&1)?.ok_or("no such account")?.amount)
    /// })?;
    /// assert_eq!(amount, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn try_snapshot<R, E: From<Error>>(
        &self,
        mut body: impl FnMut(&Snapshot<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.store().snapshot(|moment| body(&Snapshot::new(moment)))
    }

    // -- the file ----------------------------------------------------------------------------------

    /// Makes everything that was published before the call survive a power cut; returns the number of the newest transaction
    /// that does. One flush serves all processes that wait for one.
    ///
    /// # Errors
    ///
    /// [`FlushFailed`](Error::FlushFailed), which stays until every process has dropped its handle and the table was opened
    /// again; and what any write can return (see [`insert`](Self::insert)).
    pub fn sync(&self) -> Result<u64> {
        self.store().sync()
    }

    /// Syncs and drops the handle. (A read-only handle has nothing to sync.)
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    pub fn close(self) -> Result<()> {
        if self.store().access() == Access::ReadWrite {
            self.store().sync()?;
        }
        Ok(())
    }

    /// Attaches to the file that has the path now, with the options that this handle was made with: after
    /// [`Superseded`](Error::Superseded), [`Condemned`](Error::Condemned), [`Recovered`](Error::Recovered) or
    /// [`FlushFailed`](Error::FlushFailed). Does nothing if the handle is in order, so every thread that got such an error can call it:
    /// the first does the work, and the others find it done.
    ///
    /// The handle is dead from the beginning of the call on: what other threads are doing is finished or fails, what they begin
    /// fails with the error that was the reason, and the call waits for them, for at most the lock's timeout. It then ends with
    /// a handle that is attached, or with an error and a handle that stays dead, and can be reopened again. Record ids of a
    /// file that was replaced mean nothing in the new one.
    ///
    /// What the handle used before, a mapping and a descriptor, is kept until the table is dropped, since readers are not
    /// counted, and may still be in it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// # use locule::{Error, Table};
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = Arc::new(Table::<Visit>::options().capacity(100).create(&path)?);
    /// let handle = |table: &Table<Visit>, id: u64| loop {
    ///     match table.upsert(&Visit { id, hits: 1 }) {
    ///         // Somebody has replaced the file. All threads come here, and one of them reopens it for all.
    ///         Err(Error::Superseded | Error::Condemned | Error::Recovered) => table.reopen()?,
    ///         done => return done,
    ///     }
    /// };
    /// # drop(Table::<Visit>::options().capacity(100).replace(&path)?);
    /// std::thread::scope(|scope| {
    ///     for id in 0..4 {
    ///         let (table, handle) = (Arc::clone(&table), &handle);
    ///         scope.spawn(move || handle(&table, id).unwrap());
    ///     }
    /// });
    /// assert_eq!(table.len()?, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`], such as [`FlushFailed`](Error::FlushFailed) or [`Condemned`](Error::Condemned) as long as others are
    /// attached to a file that needs a recovery; [`Timeout`](Error::Timeout) if another thread did not end what it was doing;
    /// [`Nested`](Error::Nested) inside a closure of this table.
    #[cfg(not(loom))]
    pub fn reopen(&self) -> Result<()> {
        // Asked before anything is waited for: another thread that reopens waits for this one to leave its closure.
        if self.store().is_in_order() {
            return Ok(());
        }
        self.store().check_not_nested()?;
        let timeout = self.store().settings().lock_timeout;
        let Some(_turn) = self.reopening.lock(timeout) else {
            let holder_pid = Some(std::process::id());
            return Err(Error::Timeout { lock: "handle", holder_pid, waited: timeout });
        };
        let store = self.store();
        if store.is_in_order() {
            return Ok(());
        }
        store.retire()?;
        let (path, settings) = (store.path(), store.settings());
        let opened = match store.access() {
            Access::ReadWrite => Store::open(path, &T::schema(), settings)?,
            Access::ReadOnly | Access::PrivateCopy => Store::open_read_only(path, settings)?,
        };
        Self::check_records(&opened)?;
        self.handles.go_over_to(opened);
        Ok(())
    }

    /// The absolute path that the table was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store().path()
    }

    /// What opening found and repaired.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.store().recovery()
    }

    /// Counters, and who holds the write lock at the moment. Takes no lock.
    #[must_use]
    pub fn status(&self) -> Status {
        self.store().status()
    }
}

impl<T: Keyed> Table<T> {
    /// The record with a key; `None` if there is none. Takes no lock, makes no system call, and never waits for a writer,
    /// whether the key is there or not.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[inline]
    pub fn find<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<Option<Row<T>>> {
        self.read(&ByKey(key))
    }

    /// Whether there is a record with a key.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn contains_key<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<bool> {
        let mut words = T::ZEROED;
        Ok(Which::<T>::read(&ByKey(key), self.store(), &mut words)?.is_some())
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.handles.current();
        f.debug_struct("Table")
            .field("path", &store.path())
            .field("capacity", &store.geometry().capacity())
            .field("access", &store.access())
            .finish_non_exhaustive()
    }
}

impl<'a, T: Record> IntoIterator for &'a Table<T> {
    type Item = Result<Row<T>>;
    type IntoIter = Rows<'a, T>;

    fn into_iter(self) -> Rows<'a, T> {
        self.iter()
    }
}
