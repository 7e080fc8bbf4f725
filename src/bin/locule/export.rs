//! `locule export`: the records of a table, for programs.

use clap::Args;

use crate::dump::{self, What};
use crate::writing::Format;
use crate::{Result, Verdict};

/// Writes the records of a table as CSV or JSON, in the form that `locule import` takes.
///
/// What is exported imports again to equal records: a field that holds nothing is told from an empty text, floats have all
/// their digits, and bytes are hexadecimal. Ids and versions are new ones: `locule backup` keeps them. Otherwise as `locule
/// dump`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule export visits.loc > visits.csv
  locule export visits.loc --format jsonl --where 'hits > 3' > visits.jsonl
  locule export visits.loc | locule import copy.loc -")]
pub struct Options {
    #[command(flatten)]
    what: What,
    /// How the records are written [default: csv].
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// Writes the records.
pub fn run(options: &Options) -> Result<Verdict> {
    dump::print(&options.what, options.format.unwrap_or(Format::Csv))
}
