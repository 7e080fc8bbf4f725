//! The bytes of a table's file, and the checks in them: written from `format.md`, not from the library, so that it can
//! judge what the library does with an image.

use std::collections::HashSet;
use std::ops::Range;

/// Words of the control region, counted from its beginning.
pub mod control {
    /// Both mutexes.
    pub const MUTEXES: std::ops::Range<usize> = 0..16;
    /// The number of the last transaction whose intent is sealed.
    pub const PREPARED: usize = 25;
    /// The sealed newest state.
    pub const NEWEST_STATE: usize = 32;
    /// The sealed intent.
    pub const INTENDED_STATE: usize = 36;
    /// The incarnation, and its seal behind it.
    pub const INCARNATION: usize = 48;
    /// The last word that has a meaning.
    pub const END: usize = 63;
}

const UUID: usize = 16;
const HASH_SEED: usize = 18;
const CREATED: usize = 19;
const HEADER_CRC: Range<usize> = 164..168;
const PAGE_WORDS: usize = 512;
const LIVE_BIT: u64 = 1 << 40;
const NUMBER_LIMIT: u64 = 1 << 61;

/// The words of a sync record; the last one is its check.
const SYNC_RECORD_WORDS: usize = 24;

/// Where things are in an image, in words.
#[derive(Clone, Debug)]
pub struct Layout {
    pub capacity: usize,
    pub cell_words: usize,
    /// Header, control, intents, heads, free stack, index, sync records, cells.
    pub regions: [Range<usize>; 8],
}

impl Layout {
    pub fn control(&self) -> usize {
        self.regions[1].start
    }

    pub fn sync_record(&self, record: usize) -> Range<usize> {
        let start = self.regions[6].start + record * PAGE_WORDS;
        start..start + SYNC_RECORD_WORDS
    }

    pub fn cell(&self, slot: usize, cell: usize) -> Range<usize> {
        let start = self.regions[7].start + (4 * slot + cell) * self.cell_words;
        start..start + self.cell_words
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let capacity = self.capacity;
        (0..capacity).flat_map(|slot| (0..4).map(move |cell| (slot, cell)))
    }
}

/// A part of a file that proves itself by a check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sealed {
    Header(Vec<u8>),
    State(Vec<u64>),
    Sync(Vec<u64>),
    /// A slot; number, generation and live bit, update count, and the payload of a live record.
    Cell(usize, Vec<u64>),
}

impl Sealed {
    /// The cell that a record was read from.
    pub fn of_row<T: locule::Record>(row: &locule::Row<T>) -> Self {
        let mut words = vec![row.version(), row.id().generation() | LIVE_BIT, u64::from(row.update_count())];
        let mut bytes = vec![0; T::RECORD_BYTES];
        row.encode(&mut bytes);
        bytes.resize(T::RECORD_BYTES.next_multiple_of(8), 0);
        words.extend(bytes.chunks_exact(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().expect("eight bytes"))));
        Sealed::Cell(row.id().slot() as usize, words)
    }
}

/// Which checks are to be computed anew.
#[derive(Clone, Copy, Debug, Default, arbitrary::Arbitrary)]
pub struct Reseal {
    pub header: bool,
    pub cells: bool,
    pub states: bool,
    pub syncs: bool,
}

/// How a file comes to its opener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Surrounding {
    /// As it was left.
    Same,
    /// In the same boot, by an opener that did not finish before.
    Unfinished,
    /// In another boot.
    OtherStart,
}

/// The bytes of a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(pub Vec<u8>);

impl Image {
    pub fn word(&self, index: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[8 * index..8 * index + 8]);
        u64::from_ne_bytes(bytes)
    }

    pub fn set_word(&mut self, index: usize, word: u64) {
        self.0[8 * index..8 * index + 8].copy_from_slice(&word.to_ne_bytes());
    }

    fn words(&self, range: Range<usize>) -> Vec<u64> {
        range.map(|index| self.word(index)).collect()
    }

    /// Where things are, as the header says. Only for a file that the library made.
    pub fn layout(&self) -> Layout {
        let number = |byte: usize| (self.word(byte / 8) >> (byte % 8 * 8)) as u32 as usize;
        let ends: Vec<usize> = (8..16).map(|index| self.word(index) as usize / 8).collect();
        let start = |region: usize| if region == 0 { 0 } else { ends[region - 1] };
        let regions = std::array::from_fn(|region| start(region)..ends[region]);
        Layout { capacity: number(40), cell_words: number(56) / 8, regions }
    }

    // -- checks ------------------------------------------------------------------------------------

    fn digest_seed(&self) -> u64 {
        self.word(UUID) | 1
    }

    fn header_crc(&self, layout: &Layout) -> u32 {
        let mut header = self.0[..8 * layout.regions[0].end].to_vec();
        header[HEADER_CRC].fill(0);
        crc32fast::hash(&header)
    }

    fn cell_check(&self, cell: &Range<usize>) -> u32 {
        let [number, second, third] = [0, 1, 2].map(|offset| self.word(cell.start + offset));
        let second = second & (2 * LIVE_BIT - 1);
        let header = mix(number, second, third & 0xffff_ffff) as u32;
        let payload = &self.0[8 * (cell.start + 3)..8 * cell.end];
        if second & LIVE_BIT != 0 { header ^ crc32fast::hash(payload) } else { header }
    }

    fn cell_verifies(&self, cell: &Range<usize>) -> bool {
        let (number, check) = (self.word(cell.start), (self.word(cell.start + 2) >> 32) as u32);
        (1..NUMBER_LIMIT).contains(&number) && self.cell_check(cell) == check
    }

    /// Digest and live count at a number.
    pub fn digest_at(&self, layout: &Layout, number: u64) -> (u64, u64) {
        let (mut digest, mut live_count) = (self.digest_seed(), 0);
        for slot in 0..layout.capacity {
            let cells = (0..4).map(|cell| layout.cell(slot, cell));
            let seen = cells.filter(|cell| self.word(cell.start) <= number && self.cell_verifies(cell));
            if let Some(cell) = seen.max_by_key(|cell| self.word(cell.start)) {
                let check = self.word(cell.start + 2) >> 32;
                digest = digest.wrapping_add(mix(slot as u64, self.word(cell.start), check));
                live_count += u64::from(self.word(cell.start + 1) & LIVE_BIT != 0);
            }
        }
        (digest, live_count)
    }

    fn state_seal(&self, at: usize) -> u64 {
        let second = self.word(at + 1).wrapping_add(self.digest_seed().rotate_left(32));
        mix(self.word(at), second, self.word(at + 2))
    }

    fn sync_check(&self, record: &Range<usize>) -> u64 {
        let mut words = self.words(record.clone());
        words[SYNC_RECORD_WORDS - 1] = self.digest_seed();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        u64::from(crc32fast::hash(&bytes))
    }

    fn states(layout: &Layout) -> [usize; 2] {
        [layout.control() + control::NEWEST_STATE, layout.control() + control::INTENDED_STATE]
    }

    /// Everything in the image that proves itself by a check. If there is something of this kind that no table ever
    /// held, the image was forged, and not damaged.
    pub fn sealed(&self, layout: &Layout) -> HashSet<Sealed> {
        let header = &self.0[..8 * layout.regions[0].end];
        let mut found = HashSet::new();
        if header[HEADER_CRC] == self.header_crc(layout).to_ne_bytes() {
            found.insert(Sealed::Header(header.to_vec()));
        }
        for at in Self::states(layout) {
            if self.word(at + 3) == self.state_seal(at) {
                found.insert(Sealed::State(self.words(at..at + 3)));
            }
        }
        for record in [0, 1].map(|record| layout.sync_record(record)) {
            if self.word(record.end - 1) == self.sync_check(&record) {
                found.insert(Sealed::Sync(self.words(record)));
            }
        }
        for (slot, cell) in layout.cells() {
            let cell = layout.cell(slot, cell);
            if self.cell_verifies(&cell) {
                let mut words = self.words(cell);
                words[1] &= 2 * LIVE_BIT - 1;
                words[2] &= 0xffff_ffff;
                if words[1] & LIVE_BIT == 0 {
                    words.truncate(3);
                }
                found.insert(Sealed::Cell(slot, words));
            }
        }
        found
    }

    /// Computes checks anew, in the order in which they go into each other.
    pub fn reseal(&mut self, layout: &Layout, reseal: Reseal) {
        if reseal.cells {
            for (slot, cell) in layout.cells() {
                let cell = layout.cell(slot, cell);
                let third = self.word(cell.start + 2) & 0xffff_ffff;
                self.set_word(cell.start + 2, third | u64::from(self.cell_check(&cell)) << 32);
            }
        }
        if reseal.states {
            for at in Self::states(layout) {
                let (digest, live_count) = self.digest_at(layout, self.word(at));
                self.set_word(at + 1, live_count);
                self.set_word(at + 2, digest);
                self.set_word(at + 3, self.state_seal(at));
            }
        }
        if reseal.syncs {
            for record in [0, 1].map(|record| layout.sync_record(record)) {
                let (digest, live_count) = self.digest_at(layout, self.word(record.start));
                self.set_word(record.start + 2, live_count);
                self.set_word(record.start + 3, digest);
                self.set_word(record.end - 1, self.sync_check(&record));
            }
        }
        if reseal.header {
            let crc = self.header_crc(layout);
            self.0[HEADER_CRC].copy_from_slice(&crc.to_ne_bytes());
        }
    }

    /// Makes the file new again, without the parts that differ from file to file: so what the fuzzer finds can be found
    /// again.
    pub fn make_new(&mut self) {
        let layout = self.layout();
        self.0[8 * layout.control()..].fill(0);
        self.set_word(UUID, 0x6720_656c_7563_6f6c);
        self.set_word(UUID + 1, 7);
        self.set_word(HASH_SEED, 5);
        self.set_word(CREATED, 0);
        self.reseal(&layout, Reseal { header: true, ..Reseal::default() });
        let record = layout.sync_record(0);
        self.set_word(record.start + 3, self.digest_seed());
        self.set_word(record.end - 1, self.sync_check(&record));
    }

    /// Lets the next opener find the file in another surrounding.
    pub fn surround(&mut self, layout: &Layout, surrounding: Surrounding) {
        let start = layout.control() + control::INCARNATION;
        match surrounding {
            Surrounding::Same => {}
            Surrounding::Unfinished => self.set_word(start + 7, 0),
            Surrounding::OtherStart => {
                self.set_word(start, !self.word(start));
                let [a, b, c, d, e, f, g] = std::array::from_fn(|offset| self.word(start + offset));
                self.set_word(start + 7, mix(mix(a, b, c), mix(d, e, f), g) | 1);
            }
        }
    }
}

/// Mixes three words into one.
fn mix(first: u64, second: u64, third: u64) -> u64 {
    let sum = first
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(second.wrapping_mul(0xBF58_476D_1CE4_E5B9))
        .wrapping_add(third.wrapping_mul(0x94D0_49BB_1331_11EB));
    let once = (sum ^ (sum >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    once ^ (once >> 29)
}
