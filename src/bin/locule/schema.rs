//! `locule schema`: what a table holds, as it is written.

use std::path::PathBuf;

use clap::Args;
use locule::admin;

use crate::failure::Failure;
use crate::output::{self, visible_lines};
use crate::{Result, Verdict};

/// Prints the schema of a table, in the form that `create --schema` takes.
#[derive(Args)]
#[command(after_help = "Examples:
  locule schema visits.loc
  locule create other.loc --schema \"$(locule schema visits.loc)\"")]
pub struct Options {
    /// The table.
    file: PathBuf,
}

/// Prints the schema. It needs only the header of the file, so it can be read also of a damaged one.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let schema = admin::salvage(file).map_err(Failure::about(file))?.schema().to_string();
    let shown = if output::is_for_a_terminal() { visible_lines(&schema) } else { schema };
    output::print(&format!("{shown}\n"))?;
    Ok(Verdict::Good)
}
