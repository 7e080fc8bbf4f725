//! Reads the text form of a schema.
//!
//! There is no recursion, and every step takes something from the front of the text, so time and memory grow with the
//! length of the text and with nothing else.

use super::Schema;
use super::field_schema::{FieldSchema, invalid};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use crate::{Error, Result};

/// No schema that a file has room for is longer: its header has at most 2^26 bytes, and no byte there takes more than 6
/// in the text.
const TEXT_BYTES_MAX: usize = 6 << 26;

/// Errors show at most so many characters of what was found.
const FOUND_CHARACTERS_MAX: usize = 40;

const NAME: &str = "the name of a field: ASCII letters, digits and `_`, no digit first";
const TYPE: &str = "a type such as u64, text(32) or timestamp";

/// Reads a text from its front.
pub struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Result<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(invalid(format!(
                "the text of a schema has {} bytes: expected at most {TEXT_BYTES_MAX}",
                text.len()
            )));
        }
        Ok(Reader { text, rest: text })
    }

    pub fn schema(&mut self) -> Result<Schema> {
        let mut fields: Vec<FieldSchema> = Vec::new();
        let mut record_bytes = 0_usize;
        loop {
            self.skip_blanks();
            if self.rest.is_empty() && !fields.is_empty() {
                break;
            }
            let start = self.rest;
            let field = self.field()?;
            record_bytes = record_bytes.saturating_add(field.field_bytes());
            if record_bytes > Schema::RECORD_BYTES_MAX {
                let reason = format!("expected records of at most {} bytes", Schema::RECORD_BYTES_MAX);
                return Err(self.at(start, &format!("{reason}, found {record_bytes} with field `{}`", field.name())));
            }
            fields.push(field);
            if !self.takes(",") {
                self.expect_end("`,` and another field, or the end")?;
            }
        }
        Schema::new(fields)
    }

    pub fn field(&mut self) -> Result<FieldSchema> {
        let doc = self.documentation();
        self.skip_blanks();
        let start = self.rest;
        let mut name = self.name()?;
        // A field can be named `key`, too.
        let is_key = name == "key" && !self.is_before(":");
        if is_key {
            name = self.name()?;
        }
        self.expect(":", "`:` and the type of the field")?;
        let mut field = FieldSchema::new(name, self.field_type()?).with_doc(doc);
        if is_key {
            field = field.key();
        }
        if self.takes("?") {
            field = field.nullable();
        }
        field.check().map_err(|error| self.at(start, &error.to_string()))?;
        if self.takes("=") {
            self.skip_blanks();
            let place = self.rest;
            let value = self.literal(&field)?;
            field = field.with_default_value(value).map_err(|error| self.at(place, &error.to_string()))?;
        }
        Ok(field)
    }

    pub fn field_type(&mut self) -> Result<FieldType> {
        self.skip_blanks();
        let start = self.rest;
        let name = self.word();
        let Some(field_type) = FieldType::from_name(name) else {
            let advice = match name.to_ascii_lowercase().as_str() {
                "option" => ": a type that can be null is written with `?` behind it",
                lower if FieldType::from_name(lower).is_some() => ": types are written in lower case",
                _ => "",
            };
            return Err(self.at(start, &format!("expected {TYPE}, found {}{advice}", found(start))));
        };
        match field_type {
            FieldType::Text(_) => self.capacity_bytes(name).map(FieldType::Text),
            FieldType::Bytes(_) => self.capacity_bytes(name).map(FieldType::Bytes),
            other => Ok(other),
        }
    }

    /// The number of bytes, in parentheses, that a field of this type has room for.
    fn capacity_bytes(&mut self, type_name: &str) -> Result<u16> {
        self.expect("(", &format!("`(` and the capacity in bytes, such as {type_name}(32)"))?;
        self.skip_blanks();
        let start = self.rest;
        let digits = self.word();
        let capacity_bytes = digits.parse().ok().filter(|capacity_bytes| *capacity_bytes > 0);
        let capacity_bytes = capacity_bytes.ok_or_else(|| self.expected_at(start, "a capacity of 1 to 65534 bytes"))?;
        self.expect(")", "`)` after the capacity")?;
        Ok(capacity_bytes)
    }

    /// All lines `/// …` that come next, without what marks them, and without the space after that.
    fn documentation(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            self.skip_blanks();
            let Some(rest) = self.rest.strip_prefix("///") else { return lines.join("\n") };
            let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            let line = line.strip_suffix('\r').unwrap_or(line);
            lines.push(line.strip_prefix(' ').unwrap_or(line));
            self.rest = rest;
        }
    }

    fn name(&mut self) -> Result<&'a str> {
        self.skip_blanks();
        let start = self.rest;
        let name = self.word();
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.expected_at(start, NAME));
        }
        Ok(name)
    }

    /// A value that a field is to have as its default.
    fn literal(&mut self, field: &FieldSchema) -> Result<Value> {
        let start = self.rest;
        let form = match field.field_type() {
            FieldType::Text(_) => "a text in quotes, such as \"none yet\"",
            FieldType::Bytes(_) => "bytes in hexadecimal digits, such as x\"cafe\"",
            _ => "a value without quotes",
        };
        if self.rest.starts_with('"') {
            let text = self.quoted()?;
            return match field.field_type() {
                FieldType::Text(_) => Ok(Value::Text(text)),
                _ => Err(self.expected_at(start, form)),
            };
        }
        // The quotes belong to nothing else.
        let word = self.take_while(|next| next.is_ascii_alphanumeric() || "+-.:()\"_".contains(next));
        match field.field_type() {
            _ if word == "null" => Ok(Value::Null),
            FieldType::Text(_) => Err(self.expected_at(start, form)),
            FieldType::Bytes(_) => {
                let digits = word.strip_prefix("x\"").and_then(|digits| digits.strip_suffix('"'));
                let digits = digits.ok_or_else(|| self.expected_at(start, form))?;
                field.parse_value(digits).map_err(|error| self.at(start, &error.to_string()))
            }
            _ if word.is_empty() => Err(self.expected_at(start, form)),
            _ => field.parse_value(word).map_err(|error| self.at(start, &error.to_string())),
        }
    }

    /// A text in quotes, with the escapes that Rust has.
    fn quoted(&mut self) -> Result<String> {
        let start = self.rest;
        let mut text = String::new();
        let mut rest = self.rest.strip_prefix('"').unwrap_or(self.rest).chars();
        loop {
            let place = rest.as_str();
            match rest.next() {
                None => return Err(self.at(start, "expected `\"` at the end of the text, found the end of the schema")),
                Some('"') => break,
                Some('\\') => {
                    let (character, behind) = unescaped(place).ok_or_else(|| self.at(place, &unknown_escape(place)))?;
                    text.push(character);
                    rest = behind.chars();
                }
                Some(other) => text.push(other),
            }
        }
        self.rest = rest.as_str();
        Ok(text)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take_while(&mut self, mut is_part: impl FnMut(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !is_part(next)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|next| next.is_ascii_alphanumeric() || next == '_')
    }

    fn is_before(&mut self, token: &str) -> bool {
        self.skip_blanks();
        self.rest.starts_with(token)
    }

    fn takes(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str, expected: &str) -> Result<()> {
        if self.takes(token) { Ok(()) } else { Err(self.expected_at(self.rest, expected)) }
    }

    pub fn expect_end(&mut self, expected: &str) -> Result<()> {
        self.skip_blanks();
        if self.rest.is_empty() { Ok(()) } else { Err(self.expected_at(self.rest, expected)) }
    }

    fn expected_at(&self, place: &str, expected: &str) -> Error {
        self.at(place, &format!("expected {expected}, found {}", found(place)))
    }

    /// The error at the place from which the text goes on like this.
    fn at(&self, place: &str, reason: &str) -> Error {
        let before = self.text.get(..self.text.len().saturating_sub(place.len())).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        let line = if self.text.contains('\n') { format!("line {line}, ") } else { String::new() };
        invalid(format!("{line}column {column}: {reason}"))
    }
}

/// What a text begins with, as an error shows it: a word, or one character that begins none.
fn found(place: &str) -> String {
    let word: String =
        place.chars().take_while(|next| next.is_alphanumeric() || *next == '_').take(FOUND_CHARACTERS_MAX).collect();
    match place.chars().next() {
        None => "the end".to_owned(),
        Some(first) if word.is_empty() => format!("`{}`", first.escape_debug()),
        Some(_) => format!("`{word}`"),
    }
}

/// The character that an escape stands for, and what follows it.
fn unescaped(place: &str) -> Option<(char, &str)> {
    let escape = place.strip_prefix('\\')?;
    let mut rest = escape.chars();
    let character = match rest.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        same @ ('\\' | '"' | '\'') => same,
        'u' => {
            let (digits, behind) = rest.as_str().strip_prefix('{')?.split_once('}')?;
            let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = is_number.then(|| u32::from_str_radix(digits, 16).ok())??;
            return Some((char::from_u32(code)?, behind));
        }
        _ => return None,
    };
    Some((character, rest.as_str()))
}

fn unknown_escape(place: &str) -> String {
    let shown: String = place.chars().take(2).collect();
    format!(
        "expected one of the escapes \\n, \\r, \\t, \\0, \\\\, \\\" and \\u{{1f980}} of a character, found `{}`",
        shown.escape_debug()
    )
}
