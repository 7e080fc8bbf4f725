//! Queries of tables with and without a type, of snapshots and inside transactions.

use locule::{Error, Table, Value, Values, field, values};
use test_kit::{Visit, Visits, insert_all, keys, options, scratch, visit};

locule::record! {
    /// Also with names that are Rust's, and fields that only this module sees.
    #[derive(Eq)]
    pub(crate) struct Job {
        pub key r#type: locule::Text<8>,
        priority: i16,
        pub(crate) started: Option<locule::Timestamp>,
        is_done: bool = false,
    }
}

fn jobs() -> (tempfile::TempDir, Table<Job>) {
    let directory = tempfile::tempdir().unwrap();
    let table = Table::<Job>::create(directory.path().join("jobs.loc"), 20).unwrap();
    for (name, priority, started) in
        [("a", 3, None), ("b", -1, Some(10)), ("c", 3, Some(5)), ("d", 7, None), ("e", 0, Some(7))]
    {
        let started = started.map(locule::Timestamp::from_microseconds);
        table.insert(&Job { r#type: name.parse().unwrap(), priority, started, is_done: false }).unwrap();
    }
    (directory, table)
}

/// The names, in the order of the result.
fn names(rows: locule::Result<Vec<locule::Row<Job>>>) -> String {
    rows.unwrap().iter().map(|row| row.r#type.to_string()).collect()
}

#[test]
fn records_are_sorted_by_several_fields_each_in_its_direction_and_cut() {
    let (_directory, table) = jobs();
    let f = Job::FIELDS;
    assert_eq!(names(table.query().sort_by(f.priority.descending()).sort_by(f.r#type.ascending()).rows()), "daceb");
    assert_eq!(names(table.query().sort_by(f.priority.descending()).sort_by(f.r#type.descending()).rows()), "dcaeb");
    assert_eq!(names(table.query().sort_by(f.priority.ascending()).offset(1).limit(3).rows()), "eac");
    // Equal records stay in the order of their slots, and nothing is wanted twice.
    assert_eq!(names(table.query().sort_by(f.is_done.ascending()).rows()), "abcde");
    assert_eq!(names(table.query().offset(4).limit(9).rows()), "e");
    assert_eq!(names(table.query().offset(5).rows()), "");
    // Each of what is not there was once passed over by itself.
    assert_eq!(names(table.query().offset(u64::MAX).rows()), "");
    assert_eq!(names(table.query().sort_by(f.priority.ascending()).offset(u64::MAX).rows()), "");
    assert_eq!(table.query().offset(u64::MAX).delete().unwrap(), 0);
    assert_eq!(names(table.query().limit(0).rows()), "");
}

#[test]
fn what_holds_nothing_is_last_or_first_as_asked_and_never_matches_a_comparison() {
    let (_directory, table) = jobs();
    let f = Job::FIELDS;
    let moment = locule::Timestamp::from_microseconds(7);
    assert_eq!(names(table.query().sort_by(f.started.ascending()).rows()), "cebad");
    assert_eq!(names(table.query().sort_by(f.started.descending()).rows()), "becad");
    assert_eq!(names(table.query().sort_by(f.started.descending().nones_first()).rows()), "adbec");
    assert_eq!(names(table.query().filter(f.started.le(moment)).rows()), "ce");
    assert_eq!(names(table.query().filter(!f.started.le(moment)).rows()), "b");
    assert_eq!(names(table.query().filter(f.started.is_none()).rows()), "ad");
    assert_eq!(names(table.query().filter(!f.started.is_none() & f.priority.ge(0)).rows()), "ce");
}

#[test]
fn aggregates_leave_out_what_holds_nothing() {
    let (_directory, table) = jobs();
    let f = Job::FIELDS;
    assert_eq!(table.query().sum(f.priority).unwrap(), Some(Value::from(12_i64)));
    assert_eq!(table.query().min(f.started).unwrap(), Some(locule::Timestamp::from_microseconds(5).into()));
    assert_eq!(table.query().max("type").unwrap(), Some("e".into()));
    assert_eq!(table.query().filter(f.priority.gt(7)).max("type").unwrap(), None);
    assert_eq!(table.query().filter(f.started.is_none()).sum(f.priority).unwrap(), Some(Value::from(10_i64)));
    assert!(matches!(table.query().sum("type"), Err(Error::InvalidArgument { .. })));
    let values = table.query().filter(f.priority.eq(3)).values(["priority", "type"]).unwrap();
    assert_eq!(values, [[Value::from(3_i16), "a".into()], [Value::from(3_i16), "c".into()]]);
}

#[test]
fn a_mistake_is_an_error_before_any_record_is_read() {
    let (_directory, table) = jobs();
    let error = |outcome: locule::Result<u64>| outcome.unwrap_err().to_string();
    // Even if no record would ever be looked at.
    let query = || table.query().filter(field("priority").gt(1000)).limit(0);
    assert_eq!(
        error(query().filter(field("prioriti").gt(3)).count()),
        "there is no field `prioriti`: did you mean `priority`?"
    );
    assert_eq!(
        error(query().sort_by(field("typ").ascending()).delete()),
        "there is no field `typ`: did you mean `type`?"
    );
    // Even if the order says nothing about the answer.
    let by_nothing = || query().sort_by(field("typ").ascending());
    assert!(matches!(by_nothing().count(), Err(Error::UnknownField { .. })));
    assert!(matches!(by_nothing().exists(), Err(Error::UnknownField { .. })));
    assert!(matches!(query().filter(field("type").gt(3)).count(), Err(Error::InvalidArgument { .. })));
    assert!(matches!(query().min("nothing"), Err(Error::UnknownField { suggestion: None, .. })));
    assert!(matches!(query().values(["type", "kind"]), Err(Error::UnknownField { .. })));
}

#[test]
fn typed_and_untyped_queries_of_one_file_find_the_same() {
    let (_directory, path) = scratch();
    let typed = options().create(&path).unwrap();
    insert_all(&typed, 0..40);
    for key in 0..40 {
        typed.upsert(&visit(key, key % 7)).unwrap();
    }
    let untyped = Table::<Values>::open(&path).unwrap();
    for hits in 0..8_u64 {
        let name = format!("{:020}", 30);
        let by_token = Visit::FIELDS.hits.gt(hits) | Visit::FIELDS.name.starts_with(name.as_str());
        let by_name = field("hits").gt(hits) | field("name").starts_with(name);
        assert_eq!(by_token.to_string(), by_name.to_string());
        let found = typed.query().filter(by_token).sort_by(Visit::FIELDS.hits.descending()).rows().unwrap();
        let also = untyped.query().filter(by_name).sort_by(field("hits").descending()).rows().unwrap();
        assert_eq!(found.len(), also.len());
        for (found, also) in found.iter().zip(&also) {
            assert_eq!(
                (found.id(), found.version(), found.update_count()),
                (also.id(), also.version(), also.update_count())
            );
            assert_eq!(also.get("hits"), Some(&found.hits.into()));
        }
    }
}

#[test]
fn a_transaction_finds_what_it_has_written_itself() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    let f = Visit::FIELDS;
    table
        .write(|transaction| {
            transaction.insert(&visit(7, 3))?;
            let two = transaction.find(&2)?.unwrap();
            transaction.delete(two.id())?;
            assert_eq!(transaction.query().filter(f.visitor.ge(2)).count()?, 3);
            assert_eq!(transaction.query().filter(f.hits.eq(3)).delete()?, 1);
            assert_eq!(transaction.query().filter(f.visitor.ge(2)).delete()?, 2);
            Ok(())
        })
        .unwrap();
    assert_eq!(keys(&table), [0, 1]);
}

#[test]
fn an_update_or_a_deletion_of_many_happens_whole_or_not_at_all() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    let before = table.status().last;
    let failed = table.query().try_update(|found: &mut Visit| {
        *found = visit(found.visitor, 9);
        if found.visitor == 3 { Err(Error::caller("enough")) } else { Ok(()) }
    });
    assert_eq!(failed.unwrap_err().to_string(), "enough");
    assert!(matches!(table.query().update(|visit| visit.visitor += 1), Err(Error::KeyChanged)));
    assert_eq!((table.status().last, table.query().filter(Visit::FIELDS.hits.ne(0)).count().unwrap()), (before, 0));
    // One transaction for all of them.
    assert_eq!(table.query().limit(4).update(|found| *found = visit(found.visitor, 9)).unwrap(), 4);
    assert_eq!(table.status().last, before + 1);
    assert_eq!(table.query().filter(Visit::FIELDS.hits.eq(9)).limit(3).delete().unwrap(), 3);
    assert_eq!(keys(&table), [3, 4]);
}

#[test]
fn after_a_mistake_in_a_transaction_the_rest_of_it_can_still_happen() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    table
        .write(|transaction| {
            let outcome = transaction.query().update(|visit| visit.visitor = 100);
            assert!(matches!(outcome, Err(Error::KeyChanged)));
            transaction.insert(&visit(50, 1)).map(drop)
        })
        .unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 3, 4, 50]);
}

#[test]
fn a_snapshot_and_a_read_only_handle_are_not_written_through() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    let outcome = table.snapshot(|view| view.query().delete());
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    let reader = options().open_read_only(&path).unwrap();
    assert!(matches!(reader.query().delete(), Err(Error::ReadOnly { .. })));
    assert_eq!(reader.query().filter(Visit::FIELDS.visitor.gt(2)).count().unwrap(), 2);
    assert_eq!(keys(&table).len(), 5);
}

#[test]
fn a_closure_of_a_query_cannot_use_the_table_in_a_way_that_would_wait_for_itself() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..2);
    let outcome = table.query().try_update(|_| table.insert(&visit(9, 0)).map(drop));
    assert!(matches!(outcome, Err(Error::Nested)), "{outcome:?}");
    assert_eq!(keys(&table), [0, 1]);
}

#[test]
fn a_query_of_a_superseded_table_says_so_and_goes_on_after_a_reopening() {
    let (_directory, path) = scratch();
    let table: Visits = options().create(&path).unwrap();
    drop(options().replace(&path).unwrap());
    assert!(matches!(table.query().rows(), Err(Error::Superseded)));
    assert!(matches!(table.query().delete(), Err(Error::Superseded)));
    table.reopen().unwrap();
    assert_eq!(table.query().count().unwrap(), 0);
}

#[test]
fn an_untyped_table_is_used_by_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users.loc");
    let schema: locule::Schema = "key name: text(8), age: u8?, score: f32 = 0.5".parse().unwrap();
    let table = Table::<Values>::options().schema(schema).create(&path).unwrap();
    let ada = table.values(values! { name: "ada", age: 36 }).unwrap();
    let id = table.insert(&ada).unwrap();
    let duplicate = table.insert(&ada).unwrap_err().to_string();
    assert!(duplicate.contains("ada"), "{duplicate}");
    assert_eq!(table.query().filter(field("age").gt(30)).update(|row| row.set("age", 37).unwrap()).unwrap(), 1);
    assert_eq!(table.get(id).unwrap().unwrap().to_string(), "name: ada, age: 37, score: 0.5");
    let outcome = table.query().try_update(|row| row.set("age", 300));
    assert_eq!(outcome.unwrap_err().to_string(), "field `age`: expected a u8, 0 to 255, found the integer 300");
    // A record of another table does not fit, whatever its values.
    let other: std::sync::Arc<locule::Schema> = std::sync::Arc::new("key name: text(9)".parse().unwrap());
    let foreign = Values::named(&other, values! { name: "eve" }).unwrap();
    assert!(matches!(table.insert(&foreign), Err(Error::SchemaMismatch { .. })));
    assert_eq!(table.find("eve").unwrap(), None);
}

#[test]
fn a_table_without_a_key_has_no_calls_by_key() {
    let directory = tempfile::tempdir().unwrap();
    let schema: locule::Schema = "text: text(8)".parse().unwrap();
    let table = Table::<Values>::options().schema(schema).create(directory.path().join("lines.loc")).unwrap();
    let line = table.values(values! { text: "one" }).unwrap();
    table.insert(&line).unwrap();
    for outcome in [
        table.find("one").map(drop),
        table.upsert(&line).map(drop),
        table.upsert_with(&line, |_| {}).map(drop),
        table.remove_by_key("one").map(drop),
        table.replace_all([&line]),
        table.snapshot(|view| view.find("one").map(drop)),
        table.write(|transaction| transaction.upsert(&line).map(drop)),
    ] {
        assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    }
    assert_eq!(table.query().filter(field("text").eq("one")).count().unwrap(), 1);
    // A table that is to be made needs a schema.
    let outcome = Table::<Values>::create(directory.path().join("other.loc"), 9).map(drop);
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    // One that is there once needed it too if it could have been made.
    let open_or_create = |name: &str| Table::<Values>::options().open_or_create(directory.path().join(name));
    assert!(matches!(open_or_create("other.loc"), Err(Error::InvalidArgument { .. })));
    assert!(!directory.path().join("other.loc").exists());
    assert_eq!(open_or_create("lines.loc").unwrap().len().unwrap(), 1);
}
