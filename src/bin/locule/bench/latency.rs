//! How long operations took: counts in buckets, in shared words, so that those of a killed worker are not lost.
//!
//! A worker does as little as possible: it finds the bucket of a number of clock ticks and adds one. The buckets are
//! those of an HDR histogram with five bits (each power of two in 32 parts, so a bucket is at most 3 % wide). The
//! parent turns ticks into nanoseconds and merges all worker files into real histograms once the workers are gone.

use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

use crate::Result;

/// What is measured. Its discriminant is its place in a worker file's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Update,
    Insert,
    Delete,
    Sync,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Read, Kind::Update, Kind::Insert, Kind::Delete, Kind::Sync];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Update => "update",
            Kind::Insert => "insert",
            Kind::Delete => "delete",
            Kind::Sync => "sync",
        }
    }
}

/// The percentiles that are told, as text and as shares.
pub const PERCENTILES: [(&str, f64); 5] = [("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999), ("99.99", 0.9999)];

const PART_BITS: u32 = 5;
/// Ticks beyond this are counted as this: half an hour and more, with a clock of 2 GHz.
const MAX_TICKS: u64 = (1 << 42) - 1;
const BUCKET_COUNT: usize = bucket_of(MAX_TICKS) + 1;
/// The buckets, and before them the longest time of all, which is kept exactly.
const KIND_WORD_COUNT: usize = 1 + BUCKET_COUNT;

/// How many words the latencies of a worker file take.
pub const WORD_COUNT: usize = Kind::ALL.len() * KIND_WORD_COUNT;

const fn bucket_of(ticks: u64) -> usize {
    let ticks = if ticks > MAX_TICKS { MAX_TICKS } else { ticks };
    // Below 32 the bucket is the number itself; above, it is the five bits beside the leading one, and the power of
    // two.
    let shift = (u64::BITS - (ticks | 1).leading_zeros()).saturating_sub(PART_BITS + 1);
    ((shift as usize) << PART_BITS) + (ticks >> shift) as usize
}

/// The ticks in the middle of a bucket.
const fn middle_of(bucket: usize) -> u64 {
    let shift = (bucket >> PART_BITS).saturating_sub(1);
    let lowest = ((bucket - (shift << PART_BITS)) as u64) << shift;
    lowest + ((1 << shift) >> 1)
}

/// A view of the words of one worker file's latencies.
#[derive(Clone, Copy)]
pub struct Latencies<'words> {
    words: &'words [AtomicU64],
}

impl<'words> Latencies<'words> {
    pub fn new(words: &'words [AtomicU64]) -> Self {
        Latencies { words }
    }

    /// Counts one operation that took this many ticks. Only the worker file's worker writes here, so a load and a store
    /// are enough.
    #[inline]
    pub fn record(&self, kind: Kind, ticks: u64) {
        let first = kind as usize * KIND_WORD_COUNT;
        if let Some(count) = self.words.get(first + 1 + bucket_of(ticks)) {
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        if let Some(longest) = self.words.get(first) {
            if ticks > longest.load(Ordering::Relaxed) {
                longest.store(ticks, Ordering::Relaxed);
            }
        }
    }

    fn of(&self, kind: Kind) -> &'words [AtomicU64] {
        let first = kind as usize * KIND_WORD_COUNT;
        self.words.get(first..first + KIND_WORD_COUNT).unwrap_or_default()
    }
}

/// Latencies of one or more kinds over all worker files, in nanoseconds.
pub struct Merged {
    pub histogram: Histogram<u64>,
    pub longest_ns: u64,
}

impl Merged {
    /// Merges what the worker files recorded of these kinds.
    pub fn new<'words>(
        kinds: &[Kind],
        worker_files: impl Iterator<Item = Latencies<'words>>,
        nanoseconds_of: impl Fn(u64) -> u64,
    ) -> Result<Merged> {
        let mut merged = Merged { histogram: Histogram::new(3)?, longest_ns: 0 };
        for worker_file in worker_files {
            for &kind in kinds {
                let Some((longest, buckets)) = worker_file.of(kind).split_first() else { continue };
                merged.longest_ns = merged.longest_ns.max(nanoseconds_of(longest.load(Ordering::Relaxed)));
                for (bucket, count) in buckets.iter().enumerate() {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        merged.histogram.record_n(nanoseconds_of(middle_of(bucket)), count)?;
                    }
                }
            }
        }
        Ok(merged)
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that this share of all operations did not exceed. It is never more than the longest latency, as the
    /// middle of the last bucket could be.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.longest_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap_and_are_at_most_a_32nd_wide() {
        let mut last = bucket_of(0);
        assert_eq!(last, 0);
        for ticks in (1..100_000u64).chain((17..42).flat_map(|bits| (1 << bits) - 2..(1 << bits) + 2)) {
            let bucket = bucket_of(ticks);
            assert!(bucket >= last, "{ticks}");
            if ticks < 100_000 {
                assert!(bucket - last <= 1, "{ticks}");
            }
            last = bucket;
            assert!(middle_of(bucket).abs_diff(ticks) <= ticks / 32, "{ticks} is counted as {}", middle_of(bucket));
        }
        assert_eq!(bucket_of(u64::MAX), BUCKET_COUNT - 1);
    }

    #[test]
    fn merging_keeps_counts_quantiles_and_the_exact_maximum() -> Result<()> {
        let worker_files: Vec<Vec<AtomicU64>> =
            (0..2).map(|_| (0..WORD_COUNT).map(|_| AtomicU64::new(0)).collect()).collect();
        for (words, share) in worker_files.iter().zip([1..=500u64, 501..=1000]) {
            for ticks in share {
                Latencies::new(words).record(Kind::Update, ticks);
            }
        }
        Latencies::new(&worker_files[0]).record(Kind::Delete, 1_234_567);
        let merge =
            |kinds: &[Kind]| Merged::new(kinds, worker_files.iter().map(|words| Latencies::new(words)), |t| t * 10);
        let updates = merge(&[Kind::Update])?;
        assert_eq!((updates.count(), updates.longest_ns), (1000, 10_000));
        assert!(updates.quantile_ns(0.5).abs_diff(5_000) < 200, "{}", updates.quantile_ns(0.5));
        assert!(updates.quantile_ns(1.0) <= 10_000);
        let both = merge(&Kind::ALL)?;
        assert_eq!((both.count(), both.longest_ns), (1001, 12_345_670));
        assert_eq!(merge(&[Kind::Read])?.count(), 0);
        Ok(())
    }
}
