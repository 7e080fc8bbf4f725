//! A value of fixed width taken out of the words of a record, and whether its key is in an interval.

use crate::layout::filter::RecordWords;
use crate::query::interval::{FixedType, Interval};

const TOP_BIT: u64 = 1 << 63;

/// Where up to 8 bytes are in a record: in one word, or in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    first_word: usize,
    last_word: usize,
    /// How many bits of the first word lie before the value.
    bits_before: u32,
    /// How many bits the value is shorter than a word.
    bits_missing: u32,
}

impl Place {
    /// The place of `value_bytes` bytes, 1 to 8, from `offset_bytes` on.
    pub fn new(offset_bytes: usize, value_bytes: usize) -> Self {
        let bits = |bytes: usize| u32::try_from(bytes * 8).unwrap_or(0);
        Place {
            first_word: offset_bytes / 8,
            last_word: (offset_bytes + value_bytes - 1) / 8,
            bits_before: bits(offset_bytes % 8),
            bits_missing: 64 - bits(value_bytes),
        }
    }

    /// The value, in the high bits, with zeros below it.
    #[inline(always)]
    pub fn load(self, record: impl RecordWords) -> u64 {
        let [first, last] = [self.first_word, self.last_word].map(|index| record.word(index));
        // What follows the first word in memory is shifted in behind it. If the value is in one word, both are that one, and
        // what is shifted in is shifted out again. The masks change nothing; they spare the processor a check.
        let [before, missing] = [self.bits_before, self.bits_missing].map(|count| count & 63);
        if cfg!(target_endian = "little") {
            (first >> before | last << 1 << (63 - before)) << missing
        } else {
            (first << before | last >> 1 >> (63 - before)) >> missing << missing
        }
    }

    /// How far below the top of its word a value ends that is in one word; `None` if it is in two.
    fn bits_above(self) -> Option<u32> {
        let bits_above = if cfg!(target_endian = "little") {
            self.bits_missing.checked_sub(self.bits_before)?
        } else {
            self.bits_before
        };
        (self.first_word == self.last_word).then_some(bits_above)
    }
}

/// The key of a value of up to 8 bytes: see [`interval`](crate::query::interval). It is in the high bits; below it there are
/// zeros, or, of a negative float, ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortKey {
    place: Place,
    /// What is exchanged in the bits of a value to make them its key: of each one, and of those with the top bit set.
    exchanged: u64,
    exchanged_if_negative: u64,
}

impl ShortKey {
    /// The key of a value of `value_bytes` bytes, 1 to 8, from `offset_bytes` on.
    pub fn new(fixed: FixedType, offset_bytes: usize, value_bytes: usize) -> Self {
        ShortKey {
            place: Place::new(offset_bytes, value_bytes),
            exchanged: if fixed.is_signed() || fixed.is_float() { TOP_BIT } else { 0 },
            exchanged_if_negative: if fixed.is_float() { !TOP_BIT } else { 0 },
        }
    }

    #[inline(always)]
    fn load(self, record: impl RecordWords) -> u64 {
        let value = self.place.load(record);
        let ones_if_negative = (value >> 63).wrapping_neg();
        value ^ (ones_if_negative & self.exchanged_if_negative) ^ self.exchanged
    }
}

/// A test that takes no more than some instructions.
pub trait ShortTest: Copy {
    fn accepts(&self, record: impl RecordWords) -> bool;
}

/// Whether the key of a value of up to 8 bytes is in an interval, or outside of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeTest {
    key: ShortKey,
    /// The lowest key, and how far above it the highest one is. An interval may go on at 0 behind the highest key of all:
    /// so is the outside of another one.
    low: u64,
    width: u64,
}

impl RangeTest {
    /// An interval that is to be outside of must not be that of all bit patterns.
    pub fn new(key: ShortKey, interval: Interval, is_outside: bool) -> Self {
        let [low, high] = [interval.low, interval.high].map(|key| u64::try_from(key).unwrap_or(u64::MAX));
        let bits_missing = key.place.bits_missing;
        let (low, high) = (low << bits_missing, high << bits_missing | ((1 << bits_missing) - 1));
        let (low, high) = if is_outside { (high.wrapping_add(1), low.wrapping_sub(1)) } else { (low, high) };
        RangeTest { key, low, width: high.wrapping_sub(low) }
    }

    /// Whether the byte at an offset is this one.
    pub fn of_byte(offset_bytes: usize, byte: u8) -> Self {
        let any_byte = FixedType::Integer { least: 0_u128.into(), greatest: u128::from(u8::MAX).into() };
        let interval = Interval { low: byte.into(), high: byte.into() };
        RangeTest::new(ShortKey::new(any_byte, offset_bytes, 1), interval, false)
    }

    /// The same test for an integer in one word, whose bits need not be moved.
    pub fn in_one_word(self) -> Option<WordTest> {
        let ShortKey { place, exchanged, exchanged_if_negative } = self.key;
        let bits_above = place.bits_above().filter(|_| exchanged_if_negative == 0)?;
        let [low, high] = [self.low, self.low.wrapping_add(self.width)].map(|key| key >> bits_above);
        Some(WordTest {
            word: place.first_word,
            mask: u64::MAX << place.bits_missing >> bits_above,
            exchanged: exchanged >> bits_above,
            low,
            width: high.wrapping_sub(low),
        })
    }

    /// The test whether both of two tests accept, if one test can be that.
    pub fn and(self, other: Self) -> Option<Self> {
        let high = self.low.checked_add(self.width)?.min(other.low.checked_add(other.width)?);
        let low = self.low.max(other.low);
        let width = high.checked_sub(low)?;
        (self.key == other.key).then_some(RangeTest { key: self.key, low, width })
    }
}

/// A [`RangeTest`] of an integer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordTest {
    word: usize,
    mask: u64,
    exchanged: u64,
    low: u64,
    width: u64,
}

impl ShortTest for RangeTest {
    #[inline(always)]
    fn accepts(&self, record: impl RecordWords) -> bool {
        self.key.load(record).wrapping_sub(self.low) <= self.width
    }
}

impl ShortTest for WordTest {
    #[inline(always)]
    fn accepts(&self, record: impl RecordWords) -> bool {
        let key = (record.word(self.word) & self.mask) ^ self.exchanged;
        key.wrapping_sub(self.low) <= self.width
    }
}

/// The key of a value of 16 bytes, an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongKey {
    high: Place,
    low: Place,
    exchanged: u64,
}

impl LongKey {
    pub fn new(fixed: FixedType, offset_bytes: usize) -> Self {
        let (first, second) = (Place::new(offset_bytes, 8), Place::new(offset_bytes + 8, 8));
        let (high, low) = if cfg!(target_endian = "little") { (second, first) } else { (first, second) };
        LongKey { high, low, exchanged: if fixed.is_signed() { TOP_BIT } else { 0 } }
    }

    #[inline]
    fn load(self, record: impl RecordWords) -> u128 {
        u128::from(self.high.load(record) ^ self.exchanged) << 64 | u128::from(self.low.load(record))
    }
}

/// The key of a value of any fixed width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Short(ShortKey),
    Long(LongKey),
}

/// Whether a key is in one of some intervals, or in none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTest {
    key: Key,
    /// In order; each ends before the next one begins.
    intervals: Box<[Interval]>,
    is_outside: bool,
}

impl SetTest {
    pub fn new(key: Key, mut intervals: Vec<Interval>, is_outside: bool) -> Self {
        intervals.sort_unstable_by_key(|interval| (interval.low, interval.high));
        intervals.dedup_by(|next, before| {
            let is_joined = next.low <= before.high;
            before.high = if is_joined { before.high.max(next.high) } else { before.high };
            is_joined
        });
        SetTest { key, intervals: intervals.into(), is_outside }
    }

    #[inline]
    pub fn accepts(&self, record: impl RecordWords) -> bool {
        let key = match self.key {
            Key::Short(key) => u128::from(key.load(record) >> key.place.bits_missing),
            Key::Long(key) => key.load(record),
        };
        let position = self.intervals.partition_point(|interval| interval.high < key);
        let is_inside = self.intervals.get(position).is_some_and(|interval| interval.low <= key);
        is_inside != self.is_outside
    }
}
