//! Opening a table: to look at it, which changes nothing and waits for nobody, or to write.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use locule::{Recovery, RecoveryOutcome, Table, Values};

use crate::failure::{Failure, shown};
use crate::output;

/// A table that is only looked at, on any file system.
pub fn to_read(path: &Path) -> Result<Table<Values>, Failure> {
    let options = Table::<Values>::options().allow_any_file_system(true);
    let table = options.open_read_only(path).map_err(Failure::about(path))?;
    say_what_is_left_out(path, table.recovery());
    Ok(table)
}

/// Which file has a name now.
pub fn id_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Says which state is seen of a file that needs a recovery, if something was written later. It is still there, until a program
/// opens the file to write to it, even if that then writes nothing.
pub fn say_what_is_left_out(path: &Path, recovery: &Recovery) {
    if let Some(state) = older_state(recovery) {
        let file = shown(path);
        output::complain(format_args!(
            "locule: {file}: this is {state}: what was written later, finished or not, is lost as soon as a program opens it to write to it; \
             `locule repair {file} NEW` before saves what is whole of that, too"
        ));
    }
}

/// Says to which state a file was taken back by opening it to write to it, if something was written later.
pub fn say_what_is_lost(path: &Path, recovery: &Recovery) {
    if let Some(state) = older_state(recovery) {
        output::complain(format_args!(
            "locule: {}: this is now {state}: what was written later, finished or not, is lost",
            shown(path)
        ));
    }
}

/// The state that a recovery went back to, if something was written later. A backup, and a table that was synced before the
/// system was started again, are as they were left.
fn older_state(recovery: &Recovery) -> Option<String> {
    if recovery.nothing_lost || recovery.highest_number_seen <= recovery.number {
        return None;
    }
    Some(match recovery.outcome {
        RecoveryOutcome::Checkpoint { wall_time } => format!("its state of {wall_time}"),
        _ => "its newest whole state".to_owned(),
    })
}

/// A table that is written to.
pub fn to_write(path: &Path) -> Result<Table<Values>, Failure> {
    let table = Table::<Values>::open(path).map_err(Failure::about(path))?;
    say_what_is_lost(path, table.recovery());
    Ok(table)
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
