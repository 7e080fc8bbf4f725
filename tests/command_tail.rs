//! Following a table from a shell.
#![cfg(feature = "cli")]

use locule::{Table, Values, values};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use test_kit::command_line::{printed, shell};

fn visits() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    printed(
        directory.path(),
        "locule create visits.loc --schema 'key id: u8, hits: u64 = 0, note: text(20)?' --capacity 9",
    );
    directory
}

/// A line, without its cursor, which differs from table to table.
fn of_line(line: &str) -> (String, String) {
    let mut json: Json = serde_json::from_str(line).unwrap();
    let cursor = json.as_object_mut().unwrap().shift_remove("@cursor").unwrap();
    (cursor.as_str().unwrap().to_owned(), json.to_string())
}

fn changes(directory: &Path, from: &str) -> Vec<(String, String)> {
    printed(directory, &format!("locule tail visits.loc --until-now --from {from}")).lines().map(of_line).collect()
}

/// A running `locule tail`.
struct Tail {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn run(directory: &Path, arguments: &str) -> Self {
        let line = format!("exec locule tail visits.loc {arguments}");
        let mut process = shell(directory, &line).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Tail { process, lines }
    }

    fn line(&mut self) -> (String, String) {
        of_line(&self.lines.next().unwrap().unwrap())
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn each_record_that_changed_comes_once_and_each_cursor_goes_on_behind_its_line() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule put visits.loc id=1 && locule put visits.loc id=2 note=x && locule set visits.loc 1 hits=7");
    printed(here, "locule put visits.loc id=3 && locule delete visits.loc 2 --yes");
    let all = changes(here, "start");
    let lines: Vec<_> = all.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            r#"{"@change":"put","@id":"16777216","@version":"4","id":1,"hits":"7","note":null}"#,
            r#"{"@change":"put","@id":"16777218","@version":"5","id":3,"hits":"0","note":null}"#,
            r#"{"@change":"delete","@id":"16777217","@version":"6"}"#,
        ]
    );
    for (index, (cursor, _)) in all.iter().enumerate() {
        assert_eq!(changes(here, cursor), all[index + 1..]);
    }
    assert!(changes(here, "now").is_empty());
}

#[test]
fn what_one_transaction_changed_comes_again_until_all_of_it_was_printed() {
    let directory = visits();
    let here = directory.path();
    std::fs::write(here.join("data.csv"), "id,hits\n1,1\n2,2\n3,3\n").unwrap();
    printed(here, "locule import visits.loc data.csv");
    let all = changes(here, "start");
    assert_eq!(all.len(), 3);
    assert_eq!(
        [changes(here, &all[0].0).len(), changes(here, &all[1].0).len(), changes(here, &all[2].0).len()],
        [3, 3, 0]
    );
}

#[test]
fn it_prints_a_change_when_it_happens_also_after_the_table_was_given_more_room() {
    let directory = visits();
    let here = directory.path();
    let mut tail = Tail::run(here, "--from start");
    printed(here, "locule put visits.loc id=1");
    assert!(tail.line().1.contains(r#""id":1"#));
    printed(here, "locule set visits.loc 1 hits=2");
    assert!(tail.line().1.contains(r#""hits":"2""#));
    printed(here, "locule alter visits.loc resize 20 --yes && locule put visits.loc id=2");
    let (cursor, line) = tail.line();
    assert!(line.contains(r#""id":2"#), "{line}");
    // Killed, and begun again where it was.
    drop(tail);
    printed(here, "locule put visits.loc id=3");
    assert!(Tail::run(here, &format!("--from {cursor}")).line().1.contains(r#""id":3"#));
}

#[test]
fn what_would_not_survive_a_power_cut_can_be_left_out() {
    let directory = visits();
    let here = directory.path();
    let table = Table::<Values>::options().sync_every(None).open(here.join("visits.loc")).unwrap();
    table.insert(&Values::named(table.schema(), values! { id: 1 }).unwrap()).unwrap();
    assert_eq!((changes(here, "start --synced").len(), changes(here, "start").len()), (0, 1));
    let mut tail = Tail::run(here, "--from start --synced");
    table.sync().unwrap();
    assert!(tail.line().1.contains(r#""id":1"#));
}

/// Writers wake it when they destroy or replace a table, but nobody does when other programs move or delete a file.
#[test]
fn it_says_that_its_file_was_moved_deleted_or_replaced() {
    let gone = "locule: visits.loc is gone: it was destroyed, moved or deleted\n";
    let other = "locule: the cursor cannot be followed: it is a cursor of another table, or of this one before it was \
                 replaced or altered: forget what was seen, and begin again with `locule tail visits.loc --from start`\n";
    for (what, expected) in [
        ("rm visits.loc", gone),
        ("mv visits.loc moved.loc", gone),
        ("locule destroy visits.loc --yes", gone),
        ("mv other.loc visits.loc", other),
        ("rm visits.loc && cp other.loc visits.loc && locule put visits.loc id=7", other),
        ("echo hello > text && mv text visits.loc", "locule: visits.loc cannot be read as a table: "),
    ] {
        let directory = visits();
        let here = directory.path();
        printed(here, "locule create other.loc --schema \"$(locule schema visits.loc)\" && locule put visits.loc id=1");
        let line = "exec locule tail visits.loc --from start";
        let mut process = shell(here, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(of_line(&lines.next().unwrap().unwrap()).1.contains(r#""id":1"#));
        printed(here, &format!("({what}) > said"));
        assert!(lines.next().is_none(), "{what}");
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.starts_with(expected), "{what}: {said}");
    }
}

/// It once could not be followed, though there is nothing to forget.
#[test]
fn the_start_is_that_of_the_table_that_has_the_name_when_there_is_something_to_print() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule create other.loc --schema \"$(locule schema visits.loc)\" && locule put other.loc id=1");
    let mut tail = Tail::run(here, "--from start");
    let maps = format!("/proc/{}/maps", tail.process.id());
    test_kit::wait_until("it has opened the table", || std::fs::read_to_string(&maps).unwrap().contains("visits.loc"));
    printed(here, "mv other.loc visits.loc");
    assert!(tail.line().1.contains(r#""id":1"#));
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    let directory = visits();
    let mut tail = Tail::run(directory.path(), "");
    drop(std::mem::replace(&mut tail.lines, BufReader::new(closed_stdout()).lines()));
    assert!(tail.process.wait().unwrap().success());
}

/// The output of a process that has ended.
fn closed_stdout() -> ChildStdout {
    let mut process = std::process::Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    process.wait().unwrap();
    process.stdout.take().unwrap()
}

#[test]
fn what_cannot_be_followed_is_an_error_that_says_how_to_go_on() {
    let directory = visits();
    let here = directory.path();
    for (from, expected) in [
        (
            "6c6f63756c6520676f6c64656e200102-7",
            "it is a cursor of another table, or of this one before it was replaced or altered: forget what was seen, and begin again with `locule tail visits.loc --from start`",
        ),
        ("yesterday", "expected a cursor"),
    ] {
        let output = shell(here, &format!("locule tail visits.loc --from {from}")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(expected) && said.lines().count() == 1, "{said}");
    }
}

/// A copy of the same table tells what has changed in it since.
#[test]
fn it_goes_on_in_a_copy_that_has_taken_the_name() {
    let directory = visits();
    let here = directory.path();
    printed(here, "locule put visits.loc id=1 && cp visits.loc copy.loc");
    let mut tail = Tail::run(here, "--from start");
    assert!(tail.line().1.contains(r#""id":1"#));
    printed(here, "locule put copy.loc id=2 && mv copy.loc visits.loc");
    let (_, line) = tail.line();
    assert!(line.contains(r#""id":2"#), "{line}");
}
