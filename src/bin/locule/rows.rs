//! The records of a file, as of one moment, whether it is in use, needs a recovery or is damaged.

use std::path::Path;
use std::sync::Arc;

use locule::Schema;
use locule::admin::{self, DumpedRow};

use crate::failure::{Failure, report, shown};
use crate::{Verdict, opening, output};

/// The rows that are whole. Each that is not is complained about, and makes the verdict bad.
pub struct Rows {
    schema: Arc<Schema>,
    found: Box<dyn Iterator<Item = Result<DumpedRow, String>>>,
    verdict: Verdict,
}

impl Rows {
    /// The records of a table.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        let dump = admin::dump(path).map_err(Failure::about(path))?;
        opening::say_what_is_left_out(path, dump.recovery());
        if !dump.is_of_one_moment() {
            output::complain(format_args!(
                "locule: {}: no copy of one moment could be made: each record is whole, but they are not of one moment",
                shown(path)
            ));
        }
        let schema = Arc::new(dump.schema().clone());
        let file = path.to_owned();
        Ok(Rows::new(schema, dump.map(move |row| row.map_err(|error| report(&Failure::about(&file)(error))))))
    }

    /// What can be read of a file that is damaged.
    pub fn salvaged(path: &Path) -> Result<Self, Failure> {
        let salvage = admin::salvage(path).map_err(Failure::about(path))?;
        let schema = Arc::new(salvage.schema().clone());
        Ok(Rows::new(schema, salvage.map(|row| row.map_err(|problem| problem.to_string()))))
    }

    fn new(schema: Arc<Schema>, found: impl Iterator<Item = Result<DumpedRow, String>> + 'static) -> Self {
        Rows { schema, found: Box::new(found), verdict: Verdict::Good }
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Bad if something that was read so far is damaged.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl Iterator for Rows {
    type Item = DumpedRow;

    fn next(&mut self) -> Option<DumpedRow> {
        loop {
            match self.found.next()? {
                Ok(row) => return Some(row),
                Err(reason) => {
                    output::complain(format_args!("locule: {}", output::visible(&reason)));
                    self.verdict = Verdict::Bad;
                }
            }
        }
    }
}
