//! The command's verbs, as a user runs them.
#![cfg(feature = "cli")]

use locule::testing::SharedWords;
use locule::{Bytes, Date, Table, Text, Timestamp};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

locule::record! {
    struct Sample {
        key id: u128,
        low: i128,
        single: f32,
        double: f64,
        yes: bool,
        text: Text<20>,
        bytes: Bytes<4>,
        at: Timestamp,
        on: Date,
        note: Option<Text<5>>,
    }
}

/// What a run left behind.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn locule(verb: &str, file: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_locule")).arg(verb).arg(file).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn new_table(directory: &Path, samples: &[Sample]) -> PathBuf {
    let path = directory.join("samples.loc");
    let table = Table::<Sample>::options().capacity(2_000).create(&path).unwrap();
    for sample in samples {
        table.insert(sample).unwrap();
    }
    path
}

fn odd_samples() -> [Sample; 3] {
    [
        Sample {
            id: u128::MAX,
            low: i128::MIN,
            single: 0.1,
            double: 1e300,
            yes: true,
            text: Text::literal("a\"b\n\u{1b}Łódź"),
            bytes: Bytes::literal(&[0, 255]),
            at: Timestamp::from_microseconds(-1),
            on: Date::from_days(-1),
            note: Some(Text::literal("")),
        },
        Sample { id: 2, single: f32::NAN, double: f64::INFINITY, ..Sample::default() },
        Sample { id: 3, single: -0.0, double: f64::NEG_INFINITY, ..Sample::default() },
    ]
}

#[test]
fn lines_of_json_hold_every_value_to_the_last_digit() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let dump = locule("dump", &path, &["--format", "jsonl"]);
    let rest = r#""yes":false,"text":"","bytes":"","at":"1970-01-01T00:00:00.000000Z","on":"1970-01-01","note":null}"#;
    let expected = [
        concat!(
            r#"{"id":"340282366920938463463374607431768211455","low":"-170141183460469231731687303715884105728","#,
            r#""single":0.1,"double":1e300,"yes":true,"text":"a\"b\n\u001bŁódź","bytes":"00ff","#,
            r#""at":"1969-12-31T23:59:59.999999Z","on":"1969-12-31","note":""}"#
        )
        .to_owned(),
        format!(r#"{{"id":"2","low":"0","single":"NaN","double":"Infinity",{rest}"#),
        format!(r#"{{"id":"3","low":"0","single":-0.0,"double":"-Infinity",{rest}"#),
    ];
    // An exponent may be written with its sign.
    let lines: Vec<_> = dump.stdout.lines().map(|line| line.replace("1e+300", "1e300")).collect();
    assert_eq!((dump.code, lines), (Some(0), expected.to_vec()));
    assert_eq!(dump.stderr, "");
}

#[test]
fn a_table_for_people_has_ids_versions_and_fields_and_no_control_characters() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let table = Table::<Sample>::open(&path).unwrap();
    let row = table.find(&3).unwrap().unwrap();
    let dump = locule("dump", &path, &[]);
    assert_eq!(dump.code, Some(0));
    let line = |part: &str| dump.stdout.lines().find(|line| line.contains(part)).unwrap().to_owned();
    assert!(line("version").contains("note"), "{}", dump.stdout);
    assert!(line(&row.id().to_string()).contains(&row.version().to_string()), "{}", dump.stdout);
    assert!(line("Łódź").contains(r"\n\u{1b}Łódź"), "{}", dump.stdout);
    assert!(!dump.stdout.contains('\u{1b}'));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let samples: Vec<_> = (0..2_000).map(|id| Sample { id, ..Sample::default() }).collect();
    let path = new_table(directory.path(), &samples);
    for format in ["table", "jsonl"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_locule"))
            .args(["dump", "--format", format])
            .arg(&path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // More than a pipe holds is never read.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    }
}

#[test]
fn info_tells_what_the_table_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let info = locule("info", &path, &[]);
    assert_eq!((info.code, info.stderr.as_str()), (Some(0), ""));
    for part in ["3 of 2000, 1997 free", "key id: u128, low: i128", "in order", "write lock      free"] {
        assert!(info.stdout.contains(part), "{part} in {}", info.stdout);
    }
    let _table = Table::<Sample>::open(&path).unwrap();
    assert!(locule("info", &path, &[]).stdout.contains("in use"));
}

#[test]
fn info_tells_programs_the_same_and_who_has_the_table_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let members = || -> serde_json::Value { serde_json::from_str(&locule("info", &path, &["--json"]).stdout).unwrap() };
    let closed = members();
    assert_eq!([&closed["record_count"], &closed["capacity"]], [3, 2000]);
    assert!(closed["condition"]["is_in_order"] == true && closed["writer"].is_null(), "{closed}");
    assert_eq!(closed["users"].as_array().map(Vec::len), Some(0));
    assert!(closed["file_system"].is_string() && closed["since_sync_seconds"].is_number(), "{closed}");
    let _table = Table::<Sample>::open(&path).unwrap();
    assert_eq!(members()["users"][0]["pid"], std::process::id());
}

#[test]
fn info_shows_the_whole_schema_in_its_column_and_without_control_characters() {
    locule::record! {
        struct Documented {
            #[doc = " The number.\n\u{1b}[31mNever reused."]
            key id: u64,
            note: Option<Text<5>> = Some(Text::literal("a\nb")),
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("documented.loc");
    drop(Table::<Documented>::options().capacity(1).create(&path).unwrap());
    let info = locule("info", &path, &[]);
    let expected = [
        "schema          /// The number.",
        r"                /// \u{1b}[31mNever reused.",
        "                key id: u64,",
        r#"                note: text(5)? = "a\nb""#,
        "record  ",
    ];
    assert!(info.stdout.contains(&expected.join("\n")), "{}", info.stdout);
}

#[test]
fn a_good_table_verifies_and_a_damaged_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let good = locule("verify", &path, &[]);
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), "checked everything, 3 records\n"));

    let mut bytes = std::fs::read(&path).unwrap();
    let text = "Łódź".as_bytes();
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[place] ^= 1;
    // Written in place: it is the same file.
    std::fs::write(&path, &bytes).unwrap();
    let bad = locule("verify", &path, &[]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.stdout.contains("slot 0, cell 0: "), "{}", bad.stdout);
    let dump = locule("dump", &path, &["--format", "jsonl"]);
    assert_eq!((dump.code, dump.stdout.lines().count()), (Some(1), 2));
    assert!(dump.stderr.contains("slot 0"), "{}", dump.stderr);
}

/// One flipped byte in a copy once left nothing that the command could get out of it.
#[test]
fn a_salvage_prints_every_good_record_of_a_table_that_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    Table::<Sample>::open(&path).unwrap().close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let text = "Łódź".as_bytes();
    let place = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[place] ^= 1;
    let copy = directory.path().join("copy.loc");
    std::fs::write(&copy, &bytes).unwrap();

    let refused = locule("dump", &copy, &["--format", "jsonl"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("`locule dump --salvage "), "{}", refused.stderr);
    let verify = locule("verify", &copy, &[]);
    assert_eq!(verify.code, Some(1));
    assert!(verify.stdout.contains("slot 0, cell 0: ") && verify.stdout.contains("2 records"), "{}", verify.stdout);

    let salvage = locule("dump", &copy, &["--salvage", "--format", "jsonl"]);
    assert_eq!((salvage.code, salvage.stdout.lines().count()), (Some(1), 2));
    assert!(salvage.stdout.contains(r#""id":"2","#) && salvage.stdout.contains(r#""id":"3","#), "{}", salvage.stdout);
    assert!(salvage.stderr.contains("slot 0, cell 0: "), "{}", salvage.stderr);
    // For a good table it is what `dump` prints, in both formats.
    for format in ["jsonl", "table"] {
        let dump = locule("dump", &path, &["--format", format]);
        let salvage = locule("dump", &path, &["--salvage", "--format", format]);
        assert_eq!((salvage.code, salvage.stdout, salvage.stderr), (Some(0), dump.stdout, String::new()));
    }
    // A file that was cut short.
    std::fs::write(&copy, &bytes[..bytes.len() / 2]).unwrap();
    let cut = locule("dump", &copy, &["--salvage"]);
    assert_eq!(cut.code, Some(1), "{}", cut.stderr);
    assert!(cut.stderr.contains("it was cut short"), "{}", cut.stderr);
}

#[test]
fn a_copy_needs_a_recovery_and_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = new_table(directory.path(), &odd_samples());
    let copy = directory.path().join("copy.loc");
    std::fs::copy(&path, &copy).unwrap();
    let info = locule("info", &copy, &[]);
    assert_eq!(info.code, Some(0));
    assert!(info.stdout.contains("needs a recovery: it was copied, moved or restored"), "{}", info.stdout);
    assert!(locule("verify", &copy, &[]).stdout.contains("which would succeed"));
    let dump = locule("dump", &copy, &["--format", "jsonl"]);
    assert_eq!((dump.code, dump.stdout.lines().count()), (Some(0), 3));
    assert_eq!(dump.stderr, "");
    // A newer state that is not whole: it is seen that there was more.
    let table = Table::<Sample>::options().sync_every(None).open(&path).unwrap();
    table.insert(&Sample { id: 4, text: Text::literal("not synced"), ..Sample::default() }).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(10).position(|window| window == b"not synced").unwrap();
    bytes[place] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    let dump = locule("dump", &copy, &["--format", "jsonl"]);
    assert_eq!((dump.code, dump.stdout.lines().count()), (Some(0), 3));
    assert!(dump.stderr.contains("copy.loc: this is its state of 2"), "{}", dump.stderr);
    let left_out = "what was written later, finished or not, is lost as soon as a program opens it to write to it; `locule repair ";
    assert!(dump.stderr.contains(left_out), "{}", dump.stderr);
    for verb in ["count", "backup"] {
        let out = directory.path().join(verb);
        let arguments = if verb == "backup" { vec![out.to_str().unwrap()] } else { Vec::new() };
        let looked = locule(verb, &copy, &arguments);
        assert!(looked.code == Some(0) && looked.stderr.contains(left_out), "{verb}: {}", looked.stderr);
    }
    let verified = locule("verify", &copy, &["--json"]);
    assert!(verified.stdout.contains(r#""recovery":"went back to the sync of 2"#), "{}", verified.stdout);
    // The counters are gone, and once were shown as they lay there: no slot was free, and as many were worn out.
    let mut without_counters = bytes.clone();
    without_counters[4096..8192].fill(0);
    std::fs::write(&copy, &without_counters).unwrap();
    let info = locule("info", &copy, &[]).stdout;
    assert!(info.contains("3 of ") && !info.contains("worn out") && !info.contains("0 published"), "{info}");
    // It once was taken back to an older state without a word.
    for verb in ["sync", "scrub", "delete", "alter"] {
        std::fs::write(&copy, &bytes).unwrap();
        let arguments: &[&str] = match verb {
            "delete" => &["--where", "id == 2", "--yes"],
            "alter" => &["resize", "50"],
            _ => &[],
        };
        let written = locule(verb, &copy, arguments);
        assert!(written.code == Some(0), "{verb}: {}", written.stderr);
        assert!(written.stderr.contains("copy.loc: this is now its state of 2"), "{verb}: {}", written.stderr);
        assert_eq!(locule("count", &copy, &[]).stderr, "", "{verb}");
    }
}

#[test]
fn errors_and_mistakes_in_the_arguments_are_2() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.loc");
    std::fs::write(&foreign, "no table").unwrap();
    for verb in ["info", "dump", "verify"] {
        let missing = locule(verb, &directory.path().join("missing.loc"), &[]);
        assert_eq!(missing.code, Some(2), "{verb}");
        assert!(missing.stderr.contains("missing.loc does not exist"), "{}", missing.stderr);
        let outcome = locule(verb, &foreign, &[]);
        // That is what `verify` looks for.
        assert_eq!(outcome.code, Some(if verb == "verify" { 1 } else { 2 }), "{verb}");
        assert!((outcome.stdout + &outcome.stderr).contains("it ends after 8 bytes"), "{verb}");
        assert_eq!(locule(verb, &foreign, &["--format", "xml"]).code, Some(2), "{verb}");
    }
}

/// A table whose newest transaction, an update of its only record, is as it is left by a writer that died at
/// "prepared".
fn table_with_a_prepared_transaction(directory: &Path) -> (PathBuf, u64) {
    // Words of the control region, as `format.md` has them.
    const LAST: usize = 26;
    const INTENT_COUNT: usize = 27;
    const NEWEST_STATE: usize = 32;
    let path = new_table(directory, &odd_samples()[2..]);
    let table = Table::<Sample>::options().sync_every(None).open(&path).unwrap();
    let words = SharedWords::open(&path).unwrap();
    let get = |index: usize| words.words()[index].load(Ordering::Relaxed);
    let region = |header_offset_bytes: usize| usize::try_from(get(header_offset_bytes / 8)).unwrap() / 8;
    let (control, head) = (region(64), region(80));
    let published = [
        head,
        control + LAST,
        control + NEWEST_STATE,
        control + NEWEST_STATE + 1,
        control + NEWEST_STATE + 2,
        control + NEWEST_STATE + 3,
    ];
    let before = published.map(get);
    let id = table.find(&3).unwrap().unwrap().id();
    table.update(id, |sample| sample.double = 1.5).unwrap();
    let number = table.get(id).unwrap().unwrap().version();
    drop(table);
    for (index, word) in published.into_iter().zip(before) {
        words.words()[index].store(word, Ordering::Relaxed);
    }
    words.words()[control + INTENT_COUNT].store(1, Ordering::Relaxed);
    (path, number)
}

/// `info` once said "in order" and nothing else, and `dump` printed the state before.
#[test]
fn what_a_dead_writer_has_prepared_is_shown_and_that_it_is_pending() {
    let directory = tempfile::tempdir().unwrap();
    let (path, number) = table_with_a_prepared_transaction(directory.path());
    let info = locule("info", &path, &[]);
    assert_eq!(info.code, Some(0));
    let pending = info.stdout.lines().find(|line| line.starts_with("pending")).unwrap_or(&info.stdout);
    assert!(pending.contains(&format!("transaction {number} ")) && pending.contains("finishes it"), "{pending}");
    let dump = locule("dump", &path, &["--format", "jsonl"]);
    assert_eq!((dump.code, dump.stderr.as_str()), (Some(0), ""));
    assert!(dump.stdout.contains(r#""double":1.5,"#), "{}", dump.stdout);
    assert_eq!(locule("verify", &path, &[]).code, Some(0));
    // The next writer finishes it, and finds what was shown.
    let table = Table::<Sample>::open(&path).unwrap();
    assert_eq!(table.find(&3).unwrap().unwrap().double, 1.5);
    let info = locule("info", &path, &[]);
    assert!(!info.stdout.lines().any(|line| line.starts_with("pending")), "{}", info.stdout);
}
