//! Acknowledged writes were lost, and contradictions left behind, when a process recovered a table while another could
//! still write: a child of a fork shared its parent's attachment and lost it together with the parent, and a handle
//! that had released its attachment went on.
//!
//! So each process attaches on its own, a handle that has released its attachment is dead for good, and a process that
//! was attached under another recovery can neither write nor acknowledge a sync.

mod doors;
mod either_door;
mod forks;
mod identity;
mod prefork;
mod reopening;
mod threads;

use locule::testing::SharedWords;
use locule::{Error, admin};
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering;
use test_kit::system_calls::{End, filter};
use test_kit::{
    Child, Visits, assert_consistent, assert_recovers_the_same, fork, in_fork, insert_all, keys, options, say, scratch,
    visit,
};

#[test]
fn child_process() {
    test_kit::play(
        &[
            &[("prefork failed", prefork_failed as test_kit::Role)],
            doors::ROLES,
            either_door::ROLES,
            forks::ROLES,
            identity::ROLES,
            prefork::ROLES,
            reopening::ROLES,
            threads::ROLES,
        ]
        .concat(),
    );
}

/// Words of the control region, counted as in `format.md`.
const CONDEMNED: usize = 17;
const FAILED: usize = 18;
const RECOVERY_NUMBER: usize = 21;

/// The control region of a table, past the library.
struct ControlWords {
    words: SharedWords,
    first: usize,
}

impl ControlWords {
    fn of(path: &Path) -> Self {
        let words = SharedWords::open(path).unwrap();
        let first = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
        ControlWords { words, first }
    }

    fn get(&self, index: usize) -> u64 {
        self.words.words()[self.first + index].load(Ordering::Acquire)
    }

    fn set(&self, index: usize, content: u64) {
        self.words.words()[self.first + index].store(content, Ordering::Release);
    }
}

/// Two calls, the first of which waits for the second, in any two processes: to be made before a fork.
fn signal() -> (impl FnOnce(), impl FnOnce()) {
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    (move || reader.read_exact(&mut [0]).unwrap(), move || writer.write_all(b"!").unwrap())
}

#[track_caller]
fn assert_ends_well(child: Pid) {
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
}

/// Checks that nothing in the file contradicts anything else, in every way of looking at it.
#[track_caller]
fn assert_good(table: &Visits, path: &Path, expected: &[u64]) {
    assert_eq!(keys(table), expected);
    assert_consistent(table);
    let verification = admin::verify(path).unwrap();
    assert!(verification.is_good(), "{verification}");
    assert_recovers_the_same(table, path);
}

/// A table with the keys 0 to 2.
fn table_of_three(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..3);
    table
}

/// Plays a role in a child, to its end. Some kernels do not permit what some roles need: then the child says so.
#[track_caller]
fn play_to_the_end(role: &str, path: &Path) {
    let mut child = Child::spawn(role, path, "");
    match child.hear() {
        message if message.starts_with("skipped") => eprintln!("{message}"),
        message => {
            assert_eq!(message, "done");
            child.finish();
        }
    }
}

/// Whether flushes can be made to fail here. If not, the parent is told so.
fn can_make_flushes_fail() -> bool {
    in_fork(|| assert!(filter(libc::SYS_msync, End::InputOutputError)))
}

/// Makes every flush of this process fail from now on.
fn make_flushes_fail() {
    assert!(filter(libc::SYS_msync, End::InputOutputError));
}

// -- the three situations in which writes were lost -----------------------------------------------

fn prefork_failed(path: &Path, _: &str) {
    if !can_make_flushes_fail() {
        return;
    }
    let table = &options().open(path).unwrap();
    let (child_is_inside, tell_that_inside) = signal();
    let (go_on, tell_to_go_on) = signal();
    // One worker meets the failing disk.
    assert!(in_fork(|| {
        make_flushes_fail();
        table.insert(&visit(50, 0)).unwrap();
        assert!(matches!(table.sync(), Err(Error::FlushFailed { source: Some(_) })));
    }));
    let child = fork(move || {
        table
            .write(|transaction| {
                for key in 20..30 {
                    transaction.insert(&visit(key, 7))?;
                }
                tell_that_inside();
                go_on();
                Ok(())
            })
            .unwrap();
    });
    child_is_inside();
    // It does as documented, and is not alone.
    for _ in 0..2 {
        assert!(matches!(table.reopen(), Err(Error::FlushFailed { .. })));
        assert!(matches!(table.insert(&visit(60, 1)), Err(Error::FlushFailed { .. })));
    }
    tell_to_go_on();
    assert_ends_well(child);
    table.reopen().unwrap();
    let mut expected: Vec<u64> = (0..3).chain(20..30).chain([50]).collect();
    assert_good(table, path, &expected);
    table.insert(&visit(62, 1)).unwrap();
    table.sync().unwrap();
    expected.push(62);
    assert_good(table, path, &expected);
    say("done");
}

#[test]
fn a_parent_that_reopens_after_a_failed_flush_recovers_nothing_under_a_child_that_is_writing() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("prefork failed", &path);
    let expected: Vec<u64> = (0..3).chain(20..30).chain([50, 62]).collect();
    assert_good(&options().open(&path).unwrap(), &path, &expected);
}

#[test]
fn a_handle_that_let_go_of_a_condemned_table_does_not_come_back_when_another_has_recovered_it() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    // As a process leaves it that executes another program in a thread under the lock.
    ControlWords::of(&path).set(CONDEMNED, 1);
    assert!(matches!(table.len(), Err(Error::Condemned)));
    let other = options().open(&path).unwrap();
    assert!(other.recovery().nothing_lost);
    assert_eq!(ControlWords::of(&path).get(CONDEMNED), 0);
    drop(other);
    // The handle is not attached any more, so no process would know of it.
    assert!(matches!(table.len(), Err(Error::Condemned)));
    assert!(matches!(table.insert(&visit(3, 0)), Err(Error::Condemned)));
    assert!(matches!(table.write(|_| -> locule::Result<()> { panic!("not called") }), Err(Error::Condemned)));
    let other = options().open(&path).unwrap();
    insert_all(&other, 40..42);
    assert!(matches!(table.find(&40), Err(Error::Condemned)));
    table.reopen().unwrap();
    insert_all(&table, 20..30);
    let expected: Vec<u64> = (0..3).chain(20..30).chain(40..42).collect();
    assert_good(&table, &path, &expected);
    assert_good(&other, &path, &expected);
}

#[test]
fn a_handle_whose_reopening_failed_does_not_write_while_another_recovers() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let other = options().open(&path).unwrap();
    ControlWords::of(&path).set(FAILED, 1);
    assert!(matches!(table.reopen(), Err(Error::FlushFailed { .. })));
    assert!(matches!(table.insert(&visit(4, 0)), Err(Error::FlushFailed { .. })));
    // The other one is alone now, and is told so by its own reopening.
    other.reopen().unwrap();
    assert!(other.recovery().nothing_lost);
    insert_all(&other, 40..42);
    assert!(matches!(table.write(|_| -> locule::Result<()> { panic!("not called") }), Err(Error::FlushFailed { .. })));
    assert!(matches!(table.find(&40), Err(Error::FlushFailed { .. })));
    table.reopen().unwrap();
    insert_all(&table, 20..30);
    let expected: Vec<u64> = (0..3).chain(20..30).chain(40..42).collect();
    assert_good(&table, &path, &expected);
    assert_good(&other, &path, &expected);
}
