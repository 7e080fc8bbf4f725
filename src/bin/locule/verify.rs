//! `locule verify`: every contradiction in a table.

use crate::{Result, Verdict, output};
use clap::Args;
use std::path::PathBuf;

/// Reads a whole table and reports every place where it contradicts itself.
///
/// Takes no lock and changes nothing. While the table is in use, a copy of one moment is checked, or each record on its
/// own if the writers are too busy for that. If a file needs a recovery, the result of the recovery is checked; if that
/// is not possible, each cell on its own. Exit status 1 if anything is wrong.
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
