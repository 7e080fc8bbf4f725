//! Surroundings that may break a table: full and failing disks, files that change while they are in use, other boots,
//! headers with every field set to its extremes. For each there is an exact error or a documented recovery, never a
//! panic or a hang, and a file that is refused stays as it was.

mod disk;
mod files;
mod flush;
mod header;
mod incarnation;
mod mounts;

use locule::Error;
use std::path::Path;
use test_kit::{Visits, options};

#[test]
fn child_process() {
    test_kit::play(&[disk::ROLES, files::ROLES, flush::ROLES, incarnation::ROLES].concat());
}

/// Everything that opens a file that should be a table already.
fn open_in_every_way(path: &Path) -> Vec<(&'static str, locule::Result<()>)> {
    vec![
        ("open", options().open(path).map(drop)),
        ("open_read_only", options().open_read_only(path).map(drop)),
        ("open_or_create", options().open_or_create(path).map(drop)),
        ("replace", options().replace(path).map(drop)),
        ("destroy", locule::destroy(path)),
    ]
}

/// Opens a file in every way; each is refused with such an error, and none changes a byte of it.
#[track_caller]
fn assert_refused(path: &Path, what: &str, is_expected: impl Fn(&Error) -> bool) {
    let before = std::fs::read(path).unwrap();
    for (name, outcome) in open_in_every_way(path) {
        match outcome {
            Err(error) if is_expected(&error) => {}
            outcome => panic!("{what}: {name}: {outcome:?}"),
        }
        assert!(std::fs::read(path).unwrap() == before, "{what}: {name} changed the file");
    }
}

/// Opens a table whose users have just closed it. While another test of this process starts a child, that child has a
/// copy of every open file for a moment, and so of every attachment.
fn open_after_the_others(path: &Path) -> Visits {
    let mut opened = None;
    test_kit::wait_until("the others have let go", || {
        opened = match options().open(path) {
            Err(Error::Incompatible { .. } | Error::FlushFailed { source: None }) => None,
            opened => Some(opened.unwrap()),
        };
        opened.is_some()
    });
    opened.unwrap()
}

/// A table with the keys 0 to 2.
fn table_of_three(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    test_kit::insert_all(&table, 0..3);
    table
}
