//! Cells, heads and record ids: how they lie in words.
//!
//! A cell is `CELL_HEADER_WORDS` words and the payload, padded with zeros to whole words:
//!
//! | word | bits | meaning |
//! |---|---|---|
//! | 0 | 0–60 | number of the transaction that wrote the cell; 0: the cell holds nothing |
//! | 1 | 0–39 | generation of the record |
//! | 1 | 40 | 1: a live record, 0: a tombstone |
//! | 2 | 0–31 | how often the record was updated since its insertion |
//! | 2 | 32–63 | check (see [`checksum::cell_check`](super::checksum::cell_check)) |

use super::checksum::{cell_check, low_half};
use crate::error::{Error, Fault, Internal};
use std::fmt;

/// How many cells a slot has: the current one, the one of the durable commit, the one of the commit in flight, and
/// always one more to write to.
pub const CELLS_PER_SLOT: u32 = 4;
/// The words of a cell before its payload.
pub const CELL_HEADER_WORDS: usize = 3;
/// Transaction numbers have 61 bits: head words hold one beside a cell number and the live bit.
pub const NUMBER_LIMIT: u64 = 1 << 61;
/// Generations have 40 bits.
pub const GENERATION_LIMIT: u64 = 1 << 40;
/// Slot numbers have 24 bits.
pub const SLOT_LIMIT: u32 = 1 << 24;

const LIVE_BIT: u64 = 1 << 40;
const SLOT_BITS: u32 = 24;

/// The first three words of a cell, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellHeader {
    pub number: u64,
    pub generation: u64,
    pub is_live: bool,
    pub update_count: u32,
    pub check: u32,
}

impl CellHeader {
    /// The header of a cell whose payload has this CRC-32 (0 for a tombstone).
    #[inline]
    pub fn new(number: u64, generation: u64, is_live: bool, update_count: u32, payload_crc: u32) -> Self {
        let mut header = CellHeader { number, generation, is_live, update_count, check: 0 };
        header.check = header.expected_check(payload_crc);
        header
    }

    /// Decodes the words. Bits that have no meaning are ignored; the check does not cover them.
    #[inline]
    pub fn from_words([number, generation_and_live, count_and_check]: [u64; CELL_HEADER_WORDS]) -> Self {
        CellHeader {
            number,
            generation: generation_and_live & (GENERATION_LIMIT - 1),
            is_live: generation_and_live & LIVE_BIT != 0,
            update_count: low_half(count_and_check),
            check: low_half(count_and_check >> 32),
        }
    }

    /// The words that [`from_words`](Self::from_words) decodes.
    #[inline]
    pub fn to_words(self) -> [u64; CELL_HEADER_WORDS] {
        [self.number, self.generation_and_live(), u64::from(self.update_count) | u64::from(self.check) << 32]
    }

    /// Whether the check fits the rest of the header and a payload with this CRC-32.
    #[inline]
    pub fn verifies(&self, payload_crc: u32) -> bool {
        self.check == self.expected_check(payload_crc)
    }

    #[inline]
    fn expected_check(&self, payload_crc: u32) -> u32 {
        let payload_crc = if self.is_live { payload_crc } else { 0 };
        cell_check(payload_crc, self.number, self.generation_and_live(), self.update_count)
    }

    #[inline]
    fn generation_and_live(&self) -> u64 {
        self.generation | if self.is_live { LIVE_BIT } else { 0 }
    }
}

/// A head word: which cell of a slot is current, and the number of the transaction that wrote it.
///
/// Bits 0–60 are the number, 61 says that the record is live, 62 and 63 are the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(u64);

impl Head {
    /// The head of a slot that was never written.
    pub const EMPTY: Head = Head(0);

    #[inline]
    pub fn new(number: u64, is_live: bool, cell: u32) -> Self {
        Head((number & (NUMBER_LIMIT - 1)) | u64::from(is_live) << 61 | u64::from(cell & 3) << 62)
    }

    #[inline]
    pub fn from_word(word: u64) -> Self {
        Head(word)
    }

    #[inline]
    pub fn word(self) -> u64 {
        self.0
    }

    #[inline]
    pub fn number(self) -> u64 {
        self.0 & (NUMBER_LIMIT - 1)
    }

    #[inline]
    pub fn is_live(self) -> bool {
        self.0 >> 61 & 1 == 1
    }

    /// The current cell, 0 to 3.
    #[inline]
    pub fn cell(self) -> u32 {
        low_half(self.0 >> 62)
    }

    /// Whether the slot was ever written.
    #[inline]
    pub fn exists(self) -> bool {
        self.number() != 0
    }
}

/// Which record: a slot of the table and the generation of the record in it, so that the id of a deleted record never
/// names the record that has its slot now.
///
/// An id stays valid across processes and restarts until the record is deleted. It converts to and from `u64`, for
/// storing it elsewhere.
///
/// ```
/// use locule::RecordId;
/// let id = RecordId::from(7 << 24 | 3);
/// assert_eq!((id.slot(), id.generation()), (3, 7));
/// assert_eq!(u64::from(id), 7 << 24 | 3);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u64);

impl RecordId {
    #[inline]
    pub(crate) fn new(slot: u32, generation: u64) -> Self {
        RecordId(generation << SLOT_BITS | u64::from(slot & (SLOT_LIMIT - 1)))
    }

    /// The slot: 0 to the table's capacity - 1.
    #[inline]
    pub fn slot(self) -> u32 {
        low_half(self.0) & (SLOT_LIMIT - 1)
    }

    /// How often the slot had been given to a record when this one was inserted; recoveries skip some.
    #[inline]
    pub fn generation(self) -> u64 {
        self.0 >> SLOT_BITS
    }
}

impl From<u64> for RecordId {
    fn from(word: u64) -> Self {
        RecordId(word)
    }
}

impl From<RecordId> for u64 {
    fn from(id: RecordId) -> Self {
        id.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId(slot {}, generation {})", self.slot(), self.generation())
    }
}

/// One entry of the intent list: what a transaction in progress does to one slot. Everything that finishing it
/// needs is here or in the two cells that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    pub slot: u32,
    /// The cell that is being written.
    pub cell: u32,
    /// The head that the slot had before, without its number: its cell and whether it was live.
    pub old_cell: u32,
    pub was_live: bool,
    /// The record's key is to be put into the index.
    pub inserts_key: bool,
    /// The key of the record in the old cell is to be taken out of the index.
    pub removes_key: bool,
    /// The slot is to be put into the free ring.
    pub frees_slot: bool,
}

impl Intent {
    #[inline]
    pub fn to_word(self) -> u64 {
        u64::from(self.slot)
            | u64::from(self.cell & 3) << 24
            | u64::from(self.old_cell & 3) << 26
            | u64::from(self.was_live) << 28
            | u64::from(self.inserts_key) << 29
            | u64::from(self.removes_key) << 30
            | u64::from(self.frees_slot) << 31
    }

    /// Decodes a word; the slot is checked against the table's capacity.
    #[inline(always)]
    pub fn from_word(word: u64, capacity: u32) -> Internal<Self> {
        let slot = low_half(word) & (SLOT_LIMIT - 1);
        if slot >= capacity {
            return Err(stray_intent(slot, capacity));
        }
        let bits = |shift: u32| low_half(word >> shift) & 3;
        let flag = |shift: u32| word >> shift & 1 == 1;
        Ok(Intent {
            slot,
            cell: bits(24),
            old_cell: bits(26),
            was_live: flag(28),
            inserts_key: flag(29),
            removes_key: flag(30),
            frees_slot: flag(31),
        })
    }
}

#[cold]
fn stray_intent(slot: u32, capacity: u32) -> Fault {
    Error::damaged(format!("the intent list names slot {slot} of a table of {capacity}")).into()
}
