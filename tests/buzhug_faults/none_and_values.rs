//! Faults 7, 8 and 9: none, values that do not come back, and predicates that are run.

use super::{Finding, assert_gone, ensure, table};
use locule::{Date, Table, Timestamp, Value, Values, field};
use test_kit::scratch;

// -- fault 7 ---------------------------------------------------------------------------------------

/// Persons, some of whom have no age.
trait Ages {
    fn younger_than(&self, age: u32) -> Vec<String>;
    fn not_younger_than(&self, age: u32) -> Vec<String>;
    fn by_age(&self) -> Vec<String>;
}

const PERSONS: [(&str, Option<u32>); 4] = [("ada", Some(36)), ("bob", None), ("eve", Some(7)), ("kim", None)];

fn names(query: locule::Query<'_, Values>) -> Vec<String> {
    query.values(["name"]).unwrap().into_iter().map(|row| row[0].to_string()).collect()
}

impl Ages for Table<Values> {
    fn younger_than(&self, age: u32) -> Vec<String> {
        names(self.query().filter(field("age").lt(age)))
    }

    fn not_younger_than(&self, age: u32) -> Vec<String> {
        names(self.query().filter(!field("age").lt(age)))
    }

    fn by_age(&self) -> Vec<String> {
        names(self.query().sort_by(field("age").ascending()))
    }
}

/// None is below every number, as in Python 2 and in the order of Rust's `Option`.
struct NaiveAges;

impl Ages for NaiveAges {
    fn younger_than(&self, age: u32) -> Vec<String> {
        PERSONS.iter().filter(|(_, found)| *found < Some(age)).map(|(name, _)| (*name).to_owned()).collect()
    }

    fn not_younger_than(&self, age: u32) -> Vec<String> {
        PERSONS.iter().filter(|(_, found)| *found >= Some(age)).map(|(name, _)| (*name).to_owned()).collect()
    }

    fn by_age(&self) -> Vec<String> {
        let mut persons = PERSONS;
        persons.sort_by_key(|(_, age)| *age);
        persons.map(|(name, _)| name.to_owned()).into()
    }
}

fn check_that_none_is_not_young(ages: &impl Ages) -> Finding {
    ensure(ages.younger_than(30) == ["eve"], "`age < 30` finds those without an age")?;
    ensure(ages.not_younger_than(30) == ["ada"], "the opposite of `age < 30` finds those without an age")
}

fn check_that_none_is_last(ages: &impl Ages) -> Finding {
    ensure(ages.by_age() == ["eve", "ada", "bob", "kim"], "those without an age are the youngest")
}

#[test]
fn fault_7_none_is_below_every_value() {
    let (_directory, path) = scratch();
    let table = table(&path, "name: text(8), age: u32?");
    for (name, age) in PERSONS {
        table.insert(&table.values([("name", Value::from(name)), ("age", age.into())]).unwrap()).unwrap();
    }
    assert_gone(
        check_that_none_is_not_young(&table),
        check_that_none_is_not_young(&NaiveAges),
        "`age < 30` finds those without an age",
    );
    assert_gone(
        check_that_none_is_last(&table),
        check_that_none_is_last(&NaiveAges),
        "those without an age are the youngest",
    );
    assert_eq!(names(table.query().filter(field("age").is_none())), ["bob", "kim"], "they are found when asked for");
}

// -- fault 8 ---------------------------------------------------------------------------------------

/// A table with a field of each type that Buzhug had.
trait Storing {
    /// The value as it is read again; `None` if that fails.
    fn there_and_back(&self, value: &Value) -> Option<Value>;
    /// Whether a text is found between two others.
    fn is_between(&self, text: &str, least: &str, greatest: &str) -> bool;
}

impl Storing for Table<Values> {
    fn there_and_back(&self, value: &Value) -> Option<Value> {
        let name = match value {
            Value::Signed(_) => "int",
            Value::Float64(_) => "float",
            Value::Timestamp(_) => "datetime",
            Value::Date(_) => "date",
            _ => "text",
        };
        let id = self.insert(&self.values([(name, value.clone())]).ok()?).ok()?;
        // From the file, and found by its value.
        let table = Table::<Values>::open(self.path()).ok()?;
        let found = table.query().filter(field(name).eq(value.clone())).rows().ok()?;
        assert!(found.iter().any(|row| row.id() == id), "{value} is found");
        table.remove(id).ok()?.get(name).cloned()
    }

    fn is_between(&self, text: &str, least: &str, greatest: &str) -> bool {
        let id = self.insert(&self.values([("text", text)]).unwrap()).unwrap();
        let count = self.query().filter(field("text").between(least, greatest)).count().unwrap();
        self.delete(id).unwrap();
        count == 1
    }
}

/// What Buzhug's files did to values.
struct NaiveBlocks;

impl Storing for NaiveBlocks {
    fn there_and_back(&self, value: &Value) -> Option<Value> {
        Some(match value {
            // Four bytes, two bits of which mark deleted records.
            Value::Signed(number) => Value::Signed(i128::from((*number as i32) << 1 >> 1)),
            // Bits that are ordered like the numbers; but only those of positive ones are turned back.
            Value::Float64(number) => {
                let bits = number.to_bits();
                let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                Value::Float64(f64::from_bits(ordered & !(1 << 63)))
            }
            Value::Timestamp(time) => {
                let seconds = time.microseconds().div_euclid(1_000_000);
                Value::Timestamp(Timestamp::from_microseconds(seconds * 1_000_000))
            }
            Value::Date(date) if date.year() < 1900 => return None,
            other => other.clone(),
        })
    }

    fn is_between(&self, text: &str, least: &str, greatest: &str) -> bool {
        // The text is compared with its length in front of it.
        let stored = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
        (stored(least)..=stored(greatest)).contains(&stored(text))
    }
}

fn check_that_it_comes_back(storing: &impl Storing, value: impl Into<Value>) -> Finding {
    let value = value.into();
    match storing.there_and_back(&value) {
        Some(found) if found.to_string() == value.to_string() => Ok(()),
        _ => Err(format!("{value} does not come back")),
    }
}

fn check_that_ranges_of_text_work(storing: &impl Storing) -> Finding {
    ensure(storing.is_between("bravo", "b", "c"), "a range of text matches nothing")?;
    ensure(!storing.is_between("delta", "b", "c"), "a range of text matches too much")
}

#[test]
fn fault_8_values_are_lost_or_changed() {
    let (_directory, path) = scratch();
    let table = table(&path, "int: i64?, float: f64?, text: text(32)?, datetime: timestamp?, date: date?");
    assert_gone(
        check_that_ranges_of_text_work(&table),
        check_that_ranges_of_text_work(&NaiveBlocks),
        "a range of text matches nothing",
    );
    let microsecond: Timestamp = "2024-02-29T23:59:59.999999Z".parse().unwrap();
    let early: Date = "1899-12-31".parse().unwrap();
    let integers = [(1 << 30) + 1, -(1 << 30) - 1, i64::from(i32::MAX) + 1, i64::MAX, i64::MIN].map(Value::from);
    let floats = [-0.1, -1.5, -f64::MIN_POSITIVE, f64::MIN, f64::NEG_INFINITY].map(Value::from);
    let times = [Value::from(microsecond), Timestamp::from_microseconds(-1).into(), early.into(), Date::MIN.into()];
    for value in integers.into_iter().chain(floats).chain(times) {
        assert_gone(
            check_that_it_comes_back(&table, value.clone()),
            check_that_it_comes_back(&NaiveBlocks, value.clone()),
            &format!("{value} does not come back"),
        );
    }
}

// -- fault 9 ---------------------------------------------------------------------------------------

/// Names, of which some are looked for by a text of somebody else's.
trait Names {
    fn find(&mut self, name: &str) -> Vec<String>;
    fn count(&mut self) -> usize;
}

impl Names for Table<Values> {
    fn find(&mut self, name: &str) -> Vec<String> {
        // As the name of a field it is of no more use.
        self.query().filter(field(name.to_owned()).eq(1)).count().unwrap_err();
        names(self.query().filter(field("name").eq(name)))
    }

    fn count(&mut self) -> usize {
        self.len().unwrap().try_into().unwrap()
    }
}

/// Puts the text into a predicate, and runs that as a program of statements.
struct NaiveNames(Vec<String>);

impl Names for NaiveNames {
    fn find(&mut self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for statement in format!("name == '{name}'").split(';') {
            if statement.trim() == "clear()" {
                self.0.clear();
                continue;
            }
            for name in &self.0 {
                let is_true = |term: &str| term == "True" || term == format!("name == '{name}'");
                if statement.split(" or ").map(str::trim).any(is_true) {
                    found.push(name.clone());
                }
            }
        }
        found
    }

    fn count(&mut self) -> usize {
        self.0.len()
    }
}

fn check_that_a_text_is_only_a_text(names: &mut impl Names) -> Finding {
    ensure(names.find("ada") == ["ada"], "a name is not found")?;
    ensure(names.find("' or True or '").is_empty(), "a text was run as a part of a predicate")
}

fn check_that_a_text_cannot_write(names: &mut impl Names) -> Finding {
    names.find("'; clear(); '");
    ensure(names.count() == 2, "a text was run as a statement")
}

#[test]
fn fault_9_predicates_are_run_as_code() {
    let (_directory, path) = scratch();
    let mut table = table(&path, "name: text(16)");
    for name in ["ada", "eve"] {
        table.insert(&table.values([("name", name)]).unwrap()).unwrap();
    }
    let naive = || NaiveNames(["ada", "eve"].map(str::to_owned).into());
    assert_gone(
        check_that_a_text_is_only_a_text(&mut table),
        check_that_a_text_is_only_a_text(&mut naive()),
        "a text was run as a part of a predicate",
    );
    assert_gone(
        check_that_a_text_cannot_write(&mut table),
        check_that_a_text_cannot_write(&mut naive()),
        "a text was run as a statement",
    );
    // A predicate that is text is read, and not run.
    #[cfg(feature = "filter")]
    for text in ["clear()", "name == 'ada'; clear()", "__import__('os').system('true')", "name == 'ada' or True"] {
        assert!(table.query().filter_text(text).is_err(), "{text}");
    }
}
