//! A typed table: what users type.

use super::content::Content;
use super::handles::Handles;
use super::record::Keyed;
use super::row::Row;
use super::rows::Rows;
use super::snapshot::Snapshot;
use super::which::{ByKey, Which};
use super::words::row_of;
use crate::engine::glance::Glance;
use crate::engine::outcome::Recovery;
use crate::engine::status::Status;
use crate::engine::{Access, Settings, Store};
use crate::error::{Error, Result, TableLock};
#[cfg(not(loom))]
use crate::file::temporary::remove_leftovers;
use crate::record_id::RecordId;
use crate::schema::Schema;
use crate::sys::private::ThreadLock;
use crate::value::field::Key;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

/// A table of records of one type, shared with any number of processes.
///
/// A handle can be used by many threads at once. Dropping it syncs only if it is the last handle of all processes, or
/// if a sync is due ([`OpenOptions::sync_every`](crate::OpenOptions::sync_every)), and an error of that sync is not
/// reported. [`close`](Self::close) always syncs.
///
/// So dropping a handle can block. A sync takes the lock of syncs and that of writes, and waits for each at most as long
/// as the [lock timeout](crate::OpenOptions::lock_timeout); then it waits for the disk. Where nothing may wait, such as in
/// an event loop, drop the handle in another thread; or open it with
/// [`sync_every(None)`](crate::OpenOptions::sync_every), then dropping it syncs nothing.
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
///
/// # Errors that any call can return
///
/// Each method names the errors that are its own. Besides these, every call that reads or writes can return:
///
/// * [`Superseded`](Error::Superseded), [`Condemned`](Error::Condemned) or [`Recovered`](Error::Recovered). They end
///   the handle: every later call returns the same error until [`reopen`](Self::reopen) has succeeded. So does
///   [`FlushFailed`](Error::FlushFailed) once a `reopen` after a failed flush has begun.
/// * [`Damaged`](Error::Damaged), if something in the file contradicts itself, such as a record and its checksum.
/// * In the child of a fork, whose first call attaches to the table: [`Io`](Error::Io) or
///   [`Incompatible`](Error::Incompatible) if that is not possible, [`Timeout`](Error::Timeout) if the gate or the
///   handle was in use by others all the time. The next call tries again.
///
/// Every call that writes or syncs can also return:
///
/// * [`Timeout`](Error::Timeout), which names the process that held the lock for the whole timeout.
/// * [`ReadOnly`](Error::ReadOnly), from a read-only handle.
/// * [`Nested`](Error::Nested), inside a closure of the same table on the same thread.
/// * [`SyncAfterWrite`](Error::SyncAfterWrite): the write happened, and the sync that was due after it failed.
/// * [`SchemaMismatch`](Error::SchemaMismatch), in a `Table<Values>`, if the values are for another schema than the table
///   has: they may have been made before the table was altered.
///
/// After an error the write has not happened, with three exceptions: after `SyncAfterWrite` it has; after `Recovered`
/// it may have; after `Superseded` it may be in the old file, which others do not see.
///
/// A transaction can also return [`Forked`](Error::Forked), if its closure forked and this is the child.
pub struct Table<T> {
    handles: Handles,
    /// Held by the thread that reopens.
    reopening: ThreadLock,
    _records: PhantomData<fn() -> T>,
}

impl<T: Content> Table<T> {
    pub(super) fn new(store: Store) -> Result<Self> {
        Self::check_records(&store)?;
        Ok(Table { handles: Handles::new(store), reopening: ThreadLock::default(), _records: PhantomData })
    }

    /// Checks that a file holds records of this type, and has the required capacity.
    fn check_records(store: &Store) -> Result<()> {
        T::check_header(store.header())?;
        if let Some(required) = &store.settings().required_schema {
            required.expect_in_file(store.schema())?;
        }
        let found = u64::from(store.geometry().capacity());
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

    /// The record with an id; `None` if it was deleted. Takes no lock, makes no system call, and never waits for a
    /// writer.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(1));
    /// // The next record with this key, and perhaps in this slot, has another id.
    /// table.delete(id)?;
    /// table.insert(&Visit { id: 42, hits: 2 })?;
    /// assert_eq!(table.get(id)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [any call](Self#errors-that-any-call-can-return), such as [`Damaged`](Error::Damaged) if the record
    /// does not have its checksum. For a field with a type of your own, also what its
    /// [`from_stored`](crate::FieldValue::from_stored) returns.
    #[inline]
    pub fn get(&self, id: RecordId) -> Result<Option<Row<T>>> {
        self.read(&id)
    }

    #[inline(always)]
    pub(super) fn read(&self, which: &impl Which<T>) -> Result<Option<Row<T>>> {
        let store = self.store();
        let mut words = T::zeroed(store.schema());
        let meta = which.read(store, &mut words)?;
        row_of(store, meta, &words)
    }

    /// How many records there are.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// println!("{} of {} slots are used", table.len()?, table.capacity());
    /// # assert_eq!(table.len()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [any call](Self#errors-that-any-call-can-return).
    pub fn len(&self) -> Result<u64> {
        Ok(self.store().live_count()?)
    }

    /// Whether there is no record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert!(table.is_empty()?);
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert!(!table.is_empty()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// How many records there can be.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// locule::Table::<Visit>::create(&path, 100)?;
    /// // The file says it, whatever the options of this process are.
    /// let table = locule::Table::<Visit>::options().capacity(200).open_or_create(&path)?;
    /// assert_eq!(table.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.store().geometry().capacity())
    }

    /// All records, in no particular order. Each is whole, and was there at the moment when the iteration read it. A
    /// record that is there all the time is seen exactly once; one that is inserted or deleted meanwhile may be seen or
    /// not. For records of one moment, use [`snapshot`](Self::snapshot).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1), (3, 4)].map(|(id, hits)| Visit { id, hits }))?;
    /// let mut hits = 0;
    /// for row in table.iter() {
    ///     hits += row?.hits;
    /// }
    /// assert_eq!(hits, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Rows<'_, T> {
        Rows::new(self.store())
    }

    /// The records that a closure accepts. They are read as [`iter`](Self::iter) reads them: while others write, they
    /// need not be of one moment. They are copies, which may be out of date by the time you look at them. So change a
    /// record with [`update`](Self::update), which starts from its newest content, or with
    /// [`update_if`](Self::update_if).
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
    pub fn select(&self, accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        self.iter().select(accept)
    }

    /// Several reads that agree: everything that one run of the closure reads from its argument is of one moment.
    ///
    /// A run takes no lock, and other processes do not wait for it. If one of them writes meanwhile, the moment is
    /// gone: from then on each read returns [`StaleSnapshot`](Error::StaleSnapshot). The closure passes that on with
    /// `?`, and it runs again with another moment, whatever it returned. So it may run up to 17 times, and what it does
    /// besides reading should do no harm when it is done again. What its last run returns is the result.
    ///
    /// The last run cannot be disturbed. It is made under the write lock, so other writers wait for it, and the closure
    /// should be short. A read-only handle cannot take that lock. It makes the last run on a copy of the newest state
    /// in its own memory instead: nobody waits for that, and for a table of 10,000 small records it takes a few
    /// milliseconds and as much memory as the file is long. The copy is also made when a writer has died half way; it
    /// then includes what that writer had prepared.
    ///
    /// Inside the closure, calls of this table that take a lock are refused. Reads of the table itself, instead of the
    /// closure's argument, may be of any moment.
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
    /// What the closure returns; those of [any call](Self#errors-that-any-call-can-return), such as
    /// [`Timeout`](Error::Timeout); on a read-only handle [`SnapshotBusy`](Error::SnapshotBusy) if others wrote so much
    /// during the whole lock timeout that no copy of one moment could be made, and [`Damaged`](Error::Damaged) if the
    /// records are not those of the newest state.
    pub fn snapshot<R>(&self, body: impl FnMut(&Snapshot<'_, T>) -> Result<R>) -> Result<R> {
        self.try_snapshot(body)
    }

    /// A [`snapshot`](Self::snapshot) whose closure returns errors of a type of your own. That type must have
    /// `From<Error>`, so that `?` works for both kinds. A run that met [`StaleSnapshot`](Error::StaleSnapshot) is
    /// repeated, whatever the closure made of that error.
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

    /// Makes everything that was published before the call survive a power cut, and returns the number of the newest
    /// transaction that does. One flush serves all processes that wait for one.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// let number = table.sync()?;
    /// // From here on the record survives a power cut.
    /// assert!(table.find(&42)?.is_some_and(|row| row.version() <= number));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FlushFailed`](Error::FlushFailed), which every sync returns from then on, until every process has reopened or
    /// dropped its handles; and those of [any call](Self#errors-that-any-call-can-return) that syncs.
    pub fn sync(&self) -> Result<u64> {
        self.store().sync()
    }

    /// Syncs and drops the handle. (A read-only handle has nothing to sync.)
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// // If the disk is broken, this says so. Dropping the table would not.
    /// table.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Attaches to the file that has the path now, with the options that this handle was made with. Call it after
    /// [`Superseded`](Error::Superseded), [`Condemned`](Error::Condemned), [`Recovered`](Error::Recovered) or
    /// [`FlushFailed`](Error::FlushFailed). It does nothing if the handle is in order, so every thread that got such an
    /// error can call it: the first one does the work, and the others find it done.
    ///
    /// The handle is dead as soon as the call begins. What other threads are doing through it then finishes or fails,
    /// and the call waits for that, at most as long as the lock timeout. What they begin meanwhile fails with the error
    /// that was the reason. When the call returns, the handle is attached; or there was an error, and the handle stays
    /// dead and can be reopened again. Record ids of a file that was replaced mean nothing in the new one; those of a table
    /// that was altered mean the same records.
    ///
    /// What the handle used before, a mapping and a descriptor, is kept until the table is dropped, since a reader may
    /// still be using it: readers are not counted.
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
    ///         // The file was replaced. All threads come here, and one of them reopens it for all.
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
    /// Those of [`OpenOptions::open`](crate::OpenOptions::open), such as [`FlushFailed`](Error::FlushFailed) or
    /// [`Condemned`](Error::Condemned) as long as others are attached to a file that needs a recovery;
    /// [`Timeout`](Error::Timeout) of the handle if another thread did not finish what it was doing;
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
            return Err(Error::Timeout { lock: TableLock::Handle, holder_pid, waited: timeout });
        };
        let store = self.store();
        if store.is_in_order() {
            return Ok(());
        }
        store.retire()?;
        // A table without a type may have another schema by now.
        let settings = Settings { required_schema: T::own_schema().map(Arc::new), ..store.settings().clone() };
        let opened = match store.access() {
            Access::ReadWrite => {
                // The file may have lost its name to a process that died before it could delete it.
                remove_leftovers(store.path());
                Store::open(store.path(), &settings)?
            }
            Access::ReadOnly | Access::PrivateCopy => Store::open_read_only(store.path(), &settings)?,
        };
        Self::check_records(&opened)?;
        self.handles.go_over_to(opened);
        Ok(())
    }

    /// The schema in the file: the fields of the records, their defaults and documentation.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert_eq!(table.schema().fields().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        self.store().schema()
    }

    /// The absolute path that the table was opened by.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::create(&path, 100)?;
    /// println!("{} has {} records", table.path().display(), table.len()?);
    /// # assert!(table.path().is_absolute() && table.path().ends_with("visits.loc"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store().path()
    }

    /// What opening found and repaired.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().open_or_create(&path)?;
    /// if !table.recovery().nothing_lost {
    ///     // After a power cut, for example.
    ///     eprintln!("{}: {}", table.path().display(), table.recovery());
    /// }
    /// # assert!(table.recovery().nothing_lost);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        self.store().recovery()
    }

    /// Counters, and which process holds the write lock at the moment. Takes no lock.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// let status = table.status();
    /// println!("{} transactions would be lost in a power cut", status.last - status.durable);
    /// if let Some(writer) = status.writer {
    ///     println!("process {} is writing", writer.pid);
    /// }
    /// # assert_eq!(status.live_count, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> Status {
        self.store().status()
    }

    /// Who holds the write lock at this moment, how far the table is written and synced: a few loads, no lock and no system
    /// call, so it can be asked thousands of times a second. [`status`](Self::status) tells more.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let looks = (0..1000).map(|_| table.glance());
    /// let held_count = looks.filter(|glance| glance.holder_thread_id.is_some()).count();
    /// println!("the lock was held in {held_count} of 1000 looks");
    /// # assert_eq!(held_count, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn glance(&self) -> Glance {
        self.store().glance()
    }

    /// How many records there are in each run of so many slots, one after the other: a map of the table. It looks at eight
    /// bytes for each slot; while others write, the counts need not be of one moment.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 100)?;
    /// table.replace_all((0..12).map(|id| Visit { id, hits: 1 }))?;
    /// assert_eq!(table.live_counts(50)?, [12, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [any call](Self#errors-that-any-call-can-return).
    pub fn live_counts(&self, slots_per_run: u32) -> Result<Vec<u32>> {
        self.store().check_usable()?;
        Ok(self.store().live_counts(slots_per_run))
    }
}

impl<T: Keyed> Table<T> {
    /// The record with a key; `None` if there is none. Takes no lock, makes no system call, and never waits for a
    /// writer, whether the key is there or not.
    ///
    /// ```
    /// # locule::record! { struct User { key name: locule::Text<16>, age: u8 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<User>::create(directory.path().join("users.loc"), 9)?;
    /// table.insert(&User { name: "ada".parse()?, age: 36 })?;
    /// assert_eq!(table.find("ada")?.map(|row| row.age), Some(36));
    /// // No record can have this name, so there is none.
    /// assert_eq!(table.find("a name that is longer than the field")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert!(table.contains_key(&42)? && !table.contains_key(&43)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

impl<'a, T: Content> IntoIterator for &'a Table<T> {
    type Item = Result<Row<T>>;
    type IntoIter = Rows<'a, T>;

    fn into_iter(self) -> Rows<'a, T> {
        self.iter()
    }
}
