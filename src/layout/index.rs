//! The index: a hash table from a key's hash to its slot, which readers search while a writer changes it.
//!
//! Open addressing, linear probing; an entry is one word. There are two tables. One of them is in use, and of that
//! perhaps only a part: the epoch says which, and how much. So a large table with few records has a small index, which
//! stays in the caches. Invariants:
//!
//! 1. Entries never move inside a table.
//! 2. From the home position of an entry to the entry itself no position is empty, at any moment.
//! 3. A key is put in before its record is published, and taken out after its record is gone.
//! 4. A rebuild fills the table that is *not* in use, and only then increments the epoch.
//!
//! So a search that meets an empty position has not missed a key that was there all the time, if the epoch is still the
//! same: by 2 in the table it searched, and by 4 because a table is refilled only after the epoch has moved on. The
//! caller verifies a hit in the record; an entry whose record is not there (yet, or any more) is passed over.
//!
//! A removed entry becomes a tombstone, or empty if the next position is empty: then no entry's way leads across it, so
//! 2 still holds. Tombstones before it become empty for the same reason. That keeps tombstones so few that rebuilds are
//! rare, apart from those by which an index grows.
//!
//! Memory ordering: a rebuild has a release fence before it clears the old table, and a search has an acquire fence
//! before it looks at the epoch again, so a search that saw a cleared entry sees that the epoch moved on. The epoch is
//! stored with release and loaded with acquire, so a search that sees it sees the table that it names filled. An entry
//! is taken out with release, so a search that no longer finds a key, and has passed the same fence, finds its record
//! gone. Putting an entry in orders nothing: a thread that saw a record's head sees the entry that was stored before.
//! Where a release store follows in what a writer does, it keeps the order for a repairer after the writer's death, by
//! the compiler too; in the model checker no thread can die, so it does not see that.

use crate::format::cell::SLOT_LIMIT;
use crate::format::checksum::low_half;
use crate::format::control::{CONTROL_WORDS, INDEX_EPOCH, INDEX_OCCUPIED};
use crate::format::geometry::Geometry;
use crate::sys::words::{FixedWords, Ordering, Words, fence};
use std::ops::Range;

const EMPTY: u64 = 0;
const TOMBSTONE: u64 = 1;
const USED_BIT: u64 = 1 << 63;
const SLOT_BITS: u32 = 24;
/// Bits of the hash that an entry has no room for.
const HASH_SHIFT: u32 = 25;
/// A table in use has at least this many entries, if the file has room for them. The model checker's tables are small,
/// and grow too.
const SMALLEST_ENTRY_COUNT: usize = if cfg!(loom) { 8 } else { 64 };

/// The content of the epoch's word: bit 0 says which table is in use; bits 1 to 5 say how often the room for entries
/// was halved to get the part of it that is in use; bits 6 to 63 count rebuilds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

impl Epoch {
    const HALVINGS_SHIFT: u32 = 1;
    const HALVINGS_MASK: u64 = 0x1f;
    const COUNT_SHIFT: u32 = 6;

    pub fn from_word(word: u64) -> Self {
        Epoch(word)
    }

    pub fn rebuild_count(self) -> u64 {
        self.0 >> Self::COUNT_SHIFT
    }

    /// The epoch after this one: the other table, of which this many halvings are in use.
    fn next(self, halvings: u32) -> Self {
        let count = self.rebuild_count().wrapping_add(1);
        Epoch(count << Self::COUNT_SHIFT | u64::from(halvings) << Self::HALVINGS_SHIFT | (self.0 & 1 ^ 1))
    }

    #[inline(always)]
    fn is_second(self) -> bool {
        self.0 & 1 == 1
    }

    #[inline(always)]
    fn entry_count(self, room: usize) -> usize {
        (room >> (self.0 >> Self::HALVINGS_SHIFT & Self::HALVINGS_MASK)).max(1)
    }
}

/// The hash of a key, as much of it as an entry holds: 39 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(u64);

impl KeyHash {
    /// Hashes the bytes of a key by XXH3-64, with the table's own seed.
    #[inline(always)]
    pub fn new(key: &[u8], hash_seed: u64) -> Self {
        KeyHash(xxhash_rust::xxh3::xxh3_64_with_seed(key, hash_seed) >> HASH_SHIFT)
    }

    /// Hashes the key of a record; without a key, nothing.
    #[inline(always)]
    pub fn of_record(record: &[u64], geometry: &Geometry, hash_seed: u64) -> Self {
        let bytes: &[u8] = bytemuck::cast_slice(record);
        let key = geometry.key().and_then(|key| bytes.get(key.offset_bytes..key.offset_bytes + key.key_bytes));
        Self::new(key.unwrap_or_default(), hash_seed)
    }
}

/// The index of a table.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    control: FixedWords<'a, CONTROL_WORDS>,
    words: Words<'a>,
    /// Where the first of the two tables begins, in words.
    start: usize,
    /// How many entries each of the two has room for.
    room: usize,
}

impl<'a> Index<'a> {
    #[inline(always)]
    pub fn new(words: Words<'a>, control: FixedWords<'a, CONTROL_WORDS>, geometry: &Geometry) -> Self {
        Index { control, words, start: geometry.index(), room: geometry.index_entry_count() }
    }

    #[inline(always)]
    pub fn epoch(self) -> Epoch {
        Epoch(self.control.load(INDEX_EPOCH, Ordering::Acquire))
    }

    /// Whether a miss since `epoch` was read cannot be due to a rebuild.
    #[inline(always)]
    pub fn is_still(self, epoch: Epoch) -> bool {
        fence(Ordering::Acquire);
        self.control.load(INDEX_EPOCH, Ordering::Relaxed) == epoch.0
    }

    /// The slots that may hold a key with this hash, in the table of an epoch.
    #[inline(always)]
    pub fn candidates(self, epoch: Epoch, hash: KeyHash) -> Candidates<'a> {
        let table = self.table(epoch);
        Candidates { table, wanted: entry(hash, 0), position: hash.0, left: table.len() }
    }

    /// Where the table of an epoch is, in words from the beginning of the file.
    #[inline(always)]
    pub fn words_of(self, epoch: Epoch) -> Range<usize> {
        let start = if epoch.is_second() { self.start + self.room } else { self.start };
        start..start + epoch.entry_count(self.room)
    }

    #[inline(always)]
    fn table(self, epoch: Epoch) -> Words<'a> {
        let Range { start, end } = self.words_of(epoch);
        self.words.part_of(start, end - start)
    }

    /// Puts a key in; doing so again changes nothing. Under the write mutex. Returns whether there was room, which
    /// [`needs_rebuild`](Self::needs_rebuild) has made sure of.
    pub fn insert(self, hash: KeyHash, slot: u32) -> bool {
        let table = self.table(self.epoch());
        let new = entry(hash, slot);
        let mut target = None;
        for position in positions(table, hash) {
            let found = table.load(position, Ordering::Relaxed);
            if found == new {
                return true;
            }
            if found == TOMBSTONE && target.is_none() {
                target = Some(position);
            }
            if found == EMPTY {
                if target.is_none() {
                    // Counted first: a writer that dies in between leaves one too many, never one too few.
                    let occupied = self.control.load(INDEX_OCCUPIED, Ordering::Relaxed);
                    self.control.store(INDEX_OCCUPIED, occupied.saturating_add(1), Ordering::Relaxed);
                }
                target = target.or(Some(position));
                break;
            }
        }
        match target {
            Some(position) => {
                table.store(position, new, Ordering::Release);
                true
            }
            None => false,
        }
    }

    /// Takes a key out; if it is not there, nothing happens. Under the write mutex.
    pub fn remove(self, hash: KeyHash, slot: u32) {
        let table = self.table(self.epoch());
        let old = entry(hash, slot);
        for position in positions(table, hash) {
            match table.load(position, Ordering::Relaxed) {
                EMPTY => return,
                found if found == old => {
                    table.store(position, TOMBSTONE, Ordering::Release);
                    self.clear_tombstones_before_gap(table, position);
                    return;
                }
                _ => {}
            }
        }
    }

    /// Makes the tombstone at a position empty if the next position is empty, and then those before it.
    fn clear_tombstones_before_gap(self, table: Words<'_>, mut at: usize) {
        let mask = table.len() - 1;
        if table.load((at + 1) & mask, Ordering::Relaxed) != EMPTY {
            return;
        }
        let mut cleared = 0;
        while table.load(at, Ordering::Relaxed) == TOMBSTONE {
            table.store(at, EMPTY, Ordering::Release);
            cleared += 1;
            at = at.wrapping_sub(1) & mask;
        }
        let occupied = self.control.load(INDEX_OCCUPIED, Ordering::Relaxed);
        // Counted last: a writer that dies in between leaves too many, never too few.
        self.control.store(INDEX_OCCUPIED, occupied.saturating_sub(cleared), Ordering::Release);
    }

    /// Whether the table must be rebuilt before this many keys are put in, given how many live keys it has after that: if
    /// it can grow, when more than a quarter of it is occupied; otherwise, when more than a quarter of it is tombstones.
    pub fn needs_rebuild(self, insert_count: u64, live_count: u64) -> bool {
        let occupied = self.control.load(INDEX_OCCUPIED, Ordering::Relaxed).saturating_add(insert_count);
        let entry_count = self.epoch().entry_count(self.room);
        let reserved = if entry_count < self.room { 0 } else { live_count };
        occupied.saturating_sub(reserved) > u64::try_from(entry_count / 4).unwrap_or(u64::MAX)
    }

    /// Copies everything that is not a tombstone into the other table, with room for this many more keys, and goes over
    /// to that table. Under the write mutex.
    pub fn rebuild(self, insert_count: u64) {
        let old = self.table(self.epoch());
        let keys = (0..old.len()).map(|position| old.load(position, Ordering::Relaxed)).filter(|found| is_key(*found));
        let key_count = keys.clone().count();
        self.go_over(keys, key_count.saturating_add(usize::try_from(insert_count).unwrap_or(usize::MAX)));
    }

    /// Fills the table that is not in use with these keys, and goes over to it. For a first opener, which believes
    /// nothing that is in the index.
    pub fn rebuild_from(self, keys: impl Iterator<Item = (KeyHash, u32)>, key_count: usize) {
        self.go_over(keys.map(|(hash, slot)| entry(hash, slot)), key_count);
    }

    /// Fills as much of the other table as eight times this many keys need, if there is room, and goes over to it.
    fn go_over(self, entries: impl Iterator<Item = u64>, key_count: usize) {
        let entry_count = key_count.saturating_mul(8).max(SMALLEST_ENTRY_COUNT);
        let mut halvings = 0;
        while self.room >> (halvings + 1) >= entry_count {
            halvings += 1;
        }
        let next = self.epoch().next(halvings);
        let table = self.table(next);
        clear(table);
        let mut occupied = 0;
        for new in entries {
            occupied += u64::from(place(table, new));
        }
        self.control.store(INDEX_EPOCH, next.0, Ordering::Release);
        // Counted last, since a rebuild leaves fewer: a writer that dies in between leaves too many, never too few.
        self.control.store(INDEX_OCCUPIED, occupied, Ordering::Release);
    }

    /// Every entry of the table in use. For checks.
    pub fn entries(self) -> impl Iterator<Item = IndexEntry> + use<'a> {
        let table = self.table(self.epoch());
        (0..table.len()).map(move |position| match table.load(position, Ordering::Relaxed) {
            EMPTY => IndexEntry::Empty,
            TOMBSTONE => IndexEntry::Tombstone,
            found if is_key(found) => {
                IndexEntry::Key { hash: KeyHash((found & !USED_BIT) >> SLOT_BITS), slot: slot_of(found) }
            }
            other => IndexEntry::Meaningless(other),
        })
    }
}

/// What a position of a hash table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexEntry {
    Empty,
    Tombstone,
    Key { hash: KeyHash, slot: u32 },
    Meaningless(u64),
}

/// The slots that a search meets, until an empty position ends it.
pub struct Candidates<'a> {
    table: Words<'a>,
    wanted: u64,
    position: u64,
    left: usize,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let count = self.table.len();
        while self.left > 0 {
            self.left -= 1;
            let found = self.table.load(position(self.position, 0, count), Ordering::Relaxed);
            self.position = self.position.wrapping_add(1);
            if found == EMPTY {
                return None;
            }
            if (found ^ self.wanted) >> SLOT_BITS == 0 {
                return Some(slot_of(found));
            }
        }
        None
    }
}

fn positions(table: Words<'_>, hash: KeyHash) -> impl Iterator<Item = usize> {
    let entry_count = table.len();
    (0..entry_count).map(move |step| position(hash.0, step, entry_count))
}

/// Puts an entry into a table that is not in use yet. Returns whether there was room.
fn place(table: Words<'_>, new: u64) -> bool {
    let hash = KeyHash((new & !USED_BIT) >> SLOT_BITS);
    match positions(table, hash).find(|position| table.load(*position, Ordering::Relaxed) == EMPTY) {
        Some(position) => {
            table.store(position, new, Ordering::Relaxed);
            true
        }
        None => false,
    }
}

fn is_key(entry: u64) -> bool {
    entry & USED_BIT != 0
}

fn clear(table: Words<'_>) {
    fence(Ordering::Release);
    for index in 0..table.len() {
        table.store(index, EMPTY, Ordering::Relaxed);
    }
}

/// The position a number of steps after home; a table's length is a power of two.
#[inline]
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "masked by the table's length")]
fn position(home: u64, step: usize, entry_count: usize) -> usize {
    (home as usize).wrapping_add(step) & entry_count.wrapping_sub(1)
}

fn entry(hash: KeyHash, slot: u32) -> u64 {
    USED_BIT | hash.0 << SLOT_BITS | u64::from(slot & (SLOT_LIMIT - 1))
}

fn slot_of(entry: u64) -> u32 {
    low_half(entry) & (SLOT_LIMIT - 1)
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::geometry::KeyPosition;
    use crate::sys::atomic::AtomicU64;
    use crate::value::field::tests::Random;
    use std::collections::BTreeSet;

    const CAPACITY: u32 = 12;
    const ENTRY_COUNT: usize = 32;

    /// The words of a table with an empty index, and how they lie.
    fn table() -> (Vec<AtomicU64>, Geometry) {
        let (words, geometry) = table_of(CAPACITY);
        assert_eq!(geometry.index_entry_count(), ENTRY_COUNT);
        (words, geometry)
    }

    fn table_of(capacity: u32) -> (Vec<AtomicU64>, Geometry) {
        let key = Some(KeyPosition { offset_bytes: 0, key_bytes: 8 });
        let geometry = Geometry::new(u64::from(capacity), 8, key, 4096).unwrap();
        ((0..geometry.word_count()).map(|_| AtomicU64::new(0)).collect(), geometry)
    }

    fn index_of<'a>(words: &'a [AtomicU64], geometry: &Geometry) -> Index<'a> {
        let words = Words::new(words);
        Index::new(words, words.fixed(geometry.control()), geometry)
    }

    fn occupied(index: Index<'_>) -> u64 {
        index.control.load(INDEX_OCCUPIED, Ordering::Relaxed)
    }

    fn found(index: Index<'_>, hash: KeyHash) -> Vec<u32> {
        index.candidates(index.epoch(), hash).collect()
    }

    /// Checks that an index holds these keys and no others, that each is found, and that it counts right.
    fn check(index: Index<'_>, keys: &BTreeSet<(u64, u32)>) {
        let entries: Vec<_> = index.entries().collect();
        let mut held = BTreeSet::new();
        for (position, entry) in entries.iter().enumerate() {
            match entry {
                IndexEntry::Key { hash, slot } => assert!(held.insert((hash.0, *slot)), "twice: {entry:?}"),
                IndexEntry::Tombstone => {
                    assert_ne!(entries[(position + 1) % entries.len()], IndexEntry::Empty, "a useless tombstone")
                }
                IndexEntry::Empty => {}
                IndexEntry::Meaningless(word) => panic!("{word:#x}"),
            }
        }
        assert_eq!(&held, keys);
        assert_eq!(occupied(index), entries.iter().filter(|entry| **entry != IndexEntry::Empty).count() as u64);
        for (hash, _) in keys {
            let expected: BTreeSet<u32> = keys.range((*hash, 0)..=(*hash, u32::MAX)).map(|key| key.1).collect();
            assert_eq!(found(index, KeyHash(*hash)).into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn an_index_finds_what_a_set_holds_whatever_was_put_in_taken_out_and_rebuilt() {
        let (mut rebuild_count, mut tombstone_count, mut wrapped_count) = (0, 0, 0);
        for seed in 0..if cfg!(miri) { 1 } else { 200 } {
            let (words, geometry) = table();
            let index = index_of(&words, &geometry);
            let mut random = Random(seed);
            let mut keys = BTreeSet::new();
            for _ in 0..if cfg!(miri) { 25 } else { 200 } {
                // Few homes, so that ways are long and cross each other, and some cross the end of the table; some with
                // bits that only the entry compares.
                let key = (random.below(6) as u64 + 28 + ((random.below(2) as u64) << 38), random.below(12) as u32);
                let hash = KeyHash(key.0);
                if random.below(5) < 2 {
                    index.remove(hash, key.1);
                    keys.remove(&key);
                } else if keys.len() < 16 {
                    if index.needs_rebuild(1, keys.len() as u64 + 1) || random.below(20) == 0 {
                        index.rebuild(1);
                        rebuild_count += 1;
                        check(index, &keys);
                    }
                    assert!(index.insert(hash, key.1));
                    keys.insert(key);
                }
                tombstone_count += index.entries().filter(|entry| *entry == IndexEntry::Tombstone).count();
                wrapped_count += usize::from(index.entries().next() != Some(IndexEntry::Empty));
                check(index, &keys);
            }
            let epoch = index.epoch();
            index.rebuild_from(keys.iter().map(|(hash, slot)| (KeyHash(*hash), *slot)), keys.len());
            assert!(!index.is_still(epoch) && index.is_still(epoch.next(0)));
            assert_eq!(index.epoch().rebuild_count(), epoch.rebuild_count() + 1);
            check(index, &keys);
        }
        assert!(
            cfg!(miri) || (rebuild_count > 50 && tombstone_count > 1000 && wrapped_count > 1000),
            "{rebuild_count} {tombstone_count} {wrapped_count}"
        );
    }

    #[test]
    fn an_index_grows_with_its_keys_and_shrinks_when_it_is_rebuilt_without_them() {
        let capacity = if cfg!(miri) { 75 } else { 300 };
        let (words, geometry) = table_of(capacity);
        let index = index_of(&words, &geometry);
        index.rebuild_from(std::iter::empty(), 0);
        let (entry_count, most) = (|| index.entries().count(), geometry.index_entry_count());
        assert_eq!(entry_count(), SMALLEST_ENTRY_COUNT);
        assert!(most > 2 * SMALLEST_ENTRY_COUNT);
        let mut keys = BTreeSet::new();
        let mut random = Random(5);
        for slot in 0..capacity {
            let key = (random.below(1 << 20) as u64, slot);
            if index.needs_rebuild(1, u64::from(slot)) {
                let before = entry_count();
                index.rebuild(1);
                assert!(entry_count() >= 2 * before);
                check(index, &keys);
            }
            assert!(index.insert(KeyHash(key.0), slot));
            keys.insert(key);
            let (used, entry_count) = (keys.len(), entry_count());
            assert!(used * 4 <= entry_count || entry_count == most, "{used} of {entry_count}");
            assert!(used * 16 > entry_count || entry_count == SMALLEST_ENTRY_COUNT, "{used} of {entry_count}");
        }
        check(index, &keys);
        assert_eq!(entry_count(), most);
        for (hash, slot) in std::mem::replace(&mut keys, [(7, 7)].into()) {
            index.remove(KeyHash(hash), slot);
        }
        assert!(index.insert(KeyHash(7), 7));
        index.rebuild(SMALLEST_ENTRY_COUNT as u64 / 8 - 1);
        assert_eq!(entry_count(), SMALLEST_ENTRY_COUNT);
        check(index, &keys);
        index.rebuild(SMALLEST_ENTRY_COUNT as u64 / 8);
        assert_eq!(entry_count(), 2 * SMALLEST_ENTRY_COUNT);
        index.rebuild(u64::MAX);
        assert_eq!(entry_count(), most, "there is no more room");
        check(index, &keys);
    }

    #[test]
    fn whatever_the_word_of_the_epoch_says_the_table_in_use_is_a_part_of_the_file() {
        let (words, geometry) = table();
        let index = index_of(&words, &geometry);
        for word in (0..64).chain([u64::MAX, 0x3e, 0x3f]) {
            index.control.store(INDEX_EPOCH, word, Ordering::Relaxed);
            let range = index.words_of(index.epoch());
            assert!(!range.is_empty() && range.start >= geometry.index());
            assert!(range.end <= geometry.index() + 2 * ENTRY_COUNT);
            assert_eq!(found(index, KeyHash(7)), [0_u32; 0]);
        }
    }

    #[test]
    fn a_rebuild_is_due_when_tombstones_are_more_than_a_quarter() {
        let (words, geometry) = table();
        let index = index_of(&words, &geometry);
        for (occupied, insert_count, live_count, is_due) in [
            (0, 8, 8, false),
            (0, 12, 12, false),
            (8, 0, 0, false),
            (9, 0, 0, true),
            (8, 1, 1, false),
            (9, 1, 1, true),
            (19, 1, 12, false),
            (20, 1, 12, true),
            (12, 0, 12, false),
            (12, u64::MAX, 5, true),
        ] {
            index.control.store(INDEX_OCCUPIED, occupied, Ordering::Relaxed);
            assert_eq!(index.needs_rebuild(insert_count, live_count), is_due, "{occupied} {insert_count} {live_count}");
        }
    }

    #[test]
    fn a_table_without_an_empty_entry_ends_every_search_and_takes_no_more() {
        let (words, geometry) = table();
        let index = index_of(&words, &geometry);
        for number in 0..ENTRY_COUNT as u32 {
            assert!(index.insert(KeyHash(7), number));
        }
        assert_eq!(found(index, KeyHash(7)).len(), ENTRY_COUNT);
        assert_eq!(found(index, KeyHash(8)), [0_u32; 0]);
        assert!(index.insert(KeyHash(7), 3), "it is there already");
        assert!(!index.insert(KeyHash(7), 1000));
        // The place of a removed key is used again.
        index.remove(KeyHash(7), 3);
        assert!(index.insert(KeyHash(7), 1000));
        assert_eq!(occupied(index), ENTRY_COUNT as u64);
    }

    #[test]
    fn an_entry_is_a_hash_and_a_slot_and_what_is_none_is_told() {
        let (words, geometry) = table();
        let index = index_of(&words, &geometry);
        let hash = KeyHash((1 << 39) - 1);
        assert!(index.insert(hash, SLOT_LIMIT - 1));
        assert_eq!(found(index, hash), [SLOT_LIMIT - 1]);
        assert!(index.entries().any(|entry| entry == IndexEntry::Key { hash, slot: SLOT_LIMIT - 1 }));
        index.table(Epoch(0)).store(0, 5 << SLOT_BITS, Ordering::Relaxed);
        assert_eq!(index.entries().next(), Some(IndexEntry::Meaningless(5 << SLOT_BITS)));
        index.rebuild(0);
        assert!(index.entries().all(|entry| !matches!(entry, IndexEntry::Meaningless(_))));
    }
}
