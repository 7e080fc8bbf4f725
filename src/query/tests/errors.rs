//! What cannot be asked of the records of a schema is refused before any is read.

use crate::error::Error;
use crate::query::condition::Condition;
use crate::query::field_name::field;
use crate::query::predicate::Predicate;
use crate::schema::{FieldSchema, Schema};
use crate::value::field_type::FieldType;
use crate::value::time::{Date, Timestamp};
use crate::value::untyped::Value;

fn schema() -> Schema {
    let field = FieldSchema::new;
    Schema::new(vec![
        field("id", FieldType::U64).key(),
        field("user", FieldType::Text(32)),
        field("hits", FieldType::U8),
        field("blob", FieldType::Bytes(4)),
        field("seen", FieldType::Timestamp),
        field("day", FieldType::Date).nullable(),
        field("banned", FieldType::Bool),
    ])
    .unwrap()
}

fn refusal(condition: &Condition) -> String {
    Predicate::compile(condition, &schema()).expect_err("it cannot be asked").to_string()
}

#[test]
fn an_unknown_field_is_refused_wherever_it_is_and_the_nearest_one_is_named() {
    for condition in [field("hit").gt(3), !field("hit").is_none(), field("id").lt(-1) & field("hit").gt(3)] {
        match Predicate::compile(&condition, &schema()) {
            Err(Error::UnknownField { name, suggestion }) => {
                assert_eq!((&*name, suggestion.as_deref()), ("hit", Some("hits")));
            }
            other => panic!("expected an unknown field, found {other:?}"),
        }
    }
    assert_eq!(refusal(&field("colour").eq(1)), "there is no field `colour`");
}

#[test]
fn a_value_of_another_kind_is_refused() {
    for (condition, reason) in [
        (field("hits").gt("x"), "`hits` is u8, and is compared with the text \"x\": expected a number"),
        (field("user").eq(3), "`user` is text(32), and is compared with the number 3: expected text"),
        (field("user").eq(b"ab"), "`user` is text(32), and is compared with the bytes b\"\\x61\\x62\": expected text"),
        (field("blob").eq("ab"), "`blob` is bytes(4), and is compared with the text \"ab\": expected bytes"),
        (field("banned").eq(1), "`banned` is bool, and is compared with the number 1: expected a bool"),
        (
            field("hits").is_in(vec![Value::from(1), true.into()]),
            "`hits` is u8, and is compared with the bool true: expected a number",
        ),
        (
            field("seen").lt(Date::from_days(0)),
            "`seen` is timestamp, and is compared with the date date(\"1970-01-01\"): expected a timestamp",
        ),
        (
            field("day").lt(Timestamp::from_microseconds(0)),
            "`day` is date, and is compared with the timestamp timestamp(\"1970-01-01T00:00:00.000000Z\"): expected a date",
        ),
        (field("user").contains(3), "`user` is text(32), and is compared with the number 3: expected text"),
        (field("hits").starts_with("x"), "`hits` is u8, and only text and bytes can be asked for `startsWith`"),
        (
            field("day").eq(Value::Null),
            "`day` is compared with none, which is true of no record: ask whether it is there with `is_none` or `is_some`",
        ),
    ] {
        assert_eq!(refusal(&condition), reason);
        assert_eq!(refusal(&!condition), reason);
    }
}

#[test]
fn a_number_that_the_field_cannot_hold_is_compared_with_all_the_same() {
    let record = [0_u64; 9];
    for (condition, is_true) in [
        (field("hits").lt(300), true),
        (field("hits").gt(300), false),
        (field("hits").lt(-1), false),
        (field("hits").ne(-1), true),
        (field("hits").lt(0.5), true),
        (field("hits").lt(f64::NAN), false),
        (field("hits").ne(f64::NAN), true),
        (field("user").lt("a".repeat(100)), true),
        (field("user").ends_with("a".repeat(100)), false),
    ] {
        assert_eq!(Predicate::compile(&condition, &schema()).unwrap().matches(&record), is_true, "{condition}");
        assert_eq!(Predicate::compile(&!condition, &schema()).unwrap().matches(&record), !is_true);
    }
}
