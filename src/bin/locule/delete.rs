//! `locule delete`: one record, or all that fulfil a condition.

use std::path::PathBuf;

use clap::Args;
use locule::{Condition, Error, Table, Values};

use crate::asking::Consent;
use crate::failure::{Failure, shown};
use crate::record_choice::{KeyOrWhere, Selection, Which};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening, refusal};

/// Deletes a record, or all records for which a condition is true.
///
/// With --where, how many they are is shown first, and if there is a terminal it asks; they are deleted in one
/// transaction. Exit status 1 if there is no such record.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule delete visits.loc 42
  locule delete visits.loc 42 --if-version 17
  locule delete visits.loc --where 'hits < 3' --yes")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    which: KeyOrWhere,
    /// Only if the record has this version, as `locule get` shows it. Exit status 1 if it has another.
    #[arg(long, value_name = "NUMBER", conflicts_with = "text")]
    if_version: Option<u64>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    reporting: Reporting,
}

/// Deletes the records, and says how many.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_write(file)?;
    let deleted_count = match options.which.of(table.schema())? {
        Selection::One(which) => match delete_one(&table, &which, options)? {
            Ok(()) => 1,
            Err(verdict) => return Ok(verdict),
        },
        Selection::All(condition) => match delete_all(&table, condition, options)? {
            Some(count) => count,
            None => return Ok(Verdict::Bad),
        },
    };
    opening::close(table, file)?;
    let members = || vec![("deleted_count", deleted_count.into())];
    options.reporting.print(members, || format!("{deleted_count} deleted\n"))?;
    Ok(Verdict::good_if(deleted_count > 0))
}

fn delete_one(table: &Table<Values>, which: &Which, options: &Options) -> Result<Result<(), Verdict>> {
    let file = &options.file;
    let deleted = table.write(|transaction| {
        let Some(row) = which.read_in(transaction)? else { return Ok(false) };
        match options.if_version {
            Some(version) => transaction.delete_if(row.id(), version)?,
            None => transaction.delete(row.id())?,
        }
        Ok(true)
    });
    match deleted {
        Ok(true) => Ok(Ok(())),
        Ok(false) => Ok(Err(refusal::of_key(file, options.which.key.as_deref().unwrap_or_default()))),
        Err(Error::Conflict { found, .. }) => Ok(Err(refusal::of_version(file, found))),
        Err(error) => Err(Failure::about(file)(error).into()),
    }
}

/// None if the user does not want to.
fn delete_all(table: &Table<Values>, condition: Condition, options: &Options) -> Result<Option<u64>> {
    let file = &options.file;
    let count = table.query().filter(condition.clone()).count().map_err(Failure::about(file))?;
    if count == 0 {
        return Ok(Some(0));
    }
    if !options.consent.to(&format!("Delete {count} of {} records in {}?", table.len()?, shown(file)))? {
        return Ok(None);
    }
    Ok(Some(table.query().filter(condition).delete().map_err(Failure::about(file))?))
}
