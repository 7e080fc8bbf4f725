//! Schemas: whatever the bytes are, they are a schema that encodes to exactly these bytes, or an error; whatever fields
//! are asked for, they are a schema that comes back from its bytes and from its text, or an error; and whatever the text
//! is, it is a schema that is written as a text of the same schema, or an error of one line.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use locule::{Error, FieldSchema, FieldType, Schema, decode_value};

/// A field as a program may ask for it.
#[derive(Arbitrary)]
struct Wish<'a> {
    name: &'a str,
    type_code: u8,
    capacity_bytes: u16,
    is_nullable: bool,
    is_key: bool,
    default: Option<&'a [u8]>,
    has_zeros_as_default: bool,
    doc: &'a str,
}

fuzz_target!(|bytes: &[u8]| {
    decode(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        parse(text);
    }
    if let Ok(wishes) = Vec::<Wish>::arbitrary_take_rest(Unstructured::new(bytes)) {
        make(wishes);
    }
});

fn decode(bytes: &[u8]) {
    match Schema::decode(bytes) {
        Ok(schema) => {
            assert_eq!(schema.encode(), bytes);
            check(&schema);
        }
        Err(Error::Damaged { .. }) => {}
        Err(other) => panic!("expected damage, found {other:?}"),
    }
}

fn parse(text: &str) {
    match text.parse::<Schema>() {
        Ok(schema) => check(&schema),
        Err(Error::InvalidArgument { reason }) => {
            assert!(!reason.contains('\n') && reason.len() < 1_000, "{reason:?}");
        }
        Err(other) => panic!("expected an invalid argument, found {other:?}"),
    }
    if let Ok(field) = text.parse::<FieldSchema>() {
        assert_eq!(field.to_string().parse::<FieldSchema>().expect("as written"), field);
    }
}

fn make(wishes: Vec<Wish<'_>>) {
    match Schema::new(wishes.into_iter().map(field_of).collect()) {
        Ok(schema) => {
            let bytes = schema.encode();
            assert_eq!(Schema::decode(&bytes).expect("a schema that was made decodes"), schema);
            assert!(Schema::decode(&bytes[..bytes.len() - 1]).is_err());
            check(&schema);
        }
        Err(Error::InvalidArgument { .. }) => {}
        Err(other) => panic!("expected an invalid argument, found {other:?}"),
    }
}

fn field_of(wish: Wish<'_>) -> FieldSchema {
    let field_type = match wish.type_code % 17 {
        0 => FieldType::Bool,
        1 => FieldType::I8,
        2 => FieldType::I16,
        3 => FieldType::I32,
        4 => FieldType::I64,
        5 => FieldType::I128,
        6 => FieldType::U8,
        7 => FieldType::U16,
        8 => FieldType::U32,
        9 => FieldType::U64,
        10 => FieldType::U128,
        11 => FieldType::F32,
        12 => FieldType::F64,
        13 => FieldType::Text(wish.capacity_bytes),
        14 => FieldType::Bytes(wish.capacity_bytes),
        15 => FieldType::Timestamp,
        _ => FieldType::Date,
    };
    let mut field = FieldSchema::new(wish.name, field_type).with_doc(wish.doc);
    if wish.is_nullable {
        field = field.nullable();
    }
    if wish.is_key {
        field = field.key();
    }
    match wish.default {
        _ if wish.has_zeros_as_default => {
            let width_bytes = field.field_bytes();
            field.with_default(vec![0; width_bytes])
        }
        Some(bytes) => field.with_default(bytes),
        None => field,
    }
}

/// What is true of every valid schema.
fn check(schema: &Schema) {
    assert!(schema.same_records(schema) && !schema.fields().is_empty());
    let mut offset_bytes = 0;
    for field in schema.fields() {
        assert_eq!(field.offset_bytes(), offset_bytes);
        offset_bytes += field.field_bytes();
        assert_eq!(schema.field(field.name()), Some(field), "names differ");
        if let Some(default) = field.default() {
            decode_value(field, default).expect("a default is a value of its field");
        }
        // All of them have a value that is zeros.
        decode_value(field, &vec![0; field.field_bytes()]).expect("zeros are a value of every field");
        assert!(schema.to_string().contains(&field.to_string()));
    }
    assert_eq!(schema.to_string().parse::<Schema>().expect("as written"), *schema);
    assert!(schema.difference(schema).is_empty());
    assert_eq!(schema.record_bytes(), offset_bytes);
    assert!((1..=Schema::RECORD_BYTES_MAX).contains(&offset_bytes));
    let keys: Vec<_> = schema.fields().iter().filter(|field| field.is_key()).collect();
    assert!(keys.len() <= 1 && keys.iter().all(|key| !key.is_nullable() && key.field_type().can_be_key()));
    assert_eq!(schema.key(), keys.first().copied());
}
