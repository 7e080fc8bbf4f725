//! `locule put`: a whole record.

use std::path::PathBuf;

use clap::Args;
use locule::{Error, Values};

use crate::failure::Failure;
use crate::record_choice::{Assignments, VALUES_HELP, Which};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening, refusal};

/// Inserts a record, or writes it over the one that has its key.
///
/// A field that is not named gets its default. `locule set` changes single fields. When the command ends, the record
/// survives a power cut.
#[derive(Args)]
#[command(after_help = format!("\
{VALUES_HELP}

Examples:
  locule put visits.loc id=42 user=ada hits=1
  locule put visits.loc id=42 user=ada --if-version 0
  fortune | locule put visits.loc id=43 user=eve note=-"))]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    fields: Assignments,
    /// Only if the record that is there has this version; 0 if there must be none. Exit status 1 if it is not so.
    #[arg(long, value_name = "NUMBER")]
    if_version: Option<u64>,
    #[command(flatten)]
    reporting: Reporting,
}

/// Writes the record.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_write(file)?;
    let schema = table.schema();
    let record = Values::named(schema, options.fields.of(schema)?)?;
    let key = record.key().cloned().map(Which::Key);
    let written = table.write(|transaction| {
        let found = match &key {
            Some(key) => key.read_in(transaction)?,
            None => None,
        };
        let found_version = found.as_ref().map_or(0, |row| row.version());
        if options.if_version.is_some_and(|expected| expected != found_version) {
            return Err(Error::Conflict { expected: options.if_version.unwrap_or(0), found: found_version });
        }
        let (id, version) = match found {
            Some(row) => (row.id(), transaction.replace(row.id(), &record)?),
            None => transaction.insert_versioned(&record)?,
        };
        Ok((id, version, found_version == 0))
    });
    let (id, version, is_new) = match written {
        Err(Error::Conflict { found, .. }) => return Ok(refusal::of_version(file, found)),
        written => written.map_err(Failure::about(file))?,
    };
    opening::close(table, file)?;
    let members =
        || vec![("is_new", is_new.into()), ("id", id.to_string().into()), ("version", version.to_string().into())];
    let done = if is_new { "inserted" } else { "replaced" };
    options.reporting.print(members, || format!("{done}, version {version}\n"))?;
    Ok(Verdict::Good)
}
