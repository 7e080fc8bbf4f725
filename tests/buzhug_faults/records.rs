//! Faults 4, 5 and 6: records that change in the caller's hands, deletes that hit another record, and ids that name a
//! wrong one.

use super::{Finding, assert_gone, ensure, table};
use locule::{RecordId, Table, Value, Values};
use std::collections::BTreeMap;
use test_kit::scratch;

/// Too long for the field.
const LONG: &str = "more than eight bytes";

// -- fault 4 ---------------------------------------------------------------------------------------

/// What is done with a record that was read.
trait Records {
    /// A record in the caller's hands.
    type Record;

    /// The only record: `hits` is 1, and `note` is "old".
    fn read(&self) -> Self::Record;
    fn value(record: &Self::Record, name: &str) -> String;
    fn assign(record: &mut Self::Record, name: &str, value: Value);
    /// Gives fields other values. Returns whether it did.
    fn update(&mut self, record: &mut Self::Record, fields: [(&str, Value); 2]) -> bool;
}

struct OneRecord {
    table: Table<Values>,
    id: RecordId,
}

impl Records for OneRecord {
    type Record = Values;

    fn read(&self) -> Values {
        self.table.get(self.id).unwrap().unwrap().into_record()
    }

    fn value(record: &Values, name: &str) -> String {
        record.get(name).unwrap().to_string()
    }

    fn assign(record: &mut Values, name: &str, value: Value) {
        record.set(name, value).unwrap();
    }

    fn update(&mut self, record: &mut Values, fields: [(&str, Value); 2]) -> bool {
        let is_done = self.table.update_fields(self.id, fields.clone()).is_ok();
        // Nor does it change the caller's record to try the same there.
        let is_possible = record.clone().set_all(fields.clone()).is_ok();
        assert_eq!(is_done, is_possible);
        if !is_possible {
            record.set_all(fields).unwrap_err();
        }
        is_done
    }
}

/// A record is a set of attributes. An update assigns them one after the other, and then writes all.
struct NaiveRecord(BTreeMap<String, Value>);

impl Records for NaiveRecord {
    type Record = BTreeMap<String, Value>;

    fn read(&self) -> Self::Record {
        self.0.clone()
    }

    fn value(record: &Self::Record, name: &str) -> String {
        record[name].to_string()
    }

    fn assign(record: &mut Self::Record, name: &str, value: Value) {
        record.insert(name.to_owned(), value);
    }

    fn update(&mut self, record: &mut Self::Record, fields: [(&str, Value); 2]) -> bool {
        for (name, value) in fields {
            if value.as_str().is_some_and(|text| text.len() > 8) {
                return false;
            }
            Self::assign(record, name, value);
        }
        self.0.clone_from(record);
        true
    }
}

fn check_that_a_failed_update_changes_nothing<R: Records>(mut records: R) -> Finding {
    let mut record = records.read();
    let is_done = records.update(&mut record, [("hits", 2.into()), ("note", LONG.into())]);
    ensure(!is_done, "a text that is too long was accepted")?;
    ensure(R::value(&records.read(), "hits") == "1", "half of an update was saved")?;
    ensure(R::value(&record, "hits") == "1", "a failed update has changed the caller's record")
}

fn check_that_an_assignment_is_not_saved<R: Records>(mut records: R) -> Finding {
    let mut record = records.read();
    R::assign(&mut record, "hits", 9.into());
    ensure(R::value(&records.read(), "hits") == "1", "an assignment was saved at once")?;
    ensure(records.update(&mut record, [("note", "new".into()), ("name", "ada".into())]), "an update was refused")?;
    ensure(R::value(&records.read(), "note") == "new", "an update was not saved")?;
    ensure(R::value(&records.read(), "hits") == "1", "an assignment was saved by a later update")
}

#[test]
fn fault_4_a_failed_update_changes_the_callers_record_and_assignments_are_saved_by_chance() {
    let (_directory, path) = scratch();
    let table = table(&path, "hits: u32, note: text(8), name: text(8)");
    let first = || table.values(locule::values! { hits: 1, note: "old", name: "bob" }).unwrap();
    let insert = || table.insert(&first()).unwrap();
    let one = || OneRecord { id: insert(), table: Table::<Values>::open(&path).unwrap() };
    let naive = || {
        let first = [("hits", 1.into()), ("note", "old".into()), ("name", "bob".into())];
        NaiveRecord(first.map(|(name, value)| (name.to_owned(), value)).into())
    };
    assert_gone(
        check_that_a_failed_update_changes_nothing(one()),
        check_that_a_failed_update_changes_nothing(naive()),
        "a failed update has changed the caller's record",
    );
    assert_gone(
        check_that_an_assignment_is_not_saved(one()),
        check_that_an_assignment_is_not_saved(naive()),
        "an assignment was saved by a later update",
    );
}

// -- faults 5 and 6 --------------------------------------------------------------------------------

/// A table of numbers, each known by an id.
trait Numbers {
    fn insert(&mut self, number: i64) -> i64;
    /// What is needed to write it only if it has not changed.
    fn version(&self, id: i64) -> u64;
    fn update(&mut self, id: i64, number: i64);
    /// Deletes a record that was read when it had this version. Returns whether it did.
    fn delete(&mut self, id: i64, version: u64) -> bool;
    fn get(&self, id: i64) -> Option<i64>;
}

fn id_of(number: i64) -> RecordId {
    RecordId::from_u64(number as u64)
}

impl Numbers for Table<Values> {
    fn insert(&mut self, number: i64) -> i64 {
        Table::insert(self, &Values::positional(self.schema(), [number]).unwrap()).unwrap().to_u64() as i64
    }

    fn version(&self, id: i64) -> u64 {
        Table::get(self, id_of(id)).unwrap().unwrap().version()
    }

    fn update(&mut self, id: i64, number: i64) {
        Table::update_fields(self, id_of(id), [("number", number)]).unwrap();
    }

    fn delete(&mut self, id: i64, version: u64) -> bool {
        self.delete_if(id_of(id), version).is_ok()
    }

    fn get(&self, id: i64) -> Option<i64> {
        let row = Table::get(self, id_of(id)).unwrap()?;
        row.get("number").and_then(Value::as_i128).and_then(|number| i64::try_from(number).ok())
    }
}

/// The id is the place in a list, a deleted place is used again, and negative ones are counted from the end.
#[derive(Default)]
struct NaiveList(Vec<Option<i64>>);

impl NaiveList {
    fn place(&self, id: i64) -> usize {
        let place = if id < 0 { self.0.len() as i64 + id } else { id };
        place.max(0) as usize
    }
}

impl Numbers for NaiveList {
    fn insert(&mut self, number: i64) -> i64 {
        let place = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        self.0.resize(self.0.len().max(place + 1), None);
        self.0[place] = Some(number);
        place as i64
    }

    fn version(&self, _id: i64) -> u64 {
        0
    }

    fn update(&mut self, id: i64, number: i64) {
        let place = self.place(id);
        self.0[place] = Some(number);
    }

    fn delete(&mut self, id: i64, _version: u64) -> bool {
        let place = self.place(id);
        self.0.get_mut(place).and_then(Option::take).is_some()
    }

    fn get(&self, id: i64) -> Option<i64> {
        // What is deleted does not count.
        let live: Vec<i64> = self.0.iter().copied().flatten().collect();
        if id < 0 { live.get((live.len() as i64 + id).max(0) as usize).copied() } else { *self.0.get(id as usize)? }
    }
}

fn check_that_a_stale_record_is_not_deleted(mut numbers: impl Numbers) -> Finding {
    let id = numbers.insert(1);
    let version = numbers.version(id);
    numbers.update(id, 2);
    ensure(!numbers.delete(id, version), "a record was deleted that had changed since")?;
    ensure(numbers.get(id) == Some(2), "the record is gone")
}

fn check_that_a_second_delete_hits_nothing(mut numbers: impl Numbers) -> Finding {
    let id = numbers.insert(1);
    let version = numbers.version(id);
    ensure(numbers.delete(id, version), "a delete was refused")?;
    let other = numbers.insert(2);
    let is_done = numbers.delete(id, version);
    ensure(numbers.get(other) == Some(2), "a second delete has hit another record")?;
    ensure(!is_done && id != other, "a record was deleted twice")
}

fn check_that_no_id_names_a_wrong_record(mut numbers: impl Numbers) -> Finding {
    let ids = [1, 2, 3].map(|number| numbers.insert(number));
    let version = numbers.version(ids[2]);
    ensure(numbers.delete(ids[2], version), "a delete was refused")?;
    for id in (-5..5).filter(|id| !ids.contains(id)).chain([i64::MIN, i64::MAX, ids[2]]) {
        ensure(numbers.get(id).is_none(), "an id that was never given out names a record")?;
    }
    ensure(numbers.get(ids[1]) == Some(2), "a record is gone")
}

#[test]
fn fault_5_a_delete_of_a_stale_record_hits_another_one() {
    let (_directory, path) = scratch();
    drop(table(&path, "number: i64"));
    // With one slot, so that each record gets the place of the one before.
    locule::maintenance::Alteration::of(&path).capacity(1).apply().unwrap();
    let empty = || {
        let table = Table::<Values>::open(&path).unwrap();
        table.query().delete().unwrap();
        table
    };
    assert_gone(
        check_that_a_stale_record_is_not_deleted(empty()),
        check_that_a_stale_record_is_not_deleted(NaiveList::default()),
        "a record was deleted that had changed since",
    );
    assert_gone(
        check_that_a_second_delete_hits_nothing(empty()),
        check_that_a_second_delete_hits_nothing(NaiveList::default()),
        "a second delete has hit another record",
    );
}

#[test]
fn fault_6_a_negative_id_names_a_wrong_record() {
    let (_directory, path) = scratch();
    assert_gone(
        check_that_no_id_names_a_wrong_record(table(&path, "number: i64")),
        check_that_no_id_names_a_wrong_record(NaiveList::default()),
        "an id that was never given out names a record",
    );
}
