//! Saving what can be saved of a damaged file.

use crate::admin::Problem;
use crate::admin::salvage::{Salvage, SalvagedCell, SalvagedSlot, salvage};
use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::file::create::Permissions;
use crate::file::image::{Continuation, Image};
use crate::file::temporary::remove_leftovers;
use crate::format::cell::GENERATION_LIMIT;
use crate::format::gaps::Gaps;
use crate::format::header::Header;
use crate::record_id::RecordId;
use crate::sys::attachment::{absolute, random_uuid, random_word};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What [`repair`] saved, and what it could not save.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let (path, new) = (directory.path().join("visits.loc"), directory.path().join("new.loc"));
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// let repaired = locule::maintenance::repair(&path, &new)?;
/// repaired.problems.iter().for_each(|problem| eprintln!("{problem}"));
/// println!("{} records were saved", repaired.live_count);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// How many records the new table has.
    pub live_count: u64,
    /// What is wrong with the file, place by place.
    pub problems: Vec<Problem>,
    /// Records that were left out since another one, which was written later, has their key.
    pub left_out: Vec<RecordId>,
}

/// Saves every record of a damaged file whose own checksum holds into a new table. The damaged file stays as it is.
///
/// Records keep their ids and versions. In each slot the newest cell that is whole is taken, as
/// [`salvage`](crate::admin::salvage) does, whose promises are those of this function: a record is what a writer once
/// put there, and may be older or newer than the last sync. Of two records with one key the newer is kept. Ids and numbers go
/// on above all that the file tells of, and far above that, since it does not tell all.
///
/// For a table that can be opened this is the wrong way: opening it recovers it, and [`backup`](super::backup) copies it.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let (path, new) = (directory.path().join("visits.loc"), directory.path().join("new.loc"));
/// # let table = locule::Table::<Visit>::create(&path, 100)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// # drop(table);
/// let repaired = locule::maintenance::repair(&path, &new)?;
/// assert_eq!((repaired.live_count, repaired.problems.len()), (1, 0));
/// assert!(locule::Table::<Visit>::open(&new)?.contains_key(&42)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`AlreadyExists`](Error::AlreadyExists) if there is a file where the new one is to be, those of
/// [`salvage`](crate::admin::salvage), [`Io`](Error::Io): then there is no new file.
pub fn repair(path: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<Repaired> {
    let settings = &Settings { any_file_system: true, ..Settings::default() };
    let mut remains = salvage(path.as_ref())?;
    let new = &absolute(new.as_ref())?;
    if new.symlink_metadata().is_ok() {
        return Err(Error::AlreadyExists { path: new.to_owned() });
    }
    remove_leftovers(new);
    let header = new_header(remains.header())?;
    let mut image = Image::begin(new, header, Permissions::Of(path.as_ref()), settings)?;
    let saved = save_all(&mut remains, &mut image)?;
    image.seal(saved.after, settings)?;
    let live_count = image.live_count();
    image.give_name()?;
    Ok(Repaired { live_count, problems: saved.problems, left_out: saved.left_out })
}

/// To those that follow its changes it is another table: it may have lost some.
fn new_header(header: &Header) -> Result<Header> {
    let capacity = u64::from(header.geometry.capacity());
    Header::new(capacity, Arc::clone(&header.schema), random_uuid(), random_word(), header.created_microseconds)
}

struct Saved {
    after: Continuation,
    problems: Vec<Problem>,
    left_out: Vec<RecordId>,
}

fn save_all(remains: &mut Salvage, image: &mut Image<'_>) -> Result<Saved> {
    let mut saved =
        Saved { after: given_out(remains), problems: remains.problems_with_the_file(), left_out: Vec::new() };
    // The slot and the version of the record with each key.
    let mut owners: HashMap<Vec<u8>, (u32, u64)> = HashMap::new();
    while let Some(SalvagedSlot { slot, newest, problems }) = remains.next_slot() {
        saved.problems.extend(problems);
        let Some(SalvagedCell { header, payload }) = newest else { continue };
        saved.after.number = saved.after.number.max(header.number);
        note_generation(&mut saved.after, header.generation);
        let key =
            payload.as_deref().and_then(|payload| image.header().geometry.key_bytes_of(payload)).map(<[u8]>::to_vec);
        if let Some(&(other, version)) = key.as_ref().and_then(|key| owners.get(key)) {
            let id = RecordId::new(slot, header.generation);
            if version > header.number {
                saved.left_out.push(id);
                continue;
            }
            saved.left_out.push(image.take_out(other)?);
        }
        if let Some(key) = key {
            owners.insert(key, (slot, header.number));
        }
        image.put(slot, header, payload.as_deref())?;
    }
    Ok(saved)
}

/// What the sync records tell, if they are whole. The number is at least 1: a state without one is that of a new table, in
/// which nothing was ever given out.
fn given_out(remains: &Salvage) -> Continuation {
    let mut after = Continuation { number: 1, generation_floor: 0, gaps: Gaps::default() };
    for record in remains.sync_records().into_iter().flatten() {
        after.number = after.number.max(record.state.number);
        note_generation(&mut after, record.generation_floor);
    }
    after
}

fn note_generation(after: &mut Continuation, generation: u64) {
    // One that leaves no next one does not count: all slots would be used up with the one that has it.
    if generation < GENERATION_LIMIT - 1 {
        after.generation_floor = after.generation_floor.max(generation);
    }
}
