//! What the library says, in the words of the command: an error names what can be typed, and no function.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use locule::{Error, TableLock};

use crate::output::visible;

/// An error of the library about a certain file.
#[derive(Debug)]
pub struct Failure {
    path: PathBuf,
    error: Error,
}

impl Failure {
    /// To be given to `map_err`.
    pub fn about(path: &Path) -> impl Fn(Error) -> Failure {
        move |error| Failure { path: path.to_owned(), error }
    }
}

impl StdError for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&explain(&self.error, Some(&self.path)))
    }
}

/// Whether an error says nothing but that the table became another one meanwhile, so that it can be looked at anew.
pub fn is_passing(error: &(dyn StdError + 'static)) -> bool {
    let error = error.downcast_ref::<Failure>().map(|failure| &failure.error).or_else(|| error.downcast_ref::<Error>());
    matches!(error, Some(Error::Superseded | Error::Recovered))
}

/// For errors of which some may be those of the library: to be given to `map_err`.
pub fn about(path: &Path) -> impl Fn(Box<dyn StdError>) -> Box<dyn StdError> {
    move |error| match error.downcast::<Error>() {
        Ok(error) => Failure::about(path)(*error).into(),
        Err(other) => other,
    }
}

/// What an error says on stderr: one line, but for a condition, whose mistake is shown in it.
pub fn report(error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<locule::FilterError>() {
        return crate::output::visible_lines(&error.to_string());
    }
    let text = match error.downcast_ref::<Error>() {
        Some(error) => explain(error, None),
        None => error.to_string(),
    };
    // The library names several records in several lines.
    let mut lines = text.split('\n').map(str::trim);
    let first = lines.next().unwrap_or_default();
    let others = lines.collect::<Vec<_>>().join("; ");
    visible([first, &others].join(" ").trim_end()).into_owned()
}

/// A path as it is shown, and as a shell takes it back.
pub fn shown(path: &Path) -> String {
    // The library makes paths absolute, which is not how they were typed.
    let here = std::env::current_dir().ok();
    let path = match here.and_then(|here| path.strip_prefix(here).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Some(rest) => rest,
        None => path,
    };
    let text = path.to_string_lossy();
    let is_plain = |next: char| next.is_alphanumeric() || "/._-+=:,@%".contains(next);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", visible(&text).replace('\'', r"'\''"))
}

/// What went wrong with a temporary file, without its name, which nobody has typed.
pub fn cause(error: &io::Error) -> String {
    error.to_string().split(" at path \"").next().unwrap_or_default().to_owned()
}

/// An error, with what can be done about it. Without a path, commands name a `FILE`.
fn explain(error: &Error, path: Option<&Path>) -> String {
    let file = path.map_or_else(|| "FILE".to_owned(), shown);
    let table = path.map_or_else(|| "the table".to_owned(), shown);
    match error {
        Error::Io { action, path, source } => format!("cannot {action} {}: {source}", shown(path)),
        Error::AlreadyExists { path } => {
            format!("{} exists already, and is left as it is: choose another name, or delete it first", shown(path))
        }
        Error::DoesNotExist { path } => {
            let file = shown(path);
            format!("{file} does not exist: `locule create {file} --schema …` makes a table, or `--from` a CSV file")
        }
        Error::Foreign { path, reason } => format!("{} cannot be read as a table: {reason}", shown(path)),
        Error::Damaged { reason } => format!(
            "{table} is damaged: {reason}; `locule verify {file}` names every bad place, `locule dump --salvage {file}` \
             prints what is whole, and `locule repair {file} NEW` saves that in a new table"
        ),
        Error::SchemaMismatch { differences, .. } => {
            format!("{table} holds other records: {}", differences.join("; "))
        }
        Error::CapacityMismatch { expected, found } => {
            format!("{table} has room for {found} records, not {expected}: `locule alter {file} resize {expected}`")
        }
        Error::Timeout { lock, holder_pid, waited } => held(*lock, *holder_pid, waited.as_secs_f64()),
        Error::Condemned => format!(
            "a lock of {table} can no longer be used: end all programs that use it, or let them open it anew, and try again"
        ),
        Error::Superseded => format!("{table} was replaced, destroyed or altered meanwhile: try again"),
        Error::Recovered => format!("another process recovered {table} meanwhile: try again"),
        Error::FlushFailed { source } => {
            let source = source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
            format!(
                "a flush of {table} to the disk failed{source}: nothing is synced until every program that uses it has \
                 closed it"
            )
        }
        Error::SyncAfterWrite { source } => {
            format!("the write happened, but may not survive a power cut: {}", explain(source, path))
        }
        Error::Full { live_count, capacity, retired_count } => {
            let worn_out = if *retired_count > 0 { format!(", {retired_count} of it worn out") } else { String::new() };
            let larger = capacity.saturating_mul(2).max(live_count.saturating_add(10));
            format!(
                "{table} is full: it has room for {capacity} records{worn_out}; `locule alter {file} resize {larger}` gives \
                 it more, or `locule delete` some"
            )
        }
        Error::DuplicateKey { key, .. } => format!(
            "a record with the key {key} is there already: `locule set` changes it, and `locule put` writes over it"
        ),
        Error::KeyChanged => "the key of a record cannot be changed: `locule put` it under its new key, and `locule \
                              delete` the old one"
            .to_owned(),
        Error::Conflict { expected, found } => format!(
            "the record has version {found}, not {expected}: somebody was faster, look at it again with `locule get`"
        ),
        Error::ReadOnly { operation } => format!("{operation} is not possible: {table} can only be read"),
        Error::SnapshotBusy { .. } => {
            format!("others wrote so much that no moment of {table} could be copied: try again")
        }
        Error::CursorLost { reason } => {
            format!(
                "the cursor cannot be followed: {reason}: forget what was seen, and begin again with `locule tail {file} \
                 --from start`"
            )
        }
        other => other.to_string(),
    }
}

fn held(lock: TableLock, holder_pid: Option<u32>, waited_seconds: f64) -> String {
    let waited = format!("waited {waited_seconds:.1} s for the {lock} lock");
    match holder_pid {
        Some(pid) => format!(
            "{waited}, which process {pid} holds: `ps -o pid,stat,args -p {pid}` shows it, `kill -CONT {pid}` continues it \
             if it is stopped"
        ),
        None => format!("{waited}, whose holder could not be found out: try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locule::{CursorLoss, RecordId};
    use std::time::Duration;

    fn one_of_each() -> Vec<Error> {
        let path = || PathBuf::from("visits.loc");
        let reason = || "a reason".to_owned();
        let id = RecordId::from_u64(7);
        vec![
            Error::Io { action: "open", path: path(), source: io::Error::from_raw_os_error(13) },
            Error::AlreadyExists { path: path() },
            Error::DoesNotExist { path: path() },
            Error::InvalidArgument { reason: reason() },
            Error::Foreign { path: path(), reason: reason() },
            Error::Damaged { reason: reason() },
            Error::SchemaMismatch { expected: reason(), found: reason(), differences: vec![reason(), reason()] },
            Error::CapacityMismatch { expected: 1, found: 2 },
            Error::Incompatible { reason: reason() },
            Error::Timeout { lock: TableLock::Write, holder_pid: Some(7), waited: Duration::from_secs(5) },
            Error::Timeout { lock: TableLock::Gate, holder_pid: None, waited: Duration::from_secs(5) },
            Error::Condemned,
            Error::Superseded,
            Error::Recovered,
            Error::FlushFailed { source: Some(io::Error::from_raw_os_error(5)) },
            Error::SyncAfterWrite { source: Box::new(Error::FlushFailed { source: None }) },
            Error::ReadOnly { operation: "writing" },
            Error::Full { live_count: 1, capacity: 2, retired_count: 1 },
            Error::Full { live_count: 2, capacity: 2, retired_count: 0 },
            Error::DuplicateKey { key: "7".to_owned(), id },
            Error::KeyChanged,
            Error::NotFound { id },
            Error::Conflict { expected: 1, found: 2 },
            Error::SnapshotBusy { attempt_count: 3 },
            Error::TooLong { capacity_bytes: 1, found_bytes: 2 },
            Error::CursorLost { reason: CursorLoss::OtherTable },
            Error::UnknownField { name: "usr".to_owned(), suggestion: Some("user".to_owned()) },
            Error::InvalidValue { reason: "two lines:\n  record 7".to_owned() },
        ]
    }

    /// Words of the library, that nobody can type.
    const WORDS_OF_THE_LIBRARY: [&str; 11] = [
        "open_or_create",
        "reopen",
        "replace_all",
        "upsert",
        "Alteration",
        "closure",
        "handle",
        "`replace`",
        "`require",
        "lock timeout",
        "for writing",
    ];

    #[test]
    fn every_error_is_one_line_in_the_words_of_the_command() {
        for error in one_of_each() {
            for text in [report(&error), report(&Failure::about(Path::new("visits.loc"))(error))] {
                assert!(!text.contains('\n') && !text.is_empty(), "{text}");
                for word in WORDS_OF_THE_LIBRARY {
                    assert!(!text.contains(word), "{word}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_path_is_shown_as_a_shell_takes_it_and_a_terminal_obeys_nothing() {
        assert_eq!(shown(Path::new("a/visits.loc")), "a/visits.loc");
        let here = std::env::current_dir().unwrap();
        assert_eq!([shown(&here), shown(&here.join("visits.loc"))], [".", "visits.loc"]);
        assert_eq!(shown(Path::new("my visits.loc")), "'my visits.loc'");
        assert_eq!(shown(Path::new("it's\u{1b}")), r"'it'\''s\u{1b}'");
        let error = Error::DoesNotExist { path: PathBuf::from("a\u{1b}\nb") };
        assert!(!report(&error).contains(['\u{1b}', '\n']), "{}", report(&error));
    }
}
