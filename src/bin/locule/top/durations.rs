//! How long things took: counts in buckets that are at most an eighth wide, so that those of a minute are soon added up.

const PART_BITS: u32 = 3;
/// Longer times are counted as this: an hour and more.
const LONGEST: u64 = (1 << 42) - 1;
const BUCKET_COUNT: usize = bucket_of(LONGEST) + 1;

const fn bucket_of(nanoseconds: u64) -> usize {
    let nanoseconds = if nanoseconds > LONGEST { LONGEST } else { nanoseconds };
    // Below 8 the bucket is the number itself; above, it is the three bits beside the leading one, and the power of two.
    let shift = (u64::BITS - (nanoseconds | 1).leading_zeros()).saturating_sub(PART_BITS + 1);
    ((shift as usize) << PART_BITS) + (nanoseconds >> shift) as usize
}

/// The highest number of a bucket.
const fn top_of(bucket: usize) -> u64 {
    let shift = (bucket >> PART_BITS).saturating_sub(1);
    (((bucket - (shift << PART_BITS)) as u64 + 1) << shift) - 1
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    counts: Box<[u64; BUCKET_COUNT]>,
    pub count: u64,
    pub longest: u64,
}

impl Default for Durations {
    fn default() -> Self {
        Durations { counts: Box::new([0; BUCKET_COUNT]), count: 0, longest: 0 }
    }
}

impl Durations {
    pub fn add(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket_of(nanoseconds)) {
            *count += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    pub fn add_all(&mut self, other: &Durations) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count += more;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// What so much of them did not take longer than; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        bucket.map(|bucket| top_of(bucket).min(self.longest))
    }

    /// How many are longer than each of these limits' predecessor and not longer than the limit, and at last how many are longer
    /// than all of them.
    pub fn between(&self, limits: &[u64]) -> Vec<u64> {
        let mut sums = vec![0; limits.len() + 1];
        for (bucket, count) in self.counts.iter().enumerate() {
            let place = limits.iter().position(|limit| top_of(bucket) <= *limit).unwrap_or(limits.len());
            if let Some(sum) = sums.get_mut(place) {
                *sum += count;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_in_a_bucket_that_is_an_eighth_wide_at_most() {
        for number in (0..100_000).chain([1 << 30, (1 << 40) + 12_345, LONGEST]) {
            let bucket = bucket_of(number);
            assert!(number <= top_of(bucket) && top_of(bucket) - number <= number / 8, "{number}");
            assert!(bucket == 0 || top_of(bucket - 1) < number, "{number}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKET_COUNT - 1);
    }

    #[test]
    fn quantiles_and_parts_are_those_of_all_that_was_added() {
        let (mut low, mut high) = (Durations::default(), Durations::default());
        (1..=500).for_each(|number| low.add(number * 1000));
        (501..=1000).for_each(|number| high.add(number * 1000));
        low.add_all(&high);
        assert_eq!((low.count, low.longest), (1000, 1_000_000));
        let median = low.quantile(0.5).unwrap();
        assert!((500_000..570_000).contains(&median), "{median}");
        assert_eq!((low.quantile(1.0), Durations::default().quantile(0.5)), (Some(1_000_000), None));
        let parts = low.between(&[1 << 18, 1 << 19]);
        assert_eq!((parts.len(), parts.iter().sum::<u64>(), parts[0]), (3, 1000, 262));
    }
}
