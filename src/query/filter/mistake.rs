//! What is wrong with the text of a condition, and where.

use crate::error::Error;
use crate::query::literal::is_misleading;
use std::fmt;
use std::ops::Range;
use unicode_width::UnicodeWidthStr;

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
    /// What is shown of the line, and how many columns of a terminal are before the place and in it.
    excerpt: String,
    before_columns: usize,
    marked_columns: usize,
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
        // The mark below is where it should be only if what moves others is not there.
        let shown = |next: char| match next {
            '\t' => ' ',
            other if is_misleading(other) => char::REPLACEMENT_CHARACTER,
            other => other,
        };
        let marked = behind.get(..range.len()).unwrap_or(behind);
        let before: String = start.chars().chain(before.chars().skip(skipped_count).map(shown)).collect();
        let marked: String = marked.chars().take(SHOWN_COUNT).map(shown).collect();
        let behind: String = behind.chars().take(SHOWN_COUNT).map(shown).collect();
        FilterError {
            message,
            before_columns: before.width(),
            marked_columns: marked.width().max(1),
            excerpt: [&before, &behind, end].concat(),
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
        let mark = "^".repeat(self.marked_columns);
        write!(f, "{}\n    {}\n    {:before$}{mark}", self.message, self.excerpt, "", before = self.before_columns)
    }
}

impl std::error::Error for FilterError {}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Error::InvalidArgument { reason: error.to_string() }
    }
}

/// A text of which at most so many characters are left.
fn cut(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
