//! However a process dies, stops, forks or executes another program while it holds the lock: no other process waits for
//! it longer than it lives, and nothing that it did half way is ever seen.

use locule::testing::SharedWords;
use locule::{Error, WriterState};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use test_kit::{Child, Visits, assert_consistent, assert_recovers_the_same, hear, keys, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("hold", hold),
        ("insert", insert),
        ("end a thread that holds", end_a_thread_that_holds),
        ("execute while holding", execute_while_holding),
        ("execute while a thread holds", execute_while_a_thread_holds),
        ("end after the mapping", end_after_the_mapping),
        ("say hello", |_, _| {
            say("hello");
            hear();
        }),
        ("fork inside", fork_inside),
        ("fork inside and use the table after", fork_inside_and_use_the_table_after),
        ("fork outside", fork_outside),
    ]);
}

/// Stages an insert, an update and a delete of everything, and waits inside the transaction.
fn hold(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let rows: Vec<_> = table.iter().map(Result::unwrap).collect();
    table
        .write(|transaction| {
            for (position, row) in rows.iter().enumerate() {
                match position % 2 {
                    0 => drop(transaction.update(row.id(), |visit| visit.hits += 1)?),
                    _ => transaction.delete(row.id())?,
                }
            }
            for id in 100..150 {
                transaction.insert(&visit(id, 0))?;
            }
            say("holding");
            hear();
            Ok(())
        })
        .unwrap();
    say("published");
    hear();
}

fn insert(path: &Path, argument: &str) {
    let table = options().open(path).unwrap();
    say("open");
    hear();
    say("about to insert");
    table.insert(&visit(argument.parse().unwrap(), 0)).unwrap();
    say("inserted");
}

/// A table with the keys 0 to 9, as a handle.
fn ten_visits(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    for id in 0..10 {
        table.insert(&visit(id, 0)).unwrap();
    }
    table
}

#[track_caller]
fn assert_is_ten_visits(table: &Visits) {
    assert_consistent(table);
    assert_eq!(keys(table), (0..10).collect::<Vec<_>>());
    assert!(table.iter().all(|row| row.unwrap().update_count() == 0));
}

#[test]
fn nothing_is_seen_of_a_transaction_whose_process_was_killed_and_the_next_caller_goes_on() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    let mut child = Child::spawn("hold", &path, "");
    child.expect("holding");
    assert_eq!(table.status().writer.unwrap().pid, child.pid().as_raw() as u32);
    assert_eq!(table.status().writer.unwrap().state, WriterState::Staging);
    assert_is_ten_visits(&table);
    child.kill();
    assert_is_ten_visits(&table);

    table.insert(&visit(10, 0)).unwrap();
    assert_eq!(table.status().repair_counts.staging, 1);
    assert_eq!(table.status().writer, None);
    assert_recovers_the_same(&table, &path);
    // No slot was lost: what the dead process had taken is free again.
    for id in 11..64 {
        table.insert(&visit(id, 0)).unwrap();
    }
    assert!(matches!(table.insert(&visit(64, 0)), Err(Error::Full { live_count: 64, capacity: 64, .. })));
    assert_consistent(&table);
    assert_eq!(keys(&table), (0..64).collect::<Vec<_>>());
}

#[test]
fn a_first_opener_after_the_death_of_a_holder_finds_what_was_published() {
    let (_directory, path) = scratch();
    drop(ten_visits(&path));
    let mut child = Child::spawn("hold", &path, "");
    child.expect("holding");
    child.kill();
    let table = options().open(&path).unwrap();
    assert!(table.recovery().nothing_lost);
    assert_is_ten_visits(&table);
    table.insert(&visit(10, 0)).unwrap();
    assert_consistent(&table);
}

#[test]
fn many_holders_can_die_one_after_the_other() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    for round in 1..=5 {
        let mut child = Child::spawn("hold", &path, "");
        child.expect("holding");
        child.kill();
        // Every other time the next process that gets in is the next to die.
        if round % 2 == 0 {
            table.write(|_| Ok(())).unwrap();
        }
    }
    table.write(|_| Ok(())).unwrap();
    assert_eq!(table.status().repair_counts.staging, 5);
    assert_is_ten_visits(&table);
}

#[test]
fn a_stopped_holder_makes_writers_time_out_with_its_pid_and_readers_go_on() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    let id = table.find(&0).unwrap().unwrap().id();
    let mut child = Child::spawn("hold", &path, "");
    child.expect("holding");
    child.stop();

    let impatient = options().lock_timeout(Duration::from_millis(120)).open(&path).unwrap();
    let pid = child.pid().as_raw() as u32;
    for outcome in [
        impatient.insert(&visit(70, 0)).map(drop),
        impatient.update(id, |visit| visit.hits += 1).map(drop),
        impatient.delete(id).map(drop),
        impatient.write(|_| Ok(())),
        impatient.sync().map(drop),
    ] {
        match outcome {
            Err(Error::Timeout { lock: locule::TableLock::Write, holder_pid, waited }) => {
                assert_eq!(holder_pid, Some(pid));
                assert!(waited >= Duration::from_millis(120));
            }
            other => panic!("expected a timeout, found {other:?}"),
        }
    }
    let message = impatient.insert(&visit(70, 0)).unwrap_err().to_string();
    assert!(message.contains(&format!("process {pid}")), "{message}");

    assert_is_ten_visits(&table);
    assert_eq!(table.find(&100).unwrap(), None);
    assert_eq!(table.find(&4711).unwrap(), None);
    assert_eq!(table.snapshot(|snapshot| snapshot.iter().collect::<Result<Vec<_>, _>>()).unwrap().len(), 10);
    // Opening a table needs no mutex either.
    assert_is_ten_visits(&Visits::open(&path).unwrap());
    assert_is_ten_visits(&options().open_read_only(&path).unwrap());

    child.resume();
    child.tell("go on");
    child.expect("published");
    assert_eq!(keys(&table), (0..10).step_by(2).chain(100..150).collect::<Vec<_>>());
    impatient.insert(&visit(70, 0)).unwrap();
    assert_eq!(table.status().repair_counts, locule::RepairCounts::default());
}

#[test]
fn a_waiter_that_is_killed_takes_nothing_with_it() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    let mut waiters = [200, 201, 202].map(|id| Child::spawn("insert", &path, id));
    for waiter in &mut waiters {
        waiter.expect("open");
        waiter.tell("go");
        waiter.expect("about to insert");
        waiter.wait_until_asleep_on_shared_word();
    }
    waiters[0].kill();
    holder.tell("go on");
    holder.expect("published");
    waiters[1].expect("inserted");
    waiters[2].expect("inserted");
    assert!(!table.contains_key(&200).unwrap());
    assert!(table.contains_key(&201).unwrap() && table.contains_key(&202).unwrap());
    assert_eq!(table.status().repair_counts, locule::RepairCounts::default());
}

#[test]
fn a_waiter_killed_together_with_the_holder_leaves_the_lock_to_the_others() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    for _ in 0..10 {
        let mut holder = Child::spawn("hold", &path, "");
        holder.expect("holding");
        let mut waiter = Child::spawn("insert", &path, 200);
        waiter.expect("open");
        waiter.tell("go");
        waiter.expect("about to insert");
        holder.kill();
        let _ = nix::sys::signal::kill(waiter.pid(), nix::sys::signal::Signal::SIGKILL);
        table.write(|transaction| transaction.find(&0).map(drop)).unwrap();
        waiter.wait();
        if let Some(row) = table.find(&200).unwrap() {
            table.delete(row.id()).unwrap();
        }
        assert_is_ten_visits(&table);
    }
}

// -- threads ---------------------------------------------------------------------------------------

fn end_a_thread_that_holds(path: &Path, _: &str) {
    let table: &'static Visits = Box::leak(Box::new(options().open(path).unwrap()));
    let (holding, is_holding) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        table.write::<()>(|transaction| {
            transaction.insert(&visit(100, 0))?;
            holding.send(()).unwrap();
            // SAFETY: ends this thread alone, with nothing unwound, as if it had been killed. Nothing on its stack is
            // used by others.
            unsafe { nix::libc::syscall(nix::libc::SYS_exit, 0) };
            unreachable!("the thread has ended")
        })
    });
    is_holding.recv().unwrap();
    table.insert(&visit(101, 0)).unwrap();
    assert_eq!(table.status().repair_counts.staging, 1);
    assert!(!table.contains_key(&100).unwrap());
}

#[test]
fn a_thread_that_ends_while_it_holds_the_lock_is_a_dead_owner() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    Child::spawn("end a thread that holds", &path, "").finish();
    assert!(table.contains_key(&101).unwrap());
    assert_consistent(&table);
}

// -- exec and fork ---------------------------------------------------------------------------------

fn execute_while_holding(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let program = test_kit::fork(|| execute_inside(&table, path));
    nix::sys::wait::waitpid(program, None).unwrap();
}

fn execute_while_a_thread_holds(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    std::thread::scope(|scope| scope.spawn(|| execute_inside(&table, path)).join().unwrap());
}

fn execute_inside(table: &Visits, path: &Path) {
    let outcome = table.write(|transaction| {
        transaction.insert(&visit(100, 0))?;
        Err::<(), _>(Error::caller(test_kit::command("say hello", path, "").exec()))
    });
    panic!("could not execute: {outcome:?}");
}

#[test]
fn executing_another_program_while_holding_the_lock_is_death() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    let mut child = Child::spawn("execute while holding", &path, "");
    child.expect("hello");
    table.insert(&visit(10, 0)).unwrap();
    assert_eq!(table.status().repair_counts.staging, 1);
    assert!(!table.contains_key(&100).unwrap());
    // The process is alive.
    child.tell("end");
    child.finish();
}

/// A thread other than the first gets the process's id before the kernel looks at its robust list. So the kernel takes
/// the lock for another thread's and leaves it locked by a thread that is gone (seen on Linux 6.18). Every caller got
/// `Condemned` then, until all had dropped their handles.
#[test]
fn executing_another_program_in_a_thread_that_holds_the_lock_is_death() {
    let (_directory, path) = scratch();
    drop(ten_visits(&path));
    // It is not waited for: it is seen that no thread can give the lock back.
    let table = options().lock_timeout(LONG).open(&path).unwrap();
    let other = options().open(&path).unwrap();
    let mut child = Child::spawn("execute while a thread holds", &path, "");
    child.expect("hello");
    assert_is_ten_visits(&table);
    table.insert(&visit(10, 0)).unwrap();
    assert_left_staging_and_was_repaired(&table, &other, &path);
    // The process is alive.
    child.tell("end");
    child.finish();
}

/// Longer than any wait for what is seen at once.
const LONG: Duration = Duration::from_secs(60);

/// A process died while it staged; since then key 10 was inserted, and nothing else.
#[track_caller]
fn assert_left_staging_and_was_repaired(table: &Visits, other: &Visits, path: &Path) {
    let counts = table.status().repair_counts;
    assert_eq!(counts, {
        let mut counts = locule::RepairCounts::default();
        counts.staging = 1;
        counts
    });
    assert_eq!(table.status().writer, None);
    for table in [table, other] {
        assert_eq!(keys(table), (0..=10).collect::<Vec<_>>());
        assert_consistent(table);
    }
    assert_recovers_the_same(table, path);
    // The lock works again for every process.
    other.insert(&visit(11, 0)).unwrap();
    table.sync().unwrap();
    assert_eq!(table.status().repair_counts, counts);
    assert_eq!(table.status().dead_syncer_count, 0);
}

/// Unmaps the table inside a transaction, and ends, as the main thread of a process that is waited for, or is not.
fn end_after_the_mapping(path: &Path, is_waited_for: &str) {
    let table = options().open(path).unwrap();
    let child = test_kit::fork(|| unmap_and_end(&table, path));
    waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    if is_waited_for == "true" {
        nix::sys::wait::waitpid(child, None).unwrap();
    }
    say("ended");
    hear();
}

fn unmap_and_end(table: &Visits, path: &Path) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with(path.to_str().unwrap())).expect("the table is mapped");
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).unwrap());
    let outcome: locule::Result<()> = table.write(|transaction| {
        transaction.insert(&visit(100, 0))?;
        // SAFETY: nothing uses the mapping after that, since the process ends at once, without unwinding or destructors.
        unsafe {
            nix::libc::munmap(std::ptr::with_exposed_provenance_mut(start), end - start);
            nix::libc::_exit(0)
        }
    });
    unreachable!("{outcome:?}");
}

/// The kernel cannot mark a lock as a dead owner's if it cannot reach it when the owner ends. Every caller got
/// `Condemned` then, or waited in vain as long as the exit status of the dead process had not been collected.
#[test]
fn ending_with_the_lock_after_the_mapping_is_gone_is_death() {
    for is_waited_for in [true, false] {
        let (_directory, path) = scratch();
        drop(ten_visits(&path));
        let table = options().lock_timeout(LONG).open(&path).unwrap();
        let other = options().open(&path).unwrap();
        let mut child = Child::spawn("end after the mapping", &path, is_waited_for);
        child.expect("ended");
        assert_is_ten_visits(&table);
        table.insert(&visit(10, 0)).unwrap();
        assert_left_staging_and_was_repaired(&table, &other, &path);
    }
}

/// The same for either mutex, as the words of the file show it, and for processes that do not wait.
#[test]
fn a_lock_that_a_dead_thread_still_holds_is_taken_over_also_by_who_does_not_wait() {
    let at_once = || options().lock_timeout(Duration::ZERO);
    let (_directory, path) = scratch();
    drop(ten_visits(&path));
    let table = at_once().open(&path).unwrap();
    let other = options().open(&path).unwrap();
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    holder.kill();
    leave_to(&path, WRITE_MUTEX, &holder);
    table.insert(&visit(10, 0)).unwrap();
    assert_left_staging_and_was_repaired(&table, &other, &path);

    leave_to(&path, SYNC_MUTEX, &holder);
    table.insert(&visit(12, 0)).unwrap();
    let last = table.status().last;
    assert_eq!(table.sync().unwrap(), last);
    assert_eq!((table.status().durable, table.status().dead_syncer_count), (last, 1));

    // Automatic syncs are made too.
    let syncing = at_once().sync_every(Some(Duration::ZERO)).open(&path).unwrap();
    leave_to(&path, SYNC_MUTEX, &holder);
    syncing.insert(&visit(13, 0)).unwrap();
    assert_eq!((table.status().durable, table.status().dead_syncer_count), (table.status().last, 2));
    assert_consistent(&table);
}

const WRITE_MUTEX: usize = 0;
const SYNC_MUTEX: usize = 8;

/// Writes the id of a process that no longer exists into the word of a mutex that the kernel looks at when an owner
/// dies.
#[track_caller]
fn leave_to(path: &Path, mutex: usize, dead: &Child) {
    assert_eq!(nix::sys::signal::kill(dead.pid(), None), Err(nix::errno::Errno::ESRCH), "it is no more");
    let words = SharedWords::open(path).unwrap();
    let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
    // The first 32 bits of glibc's mutexes, and the second of musl's.
    let shift = if cfg!(target_env = "gnu") == cfg!(target_endian = "little") { 0 } else { 32 };
    let word = &words.words()[control + mutex];
    let id = u64::try_from(dead.pid().as_raw()).unwrap();
    word.store(word.load(Ordering::Relaxed) & !(0xffff_ffff << shift) | id << shift, Ordering::Relaxed);
}

fn fork_inside(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let first = table.find(&0).unwrap().unwrap().id();
    table
        .write(|transaction| {
            transaction.insert(&visit(100, 0))?;
            let child_is_well = test_kit::in_fork(|| {
                assert!(matches!(transaction.insert(&visit(101, 0)), Err(Error::Forked)));
                assert!(matches!(transaction.upsert(&visit(0, 1)), Err(Error::Forked)));
                assert!(matches!(transaction.update(first, |visit| visit.hits += 1), Err(Error::Forked)));
                assert!(matches!(transaction.delete(first), Err(Error::Forked)));
                assert!(matches!(table.insert(&visit(102, 0)), Err(Error::Nested)));
                // What it read might be what the parent is writing.
                assert!(matches!(transaction.find(&0), Err(Error::Forked)));
                assert!(matches!(transaction.contains_key(&200), Err(Error::Forked)));
                assert!(matches!(transaction.get(first), Err(Error::Forked)));
                assert!(matches!(transaction.len(), Err(Error::Forked)));
                assert!(matches!(transaction.iter().next(), Some(Err(Error::Forked))));
                assert!(matches!(transaction.query().count(), Err(Error::Forked)));
                assert!(matches!(transaction.query().delete(), Err(Error::Forked)));
                assert!(table.find(&0).unwrap().is_some());
            });
            assert!(child_is_well);
            assert_eq!(table.status().writer.unwrap().pid, std::process::id());
            transaction.insert(&visit(103, 0))?;
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_child_forked_inside_a_transaction_cannot_write_in_it_and_the_parent_publishes() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    Child::spawn("fork inside", &path, "").finish();
    assert_eq!(keys(&table), (0..10).chain([100, 103]).collect::<Vec<_>>());
    assert_eq!(table.status().repair_counts, locule::RepairCounts::default());
    assert_consistent(&table);
}

fn fork_inside_and_use_the_table_after(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let (parent_is_done, mut tell_parent_is_done) = UnixStream::pair().unwrap();
    let (child_is_out, mut tell_child_is_out) = UnixStream::pair().unwrap();
    let mut is_child = false;
    let mut child = None;
    let outcome = table.write(|transaction| {
        transaction.insert(&visit(100, 0))?;
        // SAFETY: as in `test_kit::fork`.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => is_child = true,
            nix::unistd::ForkResult::Parent { child: pid } => {
                child = Some(pid);
                // The child has dropped its copy of the transaction before this one goes on.
                read_byte(child_is_out);
                assert_eq!(table.status().writer.unwrap().pid, std::process::id());
                transaction.insert(&visit(101, 0))?;
            }
        }
        Ok(())
    });
    if is_child {
        test_kit::end_with_parent();
        assert!(matches!(outcome, Err(Error::Forked)), "{outcome:?}");
        std::io::Write::write_all(&mut tell_child_is_out, b"1").unwrap();
        read_byte(parent_is_done);
        table.insert(&visit(102, 0)).unwrap();
        std::process::exit(0);
    }
    outcome.unwrap();
    std::io::Write::write_all(&mut tell_parent_is_done, b"1").unwrap();
    let child = child.unwrap();
    let status = nix::sys::wait::waitpid(child, None).unwrap();
    assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
    table.insert(&visit(103, 0)).unwrap();
}

fn read_byte(mut pipe: UnixStream) {
    std::io::Read::read_exact(&mut pipe, &mut [0]).unwrap();
}

#[test]
fn a_child_forked_inside_a_transaction_drops_it_without_a_trace_and_then_uses_the_table() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    Child::spawn("fork inside and use the table after", &path, "").finish();
    assert_eq!(keys(&table), (0..10).chain(100..104).collect::<Vec<_>>());
    assert_eq!(table.status().repair_counts, locule::RepairCounts::default());
    assert_consistent(&table);
}

fn fork_outside(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    table.insert(&visit(100, 0)).unwrap();
    assert!(test_kit::in_fork(|| {
        let row = table.find(&100).unwrap().unwrap();
        table.update(row.id(), |visit| visit.hits = 1).unwrap();
        table.write(|transaction| transaction.insert(&visit(101, 0))).unwrap();
        table.sync().unwrap();
    }));
    assert!(table.contains_key(&101).unwrap());

    // A grandchild that dies with the lock is a dead owner like any other.
    let child = test_kit::fork(|| {
        let _ = table.write(|transaction| {
            transaction.insert(&visit(102, 0))?;
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
            Ok(())
        });
    });
    nix::sys::wait::waitpid(child, None).unwrap();
    table.insert(&visit(103, 0)).unwrap();
    assert_eq!(table.status().repair_counts.staging, 1);

    // The handle of the parent stays attached when a child closes its copy of it.
    assert!(test_kit::in_fork(|| drop(options().open(path).unwrap())));
    table.insert(&visit(104, 0)).unwrap();
}

#[test]
fn a_child_forked_outside_a_transaction_uses_the_table_like_any_process() {
    let (_directory, path) = scratch();
    let table = ten_visits(&path);
    Child::spawn("fork outside", &path, "").finish();
    assert_eq!(keys(&table), (0..10).chain([100, 101, 103, 104]).collect::<Vec<_>>());
    assert_eq!(table.find(&100).unwrap().unwrap().hits, 1);
}
