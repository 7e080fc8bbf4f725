//! Following the changes of a table.

use super::content::Content;
use super::row::Row;
use super::table::Table;
use crate::cursor::Cursor;
use crate::engine::changes::ChangedSlots;
use crate::error::Result;
use crate::record_id::RecordId;
use crate::schema::Schema;
use std::sync::Arc;
use std::time::Duration;

/// What became of one record.
///
/// A slot holds one record at a time, so a change says more than what became of its own record: every older record of
/// the same slot is gone. [`replaces`](Self::replaces) tells for any id whether it is one of those. What is kept by slot,
/// [`RecordId::slot`], needs no question: the change is put in the place of whatever was there.
///
/// ```
/// use locule::Change;
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 1)?;
/// let first = table.insert(&Visit { id: 1, hits: 0 })?;
/// let cursor = table.cursor()?;
/// // The table has one slot.
/// table.delete(first)?;
/// let second = table.insert(&Visit { id: 2, hits: 0 })?;
/// let changes: Vec<Change<Visit>> = table.changes_since(&cursor)?.into_iter().collect();
/// assert!(matches!(&changes[..], [Change::Put(row)] if row.id() == second));
/// assert!(changes[0].replaces(first) && changes[0].replaces(second));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change<T> {
    /// The record was inserted or updated, any number of times, and this is how it is now. Which of the two it was is not
    /// kept; a row that was never updated ([`Row::update_count`]) was inserted.
    Put(Row<T>),
    /// The record was deleted. It may have been inserted since the cursor too, and then nobody who follows has seen it.
    #[non_exhaustive]
    Deleted {
        /// The record.
        id: RecordId,
        /// The number of the transaction that deleted it.
        version: u64,
    },
}

impl<T> Change<T> {
    /// Which record it is about.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// let changes = table.changes_since(&table.first_cursor())?;
    /// assert_eq!(changes.iter().map(|change| change.id()).collect::<Vec<_>>(), [id]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> RecordId {
        match self {
            Change::Put(row) => row.id(),
            Change::Deleted { id, .. } => *id,
        }
    }

    /// The number of the transaction that made the last change of the record. Changes are in this order.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// let changes = table.changes_since(&table.first_cursor())?;
    /// // Both were made by one transaction.
    /// assert!(changes.iter().all(|change| change.version() == changes.cursor().number()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Change::Put(row) => row.version(),
            Change::Deleted { version, .. } => *version,
        }
    }

    /// Whether what is known of a record is out of date: it is the record that was changed, or was in its slot before. To
    /// apply a change to what was made of the records, forget all that it replaces, and add the row if there is one.
    ///
    /// ```
    /// use locule::{Change, RecordId};
    /// use std::collections::BTreeMap;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # let id = table.insert(&Visit { id: 42, hits: 1 })?;
    ///
    /// /// The visits by their keys.
    /// fn apply(visits: &mut BTreeMap<u64, (RecordId, u32)>, change: &Change<Visit>) {
    ///     visits.retain(|_, (id, _)| !change.replaces(*id));
    ///     if let Change::Put(row) = change {
    ///         visits.insert(row.id, (row.id(), row.hits));
    ///     }
    /// }
    ///
    /// let mut visits = BTreeMap::new();
    /// table.changes_since(&table.first_cursor())?.iter().for_each(|change| apply(&mut visits, change));
    /// assert_eq!(visits, BTreeMap::from([(42, (id, 1))]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn replaces(&self, id: RecordId) -> bool {
        id.slot() == self.id().slot() && id.generation() <= self.id().generation()
    }
}

/// What has changed since a [`Cursor`], as of one moment: what [`Table::changes_since`] returns. Each record that was
/// changed is there once, as it is now, in the order of the transactions that last changed them.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// let cursor = table.cursor()?;
/// let id = table.insert(&Visit { id: 42, hits: 1 })?;
/// table.update(id, |visit| visit.hits += 1)?;
/// let changes = table.changes_since(&cursor)?;
/// for change in &changes {
///     println!("record {} was changed by transaction {}", change.id(), change.version());
/// }
/// assert_eq!(changes.len(), 1);
/// // From here on nothing has changed.
/// assert!(table.changes_since(&changes.cursor())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<T> {
    changes: Vec<Change<T>>,
    /// What they have happened since.
    since: Cursor,
    /// Cursors of lower numbers cannot be followed.
    forgotten_below: u64,
    cursor: Cursor,
}

impl<T: Content> Changes<T> {
    fn of(found: &ChangedSlots, since: Cursor, schema: &Arc<Schema>) -> Result<Self> {
        let decoded = found.iter().map(|(meta, payload)| {
            let Some(payload) = payload else { return Ok(Change::Deleted { id: meta.id, version: meta.version }) };
            let mut words = T::zeroed(schema);
            for (target, word) in words.as_mut().iter_mut().zip(payload) {
                *target = *word;
            }
            Ok(Change::Put(Row::new(meta, T::from_words(&words, schema)?)))
        });
        let (changes, forgotten_below) = (decoded.collect::<Result<_>>()?, found.forgotten_below);
        Ok(Changes { changes, since, forgotten_below, cursor: found.cursor })
    }
}

impl<T> Changes<T> {
    /// The moment that they are of, from which the next changes are to be taken.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let mut cursor = table.first_cursor();
    /// for id in 0..3 {
    ///     table.insert(&Visit { id, hits: 1 })?;
    ///     let changes = table.changes_since(&cursor)?;
    ///     assert_eq!(changes.len(), 1);
    ///     cursor = changes.cursor();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The changes, one after the other.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// let changes = table.changes_since(&table.first_cursor())?;
    /// let put = changes.iter().filter(|change| matches!(change, locule::Change::Put(_)));
    /// assert_eq!(put.count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> std::slice::Iter<'_, Change<T>> {
        self.changes.iter()
    }

    /// The changes, each with the cursor to go on from once it is handled: what a program that handles them one by one
    /// keeps with its work. From that cursor, every change behind the one that it came with is told. One before it is told
    /// again only if no cursor between the two could be followed: because both are of one transaction, or because they are so
    /// old that the table has been recovered more than eight times since.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 1, hits: 1 })?;
    /// table.write(|transaction| {
    ///     transaction.insert(&Visit { id: 2, hits: 1 })?;
    ///     transaction.insert(&Visit { id: 3, hits: 1 })
    /// })?;
    /// let changes = table.changes_since(&table.first_cursor())?;
    /// let left: Vec<usize> = changes
    ///     .with_cursors()
    ///     .map(|(_, cursor)| Ok(table.changes_since(&cursor)?.len()))
    ///     .collect::<locule::Result<_>>()?;
    /// assert_eq!(left, [2, 2, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_cursors(&self) -> impl Iterator<Item = (&Change<T>, Cursor)> {
        let mut cursor = self.since;
        let mut changes = self.changes.iter().peekable();
        std::iter::from_fn(move || {
            let change = changes.next()?;
            match changes.peek() {
                Some(next) if next.version() == change.version() => {}
                // After so many recoveries only all that is so old can come again.
                Some(_) if change.version() < self.forgotten_below => {}
                Some(_) => cursor = Cursor { number: change.version(), ..self.cursor },
                None => cursor = self.cursor,
            }
            Some((change, cursor))
        })
    }

    /// How many records were changed.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert_eq!(table.changes_since(&table.first_cursor())?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether no record was changed. The cursor may be newer nevertheless.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert!(table.changes_since(&table.cursor()?)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl<T> IntoIterator for Changes<T> {
    type Item = Change<T>;
    type IntoIter = std::vec::IntoIter<Change<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.changes.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Changes<T> {
    type Item = &'a Change<T>;
    type IntoIter = std::slice::Iter<'a, Change<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Content> Table<T> {
    /// The cursor of this moment: [`changes_since`](Self::changes_since) it tells what happens from now on.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 1, hits: 1 })?;
    /// let cursor = table.cursor()?;
    /// let id = table.insert(&Visit { id: 2, hits: 1 })?;
    /// let changes = table.changes_since(&cursor)?;
    /// assert!(changes.iter().map(|change| change.id()).eq([id]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [any call](Self#errors-that-any-call-can-return).
    pub fn cursor(&self) -> Result<Cursor> {
        Ok(self.store().newest_cursor()?)
    }

    /// The cursor from before the first transaction of this table, which is never lost: the changes since then are all
    /// records that there are, and the newest deletion of each slot that is free.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let deleted = table.insert(&Visit { id: 1, hits: 1 })?;
    /// let id = table.insert(&Visit { id: 2, hits: 1 })?;
    /// table.delete(deleted)?;
    /// let changes = table.changes_since(&table.first_cursor())?;
    /// assert!(changes.iter().map(|change| change.id()).eq([id, deleted]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn first_cursor(&self) -> Cursor {
        self.store().first_cursor()
    }

    /// What has changed since a cursor, and the cursor to go on from. Nothing is missed and nothing is seen half: all of
    /// it is of one moment, as in a [`snapshot`](Self::snapshot), so of each transaction there is everything or nothing.
    ///
    /// Each record that was changed is there once, as it is now. What it was in between, and how often it was changed, is
    /// not kept. It costs a look at eight bytes for each slot of the table, and then a copy of each record that was
    /// changed; nothing at all is written anywhere when nobody follows.
    ///
    /// Like a snapshot, it takes no lock unless others wrote during 16 tries, and then holds them up for as long as
    /// one more takes; a read-only handle makes a copy instead.
    ///
    /// This is a whole program that keeps a copy of a table, and goes on where it was after a restart, after a power cut
    /// of either side, and when the table was replaced:
    ///
    /// ```
    /// use locule::{Change, Cursor, Error, Result, Row, Table};
    /// use std::collections::HashMap;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    ///
    /// /// The records by slot, and what they are as of.
    /// struct Mirror {
    ///     rows: HashMap<u32, Row<Visit>>,
    ///     cursor: Cursor,
    /// }
    ///
    /// impl Mirror {
    ///     fn catch_up(&mut self, table: &Table<Visit>) -> Result<()> {
    ///         let changes = match table.changes_since(&self.cursor) {
    ///             Err(Error::CursorLost { .. }) => {
    ///                 self.rows.clear();
    ///                 table.changes_since(&table.first_cursor())?
    ///             }
    ///             changes => changes?,
    ///         };
    ///         self.cursor = changes.cursor();
    ///         for change in changes {
    ///             match change {
    ///                 Change::Put(row) => self.rows.insert(row.id().slot(), row),
    ///                 deleted => self.rows.remove(&deleted.id().slot()),
    ///             };
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut mirror = Mirror { rows: HashMap::new(), cursor: table.first_cursor() };
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// mirror.catch_up(&table)?;
    /// table.update(id, |visit| visit.hits += 1)?;
    /// mirror.catch_up(&table)?;
    /// assert_eq!(mirror.rows[&id.slot()].hits, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CursorLost`](crate::Error::CursorLost) if what has happened since cannot be told; it is never skipped in
    /// silence. As [`snapshot`](Self::snapshot), and [`Damaged`](crate::Error::Damaged) if a record does not have its
    /// checksum.
    pub fn changes_since(&self, cursor: &Cursor) -> Result<Changes<T>> {
        let store = self.store();
        Changes::of(&store.changes_since(*cursor)?, *cursor, store.schema())
    }

    /// What has changed up to the newest sync, and so survives a power cut. A program that passes on nothing else never has
    /// to take anything back. The cursor of these changes is that of the sync, or the one that was given, if that is newer.
    /// A cursor of a sync is not lost by a power cut; for all else see [`Cursor`]. It takes no lock.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(9).sync_every(None).create(&path)?;
    /// let cursor = table.cursor()?;
    /// table.insert(&Visit { id: 1, hits: 1 })?;
    /// assert!(table.synced_changes_since(&cursor)?.is_empty());
    /// table.sync()?;
    /// table.insert(&Visit { id: 2, hits: 1 })?;
    /// assert_eq!(table.synced_changes_since(&cursor)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`changes_since`](Self::changes_since); [`SnapshotBusy`](crate::Error::SnapshotBusy) if there was another sync
    /// during each try, for as long as the lock timeout.
    pub fn synced_changes_since(&self, cursor: &Cursor) -> Result<Changes<T>> {
        let store = self.store();
        Changes::of(&store.synced_changes_since(*cursor)?, *cursor, store.schema())
    }

    /// Sleeps until something was published after a cursor, by any process, but no longer than the timeout. Returns
    /// whether something was.
    ///
    /// The thread sleeps in the kernel, and costs nothing until a writer wakes it. A writer pays for that only if
    /// somebody waits. If a writer is killed in the very instant between publishing and waking, the next one wakes; and
    /// ten seconds later the thread looks by itself.
    ///
    /// A read-only handle waits in the same way, if its process may open the file for writing: to be woken it has to
    /// leave a mark in the file's control region. That is the only thing that a read-only handle ever changes. A process
    /// that may not write to the file looks every five milliseconds instead.
    ///
    /// ```
    /// use std::time::Duration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let mut cursor = table.cursor()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| table.insert(&Visit { id: 42, hits: 1 }).unwrap());
    ///     while !table.wait(&cursor, Duration::from_secs(60))? {}
    ///     let changes = table.changes_since(&cursor)?;
    ///     cursor = changes.cursor();
    ///     assert_eq!(changes.len(), 1);
    ///     Ok::<_, locule::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # In async programs
    ///
    /// A thread of its own waits, and passes on what it gets: with tokio, `tokio::task::spawn_blocking` and one of its
    /// channels. With any other event loop it can write to a socket or a pipe, whose other end the loop
    /// watches:
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let table = Arc::new(table);
    /// let mut cursor = table.cursor()?;
    /// let (mut watched, mut signal) = UnixStream::pair()?; // or a pipe, an eventfd, a channel
    /// let waiting = Arc::clone(&table);
    /// let waiter = std::thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     loop {
    ///         if waiting.wait(&cursor, Duration::from_secs(3600))? {
    ///             cursor = waiting.cursor()?;
    ///             signal.write_all(&[1])?; // an error once nobody watches any more ends the thread
    ///         }
    ///     }
    /// });
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// watched.read_exact(&mut [0])?; // the event loop says that this can be read
    /// # drop(watched);
    /// # table.insert(&Visit { id: 43, hits: 1 })?;
    /// # assert!(waiter.join().unwrap().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`CursorLost`](crate::Error::CursorLost); [`Nested`](crate::Error::Nested) inside a closure of this table; those of
    /// [any call](Self#errors-that-any-call-can-return): a thread that sleeps is woken when its handle ends, and returns
    /// why.
    pub fn wait(&self, cursor: &Cursor, timeout: Duration) -> Result<bool> {
        self.store().wait(*cursor, timeout)
    }

    /// The same for what was synced: sleeps until something that was published after the cursor survives a power cut.
    /// It leaves no mark in the file.
    ///
    /// ```
    /// use std::time::Duration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(9).sync_every(None).create(&path)?;
    /// let cursor = table.cursor()?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// assert!(!table.wait_synced(&cursor, Duration::ZERO)?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| table.sync().unwrap());
    ///     assert!(table.wait_synced(&cursor, Duration::from_secs(60))?);
    ///     Ok::<_, locule::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); [`FlushFailed`](crate::Error::FlushFailed) if no sync can succeed any more.
    pub fn wait_synced(&self, cursor: &Cursor, timeout: Duration) -> Result<bool> {
        self.store().wait_synced(*cursor, timeout)
    }
}
