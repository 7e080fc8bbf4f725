//! `locule scrub`: wipes what was deleted.

use std::path::PathBuf;

use clap::Args;
use locule::maintenance;

use crate::failure::Failure;
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Overwrites what is left in the file of deleted records and of older contents.
///
/// Others cannot write meanwhile. When the command ends, it is on the disk. What a file system or a flash disk keep of blocks
/// that were overwritten is out of reach, and so are backups.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule delete users.loc 42 && locule scrub users.loc")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Wipes the cells.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let scrubbed = maintenance::scrub(file).map_err(Failure::about(file))?;
    opening::say_what_is_lost(file, &scrubbed.recovery);
    let cell_count = scrubbed.cell_count;
    let members = || vec![("wiped_count", cell_count.into())];
    options.reporting.print(members, || format!("{cell_count} old contents wiped\n"))?;
    Ok(Verdict::Good)
}
