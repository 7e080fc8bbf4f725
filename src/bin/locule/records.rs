//! Rows become records.

use std::sync::Arc;

use locule::{Schema, Value, Values};
use serde_json::{Map, Value as Json};

use crate::Result;
use crate::csv_rows::CsvRow;
use crate::inference::field_name_of;
use crate::input::Place;

/// A record, and where it came from.
pub struct PlacedRecord {
    pub place: Place,
    pub record: Values,
}

/// Which columns are which fields.
pub struct Columns {
    schema: Arc<Schema>,
    /// The position of the field of each column; none for one that is left out.
    positions: Vec<Option<usize>>,
    null: String,
}

impl Columns {
    /// Columns are found by their names, as they are or as fields are named. What a store knows of a record, such as
    /// @version, is left out, and so is what is to be ignored.
    pub fn of(names: &[String], schema: &Arc<Schema>, ignored: &[String], null: &str) -> Result<Self> {
        let position = |name: &String| {
            if name.starts_with('@') || ignored.contains(name) {
                return Ok(None);
            }
            let exact = schema.expect_field(name);
            let found = exact.or_else(|error| schema.expect_field(&field_name_of(name)).map_err(|_| error));
            match found {
                Ok((position, _)) => Ok(Some(position)),
                Err(error) => Err(format!("column {name:?}: {error}; `--ignore` leaves a column out").into()),
            }
        };
        if let Some(name) = ignored.iter().find(|ignored| !names.contains(ignored)) {
            return Err(format!("--ignore: there is no column {name:?}: there are {}", names.join(", ")).into());
        }
        let positions = names.iter().map(position).collect::<Result<_>>()?;
        Ok(Columns { schema: Arc::clone(schema), positions, null: null.to_owned() })
    }

    /// The record of a row.
    pub fn record(&self, row: &CsvRow) -> Result<PlacedRecord> {
        let place = row.place;
        let mut named: Vec<(&str, Value)> = Vec::with_capacity(row.cells.len());
        for (cell, position) in row.cells.iter().zip(&self.positions) {
            let Some(field) = position.and_then(|position| self.schema.fields().get(position)) else { continue };
            let is_null = field.is_nullable() && !cell.is_quoted && cell.text == self.null;
            let value = if is_null { Ok(Value::Null) } else { field.parse_value(&cell.text) };
            let is_empty = cell.text.is_empty() && !field.is_nullable();
            let why = if is_empty { ": only a field with a ? can hold nothing" } else { "" };
            named.push((field.name(), value.map_err(|error| format!("{place}, {error}{why}"))?));
        }
        let record = Values::named(&self.schema, named).map_err(|error| format!("{place}: {error}"))?;
        Ok(PlacedRecord { place, record })
    }
}

/// The record of an object.
pub fn record_of_object(
    object: &Map<String, Json>,
    place: Place,
    schema: &Arc<Schema>,
    ignored: &[String],
) -> Result<PlacedRecord> {
    let mut named: Vec<(&str, Value)> = Vec::with_capacity(object.len());
    for (name, json) in object {
        if name.starts_with('@') || ignored.contains(name) {
            continue;
        }
        let (_, field) =
            schema.expect_field(name).map_err(|error| format!("{place}: {error}; `--ignore` leaves a member out"))?;
        let value = field.value_from_json(json).map_err(|error| format!("{place}, {error}"))?;
        named.push((field.name(), value));
    }
    let record = Values::named(schema, named).map_err(|error| format!("{place}: {error}"))?;
    Ok(PlacedRecord { place, record })
}
