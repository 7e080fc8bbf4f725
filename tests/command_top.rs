//! The live view in a terminal, and its lines in a pipe.
#![cfg(feature = "cli")]

use nix::sys::signal::Signal;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use test_kit::command_line::{complaint, printed, shell};
use test_kit::terminal::Terminal;
use test_kit::{Child, Visits, hear, say, visit};

#[test]
fn child_process() {
    test_kit::play(&[("hold the lock", hold_the_lock)]);
}

/// Has changed a record, and holds the lock.
fn hold_the_lock(path: &Path, _: &str) {
    let table = Visits::open(path).unwrap();
    table
        .write(|transaction| {
            transaction.upsert(&visit(3, 1_000_000))?;
            say("inside");
            hear();
            Ok(())
        })
        .unwrap();
}

fn visits() -> (tempfile::TempDir, Visits) {
    let directory = tempfile::tempdir().unwrap();
    let table = Visits::options().capacity(20).sync_every(None).create(directory.path().join("visits.loc")).unwrap();
    for visitor in 0..10 {
        table.insert(&visit(visitor, visitor)).unwrap();
    }
    table.sync().unwrap();
    (directory, table)
}

fn top(directory: &Path) -> Terminal {
    Terminal::run(shell(directory, "exec locule top visits.loc --interval 0.1"))
}

/// The terminal is as it was, and the screen that was there before the view is there again.
#[track_caller]
fn assert_given_back(terminal: &Terminal) {
    assert!(terminal.is_cooked() && !terminal.screen().alternate_screen() && !terminal.screen().hide_cursor());
    assert_eq!(terminal.screen().contents(), "");
}

#[test]
fn all_of_it_is_seen_in_80_by_24_and_the_terminal_is_given_back() {
    let (directory, table) = visits();
    let mut top = top(directory.path());
    let expected = [
        "visits.loc",
        "Writes",
        "10 of 20, 50 %",
        "██████████··········",
        "each character is a slot",
        "Lock",
        "held 0 % of looks",
        "free",
        "all that is written is synced",
        "Processes",
        "+ 9  hits: 9, name: ",
        " q quit  ? help  space pause  + - interval",
    ];
    top.wait_for("all of it", |screen| expected.iter().all(|text| screen.contains(text)));
    assert!(!top.is_cooked() && top.screen().alternate_screen() && top.screen().hide_cursor());
    // What happens is seen.
    table.insert(&visit(42, 7)).unwrap();
    top.wait_for_text("+ 42  hits: 7");
    top.wait_for_text("1 unsynced");
    let id = table.find(&42).unwrap().unwrap().id();
    table.delete(id).unwrap();
    top.wait_for_text(&format!("- @id {id}"));

    top.type_in("?");
    top.wait_for_text("Reads are not shown");
    top.type_in("x");
    top.wait_for("no help", |screen| !screen.contains("What is shown"));
    top.type_in("+");
    top.wait_for_text("every 0.2 s");
    top.type_in(" ");
    top.wait_for_text("paused");
    top.type_in("q");
    let (status, terminal) = top.end();
    assert_eq!(status.code(), Some(0));
    assert_given_back(&terminal);
}

#[test]
fn each_way_to_quit_gives_the_terminal_back() {
    let (directory, _table) = visits();
    for key in ["\u{1b}", "\u{3}", "Q"] {
        let mut top = top(directory.path());
        top.wait_for_text("Changes");
        top.type_in(key);
        let (status, terminal) = top.end();
        assert_eq!(status.code(), Some(0), "{key:?}");
        assert_given_back(&terminal);
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM] {
        let mut top = top(directory.path());
        top.wait_for_text("Changes");
        top.signal(signal);
        let (status, terminal) = top.end();
        assert_eq!(status.signal(), Some(signal as i32));
        assert_given_back(&terminal);
    }
}

/// A stop that another process asks for once left the terminal as the view had it.
#[test]
fn it_is_stopped_by_a_key_and_from_outside_and_comes_back() {
    let (directory, _table) = visits();
    let line = "set -m; locule top visits.loc; echo it is stopped; read line; fg > /dev/null; echo it has ended";
    for is_from_outside in [false, true] {
        let mut shell = Terminal::run(shell(directory.path(), line));
        shell.wait_for_text("Changes");
        if is_from_outside {
            shell.signal_child(Signal::SIGTSTP)
        } else {
            shell.type_in("\u{1a}")
        }
        shell.wait_for_text("it is stopped");
        assert!(shell.is_cooked() && !shell.screen().alternate_screen() && !shell.screen().hide_cursor());
        shell.type_in("\n");
        shell.wait_for_text("Changes");
        assert!(!shell.is_cooked() && shell.screen().alternate_screen());
        shell.type_in("q");
        shell.wait_for_text("it has ended");
        let (status, terminal) = shell.end();
        assert!(status.success() && terminal.is_cooked(), "{status}");
    }
}

#[test]
fn a_view_that_cannot_read_the_keyboard_says_why() {
    let (directory, _table) = visits();
    let mut top = Terminal::run(shell(directory.path(), "ulimit -n 5; exec locule top visits.loc"));
    top.wait_for_text("the view ended: Too many open files");
    let (status, terminal) = top.end();
    assert_eq!(status.code(), Some(2));
    assert!(terminal.is_cooked() && !terminal.screen().alternate_screen());
}

#[test]
fn a_terminal_that_cannot_draw_gets_lines() {
    let (directory, _table) = visits();
    for terminal in ["TERM=dumb", "TERM=", "-u TERM"] {
        let line = format!("exec env {terminal} locule top visits.loc --interval 0.05");
        let mut top = Terminal::run(shell(directory.path(), &line));
        top.wait_for("two lines", |screen| screen.lines().filter(|line| line.contains("Z  ")).count() >= 2);
        assert!(top.is_cooked() && !top.written().contains('\u{1b}'), "{}", top.written());
        top.type_in("\u{3}");
        assert_eq!(top.end().0.signal(), Some(nix::libc::SIGINT));
    }
}

/// It is drawn anew for each size, until the terminal is full of what nobody reads.
fn fill(top: &mut Terminal) {
    let mut columns = 80;
    test_kit::wait_until("it waits for the terminal", || {
        columns = 161 - columns;
        top.resize(24, columns);
        top.is_writing()
    });
}

#[test]
fn a_signal_ends_it_also_while_the_terminal_takes_nothing() {
    let (directory, _table) = visits();
    let mut top = top(directory.path());
    top.wait_for_text("Changes");
    fill(&mut top);
    top.signal(Signal::SIGTERM);
    let status = top.wait();
    assert_eq!(status.signal(), Some(nix::libc::SIGTERM));
    assert!(top.is_cooked());
}

#[test]
fn it_ends_with_its_terminal() {
    let (directory, _table) = visits();
    // In a script that goes on the kernel sends it no signal; then its terminal is just gone.
    for line in ["exec locule top visits.loc", "trap : HUP; locule top visits.loc; echo $? > status"] {
        let mut top = Terminal::run(shell(directory.path(), line));
        top.wait_for_text("Changes");
        top.close();
        let status = top.wait();
        assert!(line.starts_with("trap") || status.signal() == Some(nix::libc::SIGHUP), "{status}");
    }
    let status = std::fs::read_to_string(directory.path().join("status")).unwrap();
    assert_eq!(status, "2\n");
}

#[test]
fn a_signal_ends_it_also_amid_a_flood_of_input() {
    let (directory, _table) = visits();
    let mut top = top(directory.path());
    top.wait_for_text("Changes");
    // More than it can take while it waits: then the thread that reads waits too, beside the one that looks at the table.
    test_kit::wait_until("there is no room for an event", || {
        fill(&mut top);
        top.type_in(&" ".repeat(20));
        top.futex_sleeper_count() >= 2
    });
    top.signal(Signal::SIGTERM);
    let (status, terminal) = top.end();
    assert_eq!(status.signal(), Some(nix::libc::SIGTERM));
    assert_given_back(&terminal);
}

#[test]
fn it_fits_every_size_of_the_terminal() {
    let (directory, _table) = visits();
    let mut top = top(directory.path());
    top.wait_for_text("Changes");
    // What is still on its way is for the size before.
    let fills = |screen: &str, rows: usize, columns: usize| {
        screen.starts_with(" visits.loc  open in 1 process")
            && screen.lines().next_back().is_some_and(|line| line.starts_with(" q quit"))
            && screen.lines().count() == rows
            && screen.lines().all(|line| line.chars().count() <= columns)
    };
    top.resize(10, 40);
    top.wait_for("two panels", |screen| {
        fills(screen, 10, 40) && screen.contains("Writes") && !screen.contains("Changes")
    });
    top.resize(3, 20);
    top.wait_for_text("too small");
    top.resize(50, 160);
    top.wait_for("all panels", |screen| fills(screen, 50, 160) && screen.contains("Changes"));
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
}

#[test]
fn a_holder_that_does_not_go_on_is_named_and_so_is_its_death() {
    let (directory, table) = visits();
    let here = directory.path();
    let mut child = Child::spawn("hold the lock", table.path(), "");
    child.expect("inside");
    child.stop();
    let pid = child.pid();
    let mut top = top(here);
    let expected = ["held 100 % of looks", &format!("{pid} stopped"), &format!("s+: {pid}/"), "│stopped for "];
    top.wait_for("the holder", |screen| expected.iter().all(|text| screen.contains(text)));

    let told = printed(here, "locule info visits.loc");
    let holder = told.lines().find_map(|line| line.strip_prefix("write lock      ")).unwrap();
    assert!(holder.starts_with(&format!("held by process {pid} (command_top-")), "{holder}");
    assert!(holder.contains("staging, stopped, for ") && holder.ends_with(" ms at least"), "{holder}");
    let told: Json = serde_json::from_str(&printed(here, "locule info visits.loc --json")).unwrap();
    let writer = &told["writer"];
    assert!(writer["activity"] == "stopped" && writer["held_seconds"].as_f64().unwrap() > 0.0, "{writer}");
    let line = printed(here, "locule top visits.loc --count 1 --interval 0.2");
    let line = line.lines().nth(1).unwrap();
    assert!(line.contains(" 100%") && line.contains(&format!("process {pid} (")), "{line}");

    child.kill();
    top.wait_for_text("its holder died; the next one repairs");
    assert_eq!(
        printed(here, "locule top visits.loc --count 1 --interval 0.05").matches("a process that died").count(),
        1
    );
    table.upsert(&visit(3, 7)).unwrap();
    top.wait_for_text("1 died at work");
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
}

#[test]
fn a_terminal_obeys_nothing_that_is_in_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "locule create visits.loc --schema 'key name: text(64), note: text(64)?'");
    printed(here, r#"locule put visits.loc 'name:="\u001b[31mkey\u202e\u009b"' 'note:="\u001b]0;note\u0007"'"#);
    let mut top = top(here);
    top.wait_for_text(r"\u{1b}[31mkey\u{202e}");
    top.type_in("q");
    let (_, written) = top.finish();
    assert!(!written.contains("\u{1b}[31mkey") && !written.contains("\u{1b}]0;") && !written.contains('\u{202e}'));
}

#[test]
fn colours_are_those_of_the_terminal_and_none_with_no_color() {
    let (directory, _table) = visits();
    let coloured = |terminal: &Terminal| {
        let screen = terminal.screen();
        let cells = (0..24).flat_map(|row| (0..80).filter_map(move |column| screen.cell(row, column)));
        cells.filter(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default).count()
    };
    let mut with = top(directory.path());
    with.wait_for_text("q quit");
    assert!(coloured(&with) > 100);
    let line = "NO_COLOR=1 exec locule top visits.loc";
    let mut without = Terminal::run(shell(directory.path(), line));
    without.wait_for_text("q quit");
    assert_eq!(coloured(&without), 0);
    for mut terminal in [with, without] {
        terminal.type_in("q");
        assert_eq!(terminal.finish().0, Some(0));
    }
}

#[test]
fn a_table_that_is_replaced_destroyed_and_made_anew_is_followed() {
    let (directory, table) = visits();
    let here = directory.path();
    let mut top = top(here);
    top.wait_for_text("10 of 20");
    printed(here, "locule alter visits.loc resize 40 --yes");
    top.wait_for_text("10 of 40");
    // By other means than those of the library, which nobody is told of.
    printed(here, "locule create other.loc --schema 'key id: u8' --capacity 7 && mv other.loc visits.loc");
    top.wait_for_text("0 of 7");
    printed(here, "locule destroy visits.loc --yes");
    top.wait_for_text("visits.loc is gone: destroyed, moved or deleted");
    printed(here, "locule create visits.loc --schema 'key id: u8' --capacity 3 && locule put visits.loc id=1");
    let expected = ["1 of 3", "+ 1"];
    top.wait_for("the new one", |screen| {
        expected.iter().all(|text| screen.contains(text)) && !screen.contains("is gone")
    });
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
    drop(table);
}

#[test]
fn a_damaged_table_is_shown_as_far_as_it_can_be() {
    let (directory, table) = visits();
    let here = directory.path();
    let name = visit(3, 3).name.to_string();
    table.close().unwrap();
    printed(here, &format!("LC_ALL=C sed -i 's/{name}/{}/' visits.loc", name.replace('0', "1")));
    let mut top = top(here);
    let expected = ["visits.loc is damaged", "10 of 20", "██████████··········"];
    top.wait_for("what is left", |screen| expected.iter().all(|text| screen.contains(text)));
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
    let (code, said) = complaint(here, "locule top visits.loc --count 2 --interval 0.05");
    assert!(
        code == Some(1) && said.lines().count() == 1 && said.starts_with("locule: visits.loc is damaged"),
        "{said}"
    );
}

/// The view once showed the numbers that a recovery of its copy had given out, and said that all was synced.
#[test]
fn a_table_that_needs_a_recovery_is_shown_as_it_is_known() {
    let (directory, table) = visits();
    let here = directory.path();
    table.insert(&visit(10, 10)).unwrap();
    let mut child = Child::spawn("hold the lock", table.path(), "");
    child.expect("inside");
    printed(here, "cp visits.loc copy.loc");
    child.kill();
    drop(table);
    // The copy is not made anew for each look.
    let output = shell(here, "locule top copy.loc --count 30 --interval 0.01").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "locule: copy.loc needs a recovery: shown is what the next writer will find\n");
    let lines = String::from_utf8(output.stdout).unwrap();
    for line in lines.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1..8], ["-", "-", "11", "20", "12", "11", "1"], "{line}");
        // Nobody takes the lock of a copy.
        assert_eq!(words[9..], ["-", "-", "-", "-"], "{line}");
    }

    let mut top = Terminal::run(shell(here, "exec locule top copy.loc --interval 0.1"));
    let expected = ["\ncopy.loc needs a recovery: ", "11 of 20", "1 unsynced: 11 of 12", "+ 10  hits: 10"];
    top.wait_for("what is known", |screen| expected.iter().all(|text| screen.contains(text)));
    // It says that the write that its holder had begun is lost.
    assert!(complaint(here, "locule delete copy.loc 10").1.contains("finished or not, is lost"));
    top.wait_for("the table", |screen| !screen.contains("needs a recovery") && screen.contains("10 of 20"));
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
}

#[test]
fn a_backup_that_no_writer_has_opened_is_shown_as_it_was_made() {
    let (directory, table) = visits();
    let here = directory.path();
    printed(here, "locule backup visits.loc copy.loc");
    let output = shell(here, "locule top copy.loc --json --count 1 --interval 0.05").output().unwrap();
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    let expected = "copy.loc was made by a backup or a repair, and no writer has opened it yet";
    assert!(told["problem"] == expected && told["record_count"] == 10 && told["unsynced_count"] == 0, "{told}");
    assert_eq!(told["newest_number"], table.status().last.to_string());
}

/// Overwrites a word of the control region, which format.md describes.
fn scribble(file: &Path, word: u64, value: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&value.to_le_bytes(), 4096 + word * 8).unwrap();
}

/// Counts that no table can have were shown like others, and one of them ended the view.
#[test]
fn an_impossible_count_is_said_to_be_one() {
    let (directory, table) = visits();
    let here = directory.path();
    let name = visit(3, 3).name.to_string();
    let (live_count, last, holding_count, staging_count) = (33, 26, 58, 59);
    scribble(table.path(), holding_count, u64::MAX);
    scribble(table.path(), staging_count, 7);
    let mut all_dead = top(here);
    all_dead.wait_for_text("died at work");
    all_dead.type_in("q");
    assert_eq!(all_dead.finish().0, Some(0));
    let check = |is_damaged_otherwise: bool| {
        let mut top = top(here);
        let screen = top.wait_for_text("│impossible: 5,570,566 of 20");
        assert!(!screen.contains("died at work") && !screen.contains("1,152,921"), "{screen}");
        top.type_in("q");
        assert_eq!(top.finish().0, Some(0));
        let output = shell(here, "locule top visits.loc --count 1 --interval 0.05").output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        assert_eq!(lines.lines().nth(1).unwrap().split_whitespace().nth(3), Some("damaged"), "{lines}");
        let lines = shell(here, "locule info visits.loc; locule visits.loc").output().unwrap();
        let lines = String::from_utf8(lines.stdout).unwrap();
        assert!(lines.contains("records         impossible: the file is damaged: it says 5570566 of 20, "), "{lines}");
        assert!(lines.contains("visits.loc: an impossible count of records, 5570566 of 20"), "{lines}");
        assert!(!lines.contains(" more: `locule dump"), "{lines}");
        for verb in ["top --count 1 --interval 0.05", "info", "summary"] {
            let output = shell(here, &format!("locule {verb} visits.loc --json")).output().unwrap();
            let told: Json = serde_json::from_slice(&output.stdout).unwrap();
            assert!(told["record_count"].is_null() && told["capacity"] == 20, "{told}");
            assert!(!is_damaged_otherwise || told["unsynced_count"].is_null(), "{told}");
        }
    };
    // While it is in use, what its control region says is believed.
    scribble(table.path(), live_count, 5_570_566);
    check(false);
    let path = table.path().to_owned();
    drop(table);
    printed(here, &format!("LC_ALL=C sed -i 's/{name}/{}/' visits.loc", name.replace('0', "1")));
    scribble(&path, last, 1 << 60);
    check(true);
}

#[test]
fn without_a_terminal_it_prints_lines() {
    let (directory, table) = visits();
    let here = directory.path();
    let lines = printed(here, "locule top visits.loc --count 2 --interval 0.05");
    let words: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..5], ["time", "writes/s", "syncs/s", "records", "capacity"]);
    assert!(words.len() == 3 && words.iter().all(|line| line.len() == words[0].len()), "{lines}");
    assert_eq!(words[2][1..8], ["0", "0", "10", "20", "11", "11", "0"]);

    let line = "exec locule top visits.loc --json --interval 0.05";
    let mut top = shell(here, line).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Json>(&lines.next().unwrap().unwrap()).unwrap();
    let first = next();
    assert!(first["record_count"] == 10 && first["lock"]["holder"].is_null() && first["problem"].is_null(), "{first}");
    assert!(first["writes_per_second"] == 0.0 && first["users"][0]["pid"] == std::process::id(), "{first}");
    for visitor in 10..15 {
        table.insert(&visit(visitor, 0)).unwrap();
    }
    loop {
        let line = next();
        if line["writes_per_second"].as_f64().unwrap() > 0.0 && line["record_count"] == 15 {
            assert!(line["unsynced_count"].as_u64().unwrap() > 0, "{line}");
            break;
        }
    }
    table.sync().unwrap();
    while next()["unsynced_count"] != 0 {}
    // Nobody reads it any more.
    drop(lines);
    assert!(top.wait().unwrap().success());
    assert_eq!(complaint(here, "locule top visits.loc --interval 0.05 | head -n 1"), (Some(0), String::new()));
}
