//! `locule exists`: whether there is a record.

use std::path::PathBuf;

use clap::Args;

use crate::choosing::Where;
use crate::failure::Failure;
use crate::record_choice::Which;
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
    /// The key of the record; in a table without one its @id, as `locule dump` shows it.
    #[arg(allow_negative_numbers = true, required_unless_present = "text", conflicts_with = "text")]
    key: Option<String>,
    #[command(flatten)]
    condition: Where,
}

/// Looks for the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_read(file)?;
    let is_there = match (&options.key, options.condition.condition(table.schema())?) {
        (Some(key), _) => Which::parse(key, table.schema())?.read(&table).map(|row| row.is_some()),
        (None, Some(condition)) => table.query().filter(condition).exists(),
        (None, None) => return Err("expected KEY or --where".into()),
    };
    Ok(Verdict::good_if(is_there.map_err(Failure::about(file))?))
}
