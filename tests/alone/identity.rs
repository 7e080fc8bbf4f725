//! Children of a fork that differ from their parent: with its process id in another namespace, or as another user.

use super::{assert_good, play_to_the_end, table_of_three};
use locule::Error;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chown, setgid, setuid};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use test_kit::{Role, in_fork, insert_all, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] =
    &[("be the first process twice", be_the_first_process_twice), ("become who may use it", become_who_may_use_it)];

const NOBODY: u32 = 65_534;

fn be_the_first_process_twice(path: &Path, _: &str) {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWPID) {
        return say(format!("skipped: {error}"));
    }
    assert!(in_fork(|| {
        assert_eq!(std::process::id(), 1);
        let table = options().open(path).unwrap();
        table.insert(&visit(10, 0)).unwrap();
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        assert!(in_fork(|| {
            // It has its parent's process id, but is not its parent.
            assert_eq!(std::process::id(), 1);
            for _ in 0..2 {
                for outcome in [
                    table.insert(&visit(20, 0)).map(drop),
                    table.write(|_| Ok(())),
                    table.sync().map(drop),
                    table.find(&0).map(drop),
                ] {
                    let error = outcome.unwrap_err();
                    assert!(matches!(error, Error::Incompatible { .. }), "{error:?}");
                    assert!(error.to_string().contains("PID namespace"), "{error}");
                }
            }
        }));
        table.insert(&visit(11, 0)).unwrap();
        table.sync().unwrap();
    }));
    say("done");
}

#[test]
fn a_child_with_its_parents_process_id_in_another_namespace_is_not_its_parent() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("be the first process twice", &path);
    let table = options().open(&path).unwrap();
    if table.len().unwrap() > 3 {
        assert_good(&table, &path, &[0, 1, 2, 10, 11]);
    }
}

fn become_who_may_use_it(path: &Path, _: &str) {
    if !Uid::effective().is_root() {
        return say("skipped: not root");
    }
    std::fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
    chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    let table = options().open(path).unwrap();
    assert!(in_fork(|| {
        setgid(Gid::from_raw(NOBODY)).unwrap();
        setuid(Uid::from_raw(NOBODY)).unwrap();
        // It may not even look into the directory.
        assert!(std::fs::metadata(path).is_err());
        insert_all(&table, 10..12);
        table.sync().unwrap();
        table.reopen().unwrap();
        insert_all(&table, 12..13);
    }));
    insert_all(&table, 13..14);
    say("done");
}

#[test]
fn a_child_that_becomes_a_user_who_may_write_the_file_goes_on() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("become who may use it", &path);
    if Uid::effective().is_root() {
        assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 11, 12, 13]);
    }
}
