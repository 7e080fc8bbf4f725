//! The ten faults of Buzhug, the library that locule takes the place of: none of them came along.
//!
//! Each check is written once, over the few operations that it needs, and runs twice: with locule, where it finds nothing,
//! and with a deliberately naive version of these operations, which does what Buzhug did, and where it finds the fault. So
//! each check is known to be able to find what it looks for.

mod none_and_values;
mod processes;
mod records;
mod schema;

use locule::{Table, Values};
use std::path::Path;

/// What a check says: the fault that it found, if it found one.
type Finding = Result<(), String>;

/// Nothing was found if this is so.
fn ensure(is_right: bool, fault: &str) -> Finding {
    if is_right { Ok(()) } else { Err(fault.to_owned()) }
}

/// The check finds nothing in locule, and this fault in the naive version.
#[track_caller]
fn assert_gone(locule: Finding, naive: Finding, fault: &str) {
    assert_eq!(locule, Ok(()));
    assert_eq!(naive, Err(fault.to_owned()), "the check is to find it where it is");
}

/// A new table of this schema.
fn table(path: &Path, schema: &str) -> Table<Values> {
    let schema: locule::Schema = schema.parse().unwrap();
    Table::<Values>::options().schema(schema).capacity(64).sync_every(None).create(path).unwrap()
}

#[test]
fn child_process() {
    test_kit::play(processes::ROLES);
}
