//! The objects of a file of JSON: one per line, or one array of them.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::rc::Rc;

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Map, Value as Json};

use crate::Result;
use crate::input::{Input, Place, ROW_BYTES_MAX};

/// How much of what is no object is shown.
const SHOWN_CHARACTERS_MAX: usize = 40;

type Found = serde_json::Result<Box<RawValue>>;

/// The objects, with their places.
pub struct JsonRows {
    found: Box<dyn Iterator<Item = Found>>,
    progress: Rc<Progress>,
    row_count: u64,
}

impl JsonRows {
    pub fn open(mut input: Input) -> Result<Self> {
        let progress = Rc::new(Progress::default());
        let is_array = input.first_byte()? == Some(b'[');
        let mut reader = Deserializer::from_reader(Watched { input, progress: Rc::clone(&progress) });
        let found: Box<dyn Iterator<Item = Found>> = if is_array {
            let rows = reader.deserialize_seq(Elements(&progress)).and_then(|rows| reader.end().map(|()| rows));
            let rows = rows.map_err(|error| mistake(&error))?;
            Box::new(rows.into_iter().map(Ok))
        } else {
            Box::new(reader.into_iter())
        };
        Ok(JsonRows { found, progress, row_count: 0 })
    }
}

impl Iterator for JsonRows {
    type Item = Result<(Place, Map<String, Json>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.progress.begin_row();
        let found = self.found.next()?;
        self.row_count += 1;
        let place = Place { row: self.row_count, line: None };
        let row = found.map_err(|error| mistake(&error)).and_then(|row| object(row.get()));
        Some(row.map(|object| (place, object)).map_err(|error| format!("{place}: {error}").into()))
    }
}

/// The object that a row is.
fn object(row: &str) -> Result<Map<String, Json>, String> {
    if !row.starts_with('{') {
        let shown: String = row.chars().take(SHOWN_CHARACTERS_MAX).collect();
        let rest = if shown.len() < row.len() { "…" } else { "" };
        return Err(format!("expected an object, found {shown}{rest}"));
    }
    Deserializer::from_str(row).deserialize_map(Members).map_err(|error| mistake(&error))
}

/// What is wrong. The reader of JSON adds its own place also to what it has not found itself.
fn mistake(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_io() || error.is_data() {
        return text.rsplit_once(" at line ").map_or(text.as_str(), |(mistake, _)| mistake).to_owned();
    }
    format!("not JSON: {text}")
}

/// Members of which each has another name.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Map<String, Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut found: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = found.next_entry::<String, Json>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("two members are named {name:?}")));
            }
            members.insert(name, value);
        }
        Ok(members)
    }
}

/// The elements of an array, each of them a row.
struct Elements<'a>(&'a Progress);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut found: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = found.next_element()? {
            elements.push(element);
            self.0.begin_row();
        }
        Ok(elements)
    }
}

/// How far the reader of JSON is, which takes one byte after the other.
#[derive(Default)]
struct Progress {
    row_bytes: Cell<usize>,
    line_ends: Cell<u64>,
    row_line: Cell<u64>,
}

impl Progress {
    fn begin_row(&self) {
        self.row_bytes.set(0);
    }

    fn take(&self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.line_ends.set(self.line_ends.get() + u64::from(*byte == b'\n'));
            // In an array there is a comma between rows.
            let is_between = self.row_bytes.get() == 0 && (byte.is_ascii_whitespace() || *byte == b',');
            if !is_between {
                if self.row_bytes.get() == 0 {
                    self.row_line.set(self.line_ends.get() + 1);
                }
                self.row_bytes.set(self.row_bytes.get() + 1);
            }
        }
        if self.row_bytes.get() > ROW_BYTES_MAX {
            let line = self.row_line.get();
            let mistake = format!("line {line}: more than {ROW_BYTES_MAX} bytes, which no record has");
            return Err(io::Error::new(io::ErrorKind::InvalidData, mistake));
        }
        Ok(())
    }
}

/// The reader of JSON would keep a row without an end.
struct Watched {
    input: Input,
    progress: Rc<Progress>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.progress.take(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<String>> {
        let rows = JsonRows::open(Input::of(std::io::Cursor::new(text.as_bytes().to_vec()))?)?;
        rows.map(|row| row.map(|(place, object)| format!("{place}: {}", Json::Object(object)))).collect()
    }

    #[test]
    fn objects_come_one_per_line_or_in_an_array() {
        let expected = ["row 1: {\"a\":1}", "row 2: {\"a\":2}"];
        assert_eq!(rows("{\"a\":1}\n\n{\"a\":2}\n").unwrap(), expected);
        assert_eq!(rows("\u{feff}{\"a\":1}\r\n{\"a\":2}").unwrap(), expected);
        assert_eq!(rows("\u{feff} [{\"a\":1},\n{\"a\":2}]\n").unwrap(), expected);
        assert_eq!(rows("").unwrap(), [""; 0]);
    }

    #[test]
    fn mistakes_are_reported_with_their_row() {
        let error = |text: &str| rows(text).unwrap_err().to_string();
        assert_eq!(error("{\"a\":1}\n7"), "row 2: expected an object, found 7");
        assert_eq!(
            error(&format!("[[{}]]", "1,".repeat(30) + "1")),
            format!("row 1: expected an object, found [{}1…", "1,".repeat(19))
        );
        assert!(error("{\"a\":1}\n{").starts_with("row 2: not JSON: EOF"));
        assert!(error("[{}").starts_with("not JSON: EOF") && error("[{}] 7").starts_with("not JSON: trailing"));
        assert_eq!(error("{\"a\":1}\n{\"b\":1,\n\"a\":2,\"a\":{}}"), "row 2: two members are named \"a\"");
        assert_eq!(error("[{\"a\":1,\"a\":1}]"), "row 1: two members are named \"a\"");
    }

    #[test]
    fn a_row_without_end_is_not_read_to_its_end() {
        let long = format!("\n{{\"a\":\"{}", "x".repeat(ROW_BYTES_MAX));
        for (before, expected) in [("{}\n", "row 2: line 3: more than "), ("[{},\n", "line 3: more than ")] {
            let error = rows(&format!("{before}{long}")).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        // Many rows together may be longer.
        let row = format!("{{\"a\":\"{}\"}}", "x".repeat(ROW_BYTES_MAX / 2));
        assert_eq!(rows(&format!("{row}\n{row}\n{row}")).unwrap().len(), 3);
        assert_eq!(rows(&format!("[{row},{row},{row}]")).unwrap().len(), 3);
    }
}
