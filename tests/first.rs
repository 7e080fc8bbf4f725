//! The first test of CONTRIBUTING.md: what a process has written is there after it was killed.

use std::path::Path;
use test_kit::{Child, hear, options, say, scratch, visit};

/// Runs this file again, as the child that plays a role.
#[test]
fn child_process() {
    test_kit::play(&[("write and wait", write_and_wait)]);
}

/// What the child does.
fn write_and_wait(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    table.insert(&visit(7, 1)).unwrap();
    say("written");
    hear();
}

#[test]
fn what_a_killed_process_has_written_is_there() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut child = Child::spawn("write and wait", &path, "");
    child.expect("written");
    child.kill();
    assert_eq!(table.find(&7).unwrap().map(|row| row.into_record()), Some(visit(7, 1)));
}
