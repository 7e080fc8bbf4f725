//! A whole table that is written record by record, from another one or from what is left of one, before it has a name.
//!
//! It is written into the first cell of each slot, with one sync record, and nothing in the control group but, if that is
//! known, that nothing is missing: as if it had been used before, and the power had failed. Its first opener recovers it,
//! and so gives it everything else.
//!
//! Invariant: `digest` and `live_count` are those of the cells that were put.

use crate::engine::Settings;
use crate::engine::attach::sealed_incarnation;
use crate::error::{Error, Result};
use crate::file::create::{Permissions, new_file};
use crate::file::name::Name;
use crate::file::temporary::TemporaryName;
use crate::format::cell::{CELL_HEADER_WORDS, CellHeader};
use crate::format::checksum::{crc32, digest_of_cell};
use crate::format::control::INCARNATION;
use crate::format::gaps::Gaps;
use crate::format::geometry::{widen, word};
use crate::format::header::Header;
use crate::format::sync_record::{State, SyncRecord};
use crate::record_id::RecordId;
use crate::sys::attachment::{Attachment, Incarnation};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A table that is being written.
pub struct Image<'a> {
    header: Header,
    /// Its gate is held.
    attachment: Attachment,
    temporary: Option<TemporaryName>,
    name: Name<'a>,
    /// The cell that was put into each slot; its number is 0 if there is none.
    cells: Vec<CellHeader>,
    digest: u64,
    live_count: u64,
    /// The words of one cell.
    buffer: Vec<u64>,
}

/// What a table that takes the place of another goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The number of the state: not below that of any cell, and not 0.
    pub number: u64,
    /// Not below the generation of any record that there ever was, but for those whose slots have a cell that says it.
    pub generation_floor: u64,
    /// Which numbers are not of the table's past.
    pub gaps: Gaps,
}

impl<'a> Image<'a> {
    /// Begins a table with this header, for this path.
    pub fn begin(path: &'a Path, header: Header, permissions: Permissions<'_>, settings: &Settings) -> Result<Self> {
        let new = new_file(path, &header, permissions, settings)?;
        let name = Name::of(path, new.attachment.file())?;
        Ok(Image {
            cells: vec![CellHeader::from_words([0; CELL_HEADER_WORDS]); widen(header.geometry.capacity())],
            digest: header.digest_seed(),
            live_count: 0,
            buffer: vec![0; header.geometry.cell_words()],
            attachment: new.attachment,
            temporary: new.temporary,
            name,
            header,
        })
    }

    /// How many records were put.
    pub fn live_count(&self) -> u64 {
        self.live_count
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The id of the record that was put into a slot.
    pub fn id_in(&self, slot: u32) -> RecordId {
        RecordId::new(slot, self.cells.get(widen(slot)).map_or(0, |cell| cell.generation))
    }

    /// Puts a record into a slot, or the tombstone of one if there is no payload, in the place of what was put there
    /// before. What it is besides its content is taken from `meta`, whose check does not matter.
    pub fn put(&mut self, slot: u32, meta: CellHeader, payload: Option<&[u64]>) -> Result<()> {
        let Some(old) = self.cells.get_mut(widen(slot)) else { return Err(no_such_slot(slot, &self.header)) };
        let crc = payload.map_or(0, |payload| crc32(bytemuck::cast_slice(payload)));
        let new = CellHeader::new(meta.number, meta.generation, payload.is_some(), meta.update_count, crc);
        if old.number != 0 {
            self.digest = self.digest.wrapping_sub(digest_of_cell(slot, old.number, old.check));
            self.live_count -= u64::from(old.is_live);
        }
        self.digest = self.digest.wrapping_add(digest_of_cell(slot, new.number, new.check));
        self.live_count += u64::from(new.is_live);
        *old = new;
        let (start, content) = self.buffer.split_at_mut(CELL_HEADER_WORDS);
        start.copy_from_slice(&new.to_words());
        content.fill(0);
        content.iter_mut().zip(payload.unwrap_or_default()).for_each(|(target, source)| *target = *source);
        self.write(self.header.geometry.cell(slot, 0), &self.buffer)
    }

    /// Takes a record out again, as if it had been deleted. Returns its id.
    pub fn take_out(&mut self, slot: u32) -> Result<RecordId> {
        let Some(header) = self.cells.get(widen(slot)).copied() else { return Err(no_such_slot(slot, &self.header)) };
        self.put(slot, header, None)?;
        Ok(self.id_in(slot))
    }

    /// Notes that nothing of the table is missing: so its first opener, if that is in this boot and finds this very file,
    /// need not leave out ids and numbers for what may have been lost.
    pub fn note_that_nothing_is_missing(&self) -> Result<()> {
        let incarnation = Incarnation::current(self.attachment.id(), self.attachment.path(), None)?;
        self.write(self.header.geometry.control() + INCARNATION, &sealed_incarnation(&incarnation))
    }

    /// Makes everything that was put the state of the table, and waits until it is on the disk.
    pub fn seal(&self, after: Continuation, settings: &Settings) -> Result<()> {
        let record = SyncRecord {
            state: State { number: after.number, live_count: self.live_count, digest: self.digest },
            predecessor: after.number,
            generation_floor: after.generation_floor,
            wall_time_microseconds: (settings.wall_clock)(),
            gaps: after.gaps,
        };
        self.write(self.header.geometry.sync_record(0), &record.to_words(self.header.digest_seed()))?;
        self.attachment.file().sync_all().map_err(Error::io("flush", self.attachment.path()))
    }

    fn write(&self, first_word: usize, words: &[u64]) -> Result<()> {
        let written = self.attachment.file().write_all_at(bytemuck::cast_slice(words), word(first_word) * 8);
        written.map_err(Error::io("write", self.attachment.path()))
    }

    /// Gives the table its name, which no other file may have.
    pub fn give_name(self) -> Result<()> {
        self.name.give(self.temporary.as_ref())?;
        self.name.make_last().inspect_err(|_| self.name.take_away())
    }

    /// Gives the table the name of the one that it replaces. That one then has the temporary name that is returned, and is
    /// deleted with it.
    pub fn exchange(self) -> Result<TemporaryName> {
        let Image { name, temporary, attachment, .. } = self;
        let temporary = temporary.map_or_else(|| name.give_temporary(), Ok)?;
        name.exchange(&temporary, || attachment.leave_gate())?;
        Ok(temporary)
    }
}

#[cold]
fn no_such_slot(slot: u32, header: &Header) -> Error {
    let reason = format!("a table of {} slots has no slot {slot}", header.geometry.capacity());
    Error::InvalidArgument { reason }
}
