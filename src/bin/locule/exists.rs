//! `locule exists`: whether there is a record.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::record_choice::{KeyOrWhere, Selection};
use crate::{Result, Verdict, opening};

/// Tells by its exit status whether there is a record: 0 if there is one, 1 if not, 2 after an error.
///
/// Takes no lock, and prints nothing.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule exists visits.loc 42 && echo yes
  locule exists visits.loc --where 'user == \"ada\"'")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    which: KeyOrWhere,
}

/// Looks for the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_read(file)?;
    let is_there = match options.which.of(table.schema())? {
        Selection::One(which) => which.read(&table).map(|row| row.is_some()),
        Selection::All(condition) => table.query().filter(condition).exists(),
    };
    Ok(Verdict::good_if(is_there.map_err(Failure::about(file))?))
}
