//! `locule backup`: a copy of a table.

use std::path::PathBuf;

use clap::Args;
use locule::maintenance;

use crate::failure::{Failure, shown};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Copies a table into a new file, as of one moment, while others write.
///
/// Takes no lock. When the command ends, the copy is on the disk. It is a table like any other: to go back to it use
/// `locule restore`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule backup visits.loc visits-$(date +%F).loc
  locule backup visits.loc copy.loc && locule verify copy.loc")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// The copy, which must not exist yet.
    out: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Makes the copy.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, out, .. } = options;
    let copied = maintenance::backup(file, out).map_err(Failure::about(file))?;
    opening::say_what_is_left_out(file, &copied.recovery);
    let members =
        || vec![("record_count", copied.live_count.into()), ("newest_number", copied.number.to_string().into())];
    options.reporting.print(members, || format!("{} records in {}\n", copied.live_count, shown(out)))?;
    Ok(Verdict::Good)
}
