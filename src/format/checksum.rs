//! The checksums of the file: CRC-32 for what is long, a 64-bit mix of three words for what is short.
//!
//! CRC-32 of a dozen bytes costs as much as of a hundred, and the short checks are computed under the lock. So a
//! payload is checked by its CRC-32, which a writer computes before it takes the lock; and everything that fits in
//! three words is checked by [`mix`], which takes a few multiplications.

use std::cell::OnceCell;

/// Mixes three words into one: the same in every build, whatever the machine. The first three factors
/// are those of SplitMix64 and of its finisher, the last is Pelle Evensen's for `rrmxmx`.
#[inline]
pub fn mix(first: u64, second: u64, third: u64) -> u64 {
    let sum = first
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(second.wrapping_mul(0xBF58_476D_1CE4_E5B9))
        .wrapping_add(third.wrapping_mul(0x94D0_49BB_1331_11EB));
    let once = (sum ^ (sum >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    once ^ (once >> 29)
}

/// CRC-32 (IEEE 802.3, as in zlib) of some bytes.
#[inline]
pub fn crc32(bytes: &[u8]) -> u32 {
    thread_local! {
        // What the processor can do is asked once in a thread, and not for each checksum. Not once in a process: a fork could come while
        // another thread asks, and the child would wait for that.
        static FRESH: OnceCell<crc32fast::Hasher> = const { OnceCell::new() };
    }
    let mut hasher = FRESH.with(|fresh| fresh.get_or_init(crc32fast::Hasher::new).clone());
    hasher.update(bytes);
    hasher.finalize()
}

/// The check of one cell: the CRC-32 of its payload, combined with a mix of the words before it. A tombstone's payload
/// is not covered: its CRC counts as 0.
#[inline]
pub fn cell_check(payload_crc: u32, number: u64, generation_and_live: u64, update_count: u32) -> u32 {
    let header = mix(number, generation_and_live, u64::from(update_count));
    payload_crc ^ low_half(header)
}

/// What one visible cell adds to the digest of the table.
#[inline]
pub fn digest_of_cell(slot: u32, number: u64, check: u32) -> u64 {
    mix(u64::from(slot), number, u64::from(check))
}

/// The low 32 bits of a word.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
#[inline]
pub const fn low_half(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_cell_changes_its_check() {
        let check = cell_check(crc32(b"payload"), 7, 9, 3);
        assert_ne!(check, cell_check(crc32(b"paylode"), 7, 9, 3));
        assert_ne!(check, cell_check(crc32(b"payload"), 8, 9, 3));
        assert_ne!(check, cell_check(crc32(b"payload"), 7, 8, 3));
        assert_ne!(check, cell_check(crc32(b"payload"), 7, 9, 4));
    }

    #[test]
    fn the_mix_is_the_one_that_files_were_written_with() {
        assert_eq!(mix(0, 0, 0), 0x00dd_2c0a_926f_4371);
        assert_eq!(mix(1, 2, 3), 0x42c6_f3f3_e8d8_a1fc);
        assert_eq!(mix(u64::MAX, u64::MAX, u64::MAX), 0x627d_f789_b99c_bddc);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
