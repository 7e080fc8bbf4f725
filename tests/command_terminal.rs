//! The command in a terminal: it asks, and it shows nothing that the terminal would obey.
#![cfg(feature = "cli")]

use std::path::Path;
use test_kit::command_line::{printed, shell};
use test_kit::terminal::Terminal;

fn visits() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    printed(directory.path(), "locule create visits.loc --schema 'key id: u64, user: text(64)?' --capacity 100");
    printed(directory.path(), "locule put visits.loc id=1 user=ada && locule put visits.loc id=2 user=eve");
    directory
}

/// Runs a line in a terminal, and answers its question.
fn answered(directory: &Path, line: &str, question: &str, answer: &str) -> (Option<i32>, String) {
    let mut terminal = Terminal::run(shell(directory, &format!("exec {line}")));
    terminal.expect(question);
    terminal.type_in(answer);
    terminal.finish()
}

#[test]
fn what_cannot_be_undone_is_asked_for() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule backup visits.loc copy.loc; locule sync copy.loc");
    for (line, question) in [
        ("locule destroy visits.loc", "Destroy visits.loc with 2 of 100 records? [y/N]"),
        ("locule delete visits.loc --where 'id < 2'", "Delete 1 of 2 records in visits.loc? [y/N]"),
        ("locule restore copy.loc visits.loc", "Replace visits.loc? [y/N]"),
        ("locule alter visits.loc drop user", "Drop what the records of visits.loc hold there? [y/N]"),
    ] {
        for answer in ["n\n", "\n", "what\n", "\u{4}"] {
            let (code, seen) = answered(here, line, question, answer);
            assert_eq!(code, Some(1), "{line} {answer:?}: {seen}");
            assert!(seen.contains("nothing was changed"), "{seen}");
        }
        assert_eq!(printed(here, "locule diff visits.loc copy.loc"), "", "{line}");
    }
    let (code, seen) = answered(here, "locule delete visits.loc --where 'id < 2'", "[y/N]", "y\n");
    assert_eq!((code, printed(here, "locule count visits.loc").as_str()), (Some(0), "1\n"), "{seen}");
    let (code, seen) = answered(here, "locule destroy visits.loc", "[y/N]", "YES\n");
    assert_eq!((code, here.join("visits.loc").exists()), (Some(0), false), "{seen}");
    // Nobody is asked who has said it already.
    let (code, seen) = Terminal::run(shell(here, "exec locule destroy copy.loc --yes")).finish();
    assert_eq!((code, seen.as_str(), here.join("copy.loc").exists()), (Some(0), "", false));
}

#[test]
fn a_terminal_obeys_nothing_that_is_in_a_table() {
    let directory = visits();
    let here = directory.path();
    printed(here, r#"locule set visits.loc 1 'user:="\u001b[31mred\u202egpj.exe\u0007\u009b"'"#);
    printed(here, "cp visits.loc \"$(printf 'odd\\033[31m.loc')\"");
    printed(here, "locule create documented.loc --schema \"$(printf '/// Red \\033[31m.\\nkey id: u64')\"");
    for line in [
        "locule visits.loc",
        "locule dump visits.loc",
        "locule dump visits.loc --format csv",
        "locule dump visits.loc --format json",
        "locule dump visits.loc --format jsonl",
        "locule export visits.loc",
        "locule get visits.loc 1",
        "locule get visits.loc 1 --json",
        "locule get visits.loc 1 user",
        "locule get visits.loc 1 user --json",
        "locule dump visits.loc --where \"user == '$(printf '\\033[31m')\"",
        "locule get visits.loc \"$(printf '\\033[31m')\"",
        "locule set visits.loc 1 \"$(printf 'user\\033[31m')=x\"",
        "locule put visits.loc id=3 \"$(printf '\\033[31m=x')\"",
        "locule \"$(printf 'odd\\033[31m.loc')\"",
        "locule info \"$(printf 'no\\033[31m.loc')\"",
        "locule \"$(printf 'du\\033[31mmp')\" visits.loc",
        "locule import visits.loc \"$(printf 'no\\033[31m.csv')\"",
        "locule schema documented.loc",
        "locule documented.loc",
        "locule info documented.loc",
        "NO_COLOR=1 locule diff visits.loc documented.loc",
        "locule alter documented.loc rename id \"$(printf '\\033[31m')\"",
    ] {
        let (_, seen) = Terminal::run(shell(here, line)).finish();
        let obeyed =
            |next: char| (next.is_control() && !"\r\n".contains(next)) || ('\u{202a}'..='\u{202e}').contains(&next);
        assert!(!seen.is_empty() && !seen.contains(obeyed), "{line}: {seen:?}");
    }
    // In a pipe it is as it is.
    assert_eq!(printed(here, "locule get visits.loc 1 user"), "\u{1b}[31mred\u{202e}gpj.exe\u{7}\u{9b}\n");
}

#[test]
fn colours_are_only_on_a_terminal_and_never_with_no_color() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule backup visits.loc copy.loc; locule delete copy.loc 1");
    let coloured = Terminal::run(shell(here, "locule diff visits.loc copy.loc")).finish().1;
    assert!(coloured.contains("\u{1b}[31m- 1"), "{coloured:?}");
    let plain = Terminal::run(shell(here, "NO_COLOR=1 locule diff visits.loc copy.loc")).finish().1;
    assert_eq!(plain, "- 1  user: ada\r\n");
    let piped = Terminal::run(shell(here, "locule diff visits.loc copy.loc | cat")).finish().1;
    assert_eq!(piped, "- 1  user: ada\r\n");
    let help = Terminal::run(shell(here, "NO_COLOR=1 locule --help")).finish().1;
    assert!(help.contains("Verbs:") && !help.contains('\u{1b}'), "{help:?}");
}

#[test]
fn a_long_import_shows_how_far_it_is_and_a_pipe_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rows: String = (0..100_000).map(|id| format!("{id},some text to make it longer\n")).collect();
    std::fs::write(here.join("rows.csv"), format!("id,note\n{rows}")).unwrap();
    printed(here, "locule create rows.loc --schema 'key id: u64, note: text(40)' --capacity 100000");
    let (code, seen) = Terminal::run(shell(here, "locule import rows.loc rows.csv")).finish();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains(" of 3.") && seen.trim_end().ends_with("100000 inserted"), "{seen:?}");
    assert_eq!(printed(here, "locule import rows.loc rows.csv --on-duplicate skip"), "0 inserted, 100000 skipped\n");
}

#[test]
fn a_wide_table_fits_the_terminal() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule set visits.loc 1 user='a text that is long enough to need a line of its own, or two'");
    let (_, seen) = Terminal::run(shell(here, "locule dump visits.loc")).finish();
    assert!(seen.lines().all(|line| line.trim_end().chars().count() <= 80), "{seen}");
}
