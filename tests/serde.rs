//! What serde makes of the types of this crate: text for people, numbers and bytes for machines.

use locule::admin::dump;
use locule::{Bytes, Cursor, Date, RecordId, Table, Text, Timestamp, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_test::{Configure, Token, assert_de_tokens, assert_de_tokens_error, assert_tokens};
use std::fmt::{Debug, Display};
use std::str::FromStr;

locule::field_enum! {
    #[derive(Serialize, Deserialize, Default)]
    #[serde(rename_all = "snake_case")]
    enum State: u8 {
        #[default]
        NotYet = 0,
        Done = 1,
    }
}

locule::record! {
    /// A job.
    #[derive(Serialize, Deserialize, Clone, Debug)]
    #[serde(default, deny_unknown_fields)]
    struct Job {
        /// Which.
        key id: u64,
        #[serde(rename = "who")]
        user: Text<8>,
        token: Option<Bytes<4>>,
        born: Timestamp,
        day: Date,
        state: State = State::Done,
        digest: [u8; 2],
        after: Option<RecordId>,
    }
}

fn job() -> Job {
    Job {
        id: 7,
        user: Text::literal("Łódź"),
        token: Some(Bytes::literal(&[0xca, 0xfe, 0])),
        born: Timestamp::from_microseconds(-1),
        day: Date::new(1815, 12, 10).unwrap(),
        state: State::NotYet,
        digest: [1, 2],
        after: Some(RecordId::from_u64(7 << 24 | 3)),
    }
}

#[test]
fn a_record_is_an_object_whose_fields_are_as_people_write_them() {
    let expected = json!({
        "id": 7, "who": "Łódź", "token": "cafe00", "born": "1969-12-31T23:59:59.999999Z", "day": "1815-12-10",
        "state": "not_yet", "digest": [1, 2], "after": "117440515",
    });
    assert_eq!(serde_json::to_value(job()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<Job>(expected.clone()).unwrap(), job());
    assert_eq!(serde_json::from_str::<Job>(&expected.to_string()).unwrap(), job());
    // What is left out is as in the default of the record.
    assert_eq!(serde_json::from_str::<Job>(r#"{"id": 9}"#).unwrap(), Job { id: 9, ..Job::default() });
    assert_eq!(Job::default().state, State::Done);
}

/// Checks each form, and that the value comes back from it.
fn check<T>(value: T, for_people: &'static str, for_machines: &[Token])
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug + Copy + Display + FromStr<Err = locule::Error>,
{
    assert_tokens(&value.readable(), &[Token::String(for_people)]);
    assert_tokens(&value.compact(), for_machines);
    assert_eq!((value.to_string().as_str(), for_people.parse::<T>().unwrap()), (for_people, value));
}

#[test]
fn people_get_what_display_prints_and_machines_the_number_or_the_bytes() {
    assert_tokens(&Text::<4>::literal("ab").readable(), &[Token::String("ab")]);
    check(Text::<4>::literal("ab"), "ab", &[Token::Str("ab")]);
    check(Bytes::<4>::literal(&[0, 255]), "00ff", &[Token::Bytes(&[0, 255])]);
    check(Timestamp::MIN, "-290308-12-21T19:59:05.224192Z", &[Token::I64(i64::MIN)]);
    check(Date::MAX, "+5881580-07-11", &[Token::I32(i32::MAX)]);
    check(RecordId::from_u64(u64::MAX), "18446744073709551615", &[Token::U64(u64::MAX)]);
    let text = "6c6f63756c6520676f6c64656e200102-7";
    let uuid = b"locule golden \x01\x02".map(Token::U8);
    let [start, end] = [[Token::Tuple { len: 2 }, Token::Tuple { len: 16 }], [Token::U64(7), Token::TupleEnd]];
    let tokens = [&start[..], &uuid, &[Token::TupleEnd], &end].concat();
    check(text.parse::<Cursor>().unwrap(), text, &tokens);
    let numbers = [Token::Seq { len: Some(2) }, Token::U8(0), Token::U8(255), Token::SeqEnd];
    assert_de_tokens(&Bytes::<4>::literal(&[0, 255]).compact(), &numbers);
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    fn refused<T: for<'de> Deserialize<'de> + Debug>(json: &str, phrase: &str) {
        let error = serde_json::from_str::<T>(json).unwrap_err().to_string();
        assert!(error.contains(phrase), "{json}: {error}");
    }
    refused::<Text<2>>(r#""abc""#, "a value of 3 bytes does not fit a field of 2 bytes");
    refused::<Bytes<1>>(r#""0000""#, "a value of 2 bytes does not fit a field of 1 bytes");
    refused::<Bytes<1>>(r#""0""#, "expected hexadecimal digits, two for each byte, found \"0\"");
    refused::<Date>(r#""2023-02-29""#, "expected a date such as 2024-02-29");
    refused::<Timestamp>("5", "expected a time such as 2024-02-29T23:59:59.999999Z");
    refused::<RecordId>(r#""-5""#, "expected a record id");
    refused::<Cursor>(r#""7""#, "expected a cursor, 32 hexadecimal digits");
    refused::<Value>(r#"{"Signed": "5"}"#, "invalid number");
    refused::<Value>(r#"{"Int": 5}"#, "unknown variant `Int`, expected one of `Null`, `Bool`");
    refused::<Job>(r#"{"user": "x"}"#, "unknown field `user`");
    let too_long = [Token::Bytes(&[1, 2])];
    let reason = "a value of 2 bytes does not fit a field of 1 bytes";
    assert_de_tokens_error::<serde_test::Compact<Bytes<1>>>(&too_long, reason);
}

#[test]
fn a_value_comes_back_as_the_variant_that_it_is() {
    let moment = Timestamp::from_microseconds(0);
    let values = [
        (Value::Null, "\"Null\"".to_owned()),
        (Value::Bool(true), "{\"Bool\":true}".to_owned()),
        (Value::Signed(i128::MIN), format!("{{\"Signed\":{}}}", i128::MIN)),
        (Value::Signed(5), "{\"Signed\":5}".to_owned()),
        (Value::Unsigned(u128::MAX), format!("{{\"Unsigned\":{}}}", u128::MAX)),
        (Value::Float32(1.5), "{\"Float32\":1.5}".to_owned()),
        (Value::Float64(-0.5), "{\"Float64\":-0.5}".to_owned()),
        (Value::Text("ab".into()), "{\"Text\":\"ab\"}".to_owned()),
        (Value::Bytes(vec![0, 255]), "{\"Bytes\":\"00ff\"}".to_owned()),
        (Value::Timestamp(moment), "{\"Timestamp\":\"1970-01-01T00:00:00.000000Z\"}".to_owned()),
        (Value::Date(moment.date()), "{\"Date\":\"1970-01-01\"}".to_owned()),
    ];
    for (value, expected) in values {
        assert_eq!(serde_json::to_string(&value).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Value>(&expected).unwrap(), value);
    }
    let variant = |name| Token::NewtypeVariant { name: "Value", variant: name };
    assert_tokens(&Value::Bytes(vec![0, 255]).compact(), &[variant("Bytes"), Token::Bytes(&[0, 255])]);
    assert_tokens(&Value::Date(Date::MIN).compact(), &[variant("Date"), Token::I32(i32::MIN)]);
    // Formats without names write the place of the variant.
    let by_index = |index| [Token::Enum { name: "Value" }, Token::U64(index), Token::I64(-1)];
    assert_de_tokens(&Value::Timestamp(Timestamp::from_microseconds(-1)).compact(), &by_index(8));
    assert_de_tokens_error::<serde_test::Compact<Value>>(
        &by_index(10)[..2],
        "invalid value: integer `10`, expected the name of a variant",
    );
}

#[test]
fn what_a_dump_gives_can_be_sent_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jobs.loc");
    let table = Table::<Job>::options().capacity(9).create(&path).unwrap();
    table.insert(&job()).unwrap();
    let row = dump(&path).unwrap().next().unwrap().unwrap();
    let sent = serde_json::to_string(&(row.id, &row.values)).unwrap();
    assert_eq!(serde_json::from_str::<(RecordId, Vec<Value>)>(&sent).unwrap(), (row.id, row.values));
}
