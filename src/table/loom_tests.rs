//! What the model checker shows about updates whose closure runs without the lock. See `store::loom_tests`.

use crate::Error;
use crate::engine::loom_tests::{Start, body, first};
use crate::engine::{Encoded, Store};
use crate::table::record::Record;
use crate::table::table::Table;

crate::record! {
    struct Visit {
        key id: u64,
        hits: u64,
    }
}

/// A table of one slot with one record.
fn start() -> Start {
    Start::of_schema(1, Visit::schema(), |store| {
        store.insert(Encoded::new(&[1, 10])).unwrap();
    })
}

fn table(store: Store) -> Table<Visit> {
    Table::new(store).unwrap()
}

fn count_up(table: &Table<Visit>) -> Result<u64, Error> {
    table.update(first(0), |visit| {
        assert_eq!(visit.id, 1, "another record than the one that was asked for");
        visit.hits += 1;
    })
}

#[test]
fn an_update_against_a_delete_and_a_reinsertion_changes_its_own_record_or_none() {
    let updater = body(|table| match count_up(table) {
        Ok(_) | Err(Error::NotFound { .. }) => {}
        Err(error) => panic!("{error}"),
    });
    let replacer = body(|table: &Table<Visit>| {
        table.delete(first(0)).unwrap();
        table.insert(&Visit { id: 1, hits: 20 }).unwrap();
    });
    start().explore_as(Some(3), table, [updater, replacer], |table| {
        let row = table.find(&1).unwrap().expect("it was inserted again");
        assert_eq!(row.hits, 20, "an update of a record that was deleted reached another");
        assert_ne!(row.id(), first(0));
    });
}

#[test]
fn of_two_updates_at_once_none_is_lost() {
    let updater = || {
        body(|table| {
            count_up(table).unwrap();
        })
    };
    start().explore_as(Some(3), table, [updater(), updater()], |table| {
        assert_eq!(table.find(&1).unwrap().map(|row| row.hits), Some(12));
    });
}
