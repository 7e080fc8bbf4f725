//! What is wrong with the text of a condition, and where.

use crate::error::Error;
use std::fmt;
use std::ops::Range;

/// How many characters of the line are shown on each side of the place.
const SHOWN_COUNT: usize = 60;

/// A message has no more characters, whatever it shows of the text.
const MESSAGE_COUNT_MAX: usize = 300;

/// Something that is wrong at some place of a text.
#[derive(Debug)]
pub struct Mistake {
    pub range: Range<usize>,
    pub message: String,
}

pub type Parsed<T> = Result<T, Mistake>;

impl Mistake {
    #[cold]
    pub fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Mistake { range, message: message.into() }
    }
}

/// What is wrong with the text of a condition: see [`Condition::parse`](crate::Condition::parse). It shows itself in
/// three lines: what is wrong, with what was probably meant; the line of the text; and below it where in it.
///
/// ```
/// use locule::{Condition, Schema};
///
/// let schema: Schema = "key id: u64, hits: u32".parse()?;
/// let error = Condition::parse("id != 7 && hit > 3", &schema).unwrap_err();
/// assert_eq!(error.to_string(), "\
/// there is no field `hit`: did you mean `hits`?
///     id != 7 && hit > 3
///                ^^^");
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    message: String,
    range: Range<usize>,
    /// What is shown of the line, and how many characters of it are before the place and in it.
    excerpt: String,
    before_count: usize,
    marked_count: usize,
}

impl FilterError {
    #[cold]
    pub(super) fn new(mistake: Mistake, text: &str) -> Self {
        let Mistake { range, message } = mistake;
        let message = cut(&message, MESSAGE_COUNT_MAX);
        let before = text.get(..range.start).unwrap_or(text);
        let behind = text.get(range.start..).unwrap_or_default();
        let before = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        let behind = behind.split(['\n', '\r']).next().unwrap_or_default();

        let skipped_count = before.chars().count().saturating_sub(SHOWN_COUNT);
        let start = if skipped_count > 0 { "…" } else { "" };
        let end = if behind.chars().nth(SHOWN_COUNT).is_some() { "…" } else { "" };
        let shown = before.chars().skip(skipped_count).chain(behind.chars().take(SHOWN_COUNT));
        // Each takes one place, so that the mark below is where it should be.
        let shown = shown.map(|next| match next {
            '\t' => ' ',
            control if control.is_control() => char::REPLACEMENT_CHARACTER,
            other => other,
        });
        let marked = behind.get(..range.len()).unwrap_or(behind).chars().take(SHOWN_COUNT);
        FilterError {
            message,
            excerpt: [start, &shown.collect::<String>(), end].concat(),
            before_count: start.chars().count() + before.chars().count() - skipped_count,
            marked_count: marked.count().max(1),
            range,
        }
    }

    /// What is wrong, and what was probably meant, in one line.
    ///
    /// ```
    /// # let schema: locule::Schema = "key id: u64, hits: u32".parse()?;
    /// let error = locule::Condition::parse("hits = 3", &schema).unwrap_err();
    /// assert_eq!(error.message(), "expected `==`, found `=`");
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Which bytes of the text are wrong. It is empty where something is missing.
    ///
    /// ```
    /// # let schema: locule::Schema = "key id: u64, hits: u32".parse()?;
    /// let error = locule::Condition::parse("hits = 3", &schema).unwrap_err();
    /// assert_eq!(error.range(), 5..6);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = "^".repeat(self.marked_count);
        write!(f, "{}\n    {}\n    {:before$}{mark}", self.message, self.excerpt, "", before = self.before_count)
    }
}

impl std::error::Error for FilterError {}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Error::InvalidArgument { reason: error.to_string() }
    }
}

/// What an error shows of a part of the text.
pub fn shortened(text: &str) -> String {
    const PART_COUNT_MAX: usize = 40;
    let is_shown_as_it_is = |next: char| matches!(next, '"' | '\'' | '\\');
    let shown = cut(text, PART_COUNT_MAX);
    shown
        .chars()
        .map(|next| if is_shown_as_it_is(next) { next.into() } else { next.escape_debug().to_string() })
        .collect()
}

/// A text of which at most so many characters are left.
fn cut(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
