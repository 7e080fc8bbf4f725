//! Opening a table: to look at it, which changes nothing and waits for nobody, or to write.

use std::path::Path;

use locule::{Table, Values};

use crate::failure::{Failure, shown};
use crate::output;

/// A table that is only looked at, on any file system. It says so if what is seen is a recovered copy.
pub fn to_read(path: &Path) -> Result<Table<Values>, Failure> {
    let options = Table::<Values>::options().allow_any_file_system(true);
    let table = options.open_read_only(path).map_err(Failure::about(path))?;
    if table.recovery().is_private_copy {
        say_that_it_is_a_copy(path, table.recovery());
    }
    Ok(table)
}

/// Says that what is seen is not what is in the file.
pub fn say_that_it_is_a_copy(path: &Path, recovery: &locule::Recovery) {
    output::complain(format_args!("locule: {}: {recovery}", shown(path)));
}

/// A table that is written to.
pub fn to_write(path: &Path) -> Result<Table<Values>, Failure> {
    Table::<Values>::open(path).map_err(Failure::about(path))
}

/// Opens a new file once. Before that it counts as copied from elsewhere, and whoever only reads it has to recover a copy of
/// it. Where that is not possible, it stays so, which harms nothing.
pub fn settle(path: &Path) {
    drop(Table::<Values>::open(path));
}

/// Waits until what was written is on the disk. A command that has said that it is done must not be undone by a power cut.
pub fn close(table: Table<Values>, path: &Path) -> Result<(), Failure> {
    table
        .close()
        .map_err(|error| match error {
            locule::Error::ReadOnly { .. } | locule::Error::SyncAfterWrite { .. } => error,
            other => locule::Error::SyncAfterWrite { source: Box::new(other) },
        })
        .map_err(Failure::about(path))
}
