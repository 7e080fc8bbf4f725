//! Checks that `format.md` says what the code does: its tables are compared with the constants and with what is really
//! written.

use crate::error::Result;
use crate::format::cell::{CellHeader, GENERATION_LIMIT, Head, Intent, NUMBER_LIMIT, SLOT_LIMIT};
use crate::format::checksum::{cell_check, crc32, digest_of_cell, mix};
use crate::format::control::{CONTROL_WORDS, INCARNATION_WORDS, MUTEX_WORDS};
use crate::format::gaps::{GAP_COUNT, GAP_WORDS, Gap, Gaps};
use crate::format::geometry::{Geometry, KeyPosition};
use crate::format::header::{BYTE_ORDER_MARK, FIELDS, FORMAT_VERSION, Header, MAGIC};
use crate::format::sync_record::{STATE_WORDS, SYNC_RECORD_WORDS, State, SyncRecord};
use crate::sys::attachment::{FileId, Incarnation};
use crate::value::field_type::FieldType;
use crate::{FieldSchema, Schema};
use std::collections::BTreeMap;

const DOCUMENT: &str = include_str!("../format.md");
#[cfg(target_endian = "little")]
const GOLDEN_FILE: &[u8] = include_bytes!("../tests/golden/visits.loc");

// -- reading the document --------------------------------------------------------------------------

/// One row of a table: each cell under the name of its column.
type Row = BTreeMap<&'static str, &'static str>;

/// The tables of the section with this heading, up to the next heading of any level.
fn tables(heading: &str) -> Vec<Vec<Row>> {
    let is_heading = |line: &&str| line.starts_with('#');
    let mut lines = DOCUMENT.lines().skip_while(|line| line.trim_start_matches('#') != format!(" {heading}"));
    assert!(lines.next().is_some(), "format.md has no section {heading:?}");
    let mut tables: Vec<Vec<Row>> = Vec::new();
    let mut columns: Option<Vec<&str>> = None;
    for line in lines.take_while(|line| !is_heading(line)) {
        let Some(inner) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
            columns = None;
            continue;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        match &columns {
            None => {
                columns = Some(cells);
                tables.push(Vec::new());
            }
            Some(_) if inner.starts_with("---") => {}
            Some(columns) => {
                assert_eq!(cells.len(), columns.len(), "{line}");
                tables.last_mut().unwrap().push(columns.iter().copied().zip(cells).collect());
            }
        }
    }
    tables
}

/// The one table of a section.
fn table(heading: &str) -> Vec<Row> {
    let mut tables = tables(heading);
    assert_eq!(tables.len(), 1, "tables in section {heading:?}");
    tables.remove(0)
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

/// The rows of a table of bytes as name, offset and width. Checks that nothing overlaps and nothing is left out.
fn byte_rows(rows: &[Row]) -> Vec<(&'static str, usize, usize)> {
    let rows: Vec<_> = rows.iter().map(|row| (row["name"], number(row["offset"]), number(row["bytes"]))).collect();
    let mut end = 0;
    for (name, offset, bytes) in &rows {
        assert_eq!(*offset, end, "{name} does not begin where the row before it ends");
        end = offset + bytes;
    }
    rows
}

/// A field of packed words, as the document places it: its word, and its bits.
fn mask(row: &Row) -> (usize, u64) {
    let bits = row["bits"];
    let (low, high) = bits.split_once('–').unwrap_or((bits, bits));
    let (low, high): (u32, u32) = (number(low), number(high));
    (number(row["word"]), (u64::MAX >> (63 - high)) & (u64::MAX << low))
}

/// Checks that a section names exactly these fields, each where it is in the words in which only its bits are set.
fn assert_packed(heading: &str, samples: &[(&str, &[u64])]) {
    let rows = table(heading);
    let documented: Vec<&str> = rows.iter().map(|row| row["name"]).collect();
    assert_eq!(documented, samples.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{heading}");
    for (row, (name, words)) in rows.iter().zip(samples) {
        let (word, mask) = mask(row);
        let mut expected = vec![0; words.len()];
        expected[word] = mask;
        assert_eq!(expected, *words, "{heading}: {name}");
    }
}

/// The constants `const NAME: type = NUMBER;` of a source file, so that one that is added or moved is not overlooked.
fn constants(source: &str) -> BTreeMap<String, usize> {
    let declarations =
        source.lines().map(|line| line.trim_start_matches("pub ")).filter(|line| line.starts_with("const "));
    let split = declarations.filter_map(|line| line.trim_start_matches("const ").split_once(": "));
    split
        .filter_map(|(name, rest)| {
            let value = rest.split_once("= ")?.1.trim_end_matches(';').parse().ok()?;
            Some((name.to_lowercase(), value))
        })
        .collect()
}

// -- what is written once --------------------------------------------------------------------------

fn header() -> Header {
    let schema = Schema::new(vec![
        FieldSchema::new("before", FieldType::U16),
        FieldSchema::new("id", FieldType::U64).key().with_doc("A\nB"),
        FieldSchema::new("note", FieldType::Text(300)).nullable().with_default(vec![0; 303]),
    ]);
    Header::new(1000, schema.unwrap(), *b"0123456789abcdef", 0x1122_3344_5566_7788, -77).unwrap()
}

/// A number of up to eight bytes in native order.
fn number_at(bytes: &[u8], offset: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    let start = if cfg!(target_endian = "little") { 0 } else { 8 - width };
    word[start..start + width].copy_from_slice(&bytes[offset..offset + width]);
    u64::from_ne_bytes(word)
}

#[test]
fn header_fields_are_where_the_document_says() {
    let rows = table("Header");
    let (schema_row, fixed) = rows.split_last().unwrap();
    let fixed = byte_rows(fixed);
    assert_eq!(fixed[..FIELDS.len()], FIELDS);

    let header = header();
    let bytes = header.encode();
    let geometry = &header.geometry;
    let schema = header.schema.encode();
    let schema_offset: usize = number(schema_row["offset"]);
    assert_eq!(schema_row["name"], "schema");
    assert_eq!(bytes[schema_offset..][..schema.len()], schema);

    let mut without_crc = bytes.clone();
    let (name, crc_offset, 4) = fixed[fixed.len() - 1] else { panic!("the last field has four bytes") };
    assert_eq!(name, "header_crc");
    without_crc[crc_offset..crc_offset + 4].fill(0);

    let key = geometry.key().unwrap();
    let in_bytes = |words: usize| (words * 8) as u64;
    let expected = [
        ("magic", u64::from_ne_bytes(MAGIC)),
        ("byte_order_mark", BYTE_ORDER_MARK),
        ("format_version", FORMAT_VERSION.into()),
        ("header_bytes", geometry.header_bytes() as u64),
        ("compatible_features", 0),
        ("incompatible_features", 0),
        ("capacity", 1000),
        ("record_bytes", 2 + 8 + 303),
        ("key_offset_bytes", key.offset_bytes as u64),
        ("key_bytes", key.key_bytes as u64),
        ("cell_bytes", in_bytes(geometry.cell_words())),
        ("index_entry_count", geometry.index_entry_count() as u64),
        ("control_offset", in_bytes(geometry.control())),
        ("intents_offset", in_bytes(geometry.intents())),
        ("heads_offset", in_bytes(geometry.heads())),
        ("free_stack_offset", in_bytes(geometry.free_stack())),
        ("index_offset", in_bytes(geometry.index())),
        ("sync_records_offset", in_bytes(geometry.sync_records())),
        ("cells_offset", in_bytes(geometry.cells())),
        ("file_bytes", geometry.file_bytes() as u64),
        ("hash_seed", header.hash_seed),
        ("created", u64::from_ne_bytes(header.created_microseconds.to_ne_bytes())),
        ("schema_bytes", schema.len() as u64),
        ("header_crc", crc32(&without_crc).into()),
    ];
    let without_uuid: Vec<_> = fixed.iter().filter(|(name, ..)| *name != "uuid").collect();
    assert_eq!(without_uuid.len(), expected.len());
    for ((name, offset, width), (expected_name, value)) in without_uuid.into_iter().zip(expected) {
        assert_eq!(*name, expected_name);
        assert_eq!(number_at(&bytes, *offset, *width), value, "{name}");
    }
    let (_, uuid_offset, uuid_bytes) = fixed.iter().find(|(name, ..)| *name == "uuid").unwrap();
    assert_eq!(bytes[*uuid_offset..][..*uuid_bytes], header.uuid);

    let meaning = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["meaning"];
    let magic: Vec<String> = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(meaning("magic").starts_with(&format!("`{}`", magic.join(" "))));
    assert!(meaning("byte_order_mark").starts_with(&format!("{BYTE_ORDER_MARK:#018x}:")));
    assert!(meaning("format_version").starts_with(&format!("{FORMAT_VERSION};")));
}

#[test]
fn the_geometry_of_the_examples_is_the_one_that_is_computed() {
    for row in table("Geometry") {
        let key = Some(KeyPosition { offset_bytes: 0, key_bytes: 1 });
        let value = |name: &str| number::<usize>(row[name]);
        let geometry = Geometry::new(value("capacity") as u64, value("record_bytes"), key, 4096).unwrap();
        assert_eq!(value("cell_bytes"), geometry.cell_words() * 8, "{row:?}");
        assert_eq!(value("index_entry_count"), geometry.index_entry_count(), "{row:?}");
        assert_eq!(value("index_offset"), geometry.index() * 8, "{row:?}");
        assert_eq!(value("sync_records_offset"), geometry.sync_records() * 8, "{row:?}");
        assert_eq!(value("cells_offset"), geometry.cells() * 8, "{row:?}");
        assert_eq!(value("file_bytes"), geometry.file_bytes(), "{row:?}");
    }
}

#[test]
fn a_schema_lies_as_the_document_says() {
    let tables = tables("Schema");
    let [outer, field] = &tables[..] else { panic!("two tables") };
    let at = |row: &Row| (row["name"], number::<usize>(row["offset"]), row["bytes"]);
    assert_eq!(at(&outer[0]), ("field_count", 0, "4"));
    assert_eq!(at(&outer[1]), ("fields", 4, "…"));

    let default = [1, 0, 0, 0, 0, 0];
    let note = FieldSchema::new("note", FieldType::Text(3)).nullable().with_default(default).with_doc("Docs");
    let bytes = Schema::new(vec![note]).unwrap().encode();
    assert_eq!(number_at(&bytes, 0, 4), 1);

    let bytes = &bytes[4..];
    let fixed = byte_rows(&field[..5]);
    let expected = [("type_code", 14), ("flags", 1 | 4), ("capacity_bytes", 3), ("doc_bytes", 4), ("name_bytes", 4)];
    for ((name, offset, width), (expected_name, value)) in fixed.iter().zip(expected) {
        assert_eq!(*name, expected_name);
        assert_eq!(number_at(bytes, *offset, *width), value, "{name}");
    }
    let (_, offset, width) = fixed[4];
    assert_eq!(at(&field[5]), ("name", offset + width, "N"));
    let rest: Vec<_> = field[6..].iter().map(|row| (row["name"], row["offset"], row["bytes"])).collect();
    assert_eq!(rest, [("default", "9 + N", "D"), ("doc", "9 + N + D", "doc_bytes")]);
    assert_eq!(bytes[9..], [&b"note"[..], &default, b"Docs"].concat());

    let key = Schema::new(vec![FieldSchema::new("id", FieldType::U8).key()]).unwrap().encode();
    assert_eq!(key[4 + 1], 2, "bit 1 is the key");
}

/// The type of the one field of a schema with this code and capacity.
fn type_with_code(code: u8, capacity_bytes: u16) -> Result<FieldType> {
    let [low, high] = capacity_bytes.to_ne_bytes();
    let field = [code, 0, low, high, 0, 0, 0, 0, 1, b'x'];
    let schema = Schema::decode(&[&1_u32.to_ne_bytes()[..], &field].concat())?;
    Ok(schema.fields()[0].field_type())
}

#[test]
fn every_field_type_has_the_code_and_width_of_the_document() -> Result<()> {
    let tables = tables("Record");
    let [_, types] = &tables[..] else { panic!("two tables") };
    for row in types {
        let code = number(row["type_code"]);
        let (fixed_bytes, capacity_bytes) = match row["bytes"].split_once(" + ") {
            None => (number::<usize>(row["bytes"]), 0),
            Some((fixed, variable)) => {
                assert_eq!(variable, "capacity_bytes");
                (number(fixed), 9)
            }
        };
        let field_type = type_with_code(code, capacity_bytes)?;
        assert_eq!(field_type.value_bytes(), fixed_bytes + usize::from(capacity_bytes), "{row:?}");
        assert_eq!(field_type.to_string().split('(').next(), Some(row["type"]));
    }
    for code in 0..=u8::MAX {
        let is_documented = types.iter().any(|row| number::<u8>(row["type_code"]) == code);
        let is_known = [0, 9].iter().any(|capacity_bytes| type_with_code(code, *capacity_bytes).is_ok());
        assert_eq!(is_documented, is_known, "type code {code}");
    }
    Ok(())
}

#[test]
fn the_schema_of_the_document_is_read_and_written_like_that() {
    let section = DOCUMENT.split("### Schemas as text").nth(1).unwrap();
    let text = section.split("```text\n").nth(1).unwrap().split("\n```").next().unwrap();
    let schema: Schema = text.parse().unwrap();
    assert_eq!(schema.to_string(), text);
    assert_eq!(schema.fields().len(), 5);
}

/// A field of the type that a row names.
#[cfg(feature = "json")]
fn field_of(type_name: &str) -> FieldSchema {
    let field_type = match FieldType::from_name(type_name) {
        Some(FieldType::Text(_)) => FieldType::Text(9),
        Some(FieldType::Bytes(_)) => FieldType::Bytes(9),
        other => other.unwrap_or_else(|| panic!("{type_name} is no type")),
    };
    FieldSchema::new("field", field_type).nullable()
}

#[cfg(feature = "json")]
#[test]
fn values_are_written_and_read_as_the_document_says() {
    let rows = table("Values as text and in JSON");
    for field_type in FieldType::CODES.map(|code| FieldType::from_code(code, 0).unwrap()) {
        assert!(rows.iter().any(|row| row["type"] == field_type.name()), "{field_type}");
    }
    for row in rows {
        let field = field_of(row["type"]);
        let form = |column: &str| row[column].trim_matches('`').to_owned();
        let (text, json) = (form("as text"), form("in JSON"));
        let value = field.parse_value(&text).unwrap();
        assert_eq!(value.to_string(), text);
        assert_eq!(field.value_to_json(&value).to_string(), json);
        let read = field.value_from_json(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(read.to_string(), text);
        // Numbers as texts, and integers of all widths as numbers.
        let digits = json.trim_matches('"');
        if row["type"].starts_with(['i', 'u', 'f']) && !digits.contains(char::is_alphabetic) {
            for other in [serde_json::from_str(digits).unwrap(), serde_json::Value::from(digits)] {
                assert_eq!(field.value_from_json(&other).unwrap().to_string(), text, "{other}");
            }
        }
    }
}

// -- what writers write ----------------------------------------------------------------------------

#[test]
fn the_control_region_is_as_the_document_says() {
    let rows = byte_rows(&table("Control region"));
    let (_, offset, bytes) = rows[rows.len() - 1];
    assert_eq!(offset + bytes, CONTROL_WORDS * 8);

    let mut in_code = constants(include_str!("format/control.rs"));
    let others = ["control_words", "mutex_words", "incarnation_words", "losing_its_name"];
    assert!(others.iter().all(|name| in_code.remove(*name).is_some()));
    let documented = rows.iter().filter(|(name, ..)| *name != "reserved");
    let documented: BTreeMap<_, _> = documented.map(|(name, offset, _)| ((*name).to_owned(), offset / 8)).collect();
    assert_eq!(documented, in_code);

    for (name, _, bytes) in rows {
        let words = match name {
            "reserved" => continue,
            "write_mutex" | "sync_mutex" | "arbiter_mutex" => MUTEX_WORDS,
            "newest_state" | "intended_state" => STATE_WORDS,
            "incarnation" => INCARNATION_WORDS,
            _ => 1,
        };
        assert_eq!(bytes, words * 8, "{name}");
    }
}

#[test]
fn cells_heads_and_intents_are_packed_as_the_document_says() {
    let empty = CellHeader { number: 0, generation: 0, is_live: false, update_count: 0, check: 0 };
    let number = NUMBER_LIMIT - 1;
    assert_packed(
        "Cells",
        &[
            ("number", &CellHeader { number, ..empty }.to_words()),
            ("generation", &CellHeader { generation: GENERATION_LIMIT - 1, ..empty }.to_words()),
            ("is_live", &CellHeader { is_live: true, ..empty }.to_words()),
            ("update_count", &CellHeader { update_count: u32::MAX, ..empty }.to_words()),
            ("check", &CellHeader { check: u32::MAX, ..empty }.to_words()),
        ],
    );
    assert_packed(
        "Heads",
        &[
            ("number", &[Head::new(number, false, 0).word()]),
            ("is_live", &[Head::new(0, true, 0).word()]),
            ("cell", &[Head::new(0, false, 3).word()]),
        ],
    );
    let nothing = Intent::from_word(0, 1).unwrap();
    assert_packed(
        "Intent list",
        &[
            ("slot", &[Intent { slot: SLOT_LIMIT - 1, ..nothing }.to_word()]),
            ("cell", &[Intent { cell: 3, ..nothing }.to_word()]),
            ("old_cell", &[Intent { old_cell: 3, ..nothing }.to_word()]),
            ("was_live", &[Intent { was_live: true, ..nothing }.to_word()]),
            ("inserts_key", &[Intent { inserts_key: true, ..nothing }.to_word()]),
            ("removes_key", &[Intent { removes_key: true, ..nothing }.to_word()]),
            ("frees_slot", &[Intent { frees_slot: true, ..nothing }.to_word()]),
        ],
    );
}

#[test]
fn sealed_states_and_sync_records_are_as_the_document_says() {
    const SEED: u64 = 0x1234_5678_9abc_def1;
    let none = State { number: 0, live_count: 0, digest: 0 };
    let state_words = |state: State| {
        let [number, live_count, digest, seal] = state.to_words(SEED);
        assert_eq!(seal, mix(number, live_count.wrapping_add(SEED.rotate_left(32)), digest));
        [number, live_count, digest, 0]
    };
    assert_packed(
        "Sealed states",
        &[
            ("number", &state_words(State { number: u64::MAX, ..none })),
            ("live_count", &state_words(State { live_count: u64::MAX, ..none })),
            ("digest", &state_words(State { digest: u64::MAX, ..none })),
            ("seal", &[0, 0, 0, u64::MAX]),
        ],
    );

    let blank = SyncRecord {
        state: none,
        predecessor: 0,
        generation_floor: 0,
        wall_time_microseconds: 0,
        gaps: Gaps::default(),
    };
    let record_words = |record: SyncRecord| {
        let mut words = record.to_words(SEED);
        let check = std::mem::replace(&mut words[SYNC_RECORD_WORDS - 1], SEED);
        assert_eq!(check, u64::from(crc32(bytemuck::cast_slice(&words))));
        words[SYNC_RECORD_WORDS - 1] = 0;
        words
    };
    let last_word = [vec![0; SYNC_RECORD_WORDS - 1], vec![u64::MAX]].concat();
    assert_packed(
        "Sync records",
        &[
            ("number", &record_words(SyncRecord { state: State { number: u64::MAX, ..none }, ..blank })),
            ("predecessor", &record_words(SyncRecord { predecessor: u64::MAX, ..blank })),
            ("live_count", &record_words(SyncRecord { state: State { live_count: u64::MAX, ..none }, ..blank })),
            ("digest", &record_words(SyncRecord { state: State { digest: u64::MAX, ..none }, ..blank })),
            ("generation_floor", &record_words(SyncRecord { generation_floor: u64::MAX, ..blank })),
            ("wall_time", &record_words(SyncRecord { wall_time_microseconds: -1, ..blank })),
            ("forgotten_below", &record_words(SyncRecord { gaps: Gaps::forgotten(u64::MAX), ..blank })),
            ("check", &last_word),
        ],
    );
    // The gaps lie where nothing else is, each as its own table says, the newest first.
    let gaps_start = table("Sync records").len() - 1;
    assert_eq!(gaps_start + GAP_WORDS, SYNC_RECORD_WORDS - 1);
    for place in 0..GAP_COUNT {
        let gap_words = |gap: Gap| {
            let mut gaps = Gaps::default();
            gaps.newest_first[place] = gap;
            let words = record_words(SyncRecord { gaps, ..blank });
            assert!(words.iter().enumerate().all(|(word, content)| {
                (gaps_start + 2 * place..gaps_start + 2 * place + 2).contains(&word) || *content == 0
            }));
            [words[gaps_start + 2 * place], words[gaps_start + 2 * place + 1]]
        };
        assert_packed(
            "Gaps",
            &[
                ("chosen", &gap_words(Gap { chosen: u64::MAX, resumed: 0 })),
                ("resumed", &gap_words(Gap { chosen: 0, resumed: u64::MAX })),
            ],
        );
    }
}

#[test]
fn the_incarnation_and_the_file_locks_are_as_the_document_says() {
    let nothing = Incarnation::from_words([0; INCARNATION_WORDS]);
    let no_file = nothing.file;
    assert_packed(
        "Incarnation",
        &[
            ("boot_id_first", &Incarnation { boot_id: [u64::MAX, 0], ..nothing }.to_words()),
            ("boot_id_second", &Incarnation { boot_id: [0, u64::MAX], ..nothing }.to_words()),
            ("device", &Incarnation { file: FileId { device: u64::MAX, ..no_file }, ..nothing }.to_words()),
            ("inode", &Incarnation { file: FileId { inode: u64::MAX, ..no_file }, ..nothing }.to_words()),
            ("birth_time", &Incarnation { file: FileId { birth_time: u64::MAX, ..no_file }, ..nothing }.to_words()),
            ("pid_namespace", &Incarnation { pid_namespace: u64::MAX, ..nothing }.to_words()),
            ("mutex_fingerprint", &Incarnation { mutex_fingerprint: u64::MAX, ..nothing }.to_words()),
        ],
    );
    let in_code = constants(include_str!("sys/attachment.rs"));
    let locks = byte_rows(&table("File locks"));
    assert_eq!(locks, ["gate", "attachment", "departure"].map(|name| (name, in_code[name], 1)));
}

// -- the golden file -------------------------------------------------------------------------------

/// The current cell of each slot of the golden file.
const CURRENT_CELLS: [u32; 4] = [0, 2, 0, 0];

#[cfg(target_endian = "little")]
fn golden_header() -> Header {
    Header::decode(GOLDEN_FILE, "visits.loc".as_ref()).unwrap()
}

/// A number in native order, which the golden file's is.
#[cfg(target_endian = "little")]
fn word_at(offset: usize) -> u64 {
    number_at(GOLDEN_FILE, offset, 8)
}

#[cfg(target_endian = "little")]
#[test]
fn the_worked_example_is_right() {
    let header = golden_header();
    let cell_offset = |slot: u32| header.geometry.cell(slot, CURRENT_CELLS[slot as usize]) * 8;
    let cell = |slot: u32| CellHeader::from_words([0, 8, 16].map(|at| word_at(cell_offset(slot) + at)));
    let addition = |slot: u32| digest_of_cell(slot, cell(slot).number, cell(slot).check);
    let first = cell(0);
    let generation_and_live = word_at(cell_offset(0) + 8);
    let payload_crc = crc32(&GOLDEN_FILE[cell_offset(0) + 24..][..24]);
    let check = cell_check(payload_crc, first.number, generation_and_live, first.update_count);
    let digest = (0..4).fold(header.digest_seed(), |digest, slot| digest.wrapping_add(addition(slot)));
    let state = State { number: 10, live_count: 4, digest };
    let [.., seal] = state.to_words(header.digest_seed());
    let record_offset = header.geometry.sync_record(1) * 8;
    let record: [u64; SYNC_RECORD_WORDS] = std::array::from_fn(|word| word_at(record_offset + word * 8));
    assert!(SyncRecord::from_words(record, header.digest_seed()).is_some_and(|found| found.state.number == 7));
    let expected = [
        crc32(b"123456789").into(),
        mix(0, 0, 0),
        mix(1, 2, 3),
        header.digest_seed(),
        first.number,
        generation_and_live,
        first.update_count.into(),
        payload_crc.into(),
        mix(first.number, generation_and_live, first.update_count.into()),
        check.into(),
        addition(0),
        addition(1),
        addition(2),
        addition(3),
        digest,
        header.digest_seed().rotate_left(32),
        seal,
        record[SYNC_RECORD_WORDS - 1],
    ];
    let documented: Vec<u64> = table("Worked example")
        .iter()
        .map(|row| match row["value"].strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => number(row["value"]),
        })
        .collect();
    assert_eq!(documented, expected);
    assert_eq!(first.check, check);
    assert_eq!((cell_offset(0), record_offset), (0x12000, 0x11000), "the offsets that the example names");
}

/// Looks each record up in the index as the document says.
#[cfg(target_endian = "little")]
#[test]
fn index_entries_are_as_the_document_says() {
    let header = golden_header();
    let geometry = &header.geometry;
    let control: BTreeMap<_, _> =
        byte_rows(&table("Control region")).into_iter().map(|(name, offset, _)| (name, offset)).collect();
    let epoch = word_at(geometry.control() * 8 + control["index_epoch"]);
    let first = geometry.index() + usize::from(epoch % 2 == 1) * geometry.index_entry_count();
    let rows = table("Index");
    let names: Vec<_> = rows.iter().map(|row| row["name"]).collect();
    assert_eq!(names, ["slot", "hash", "is_used"]);
    let field = |row: usize, word: u64| (word & mask(&rows[row]).1) >> mask(&rows[row]).1.trailing_zeros();
    assert!(rows.iter().fold(0, |bits, row| bits ^ mask(row).1) == u64::MAX, "no bit is left out, none is used twice");

    let count = geometry.index_entry_count() >> (epoch >> 1 & 0x1f);
    let entry = |position: usize| word_at((first + position % count) * 8);
    assert_eq!((0..count).filter(|position| field(2, entry(*position)) == 1).count(), 4, "an entry a record");
    for slot in 0..4 {
        let key = &GOLDEN_FILE[geometry.cell(slot, CURRENT_CELLS[slot as usize]) * 8 + 24..][..4];
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(key, header.hash_seed) >> 25;
        let home = (hash % count as u64) as usize;
        let found = (home..home + count).map(entry).take_while(|word| *word != 0);
        let found: Vec<_> = found.filter(|word| field(2, *word) == 1 && field(1, *word) == hash).collect();
        assert_eq!(found.len(), 1, "slot {slot}");
        assert_eq!(field(0, found[0]), u64::from(slot));
    }
}
