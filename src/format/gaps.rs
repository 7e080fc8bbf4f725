//! The numbers that recoveries jumped over.
//!
//! A recovery chooses a state and gives it a number that is higher than every number that was seen. What was written after the
//! chosen state is gone, and its numbers lie between the two: they are a gap, and no number of a gap is ever used again. So a
//! number names a moment of the table that is still part of its past, unless it lies in a gap.
//!
//! Each sync record carries the newest gaps. The oldest is forgotten when there is no room for it, and then nothing can be said
//! about any number below its end.

use crate::error::CursorLoss;

/// How many gaps are remembered.
pub const GAP_COUNT: usize = 8;
/// The words of all of them, after the word that says below which number gaps were forgotten.
pub const GAP_WORDS: usize = 2 * GAP_COUNT;

/// The numbers that a recovery jumped over: those between these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The transaction whose state was chosen.
    pub chosen: u64,
    /// The number that this state got.
    pub resumed: u64,
}

/// The newest gaps of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Gaps that end at this number or below may have been forgotten.
    pub forgotten_below: u64,
    /// Those that are remembered, the newest first. Where there are fewer, the others are zeros.
    pub newest_first: [Gap; GAP_COUNT],
}

impl Gaps {
    /// What is known of a table whose gaps cannot be read any more.
    pub fn forgotten(below: u64) -> Self {
        Gaps { forgotten_below: below, ..Gaps::default() }
    }

    /// With one more gap, which is the newest.
    #[must_use]
    pub fn with(self, gap: Gap) -> Self {
        if gap.resumed.saturating_sub(gap.chosen) <= 1 {
            return self;
        }
        let Gaps { forgotten_below, newest_first: [a, b, c, d, e, f, g, oldest] } = self;
        Gaps { forgotten_below: forgotten_below.max(oldest.resumed), newest_first: [gap, a, b, c, d, e, f, g] }
    }

    /// Why a number is not known to be one of the table's past, if it is not. The number is not above the newest.
    pub fn loss_of(&self, number: u64) -> Option<CursorLoss> {
        // Before the first transaction there was nothing, whatever was rolled back since.
        if number == 0 {
            None
        } else if self.newest_first.iter().any(|gap| gap.chosen < number && number < gap.resumed) {
            Some(CursorLoss::RolledBack)
        } else if number < self.forgotten_below {
            Some(CursorLoss::TooManyRecoveries)
        } else {
            None
        }
    }

    /// The words of the gaps.
    pub fn to_words(self) -> [u64; GAP_WORDS] {
        let mut words = [0; GAP_WORDS];
        let pairs = self.newest_first.into_iter().flat_map(|gap| [gap.chosen, gap.resumed]);
        for (target, word) in words.iter_mut().zip(pairs) {
            *target = word;
        }
        words
    }

    pub fn from_words(forgotten_below: u64, words: [u64; GAP_WORDS]) -> Self {
        let mut gaps = Gaps::forgotten(forgotten_below);
        for (gap, pair) in gaps.newest_first.iter_mut().zip(words.chunks_exact(2)) {
            if let [chosen, resumed] = *pair {
                *gap = Gap { chosen, resumed };
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_of_the_past_unless_a_recovery_jumped_over_it() {
        let gaps = Gaps::default().with(Gap { chosen: 10, resumed: 100 }).with(Gap { chosen: 105, resumed: 200 });
        for number in [0, 1, 10, 100, 101, 105, 200, 201, u64::MAX] {
            assert_eq!(gaps.loss_of(number), None, "{number}");
        }
        for number in [11, 50, 99, 106, 199] {
            assert_eq!(gaps.loss_of(number), Some(CursorLoss::RolledBack), "{number}");
        }
    }

    #[test]
    fn a_gap_without_numbers_is_none() {
        assert_eq!(Gaps::default().with(Gap { chosen: 0, resumed: 1 }), Gaps::default());
        assert_eq!(Gaps::default().with(Gap { chosen: 5, resumed: 5 }), Gaps::default());
    }

    /// A recovery that was cut short is made again, and what it had chosen is chosen again under its new number.
    #[test]
    fn a_state_that_is_chosen_again_and_again_stays_part_of_the_past_under_each_of_its_numbers() {
        let chosen = [10, 100, 200, 300];
        let gaps =
            chosen.windows(2).fold(Gaps::default(), |gaps, pair| gaps.with(Gap { chosen: pair[0], resumed: pair[1] }));
        for number in chosen {
            assert_eq!(gaps.loss_of(number), None);
            assert_eq!(gaps.loss_of(number + 1).is_some(), number < 300);
        }
    }

    #[test]
    fn what_was_before_a_gap_that_is_forgotten_is_not_known_to_be_of_the_past() {
        let mut gaps = Gaps::default();
        for recovery in 1..=8 {
            gaps = gaps.with(Gap { chosen: recovery * 100 + 5, resumed: recovery * 100 + 100 });
        }
        assert_eq!((gaps.loss_of(105), gaps.loss_of(106)), (None, Some(CursorLoss::RolledBack)));
        gaps = gaps.with(Gap { chosen: 905, resumed: 1000 });
        for number in [1, 105, 106, 199] {
            assert_eq!(gaps.loss_of(number), Some(CursorLoss::TooManyRecoveries), "{number}");
        }
        for number in [0, 200, 205, 300, 905, 1000] {
            assert_eq!(gaps.loss_of(number), None, "{number}");
        }
        assert_eq!(gaps.loss_of(206), Some(CursorLoss::RolledBack));
        // It never goes down again.
        let forgotten = Gaps::forgotten(5000).with(Gap { chosen: 6000, resumed: 7000 });
        assert_eq!((forgotten.loss_of(4999), forgotten.loss_of(5000)), (Some(CursorLoss::TooManyRecoveries), None));
    }

    #[test]
    fn gaps_come_back_from_their_words() {
        let mut gaps = Gaps::forgotten(3);
        for (place, gap) in (0..).zip(&mut gaps.newest_first) {
            *gap = Gap { chosen: 10 + place, resumed: 20 + place };
        }
        assert_eq!(Gaps::from_words(3, gaps.to_words()), gaps);
        assert_eq!(gaps.to_words()[..4], [10, 20, 11, 21]);
    }
}
