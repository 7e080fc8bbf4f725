//! `locule restore`: puts a copy in the place of a table.

use std::path::PathBuf;

use clap::Args;
use locule::maintenance;

use crate::asking::Consent;
use crate::failure::{Failure, shown};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Puts a backup in the place of a table, or where none is.
///
/// What the table holds is gone; the programs that use it are told so. Ids and numbers go on above those of both. The backup
/// stays as it is. Asks first if there is a terminal and a table that would be replaced.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule restore visits-2024-02-29.loc visits.loc
  locule diff visits.loc copy.loc || locule restore copy.loc visits.loc --yes")]
pub struct Options {
    /// The copy.
    backup: PathBuf,
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    reporting: Reporting,
}

/// Puts it there.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { backup, file, .. } = options;
    let question = format!("Replace {}?", shown(file));
    if file.symlink_metadata().is_ok() && !options.consent.to(&question)? {
        return Ok(Verdict::Bad);
    }
    let copied = maintenance::restore(backup, file).map_err(Failure::about(file))?;
    opening::say_what_is_left_out(backup, &copied.recovery);
    opening::settle(file);
    let members =
        || vec![("record_count", copied.live_count.into()), ("newest_number", copied.number.to_string().into())];
    options.reporting.print(members, || format!("{} records in {}\n", copied.live_count, shown(file)))?;
    Ok(Verdict::Good)
}
