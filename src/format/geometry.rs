//! Where everything in a file is. A [`Geometry`] can only be made by a constructor that has checked all of it, with
//! checked arithmetic. So every word that it names is inside a file of [`word_count`](Geometry::word_count) words, for
//! any slot below [`capacity`](Geometry::capacity).

use crate::error::{Error, Result};
use crate::format::cell::{CELL_HEADER_WORDS, CELLS_PER_SLOT, SLOT_LIMIT};
use crate::format::control::CONTROL_WORDS;
use std::ops::Range;

/// The largest payload of a record.
pub const RECORD_BYTES_LIMIT: usize = 65_536;
/// The durable group starts at a multiple of this: the largest page size in use.
pub const DURABLE_ALIGNMENT_BYTES: usize = 65_536;
/// The words of a page, as far as this format is concerned. Real pages may be larger.
pub const PAGE_WORDS: usize = 512;
/// Two sync records, each in a page of its own.
pub const SYNC_RECORD_COUNT: usize = 2;

const WORD_BYTES: usize = 8;

/// Where the key is in a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPosition {
    pub offset_bytes: usize,
    pub key_bytes: usize,
}

impl KeyPosition {
    /// Whether the record in a payload has this key, given with as many bytes as keys have.
    #[inline(always)]
    pub fn is_at(self, payload: &[u64], key: &[u8]) -> bool {
        let bytes: &[u8] = bytemuck::cast_slice(payload);
        let Some(bytes) = bytes.get(self.offset_bytes..).and_then(|bytes| bytes.get(..key.len())) else { return false };
        // By words, since an integer key was just written by words: a processor cannot hand on as 16 bytes what it
        // wrote as 8 and 8.
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let (words, key_words) = (bytes.chunks_exact(WORD_BYTES), key.chunks_exact(WORD_BYTES));
        words.remainder() == key_words.remainder()
            && words.zip(key_words).all(|(left, right)| word(left) == word(right))
    }
}

/// Which bits of which words of a payload are the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyMask {
    first_word: usize,
    end_word: usize,
    first_mask: u64,
    last_mask: u64,
}

impl KeyMask {
    fn new(key: Option<KeyPosition>) -> Self {
        let Some(KeyPosition { offset_bytes, key_bytes }) = key else {
            return KeyMask { first_word: 0, end_word: 0, first_mask: 0, last_mask: 0 };
        };
        let end_bytes = offset_bytes + key_bytes;
        // The bytes of a word in memory order: those from `from` on, and those before `to`.
        let mask = |is_key: &dyn Fn(usize) -> bool| {
            let mut bytes = [0; WORD_BYTES];
            for (position, byte) in bytes.iter_mut().enumerate() {
                *byte = if is_key(position) { 0xff } else { 0 };
            }
            u64::from_ne_bytes(bytes)
        };
        KeyMask {
            first_word: offset_bytes / WORD_BYTES,
            end_word: end_bytes.div_ceil(WORD_BYTES),
            first_mask: mask(&|position| position >= offset_bytes % WORD_BYTES),
            last_mask: mask(&|position| position <= (end_bytes - 1) % WORD_BYTES),
        }
    }
}

/// The sizes and places of one file's regions. All places are counted in words of 8 bytes from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    capacity: u32,
    record_bytes: usize,
    key: Option<KeyPosition>,
    key_mask: KeyMask,
    cell_words: usize,
    index_entry_count: usize,
    control: usize,
    intents: usize,
    heads: usize,
    free_stack: usize,
    index: usize,
    sync_records: usize,
    cells: usize,
    word_count: usize,
}

impl Geometry {
    /// Lays out a file of `capacity` slots for records of `record_bytes`, behind a header of `header_bytes`.
    pub fn new(capacity: u64, record_bytes: usize, key: Option<KeyPosition>, header_bytes: usize) -> Result<Self> {
        let capacity_in_range = u32::try_from(capacity).ok().filter(|count| (1..=SLOT_LIMIT).contains(count));
        let Some(capacity) = capacity_in_range else {
            return Err(invalid(format!("a table has 1 to {SLOT_LIMIT} slots, not {capacity}")));
        };
        if !(1..=RECORD_BYTES_LIMIT).contains(&record_bytes) {
            return Err(invalid(format!("a record has 1 to {RECORD_BYTES_LIMIT} bytes, not {record_bytes}")));
        }
        if let Some(KeyPosition { offset_bytes, key_bytes }) = key {
            if key_bytes == 0 || offset_bytes.checked_add(key_bytes).is_none_or(|end| end > record_bytes) {
                return Err(invalid(format!(
                    "a key of {key_bytes} bytes at {offset_bytes} is not inside a record of {record_bytes}"
                )));
            }
        }
        if header_bytes == 0 || header_bytes % (PAGE_WORDS * WORD_BYTES) != 0 {
            return Err(invalid(format!("a header has whole pages of 4096 bytes, not {header_bytes} bytes")));
        }
        Self::lay_out(capacity, record_bytes, key, header_bytes)
            .ok_or_else(|| invalid(format!("{capacity} records of {record_bytes} bytes are more than a file can hold")))
    }

    fn lay_out(capacity: u32, record_bytes: usize, key: Option<KeyPosition>, header_bytes: usize) -> Option<Self> {
        let slots = usize::try_from(capacity).ok()?;
        let cell_words = CELL_HEADER_WORDS.checked_add(record_bytes.div_ceil(WORD_BYTES))?;
        // Twice the capacity: a transaction that replaces every record has both sets of keys in the index for a while.
        // One more, so that a search always meets an empty entry.
        let index_entry_count =
            if key.is_some() { slots.checked_mul(2)?.checked_add(1)?.next_power_of_two() } else { 0 };
        let control = header_bytes / WORD_BYTES;
        let intents = control.checked_add(CONTROL_WORDS)?;
        let heads = intents.checked_add(slots)?;
        let free_stack = heads.checked_add(slots)?;
        let index = free_stack.checked_add(slots)?;
        let sync_records = index
            .checked_add(index_entry_count.checked_mul(2)?)?
            .checked_next_multiple_of(DURABLE_ALIGNMENT_BYTES / WORD_BYTES)?;
        let cells = sync_records.checked_add(SYNC_RECORD_COUNT * PAGE_WORDS)?;
        let cell_count = slots.checked_mul(usize::try_from(CELLS_PER_SLOT).ok()?)?;
        let word_count =
            cells.checked_add(cell_count.checked_mul(cell_words)?)?.checked_next_multiple_of(PAGE_WORDS)?;
        // Files, mappings and slices are at most this long.
        isize::try_from(word_count.checked_mul(WORD_BYTES)?).ok()?;
        Some(Geometry {
            capacity,
            record_bytes,
            key,
            key_mask: KeyMask::new(key),
            cell_words,
            index_entry_count,
            control,
            intents,
            heads,
            free_stack,
            index,
            sync_records,
            cells,
            word_count,
        })
    }

    #[inline]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    #[inline]
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// The payload of a record in words, the last one padded with zeros.
    #[inline]
    pub fn record_words(&self) -> usize {
        self.cell_words - CELL_HEADER_WORDS
    }

    #[inline]
    pub fn key(&self) -> Option<KeyPosition> {
        self.key
    }

    /// The bytes of the key of a payload, if there are keys.
    pub fn key_bytes_of<'a>(&self, payload: &'a [u64]) -> Option<&'a [u8]> {
        let key = self.key?;
        bytemuck::cast_slice(payload).get(key.offset_bytes..key.offset_bytes.saturating_add(key.key_bytes))
    }

    /// Whether two payloads have the same key. The words of one are fetched one by one.
    #[inline(always)]
    pub fn is_same_key(&self, record: &[u64], other_word: impl Fn(usize) -> u64) -> bool {
        let KeyMask { first_word, end_word, first_mask, last_mask } = self.key_mask;
        if first_word == end_word {
            return true;
        }
        let difference = |index: usize| record.get(index).copied().unwrap_or(0) ^ other_word(index);
        let last_word = end_word - 1;
        if first_word == last_word {
            return difference(first_word) & first_mask & last_mask == 0;
        }
        if difference(first_word) & first_mask != 0 || difference(last_word) & last_mask != 0 {
            return false;
        }
        let mut index = first_word + 1;
        while index < last_word {
            if difference(index) != 0 {
                return false;
            }
            index += 1;
        }
        true
    }

    #[inline]
    pub fn cell_words(&self) -> usize {
        self.cell_words
    }

    /// The entries of one of the two hash tables: a power of two, or 0 without a key.
    #[inline]
    pub fn index_entry_count(&self) -> usize {
        self.index_entry_count
    }

    #[inline]
    pub fn word_count(&self) -> usize {
        self.word_count
    }

    pub fn file_bytes(&self) -> usize {
        self.word_count * WORD_BYTES
    }

    pub fn header_bytes(&self) -> usize {
        self.control * WORD_BYTES
    }

    #[inline]
    pub fn control(&self) -> usize {
        self.control
    }

    #[inline]
    pub fn intents(&self) -> usize {
        self.intents
    }

    #[inline]
    pub fn heads(&self) -> usize {
        self.heads
    }

    #[inline]
    pub fn free_stack(&self) -> usize {
        self.free_stack
    }

    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn sync_records(&self) -> usize {
        self.sync_records
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Where a sync record is: 0 or 1.
    pub fn sync_record(&self, record: usize) -> usize {
        self.sync_records + (record & 1) * PAGE_WORDS
    }

    /// Where a cell of a slot is. The cell number is taken modulo four; the slot must be below the capacity.
    #[inline]
    pub fn cell(&self, slot: u32, cell: u32) -> usize {
        debug_assert!(slot < self.capacity);
        self.cells + (widen(slot) * widen(CELLS_PER_SLOT) + widen(cell & 3)) * self.cell_words
    }

    /// The four cells of a slot.
    #[inline]
    pub fn slot(&self, slot: u32) -> Range<usize> {
        let first = self.cell(slot, 0);
        first..first + widen(CELLS_PER_SLOT) * self.cell_words
    }

    /// What a sync flushes: the sync records and all cells.
    pub fn durable_group(&self) -> Range<usize> {
        self.sync_records..self.word_count
    }
}

/// `u32` to `usize`, which Linux never makes smaller.
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits on every Linux")]
#[inline]
pub const fn widen(number: u32) -> usize {
    number as usize
}

/// `usize` to `u64`, which no target makes smaller.
#[expect(clippy::as_conversions, reason = "usize has at most 64 bits on every Linux")]
#[inline]
pub const fn word(number: usize) -> u64 {
    number as u64
}

fn invalid(reason: String) -> Error {
    Error::InvalidArgument { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_follow_one_another_without_overlap() {
        for (capacity, record_bytes) in [(1, 1), (10_000, 128), (1 << 24, 1), (3, 65_536), (12_345, 77)] {
            let key = Some(KeyPosition { offset_bytes: 0, key_bytes: 1 });
            let geometry = Geometry::new(capacity, record_bytes, key, 4096).unwrap();
            let slots = usize::try_from(capacity).unwrap();
            assert_eq!(geometry.control(), 512);
            assert_eq!(geometry.intents(), geometry.control() + CONTROL_WORDS);
            assert_eq!(geometry.heads(), geometry.intents() + slots);
            assert_eq!(geometry.free_stack(), geometry.heads() + slots);
            assert_eq!(geometry.index(), geometry.free_stack() + slots);
            assert!(geometry.sync_records() >= geometry.index() + 2 * geometry.index_entry_count());
            assert_eq!(geometry.sync_records() * 8 % 65_536, 0);
            assert!((geometry.sync_records() - geometry.index() - 2 * geometry.index_entry_count()) * 8 < 65_536);
            assert_eq!(geometry.cells(), geometry.sync_records() + 1024);
            let last = geometry.slot(geometry.capacity() - 1);
            assert!(last.end <= geometry.word_count() && last.end + 512 > geometry.word_count());
            assert!(geometry.index_entry_count() > 2 * slots);
        }
    }

    #[test]
    fn keys_are_compared_to_the_byte() {
        for (offset_bytes, key_bytes) in [(0, 8), (0, 3), (3, 2), (6, 5), (5, 19), (8, 8), (7, 1), (15, 9), (2, 37)] {
            let key = KeyPosition { offset_bytes, key_bytes };
            let geometry = Geometry::new(1, 40, Some(key), 4096).unwrap();
            let record = [1, 2, 3, 4, 5].map(|word: u64| word * 0x0101_0101_0101_0101);
            for position in 0..40 {
                let mut other = record;
                bytemuck::cast_slice_mut::<u64, u8>(&mut other)[position] ^= 0x40;
                let in_key = (offset_bytes..offset_bytes + key_bytes).contains(&position);
                assert_eq!(geometry.is_same_key(&record, |index| other[index]), !in_key, "{key:?} {position}");
                let key_of_record = &bytemuck::cast_slice(&record)[offset_bytes..offset_bytes + key_bytes];
                assert_eq!(key.is_at(&other, key_of_record), !in_key, "{key:?} {position}");
            }
        }
    }

    #[test]
    fn what_no_file_can_hold_is_an_error_and_not_an_overflow() {
        for (capacity, record_bytes, header_bytes) in [
            (0, 8, 4096),
            ((1 << 24) + 1, 8, 4096),
            (u64::MAX, 8, 4096),
            (1, 0, 4096),
            (1, 65_537, 4096),
            (1, usize::MAX, 4096),
            (1, 8, 0),
            (1, 8, 100),
            (1, 8, usize::MAX - 4095),
        ] {
            assert!(Geometry::new(capacity, record_bytes, None, header_bytes).is_err(), "{capacity} {record_bytes}");
        }
        for (offset_bytes, key_bytes) in [(0, 0), (0, 9), (8, 1), (usize::MAX, 2)] {
            assert!(Geometry::new(1, 8, Some(KeyPosition { offset_bytes, key_bytes }), 4096).is_err());
        }
    }
}
