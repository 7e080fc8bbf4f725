//! What a child of a fork may do with what it has inherited. It once shared its parent's attachment: if either of the
//! two released it, that took it from the other, and a child that did nothing kept every process from being alone.

use super::{CONDEMNED, ControlWords, FAILED, assert_ends_well, assert_good, play_to_the_end, signal, table_of_three};
use locule::{Error, RecoveryOutcome};
use nix::libc;
use nix::unistd::{Gid, Uid, setgid, setuid};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use test_kit::{Role, Visits, assert_consistent, fork, in_fork, insert_all, keys, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[
    ("let generations use it", let_generations_use_it),
    ("drop it under a child", drop_it_under_a_child),
    ("leave it to a grandchild", leave_it_to_a_grandchild),
    ("fork inside and look", fork_inside_and_look),
    ("give privileges up", give_privileges_up),
    ("fork into another PID namespace", fork_into_another_pid_namespace),
    ("leave a child idle", leave_a_child_idle),
    ("fork while openings fail", fork_while_openings_fail),
    ("leave it to a child and spoil it", leave_it_to_a_child_and_spoil_it),
    ("be orphaned by a kill", be_orphaned_by_a_kill),
    ("recover before a child's first use", recover_before_a_childs_first_use),
];

/// Where the heads are in a table of 64 slots, counted from the control region: behind that and the intent list.
const HEADS_OF_64_SLOTS: usize = 512 + 64;

/// Does everything that can be done, with keys from this one on, and leaves two records.
fn use_it(table: &Visits, first: u64) {
    let id = table.insert(&visit(first, 0)).unwrap();
    table.update(id, |content| *content = visit(first, 1)).unwrap();
    let gone = table.upsert(&visit(first + 1, 0)).unwrap().id;
    let sum = table.write(|transaction| {
        transaction.delete(gone)?;
        transaction.insert(&visit(first + 2, 0))?;
        Ok(transaction.find(&first)?.map_or(0, |row| row.hits))
    });
    assert_eq!(sum.unwrap(), 1);
    assert!(table.sync().unwrap() > 0);
    table.snapshot(|snapshot| snapshot.find(&first).map(|row| assert_eq!(row.unwrap().hits, 1))).unwrap();
    assert_consistent(table);
}

/// Checks that this process is attached, through any of its descriptors.
fn assert_attached(path: &Path) {
    let control = ControlWords::of(path);
    control.set(FAILED, 1);
    assert!(matches!(options().open(path).map(drop), Err(Error::FlushFailed { source: None })));
    control.set(FAILED, 0);
}

/// Checks that no process is attached.
fn assert_nobody_is_attached(path: &Path) {
    ControlWords::of(path).set(FAILED, 1);
    let table = options().open(path).unwrap();
    assert_eq!((table.recovery().outcome, table.recovery().nothing_lost), (RecoveryOutcome::Newest, true));
}

fn let_generations_use_it(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    use_it(&table, 10);
    assert!(in_fork(|| {
        use_it(&table, 20);
        assert!(in_fork(|| {
            use_it(&table, 30);
            // Its parent has not used it yet.
            assert!(in_fork(|| assert!(in_fork(|| use_it(&table, 40)))));
            use_it(&table, 50);
        }));
        use_it(&table, 60);
    }));
    use_it(&table, 70);
    assert!(table.status().repair_counts == locule::RepairCounts::default());
    say("done");
}

#[test]
fn children_and_grandchildren_use_an_inherited_handle_like_any_process() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("let generations use it", &path);
    let expected: Vec<u64> = (0..3).chain((10..80).step_by(10).flat_map(|key| [key, key + 2])).collect();
    assert_good(&options().open(&path).unwrap(), &path, &expected);
}

fn drop_it_under_a_child(path: &Path, _: &str) {
    // A child that has used it before, and one that has not.
    for has_used_it in [true, false] {
        let table = options().open(path).unwrap();
        let first = if has_used_it { 10 } else { 30 };
        let (child_is_there, tell_that_there) = signal();
        let (go_on, tell_to_go_on) = signal();
        let (child_has_used_it, tell_that_used) = signal();
        let (end, tell_to_end) = signal();
        let borrowed = &table;
        let child = fork(move || {
            if has_used_it {
                use_it(borrowed, first);
            }
            tell_that_there();
            go_on();
            use_it(borrowed, first + 10);
            tell_that_used();
            end();
        });
        child_is_there();
        drop(table);
        tell_to_go_on();
        child_has_used_it();
        assert_attached(path);
        tell_to_end();
        assert_ends_well(child);
        assert_nobody_is_attached(path);
    }
    say("done");
}

#[test]
fn a_child_goes_on_with_a_handle_that_its_parent_has_dropped() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("drop it under a child", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 12, 20, 22, 40, 42]);
}

fn leave_it_to_a_grandchild(path: &Path, _: &str) {
    for (position, drops) in [(1, true), (2, false)] {
        let (go_on, tell_to_go_on) = signal();
        let (is_done, tell_that_done) = signal();
        assert!(in_fork(move || {
            let table = options().open(path).unwrap();
            let (is_there, tell_that_there) = signal();
            let borrowed = &table;
            fork(move || {
                // It must outlive its parent; the alarm ends it after a while.
                // SAFETY: the call takes plain numbers and only sets an attribute of this process.
                assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }, 0);
                tell_that_there();
                go_on();
                use_it(borrowed, 10 * position);
                tell_that_done();
            });
            is_there();
            // Or it ends without dropping it.
            if drops {
                drop(table);
            }
        }));
        tell_to_go_on();
        is_done();
        insert_all(&options().open(path).unwrap(), 10 * position + 5..10 * position + 6);
    }
    say("done");
}

#[test]
fn a_child_goes_on_with_a_handle_of_a_parent_that_is_gone() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("leave it to a grandchild", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 12, 15, 20, 22, 25]);
}

fn fork_inside_and_look(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    table
        .write(|transaction| {
            transaction.insert(&visit(10, 0))?;
            let (child_has_looked, tell_that_looked) = signal();
            let (end, tell_to_end) = signal();
            let (borrowed, inherited) = (&table, &mut *transaction);
            let child = fork(move || {
                // It attaches on its own, and has no part in what its parent holds.
                assert_eq!(keys(borrowed), [0, 1, 2]);
                assert!(matches!(inherited.insert(&visit(11, 0)), Err(Error::Forked)));
                assert!(matches!(inherited.find(&0), Err(Error::Forked)));
                assert!(matches!(borrowed.insert(&visit(12, 0)), Err(Error::Nested)));
                tell_that_looked();
                end();
            });
            child_has_looked();
            transaction.insert(&visit(13, 0))?;
            tell_to_end();
            assert_ends_well(child);
            transaction.insert(&visit(14, 0)).map(drop)
        })
        .unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 10, 13, 14]);
    say("done");
}

#[test]
fn a_child_forked_inside_a_transaction_attaches_beside_it_and_does_it_no_harm() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("fork inside and look", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 13, 14]);
}

fn give_privileges_up(path: &Path, _: &str) {
    if !Uid::effective().is_root() {
        return say("skipped: not root");
    }
    let table = options().open(path).unwrap();
    let (child_was_refused, tell_that_refused) = signal();
    let (end, tell_to_end) = signal();
    let borrowed = &table;
    let child = fork(move || {
        setgid(Gid::from_raw(65_534)).unwrap();
        setuid(Uid::from_raw(65_534)).unwrap();
        for _ in 0..2 {
            let outcomes = [
                borrowed.insert(&visit(10, 0)).map(drop),
                borrowed.find(&0).map(drop),
                borrowed.sync().map(drop),
                borrowed.write(|_| Ok(())),
            ];
            for outcome in outcomes {
                let error = outcome.unwrap_err();
                let text = error.to_string();
                assert!(
                    matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied)
                );
                assert!(text.contains("in the child of a fork") && text.contains("visits.loc"), "{text}");
            }
        }
        tell_that_refused();
        end();
    });
    child_was_refused();
    table.insert(&visit(11, 0)).unwrap();
    drop(table);
    assert_nobody_is_attached(path);
    tell_to_end();
    assert_ends_well(child);
    say("done");
}

#[test]
fn a_child_that_may_not_open_the_file_is_told_so_and_not_attached() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("give privileges up", &path);
    if Uid::effective().is_root() {
        assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 11]);
    }
}

fn fork_into_another_pid_namespace(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
        return say(format!("skipped: {error}"));
    }
    let (child_was_refused, tell_that_refused) = signal();
    let (end, tell_to_end) = signal();
    let borrowed = &table;
    let child = fork(move || {
        for outcome in [borrowed.insert(&visit(10, 0)).map(drop), borrowed.find(&0).map(drop), borrowed.reopen()] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Incompatible { .. }), "{error:?}");
            assert!(error.to_string().contains("PID namespace"), "{error}");
        }
        tell_that_refused();
        end();
    });
    child_was_refused();
    use_it(&table, 20);
    drop(table);
    assert_nobody_is_attached(path);
    tell_to_end();
    assert_ends_well(child);
    say("done");
}

#[test]
fn a_child_in_another_pid_namespace_is_refused_and_its_parent_goes_on() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("fork into another PID namespace", &path);
    assert_consistent(&options().open(&path).unwrap());
}

fn leave_a_child_idle(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let (end, tell_to_end) = signal();
    let child = fork(end);
    insert_all(&table, 10..13);
    drop(table);
    assert_nobody_is_attached(path);
    // Reopening does not help either.
    let table = options().open(path).unwrap();
    let (end_too, tell_to_end_too) = signal();
    let other_child = fork(end_too);
    ControlWords::of(path).set(CONDEMNED, 1);
    assert!(matches!(table.len(), Err(Error::Condemned)));
    table.reopen().unwrap();
    use_it(&table, 20);
    tell_to_end();
    tell_to_end_too();
    assert_ends_well(child);
    assert_ends_well(other_child);
    say("done");
}

#[test]
fn a_child_that_never_uses_the_handle_keeps_nobody_from_being_alone() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("leave a child idle", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 11, 12, 20, 22]);
}

fn leave_it_to_a_child_and_spoil_it(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let (go_on, tell_to_go_on) = signal();
    let borrowed = &table;
    let child = fork(move || {
        go_on();
        for outcome in [borrowed.find(&0).map(drop), borrowed.insert(&visit(10, 0)).map(drop)] {
            assert!(matches!(outcome, Err(Error::Recovered)), "{outcome:?}");
        }
        borrowed.reopen().unwrap();
        assert_eq!(borrowed.recovery().outcome, RecoveryOutcome::Newest);
        use_it(borrowed, 20);
    });
    drop(table);
    // As if an older file had been put back: the head of one record's slot leads to another cell.
    let control = ControlWords::of(path);
    let first_head = HEADS_OF_64_SLOTS;
    control.set(first_head, control.get(first_head) ^ 1 << 62);
    tell_to_go_on();
    assert_ends_well(child);
    say("done");
}

#[test]
fn a_child_that_is_the_first_to_use_a_table_again_proves_it() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("leave it to a child and spoil it", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 20, 22]);
}

fn be_orphaned_by_a_kill(path: &Path, _: &str) {
    let (child_is_attached, tell_that_attached) = signal();
    let (go_on, tell_to_go_on) = signal();
    let (is_done, tell_that_done) = signal();
    let (end, tell_to_end) = signal();
    let parent = fork(move || {
        let table = options().open(path).unwrap();
        let borrowed = &table;
        fork(move || {
            // SAFETY: the call takes plain numbers and only sets an attribute of this process.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }, 0);
            use_it(borrowed, 10);
            tell_that_attached();
            go_on();
            ControlWords::of(path).set(CONDEMNED, 1);
            assert!(matches!(borrowed.len(), Err(Error::Condemned)));
            borrowed.reopen().unwrap();
            use_it(borrowed, 20);
            tell_that_done();
            end();
        });
        std::thread::sleep(Duration::MAX);
    });
    child_is_attached();
    nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGKILL).unwrap();
    nix::sys::wait::waitpid(parent, None).unwrap();
    tell_to_go_on();
    is_done();
    assert_attached(path);
    tell_to_end();
    say("done");
}

#[test]
fn a_child_whose_parent_was_killed_can_be_alone() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("be orphaned by a kill", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 10, 12, 20, 22]);
}

locule::record! {
    struct Other {
        key name: u32,
    }
}

/// Whether this process has a file open.
fn has_open(path: &Path) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    descriptors.flatten().any(|descriptor| std::fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
}

fn fork_while_openings_fail(path: &Path, _: &str) {
    let (is_stopped, is_gate_free) = (AtomicBool::new(false), options().lock_timeout(Duration::from_millis(500)));
    let mut children = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_stopped.load(Ordering::Relaxed) {
                let outcome = locule::Table::<Other>::options().open(path).map(drop);
                assert!(matches!(outcome, Err(Error::SchemaMismatch { .. })), "{outcome:?}");
            }
        });
        // Until some children were forked in the middle of an opening, and so have inherited its descriptor.
        while children.len() < 10 {
            let (end, tell_to_end) = signal();
            let (mut answer, mut question) = UnixStream::pair().unwrap();
            let child = fork(move || {
                let has_inherited = has_open(path);
                question.write_all(&[u8::from(has_inherited)]).unwrap();
                if has_inherited {
                    end();
                }
            });
            let mut has_inherited = [0];
            answer.read_exact(&mut has_inherited).unwrap();
            match has_inherited {
                [1] => children.push((child, tell_to_end)),
                _ => assert_ends_well(child),
            }
        }
        is_stopped.store(true, Ordering::Relaxed);
    });
    drop(is_gate_free.open(path).unwrap());
    for (child, tell_to_end) in children {
        tell_to_end();
        assert_ends_well(child);
    }
    say("done");
}

#[test]
fn an_opening_that_fails_leaves_the_gate_free_though_children_were_forked_meanwhile() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("fork while openings fail", &path);
}

fn recover_before_a_childs_first_use(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let (go_on, tell_to_go_on) = signal();
    let borrowed = &table;
    let child = fork(move || {
        go_on();
        assert!(matches!(borrowed.insert(&visit(10, 0)), Err(Error::Recovered)));
        assert!(matches!(borrowed.sync(), Err(Error::Recovered)));
        assert!(matches!(borrowed.find(&0), Err(Error::Recovered)));
        borrowed.reopen().unwrap();
        use_it(borrowed, 20);
    });
    ControlWords::of(path).set(FAILED, 1);
    table.reopen().unwrap();
    insert_all(&table, 40..42);
    tell_to_go_on();
    assert_ends_well(child);
    // What the child released was its own.
    assert_attached(path);
    use_it(&table, 30);
    say("done");
}

#[test]
fn a_child_whose_parent_recovered_the_table_before_its_first_use_is_told_so() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    play_to_the_end("recover before a child's first use", &path);
    assert_good(&options().open(&path).unwrap(), &path, &[0, 1, 2, 20, 22, 30, 32, 40, 41]);
}
