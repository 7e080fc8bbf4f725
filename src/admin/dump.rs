//! Every record of a table as named values.

use super::readable::read_through;
use crate::engine::Store;
use crate::engine::outcome::Recovery;
use crate::error::{Error, Result};
use crate::file::open_read_only::{Belief, FileForReading};
use crate::record_id::RecordId;
use crate::schema::Schema;
use crate::value::untyped::Value;
use std::fmt;
use std::path::Path;

/// Reads every record of a table by the schema in its file.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// # table.insert(&Visit { id: 42, hits: 7 })?;
/// let dump = locule::admin::dump(&path)?;
/// let names: Vec<String> = dump.schema().fields().iter().map(|field| field.name().to_owned()).collect();
/// for row in dump {
///     for (name, value) in names.iter().zip(&row?.values) {
///         println!("{name} = {value}");
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`DoesNotExist`](Error::DoesNotExist), [`Foreign`](Error::Foreign) if the file is not a locule table or its header
/// is damaged, [`Damaged`](Error::Damaged) if it needs a recovery that is not possible (then
/// [`salvage`](super::salvage) gives what is left), [`Timeout`](Error::Timeout) if another process was opening it all
/// the time, [`Recovered`](Error::Recovered) or [`Superseded`](Error::Superseded) if it was recovered or replaced
/// meanwhile, [`Io`](Error::Io).
pub fn dump(path: impl AsRef<Path>) -> Result<Dump> {
    let (path, settings) = (path.as_ref(), super::settings());
    read_through(path)?;
    match Store::open_read_only(path, &settings) {
        // Damage is no reason to hide the rest, unless the marks of the file speak against reading it.
        Err(damage @ Error::Damaged { .. }) => match Store::open_for_reading(path, &settings, Belief::Marks)? {
            FileForReading { store, recovery_reason: None, .. } => Dump::of(store),
            _ => Err(damage),
        },
        opened => Dump::of(opened?),
    }
}

/// The records of a table, one slot after the other; made by [`dump`].
///
/// They are those of one moment, from a copy that was made then. The newest transaction is there as a whole, even one
/// that a dead writer prepared but did not publish. If no such copy could be made
/// ([`is_of_one_moment`](Self::is_of_one_moment)), each record is still whole: one that is there all the time is seen
/// exactly once, and one that is inserted or deleted meanwhile may be seen or not.
///
/// After an error the iteration goes on with the next slot, so that one damaged record does not hide the others.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// # table.insert(&Visit { id: 42, hits: 7 })?;
/// let dump = locule::admin::dump(&path)?;
/// assert!(dump.is_of_one_moment());
/// for row in dump {
///     println!("{:?}", row?.values);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Dump {
    store: Store,
    recovery: Recovery,
    is_of_one_moment: bool,
    /// Why no copy is of one moment, however long it is tried.
    damage: Option<Error>,
    next_slot: u32,
    payload: Vec<u64>,
}

/// A record as it was read, without its type.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// let id = table.insert(&Visit { id: 42, hits: 7 })?;
/// table.update(id, |visit| visit.hits += 1)?;
/// let row = locule::admin::dump(&path)?.next().ok_or("no row")??;
/// assert_eq!((row.id, row.update_count), (id, 1));
/// assert_eq!(row.values, [42_u64.into(), 8_u32.into()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DumpedRow {
    /// Which record it is, until it is deleted.
    pub id: RecordId,
    /// The number of the transaction that last wrote the record.
    pub version: u64,
    /// How often the record was updated since it was inserted.
    pub update_count: u32,
    /// One value for each field, in the order of the schema.
    pub values: Vec<Value>,
}

impl Dump {
    pub(super) fn of(store: Store) -> Result<Self> {
        let (recovery, payload) = (*store.recovery(), vec![0; store.geometry().record_words()]);
        let of =
            |store, is_of_one_moment, damage| Dump { store, recovery, is_of_one_moment, damage, next_slot: 0, payload };
        if recovery.is_private_copy {
            return Ok(of(store, true, None));
        }
        match store.copy_of_newest_state() {
            Ok(copy) => Ok(of(copy, true, None)),
            Err(Error::SnapshotBusy { .. }) => Ok(of(store, false, None)),
            Err(damage @ Error::Damaged { .. }) => Ok(of(store, false, Some(damage))),
            Err(error) => Err(error),
        }
    }

    /// The schema of the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
    /// assert_eq!(locule::admin::dump(&path)?.schema().to_string(), "key id: u64, hits: u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.store.header().schema
    }

    /// Whether the records are those of the file as it is, or of a copy that had to be recovered, and what that found.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
    /// // In the same boot there is nothing to be recovered.
    /// assert!(!locule::admin::dump(&path)?.recovery().is_private_copy);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Whether all records are those of one moment. They are not if others wrote so much for five seconds that no copy
    /// of one moment could be made, or if the table is damaged; then the first item says how.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
    /// assert!(locule::admin::dump(&path)?.is_of_one_moment()); // no process writes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_of_one_moment(&self) -> bool {
        self.is_of_one_moment
    }

    fn read(&mut self, slot: u32) -> Result<Option<DumpedRow>> {
        let Some(meta) = self.store.read_slot(slot, &mut self.payload)? else { return Ok(None) };
        let values = self.schema().decode_record(&self.payload).map_err(|error| match error {
            Error::Damaged { reason } => Error::damaged(format!("the record in slot {slot}: {reason}")),
            other => other,
        })?;
        Ok(Some(DumpedRow { id: meta.id, version: meta.version, update_count: meta.update_count, values }))
    }
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dump { recovery, is_of_one_moment, next_slot, .. } = self;
        f.debug_struct("Dump")
            .field("recovery", recovery)
            .field("is_of_one_moment", is_of_one_moment)
            .field("next_slot", next_slot)
            .finish_non_exhaustive()
    }
}

impl Iterator for Dump {
    type Item = Result<DumpedRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(damage) = self.damage.take() {
            return Some(Err(damage));
        }
        while self.next_slot < self.store.geometry().capacity() {
            let slot = self.next_slot;
            self.next_slot += 1;
            if let Some(row) = self.read(slot).transpose() {
                return Some(row);
            }
        }
        None
    }
}

impl std::iter::FusedIterator for Dump {}
