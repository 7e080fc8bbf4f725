//! `locule alter`: another schema or capacity for a table.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use locule::maintenance::{Alteration, Position};
use locule::{Error, FieldSchema, Table, Values};

use crate::asking::Consent;
use crate::failure::{Failure, report, shown};
use crate::output::{self, visible};
use crate::writing::Reporting;
use crate::{Result, Verdict, opening};

/// Changes the fields or the capacity of a table, while others use it.
///
/// What will change is shown first. The table is made anew beside the old one, and takes its place at once: the programs that
/// use it are told so. Records keep their ids and versions. Nothing changes if a record does not fit.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule alter visits.loc add 'note: text(40)?' --after user
  locule alter visits.loc drop note
  locule alter visits.loc rename user visitor
  locule alter visits.loc default hits 1
  locule alter visits.loc widen user 'text(64)'
  locule alter visits.loc resize 20000 --dry-run")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(subcommand)]
    change: Change,
    /// Only show what would change. Whether each record fits is not looked at.
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    reporting: Reporting,
}

#[derive(Subcommand)]
enum Change {
    /// Adds a field: 'note: text(40)?' or 'hits: u32 = 0'. The records that there are get its default, or nothing.
    Add {
        /// The field, as in a schema.
        field: String,
        /// The field that it comes behind, instead of the last one.
        #[arg(long, value_name = "FIELD", conflicts_with = "first")]
        after: Option<String>,
        /// It comes before all others.
        #[arg(long)]
        first: bool,
    },
    /// Drops a field, and what the records hold in it. Asks first if there is a terminal.
    Drop {
        /// The field.
        field: String,
    },
    /// Gives a field another name.
    Rename {
        /// The field.
        field: String,
        /// Its new name.
        name: String,
    },
    /// Gives a field another default, or none. Records that there are stay as they are.
    Default {
        /// The field.
        field: String,
        /// The default; without it the field has none.
        #[arg(allow_negative_numbers = true)]
        value: Option<String>,
    },
    /// Gives a field another type, such as 'text(64)' or u64, which has to hold all values that there are.
    ///
    /// A ? behind the type lets the field hold nothing; without it, it can hold nothing no longer.
    Widen {
        /// The field.
        field: String,
        /// Its new type.
        #[arg(value_name = "TYPE")]
        field_type: String,
    },
    /// Gives the table room for another number of records.
    ///
    /// A smaller one only as long as no record is in the slots that would be gone: records cannot move.
    Resize {
        /// How many.
        #[arg(allow_negative_numbers = true)]
        capacity: u64,
    },
}

/// Shows the change, and makes it.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let table = opening::to_read(file)?;
    check_room(&table, options)?;
    let alteration = alteration(options, &table)?;
    let schema = alteration.preview().map_err(Failure::about(file))?;
    let changes: Vec<String> = match &options.change {
        Change::Resize { capacity } => vec![format!("room for {capacity} records instead of {}", table.capacity())],
        // By the schemas alone it would be one field that goes and another that comes.
        Change::Rename { field, name } => vec![format!("`{field}` is called `{name}`")],
        _ => table.schema().difference(&schema).iter().map(ToString::to_string).collect(),
    };
    let recovery = *table.recovery();
    drop(table);
    if !options.reporting.is_for_programs() {
        let lines: String = changes.iter().map(|change| format!("{}\n", visible(change))).collect();
        output::print(&lines)?;
    }
    let mut record_count = None;
    if !options.dry_run {
        let question = format!("Drop what the records of {} hold there?", shown(file));
        if matches!(options.change, Change::Drop { .. }) && !options.consent.to(&question)? {
            return Ok(Verdict::Bad);
        }
        let rebuilt = alteration.apply();
        // Also if it was refused: to see whether the records fit, the table was opened to write to it.
        opening::say_what_is_lost(file, &recovery);
        record_count = Some(rebuilt.map_err(|error| explain(error, options))?.live_count);
        opening::settle(file);
    }
    let members = || {
        vec![
            ("changes", changes.into()),
            ("schema", schema.to_string().into()),
            ("is_done", record_count.is_some().into()),
            ("record_count", record_count.into()),
        ]
    };
    let text = || record_count.map_or_else(String::new, |count| format!("done, {count} records\n"));
    if options.dry_run {
        options.reporting.print_findings(members, text)?;
    } else {
        options.reporting.print(members, text)?;
    }
    Ok(Verdict::Good)
}

/// More records than there is to be room for fit in no slots.
fn check_room(table: &Table<Values>, options: &Options) -> Result<()> {
    let Change::Resize { capacity } = options.change else { return Ok(()) };
    let file = &options.file;
    let record_count = table.len().map_err(Failure::about(file))?;
    if capacity > 0 && record_count > capacity {
        return Err(format!(
            "{file} holds {record_count} records, which do not fit in {capacity}: delete some first, such as by `locule \
             delete {file} --where …`",
            file = shown(file)
        )
        .into());
    }
    Ok(())
}

/// An error, with what can be done about records that are too far behind for fewer slots.
fn explain(error: Error, options: &Options) -> Box<dyn std::error::Error> {
    let is_about_records = matches!(error, Error::InvalidValue { .. });
    let failure = Failure::about(&options.file)(error);
    match options.change {
        Change::Resize { capacity } if is_about_records => {
            let file = shown(&options.file);
            format!(
                "{}; records cannot move, but a new table takes them: `locule create NEW --schema \"$(locule schema {file})\" \
                 --capacity {capacity}`, then `locule export {file} | locule import NEW -`, and `locule restore NEW {file}` \
                 puts it in the place of the old one",
                report(&failure)
            )
            .into()
        }
        _ => failure.into(),
    }
}

fn alteration(options: &Options, table: &Table<Values>) -> Result<Alteration> {
    let new = Alteration::of(&options.file);
    Ok(match &options.change {
        Change::Add { field, after, first } => {
            let field: FieldSchema = field.parse()?;
            let position = match after {
                Some(name) => Position::After(name.clone()),
                None if *first => Position::First,
                None => Position::Last,
            };
            new.add_field_at(position, field)
        }
        Change::Drop { field } => new.drop_field(field),
        Change::Rename { field, name } => new.rename_field(field, name),
        Change::Default { field, value } => {
            let (_, schema) = table.schema().expect_field(field)?;
            let value = value.as_deref().map(|text| schema.parse_value(text)).transpose()?;
            new.set_default(field, value)
        }
        Change::Widen { field, field_type } => {
            table.schema().expect_field(field)?;
            let new_field: FieldSchema = format!("{field}: {field_type}")
                .parse()
                .map_err(|_| format!("expected a type such as u64, text(64) or date?, found {field_type:?}"))?;
            new.set_type(field, new_field.field_type()).set_nullable(field, new_field.is_nullable())
        }
        Change::Resize { capacity } => new.capacity(*capacity),
    })
}
