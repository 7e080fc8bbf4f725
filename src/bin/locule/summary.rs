//! `locule FILE`: what a table is, in a few lines, and its first records.

use std::path::PathBuf;

use clap::Args;
use locule::admin::{self, Condition};

use crate::choosing::{Choice, Column};
use crate::failure::{Failure, shown};
use crate::output::{self, visible_lines};
use crate::rows::Rows;
use crate::writing::{Format, Writing};
use crate::{Result, Verdict};

/// Shows what a table is, and its first records: what `locule FILE` is short for.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule visits.loc\n  locule summary visits.loc --limit 3")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// How many records are shown.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    limit: usize,
}

/// Prints some lines about the table, and the records.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let info = admin::info(file).map_err(Failure::about(file))?;
    let (live_count, capacity) = (info.status.live_count, info.status.capacity);
    let in_use = if info.is_in_use { ", in use" } else { "" };
    let mut lines = format!("{}: {live_count} of {capacity} records{in_use}\n", shown(file));
    lines.push_str(&visible_lines(&info.schema.to_string()));
    lines.push('\n');
    let mut verdict = Verdict::Good;
    if let Condition::NeedsRecovery { reason, outcome } = &info.condition {
        lines.push_str(&format!("needs a recovery: {reason}\n"));
        verdict = Verdict::good_if(outcome.is_ok());
    }
    output::print(&lines)?;
    if verdict == Verdict::Bad {
        output::complain(format_args!(
            "locule: {0} cannot be recovered: `locule dump --salvage {0}` prints what is whole, and `locule repair {0} NEW` \
             saves it",
            shown(file)
        ));
        return Ok(verdict);
    }
    let mut rows = Rows::of(file)?;
    let schema = rows.schema().clone();
    let columns = Column::all(&schema);
    let writing = Writing { format: Format::Table, schema: &schema, columns: &columns, null: None };
    let chosen = Choice::first(options.limit).of(&schema)?;
    writing.write(&mut *chosen.of(rows.by_ref())?)?;
    let limit = u64::try_from(options.limit).unwrap_or(u64::MAX);
    if live_count > limit {
        output::print(&format!("and {} more: `locule dump {}` shows all\n", live_count - limit, shown(file)))?;
    }
    Ok(rows.verdict())
}
