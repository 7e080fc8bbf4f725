//! Cells, heads and intents: how they lie in words.
//!
//! A cell is `CELL_HEADER_WORDS` words and the payload, padded with zeros to whole words:
//!
//! | word | bits | meaning |
//! |---|---|---|
//! | 0 | 0–60 | number of the transaction that wrote the cell; 0: the cell holds nothing |
//! | 1 | 0–39 | generation of the record |
//! | 1 | 40 | 1: a live record, 0: a tombstone |
//! | 2 | 0–31 | how often the record was updated since its insertion |
//! | 2 | 32–63 | check (see [`checksum::cell_check`](crate::format::checksum::cell_check)) |

use crate::error::{Error, Fault, Internal};
use crate::format::checksum::{cell_check, low_half};

/// How many cells a slot has: the current one, the one of the durable sync, the one of the sync in flight, and
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
    /// The slot is to be put onto the free stack.
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD_CRC: u32 = 0xdead_beef;

    #[test]
    fn a_cell_header_comes_back_from_its_words() {
        for (number, generation, is_live, update_count) in [
            (1, 1, true, 0),
            (NUMBER_LIMIT - 1, GENERATION_LIMIT - 1, false, u32::MAX),
            (1 << 40, 1 << 39, true, 1 << 31),
        ] {
            let header = CellHeader::new(number, generation, is_live, update_count, PAYLOAD_CRC);
            assert_eq!(CellHeader::from_words(header.to_words()), header);
            assert_eq!(
                (header.number, header.generation, header.is_live, header.update_count),
                (number, generation, is_live, update_count)
            );
            let [first, second, third] = header.to_words();
            assert_eq!((first, second), (number, generation | u64::from(is_live) << 40));
            assert_eq!(third, u64::from(update_count) | u64::from(header.check) << 32);
            // Bits that mean nothing.
            assert_eq!(CellHeader::from_words([first, second | 7 << 41, third]), header);
        }
    }

    #[test]
    fn a_cell_header_verifies_only_as_it_was_made() {
        let live = CellHeader::new(7, 3, true, 2, PAYLOAD_CRC);
        assert!(live.verifies(PAYLOAD_CRC) && !live.verifies(PAYLOAD_CRC + 1));
        assert_eq!(live.check, cell_check(PAYLOAD_CRC, 7, 3 | 1 << 40, 2));
        assert!(!CellHeader { number: 8, ..live }.verifies(PAYLOAD_CRC));
        assert!(!CellHeader { generation: 4, ..live }.verifies(PAYLOAD_CRC));
        assert!(!CellHeader { update_count: 3, ..live }.verifies(PAYLOAD_CRC));
        assert!(!CellHeader { is_live: false, ..live }.verifies(PAYLOAD_CRC));
        // What is behind a tombstone does not matter.
        let tombstone = CellHeader::new(7, 3, false, 2, PAYLOAD_CRC);
        assert!(tombstone.verifies(0) && tombstone.verifies(PAYLOAD_CRC));
        assert_eq!(tombstone.check, cell_check(0, 7, 3, 2));
    }

    #[test]
    fn a_head_says_what_it_was_made_of() {
        for number in [1, 0b1010, NUMBER_LIMIT - 1] {
            for (is_live, cell) in [(true, 0), (false, 1), (true, 2), (false, 3)] {
                let head = Head::new(number, is_live, cell);
                assert_eq!((head.number(), head.is_live(), head.cell()), (number, is_live, cell));
                assert!(head.exists());
                assert_eq!(head.word(), number | u64::from(is_live) << 61 | u64::from(cell) << 62);
                assert_eq!(Head::from_word(head.word()), head);
            }
        }
        assert!(!Head::EMPTY.exists() && !Head::EMPTY.is_live());
        // A number or cell that is too large changes nothing beside it.
        assert_eq!(Head::new(NUMBER_LIMIT | 5, false, 4), Head::new(5, false, 0));
    }

    #[test]
    fn an_entry_of_the_intent_list_comes_back_and_a_slot_outside_the_table_is_refused() {
        let nothing = Intent {
            slot: 9,
            cell: 0,
            old_cell: 0,
            was_live: false,
            inserts_key: false,
            removes_key: false,
            frees_slot: false,
        };
        for (intent, bits) in [
            (nothing, 0),
            (Intent { cell: 3, ..nothing }, 3 << 24),
            (Intent { old_cell: 3, ..nothing }, 3 << 26),
            (Intent { was_live: true, ..nothing }, 1 << 28),
            (Intent { inserts_key: true, ..nothing }, 1 << 29),
            (Intent { removes_key: true, ..nothing }, 1 << 30),
            (Intent { frees_slot: true, ..nothing }, 1 << 31),
        ] {
            assert_eq!(intent.to_word(), 9 | bits);
            assert_eq!(Intent::from_word(intent.to_word(), 10).unwrap(), intent);
            assert!(matches!(Intent::from_word(intent.to_word(), 9).map_err(Error::from), Err(Error::Damaged { .. })));
        }
        let all = Intent {
            cell: 1,
            old_cell: 2,
            was_live: true,
            inserts_key: true,
            removes_key: true,
            frees_slot: true,
            ..nothing
        };
        assert_eq!(Intent::from_word(all.to_word(), SLOT_LIMIT).unwrap(), all);
    }
}
