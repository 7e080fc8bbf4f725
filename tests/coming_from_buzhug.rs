//! The examples of the page `docs/coming-from-buzhug.md`, which are parts of these functions.

#![allow(clippy::too_many_lines, unused_variables, reason = "the examples are for readers")]

use locule::maintenance::{Alteration, Position};
use locule::{Date, Error, RecordId, Schema, Table, Text, Value, Values, field, values};
use std::path::Path;

locule::record! {
    #[derive(Eq)]
    pub struct Person {
        pub name: Text<32>,
        pub age: Option<u32>,
        pub joined: Option<Date>,
        pub visits: u32 = 0,
    }
}

const PERSON: &str = "name: text(32), age: u32?, joined: date?, visits: u32 = 0";

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs a part of the page with the path of a table that does not exist yet.
fn at_a_path(body: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let directory = tempfile::tempdir()?;
    body(&directory.path().join("persons.loc"))
}

/// Runs a part of the page with a table of three persons, the ids of two, and the table without its type.
fn with_persons(body: impl FnOnce(Table<Person>, RecordId, RecordId, Table<Values>) -> Outcome) -> Outcome {
    at_a_path(|path| {
        let table = Table::<Person>::create(path, 100)?;
        let ids = [("ada", Some(36)), ("bob", Some(41)), ("eve", None)].map(|(name, age)| {
            let joined = Some(Date::from_days(19_782));
            table.insert(&Person { name: name.parse()?, age, joined, visits: 0 })
        });
        let [ada, bob, _] = ids;
        body(table, ada?, bob?, Table::<Values>::open(path)?)
    })
}

#[test]
fn create_typed() -> Outcome {
    at_a_path(|path| {
        let table = Table::<Person>::create(path, 10_000)?;
        let again = Table::<Person>::create(path, 10_000);
        assert!(matches!(again, Err(Error::AlreadyExists { .. })));

        // mode="override"
        let table = Table::<Person>::options().replace(path)?;
        // mode="open"
        let table = Table::<Person>::options().open_or_create(path)?;
        Ok(())
    })
}

#[test]
fn create_untyped() -> Outcome {
    at_a_path(|path| {
        let schema: Schema = PERSON.parse()?;
        let table = Table::<Values>::options().schema(schema.clone()).capacity(10_000).create(path)?;
        let table = Table::<Values>::options().schema(schema.clone()).replace(path)?;
        let table = Table::<Values>::options().schema(schema).open_or_create(path)?;
        // Both say the same.
        Table::<Person>::open(path)?;
        assert_eq!(table.schema().to_string(), PERSON);
        let other: Schema = "name: text(32), age: u16?, joined: date?, visits: u32 = 0".parse()?;
        let outcome = Table::<Values>::options().schema(other).open_or_create(path);
        assert!(matches!(outcome, Err(Error::SchemaMismatch { .. })));
        Ok(())
    })
}

#[test]
fn open_close_and_destroy() -> Outcome {
    at_a_path(|path| {
        Table::<Person>::create(path, 100)?;
        {
            let table = Table::<Values>::open(path)?;
            println!("{}", table.schema());
        }
        let table = Table::<Person>::open(path)?;
        table.close()?; // on the disk, or an error that says why not
        locule::destroy(path)?;
        assert!(matches!(Table::<Person>::open(path), Err(Error::DoesNotExist { .. })));
        Ok(())
    })
}

#[test]
fn set_default() -> Outcome {
    at_a_path(|path| {
        Table::<Person>::create(path, 100)?;
        Alteration::of(path).set_default("visits", Some(1.into())).apply()?;

        let table = Table::<Values>::open(path)?;
        let id = table.insert(&table.values(values! { name: "ada" })?)?;
        assert_eq!(table.get(id)?.and_then(|row| row.get("visits").cloned()), Some(1_u32.into()));
        assert!(Alteration::of(path).set_default("visit", Some(1.into())).apply().is_err());
        assert!(Alteration::of(path).set_default("visits", Some("one".into())).apply().is_err());
        Ok(())
    })
}

#[test]
fn insert_typed() -> Outcome {
    at_a_path(|path| {
        let table = Table::<Person>::create(path, 100)?;
        let ada = Person { name: "ada".parse()?, age: Some(36), ..Person::default() };
        let id = table.insert(&ada)?;
        assert_eq!(table.get(id)?.map(|row| row.visits), Some(0));
        Ok(())
    })
}

#[test]
fn insert_untyped() -> Outcome {
    with_persons(|_, _, _, table| {
        // By name: what is not named gets its default, and without a default it holds nothing.
        let ada = table.values(values! { name: "ada", age: 36 })?;
        let id = table.insert(&ada)?;
        // By position: all fields.
        let bob = Values::positional(table.schema(), [Value::from("bob"), 41.into(), Value::Null, 0.into()])?;
        table.insert(&bob)?;

        let error = table.values(values! { nmae: "ada" }).unwrap_err();
        assert_eq!(error.to_string(), "there is no field `nmae`: did you mean `name`?");
        assert!(table.values(values! { age: 36 }).is_err());
        Ok(())
    })
}

#[test]
fn insert_as_strings() -> Outcome {
    with_persons(|_, _, _, table| {
        let ada = Values::parse_named(table.schema(), [("name", "ada"), ("joined", "1843-10-09")])?;
        let bob = Values::parse_positional(table.schema(), ["bob", "41", "null", "0"])?;
        table.insert(&ada)?;
        table.insert(&bob)?;

        let error = Values::parse_named(table.schema(), [("name", "eve"), ("age", "old")]).unwrap_err();
        assert_eq!(error.to_string(), "field `age`: expected a u32, 0 to 4294967295, found \"old\"");
        Ok(())
    })
}

#[test]
fn update_typed() -> Outcome {
    with_persons(|table, id, _, _| {
        table.update(id, |person| person.age = Some(37))?;
        // Only if nobody has changed it since it was read:
        let row = table.get(id)?.ok_or("deleted")?;
        table.update_if(row.id(), row.version(), &Person { visits: 1, ..*row })?;
        // A list: all that a condition finds, in one transaction.
        table.query().filter(Person::FIELDS.age.gt(30)).update(|person| person.visits += 1)?;
        let row = table.get(id)?.ok_or("deleted")?;
        assert_eq!((row.age, row.visits, row.update_count()), (Some(37), 2, 3));
        Ok(())
    })
}

#[test]
fn update_untyped() -> Outcome {
    with_persons(|_, id, _, table| {
        table.update_fields(id, values! { age: 37 })?;
        table.query().filter(field("age").gt(30)).try_update(|person| person.set("visits", 2))?;
        assert_eq!(table.query().sum("visits")?, Some(4_u32.into()));
        Ok(())
    })
}

#[test]
fn delete() -> Outcome {
    with_persons(|table, id, other, _| {
        table.delete(id)?;
        assert!(matches!(table.delete(id), Err(Error::NotFound { .. })));
        // Only if nobody has changed it since it was read:
        let row = table.get(other)?.ok_or("deleted")?;
        table.delete_if(row.id(), row.version())?;
        // A list:
        let count = table.query().filter(field("age").lt(18)).delete()?;
        assert_eq!((count, table.len()?), (0, 1));
        Ok(())
    })
}

#[test]
fn cleanup() -> Outcome {
    with_persons(|table, id, _, _| {
        let path = table.path();
        table.delete(id)?;
        let scrubbed = locule::maintenance::scrub(path)?;
        println!("{} old contents wiped", scrubbed.cell_count);
        assert_eq!(scrubbed.cell_count, 1);
        Ok(())
    })
}

#[test]
fn commit() -> Outcome {
    with_persons(|table, id, _, _| {
        table.sync()?;
        table.write(|transaction| {
            transaction.insert(&Person { name: "eve".parse()?, ..Person::default() })?;
            transaction.update(id, |person| person.visits += 1)
        })?;
        assert_eq!(table.len()?, 4);
        Ok(())
    })
}

#[test]
fn add_and_drop_fields() -> Outcome {
    with_persons(|_, id, _, table| {
        let path = table.path();
        Alteration::of(path)
            .add_field_at(Position::After("name".to_owned()), "note: text(40)?".parse()?)
            .drop_field("joined")
            .capacity(20_000)
            .apply()?;

        // Those who use the table are told, and go on.
        assert!(matches!(table.len(), Err(Error::Superseded)));
        table.reopen()?;
        assert_eq!(table.schema().to_string(), "name: text(32), note: text(40)?, age: u32?, visits: u32 = 0");
        assert_eq!(table.get(id)?.map(|row| row.update_count()), Some(0));
        Ok(())
    })
}

#[test]
fn by_id_count_iterate_and_has() -> Outcome {
    with_persons(|table, id, _, _| {
        let row = table.get(id)?; // `None` if it was deleted
        let count = table.len()?;
        for row in &table {
            println!("{}", row?.id());
        }
        let is_there = table.get(id)?.is_some();
        assert!(row.is_some() && count == 3 && is_there);
        assert_eq!(table.get(RecordId::from_u64(u64::MAX))?, None);
        Ok(())
    })
}

#[test]
fn select_by_equality_and_ranges_typed() -> Outcome {
    with_persons(|table, _, _, _| {
        let f = Person::FIELDS;
        let rows = table.query().filter(f.name.eq("ada") & f.age.between(30, 40)).rows()?;
        assert_eq!(rows.len(), 1);
        Ok(())
    })
}

#[test]
fn select_by_equality_and_ranges_untyped() -> Outcome {
    with_persons(|_, _, _, table| {
        let condition = field("name").eq("ada") & field("age").between(30, 40);
        // The first argument of `select`: only these fields.
        let names = table.query().filter(condition).values(["name"])?;
        assert_eq!(names, [[Value::from("ada")]]);
        Ok(())
    })
}

#[test]
fn select_by_a_predicate() -> Outcome {
    with_persons(|table, _, _, _| {
        let f = Person::FIELDS;
        let (x, y) = (30, "ada");
        let rows = table.query().filter(f.age.gt(x) & f.name.eq(y)).rows()?;
        // Whatever else there is to ask, in Rust:
        let rows = table.select(|person| person.name.len() > 2 && person.visits % 2 == 0)?;
        assert_eq!(rows.len(), 3);
        assert_eq!(table.query().filter(f.age.gt(x) & f.name.eq(y)).count()?, 1);
        assert_eq!(table.query().filter(f.age.lt(30)).count()?, 0);
        assert_eq!(table.query().filter(f.age.is_none()).count()?, 1);
        Ok(())
    })
}

#[test]
fn select_by_a_pattern() -> Outcome {
    with_persons(|table, _, _, _| {
        let f = Person::FIELDS;
        let rows = table.query().filter(f.name.starts_with("ad") | f.name.contains("da")).rows()?;
        let also = table.select(|person| person.name.split(' ').any(|word| word.ends_with('a')))?;
        assert_eq!(rows, also);
        Ok(())
    })
}

#[cfg(feature = "filter")]
#[test]
fn select_by_text() -> Outcome {
    with_persons(|table, _, _, _| {
        let rows = table.query().filter_text("age > 30 && name == 'ada'")?.rows()?;
        assert_eq!(rows.len(), 1);
        Ok(())
    })
}

#[cfg(feature = "filter")]
#[test]
fn select_by_a_regular_expression() -> Outcome {
    with_persons(|table, _, _, _| {
        let rows = table.query().filter(field("name").matches("^ad")).rows()?;
        assert_eq!(rows.len(), 1);
        Ok(())
    })
}

#[test]
fn select_for_update() -> Outcome {
    with_persons(|table, _, _, _| {
        table.write(|transaction| {
            let found = transaction.query().filter(Person::FIELDS.visits.eq(0)).rows()?;
            for row in found {
                transaction.update(row.id(), |person| person.visits = 1)?;
            }
            Ok(())
        })?;
        assert_eq!(table.query().sum("visits")?, Some(3_u32.into()));
        Ok(())
    })
}

#[test]
fn sort_by() -> Outcome {
    with_persons(|typed, _, _, untyped| {
        let table = typed;
        let f = Person::FIELDS;
        let rows = table.query().sort_by(f.name.ascending()).sort_by(f.age.descending()).rows()?;
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["ada", "bob", "eve"]);
        let table = untyped;
        let rows = table.query().sort_by(field("age").descending().nones_first()).limit(10).rows()?;
        let ages: Vec<_> = rows.iter().map(|row| row.get("age").cloned()).collect();
        assert_eq!(ages, [Some(Value::Null), Some(41_u32.into()), Some(36_u32.into())]);
        Ok(())
    })
}

#[test]
fn introspection() -> Outcome {
    with_persons(|table, _, _, _| {
        let ids: Vec<RecordId> = table.iter().map(|row| Ok(row?.id())).collect::<locule::Result<_>>()?;
        for field in table.schema().fields() {
            println!("{} is {}, and by default {:?}", field.name(), field.field_type(), field.default_value());
        }
        let row = table.get(ids[0])?.ok_or("deleted")?;
        println!("{}: version {}, updated {} times", row.id(), row.version(), row.update_count());
        assert_eq!(row.update_count(), 0);
        Ok(())
    })
}
