//! Where rows come from: a file or standard input.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use crate::failure::shown;

/// Where in the input something is, for people: both count from 1. The line with the names is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub row: u64,
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// A row that is longer is none: no record has so many bytes, in whatever way they are written.
pub const ROW_BYTES_MAX: usize = 16 << 20;

/// What some programs write before UTF-8.
const MARK: &str = "\u{feff}";

/// Bytes to be read. If a person waits, a bar shows how far it is.
pub struct Input {
    reader: BufReader<Box<dyn Read>>,
    bar: ProgressBar,
}

impl Input {
    /// Opens a file, or standard input if the path is `-`. An error does not name it.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Input::of(io::stdin())?);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err("it is a directory".into());
        }
        // It is drawn only on a terminal.
        let mut input = Input::of(file)?;
        input.bar = bar(metadata.len());
        Ok(input)
    }

    /// Anything that can be read. A mark at its beginning that says that it is UTF-8 is left out.
    pub fn of(mut reader: impl Read + 'static) -> io::Result<Self> {
        let mut first = Vec::new();
        reader.by_ref().take(word(MARK.len())).read_to_end(&mut first)?;
        if first == MARK.as_bytes() {
            first.clear();
        }
        let reader = io::Cursor::new(first).chain(reader);
        Ok(Input { reader: BufReader::new(Box::new(reader)), bar: ProgressBar::hidden() })
    }

    /// The first byte that is not blank, which is left where it is.
    pub fn first_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                return Ok(None);
            }
            match available.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(position) => return Ok(available.get(position).copied()),
                None => {
                    let count = available.len();
                    self.reader.consume(count);
                }
            }
        }
    }
}

fn bar(byte_count: u64) -> ProgressBar {
    let bar = ProgressBar::new(byte_count);
    // The template is fixed and known to be right; without it the line only looks different.
    match ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bar.inc(word(count));
        Ok(count)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.bar.inc(word(count));
        self.reader.consume(count);
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What a source is called in errors.
pub fn source_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { shown(path) }
}

/// All of standard input, which may not be longer than this. It is not read to its end, of which there may be none.
pub fn all_of_stdin(bytes_max: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(word(bytes_max).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(format!("standard input has more than {bytes_max} bytes").into());
    }
    Ok(bytes)
}

fn word(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
