//! Cells of CSV, in which a field that holds nothing is told from an empty text: as in PostgreSQL's, what is in quotes is
//! always a text, and only without quotes can a cell hold nothing.

use crate::Result;

/// What a field that holds nothing is written as. In a table of one column an empty cell would be an empty line, which is
/// none in CSV.
pub fn null_text(given: Option<&str>, column_count: usize) -> &str {
    given.unwrap_or(if column_count == 1 { r"\N" } else { "" })
}

/// It is never in quotes, so it must not need them.
pub fn check_null_text(text: &str) -> Result<()> {
    if needs_quotes(text) {
        return Err(format!("--null {text:?}: expected a text without commas, quotes and line breaks").into());
    }
    Ok(())
}

fn needs_quotes(text: &str) -> bool {
    text.contains([',', '"', '\n', '\r'])
}

/// A cell with a value, which is none of these texts without quotes.
pub fn quoted_if_needed(text: &str, with_another_meaning: &[&str]) -> String {
    if needs_quotes(text) || with_another_meaning.contains(&text) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// What is left of the line before, and empty lines, at the beginning of what was read for a line.
pub fn blank_bytes(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

/// Which cells of a line are in quotes: that is lost when they are read.
pub fn are_quoted(line: &[u8]) -> Vec<bool> {
    let mut quoted: Vec<bool> = Vec::new();
    let mut is_in_quotes = false;
    let mut is_at_start = true;
    for byte in line.iter().skip(blank_bytes(line).len()) {
        if is_at_start {
            is_in_quotes = *byte == b'"';
            quoted.push(is_in_quotes);
        } else if *byte == b'"' && quoted.last() == Some(&true) {
            is_in_quotes = !is_in_quotes;
        }
        is_at_start = *byte == b',' && !is_in_quotes;
    }
    if is_at_start {
        quoted.push(false);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_are_found() {
        assert_eq!(are_quoted(b"a,\"\",,\"b\"\"c,\n\",d\r\n"), [false, true, false, true, false]);
        assert_eq!(are_quoted(b"\na,"), [false, false]);
        assert_eq!(are_quoted(b"\"\""), [true]);
        assert_eq!(are_quoted(b""), [false]);
        assert_eq!(are_quoted(b"5\" pipe,,\"\""), [false, false, true]);
    }

    #[test]
    fn a_value_that_looks_like_nothing_is_quoted() {
        assert_eq!(quoted_if_needed("", &[""]), "\"\"");
        assert_eq!(quoted_if_needed("NA", &["NA"]), "\"NA\"");
        assert_eq!(quoted_if_needed("a\"b", &[]), "\"a\"\"b\"");
        assert_eq!(quoted_if_needed("a b", &[""]), "a b");
        assert_eq!(quoted_if_needed("", &[]), "");
        assert_eq!((null_text(None, 2), null_text(None, 1), null_text(Some("NA"), 1)), ("", r"\N", "NA"));
        assert!(check_null_text("a,b").is_err() && check_null_text("").is_ok());
    }
}
