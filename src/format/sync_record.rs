//! The two sealed descriptions of a whole table: the state after one transaction, and the record of one sync.
//!
//! Each of them is a few words with a check over all of them. So one that is torn, or a mixture of two, never verifies.
//! A blank one does not verify either, since the checks start from the table's own digest seed, which is not zero.

use crate::format::checksum::{crc32, mix};
use crate::format::gaps::{GAP_WORDS, Gaps};

/// The words of a sealed state.
pub const STATE_WORDS: usize = 4;
/// The words of a sync record.
pub const SYNC_RECORD_WORDS: usize = 8 + GAP_WORDS;

const _: () = assert!(SYNC_RECORD_WORDS * 8 <= 512, "a record is in one sector");

/// The table after one transaction: what the control region says about the newest one, and about one that is being
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The number of the transaction.
    pub number: u64,
    pub live_count: u64,
    /// The digest seed, plus what each visible cell adds to it.
    pub digest: u64,
}

impl State {
    #[inline]
    pub fn to_words(self, digest_seed: u64) -> [u64; STATE_WORDS] {
        [self.number, self.live_count, self.digest, self.seal(digest_seed)]
    }

    #[inline]
    pub fn from_words([number, live_count, digest, seal]: [u64; STATE_WORDS], digest_seed: u64) -> Option<Self> {
        let state = State { number, live_count, digest };
        (state.seal(digest_seed) == seal).then_some(state)
    }

    #[inline]
    fn seal(self, digest_seed: u64) -> u64 {
        mix(self.number, self.live_count.wrapping_add(digest_seed.rotate_left(32)), self.digest)
    }
}

/// One sync: the state that became durable with it, and what a recovery must know besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncRecord {
    pub state: State,
    /// The number that was durable before: a reader of this record knows that it had been acknowledged.
    pub predecessor: u64,
    /// New records get generations above this one.
    pub generation_floor: u64,
    /// When the sync began, in microseconds since 1970.
    pub wall_time_microseconds: i64,
    /// Which numbers recoveries have jumped over.
    pub gaps: Gaps,
}

impl SyncRecord {
    pub fn to_words(self, digest_seed: u64) -> [u64; SYNC_RECORD_WORDS] {
        let first = [
            self.state.number,
            self.predecessor,
            self.state.live_count,
            self.state.digest,
            self.generation_floor,
            u64::from_ne_bytes(self.wall_time_microseconds.to_ne_bytes()),
            self.gaps.forgotten_below,
        ];
        let mut words = [digest_seed; SYNC_RECORD_WORDS];
        for (target, word) in words.iter_mut().zip(first.into_iter().chain(self.gaps.to_words())) {
            *target = word;
        }
        let check = crc32(bytemuck::cast_slice(&words));
        if let Some(last) = words.last_mut() {
            *last = u64::from(check);
        }
        words
    }

    pub fn from_words(words: [u64; SYNC_RECORD_WORDS], digest_seed: u64) -> Option<Self> {
        let [number, predecessor, live_count, digest, generation_floor, wall_time, forgotten_below, gaps @ .., _] =
            words;
        let record = SyncRecord {
            state: State { number, live_count, digest },
            predecessor,
            generation_floor,
            wall_time_microseconds: i64::from_ne_bytes(wall_time.to_ne_bytes()),
            gaps: Gaps::from_words(forgotten_below, gaps),
        };
        (record.to_words(digest_seed) == words).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::gaps::Gap;

    const SEED: u64 = 0x1234_5678_9abc_def1;

    #[test]
    fn a_sealed_state_mixed_of_two_never_verifies() {
        let old = State { number: 5, live_count: 2, digest: 77 }.to_words(SEED);
        let new = State { number: 6, live_count: 3, digest: 99 }.to_words(SEED);
        for choice in 1_u32..15 {
            let mut mixed = old;
            for (position, word) in mixed.iter_mut().enumerate() {
                if choice >> position & 1 == 1 {
                    *word = new[position];
                }
            }
            assert_eq!(State::from_words(mixed, SEED), None, "{choice:04b}");
        }
    }

    #[test]
    fn blank_words_are_no_state_and_no_sync() {
        assert_eq!(State::from_words([0; STATE_WORDS], SEED), None);
        assert_eq!(SyncRecord::from_words([0; SYNC_RECORD_WORDS], SEED), None);
    }

    #[test]
    fn a_sync_record_comes_back_and_any_flipped_bit_shows() {
        let record = SyncRecord {
            state: State { number: 9, live_count: 4, digest: 5 },
            predecessor: 3,
            generation_floor: 1,
            wall_time_microseconds: -1,
            gaps: Gaps::forgotten(2).with(Gap { chosen: 3, resumed: 7 }),
        };
        let words = record.to_words(SEED);
        assert_eq!(SyncRecord::from_words(words, SEED), Some(record));
        for bit in (0..SYNC_RECORD_WORDS * 64).step_by(if cfg!(miri) { 37 } else { 1 }) {
            let mut flipped = words;
            flipped[bit / 64] ^= 1 << (bit % 64);
            assert_eq!(SyncRecord::from_words(flipped, SEED), None, "bit {bit}");
        }
        assert_eq!(SyncRecord::from_words(words, SEED + 1), None);
    }
}
