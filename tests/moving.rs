//! Files that are copied, restored, replaced, destroyed, used from elsewhere, or whose locks can no longer be used.

use locule::testing::SharedWords;
use locule::{Error, RecoveryOutcome};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use test_kit::{Child, Visits, assert_consistent, hear, insert_all, keys, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("hold", hold),
        ("insert when told", insert_when_told),
        ("destroy in steps", destroy_in_steps),
        ("open and tell", open_and_tell),
        ("leave the namespace", leave_the_namespace),
    ]);
}

/// Stages an insert, and waits inside the transaction.
fn hold(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let outcome = table.write(|transaction| {
        transaction.insert(&visit(100, 0))?;
        say("holding");
        hear();
        Ok(())
    });
    say(format!("{outcome:?}"));
    hear();
}

fn insert_when_told(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    say("open");
    loop {
        let key = hear().parse().unwrap();
        say(table.insert(&visit(key, 0)).map_or_else(|error| format!("{error:?}"), |_| "inserted".to_owned()));
    }
}

fn table_of_three(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..3);
    table
}

/// Every operation, except those that open.
fn operations(table: &Visits) -> Vec<(&'static str, locule::Result<()>)> {
    let id = locule::RecordId::from_u64(1 << 24);
    vec![
        ("get", table.get(id).map(drop)),
        ("find", table.find(&1).map(drop)),
        ("contains_key", table.contains_key(&1).map(drop)),
        ("len", table.len().map(drop)),
        ("iter", table.iter().try_for_each(|row| row.map(drop))),
        ("select", table.select(|_| true).map(drop)),
        ("snapshot", table.snapshot(|_| Ok(()))),
        ("insert", table.insert(&visit(9, 0)).map(drop)),
        ("upsert", table.upsert(&visit(1, 0)).map(drop)),
        ("update", table.update(id, |visit| visit.hits += 1).map(drop)),
        ("replace", table.replace(id, &visit(1, 0)).map(drop)),
        ("delete", table.delete(id).map(drop)),
        ("write", table.write(|_| Ok(()))),
        ("sync", table.sync().map(drop)),
    ]
}

#[track_caller]
fn assert_all_superseded(table: &Visits) {
    for (name, outcome) in operations(table) {
        assert!(matches!(outcome, Err(Error::Superseded)), "{name}: {outcome:?}");
    }
}

#[track_caller]
fn assert_all_condemned(table: &Visits) {
    for (name, outcome) in operations(table) {
        assert!(matches!(outcome, Err(Error::Condemned)), "{name}: {outcome:?}");
    }
}

// -- copied and restored ---------------------------------------------------------------------------

#[test]
fn a_copy_of_a_table_in_use_is_recovered_and_the_table_does_not_notice() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    let copy = directory.path().join("copy.loc");
    fs::copy(&path, &copy).unwrap();

    let before = fs::read(&copy).unwrap();
    let reader = options().open_read_only(&copy).unwrap();
    assert!(reader.recovery().is_private_copy);
    assert_eq!(reader.recovery().outcome, RecoveryOutcome::Newest);
    assert_eq!(keys(&reader), [0, 1, 2]);
    assert_consistent(&reader);
    assert_eq!(reader.snapshot(|snapshot| snapshot.len()).unwrap(), 3);
    drop(reader);
    assert!(fs::read(&copy).unwrap() == before, "a read-only handle changed the file");

    let copied = options().open(&copy).unwrap();
    assert_eq!((copied.recovery().outcome, copied.recovery().live_count), (RecoveryOutcome::Newest, 3));
    // Whether the copy is the newest that there was cannot be known.
    assert!(!copied.recovery().nothing_lost);
    assert_consistent(&copied);
    copied.insert(&visit(7, 0)).unwrap();
    assert_eq!(keys(&copied), [0, 1, 2, 7]);

    holder.tell("go on");
    holder.expect("Ok(())");
    assert_eq!(keys(&table), [0, 1, 2, 100]);
}

#[test]
fn ids_and_versions_of_what_a_copy_lost_do_not_come_again_in_it() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let copy = directory.path().join("copy.loc");
    fs::copy(&path, &copy).unwrap();
    let (id, version) = table.insert_versioned(&visit(3, 0)).unwrap();
    let copied = options().open(&copy).unwrap();
    let (other_id, other_version) = copied.insert_versioned(&visit(4, 0)).unwrap();
    assert_eq!(id.slot(), other_id.slot());
    assert_ne!(id, other_id);
    assert!(other_version > version);
    assert_eq!(copied.get(id).unwrap(), None);
}

/// Writes bytes over a file in place, as `cp` and many backup programs do.
fn restore(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn an_old_copy_restored_in_place_is_the_old_table() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    drop(table);
    let old = fs::read(&path).unwrap();
    let table = options().open(&path).unwrap();
    insert_all(&table, 3..64);
    table.close().unwrap();
    restore(&path, &old);
    let table = options().open(&path).unwrap();
    assert_eq!(keys(&table), [0, 1, 2]);
    assert_consistent(&table);
    insert_all(&table, 3..64);
    assert_consistent(&table);
}

#[test]
fn a_copy_that_was_made_while_somebody_held_the_lock_can_be_restored_in_place() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    let old = fs::read(&path).unwrap();
    holder.tell("go on");
    holder.expect("Ok(())");
    holder.kill();
    assert_eq!(keys(&table), [0, 1, 2, 100]);
    drop(table);
    restore(&path, &old);
    // The mutex in the file is locked, by a thread that does not exist.
    let table = options().open(&path).unwrap();
    assert_eq!(table.recovery().outcome, RecoveryOutcome::Newest);
    assert_eq!(keys(&table), [0, 1, 2]);
    assert_eq!(table.status().writer, None);
    table.insert(&visit(3, 0)).unwrap();
    assert_consistent(&table);
}

#[test]
fn a_renamed_table_is_the_same_table() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    let renamed = directory.path().join("renamed.loc");
    fs::rename(&path, &renamed).unwrap();
    let table = options().open(&renamed).unwrap();
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    assert_eq!(keys(&table), [0, 1, 2]);
}

#[test]
fn a_read_only_handle_changes_no_byte_of_a_table_in_order() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let before = fs::read(&path).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let reader = options().open_read_only(&path).unwrap();
    assert!(!reader.recovery().is_private_copy);
    assert_consistent(&reader);
    assert!(reader.insert(&visit(9, 0)).is_err());
    assert_eq!(reader.snapshot(|snapshot| Ok(snapshot.iter().count())).unwrap(), 3);
    let _ = reader.status();
    reader.reopen().unwrap();
    reader.close().unwrap();
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
}

// -- replaced and destroyed ------------------------------------------------------------------------

#[test]
fn users_of_a_replaced_table_are_told_and_can_reopen() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let reader = options().open_read_only(&path).unwrap();
    let mut child = Child::spawn("insert when told", &path, "");
    child.expect("open");
    child.tell("5");
    child.expect("inserted");

    let new = options().capacity(10).replace(&path).unwrap();
    new.insert(&visit(50, 0)).unwrap();
    assert_all_superseded(&table);
    for (name, outcome) in operations(&reader) {
        assert!(matches!(outcome, Err(Error::Superseded | Error::ReadOnly { .. })), "{name}: {outcome:?}");
    }
    child.tell("6");
    child.expect("Superseded");

    table.reopen().unwrap();
    reader.reopen().unwrap();
    assert_eq!((keys(&table), keys(&reader), table.capacity()), (vec![50], vec![50], 10));
    table.insert(&visit(51, 0)).unwrap();
    assert_consistent(&new);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

#[test]
fn a_table_that_nobody_uses_can_be_replaced_and_destroyed() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    drop(options().replace(&path).unwrap());
    assert!(options().open(&path).unwrap().is_empty().unwrap());
    locule::destroy(&path).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    // What is not there is created.
    drop(options().replace(&path).unwrap());
}

#[test]
fn users_of_a_destroyed_table_are_told() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    locule::destroy(&path).unwrap();
    assert!(!path.exists());
    assert_all_superseded(&table);
    assert!(matches!(table.reopen(), Err(Error::DoesNotExist { .. })));
    assert_all_superseded(&table);
    drop(options().create(&path).unwrap());
    table.reopen().unwrap();
    assert!(table.is_empty().unwrap());
}

/// Does what destroying a table in use does, under the lock, and waits after taking the lock.
fn destroy_in_steps(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let outcome = table.write(|_| {
        say("holding");
        hear();
        set_control_word(path, SUPERSEDED, 1);
        fs::remove_file(path).unwrap();
        Ok(())
    });
    say(format!("{outcome:?}"));
    hear();
}

/// A test of this once released the lock and destroyed the table at once, so that the writer mostly wrote before that:
/// it passed whether or not a writer looks again once it has the lock.
#[test]
fn a_writer_that_waited_while_the_table_was_destroyed_is_told() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut destroyer = Child::spawn("destroy in steps", &path, "");
    destroyer.expect("holding");
    let words = SharedWords::open(&path).unwrap();
    let is_waited_for = || mutex_halves(&words, 0)[0] & 1 << 31 != 0;
    assert!(!is_waited_for());
    let writers: [fn(&Visits) -> locule::Result<()>; 3] = [
        |table| table.insert(&visit(7, 0)).map(drop),
        |table| table.write(|transaction| transaction.insert(&visit(8, 0)).map(drop)),
        |table| table.sync().map(drop),
    ];
    std::thread::scope(|scope| {
        let waiting = writers.map(|write| {
            let (table, (begin, has_begun)) = (&table, std::sync::mpsc::channel());
            let writer = scope.spawn(move || {
                begin.send(nix::unistd::gettid()).unwrap();
                write(table)
            });
            let calls = format!("/proc/self/task/{}/syscall", has_begun.recv().unwrap());
            let futex = format!("{} ", nix::libc::SYS_futex);
            test_kit::wait_until("the writer sleeps", || {
                is_waited_for() && fs::read_to_string(&calls).unwrap().starts_with(&futex)
            });
            writer
        });
        destroyer.tell("go on");
        destroyer.expect("Ok(())");
        for outcome in waiting.map(|writer| writer.join().unwrap()) {
            assert!(matches!(outcome, Err(Error::Superseded)), "{outcome:?}");
        }
    });
    assert_all_superseded(&table);
}

fn open_and_tell(path: &Path, _: &str) {
    let table = options().lock_timeout(Duration::from_secs(60)).open(path).unwrap();
    say(format!("{:?}", keys(&table)));
    hear();
}

/// A process that waits at the gate of a file has it open already, and would go on with it even though the path names
/// another file by then.
#[test]
fn an_opener_that_waited_at_the_gate_of_a_file_that_was_replaced_opens_the_new_one() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    let new_path = directory.path().join("new.loc");
    let new = options().create(&new_path).unwrap();
    new.insert(&visit(50, 0)).unwrap();
    drop(new);
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    lock_byte(&file, 0);
    let mut child = Child::spawn("open and tell", &path, "");
    let own = file.metadata().unwrap().ino();
    let descriptors = format!("/proc/{}/fd", child.pid());
    test_kit::wait_until("the child has opened the file", || {
        fs::read_dir(&descriptors)
            .unwrap()
            .any(|entry| fs::metadata(entry.unwrap().path()).is_ok_and(|found| found.ino() == own))
    });
    fs::rename(&new_path, &path).unwrap();
    drop(file);
    child.expect("[50]");
}

/// A process that replaces a table can die between the renaming and the word that reports it. Here another file is
/// renamed over the table while a process holds the lock, and that process is killed.
#[test]
fn whoever_gets_the_lock_from_a_dead_replacer_tells_the_others() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = Child::spawn("insert when told", &path, "");
    child.expect("open");
    let mut holder = Child::spawn("hold", &path, "");
    holder.expect("holding");
    let new_path = directory.path().join("new.loc");
    options().create(&new_path).unwrap().insert(&visit(50, 0)).unwrap();
    fs::rename(&new_path, &path).unwrap();
    holder.kill();
    let outcome = table.insert(&visit(7, 0));
    assert!(matches!(outcome, Err(Error::Superseded)), "{outcome:?}");
    child.tell("8");
    child.expect("Superseded");
    assert_all_superseded(&table);
    table.reopen().unwrap();
    assert_eq!(keys(&table), [50]);
}

#[test]
fn the_gate_keeps_openers_out_for_a_while_and_then_they_time_out() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    // A lock on the gate's byte, as an opener that was stopped would have it.
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    lock_byte(&file, 0);
    let impatient = || options().lock_timeout(Duration::from_millis(50));
    let own_pid = std::process::id();
    for outcome in [impatient().open(&path), impatient().replace(&path)] {
        let outcome = outcome.map(drop);
        match outcome {
            Err(Error::Timeout { lock: locule::TableLock::Gate, holder_pid: Some(pid), .. }) => {
                assert_eq!(pid, own_pid)
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    // A table in order can be read without the gate.
    assert_eq!(keys(&impatient().open_read_only(&path).unwrap()), [0, 1, 2]);
    assert_eq!(locule::admin::info(&path).unwrap().status.live_count, 3);
    assert!(locule::admin::verify(&path).unwrap().is_good());
    assert_eq!(locule::admin::dump(&path).unwrap().count(), 3);
    drop(file);
    assert_eq!(keys(&impatient().open(&path).unwrap()), [0, 1, 2]);
}

/// Locks a byte of a file, exclusively, for as long as the file is open.
fn lock_byte(file: &fs::File, byte: i64) {
    let range = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    };
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&range)).unwrap();
}

// -- another PID namespace -------------------------------------------------------------------------

fn leave_the_namespace(path: &Path, _: &str) {
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
        say(format!("skipped: {error}"));
        return;
    }
    let is_well = test_kit::in_fork(|| {
        // The parent has the table open.
        let outcome = options().open(path).map(drop);
        assert!(matches!(outcome, Err(Error::Incompatible { .. })), "{outcome:?}");
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains("PID namespace"), "{message}");
        assert!(matches!(options().replace(path).map(drop), Err(Error::Incompatible { .. })));
        assert!(matches!(locule::destroy(path), Err(Error::Incompatible { .. })));
        // Readers use no mutex.
        let reader = options().open_read_only(path).unwrap();
        assert!(!reader.recovery().is_private_copy);
        assert_consistent(&reader);
        drop(reader);
        say("refused");
        hear();
        // Now no process has.
        let table = options().open(path).unwrap();
        assert!(table.recovery().nothing_lost);
        table.insert(&visit(3, 0)).unwrap();
        say("inserted");
        hear();
    });
    assert!(is_well);
}

#[test]
fn a_table_in_use_is_not_shared_with_another_pid_namespace() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = Child::spawn("leave the namespace", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert_eq!(message, "refused"),
    }
    table.insert(&visit(7, 0)).unwrap();
    drop(table);
    child.tell("go on");
    child.expect("inserted");
    // It is the other way around now.
    assert!(matches!(options().open(&path).map(drop), Err(Error::Incompatible { .. })));
    child.tell("end");
    child.finish();
    assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2, 3, 7]);
}

// -- locks that cannot be used ---------------------------------------------------------------------

/// What glibc writes as the owner of a mutex that can never be taken again, and the 32-bit word that it writes it to.
const NOT_RECOVERABLE: u64 = 0x7fff_fffe;

/// Makes the write mutex, or the sync mutex, one that cannot be taken again.
fn spoil_mutex(path: &Path, mutex: usize) {
    let words = SharedWords::open(path).unwrap();
    let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
    let owner = &words.words()[control + mutex * 8 + 1];
    owner.store(owner.load(Ordering::Relaxed) & !0xffff_ffff | NOT_RECOVERABLE, Ordering::Relaxed);
}

#[test]
#[cfg(all(target_env = "gnu", target_endian = "little"))]
fn a_lock_that_cannot_be_taken_condemns_the_table_and_a_sole_opener_loses_nothing() {
    for mutex in [0, 1] {
        let (_directory, path) = scratch();
        let table = table_of_three(&path);
        let mut child = Child::spawn("insert when told", &path, "");
        child.expect("open");
        spoil_mutex(&path, mutex);
        // Reading goes on until a process notices.
        assert_eq!(keys(&table), [0, 1, 2]);
        let outcome = if mutex == 0 { table.insert(&visit(7, 0)).map(drop) } else { table.sync().map(drop) };
        assert!(matches!(outcome, Err(Error::Condemned)), "{outcome:?}");
        assert_all_condemned(&table);

        // The child has not noticed, and so is attached.
        assert!(matches!(options().open(&path).map(drop), Err(Error::Condemned)));
        assert!(matches!(table.reopen(), Err(Error::Condemned)));
        // A reader works on a copy meanwhile.
        let reader = options().open_read_only(&path).unwrap();
        assert!(reader.recovery().is_private_copy);
        assert_eq!(keys(&reader), [0, 1, 2]);
        child.tell("8");
        child.expect("Condemned");

        table.reopen().unwrap();
        assert!(table.recovery().nothing_lost);
        assert_eq!(keys(&table), [0, 1, 2]);
        table.insert(&visit(7, 0)).unwrap();
        table.sync().unwrap();
        assert_consistent(&table);
    }
}

#[test]
fn a_read_only_handle_lets_go_of_a_condemned_table_too() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let reader = options().open_read_only(&path).unwrap();
    spoil_mutex(&path, 0);
    assert!(matches!(table.insert(&visit(7, 0)), Err(Error::Condemned)));
    assert!(matches!(reader.iter().next(), Some(Err(Error::Condemned))));
    assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2]);
}

/// The words of the control region that say that the file was replaced or destroyed.
const SUPERSEDED: usize = 16;

/// The kernel's half of the first word of a mutex, and the other: the first 32 bits of glibc's mutexes, and the second of musl's.
fn mutex_halves(words: &SharedWords, mutex: usize) -> [u64; 2] {
    let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
    let word = words.words()[control + mutex * 8].load(Ordering::Relaxed);
    let [low, high] = [word & 0xffff_ffff, word >> 32];
    if cfg!(target_env = "gnu") == cfg!(target_endian = "little") { [low, high] } else { [high, low] }
}

/// Sets a word of the control region, counted as in `format.md`.
fn set_control_word(path: &Path, index: usize, content: u64) {
    let words = SharedWords::open(path).unwrap();
    let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
    words.words()[control + index].store(content, Ordering::Relaxed);
}

#[test]
fn a_handle_that_is_alone_with_a_table_that_cannot_be_used_can_reopen_it() {
    // That it is condemned, and that a flush failed.
    for index in [17, 18] {
        let (_directory, path) = scratch();
        let table = table_of_three(&path);
        // Done by another process: this handle has not noticed.
        set_control_word(&path, index, 1);
        table.reopen().unwrap();
        assert!(table.recovery().nothing_lost);
        assert_ne!(table.recovery().outcome, locule::RecoveryOutcome::InOrder);
        table.insert(&visit(7, 0)).unwrap();
        table.sync().unwrap();
        assert_eq!(keys(&table), [0, 1, 2, 7]);
        assert_consistent(&table);
    }
}

#[test]
fn a_handle_that_could_not_reopen_is_dead_and_can_be_reopened_again() {
    let (directory, path) = scratch();
    let table = table_of_three(&path);
    let elsewhere = directory.path().join("elsewhere.loc");
    fs::rename(&path, &elsewhere).unwrap();
    for _ in 0..2 {
        assert!(matches!(table.reopen(), Err(Error::DoesNotExist { .. })));
        assert_all_superseded(&table);
    }
    // No process is attached any more, so this one is alone.
    assert_eq!(keys(&options().open(&elsewhere).unwrap()), [0, 1, 2]);
    assert_all_superseded(&table);
    fs::rename(&elsewhere, &path).unwrap();
    table.reopen().unwrap();
    table.insert(&visit(7, 0)).unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 7]);
}
