//! What a transaction does to one slot: what is there, and what is to be there.

use super::Encoded;
use super::read::Meta;
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Head, Intent};
use crate::format::checksum::digest_of_cell;
use crate::format::sync_record::State;
use crate::layout::slot::Slot;
use crate::record_id::RecordId;

/// What a writer sees in a slot: the current cell, or the one that it has staged. For a slot that was never written, the header
/// is all zeros.
#[derive(Clone, Copy)]
pub struct VisibleCell<'a> {
    pub slot: Slot<'a>,
    pub cell: u32,
    pub header: CellHeader,
}

impl VisibleCell<'_> {
    /// Checks that this is the live record with an id, and of the version that is expected.
    #[inline(always)]
    pub fn expect(self, id: RecordId, expected_version: Option<u64>) -> Internal<()> {
        if !self.header.is_live || self.header.generation != id.generation() {
            return Err(not_found(id));
        }
        match expected_version {
            Some(expected) if expected != self.header.number => Err(conflict(expected, self.header.number)),
            _ => Ok(()),
        }
    }

    #[inline(always)]
    pub fn meta(self) -> Meta {
        Meta::new(self.slot.index(), self.header)
    }
}

/// The next content of a slot: a record, or `None` for a tombstone.
#[derive(Clone, Copy)]
pub struct NewContent<'a> {
    pub record: Option<Encoded<'a>>,
    pub generation: u64,
    pub update_count: u32,
}

impl<'a> NewContent<'a> {
    /// Another content of a record.
    #[inline(always)]
    pub fn update(header: CellHeader, record: Encoded<'a>) -> Self {
        let update_count = header.update_count.saturating_add(1);
        NewContent { record: Some(record), generation: header.generation, update_count }
    }

    /// The end of a record.
    #[inline(always)]
    pub fn delete(header: CellHeader) -> Self {
        NewContent { record: None, generation: header.generation, update_count: header.update_count }
    }

    #[inline(always)]
    pub fn header(self, number: u64) -> CellHeader {
        let payload_crc = self.record.map_or(0, |record| record.payload_crc);
        CellHeader::new(number, self.generation, self.record.is_some(), self.update_count, payload_crc)
    }

    #[inline(always)]
    pub fn payload(self) -> &'a [u64] {
        match self.record {
            Some(record) => record.payload,
            None => &[],
        }
    }
}

/// What a transaction does to one slot.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub slot: Slot<'a>,
    pub old_head: Head,
    /// The header of the cell that the old head names, if there is one.
    pub old: CellHeader,
    pub new: CellHeader,
}

impl Change<'_> {
    /// Brings a state of the table up to date.
    #[inline(always)]
    pub fn apply_to(&self, state: &mut State) {
        let Change { old_head, old, new, .. } = self;
        state.digest = state.digest.wrapping_add(digest_of_cell(self.slot.index(), new.number, new.check));
        if old_head.exists() {
            state.digest = state.digest.wrapping_sub(digest_of_cell(self.slot.index(), old.number, old.check));
        }
        state.live_count =
            state.live_count.wrapping_add(u64::from(new.is_live)).wrapping_sub(u64::from(old_head.is_live()));
    }

    /// What publishing will have to do. An entry of the index is a hash and a slot: an old and a new key of one hash share it.
    #[inline(always)]
    pub fn intent(&self, cell: u32, has_key: bool, keeps_hash: bool) -> Intent {
        let Change { old_head, new, .. } = self;
        let keeps_entry = old_head.is_live() && new.is_live && keeps_hash;
        Intent {
            slot: self.slot.index(),
            cell,
            old_cell: old_head.cell(),
            was_live: old_head.is_live(),
            inserts_key: has_key && new.is_live && !keeps_entry,
            removes_key: has_key && old_head.is_live() && !keeps_entry,
            // A slot that has used up its generations is not given out again.
            frees_slot: !new.is_live && new.generation < GENERATION_LIMIT - 1,
        }
    }
}

#[cold]
pub fn not_found(id: RecordId) -> Fault {
    Error::NotFound { id }.into()
}

#[cold]
fn conflict(expected: u64, found: u64) -> Fault {
    Error::Conflict { expected, found }.into()
}
