//! The rows of a CSV file, with their places, and which cells are in quotes.

use std::io::{self, BufRead, Read};

use crate::Result;
use crate::csv_cells::{are_quoted, blank_bytes};
use crate::csv_form::CsvForm;
use crate::input::{Input, Place};

/// A cell that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    pub is_quoted: bool,
}

pub struct CsvRow {
    pub place: Place,
    pub cells: Vec<Cell>,
}

/// The rows behind the line with the names.
pub struct CsvRows {
    reader: csv::Reader<Remembering>,
    names: Vec<String>,
    row_count: u64,
    is_over: bool,
}

impl CsvRows {
    /// Reads the line with the names.
    pub fn open(input: Input) -> Result<Self> {
        // A wrong number of cells is reported with its row.
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.flexible(true).from_reader(Remembering::new(input));
        let names = reader.headers().map_err(|error| not_csv(&error))?.iter().map(str::to_owned).collect::<Vec<_>>();
        if names.is_empty() {
            return Err("the input is empty: expected CSV, whose first line has the names of the fields".into());
        }
        if let [name] = names.as_slice() {
            if name.contains([';', '\t']) {
                return Err(
                    format!("the first line names one column, {name:?}: expected commas between columns").into()
                );
            }
        }
        Ok(CsvRows { reader, names, row_count: 0, is_over: false })
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&mut self) -> Result<Option<CsvRow>> {
        let start = self.reader.position().byte();
        let mut record = csv::StringRecord::new();
        let is_there = self.reader.read_record(&mut record).map_err(|error| not_csv(&error))?;
        if !is_there {
            return Ok(None);
        }
        self.row_count += 1;
        let end = self.reader.position().byte();
        let read = self.reader.get_mut().line(start, end);
        // The reader of CSV counts from where it began to read.
        let skipped = blank_bytes(read).iter().filter(|byte| **byte == b'\n').count();
        let quoted = are_quoted(read);
        let line = record.position().map(|position| position.line().saturating_add(word(skipped)));
        let place = Place { row: self.row_count, line };
        if record.len() != self.names.len() {
            let (expected, found) = (self.names.len(), record.len());
            return Err(format!("{place}: expected {expected} cells, as in the first line, found {found}").into());
        }
        let quoted = quoted.into_iter().chain(std::iter::repeat(false));
        let cells = record.iter().zip(quoted).map(|(text, is_quoted)| Cell { text: text.to_owned(), is_quoted });
        Ok(Some(CsvRow { place, cells: cells.collect() }))
    }
}

impl Iterator for CsvRows {
    type Item = Result<CsvRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.read().transpose();
        self.is_over = !matches!(row, Some(Ok(_)));
        row
    }
}

fn word(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn not_csv(error: &csv::Error) -> String {
    let line = |position: Option<&csv::Position>| {
        position.map(|position| format!("line {}: ", position.line())).unwrap_or_default()
    };
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, err } => format!("{}cell {} is not UTF-8", line(pos.as_ref()), err.field() + 1),
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        csv::ErrorKind::Io(error) => format!("cannot read the input: {error}"),
        _ => error.to_string(),
    }
}

/// Keeps what was read since the last line, since the reader of CSV does not tell which cells are in quotes; and gives no more
/// than the rows before a mistake, and then the mistake.
struct Remembering {
    input: Input,
    form: CsvForm,
    mistake: Option<String>,
    /// What was read, from a certain byte on.
    kept: Vec<u8>,
    kept_from: u64,
}

/// What was used of the kept bytes is forgotten when it is so much.
const FORGOTTEN_BYTES: usize = 1 << 16;

impl Remembering {
    fn new(input: Input) -> Self {
        Remembering { input, form: CsvForm::new(), mistake: None, kept: Vec::new(), kept_from: 0 }
    }

    /// The bytes of a line; those before it are not asked for again.
    fn line(&mut self, start: u64, end: u64) -> &[u8] {
        let position = |byte: u64| usize::try_from(byte.saturating_sub(self.kept_from)).unwrap_or(usize::MAX);
        let (mut start, mut end) = (position(start), position(end));
        if start > FORGOTTEN_BYTES {
            let forgotten = start.min(self.kept.len());
            self.kept.drain(..forgotten);
            self.kept_from += u64::try_from(forgotten).unwrap_or(0);
            (start, end) = (start - forgotten, end - forgotten);
        }
        self.kept.get(start..end).unwrap_or_default()
    }
}

impl Read for Remembering {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mistake) = &self.mistake {
            return Err(io::Error::new(io::ErrorKind::InvalidData, mistake.clone()));
        }
        let available = self.input.fill_buf()?;
        let mut bytes = available.get(..available.len().min(buffer.len())).unwrap_or_default();
        let watched =
            if bytes.is_empty() { self.form.end().map_err(|mistake| (0, mistake)) } else { self.form.watch(bytes) };
        if let Err((whole_bytes, mistake)) = watched {
            bytes = bytes.get(..whole_bytes).unwrap_or_default();
            self.mistake = Some(mistake);
            if bytes.is_empty() {
                return self.read(buffer);
            }
        }
        let count = bytes.len();
        if let Some(to) = buffer.get_mut(..count) {
            to.copy_from_slice(bytes);
        }
        self.kept.extend_from_slice(bytes);
        self.input.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Vec<(String, bool)>>> {
        let rows = CsvRows::open(Input::of(io::Cursor::new(text.as_bytes().to_vec()))?)?;
        rows.map(|row| Ok(row?.cells.into_iter().map(|cell| (cell.text, cell.is_quoted)).collect())).collect()
    }

    fn cell(text: &str, is_quoted: bool) -> (String, bool) {
        (text.to_owned(), is_quoted)
    }

    #[test]
    fn quoted_cells_are_told_from_others_through_any_line_ends() {
        let text = "a,b\r\n\"\",\r\n\r\n,\"x\n\"\"y\"\"\"\n1,2";
        let expected = vec![
            vec![cell("", true), cell("", false)],
            vec![cell("", false), cell("x\n\"y\"", true)],
            vec![cell("1", false), cell("2", false)],
        ];
        assert_eq!(rows(text).unwrap(), expected);
        for text in ["\u{feff}a\n1", "\u{feff}\"a\"\n1"] {
            assert_eq!(rows(text).unwrap(), vec![vec![cell("1", false)]]);
        }
    }

    #[test]
    fn what_is_quoted_is_known_also_after_much_was_read() {
        let line = format!("\"{}\",\n", "x".repeat(1_000));
        let text = format!("a,b\n{}", line.repeat(1_000));
        assert!(rows(&text).unwrap().iter().all(|row| row[0].1 && !row[1].1));
    }

    #[test]
    fn mistakes_are_reported_with_their_place() {
        let error = |text: &str| rows(text).unwrap_err().to_string();
        assert_eq!(error(""), "the input is empty: expected CSV, whose first line has the names of the fields");
        assert_eq!(error("a,b\n1,2\n\n3"), "row 2 (line 4): expected 2 cells, as in the first line, found 1");
        assert_eq!(error("a,b\r\n1,2\r\n3\r\n"), "row 2 (line 3): expected 2 cells, as in the first line, found 1");
        assert_eq!(error("a;b\n1;2\n"), "the first line names one column, \"a;b\": expected commas between columns");
        assert_eq!(error("a,b\n1,\"x\n3,4\n"), "line 2: a quote is opened and never closed");
        assert!(error("a,b\n1,2\n\"x\"y,2\n").starts_with("line 3: expected a comma"));
        assert!(error("\"a\"b\n1\n").starts_with("line 1: expected a comma"));
    }

    #[test]
    fn the_rows_before_a_mistake_come_before_it() {
        let lines = "1,2\n".repeat(10_000);
        let text = format!("a,b\n{lines}\"x\"y,2\n{lines}");
        let mut rows = CsvRows::open(Input::of(io::Cursor::new(text.into_bytes())).unwrap()).unwrap();
        assert!(rows.by_ref().take(10_000).all(|row| row.is_ok()));
        assert!(rows.next().unwrap().err().unwrap().to_string().starts_with("line 10002: expected a comma"));
        assert!(rows.next().is_none());
    }
}
