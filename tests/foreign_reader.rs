//! A reader in another language, written from `format.md` alone, sees the same records as the library.
//!
//! It is a Python script; if there is no Python, these tests say so and test nothing. Numbers of 128 bits in its JSON are read
//! with all their digits, as the command reads them.
#![cfg(feature = "cli")]

use locule::{Bytes, Date, Table, Text, Timestamp};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_from_format.py");

locule::record! {
    /// Every type, plain and nullable. The numbers do not lie at multiples of their widths.
    struct Everything {
        key id: u8,
        truth: bool, maybe_truth: Option<bool>,
        i8: i8, maybe_i8: Option<i8>,
        i16: i16, maybe_i16: Option<i16>,
        i32: i32, maybe_i32: Option<i32>,
        i64: i64, maybe_i64: Option<i64>,
        i128: i128, maybe_i128: Option<i128>,
        u8: u8, maybe_u8: Option<u8>,
        u16: u16, maybe_u16: Option<u16>,
        u32: u32, maybe_u32: Option<u32>,
        u64: u64, maybe_u64: Option<u64>,
        u128: u128, maybe_u128: Option<u128>,
        f32: f32, maybe_f32: Option<f32>,
        f64: f64, maybe_f64: Option<f64>,
        /// Ünïcode, "quoted".
        text: Text<40> = Text::literal("nothing"),
        maybe_text: Option<Text<300>> = Some(Text::literal("nothing")),
        bytes: Bytes<3>, maybe_bytes: Option<Bytes<300>>,
        time: Timestamp, maybe_time: Option<Timestamp>,
        date: Date, maybe_date: Option<Date>,
    }
}

/// A value as the reader should print it, once its numbers are in one notation.
trait Json {
    fn json(&self) -> Value;
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Json for $type {
            fn json(&self) -> Value { in_one_notation(&format!("{self:e}")) }
        }
    )+};
}

macro_rules! floats {
    ($($type:ty: $usual_nan:literal),+) => {$(
        impl Json for $type {
            fn json(&self) -> Value {
                match *self {
                    value if value.is_nan() && value.to_bits() == $usual_nan => "NaN".into(),
                    value if value.is_nan() => format!("NaN({:#x})", value.to_bits()).into(),
                    <$type>::INFINITY => "Infinity".into(),
                    <$type>::NEG_INFINITY => "-Infinity".into(),
                    value => in_one_notation(&format!("{value:e}")),
                }
            }
        }
    )+};
}

macro_rules! shown {
    ($($type:ty $(: $capacity:ident)?),+) => {$(
        impl $(<const $capacity: usize>)? Json for $type {
            fn json(&self) -> Value { self.to_string().into() }
        }
    )+};
}

numbers!(i8, i16, i32, u8, u16, u32);
floats!(f32: 0x7fc0_0000, f64: 0x7ff8_0000_0000_0000);
shown!(i64, i128, u64, u128, Text<N>: N, Bytes<N>: N, Timestamp, Date);

impl Json for bool {
    fn json(&self) -> Value {
        Value::Bool(*self)
    }
}

impl<T: Json> Json for Option<T> {
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Json::json)
    }
}

/// The same text for 1e16, 1E+16 and 10000000000000000.0: sign, digits, exponent. All digits count: a float must be
/// written with as few digits as identify it.
fn in_one_notation(number: &str) -> Value {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let exponent = exponent.parse::<i64>().unwrap() + whole.len() as i64;
    let significant = digits.trim_start_matches('0');
    let exponent = exponent - (digits.len() - significant.len()) as i64;
    match significant.trim_end_matches('0') {
        "" => format!("number {sign}0").into(),
        significant => format!("number {sign}0.{significant}e{exponent}").into(),
    }
}

macro_rules! members {
    ($row:expr; $($field:ident)+) => { vec![$((stringify!($field).to_owned(), $row.$field.json())),+] };
}

type Members = Vec<(String, Value)>;

/// What the reader should print, from what the library reads.
fn expected(table: &Table<Everything>) -> Vec<Members> {
    let rows: Vec<_> = table.iter().map(Result::unwrap).collect();
    let mut by_slot = rows.clone();
    by_slot.sort_by_key(|row| row.id().slot());
    assert_eq!(rows.len(), by_slot.len());
    let members = by_slot.iter().map(|row| {
        members!(row; id truth maybe_truth i8 maybe_i8 i16 maybe_i16 i32 maybe_i32 i64 maybe_i64 i128 maybe_i128 u8
            maybe_u8 u16 maybe_u16 u32 maybe_u32 u64 maybe_u64 u128 maybe_u128 f32 maybe_f32 f64 maybe_f64 text
            maybe_text bytes maybe_bytes time maybe_time date maybe_date)
    });
    members.collect()
}

/// What a line of JSON says, with its numbers in one notation.
fn parsed(line: &str) -> Members {
    let Ok(Value::Object(members)) = serde_json::from_str(line) else { panic!("no JSON object: {line}") };
    let in_one_notation = |value: Value| match value {
        Value::Number(number) => in_one_notation(number.as_str()),
        other => other,
    };
    members.into_iter().map(|(name, value)| (name, in_one_notation(value))).collect()
}

fn has_python() -> bool {
    let is_there = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: there is no python3 here");
    }
    is_there
}

fn run_reader(path: &Path) -> Output {
    Command::new("python3").arg(SCRIPT).arg(path).output().unwrap()
}

fn read(path: &Path) -> Vec<Members> {
    let output = run_reader(path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(parsed).collect()
}

/// The message with which the reader refuses a file.
fn refusal(path: &Path) -> String {
    let output = run_reader(path);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// A word of a file, where `format.md` says.
fn number_at(bytes: &[u8], offset: usize) -> usize {
    u64::from_ne_bytes(bytes[offset..offset + 8].try_into().unwrap()).try_into().unwrap()
}

/// Records with values at every edge.
fn odd_records() -> Vec<Everything> {
    let f32s = [
        0.1,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        16_777_216.0,
        3.4e-5,
        1e16,
        8_388_608.5,
        1.0 / 3.0,
        9.536_743e-7,
        1.1754942e-38,
    ];
    let f64s = [
        0.1,
        -0.0,
        f64::NAN,
        f64::NEG_INFINITY,
        f64::INFINITY,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e16,
        1e-5,
        9_007_199_254_740_993.0,
        1e300,
        1.0 / 3.0,
        123_456_789.125,
        2.225_073_858_507_201e-308,
    ];
    let texts = [
        "",
        "a\0b",
        "\"quoted\" \\ / \u{8}\u{c}\n\r\t\u{1f}\u{7f}",
        "Łódź",
        "\u{2028}\u{feff}\u{fffd}",
        "🙂𝄞",
        "null",
        " ",
    ];
    let times =
        ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2000-02-29T12:00:00.5Z", "9999-12-31T23:59:59Z"];
    let times = times.map(|time| time.parse::<Timestamp>().unwrap());
    let dates = ["0000-01-01", "-0001-12-31", "1900-03-01", "+10000-01-01", "2024-02-29", "1600-02-29"];
    let dates = dates.map(|date| date.parse::<Date>().unwrap());
    let mut records: Vec<_> = (0..16)
        .map(|number| {
            let text = texts[number % texts.len()];
            let bytes = &[0, 255, 16][..number % 4];
            let is_there = |bit: usize| (number >> bit) & 1 == 1;
            Everything {
                id: number as u8,
                truth: is_there(0),
                maybe_truth: is_there(1).then_some(is_there(0)),
                f32: f32s[number],
                maybe_f32: is_there(2).then_some(-f32s[number]),
                f64: f64s[number],
                maybe_f64: is_there(3).then_some(-f64s[number]),
                text: Text::new(text).unwrap(),
                maybe_text: is_there(0).then(|| Text::new(&text.repeat(number)).unwrap()),
                bytes: Bytes::new(bytes).unwrap(),
                maybe_bytes: is_there(1).then(|| Bytes::new(&bytes.repeat(number)).unwrap()),
                time: times[number % times.len()],
                maybe_time: is_there(2).then_some([Timestamp::MIN, Timestamp::MAX][number % 2]),
                date: dates[number % dates.len()],
                maybe_date: is_there(3).then_some([Date::MIN, Date::MAX][number % 2]),
                ..Everything::default()
            }
        })
        .collect();
    macro_rules! extremes {
        ($($type:ident $maybe:ident)+) => {$(
            for (record, value) in records.iter_mut().zip([$type::MIN, $type::MAX, 1, $type::MAX / 3, $type::MIN + 1]) {
                (record.$type, record.$maybe) = (value, Some($type::MAX - value.max(0)));
            }
        )+};
    }
    extremes!(i8 maybe_i8 i16 maybe_i16 i32 maybe_i32 i64 maybe_i64 i128 maybe_i128);
    extremes!(u8 maybe_u8 u16 maybe_u16 u32 maybe_u32 u64 maybe_u64 u128 maybe_u128);
    records
}

/// A table of the odd records, with slots that were used twice, updates, and a hole.
fn odd_table(path: &Path) -> Table<Everything> {
    let table = Table::<Everything>::options().capacity(20).sync_every(None).create(path).unwrap();
    let ids: Vec<_> = (100..104).map(|id| table.insert(&Everything { id, ..Everything::default() }).unwrap()).collect();
    for record in odd_records() {
        table.insert(&record).unwrap();
    }
    for id in &ids[1..3] {
        table.delete(*id).unwrap();
    }
    table.update(ids[0], |record| record.u32 += 1).unwrap();
    table.insert(&Everything { id: 200, ..Everything::default() }).unwrap();
    table
}

#[test]
fn it_reads_every_type_and_odd_values_as_the_library_does() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("odd.loc");
    let table = odd_table(&path);
    assert_eq!(table.len().unwrap(), 19);
    assert_eq!(read(&path), expected(&table), "while the table is open");
    let rows = expected(&table);
    table.close().unwrap();
    assert_eq!(read(&path), rows, "after it was closed");
}

#[test]
fn it_sees_nothing_of_a_transaction_in_progress() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("odd.loc");
    let table = odd_table(&path);
    let before = expected(&table);
    table
        .write(|transaction| {
            for row in table.iter().map(Result::unwrap) {
                transaction.replace(row.id(), &Everything { u64: 77, ..*row })?;
            }
            assert_eq!(read(&path), before);
            Ok(())
        })
        .unwrap();
    assert_ne!(expected(&table), before);
    assert_eq!(read(&path), expected(&table));
}

/// A writer that died between preparing and publishing: the newest state is the one before, and the intent counts.
#[test]
fn it_reads_a_transaction_that_was_prepared_and_not_published() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, died_path) = (directory.path().join("odd.loc"), directory.path().join("died.loc"));
    let table = odd_table(&path);
    let before = std::fs::read(&path).unwrap();
    for row in table.select(|record| record.id == 200).unwrap() {
        table.delete(row.id()).unwrap();
    }
    let rows = expected(&table);

    let mut bytes = std::fs::read(&path).unwrap();
    let control_offset = number_at(&bytes, 64);
    let [last, newest] = [208..216, 256..288].map(|range| control_offset + range.start..control_offset + range.end);
    for range in [last, newest] {
        bytes[range.clone()].copy_from_slice(&before[range]);
    }
    std::fs::write(&died_path, bytes).unwrap();
    assert_eq!(read(&died_path), rows);
    assert_eq!(expected(&Table::open(&died_path).unwrap()), rows, "the library finishes the transaction");
}

/// A power cut: the control group is lost, and newer cells than those of the last sync are on the disk.
#[test]
fn it_finds_the_last_sync_where_nothing_newer_is_whole() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, cut_path) = (directory.path().join("odd.loc"), directory.path().join("cut.loc"));
    let table = odd_table(&path);
    table.sync().unwrap();
    let synced = expected(&table);
    for row in table.select(|record| record.id % 3 == 0).unwrap() {
        table.delete(row.id()).unwrap();
    }

    let mut bytes = std::fs::read(&path).unwrap();
    let control_offset = number_at(&bytes, 64);
    bytes[control_offset..control_offset + 4096].fill(0);
    std::fs::write(&cut_path, bytes).unwrap();
    assert_eq!(read(&cut_path), synced);
    assert_eq!(expected(&Table::open(&cut_path).unwrap()), synced, "the library goes back to the same sync");
    assert_eq!(read(&cut_path), synced, "a recovered file says the same");
}

#[test]
fn it_refuses_what_is_not_a_whole_table_and_says_why() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, bad_path) = (directory.path().join("odd.loc"), directory.path().join("bad.loc"));
    odd_table(&path).close().unwrap();
    let good = std::fs::read(&path).unwrap();
    let refusal_of = |bytes: &[u8]| {
        std::fs::write(&bad_path, bytes).unwrap();
        refusal(&bad_path)
    };
    let flipped = |offset: usize| {
        let mut bytes = good.clone();
        bytes[offset] ^= 4;
        bytes
    };
    assert!(refusal_of(b"").contains("not a locule table"));
    assert!(refusal_of(&flipped(3)).contains("not a locule table"));
    assert!(refusal_of(&flipped(9)).contains("byte order"));
    assert!(refusal_of(&flipped(16)).contains("version"));
    assert!(refusal_of(&flipped(300)).contains("header is damaged"));
    assert!(refusal_of(&good[..4095]).contains("inside its header"));
    assert!(refusal_of(&good[..good.len() - 4096]).contains("cut short"));
    // The first byte of the payload of every cell of a slot.
    let first_cell = number_at(&good, 112);
    let cell_bytes = u32::from_ne_bytes(good[56..60].try_into().unwrap()) as usize;
    let mut bytes = good.clone();
    for cell in 0..4 {
        bytes[first_cell + cell * cell_bytes + 24] ^= 4;
    }
    assert!(refusal_of(&bytes).contains("was synced"), "the state before the last sync is no answer");
    assert!(refusal(Path::new(directory.path())).contains("cannot be read"));
    assert!(refusal(&directory.path().join("none.loc")).contains("No such file"));
}

#[cfg(feature = "cli")]
#[test]
fn it_prints_what_the_command_dumps() {
    if !has_python() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("everything.loc");
    let table = odd_table(&path);
    let dump =
        || Command::new(env!("CARGO_BIN_EXE_locule")).arg("dump").arg(&path).args(["--format", "jsonl"]).output();
    let live = dump().unwrap();
    assert!(live.status.success() && !live.stdout.is_empty());
    let live = String::from_utf8(live.stdout).unwrap();
    // A number can be written in several notations.
    assert_eq!(live.lines().map(parsed).collect::<Vec<_>>(), read(&path));
    drop(table);
    let after = String::from_utf8(dump().unwrap().stdout).unwrap();
    assert_eq!(live, after);
}
