//! Whether bytes have the form of CSV, as RFC 4180 has it. The reader of CSV takes anything: a quote that is never closed
//! swallows the rest of the input, and what is behind a closing quote belongs to the cell.
//!
//! Quotes inside a cell that does not begin with one are taken for what they are: nothing is lost by that.

use crate::input::ROW_BYTES_MAX;

/// Where in a row the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the beginning of a cell.
    Start,
    Plain,
    /// In quotes, which were opened on this line.
    Quoted(u64),
    /// Behind a quote in quotes: the first of two, or the closing one.
    Closed,
}

/// Watches bytes go by.
#[derive(Debug)]
pub struct CsvForm {
    at: At,
    line: u64,
    /// Of the row that was begun, with the empty lines before it.
    row_bytes: usize,
    row_line: u64,
    is_row_empty: bool,
}

impl CsvForm {
    pub fn new() -> Self {
        CsvForm { at: At::Start, line: 1, row_bytes: 0, row_line: 1, is_row_empty: true }
    }

    /// Takes bytes into account. If they have not the form, says so, and how many before that end with whole rows.
    pub fn watch(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let mut whole_bytes = 0;
        for (position, byte) in bytes.iter().enumerate() {
            let is_row_end = self.take(*byte).map_err(|mistake| (whole_bytes, mistake))?;
            if is_row_end {
                whole_bytes = position + 1;
            }
        }
        Ok(())
    }

    /// At the end of the input.
    pub fn end(&self) -> Result<(), String> {
        match self.at {
            At::Quoted(line) => Err(format!("line {line}: a quote is opened and never closed")),
            At::Start | At::Plain | At::Closed => Ok(()),
        }
    }

    /// Whether the byte ends a row, or an empty line.
    fn take(&mut self, byte: u8) -> Result<bool, String> {
        let is_line_end = matches!(byte, b'\r' | b'\n');
        let at = match (self.at, byte) {
            (At::Quoted(_), b'"') => At::Closed,
            (At::Quoted(line), _) => At::Quoted(line),
            (At::Start, b'"') => At::Quoted(self.line),
            (At::Closed, b'"') => At::Quoted(self.line),
            (_, b',' | b'\r' | b'\n') => At::Start,
            (At::Closed, _) => {
                let expected = "expected a comma or the end of the line behind the closing quote of a cell";
                return Err(format!("line {}: {expected}; a quote in quotes is written twice", self.line));
            }
            (At::Start | At::Plain, _) => At::Plain,
        };
        let is_row_end = at == At::Start && is_line_end;
        if self.is_row_empty && !is_line_end {
            (self.is_row_empty, self.row_line) = (false, self.line);
        }
        self.row_bytes += 1;
        if self.row_bytes > ROW_BYTES_MAX {
            return Err(format!(
                "line {}: a row of more than {ROW_BYTES_MAX} bytes, which no record has",
                self.row_line
            ));
        }
        if is_row_end && !self.is_row_empty {
            (self.row_bytes, self.is_row_empty) = (0, true);
        }
        self.line += u64::from(byte == b'\n');
        self.at = at;
        Ok(is_row_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistake, if there is one, and how many bytes before it end with whole rows. In whatever parts they come.
    fn mistake(text: &str) -> Option<(usize, String)> {
        let parts_of = |part_bytes: usize| {
            let mut form = CsvForm::new();
            let mut whole_bytes = 0;
            let parts = text.as_bytes().chunks(part_bytes).scan(0, |start, part| {
                *start += part.len();
                Some((*start - part.len(), part))
            });
            for (start, part) in parts {
                match form.watch(part) {
                    Ok(()) => whole_bytes = start,
                    Err((bytes, mistake)) => return Some((whole_bytes.max(start + bytes), mistake)),
                }
            }
            form.end().err().map(|mistake| (text.len(), mistake))
        };
        let mistake = parts_of(text.len().max(1));
        assert_eq!(parts_of(1).map(|(_, mistake)| mistake), mistake.clone().map(|(_, mistake)| mistake), "{text:?}");
        mistake
    }

    #[test]
    fn what_is_csv_passes() {
        for text in [
            "",
            "a,b\n1,2\n",
            "a,b\r\n\"1\",\"2\"\r\n",
            "\"a\",b\n\"x\n\"\"y\"\", z\"\r,\"\"\n",
            "5\" pipe,a\"b\"c\n",
            "a\n\n\n\"\"\"\"",
        ] {
            assert_eq!(mistake(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_is_named_with_its_line() {
        let line_of = |text: &str| {
            let (bytes, mistake) = mistake(text).unwrap();
            (bytes, mistake.split(", ").next().unwrap().split("; ").next().unwrap().to_owned())
        };
        let behind = "expected a comma or the end of the line behind the closing quote of a cell";
        assert_eq!(line_of("a\n\"x\ny\"z\n"), (2, format!("line 3: {behind}")));
        assert_eq!(line_of("a,b\r\n1,\"x\" ,2"), (5, format!("line 2: {behind}")));
        assert_eq!(line_of("\"a\"b"), (0, format!("line 1: {behind}")));
        let unclosed = "a quote is opened and never closed".to_owned();
        assert_eq!(line_of("a\n1\n\"x\ny\n"), (9, format!("line 3: {unclosed}")));
        assert_eq!(line_of("a\n\"x\"\""), (6, format!("line 2: {unclosed}")));
        let long = format!("a\n\n{}", "x".repeat(ROW_BYTES_MAX));
        let mut form = CsvForm::new();
        let (bytes, mistake) = form.watch(long.as_bytes()).unwrap_err();
        assert!(bytes == 3 && mistake.starts_with("line 3: a row of more than "), "{bytes} {mistake}");
    }
}
