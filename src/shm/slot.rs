//! One slot: four cells and a head word that says which of them is current.
//!
//! Invariants:
//!
//! - A cell is marked as holding nothing (number 0), then filled, then given its number. Numbers are never used twice.
//! - A head names a cell only after the cell has the head's number, and the cell keeps it until after the head names
//!   another.
//!
//! So a reader that finds the head's number in the cell *after* it has copied the cell holds exactly the record that
//! was published with that number. The check before the copy only saves the copy.
//!
//! Memory ordering, each with its partner:
//!
//! - `publish` stores the head with release; `read` loads it with acquire: whoever sees the head sees the cell filled.
//! - `stage` stores number 0, then has a release fence, then stores the payload; `read` copies the payload, then has an
//!   acquire fence, then loads the number: whoever has copied one word of a newer payload sees that the number is gone.
//! - `stage` stores number 0 with release, after the head was moved away; a reader that finds the wrong number has an
//!   acquire fence before it loads the head again: so it finds another head, unless something is damaged.

use super::words::{FixedWords, Ordering, Words, fence};
use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CELL_HEADER_WORDS, CELLS_PER_SLOT, CellHeader, Head};
use crate::format::geometry::{Geometry, widen};

const NUMBER: usize = 0;

/// The head of a slot, which must be below the capacity.
#[inline(always)]
pub fn head(words: Words<'_>, geometry: &Geometry, slot: u32) -> Head {
    Head::from_word(words.load(geometry.heads() + widen(slot), Ordering::Acquire))
}

/// Publishes a head: whoever sees it sees the cell that it names.
#[inline(always)]
pub fn publish(words: Words<'_>, geometry: &Geometry, slot: u32, head: Head) {
    words.store(geometry.heads() + widen(slot), head.word(), Ordering::Release);
}

/// Copies the live record of a slot, as it was published at one moment during the call. `None` if there was none.
///
/// Takes no lock, and never waits for a writer: when it goes again, another transaction was published.
#[inline(always)]
pub fn read(words: Words<'_>, geometry: &Geometry, slot: u32, payload: &mut [u64]) -> Internal<Option<CellHeader>> {
    let mut head_seen = head(words, geometry, slot);
    loop {
        if !head_seen.is_live() {
            return Ok(None);
        }
        let (cell, source) = cell_at(words, geometry, slot, head_seen.cell(), payload.len());
        if let Some(header) = copy(cell, source, head_seen.number(), payload) {
            // The check of a tombstone does not cover the payload behind it, so that must never be taken for a record's.
            return if header.is_live { Ok(Some(header)) } else { Err(torn(slot, head_seen)) };
        }
        fence(Ordering::Acquire);
        let head_now = head(words, geometry, slot);
        if head_now == head_seen {
            return Err(torn(slot, head_seen));
        }
        head_seen = head_now;
    }
}

/// Copies a cell if it has this number before and after.
#[inline(always)]
fn copy(cell: Header<'_>, source: Words<'_>, number: u64, payload: &mut [u64]) -> Option<CellHeader> {
    let [first, second, third] = cell.to_array(0);
    if first != number {
        return None;
    }
    source.copy_to(payload);
    fence(Ordering::Acquire);
    (cell.load(NUMBER, Ordering::Relaxed) == number).then(|| CellHeader::from_words([number, second, third]))
}

#[cold]
fn torn(slot: u32, head: Head) -> Fault {
    Error::damaged(format!(
        "the head of slot {slot} names transaction {} in cell {}, which holds no record of that number",
        head.number(),
        head.cell()
    ))
    .into()
}

/// The header of a cell, for whoever holds the write mutex or is alone.
#[inline(always)]
pub fn cell_header(words: Words<'_>, geometry: &Geometry, slot: u32, cell: u32) -> CellHeader {
    let header: Header<'_> = words.fixed(geometry.cell(slot, cell));
    CellHeader::from_words(header.to_array(0))
}

/// Copies a cell, for whoever holds the write mutex or is alone.
pub fn read_cell(words: Words<'_>, geometry: &Geometry, slot: u32, cell: u32, payload: &mut [u64]) -> CellHeader {
    let (header, source) = cell_at(words, geometry, slot, cell, payload.len());
    source.copy_to(payload);
    CellHeader::from_words(header.to_array(0))
}

/// Whether the record in a cell has the same key as a record, of which only the key's bytes are looked at.
#[inline(always)]
pub fn has_key_of(words: Words<'_>, geometry: &Geometry, slot: u32, cell: u32, record: &[u64]) -> bool {
    let payload = geometry.cell(slot, cell) + CELL_HEADER_WORDS;
    geometry.is_same_key(record, |index| words.load(payload + index, Ordering::Relaxed))
}

/// The numbers of the four cells of a slot.
#[inline(always)]
pub fn cell_numbers(words: Words<'_>, geometry: &Geometry, slot: u32) -> [u64; 4] {
    // Not by `map`, which is not always inlined.
    let number = |cell| words.load(geometry.cell(slot, cell) + NUMBER, Ordering::Relaxed);
    [number(0), number(1), number(2), number(3)]
}

/// Which cell is visible at a transaction number: the one with the highest number that is not above it.
#[inline(always)]
pub fn visible_cell(numbers: [u64; 4], at_number: u64) -> Option<u32> {
    let mut visible = None;
    let mut highest = 0;
    for (cell, number) in (0..).zip(numbers) {
        if number > highest && number <= at_number {
            visible = Some(cell);
            highest = number;
        }
    }
    visible
}

/// A cell that may be written: not the current one, nor one visible at a number that has to be kept. With two such
/// numbers there is always one. `head` must be the slot's.
#[inline(always)]
pub fn free_cell(numbers: [u64; 4], head: Head, [first, second]: [u64; 2]) -> u32 {
    let bit = |cell: Option<u32>| cell.map_or(0, |cell| 1 << (cell & 3));
    let current = head.exists().then(|| head.cell());
    let kept: u32 = bit(current) | bit(visible_cell(numbers, first)) | bit(visible_cell(numbers, second));
    // Three bits are set at most, of the lowest four.
    (!kept).trailing_zeros() % CELLS_PER_SLOT
}

/// Writes a cell that no head names.
#[inline(always)]
pub fn stage(words: Words<'_>, geometry: &Geometry, slot: u32, cell: u32, header: CellHeader, payload: &[u64]) {
    let (cell, target) = cell_at(words, geometry, slot, cell, payload.len());
    let [number, second, third] = header.to_words();
    cell.store(NUMBER, 0, Ordering::Release);
    fence(Ordering::Release);
    cell.store(NUMBER + 1, second, Ordering::Relaxed);
    cell.store(NUMBER + 2, third, Ordering::Relaxed);
    target.copy_from(payload);
    cell.store(NUMBER, number, Ordering::Release);
}

/// Makes a cell hold nothing.
pub fn wipe(words: Words<'_>, geometry: &Geometry, slot: u32, cell: u32) {
    words.store(geometry.cell(slot, cell) + NUMBER, 0, Ordering::Release);
}

type Header<'a> = FixedWords<'a, CELL_HEADER_WORDS>;

/// The header and the payload of a cell.
#[inline(always)]
fn cell_at<'a>(
    words: Words<'a>,
    geometry: &Geometry,
    slot: u32,
    cell: u32,
    payload_words: usize,
) -> (Header<'a>, Words<'a>) {
    let start = geometry.cell(slot, cell);
    let payload = start + CELL_HEADER_WORDS;
    (words.fixed(start), words.part(payload..payload + payload_words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_free_cell_and_it_is_none_that_is_kept() {
        // Every order of four numbers, with any of them missing, any current cell and any two kept numbers.
        let mut checked = 0;
        for code in 0..625_u32 {
            let numbers = [code % 5, code / 5 % 5, code / 25 % 5, code / 125 % 5].map(u64::from);
            for current in 0..4 {
                for kept in [[0, 0], [1, 2], [2, 4], [3, 3], [4, 1], [u64::MAX, 0]] {
                    let head = Head::new(numbers[current], true, u32::try_from(current).unwrap());
                    let cell = free_cell(numbers, head, kept);
                    if head.exists() {
                        assert_ne!(cell, head.cell());
                    }
                    for number in kept {
                        let visible = (0..4).filter(|c| numbers[*c] != 0 && numbers[*c] <= number);
                        if let Some(highest) = visible.clone().map(|c| numbers[c]).max() {
                            let first = visible.clone().find(|c| numbers[*c] == highest);
                            assert_ne!(Some(widen(cell)), first, "{numbers:?} {head:?} {kept:?}");
                        }
                    }
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 625 * 4 * 6);
    }
}
