//! Texts and bytes in quotes: CEL's, with one quote or three, of either kind, raw or with escapes.

use super::mistake::{Mistake, Parsed};
use crate::value::untyped::Value;

/// What is before the quotes: whether these are bytes, and whether a backslash is one and begins no escape.
const PREFIXES: [(&str, bool, bool); 9] = [
    ("", false, false),
    ("r", false, true),
    ("R", false, true),
    ("b", true, false),
    ("B", true, false),
    ("br", true, true),
    ("bR", true, true),
    ("Br", true, true),
    ("BR", true, true),
];

/// Reads the text, or the bytes, that a text begins with, if it begins with such. Returns how many bytes of it that takes,
/// too. `start` is where the text begins.
pub fn quoted(text: &str, start: usize) -> Parsed<Option<(Value, usize)>> {
    let opened = PREFIXES.iter().find_map(|(prefix, are_bytes, is_raw)| {
        let rest = text.strip_prefix(prefix)?;
        let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| rest.starts_with(quotes))?;
        Some((prefix, quotes, rest.get(quotes.len()..)?, *are_bytes, *is_raw))
    });
    let Some((prefix, quotes, body, are_bytes, is_raw)) = opened else { return Ok(None) };
    let place = |rest: &str| start + text.len() - rest.len();

    let mut content = Vec::new();
    let mut rest = body;
    let behind = loop {
        if let Some(behind) = rest.strip_prefix(quotes) {
            break behind;
        }
        let mut next = rest.chars();
        match next.next() {
            Some('\\') if !is_raw => {
                let length_bytes = escape(next.as_str(), are_bytes, &mut content).map_err(|message| {
                    let shown_bytes = next.as_str().chars().next().map_or(0, char::len_utf8);
                    Mistake::new(place(rest)..place(rest) + 1 + shown_bytes, message)
                })?;
                rest = next.as_str().get(length_bytes..).unwrap_or_default();
            }
            Some(other) if quotes.len() == 3 || !matches!(other, '\n' | '\r') => {
                content.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                rest = next.as_str();
            }
            end => {
                let found = if end.is_some() { "the end of the line" } else { "the end" };
                let opening = start..start + prefix.len() + quotes.len();
                return Err(Mistake::new(opening, format!("expected another {quotes} behind this one, found {found}")));
            }
        }
    };
    let value = match String::from_utf8(content) {
        Ok(text) if !are_bytes => Value::Text(text),
        Ok(text) => Value::Bytes(text.into_bytes()),
        Err(error) => Value::Bytes(error.into_bytes()),
    };
    Ok(Some((value, text.len() - behind.len())))
}

/// Adds what an escape stands for, of which this is the text behind the backslash. Returns how many bytes of that text
/// belong to it.
fn escape(text: &str, are_bytes: bool, content: &mut Vec<u8>) -> Result<usize, String> {
    let kind = text.chars().next();
    let simple = match kind {
        Some('a') => Some(7),
        Some('b') => Some(8),
        Some('t') => Some(b'\t'),
        Some('n') => Some(b'\n'),
        Some('v') => Some(11),
        Some('f') => Some(12),
        Some('r') => Some(b'\r'),
        Some(same @ ('\\' | '"' | '\'' | '`' | '?')) => u8::try_from(same).ok(),
        _ => None,
    };
    if let Some(byte) = simple {
        content.push(byte);
        return Ok(1);
    }
    let (start, digit_count, radix) = match kind {
        Some('x' | 'X') => (1, 2, 16),
        Some('0'..='3') => (0, 3, 8),
        Some('u' | 'U') if are_bytes => {
            return Err("bytes have no such escape: a byte is written as \\xff, and a character as it is".to_owned());
        }
        Some('u') => (1, 4, 16),
        Some('U') => (1, 8, 16),
        _ => return Err(no_escape()),
    };
    let end = start + digit_count;
    let digits = text.get(start..end).filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)));
    let code = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok()).ok_or_else(no_escape)?;
    match (u8::try_from(code), char::from_u32(code)) {
        (Ok(byte), _) if are_bytes => content.push(byte),
        (_, Some(character)) => content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        _ => return Err(format!("there is no character with the number {code:#x}")),
    }
    Ok(end)
}

#[cold]
fn no_escape() -> String {
    "expected one of the escapes \\n, \\r, \\t, \\a, \\b, \\f, \\v, \\\\, \\\", \\', \\`, \\?, \\x41, \\101, \\u0041 and \
     \\U0001f980: in front of any other character, a backslash is written \\\\"
        .to_owned()
}
