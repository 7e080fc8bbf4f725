//! `locule set`: some fields of a record.

use std::path::PathBuf;

use clap::Args;
use locule::Error;

use crate::failure::Failure;
use crate::record_choice::{Assignments, Key, VALUES_HELP, Which};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening, refusal};

/// Changes some fields of a record.
///
/// When the command ends, the change survives a power cut. Exit status 1 if there is no such record.
#[derive(Args)]
#[command(after_help = format!("\
{VALUES_HELP}

Examples:
  locule set visits.loc 42 hits=2
  locule set visits.loc 42 hits=2 note:=null --if-version 17
  locule set visits.loc 42 note=- < note.txt"))]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    which: Key,
    #[command(flatten)]
    fields: Assignments,
    /// Only if the record has this version, as `locule get` shows it. Exit status 1 if it has another.
    #[arg(long, value_name = "NUMBER")]
    if_version: Option<u64>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Changes the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, which: Key { key }, .. } = options;
    let table = opening::to_write(file)?;
    let which = Which::parse(key, table.schema())?;
    let fields = options.fields.of(table.schema())?;
    let written = table.write(|transaction| {
        let Some(row) = which.read_in(transaction)? else { return Ok(None) };
        if let Some(expected) = options.if_version.filter(|expected| *expected != row.version()) {
            return Err(Error::Conflict { expected, found: row.version() });
        }
        transaction.update_fields(row.id(), fields.iter().map(|(name, value)| (name, value.clone()))).map(Some)
    });
    let version = match written {
        Err(Error::Conflict { found, .. }) => return Ok(refusal::of_version(file, found)),
        written => written.map_err(Failure::about(file))?,
    };
    let Some(version) = version else { return Ok(refusal::of_key(file, key)) };
    opening::close(table, file)?;
    options.reporting.print(|| vec![("version", version.to_string().into())], || format!("version {version}\n"))?;
    Ok(Verdict::Good)
}
