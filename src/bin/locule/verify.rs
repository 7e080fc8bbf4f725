//! `locule verify`: every contradiction in a table.

use std::path::PathBuf;

use clap::Args;
use locule::admin::{Extent, Problem};
use serde_json::{Value as Json, json};

use crate::failure::{Failure, naming};
use crate::writing::Reporting;
use crate::{Result, Verdict, output};

/// Reads a whole table and reports every place where it contradicts itself.
///
/// Takes no lock and changes nothing. While the table is in use, a copy of one moment is checked, or each record on its
/// own if the writers are too busy for that. If a file needs a recovery, the result of the recovery is checked; if that
/// is not possible, each cell on its own. Exit status 1 if anything is wrong. The first 1,000 problems are told.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule verify visits.loc\n  locule verify visits.loc --json | jq .problem_count")]
pub struct Options {
    /// The table, or what is left of it.
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Prints a line for each problem, and one that says how much was checked.
pub fn run(options: &Options) -> Result<Verdict> {
    let verification = locule::admin::verify(&options.file).map_err(Failure::about(&options.file))?;
    // What the next writer will find is what was checked.
    let recovery = match &verification.extent {
        Extent::Recovery(recovery) => Some(recovery.to_string()),
        _ => None,
    };
    let members = || {
        vec![
            ("is_good", verification.is_good().into()),
            ("record_count", verification.record_count.into()),
            ("problem_count", verification.problem_count.into()),
            ("problems", verification.problems.iter().map(json_of_problem).collect()),
            ("recovery", recovery.into()),
        ]
    };
    options.reporting.print_findings(members, || {
        format!("{}\n", output::visible_lines(&naming(&options.file, &verification.to_string())))
    })?;
    Ok(Verdict::good_if(verification.is_good()))
}

/// A bad place for programs.
pub fn json_of_problem(problem: &Problem) -> Json {
    json!({ "place": problem.place.to_string(), "description": problem.description })
}
