//! Disks that do not take what they are given. A filter of system calls makes flushes fail in one process, or kills it in
//! one, with nothing changed in the library.

use super::{open_after_the_others, table_of_three};
use locule::{Error, RecoveryOutcome};
use nix::libc;
use std::path::Path;
use std::time::Duration;
use test_kit::system_calls::{End, filter};
use test_kit::{Child, Role, assert_consistent, hear, insert_all, keys, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[
    ("sync without a disk", sync_without_a_disk),
    ("die while flushing", die_while_flushing),
    ("recover without a disk", recover_without_a_disk),
    ("create without a disk", create_without_a_disk),
];

/// The child's first message; `None` if it cannot play its role here.
fn first_message(child: &mut Child) -> Option<String> {
    let message = child.hear();
    if message.starts_with("skipped") {
        eprintln!("{message}");
        return None;
    }
    Some(message)
}

#[track_caller]
fn assert_failed<T: std::fmt::Debug>(outcome: locule::Result<T>, is_source_known: bool) {
    match outcome {
        Err(Error::FlushFailed { source }) if source.is_some() == is_source_known => {}
        outcome => panic!("expected a failed flush, found {outcome:?}"),
    }
}

fn sync_without_a_disk(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let hasty = options().sync_every(Some(Duration::ZERO)).open(path).unwrap();
    if !filter(libc::SYS_msync, End::InputOutputError) {
        return;
    }
    table.insert(&visit(10, 0)).unwrap();
    assert_failed(table.sync(), true);
    // The error stays: not even a call that would not have to flush succeeds.
    assert_failed(table.sync(), false);
    match hasty.insert(&visit(11, 0)) {
        Err(Error::SyncAfterWrite { source }) => assert_failed::<()>(Err(*source), false),
        outcome => panic!("expected a failed sync, found {outcome:?}"),
    }
    say("failed");
    hear();
    assert_failed(table.close(), false);
    drop(hasty);
    say("closed");
    hear();
}

#[test]
fn a_failed_flush_is_told_to_everybody_and_nothing_is_acknowledged_until_the_table_is_opened_anew() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let durable = table.sync().unwrap();
    let mut child = Child::spawn("sync without a disk", &path, "");
    let Some(message) = first_message(&mut child) else { return };
    assert_eq!(message, "failed");

    assert!(table.status().flush_failed);
    assert_eq!(table.status().durable, durable);
    assert_failed(table.sync(), false);
    // What was published before and after is served.
    table.insert(&visit(12, 0)).unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 10, 11, 12]);
    assert_failed(table.sync(), false);
    assert_eq!(table.status().durable, durable);
    // No new process can open the table before it is recovered, except for reading.
    assert_failed(options().open(&path).map(drop), false);
    let reader = options().open_read_only(&path).unwrap();
    assert_eq!(keys(&reader), [0, 1, 2, 10, 11, 12]);
    drop(reader);

    child.tell("close");
    child.expect("closed");
    assert_failed(table.sync(), false);
    drop(table);
    let table = open_after_the_others(&path);
    assert_eq!((table.recovery().outcome, table.recovery().nothing_lost), (RecoveryOutcome::Newest, true));
    assert_eq!(keys(&table), [0, 1, 2, 10, 11, 12]);
    assert_consistent(&table);
    assert!(!table.status().flush_failed);
    let number = table.insert_versioned(&visit(13, 0)).unwrap().1;
    assert!(table.sync().unwrap() >= number);
}

fn die_while_flushing(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    insert_all(&table, 10..20);
    if filter(libc::SYS_msync, End::Death) {
        say("syncing");
        table.sync().unwrap();
    }
}

#[test]
fn a_syncer_that_dies_in_its_flush_leaves_the_sync_to_the_next() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let durable = table.sync().unwrap();
    let mut child = Child::spawn("die while flushing", &path, "");
    if first_message(&mut child).is_none() {
        return;
    }
    let status = child.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGSYS));
    assert_eq!(table.status().durable, durable);
    let number = table.insert_versioned(&visit(20, 0)).unwrap().1;
    assert!(table.sync().unwrap() >= number);
    assert_eq!(table.status().dead_syncer_count, 1);
    assert_eq!(keys(&table), (0..3).chain(10..21).collect::<Vec<_>>());
    assert_consistent(&table);
}

fn recover_without_a_disk(path: &Path, _: &str) {
    if filter(libc::SYS_msync, End::InputOutputError) {
        assert_failed(options().open(path).map(drop), true);
        say("failed");
    }
}

#[test]
fn a_recovery_that_cannot_flush_serves_nobody_and_can_be_made_again() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    let copy = directory.path().join("copy.loc");
    std::fs::copy(&path, &copy).unwrap();
    for _ in 0..2 {
        let mut child = Child::spawn("recover without a disk", &copy, "");
        if first_message(&mut child).is_none() {
            return;
        }
        child.finish();
        let reader = options().open_read_only(&copy).unwrap();
        assert!(reader.recovery().is_private_copy);
        assert_eq!(keys(&reader), [0, 1, 2]);
    }
    let table = options().open(&copy).unwrap();
    assert_eq!(table.recovery().outcome, RecoveryOutcome::Newest);
    assert_eq!(keys(&table), [0, 1, 2]);
    assert_consistent(&table);
}

fn create_without_a_disk(path: &Path, _: &str) {
    if !filter(libc::SYS_fsync, End::InputOutputError) {
        return;
    }
    for outcome in [
        options().create(path).map(drop),
        options().open_or_create(path).map(drop),
        options().replace(path).map(drop),
        options().replace(path.with_file_name("old.loc")).map(drop),
    ] {
        match outcome {
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::EIO) => {}
            outcome => panic!("expected a failed flush, found {outcome:?}"),
        }
    }
    say("failed");
}

#[test]
fn a_file_that_did_not_get_to_the_disk_is_not_a_table() {
    let (directory, path) = scratch();
    let old = table_of_three(&path.with_file_name("old.loc"));
    let mut child = Child::spawn("create without a disk", &path, "");
    if first_message(&mut child).is_none() {
        return;
    }
    child.finish();
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    // The table that was to be replaced is still in use.
    old.insert(&visit(3, 0)).unwrap();
    assert_consistent(&old);
}
