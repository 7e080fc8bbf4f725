//! How conditions are combined and shown, however large they are.

use crate::query::condition::Condition;
use crate::query::field_name::field;
use crate::query::predicate::Predicate;
use crate::schema::{FieldSchema, Schema};
use crate::value::field_type::FieldType;
use crate::value::time::{Date, Timestamp};
use crate::value::untyped::Value;

fn a() -> Condition {
    field("a").eq(1)
}

fn b() -> Condition {
    field("b").eq(2)
}

fn c() -> Condition {
    field("c").eq(3)
}

fn schema() -> Schema {
    Schema::new(["a", "b", "c"].map(|name| FieldSchema::new(name, FieldType::U64).nullable()).into()).unwrap()
}

#[test]
fn a_condition_is_shown_with_the_parentheses_that_it_needs() {
    for (condition, text) in [
        (a() & b() & c(), "a == 1 && b == 2 && c == 3"),
        (a() & (b() & c()), "a == 1 && b == 2 && c == 3"),
        (a() | b() | c(), "a == 1 || b == 2 || c == 3"),
        (a() | (b() | c()), "a == 1 || b == 2 || c == 3"),
        (a() & b() | c(), "a == 1 && b == 2 || c == 3"),
        (a() & (b() | c()), "a == 1 && (b == 2 || c == 3)"),
        ((a() | b()) & c(), "(a == 1 || b == 2) && c == 3"),
        (!a(), "!(a == 1)"),
        (!!a(), "a == 1"),
        (!(a() & b()), "!(a == 1 && b == 2)"),
        (!(a() | !(b() & !c())), "!(a == 1 || !(b == 2 && !(c == 3)))"),
        (!field("a").starts_with("x") & b(), "!a.startsWith(\"x\") && b == 2"),
        (Condition::all([]), "true"),
        (Condition::any([]), "false"),
        (!Condition::any([]), "!false"),
        (Condition::all([]) & a(), "a == 1"),
        (a() & Condition::all([]), "a == 1"),
        (a() | Condition::any([a() & b()]), "a == 1 || a == 1 && b == 2"),
        (Condition::any([]) & a(), "false && a == 1"),
        (Condition::all([a() | b(), Condition::any([]), c()]), "(a == 1 || b == 2) && false && c == 3"),
    ] {
        assert_eq!(condition.to_string(), text);
    }
    assert_eq!(
        format!("{:>8}|{:<8}|{:?}", field("a").lt(1), field("a").lt(1), a()),
        "   a < 1|a < 1   |Condition(a == 1)"
    );
}

#[test]
fn conditions_that_show_themselves_as_the_same_are_equal() {
    let a = || field("a");
    for (left, right) in [
        (a().eq(9_u8), a().eq(9_i64)),
        (a().is_in([1_u8, 2]), a().is_in([1_i32, 2])),
        (a().lt(0.5_f32), a().lt(0.5)),
        (a().lt(f32::INFINITY), a().lt(f64::INFINITY)),
    ] {
        assert_eq!(left.to_string(), right.to_string());
        assert_eq!(left, right);
    }
    assert_ne!(a().eq(0.1_f32), a().eq(0.1));
}

#[test]
fn each_value_is_shown_as_a_filter_has_it() {
    for (value, text) in [
        (Value::Null, "null"),
        (true.into(), "true"),
        ((-5).into(), "-5"),
        (u128::MAX.into(), "340282366920938463463374607431768211455"),
        (2.5_f32.into(), "2.5"),
        (f64::NAN.into(), "double(\"NaN\")"),
        (f32::INFINITY.into(), "double(\"Infinity\")"),
        (f64::NEG_INFINITY.into(), "double(\"-Infinity\")"),
        ("a\"b\\c\n\r\t\u{1}ä".into(), "\"a\\\"b\\\\c\\n\\r\\t\\u0001ä\""),
        (Value::Bytes(vec![0xca, 0xfe]), "b\"\\xca\\xfe\""),
        (Timestamp::from_microseconds(0).into(), "timestamp(\"1970-01-01T00:00:00.000000Z\")"),
        (Date::from_days(0).into(), "date(\"1970-01-01\")"),
    ] {
        assert_eq!(field("x").le(value).to_string(), format!("x <= {text}"));
    }
}

/// Looks at all that can be done with a condition, of which this is the size of the text.
fn use_all(condition: &Condition, text_bytes: usize) -> Predicate {
    let copy = condition.clone();
    assert!(copy == *condition);
    assert_eq!(copy.to_string().len(), text_bytes);
    drop(copy);
    Predicate::compile(condition, &schema()).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "Miri would need hours")]
fn a_million_parts_take_no_more_stack_than_one() {
    const COUNT: usize = 1_000_000;
    let one_bytes = "a == 1".len();
    let mut condition = a();
    (1..COUNT / 2).for_each(|_| condition = std::mem::replace(&mut condition, a()) & a());
    (0..COUNT / 2).for_each(|_| condition = a() & std::mem::replace(&mut condition, a()));
    let mut predicate = use_all(&condition, COUNT * one_bytes + (COUNT - 1) * " && ".len());
    assert!(predicate.matches(&[1 << 8 | 1, 0, 0, 0]) && !predicate.matches(&[2 << 8 | 1, 0, 0, 0]));
}

#[test]
#[cfg_attr(miri, ignore = "Miri would need hours")]
fn a_depth_of_hundred_thousand_takes_no_more_stack_than_one() {
    const DEPTH: usize = 100_000;
    // From the inside to the outside, to the left and to the right, with opposites in between.
    let mut condition = a();
    for depth in 0..DEPTH {
        let inner = std::mem::replace(&mut condition, a());
        condition = match depth % 4 {
            0 => !(inner & b()),
            1 => c() & inner,
            2 => inner | b(),
            _ => !(a() | inner),
        };
    }
    let text_bytes = condition.to_string().len();
    let mut predicate = use_all(&condition, text_bytes);
    // It has an answer; which one, the twins say for conditions that are less deep.
    let _ = predicate.matches(&[0; 4]);
    let mut opposite = a();
    (0..DEPTH).for_each(|_| opposite = !std::mem::replace(&mut opposite, a()));
    assert_eq!(opposite, a());
}
