//! `locule verify`: every contradiction in a table.

use crate::{Result, Verdict, output};
use clap::Args;
use std::path::PathBuf;

/// Reads a whole table and tells every place where it contradicts itself.
///
/// Takes no lock and changes nothing. While the table is in use, a copy of one moment is checked, or each record by itself
/// if the writers are too busy for that. Of a file that needs a recovery, what the recovery leads to is checked; if it is not
/// possible, each cell by itself. Exit status 1 if anything is wrong.
#[derive(Args)]
pub struct Options {
    /// The table, or what is left of it.
    file: PathBuf,
}

/// Prints a line for each problem, and one that says how much was checked.
pub fn run(options: &Options) -> Result<Verdict> {
    let verification = locule::admin::verify(&options.file)?;
    output::print(&format!("{verification}\n"))?;
    Ok(if verification.is_good() { Verdict::Good } else { Verdict::Bad })
}
