//! Conditions read from text, in a subset of CEL's syntax: `docs/filter-language.md` has all of it.
//!
//! | file | what is there |
//! |---|---|
//! | `parser` | conditions combined by `&&`, `\|\|`, `!` and parentheses |
//! | `comparison` | a field and what it is compared with, checked against the schema |
//! | `operand` | fields and values, as the two sides of a comparison |
//! | `token` | the text, cut into names, values and symbols |
//! | `number`, `quoted` | numbers, texts and bytes |
//! | `advice` | what was probably meant |
//! | `mistake` | what is wrong, and where |
//!
//! There is no recursion, and each step takes something from the front of the text, so time and memory grow with the length
//! of the text and with nothing else.

mod advice;
mod comparison;
pub mod mistake;
mod number;
mod operand;
mod parser;
mod quoted;
#[cfg(all(test, not(loom)))]
mod tests;
mod token;

use crate::query::condition::Condition;
use crate::schema::Schema;
use mistake::{FilterError, Mistake};
use parser::Parser;

/// The text of a condition has at most this many bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl Condition {
    /// Reads a condition that is written in a subset of CEL, the Common Expression Language, and checks it against a
    /// schema: that it has the fields, and that they can be compared with these values. `Display` writes what this reads,
    /// of a condition that can be asked of the schema's records. The text has at most 1 MiB, and at most 100 parentheses inside
    /// of each other; a condition that was built deeper cannot be read again.
    ///
    /// ```
    /// use locule::{Condition, Schema, field};
    ///
    /// let schema: Schema = "key id: u64, user: text(32), hits: u32, note: text(40)?".parse()?;
    /// let condition = Condition::parse("hits > 3 && user.startsWith('bo') && !(note == null)", &schema)?;
    /// assert_eq!(condition, field("hits").gt(3) & field("user").starts_with("bo") & !field("note").is_none());
    ///
    /// let error = Condition::parse("hits > 3 and user == 'bob'", &schema).unwrap_err();
    /// assert_eq!(error.message(), "expected `&&`, found `and`");
    /// assert_eq!(error.range(), 9..12);
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`FilterError`], which says what is wrong, where, and what was probably meant. `?` makes it an
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) of the same text.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, FilterError> {
        let condition = match text.len() {
            ..=TEXT_BYTES_MAX => Parser::new(text, schema).condition(),
            length_bytes => Err(Mistake::new(
                0..0,
                format!("expected a condition of at most {TEXT_BYTES_MAX} bytes, found {length_bytes}"),
            )),
        };
        condition.map_err(|mistake| FilterError::new(mistake, text))
    }
}
