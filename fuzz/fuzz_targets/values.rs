//! Values: whatever the bytes are, each type takes them for a value that encodes to exactly these bytes, or refuses
//! them; with and without its type, a value is the same; and what is written for people is read back as the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use locule::{
    Bytes, Date, Error, Field, FieldSchema, FieldType, Key, KeyField, Record, RecordId, Text, Timestamp, Value,
    decode_value,
};
use std::fmt::Debug;
use std::str::FromStr;

locule::record! {
    struct Mixture {
        is_open: bool,
        key name: Text<5>,
        score: Option<f64>,
        small: i16,
        token: Option<Bytes<3>>,
        day: Date,
        large: Option<u128>,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((selector, bytes)) = bytes.split_first() else { return };
    match selector % 22 {
        0 => both::<bool>(bytes),
        1 => both::<i8>(bytes),
        2 => both::<i16>(bytes),
        3 => both::<i32>(bytes),
        4 => both::<i64>(bytes),
        5 => both::<i128>(bytes),
        6 => both::<u8>(bytes),
        7 => both::<u16>(bytes),
        8 => both::<u32>(bytes),
        9 => both::<u64>(bytes),
        10 => both::<u128>(bytes),
        11 => both::<f32>(bytes),
        12 => both::<f64>(bytes),
        13 => both::<Timestamp>(bytes),
        14 => both::<Date>(bytes),
        15 => {
            both::<Text<7>>(bytes);
            canonical::<Text<7>>(bytes, |text| Text::new(text.as_str()));
        }
        16 => {
            both::<Bytes<7>>(bytes);
            canonical::<Bytes<7>>(bytes, |content| Bytes::new(content.as_slice()));
        }
        17 => record(bytes),
        18 => inline(bytes),
        19 => read_back::<Date>(bytes),
        20 => read_back::<Timestamp>(bytes),
        _ => shown(bytes),
    }
});

/// A type, and an option of it.
fn both<T: Field>(bytes: &[u8])
where
    Option<T>: Field,
{
    field::<T>(bytes);
    field::<Option<T>>(bytes);
}

fn encoded<T: Field>(value: &T) -> Vec<u8> {
    // Not zeros, so that a byte that encode leaves out shows.
    let mut bytes = vec![0xa5; T::FIELD_BYTES];
    value.encode(&mut bytes);
    bytes
}

fn field<T: Field>(bytes: &[u8]) {
    let schema = FieldSchema::new("field", T::TYPE);
    let schema = if T::NULLABLE { schema.nullable() } else { schema };
    assert_eq!(schema.field_bytes(), T::FIELD_BYTES);
    // As they are, and of the right width, since few inputs have it.
    let mut fitted = bytes.to_vec();
    fitted.resize(T::FIELD_BYTES, 0);
    for bytes in [bytes, &fitted] {
        match (T::decode(bytes), decode_value(&schema, bytes)) {
            (Ok(value), Ok(untyped)) => {
                assert_eq!(encoded(&value), bytes);
                assert_eq!(untyped == Value::Null, T::NULLABLE && bytes[0] == 0);
                drop(format!("{value:?}"));
                let is_text = matches!(untyped, Value::Text(_));
                let is_no_text = untyped == Value::Null && matches!(T::TYPE, FieldType::Text(_));
                let read = if is_no_text {
                    untyped.clone()
                } else {
                    schema.parse_value(&untyped.to_string()).expect("as written")
                };
                assert!(!is_text || read == untyped);
                for same in [untyped, read] {
                    let mut again = vec![0xa5; T::FIELD_BYTES];
                    schema.encode_value(&same, &mut again).expect("a value of the field");
                    assert_eq!(again, bytes);
                }
            }
            (Err(Error::Damaged { .. }), Err(Error::Damaged { .. })) => {}
            (typed, untyped) => panic!("{bytes:?} are {typed:?} and {untyped:?}"),
        }
    }
}

/// Equal values are equal bytes: a value that was made anew from its content is the same as the one that was decoded,
/// which could carry along what was behind its end.
fn canonical<T: Field>(bytes: &[u8], made_anew: impl FnOnce(&T) -> Result<T, Error>) {
    let mut fitted = bytes.to_vec();
    fitted.resize(T::FIELD_BYTES, 0);
    if let Ok(value) = T::decode(&fitted) {
        assert_eq!(encoded(&made_anew(&value).expect("it fitted before")), fitted);
    }
}

fn record(bytes: &[u8]) {
    let mut fitted = bytes.to_vec();
    fitted.resize(Mixture::RECORD_BYTES, 0);
    let schema = Mixture::schema();
    let values: Result<Vec<_>, _> = (schema.fields().iter())
        .map(|field| decode_value(field, &fitted[field.offset_bytes()..][..field.field_bytes()]))
        .collect();
    match Mixture::decode(&fitted) {
        Ok(record) => {
            let mut again = [0xa5; Mixture::RECORD_BYTES];
            record.encode(&mut again);
            assert_eq!(again[..], fitted);
            assert_eq!(values.expect("the same bytes")[1], Value::Text(record.name.to_string()));
        }
        Err(Error::Damaged { reason }) => {
            assert!(schema.fields().iter().any(|field| reason.contains(field.name())), "{reason}");
            values.expect_err("the same bytes");
        }
        Err(other) => panic!("expected damage, found {other:?}"),
    }
}

/// Text and bytes of any length: nothing is cut, and what stands for a key is the key.
fn inline(bytes: &[u8]) {
    match Bytes::<9>::new(bytes) {
        Ok(value) => {
            assert_eq!(value, *bytes);
            key(&value, bytes);
        }
        Err(error) => too_long(&error, bytes),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Text<9>>() {
        Ok(value) => {
            assert_eq!((value.as_str(), value.to_string().as_str()), (text, text));
            key(&value, text);
        }
        Err(error) => too_long(&error, bytes),
    }
}

fn key<K: KeyField, Q: Key<K> + ?Sized>(value: &K, query: &Q) {
    let mut bytes = vec![0xa5; K::FIELD_BYTES];
    assert!(query.encode_key(&mut bytes));
    assert_eq!(bytes, encoded(value));
}

fn too_long(error: &Error, bytes: &[u8]) {
    assert!(
        bytes.len() > 9
            && matches!(error, Error::TooLong { capacity_bytes: 9, found_bytes } if *found_bytes == bytes.len())
    );
}

/// Whatever is read as a value is written as a text that is read as the same value.
fn read_back<T: FromStr<Err = Error> + ToString + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            assert_eq!(written.parse::<T>().expect("what is written can be read"), value);
            // The only other texts of the same value have fewer decimals, a sign before the year, or an offset from
            // UTC.
            let has_offset = text.contains('T') && !text.ends_with('Z');
            assert!(written.len() >= text.len() || has_offset || text.starts_with(['+', '-']), "{text} {written}");
        }
        Err(Error::InvalidValue { .. }) => {}
        Err(other) => panic!("expected an invalid value, found {other:?}"),
    }
}

/// What is written for a value is read back as that value, and dates are days of the calendar.
fn shown(bytes: &[u8]) {
    let mut eight = [0; 8];
    let count = bytes.len().min(8);
    eight[..count].copy_from_slice(&bytes[..count]);
    let number = u64::from_le_bytes(eight);
    let timestamp = Timestamp::from_microseconds(number as i64);
    assert_eq!(timestamp.to_string().parse::<Timestamp>().expect("as written"), timestamp);
    let date = Date::from_days(number as i32);
    assert_eq!(date.to_string().parse::<Date>().expect("as written"), date);
    assert_eq!(Date::new(date.year(), date.month(), date.day()).expect("a day"), date);
    let id = RecordId::from_u64(number);
    assert_eq!(u64::from(id), number);
    assert_eq!(id.generation() << 24 | u64::from(id.slot()), number);
    let float = f64::from_bits(number);
    let written = Value::Float64(float).to_string();
    assert!(float.is_nan() || written.parse::<f64>().expect("a float").to_bits() == number);
    let float = f32::from_bits(number as u32);
    let written = Value::Float32(float).to_string();
    assert!(float.is_nan() || written.parse::<f32>().expect("a float").to_bits() == number as u32);
}
