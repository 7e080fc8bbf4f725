//! What is exported imports again to an equal table, and what does not fit is told with its place.
#![cfg(feature = "cli")]

use locule::{Date, Schema, Table, Timestamp, Value, Values};
use snapbox::{IntoData, assert_data_eq, str};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use test_kit::command_line::{complaint, printed, session, shell};

/// A field of every type, once with and once without nothing.
const EVERY_TYPE: &str = "key id: u64, yes: bool, i8: i8, i16: i16, i32: i32, i64: i64, i128: i128, u8: u8, u16: u16, \
                          u32: u32, u64: u64, u128: u128, f32: f32, f64: f64, text: text(64), bytes: bytes(5), \
                          at: timestamp, on: date, n_yes: bool?, n_i8: i8?, n_u64: u64?, n_i128: i128?, n_f32: f32?, \
                          n_f64: f64?, n_text: text(64)?, n_bytes: bytes(5)?, n_at: timestamp?, n_on: date?";

/// Texts that are something else to somebody: to CSV, to JSON, to a terminal, to a shell.
const HOSTILE_TEXTS: [&str; 26] = [
    "",
    " ",
    "null",
    "NULL",
    "NA",
    r"\N",
    "\"",
    "\"\"",
    "\"quoted\"",
    "a,b",
    "a\nb",
    "a\r\nb",
    "\r",
    "\n",
    "\n\n",
    "line\n",
    "\0",
    "\u{1b}[31mred",
    "\u{202e}txt.exe",
    "\u{feff}mark",
    "👩\u{200d}🚀 Łódź العربية",
    "{\"a\": 1}",
    "=1+1",
    "'; DROP TABLE",
    "5\" pipe",
    "@id",
];

fn value(field_type: &str, round: usize) -> Value {
    let extreme = round % 4;
    macro_rules! extreme_of {
        ($type:ty) => {
            [<$type>::MIN, <$type>::MAX, 0 as $type, 7 as $type][extreme].into()
        };
    }
    match field_type.trim_start_matches("n_") {
        "yes" => (round % 2 == 0).into(),
        "i8" => extreme_of!(i8),
        "i16" => extreme_of!(i16),
        "i32" => extreme_of!(i32),
        "i64" => extreme_of!(i64),
        "i128" => extreme_of!(i128),
        "u8" => extreme_of!(u8),
        "u16" => extreme_of!(u16),
        "u32" => extreme_of!(u32),
        "u64" => extreme_of!(u64),
        "u128" => extreme_of!(u128),
        "f32" => [0.1, -0.0, f32::NAN, f32::from_bits(0x7fc0_0001), f32::INFINITY, f32::MIN_POSITIVE][round % 6].into(),
        "f64" => {
            [0.1, -0.0, f64::NAN, f64::from_bits(0xfff8_0000_0000_0001), f64::NEG_INFINITY, 5e-324][round % 6].into()
        }
        "text" => HOSTILE_TEXTS[round % HOSTILE_TEXTS.len()].into(),
        "bytes" => [&[][..], &[0], &[255; 5], b"\"\n,"][extreme].into(),
        "at" => Timestamp::from_microseconds([i64::MIN / 50_000, -1, 0, 253_402_300_799_999_999][extreme]).into(),
        "on" => Date::from_days([-719_162, -1, 0, 2_932_896][extreme]).into(),
        other => panic!("{other}"),
    }
}

fn hostile_table(path: &Path) -> Table<Values> {
    let schema: Arc<Schema> = Arc::new(EVERY_TYPE.parse().unwrap());
    let table = Table::<Values>::options().schema(Arc::clone(&schema)).capacity(200).create(path).unwrap();
    for round in 0..2 * HOSTILE_TEXTS.len() {
        let fields = schema.fields().iter().enumerate().map(|(position, field)| {
            let is_null = field.is_nullable() && (round + position) % 3 == 0;
            let value = match field.name() {
                "id" => u64::try_from(round).unwrap().into(),
                _ if is_null => Value::Null,
                name => value(name, round),
            };
            (field.name(), value)
        });
        table.insert(&Values::named(&schema, fields.collect::<Vec<_>>()).unwrap()).unwrap();
    }
    table
}

/// The records in the order of their keys, each value as its bytes: a NaN does not equal itself.
fn contents(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let table = Table::<Values>::open(path).unwrap();
    let schema = Arc::clone(table.schema());
    let mut rows: Vec<Values> = table.iter().map(|row| row.unwrap().into_record()).collect();
    rows.sort_by_key(|row| row.key().and_then(Value::as_i128));
    let bytes = |row: Values| {
        let fields = schema.fields().iter().zip(row.into_vec());
        let bytes = fields.map(|(field, value)| {
            let mut bytes = vec![0; field.field_bytes()];
            field.encode_value(&value, &mut bytes).unwrap();
            bytes
        });
        bytes.collect()
    };
    rows.into_iter().map(bytes).collect()
}

#[test]
fn every_type_and_hostile_text_come_back_from_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    hostile_table(&here.join("from.loc")).close().unwrap();
    let expected = contents(&here.join("from.loc"));
    for (number, format) in
        ["csv", "json", "jsonl", "csv --null NA", r"csv --null '\N'", "csv --fields @version,id,yes,i8,i16,i32,i64,i128,u8,u16,u32,u64,u128,f32,f64,text,bytes,at,on,n_yes,n_i8,n_u64,n_i128,n_f32,n_f64,n_text,n_bytes,n_at,n_on"]
            .into_iter()
            .enumerate()
    {
        let null = format.split_once(" --null").map_or(String::new(), |(_, null)| format!("--null {null}"));
        printed(here, &format!("locule create to{number}.loc --schema \"$(locule schema from.loc)\""));
        printed(here, &format!("locule export from.loc --format {format} | locule import to{number}.loc - {null}"));
        assert!(contents(&here.join(format!("to{number}.loc"))) == expected, "{format}");
        assert_eq!(printed(here, &format!("locule diff from.loc to{number}.loc")), "", "{format}");
        // Files are told by what is in them, whatever their names.
        printed(here, &format!("locule export from.loc --format {format} > data"));
        printed(here, &format!("locule import to{number}.loc data --on-duplicate replace {null}"));
        assert!(contents(&here.join(format!("to{number}.loc"))) == expected, "{format}");
    }
}

/// JSON lines of no records are no bytes, which were once refused as CSV without names.
#[test]
fn an_empty_table_comes_back_from_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "locule create t.loc --schema 'key id: u8'; : > empty.csv; echo > blank");
    for line in [
        "locule export t.loc --format csv | locule import t.loc -",
        "locule export t.loc --format json | locule import t.loc -",
        "locule export t.loc --format jsonl | locule import t.loc -",
        "locule export t.loc --format csv | locule import t.loc - --format csv",
        "locule export t.loc --format json | locule import t.loc - --format json",
        "locule export t.loc --format jsonl | locule import t.loc - --format jsonl",
        "locule import t.loc blank",
    ] {
        assert_eq!(printed(here, line), "0 inserted\n", "{line}");
    }
    // Whoever says what it is means a file with the names of the fields, or with an array.
    for (arguments, said) in [
        ("empty.csv", "the input is empty: expected CSV, whose first line has the names of the fields"),
        ("empty.csv --format csv", "the input is empty: expected CSV, whose first line has the names of the fields"),
        ("empty.csv --format json", "the input is empty: expected an array of JSON objects"),
        ("blank --format json", "the input is empty: expected an array of JSON objects"),
    ] {
        let source = arguments.split(' ').next().unwrap();
        let expected = format!("locule: {source}: {said}; nothing was imported\n");
        assert_eq!(complaint(here, &format!("locule import t.loc {arguments}")), (Some(2), expected));
    }
}

/// Each of both was written before: import refused the CSV, and in JSON one was gone.
#[test]
fn a_field_that_is_named_twice_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "locule create t.loc --schema 'key id: u8, note: text(8)?' && locule put t.loc id=1");
    for (fields, twice) in [("note,id,note", "note"), ("@id,@id", "@id")] {
        let expected = format!("locule: --fields {fields}: `{twice}` is named twice\n");
        for verb in ["export", "dump"] {
            let line = format!("locule {verb} t.loc --fields {fields}");
            assert_eq!(complaint(here, &line), (Some(2), expected.clone()), "{line}");
            assert_eq!(printed(here, &format!("{line} 2> /dev/null || true")), "", "{line}");
        }
    }
}

/// An empty line is no row of CSV.
#[test]
fn a_table_of_one_column_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let schema: Arc<Schema> = Arc::new("note: text(64)?".parse().unwrap());
    let table =
        Table::<Values>::options().schema(Arc::clone(&schema)).capacity(100).create(here.join("from.loc")).unwrap();
    for text in HOSTILE_TEXTS.into_iter().map(Value::from).chain([Value::Null]) {
        table.insert(&Values::positional(&schema, [text]).unwrap()).unwrap();
    }
    table.close().unwrap();
    printed(here, "locule create to.loc --schema 'note: text(64)?'; locule export from.loc | locule import to.loc -");
    assert_eq!(printed(here, "locule diff from.loc to.loc"), "");
}

#[test]
fn what_does_not_fit_is_told_with_its_row_and_field() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let write = |name: &str, text: &[u8]| std::fs::write(here.join(name), text).unwrap();
    write("good.csv", b"id,user\n1,ada\n2,bob\n");
    write("other.csv", b"id,user\n1,ADA\n");
    write("value.csv", b"id,user\n3,eve\n\nx,zoe\n");
    write("long.csv", b"id,user\n3,0123456789\n");
    write("column.csv", b"id,usr\n3,eve\n");
    write("twice.csv", b"id,id,user\n3,3,eve\n");
    write("short.csv", b"id,user\n3,eve\n4\n");
    write("latin.csv", b"id,user\n3,\xe9ve\n");
    write("missing.csv", b"hits\n3\n");
    write("value.jsonl", b"{\"id\":3,\"user\":\"eve\"}\n{\"id\":4,\"user\":5}\n");
    write("broken.jsonl", b"{\"id\":3,\"user\":\"eve\"}\n{\"id\":\n");
    write("scalar.json", b"[1]");
    write("member.json", b"[{\"id\":3,\"user\":\"eve\",\"age\":7}]");
    assert_data_eq!(
        session(
            here,
            "locule create t.loc --schema 'key id: u8, user: text(8), hits: u8 = 0' --capacity 4
             locule import t.loc good.csv
             locule import t.loc good.csv
             locule import t.loc good.csv --on-duplicate skip --json
             locule import t.loc other.csv --on-duplicate skip
             locule get t.loc 1 user
             locule import t.loc other.csv --on-duplicate replace
             locule get t.loc 1 user
             locule import t.loc good.csv --on-duplicate replace
             locule import t.loc value.csv
             locule import t.loc long.csv
             locule import t.loc column.csv
             locule import t.loc column.csv --ignore usr
             locule import t.loc twice.csv
             locule import t.loc short.csv
             locule import t.loc latin.csv
             locule import t.loc missing.csv
             locule import t.loc none.csv
             locule import t.loc .
             locule import t.loc value.jsonl
             locule import t.loc broken.jsonl
             locule import t.loc scalar.json
             locule import t.loc member.json
             locule import t.loc good.csv --format jsonl
             locule import t.loc good.csv --batch 0
             locule count t.loc
             locule import t.loc value.csv --batch 1
             locule count t.loc
             printf 'id,user\\n4,d\\n5,e\\n' | locule import t.loc -
             locule count t.loc"
        )
        .raw(),
        str![[r#"
$ locule create t.loc --schema 'key id: u8, user: text(8), hits: u8 = 0' --capacity 4
$ locule import t.loc good.csv
2 inserted
$ locule import t.loc good.csv
locule: good.csv: row 1 (line 2): a record with the key 1 is there already: `--on-duplicate skip` leaves it as it is, `--on-duplicate replace` writes over it; nothing was imported
[exit 2]
$ locule import t.loc good.csv --on-duplicate skip --json
{"inserted_count":0,"replaced_count":0,"skipped_count":2}
$ locule import t.loc other.csv --on-duplicate skip
0 inserted, 1 skipped
$ locule get t.loc 1 user
ada
$ locule import t.loc other.csv --on-duplicate replace
0 inserted, 1 replaced
$ locule get t.loc 1 user
ADA
$ locule import t.loc good.csv --on-duplicate replace
0 inserted, 2 replaced
$ locule import t.loc value.csv
locule: value.csv: row 2 (line 4), field `id`: expected a u8, 0 to 255, found "x"; nothing was imported
[exit 2]
$ locule import t.loc long.csv
locule: long.csv: row 1 (line 2), field `user`: expected a text of at most 8 bytes, found one of 10 bytes, "0123456789"; nothing was imported
[exit 2]
$ locule import t.loc column.csv
locule: column.csv: column "usr": there is no field `usr`: did you mean `user`?; `--ignore` leaves a column out; nothing was imported
[exit 2]
$ locule import t.loc column.csv --ignore usr
locule: column.csv: row 1 (line 2): the field `user` needs a value: it has no default and cannot be null; nothing was imported
[exit 2]
$ locule import t.loc twice.csv
locule: twice.csv: row 1 (line 2): two values for the field `id`; nothing was imported
[exit 2]
$ locule import t.loc short.csv
locule: short.csv: row 2 (line 3): expected 2 cells, as in the first line, found 1; nothing was imported
[exit 2]
$ locule import t.loc latin.csv
locule: latin.csv: line 2: cell 2 is not UTF-8; nothing was imported
[exit 2]
$ locule import t.loc missing.csv
locule: missing.csv: row 1 (line 2): the field `id` needs a value: it has no default and cannot be null; nothing was imported
[exit 2]
$ locule import t.loc none.csv
locule: none.csv: No such file or directory (os error 2); nothing was imported
[exit 2]
$ locule import t.loc .
locule: .: it is a directory; nothing was imported
[exit 2]
$ locule import t.loc value.jsonl
locule: value.jsonl: row 2, field `user`: expected a text, found a number; nothing was imported
[exit 2]
$ locule import t.loc broken.jsonl
locule: broken.jsonl: row 2: not JSON: EOF while parsing a value at line 3 column 0; nothing was imported
[exit 2]
$ locule import t.loc scalar.json
locule: scalar.json: row 1: expected an object, found 1; nothing was imported
[exit 2]
$ locule import t.loc member.json
locule: member.json: row 1: there is no field `age`; `--ignore` leaves a member out; nothing was imported
[exit 2]
$ locule import t.loc good.csv --format jsonl
locule: good.csv: row 1: not JSON: expected value at line 1 column 1; nothing was imported
[exit 2]
$ locule import t.loc good.csv --batch 0
locule: invalid value '0' for '--batch <COUNT>': expected a whole number, 1 or more; see `locule import --help`
[exit 2]
$ locule count t.loc
2
$ locule import t.loc value.csv --batch 1
locule: value.csv: row 2 (line 4), field `id`: expected a u8, 0 to 255, found "x"; 1 records before it were imported
[exit 2]
$ locule count t.loc
3
$ printf 'id,user\n4,d\n5,e\n' | locule import t.loc -
locule: standard input: row 2 (line 3): t.loc is full: it has room for 4 records; `locule alter t.loc resize 13` gives it more, or `locule delete` some; nothing was imported
[exit 2]
$ locule count t.loc
3

"#]].raw()
    );
}

/// What has not the form of CSV or JSON was once taken for something else, and the command succeeded.
#[test]
fn what_would_be_swallowed_or_lost_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    write("unclosed.csv", "id,note\n1,a\n2,\"b\n3,c\n4,d\n");
    write("behind.csv", "id,note\n1,\"a\"b\n");
    write("separator.csv", "id;note\n1;a\n");
    write("twice.jsonl", "{\"id\":1}\n{\"id\":2,\"note\":\"a\",\"note\":\"b\"}\n");
    write("mark.jsonl", "\u{feff}{\"id\":1,\"note\":\"a\"}\n");
    write("good.csv", "id,note\n2,b\n");
    assert_data_eq!(
        session(
            here,
            "locule create t.loc --schema 'key id: u8, note: text(8)?' --capacity 9
             locule import t.loc unclosed.csv
             locule import t.loc unclosed.csv --batch 1
             locule import t.loc behind.csv
             locule import t.loc separator.csv
             locule import t.loc twice.jsonl
             locule import t.loc good.csv --ignore nte
             locule import t.loc mark.jsonl --on-duplicate replace
             locule create new.loc --from unclosed.csv
             locule create new.loc --from behind.csv
             locule create new.loc --from separator.csv
             test -e new.loc"
        )
        .raw(),
        str![[r#"
$ locule create t.loc --schema 'key id: u8, note: text(8)?' --capacity 9
$ locule import t.loc unclosed.csv
locule: unclosed.csv: line 3: a quote is opened and never closed; nothing was imported
[exit 2]
$ locule import t.loc unclosed.csv --batch 1
locule: unclosed.csv: line 3: a quote is opened and never closed; 1 records before it were imported
[exit 2]
$ locule import t.loc behind.csv
locule: behind.csv: line 2: expected a comma or the end of the line behind the closing quote of a cell; a quote in quotes is written twice; nothing was imported
[exit 2]
$ locule import t.loc separator.csv
locule: separator.csv: the first line names one column, "id;note": expected commas between columns; nothing was imported
[exit 2]
$ locule import t.loc twice.jsonl
locule: twice.jsonl: row 2: two members are named "note"; nothing was imported
[exit 2]
$ locule import t.loc good.csv --ignore nte
locule: good.csv: --ignore: there is no column "nte": there are id, note; nothing was imported
[exit 2]
$ locule import t.loc mark.jsonl --on-duplicate replace
0 inserted, 1 replaced
$ locule create new.loc --from unclosed.csv
locule: unclosed.csv: line 3: a quote is opened and never closed
[exit 2]
$ locule create new.loc --from behind.csv
locule: behind.csv: line 2: expected a comma or the end of the line behind the closing quote of a cell; a quote in quotes is written twice
[exit 2]
$ locule create new.loc --from separator.csv
locule: separator.csv: the first line names one column, "id;note": expected commas between columns
[exit 2]
$ test -e new.loc
[exit 1]

"#]].raw()
    );
}

/// The command for releases once refused what the same command took in its tests, which had other features.
#[test]
fn integers_of_all_widths_are_read_from_json_and_shown_as_they_were_typed() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rows = "{\"k\":1,\"i\":18446744073709551616}\n{\"k\":2,\"i\":-170141183460469231731687303715884105728}\n";
    std::fs::write(here.join("rows.jsonl"), rows).unwrap();
    assert_data_eq!(
        session(
            here,
            "locule create t.loc --schema 'key k: u8, i: i128, u: u128?, f: f64?' --capacity 9
             locule import t.loc rows.jsonl
             locule put t.loc k=3 i:=-1 u:=340282366920938463463374607431768211455 f:=0.1
             locule set t.loc 3 f:=12345678901234567890
             locule dump t.loc --format csv
             locule set t.loc 3 i:=1e3
             locule set t.loc 3 u:=340282366920938463463374607431768211456"
        )
        .raw(),
        str![[r#"
$ locule create t.loc --schema 'key k: u8, i: i128, u: u128?, f: f64?' --capacity 9
$ locule import t.loc rows.jsonl
2 inserted
$ locule put t.loc k=3 i:=-1 u:=340282366920938463463374607431768211455 f:=0.1
inserted, version 3
$ locule set t.loc 3 f:=12345678901234567890
version 4
$ locule dump t.loc --format csv
k,i,u,f
1,18446744073709551616,,
2,-170141183460469231731687303715884105728,,
3,-1,340282366920938463463374607431768211455,1.2345678901234567e19
$ locule set t.loc 3 i:=1e3
locule: field `i`: expected an i128, -170141183460469231731687303715884105728 to 170141183460469231731687303715884105727, found "1e+3"
[exit 2]
$ locule set t.loc 3 u:=340282366920938463463374607431768211456
locule: field `u`: expected a u128, 0 to 340282366920938463463374607431768211455, found "340282366920938463463374607431768211456"
[exit 2]

"#]].raw()
    );
}

/// Each would be read without end.
#[test]
fn input_without_end_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert_data_eq!(
        session(
            here,
            "locule create t.loc --schema 'key id: u64, note: text(8)?' --capacity 9
             locule create log.loc --schema 'note: text(8)' --capacity 9
             locule import t.loc /dev/zero
             locule import t.loc /dev/zero --format jsonl
             (printf '{\"id\":\"'; yes 1) | tr -d '\\n' | locule import t.loc -
             yes '{\"id\":1}' | locule import t.loc -
             (echo note; yes a) | locule import log.loc -
             yes a,b | locule create new.loc --from - --capacity 9
             locule put t.loc id=1 note=- < /dev/zero
             locule create new.loc --schema - < /dev/zero"
        )
        .raw(),
        str![[r#"
$ locule create t.loc --schema 'key id: u64, note: text(8)?' --capacity 9
$ locule create log.loc --schema 'note: text(8)' --capacity 9
$ locule import t.loc /dev/zero
locule: /dev/zero: line 1: a row of more than 16777216 bytes, which no record has; nothing was imported
[exit 2]
$ locule import t.loc /dev/zero --format jsonl
locule: /dev/zero: row 1: not JSON: expected value at line 1 column 1; nothing was imported
[exit 2]
$ (printf '{"id":"'; yes 1) | tr -d '\n' | locule import t.loc -
locule: standard input: row 1: line 1: more than 16777216 bytes, which no record has; nothing was imported
[exit 2]
$ yes '{"id":1}' | locule import t.loc -
locule: standard input: row 2: a record with the key 1 is there already: `--on-duplicate skip` leaves it as it is, `--on-duplicate replace` writes over it; nothing was imported
[exit 2]
$ (echo note; yes a) | locule import log.loc -
locule: standard input: row 10 (line 11): log.loc is full: it has room for 9 records; `locule alter log.loc resize 18` gives it more, or `locule delete` some; nothing was imported
[exit 2]
$ yes a,b | locule create new.loc --from - --capacity 9
locule: standard input: row 10 (line 11): more records than a capacity of 9 has room for
[exit 2]
$ locule put t.loc id=1 note=- < /dev/zero
locule: note: standard input has more than 65536 bytes, and no field holds so many
[exit 2]
$ locule create new.loc --schema - < /dev/zero
locule: standard input has more than 67108864 bytes
[exit 2]

"#]]
        .raw()
    );
}

#[test]
fn a_long_text_gets_no_room_that_no_record_has() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("long.csv"), format!("id,note\n1,{}\n", "x".repeat(65_000))).unwrap();
    assert!(printed(here, "locule create t.loc --from long.csv --key id --capacity 1").contains("note: text(65000)"));
}

#[test]
fn nothing_is_imported_if_anything_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "locule create t.loc --schema 'key id: u64, hits: u8' --capacity 2000");
    let rows: String = (0..1_000).map(|id| format!("{id},1\n")).collect();
    std::fs::write(here.join("rows.csv"), format!("id,hits\n{rows}7,1\n")).unwrap();
    let (code, complaint) = complaint(here, "locule import t.loc rows.csv");
    assert_eq!(code, Some(2));
    assert!(complaint.contains("row 1001 (line 1002)") && complaint.contains("nothing was imported"), "{complaint}");
    assert_eq!(printed(here, "locule count t.loc"), "0\n");
    // In batches, those before it stay.
    let (code, complaint) = self::complaint(here, "locule import t.loc rows.csv --batch 300");
    assert_eq!(code, Some(2));
    assert!(complaint.contains("900 records before it were imported"), "{complaint}");
    assert_eq!(printed(here, "locule count t.loc"), "900\n");
}

/// Others can write while the input is waited for: the test writes in between, and would wait five seconds in vain.
#[test]
fn the_lock_is_not_held_while_the_input_is_read() {
    use std::io::Write;
    use std::process::Stdio;
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "locule create t.loc --schema 'key id: u64' --capacity 30000");
    let mut import =
        shell(here, "exec locule import t.loc -").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = import.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the reader is at work.
    let rows: String = (0..20_000).map(|id| format!("{id}\n")).collect();
    write!(input, "id\n{rows}").unwrap();
    assert_eq!(printed(here, "locule put t.loc id=100000"), "inserted, version 2\n");
    drop(input);
    assert!(import.wait_with_output().unwrap().status.success());
    assert_eq!(printed(here, "locule count t.loc"), "20001\n");
}

#[test]
fn the_small_table_of_the_repository_is_imported() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/languages/languages.csv");
    std::fs::copy(csv, here.join("languages.csv")).unwrap();
    let start = Instant::now();
    printed(here, "locule create languages.loc --from languages.csv --key alpha_3");
    println!("created in {:?}", start.elapsed());
    printed(here, "locule create copy.loc --schema \"$(locule schema languages.loc)\"");
    assert_eq!(printed(here, "locule import copy.loc languages.csv"), "27 inserted\n");
    assert_eq!(printed(here, "locule diff languages.loc copy.loc"), "");
    // Nothing in it needs another form than it had.
    printed(here, "locule export languages.loc > exported.csv && cmp languages.csv exported.csv");
}
