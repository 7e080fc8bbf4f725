//! What is left of a table, and of what is made from it, if the power fails at any system call of the operation: the old
//! one or the new one, whole, and once it is said to be done the new one.

use locule::maintenance::{Alteration, backup, repair, restore};
use locule::{Error, Table, Values};
use std::path::Path;
use test_kit::power_cuts::at_every_power_cut_of;
use test_kit::system_calls::run_watched;
use test_kit::{assert_consistent, insert_all, keys, options, say, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("create", |path, _| cut_at_every_stop(path, &CREATE)),
        ("replace", |path, _| cut_at_every_stop(path, &REPLACE)),
        ("destroy", |path, _| cut_at_every_stop(path, &DESTROY)),
        ("alter", |path, _| cut_at_every_stop(path, &ALTER)),
        ("back up", |path, _| cut_at_every_stop(path, &BACK_UP)),
        ("restore", |path, _| cut_at_every_stop(path, &RESTORE)),
        ("repair", |path, _| cut_at_every_stop(path, &REPAIR)),
    ]);
}

/// An operation on a table with the records 0 to 4, of which 3 and 4 are not in the copy beside it.
struct Scenario {
    /// The file that it makes or removes.
    result: &'static str,
    operation: fn(&Path) -> Result<(), Error>,
    /// What may be there before it is done: the keys, or that there is no table.
    before: &'static [Option<&'static [u64]>],
    after: Option<&'static [u64]>,
}

const ALL: Option<&[u64]> = Some(&[0, 1, 2, 3, 4]);
const TABLE: &str = "visits.loc";
const COPY: &str = "copy.loc";
const NEW: &str = "new.loc";

const CREATE: Scenario = Scenario {
    result: NEW,
    operation: |path| options().create(path.with_file_name(NEW)).map(drop),
    before: &[None],
    after: Some(&[]),
};
const REPLACE: Scenario =
    Scenario { result: TABLE, operation: |path| options().replace(path).map(drop), before: &[ALL], after: Some(&[]) };
const DESTROY: Scenario =
    Scenario { result: TABLE, operation: |path| locule::destroy(path), before: &[ALL], after: None };
const ALTER: Scenario = Scenario {
    result: TABLE,
    operation: |path| {
        // This is not synced, and so it may be lost until the table is altered.
        options().open(path)?.insert(&visit(9, 9))?;
        Alteration::of(path).capacity(100).rename_field("hits", "count").apply().map(drop)
    },
    before: &[ALL, Some(&[0, 1, 2, 3, 4, 9])],
    after: Some(&[0, 1, 2, 3, 4, 9]),
};
const BACK_UP: Scenario = Scenario {
    result: NEW,
    operation: |path| backup(path, path.with_file_name(NEW)).map(drop),
    before: &[None],
    after: ALL,
};
const RESTORE: Scenario = Scenario {
    result: TABLE,
    operation: |path| restore(path.with_file_name(COPY), path).map(drop),
    before: &[ALL],
    after: Some(&[0, 1, 2]),
};
const REPAIR: Scenario = Scenario {
    result: NEW,
    operation: |path| repair(path, path.with_file_name(NEW)).map(drop),
    before: &[None],
    after: ALL,
};

fn cut_at_every_stop(path: &Path, scenario: &Scenario) {
    let directory = path.with_file_name("table");
    std::fs::create_dir(&directory).unwrap();
    let path = &directory.join(TABLE);
    let table = options().sync_every(None).create(path).unwrap();
    insert_all(&table, 0..3);
    backup(path, path.with_file_name(COPY)).unwrap();
    insert_all(&table, 3..5);
    table.close().unwrap();
    let disk_count = at_every_power_cut_of(
        &directory,
        || (scenario.operation)(path).unwrap(),
        |after, is_done| {
            let found = keys_in(&after.join(scenario.result));
            let found = found.as_deref();
            assert!(found == scenario.after || !is_done && scenario.before.contains(&found), "{found:?}");
            if scenario.result != TABLE {
                assert_eq!(keys_in(&after.join(TABLE)).as_deref(), ALL);
            }
            // It can be done again, and leaves nothing behind.
            if found != scenario.after {
                (scenario.operation)(&after.join(TABLE)).unwrap();
                assert_eq!(keys_in(&after.join(scenario.result)).as_deref(), scenario.after);
                let mut names = std::fs::read_dir(after).unwrap().map(|entry| entry.unwrap().file_name());
                assert!(names.all(|name| !name.to_string_lossy().starts_with('.')));
            }
        },
    );
    match disk_count {
        Ok(disk_count) => say(format!("{disk_count} disks")),
        Err(_) => say("skipped"),
    }
}

/// The keys of a table that is in order, with whatever schema; `None` if there is no file.
fn keys_in(path: &Path) -> Option<Vec<u64>> {
    if !path.exists() {
        return None;
    }
    let table = Table::<Values>::open(path).unwrap();
    assert!(locule::admin::verify(path).unwrap().is_good());
    if let Ok(table) = options().open(path) {
        assert_consistent(&table);
        return Some(keys(&table));
    }
    let key = |values: Vec<locule::Value>| u64::try_from(values[0].as_i128().unwrap()).unwrap();
    Some(
        table
            .query()
            .sort_by(locule::field("visitor").ascending())
            .values(["visitor"])
            .unwrap()
            .into_iter()
            .map(key)
            .collect(),
    )
}

#[test]
fn a_power_cut_leaves_the_old_table_or_the_new_one() {
    for role in ["create", "replace", "destroy", "alter", "back up", "restore", "repair"] {
        let Some(said) = run_watched(role) else { return };
        assert!(said.trim_end_matches(" disks").parse::<usize>().unwrap() >= 3, "{role}: {said}");
    }
}
