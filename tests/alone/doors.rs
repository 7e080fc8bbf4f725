//! A process whose attachment was given up without its knowledge still had its handle: another process recovered the
//! table meanwhile, and both wrote. Nothing in the library gives an attachment up like that any more; if something else
//! does, the number of the recovery keeps the two apart.

use super::{ControlWords, FAILED, RECOVERY_NUMBER, assert_good, signal, table_of_three};
use locule::{Error, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;
use test_kit::{Child, Role, Visits, fork, hear, in_fork, insert_all, keys, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[
    ("use a table without an attachment", use_without_attachment),
    ("be inside without an attachment", be_inside_without_attachment),
    ("close all descriptors", close_all_descriptors),
    ("close all descriptors and open another table", close_all_descriptors_and_open_another_table),
    ("close all descriptors and open again", close_all_descriptors_and_open_again),
    ("close all descriptors and reopen", close_all_descriptors_and_reopen),
    ("sync through another file's descriptor", sync_through_another_files_descriptor),
    ("go beside another table", go_beside_another_table),
    ("die inside a dead handle after a fork", die_inside_a_dead_handle_after_a_fork),
];

/// Takes all locks of the file away from this process's descriptors of it, as any process can that has inherited them.
fn unlock_behind_its_back(path: &Path) {
    let mut unlocked_count = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|target| target == path) {
            let descriptor: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: the handle has this descriptor open, and it is not closed meanwhile.
            let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
            let everything = libc::flock {
                l_type: libc::F_UNLCK.try_into().unwrap(),
                l_whence: libc::SEEK_SET.try_into().unwrap(),
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            fcntl(descriptor, FcntlArg::F_OFD_SETLK(&everything)).unwrap();
            unlocked_count += 1;
        }
    }
    assert_eq!(unlocked_count, 1);
}

/// What a process can do through a handle.
type Operation = fn(&Visits) -> Result<()>;

const OPERATIONS: [(&str, Operation); 9] = [
    ("insert", |table| table.insert(&visit(10, 0)).map(drop)),
    ("sync", |table| table.sync().map(drop)),
    ("find", |table| table.find(&1).map(drop)),
    ("update", |table| table.update(locule::RecordId::from_u64(1 << 24), |visit| visit.hits += 1).map(drop)),
    ("delete", |table| table.delete(locule::RecordId::from_u64(1 << 24)).map(drop)),
    ("write", |table| table.write(|transaction| transaction.insert(&visit(10, 0)).map(drop))),
    ("iter", |table| table.iter().try_for_each(|row| row.map(drop))),
    ("snapshot", |table| table.snapshot(|snapshot| snapshot.find(&1).map(drop))),
    ("len", |table| table.len().map(drop)),
];

/// The operation with this name is the first.
fn use_without_attachment(path: &Path, first: &str) {
    let table = options().open(path).unwrap();
    unlock_behind_its_back(path);
    // Nothing has happened yet.
    table.insert(&visit(3, 0)).unwrap();
    table.sync().unwrap();
    say("unlocked");
    hear();
    let (_, operation) = OPERATIONS.iter().find(|(name, _)| *name == first).unwrap();
    let outcome = operation(&table);
    assert!(matches!(outcome, Err(Error::Recovered)), "{first}: {outcome:?}");
    for (name, operation) in OPERATIONS {
        let outcome = operation(&table);
        assert!(matches!(outcome, Err(Error::Recovered)), "{name} after {first}: {outcome:?}");
    }
    table.reopen().unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 3, 40, 41]);
    table.insert(&visit(4, 0)).unwrap();
    table.sync().unwrap();
    say("reopened");
    hear();
}

/// Opens a table that a process uses without being attached to it, and recovers it meanwhile.
fn recover_under(path: &Path) -> Visits {
    let control = ControlWords::of(path);
    let number = control.get(RECOVERY_NUMBER);
    // So that it is not in order.
    control.set(FAILED, 1);
    let table = options().open(path).unwrap();
    assert_eq!(control.get(RECOVERY_NUMBER), number + 1);
    assert!(table.recovery().nothing_lost);
    insert_all(&table, 40..42);
    table
}

#[test]
fn whoever_is_attached_no_more_neither_reads_nor_writes_nor_syncs_after_a_recovery() {
    for (name, _) in OPERATIONS {
        let (_directory, path) = scratch();
        drop(table_of_three(&path));
        let mut child = Child::spawn("use a table without an attachment", &path, name);
        child.expect("unlocked");
        let table = recover_under(&path);
        child.tell("go on");
        child.expect("reopened");
        assert_good(&table, &path, &[0, 1, 2, 3, 4, 40, 41]);
        child.tell("end");
        child.finish();
    }
}

fn be_inside_without_attachment(path: &Path, what_next: &str) {
    let table = options().open(path).unwrap();
    let first = table.find(&0).unwrap().unwrap().id();
    let outcome = table.write(|transaction| {
        for key in 20..25 {
            transaction.insert(&visit(key, 0))?;
        }
        transaction.update(first, |visit| visit.hits += 1)?;
        unlock_behind_its_back(path);
        say("inside");
        hear();
        match what_next {
            "write more" => {
                for key in 25..30 {
                    let outcome = transaction.insert(&visit(key, 0));
                    assert!(matches!(outcome, Err(Error::Recovered)), "{outcome:?}");
                }
                Ok(())
            }
            "give up" => Err(Error::caller("given up")),
            _ => Ok(()),
        }
    });
    match outcome {
        Err(Error::Recovered) if what_next != "give up" => {}
        Err(Error::Caller { .. }) if what_next == "give up" => {}
        outcome => panic!("{what_next}: {outcome:?}"),
    }
    assert!(matches!(table.insert(&visit(10, 0)), Err(Error::Recovered)));
    say("out");
    hear();
}

#[test]
fn whoever_is_attached_no_more_publishes_and_undoes_nothing_after_a_recovery() {
    for what_next in ["publish", "write more", "give up"] {
        let (_directory, path) = scratch();
        drop(table_of_three(&path));
        let mut child = Child::spawn("be inside without an attachment", &path, what_next);
        child.expect("inside");
        let table = recover_under(&path);
        child.tell("go on");
        child.expect("out");
        assert_good(&table, &path, &[0, 1, 2, 40, 41]);
        table.insert(&visit(42, 0)).unwrap();
        child.tell("end");
        child.finish();
        assert_good(&table, &path, &[0, 1, 2, 40, 41, 42]);
    }
}

/// As daemons do when they start.
fn close_all_descriptors(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    // SAFETY: the call takes plain numbers. Any owner of one of these descriptors gets an error from it, which is the
    // point.
    let code = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    assert_eq!(code, 0);
    table.insert(&visit(3, 0)).unwrap();
    say("closed");
    hear();
    table.insert(&visit(4, 0)).unwrap();
    say("inserted");
    // Dropping the handle would close a descriptor that is not its own any more: Rust ends a process that does that.
    hear();
}

/// Locks belong to the open file, and a mapping keeps that open.
#[test]
fn closing_all_descriptors_gives_no_attachment_up() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut child = Child::spawn("close all descriptors", &path, "");
    child.expect("closed");
    ControlWords::of(&path).set(FAILED, 1);
    let outcome = options().open(&path).map(drop);
    assert!(matches!(outcome, Err(Error::FlushFailed { source: None })), "{outcome:?}");
    child.tell("go on");
    child.expect("inserted");
    child.kill();
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 3, 4]);
}

/// The daemon opens what it needs again, and drops the handle that it had before.
fn close_all_descriptors_and_open_another_table(path: &Path, way: &str) {
    let old = options().open(path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    let other = options().open(path.with_extension("other")).unwrap();
    match way {
        "drop" => drop(old),
        "reopen" => drop(old.reopen()),
        // Replacing the file ends the use of its handles.
        "die" => {
            locule::destroy(path).unwrap();
            assert!(matches!(old.len(), Err(Error::Superseded)));
        }
        "fork" => assert!(in_fork(|| drop(old))),
        way => panic!("{way}"),
    }
    say("open");
    hear();
    other.insert(&visit(4, 0)).unwrap();
    other.sync().unwrap();
    say("inserted");
    hear();
}

/// The handle that was closed by number released the lock of the table that had got the number: another process was
/// then alone with that table by mistake, and recovered it while its writer was using it.
#[test]
fn a_handle_whose_descriptor_is_another_tables_leaves_that_alone() {
    for way in ["drop", "reopen", "die", "fork"] {
        let (_directory, path) = scratch();
        drop(table_of_three(&path));
        let other = path.with_extension("other");
        std::fs::copy(&path, &other).unwrap();
        drop(options().open(&other).unwrap());
        let mut child = Child::spawn("close all descriptors and open another table", &path, way);
        child.expect("open");
        ControlWords::of(&other).set(FAILED, 1);
        let outcome = options().open(&other).map(drop);
        assert!(matches!(outcome, Err(Error::FlushFailed { source: None })), "{way}: {outcome:?}");
        ControlWords::of(&other).set(FAILED, 0);
        child.tell("go on");
        child.expect("inserted");
        child.tell("end");
        child.finish();
        assert_good(&options().open(&other).unwrap(), &other, &[0, 1, 2, 4]);
    }
}

/// A thread is inside a transaction of a handle that another one has ended; the process dies after it has forked.
fn die_inside_a_dead_handle_after_a_fork(path: &Path, _: &str) {
    let table = &options().lock_timeout(Duration::from_millis(50)).open(path).unwrap();
    let (is_inside, tell_that_inside) = signal();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            table.write(|_| {
                tell_that_inside();
                loop {
                    std::thread::park();
                }
                #[expect(unreachable_code, reason = "it says what the closure would return")]
                Ok(())
            })
        });
        is_inside();
        ControlWords::of(path).set(FAILED, 1);
        assert!(matches!(table.reopen(), Err(Error::Timeout { lock: locule::TableLock::Handle, .. })));
        fork(|| {
            nix::sys::prctl::set_pdeathsig(None).unwrap();
            assert!(matches!(table.len(), Err(Error::FlushFailed { .. })));
            // It lives until the test ends it.
            say(format!("used by {}", std::process::id()));
            loop {
                std::thread::park();
            }
        });
    });
}

/// The child kept what it had inherited of a dead handle for as long as it lived, so no process could recover the
/// table.
#[test]
fn a_child_keeps_nothing_of_a_dead_handle() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut parent = Child::spawn("die inside a dead handle after a fork", &path, "");
    let child: i32 = parent.hear().strip_prefix("used by ").unwrap().parse().unwrap();
    let refused = options().open(&path).map(drop);
    assert!(matches!(refused, Err(Error::FlushFailed { source: None })), "{refused:?}");
    parent.kill();
    let opened = options().open(&path);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_good(&opened.unwrap(), &path, &[0, 1, 2]);
}

/// The daemon opens the same table again, under the number that its old handle had.
fn close_all_descriptors_and_open_again(path: &Path, _: &str) {
    let old = options().open(path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    let new = options().open(path).unwrap();
    drop(old);
    say("open");
    hear();
    new.insert(&visit(4, 0)).unwrap();
    new.close().unwrap();
    say("inserted");
    hear();
}

/// The old handle took the new one's descriptor for its own, since it is of the same file.
#[test]
fn a_handle_whose_descriptor_is_of_the_same_file_opened_again_leaves_that_alone() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut child = Child::spawn("close all descriptors and open again", &path, "");
    child.expect("open");
    ControlWords::of(&path).set(FAILED, 1);
    let outcome = options().open(&path).map(drop);
    assert!(matches!(outcome, Err(Error::FlushFailed { source: None })), "{outcome:?}");
    ControlWords::of(&path).set(FAILED, 0);
    child.tell("go on");
    child.expect("inserted");
    child.tell("end");
    child.finish();
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 4]);
}

fn close_all_descriptors_and_reopen(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    say("closed");
    hear();
    // Only a process that is alone can do this.
    table.reopen().unwrap();
    table.insert(&visit(4, 0)).unwrap();
    say("inserted");
    hear();
}

/// The mapping of the handle that was given up kept the attachment, also of the process that gave it up.
#[test]
fn a_handle_whose_descriptor_was_closed_gives_its_attachment_up_when_it_is_reopened() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut child = Child::spawn("close all descriptors and reopen", &path, "");
    child.expect("closed");
    ControlWords::of(&path).set(FAILED, 1);
    child.tell("go on");
    child.expect("inserted");
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 4]);
    child.tell("end");
    child.finish();
}

/// The file keeps one of its two names; the descriptor's number is that of a file that has none.
fn sync_through_another_files_descriptor(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    let _nameless = tempfile::tempfile().unwrap();
    std::fs::remove_file(path).unwrap();
    table.insert(&visit(3, 0)).unwrap();
    assert!(matches!(table.sync(), Err(Error::Superseded)));
    say("synced");
    hear();
}

/// That other file's number of names ended the use of the table for every process.
#[test]
fn what_another_file_has_lost_says_nothing_of_the_table() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let second = path.with_extension("second");
    std::fs::hard_link(&path, &second).unwrap();
    let other = options().open(&second).unwrap();
    let mut child = Child::spawn("sync through another file's descriptor", &path, "");
    child.expect("synced");
    other.insert(&visit(4, 0)).unwrap();
    assert_good(&other, &second, &[0, 1, 2, 3, 4]);
    child.tell("end");
    child.finish();
}

/// The number of its descriptor is that of another table, which others use too.
fn go_beside_another_table(path: &Path, _: &str) {
    let table = options().sync_every(Some(Duration::from_secs(3600))).open(path).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) }, 0);
    let other = options().open(path.with_extension("other")).unwrap();
    table.insert(&visit(3, 0)).unwrap();
    drop(table);
    drop(other);
    say("gone");
}

/// A handle that asks the other table's locks whether it is the last takes itself for one of many, and leaves its writes unsynced.
#[test]
fn a_handle_that_cannot_know_whether_it_is_the_last_syncs() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let _other = table_of_three(&path.with_extension("other"));
    let mut child = Child::spawn("go beside another table", &path, "");
    child.expect("gone");
    child.finish();
    let status = locule::admin::info(&path).unwrap().status;
    assert_eq!(status.last, status.durable);
}
