//! What errors say: nothing twice, no advice that cannot be followed, and no process is told to end itself.

use locule::{Error, RecordId, Table, TableLock};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A reason with one of its own behind it.
#[derive(Debug)]
struct Outer(io::Error);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the outer reason")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn outer() -> Outer {
    Outer(io::Error::other("the inner reason"))
}

fn io_error(path: &Path) -> Error {
    Error::Io { action: "flush", path: path.to_owned(), source: io::Error::other(outer()) }
}

/// One of each variant, and of those that carry another error, one for each kind of it.
fn one_of_each() -> Vec<Error> {
    let path = PathBuf::from("visits.loc");
    let reason = || "a reason".to_owned();
    vec![
        io_error(&path),
        Error::Io { action: "open", path: path.clone(), source: io::Error::from_raw_os_error(13) },
        Error::AlreadyExists { path: path.clone() },
        Error::DoesNotExist { path: path.clone() },
        Error::InvalidArgument { reason: reason() },
        Error::Foreign { path: path.clone(), reason: reason() },
        Error::Damaged { reason: reason() },
        Error::SchemaMismatch { expected: reason(), found: "another".to_owned(), differences: vec![reason()] },
        Error::CapacityMismatch { expected: 1, found: 2 },
        Error::Incompatible { reason: reason() },
        Error::Timeout { lock: TableLock::Write, holder_pid: None, waited: Duration::from_secs(5) },
        Error::Condemned,
        Error::Superseded,
        Error::Recovered,
        Error::FlushFailed { source: None },
        Error::FlushFailed { source: Some(io::Error::from_raw_os_error(5)) },
        Error::FlushFailed { source: Some(io::Error::other(outer())) },
        Error::SyncAfterWrite { source: Box::new(io_error(&path)) },
        Error::SyncAfterWrite {
            source: Box::new(Error::FlushFailed { source: Some(io::Error::from_raw_os_error(5)) }),
        },
        Error::SyncAfterWrite { source: Box::new(Error::FlushFailed { source: Some(io::Error::other(outer())) }) },
        Error::ReadOnly { operation: "writing" },
        Error::Nested,
        Error::Forked,
        Error::Full { live_count: 1, capacity: 2, retired_count: 1 },
        Error::DuplicateKey { key: "ada".to_owned(), id: RecordId::from_u64(1) },
        Error::KeyChanged,
        Error::SlotTaken { slot: 1 },
        Error::NotFound { id: RecordId::from_u64(1) },
        Error::Conflict { expected: 1, found: 2 },
        Error::StaleSnapshot,
        Error::SnapshotBusy { attempt_count: 3 },
        Error::CursorLost { reason: locule::CursorLoss::RolledBack },
        Error::TooLong { capacity_bytes: 1, found_bytes: 2 },
        Error::caller("not today"),
        Error::caller(outer()),
        Error::InvalidValue { reason: reason() },
        Error::UnknownField { name: "hit".to_owned(), suggestion: Some("hits".to_owned()) },
        Error::UnknownField { name: "colour".to_owned(), suggestion: None },
    ]
}

/// A name of 100 kB was printed in full.
#[test]
fn a_name_that_can_be_anything_is_shortened_and_shown_in_one_line() {
    let message = |name: &str| Error::UnknownField { name: name.to_owned(), suggestion: None }.to_string();
    assert_eq!(message("colour"), "there is no field `colour`");
    assert_eq!(message(&"x".repeat(100_000)), format!("there is no field `{}…`", "x".repeat(40)));
    assert_eq!(message("a\nb\u{202e}"), "there is no field `a\\nb\\u{202e}`");
}

/// The texts of an error and of all that are behind it.
fn chain(error: &Error) -> Vec<String> {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source()).map(ToString::to_string).collect()
}

/// An `Io` was once printed with its reason twice by everything that prints the whole chain.
#[test]
fn no_message_of_a_chain_contains_the_next() {
    for error in one_of_each() {
        let chain = chain(&error);
        for pair in chain.windows(2) {
            assert!(!pair[0].contains(&pair[1]), "{chain:?}");
        }
    }
}

#[test]
fn the_reason_is_in_the_text_and_what_is_behind_it_in_the_chain() {
    let path = Path::new("visits.loc");
    assert_eq!(chain(&io_error(path)), ["cannot flush visits.loc: the outer reason", "the inner reason"]);
    let flush_failed = chain(&Error::FlushFailed { source: Some(io::Error::other(outer())) });
    assert!(flush_failed[0].contains("(the outer reason)"), "{flush_failed:?}");
    assert_eq!(flush_failed[1..], ["the inner reason"]);
    let after_write = chain(&Error::SyncAfterWrite { source: Box::new(io_error(path)) });
    assert!(after_write[0].ends_with("cannot flush visits.loc: the outer reason"), "{after_write:?}");
    assert_eq!(after_write[1..], ["the inner reason"]);
    assert_eq!(chain(&Error::caller(outer())), ["the outer reason", "the inner reason"]);
}

#[test]
fn every_variant_is_among_those_that_are_tested_here() {
    let source = std::fs::read_to_string(manifest_directory().join("src/error.rs")).unwrap();
    let body = source.split_once("pub enum Error {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase());
    let name = |text: &str| text.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    let declared: BTreeSet<_> = body.lines().filter(is_variant).map(|line| name(line.trim())).collect();
    let tested: BTreeSet<_> = one_of_each().iter().map(|error| name(&format!("{error:?}"))).collect();
    assert!(declared.len() > 20);
    assert_eq!(declared, tested);
}

/// A thread that had to wait for another of its own process was once told to end that process.
#[test]
fn who_waits_for_its_own_process_is_not_told_to_end_it() {
    let timeout = |lock, holder_pid| Error::Timeout { lock, holder_pid, waited: Duration::from_secs(5) }.to_string();
    let own = std::process::id();
    for lock in [TableLock::Write, TableLock::Sync, TableLock::Gate] {
        let message = timeout(lock, Some(own));
        assert!(message.contains(&format!("the {lock} lock, which another thread of this process holds")), "{message}");
        assert!(!message.contains("end it") && !message.contains(&own.to_string()), "{message}");
        let other = timeout(lock, Some(own + 1));
        assert!(other.contains(&format!("process {} holds", own + 1)) && other.contains("end it"), "{other}");
    }
    let handle = timeout(TableLock::Handle, Some(own));
    assert!(handle.contains("another thread of this process is using or reopening"), "{handle}");
}

/// The holder is found as a thread, and reported as the process that it belongs to: here, the caller's own.
#[test]
fn a_thread_that_waits_for_another_is_told_so() {
    locule::record! { struct Item { key id: u64 } }
    let directory = tempfile::tempdir().unwrap();
    let options = Table::<Item>::options().capacity(4).lock_timeout(Duration::from_millis(50));
    let table = options.create(directory.path().join("items.loc")).unwrap();
    table
        .write(|transaction| {
            transaction.insert(&Item { id: 1 })?;
            let waited = std::thread::scope(|scope| scope.spawn(|| table.insert(&Item { id: 2 })).join().unwrap());
            let error = waited.unwrap_err();
            assert!(matches!(error, Error::Timeout { lock: TableLock::Write, .. }), "{error:?}");
            assert!(error.to_string().contains("another thread of this process holds"), "{error}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_reopen_helps_against_says_so() {
    for error in [Error::Condemned, Error::Superseded, Error::Recovered, Error::FlushFailed { source: None }] {
        assert!(error.to_string().contains("`reopen`"), "{error}");
    }
}

fn manifest_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
