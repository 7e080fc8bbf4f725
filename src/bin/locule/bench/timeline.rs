//! How far the workers had come by when: what throughput over time is made of.
//!
//! The parent looks at the counters that the workers keep anyway, so a worker does nothing more for it. A look that comes
//! late, because the workers leave the parent no processor, makes its interval longer and nothing wrong: each sample has
//! the moment at which it was taken.

use std::time::Duration;

/// The first distance between two samples.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);
/// With so many samples every second one is dropped, and from then on they are taken half as often.
const SAMPLE_LIMIT: usize = 160;

/// All operations up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at: Duration,
    operation_count: u64,
}

/// What was done between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    pub from: Duration,
    pub to: Duration,
    pub operation_count: u64,
}

impl Stretch {
    pub fn operations_per_second(&self) -> f64 {
        per_second(self.operation_count, self.to.saturating_sub(self.from))
    }
}

/// A rate that is finite, also of nothing in no time.
pub fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// The samples of a run, in the order of time, and the moments of the kills.
#[derive(Debug)]
pub struct Timeline {
    samples: Vec<Sample>,
    interval: Duration,
    pub kills: Vec<Duration>,
}

impl Timeline {
    /// Begins when the workers are released.
    pub fn new() -> Timeline {
        let start = Sample { at: Duration::ZERO, operation_count: 0 };
        Timeline { samples: vec![start], interval: FIRST_INTERVAL, kills: Vec::new() }
    }

    fn last(&self) -> Sample {
        self.samples.last().copied().unwrap_or(Sample { at: Duration::ZERO, operation_count: 0 })
    }

    /// Takes a sample if it is time to.
    pub fn look(&mut self, at: Duration, operation_count: impl FnOnce() -> u64) {
        if at < self.last().at + self.interval {
            return;
        }
        if self.samples.len() >= SAMPLE_LIMIT {
            let mut number = 0;
            self.samples.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.interval *= 2;
        }
        self.samples.push(Sample { at, operation_count: operation_count() });
    }

    /// Takes the last sample. It takes the place of the one before it if that is so near that their distance would tell
    /// little.
    pub fn end(&mut self, at: Duration, operation_count: u64) {
        if self.samples.len() > 1 && at < self.last().at + self.interval / 2 {
            self.samples.pop();
        }
        self.samples.push(Sample { at, operation_count });
    }

    /// What was done between each two samples.
    pub fn stretches(&self) -> Vec<Stretch> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        let stretch = |(from, to): (&Sample, &Sample)| Stretch {
            from: from.at,
            to: to.at,
            operation_count: to.operation_count.saturating_sub(from.operation_count),
        };
        pairs.map(stretch).filter(|stretch| stretch.to > stretch.from).collect()
    }

    /// The same in at most so many parts, which are about equally long.
    pub fn parts(&self, count: u32) -> Vec<Stretch> {
        let part_of = |stretch: &Stretch| {
            let middle = (stretch.from + stretch.to).as_secs_f64() / 2.0;
            (middle / self.last().at.as_secs_f64() * f64::from(count)) as u64
        };
        let mut parts: Vec<(u64, Stretch)> = Vec::new();
        for stretch in self.stretches() {
            match parts.last_mut().filter(|(number, _)| *number == part_of(&stretch)) {
                Some((_, part)) => {
                    part.to = stretch.to;
                    part.operation_count += stretch.operation_count;
                }
                None => parts.push((part_of(&stretch), stretch)),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// How many workers were killed in a stretch.
    pub fn kill_count(&self, stretch: &Stretch) -> usize {
        self.kills.iter().filter(|at| (stretch.from..stretch.to).contains(at)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn samples_are_taken_when_it_is_time_and_each_counts_from_the_one_before() {
        let mut timeline = Timeline::new();
        for (at, count) in [(10, 5), (60, 600), (70, 700), (200, 2_000)] {
            timeline.look(milliseconds(at), || count);
        }
        timeline.end(milliseconds(210), 2_200);
        let expected = [
            Stretch { from: milliseconds(0), to: milliseconds(60), operation_count: 600 },
            Stretch { from: milliseconds(60), to: milliseconds(210), operation_count: 1_600 },
        ];
        assert_eq!(timeline.stretches(), expected);
        assert_eq!(expected[0].operations_per_second(), 10_000.0);
    }

    #[test]
    fn a_long_run_has_no_more_samples_than_a_short_one_and_loses_no_operation() {
        let mut timeline = Timeline::new();
        for number in 1..=1_000_000 {
            timeline.look(milliseconds(number * 10), || number);
        }
        timeline.end(milliseconds(10_000_001), 1_000_001);
        let stretches = timeline.stretches();
        assert!((SAMPLE_LIMIT / 2..=SAMPLE_LIMIT).contains(&stretches.len()), "{}", stretches.len());
        assert_eq!(stretches.iter().map(|stretch| stretch.operation_count).sum::<u64>(), 1_000_001);
        assert!(stretches.iter().zip(stretches.iter().skip(1)).all(|(one, next)| one.to == next.from));
        let parts = timeline.parts(10);
        assert_eq!(parts.len(), 10);
        let lengths = parts.iter().map(|part| (part.to - part.from).as_secs());
        assert!(lengths.clone().max().unwrap() < lengths.min().unwrap() * 2, "{parts:?}");
        assert!(parts.iter().map(|part| part.operation_count).sum::<u64>() == 1_000_001);
    }

    #[test]
    fn a_run_that_ends_at_once_has_no_rate_that_is_not_a_number() {
        let mut timeline = Timeline::new();
        timeline.end(Duration::ZERO, 0);
        assert_eq!(timeline.stretches(), []);
        assert_eq!(per_second(7, Duration::ZERO), 0.0);
    }

    #[test]
    fn kills_are_counted_where_they_were() {
        let mut timeline = Timeline::new();
        timeline.kills = vec![milliseconds(0), milliseconds(59), milliseconds(60)];
        timeline.look(milliseconds(60), || 1);
        timeline.end(milliseconds(120), 2);
        let counts: Vec<_> = timeline.stretches().iter().map(|stretch| timeline.kill_count(stretch)).collect();
        assert_eq!(counts, [2, 1]);
    }
}
