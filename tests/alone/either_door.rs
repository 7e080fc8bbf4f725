//! The three situations in which acknowledged writes were lost, without regard to how that is prevented. There are two
//! doors: a process that recovers is alone, and a process that was attached before a recovery cannot write. Each must
//! do it without the other, so these tests still pass with any one planted fault in either.

use super::{
    CONDEMNED, ControlWords, FAILED, can_make_flushes_fail, make_flushes_fail, play_to_the_end, signal, table_of_three,
};
use locule::testing::SharedWords;
use locule::{Error, admin};
use nix::sys::wait::waitpid;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;
use test_kit::{Role, Visits, fork, in_fork, insert_all, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[
    ("reopen under a child", reopen_under_a_child),
    ("come back to a recovered table", come_back_to_a_recovered_table),
    ("go on after reopening failed", go_on_after_reopening_failed),
];

const KEY_COUNT: usize = 64;

/// The errors that a door may return; without the first door, a process that should be alone may find another inside.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Recovered | Error::Condemned | Error::FlushFailed { .. } | Error::Timeout { .. })
}

/// Which keys were acknowledged, in memory that all processes share.
struct Acknowledged(SharedWords);

impl Acknowledged {
    fn path(table: &Path) -> PathBuf {
        table.with_extension("acknowledged")
    }

    fn open(table: &Path) -> Self {
        Acknowledged(SharedWords::open(Self::path(table)).unwrap())
    }

    fn note(&self, keys: std::ops::Range<u64>) {
        for key in keys {
            self.0.words()[usize::try_from(key).unwrap()].store(1, Ordering::SeqCst);
        }
    }

    /// Inserts one record after the other, and notes which were acknowledged.
    fn insert(&self, table: &Visits, keys: std::ops::Range<u64>) {
        for key in keys {
            match table.insert(&visit(key, 0)) {
                Ok(_) => self.note(key..key + 1),
                Err(error) if is_refusal(&error) => {}
                Err(error) => panic!("{key}: {error:?}"),
            }
        }
    }

    /// The same in one transaction, inside of which something else happens.
    fn insert_together(&self, table: &Visits, keys: std::ops::Range<u64>, meanwhile: impl FnOnce()) {
        let outcome = table.write(|transaction| {
            for key in keys.clone() {
                transaction.insert(&visit(key, 7))?;
            }
            meanwhile();
            Ok(())
        });
        match outcome {
            Ok(()) => self.note(keys),
            Err(error) if is_refusal(&error) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A parent reopens as documented, after a flush failed, while a child of it is inside a transaction.
fn reopen_under_a_child(path: &Path, _: &str) {
    if !can_make_flushes_fail() {
        return;
    }
    let table = &options().lock_timeout(Duration::from_millis(100)).open(path).unwrap();
    let acknowledged = &Acknowledged::open(path);
    assert!(in_fork(|| {
        make_flushes_fail();
        acknowledged.insert(table, 50..51);
        assert!(matches!(table.sync(), Err(Error::FlushFailed { .. })));
    }));
    let (child_is_inside, tell_that_inside) = signal();
    let (go_on, tell_to_go_on) = signal();
    let child = fork(move || {
        acknowledged.insert_together(table, 20..30, || {
            tell_that_inside();
            go_on();
        });
        acknowledged.insert(table, 30..32);
    });
    child_is_inside();
    let _ = table.reopen();
    acknowledged.insert(table, 60..62);
    tell_to_go_on();
    waitpid(child, None).unwrap();
    let _ = table.reopen();
    acknowledged.insert(table, 62..64);
    say("done");
}

/// A handle that was told that the table is condemned is used again when another process has recovered it.
fn come_back_to_a_recovered_table(path: &Path, _: &str) {
    let (table, acknowledged) = (options().open(path).unwrap(), Acknowledged::open(path));
    ControlWords::of(path).set(CONDEMNED, 1);
    assert!(matches!(table.len(), Err(Error::Condemned)));
    drop(options().open(path).unwrap());
    acknowledged.insert(&table, 10..12);
    let open_and_insert = |first| acknowledged.insert(&options().open(path).unwrap(), first..first + 2);
    acknowledged.insert_together(&table, 20..30, || {
        std::thread::scope(|scope| scope.spawn(|| open_and_insert(40)).join().unwrap());
    });
    open_and_insert(42);
    acknowledged.insert(&table, 50..52);
    say("done");
    // Its lock may have been made anew while it was held.
    std::mem::forget(table);
}

/// A handle that could not be reopened is used while another recovers.
fn go_on_after_reopening_failed(path: &Path, _: &str) {
    let (table, acknowledged) = (options().open(path).unwrap(), Acknowledged::open(path));
    let other = options().open(path).unwrap();
    ControlWords::of(path).set(FAILED, 1);
    assert!(matches!(table.reopen(), Err(Error::FlushFailed { .. })));
    acknowledged.insert(&table, 10..12);
    let reopen_and_insert = |first| {
        let _ = other.reopen();
        acknowledged.insert(&other, first..first + 2);
    };
    acknowledged.insert_together(&table, 20..30, || {
        std::thread::scope(|scope| scope.spawn(|| reopen_and_insert(40)).join().unwrap());
    });
    reopen_and_insert(42);
    acknowledged.insert(&table, 50..52);
    say("done");
    std::mem::forget(table);
}

#[track_caller]
fn assert_nothing_acknowledged_is_lost(role: &str) {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let acknowledged = Acknowledged(SharedWords::create(Acknowledged::path(&path), KEY_COUNT).unwrap());
    acknowledged.note(0..3);
    play_to_the_end(role, &path);
    let verification = admin::verify(&path).unwrap();
    assert!(verification.is_good(), "{verification}");
    let table = options().open(&path).unwrap();
    for (key, word) in (0..).zip(acknowledged.0.words()) {
        let is_there = table.find(&key).unwrap().is_some();
        assert!(is_there || word.load(Ordering::SeqCst) == 0, "{key} was acknowledged");
    }
    super::assert_consistent(&table);
    insert_all(&table, 100..103);
}

#[test]
fn nothing_acknowledged_is_lost_when_a_parent_reopens_under_a_child() {
    assert_nothing_acknowledged_is_lost("reopen under a child");
}

#[test]
fn nothing_acknowledged_is_lost_when_a_handle_comes_back_to_a_recovered_table() {
    assert_nothing_acknowledged_is_lost("come back to a recovered table");
}

#[test]
fn nothing_acknowledged_is_lost_when_a_handle_goes_on_after_its_reopening_failed() {
    assert_nothing_acknowledged_is_lost("go on after reopening failed");
}
