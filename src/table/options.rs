//! How a table is made or opened.

use crate::engine::Settings;
#[cfg(not(loom))]
use crate::engine::Store;
use crate::error::{Error, Result};
#[cfg(not(loom))]
use crate::file::create::{self, Plan};
use crate::table::content::Content;
use crate::table::table::Table;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a table is made or opened. The last call names the file and says which of the two.
///
/// ```
/// # use std::time::Duration;
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options()
///     .capacity(10_000)
///     .sync_every(Some(Duration::from_millis(200)))
///     .open_or_create(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options do nothing before `create`, `open` or another of the last calls"]
pub struct OpenOptions<T> {
    capacity: u64,
    mode: u32,
    pub(super) settings: Settings,
    _records: PhantomData<fn() -> T>,
}

impl<T> Clone for OpenOptions<T> {
    fn clone(&self) -> Self {
        OpenOptions { settings: self.settings.clone(), ..*self }
    }
}

impl<T> fmt::Debug for OpenOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenOptions { capacity, mode, settings, .. } = self;
        f.debug_struct("OpenOptions")
            .field("capacity", capacity)
            .field("mode", &format_args!("{mode:#o}"))
            .field("settings", settings)
            .finish_non_exhaustive()
    }
}

impl<T: Content> Table<T> {
    /// How a table should be made or opened.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).open_or_create(&path)?;
    /// assert_eq!(table.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> OpenOptions<T> {
        OpenOptions::new()
    }

    /// Opens a table with the usual options.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # locule::Table::<Visit>::create(&path, 100)?.insert(&Visit { id: 42, hits: 7 })?;
    /// // The file of an earlier run.
    /// let table = locule::Table::<Visit>::open(&path)?;
    /// assert_eq!(table.find(&42)?.map(|row| row.hits), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`].
    #[cfg(not(loom))]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Makes a new table with room for this many records, with the usual options. A `Table<Values>` also needs a schema: it is
    /// made by [`OpenOptions::schema`] and [`OpenOptions::create`].
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::create(&path, 100)?;
    /// assert_eq!((table.len()?, table.capacity()), (0, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::create`].
    #[cfg(not(loom))]
    pub fn create(path: impl AsRef<Path>, capacity: u64) -> Result<Self> {
        Self::options().capacity(capacity).create(path)
    }

    /// Opens a table for reading, with the usual options. Nothing of the file is changed, except that
    /// [`Table::wait`] leaves a mark in it, by which it is woken, if the process may write the file.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # let table = locule::Table::<Visit>::create(&path, 100)?;
    /// // A program that only looks, and can do no harm.
    /// let view = locule::Table::<Visit>::open_read_only(&path)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// assert_eq!(view.find(&42)?.map(|row| row.hits), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open_read_only`].
    #[cfg(not(loom))]
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open_read_only(path)
    }
}

impl<T: Content> OpenOptions<T> {
    pub(super) fn new() -> Self {
        let settings = Settings { required_schema: T::own_schema().map(Arc::new), ..Settings::default() };
        OpenOptions { capacity: 10_000, mode: 0o600, settings, _records: PhantomData }
    }

    /// How many records a new table has room for: 1 to 16,777,216, and 10,000 by default. Only an
    /// [`Alteration`](crate::maintenance::Alteration) changes it. When a table is opened that exists already, it is ignored: see [`require_capacity`](Self::require_capacity).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(2).create(&path)?;
    /// table.insert(&Visit { id: 1, hits: 0 })?;
    /// table.insert(&Visit { id: 2, hits: 0 })?;
    /// assert!(matches!(table.insert(&Visit { id: 3, hits: 0 }), Err(locule::Error::Full { capacity: 2, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(mut self, slot_count: u64) -> Self {
        self.capacity = slot_count;
        self
    }

    /// How many records the table has room for: a new one gets this [`capacity`](Self::capacity), and opening one that
    /// has another is an error, which names both.
    ///
    /// ```
    /// # use locule::{Error, Table};
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = Table::<Visit>::options().require_capacity(100).open_or_create(&path)?;
    /// match Table::<Visit>::options().require_capacity(200).open_or_create(&path) {
    ///     Err(Error::CapacityMismatch { expected, found }) => assert_eq!((expected, found), (200, 100)),
    ///     other => panic!("expected another capacity, found {other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn require_capacity(mut self, slot_count: u64) -> Self {
        self.capacity = slot_count;
        self.settings.required_capacity = Some(slot_count);
        self
    }

    /// The permissions of a new file, 0o600 by default; the process's umask is taken away from them. They can be up to
    /// 0o777: any other bit is an [`InvalidArgument`](crate::Error::InvalidArgument) when the file is made. Every
    /// process that may write the file is trusted: see the README.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use std::os::unix::fs::PermissionsExt;
    ///
    /// // The owner's group may read the table.
    /// locule::Table::<Visit>::options().mode(0o640).create(&path)?;
    /// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o137, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// How long an operation waits for a lock at most; 5 seconds by default. The death of a holder is noticed at once:
    /// this limit is for a holder that is stopped, or too slow. It is also how long a read-only handle tries to copy
    /// one moment for a [`snapshot`](Table::snapshot).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # use std::time::Duration;
    /// let table = locule::Table::<Visit>::options().lock_timeout(Duration::from_millis(20)).create(&path)?;
    /// table.write(|_| {
    ///     // Another thread waits for this transaction, and gives up.
    ///     let insert = || table.insert(&Visit { id: 42, hits: 0 });
    ///     let outcome = std::thread::scope(|scope| scope.spawn(insert).join());
    ///     assert!(matches!(outcome, Ok(Err(locule::Error::Timeout { .. }))));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.settings.lock_timeout = timeout;
        self
    }

    /// How old the last sync may be before a write syncs too; one second by default. Such a write syncs the table after
    /// it has happened. Dropping a handle does the same, and dropping the last handle of all processes always syncs.
    ///
    /// With `None` none of them does: then only [`sync`](Table::sync) and [`close`](Table::close) make anything survive
    /// a power cut. Nothing needs to be synced to survive the death of processes. A process that is killed does not
    /// sync: what it wrote stays unsynced until the next write or the next handle that is dropped.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().sync_every(None).create(&path)?;
    /// for id in 0..100 {
    ///     table.insert(&Visit { id, hits: 0 })?; // none of these waits for the disk
    /// }
    /// table.sync()?; // one flush for all of them
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync_every(mut self, interval: Option<Duration>) -> Self {
        self.settings.sync_every = interval;
        self
    }

    /// Whether each read compares the record's checksum; true by default. It guards against bad memory, bad disks and
    /// programs that write where they should not. `cargo bench` measures its cost, by reads with it and without.
    /// Records are never torn either way.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// // A table in memory that is read all the time, by programs that are trusted not to overwrite it.
    /// let table = locule::Table::<Visit>::options().verify_reads(false).create(&path)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// assert_eq!(table.find(&42)?.map(|row| row.hits), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify_reads(mut self, verify: bool) -> Self {
        self.settings.verify_reads = verify;
        self
    }

    /// Whether opening brings the whole file into memory and maps every page, so that the first operations need not;
    /// false by default. The first write to a page after each flush still takes a page fault. The child of a fork maps
    /// the file again without this.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// // Before the server takes its first request.
    /// let table = locule::Table::<Visit>::options().prefault(true).open_or_create(&path)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(mut self, prefault: bool) -> Self {
        self.settings.prefault = prefault;
        self
    }

    /// Whether network and FUSE file systems are accepted; false by default. On these, processes on different hosts
    /// would not see each other's writes.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// // A FUSE file system that no other host has mounted.
    /// let table = locule::Table::<Visit>::options().allow_any_file_system(true).create(&path)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_any_file_system(mut self, allow: bool) -> Self {
        self.settings.any_file_system = allow;
        self
    }
}

#[cfg(not(loom))]
impl<T: Content> OpenOptions<T> {
    /// Makes a new table. No process sees the file before it is whole and on the disk. When this returns, the name is
    /// on the disk too: the directory is flushed, or, if the process may change the directory but not read it, the
    /// whole file system.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use locule::{Error, Table};
    ///
    /// let table = Table::<Visit>::options().capacity(100).create(&path)?;
    /// table.insert(&Visit { id: 42, hits: 7 })?;
    /// // What is there already is not overwritten.
    /// assert!(matches!(Table::<Visit>::options().create(&path), Err(Error::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::Error::AlreadyExists) if there is a file of that name,
    /// [`InvalidArgument`](crate::Error::InvalidArgument) if the capacity or the mode is out of range, or if no
    /// [`schema`](OpenOptions::schema) was given for a `Table<Values>`, and
    /// [`Io`](crate::Error::Io) with what the system says, such as that the disk is full or the file larger than this
    /// process may make one (`ulimit -f`). Nothing is left behind then.
    pub fn create(self, path: impl AsRef<Path>) -> Result<Table<T>> {
        let store = create::create(path.as_ref(), &self.plan()?, &self.settings)?;
        Table::new(store)
    }

    /// Makes a new, empty table in the place of one that may be there and in use. Processes that have the old one open
    /// get [`Superseded`](crate::Error::Superseded) from then on, and what they wrote is gone. A file that is not a
    /// locule table is left alone.
    ///
    /// The new file gets the owner, the group and the permissions of the old one, instead of [`mode`](Self::mode), as
    /// far as this process may set them. If it may not change the owner, it becomes the owner itself; if it may not set
    /// the old group, the file's group gets no permissions. A POSIX access control list is part of the permissions; where
    /// the file cannot have it, nobody may do more with it than the list allowed. Other extended attributes are not kept.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use locule::{Error, Table};
    ///
    /// let old = Table::<Visit>::create(&path, 100)?;
    /// // The visits begin anew, with room for more.
    /// let new = Table::<Visit>::options().capacity(200).replace(&path)?;
    /// assert!(matches!(old.len(), Err(Error::Superseded)));
    /// old.reopen()?;
    /// assert_eq!((old.capacity(), new.capacity()), (200, 200));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open). After an error the old table is there and in use as
    /// before, with one exception: if the file system cannot exchange two names, and only flushing the directory
    /// failed, the new one is there.
    pub fn replace(self, path: impl AsRef<Path>) -> Result<Table<T>> {
        let store = create::replace(path.as_ref(), &self.plan()?, &self.settings)?;
        Table::new(store)
    }

    /// Opens a table. The first process that opens it in a boot recovers it: [`Table::recovery`] says what that found.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use locule::{Error, Table};
    ///
    /// assert!(matches!(Table::<Visit>::options().open(&path), Err(Error::DoesNotExist { .. })));
    /// # drop(Table::<Visit>::create(&path, 100)?);
    /// // Once another process has made it:
    /// let table = Table::<Visit>::options().open(&path)?;
    /// assert!(table.recovery().nothing_lost);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DoesNotExist`](crate::Error::DoesNotExist), [`Foreign`](crate::Error::Foreign) if it is not a locule table or
    /// cut short, [`SchemaMismatch`](crate::Error::SchemaMismatch) if it holds other records,
    /// [`CapacityMismatch`](crate::Error::CapacityMismatch) if it has another capacity than is required,
    /// [`Incompatible`](crate::Error::Incompatible) if it is in use by processes that cannot share it with this one,
    /// [`Damaged`](crate::Error::Damaged) if part of what was synced is missing (the file stays as it is),
    /// [`Superseded`](crate::Error::Superseded), [`Condemned`](crate::Error::Condemned) or
    /// [`FlushFailed`](crate::Error::FlushFailed) as long as others are attached to a file that needs a recovery,
    /// [`Timeout`](crate::Error::Timeout) if another process was opening it all the time, and [`Io`](crate::Error::Io).
    pub fn open(self, path: impl AsRef<Path>) -> Result<Table<T>> {
        let store = Store::open(path.as_ref(), &self.settings)?;
        Table::new(store)
    }

    /// Opens a table, or makes it if there is none. Any number of processes can do this at once: they get one table.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use locule::Table;
    ///
    /// let open = || Table::<Visit>::options().capacity(100).open_or_create(&path);
    /// let (first, second) = (open()?, open()?);
    /// first.insert(&Visit { id: 42, hits: 7 })?;
    /// assert!(second.contains_key(&42)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(self, path: impl AsRef<Path>) -> Result<Table<T>> {
        let store = create::open_or_create(path.as_ref(), || self.plan(), &self.settings)?;
        Table::new(store)
    }

    /// Opens a table for reading. Nothing of the file is changed, and no mutex is taken; only [`Table::wait`] leaves a
    /// mark in the file, by which it is woken, if the process may write the file. If the file needs a recovery, this handle works on a recovered copy in its own memory, which does not change any more, and
    /// [`recovery`](Table::recovery) says so.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// use locule::{Error, Table};
    ///
    /// # let _table = Table::<Visit>::create(&path, 100)?;
    /// let view = Table::<Visit>::options().verify_reads(false).open_read_only(&path)?;
    /// assert_eq!(view.len()?, 0);
    /// assert!(matches!(view.insert(&Visit { id: 42, hits: 7 }), Err(Error::ReadOnly { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<Table<T>> {
        let store = Store::open_read_only(path.as_ref(), &self.settings)?;
        Table::new(store)
    }

    fn plan(&self) -> Result<Plan> {
        let Some(schema) = &self.settings.required_schema else {
            let reason = "a table that is to be made needs a schema: say which with `schema` of its options".to_owned();
            return Err(Error::InvalidArgument { reason });
        };
        Ok(Plan { capacity: self.capacity, mode: self.mode, schema: Arc::clone(schema) })
    }
}
