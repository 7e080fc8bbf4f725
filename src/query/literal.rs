//! How names and values are written in the text of a condition.

use crate::value::untyped::Value;
use std::fmt::{self, Write as _};

/// What no field can be named by unless it is put in backticks, since it stands for something else.
pub const RESERVED_NAMES: [&str; 4] = ["true", "false", "null", "in"];

/// Whether a character is not seen but changes how others are: one of control, one of another direction of writing, or one
/// that ends a line.
pub fn is_misleading(character: char) -> bool {
    let is_direction =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_direction || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A value as a filter has it.
pub struct Literal<'a>(pub &'a Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_literal(self.0, f)
    }
}

/// Writes a value as a filter has it: text in quotation marks, bytes as `b"\xca\xfe"`, times as
/// `timestamp("2024-02-29T23:59:59Z")` and `date("2024-02-29")`, an `f32` as `float(0.1)` if no `f64` of the same digits
/// has its value.
pub fn write_literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Text(text) => write_text(text, f),
        Value::Bytes(bytes) => {
            f.write_str("b\"")?;
            bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
            f.write_str("\"")
        }
        Value::Timestamp(time) => write!(f, "timestamp(\"{time}\")"),
        Value::Date(date) => write!(f, "date(\"{date}\")"),
        Value::Float32(number) if !number.is_finite() => write_infinite(f64::from(*number), f),
        Value::Float64(number) if !number.is_finite() => write_infinite(*number, f),
        Value::Float32(number) if has_digits_of_its_own(*number) => write!(f, "float({value})"),
        other => write!(f, "{other}"),
    }
}

/// Of the values that are the same number, the one as which its text is read. So conditions that show themselves as the same
/// text are equal.
pub fn as_read(value: Value) -> Value {
    match value {
        Value::Unsigned(number) => i128::try_from(number).map_or(value, Value::Signed),
        Value::Float32(number) if has_digits_of_its_own(number) => value,
        Value::Float32(number) => Value::Float64(number.into()),
        other => other,
    }
}

/// Whether the digits of a float would be read as the nearest `f64`, which is another number.
fn has_digits_of_its_own(number: f32) -> bool {
    number.is_finite() && Value::Float32(number).to_string().parse() != Ok(f64::from(number))
}

fn write_infinite(number: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    write!(f, "double(\"{name}\")")
}

/// Writes the name of a field, in backticks where it would not be taken for one.
pub fn write_name(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_word && !name.starts_with(|first: char| first.is_ascii_digit()) && !RESERVED_NAMES.contains(&name) {
        return f.write_str(name);
    }
    write!(f, "`{name}`")
}

pub fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            other if is_misleading(other) => write!(f, "\\u{:04x}", u32::from(other))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
