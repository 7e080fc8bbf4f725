//! The text of a condition, cut into names, values and symbols.

use super::advice;
use super::mistake::{Mistake, Parsed};
use super::number::number;
use super::quoted::quoted;
use crate::error::shortened;
use crate::value::untyped::Value;
use std::ops::Range;

/// At most this many patterns are in a text.
const PATTERN_COUNT_MAX: usize = 100;

/// The longest first.
const SYMBOLS: [&str; 15] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", "."];

#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// A name, or a word that stands for something else.
    Word(&'a str),
    /// A name in backticks.
    Name(&'a str),
    /// A number, a text, or bytes.
    Value(Value),
    Symbol(&'static str),
    End,
}

/// Goes through a text, one token ahead.
pub struct Tokens<'a> {
    text: &'a str,
    /// How many bytes were taken, those of the token that is next included.
    taken_bytes: usize,
    next: Parsed<Token<'a>>,
    next_range: Range<usize>,
    /// Where the last token that was taken ends.
    end: usize,
    /// How many patterns there were.
    pattern_count: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut tokens =
            Tokens { text, taken_bytes: 0, next: Ok(Token::End), next_range: 0..0, end: 0, pattern_count: 0 };
        tokens.read();
        tokens
    }

    /// The token that comes next.
    pub fn peek(&mut self) -> Parsed<&Token<'a>> {
        match &mut self.next {
            Ok(token) => Ok(token),
            // The first mistake ends it all.
            Err(mistake) => Err(Mistake::new(mistake.range.clone(), std::mem::take(&mut mistake.message))),
        }
    }

    /// Where it is.
    pub fn range(&self) -> Range<usize> {
        self.next_range.clone()
    }

    /// Where the token before it ends.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Counts a pattern, which is here: each may take a large part of what a filter may take.
    pub fn count_pattern(&mut self, range: &Range<usize>) -> Parsed<()> {
        self.pattern_count += 1;
        if self.pattern_count <= PATTERN_COUNT_MAX {
            return Ok(());
        }
        let message = format!("expected at most {PATTERN_COUNT_MAX} patterns: two can be one, as in \"^bo|b$\"");
        Err(Mistake::new(range.clone(), message))
    }

    /// A part of the text.
    pub fn text(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// Takes the token that comes next.
    pub fn take(&mut self) -> Parsed<Token<'a>> {
        let token = std::mem::replace(&mut self.next, Ok(Token::End))?;
        self.end = self.next_range.end;
        self.read();
        Ok(token)
    }

    /// Whether this symbol comes next. If so, it is taken.
    pub fn takes(&mut self, symbol: &'static str) -> Parsed<bool> {
        let is_next = *self.peek()? == Token::Symbol(symbol);
        if is_next {
            self.take()?;
        }
        Ok(is_next)
    }

    /// What comes next, as an error shows it.
    pub fn found(&self) -> String {
        match &self.next {
            Ok(Token::End) => "the end".to_owned(),
            _ => format!("`{}`", shortened(self.text(self.range()))),
        }
    }

    /// That something else is expected than what comes next.
    pub fn expected(&self, expected: &str) -> Mistake {
        Mistake::new(self.range(), format!("expected {expected}, found {}", self.found()))
    }

    fn read(&mut self) {
        self.skip_blanks();
        let start = self.taken_bytes;
        let rest = self.text.get(start..).unwrap_or_default();
        self.next = token(rest, start).map(|(token, length_bytes)| {
            self.taken_bytes += length_bytes;
            token
        });
        self.next_range = match &self.next {
            Ok(_) => start..self.taken_bytes,
            Err(mistake) => mistake.range.clone(),
        };
    }

    /// Passes over blanks, ends of lines, and comments.
    fn skip_blanks(&mut self) {
        let mut rest = self.text.get(self.taken_bytes..).unwrap_or_default();
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            if !rest.starts_with("//") {
                break;
            }
            let end = rest.find('\n').unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default();
        }
        self.taken_bytes = self.text.len() - rest.len();
    }
}

/// The token that a text begins with, and how many bytes it takes. `start` is where the text begins.
fn token(text: &str, start: usize) -> Parsed<(Token<'_>, usize)> {
    let Some(first) = text.chars().next() else { return Ok((Token::End, 0)) };
    if let Some((value, length_bytes)) = quoted(text, start)? {
        return Ok((Token::Value(value), length_bytes));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let is_part = |next: char| next.is_ascii_alphanumeric() || next == '_';
        let word = text.split(|next| !is_part(next)).next().unwrap_or_default();
        return Ok((Token::Word(word), word.len()));
    }
    if begins_number(text) {
        return number(text, start).map(|(value, length_bytes)| (Token::Value(value), length_bytes));
    }
    if let Some(rest) = text.strip_prefix('`') {
        let Some((name, _)) = rest.split_once('`') else {
            return Err(Mistake::new(
                start..start + 1,
                "expected another ` behind the name of the field, found the end",
            ));
        };
        return Ok((Token::Name(name), name.len() + 2));
    }
    if let Some((length_bytes, message)) = advice::for_symbol(text) {
        return Err(Mistake::new(start..start + length_bytes, message));
    }
    match SYMBOLS.into_iter().find(|symbol| text.starts_with(symbol)) {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => {
            let message = format!("`{}` has no meaning outside of quotes", first.escape_debug());
            Err(Mistake::new(start..start + first.len_utf8(), message))
        }
    }
}

fn begins_number(text: &str) -> bool {
    let text = text.strip_prefix('-').map_or(text, |rest| rest.trim_start_matches([' ', '\t']));
    text.strip_prefix('.').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit())
}
