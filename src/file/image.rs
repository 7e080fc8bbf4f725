//! A whole table that is written record by record, from another one or from what is left of one, before it has a name.
//!
//! It is written into the first cell of each slot, with one sync record, and nothing in the control group: as if it had
//! been used before, and the power had failed. Its first opener recovers it, and so gives it everything else.
//!
//! Invariant: `digest` and `live_count` are those of the cells that were put.

use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::file::create::new_file;
use crate::file::name::Name;
use crate::file::temporary::TemporaryName;
use crate::format::cell::{CELL_HEADER_WORDS, CellHeader};
use crate::format::checksum::{crc32, digest_of_cell};
use crate::format::geometry::{widen, word};
use crate::format::header::Header;
use crate::format::sync_record::{State, SyncRecord};
use crate::record_id::RecordId;
use crate::sys::attachment::Attachment;
use std::collections::HashMap;
use std::fs::File;
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
    /// The key of the record in each slot, and nothing for a slot without one.
    keys: Vec<Box<[u8]>>,
    digest: u64,
    live_count: u64,
    /// The bytes of one cell.
    buffer: Vec<u64>,
}

/// What a table that takes the place of another must go on from.
#[derive(Clone, Copy, Debug)]
pub struct Continuation {
    /// The number of the state: not below that of any cell.
    pub number: u64,
    /// Not below the generation of any record that there ever was.
    pub generation_floor: u64,
}

impl<'a> Image<'a> {
    /// Begins a table with this header, for this path. It gets the permissions of the file that it is to replace, or the
    /// mode.
    pub fn begin(
        path: &'a Path,
        header: Header,
        mode: u32,
        replaced: Option<&File>,
        settings: &Settings,
    ) -> Result<Self> {
        let new = new_file(path, &header, mode, replaced, settings)?;
        let name = Name::of(path, new.attachment.file())?;
        let slot_count = widen(header.geometry.capacity());
        Ok(Image {
            cells: vec![CellHeader::from_words([0; CELL_HEADER_WORDS]); slot_count],
            keys: vec![Box::default(); slot_count],
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
        self.note_key(slot, payload);
        self.write_cell(slot, new, payload.unwrap_or_default())
    }

    /// Takes a record out again, as if it had been deleted. Returns its id.
    pub fn take_out(&mut self, slot: u32) -> Result<RecordId> {
        let Some(header) = self.cells.get(widen(slot)).copied() else { return Err(no_such_slot(slot, &self.header)) };
        self.put(slot, header, None)?;
        Ok(RecordId::new(slot, header.generation))
    }

    fn note_key(&mut self, slot: u32, payload: Option<&[u64]>) {
        let Some(key) = self.keys.get_mut(widen(slot)) else { return };
        let new = payload.and_then(|payload| self.header.geometry.key_bytes_of(payload)).unwrap_or_default();
        if **key != *new {
            *key = new.into();
        }
    }

    fn write_cell(&mut self, slot: u32, header: CellHeader, payload: &[u64]) -> Result<()> {
        let (start, content) = self.buffer.split_at_mut(CELL_HEADER_WORDS);
        start.copy_from_slice(&header.to_words());
        content.fill(0);
        content.iter_mut().zip(payload).for_each(|(target, source)| *target = *source);
        let offset_bytes = word(self.header.geometry.cell(slot, 0)).saturating_mul(8);
        let written = self.attachment.file().write_all_at(bytemuck::cast_slice(&self.buffer), offset_bytes);
        written.map_err(Error::io("write", self.attachment.path()))
    }

    /// Checks that no two records have the same key.
    pub fn check_keys(&self) -> Result<()> {
        let mut slots: HashMap<&[u8], u32> = HashMap::with_capacity(self.keys.len());
        for (slot, key) in (0..).zip(&self.keys).filter(|(_, key)| !key.is_empty()) {
            if let Some(other) = slots.insert(key, slot) {
                return Err(self.duplicate(other, key));
            }
        }
        Ok(())
    }

    fn duplicate(&self, slot: u32, key: &[u8]) -> Error {
        let schema = &self.header.schema;
        let value = schema.key().and_then(|field| crate::schema::decode_value(field, key).ok());
        let generation = self.cells.get(widen(slot)).map_or(0, |cell| cell.generation);
        Error::DuplicateKey { key: value.unwrap_or_default().to_string(), id: RecordId::new(slot, generation) }
    }

    /// Makes everything that was put the state of the table, and waits until it is on the disk.
    pub fn seal(&self, after: Continuation, settings: &Settings) -> Result<()> {
        let record = SyncRecord {
            state: State { number: after.number, live_count: self.live_count, digest: self.digest },
            predecessor: after.number,
            generation_floor: after.generation_floor,
            wall_time_microseconds: (settings.wall_clock)(),
        };
        let words = record.to_words(self.header.digest_seed());
        let offset_bytes = word(self.header.geometry.sync_record(0)).saturating_mul(8);
        let file = self.attachment.file();
        let written = file.write_all_at(bytemuck::cast_slice(&words), offset_bytes).and_then(|()| file.sync_all());
        written.map_err(Error::io("write", self.attachment.path()))
    }

    /// Gives the table its name, which no other file may have.
    pub fn give_name(self) -> Result<()> {
        self.name.give(self.temporary.as_ref())?;
        self.name.make_last().inspect_err(|_| self.name.take_away())
    }

    /// Gives the table the name of the one that it replaces. That one then has the temporary name that is returned.
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
