//! `locule count`: how many records there are.

use std::path::PathBuf;

use clap::Args;

use crate::choosing::Where;
use crate::failure::Failure;
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Prints how many records there are, or for how many a condition is true.
///
/// Takes no lock. While others write, a count with a condition may have been right at no single moment.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule count visits.loc\n  locule count visits.loc --where 'hits > 3'")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    condition: Where,
    #[command(flatten)]
    reporting: Reporting,
}

/// Prints the number.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_read(file)?;
    let count = match options.condition.condition(table.schema())? {
        Some(condition) => table.query().filter(condition).count(),
        None => table.len(),
    };
    let count = count.map_err(Failure::about(file))?;
    options.reporting.print_findings(|| vec![("record_count", count.into())], || format!("{count}\n"))?;
    Ok(Verdict::Good)
}
