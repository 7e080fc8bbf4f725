//! `locule sync`: makes what was written survive a power cut.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Waits until all that was written to a table is on the disk.
///
/// If the table needs a recovery, it is recovered first, as by every program that opens it to write.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule sync visits.loc\n  locule sync visits.loc --json")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Makes a sync.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let number = opening::to_write(file)?.sync().map_err(Failure::about(file))?;
    let members = || vec![("synced_number", number.to_string().into())];
    options.reporting.print(members, || format!("synced up to transaction {number}\n"))?;
    Ok(Verdict::Good)
}
