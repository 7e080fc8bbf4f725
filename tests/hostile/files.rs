//! Files that are cut short, restored over, replaced, moved or deleted while processes have them open.

use super::{assert_refused, table_of_three};
use locule::Error;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use test_kit::{
    Child, Role, Visits, assert_consistent, assert_recovers_the_same, assert_whole, hear, insert_all, keys, options,
    say, scratch, visit,
};

pub const ROLES: &[(&str, Role)] = &[("do as told", do_as_told), ("hold", hold), ("work", work)];

/// Says what its table looks like, and inserts, when told to.
fn do_as_told(path: &Path, _: &str) {
    let table = options().lock_timeout(Duration::from_millis(200)).open(path).unwrap();
    say("open");
    loop {
        let outcome = match hear().as_str() {
            "keys" => table.iter().map(|row| Ok(row?.visitor)).collect::<locule::Result<Vec<_>>>().map(|mut keys| {
                keys.sort_unstable();
                format!("{keys:?}")
            }),
            "use everything" => {
                for key in 10..80 {
                    let _ = (table.len(), table.find(&key), table.insert(&visit(key, 0)));
                }
                Ok("used".to_owned())
            }
            "reopen" => table.reopen().map(|()| "reopened".to_owned()),
            key => table.insert(&visit(key.parse().unwrap(), 0)).map(|_| "inserted".to_owned()),
        };
        say(outcome.unwrap_or_else(|error| format!("{error:?}")));
    }
}

/// Stages an insert, waits inside the transaction, and publishes.
fn hold(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let holding = |transaction: &mut locule::WriteTransaction<'_, _>| {
        transaction.insert(&visit(100, 0))?;
        say("holding");
        hear();
        Ok(())
    };
    table.write(holding).unwrap();
    say("published");
    hear();
}

/// Reads and writes without end; what the errors are does not matter.
fn work(path: &Path, argument: &str) {
    let mut random = fastrand::Rng::with_seed(argument.parse().unwrap());
    let table = options().open(path).unwrap();
    say("working");
    loop {
        let key = random.u64(0..60);
        let _ = match random.u32(0..4) {
            0 => table.upsert(&visit(key, random.u64(..))).map(drop),
            1 => table.find(&key).and_then(|row| row.map_or(Ok(()), |row| table.delete(row.id()).map(drop))),
            2 => table.reopen(),
            _ => table.iter().try_for_each(|row| row.map(|row| assert_whole(&row))),
        };
    }
}

/// Writes bytes over a file in place, as `cp` does: it is empty for a moment.
fn copy_over(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn open_child(path: &Path) -> Child {
    let mut child = Child::spawn("do as told", path, "");
    child.expect("open");
    child
}

#[track_caller]
fn assert_keys(child: &mut Child, keys: &[u64]) {
    child.tell("keys");
    child.expect(&format!("{keys:?}"));
}

/// As the README says: truncating a file in use kills its users.
#[test]
fn a_file_cut_short_kills_its_users_and_nobody_else_and_a_backup_brings_it_back() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    table.sync().unwrap();
    let backup = fs::read(&path).unwrap();
    drop(table);
    let length_bytes = u64::try_from(backup.len()).unwrap();
    // To nothing, to the header alone, and to something without the last cells.
    for length_bytes in [0, 4096, length_bytes / 2, length_bytes - 4096] {
        let mut child = open_child(&path);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length_bytes).unwrap();
        child.tell("use everything");
        let status = child.wait();
        assert_eq!(status.signal(), Some(nix::libc::SIGBUS), "{length_bytes}: {status}");
        assert_refused(&path, "cut short", |error| matches!(error, Error::Foreign { .. }));
        copy_over(&path, &backup);
        let table = options().open(&path).unwrap();
        assert_eq!(keys(&table), [0, 1, 2]);
        assert_recovers_the_same(&table, &path);
    }
}

#[test]
fn a_backup_copied_over_a_table_that_is_open_and_idle_is_the_table_for_everybody() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = open_child(&path);
    let backup = fs::read(&path).unwrap();
    for round in 1..4 {
        insert_all(&table, 10 * round..10 * round + 9);
        child.tell("7");
        child.expect("inserted");
        table.sync().unwrap();
        copy_over(&path, &backup);
        assert_keys(&mut child, &[0, 1, 2]);
        assert_eq!(keys(&table), [0, 1, 2]);
        assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2]);
        table.insert(&visit(3, 0)).unwrap();
        assert_keys(&mut child, &[0, 1, 2, 3]);
        assert_consistent(&table);
        assert_recovers_the_same(&table, &path);
    }
}

/// The lock in such a backup belongs to a thread that no longer holds it, or that does not exist: so it can never be
/// given back.
#[test]
fn a_backup_made_under_the_lock_and_copied_over_an_open_table_is_good_once_its_writer_is_gone() {
    let (_directory, path) = scratch();
    let table = options().lock_timeout(Duration::from_millis(200)).create(&path).unwrap();
    insert_all(&table, 0..3);
    let mut child = open_child(&path);
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    let backup = fs::read(&path).unwrap();
    holder.tell("go on");
    holder.expect("published");
    let pid = u32::try_from(holder.pid().as_raw()).unwrap();
    copy_over(&path, &backup);
    assert_eq!(keys(&table), [0, 1, 2]);
    // A thread with that number lives, and could be the owner.
    match table.insert(&visit(7, 0)) {
        Err(Error::Timeout { lock: locule::TableLock::Write, holder_pid, .. }) => assert_eq!(holder_pid, Some(pid)),
        outcome => panic!("expected a timeout, found {outcome:?}"),
    }
    holder.kill();
    table.insert(&visit(7, 0)).unwrap();
    child.tell("8");
    child.expect("inserted");
    assert_eq!(keys(&table), [0, 1, 2, 7, 8]);
    assert_consistent(&table);
    assert_recovers_the_same(&table, &path);
}

/// Nothing is promised to processes that are in the middle of something then. They may die, and what they leave may be
/// damaged; the backup is good as soon as they are gone.
#[test]
fn a_backup_copied_over_a_table_under_load_is_good_once_all_are_gone() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let backup = fs::read(&path).unwrap();
    for round in 0..10 {
        let mut children: Vec<_> = (0..4).map(|seed| Child::spawn("work", &path, round * 4 + seed)).collect();
        children.iter_mut().for_each(|child| child.expect("working"));
        copy_over(&path, &backup);
        for child in &mut children {
            let _ = nix::sys::signal::kill(child.pid(), nix::sys::signal::Signal::SIGKILL);
            // No panic: nothing but a signal ends it.
            let status = child.wait();
            assert!(status.signal().is_some(), "{status}");
        }
        copy_over(&path, &backup);
        let table = options().open(&path).unwrap();
        assert_eq!(keys(&table), [0, 1, 2]);
        assert_consistent(&table);
        assert_recovers_the_same(&table, &path);
    }
}

#[test]
fn users_of_a_file_that_another_was_moved_over_go_on_with_theirs_until_they_reopen() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = open_child(&path);
    let other = directory.path().join("other.loc");
    let new = options().create(&other).unwrap();
    new.insert(&visit(50, 0)).unwrap();
    fs::rename(&other, &path).unwrap();
    child.tell("7");
    child.expect("inserted");
    assert_eq!(keys(&table), [0, 1, 2, 7]);
    assert_eq!(keys(&options().open(&path).unwrap()), [50]);
    child.tell("reopen");
    child.expect("reopened");
    assert_keys(&mut child, &[50]);
    child.tell("51");
    child.expect("inserted");
    assert_eq!(keys(&new), [50, 51]);
    assert_consistent(&table);
    assert_consistent(&new);
}

#[test]
fn users_of_a_deleted_file_go_on_with_theirs_until_they_reopen() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = open_child(&path);
    fs::remove_file(&path).unwrap();
    child.tell("7");
    child.expect("inserted");
    assert_eq!(keys(&table), [0, 1, 2, 7]);
    // From here on the handle is dead, and stays so.
    assert!(matches!(table.reopen(), Err(Error::DoesNotExist { .. })));
    assert!(matches!(table.insert(&visit(8, 0)), Err(Error::Superseded)));
    let new: Visits = options().open_or_create(&path).unwrap();
    assert!(new.is_empty().unwrap());
    table.reopen().unwrap();
    table.insert(&visit(9, 0)).unwrap();
    assert_eq!(keys(&new), [9]);
    assert_keys(&mut child, &[0, 1, 2, 7]);
}

#[test]
fn a_table_has_one_lock_by_whatever_name_it_is_opened() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let hard_link = directory.path().join("another name.loc");
    fs::hard_link(&path, &hard_link).unwrap();
    let linked_directory = directory.path().join("linked");
    std::os::unix::fs::symlink(directory.path(), &linked_directory).unwrap();
    for (key, name) in (10..).zip([hard_link, linked_directory.join("visits.loc")]) {
        let mut child = open_child(&name);
        child.tell(&key.to_string());
        child.expect("inserted");
        let row = table.find(&key).unwrap().unwrap();
        table.update(row.id(), |record| *record = visit(key, 1)).unwrap();
        assert_consistent(&table);
    }
    assert_eq!(keys(&table), [0, 1, 2, 10, 11]);
}
