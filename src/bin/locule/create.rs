//! `locule create`: a new table, by a schema or from a CSV file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use locule::{FieldSchema, OpenOptions, Schema, Table, Values};

use crate::csv_rows::{CsvRow, CsvRows};
use crate::failure::{Failure, shown};
use crate::inference::{Guess, Room, field_name_of};
use crate::input::{Input, all_of_stdin, source_name};
use crate::interruption::Interruption;
use crate::records::{Columns, PlacedRecord};
use crate::writing::Reporting;
use crate::{Result, Verdict, csv_cells, opening, output};

/// The room of a new table, if nothing else says how much.
const CAPACITY: u64 = 10_000;
/// The room of the largest table.
const CAPACITY_MAX: u64 = 1 << 24;
/// A schema that is longer is none that anybody has written.
const SCHEMA_BYTES_MAX: usize = 64 << 20;

/// Makes a table: an empty one by its schema, or one with the records of a CSV file.
///
/// From a CSV file, the types are inferred from the cells, with room to grow in texts, and the schema is printed. Numbers that
/// would lose digits are texts. A column with an empty cell can hold nothing. Nothing is left behind if something does not fit, or Ctrl-C comes.
#[derive(Args)]
#[command(after_help = "\
Types: bool, i8 to i128, u8 to u128, f32, f64, text(BYTES), bytes(BYTES), timestamp, date. A ? behind it: it can hold
nothing.

Examples:
  locule create visits.loc --schema 'key id: u64, user: text(32), hits: u32 = 0, note: text(40)?'
  locule create copy.loc --schema \"$(locule schema visits.loc)\" --capacity 1000000
  locule create languages.loc --from languages.csv --key alpha_3
  locule create languages.loc --from languages.csv --key alpha_3 --type 'scope=text(1)' --dry-run")]
pub struct Options {
    /// The table, which must not exist yet.
    file: PathBuf,
    /// What it holds, as `locule schema` prints it; - reads it from standard input.
    #[arg(long, value_name = "TEXT", conflicts_with = "from")]
    schema: Option<String>,
    /// A CSV file, whose first line names the fields, or - for standard input.
    #[arg(long, value_name = "CSV")]
    from: Option<PathBuf>,
    /// The column by which records are found.
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// Another type for a column than the one that is inferred.
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    types: Vec<String>,
    /// What stands for nothing in the CSV file, besides an empty cell.
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// Only print the schema.
    #[arg(long)]
    dry_run: bool,
    /// How many records it has room for [default: 10000, and from a CSV file twice what is in it if that is more].
    #[arg(long, value_name = "COUNT")]
    capacity: Option<u64>,
    /// The permissions of the file.
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = mode)]
    mode: u32,
    #[command(flatten)]
    reporting: Reporting,
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).map_err(|_| "expected permissions such as 640".to_owned())
}

/// Makes the table.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, schema, from, capacity, .. } = options;
    let is_about_csv = options.key.is_some() || options.null.is_some() || !options.types.is_empty();
    if from.is_none() && is_about_csv {
        return Err("--key, --type and --null are for --from CSV: a schema says `key id: u64`".into());
    }
    let (schema, records) = match (from, schema) {
        (Some(csv), _) => read_csv(csv, options).map_err(|error| format!("{}: {error}", source_name(csv)))?,
        (None, Some(text)) => (read_schema(text)?, Vec::new()),
        (None, None) => return Err("expected --schema TEXT or --from CSV; see `locule create --help`".into()),
    };
    let record_count = u64::try_from(records.len()).unwrap_or(u64::MAX);
    let capacity = capacity.unwrap_or(record_count.saturating_mul(2).clamp(CAPACITY, CAPACITY_MAX));
    let text = schema.to_string();
    let shown_schema = format!("{}\n", output::visible_lines(&text));
    let members = || {
        vec![
            ("schema", text.into()),
            ("record_count", record_count.into()),
            ("capacity", capacity.into()),
            ("is_done", (!options.dry_run).into()),
        ]
    };
    if options.dry_run {
        options.reporting.print_findings(members, || shown_schema)?;
        return Ok(Verdict::Good);
    }
    let new: OpenOptions<Values> = Table::<Values>::options().schema(schema).capacity(capacity).mode(options.mode);
    // An empty table would be in the way of the next attempt.
    let interruption = from.is_some().then(Interruption::block).transpose()?;
    let table = new.create(file).map_err(Failure::about(file))?;
    if let Some(interruption) = interruption {
        if let Err(error) = fill(table, file, &records, &interruption) {
            locule::destroy(file).map_err(Failure::about(file))?;
            return Err(error);
        }
    }
    let filled = || format!("{shown_schema}{record_count} records in {}, room for {capacity}\n", shown(file));
    options.reporting.print(members, || if from.is_some() { filled() } else { String::new() })?;
    Ok(Verdict::Good)
}

fn read_schema(text: &str) -> Result<Arc<Schema>> {
    let from_stdin = if text == "-" { Some(String::from_utf8(all_of_stdin(SCHEMA_BYTES_MAX)?)?) } else { None };
    let text = from_stdin.as_deref().unwrap_or(text);
    Ok(Arc::new(text.parse::<Schema>().map_err(|error| format!("--schema: {error}"))?))
}

fn fill(table: Table<Values>, file: &Path, records: &[PlacedRecord], interruption: &Interruption) -> Result<()> {
    table.try_write(|transaction| -> Result<()> {
        for PlacedRecord { record, .. } in records {
            if interruption.came()? {
                return Err(format!("interrupted: {} was not made", shown(file)).into());
            }
            transaction.insert(record)?;
        }
        Ok(())
    })?;
    Ok(opening::close(table, file)?)
}

/// The schema and the records of a CSV file.
fn read_csv(csv: &Path, options: &Options) -> Result<(Arc<Schema>, Vec<PlacedRecord>)> {
    let rows = CsvRows::open(Input::open(csv)?)?;
    let names: Vec<String> = rows.names().to_vec();
    let rows = all_rows(rows, options.capacity.unwrap_or(CAPACITY_MAX).min(CAPACITY_MAX))?;
    let null = csv_cells::null_text(options.null.as_deref(), names.len());
    let schema = Arc::new(infer(&names, &rows, null, options)?);
    let columns = Columns::of(&names, &schema, &[], null)?;
    let records: Vec<PlacedRecord> = rows.iter().map(|row| columns.record(row)).collect::<Result<_>>()?;
    check_keys(&records)?;
    Ok((schema, records))
}

/// As many rows as fit. There may be no end of them.
fn all_rows(found: CsvRows, capacity: u64) -> Result<Vec<CsvRow>> {
    let mut rows = Vec::new();
    for row in found {
        let row = row?;
        if row.place.row > capacity {
            return Err(format!("{}: more records than a capacity of {capacity} has room for", row.place).into());
        }
        rows.push(row);
    }
    Ok(rows)
}

fn infer(names: &[String], rows: &[CsvRow], null: &str, options: &Options) -> Result<Schema> {
    let mut guesses = vec![Guess::new(); names.len()];
    for row in rows {
        guesses.iter_mut().zip(&row.cells).for_each(|(guess, cell)| guess.add(cell, null));
    }
    let types = options.types.iter().map(|text| type_of(text, names)).collect::<Result<HashMap<_, _>>>()?;
    let key = options.key.as_ref().map(|key| column(key, names, "--key")).transpose()?;
    let schema = |room: Room| {
        let field = |(position, (name, guess)): (usize, (&String, &Guess))| {
            let is_key = key == Some(position);
            match types.get(&position) {
                Some(field) if is_key => field.clone().key(),
                Some(field) => field.clone(),
                None => guess.field(&field_name_of(name), is_key, room),
            }
        };
        Schema::new(names.iter().zip(&guesses).enumerate().map(field).collect())
    };
    // Room to grow can make records longer than any can be.
    Ok(schema(Room::ToGrow).or_else(|_| schema(Room::ForTheLongest))?)
}

/// `COLUMN=TYPE`, in which the type is written as in a schema.
fn type_of(text: &str, names: &[String]) -> Result<(usize, FieldSchema)> {
    let (name, field_type) =
        text.split_once('=').ok_or_else(|| format!("--type {text}: expected COLUMN=TYPE, such as hits=u32"))?;
    let position = column(name, names, "--type")?;
    let field = format!("{}: {field_type}", field_name_of(name)).parse::<FieldSchema>();
    Ok((position, field.map_err(|_| format!("--type {text}: expected a type such as u32, text(32) or date?"))?))
}

/// The position of a column, named as in the file or as the field.
fn column(name: &str, names: &[String], option: &str) -> Result<usize> {
    let found = names.iter().position(|column| column == name);
    let found = found.or_else(|| names.iter().position(|column| field_name_of(column) == name));
    let there_are = || format!("{option}: there is no column {name:?}: there are {}", names.join(", "));
    Ok(found.ok_or_else(there_are)?)
}

/// Two records with one key are found before a file is made.
fn check_keys(records: &[PlacedRecord]) -> Result<()> {
    let mut places = HashMap::new();
    for PlacedRecord { place, record } in records {
        let Some(key) = record.key() else { continue };
        if let Some(first) = places.insert(key.to_string(), *place) {
            return Err(format!("{place}: the key {key} is in {first} already").into());
        }
    }
    Ok(())
}
