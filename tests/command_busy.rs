//! The command on a table that others use: one holds the lock and does not go on, or nobody may write to the file.
#![cfg(feature = "cli")]

use locule::maintenance::Alteration;
use locule::{Table, Values};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use test_kit::command_line::{complaint, printed, shell};
use test_kit::{Child, Visits, hear, say, visit};

/// Verbs that only look.
const LOOKING: [&str; 20] = [
    "locule visits.loc",
    "locule schema visits.loc",
    "locule info visits.loc",
    "locule info visits.loc --map",
    "locule dump visits.loc --raw 1",
    "locule tail visits.loc --from start --until-now",
    "locule top visits.loc --count 1 --interval 0.05",
    "locule top visits.loc --json --count 1 --interval 0.05",
    "locule verify visits.loc",
    "locule dump visits.loc",
    "locule dump visits.loc --where 'hits > 3' --sort -hits",
    "locule dump visits.loc --salvage",
    "locule export visits.loc",
    "locule get visits.loc 3",
    "locule get visits.loc 3 hits",
    "locule exists visits.loc 3",
    "locule exists visits.loc --where 'hits > 3'",
    "locule count visits.loc",
    "locule count visits.loc --where 'hits > 3'",
    "locule diff visits.loc visits.loc",
];

#[test]
fn child_process() {
    test_kit::play(&[("hold the lock", hold_the_lock)]);
}

/// Has changed a record, and holds the lock.
fn hold_the_lock(path: &Path, _: &str) {
    let table = Visits::open(path).unwrap();
    let id = table.find(&3).unwrap().unwrap().id();
    table
        .write(|transaction| {
            transaction.update(id, |visit| visit.hits = 1_000_000)?;
            say("inside");
            hear();
            Ok(())
        })
        .unwrap();
}

fn visits(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("visits.loc");
    let table = Visits::options().capacity(20).create(&path).unwrap();
    for visitor in 0..10 {
        table.insert(&visit(visitor, visitor)).unwrap();
    }
    table.close().unwrap();
    path
}

/// Each verb answers, and leaves the file as it is.
fn look(directory: &Path, around: impl Fn(&str) -> String) {
    let before = std::fs::read(directory.join("visits.loc")).unwrap();
    for line in LOOKING {
        let answer = printed(directory, &around(line));
        // What is salvaged can be of a transaction that was never finished.
        let is_settled = !answer.contains("1000000") || line.contains("--salvage");
        assert!(is_settled, "{line} shows what has not happened: {answer}");
    }
    assert!(std::fs::read(directory.join("visits.loc")).unwrap() == before, "a byte was changed");
}

/// A writer that does not go on, and dies then.
#[test]
fn verbs_that_look_wait_for_nobody_and_the_others_say_for_whom() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let path = visits(here);
    let mut child = Child::spawn("hold the lock", &path, "");
    child.expect("inside");
    look(here, str::to_owned);
    assert_eq!(printed(here, "locule backup visits.loc copy.loc"), "10 records in copy.loc\n");

    let (code, said) = complaint(here, "locule put visits.loc visitor=3 hits=3 name=new");
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    let pid = child.pid();
    assert!(said.contains(&format!("which process {pid} holds")), "{said}");
    assert!(said.contains(&format!("`kill -CONT {pid}` continues it")), "{said}");

    child.kill();
    look(here, str::to_owned);
    assert_eq!(printed(here, "locule get visits.loc 3 hits"), "3\n");
    // Whoever writes next repairs what it left.
    assert!(printed(here, "locule set visits.loc 3 hits=4").starts_with("version "));
    assert_eq!(printed(here, "locule verify visits.loc"), "checked everything, 10 records\n");
}

/// The last handle that is dropped syncs anyway, so another one is kept.
#[test]
fn what_was_written_is_on_the_disk_when_the_command_ends() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let table = Visits::options().sync_every(None).open(visits(here)).unwrap();
    std::fs::write(here.join("rows.csv"), "visitor,hits,name\n20,1,x\n").unwrap();
    for line in [
        "locule put visits.loc visitor=3 hits=3 name=new",
        "locule set visits.loc 3 hits=4",
        "locule import visits.loc rows.csv",
        "locule delete visits.loc 3",
        "locule delete visits.loc --where 'hits > 7'",
        "locule sync visits.loc",
    ] {
        // Something that only the command can sync.
        table.upsert(&visit(9, 9)).unwrap();
        assert_ne!(table.status().last, table.status().durable);
        printed(here, line);
        assert_eq!(table.status().last, table.status().durable, "{line}");
    }
}

/// Interrupted as by Ctrl-C, in the middle of what it writes.
#[test]
fn an_interrupted_import_leaves_the_table_whole() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rows: String = (0..200_000).map(|id| format!("{id},some text\n")).collect();
    std::fs::write(here.join("rows.csv"), format!("id,note\n{rows}")).unwrap();
    // On a busy machine this process may come too late, when the import is done.
    let is_interrupted = || {
        let _ = std::fs::remove_file(here.join("rows.loc"));
        printed(here, "locule create rows.loc --schema 'key id: u64, note: text(40)' --capacity 200000");
        let table = Table::<Values>::open_read_only(here.join("rows.loc")).unwrap();
        let mut import = shell(here, "exec locule import rows.loc rows.csv --batch 10").spawn().unwrap();
        test_kit::wait_until("some rows are there", || table.len().unwrap() > 100);
        kill(Pid::from_raw(i32::try_from(import.id()).unwrap()), Signal::SIGINT).unwrap();
        import.wait().unwrap().signal() == Some(Signal::SIGINT as i32)
    };
    test_kit::wait_until("it is interrupted", is_interrupted);
    let count: u64 = printed(here, "locule count rows.loc").trim().parse().unwrap();
    assert!((100..200_000).contains(&count) && count % 10 == 0, "{count}");
    // Whoever writes next finishes or undoes what was begun.
    let (code, said) = complaint(here, "locule import rows.loc rows.csv --on-duplicate skip");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(printed(here, "locule verify rows.loc"), "checked everything, 200000 records\n");
}

/// As somebody who may read the file, and neither write to it nor to its directory.
#[test]
fn a_file_that_may_only_be_read_can_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let path = visits(here);
    std::fs::set_permissions(here, PermissionsExt::from_mode(0o555)).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).unwrap();
    let is_root = Uid::effective().is_root();
    // Root may write to every file, so root becomes somebody else.
    let around = |line: &str| {
        let line = line.replace('\'', "\"");
        if is_root { format!("setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '{line}'") } else { line }
    };
    let (code, said) = complaint(here, &around("true"));
    if code != Some(0) {
        eprintln!("not tested: {said}");
        return;
    }
    let command = Path::new(env!("CARGO_BIN_EXE_locule"));
    let (code, said) = complaint(here, &around(&format!("test -x {}", command.display())));
    if code != Some(0) {
        eprintln!("not tested: nobody else may run the command {said}");
        return;
    }
    look(here, around);
    for line in ["locule put visits.loc visitor=3", "locule sync visits.loc", "locule destroy visits.loc"] {
        let (code, said) = complaint(here, &around(line));
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{line}: {said}");
        assert!(said.contains("Permission denied"), "{line}: {said}");
    }
    std::fs::set_permissions(here, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A repair reads one slot after the other, so of a table in use it once left records out.
#[test]
fn a_table_that_is_in_use_is_not_repaired_but_backed_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = visits(directory.path());
    let user = Visits::open(&path).unwrap();
    let (status, said) = complaint(directory.path(), "locule repair visits.loc new.loc");
    assert_eq!(status, Some(2));
    assert!(said.contains("is in use") && said.contains("`locule backup visits.loc new.loc`"), "{said}");
    printed(directory.path(), "locule backup visits.loc new.loc");
    drop(user);
    printed(directory.path(), "locule repair visits.loc repaired.loc");
}

/// Another process makes the table anew as fast as it can.
#[test]
fn verbs_that_look_look_again_when_the_table_is_altered_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let path = visits(here);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let altering = scope.spawn(|| {
            for round in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                Alteration::of(&path).capacity(20 + round % 2).apply().unwrap();
            }
        });
        let looked = std::panic::catch_unwind(|| {
            for _ in 0..50 {
                assert_eq!(printed(here, "locule count visits.loc --where 'hits > 3'"), "6\n");
                assert_eq!(printed(here, "locule get visits.loc 3 hits"), "3\n");
                assert_eq!(printed(here, "locule dump visits.loc --format csv").lines().count(), 11);
                assert!(printed(here, "locule visits.loc").starts_with("visits.loc: 10 of 2"));
                assert_eq!(printed(here, "locule diff visits.loc visits.loc"), "");
            }
        });
        is_over.store(true, Ordering::Relaxed);
        altering.join().unwrap();
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}
