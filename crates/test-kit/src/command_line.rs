//! Runs the command as a user does: lines for a shell, in a directory of their own.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The command that was built together with the tests: Cargo puts them into `deps` beside it.
fn command() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let command = test.parent().and_then(Path::parent).unwrap().join("locule");
    assert!(command.is_file(), "{command:?} is not there: run the tests with `--features cli`");
    command
}

/// Closes what another thread was just opening, such as a terminal: where few files may be open, that is one too many.
const CLOSE_INHERITED: &str = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";

/// A shell in this directory, in which `locule` is the command that is tested.
pub fn shell(directory: &Path, line: &str) -> Command {
    obey_signals();
    let command = command();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{CLOSE_INHERITED}\n{line}"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_remove("NO_COLOR");
    shell.env("PATH", format!("{}:{path}", command.parent().unwrap().display()));
    shell
}

/// Tests that run in the background, or under `nohup`, are started with signals that they ignore, and so would be all that
/// they start.
fn obey_signals() {
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: no handler is installed that anything could interrupt; what the signal does is what it does by default.
        unsafe { sigaction(signal, &SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty())) }.unwrap();
    }
}

/// What is seen when these lines are typed: each with what it prints, and its exit status if that is not 0.
pub fn session(directory: &Path, lines: &str) -> String {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| typed(directory, line)).collect()
}

/// The same for one line.
pub fn typed(directory: &Path, line: &str) -> String {
    let output = shell(directory, &format!("exec 2>&1\n{line}")).output().unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{line}: {}", output.status));
    let printed = String::from_utf8(output.stdout).unwrap();
    let code = if code == 0 { String::new() } else { format!("[exit {code}]\n") };
    format!("$ {line}\n{printed}{code}")
}

/// Runs a line that has to succeed without a complaint, and returns what it prints.
#[track_caller]
pub fn printed(directory: &Path, line: &str) -> String {
    let Output { status, stdout, stderr } = shell(directory, line).output().unwrap();
    let complaints = String::from_utf8_lossy(&stderr);
    assert!(status.success() && complaints.is_empty(), "{line}: {status}\n{complaints}");
    String::from_utf8(stdout).unwrap()
}

/// The exit status of a line, and what it complains about.
pub fn complaint(directory: &Path, line: &str) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = shell(directory, line).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}
