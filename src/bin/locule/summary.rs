//! `locule FILE`: what a table is, in a few lines, and its first records.

use std::path::PathBuf;

use clap::Args;
use locule::admin::{self, Condition, Info};
use serde_json::Value as Json;

use crate::choosing::{Choice, Column};
use crate::failure::{Failure, shown};
use crate::info::json_of_condition;
use crate::output::{self, visible_lines};
use crate::rows::Rows;
use crate::writing::{Format, Members, Reporting, Writing, object_of};
use crate::{Result, Verdict, counts};

/// Shows what a table is, and its first records: what `locule FILE` is short for.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule visits.loc
  locule visits.loc --json | jq '.records[0]'
  locule summary visits.loc --limit 3")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// How many records are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    limit: usize,
    #[command(flatten)]
    reporting: Reporting,
}

/// Prints some lines about the table, and the records.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let info = admin::info(file).map_err(Failure::about(file))?;
    if let Condition::NeedsRecovery { outcome: Err(_), .. } = &info.condition {
        options.reporting.print_findings(|| members(&info, Vec::new()), || lines(&info, options))?;
        output::complain(format_args!(
            "locule: {0} cannot be recovered: `locule dump --salvage {0}` prints what is whole, and `locule repair {0} NEW` \
             saves it",
            shown(file)
        ));
        return Ok(Verdict::Bad);
    }
    if options.reporting.is_for_programs() {
        return report(&info, options);
    }
    // Read before anything is printed: if the table becomes another one meanwhile, all of it is looked at anew.
    let mut rows = Rows::of(file)?;
    output::print(&lines(&info, options))?;
    let schema = rows.schema().clone();
    let columns = Column::all(&schema);
    let writing = Writing { format: Format::Table, schema: &schema, columns: &columns, null: None };
    let chosen = Choice::first(options.limit).of(&schema)?;
    writing.write(&mut *chosen.of(rows.by_ref())?)?;
    let (live_count, limit) = (info.status.live_count, u64::try_from(options.limit).unwrap_or(u64::MAX));
    if live_count > limit && counts::is_possible(live_count, &info.status) {
        output::print(&format!("and {} more: `locule dump {}` shows all\n", live_count - limit, shown(file)))?;
    }
    Ok(rows.verdict())
}

/// What there is to say before the records.
fn lines(info: &Info, options: &Options) -> String {
    let in_use = if info.is_in_use { ", in use" } else { "" };
    let first = format!("{}: {}{in_use}", shown(&options.file), counts::records(&info.status));
    let mut lines = format!("{first}\n{}\n", visible_lines(&info.schema.to_string()));
    if let Condition::NeedsRecovery { reason, .. } = &info.condition {
        lines.push_str(&format!("needs a recovery: {reason}\n"));
    }
    lines
}

/// All of it for programs.
fn report(info: &Info, options: &Options) -> Result<Verdict> {
    let mut rows = Rows::of(&options.file)?;
    let schema = rows.schema().clone();
    let columns = Column::all(&schema);
    let first = rows.by_ref().take(options.limit).map(|row| object_of(&schema, &columns, &row)).collect();
    options.reporting.print_findings(|| members(info, first), String::new)?;
    Ok(rows.verdict())
}

fn members(info: &Info, records: Vec<Json>) -> Members {
    vec![
        ("record_count", counts::json_of(info.status.live_count, &info.status)),
        ("capacity", info.status.capacity.into()),
        ("is_in_use", info.is_in_use.into()),
        ("schema", info.schema.to_string().into()),
        ("condition", json_of_condition(&info.condition)),
        ("records", records.into()),
    ]
}
