//! What is read.

use super::schema;
use crate::query::condition::Condition;
use crate::query::field_name::field;
use crate::query::predicate::Predicate;
use crate::query::tests::twins;
use crate::schema::Schema;
use crate::value::field::tests::Random;
use crate::value::time::Date;
use crate::value::untyped::Value;

fn parsed(text: &str) -> Condition {
    Condition::parse(text, &schema()).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether a literal stands for a value.
fn assert_value(name: &'static str, literal: &str, value: Value) {
    let condition = parsed(&format!("{name} == {literal}"));
    assert_eq!(condition, field(name).eq(value), "{literal}");
}

#[test]
fn what_is_written_in_cel_is_read() {
    let (hits, user, note, is_new) = (field("hits"), field("user"), field("note"), field("is_new"));
    for (text, condition) in [
        ("hits == 3", hits.eq(3)),
        ("hits != 3", hits.ne(3)),
        ("hits<3", hits.lt(3)),
        ("hits <= 3", hits.le(3)),
        ("hits > -3", hits.gt(-3)),
        ("hits >= - 3", hits.ge(-3)),
        ("3 == hits", hits.eq(3)),
        ("3 != hits", hits.ne(3)),
        ("3 < hits", hits.gt(3)),
        ("3 <= hits", hits.ge(3)),
        ("3 > hits", hits.lt(3)),
        ("3 >= hits", hits.le(3)),
        ("hits in [1, 2,3,]", hits.is_in([1, 2, 3])),
        ("hits in []", hits.is_in([0; 0])),
        ("user in ['a', \"b\"]", user.is_in(["a", "b"])),
        ("`in` in [1]", field("in").is_in([1])),
        ("`hits` == 3", hits.eq(3)),
        ("note == null", note.is_none()),
        ("null != note", note.is_some()),
        ("hits == null", hits.is_none()),
        ("user.startsWith('bo')", user.starts_with("bo")),
        ("user . endsWith ( 'bo' )", user.ends_with("bo")),
        ("user.contains('bo')", user.contains("bo")),
        ("user.matches('^b.b$')", user.matches("^b.b$")),
        ("digest.startsWith(b'\\xff')", field("digest").starts_with(b"\xff")),
        ("is_new", is_new.eq(true)),
        ("!is_new", !is_new.eq(true)),
        ("!!is_new", is_new.eq(true)),
        ("is_new == false", is_new.eq(false)),
        ("true != is_new", is_new.ne(true)),
        ("true", Condition::all([])),
        ("false", Condition::any([])),
        ("!true", !Condition::all([])),
        ("is_new && true", is_new.eq(true)),
        ("is_new || hits > 3 && hits < 5", is_new.eq(true) | (hits.gt(3) & hits.lt(5))),
        ("(is_new || hits > 3) && hits < 5", (is_new.eq(true) | hits.gt(3)) & hits.lt(5)),
        ("!(is_new && !(hits > 3))", !(is_new.eq(true) & !hits.gt(3))),
        ("((is_new))", is_new.eq(true)),
        (" \t\r\n\x0cis_new // && false\n && // x\nhits > 3 // end", is_new.eq(true) & hits.gt(3)),
        ("born >= date('2024-02-29')", field("born").ge(Date::new(2024, 2, 29).unwrap())),
        ("seen < timestamp('1970-01-01T01:00:00+01:00')", field("seen").lt(crate::Timestamp::from_microseconds(0))),
    ] {
        assert_eq!(parsed(text), condition, "{text}");
    }
}

#[test]
fn a_literal_is_the_value_that_cel_says() {
    for (literal, number) in [
        ("0", Value::from(0)),
        ("007", 7.into()),
        ("-0", 0.into()),
        ("0xfF", 255.into()),
        ("-0x10", (-16).into()),
        ("5u", 5_u8.into()),
        ("0xffU", 255_u8.into()),
        ("170141183460469231731687303715884105727", i128::MAX.into()),
        ("170141183460469231731687303715884105728", (1_u128 << 127).into()),
        ("340282366920938463463374607431768211455", u128::MAX.into()),
        ("340282366920938463463374607431768211455u", u128::MAX.into()),
        ("-170141183460469231731687303715884105728", i128::MIN.into()),
        ("1.5", 1.5.into()),
        (".5", 0.5.into()),
        ("-.5e1", (-5.0).into()),
        ("1e3", 1000.0.into()),
        ("1.5E-3", 0.0015.into()),
        ("1e+3", 1000.0.into()),
        ("0.1", 0.1.into()),
        ("float(0.1)", 0.1_f32.into()),
        ("float('-0.1')", (-0.1_f32).into()),
        ("double(3)", 3.0.into()),
        ("0e-999", 0.0.into()),
        ("5e-324", 5e-324.into()),
        ("double('0.000')", 0.0.into()),
        ("float(1e-45)", 1e-45_f32.into()),
        ("float(3.4028235e38)", f32::MAX.into()),
        ("float('-inf')", f32::NEG_INFINITY.into()),
        ("double('Infinity')", f64::INFINITY.into()),
        ("double('-Infinity')", f64::NEG_INFINITY.into()),
    ] {
        assert_value("score", literal, number);
    }
    assert_eq!(parsed("score == double('NaN')").to_string(), "score == double(\"NaN\")");
    for (literal, text) in [
        ("''", ""),
        ("\"\"", ""),
        ("'a\"b'", "a\"b"),
        ("\"a'b\"", "a'b"),
        (r#""\a\b\f\n\r\t\v\\\?\"\'\`""#, "\x07\x08\x0c\n\r\t\x0b\\?\"'`"),
        (r"'\x41\X41\101\u00e4\U0001f980\xff'", "AAAä🦀ÿ"),
        (r"r'\n\'", "\\n\\"),
        (r#"R"\""#, "\\"),
        ("'''a'b\n''c'''", "a'b\n''c"),
        ("\"\"\"a\"b\r\n\"\"\"", "a\"b\r\n"),
        ("r'''\\\n'''", "\\\n"),
        ("'// no comment'", "// no comment"),
        ("'Łódź'", "Łódź"),
    ] {
        assert_value("user", literal, text.into());
    }
    for (literal, bytes) in [
        ("b''", &b""[..]),
        (r#"b"\xff\377\0001""#, &[255, 255, 0, b'1']),
        ("B'ä'", "ä".as_bytes()),
        (r"br'\x'", b"\\x"),
        (r#"bR"""\""""#, b"\\"),
        ("b'''\n'''", b"\n"),
    ] {
        assert_value("digest", literal, bytes.into());
    }
}

/// Whether the two are true of the same records. They need not be equal: an integer has no type in the text, for example.
fn assert_same(condition: &Condition, schema: &Schema, random: &mut Random, context: &str) {
    let text = condition.to_string();
    let read = Condition::parse(&text, schema).unwrap_or_else(|error| panic!("{context}: {error}"));
    // What was read is read from what it shows.
    let shown = read.to_string();
    assert_eq!(Condition::parse(&shown, schema).unwrap().to_string(), shown, "{context}: {text}");
    let mut before = Predicate::compile(condition, schema).unwrap();
    let mut after = Predicate::compile(&read, schema).unwrap();
    for _ in 0..10 {
        let (words, values) = twins::record(random, schema);
        assert_eq!(after.matches(&words), before.matches(&words), "{context}: {text} of {values:?}");
    }
}

#[test]
fn what_a_condition_shows_is_read_as_the_same_condition() {
    let mut random = Random(17);
    for round in 0..if cfg!(miri) { 20 } else { 6_000 } {
        let schema = twins::schema(&mut random);
        let depth = random.below(5);
        let condition = twins::tree(&mut random, &schema, depth).condition();
        assert_same(&condition, &schema, &mut random, &format!("round {round}, {schema}"));
    }
}

/// As the other one, for fields that are called as words of the language.
#[test]
fn a_field_with_any_name_is_read_from_what_is_shown() {
    let names =
        ["true", "false", "null", "in", "and", "or", "not", "is", "timestamp", "date", "double", "b", "r", "_", "if"];
    let schema: Schema = names.map(|name| format!("{name}: u8?")).join(", ").parse().unwrap();
    for name in names {
        let name = field(name);
        for condition in [name.eq(3), !name.is_in([1, 2]), name.is_none() & name.gt(1) | !name.is_some()] {
            assert_eq!(Condition::parse(&condition.to_string(), &schema), Ok(condition));
        }
    }
}

#[test]
fn what_is_longer_or_deeper_than_allowed_is_refused_and_what_is_not_is_read() {
    let schema = schema();
    let deep = |depth: usize| format!("{}is_new{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Condition::parse(&deep(100), &schema).is_ok());
    let error = Condition::parse(&deep(101), &schema).unwrap_err();
    assert_eq!((error.message(), error.range()), ("expected at most 100 parentheses inside of each other", 100..101));
    assert!(Condition::parse(&deep(500_000), &schema).is_err());
    // Nothing but parentheses counts.
    let many = vec!["!!!is_new"; 50_000].join(" && ");
    assert!(Condition::parse(&many, &schema).is_ok());
    assert!(Condition::parse(&format!("{}is_new", "!".repeat(1 << 19)), &schema).is_ok());
    let limit = 1 << 20;
    let padded = format!("is_new{}", " ".repeat(limit - 6));
    assert!(Condition::parse(&padded, &schema).is_ok());
    let error = Condition::parse(&(padded + " "), &schema).unwrap_err();
    assert_eq!(error.message(), "expected a condition of at most 1048576 bytes, found 1048577");
}
