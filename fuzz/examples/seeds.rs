//! Writes a few inputs for each target into `fuzz/corpus`, from where a fuzzer starts:
//!
//! ```sh
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds
//! ```

use locule::{Bytes, Field, FieldSchema, FieldType, Schema, Text};
use std::fs;
use std::path::Path;

fn main() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let directory = fuzz.join("corpus").join(target);
        fs::create_dir_all(&directory).expect("a place for the corpus");
        fs::write(directory.join(name), bytes).expect("room for a seed");
    };

    // A whole file; and plans and stories of growing length, which any bytes are.
    put("open_image", "golden", &fs::read(fuzz.join("../tests/golden/visits.loc")).expect("the golden file"));
    for (number, length_bytes) in [16, 32, 64, 128, 256, 512].into_iter().enumerate() {
        let noise = noise(number as u64 + 1, length_bytes);
        put("open_image", &format!("plan {length_bytes}"), &noise);
        put("operations", &format!("story {length_bytes}"), &noise);
        put("tables", &format!("story {length_bytes}"), &noise);
    }

    for (name, schema) in schemas() {
        put("schema", name, &schema.encode());
        put("schema", &format!("{name} as text"), schema.to_string().as_bytes());
    }

    put(
        "schema",
        "every literal",
        br#"a: text(9)? = "\u{1b}\n", b: bytes(2) = x"cafe", c: f32 = NaN(0x7fc00001), d: f64 = -inf, e: i8 = -1,
            f: bool = true, g: date = 2024-02-29, h: timestamp? = null, i: timestamp = 2024-02-29T23:59:59.999999Z"#,
    );
    for (number, text) in FILTERS.into_iter().enumerate() {
        put("filter", &format!("filter {number}"), text.as_bytes());
    }
    put("values", "text", &[&[15][..], &encoded(Text::<7>::literal("Łódź"))].concat());
    put("values", "no text", &[&[15][..], &encoded(None::<Text<7>>)].concat());
    put("values", "bytes", &[&[16][..], &encoded(Some(Bytes::<7>::literal(b"\xff\0")))].concat());
    put("values", "number", &[&[5][..], &encoded(i128::MIN)].concat());
    put("values", "float", &[&[12][..], &encoded(f64::NAN)].concat());
    put("values", "record", &[17; 60]);
    put("values", "inline", b"\x12Lodz");
    put("values", "day", b"\x132024-02-29");
    put("values", "moment", b"\x142024-02-29T23:59:59.999999Z");
    put("values", "shown", &[&[21][..], &encoded(i64::MIN)].concat());
}

const FILTERS: [&str; 9] = [
    r#"hits > 3 && user.startsWith("bo") && !(note == null)"#,
    "(is_new || -3 <= depth) && !is_old // and more",
    r"score in [1, 2.5, -1e9, 0xff, 3u, double('NaN')] || ratio == float(0.1)",
    r#"digest == b"\xca\377" || user.matches(r'^\d+$') || user == """a"b""""#,
    "seen > timestamp('2024-02-29T23:59:59+01:00') && born <= date('2024-02-29')",
    "`in` != 1 && wide < 170141183460469231731687303715884105728",
    r#"user == "\a\n\x41\101\u00e4\U0001f980" && user.endsWith('ä') || note.contains("")"#,
    "hits = 3 and user LIKE 'bo%' or not is_new",
    "hits > 3 && (note is null",
];

fn encoded<T: Field>(value: T) -> Vec<u8> {
    let mut bytes = vec![0; T::FIELD_BYTES];
    value.encode(&mut bytes);
    bytes
}

fn schemas() -> [(&'static str, Schema); 3] {
    let every_type = [
        FieldType::Bool,
        FieldType::I8,
        FieldType::I16,
        FieldType::I32,
        FieldType::I64,
        FieldType::I128,
        FieldType::U8,
        FieldType::U16,
        FieldType::U32,
        FieldType::U64,
        FieldType::U128,
        FieldType::F32,
        FieldType::F64,
        FieldType::Text(9),
        FieldType::Bytes(9),
        FieldType::Timestamp,
        FieldType::Date,
    ];
    let every_type = every_type
        .into_iter()
        .enumerate()
        .map(|(number, field_type)| FieldSchema::new(format!("f{number}"), field_type));
    let session = vec![
        FieldSchema::new("id", FieldType::U64).key().with_doc("The number in the cookie."),
        FieldSchema::new("hits", FieldType::U32).with_default(7_u32.to_ne_bytes()),
        FieldSchema::new("note", FieldType::Text(3)).nullable().with_default([0; 6]),
    ];
    let one = vec![FieldSchema::new("a", FieldType::U8)];
    [("every type", every_type.collect()), ("session", session), ("one", one)]
        .map(|(name, fields)| (name, Schema::new(fields).expect("a valid schema")))
}

/// Bytes by the generator "SplitMix64": the same in every run.
fn noise(seed: u64, length_bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as u8
    };
    // It must not begin with an `l`, which would make it a file.
    (0..length_bytes).map(|place| if place == 0 { 0 } else { next() }).collect()
}
