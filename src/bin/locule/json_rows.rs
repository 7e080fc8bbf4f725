//! The objects of a file of JSON: one per line, or one array of them.

use serde_json::{Deserializer, Map, Value as Json};

use crate::Result;
use crate::input::{Input, Place};

/// The objects, with their places.
pub struct JsonRows {
    found: Box<dyn Iterator<Item = serde_json::Result<Json>>>,
    row_count: u64,
}

impl JsonRows {
    pub fn open(mut input: Input) -> Result<Self> {
        let found: Box<dyn Iterator<Item = serde_json::Result<Json>>> = if input.first_byte()? == Some(b'[') {
            let objects: Vec<Json> = serde_json::from_reader(input).map_err(|error| format!("not JSON: {error}"))?;
            Box::new(objects.into_iter().map(Ok))
        } else {
            Box::new(Deserializer::from_reader(input).into_iter())
        };
        Ok(JsonRows { found, row_count: 0 })
    }
}

impl Iterator for JsonRows {
    type Item = Result<(Place, Map<String, Json>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.found.next()?;
        self.row_count += 1;
        let place = Place { row: self.row_count, line: None };
        Some(match found {
            Ok(Json::Object(object)) => Ok((place, object)),
            Ok(other) => Err(format!("{place}: expected an object, found {other}").into()),
            Err(error) => Err(format!("{place}: not JSON: {error}").into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<String>> {
        let rows = JsonRows::open(Input::of(std::io::Cursor::new(text.as_bytes().to_vec())))?;
        rows.map(|row| row.map(|(place, object)| format!("{place}: {}", Json::Object(object)))).collect()
    }

    #[test]
    fn objects_come_one_per_line_or_in_an_array() {
        let expected = ["row 1: {\"a\":1}", "row 2: {\"a\":2}"];
        assert_eq!(rows("{\"a\":1}\n\n{\"a\":2}\n").unwrap(), expected);
        assert_eq!(rows(" [{\"a\":1},\n{\"a\":2}]\n").unwrap(), expected);
        assert_eq!(rows("").unwrap(), [""; 0]);
        assert!(rows("{\"a\":1}\n7").unwrap_err().to_string().contains("row 2: expected an object, found 7"));
        assert!(rows("{\"a\":1}\n{").unwrap_err().to_string().starts_with("row 2: not JSON: "));
        assert!(rows("[{}").is_err());
    }
}
