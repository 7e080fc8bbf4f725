//! The last minute.

use std::collections::VecDeque;

use super::durations::Durations;
use super::facts::Facts;

/// How far back it goes.
pub const SECONDS: f64 = 60.0;
/// What is seen within this time is added up: so what is kept, and what it takes to draw it, does not grow with the number of
/// looks. A part of the picture is longer on all but the widest screens.
const STRETCH_SECONDS: f64 = 0.5;

/// What was seen in the last minute, the newest last.
#[derive(Default)]
pub struct History {
    stretches: VecDeque<Stretch>,
}

/// One look, or several that followed each other closely.
#[derive(Default)]
struct Stretch {
    seconds: f64,
    /// For how long the rates were known, and what happened in that time.
    known_seconds: f64,
    write_count: f64,
    sync_count: f64,
    /// The highest rate of writes.
    peak: f64,
    holdings: Durations,
    flushes: Durations,
}

impl Stretch {
    fn add(&mut self, facts: &Facts) {
        self.seconds += facts.seconds;
        if let Some(rates) = facts.rates {
            self.known_seconds += facts.seconds;
            self.write_count += rates.writes_per_second * facts.seconds;
            self.sync_count += rates.syncs_per_second * facts.seconds;
            self.peak = self.peak.max(rates.writes_per_second);
        }
        self.holdings.add_all(&facts.lock.holdings);
        self.flushes.add_all(&facts.lock.flushes);
    }
}

impl History {
    pub fn add(&mut self, facts: &Facts) {
        if self.stretches.back().is_none_or(|newest| newest.seconds + facts.seconds > STRETCH_SECONDS) {
            self.stretches.push_back(Stretch::default());
        }
        if let Some(newest) = self.stretches.back_mut() {
            newest.add(facts);
        }
        let mut seconds: f64 = self.stretches.iter().map(|stretch| stretch.seconds).sum();
        // The oldest one is kept as long as a part of it is of the last minute.
        while let Some(oldest) = self.stretches.front().filter(|oldest| seconds - oldest.seconds >= SECONDS) {
            seconds -= oldest.seconds;
            self.stretches.pop_front();
        }
    }

    /// How long the lock was held.
    pub fn holdings(&self) -> Durations {
        sum(self.stretches.iter().map(|stretch| &stretch.holdings))
    }

    /// How long syncs waited for the disk.
    pub fn flushes(&self) -> Durations {
        sum(self.stretches.iter().map(|stretch| &stretch.flushes))
    }

    /// The highest rate of writes.
    pub fn peak(&self) -> f64 {
        self.stretches.iter().map(|stretch| stretch.peak).fold(0.0, f64::max)
    }

    /// The mean rate of syncs, of which there are few.
    pub fn syncs_per_second(&self) -> Option<f64> {
        let seconds: f64 = self.stretches.iter().map(|stretch| stretch.known_seconds).sum();
        let count: f64 = self.stretches.iter().map(|stretch| stretch.sync_count).sum();
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
        for stretch in self.stretches.iter().rev() {
            let overlap = (age + stretch.seconds).min(older) - f64::max(age, newer);
            if overlap > 0.0 {
                let share = overlap / stretch.seconds;
                seconds += stretch.known_seconds * share;
                count += stretch.write_count * share;
            }
            age += stretch.seconds;
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
        assert_eq!((history.peak(), history.stretches.len()), (7.0, 60));
    }

    /// Each look was once kept for a minute, and all of them were added up whenever the view was drawn.
    #[test]
    fn however_many_looks_there_are_no_more_is_kept() {
        let mut history = History::default();
        for number in 0..6_000 {
            history.add(&facts(0.01, Some(if number < 3_000 { 100.0 } else { 300.0 })));
        }
        let kept = history.stretches.len();
        assert!(kept < 200, "{kept}");
        assert_eq!((history.peak(), history.holdings().count), (300.0, 6_000));
        // What is added up may be of both halves.
        let halves = history.writes_per_second(2).into_iter().map(Option::unwrap).collect::<Vec<_>>();
        assert!((halves[0] - 100.0).abs() < 5.0 && (halves[1] - 300.0).abs() < 5.0, "{halves:?}");
        assert_eq!(history.syncs_per_second().map(f64::round), Some(20.0));
    }
}
