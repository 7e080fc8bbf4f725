//! `locule dump`: every record of a table.

use crate::{Result, Verdict, output};
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use console::Term;
use locule::Value;
use locule::admin::{self, DumpedRow};
use locule::{FieldSchema, Schema};
use serde_json::{Map, Value as Json};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Prints every record of a table, in the order of the slots.
///
/// Takes no lock and changes nothing. The records are those of one moment, even while others write; if they write so
/// much that no copy of one moment can be made, it says so, and each record is whole on its own. Exit status 1 if a
/// record is damaged; the others are printed all the same. A file that is too damaged for that is refused: then `locule
/// dump --salvage` prints what is left.
#[derive(Args)]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// How the records are written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Believe nothing but the header, and print for each slot the newest record whose own checksum holds.
    ///
    /// For files that are refused without it. Each record is what a writer once put there; it may be older than the
    /// last sync, or newer, even of a transaction that was never finished, records may be of several moments, and
    /// deleted ones may be there again. What is bad is reported on stderr, and then the exit status is 1.
    #[arg(long)]
    salvage: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people: a table with the id, version and fields of each record.
    Table,
    /// For programs: a JSON object per line, with the fields in the order of the schema and nothing else. Integers of
    /// 64 and 128 bits are texts, since readers may take numbers for doubles.
    Jsonl,
}

/// Prints the records, and complains about those that are damaged.
pub fn run(options: &Options) -> Result<Verdict> {
    let mut rows = if options.salvage { salvage(options)? } else { dump(options)? };
    match options.format {
        Format::Table => print_table(&mut rows)?,
        Format::Jsonl => print_lines(&mut rows)?,
    }
    Ok(rows.verdict)
}

fn dump(options: &Options) -> Result<Rows> {
    let dump = admin::dump(&options.file)?;
    if dump.recovery().is_private_copy {
        output::complain(format_args!("locule: {}", dump.recovery()));
    }
    if !dump.is_of_one_moment() {
        output::complain(format_args!(
            "locule: no copy of one moment could be made: each record is whole, but they are not of one moment"
        ));
    }
    let schema = dump.schema().clone();
    Ok(Rows::new(schema, dump.map(|row| row.map_err(|error| error.to_string()))))
}

fn salvage(options: &Options) -> Result<Rows> {
    let salvage = admin::salvage(&options.file)?;
    let schema = salvage.schema().clone();
    Ok(Rows::new(schema, salvage.map(|row| row.map_err(|problem| problem.to_string()))))
}

/// The rows that are not damaged.
struct Rows {
    schema: Schema,
    /// Each row, or what is wrong with it.
    found: Box<dyn Iterator<Item = Result<DumpedRow, String>>>,
    verdict: Verdict,
}

impl Rows {
    fn new(schema: Schema, found: impl Iterator<Item = Result<DumpedRow, String>> + 'static) -> Self {
        Rows { schema, found: Box::new(found), verdict: Verdict::Good }
    }
}

impl Iterator for Rows {
    type Item = DumpedRow;

    fn next(&mut self) -> Option<DumpedRow> {
        loop {
            match self.found.next()? {
                Ok(row) => return Some(row),
                Err(reason) => {
                    output::complain(format_args!("locule: {reason}"));
                    self.verdict = Verdict::Bad;
                }
            }
        }
    }
}

fn print_table(rows: &mut Rows) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    // Without a terminal, such as in a pipe, lines are as long as they need to be.
    if let Some((_, column_count)) = Term::stdout().size_checked() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(column_count);
    }
    table.set_header(["id", "version"].into_iter().chain(rows.schema.fields().iter().map(FieldSchema::name)));
    for row in rows {
        let meta = [row.id.to_string(), row.version.to_string()];
        // Control characters would draw outside their cell.
        let fields = row.values.iter().map(|value| match value {
            Value::Text(text) => text.chars().flat_map(output::visible).collect(),
            other => other.to_string(),
        });
        table.add_row(meta.into_iter().chain(fields));
    }
    Ok(output::print(&format!("{table}\n"))?)
}

fn print_lines(rows: &mut Rows) -> Result<()> {
    let schema = rows.schema.clone();
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    for row in rows {
        let members = schema.fields().iter().zip(&row.values);
        let object: Map<String, Json> =
            members.map(|(field, value)| (field.name().to_owned(), field.value_to_json(value))).collect();
        serde_json::to_writer(&mut stdout, &object).map_err(std::io::Error::from)?;
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}
