//! Filters. Whatever a text is, it is a condition that shows itself as a text of the same condition, or an error with a
//! place in the text and a few short lines; and what CEL reads too is true of the same values.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use cel::{Context, Program, Value as CelValue};
use libfuzzer_sys::fuzz_target;
use locule::{Condition, Schema, Table, Value, Values, values};
use std::sync::{Arc, LazyLock};

const SCHEMA: &str = "key id: u64, user: text(32), hits: u32, note: text(40)?, score: f64, ratio: f32?, is_new: bool, \
                      is_old: bool?, digest: bytes(8), seen: timestamp?, born: date = 2024-02-29, wide: i128 = 0, \
                      depth: i64, in: u8 = 0";

static TABLE: LazyLock<Table<Values>> = LazyLock::new(|| {
    let directory = tempfile::tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
    let schema: Schema = SCHEMA.parse().expect("a schema");
    let path = directory.expect("room for a table").keep().join("filter.loc");
    let table = Table::<Values>::options().capacity(1).sync_every(None).schema(schema).create(&path).expect("a table");
    std::fs::remove_dir_all(path.parent().expect("its directory")).expect("the name goes at once");
    table
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text, TABLE.schema());
        compare(text, &RECORDS[text.len() % RECORDS.len()]);
    }
    let mut unstructured = Unstructured::new(bytes);
    if let Ok(wish) = Wish::arbitrary(&mut unstructured) {
        let mut text = String::new();
        wish.write(&mut text, 0);
        for record in &RECORDS {
            let is_read = compare(&text, record);
            assert!(is_read, "{text}");
        }
    }
});

/// What is true of every text.
fn read(text: &str, schema: &Schema) {
    match Condition::parse(text, schema) {
        Ok(condition) => {
            let shown = condition.to_string();
            let again = Condition::parse(&shown, schema).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.to_string(), shown);
            assert!(again == condition || shown.contains("double(\"NaN\")"), "{shown}");
        }
        Err(error) => {
            assert!(text.get(error.range()).is_some(), "{error:?}");
            assert!(!error.message().is_empty() && !error.message().contains('\n'), "{error:?}");
            assert!(error.message().chars().count() <= 400 && error.to_string().lines().count() <= 3, "{error:?}");
        }
    }
}

/// The values of a record, as far as CEL has such.
struct Record {
    user: &'static str,
    hits: u32,
    score: f64,
    is_new: bool,
    digest: &'static [u8],
    depth: i64,
    note: Option<&'static str>,
}

const RECORDS: [Record; 3] = [
    Record { user: "", hits: 0, score: 0.0, is_new: false, digest: b"", depth: 0, note: None },
    Record { user: "bob", hits: 3, score: -2.5, is_new: true, digest: b"\xca\xfe", depth: -3, note: Some("to do") },
    Record {
        user: "Łódź\n\"'",
        hits: u32::MAX,
        score: 1e300,
        is_new: true,
        digest: b"bo\0",
        depth: i64::MIN,
        note: Some(""),
    },
];

/// Compares the answers, if both read the text and CEL has one. Returns whether the text is a condition.
fn compare(text: &str, record: &Record) -> bool {
    let Ok(condition) = Condition::parse(text, TABLE.schema()) else { return false };
    let Some(expected) = answer_of_cel(text, record) else { return true };
    let Record { user, hits, score, is_new, digest, depth, note } = *record;
    let values = values! { id: 1, user: user, hits: hits, score: score, is_new: is_new, digest: digest, depth: depth,
    note: note };
    let values = TABLE.values(values).expect("values of the schema");
    TABLE.replace_all([values]).expect("room for one record");
    let found = TABLE.query().filter(condition).exists().expect("a condition of the schema");
    assert_eq!(found, expected, "{text}");
    true
}

/// What CEL says; `None` if it does not read the text, has no answer, or means something else by it.
fn answer_of_cel(text: &str, record: &Record) -> Option<bool> {
    // Its parser takes some twenty frames of the stack for each parenthesis. Fields that are null are another matter there,
    // and so are patterns and numbers that are none.
    let is_other = ["matches", "NaN", "nan", "is_old", "seen", "ratio", "born", "wide", "id", "float", "in"];
    if text.len() > 500 || text.matches('(').count() > 40 || is_other.iter().any(|word| text.contains(word)) {
        return None;
    }
    if record.note.is_none() && text.contains("note") {
        return None;
    }
    let program = Program::compile(text).ok()?;
    let mut context = Context::default();
    context.add_variable_from_value("user", record.user);
    context.add_variable_from_value("hits", CelValue::UInt(record.hits.into()));
    context.add_variable_from_value("score", record.score);
    context.add_variable_from_value("is_new", record.is_new);
    context.add_variable_from_value("digest", CelValue::Bytes(Arc::new(record.digest.to_vec())));
    context.add_variable_from_value("depth", record.depth);
    context.add_variable_from_value("note", record.note.map_or(CelValue::Null, CelValue::from));
    match program.execute(&context) {
        Ok(CelValue::Bool(answer)) => Some(answer),
        _ => None,
    }
}

/// A condition that both read.
#[derive(Arbitrary)]
enum Wish {
    All(Box<Wish>, Box<Wish>),
    Any(Box<Wish>, Box<Wish>),
    Not(Box<Wish>),
    Hits(u8, u32),
    Depth(u8, i64),
    Score(u8, f64),
    User(u8, String),
    Digest(Vec<u8>),
    Fragment(u8, String),
    List(Vec<i64>),
    IsNew(bool),
    Null(bool),
}

impl Wish {
    fn write(&self, text: &mut String, depth: usize) {
        let operator = |code: u8| ["==", "!=", "<", "<=", ">", ">="][usize::from(code % 6)];
        let written = match self {
            _ if depth > 6 => "true".to_owned(),
            Wish::All(left, right) | Wish::Any(left, right) => {
                text.push('(');
                left.write(text, depth + 1);
                text.push_str(if matches!(self, Wish::All(..)) { " && " } else { " || " });
                right.write(text, depth + 1);
                ")".to_owned()
            }
            Wish::Not(inner) => {
                text.push_str("!(");
                inner.write(text, depth + 1);
                ")".to_owned()
            }
            Wish::Hits(code, value) => format!("hits {} {value}", operator(*code)),
            Wish::Depth(code, value) => format!("{value} {} depth", operator(*code)),
            Wish::Score(code, value) if value.is_finite() => format!("score {} {value:?}", operator(*code)),
            Wish::Score(..) => "is_new".to_owned(),
            Wish::User(code, value) => {
                let value = Value::from(value.as_str());
                let condition = locule::field("user");
                match code % 2 {
                    0 => condition.eq(value).to_string(),
                    _ => condition.lt(value).to_string(),
                }
            }
            Wish::Digest(value) => locule::field("digest").eq(value.clone()).to_string(),
            Wish::Fragment(code, value) => match code % 3 {
                0 => locule::field("user").starts_with(value.as_str()).to_string(),
                1 => locule::field("user").contains(value.as_str()).to_string(),
                _ => locule::field("user").ends_with(value.as_str()).to_string(),
            },
            Wish::List(values) => locule::field("depth").is_in(values.iter().copied()).to_string(),
            Wish::IsNew(is_negated) => if *is_negated { "!is_new" } else { "is_new" }.to_owned(),
            Wish::Null(is_equal) => if *is_equal { "note == null" } else { "note != null" }.to_owned(),
        };
        text.push_str(&written);
    }
}
