//! A control group was once believed because the boot id and the file were its own, though it had come from elsewhere:
//! from a copy that was put back, or from a part of the file that reached the disk when the rest did not. Rows were
//! then errors, or were there twice.
//!
//! So a process that is alone proves it against the cells, and a copy never gives out what its original has given out
//! since.

mod contradictions;
mod copies;
mod given_up;
mod raced;
mod staging;

use locule::admin;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use test_kit::{Visit, Visits, assert_consistent, options, visit};

#[test]
fn child_process() {
    test_kit::play(&[copies::ROLES, given_up::ROLES, raced::ROLES, staging::ROLES].concat());
}

/// Words of the control region, counted as in `format.md`.
const FAILED: usize = 18;
const INDEX_EPOCH: usize = 19;
const USED: usize = 24;
const PREPARED: usize = 25;
const LAST: usize = 26;
const INTENT_COUNT: usize = 27;
const FREE_COUNT: usize = 28;
const FREE_COUNT_NEXT: usize = 29;
const NEWEST_STATE: usize = 32;
const DURABLE: usize = 40;
const PIN: usize = 41;
const GENERATION_FLOOR: usize = 44;
const INDEX_OCCUPIED: usize = 45;

/// A whole file, read while no process uses it; its words by what they are.
#[derive(Clone)]
struct Image(Vec<u64>);

impl Image {
    fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        Image(bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect())
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// Puts it back over the file, which stays the same file.
    fn put_back(&self, path: &Path) {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&self.bytes(), 0).unwrap();
    }

    /// Where a region begins, by the word of the header that says so in bytes.
    fn region(&self, word: usize) -> usize {
        usize::try_from(self.0[word] / 8).unwrap()
    }

    fn control(&mut self, index: usize) -> &mut u64 {
        let place = self.region(8) + index;
        &mut self.0[place]
    }

    fn intent(&mut self, position: usize) -> &mut u64 {
        let place = self.region(9) + position;
        &mut self.0[place]
    }

    fn head(&mut self, slot: usize) -> &mut u64 {
        let place = self.region(10) + slot;
        &mut self.0[place]
    }

    /// An entry of the free stack, counted from the bottom.
    fn free_slot(&mut self, position: usize) -> &mut u64 {
        let place = self.region(11) + position;
        &mut self.0[place]
    }

    /// The hash table that is in use.
    fn index(&mut self) -> &mut [u64] {
        let entry_count = usize::try_from(self.half(7, 1)).unwrap();
        let epoch = *self.control(INDEX_EPOCH);
        let start = self.region(12) + if epoch & 1 == 1 { entry_count } else { 0 };
        &mut self.0[start..start + entry_count]
    }

    /// The sync records and the cells.
    fn durable_group(&mut self) -> &mut [u64] {
        let start = self.region(13);
        &mut self.0[start..]
    }

    fn sync_record(&mut self, record: usize) -> &mut [u64] {
        let start = self.region(13) + record * 512;
        &mut self.0[start..start + 24]
    }

    fn cell(&mut self, slot: usize, cell: usize) -> &mut [u64] {
        let cell_words = usize::try_from(self.half(7, 0)).unwrap() / 8;
        let start = self.region(14) + (slot * 4 + cell) * cell_words;
        &mut self.0[start..start + cell_words]
    }

    /// Makes the record in a slot, the only one of the table and never updated, one of this generation, in a table that is not in
    /// order but whole.
    fn put_generation(&mut self, slot: usize, generation: u64) {
        const IS_LIVE: u64 = 1 << 40;
        let cell = usize::try_from(*self.head(slot) >> 62).unwrap();
        let words = self.cell(slot, cell);
        let [number, old, checked] = [words[0], words[1], words[2]];
        let new = generation | IS_LIVE;
        let check = checked >> 32 ^ (mix(number, old, 0) ^ mix(number, new, 0)) & 0xffff_ffff;
        words[1..3].copy_from_slice(&[new, check << 32]);
        let added = mix(u64::try_from(slot).unwrap(), number, check);
        let digest = (self.0[16] | 1).wrapping_add(added);
        let sealed = self.sealed([number, 1, digest]);
        for (offset, word) in sealed.into_iter().enumerate() {
            *self.control(NEWEST_STATE + offset) = word;
        }
        *self.control(FAILED) = 1;
    }

    /// The low or high half of a word in memory order.
    fn half(&self, word: usize, half: usize) -> u32 {
        let bytes = self.0[word].to_ne_bytes();
        u32::from_ne_bytes(bytes[half * 4..][..4].try_into().unwrap())
    }

    /// A state with the seal that it should have: see `format.md`.
    fn sealed(&self, [number, live_count, digest]: [u64; 3]) -> [u64; 4] {
        let digest_seed = self.0[16] | 1;
        [number, live_count, digest, mix(number, live_count.wrapping_add(digest_seed.rotate_left(32)), digest)]
    }
}

/// `format.md` under "Checks".
fn mix(a: u64, b: u64, c: u64) -> u64 {
    let sum = a
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(b.wrapping_mul(0xBF58_476D_1CE4_E5B9))
        .wrapping_add(c.wrapping_mul(0x94D0_49BB_1331_11EB));
    let once = (sum ^ (sum >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    once ^ (once >> 29)
}

/// Every record by its id.
fn records(table: &Visits) -> BTreeMap<u64, Visit> {
    table.iter().map(Result::unwrap).map(|row| (row.id().into(), *row)).collect()
}

/// Checks that nothing in the file contradicts anything else.
#[track_caller]
fn assert_good(table: &Visits, path: &Path) {
    assert_consistent(table);
    let verification = admin::verify(path).unwrap();
    assert!(verification.is_good(), "{verification}");
}

/// Does many things to a table of up to 60 keys, and keeps account of them.
#[track_caller]
fn use_busily(table: &Visits, operation_count: u32, random: &mut fastrand::Rng) {
    let mut expected: BTreeMap<u64, u64> =
        table.iter().map(Result::unwrap).map(|row| (row.visitor, row.hits)).collect();
    for _ in 0..operation_count {
        let (key, hits) = (random.u64(0..60), random.u64(..));
        let found = table.find(&key).unwrap();
        assert_eq!(found.as_ref().map(|row| row.hits), expected.get(&key).copied());
        match (found, random.u32(0..10)) {
            (_, 0) => drop(table.sync().unwrap()),
            (Some(row), 1..5) => {
                table.delete(row.id()).unwrap();
                expected.remove(&key);
            }
            _ => {
                table.upsert(&visit(key, hits)).unwrap();
                expected.insert(key, hits);
            }
        }
    }
    let found: BTreeMap<u64, u64> = table.iter().map(Result::unwrap).map(|row| (row.visitor, row.hits)).collect();
    assert_eq!(found, expected);
}

/// Opens a table that no process uses.
#[track_caller]
fn open(path: &Path) -> Visits {
    options().open(path).unwrap()
}
