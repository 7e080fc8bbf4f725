//! `locule create`: what is left behind when something fails on the way.
#![cfg(all(feature = "cli", target_arch = "x86_64"))]

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use test_kit::system_calls::run_with_a_failure;
use test_kit::{Child, say};

/// Runs this file again, as the child that plays a role.
#[test]
fn child_process() {
    test_kit::play(&[("create with each flush failing", create_with_each_flush_failing)]);
}

/// Creates a table from a file, and makes one flush fail each time: of what was written, of the directory in which it gets
/// its name, and of the records that are put in then.
fn create_with_each_flush_failing(path: &Path, _: &str) {
    let directory = path.parent().unwrap();
    let (csv, out) = (directory.join("visits.csv"), directory.join("out"));
    fs::write(&csv, "id,user\n1,ada\n2,bob\n").unwrap();
    let mut failed_with_a_name_count = 0;
    for system_call in [libc::SYS_fsync, libc::SYS_msync] {
        for number in 1.. {
            let mut command = Command::new(env!("CARGO_BIN_EXE_locule"));
            command.arg("create").arg(path).arg("--from").arg(&csv).args(["--key", "id"]).stdin(Stdio::null());
            let printed = fs::File::create(&out).unwrap();
            command.stdout(printed.try_clone().unwrap()).stderr(printed);
            let Ok((code, has_failed)) = run_with_a_failure(&mut command, system_call, number) else {
                return say("skipped: processes may not be traced here");
            };
            let printed = fs::read_to_string(&out).unwrap();
            if !has_failed {
                assert_eq!((code, path.exists()), (0, true), "{printed}");
                locule::destroy(path).unwrap();
                break;
            }
            assert_eq!((code, path.exists()), (2, false), "flush {number}: {printed}");
            assert!(printed.contains("Input/output error"), "{printed}");
            // The records were in the table already.
            failed_with_a_name_count += u32::from(printed.contains("the write happened"));
        }
    }
    let mut left: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["out", "visits.csv"]);
    say(failed_with_a_name_count);
}

#[test]
fn a_table_that_cannot_be_filled_is_not_left_behind() {
    let (_directory, path) = test_kit::scratch();
    let mut child = Child::spawn("create with each flush failing", &path, "");
    let said = child.hear();
    child.finish();
    match said.parse::<u32>() {
        Ok(count) => assert!(count > 0, "a flush failed when the table had its name and its records"),
        Err(_) => eprintln!("{said}"),
    }
}

/// An empty table was once left there, in the way of the next attempt.
#[test]
fn a_table_that_is_interrupted_while_it_is_filled_is_not_left_behind() {
    let (directory, path) = test_kit::scratch();
    let csv = directory.path().join("visits.csv");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let mut row_count = 50_000;
        loop {
            let rows: String = (0..row_count).map(|id| format!("{id}\n")).collect();
            fs::write(&csv, format!("id\n{rows}")).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_locule"));
            command.arg("create").arg(&path).arg("--from").arg(&csv).args(["--key", "id"]).stdin(Stdio::null());
            let mut creation = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            test_kit::wait_until("the table has its name", || path.exists() || creation.try_wait().unwrap().is_some());
            let _ = kill(Pid::from_raw(i32::try_from(creation.id()).unwrap()), signal);
            let output = creation.wait_with_output().unwrap();
            if output.status.success() {
                // Too late.
                locule::destroy(&path).unwrap();
                row_count *= 2;
                assert!(row_count < 1_000_000, "{signal} has not interrupted it");
                continue;
            }
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), path.exists()), (Some(2), false), "{said}");
            assert_eq!(said, format!("locule: interrupted: {} was not made\n", path.display()));
            break;
        }
    }
}
