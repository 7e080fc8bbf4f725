//! Records written for people and for programs.

use std::io::Write;

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use console::Term;
use locule::admin::DumpedRow;
use locule::{FieldSchema, FieldType, Schema, Value};
use serde_json::{Map, Value as Json};

use crate::choosing::Column;
use crate::output::{self, is_obeyed, visible};
use crate::{Result, csv_cells};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: a table.
    Table,
    /// A line with the names of the fields, and one for each record.
    Csv,
    /// One array of objects.
    Json,
    /// An object per line. Integers of 64 and 128 bits are texts, since readers may take numbers for doubles.
    Jsonl,
}

/// What is written of each record, and how.
pub struct Writing<'a> {
    pub format: Format,
    pub schema: &'a Schema,
    pub columns: &'a [Column],
    /// How a field that holds nothing is written in CSV.
    pub null: Option<&'a str>,
}

impl Writing<'_> {
    /// Writes all rows to stdout. On a terminal, characters that it would obey are escaped.
    pub fn write(&self, rows: &mut dyn Iterator<Item = Result<DumpedRow>>) -> Result<()> {
        match self.format {
            Format::Table => self.write_table(rows),
            Format::Csv => self.write_csv(rows),
            Format::Json => self.write_json(rows),
            Format::Jsonl => self.write_lines(rows),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name(self.schema))
    }

    fn write_table(&self, rows: &mut dyn Iterator<Item = Result<DumpedRow>>) -> Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        // Without a terminal, such as in a pipe, lines are as long as they need to be.
        if let Some((_, column_count)) = Term::stdout().size_checked() {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(column_count);
        }
        table.set_header(self.names());
        for row in rows {
            let row = row?;
            // Control characters would draw outside their cell.
            table.add_row(self.columns.iter().map(|column| for_people(&column.value(&row))));
        }
        Ok(output::print(&format!("{table}\n"))?)
    }

    fn write_csv(&self, rows: &mut dyn Iterator<Item = Result<DumpedRow>>) -> Result<()> {
        let is_for_a_terminal = output::is_for_a_terminal();
        let null = csv_cells::null_text(self.null, self.columns.len());
        csv_cells::check_null_text(null)?;
        let mut stdout = output::buffered();
        writeln!(stdout, "{}", self.names().collect::<Vec<_>>().join(","))?;
        for row in rows {
            let row = row?;
            let cells = self.columns.iter().map(|column| {
                let text = match column.value(&row) {
                    Value::Null => return null.to_owned(),
                    value if is_for_a_terminal => visible(&value.to_string()).into_owned(),
                    value => value.to_string(),
                };
                let mut with_another_meaning = Vec::new();
                if column.is_nullable(self.schema) {
                    with_another_meaning.push(null);
                }
                if self.columns.len() == 1 {
                    with_another_meaning.push("");
                }
                csv_cells::quoted_if_needed(&text, &with_another_meaning)
            });
            writeln!(stdout, "{}", cells.collect::<Vec<_>>().join(","))?;
        }
        Ok(stdout.flush()?)
    }

    fn write_json(&self, rows: &mut dyn Iterator<Item = Result<DumpedRow>>) -> Result<()> {
        let mut stdout = output::buffered();
        let mut before = "[\n";
        for row in rows {
            write!(stdout, "{before}{}", self.object(&row?))?;
            before = ",\n";
        }
        let end = if before == "[\n" { "[]\n" } else { "\n]\n" };
        stdout.write_all(end.as_bytes())?;
        Ok(stdout.flush()?)
    }

    fn write_lines(&self, rows: &mut dyn Iterator<Item = Result<DumpedRow>>) -> Result<()> {
        let mut stdout = output::buffered();
        for row in rows {
            writeln!(stdout, "{}", self.object(&row?))?;
        }
        Ok(stdout.flush()?)
    }

    fn object(&self, row: &DumpedRow) -> String {
        shown_json(&object_of(self.schema, self.columns, row))
    }
}

/// A value on one line, for people. A text that looks like nothing is in quotes.
pub fn for_people(value: &Value) -> String {
    match value {
        Value::Text(text) if text == "null" => format!("{text:?}"),
        value => visible(&value.to_string()).into_owned(),
    }
}

/// A value in JSON, by its field.
pub fn json_of(schema: &Schema, column: Column, value: &Value) -> Json {
    match column {
        Column::Field(position) => schema.fields().get(position).map_or(Json::Null, |field| field.value_to_json(value)),
        // Numbers of 64 bits, like those of fields.
        Column::Id | Column::Version => FieldSchema::new("number", FieldType::U64).value_to_json(value),
    }
}

/// A record in JSON.
pub fn object_of(schema: &Schema, columns: &[Column], row: &DumpedRow) -> Json {
    let members =
        columns.iter().map(|column| (column.name(schema).to_owned(), json_of(schema, *column, &column.value(row))));
    Json::Object(members.collect())
}

/// One line of JSON. On a terminal, what it would obey is escaped, which is the same JSON.
pub fn shown_json(json: &Json) -> String {
    let text = json.to_string();
    if !output::is_for_a_terminal() || !text.contains(is_obeyed) {
        return text;
    }
    let escaped = |next: char| {
        if !is_obeyed(next) {
            return next.to_string();
        }
        let mut units = [0; 2];
        next.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    text.chars().map(escaped).collect()
}

/// For whom a verb reports what it has done or found.
#[derive(Args)]
pub struct Reporting {
    /// Report one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

/// The names and values of an object. In all reports, names are whole words and end in a unit if there is one: `_count` is a
/// number of things, `_bytes`, `_seconds`, `_ms` and `_ns` are what they say, `is_`, `has_` and `can_` are true or false, and
/// numbers of transactions, which grow for ever, are texts.
pub type Members = Vec<(&'static str, Json)>;

impl Reporting {
    pub fn is_for_programs(&self) -> bool {
        self.json
    }

    /// Prints what was done. If that is not possible, it is done all the same, and nobody is to do it again.
    pub fn print(&self, members: impl FnOnce() -> Members, text: impl FnOnce() -> String) -> Result<()> {
        self.print_findings(members, text)
            .map_err(|error| format!("it is done, and not to be repeated, but cannot be reported: {error}").into())
    }

    /// Prints the object, on one line, or the text.
    pub fn print_findings(&self, members: impl FnOnce() -> Members, text: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json {
            let members = members().into_iter().map(|(name, value)| (name.to_owned(), value));
            format!("{}\n", shown_json(&Json::Object(members.collect::<Map<_, _>>())))
        } else {
            text()
        };
        Ok(output::print(&text)?)
    }
}
