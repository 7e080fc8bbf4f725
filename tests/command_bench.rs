//! `locule bench` as a person or a script sees it: its exit status, its report, and what it leaves behind.

#![cfg(feature = "cli")]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A small bench whose temporary files go below `directory`.
fn bench(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locule"));
    command.arg("bench").args(["--processes", "6", "--records", "200"]).args(arguments);
    command.env("TMPDIR", directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn entry_count(directory: &Path) -> Result<usize> {
    Ok(fs::read_dir(directory)?.count())
}

/// The command lines of all processes that name this path, their arguments separated by NUL.
fn command_lines(path: &Path) -> Result<Vec<String>> {
    let path = path.to_str().ok_or("a path of ASCII was expected")?;
    let all = fs::read_dir("/proc")?.flatten();
    let lines = all.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    Ok(lines.filter(|line| line.contains(path)).collect())
}

fn process_count(path: &Path) -> Result<usize> {
    Ok(command_lines(path)?.len())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so()? {
        if Instant::now() > deadline {
            return Err(format!("waited in vain until {what}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn a_run_with_kills_adds_up_and_leaves_nothing_behind() -> Result {
    let directory = tempfile::tempdir()?;
    let output = bench(directory.path(), &["--seconds", "2", "--kill", "60"]).output()?;
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("killed: 60 workers"), "{text}");
    assert!(text.contains("everything adds up"), "{text}");
    assert_eq!(entry_count(directory.path())?, 0);
    Ok(())
}

#[test]
fn a_durable_run_on_a_file_of_ones_own_leaves_the_table() -> Result {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("mine.loc");
    let file = path.to_str().ok_or("a path of ASCII was expected")?;
    let output = bench(directory.path(), &["--seconds", "0.5", "--durable", "--file", file]).output()?;
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("is durable"), "{text}");
    assert!(path.is_file());

    let before = fs::read(&path)?;
    let again = bench(directory.path(), &["--seconds", "0.5", "--file", file]).output()?;
    assert_eq!(again.status.code(), Some(2));
    assert!(text_of(&again).contains("exists already"), "{}", text_of(&again));
    assert!(fs::read(&path)? == before, "a table that is there is not touched");
    Ok(())
}

#[test]
fn a_table_that_is_always_full_is_no_trouble() -> Result {
    let directory = tempfile::tempdir()?;
    let output = bench(directory.path(), &["--seconds", "0.5", "--capacity", "200"]).output()?;
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains(" 0 inserts (table full)"), "{text}");
    Ok(())
}

#[test]
fn errors_are_told_apart_from_failed_checks() -> Result {
    let directory = tempfile::tempdir()?;
    for wrong in [["--seconds", "0"], ["--sync-every", "never"], ["--kil", "3"]] {
        let output = bench(directory.path(), &wrong).output()?;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text_of(&output));
    }
    let output = bench(directory.path(), &["--file", "/nonexistent/bench.loc"]).output()?;
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
    Ok(())
}

/// It once said only that there are too many.
#[test]
fn what_cannot_be_opened_is_named() -> Result {
    let directory = tempfile::tempdir()?;
    // With fewer than four files no program is even loaded.
    for file_count in 4..10 {
        let line = format!("ulimit -n {file_count}; exec locule bench --processes 1 --seconds 0.1");
        let output = test_kit::command_line::shell(directory.path(), &line).env("TMPDIR", directory.path()).output()?;
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{file_count}: {text}");
        assert!(text.contains("locule: cannot ") && text.contains("Too many open files"), "{file_count}: {text}");
    }
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_changes_nothing() -> Result {
    let directory = tempfile::tempdir()?;
    let mut child = bench(directory.path(), &["--seconds", "0.5"]).spawn()?;
    drop(child.stdout.take());
    assert_eq!(child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn an_interrupted_run_is_checked_and_reported() -> Result {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let directory = tempfile::tempdir()?;
        let report = directory.path().join("out.html");
        let arguments = ["--seconds", "600", "--report", report.to_str().ok_or("a path of ASCII was expected")?];
        let child = bench(directory.path(), &arguments).spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        wait_until("the workers work", || Ok(process_count(directory.path())? > 6))?;
        thread::sleep(Duration::from_millis(300));
        kill(pid, signal)?;
        let output = child.wait_with_output()?;
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("interrupted after") && text.contains("everything adds up"), "{text}");
        assert!(fs::read_to_string(&report)?.contains("The run was interrupted."));
        assert_eq!((entry_count(directory.path())?, process_count(directory.path())?), (1, 0));
    }
    Ok(())
}

#[test]
fn workers_die_with_their_parent_and_what_it_has_left_is_removed_by_the_next_run() -> Result {
    let directory = tempfile::tempdir()?;
    let report = directory.path().join("out.html");
    let arguments = ["--seconds", "600", "--report", report.to_str().ok_or("a path of ASCII was expected")?];
    let mut child = bench(directory.path(), &arguments).spawn()?;
    wait_until("the workers work", || Ok(process_count(directory.path())? > 6))?;
    let lines = command_lines(directory.path())?;
    // Beside one that goes on, nothing of it is removed.
    let beside = bench(directory.path(), &["--seconds", "0.1"]).output()?;
    assert_eq!((beside.status.code(), child.try_wait()?), (Some(0), None), "{}", text_of(&beside));
    child.kill()?;
    child.wait()?;
    wait_until("the workers are gone", || Ok(process_count(directory.path())? == 0))?;
    // A process that is killed cannot clean up. Only its workers know what it left beside the table.
    let control = lines.iter().flat_map(|line| line.split('\0')).find(|argument| argument.ends_with("/control"));
    let ledgers = control.and_then(|control| Path::new(control).parent()).ok_or("no worker named its control page")?;
    assert_eq!(
        (ledgers.exists(), entry_count(directory.path())?),
        (true, 1),
        "the table, and no beginning of a report"
    );
    let next = bench(directory.path(), &["--seconds", "0.1"]).output()?;
    assert_eq!(next.status.code(), Some(0), "{}", text_of(&next));
    assert_eq!((ledgers.exists(), entry_count(directory.path())?), (false, 0));
    Ok(())
}

#[test]
fn a_worker_that_ends_by_itself_fails_the_run() -> Result {
    let directory = tempfile::tempdir()?;
    let child = bench(directory.path(), &["--seconds", "600"]).spawn()?;
    let parent = child.id().to_string();
    let worker_of = |parent: &str| -> Option<i32> {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    wait_until("the workers work", || Ok(process_count(directory.path())? >= 6))?;
    kill(Pid::from_raw(worker_of(&parent).ok_or("a worker was expected")?), Signal::SIGKILL)?;
    let output = child.wait_with_output()?;
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("ended by itself") && text.contains("the table is kept as"), "{text}");
    assert!(text.contains("signal: 9 (SIGKILL)\n"), "{text}");
    assert_eq!(process_count(directory.path())?, 0, "the others were ended");
    // What was said to be kept is not what a killed run has left.
    let next = bench(directory.path(), &["--seconds", "0.1"]).output()?;
    assert_eq!((next.status.code(), entry_count(directory.path())?), (Some(0), 1), "{}", text_of(&next));
    Ok(())
}
