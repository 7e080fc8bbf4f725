//! `locule repair`: saves what is whole of a damaged file.

use std::path::PathBuf;

use clap::Args;
use locule::{admin, maintenance};

use crate::failure::{Failure, shown};
use crate::output::visible;
use crate::writing::Reporting;
use crate::{Result, Verdict, verify};

/// How many bad places are named.
const NAMED_COUNT: usize = 20;

/// Saves every record of a damaged file that is whole into a new table.
///
/// The damaged file stays as it is. A record is what a writer once put there, and may be older or newer than the last sync;
/// deleted ones may be there again. Of two records with one key the newer is kept. A table that can be opened needs no
/// repair: `locule backup` copies it, as of one moment. But if that says that it leaves out what was written later, a repair
/// saves what is whole of that too. One that is in use is refused. Exit status 0 if nothing was wrong, 1 if there was damage:
/// the new table is there in both cases.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule repair damaged.loc saved.loc
  locule repair damaged.loc saved.loc; locule verify saved.loc && locule restore saved.loc damaged.loc")]
pub struct Options {
    /// The damaged file.
    file: PathBuf,
    /// The new table, which must not exist yet.
    out: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Saves the records, and names the bad places.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, out, .. } = options;
    if admin::info(file).is_ok_and(|info| info.is_in_use) {
        return Err(format!(
            "{0} is in use, and what is written meanwhile could be missing: `locule backup {0} {1}` copies it as of one moment; \
             if it is damaged, end the processes that use it first, which `locule info {0}` names",
            shown(file),
            shown(out)
        )
        .into());
    }
    let repaired = maintenance::repair(file, out).map_err(Failure::about(file))?;
    let (problem_count, left_out_count) = (repaired.problems.len(), repaired.left_out.len());
    let members = || {
        vec![
            ("record_count", repaired.live_count.into()),
            ("problem_count", problem_count.into()),
            ("problems", repaired.problems.iter().map(verify::json_of_problem).collect()),
            ("left_out_count", left_out_count.into()),
            ("left_out", repaired.left_out.iter().map(ToString::to_string).collect()),
        ]
    };
    let text = || {
        let mut lines = format!("{} records saved in {}\n", repaired.live_count, shown(out));
        for problem in repaired.problems.iter().take(NAMED_COUNT) {
            lines.push_str(&format!("{}\n", visible(&problem.to_string())));
        }
        if problem_count > NAMED_COUNT {
            lines.push_str(&format!("and {} more bad places\n", problem_count - NAMED_COUNT));
        }
        if left_out_count > 0 {
            lines.push_str(&format!("{left_out_count} records were left out, since a newer one has their key\n"));
        }
        lines
    };
    options.reporting.print(members, text)?;
    Ok(Verdict::good_if(problem_count == 0 && left_out_count == 0))
}
