//! Many threads on one handle, and children of a process with many threads.

use super::{
    ControlWords, FAILED, RECOVERY_NUMBER, assert_ends_well, assert_good, play_to_the_end, signal, table_of_three,
};
use locule::Error;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use test_kit::{Role, Visits, fork, in_fork, insert_all, keys, options, say, scratch, visit, wait_until};

pub const ROLES: &[(&str, Role)] = &[
    ("fork beside a thread that holds", fork_beside_a_holder),
    ("fork beside threads that write", fork_beside_writers),
];

const THREAD_COUNT: u64 = 8;

fn count_up(table: &Visits, key: u64) {
    let id = table.find(&key).unwrap().unwrap().id();
    table.update(id, |content| *content = visit(key, content.hits + 1)).unwrap();
}

fn fork_beside_a_holder(path: &Path, _: &str) {
    let table = &options().lock_timeout(Duration::from_millis(100)).open(path).unwrap();
    let (tell_that_inside, is_inside) = channel();
    let (tell_to_go_on, go_on) = channel();
    let parent = std::process::id();
    std::thread::scope(|scope| {
        let holder = scope.spawn(move || {
            table.write(|transaction| {
                transaction.insert(&visit(10, 0))?;
                tell_that_inside.send(()).unwrap();
                go_on.recv().unwrap();
                transaction.insert(&visit(11, 0)).map(drop)
            })
        });
        is_inside.recv().unwrap();
        let (child_was_refused, tell_that_refused) = signal();
        let (holder_is_out, tell_that_out) = signal();
        let child = fork(move || {
            // The thread is its parent's: it is not counted here, and the lock is waited for like any other's.
            match table.insert(&visit(20, 0)) {
                Err(Error::Timeout { lock: locule::TableLock::Write, holder_pid: Some(pid), .. }) => {
                    assert_eq!(pid, parent)
                }
                outcome => panic!("{outcome:?}"),
            }
            assert_eq!(keys(table), [0, 1, 2]);
            tell_that_refused();
            holder_is_out();
            // No thread is inside here, so a reopening does not have to wait; it is not alone.
            let control = ControlWords::of(path);
            control.set(FAILED, 1);
            assert!(matches!(table.reopen(), Err(Error::FlushFailed { source: None })));
            control.set(FAILED, 0);
            table.reopen().unwrap();
            table.insert(&visit(21, 0)).unwrap();
        });
        child_was_refused();
        tell_to_go_on.send(()).unwrap();
        holder.join().unwrap().unwrap();
        tell_that_out();
        assert_ends_well(child);
    });
    assert_eq!(table.status().repair_counts, locule::RepairCounts::default());
    say("done");
}

#[test]
fn a_child_forked_beside_a_thread_that_holds_the_lock_waits_for_that() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("fork beside a thread that holds", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 11, 21]);
}

fn fork_beside_writers(path: &Path, _: &str) {
    const CHILD_COUNT: u64 = 20;
    let (table, is_stopped) = (&options().open(path).unwrap(), &AtomicBool::new(false));
    insert_all(table, 10..10 + THREAD_COUNT);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (10..10 + THREAD_COUNT)
            .map(|key| {
                scope.spawn(move || {
                    let mut count = 0;
                    while !is_stopped.load(Ordering::Relaxed) {
                        count_up(table, key);
                        count += 1;
                    }
                    (key, count)
                })
            })
            .collect();
        for _ in 0..CHILD_COUNT {
            assert!(in_fork(|| {
                count_up(table, 0);
                table.insert(&visit(30, 0)).unwrap();
                table.sync().unwrap();
                table.delete(table.find(&30).unwrap().unwrap().id()).unwrap();
            }));
        }
        is_stopped.store(true, Ordering::Relaxed);
        for thread in threads {
            let (key, count) = thread.join().unwrap();
            assert_eq!(table.find(&key).unwrap().unwrap().hits, count);
        }
    });
    assert_eq!(table.find(&0).unwrap().unwrap().hits, CHILD_COUNT);
    say("done");
}

#[test]
fn children_of_a_process_whose_threads_write_use_the_table_beside_them() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("fork beside threads that write", &path);
    let expected: Vec<u64> = (0..3).chain(10..10 + THREAD_COUNT).collect();
    assert_good(&options().open(&path).unwrap(), &path, &expected);
}

#[test]
fn threads_that_are_told_at_once_that_a_flush_failed_recover_the_table_once_and_all_go_on() {
    let (_directory, path) = scratch();
    let table = &table_of_three(&path);
    let control = ControlWords::of(&path);
    for round in 1..4 {
        let recovery_number = control.get(RECOVERY_NUMBER);
        control.set(FAILED, 1);
        let are_told = &Barrier::new(usize::try_from(THREAD_COUNT).unwrap());
        std::thread::scope(|scope| {
            for key in 10..10 + THREAD_COUNT {
                scope.spawn(move || {
                    table.upsert(&visit(key, round)).unwrap();
                    assert!(matches!(table.sync(), Err(Error::FlushFailed { source: None })));
                    are_told.wait();
                    table.reopen().unwrap();
                    assert_eq!(table.find(&key).unwrap().unwrap().hits, round);
                    table.upsert(&visit(key + 20, round)).unwrap();
                    table.sync().unwrap();
                });
            }
        });
        assert_eq!(control.get(RECOVERY_NUMBER), recovery_number + 1);
        let expected: Vec<u64> = (0..3).chain(10..10 + THREAD_COUNT).chain(30..30 + THREAD_COUNT).collect();
        assert_good(table, &path, &expected);
    }
}

#[test]
fn an_iteration_goes_on_when_a_handle_in_order_is_reopened() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut rows = table.iter();
    let first = rows.next().unwrap().unwrap().visitor;
    table.reopen().unwrap();
    let rest = rows.map(|row| row.unwrap().visitor);
    assert_eq!([first].into_iter().chain(rest).collect::<Vec<_>>(), [0, 1, 2]);
}

/// A thread that reopened inside a closure waited for one that reopened outside, which waited for the closure.
#[test]
fn reopening_inside_a_closure_is_nested_also_while_another_thread_waits_for_that() {
    let (_directory, path) = scratch();
    let table = &table_of_three(&path);
    let (tell_that_inside, is_inside) = channel();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            table.write(|transaction| {
                transaction.insert(&visit(10, 0))?;
                tell_that_inside.send(()).unwrap();
                wait_until("the other one has begun", || table.len().is_err());
                assert!(matches!(table.reopen(), Err(Error::Nested)));
                transaction.insert(&visit(11, 0)).map(drop)
            })
        });
        is_inside.recv().unwrap();
        ControlWords::of(&path).set(FAILED, 1);
        table.reopen().unwrap();
        writer.join().unwrap().unwrap();
    });
    assert_good(table, &path, &[0, 1, 2, 10, 11]);
}
