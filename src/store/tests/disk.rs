//! What a disk may hold after a loss of power or a failed flush.
//!
//! The table is cut into units: each cell, each commit record, each word of the rest. For each unit the disk may hold its
//! content when the last finished flush of it began, or any content since, or any mixture of words of those. What is not in
//! the durable group is never flushed, so it may hold anything since creation. That is weaker than a real page cache: what
//! holds here holds there.
//!
//! Two things are assumed: writing the same bytes again does not tear them, and a page that a failed flush left clean is
//! not evicted while processes use it (before a recovery it may be).

use crate::format::geometry::{COMMIT_RECORD_COUNT, Geometry};
use std::collections::BTreeSet;
use std::ops::Range;

/// How many of the latest contents to choose from, for what need not be the latest.
const REACH: [usize; 4] = [2, 4, 8, 1000];

#[derive(Clone)]
struct Unit {
    words: Range<usize>,
    is_durable: bool,
    contents: Vec<Box<[u64]>>,
}

#[derive(Clone)]
pub struct Disk {
    units: Vec<Unit>,
    unit_of_word: Vec<usize>,
    /// Lost by a failed flush: later flushes pass over these until they are written again.
    clean: BTreeSet<usize>,
    /// The flush under way: for each unit the last content that it reaches.
    mark: Vec<(usize, usize)>,
}

impl Disk {
    pub fn new(geometry: &Geometry, image: &[u64]) -> Self {
        let mut ranges = Vec::new();
        for slot in 0..geometry.capacity() {
            for cell in 0..4 {
                let start = geometry.cell(slot, cell);
                ranges.push(start..start + geometry.cell_words());
            }
        }
        for record in 0..COMMIT_RECORD_COUNT {
            let start = geometry.commit_record(record);
            ranges.push(start..start + crate::format::commit_record::COMMIT_RECORD_WORDS);
        }
        let durable_count = ranges.len();
        // Only words that are ever written: the control group.
        ranges.extend(
            (geometry.control()..geometry.index() + 2 * geometry.index_entry_count()).map(|word| word..word + 1),
        );
        let mut unit_of_word = vec![usize::MAX; geometry.word_count()];
        let mut units = Vec::new();
        for (number, words) in ranges.into_iter().enumerate() {
            unit_of_word[words.clone()].fill(number);
            let contents = vec![image[words.clone()].into()];
            units.push(Unit { words, is_durable: number < durable_count, contents });
        }
        Disk { units, unit_of_word, clean: BTreeSet::new(), mark: Vec::new() }
    }

    pub fn store(&mut self, word: usize, value: u64) {
        let number = self.unit_of_word[word];
        assert_ne!(number, usize::MAX, "a store to word {word}, where nothing is ever written");
        let unit = &mut self.units[number];
        let mut content = unit.contents.last().expect("never empty").clone();
        content[word - unit.words.start] = value;
        unit.contents.push(content);
        self.clean.remove(&number);
    }

    /// A page was made dirty with what it held.
    pub fn touch(&mut self, page: Range<usize>) {
        for number in 0..self.units.len() {
            let unit = &mut self.units[number];
            if unit.is_durable && unit.words.start < page.end && page.start < unit.words.end {
                let content = unit.contents.last().expect("never empty").clone();
                unit.contents.push(content);
                self.clean.remove(&number);
            }
        }
    }

    pub fn begin_flush(&mut self, words: &Range<usize>) {
        let flushed = |unit: &Unit| words.start <= unit.words.start && unit.words.end <= words.end;
        self.mark = (self.units.iter().enumerate())
            .filter(|(number, unit)| flushed(unit) && !self.clean.contains(number))
            .map(|(number, unit)| (number, unit.contents.len() - 1))
            .collect();
    }

    pub fn end_flush(&mut self) {
        for (number, reached) in std::mem::take(&mut self.mark) {
            self.units[number].contents.drain(..reached);
        }
    }

    pub fn fail_flush(&mut self, random: &mut fastrand::Rng) {
        for (number, reached) in std::mem::take(&mut self.mark) {
            if reached > 0 && reached == self.units[number].contents.len() - 1 && random.bool() {
                self.clean.insert(number);
            }
        }
    }

    /// Some of the pages that a failed flush left clean are read again, as the disk has them.
    pub fn evict(&mut self, image: &mut [u64], random: &mut fastrand::Rng) {
        for number in std::mem::take(&mut self.clean) {
            if random.f64() < 0.3 {
                let unit = &mut self.units[number];
                let content = unit.contents[random.usize(..unit.contents.len())].clone();
                image[unit.words.clone()].copy_from_slice(&content);
                unit.contents = vec![content];
            } else {
                self.clean.insert(number);
            }
        }
    }

    /// What is on the disk when the power fails now. `image` gives the header.
    pub fn lose_power(&self, image: &[u64], random: &mut fastrand::Rng) -> Vec<u64> {
        let latest = [0.0, 0.3, 0.7, 0.95][random.usize(..4)];
        let torn = [0.0, 0.15][random.usize(..2)];
        let mut found = image.to_vec();
        for unit in &self.units {
            let count = unit.contents.len();
            let newest = count - 1;
            let any = |random: &mut fastrand::Rng| {
                let reach = REACH[random.usize(..4)].min(count);
                newest - random.usize(..reach)
            };
            let chosen = if random.f64() < latest { newest } else { any(random) };
            let target = &mut found[unit.words.clone()];
            target.copy_from_slice(&unit.contents[chosen]);
            if count > 1 && random.f64() < torn {
                for (position, word) in target.iter_mut().enumerate() {
                    *word = unit.contents[any(random)][position];
                }
            }
        }
        found
    }
}
