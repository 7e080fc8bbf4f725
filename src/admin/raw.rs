//! The slots of a file as they are, byte by byte.

use super::cell::content_of;
use crate::error::{Error, Result};
use crate::file::remains::Remains;
use crate::format::cell::CELLS_PER_SLOT;
use crate::schema::Schema;
use std::fmt;
use std::path::Path;

/// Reads slots as they are in the file: the head and the four cells of each, whatever they hold. It believes nothing but the
/// header, takes no lock and changes nothing. While others write, a slot can be seen half changed.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::create(&path, 100)?;
/// let id = table.insert(&Visit { id: 42, hits: 7 })?;
/// table.update(id, |visit| visit.hits += 1)?;
/// let slot = locule::admin::raw_slots(&path)?.nth(0).ok_or("no slot")??;
/// let current = &slot.cells[usize::from(slot.current_cell)];
/// assert!(slot.is_live && current.number == slot.number && current.update_count == 1);
/// // The record before is still there.
/// assert_eq!(slot.cells.iter().filter(|cell| cell.number != 0).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`salvage`](super::salvage()). A slot that cannot be read is an item.
pub fn raw_slots(path: impl AsRef<Path>) -> Result<RawSlots> {
    let remains = Remains::open(path.as_ref(), &super::settings())?;
    Ok(RawSlots { remains, next_slot: 0 })
}

/// The slots of a file, one after the other; made by [`raw_slots`]. Skipping some, by `nth`, does not read them.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// assert_eq!(locule::admin::raw_slots(&path)?.count(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct RawSlots {
    remains: Remains,
    next_slot: u32,
}

/// A slot as it is in the file. `format.md` has the meaning of each part.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// let first = locule::admin::raw_slots(&path)?.next().ok_or("no slot")??;
/// assert!(first.number == 0 && !first.is_live);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawSlot {
    /// Which slot.
    pub slot: u32,
    /// Where its head is in the file.
    pub head_offset_bytes: u64,
    /// The transaction that the head names; 0 if the slot was never written.
    pub number: u64,
    /// Whether the head says that there is a record.
    pub is_live: bool,
    /// Which cell the head names, 0 to 3.
    pub current_cell: u8,
    /// The cells.
    pub cells: [RawCell; 4],
}

/// A cell as it is in the file.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::create(&path, 100)?;
/// table.insert(&Visit { id: 42, hits: 7 })?;
/// let slot = locule::admin::raw_slots(&path)?.next().ok_or("no slot")??;
/// let current = &slot.cells[usize::from(slot.current_cell)];
/// assert!(current.problem.is_none() && current.payload[..8] == 42_u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawCell {
    /// Where the cell is in the file.
    pub offset_bytes: u64,
    /// The transaction that wrote the cell; 0 if it holds nothing.
    pub number: u64,
    /// The generation of the record, which makes its id out of the slot.
    pub generation: u64,
    /// Whether it holds a record, and not a tombstone.
    pub is_live: bool,
    /// How often the record was updated.
    pub update_count: u32,
    /// The check over all of the cell.
    pub check: u32,
    /// The bytes of the record, and zeros up to a whole word.
    pub payload: Vec<u8>,
    /// What is wrong with the cell; `None` if it holds nothing, or what it holds is whole.
    pub problem: Option<String>,
}

impl RawSlots {
    /// The schema of the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// assert_eq!(locule::admin::raw_slots(&path)?.schema().to_string(), "key id: u64, hits: u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.remains.header().schema
    }

    /// How many slots the table has, whether the file holds all of them or was cut short.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// assert_eq!(locule::admin::raw_slots(&path)?.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.remains.header().geometry.capacity()
    }

    fn read(&mut self, slot: u32) -> Result<RawSlot> {
        let head = self.remains.read_head(slot)?;
        let cells =
            [self.read_cell(slot, 0)?, self.read_cell(slot, 1)?, self.read_cell(slot, 2)?, self.read_cell(slot, 3)?];
        Ok(RawSlot {
            slot,
            head_offset_bytes: self.remains.head_offset_bytes(slot),
            number: head.number(),
            is_live: head.is_live(),
            current_cell: u8::try_from(head.cell()).unwrap_or(0),
            cells,
        })
    }

    fn read_cell(&mut self, slot: u32, cell: u32) -> Result<RawCell> {
        let mut payload = vec![0; self.remains.header().geometry.record_words()];
        let outcome = self.remains.read_cell(slot, cell, &mut payload);
        let header = outcome.map_err(Error::io("read", self.remains.path()))?;
        Ok(RawCell {
            offset_bytes: self.remains.offset_bytes(slot, cell),
            number: header.number,
            generation: header.generation,
            is_live: header.is_live,
            update_count: header.update_count,
            check: header.check,
            problem: content_of(self.schema(), &header, &payload).err(),
            payload: bytemuck::cast_slice(&payload).to_vec(),
        })
    }
}

impl Iterator for RawSlots {
    type Item = Result<RawSlot>;

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, skipped_count: usize) -> Option<Self::Item> {
        let slot = self.next_slot.saturating_add(u32::try_from(skipped_count).unwrap_or(u32::MAX));
        let is_there = slot < self.capacity() && !self.remains.ends_before(slot);
        self.next_slot = if is_there { slot.saturating_add(1) } else { u32::MAX };
        is_there.then(|| self.read(slot))
    }
}

impl std::iter::FusedIterator for RawSlots {}

impl fmt::Debug for RawSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSlots").field("next_slot", &self.next_slot).finish_non_exhaustive()
    }
}

const _: () = assert!(CELLS_PER_SLOT == 4, "what a slot is shown as has as many");
