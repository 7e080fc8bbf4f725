//! What a find and an update cost with nothing but the memory accesses of a table's layout: no checks, no errors, nobody else.
//!
//! Between a floor, which is one array, and an operation of the table: how far an aim in floors can be met at all. The layout
//! is that of format.md: an index of four bytes' worth of hash and a slot in each word, a head for each slot, four cells.

use locule::testing::SharedMutex;

const RECORD_WORDS: usize = 16;
const HEADER_WORDS: usize = 3;
const CELL_WORDS: usize = HEADER_WORDS + RECORD_WORDS;
const SLOT_BITS: u32 = 24;

type Record = [u64; RECORD_WORDS];

/// A table that one thread of one process uses, and that survives nothing.
pub struct Bare {
    index: Vec<u64>,
    heads: Vec<u64>,
    cells: Vec<u64>,
}

impl Bare {
    pub fn new(record_count: usize, capacity: usize) -> Self {
        let mut bare = Bare {
            index: vec![0; (2 * capacity + 1).next_power_of_two()],
            heads: vec![0; capacity],
            cells: vec![0; 4 * capacity * CELL_WORDS],
        };
        for slot in 0..record_count {
            let mut record = [0; RECORD_WORDS];
            record[0] = slot as u64;
            bare.write(slot, 0, &record, crc32fast::hash(bytemuck::cast_slice(&record)));
            let entry = hash(slot as u64) << SLOT_BITS | slot as u64;
            let mask = bare.index.len() - 1;
            let mut position = hash(slot as u64) as usize & mask;
            while bare.index[position] != 0 {
                position = (position + 1) & mask;
            }
            bare.index[position] = entry | 1 << 63;
        }
        bare
    }

    pub fn find(&self, key: u64) -> Option<Record> {
        let (hash, mask) = (hash(key), self.index.len() - 1);
        let mut position = hash as usize & mask;
        loop {
            let entry = self.index[position & mask];
            if entry == 0 {
                return None;
            }
            if (entry & !(1 << 63)) >> SLOT_BITS == hash {
                let (_, record) = self.read((entry & ((1 << SLOT_BITS) - 1)) as usize);
                if record[0] == key {
                    return Some(record);
                }
            }
            position += 1;
        }
    }

    /// Reads a record and its checksum, changes it, and writes it to another cell with its new checksum.
    pub fn update(&mut self, slot: usize, mutex: &SharedMutex, change: impl FnOnce(&mut Record)) -> bool {
        let (crc, mut record) = self.read(slot);
        let is_whole = crc == crc32fast::hash(bytemuck::cast_slice(&record));
        change(&mut record);
        let crc = crc32fast::hash(bytemuck::cast_slice(&record));
        // What it is there for cannot be inside, as there is no other user; it costs the same here.
        mutex.lock_and_unlock().unwrap();
        let cell = usize::from(self.heads[slot] >> 62 == 0);
        self.write(slot, cell, &record, crc);
        is_whole
    }

    fn read(&self, slot: usize) -> (u32, Record) {
        let head = self.heads[slot];
        let start = (4 * slot + (head >> 62) as usize) * CELL_WORDS;
        let cell = &self.cells[start..start + CELL_WORDS];
        let mut record = [0; RECORD_WORDS];
        record.copy_from_slice(&cell[HEADER_WORDS..]);
        (cell[2] as u32, record)
    }

    fn write(&mut self, slot: usize, cell: usize, record: &Record, crc: u32) {
        let start = (4 * slot + cell) * CELL_WORDS;
        self.cells[start + 2] = crc.into();
        self.cells[start + HEADER_WORDS..start + CELL_WORDS].copy_from_slice(record);
        self.heads[slot] = (cell as u64) << 62 | 1 << 61;
    }
}

/// 39 bits, as an index entry holds.
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 25
}
