//! What an operation costs with nothing but the memory accesses of a table's layout, or with what it asks the kernel
//! for: no checks, no errors, no other users.
//!
//! This lies between a floor, which is one array, and an operation of the table: it shows how far an aim in floors can
//! be met at all. The layout is that of format.md: an index with part of a hash and a slot in each word, a head for
//! each slot, four cells.

use locule::testing::SharedMutex;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;

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
            bare.put_into_index(slot as u64, slot);
        }
        bare
    }

    /// Where the entry is put.
    fn put_into_index(&mut self, key: u64, slot: usize) -> usize {
        let mask = self.index.len() - 1;
        let mut position = hash(key) as usize & mask;
        while self.index[position] != 0 {
            position = (position + 1) & mask;
        }
        self.index[position] = 1 << 63 | hash(key) << SLOT_BITS | slot as u64;
        position
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
        // The work that it protects cannot be inside, as there is no other user; it costs the same here.
        mutex.lock_and_unlock().unwrap();
        let cell = usize::from(self.heads[slot] >> 62 == 0);
        self.write(slot, cell, &record, crc);
        is_whole
    }

    /// Writes a record that is not there into a slot that is free, and then a tombstone over it.
    pub fn insert_and_delete(&mut self, record: &Record, mutex: &SharedMutex) {
        let slot = self.heads.len() - 1;
        let crc = crc32fast::hash(bytemuck::cast_slice(record));
        mutex.lock_and_unlock().unwrap();
        let is_absent = self.find(record[0]).is_none();
        self.write(slot, usize::from(self.heads[slot] >> 62 == 0), record, crc);
        let position = self.put_into_index(record[0], slot);
        mutex.lock_and_unlock().unwrap();
        let (_, deleted) = self.read(slot);
        let cell = usize::from(self.heads[slot] >> 62 == 0);
        self.cells[(4 * slot + cell) * CELL_WORDS..][..HEADER_WORDS].fill(1);
        self.heads[slot] = (cell as u64) << 62;
        self.index[position] = 0;
        black_box((is_absent, deleted));
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

/// Asks the kernel for what is needed to open a table that others use, and the processor for what it can do. Returns
/// true.
///
/// No page of the mapping is looked at.
pub fn attach(path: &Path) -> bool {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let lock = |byte: i64, kind: libc::c_int| {
        let range = libc::flock { l_type: kind as i16, l_whence: 0, l_start: byte, l_len: 1, l_pid: 0 };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&range)).is_ok()
    };
    black_box(nix::sys::statfs::fstatfs(&file).unwrap());
    let has_gate = lock(0, libc::F_WRLCK);
    black_box((file.metadata().unwrap(), std::fs::symlink_metadata(path).unwrap()));
    let mut page = [0; 4096];
    file.read_exact_at(&mut page, 0).unwrap();
    black_box(crc32fast::hash(&page));
    let boot_id = File::open("/proc/sys/kernel/random/boot_id").unwrap();
    black_box(boot_id.read_at(&mut page, 0).unwrap());
    black_box(std::fs::metadata("/proc/self/ns/pid").unwrap());
    black_box(memmap2::MmapRaw::map_raw(&file).unwrap());
    let is_alone = lock(1, libc::F_WRLCK);
    let is_attached = lock(1, libc::F_RDLCK) && lock(0, libc::F_UNLCK);
    has_gate && !is_alone && is_attached
}
