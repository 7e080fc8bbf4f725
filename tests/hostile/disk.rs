//! Disks that are full, read-only, or different from before, and directories that may not be changed.

use super::mounts::{have_own, make_read_only, mount_small_disk};
use super::table_of_three;
use locule::{Error, RecoveryOutcome};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use test_kit::{self, Child, Role, assert_consistent, insert_all, keys, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[
    ("use a full disk", use_a_full_disk),
    ("use a read-only disk", use_a_read_only_disk),
    ("move to another disk", move_to_another_disk),
    ("change a directory that may only be read", change_a_directory_that_may_only_be_read),
];

/// Runs a role that has mounts of its own, or says why it was skipped.
#[track_caller]
fn run_or_skip(role: &str) {
    let (_directory, path) = scratch();
    let mut child = Child::spawn(role, &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => eprintln!("{message}"),
        message => assert_eq!(message, "done"),
    }
    child.finish();
}

fn is_io(error: &Error, expected: nix::errno::Errno) -> bool {
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(expected as i32))
}

#[track_caller]
fn assert_io<T: std::fmt::Debug>(outcome: locule::Result<T>, expected: nix::errno::Errno) {
    match outcome {
        Err(error) if is_io(&error, expected) => {}
        outcome => panic!("expected {expected}, found {outcome:?}"),
    }
}

fn names_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Fills a disk with one more file, to the last byte.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

fn use_a_full_disk(path: &Path, _: &str) {
    if !have_own() {
        return;
    }
    let disk = path.with_file_name("disk");
    mount_small_disk(&disk, "1m");
    let path = disk.join("visits.loc");
    let large = || options().capacity(100_000);
    // Twice: nothing that the first attempt took is left.
    for _ in 0..2 {
        assert_io(large().create(&path).map(drop), nix::errno::Errno::ENOSPC);
        assert_io(large().open_or_create(&path).map(drop), nix::errno::Errno::ENOSPC);
        assert_io(large().replace(&path).map(drop), nix::errno::Errno::ENOSPC);
        assert_eq!(names_in(&disk), Vec::<String>::new());
        assert_eq!(nix::sys::statvfs::statvfs(&disk).unwrap().blocks_free() * 4096, 1 << 20);
    }

    // A table that has its space keeps it, whatever happens to the disk.
    let table = options().create(&path).unwrap();
    fill(&disk.join("rest"));
    insert_all(&table, 0..64);
    for key in 0..64 {
        table.upsert(&visit(key, 1)).unwrap();
    }
    table.sync().unwrap();
    // What cannot be replaced stays as it is, and in use.
    assert_io(options().replace(&path).map(drop), nix::errno::Errno::ENOSPC);
    assert_io(large().replace(&path).map(drop), nix::errno::Errno::ENOSPC);
    assert_eq!(names_in(&disk), ["rest", "visits.loc"]);
    assert!(table.iter().all(|row| row.unwrap().hits == 1));
    table.close().unwrap();
    let table = options().open(&path).unwrap();
    assert_eq!(keys(&table), (0..64).collect::<Vec<_>>());
    assert_consistent(&table);
    drop(table);
    locule::destroy(&path).unwrap();
    assert_eq!(names_in(&disk), ["rest"]);
    say("done");
}

#[test]
fn a_full_disk_is_an_error_at_creation_and_none_later() {
    run_or_skip("use a full disk");
}

fn use_a_read_only_disk(path: &Path, _: &str) {
    if !have_own() {
        return;
    }
    let disk = path.with_file_name("disk");
    mount_small_disk(&disk, "4m");
    let path = disk.join("visits.loc");
    drop(table_of_three(&path));
    // A copy, which needs a recovery.
    let copy = disk.join("copy.loc");
    fs::copy(&path, &copy).unwrap();
    make_read_only(&disk);
    for path in [&path, &copy] {
        let before = fs::read(path).unwrap();
        let reader = options().open_read_only(path).unwrap();
        assert_eq!(keys(&reader), [0, 1, 2]);
        assert_consistent(&reader);
        assert_eq!(reader.recovery().is_private_copy, *path == copy);
        reader.close().unwrap();
        for outcome in [
            options().open(path).map(drop),
            options().open_or_create(path).map(drop),
            options().replace(path).map(drop),
            locule::destroy(path),
            options().create(disk.join("new.loc")).map(drop),
        ] {
            assert_io(outcome, nix::errno::Errno::EROFS);
        }
        assert!(fs::read(path).unwrap() == before);
    }
    assert_eq!(names_in(&disk), ["copy.loc", "visits.loc"]);
    say("done");
}

#[test]
fn a_table_on_a_read_only_disk_can_be_read_and_is_otherwise_refused() {
    run_or_skip("use a read-only disk");
}

fn move_to_another_disk(path: &Path, _: &str) {
    if !have_own() {
        return;
    }
    let disk = path.with_file_name("disk");
    mount_small_disk(&disk, "4m");
    let there = disk.join("visits.loc");
    let table = table_of_three(path);
    let (_, version) = table.insert_versioned(&visit(3, 0)).unwrap();
    // Forth while it is in use, and back while it is not.
    fs::copy(path, &there).unwrap();
    drop(table);
    fs::remove_file(path).unwrap();
    for (from, to) in [(there.as_path(), path), (path, there.as_path())] {
        let table = options().open(from).unwrap();
        assert_ne!(table.recovery().outcome, RecoveryOutcome::InOrder);
        assert!(!table.recovery().nothing_lost);
        assert_eq!(keys(&table), [0, 1, 2, 3]);
        assert_consistent(&table);
        let row = table.find(&3).unwrap().unwrap();
        assert!(table.update(row.id(), |record| *record = visit(3, 1)).unwrap() > version);
        table.close().unwrap();
        fs::copy(from, to).unwrap();
        fs::remove_file(from).unwrap();
    }
    say("done");
}

#[test]
fn a_table_moved_to_another_disk_and_back_is_recovered_each_time() {
    run_or_skip("move to another disk");
}

/// Gives up being root, if this process is, and tries to change a directory.
fn change_a_directory_that_may_only_be_read(path: &Path, _: &str) {
    if nix::unistd::Uid::effective().is_root() {
        nix::unistd::setgid(nix::unistd::Gid::from_raw(65_534)).unwrap();
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65_534)).unwrap();
    }
    let table = options().open(path).unwrap();
    table.insert(&visit(3, 0)).unwrap();
    assert_io(options().replace(path).map(drop), nix::errno::Errno::EACCES);
    assert_io(locule::destroy(path), nix::errno::Errno::EACCES);
    // No process was told about a replacement that did not happen.
    table.insert(&visit(4, 0)).unwrap();
    assert_consistent(&table);
    table.close().unwrap();
    // The same if no process has it open.
    assert_io(options().replace(path).map(drop), nix::errno::Errno::EACCES);
    assert_io(locule::destroy(path), nix::errno::Errno::EACCES);
    say("done");
}

#[test]
fn a_table_in_a_directory_that_may_not_be_changed_is_used_and_neither_replaced_nor_destroyed() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    let mut child = Child::spawn("change a directory that may only be read", &path, "");
    child.expect("done");
    child.finish();
    let table = options().open(&path).unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 3, 4]);
    assert_eq!(names_in(directory.path()), ["visits.loc"]);
    test_kit::assert_recovers_the_same(&table, &path);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
}
