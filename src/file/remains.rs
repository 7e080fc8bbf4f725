//! What is left of a file, cell by cell: nothing but its header is believed, and no lock is taken.
//!
//! The file is read and not mapped. So if part of it was cut off or lies on bad sectors, that costs the cells that were
//! there, and not the process.

use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::file::open::{open_file, read_header_alone};
use crate::format::cell::{CellHeader, Head};
use crate::format::geometry::{widen, word};
use crate::format::header::Header;
use crate::format::sync_record::{SYNC_RECORD_WORDS, SyncRecord};
use crate::sys::attachment::Attachment;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file with a header, and whatever follows it.
pub struct Remains {
    attachment: Attachment,
    header: Header,
    damage_of_header: Option<String>,
    found_bytes: u64,
    /// The words of one cell.
    cell: Vec<u64>,
}

impl Remains {
    /// Opens a file whose header is whole, or agrees with itself although its checksum is wrong.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self> {
        let attachment =
            open_file(path, false, settings)?.ok_or_else(|| Error::DoesNotExist { path: path.to_owned() })?;
        let ((header, damage_of_header), found_bytes) =
            read_header_alone(attachment.file(), path, Header::decode_despite_checksum)?;
        let cell = vec![0; header.geometry.cell_words()];
        Ok(Remains { attachment, header, damage_of_header, found_bytes, cell })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What is wrong with the header, if something is.
    pub fn damage_of_header(&self) -> Option<&str> {
        self.damage_of_header.as_deref()
    }

    /// How long the file is.
    pub fn found_bytes(&self) -> u64 {
        self.found_bytes
    }

    /// Whether the file ends before a slot begins.
    pub fn ends_before(&self, slot: u32) -> bool {
        self.offset_bytes(slot, 0) >= self.found_bytes
    }

    /// Copies the payload of a cell, and returns its header. What is missing at the end of the file counts as zeros.
    pub fn read_cell(&mut self, slot: u32, cell: u32, payload: &mut [u64]) -> io::Result<CellHeader> {
        let offset_bytes = self.offset_bytes(slot, cell);
        self.cell.fill(0);
        read_up_to_the_end(&self.attachment, offset_bytes, bytemuck::cast_slice_mut(&mut self.cell))?;
        let [first, second, third, record @ ..] = &self.cell[..] else { return Ok(CellHeader::from_words([0; 3])) };
        for (target, source) in payload.iter_mut().zip(record) {
            *target = *source;
        }
        Ok(CellHeader::from_words([*first, *second, *third]))
    }

    /// A sync record, if it can be read and is whole.
    pub fn sync_record(&self, record: usize) -> Option<SyncRecord> {
        let mut words = [0; SYNC_RECORD_WORDS];
        let offset_bytes = word(self.header.geometry.sync_record(record)).saturating_mul(8);
        read_up_to_the_end(&self.attachment, offset_bytes, bytemuck::cast_slice_mut(&mut words)).ok()?;
        SyncRecord::from_words(words, self.header.digest_seed())
    }

    pub fn path(&self) -> &Path {
        self.attachment.path()
    }

    /// The head of a slot.
    pub fn read_head(&self, slot: u32) -> Result<Head> {
        let mut head = [0];
        let target = bytemuck::cast_slice_mut(&mut head);
        let outcome = read_up_to_the_end(&self.attachment, self.head_offset_bytes(slot), target);
        outcome.map_err(Error::io("read", self.path()))?;
        Ok(Head::from_word(head[0]))
    }

    /// Where the head of a slot is in the file.
    pub fn head_offset_bytes(&self, slot: u32) -> u64 {
        word(self.header.geometry.heads() + widen(slot)).saturating_mul(8)
    }

    /// Where a cell is in the file.
    pub fn offset_bytes(&self, slot: u32, cell: u32) -> u64 {
        word(self.header.geometry.cell(slot, cell)).saturating_mul(8)
    }
}

fn read_up_to_the_end(attachment: &Attachment, mut offset_bytes: u64, mut target: &mut [u8]) -> io::Result<()> {
    while !target.is_empty() {
        match attachment.file().read_at(target, offset_bytes) {
            Ok(0) => break,
            Ok(read_bytes) => {
                offset_bytes += word(read_bytes);
                target = target.get_mut(read_bytes..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
