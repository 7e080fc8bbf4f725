//! `locule dump`: the records of a table.

use std::path::PathBuf;

use clap::Args;

use crate::choosing::{Choice, Column};
use crate::rows::Rows;
use crate::writing::{Format, Writing};
use crate::{Result, Verdict, raw};

/// Prints the records of a table.
///
/// Takes no lock and changes nothing. The records are those of one moment, even while others write; if they write so
/// much that no copy of one moment can be made, it says so, and each record is whole on its own. Exit status 1 if a
/// record is damaged; the others are printed all the same. A file that is too damaged for that is refused: then `locule
/// dump --salvage` prints what is left.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule dump visits.loc --sort -hits --limit 10
  locule dump visits.loc --where 'hits > 3 && note != null' --fields id,hits
  locule dump visits.loc --format jsonl | jq .user
  locule dump damaged.loc --salvage --format csv
  locule dump visits.loc --raw 3")]
pub struct Options {
    #[command(flatten)]
    what: What,
    /// How the records are written [default: table].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show this slot alone, byte by byte: its head, and its four cells with their fields. Exit status 1 if a cell is
    /// damaged.
    #[arg(long, value_name = "SLOT", conflicts_with_all = ["salvage", "format", "text", "sort", "fields", "limit", "null"])]
    raw: Option<u32>,
}

/// What is printed.
#[derive(Args)]
pub struct What {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    /// How a field that holds nothing is written in CSV: by default as an empty cell. An empty text is "".
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// Believe nothing but the header, and print for each slot the newest record whose own checksum holds.
    ///
    /// For files that are refused without it. Each record is what a writer once put there; it may be older than the
    /// last sync, or newer, even of a transaction that was never finished, records may be of several moments, and
    /// deleted ones may be there again. What is bad is reported on stderr, and then the exit status is 1.
    #[arg(long)]
    salvage: bool,
}

/// Prints the records, and complains about those that are damaged.
pub fn run(options: &Options) -> Result<Verdict> {
    if let Some(slot) = options.raw {
        return raw::print(&options.what.file, slot);
    }
    print(&options.what, options.format.unwrap_or(Format::Table))
}

/// The same in a certain format.
pub fn print(what: &What, format: Format) -> Result<Verdict> {
    let mut rows = if what.salvage { Rows::salvaged(&what.file)? } else { Rows::of(&what.file)? };
    let schema = rows.schema().clone();
    let chosen = what.choice.of(&schema)?;
    let mut all = Column::all(&schema);
    if format == Format::Table {
        all.splice(0..0, [Column::Id, Column::Version]);
    }
    let columns = chosen.columns().unwrap_or(&all);
    let writing = Writing { format, schema: &schema, columns, null: what.null.as_deref() };
    writing.write(&mut *chosen.of(rows.by_ref())?)?;
    Ok(rows.verdict())
}
