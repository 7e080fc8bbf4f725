//! Random conditions over random records of random schemas: the compiled predicate says what the plain evaluation says.

use super::naive::{Tree, two_to_the};
use crate::engine::Encoded;
use crate::engine::scan::Scan;
use crate::engine::tests::heap_store;
use crate::engine::tests::world::settings;
use crate::format::header::Header;
use crate::query::predicate::Predicate;
use crate::schema::{FieldSchema, Schema, decode_value};
use crate::value::field::tests::Random;
use crate::value::field_type::FieldType;
use crate::value::time::{Date, Timestamp};
use crate::value::untyped::Value;

const TYPES: [FieldType; 19] = [
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
    FieldType::Text(5),
    FieldType::Text(21),
    FieldType::Bytes(3),
    FieldType::Bytes(17),
    FieldType::Timestamp,
    FieldType::Date,
];

fn choose<T: Clone>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len())].clone()
}

pub fn schema(random: &mut Random) -> Schema {
    let fields = (0..1 + random.below(6)).map(|number| {
        let field = FieldSchema::new(format!("field_{number}"), choose(random, &TYPES));
        if random.below(2) == 0 { field.nullable() } else { field }
    });
    Schema::new(fields.collect()).unwrap()
}

fn wide(random: &mut Random) -> u128 {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    bits >> random.below(128)
}

fn float(random: &mut Random) -> f64 {
    let powers = [24, 53, 63, 64, 127, 128].map(two_to_the);
    match random.below(8) {
        0 => choose(random, &[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0]),
        1 => choose(
            random,
            &[f64::MIN, f64::MAX, f64::from(f32::MAX), f64::from(f32::MIN), 5e-324, -5e-324, 1e-46, 1e-40],
        ),
        2 => choose(random, &powers) * choose(random, &[1.0, -1.0, 1.0 + f64::EPSILON, 1.0 - f64::EPSILON]),
        3 => f64::from_bits(random.next()),
        4 => f64::from(f32::from_bits(random.next() as u32)),
        _ => (random.below(9) as f64 - 4.0) / 2.0,
    }
}

fn content(random: &mut Random, capacity_bytes: usize) -> Vec<u8> {
    (0..random.below(capacity_bytes + 1)).map(|_| choose(random, b"aab\0\xff")).collect()
}

fn text(random: &mut Random, capacity_bytes: usize) -> String {
    let mut text = String::new();
    let wanted_bytes = random.below(capacity_bytes + 1);
    while text.len() < wanted_bytes {
        text.push(choose(random, &['a', 'a', 'b', '\0', 'ä']));
    }
    while text.len() > capacity_bytes {
        text.pop();
    }
    text
}

/// A value that a field can have.
fn stored(random: &mut Random, field: &FieldSchema) -> Value {
    if field.is_nullable() && random.below(3) == 0 {
        return Value::Null;
    }
    macro_rules! integer {
        ($type:ty) => {
            match random.below(4) {
                0 => choose(random, &[<$type>::MIN, <$type>::MAX, <$type>::MIN + 1, <$type>::MAX - 1]).into(),
                1 => (wide(random) as $type).into(),
                _ => ((random.below(7) as $type).wrapping_sub(3)).into(),
            }
        };
    }
    match field.field_type() {
        FieldType::Bool => (random.below(2) == 0).into(),
        FieldType::I8 => integer!(i8),
        FieldType::I16 => integer!(i16),
        FieldType::I32 => integer!(i32),
        FieldType::I64 => integer!(i64),
        FieldType::I128 => integer!(i128),
        FieldType::U8 => integer!(u8),
        FieldType::U16 => integer!(u16),
        FieldType::U32 => integer!(u32),
        FieldType::U64 => integer!(u64),
        FieldType::U128 => integer!(u128),
        FieldType::F32 => (float(random) as f32).into(),
        FieldType::F64 => float(random).into(),
        FieldType::Text(capacity_bytes) => text(random, capacity_bytes.into()).into(),
        FieldType::Bytes(capacity_bytes) => content(random, capacity_bytes.into()).into(),
        FieldType::Timestamp => Timestamp::from_microseconds(choose(random, &[i64::MIN, -1, 0, 1, i64::MAX])).into(),
        FieldType::Date => Date::from_days(choose(random, &[i32::MIN, -1, 0, 1, i32::MAX])).into(),
    }
}

/// A value that a field can be compared with.
fn operand(random: &mut Random, field: &FieldSchema) -> Value {
    match field.field_type() {
        FieldType::Text(capacity_bytes) => text(random, usize::from(capacity_bytes) + 2).into(),
        FieldType::Bytes(capacity_bytes) => content(random, usize::from(capacity_bytes) + 2).into(),
        FieldType::Bool | FieldType::Timestamp | FieldType::Date => {
            stored(random, &FieldSchema::new("operand", field.field_type()))
        }
        own => {
            let number = choose(random, &TYPES[1..13]);
            let number = if random.below(2) == 0 { own } else { number };
            stored(random, &FieldSchema::new("operand", number))
        }
    }
}

fn leaf(random: &mut Random, schema: &Schema) -> Tree {
    let field = choose(random, schema.fields());
    let name = field.name().to_owned();
    let has_content = matches!(field.field_type(), FieldType::Text(_) | FieldType::Bytes(_));
    match random.below(8) {
        0 => Tree::IsNone(name),
        1 => Tree::IsSome(name),
        2 => Tree::IsIn(name, (0..random.below(5)).map(|_| operand(random, &field)).collect()),
        3 | 4 if has_content => Tree::Has(name, choose(random, &["start", "middle", "end"]), operand(random, &field)),
        _ => Tree::Compare(name, choose(random, &["==", "!=", "<", "<=", ">", ">="]), operand(random, &field)),
    }
}

pub fn tree(random: &mut Random, schema: &Schema, depth: usize) -> Tree {
    if depth == 0 || random.below(3) == 0 {
        return leaf(random, schema);
    }
    match random.below(5) {
        0 => Tree::Not(Box::new(tree(random, schema, depth - 1))),
        1 | 2 => Tree::Any((0..random.below(4)).map(|_| tree(random, schema, depth - 1)).collect()),
        _ => Tree::All((0..random.below(4)).map(|_| tree(random, schema, depth - 1)).collect()),
    }
}

/// The bytes of a value, as the format describes them.
fn encode(field: &FieldSchema, value: &Value, bytes: &mut [u8]) {
    let bytes = if field.is_nullable() {
        let (presence, bytes) = bytes.split_at_mut(1);
        presence[0] = u8::from(*value != Value::Null);
        bytes
    } else {
        bytes
    };
    let width = bytes.len();
    let integer = |bits: u128| match width {
        1 => (bits as u8).to_ne_bytes().to_vec(),
        2 => (bits as u16).to_ne_bytes().to_vec(),
        4 => (bits as u32).to_ne_bytes().to_vec(),
        8 => (bits as u64).to_ne_bytes().to_vec(),
        _ => bits.to_ne_bytes().to_vec(),
    };
    let with_length = |content: &[u8]| [&(content.len() as u16).to_ne_bytes()[..], content].concat();
    let encoded = match value {
        Value::Null => Vec::new(),
        Value::Bool(value) => integer(u128::from(*value)),
        Value::Signed(value) => integer(*value as u128),
        Value::Unsigned(value) => integer(*value),
        Value::Float32(value) => value.to_ne_bytes().to_vec(),
        Value::Float64(value) => value.to_ne_bytes().to_vec(),
        Value::Text(text) => with_length(text.as_bytes()),
        Value::Bytes(content) => with_length(content),
        Value::Timestamp(value) => integer(i128::from(value.microseconds()) as u128),
        Value::Date(value) => integer(i128::from(value.days()) as u128),
    };
    bytes[..encoded.len()].copy_from_slice(&encoded);
}

/// The words of a record, and its values.
pub fn record(random: &mut Random, schema: &Schema) -> (Vec<u64>, Vec<Value>) {
    let mut words = vec![0_u64; schema.record_bytes().div_ceil(8)];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    let values = schema.fields().iter().map(|field| {
        let value = stored(random, field);
        let bytes = &mut bytes[field.offset_bytes()..][..field.field_bytes()];
        encode(field, &value, bytes);
        let decoded = decode_value(field, bytes).unwrap();
        assert_eq!(decoded.to_string(), value.to_string(), "{field}");
        value
    });
    let values = values.collect();
    (words, values)
}

fn holds(tree: &Tree, schema: &Schema, values: &[Value]) -> bool {
    let value_of = |name: &str| {
        let position = schema.fields().iter().position(|field| field.name() == name).unwrap();
        values[position].clone()
    };
    // What is not known is not found.
    tree.holds(&value_of) == Some(true)
}

/// The record, and a few like it: each with the value of one field changed to one that the condition names.
#[test]
fn a_predicate_finds_what_its_condition_is_true_for() {
    let mut random = Random(11);
    let (mut found_count, mut asked_count) = (0, 0);
    for round in 0..if cfg!(miri) { 20 } else { 6_000 } {
        let schema = schema(&mut random);
        let depth = random.below(4);
        let tree = tree(&mut random, &schema, depth);
        let condition = tree.condition();
        let mut predicate = Predicate::compile(&condition, &schema).unwrap();
        for _ in 0..20 {
            let (words, values) = record(&mut random, &schema);
            let expected = holds(&tree, &schema, &values);
            assert_eq!(predicate.matches(&words), expected, "round {round}: {condition} of {values:?}, {schema}");
            found_count += usize::from(expected);
            asked_count += 1;
        }
    }
    assert!((asked_count / 5..asked_count * 4 / 5).contains(&found_count), "{found_count} of {asked_count}");
}

/// Of each type and each comparison, with each of the values that are special.
#[test]
fn each_comparison_of_each_type_is_right_at_its_limits() {
    let mut random = Random(12);
    for field_type in TYPES {
        for offset in 0..if cfg!(miri) { 2 } else { 9 } {
            let fill = FieldSchema::new("fill", FieldType::Bytes(1 + offset));
            for is_nullable in [false, true] {
                let field = FieldSchema::new("field", field_type);
                let field = if is_nullable { field.nullable() } else { field };
                let schema = Schema::new(vec![fill.clone(), field, FieldSchema::new("end", FieldType::U64)]).unwrap();
                let field = schema.field("field").unwrap();
                for _ in 0..if cfg!(miri) { 1 } else { 40 } {
                    let value = operand(&mut random, field);
                    for symbol in ["==", "!=", "<", "<=", ">", ">="] {
                        let tree = Tree::Compare("field".to_owned(), symbol, value.clone());
                        for tree in [tree.clone(), Tree::Not(Box::new(tree))] {
                            let mut predicate = Predicate::compile(&tree.condition(), &schema).unwrap();
                            for _ in 0..4 {
                                let (words, values) = record(&mut random, &schema);
                                let expected = holds(&tree, &schema, &values);
                                let condition = tree.condition();
                                assert_eq!(predicate.matches(&words), expected, "{condition} of {values:?}, {schema}");
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The same through the scan of a table, in which the words that are looked at are shared.
#[test]
fn a_scan_finds_the_records_that_the_condition_is_true_for() {
    let mut random = Random(13);
    for round in 0..if cfg!(miri) { 1 } else { 150 } {
        let schema = schema(&mut random);
        let header = Header::new(40, schema.clone(), [7; 16], 5, 0).unwrap();
        let store = heap_store(header, settings());
        let records: Vec<_> = (0..30).map(|_| record(&mut random, &schema)).collect();
        let metas: Vec<_> = records.iter().map(|(words, _)| store.insert(Encoded::new(words)).unwrap()).collect();
        for _ in 0..10 {
            let tree = tree(&mut random, &schema, 2);
            let mut predicate = Predicate::compile(&tree.condition(), &schema).unwrap();
            let mut source = &store;
            let mut slots = source.slots();
            let mut payload = vec![0; schema.record_bytes().div_ceil(8)];
            let mut found = Vec::new();
            while let Some(meta) = predicate.scan(&mut source, &mut slots, &mut payload).unwrap() {
                found.push((meta, payload.clone()));
            }
            let wanted = metas.iter().zip(&records).filter(|(_, (_, values))| holds(&tree, &schema, values));
            let mut wanted: Vec<_> = wanted.map(|(meta, (words, _))| (*meta, words.clone())).collect();
            wanted.sort_by_key(|(meta, _)| meta.id.slot());
            assert_eq!(found, wanted, "round {round}: {}", tree.condition());
        }
    }
}
