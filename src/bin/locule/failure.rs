//! What the library says, in the words of the command: an error names what can be typed, and no function.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use locule::{Error, TableLock};

use crate::output::{is_obeyed, visible};

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
        f.write_str(&naming(&self.path, &explain(&self.error, Some(&self.path))))
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
    // What begins so would be taken for an option.
    let is_like_an_option = path.as_os_str().as_bytes().starts_with(b"-");
    let path = if is_like_an_option { &Path::new(".").join(path) } else { path };
    let is_plain = |next: char| next.is_alphanumeric() || "/._-+=:,@%".contains(next);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        Some(text) if !text.contains(is_obeyed) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escaped(path.as_os_str().as_bytes()),
    }
}

/// A name that cannot be shown as it is, in the way of quoting that bash and others take back byte by byte.
fn escaped(name: &[u8]) -> String {
    let mut text = "$'".to_owned();
    for chunk in name.utf8_chunks() {
        for next in chunk.valid().chars() {
            match next {
                '\'' | '\\' => text.extend(['\\', next]),
                '\n' => text.push_str("\\n"),
                next if is_obeyed(next) => {
                    next.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
                }
                next => text.push(next),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text.push('\'');
    text
}

/// A text of the library, in which a command names no file, with the file.
pub fn naming(path: &Path, text: &str) -> String {
    let command = format!("`locule dump --salvage {}`", shown(path));
    text.replace("`locule dump --salvage FILE`", &command).replace("`locule dump --salvage`", &command)
}

/// What can be done about an error of the kernel.
fn remedy(action: &str, path: &Path, kind: io::ErrorKind) -> String {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = shown(parent);
    match kind {
        io::ErrorKind::PermissionDenied if action == "create" => {
            format!("; `ls -ld {directory}` shows who may make files there")
        }
        io::ErrorKind::PermissionDenied => format!("; `ls -ld {directory} {}` shows who may", shown(path)),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("; `df -h {directory}` shows how much is free there: delete something, or use fewer slots")
        }
        io::ErrorKind::NotFound if action == "create" && !parent.exists() => {
            format!("; `mkdir -p {directory}` makes the directory")
        }
        _ => String::new(),
    }
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
        // It was looked at how long it is.
        Error::Io { action, path, source } if source.kind() == io::ErrorKind::UnexpectedEof => {
            format!("cannot {action} {}: it ends before it should: it was cut off meanwhile", shown(path))
        }
        Error::Io { action, path, source } => {
            format!("cannot {action} {}: {source}{}", shown(path), remedy(action, path, source.kind()))
        }
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
        Error::SyncAfterWrite { source } => match **source {
            Error::Superseded => format!(
                "the write happened, and then {table} was altered, which keeps it, or replaced or destroyed, which does not: \
                 look whether it is there before you repeat it"
            ),
            Error::Recovered => format!(
                "the write happened, and then another process recovered {table}: look whether it is there before you repeat it"
            ),
            _ => {
                let reason = explain(source, path);
                let reason = reason.trim_end_matches(": try again").trim_end_matches(", and try again");
                format!(
                    "the write happened, and is not to be repeated, but may not survive a power cut until `locule sync {file}` \
                     has succeeded: {reason}"
                )
            }
        },
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
    use std::ffi::OsStr;
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

    /// It once was to be tried again, which does it twice, or finds that it is done.
    #[test]
    fn nobody_is_told_to_repeat_a_write_that_happened() {
        for source in one_of_each() {
            let said = report(&Failure::about(Path::new("v.loc"))(Error::SyncAfterWrite { source: Box::new(source) }));
            assert!(said.starts_with("the write happened, and ") && !said.contains("try again"), "{said}");
            assert!(said.contains("is not to be repeated") || said.contains("before you repeat it"), "{said}");
        }
    }

    #[test]
    fn an_error_of_the_kernel_says_what_can_be_done() {
        let said = |action, name: &str, kind: io::ErrorKind| {
            report(&Error::Io { action, path: PathBuf::from(name), source: kind.into() })
        };
        for (action, name, kind, expected) in [
            ("create", "a/v.loc", io::ErrorKind::PermissionDenied, "`ls -ld a` shows who may make files there"),
            ("create", "v.loc", io::ErrorKind::PermissionDenied, "`ls -ld .` shows"),
            ("open", "a/v.loc", io::ErrorKind::PermissionDenied, "`ls -ld a a/v.loc` shows who may"),
            ("reserve the blocks of", "a b/v.loc", io::ErrorKind::StorageFull, "`df -h 'a b'` shows how much is free"),
            ("create", "a/b/v.loc", io::ErrorKind::NotFound, "`mkdir -p a/b` makes the directory"),
            (
                "read",
                "v.loc",
                io::ErrorKind::UnexpectedEof,
                "cannot read v.loc: it ends before it should: it was cut off",
            ),
        ] {
            assert!(said(action, name, kind).contains(expected), "{}", said(action, name, kind));
        }
    }

    #[test]
    fn a_path_is_shown_as_a_shell_takes_it_and_a_terminal_obeys_nothing() {
        assert_eq!(shown(Path::new("a/visits.loc")), "a/visits.loc");
        let here = std::env::current_dir().unwrap();
        assert_eq!([shown(&here), shown(&here.join("visits.loc"))], [".", "visits.loc"]);
        assert_eq!(shown(Path::new("my visits.loc")), "'my visits.loc'");
        assert_eq!(shown(Path::new("it's")), r"'it'\''s'");
        assert_eq!(shown(Path::new("it's\u{1b}\\\nł\u{202e}")), r"$'it\'s\x1b\\\nł\xe2\x80\xae'");
        assert_eq!(shown(Path::new(OsStr::from_bytes(b"-a\xffb"))), r"$'./-a\xffb'");
        assert_eq!(shown(Path::new("-x.loc")), "./-x.loc");
        let error = Error::DoesNotExist { path: PathBuf::from("a\u{1b}\nb") };
        assert!(!report(&error).contains(['\u{1b}', '\n']), "{}", report(&error));
    }
}
