//! `locule import`: records from a file into a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use locule::{Error, Schema, Table, Values, WriteTransaction};

use crate::csv_rows::CsvRows;
use crate::failure::{Failure, about};
use crate::input::{Input, source_name};
use crate::json_rows::JsonRows;
use crate::records::{Columns, PlacedRecord, record_of_object};
use crate::writing::Reporting;
use crate::{Result, Verdict, csv_cells, opening};

/// Reads records from a CSV or JSON file into a table.
///
/// Columns are found by their names; a field without a column gets its default. All records are imported or, after any
/// error, none, in one transaction that begins when all of the input has been read; with `--batch` in several.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule import visits.loc visits.csv
  locule import visits.loc visits.jsonl --on-duplicate replace
  locule import visits.loc measured.csv --null NA --ignore comment
  locule export visits.loc | locule import copy.loc -")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// A file of CSV, whose first line has the names of the fields, or of JSON objects, one per line or in an array; -
    /// for standard input.
    source: PathBuf,
    /// What the source is: by default that is seen from its beginning. Nothing at all is JSON lines of no records.
    #[arg(long, value_enum)]
    format: Option<SourceFormat>,
    /// What to do with a record whose key is there already.
    #[arg(long, value_enum, default_value_t = OnDuplicate::Error)]
    on_duplicate: OnDuplicate,
    /// Write after so many records each: what was written before an error stays.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    batch: Option<u64>,
    /// What stands for nothing in CSV, if it is not in quotes: by default an empty cell.
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// Columns that are left out.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SourceFormat {
    Csv,
    /// One array of objects.
    Json,
    /// One object per line.
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnDuplicate {
    /// Import nothing.
    Error,
    /// Leave the record that is there.
    Skip,
    /// Write over it.
    Replace,
}

/// How many records were treated how.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    inserted: u64,
    replaced: u64,
    skipped: u64,
}

type Records = Box<dyn Iterator<Item = Result<PlacedRecord>>>;

/// Imports the records, and says how many.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, source, .. } = options;
    let table = opening::to_write(file)?;
    let mut counts = Counts::default();
    let outcome = read(options, table.schema()).and_then(|records| import(&table, records, options, &mut counts));
    opening::close(table, file)?;
    if let Err(error) = outcome {
        let written = counts.inserted + counts.replaced;
        let kept = if written == 0 {
            "nothing was imported".to_owned()
        } else {
            format!("{written} records before it were imported")
        };
        return Err(format!("{}: {}; {kept}", source_name(source), crate::failure::report(error.as_ref())).into());
    }
    let Counts { inserted, replaced, skipped } = counts;
    let members = || {
        vec![
            ("inserted_count", inserted.into()),
            ("replaced_count", replaced.into()),
            ("skipped_count", skipped.into()),
        ]
    };
    let text = || {
        let others = [(replaced, "replaced"), (skipped, "skipped")];
        let others = others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
        format!("{inserted} inserted{}\n", others.collect::<String>())
    };
    options.reporting.print(members, text)?;
    Ok(Verdict::Good)
}

fn read(options: &Options, schema: &Arc<Schema>) -> Result<Records> {
    let mut input = Input::open(&options.source)?;
    let is_csv = match options.format {
        Some(format) => format == SourceFormat::Csv,
        None => {
            let is_named_so = options.source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
            // An export of no records as JSON lines has no bytes.
            is_named_so || !matches!(input.first_byte()?, None | Some(b'{' | b'['))
        }
    };
    if is_csv {
        let rows = CsvRows::open(input)?;
        let null = csv_cells::null_text(options.null.as_deref(), rows.names().len());
        let columns = Columns::of(rows.names(), schema, &options.ignore, null)?;
        return Ok(Box::new(rows.map(move |row| columns.record(&row?))));
    }
    if options.format == Some(SourceFormat::Json) && input.first_byte()?.is_none() {
        return Err("the input is empty: expected an array of JSON objects".into());
    }
    let (schema, ignored) = (Arc::clone(schema), options.ignore.clone());
    let record = move |row: Result<_>| {
        let (place, object) = row?;
        record_of_object(&object, place, &schema, &ignored)
    };
    Ok(Box::new(JsonRows::open(input)?.map(record)))
}

fn import(table: &Table<Values>, mut records: Records, options: &Options, counts: &mut Counts) -> Result<()> {
    // Of records that are all inserted, one more than fit is one too many, however many come behind it.
    let is_all_inserted = options.on_duplicate == OnDuplicate::Error || table.schema().key().is_none();
    let record_count_max = if is_all_inserted { table.capacity().saturating_add(1) } else { u64::MAX };
    let batch_count = options.batch.unwrap_or(u64::MAX).min(record_count_max);
    let batch_count = usize::try_from(batch_count).unwrap_or(usize::MAX);
    loop {
        // The lock is not held while the input is read: that can take as long as somebody types.
        let batch = records.by_ref().take(batch_count).collect::<Result<Vec<_>>>()?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut done = *counts;
        let write = |transaction: &mut WriteTransaction<'_, Values>| {
            batch.iter().try_for_each(|record| write_one(transaction, record, options, &mut done))
        };
        table.try_write(write).map_err(about(&options.file))?;
        *counts = done;
    }
}

fn write_one(
    transaction: &mut WriteTransaction<'_, Values>,
    PlacedRecord { place, record }: &PlacedRecord,
    options: &Options,
    counts: &mut Counts,
) -> Result<()> {
    let is_there = |transaction: &mut WriteTransaction<'_, Values>| match record.key() {
        Some(key) => transaction.contains_key(key.clone()),
        None => Ok(false),
    };
    let outcome = if options.on_duplicate == OnDuplicate::Error || !is_there(transaction)? {
        transaction.insert(record).map(|_| counts.inserted += 1)
    } else if options.on_duplicate == OnDuplicate::Skip {
        counts.skipped += 1;
        Ok(())
    } else {
        transaction.upsert(record).map(|_| counts.replaced += 1)
    };
    outcome.map_err(|error| explain(error, &options.file, place).into())
}

fn explain(error: Error, file: &Path, place: &crate::input::Place) -> String {
    match error {
        Error::DuplicateKey { key, .. } => format!(
            "{place}: a record with the key {key} is there already: `--on-duplicate skip` leaves it as it is, \
             `--on-duplicate replace` writes over it"
        ),
        other => format!("{place}: {}", Failure::about(file)(other)),
    }
}
