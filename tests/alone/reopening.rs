//! Reopening a handle, and which handles a thread may use inside a closure. A reopening that failed once left a handle
//! that worked and was not attached; and one thread could not reopen what others used.

use super::{ControlWords, FAILED, RECOVERY_NUMBER, assert_good, table_of_three};
use locule::{Error, RecordId, Result};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use test_kit::{
    Child, Role, Visits, assert_consistent, hear, insert_all, keys, options, say, scratch, visit, wait_until,
};

pub const ROLES: &[(&str, Role)] = &[("stay attached", stay_attached)];

/// What threads that share a handle do.
fn operations(table: &Visits) -> Vec<(&'static str, Result<()>)> {
    let id = RecordId::from_u64(1 << 24);
    vec![
        ("get", table.get(id).map(drop)),
        ("find", table.find(&1).map(drop)),
        ("len", table.len().map(drop)),
        ("iter", table.iter().try_for_each(|row| row.map(drop))),
        ("snapshot", table.snapshot(|_| Ok(()))),
        ("insert", table.insert(&visit(99, 0)).map(drop)),
        ("upsert", table.upsert(&visit(1, 0)).map(drop)),
        ("update", table.update(id, |visit| visit.hits += 1).map(drop)),
        ("delete", table.delete(id).map(drop)),
        ("write", table.write(|_| Ok(()))),
        ("sync", table.sync().map(drop)),
    ]
}

/// Every operation of every thread fails like this.
#[track_caller]
fn assert_dead_in_all_threads(table: &Visits, is_expected: fn(&Error) -> bool) {
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| operations(table))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (name, outcome) in outcomes {
        assert!(outcome.as_ref().is_err_and(is_expected), "{name}: {outcome:?}");
    }
}

#[test]
fn threads_that_share_a_handle_and_are_told_at_once_that_the_file_was_replaced_all_go_on() {
    const THREAD_COUNT: u64 = 8;
    let (_directory, path) = scratch();
    let table = Arc::new(table_of_three(&path));
    for round in 1..20 {
        let new = options().replace(&path).unwrap();
        let start = Arc::new(Barrier::new(usize::try_from(THREAD_COUNT).unwrap()));
        let threads: Vec<_> = (0..THREAD_COUNT)
            .map(|key| {
                let (table, start) = (Arc::clone(&table), Arc::clone(&start));
                std::thread::spawn(move || {
                    assert!(matches!(table.insert(&visit(99, 0)), Err(Error::Superseded)));
                    start.wait();
                    table.reopen().unwrap();
                    table.insert(&visit(key, round)).unwrap();
                    assert_eq!(table.find(&key).unwrap().unwrap().hits, round);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(keys(&new), (0..THREAD_COUNT).collect::<Vec<_>>());
        assert_good(&table, &path, &keys(&new));
        drop(new);
        // Only one of them has opened the file, so it is alone.
        ControlWords::of(&path).set(FAILED, 1);
        table.reopen().unwrap();
    }
}

#[test]
fn reopening_waits_for_a_thread_that_is_inside_a_transaction_and_loses_none_of_it() {
    let (_directory, path) = scratch();
    let table = &table_of_three(&path);
    let (tell_that_inside, is_inside) = channel();
    let (tell_to_go_on, go_on) = channel();
    std::thread::scope(|scope| {
        // Dropped if this thread fails, so that the other does not wait for ever.
        let tell_to_go_on = tell_to_go_on;
        let writer = scope.spawn(move || {
            table.write(|transaction| {
                transaction.insert(&visit(10, 0))?;
                tell_that_inside.send(()).unwrap();
                go_on.recv().unwrap();
                transaction.insert(&visit(11, 0)).map(drop)
            })
        });
        is_inside.recv().unwrap();
        ControlWords::of(&path).set(FAILED, 1);
        let reopener = scope.spawn(|| table.reopen());
        wait_until("the handle is dead", || matches!(table.len(), Err(Error::FlushFailed { .. })));
        // Nothing new begins with it, and it is still attached for the thread that is inside.
        assert!(matches!(table.insert(&visit(99, 0)), Err(Error::FlushFailed { .. })));
        assert!(matches!(options().open(&path).map(drop), Err(Error::FlushFailed { .. })));
        assert!(!reopener.is_finished());
        tell_to_go_on.send(()).unwrap();
        writer.join().unwrap().unwrap();
        reopener.join().unwrap().unwrap();
    });
    assert!(table.recovery().nothing_lost);
    table.insert(&visit(12, 0)).unwrap();
    assert_good(table, &path, &[0, 1, 2, 10, 11, 12]);
}

#[test]
fn reopening_waits_no_longer_than_for_a_lock_and_can_be_done_again() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let table = &options().lock_timeout(Duration::from_millis(50)).open(&path).unwrap();
    let (tell_that_inside, is_inside) = channel();
    let (tell_to_go_on, go_on) = channel();
    std::thread::scope(|scope| {
        // Dropped if this thread fails, so that the other does not wait for ever.
        let tell_to_go_on = tell_to_go_on;
        let writer = scope.spawn(move || {
            table.write(|transaction| {
                transaction.insert(&visit(10, 0))?;
                tell_that_inside.send(()).unwrap();
                go_on.recv().unwrap();
                Ok(())
            })
        });
        is_inside.recv().unwrap();
        ControlWords::of(&path).set(FAILED, 1);
        for _ in 0..2 {
            match table.reopen() {
                Err(Error::Timeout { lock: locule::TableLock::Handle, holder_pid, .. }) => {
                    assert_eq!(holder_pid, Some(std::process::id()))
                }
                outcome => panic!("{outcome:?}"),
            }
            assert!(matches!(table.find(&0), Err(Error::FlushFailed { .. })));
        }
        tell_to_go_on.send(()).unwrap();
        writer.join().unwrap().unwrap();
    });
    table.reopen().unwrap();
    assert_good(table, &path, &[0, 1, 2, 10]);
}

#[test]
fn reopening_inside_a_closure_is_nested_and_the_transaction_goes_on() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    ControlWords::of(&path).set(FAILED, 1);
    table
        .write(|transaction| {
            transaction.insert(&visit(10, 0))?;
            assert!(matches!(table.reopen(), Err(Error::Nested)));
            transaction.insert(&visit(11, 0)).map(drop)
        })
        .unwrap();
    let id = table.find(&0).unwrap().unwrap().id();
    table
        .update(id, |content| {
            assert!(matches!(table.reopen(), Err(Error::Nested)));
            *content = visit(0, 1);
        })
        .unwrap();
    // It was not given up.
    table.insert(&visit(12, 0)).unwrap();
    table.reopen().unwrap();
    assert_good(&table, &path, &[0, 1, 2, 10, 11, 12]);
}

#[test]
fn reopening_a_handle_that_is_in_order_changes_nothing() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let descriptor_count = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        descriptors
            .filter(|entry| std::fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|target| target == path))
            .count()
    };
    let before = (*table.recovery(), ControlWords::of(&path).get(RECOVERY_NUMBER), descriptor_count());
    for _ in 0..3 {
        table.reopen().unwrap();
    }
    assert_eq!((*table.recovery(), ControlWords::of(&path).get(RECOVERY_NUMBER), descriptor_count()), before);
    // The same if another process uses the table.
    let other = options().open(&path).unwrap();
    other.reopen().unwrap();
    other.insert(&visit(10, 0)).unwrap();
    assert_good(&table, &path, &[0, 1, 2, 10]);
}

fn stay_attached(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    say("open");
    hear();
    table.reopen().unwrap();
    assert!(table.recovery().nothing_lost);
    insert_all(&table, 40..42);
    say("reopened");
    hear();
}

#[test]
fn a_handle_that_could_not_be_reopened_is_dead_in_all_threads_until_it_is_reopened() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = Child::spawn("stay attached", &path, "");
    child.expect("open");
    ControlWords::of(&path).set(FAILED, 1);
    for _ in 0..2 {
        assert!(matches!(table.reopen(), Err(Error::FlushFailed { .. })));
        assert_dead_in_all_threads(&table, |error| matches!(error, Error::FlushFailed { source: None }));
    }
    child.tell("go on");
    child.expect("reopened");
    assert_dead_in_all_threads(&table, |error| matches!(error, Error::FlushFailed { source: None }));
    child.tell("end");
    child.finish();
    assert_dead_in_all_threads(&table, |error| matches!(error, Error::FlushFailed { source: None }));
    table.reopen().unwrap();
    table.insert(&visit(10, 0)).unwrap();
    table.sync().unwrap();
    assert_good(&table, &path, &[0, 1, 2, 10, 40, 41]);
}

// -- which tables a thread may write to inside a closure -------------------------------------------

/// Another file can be written to; its own number says which file it is, not the one in its header.
#[test]
fn a_copy_of_a_table_can_be_written_to_inside_a_closure_of_the_original() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let copied = directory.path().join("copy.loc");
    std::fs::copy(&path, &copied).unwrap();
    let copy = options().open(&copied).unwrap();
    table
        .write(|transaction| {
            transaction.insert(&visit(10, 0))?;
            copy.insert(&visit(20, 0))?;
            copy.write(|inner| {
                inner.insert(&visit(21, 0))?;
                // A closure of this table is around it.
                assert!(matches!(table.insert(&visit(98, 0)), Err(Error::Nested)));
                assert!(matches!(copy.insert(&visit(99, 0)), Err(Error::Nested)));
                Ok(())
            })?;
            copy.sync()?;
            transaction.insert(&visit(11, 0)).map(drop)
        })
        .unwrap();
    // A closure that holds no lock is not forgotten either, while another table's closure is inside it.
    let id = table.find(&0).unwrap().unwrap().id();
    table
        .update(id, |_| {
            let outcome = copy.write(|_| table.insert(&visit(98, 0)));
            assert!(matches!(outcome, Err(Error::Nested)), "{outcome:?}");
        })
        .unwrap();
    assert_good(&table, &path, &[0, 1, 2, 10, 11]);
    assert_good(&copy, &copied, &[0, 1, 2, 20, 21]);
}

#[test]
fn two_handles_of_one_thread_on_one_file_are_nested_by_whatever_name_they_were_opened() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let linked = directory.path().join("linked.loc");
    std::fs::hard_link(&path, &linked).unwrap();
    let others = [&path, &linked].map(|path| options().open(path).unwrap());
    let assert_nested = |other: &Visits| {
        assert!(matches!(other.insert(&visit(99, 0)), Err(Error::Nested)));
        assert!(matches!(other.write(|_| Ok(())), Err(Error::Nested)));
        assert!(matches!(other.sync(), Err(Error::Nested)));
        // It is in order, so there is nothing to be done.
        other.reopen().unwrap();
        assert!(other.find(&0).unwrap().is_some());
    };
    for other in &others {
        table
            .write(|transaction| {
                assert_nested(other);
                transaction.upsert(&visit(10, 0)).map(drop)
            })
            .unwrap();
        let id = table.find(&0).unwrap().unwrap().id();
        table.update(id, |_| assert_nested(other)).unwrap();
        other.upsert(&visit(10, 1)).unwrap();
    }
    assert_consistent(&table);
    assert_eq!(keys(&table), [0, 1, 2, 10]);
}
