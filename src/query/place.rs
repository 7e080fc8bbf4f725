//! A value of fixed width taken out of the words of a record, and whether its key is in an interval.

use crate::engine::scan::RecordWords;
use crate::query::interval::{FixedType, Interval};

const TOP_BIT: u64 = 1 << 63;

/// Where up to 8 bytes are in a record: in one word, or in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    first_word: usize,
    last_word: usize,
    right_shift: u32,
    left_shift: u32,
}

impl Place {
    /// The place of `value_bytes` bytes, 1 to 8, from `offset_bytes` on.
    pub fn new(offset_bytes: usize, value_bytes: usize) -> Self {
        let bits = |bytes: usize| u32::try_from(bytes * 8).unwrap_or(0);
        let bits_before = bits(offset_bytes % 8);
        Place {
            first_word: offset_bytes / 8,
            last_word: (offset_bytes + value_bytes - 1) / 8,
            right_shift: if cfg!(target_endian = "little") {
                bits_before
            } else {
                128 - bits_before - bits(value_bytes)
            },
            left_shift: 64 - bits(value_bytes),
        }
    }

    /// The value, in the high bits, with zeros below it.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the bits above are not the value's")]
    pub fn load(self, record: impl RecordWords) -> u64 {
        let [first, last] = [self.first_word, self.last_word].map(|index| u128::from(record.word(index)));
        // Both words in the order in which they lie in memory. Of a value in one word, both are that word. The masks, which
        // change nothing, spare the processor a check.
        let value = if cfg!(target_endian = "little") {
            (last << 64 | first) >> (self.right_shift & 63)
        } else {
            (first << 64 | last) >> (self.right_shift & 127)
        };
        (value as u64) << (self.left_shift & 63)
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
        let left_shift = key.place.left_shift;
        let (low, high) = (low << left_shift, high << left_shift | ((1 << left_shift) - 1));
        let (low, high) = if is_outside { (high.wrapping_add(1), low.wrapping_sub(1)) } else { (low, high) };
        RangeTest { key, low, width: high.wrapping_sub(low) }
    }

    /// Whether the byte at an offset is this one.
    pub fn of_byte(offset_bytes: usize, byte: u8) -> Self {
        let any_byte = FixedType::Integer { least: 0_u128.into(), greatest: u128::from(u8::MAX).into() };
        let interval = Interval { low: byte.into(), high: byte.into() };
        RangeTest::new(ShortKey::new(any_byte, offset_bytes, 1), interval, false)
    }

    #[inline(always)]
    pub fn accepts(&self, record: impl RecordWords) -> bool {
        self.key.load(record).wrapping_sub(self.low) <= self.width
    }

    /// The test whether both of two tests accept, if one test can be that.
    pub fn and(self, other: Self) -> Option<Self> {
        let high = self.low.checked_add(self.width)?.min(other.low.checked_add(other.width)?);
        let low = self.low.max(other.low);
        let width = high.checked_sub(low)?;
        (self.key == other.key).then_some(RangeTest { key: self.key, low, width })
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
            Key::Short(key) => u128::from(key.load(record) >> key.place.left_shift),
            Key::Long(key) => key.load(record),
        };
        let position = self.intervals.partition_point(|interval| interval.high < key);
        let is_inside = self.intervals.get(position).is_some_and(|interval| interval.low <= key);
        is_inside != self.is_outside
    }
}
