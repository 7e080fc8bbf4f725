//! What has to be true of a record.
//!
//! A condition is one list of its parts, each behind those that it is made of: no part points to another. So it can be of
//! any depth: combining, copying and dropping it, writing it as text and compiling it take no more stack for a deep one.

#[cfg(feature = "filter")]
use crate::query::literal::write_text;
use crate::query::literal::{as_read, write_literal, write_name};
#[cfg(feature = "filter")]
use crate::query::pattern::Pattern;
use crate::value::untyped::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// What has to be true of a record: comparisons of its fields with values, combined by `&`, `|` and `!`.
///
/// It is made from fields, by name with [`field`](crate::field), and shows itself as a filter is written:
///
/// ```
/// use locule::field;
///
/// let often = field("hits").gt(3);
/// let wanted = often & (field("user").starts_with("bo") | !field("banned").eq(true)) & field("note").is_none();
/// assert_eq!(
///     wanted.to_string(),
///     "hits > 3 && (user.startsWith(\"bo\") || !(banned == true)) && note == null"
/// );
/// ```
///
/// # None
///
/// A comparison with a field that holds nothing is neither true nor false, and so is its opposite: `age < 30` does not
/// find those whose age is not known, and neither does `!(age < 30)`. Only [`is_none`](crate::FieldName::is_none) and
/// [`is_some`](crate::FieldName::is_some) ask whether there is a value. This is the logic of SQL: what is found is what the
/// condition is true for.
///
/// # Comparisons
///
/// Numbers of any type are compared by their value, exactly: `hits < -1` is never true of an unsigned field, and
/// `hits < 2.5` is true of 2. Floats are ordered as IEEE 754 says: -0.0 equals 0.0, and a number that is none (NaN) is
/// neither smaller than, equal to nor greater than anything; so it is found by `ne` and by the opposite of each other
/// comparison. Text and bytes are ordered by their bytes, false comes before true, and times are ordered by time.
#[derive(Clone, PartialEq)]
pub struct Condition {
    parts: VecDeque<Part>,
}

/// A part of a condition. It follows the parts that it is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Test(Test),
    /// The opposite of the part before it.
    Not,
    /// Whether this many parts before it are all true; of no part, true.
    All(usize),
    /// Whether one of this many parts before it is true; of no part, false.
    Any(usize),
}

/// What is asked about one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    pub field: Cow<'static, str>,
    pub question: Question,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Question {
    Is(Comparison, Value),
    IsIn(Vec<Value>),
    Has(Fragment, Value),
    #[cfg(feature = "filter")]
    Matches(Pattern),
    IsNone,
    IsSome,
}

/// How a field compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Where in a text, or in bytes, a shorter one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Start,
    Anywhere,
    End,
}

impl Condition {
    /// Whether all of some conditions are true. Of none, that is true.
    ///
    /// ```
    /// use locule::{Condition, field};
    ///
    /// let bounds = [("hits", 3), ("visits", 1)];
    /// let busy = Condition::all(bounds.map(|(name, least)| field(name).ge(least)));
    /// assert_eq!(busy.to_string(), "hits >= 3 && visits >= 1");
    /// assert_eq!(Condition::all([]).to_string(), "true");
    /// ```
    #[must_use]
    pub fn all(conditions: impl IntoIterator<Item = Condition>) -> Self {
        let nothing = Condition { parts: VecDeque::from([Part::All(0)]) };
        conditions.into_iter().fold(nothing, |all, condition| all & condition)
    }

    /// Whether one of some conditions is true. Of none, that is false.
    ///
    /// ```
    /// use locule::{Condition, field};
    ///
    /// let new = Condition::any([field("hits").eq(0), field("user").is_none()]);
    /// assert_eq!(new.to_string(), "hits == 0 || user == null");
    /// assert_eq!(Condition::any([]).to_string(), "false");
    /// ```
    #[must_use]
    pub fn any(conditions: impl IntoIterator<Item = Condition>) -> Self {
        let nothing = Condition { parts: VecDeque::from([Part::Any(0)]) };
        conditions.into_iter().fold(nothing, |any, condition| any | condition)
    }

    pub(super) fn of_test(Test { field, question }: Test) -> Self {
        let question = match question {
            Question::Is(comparison, value) => Question::Is(comparison, as_read(value)),
            Question::IsIn(values) => Question::IsIn(values.into_iter().map(as_read).collect()),
            other => other,
        };
        Condition { parts: VecDeque::from([Part::Test(Test { field, question })]) }
    }

    /// From the last part, which is the whole, to the first.
    pub(super) fn parts_backwards(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().rev()
    }

    /// How many conditions this is a combination of, if it is one by `All` or `Any`. Takes the part that says so away.
    fn take_count(&mut self, is_all: bool) -> usize {
        match self.parts.back() {
            Some(Part::All(count)) if is_all => {
                let count = *count;
                self.parts.pop_back();
                count
            }
            Some(Part::Any(count)) if !is_all => {
                let count = *count;
                self.parts.pop_back();
                count
            }
            _ => 1,
        }
    }

    /// The parts of one condition before those of another. The shorter list is moved, so that combining many conditions one
    /// by one takes little time in either order.
    fn join(mut first: Self, mut second: Self, is_all: bool) -> Self {
        let count = first.take_count(is_all) + second.take_count(is_all);
        let mut parts = if first.parts.len() < second.parts.len() {
            first.parts.into_iter().rev().for_each(|part| second.parts.push_front(part));
            second.parts
        } else {
            first.parts.append(&mut second.parts);
            first.parts
        };
        match (count, parts.len()) {
            // One of the two was a combination of none, and leaves nothing to combine.
            (1, 1..) => {}
            _ => parts.push_back(if is_all { Part::All(count) } else { Part::Any(count) }),
        }
        Condition { parts }
    }
}

/// Both are true.
impl BitAnd for Condition {
    type Output = Condition;

    fn bitand(self, other: Condition) -> Condition {
        Condition::join(self, other, true)
    }
}

/// At least one is true.
impl BitOr for Condition {
    type Output = Condition;

    fn bitor(self, other: Condition) -> Condition {
        Condition::join(self, other, false)
    }
}

/// The opposite. Where the condition is neither true nor false, since a field holds nothing, so is this.
impl Not for Condition {
    type Output = Condition;

    fn not(mut self) -> Condition {
        match self.parts.back() {
            Some(Part::Not) => drop(self.parts.pop_back()),
            _ => self.parts.push_back(Part::Not),
        }
        self
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({self})")
    }
}

/// As a filter is written, in the syntax of CEL: `hits > 3 && user.startsWith("bo")`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = Pieces::default();
        self.parts_backwards().for_each(|part| pieces.put(part));
        if f.width().is_none() && f.precision().is_none() {
            return pieces.write_to(f);
        }
        struct All<'a>(&'a Pieces<'a>);
        impl fmt::Display for All<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_to(f)
            }
        }
        f.pad(&All(&pieces).to_string())
    }
}

/// What a condition is written with, from the end to the beginning.
#[derive(Default)]
struct Pieces<'a> {
    pieces: Vec<Piece<'a>>,
    /// The combinations that what comes next is inside of.
    around: Vec<Around>,
}

enum Piece<'a> {
    Test(&'a Test),
    Text(&'static str),
}

/// What a part is inside of: what is written between its parts, before its first one, and how many are still to come.
struct Around {
    separator: &'static str,
    opening: &'static str,
    left_count: usize,
}

impl<'a> Pieces<'a> {
    fn put(&mut self, part: &'a Part) {
        // What binds loosely is put into parentheses inside of what binds closely.
        let separator_around = self.around.last().map_or("", |around| around.separator);
        let (separator, count, is_loose) = match part {
            Part::Test(test) => {
                let is_loose = separator_around == "!" && !test.is_call();
                self.open(is_loose);
                self.pieces.push(Piece::Test(test));
                return self.end_part(is_loose);
            }
            Part::All(0) | Part::Any(0) => {
                self.pieces.push(Piece::Text(if matches!(part, Part::All(_)) { "true" } else { "false" }));
                return self.end_part(false);
            }
            Part::Not => ("!", 1, false),
            Part::All(count) => (" && ", *count, separator_around == "!"),
            Part::Any(count) => (" || ", *count, matches!(separator_around, "!" | " && ")),
        };
        self.open(is_loose);
        let opening = if is_loose { "(" } else { "" };
        self.around.push(Around { separator, opening, left_count: count });
    }

    fn open(&mut self, is_loose: bool) {
        if is_loose {
            self.pieces.push(Piece::Text(")"));
        }
    }

    /// A part was written, and so perhaps those around it.
    fn end_part(&mut self, is_loose: bool) {
        if is_loose {
            self.pieces.push(Piece::Text("("));
        }
        while let Some(around) = self.around.last_mut() {
            around.left_count -= 1;
            if around.left_count > 0 {
                self.pieces.push(Piece::Text(around.separator));
                return;
            }
            if around.separator == "!" {
                self.pieces.push(Piece::Text("!"));
            }
            self.pieces.push(Piece::Text(around.opening));
            self.around.pop();
        }
    }

    fn write_to(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().rev().try_for_each(|piece| match piece {
            Piece::Test(test) => test.write_to(f),
            Piece::Text(text) => f.write_str(text),
        })
    }
}

impl Test {
    /// Whether it is written as a call, which nothing binds more closely than.
    fn is_call(&self) -> bool {
        match self.question {
            Question::Has(..) => true,
            #[cfg(feature = "filter")]
            Question::Matches(_) => true,
            _ => false,
        }
    }

    fn write_to(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(&self.field, f)?;
        match &self.question {
            Question::Is(comparison, value) => {
                write!(f, " {} ", comparison.symbol())?;
                write_literal(value, f)
            }
            Question::IsIn(values) => {
                f.write_str(" in [")?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    write_literal(value, f)?;
                }
                f.write_str("]")
            }
            Question::Has(fragment, value) => {
                write!(f, ".{}(", fragment.function())?;
                write_literal(value, f)?;
                f.write_str(")")
            }
            #[cfg(feature = "filter")]
            Question::Matches(pattern) => {
                f.write_str(".matches(")?;
                write_text(pattern.text(), f)?;
                f.write_str(")")
            }
            Question::IsNone => f.write_str(" == null"),
            Question::IsSome => f.write_str(" != null"),
        }
    }
}

impl Comparison {
    /// Whether it is true of values that have this order.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

impl Fragment {
    pub fn function(self) -> &'static str {
        match self {
            Fragment::Start => "startsWith",
            Fragment::Anywhere => "contains",
            Fragment::End => "endsWith",
        }
    }
}
