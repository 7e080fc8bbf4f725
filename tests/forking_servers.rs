//! The examples of the page `docs/forking-servers.md`, and what they are to do.

use locule::Table;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::path::Path;
use std::process::Command;
use test_kit::{Child, Role, say, scratch};

const WORKER_COUNT: u64 = 4;

locule::record! {
    /// How often something was asked for.
    pub struct Counter {
        pub key id: u64,
        pub count: u64,
    }
}

fn work(table: &Table<Counter>) -> locule::Result<()> {
    for id in 0..100 {
        table.upsert_with(&Counter { id, count: 1 }, |counter| counter.count += 1)?;
    }
    Ok(())
}

fn serve_by_fork(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let table = Table::<Counter>::options().open_or_create(path)?;
    let mut workers = Vec::new();
    for _ in 0..WORKER_COUNT {
        // SAFETY: no other thread of this process holds a lock that the child needs.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => workers.push(child),
            ForkResult::Child => std::process::exit(match work(&table) {
                Ok(()) => 0,
                Err(_) => 1,
            }),
        }
    }
    for worker in workers {
        assert_eq!(waitpid(worker, None)?, WaitStatus::Exited(worker, 0));
    }
    // On the disk, with what the workers wrote.
    Ok(table.close()?)
}

fn serve_by_exec(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // Any number of processes can do this at once: they get one table.
    let table = Table::<Counter>::options().open_or_create(path)?;
    if std::env::var_os("WORKER").is_some() {
        work(&table)?;
        return Ok(table.close()?);
    }
    let worker = || {
        let mut program = Command::new(std::env::current_exe()?);
        program.args(std::env::args_os().skip(1)).env("WORKER", "yes").spawn()
    };
    let workers = (0..WORKER_COUNT).map(|_| worker()).collect::<Result<Vec<_>, _>>()?;
    for mut worker in workers {
        assert!(worker.wait()?.success());
    }
    Ok(table.close()?)
}

const ROLES: &[(&str, Role)] = &[
    ("serve by fork", |path, _| serve_by_fork(path).unwrap()),
    ("serve by exec", |path, _| serve_by_exec(path).unwrap()),
    ("use it in a fork", use_it_in_a_fork),
];

#[test]
fn child_process() {
    test_kit::play(ROLES);
}

/// Runs a server, and looks at what its workers counted.
#[track_caller]
fn assert_counts(role: &str) {
    let (_directory, path) = scratch();
    Child::spawn(role, &path, "").finish();
    let table = Table::<Counter>::open(&path).unwrap();
    assert_eq!(table.len().unwrap(), 100);
    assert!(table.iter().all(|row| row.unwrap().count == WORKER_COUNT));
    assert!(locule::admin::verify(&path).unwrap().is_good());
}

#[test]
fn workers_that_inherit_the_handle_work_on_one_table() {
    assert_counts("serve by fork");
}

#[test]
fn workers_that_open_the_table_themselves_work_on_one_table() {
    assert_counts("serve by exec");
}

/// What the page says about a transaction that is open at the fork.
fn use_it_in_a_fork(path: &Path, _: &str) {
    let table = Table::<Counter>::options().open_or_create(path).unwrap();
    let is_right = table.write(|transaction| {
        transaction.insert(&Counter { id: 1, count: 1 })?;
        Ok(test_kit::in_fork(|| {
            let outcome = transaction.insert(&Counter { id: 2, count: 1 });
            assert!(matches!(outcome, Err(locule::Error::Forked)), "{outcome:?}");
            let outcome = transaction.find(&1).map(|row| row.is_some());
            assert!(matches!(outcome, Err(locule::Error::Forked)), "{outcome:?}");
            // By the table itself it can read. The transaction is not done yet.
            assert!(!table.contains_key(&1).unwrap());
            let outcome = table.insert(&Counter { id: 3, count: 1 });
            assert!(matches!(outcome, Err(locule::Error::Nested)), "{outcome:?}");
        }))
    });
    assert!(is_right.unwrap());
    assert_eq!(table.len().unwrap(), 1);
    say("done");
}

#[test]
fn a_transaction_that_is_open_at_a_fork_is_the_parents() {
    let (_directory, path) = scratch();
    let mut child = Child::spawn("use it in a fork", &path, "");
    child.expect("done");
    child.finish();
}
