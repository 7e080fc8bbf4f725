//! `locule set`: some fields of a record.

use std::path::PathBuf;

use clap::Args;
use locule::Error;

use crate::failure::Failure;
use crate::record_choice::{VALUES_HELP, Which, assignments};
use crate::writing::print_report;
use crate::{Result, Verdict, opening, output, refusal};

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
    /// The key of the record; in a table without one its @id, as `locule dump` shows it.
    #[arg(allow_negative_numbers = true)]
    key: String,
    /// The fields.
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Only if the record has this version, as `locule get` shows it. Exit status 1 if it has another.
    #[arg(long, value_name = "NUMBER")]
    if_version: Option<u64>,
    /// Report one JSON object.
    #[arg(long)]
    json: bool,
}

/// Changes the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, key, .. } = options;
    let table = opening::to_write(file)?;
    let which = Which::parse(key, table.schema())?;
    let fields = assignments(&options.fields, table.schema())?;
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
    if options.json {
        print_report([("version", version.to_string().into())])?;
    } else {
        output::print(&format!("version {version}\n"))?;
    }
    Ok(Verdict::Good)
}
