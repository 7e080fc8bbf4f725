//! `locule destroy`: deletes a table.

use std::path::PathBuf;

use clap::Args;
use locule::admin;

use crate::asking::Consent;
use crate::failure::{Failure, shown};
use crate::{Result, Verdict, counts};

/// Deletes a table and its file.
///
/// The programs that use it are told so. What is not a table is left alone. Asks first if there is a terminal.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule destroy visits.loc\n  locule destroy visits.loc --yes")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    consent: Consent,
}

/// Deletes it.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let info = admin::info(file).map_err(Failure::about(file))?;
    let in_use = if info.is_in_use { ", which other programs use," } else { "" };
    let records = counts::records(&info.status);
    if !options.consent.to(&format!("Destroy {}{in_use} with {records}?", shown(file)))? {
        return Ok(Verdict::Bad);
    }
    locule::destroy(file).map_err(Failure::about(file))?;
    Ok(Verdict::Good)
}
