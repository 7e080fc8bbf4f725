//! Copies of a table: made, and put in its place.

use crate::engine::copy::CopyOfNewest;
use crate::engine::outcome::Recovery;
use crate::engine::{Settings, Store};
use crate::error::{Error, Result};
use crate::file::create::{Fate, Permissions, retire};
use crate::file::image::{Continuation, Image};
use crate::file::open::GatedFile;
use crate::file::temporary::remove_leftovers;
use crate::format::gaps::{Gap, Gaps};
use crate::format::header::Header;
use crate::sys::attachment::{FileId, absolute, random_word};
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
/// assert!(copied.recovery.nothing_lost);
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
    /// What opening the original found. If that needs a recovery, this tells what the copy lacks.
    pub recovery: Recovery,
}

/// Copies a table into a new file, as its newest transaction left it. The copy is a whole table, on the disk when this
/// returns. It has the permissions of the original, as a
/// [replacement](crate::OpenOptions::replace) of it would have them.
///
/// No lock of the table is taken, and nobody waits: others can write meanwhile. A table that needs a recovery is copied as it
/// will be after it, and is left as it is: [`Copied::recovery`] tells what is lost in that. The copy can be on any file system, and no process sees it before it is whole.
///
/// The copy can be opened, read and checked like any table. To go back to it, use [`restore`]: if it is put over the original
/// by other means, ids and numbers that the original has given out since may come again.
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
/// [`Superseded`](Error::Superseded) or [`Recovered`](Error::Recovered) if the table was replaced or recovered meanwhile,
/// [`Io`](Error::Io) such as a full disk: then there is no copy.
pub fn backup(path: impl AsRef<Path>, copy: impl AsRef<Path>) -> Result<Copied> {
    let settings = &Settings { any_file_system: true, ..Settings::default() };
    let source = Store::open_read_only(path.as_ref(), settings)?;
    let copy = &absolute(copy.as_ref())?;
    if copy.symlink_metadata().is_ok() {
        // Checked first so that nothing large is written in vain; what decides is the link at the end.
        return Err(Error::AlreadyExists { path: copy.to_owned() });
    }
    remove_leftovers(copy);
    let Sealed { image, number, .. } = copy_of(&source, copy, path.as_ref(), settings)?;
    let live_count = image.live_count();
    image.give_name()?;
    Ok(Copied { live_count, number, recovery: *source.recovery() })
}

/// Puts a backup in the place of a table, or where none is. The table's users get [`Superseded`](Error::Superseded), as
/// after [`OpenOptions::replace`](crate::OpenOptions::replace), and its permissions are kept in the same way. The
/// backup stays as it is.
///
/// Ids and transaction numbers go on above those of both: no id that either table gave out comes again for another
/// record. A damaged table is replaced as long as its header is whole, and its length; another file has to be deleted first.
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
/// [`OpenOptions::replace`](crate::OpenOptions::replace) for the table; [`InvalidArgument`](Error::InvalidArgument) if both
/// are one file. After an error the table is as it was, except after one that is about flushing the directory, where the file
/// system cannot exchange two names: then a power cut may undo the change.
pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Copied> {
    let settings = &Settings::default();
    let reading = Settings { any_file_system: true, ..settings.clone() };
    let source = Store::open_read_only(backup.as_ref(), &reading)?;
    let path = &absolute(path.as_ref())?;
    let of_backup = std::fs::metadata(backup.as_ref()).map_err(Error::io("look at", backup.as_ref()))?;
    let of_table = path.symlink_metadata().ok();
    if of_table.as_ref().is_some_and(|of_table| FileId::of(of_table) == FileId::of(&of_backup)) {
        let reason = format!("{} is the table itself, and not a backup of it", backup.as_ref().display());
        return Err(Error::InvalidArgument { reason });
    }
    remove_leftovers(path);
    let same_permissions = if of_table.is_some() { path } else { backup.as_ref() };
    let Sealed { image, number, generation_floor, gaps } = copy_of(&source, path, same_permissions, settings)?;
    let live_count = image.live_count();
    match GatedFile::enter_if_exists(path, settings)? {
        None => image.give_name()?,
        Some(entry) => drop(retire(entry, Fate::Lost, settings, |leaving| {
            let given_out = leaving.store.given_out_at_most();
            let resumed = number.max(given_out.number.saturating_add(1));
            let after = Continuation {
                number: resumed,
                generation_floor: generation_floor.max(given_out.generation),
                gaps: gaps.with(Gap { chosen: number, resumed }),
            };
            image.seal(after, settings)?;
            leaving.announce();
            image.exchange()
        })?),
    }
    Ok(Copied { live_count, number, recovery: *source.recovery() })
}

/// A copy that is on the disk, but for its name.
struct Sealed<'a> {
    image: Image<'a>,
    /// The number of the state.
    number: u64,
    generation_floor: u64,
    gaps: Gaps,
}

/// Puts every slot's visible cell into a new table, for this path, with the permissions of another file.
fn copy_of<'a>(source: &Store, path: &'a Path, permissions: &Path, settings: &Settings) -> Result<Sealed<'a>> {
    let mut image = Image::begin(path, same_header(source.header())?, Permissions::Of(permissions), settings)?;
    let mut copy = CopyOfNewest::begin(source)?;
    let number = copy.catch_up()?.number;
    for slot in 0..source.geometry().capacity() {
        if let Some((header, payload)) = copy.cell(slot) {
            image.put(slot, header, header.is_live.then_some(payload))?;
        }
    }
    // Ids that were given out and given up: those of cells are known by the cells.
    let generation_floor = source.given_out().generation;
    let gaps = source.gaps()?;
    image.seal(Continuation { number, generation_floor, gaps }, settings)?;
    Ok(Sealed { image, number, generation_floor, gaps })
}

/// A header of the same table: what follows its changes goes on with the copy, if that is not behind.
fn same_header(header: &Header) -> Result<Header> {
    let capacity = u64::from(header.geometry.capacity());
    Header::new(capacity, Arc::clone(&header.schema), header.uuid, random_word(), header.created_microseconds)
}
