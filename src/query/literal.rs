//! How values are written in the text of a condition.

use crate::value::untyped::Value;
use std::fmt::{self, Write as _};

/// A value as a filter has it.
pub struct Literal<'a>(pub &'a Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_literal(self.0, f)
    }
}

/// Writes a value as a filter has it: text in quotation marks, bytes as `b"\xca\xfe"`, times as
/// `timestamp("2024-02-29T23:59:59Z")` and `date("2024-02-29")`.
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
        other => write!(f, "{other}"),
    }
}

fn write_infinite(number: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = match number {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    write!(f, "double(\"{name}\")")
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
