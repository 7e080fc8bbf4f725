//! The last minute.

use std::collections::VecDeque;

use super::durations::Durations;
use super::facts::Facts;

/// How far back it goes.
pub const SECONDS: f64 = 60.0;

/// What was seen in the last minute, the newest last.
#[derive(Default)]
pub struct History {
    samples: VecDeque<Sample>,
}

struct Sample {
    seconds: f64,
    writes_per_second: Option<f64>,
    syncs_per_second: Option<f64>,
    holdings: Durations,
    flushes: Durations,
}

impl History {
    pub fn add(&mut self, facts: &Facts) {
        self.samples.push_back(Sample {
            seconds: facts.seconds,
            writes_per_second: facts.rates.map(|rates| rates.writes_per_second),
            syncs_per_second: facts.rates.map(|rates| rates.syncs_per_second),
            holdings: facts.lock.holdings.clone(),
            flushes: facts.lock.flushes.clone(),
        });
        let mut seconds: f64 = self.samples.iter().map(|sample| sample.seconds).sum();
        // The oldest one is kept as long as a part of it is of the last minute.
        while let Some(oldest) = self.samples.front().filter(|oldest| seconds - oldest.seconds >= SECONDS) {
            seconds -= oldest.seconds;
            self.samples.pop_front();
        }
    }

    /// How long the lock was held.
    pub fn holdings(&self) -> Durations {
        sum(self.samples.iter().map(|sample| &sample.holdings))
    }

    /// How long syncs waited for the disk.
    pub fn flushes(&self) -> Durations {
        sum(self.samples.iter().map(|sample| &sample.flushes))
    }

    /// The highest rate of writes.
    pub fn peak(&self) -> f64 {
        self.samples.iter().filter_map(|sample| sample.writes_per_second).fold(0.0, f64::max)
    }

    /// The mean rate of syncs, of which there are few.
    pub fn syncs_per_second(&self) -> Option<f64> {
        let known = self.samples.iter().filter_map(|sample| Some((sample.seconds, sample.syncs_per_second?)));
        let (seconds, count) =
            known.fold((0.0, 0.0), |(all, count), (seconds, rate)| (all + seconds, count + rate * seconds));
        (seconds > 0.0).then(|| count / seconds)
    }

    /// The mean rate of writes in each of so many equal parts of the minute, the newest last; `None` where nothing was seen.
    pub fn writes_per_second(&self, part_count: u16) -> Vec<Option<f64>> {
        let part = SECONDS / f64::from(part_count.max(1));
        let mut parts: Vec<Option<f64>> = (0..part_count)
            .map(|number| {
                let (newer, older) = (f64::from(number) * part, f64::from(number + 1) * part);
                self.mean_between(newer, older)
            })
            .collect();
        parts.reverse();
        parts
    }

    /// The mean between two moments, given by how long ago they were.
    fn mean_between(&self, newer: f64, older: f64) -> Option<f64> {
        let (mut seconds, mut count, mut age) = (0.0, 0.0, 0.0);
        for sample in self.samples.iter().rev() {
            let overlap = (age + sample.seconds).min(older) - f64::max(age, newer);
            if let Some(rate) = sample.writes_per_second.filter(|_| overlap > 0.0) {
                seconds += overlap;
                count += rate * overlap;
            }
            age += sample.seconds;
        }
        (seconds > 0.0).then(|| count / seconds)
    }
}

fn sum<'a>(durations: impl Iterator<Item = &'a Durations>) -> Durations {
    durations.fold(Durations::default(), |mut sum, more| {
        sum.add_all(more);
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::facts::Rates;

    fn facts(seconds: f64, rate: Option<f64>) -> Facts {
        let rates = rate.map(|rate| Rates { writes_per_second: rate, syncs_per_second: rate / 10.0 });
        let mut facts = Facts { seconds, rates, ..Facts::default() };
        facts.lock.holdings.add(1000);
        facts
    }

    #[test]
    fn rates_are_drawn_where_they_belong_and_the_past_is_forgotten() {
        let mut history = History::default();
        assert_eq!((history.writes_per_second(2), history.syncs_per_second()), (vec![None, None], None));
        for _ in 0..30 {
            history.add(&facts(1.0, Some(100.0)));
        }
        assert_eq!(history.writes_per_second(2), [None, Some(100.0)]);
        history.add(&facts(15.0, Some(300.0)));
        history.add(&facts(15.0, None));
        assert_eq!(history.writes_per_second(4), [Some(100.0), Some(100.0), Some(300.0), None]);
        assert_eq!((history.peak(), history.holdings().count), (300.0, 32));
        assert!((history.syncs_per_second().unwrap() - 7500.0 / 450.0).abs() < 1e-9);
        // A part of two samples.
        assert_eq!(history.mean_between(25.0, 35.0), Some(200.0));
        for _ in 0..60 {
            history.add(&facts(1.0, Some(7.0)));
        }
        assert_eq!((history.peak(), history.samples.len()), (7.0, 60));
    }
}
