//! The records of the bench: 16 bytes of key and 112 bytes of payload, both derived from small numbers, so that a
//! ledger of two words per key says all there is to know about a record.

use locule::Bytes;

locule::record! {
    /// One record of the bench.
    pub struct Item {
        pub key key: u128,
        pub payload: Bytes<110>,
    }
}

/// What the payload holds; its length prefix takes two bytes more.
pub const PAYLOAD_BYTES: usize = 110;

const WORD_COUNT: usize = PAYLOAD_BYTES.div_ceil(8);

/// A different constant for each word of a payload, so that a word in the wrong place does not pass.
const PATTERNS: [u64; WORD_COUNT] = {
    let mut patterns = [0; WORD_COUNT];
    let mut rest: &mut [u64] = &mut patterns;
    let mut number = 0;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = scramble(number);
        rest = others;
        number += 1;
    }
    patterns
};

/// The finalizer of SplitMix64: a bijection that spreads neighbouring numbers over all 64 bits.
const fn scramble(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The key with this index: scattered above, the index itself below.
pub fn key_of(index: u32) -> u128 {
    let index = u64::from(index);
    (u128::from(scramble(index)) << 64) | u128::from(index)
}

/// The index of a key, or `None` for a key that [`key_of`] never makes.
pub fn index_of(key: u128) -> Option<u32> {
    let index = u32::try_from(key & u128::from(u64::MAX)).ok()?;
    (key_of(index) == key).then_some(index)
}

/// The record with this key and content. Each word of the payload depends on the key, on the content seed (one to one)
/// and on its place: a payload put together from two writes, or from two records, is the expansion of no seed.
pub fn item(index: u32, content_seed: u64) -> Item {
    let key = key_of(index);
    Item { key, payload: payload(key, content_seed) }
}

/// The seed that the record's payload is the expansion of, or `None` if it is torn. Every read of the bench is checked
/// with this, so it compares whole words, all of them.
pub fn content_seed_of(item: &Item) -> Option<u64> {
    let payload: &[u8; PAYLOAD_BYTES] = item.payload.first_chunk()?;
    let content_seed = u64::from_ne_bytes(*payload.first_chunk()?);
    let expected = words(item.key, content_seed);
    // The part beyond the end of the payload is equal because nothing is copied there.
    let mut found = expected;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut found);
    bytes.get_mut(..PAYLOAD_BYTES)?.copy_from_slice(payload);
    let difference =
        found.iter().zip(expected).fold(0, |difference, (found, expected)| difference | (found ^ expected));
    (difference == 0).then_some(content_seed)
}

fn payload(key: u128, content_seed: u64) -> Bytes<PAYLOAD_BYTES> {
    let words = words(key, content_seed);
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    // It always fits; if it ever did not, an empty payload would fail every check.
    bytes.get(..PAYLOAD_BYTES).and_then(|bytes| Bytes::new(bytes).ok()).unwrap_or_default()
}

/// The payload as words. The last one extends beyond its end.
#[inline]
fn words(key: u128, content_seed: u64) -> [u64; WORD_COUNT] {
    // The upper half of the key is the scattered one. The first word is the seed itself, so that it can be read back.
    let base = content_seed ^ (key >> 64) as u64;
    let mut words = PATTERNS.map(|pattern| base ^ pattern);
    if let Some(first) = words.first_mut() {
        *first = content_seed;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_strangers() {
        for index in [0, 1, 9_999, u32::MAX] {
            assert_eq!(index_of(key_of(index)), Some(index));
            assert_eq!(index_of(key_of(index) ^ 1), None);
            assert_eq!(index_of(key_of(index) ^ (1 << 100)), None);
        }
        assert_eq!(index_of(7), None);
    }

    #[test]
    fn a_payload_gives_its_seed_back_and_shows_every_changed_byte() {
        let record = item(3, 0x1234_5678_9abc_def0);
        assert_eq!(record.payload.len(), PAYLOAD_BYTES);
        assert_eq!(content_seed_of(&record), Some(0x1234_5678_9abc_def0));
        for position in 0..PAYLOAD_BYTES {
            let mut bytes = record.payload.to_vec();
            bytes[position] ^= 1;
            assert_eq!(content_seed_of(&Item { payload: Bytes::literal(&bytes), ..record }), None, "byte {position}");
        }
    }

    #[test]
    fn a_payload_of_two_writes_or_of_another_record_is_torn() {
        let (one, other) = (item(3, 111), item(3, 222));
        for position in 1..WORD_COUNT {
            let mixed = [&one.payload[..position * 8], &other.payload[position * 8..]].concat();
            assert_eq!(content_seed_of(&Item { payload: Bytes::literal(&mixed), ..one }), None, "word {position}");
        }
        assert_eq!(content_seed_of(&Item { key: key_of(4), ..one }), None);
        assert_eq!(content_seed_of(&Item { payload: Bytes::literal(&one.payload[..PAYLOAD_BYTES - 1]), ..one }), None);
    }
}
