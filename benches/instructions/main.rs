//! How many instructions the hot operations take: a figure that does not drift with the machine's load, so that a
//! change that costs something shows at once.
//!
//! ```text
//! cargo bench --bench instructions             compares with the table in `counts.md`: exit status 1 if one is more than 3 % off
//! cargo bench --bench instructions -- --write  writes that table
//! ```
//!
//! Each operation is run under valgrind (`--tool=callgrind`), a few times and many times, in a table of 5,000 records;
//! the difference is what each of them takes, with everything that it calls. Other versions of the compiler generate
//! other code: if the table was made with another version, differences are shown and are not a failure.

use locule::{RecordId, Table};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const RECORD_COUNT: u64 = 5_000;
const FEW: u64 = 200;
const MANY: u64 = 2_200;
/// By how much a count may differ from the table's, in hundredths.
const TOLERANCE_PERCENT: u64 = 3;

locule::record! {
    /// 16 bytes of key and 112 of payload.
    struct Item {
        key id: u128,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64,
        h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    }
}

fn item(id: u64) -> Item {
    Item { id: id.into(), a: id, n: !id, ..Item::default() }
}

/// An operation, given a table, an id of a record in it, and which round it is.
type Operation = fn(&Table<Item>, RecordId, u64);

const OPERATIONS: &[(&str, Operation)] = &[
    ("find", |table, _, round| drop(black_box(table.find(&u128::from(round))))),
    ("find, absent", |table, _, round| drop(black_box(table.find(&(u128::from(round) + (1 << 64)))))),
    ("get", |table, id, _| drop(black_box(table.get(id)))),
    ("update", |table, id, _| drop(black_box(table.update(id, |item| item.b += 1)))),
    ("update by key", |table, _, round| drop(black_box(table.update_by_key(&u128::from(round), |item| item.b += 1)))),
    ("replace", |table, id, round| drop(black_box(table.replace(id, &item(round))))),
    ("upsert", |table, _, round| drop(black_box(table.upsert(&item(round))))),
    ("insert + delete", |table, _, round| {
        let id = table.insert(&item(RECORD_COUNT + 1 + round)).unwrap();
        black_box(table.delete(id)).unwrap();
    }),
    ("update in a transaction", |table, id, _| {
        table.write(|transaction| transaction.update(id, |item| item.b += 1)).unwrap();
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [child, name, count] = arguments.as_slice() {
        if child == "run" {
            run(name, count.parse().unwrap());
            return ExitCode::SUCCESS;
        }
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: no valgrind");
        return ExitCode::SUCCESS;
    }
    let counts: BTreeMap<&str, u64> = OPERATIONS.iter().map(|(name, _)| (*name, instructions(name))).collect();
    if arguments.iter().any(|argument| argument == "--write") {
        std::fs::write(table_path(), table_of(&counts)).unwrap();
    }
    compare(&counts)
}

/// Runs the operation this many times, in a table of its own.
fn run(name: &str, count: u64) {
    let (_, operation) = OPERATIONS.iter().find(|(known, _)| *known == name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.loc");
    let table = Table::<Item>::options().capacity(2 * RECORD_COUNT).sync_every(None).create(path).unwrap();
    let ids: Vec<RecordId> = (0..RECORD_COUNT).map(|id| table.insert(&item(id)).unwrap()).collect();
    for round in 0..count {
        // Records that are far from each other.
        let number = round * 607 % RECORD_COUNT;
        operation(&table, ids[usize::try_from(number).unwrap()], number);
    }
}

/// How many instructions an operation takes.
fn instructions(name: &str) -> u64 {
    let [few, many] = [FEW, MANY].map(|count| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["run", name, &count.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let collected = text.lines().find_map(|line| line.split("Collected :").nth(1));
        collected.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    });
    (many - few) / (MANY - FEW)
}

fn table_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/counts.md")
}

fn compiler() -> String {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().unwrap();
    format!("{}, {}", String::from_utf8_lossy(&output.stdout).trim(), std::env::consts::ARCH)
}

fn table_of(counts: &BTreeMap<&str, u64>) -> String {
    let mut text = format!(
        "# Instructions\n\nMade by `cargo bench --bench instructions -- --write` with {}.\n\n\
         | operation | instructions |\n|---|---|\n",
        compiler()
    );
    for (name, _) in OPERATIONS {
        let _ = writeln!(text, "| {name} | {} |", counts[name]);
    }
    text
}

/// Prints the counts beside those of the table.
fn compare(counts: &BTreeMap<&str, u64>) -> ExitCode {
    let text = std::fs::read_to_string(table_path()).unwrap();
    let is_comparable = text.contains(&compiler());
    if !is_comparable {
        println!("the table was made with another compiler than {}: differences are no failure", compiler());
    }
    let mut is_good = true;
    for (name, _) in OPERATIONS {
        let expected =
            text.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))?.strip_suffix(" |")?.parse().ok());
        let (expected, found): (u64, u64) = (expected.unwrap_or(0), counts[name]);
        let is_near = found.abs_diff(expected) * 100 <= expected * TOLERANCE_PERCENT;
        println!("{name:>24} {found:>6}, expected {expected:>6}{}", if is_near { "" } else { "   differs" });
        is_good &= is_near || !is_comparable;
    }
    if !is_good {
        println!(
            "more than {TOLERANCE_PERCENT} % off: find out why; if it is meant, write the table anew with `-- --write`"
        );
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
