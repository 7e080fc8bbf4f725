//! `locule diff`: what differs between two tables.

use std::cmp::Ordering;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use console::Style;
use locule::admin::DumpedRow;
use locule::{Order, Schema, Value, field};
use serde_json::{Value as Json, json};

use crate::choosing::Column;
use crate::output::{self, Stdout, visible};
use crate::rows::Rows;
use crate::writing::{for_people, json_of, shown_json};
use crate::{Result, Verdict};

/// Compares two tables, record by record, by their keys.
///
/// A line with - is a record that only the first has, + one that only the second has, and ~ a field that has another value.
/// Tables without a key are compared by the ids of the records, which a backup keeps, but not a table into which they were
/// imported: there the same records can have other ids. If the schemas differ, that is shown, and the fields that
/// both have are compared. Takes no lock. Exit status 1 if there is any difference.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule diff visits.loc yesterday.loc
  locule diff visits.loc repaired.loc --json | jq -r .key")]
pub struct Options {
    /// A table.
    file: PathBuf,
    /// Another one.
    other: PathBuf,
    /// A JSON object for each record that differs.
    #[arg(long)]
    json: bool,
}

/// Prints the differences.
pub fn run(options: &Options) -> Result<Verdict> {
    let (left, right) = (Side::read(&options.file)?, Side::read(&options.other)?);
    let mut report = Report { is_json: options.json, out: output::buffered(), difference_count: 0 };
    for difference in left.schema.difference(&right.schema) {
        report.schema(&difference.to_string())?;
    }
    let comparison = Comparison::of(&left.schema, &right.schema)?;
    comparison.compare(left.rows, right.rows, &mut report)?;
    report.out.flush()?;
    let verdict = Verdict::good_if(
        report.difference_count == 0 && left.verdict == Verdict::Good && right.verdict == Verdict::Good,
    );
    Ok(verdict)
}

/// One of the two tables.
struct Side {
    schema: Schema,
    rows: Vec<DumpedRow>,
    verdict: Verdict,
}

impl Side {
    fn read(path: &Path) -> Result<Self> {
        let mut rows = Rows::of(path)?;
        let schema = Schema::clone(rows.schema());
        let found = rows.by_ref().collect();
        Ok(Side { schema, rows: found, verdict: rows.verdict() })
    }
}

/// A field that both tables have.
struct Common {
    left: Column,
    right: Column,
}

struct Comparison<'a> {
    left: &'a Schema,
    right: &'a Schema,
    key: Common,
    fields: Vec<Common>,
    order: Order,
}

impl<'a> Comparison<'a> {
    fn of(left: &'a Schema, right: &'a Schema) -> Result<Self> {
        let key = match (left.key(), right.key()) {
            (None, None) => Common { left: Column::Id, right: Column::Id },
            (Some(own), Some(other)) if own.name() == other.name() && own.field_type() == other.field_type() => {
                Common { left: Column::named(own.name(), left)?, right: Column::named(other.name(), right)? }
            }
            _ => return Err("the tables have other keys: their records cannot be compared".into()),
        };
        let fields = Column::all(left).into_iter().filter_map(|column| {
            let other = Column::named(column.name(left), right).ok()?;
            Some(Common { left: column, right: other })
        });
        // The name does not matter: it is values that are compared.
        let order = field("key").ascending();
        Ok(Comparison { left, right, key, fields: fields.collect(), order })
    }

    fn compare(&self, mut left: Vec<DumpedRow>, mut right: Vec<DumpedRow>, report: &mut Report) -> Result<()> {
        left.sort_by(|one, other| self.order.compare(&self.key.left.value(one), &self.key.left.value(other)));
        right.sort_by(|one, other| self.order.compare(&self.key.right.value(one), &self.key.right.value(other)));
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(one), Some(other)) => self.order.compare(&self.key.left.value(one), &self.key.right.value(other)),
            };
            let one = if order == Ordering::Greater { None } else { left.next() };
            let other = if order == Ordering::Less { None } else { right.next() };
            self.report(one, other, report)?;
        }
    }

    fn report(&self, one: Option<&DumpedRow>, other: Option<&DumpedRow>, report: &mut Report) -> Result<()> {
        match (one, other) {
            (Some(row), None) => report.record("-", "removed", self.left, self.key.left, row),
            (None, Some(row)) => report.record("+", "added", self.right, self.key.right, row),
            (Some(one), Some(other)) => {
                let changed: Vec<Changed<'_>> =
                    self.fields.iter().filter_map(|field| self.changed(field, one, other)).collect();
                if changed.is_empty() {
                    Ok(())
                } else {
                    report.changed(
                        &json_of(self.left, self.key.left, &self.key.left.value(one)),
                        &self.key.left.value(one),
                        &changed,
                    )
                }
            }
            (None, None) => Ok(()),
        }
    }

    fn changed(&self, field: &Common, one: &DumpedRow, other: &DumpedRow) -> Option<Changed<'a>> {
        let (from, to) = (field.left.value(one), field.right.value(other));
        // As text, so that one NaN equals another, and 0.0 does not equal -0.0.
        let is_same = from.is_null() == to.is_null() && from.to_string() == to.to_string();
        (!is_same).then(|| Changed {
            name: field.left.name(self.left),
            from_json: json_of(self.left, field.left, &from),
            to_json: json_of(self.right, field.right, &to),
            from,
            to,
        })
    }
}

/// A field that has another value.
struct Changed<'a> {
    name: &'a str,
    from: Value,
    to: Value,
    from_json: Json,
    to_json: Json,
}

/// Where the differences are written.
struct Report {
    is_json: bool,
    out: BufWriter<Stdout>,
    difference_count: u64,
}

impl Report {
    fn line(&mut self, mark: &str, text: &str, json: &Json) -> Result<()> {
        self.difference_count += 1;
        if self.is_json {
            writeln!(self.out, "{}", shown_json(json))?;
        } else {
            let style = match mark {
                "-" => Style::new().red(),
                "+" => Style::new().green(),
                _ => Style::new(),
            };
            writeln!(self.out, "{}", style.apply_to(format!("{mark} {}", visible(text))))?;
        }
        Ok(())
    }

    fn schema(&mut self, difference: &str) -> Result<()> {
        self.line("~", &format!("schema: {difference}"), &json!({ "change": "schema", "difference": difference }))
    }

    fn record(&mut self, mark: &str, change: &str, schema: &Schema, key: Column, row: &DumpedRow) -> Result<()> {
        let members = Column::all(schema)
            .into_iter()
            .map(|column| (column.name(schema).to_owned(), json_of(schema, column, &column.value(row))));
        let record: serde_json::Map<String, Json> = members.collect();
        let values: Vec<String> = Column::all(schema)
            .into_iter()
            .filter(|column| *column != key)
            .map(|column| format!("{}: {}", column.name(schema), for_people(&column.value(row))))
            .collect();
        let text = format!("{}  {}", key.value(row), values.join(", "));
        let key = json_of(schema, key, &key.value(row));
        self.line(mark, &text, &json!({ "change": change, "key": key, "record": record }))
    }

    fn changed(&mut self, key_json: &Json, key: &Value, changed: &[Changed<'_>]) -> Result<()> {
        let texts: Vec<String> = changed
            .iter()
            .map(|Changed { name, from, to, .. }| format!("{name}: {} -> {}", for_people(from), for_people(to)))
            .collect();
        let fields: serde_json::Map<String, Json> = changed
            .iter()
            .map(|changed| (changed.name.to_owned(), json!({ "from": changed.from_json, "to": changed.to_json })))
            .collect();
        let json = json!({ "change": "changed", "key": key_json, "fields": fields });
        self.line("~", &format!("{key}  {}", texts.join(", ")), &json)
    }
}
