//! Which records a condition is true for.

use crate::engine::read::Meta;
use crate::engine::scan::Scan;
use crate::error::Internal;
use crate::layout::filter::{Everything, Filter, RecordWords};
use crate::query::content::ContentTest;
use crate::query::place::{RangeTest, SetTest, ShortTest, WordTest};
use std::ops::Range;

/// A condition that was checked against a schema and compiled for its records. It looks only at the words that it needs.
#[derive(Clone, Debug)]
pub struct Predicate {
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    /// True for all.
    Everything,
    /// True for none.
    Nothing,
    /// All of some tests must accept: most conditions are such, and nothing is faster.
    AllOfWords(Vec<WordTest>),
    AllOf(Vec<RangeTest>),
    Steps(Steps),
}

/// Tests, one after the other. After each one the answer is known, or another test comes next, further behind.
#[derive(Clone, Debug)]
struct Steps {
    steps: Vec<Step>,
    /// Room for text and bytes.
    words: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub test: StepTest,
    pub if_true: Next,
    pub if_false: Next,
}

/// What comes after a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another test, by its position.
    Step(usize),
    Accept,
    Refuse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepTest {
    Range(RangeTest),
    Set(SetTest),
    Content(Box<ContentTest>),
}

impl Predicate {
    /// What is true for all records.
    pub fn everything() -> Self {
        Predicate { shape: Shape::Everything }
    }

    /// Each step leads only to those behind it.
    pub(super) fn of_steps(first: Next, steps: Vec<Step>) -> Self {
        let shape = match first {
            Next::Accept => Shape::Everything,
            Next::Refuse => Shape::Nothing,
            Next::Step(_) => match all_of(&steps) {
                Some(tests) => match tests.iter().map(|test| test.in_one_word()).collect() {
                    Some(tests) => Shape::AllOfWords(tests),
                    None => Shape::AllOf(tests),
                },
                None => Shape::Steps(Steps { steps, words: Vec::new() }),
            },
        };
        Predicate { shape }
    }

    /// Copies the first record of some slots that the condition is true for: see [`Scan::scan`].
    pub fn scan(
        &mut self,
        source: &mut impl Scan,
        slots: &mut Range<u32>,
        payload: &mut [u64],
    ) -> Internal<Option<Meta>> {
        match &mut self.shape {
            Shape::Everything => source.scan(slots, &mut Everything, payload),
            Shape::Nothing => {
                slots.start = slots.end;
                source.scan(slots, &mut Everything, payload)
            }
            Shape::AllOfWords(tests) => scan_all_of(tests, source, slots, payload),
            Shape::AllOf(tests) => scan_all_of(tests, source, slots, payload),
            Shape::Steps(steps) => source.scan(slots, steps, payload),
        }
    }

    /// Whether the condition is true for a record.
    pub fn matches(&mut self, record: &[u64]) -> bool {
        match &mut self.shape {
            Shape::Everything => true,
            Shape::Nothing => false,
            Shape::AllOfWords(tests) => AllOf(tests.as_slice()).accepts(record),
            Shape::AllOf(tests) => AllOf(tests.as_slice()).accepts(record),
            Shape::Steps(steps) => steps.accepts(record),
        }
    }
}

/// How many tests there are is known to the compiler where it matters most.
fn scan_all_of(
    tests: &[impl ShortTest],
    source: &mut impl Scan,
    slots: &mut Range<u32>,
    payload: &mut [u64],
) -> Internal<Option<Meta>> {
    match *tests {
        [test] => source.scan(slots, &mut AllOf([test]), payload),
        [first, second] => source.scan(slots, &mut AllOf([first, second]), payload),
        [first, second, third] => source.scan(slots, &mut AllOf([first, second, third]), payload),
        _ => source.scan(slots, &mut AllOf(tests), payload),
    }
}

/// Each test of fewer is tried to be made one with each of the others. More are taken one after the other.
const ALL_OF_COUNT_MAX: usize = 64;

/// The tests, if they all have to accept and nothing else decides.
fn all_of(steps: &[Step]) -> Option<Vec<RangeTest>> {
    if steps.len() > ALL_OF_COUNT_MAX {
        return None;
    }
    let mut tests: Vec<RangeTest> = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        let is_last = position + 1 == steps.len();
        let if_true = if is_last { Next::Accept } else { Next::Step(position + 1) };
        if (step.if_true, step.if_false) != (if_true, Next::Refuse) {
            return None;
        }
        let StepTest::Range(test) = step.test else { return None };
        match tests.iter_mut().find_map(|before| before.and(test).map(|both| (before, both))) {
            Some((before, both)) => *before = both,
            None => tests.push(test),
        }
    }
    Some(tests)
}

/// Words that are somewhere else than in a table.
impl RecordWords for &[u64] {
    fn word(self, index: usize) -> u64 {
        self.get(index).copied().unwrap_or(0)
    }

    fn copy_words(self, first: usize, target: &mut [u64]) {
        for (word, index) in target.iter_mut().zip(first..) {
            *word = self.word(index);
        }
    }
}

struct AllOf<T>(T);

impl<T: ShortTest, const N: usize> Filter for AllOf<[T; N]> {
    #[inline(always)]
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        self.0.iter().all(|test| test.accepts(record))
    }
}

impl<T: ShortTest> Filter for AllOf<&[T]> {
    #[inline(always)]
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        self.0.iter().all(|test| test.accepts(record))
    }
}

impl Filter for Steps {
    #[inline(always)]
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        let mut next = Next::Step(0);
        loop {
            let step = match next {
                Next::Accept => return true,
                Next::Refuse => return false,
                // There is always such a step.
                Next::Step(position) => match self.steps.get(position) {
                    Some(step) => step,
                    None => return false,
                },
            };
            let is_true = match &step.test {
                StepTest::Range(test) => test.accepts(record),
                StepTest::Set(test) => test.accepts(record),
                StepTest::Content(test) => test.accepts(record, &mut self.words),
            };
            next = if is_true { step.if_true } else { step.if_false };
        }
    }
}
