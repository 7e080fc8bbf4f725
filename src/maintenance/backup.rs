//! Copies of a table: made, and put in its place.

use crate::engine::copy::CopyOfNewest;
use crate::engine::{Settings, Store};
use crate::error::{Error, Result};
use crate::file::create::retire;
use crate::file::image::{Continuation, Image};
use crate::file::open::GatedFile;
use crate::file::temporary::remove_leftovers;
use crate::format::header::Header;
use crate::sys::attachment::{absolute, random_word};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// What was copied by [`backup`] or [`restore`].
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let (path, copy) = (directory.path().join("visits.loc"), directory.path().join("copy.loc"));
/// # let table = locule::Table::<Visit>::create(&path, 100)?;
/// let id = table.insert(&Visit { id: 42, hits: 7 })?;
/// let copied = locule::maintenance::backup(&path, &copy)?;
/// assert_eq!(copied.live_count, 1);
/// assert_eq!(Some(copied.number), table.get(id)?.map(|row| row.version()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// How many records.
    pub live_count: u64,
    /// The number of the last transaction that they include.
    pub number: u64,
}

/// Copies a table into a new file, as its newest transaction left it. The copy is a whole table, on the disk when this
/// returns, and has the permissions of the original.
///
/// No lock is taken, and nobody waits: others can write meanwhile. A table that needs a recovery is copied as it will be
/// after it, and is left as it is.
///
/// The copy can be opened, read and checked like any table. To go back to it, use [`restore`]: a copy that is put over
/// the original by other means gives out ids and numbers that the original may have given out since.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let (path, copy) = (directory.path().join("visits.loc"), directory.path().join("copy.loc"));
/// # let table = locule::Table::<Visit>::create(&path, 100)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// locule::maintenance::backup(&path, &copy)?;
/// table.insert(&Visit { id: 43, hits: 7 })?;
/// assert_eq!(locule::Table::<Visit>::open_read_only(&copy)?.len()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`AlreadyExists`](Error::AlreadyExists) if there is a file where the copy is to be, those of
/// [`OpenOptions::open_read_only`](crate::OpenOptions::open_read_only), [`SnapshotBusy`](Error::SnapshotBusy),
/// [`Io`](Error::Io) such as a full disk: then there is no copy.
pub fn backup(path: impl AsRef<Path>, copy: impl AsRef<Path>) -> Result<Copied> {
    let settings = &Settings { any_file_system: true, ..Settings::default() };
    let source = Store::open_read_only(path.as_ref(), settings)?;
    let copy = &absolute(copy.as_ref())?;
    if copy.symlink_metadata().is_ok() {
        return Err(Error::AlreadyExists { path: copy.to_owned() });
    }
    remove_leftovers(copy);
    let mode = std::fs::metadata(path.as_ref()).map_or(0o600, |metadata| metadata.permissions().mode() & 0o777);
    let mut image = Image::begin(copy, same_header(source.header())?, mode, None, settings)?;
    let number = copy_into(&mut image, &source)?;
    image.seal(Continuation { number, generation_floor: source.current_generation_floor() }, settings)?;
    let live_count = image.live_count();
    image.give_name()?;
    Ok(Copied { live_count, number })
}

/// Puts a backup in the place of a table, or where none is. The table's users get [`Superseded`](Error::Superseded), as
/// after [`OpenOptions::replace`](crate::OpenOptions::replace), and the backup stays as it is.
///
/// Ids and transaction numbers go on above those of both: no id that either table gave out comes again for another
/// record.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let (path, copy) = (directory.path().join("visits.loc"), directory.path().join("copy.loc"));
/// # let table = locule::Table::<Visit>::create(&path, 100)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// locule::maintenance::backup(&path, &copy)?;
/// let lost_id = table.insert(&Visit { id: 43, hits: 7 })?;
///
/// locule::maintenance::restore(&copy, &path)?;
/// table.reopen()?;
/// assert_eq!((table.len()?, table.contains_key(&43)?), (1, false));
/// assert_ne!(table.insert(&Visit { id: 44, hits: 7 })?, lost_id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`OpenOptions::open_read_only`](crate::OpenOptions::open_read_only) for the backup, and of
/// [`OpenOptions::replace`](crate::OpenOptions::replace) for the table. After an error the table is as it was.
pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Copied> {
    let settings = &Settings::default();
    let reading = Settings { any_file_system: true, ..settings.clone() };
    let source = Store::open_read_only(backup.as_ref(), &reading)?;
    let path = &absolute(path.as_ref())?;
    remove_leftovers(path);
    let header = same_header(source.header())?;
    let floor = source.current_generation_floor();
    let Some(entry) = GatedFile::enter_if_exists(path, settings)? else {
        let mut image = Image::begin(path, header, 0o600, None, settings)?;
        let number = copy_into(&mut image, &source)?;
        image.seal(Continuation { number, generation_floor: floor }, settings)?;
        let live_count = image.live_count();
        image.give_name()?;
        return Ok(Copied { live_count, number });
    };
    let mut image = Image::begin(path, header, 0o600, Some(entry.attachment().file()), settings)?;
    let number = copy_into(&mut image, &source)?;
    let live_count = image.live_count();
    retire(entry, settings, |old| {
        let given_out = old.highest_given_out();
        let after =
            Continuation { number: number.max(given_out.number), generation_floor: floor.max(given_out.generation) };
        image.seal(after, settings)?;
        image.exchange()
    })?;
    Ok(Copied { live_count, number })
}

/// A header of the same table: what follows its changes goes on with the copy, if that is not behind.
fn same_header(header: &Header) -> Result<Header> {
    let capacity = u64::from(header.geometry.capacity());
    Header::new(capacity, Arc::clone(&header.schema), header.uuid, random_word(), header.created_microseconds)
}

/// Puts every slot's visible cell into a new table. Returns the number of the state.
fn copy_into(image: &mut Image<'_>, source: &Store) -> Result<u64> {
    let mut copy = CopyOfNewest::begin(source)?;
    let state = copy.catch_up()?;
    for slot in 0..source.geometry().capacity() {
        if let Some((header, payload)) = copy.cell(slot) {
            image.put(slot, header, header.is_live.then_some(payload))?;
        }
    }
    Ok(state.number)
}
