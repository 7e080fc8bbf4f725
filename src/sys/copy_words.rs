//! Copying shared words by instructions of 16 bytes.
#![allow(unsafe_code)]

use super::atomic::{AtomicU64, Ordering};

/// Copies shared words, two at a time, as by a relaxed load of each, in order. Stops at the end of the shorter one.
///
/// Loads of 16 bytes, since what is copied is next read in units of 16 bytes (for its checksum): a processor that has
/// just written 8 and 8 bytes cannot hand them on as 16 until both have reached its cache, which takes as long as all
/// the rest of a read.
#[inline(always)]
pub fn copy_words(source: &[AtomicU64], target: &mut [u64]) {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    let word_count = source.len().min(target.len());
    let mut index = 0;
    while index + 2 <= word_count {
        let pair: __m128i;
        // SAFETY: both words are inside `source`, since `index + 2` is at most its length, so the load is of memory
        // that is mapped and stays so. It is assembly and not a load of the language, for which other processes' stores
        // to these words would be a race; to the machine it is two loads of 8 aligned bytes, no later than any load or
        // store that follows, as relaxed loads are here. It writes nothing and uses no stack. The store is inside
        // `target`, which is borrowed mutably, and need not be aligned.
        unsafe {
            asm!(
                "movdqu {pair}, xmmword ptr [{words}]",
                pair = lateout(xmm_reg) pair,
                words = in(reg) source.as_ptr().add(index),
                options(nostack, readonly, preserves_flags),
            );
            _mm_storeu_si128(target.as_mut_ptr().add(index).cast(), pair);
        }
        index += 2;
    }
    if let (Some(target), Some(word)) = (target.get_mut(index), source.get(index)) {
        *target = word.load(Ordering::Relaxed);
    }
}

/// Copies words to where they are shared, two at a time, as by a relaxed store of each. Stops at the end of the shorter
/// one.
#[cfg(not(fuzzing))]
#[inline(always)]
pub fn copy_words_in(source: &[u64], target: &[AtomicU64]) {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_loadu_si128};
    let word_count = source.len().min(target.len());
    let mut index = 0;
    while index + 2 <= word_count {
        // SAFETY: the load is inside `source`, and need not be aligned. Both words are inside `target`, since `index +
        // 2` is at most its length, so the store is to memory that is mapped and stays so, and that was mapped writable
        // by the code that lets these words be written. It is assembly and not a store of the language, for which other
        // processes' loads of these words would be a race; to the machine it is two stores of 8 aligned bytes, no
        // earlier than any load or store before it, as relaxed stores are here. It uses no stack.
        unsafe {
            let pair: __m128i = _mm_loadu_si128(source.as_ptr().add(index).cast());
            asm!(
                "movdqu xmmword ptr [{words}], {pair}",
                pair = in(xmm_reg) pair,
                words = in(reg) target.as_ptr().add(index),
                options(nostack, preserves_flags),
            );
        }
        index += 2;
    }
    if let (Some(source), Some(word)) = (source.get(index), target.get(index)) {
        word.store(*source, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_copied_whatever_their_count_and_whichever_is_shorter() {
        let source: Vec<AtomicU64> = (1..=20).map(AtomicU64::new).collect();
        for source_count in 0..=20 {
            for target_count in 0..=20 {
                let mut target = [0; 20];
                copy_words(&source[..source_count], &mut target[..target_count]);
                let shared: Vec<AtomicU64> = target.map(|_| AtomicU64::new(0)).into();
                copy_words_in(&target[..source_count], &shared[..target_count]);
                for (index, (word, shared)) in target.into_iter().zip(&shared).enumerate() {
                    let is_copied = index < source_count.min(target_count);
                    assert_eq!(word, if is_copied { index as u64 + 1 } else { 0 }, "{source_count} {target_count}");
                    assert_eq!(shared.load(Ordering::Relaxed), word, "{source_count} {target_count}");
                }
            }
        }
    }
}
