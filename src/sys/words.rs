//! The one facade through which shared words are read and written.
//!
//! Nothing else in the crate touches an atomic of a table. So this is where the model checker's atomics are put in
//! (`--cfg loom`), where tests and fuzzers (`--cfg fuzzing`) count, stop, kill and record every store, and where an
//! index is checked.

use super::atomic::AtomicU64;
pub use super::atomic::{Ordering, fence};
#[cfg(any(test, fuzzing))]
use crate::sys::probe;
use std::ops::Range;

/// Keeps loads from being made before the stores that came before the unlocking of a mutex. On x86-64 the C library unlocks by a
/// locked instruction, before which all stores are seen by others; so only the compiler has to be kept from changing the order.
#[inline(always)]
pub fn fence_after_unlocking() {
    #[cfg(all(target_arch = "x86_64", not(any(test, fuzzing, loom, miri))))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(any(test, fuzzing, loom, miri)))))]
    fence(Ordering::SeqCst);
}

/// A run of shared words. Any process may change any of them at any moment.
#[derive(Clone, Copy)]
pub struct Words<'a>(&'a [AtomicU64]);

impl<'a> Words<'a> {
    pub fn new(words: &'a [AtomicU64]) -> Self {
        Words(words)
    }

    pub fn len(self) -> usize {
        self.0.len()
    }

    /// All of them, for tests that look at a table from outside.
    #[cfg(test)]
    pub fn all(self) -> &'a [AtomicU64] {
        self.0
    }

    /// A part of the words.
    ///
    /// # Panics
    ///
    /// If the range is not inside. Ranges come from a [`Geometry`](crate::format::geometry::Geometry), which has
    /// checked them, and slots and cells are checked before they are used; so a panic would be an error in this crate.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a range outside is an error in this crate, and must not go on")]
    pub fn part(self, range: Range<usize>) -> Self {
        Words(&self.0[range])
    }

    /// `word_count` words from `start` on. Panics if they are not inside, as [`part`](Self::part).
    #[inline(always)]
    pub fn part_of(self, start: usize, word_count: usize) -> Self {
        match self.0.get(start..).and_then(|rest| rest.get(..word_count)) {
            Some(words) => Words(words),
            None => out_of_range(),
        }
    }

    /// The words in parts of `word_count`, which must not be 0; what is left over is left out.
    #[inline(always)]
    pub fn parts(self, word_count: usize) -> impl Iterator<Item = Self> {
        self.0.chunks_exact(word_count).map(Words)
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "an index outside is an error in this crate, and must not go on")]
    fn word(self, index: usize) -> &'a AtomicU64 {
        &self.0[index]
    }

    /// Reads a word. Panics if the index is not inside, as [`part`](Self::part).
    #[inline(always)]
    #[cfg_attr(loom, track_caller)]
    pub fn load(self, index: usize, ordering: Ordering) -> u64 {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        probe::visit_load(ordering);
        word.load(ordering)
    }

    /// Writes a word. Panics if the index is not inside, as [`part`](Self::part).
    #[inline(always)]
    #[cfg_attr(loom, track_caller)]
    pub fn store(self, index: usize, value: u64, ordering: Ordering) {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Store) {
            return;
        }
        word.store(value, ordering);
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Stored { word, value });
    }

    /// Increments a word, in one step.
    #[cfg_attr(loom, track_caller)]
    pub fn increment(self, index: usize, ordering: Ordering) {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Store) {
            return;
        }
        let _before = word.fetch_add(1, ordering);
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Stored { word, value: _before.wrapping_add(1) });
    }

    /// Raises a word to a value, in one step, unless it is higher.
    #[cfg_attr(loom, track_caller)]
    pub fn raise(self, index: usize, value: u64, ordering: Ordering) {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Store) {
            return;
        }
        let _before = word.fetch_max(value, ordering);
        #[cfg(any(test, fuzzing))]
        probe::visit(probe::Event::Stored { word, value: _before.max(value) });
    }

    /// Puts `to` in the place of `from`, in one step, if that is there.
    #[cfg_attr(loom, track_caller)]
    pub fn exchange(self, index: usize, from: u64, to: u64, ordering: Ordering) {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Store) {
            return;
        }
        #[cfg(not(loom))]
        let is_exchanged = word.compare_exchange(from, to, ordering, Ordering::Relaxed).is_ok();
        #[cfg(loom)]
        let is_exchanged = word.exchange(from, to, ordering);
        #[cfg(any(test, fuzzing))]
        if is_exchanged {
            probe::visit(probe::Event::Stored { word, value: to });
        }
        let _ = is_exchanged;
    }

    /// Makes the page of a word dirty without changing anything, even if another process is changing the word at that
    /// moment.
    #[inline(always)]
    pub fn touch(self, index: usize) {
        let word = self.word(index);
        #[cfg(any(test, fuzzing))]
        if !probe::visit(probe::Event::Touch { word }) {
            return;
        }
        // Not an `or` with 0: the compiler knows that it changes nothing, and leaves it out. If another process changes
        // the word at that moment, that makes the page dirty.
        let value = word.load(Ordering::Relaxed);
        let _ = word.compare_exchange(value, std::hint::black_box(value), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Copies words out, as by a relaxed load of each: shared words are never seen through a plain reference.
    #[inline(always)]
    pub fn copy_to(self, target: &mut [u64]) {
        debug_assert_eq!(self.len(), target.len());
        #[cfg(all(target_arch = "x86_64", not(any(test, loom, miri))))]
        super::copy_words::copy_words(self.0, target);
        #[cfg(not(all(target_arch = "x86_64", not(any(test, loom, miri)))))]
        for (target, word) in target.iter_mut().zip(self.0) {
            #[cfg(any(test, fuzzing))]
            probe::visit_load(Ordering::Relaxed);
            *target = word.load(Ordering::Relaxed);
        }
    }

    /// Copies words in, each by a relaxed store.
    #[inline(always)]
    pub fn copy_from(self, source: &[u64]) {
        debug_assert_eq!(self.len(), source.len());
        #[cfg(all(target_arch = "x86_64", not(any(test, fuzzing, loom, miri))))]
        super::copy_words::copy_words_in(source, self.0);
        #[cfg(not(all(target_arch = "x86_64", not(any(test, fuzzing, loom, miri)))))]
        for (index, source) in source.iter().enumerate().take(self.len()) {
            self.store(index, *source, Ordering::Relaxed);
        }
    }

    /// A fixed number of words, whose constant indices need no check. Panics if they are not inside, as
    /// [`part`](Self::part).
    #[inline(always)]
    pub fn fixed<const N: usize>(self, start: usize) -> FixedWords<'a, N> {
        match self.0.get(start..).and_then(|rest| rest.first_chunk()) {
            Some(words) => FixedWords(words),
            None => out_of_range(),
        }
    }
}

#[cold]
#[expect(clippy::panic, reason = "an index outside is an error in this crate, and must not go on")]
fn out_of_range() -> ! {
    panic!("a place outside the table, which its geometry makes impossible")
}

/// A fixed number of shared words.
#[derive(Clone, Copy)]
pub struct FixedWords<'a, const N: usize>(&'a [AtomicU64; N]);

impl<'a, const N: usize> FixedWords<'a, N> {
    pub fn new(words: &'a [AtomicU64; N]) -> Self {
        FixedWords(words)
    }

    /// Reads a word.
    #[inline(always)]
    #[cfg_attr(loom, track_caller)]
    pub fn load(self, index: usize, ordering: Ordering) -> u64 {
        Words(self.0).load(index, ordering)
    }

    /// Writes a word.
    #[inline(always)]
    #[cfg_attr(loom, track_caller)]
    pub fn store(self, index: usize, value: u64, ordering: Ordering) {
        Words(self.0).store(index, value, ordering);
    }

    /// Copies some of the words out, each by a relaxed load.
    #[inline(always)]
    pub fn to_array<const M: usize>(self, start: usize) -> [u64; M] {
        let mut array = [0; M];
        let mut index = 0;
        while index < M {
            if let Some(target) = array.get_mut(index) {
                *target = self.load(start + index, Ordering::Relaxed);
            }
            index += 1;
        }
        array
    }
}
