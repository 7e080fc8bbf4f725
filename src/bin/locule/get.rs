//! `locule get`: one record.

use std::path::PathBuf;

use clap::Args;
use locule::{Row, Schema, Value, Values};
use serde_json::{Map, Value as Json};

use crate::choosing::Column;
use crate::failure::Failure;
use crate::output::{self, visible};
use crate::record_choice::{Key, Which};
use crate::writing::{for_people, json_of, shown_json};
use crate::{Result, Verdict, opening, refusal};

/// Prints one record, or one field of it.
///
/// Takes no lock. A field alone is printed as it is, and a field that holds nothing as an empty line. Exit status 1 if there
/// is no such record.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule get visits.loc 42
  locule get visits.loc 42 user
  locule get visits.loc 42 @version
  locule get visits.loc 42 --json | jq .hits")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    which: Key,
    /// Only this field.
    field: Option<String>,
    /// Print one JSON object; a field alone is a JSON value.
    #[arg(long)]
    json: bool,
}

/// Prints the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, which: Key { key }, .. } = options;
    let table = opening::to_read(file)?;
    let schema = table.schema();
    let column = options.field.as_deref().map(|name| Column::named(name, schema)).transpose()?;
    let Some(row) = Which::parse(key, schema)?.read(&table).map_err(Failure::about(file))? else {
        return Ok(refusal::of_key(file, key));
    };
    let line = match (column, options.json) {
        (Some(column), true) => shown_json(&json_of(schema, column, &value(&row, column))),
        (Some(column), false) => match value(&row, column) {
            Value::Null => String::new(),
            value if output::is_for_a_terminal() => visible(&value.to_string()).into_owned(),
            value => value.to_string(),
        },
        (None, true) => object(&row, schema),
        (None, false) => lines(&row, schema),
    };
    output::print(&format!("{line}\n"))?;
    Ok(Verdict::Good)
}

fn value(row: &Row<Values>, column: Column) -> Value {
    match column {
        Column::Id => row.id().into(),
        Column::Version => row.version().into(),
        Column::Field(position) => row.iter().nth(position).map(|(_, value)| value.clone()).unwrap_or_default(),
    }
}

fn object(row: &Row<Values>, schema: &Schema) -> String {
    let members = Column::all(schema)
        .into_iter()
        .map(|column| (column.name(schema).to_owned(), json_of(schema, column, &value(row, column))));
    shown_json(&Json::Object(members.collect::<Map<_, _>>()))
}

fn lines(row: &Row<Values>, schema: &Schema) -> String {
    let mut columns = Column::all(schema);
    columns.extend([Column::Id, Column::Version]);
    let width = columns.iter().map(|column| column.name(schema).len()).max().unwrap_or(0);
    let line = |column: Column| format!("{:width$}  {}", column.name(schema), for_people(&value(row, column)));
    columns.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
