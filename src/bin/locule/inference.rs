//! Which types the columns of a CSV file probably have.

use locule::{FieldSchema, FieldType};

use crate::csv_rows::Cell;

/// A text field has room for half as much again as the longest cell, and at least for so many bytes.
const TEXT_BYTES_MIN: usize = 8;
/// The room of a field whose cells are all empty.
const UNKNOWN_BYTES: u16 = 32;
/// The most that a text field can hold.
const TEXT_BYTES_MAX: usize = 65_534;

/// The types that are tried, the most special first. Whatever is none of them is text.
const CANDIDATES: [FieldType; 8] = [
    FieldType::Bool,
    FieldType::U64,
    FieldType::I64,
    FieldType::U128,
    FieldType::I128,
    FieldType::F64,
    FieldType::Date,
    FieldType::Timestamp,
];

/// How much room a text gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// More than the longest cell takes.
    ToGrow,
    /// No more.
    ForTheLongest,
}

/// What was seen of a column so far.
#[derive(Clone, Debug)]
pub struct Guess {
    candidates: Vec<FieldType>,
    longest_bytes: usize,
    has_null: bool,
    has_value: bool,
}

impl Guess {
    pub fn new() -> Self {
        Guess { candidates: CANDIDATES.to_vec(), longest_bytes: 0, has_null: false, has_value: false }
    }

    /// Takes a cell into account.
    pub fn add(&mut self, cell: &Cell, null: &str) {
        if cell.text == null && !cell.is_quoted {
            self.has_null = true;
            return;
        }
        self.has_value = true;
        self.longest_bytes = self.longest_bytes.max(cell.text.len());
        self.candidates.retain(|candidate| is_written_as(&cell.text, *candidate));
    }

    /// The field that holds all that was seen.
    pub fn field(&self, name: &str, is_key: bool, room: Room) -> FieldSchema {
        let field_type = match self.candidates.iter().find(|candidate| !is_key || candidate.can_be_key()) {
            Some(candidate) if self.has_value => *candidate,
            _ => FieldType::Text(self.text_bytes(room)),
        };
        let field = FieldSchema::new(name, field_type);
        match (is_key, self.has_null) {
            (true, _) => field.key(),
            (false, true) => field.nullable(),
            (false, false) => field,
        }
    }

    fn text_bytes(&self, room: Room) -> u16 {
        if !self.has_value {
            return UNKNOWN_BYTES;
        }
        let bytes = match room {
            Room::ToGrow => (self.longest_bytes + self.longest_bytes / 2).max(TEXT_BYTES_MIN).next_multiple_of(8),
            Room::ForTheLongest => self.longest_bytes.max(1),
        };
        u16::try_from(bytes.min(TEXT_BYTES_MAX)).unwrap_or(u16::MAX)
    }
}

/// Whether a text is a value of this type, written as such values are. A number such as 007 or +1 is more likely a name.
fn is_written_as(text: &str, field_type: FieldType) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !(digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0."))
        && digits.starts_with(|first: char| first.is_ascii_digit());
    let has_form = match field_type {
        // As an integer, -0 would lose its sign.
        FieldType::U64 | FieldType::I64 | FieldType::U128 | FieldType::I128 => is_plain && text != "-0",
        FieldType::F64 => is_plain && keeps_its_digits(text),
        _ => true,
    };
    has_form && FieldSchema::new("cell", field_type).parse_value(text).is_ok()
}

/// Whether a number, rounded to a float, is written as the same number again. An integer that no integer field holds is more
/// likely a name than a measured value.
fn keeps_its_digits(text: &str) -> bool {
    let is_integer = !text.contains(['.', 'e', 'E']);
    if is_integer && text.parse::<i128>().is_err() && text.parse::<u128>().is_err() {
        return false;
    }
    // Floats are written in as few digits as identify them.
    let written = text.parse::<f64>().ok().map(|float| format!("{float:e}"));
    decimal(text).is_some_and(|decimal| written.as_deref().and_then(self::decimal) == Some(decimal))
}

/// A number without zeros at its ends: whether it is below zero, its digits, and the power of ten that the last one counts.
fn decimal(text: &str) -> Option<(bool, String, i128)> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let zero_count = i128::try_from(digits.len() - significant.len()).ok()?;
    let power = i128::from(exponent.parse::<i64>().ok()?) - i128::try_from(fraction.len()).ok()? + zero_count;
    let significant = significant.trim_start_matches('0').to_owned();
    let power = if significant.is_empty() { 0 } else { power };
    Some((unsigned.len() < text.len(), significant, power))
}

/// The name of a field for the name of a column: what cannot be in it is an underscore.
pub fn field_name_of(column: &str) -> String {
    let mut name: String =
        column.trim().chars().map(|next| if next.is_ascii_alphanumeric() { next } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(cells: &[&str]) -> String {
        let mut guess = Guess::new();
        cells.iter().for_each(|text| guess.add(&Cell { text: (*text).to_owned(), is_quoted: false }, ""));
        guess.field("a", false, Room::ToGrow).to_string()
    }

    #[test]
    fn types_are_those_that_all_cells_have() {
        assert_eq!(guessed(&["1", "18446744073709551615"]), "a: u64");
        assert_eq!(guessed(&["1", "-1"]), "a: i64");
        assert_eq!(guessed(&["1", "1.5", "-2e3"]), "a: f64");
        assert_eq!(guessed(&["1", "99999999999999999999"]), "a: u128");
        assert_eq!(guessed(&["18446744073709551615", "-1"]), "a: i128");
        assert_eq!(guessed(&["true", "false"]), "a: bool");
        assert_eq!(guessed(&["2024-02-29", ""]), "a: date?");
        assert_eq!(guessed(&["2024-02-29T12:00:00Z"]), "a: timestamp");
        assert_eq!(guessed(&["2024-02-30"]), "a: text(16)");
        assert_eq!(guessed(&["abc", "", "1"]), "a: text(8)?");
        assert_eq!(guessed(&["0", "0.5", "-0.5"]), "a: f64");
        assert_eq!(guessed(&["", ""]), "a: text(32)?");
        assert_eq!(guessed(&[]), "a: text(32)");
    }

    /// Columns of long numbers once became floats, in which neighbours were equal.
    #[test]
    fn no_digit_of_a_number_is_lost() {
        for (cells, field_type) in [
            (&["99999999999999999999", "99999999999999999998"][..], "u128"),
            (&["-1", "18446744073709551615"], "i128"),
            (&["-9223372036854775809"], "i128"),
            (&["1", "-0"], "f64"),
            (&["-00"], "text(8)"),
            (&["340282366920938463463374607431768211455"], "u128"),
            (&["340282366920938463463374607431768211456"], "text(64)"),
            (&["-1", "340282366920938463463374607431768211455"], "text(64)"),
            // As a float it would be the same number, and is none like the others.
            (&["1000000000000000000000000000000000000000000"], "text(64)"),
            (
                &["0.1", "1.50", "-0.0", "5e-324", "1.7976931348623157e308", "1E+2", "12e1", "100000000000000000000"],
                "f64",
            ),
            (&["0.12345678901234567890123"], "text(40)"),
            (&["12345678901234567.89"], "text(32)"),
            (&["1.5", "9007199254740993"], "text(24)"),
            (&["1e-400"], "text(16)"),
            (&["1e400"], "text(8)"),
            (&["1.5e-9223372036854775808"], "text(40)"),
            (&["1e99999999999999999999"], "text(40)"),
        ] {
            assert_eq!(guessed(cells), format!("a: {field_type}"), "{cells:?}");
        }
    }

    #[test]
    fn what_is_written_as_no_number_is_none() {
        for text in ["007", "+1", "NaN", "inf", "1_000", " 1", "-", ".5"] {
            assert_eq!(guessed(&[text]), "a: text(8)", "{text}");
        }
    }

    #[test]
    fn a_text_has_room_to_grow_and_a_key_is_no_float() {
        let long = "x".repeat(100);
        assert_eq!(guessed(&[&long]), "a: text(152)");
        assert_eq!(guessed(&[&"x".repeat(65_000)]), "a: text(65534)");
        let mut guess = Guess::new();
        guess.add(&Cell { text: "1.5".to_owned(), is_quoted: false }, "");
        assert_eq!(guess.field("a", true, Room::ToGrow).to_string(), "key a: text(8)");
        assert_eq!(guess.field("a", true, Room::ForTheLongest).to_string(), "key a: text(3)");
    }

    #[test]
    fn a_column_gets_a_name_that_a_field_can_have() {
        for (column, name) in
            [("hits", "hits"), (" First Name", "First_Name"), ("2024", "_2024"), ("", "_"), ("ö", "_")]
        {
            assert_eq!(field_name_of(column), name);
        }
    }
}
