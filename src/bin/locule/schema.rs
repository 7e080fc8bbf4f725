//! `locule schema`: what a table holds, as it is written.

use std::path::PathBuf;

use clap::Args;
use locule::{FieldSchema, admin};
use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::output::{self, visible_lines};
use crate::writing::Reporting;
use crate::{Result, Verdict};

/// Prints the schema of a table, in the form that `create --schema` takes.
#[derive(Args)]
#[command(after_help = "Examples:
  locule schema visits.loc
  locule schema visits.loc --json | jq -r '.fields[].name'
  locule create other.loc --schema \"$(locule schema visits.loc)\"")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
}

/// Prints the schema. It needs only the header of the file, so it can be read also of a damaged one.
pub fn run(options: &Options) -> Result<Verdict> {
    let file = &options.file;
    let salvaged = admin::salvage(file).map_err(Failure::about(file))?;
    let schema = salvaged.schema();
    let text = schema.to_string();
    let members = || {
        vec![
            ("schema", text.clone().into()),
            ("record_bytes", schema.record_bytes().into()),
            ("fields", schema.fields().iter().map(json_of_field).collect()),
        ]
    };
    let shown = || if output::is_for_a_terminal() { visible_lines(&text) } else { text.clone() };
    options.reporting.print_findings(members, || format!("{}\n", shown()))?;
    Ok(Verdict::Good)
}

fn json_of_field(field: &FieldSchema) -> Json {
    json!({
        "name": field.name(),
        "type": field.field_type().to_string(),
        "is_key": field.is_key(),
        "is_nullable": field.is_nullable(),
        "default": field.default_value().map_or(Json::Null, |value| field.value_to_json(&value)),
    })
}
