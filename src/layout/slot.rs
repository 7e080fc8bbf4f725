//! One slot: four cells and a head word that says which of them is current.
//!
//! Invariants:
//!
//! - A cell is marked as holding nothing (number 0), then filled, then given its number. Numbers are never used twice.
//! - A head names a cell only after the cell has the head's number, and the cell keeps it until after the head names
//!   another.
//!
//! So a reader that finds the head's number in the cell *after* it has copied the cell, or looked at words of it, has
//! seen exactly the record that was published with that number. The check before that only saves the work.
//!
//! Memory ordering, each with its partner:
//!
//! - `publish` stores the head with release; `read` loads it with acquire: a reader that sees the head sees the cell
//!   filled.
//! - `stage` stores number 0, then has a release fence, then stores the payload; `read` copies the payload, and `read_if`
//!   and `refused_slot_count` load words of it, then have an acquire fence, then load the number: a reader that has seen one
//!   word of a newer payload sees that the number is gone. `scrub` does the same before it stores zeros.
//! - `stage` and `scrub` store number 0 with release, after the head was moved away; a reader that finds the wrong number has an
//!   acquire fence before it loads the head again: so it finds another head, unless something is damaged.

use crate::error::{Error, Fault, Internal};
use crate::format::cell::{CELL_HEADER_WORDS, CELLS_PER_SLOT, CellHeader, Head};
use crate::format::geometry::{Geometry, widen};
use crate::layout::filter::{Everything, Filter, RecordWords};
use crate::sys::words::{FixedWords, Ordering, Words, fence};
use std::ops::Range;

const NUMBER: usize = 0;

/// Where a slot is, looked up once for an operation and passed on.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    words: Words<'a>,
    index: u32,
    head: usize,
    first_cell: usize,
    cell_words: usize,
}

impl<'a> Slot<'a> {
    /// A slot of a table. Its index must be below the capacity.
    #[inline(always)]
    pub fn new(words: Words<'a>, geometry: &Geometry, index: u32) -> Self {
        let (head, first_cell) = (geometry.heads() + widen(index), geometry.cell(index, 0));
        Slot { words, index, head, first_cell, cell_words: geometry.cell_words() }
    }

    /// Which slot of the table it is.
    #[inline(always)]
    pub fn index(self) -> u32 {
        self.index
    }

    #[inline(always)]
    pub fn head(self) -> Head {
        Head::from_word(self.words.load(self.head, Ordering::Acquire))
    }

    /// Publishes a head: a reader that sees it sees the cell that it names.
    #[inline(always)]
    pub fn publish(self, head: Head) {
        self.words.store(self.head, head.word(), Ordering::Release);
    }

    /// Copies the live record, as it was published at one moment during the call. `None` if there was none.
    ///
    /// Takes no lock, and never waits for a writer: if it tries again, another transaction was published.
    #[inline(always)]
    pub fn read(self, payload: &mut [u64]) -> Internal<Option<CellHeader>> {
        self.read_if(payload, &mut Everything)
    }

    /// The same, if a filter accepts the record; of the others no more is read than the filter looks at.
    ///
    /// What the filter is asked about can be of no record at all, while a writer fills the cell: then the answer is not
    /// used, and it is asked again. What is returned is what was accepted, since both had the same number.
    #[inline(always)]
    pub fn read_if<F: Filter>(self, payload: &mut [u64], filter: &mut F) -> Internal<Option<CellHeader>> {
        let mut head_seen = self.head();
        loop {
            if !head_seen.is_live() {
                return Ok(None);
            }
            // As long as the cell that the head names turns out to hold something else, the head is looked at again.
            let answer = if F::ACCEPTS_ALL { Some(true) } else { self.ask(head_seen, filter) };
            match answer {
                Some(true) => match self.copy(head_seen, payload) {
                    // The check of a tombstone does not cover the payload behind it, so that payload must never be taken
                    // for a record's.
                    Some(header) if !header.is_live => return Err(torn(self.index, head_seen)),
                    Some(header) => return Ok(Some(header)),
                    None => {}
                },
                Some(false) => return Ok(None),
                None => {}
            }
            fence(Ordering::Acquire);
            let head_now = self.head();
            if head_now == head_seen {
                return Err(torn(self.index, head_seen));
            }
            head_seen = head_now;
        }
    }

    /// Asks a filter about the cell that a head names. There is an answer if the cell has the head's number before and
    /// after.
    #[inline(always)]
    fn ask(self, head: Head, filter: &mut impl Filter) -> Option<bool> {
        let place = self.place(head.cell());
        if self.words.load(place + NUMBER, Ordering::Relaxed) != head.number() {
            return None;
        }
        let answer = filter.accepts(self.payload_at(place));
        fence(Ordering::Acquire);
        (self.words.load(place + NUMBER, Ordering::Relaxed) == head.number()).then_some(answer)
    }

    /// Copies the cell that a head names, if it has the head's number before and after.
    #[inline(always)]
    pub fn copy(self, head: Head, payload: &mut [u64]) -> Option<CellHeader> {
        let cell = self.cell(head.cell(), payload.len());
        let header: Header<'_> = cell.fixed(0);
        let [number, second, third] = header.to_array(0);
        if number != head.number() {
            return None;
        }
        cell.part(CELL_HEADER_WORDS..cell.len()).copy_to(payload);
        fence(Ordering::Acquire);
        let is_whole = header.load(NUMBER, Ordering::Relaxed) == number;
        if is_whole { Some(CellHeader::from_words([number, second, third])) } else { None }
    }

    /// The header of a cell. The caller holds the write mutex or is alone.
    #[inline(always)]
    pub fn cell_header(self, cell: u32) -> CellHeader {
        let header: Header<'_> = self.words.fixed(self.place(cell));
        CellHeader::from_words(header.to_array(0))
    }

    /// Copies a cell. The caller holds the write mutex or is alone.
    pub fn read_cell(self, cell: u32, payload: &mut [u64]) -> CellHeader {
        let words = self.cell(cell, payload.len());
        words.part(CELL_HEADER_WORDS..words.len()).copy_to(payload);
        self.cell_header(cell)
    }

    /// The words of a cell's payload from a given one on. The caller holds the write mutex or is alone.
    #[inline(always)]
    pub fn payload(self, cell: u32, first_word: usize, word_count: usize) -> Words<'a> {
        self.words.part_of(self.place(cell) + CELL_HEADER_WORDS + first_word, word_count)
    }

    /// The payload of a cell, to be looked at. The caller holds the write mutex or is alone.
    #[inline(always)]
    pub fn whole_payload(self, cell: u32) -> Payload<'a> {
        self.payload_at(self.place(cell))
    }

    #[inline(always)]
    fn payload_at(self, place: usize) -> Payload<'a> {
        let start = place + CELL_HEADER_WORDS;
        Payload { words: self.words, start, end: start + (self.cell_words - CELL_HEADER_WORDS) }
    }

    /// Whether the record in a cell has the same key as the given record, of which only the key's bytes are read. The
    /// caller holds the write mutex or is alone.
    #[inline(always)]
    pub fn has_key_of(self, cell: u32, geometry: &Geometry, record: &[u64]) -> bool {
        let payload = self.place(cell) + CELL_HEADER_WORDS;
        geometry.is_same_key(record, |index| self.words.load(payload + index, Ordering::Relaxed))
    }

    /// The number of a cell.
    #[inline(always)]
    pub fn cell_number(self, cell: u32) -> u64 {
        self.words.load(self.place(cell) + NUMBER, Ordering::Relaxed)
    }

    /// The numbers of the four cells.
    #[inline(always)]
    pub fn cell_numbers(self) -> [u64; 4] {
        [self.cell_number(0), self.cell_number(1), self.cell_number(2), self.cell_number(3)]
    }

    /// Writes a cell that no head names.
    #[inline(always)]
    pub fn stage(self, cell: u32, content: CellHeader, payload: &[u64]) {
        let words = self.cell(cell, payload.len());
        let header: Header<'_> = words.fixed(0);
        let [number, second, third] = content.to_words();
        header.store(NUMBER, 0, Ordering::Release);
        fence(Ordering::Release);
        header.store(NUMBER + 1, second, Ordering::Relaxed);
        header.store(NUMBER + 2, third, Ordering::Relaxed);
        words.part(CELL_HEADER_WORDS..words.len()).copy_from(payload);
        header.store(NUMBER, number, Ordering::Relaxed);
    }

    /// Makes a cell hold nothing.
    pub fn wipe(self, cell: u32) {
        self.words.store(self.place(cell) + NUMBER, 0, Ordering::Release);
    }

    /// Overwrites a cell that no head names with zeros. Returns whether anything else was in it. The caller holds the write
    /// mutex.
    pub fn scrub(self, cell: u32, payload_words: usize) -> bool {
        let words = self.cell(cell, payload_words);
        if is_blank(words) {
            return false;
        }
        // A reader may still be copying it: it must find the number gone if it has copied a zero.
        self.wipe(cell);
        fence(Ordering::Release);
        clear(words.part(NUMBER + 1..words.len()));
        true
    }

    /// The same for the payload alone, behind a tombstone: no reader takes it for a record's.
    pub fn scrub_payload(self, cell: u32, payload_words: usize) -> bool {
        let words = self.payload(cell, 0, payload_words);
        let is_scrubbed = !is_blank(words);
        if is_scrubbed {
            clear(words);
        }
        is_scrubbed
    }

    #[inline(always)]
    fn place(self, cell: u32) -> usize {
        self.first_cell + widen(cell & 3) * self.cell_words
    }

    /// The header and the payload of a cell.
    #[inline(always)]
    fn cell(self, cell: u32, payload_words: usize) -> Words<'a> {
        self.words.part_of(self.place(cell), CELL_HEADER_WORDS + payload_words)
    }
}

/// How many slots, from the first of some on, hold nothing that a filter accepts. The one behind them is to be read by
/// [`Slot::read_if`]: it may hold something that is accepted, or is being written, or is damaged.
///
/// Each of them costs little more than the loads that it takes: see the invariants for why one look at the number is enough.
// Not a part of the caller, so that all that the loop needs is kept in registers.
#[inline(never)]
pub fn refused_slot_count(words: Words<'_>, geometry: &Geometry, slots: Range<u32>, filter: &mut impl Filter) -> u32 {
    let [first, end] = [slots.start, slots.end].map(widen);
    let cell_words = geometry.cell_words();
    let slot_words = widen(CELLS_PER_SLOT) * cell_words;
    let heads = words.part(geometry.heads() + first..geometry.heads() + end);
    let cells = words.part_of(geometry.cell(0, 0) + first * slot_words, (end - first) * slot_words);
    let mut count = 0;
    for (head, cells) in heads.parts(1).zip(cells.parts(slot_words)) {
        let head = Head::from_word(head.load(0, Ordering::Acquire));
        if head.is_live() {
            let start = widen(head.cell()) * cell_words;
            let payload = Payload { words: cells, start: start + CELL_HEADER_WORDS, end: start + cell_words };
            let is_accepted = filter.accepts(payload);
            fence(Ordering::Acquire);
            if is_accepted || cells.load(start + NUMBER, Ordering::Relaxed) != head.number() {
                break;
            }
        }
        count += 1;
    }
    count
}

/// The payload of a cell, word by word.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    words: Words<'a>,
    start: usize,
    end: usize,
}

impl RecordWords for Payload<'_> {
    #[inline(always)]
    fn word(self, index: usize) -> u64 {
        debug_assert!(self.start + index < self.end, "a word of another cell");
        self.words.load(self.start + index, Ordering::Relaxed)
    }

    #[inline(always)]
    fn copy_words(self, first: usize, target: &mut [u64]) {
        debug_assert!(self.start + first + target.len() <= self.end, "words of another cell");
        self.words.part_of(self.start + first, target.len()).copy_to(target);
    }
}

fn is_blank(words: Words<'_>) -> bool {
    (0..words.len()).all(|index| words.load(index, Ordering::Relaxed) == 0)
}

fn clear(words: Words<'_>) {
    (0..words.len()).for_each(|index| words.store(index, 0, Ordering::Relaxed));
}

type Header<'a> = FixedWords<'a, CELL_HEADER_WORDS>;

#[cold]
fn torn(slot: u32, head: Head) -> Fault {
    Error::damaged(format!(
        "the head of slot {slot} names transaction {} in cell {}, which holds no record of that number",
        head.number(),
        head.cell()
    ))
    .into()
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
/// numbers there is always one. `head` must be the slot's; `kept` is 0 for a number at which nothing has to be kept.
#[inline(always)]
pub fn free_cell(number_of: impl Fn(u32) -> u64, head: Head, kept: [u64; 2]) -> u32 {
    // A cell that holds nothing, or something newer than both numbers, is visible at neither. Usually the first one is
    // such a cell, and then the numbers of the others, which lie far apart, need not be read.
    let first = u32::from(head.exists() && head.cell() == 0);
    let number = number_of(first);
    if number == 0 || number > kept[0].max(kept[1]) {
        return first;
    }
    free_cell_of_all([number_of(0), number_of(1), number_of(2), number_of(3)], head, kept)
}

#[cold]
fn free_cell_of_all(numbers: [u64; 4], head: Head, [first, second]: [u64; 2]) -> u32 {
    let bit = |cell: Option<u32>| cell.map_or(0, |cell| 1 << (cell & 3));
    let current = head.exists().then(|| head.cell());
    let kept: u32 = bit(current) | bit(visible_cell(numbers, first)) | bit(visible_cell(numbers, second));
    // At most three of the lowest four bits are set.
    (!kept).trailing_zeros() % CELLS_PER_SLOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(loom))]
    fn each_cell_of_each_slot_is_a_place_of_its_own() {
        use crate::format::geometry::KeyPosition;
        // A key that begins inside the second word and ends inside the third.
        let key = KeyPosition { offset_bytes: 11, key_bytes: 8 };
        let geometry = Geometry::new(3, 28, Some(key), 4096).unwrap();
        let words: Vec<_> = (0..geometry.word_count()).map(|_| crate::sys::atomic::AtomicU64::new(0)).collect();
        let slots = [0, 1, 2].map(|index| Slot::new(Words::new(&words), &geometry, index));
        let places = || slots.into_iter().flat_map(|slot| (0..4).map(move |cell| (slot, cell)));
        let content = |slot: Slot<'_>, cell: u32| {
            let number = u64::from(slot.index() * 4 + cell + 1);
            (
                CellHeader::new(number, number + 100, true, cell, 7),
                [number << 32, number << 24 | 0xabcdef, number << 40, 5],
            )
        };
        for (slot, cell) in places() {
            let (header, payload) = content(slot, cell);
            slot.stage(cell, header, &payload);
        }
        for (slot, cell) in places() {
            let (header, payload) = content(slot, cell);
            let mut copied = [0; 4];
            assert_eq!((slot.read_cell(cell, &mut copied), copied), (header, payload));
            assert_eq!((slot.cell_header(cell), slot.cell_number(cell)), (header, header.number));
            assert_eq!(slot.cell_numbers()[widen(cell)], header.number);
            let mut part = [0; 2];
            slot.payload(cell, 1, 2).copy_to(&mut part);
            assert_eq!(part, payload[1..3]);
            // The bytes before and after the key do not matter.
            let [first, second, third, last] = payload;
            assert!(slot.has_key_of(cell, &geometry, &[!first, second ^ 0xff_ffff, third ^ 0xff << 24, !last]));
            assert!(!slot.has_key_of(cell, &geometry, &[first, second ^ 1 << 24, third, last]));
            assert!(!slot.has_key_of(cell, &geometry, &[first, second, third ^ 1, last]));
            assert!(!slot.has_key_of(cell, &geometry, &[first, second, third ^ 1 << 23, last]));
            // The cell that a head names is read, if it is there.
            slot.publish(Head::new(header.number, true, cell));
            assert_eq!((slot.read(&mut copied).unwrap(), copied), (Some(header), payload));
            slot.publish(Head::new(header.number, false, cell));
            assert_eq!(slot.read(&mut copied).unwrap(), None);
            slot.publish(Head::new(header.number + 1, true, cell));
            assert!(slot.read(&mut copied).is_err());
        }
        // Scrubbing takes nothing from the cells beside it.
        assert!(slots[1].scrub_payload(1, 4) && !slots[1].scrub_payload(1, 4));
        assert_eq!((slots[1].read_cell(1, &mut [0; 4]), slots[1].cell_number(1)), (content(slots[1], 1).0, 6));
        assert!(slots[1].scrub(3, 4) && !slots[1].scrub(3, 4));
        assert_eq!(slots[1].cell_header(3).to_words(), [0; 3]);
        for cell in [1, 3] {
            let mut scrubbed = [1; 4];
            slots[1].read_cell(cell, &mut scrubbed);
            assert_eq!(scrubbed, [0; 4]);
            let (header, payload) = content(slots[1], cell);
            slots[1].stage(cell, header, &payload);
        }
        for (slot, cell) in places() {
            let mut copied = [0; 4];
            assert_eq!((slot.read_cell(cell, &mut copied), copied), content(slot, cell));
        }
        slots[1].wipe(2);
        for (slot, cell) in places() {
            let (header, _) = content(slot, cell);
            let is_wiped = (slot.index(), cell) == (1, 2);
            assert_eq!(slot.cell_number(cell), if is_wiped { 0 } else { header.number });
        }
    }

    #[test]
    fn there_is_always_a_free_cell_and_it_is_none_that_is_kept() {
        // Every order of four numbers, with any of them missing, any current cell and any two kept numbers.
        let mut checked = 0;
        let step = if cfg!(miri) { 26 } else { 1 };
        for code in (0..625_u32).step_by(step) {
            let numbers = [code % 5, code / 5 % 5, code / 25 % 5, code / 125 % 5].map(u64::from);
            for current in 0..4 {
                for kept in [[0, 0], [1, 2], [2, 4], [3, 3], [4, 1], [9, 0]] {
                    let head = Head::new(numbers[current], true, u32::try_from(current).unwrap());
                    let cell = free_cell(|cell| numbers[widen(cell)], head, kept);
                    assert_eq!(cell, free_cell_of_all(numbers, head, kept), "{numbers:?} {head:?} {kept:?}");
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
        assert_eq!(checked, 625_usize.div_ceil(step) * 4 * 6);
    }
}
