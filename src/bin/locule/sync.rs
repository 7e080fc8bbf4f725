//! `locule sync`: makes what was written survive a power cut.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::writing::print_report;
use crate::{Result, Verdict, opening, output};

/// Waits until all that was written to a table is on the disk.
///
/// If the table needs a recovery, it is recovered first, as by every program that opens it to write.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule sync visits.loc\n  locule sync visits.loc --json")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// Report one JSON object.
    #[arg(long)]
    json: bool,
}

/// Makes a sync.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let number = opening::to_write(file)?.sync().map_err(Failure::about(file))?;
    if options.json {
        print_report([("number", number.to_string().into())])?;
    } else {
        output::print(&format!("synced up to transaction {number}\n"))?;
    }
    Ok(Verdict::Good)
}
