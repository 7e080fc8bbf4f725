//! What the command says when what it prints cannot be written, and how it ends then.
#![cfg(feature = "cli")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use test_kit::command_line::{complaint, printed};

const NO_SPACE: &str = "cannot write to standard output: No space left on device (os error 28)";

fn visits(directory: &Path) {
    printed(directory, "locule create visits.loc --schema 'key id: u64, hits: u32 = 0' --capacity 10");
    printed(directory, "locule put visits.loc id=1");
}

/// A script that sees an error would do it again.
#[test]
fn what_is_done_but_cannot_be_reported_is_said_to_be_done() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    visits(here);
    for line in [
        "put visits.loc id=2",
        "put visits.loc id=3 --json",
        "set visits.loc 2 hits=7",
        "delete visits.loc 1",
        "delete visits.loc --where 'id == 3'",
        "import visits.loc rows.csv",
        "sync visits.loc",
        "scrub visits.loc",
        "alter visits.loc resize 20 --json",
        "backup visits.loc copy.loc",
        "restore copy.loc visits.loc",
        "repair visits.loc repaired.loc",
    ] {
        std::fs::write(here.join("rows.csv"), "id\n9\n").unwrap();
        let (code, said) = complaint(here, &format!("locule {line} > /dev/full"));
        let expected = format!("locule: it is done, and not to be repeated, but cannot be reported: {NO_SPACE}\n");
        assert_eq!((code, said), (Some(2), expected), "{line}");
    }
    assert_eq!(printed(here, "locule export visits.loc"), "id,hits\n2,7\n9,0\n");
    // Here nothing is done before that is printed, or at all.
    for line in [
        "alter visits.loc resize 30",
        "alter visits.loc resize 30 --dry-run --json",
        "create new.loc --schema 'a: u8' --dry-run --json",
    ] {
        let (code, said) = complaint(here, &format!("locule {line} > /dev/full"));
        assert_eq!((code, said), (Some(2), format!("locule: {NO_SPACE}\n")), "{line}");
    }
    assert!(printed(here, "locule info visits.loc").contains("of 20"), "{}", printed(here, "locule info visits.loc"));
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_a_closed_pipe_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    visits(here);
    printed(here, "locule backup visits.loc copy.loc; locule put copy.loc id=2");
    for line in [
        "visits.loc",
        "schema visits.loc",
        "info visits.loc",
        "info visits.loc --map",
        "dump visits.loc",
        "dump visits.loc --raw 0",
        "export visits.loc",
        "export visits.loc --format json",
        "export visits.loc --format jsonl",
        "get visits.loc 1",
        "count visits.loc",
        "verify visits.loc",
        "top visits.loc --count 1 --interval 0.01",
        "man",
        "completions bash",
        "--help",
    ] {
        for (to, what) in [("> /dev/full", "No space left on device"), ("1< visits.loc", "Bad file descriptor")] {
            // What clap writes to a file that is not open for writing, the standard library takes for written.
            if line == "--help" && what == "Bad file descriptor" {
                continue;
            }
            let (code, said) = complaint(here, &format!("locule {line} {to}"));
            assert!(code == Some(2) && said.contains(what), "{line} {to}: {code:?} {said}");
            assert_eq!(said.lines().count(), 1, "{line} {to}: {said}");
        }
        // The reader goes away at some time.
        let (_, said) = complaint(here, &format!("{{ locule {line}; echo exit $? >&2; }} | true"));
        assert_eq!(said, "exit 0\n", "{line}");
    }
    let (code, said) = complaint(here, "locule diff visits.loc copy.loc > /dev/full");
    assert_eq!((code, said), (Some(2), format!("locule: {NO_SPACE}\n")));
}

/// A limit for the size of files stands for a full disk.
#[test]
fn a_manual_page_that_cannot_be_written_whole_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "mkdir pages && umask 027 && locule man --into pages");
    let page = std::fs::read(here.join("pages/locule.1")).unwrap();
    assert!(page.len() > 1024);
    let mode = std::fs::metadata(here.join("pages/locule.1")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "{mode:o}");
    for directory in ["pages", "others"] {
        let (code, said) =
            complaint(here, &format!("mkdir -p {directory}; ulimit -f 1; locule man --into {directory}"));
        assert_eq!(
            (code, said),
            (Some(2), format!("locule: cannot write {directory}/locule.1: File too large (os error 27)\n"))
        );
    }
    assert!(std::fs::read(here.join("pages/locule.1")).unwrap() == page, "the page that was there is gone");
    assert_eq!(printed(here, "ls -A others"), "");
}
