//! What a disk may hold after a loss of power, or after a flush that failed. The rules:
//!
//! 1. Nothing reaches the disk in any particular order. A power cut leaves each page of 4096 bytes as it was at some
//!    moment of its own; or each sector of 512 bytes; or each word of 8. Which of the three is chosen for each of the
//!    two groups, and any page or sector may be torn into words besides.
//! 2. A flush that has returned makes certain what the durable group was when the flush began. So the moment can be any
//!    since then. While a flush is under way, nothing that it writes is certain.
//! 3. The control group is never flushed: there the moment can be any since the file was created, or since the power
//!    came back.
//! 4. Words that did not change stay as they are, whatever is torn around them, even if the same value was written
//!    again. A word of the durable group that did change may hold any value at all when it is torn. One of the control
//!    group holds one of those that it was given.
//! 5. A flush that fails leaves each page that it was to write dirty, or takes it for clean. Later flushes pass over a
//!    clean page until it is written to again. Before a recovery, a clean page may also be read anew from the disk,
//!    which has it as of any moment that rule 2 allows.
//! 6. A flush whose process dies in it has not happened, has succeeded, or has failed without anyone being told.
//! 7. When the power comes back, the disk holds one such image, and that image is certain.
//!
//! So this disk loses whatever a real one may lose, and more: what holds here holds there.

use crate::engine::Store;
use crate::format::control::{CONTROL_WORDS, WAKE_COUNT};
use crate::format::geometry::{Geometry, PAGE_WORDS, SYNC_RECORD_COUNT};
use crate::format::sync_record::SYNC_RECORD_WORDS;
use crate::sys::atomic::AtomicU64;
use crate::sys::probe::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

const SECTOR_WORDS: usize = 64;
/// How many of the latest moments there are to choose from, for what need not be the latest.
const REACH: [usize; 5] = [1, 2, 4, 16, usize::MAX];

/// Where the words of a table are, so that an event can be said to be about it.
#[derive(Clone, Copy)]
pub struct Place {
    address: usize,
    word_count: usize,
}

impl Place {
    pub fn of(store: &Store) -> Self {
        let words = store.medium.words().all();
        Place { address: words.as_ptr().addr(), word_count: words.len() }
    }
}

/// Something that a table did to its disk.
#[derive(Clone, Debug)]
pub enum Step {
    Stored {
        word: usize,
        value: u64,
    },
    Touched {
        word: usize,
    },
    FlushBegan {
        words: Range<usize>,
    },
    FlushEnded {
        succeeded: bool,
    },
    /// A lock was taken or released, which changes nothing on the disk.
    Other,
}

impl Step {
    /// What an event does to the disk of a table. `None`: it does nothing, or has not happened yet.
    pub fn of(event: &Event<'_>, place: Place) -> Option<Self> {
        let index_of = |word: &AtomicU64| {
            let index = std::ptr::from_ref(word).addr().wrapping_sub(place.address) / size_of::<u64>();
            (index < place.word_count).then_some(index)
        };
        match event {
            Event::Stored { word, value } => Some(Step::Stored { word: index_of(word)?, value: *value }),
            Event::Touch { word } => Some(Step::Touched { word: index_of(word)? }),
            Event::Flush { words } => Some(Step::FlushBegan { words: words.clone() }),
            Event::Flushed { succeeded } => Some(Step::FlushEnded { succeeded: *succeeded }),
            Event::Locked { .. } | Event::Unlock { .. } => Some(Step::Other),
            _ => None,
        }
    }
}

/// How large the pieces are that reach the disk whole.
#[derive(Clone, Copy, Debug)]
pub enum Grain {
    Page,
    Sector,
    Word,
}

pub const GRAINS: [Grain; 3] = [Grain::Page, Grain::Sector, Grain::Word];

#[derive(Clone, Copy)]
struct Change {
    time: u64,
    word: usize,
    value: u64,
}

struct Flush {
    began: u64,
    words: Range<usize>,
}

pub struct Disk {
    /// What is there for certain.
    certain: Vec<u64>,
    /// What the processes see.
    latest: Vec<u64>,
    /// By sector: what changed since, in order.
    pending: BTreeMap<usize, Vec<Change>>,
    /// By page: when it was last written to.
    dirtied: BTreeMap<usize, u64>,
    clean: BTreeSet<usize>,
    flush: Option<Flush>,
    /// Counts the changes.
    time: u64,
    durable_group: Range<usize>,
    written_ranges: Vec<Range<usize>>,
}

impl Disk {
    /// A disk that holds an image of a table for certain.
    pub fn new(geometry: &Geometry, image: &[u64]) -> Self {
        Disk {
            certain: image.to_vec(),
            latest: image.to_vec(),
            pending: BTreeMap::new(),
            dirtied: BTreeMap::new(),
            clean: BTreeSet::new(),
            flush: None,
            time: 0,
            durable_group: geometry.durable_group(),
            written_ranges: written_ranges(geometry),
        }
    }

    /// Whether there is no doubt about what the disk holds.
    pub fn is_certain(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes a step. Returns the word of the durable group that changed, if one did.
    pub fn see(&mut self, step: &Step, random: &mut fastrand::Rng) -> Option<usize> {
        match step {
            Step::Stored { word, value } => {
                let has_changed = self.store(*word, *value);
                return Some(*word).filter(|word| has_changed && self.durable_group.contains(word));
            }
            Step::Touched { word } => self.dirty(*word),
            Step::FlushBegan { words } => self.flush = Some(Flush { began: self.time, words: words.clone() }),
            Step::FlushEnded { succeeded: true } => self.end_flush(),
            Step::FlushEnded { succeeded: false } => self.fail_flush(random),
            Step::Other => {}
        }
        None
    }

    /// The words as the processes see them.
    pub fn latest(&self) -> &[u64] {
        &self.latest
    }

    fn store(&mut self, word: usize, value: u64) -> bool {
        let is_expected = self.written_ranges.iter().any(|range| range.contains(&word));
        assert!(is_expected, "a store to word {word}, where nothing is ever written");
        self.dirty(word);
        let has_changed = self.latest[word] != value;
        if has_changed {
            self.latest[word] = value;
            self.pending.entry(word / SECTOR_WORDS).or_default().push(Change { time: self.time, word, value });
        }
        has_changed
    }

    fn dirty(&mut self, word: usize) {
        self.time += 1;
        let page = word / PAGE_WORDS;
        self.dirtied.insert(page, self.time);
        self.clean.remove(&page);
    }

    fn end_flush(&mut self) {
        let Some(Flush { began, words }) = self.flush.take() else { return };
        let (clean, certain) = (&self.clean, &mut self.certain);
        self.pending.retain(|sector, changes| {
            let start = sector * SECTOR_WORDS;
            if words.contains(&start) && !clean.contains(&(start / PAGE_WORDS)) {
                let reached = changes.partition_point(|change| change.time <= began);
                for change in changes.drain(..reached) {
                    certain[change.word] = change.value;
                }
            }
            !changes.is_empty()
        });
    }

    fn fail_flush(&mut self, random: &mut fastrand::Rng) {
        let Some(Flush { began, words }) = self.flush.take() else { return };
        for (page, dirtied) in &self.dirtied {
            if words.contains(&(page * PAGE_WORDS)) && *dirtied <= began && random.bool() {
                self.clean.insert(*page);
            }
        }
    }

    /// Reads some of the pages anew that a failed flush left clean.
    pub fn evict(&mut self, image: &mut [u64], random: &mut fastrand::Rng) {
        let mut read = self.certain.clone();
        self.cut_group(true, &mut read, random);
        for page in std::mem::take(&mut self.clean) {
            if random.f64() < 0.3 {
                let words = page * PAGE_WORDS..(page + 1) * PAGE_WORDS;
                for content in [&mut *image, &mut self.latest, &mut self.certain] {
                    content[words.clone()].copy_from_slice(&read[words.clone()]);
                }
                self.pending.retain(|sector, _| !words.contains(&(sector * SECTOR_WORDS)));
            } else {
                self.clean.insert(page);
            }
        }
    }

    // -- cuts of the power -------------------------------------------------------------------------

    /// Writes into `image` one of the images that a cut may leave now, wherever anything is ever written.
    pub fn cut(&self, image: &mut [u64], random: &mut fastrand::Rng) {
        self.start(image);
        self.cut_group(false, image, random);
        self.cut_group(true, image, random);
    }

    /// Calls `visit` with every image that a cut may leave of the durable group in pieces of one size, if there are at
    /// most `limit` of them; returns whether that is so. With `changed`, the word that changed last, it calls it only
    /// with those in which that change is on the disk: the others were possible before. The control group is chosen
    /// anew for each.
    pub fn for_each_cut(
        &self,
        grain: Grain,
        changed: Option<usize>,
        limit: usize,
        image: &mut [u64],
        random: &mut fastrand::Rng,
        mut visit: impl FnMut(&[u64]),
    ) -> bool {
        let pieces = self.durable_pieces(grain);
        let is_fixed = |piece: &[Change]| changed.is_some_and(|word| is_last_of(piece, word, self.time));
        let lowest: Vec<usize> = pieces.iter().map(|piece| if is_fixed(piece) { piece.len() } else { 0 }).collect();
        let counts = pieces.iter().zip(&lowest).map(|(piece, lowest)| piece.len() + 1 - lowest);
        if counts.fold(1, |product: usize, count| product.saturating_mul(count)) > limit {
            return false;
        }
        let mut reached = lowest.clone();
        loop {
            self.start(image);
            self.cut_group(false, image, random);
            for (piece, reached) in pieces.iter().zip(&reached) {
                apply(&piece[..*reached], image);
            }
            visit(image);
            // Counts on, the first piece fastest.
            let Some(next) = (0..pieces.len()).find(|piece| reached[*piece] < pieces[*piece].len()) else {
                return true;
            };
            reached[..next].copy_from_slice(&lowest[..next]);
            reached[next] += 1;
        }
    }

    fn start(&self, image: &mut [u64]) {
        for range in &self.written_ranges {
            image[range.clone()].copy_from_slice(&self.certain[range.clone()]);
        }
    }

    fn sectors_of(&self, is_durable: bool) -> impl Iterator<Item = (usize, &[Change])> {
        let wanted =
            move |(sector, _): &(&usize, _)| (**sector * SECTOR_WORDS >= self.durable_group.start) == is_durable;
        self.pending.iter().filter(wanted).map(|(sector, changes)| (*sector, changes.as_slice()))
    }

    /// The changes of the durable group, piece by piece, each in order. Each change of a word is a piece of its own: it
    /// reached the disk or not.
    fn durable_pieces(&self, grain: Grain) -> Vec<Vec<Change>> {
        let sectors = self.sectors_of(true);
        match grain {
            Grain::Word => sectors.flat_map(|(_, changes)| changes.iter().map(|change| vec![*change])).collect(),
            Grain::Sector => sectors.map(|(_, changes)| changes.to_vec()).collect(),
            Grain::Page => {
                let mut pages: BTreeMap<usize, Vec<Change>> = BTreeMap::new();
                for (sector, changes) in sectors {
                    pages.entry(sector * SECTOR_WORDS / PAGE_WORDS).or_default().extend(changes);
                }
                pages.values_mut().for_each(|changes| changes.sort_by_key(|change| change.time));
                pages.into_values().collect()
            }
        }
    }

    fn cut_group(&self, is_durable: bool, image: &mut [u64], random: &mut fastrand::Rng) {
        let grain = GRAINS[random.usize(..GRAINS.len())];
        let latest = [0.0, 0.3, 0.7, 0.95, 1.0][random.usize(..5)];
        let torn = [0.0, 0.15][random.usize(..2)];
        let reach = REACH[random.usize(..REACH.len())];
        let sectors: Vec<(usize, &[Change])> = self.sectors_of(is_durable).collect();
        let page_of = |sector: usize| sector * SECTOR_WORDS / PAGE_WORDS;
        let pieces = sectors.chunk_by(|one, other| match grain {
            Grain::Page => page_of(one.0) == page_of(other.0),
            Grain::Sector | Grain::Word => false,
        });
        for piece in pieces {
            if matches!(grain, Grain::Word) || random.f64() < torn {
                let share = if random.f64() < latest { 0.95 } else { [0.02, 0.3, 0.7][random.usize(..3)] };
                for (_, changes) in piece {
                    tear(changes, share, is_durable, image, random);
                }
                continue;
            }
            let moment = if random.f64() < latest { self.time } else { any_moment(piece, reach, random) };
            for (_, changes) in piece {
                apply(&changes[..changes.partition_point(|change| change.time <= moment)], image);
            }
        }
    }
}

/// Where anything is ever written: all else stays as it was created.
pub fn written_ranges(geometry: &Geometry) -> Vec<Range<usize>> {
    let control_words = geometry.control()..geometry.control() + (WAKE_COUNT + 1).next_multiple_of(SECTOR_WORDS);
    let lists = geometry.control() + CONTROL_WORDS..geometry.index() + 2 * geometry.index_entry_count();
    let records = (0..SYNC_RECORD_COUNT).map(|record| geometry.sync_record(record));
    let cells = geometry.cells()..geometry.slot(geometry.capacity() - 1).end;
    let mut ranges = vec![control_words, lists];
    ranges.extend(records.map(|start| start..start + SYNC_RECORD_WORDS));
    ranges.push(cells);
    ranges
}

fn is_last_of(piece: &[Change], word: usize, time: u64) -> bool {
    piece.last().is_some_and(|change| (change.word, change.time) == (word, time))
}

fn apply(changes: &[Change], image: &mut [u64]) {
    for change in changes {
        image[change.word] = change.value;
    }
}

/// A moment before one of the latest changes of any sector of a piece.
fn any_moment(piece: &[(usize, &[Change])], reach: usize, random: &mut fastrand::Rng) -> u64 {
    let (_, changes) = piece[random.usize(..piece.len())];
    let back = random.usize(..reach.min(changes.len()));
    changes[changes.len() - 1 - back].time - 1
}

/// Each word as of a moment of its own; one of the durable group may even hold anything.
fn tear(changes: &[Change], share: f64, is_durable: bool, image: &mut [u64], random: &mut fastrand::Rng) {
    for change in changes {
        if random.f64() < share {
            let is_anything = is_durable && random.u8(..) < 8;
            image[change.word] = if is_anything { random.u64(..) } else { change.value };
        }
    }
}
