//! Numbers in the text of a condition.

use super::mistake::{Mistake, Parsed};
use crate::value::untyped::Value;

const INTEGERS: &str = "an integer from -2^127 to 2^128 - 1";

/// Reads the number that a text begins with, whose first character, after the `-` if there is one, is a digit or a point
/// before a digit. Returns how many bytes it takes, too. `start` is where the text begins.
pub fn number(text: &str, start: usize) -> Parsed<(Value, usize)> {
    let unsigned = text.strip_prefix('-').map_or(text, |rest| rest.trim_start_matches([' ', '\t']));
    let is_negative = text.starts_with('-');
    let digits = unsigned.get(..length_bytes(unsigned)).unwrap_or_default();
    let taken_bytes = text.len() - unsigned.len() + digits.len();
    let value = match digits.strip_suffix(['u', 'U']) {
        Some(_) if is_negative => Err("expected a number without `-` before the `u`".to_owned()),
        Some(magnitude) => integer(magnitude, false).map(|value| match value {
            Value::Signed(value) => Value::Unsigned(value.unsigned_abs()),
            other => other,
        }),
        None if is_float(digits) => float(digits, is_negative),
        None => integer(digits, is_negative),
    };
    match value {
        Ok(value) => Ok((value, taken_bytes)),
        Err(message) => Err(Mistake::new(start..start + taken_bytes, message)),
    }
}

/// All that somebody may have meant to be part of the number.
fn length_bytes(text: &str) -> usize {
    let is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let mut previous = ' ';
    let is_part = |next: char| {
        let is_sign_of_exponent = matches!((previous, next), ('e' | 'E', '-' | '+')) && !is_hexadecimal;
        previous = next;
        next.is_alphanumeric() || next == '_' || next == '.' || is_sign_of_exponent
    };
    let mut is_part = is_part;
    text.find(|next| !is_part(next)).unwrap_or(text.len())
}

fn is_float(digits: &str) -> bool {
    let is_hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    !is_hexadecimal && digits.contains(['.', 'e', 'E'])
}

fn integer(digits: &str, is_negative: bool) -> Result<Value, String> {
    let (radix, plain) = match digits.strip_prefix("0x") {
        Some(hexadecimal) => (16, hexadecimal),
        None => (10, digits),
    };
    if plain.is_empty() || !plain.chars().all(|next| next.is_digit(radix)) {
        return Err(no_number(digits));
    }
    let out_of_range = || format!("expected {INTEGERS}, found one out of that range: a float is written as 1e40");
    let magnitude = u128::from_str_radix(plain, radix).map_err(|_| out_of_range())?;
    match (i128::try_from(magnitude), is_negative) {
        (Ok(value), false) => Ok(Value::Signed(value)),
        (Ok(value), true) => Ok(Value::Signed(-value)),
        (Err(_), false) => Ok(Value::Unsigned(magnitude)),
        (Err(_), true) => 0_i128.checked_sub_unsigned(magnitude).map(Value::Signed).ok_or_else(out_of_range),
    }
}

fn float(digits: &str, is_negative: bool) -> Result<Value, String> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (digits, None),
    };
    let is_all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let parts = [fraction, exponent.unwrap_or("0")];
    if !is_all_digits(whole) || parts.iter().any(|part| part.is_empty() || !is_all_digits(part)) {
        return Err(no_number(digits));
    }
    match digits.parse::<f64>() {
        Ok(value) => {
            check_range(digits, value, DOUBLE)?;
            Ok(Value::Float64(if is_negative { -value } else { value }))
        }
        Err(_) => Err(no_number(digits)),
    }
}

/// The name of a type of floats, its largest value, and the smallest above 0.
pub type FloatRange = [&'static str; 3];

pub const FLOAT: FloatRange = ["float", "3.4028235e38", "1e-45"];
pub const DOUBLE: FloatRange = ["double", "1.7976931348623157e308", "5e-324"];

/// Refuses digits that mean a number so large that it was read as infinity, or so small that it was read as zero.
pub fn check_range(text: &str, value: f64, [name, largest, smallest]: FloatRange) -> Result<(), String> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let limit = match value {
        _ if !mantissa.contains(|next: char| next.is_ascii_digit()) => return Ok(()),
        0.0 if mantissa.contains(|next: char| ('1'..='9').contains(&next)) => format!("0 or at least {smallest}"),
        _ if value.is_infinite() => format!("at most {largest}"),
        _ => return Ok(()),
    };
    Err(format!("expected a number that a {name} can hold, {limit}"))
}

#[cold]
fn no_number(digits: &str) -> String {
    let found: String = digits.chars().take(40).collect();
    let advice = match digits {
        _ if digits.contains('_') => ": digits are written without `_`",
        _ if digits.ends_with('.') => ": a digit follows the point, as in 1.0",
        _ if digits.starts_with("0X") => ": hexadecimal digits follow `0x`, as in 0xff",
        _ => "",
    };
    format!("expected a number such as 3, -2.5, 1e9 or 0xff, found `{found}`{advice}")
}
