//! The session that the README shows, as a new user would type it.
#![cfg(feature = "cli")]

use std::path::Path;
use test_kit::command_line::{printed, typed};

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// A directory that looks like a fresh clone to the session.
fn clone() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let csv = "examples/languages/languages.csv";
    std::fs::create_dir_all(directory.path().join(csv).parent().unwrap()).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(csv), directory.path().join(csv)).unwrap();
    directory
}

/// What the lines of a session print, without the exit status, which a shell does not show.
fn replayed(directory: &Path, session: &str) -> String {
    let lines = session.lines().filter_map(|line| line.strip_prefix("$ "));
    let seen: String = lines.map(|line| typed(directory, line)).collect();
    seen.lines().filter(|line| !line.starts_with("[exit")).map(|line| format!("{line}\n")).collect()
}

/// With `LOCULE_WRITE_README` set, the README is made to show what is seen.
#[test]
fn the_session_is_what_is_seen() {
    let readme = readme();
    let session = readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let seen = replayed(clone().path(), session);
    if std::env::var_os("LOCULE_WRITE_README").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        std::fs::write(path, readme.replacen(session, &seen, 1)).unwrap();
        return;
    }
    assert_eq!(seen, session);
    assert!(session.matches("$ locule ").count() > 8);
}

#[test]
fn the_lines_on_the_first_screen_can_be_typed() {
    let readme = readme();
    let block = readme.split("And from a shell").nth(1).and_then(|rest| rest.split("```sh\n").nth(1)).unwrap();
    let lines: Vec<&str> = block.split("```").next().unwrap().lines().collect();
    assert_eq!(lines.len(), 6);
    let directory = clone();
    let here = directory.path();
    printed(here, "cp examples/languages/languages.csv .");
    for line in &lines[..5] {
        assert!(!printed(here, line).is_empty(), "{line}");
    }
    // Nothing has changed since, so it prints nothing.
    assert_eq!(printed(here, lines[5]), "");
}
