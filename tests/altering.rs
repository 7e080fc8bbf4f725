//! Another schema or another capacity for a table that others use: what is kept, what the others notice, what stops it, and
//! what is left if the process that does it is killed.

use locule::maintenance::{Alteration, Position, migrate};
use locule::{
    CursorLoss, Error, FieldSchema, FieldType, RecordId, RecoveryOutcome, Row, Schema, Table, Value, Values, values,
};
use nix::libc::{SYS_fsync, SYS_msync, SYS_openat};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use test_kit::system_calls::{End, at_every_stop_of, filter, filter_flag, interrupt_at, run_watched};
use test_kit::{Child, Visit, Visits, hear, insert_all, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("alter", |path, _| kill_at_every_stop(path, &UNUSED)),
        ("alter while it is used", |path, _| kill_at_every_stop(path, &USED)),
        ("alter without nameless files", |path, _| kill_at_every_stop(path, &NAMED)),
        ("alter with a disk that fails", alter_with_a_disk_that_fails),
        ("write around a switch", write_around_a_switch),
        ("hold a transaction", hold_a_transaction),
        ("work", work),
        ("alter again and again", alter_again_and_again),
    ]);
}

/// Everything that is to be kept of a record.
type Kept = BTreeMap<u64, (RecordId, u64, u32, u64)>;

fn kept_of(table: &Table<Values>, hits: &str) -> Kept {
    let entry = |row: Row<Values>| {
        let number = |name: &str| u64::try_from(row.get(name).and_then(Value::as_i128).unwrap()).unwrap();
        (number("visitor"), (row.id(), row.version(), row.update_count(), number(hits)))
    };
    table.iter().map(|row| entry(row.unwrap())).collect()
}

/// The fields, without their documentation.
fn schema_of(path: &Path) -> String {
    let text = Table::<Values>::open_read_only(path).unwrap().schema().to_string();
    text.lines().filter(|line| !line.starts_with("///")).collect::<Vec<_>>().join(" ")
}

/// Records 0 to 9, some of which were updated, deleted, and put back.
fn used_table(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..10);
    for key in [1, 3, 5] {
        table.update_by_key(&key, |found| *found = visit(key, key)).unwrap();
        table.remove_by_key(&(key + 1)).unwrap();
    }
    table.insert(&visit(4, 44)).unwrap();
    table
}

fn note() -> FieldSchema {
    FieldSchema::new("note", FieldType::Text(40)).nullable()
}

/// All kinds of changes at once.
fn everything(path: &Path) -> Alteration {
    Alteration::of(path)
        .add_field(note())
        .drop_field("name")
        .rename_field("hits", "count")
        .set_type("count", FieldType::U128)
        .set_default("count", Some(1.into()))
        .capacity(100)
}

const EVERYTHING: &str = "key visitor: u64, count: u128 = 1, note: text(40)?";

// -- what is kept -----------------------------------------------------------------------------------

#[test]
fn ids_versions_and_update_counts_are_kept_and_numbers_go_on() {
    let (_directory, path) = scratch();
    let table = used_table(&path);
    let before = Table::<Values>::open(&path).unwrap();
    let kept = kept_of(&before, "hits");
    let highest = kept.values().map(|(_, version, ..)| *version).max().unwrap();
    drop(table);

    let rebuilt = everything(&path).apply().unwrap();
    assert_eq!((rebuilt.live_count, rebuilt.changed_count), (8, 0));
    before.reopen().unwrap();
    assert_eq!(before.schema().to_string(), EVERYTHING);
    assert_eq!(kept_of(&before, "count"), kept);
    assert_eq!(before.capacity(), 100);
    assert!(before.find(3).unwrap().unwrap().get("note").unwrap().is_null());
    let (id, version) = before.insert_versioned(&before.values(values! { visitor: 99 }).unwrap()).unwrap();
    assert!(version > highest && kept.values().all(|(other, ..)| *other != id));
    assert!(locule::admin::verify(&path).unwrap().is_good());
}

/// The first opener once took the new file for a copy, of which something may be missing, and left out ids each time.
#[test]
fn nothing_is_missing_after_an_alteration_and_no_ids_are_left_out() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let first = table.insert(&visit(1, 0)).unwrap();
    table.delete(first).unwrap();
    for capacity in [65, 66, 67] {
        Alteration::of(&path).capacity(capacity).apply().unwrap();
        table.reopen().unwrap();
        let recovery = Table::<Visit>::open(&path).unwrap();
        assert_eq!((recovery.recovery().nothing_lost, recovery.len().unwrap()), (true, 0));
    }
    assert_ne!(table.recovery().outcome, RecoveryOutcome::New);
    let next = table.insert(&visit(1, 0)).unwrap();
    assert_eq!((next.slot(), next.generation()), (first.slot(), first.generation() + 1));
}

#[test]
fn ids_of_deleted_records_and_of_transactions_that_were_given_up_do_not_come_again() {
    let (_directory, path) = scratch();
    let table = options().capacity(2).create(&path).unwrap();
    let mut told: Vec<RecordId> = (0..2).map(|key| table.insert(&visit(key, 0)).unwrap()).collect();
    let given_up = table.write(|transaction| {
        for key in [0, 1] {
            transaction.remove_by_key(&key)?;
            told.push(transaction.insert(&visit(key + 10, 0))?);
        }
        Err::<(), _>(Error::InvalidArgument { reason: "given up".to_owned() })
    });
    assert!(given_up.is_err());
    Alteration::of(&path).capacity(3).apply().unwrap();
    table.reopen().unwrap();
    for key in [0, 1] {
        table.remove_by_key(&key).unwrap();
    }
    for key in 20..23 {
        let id = table.insert(&visit(key, 0)).unwrap();
        assert!(!told.contains(&id), "{id}, after {told:?}");
    }
}

#[test]
fn ids_of_records_whose_slots_were_dropped_do_not_come_again() {
    let (_directory, path) = scratch();
    let table = options().capacity(2).create(&path).unwrap();
    table.insert(&visit(0, 0)).unwrap();
    let mut told = Vec::new();
    for key in 1..5 {
        told.push(table.insert(&visit(key, 0)).unwrap());
        table.remove_by_key(&key).unwrap();
    }
    // The second slot goes, with its tombstone, and comes again.
    for capacity in [1, 2] {
        Alteration::of(&path).capacity(capacity).apply().unwrap();
        table.reopen().unwrap();
    }
    let id = table.insert(&visit(9, 0)).unwrap();
    assert!(id.slot() == told[0].slot() && !told.contains(&id), "{id}, after {told:?}");
}

#[test]
fn owner_and_mode_are_kept_and_so_is_the_table_of_those_that_follow_it() {
    let (_directory, path) = scratch();
    let table = used_table(&path);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let owner = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let (before, uuid) = (owner(&path), locule::admin::info(&path).unwrap().uuid);
    Alteration::of(&path).set_doc("hits", "Since Monday.").capacity(70).apply().unwrap();
    assert_eq!((owner(&path), locule::admin::info(&path).unwrap().uuid), (before, uuid.clone()));
    Alteration::of(&path).drop_field("name").apply().unwrap();
    assert_eq!(owner(&path), before);
    assert_ne!(locule::admin::info(&path).unwrap().uuid, uuid);
    drop(table);
}

#[test]
fn those_that_follow_a_table_are_told_if_records_may_have_changed_under_their_versions() {
    type Change = fn(&Path) -> Result<locule::maintenance::Rebuilt, Error>;
    let changes: [Change; 4] = [
        |path| {
            let schema = Arc::clone(Table::<Values>::open_read_only(path)?.schema());
            migrate(path, &schema, |_, mut row| {
                row.set("hits", 77)?;
                Ok(row)
            })
        },
        |path| {
            let hits = FieldSchema::new("hits", FieldType::U64).with_default(vec![0; 8]);
            let place = Position::After("visitor".to_owned());
            Alteration::of(path).drop_field("hits").add_field_at(place, hits).apply()
        },
        // Two fields get each other's names.
        |path| {
            let swap = Alteration::of(path).rename_field("visitor", "t").rename_field("hits", "visitor");
            swap.rename_field("t", "hits").apply()
        },
        |path| Alteration::of(path).set_type("hits", FieldType::F64).apply(),
    ];
    for change in changes {
        let (_directory, path) = scratch();
        let table = options().create(&path).unwrap();
        insert_all(&table, 0..3);
        let cursor = table.cursor().unwrap();
        change(&path).unwrap();
        let lost = Table::<Values>::open(&path).unwrap().changes_since(&cursor);
        assert!(matches!(lost, Err(Error::CursorLost { reason: CursorLoss::OtherTable })), "{lost:?}");
    }
    // What comes back to where it was has changed nothing.
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let cursor = table.cursor().unwrap();
    let there_and_back = Alteration::of(&path).set_type("hits", FieldType::F64).set_type("hits", FieldType::U64);
    there_and_back.rename_field("name", "t").rename_field("t", "name").apply().unwrap();
    assert!(Table::<Values>::open(&path).unwrap().changes_since(&cursor).unwrap().is_empty());
}

#[test]
fn a_float_is_narrowed_only_if_nothing_is_lost() {
    let (_directory, path) = scratch();
    let schema: Schema = "key id: u64, x: f64?".parse().unwrap();
    let table = Table::<Values>::options().schema(schema).create(&path).unwrap();
    let insert = |id: u64, x: Value| {
        let fields = [("id", Value::from(id)), ("x", x)];
        table.insert(&Values::named(table.schema(), fields).unwrap()).unwrap();
    };
    let exact = [0.0, -0.0, 0.5, f64::INFINITY, f64::from(f32::MIN_POSITIVE), f64::NAN];
    exact.into_iter().zip(0..).for_each(|(x, id)| insert(id, x.into()));
    insert(9, Value::Null);
    for inexact in [0.1, 16_777_217.0, 1e-300, f64::MAX] {
        insert(10, inexact.into());
        let error = Alteration::of(&path).set_type("x", FieldType::F32).apply().unwrap_err().to_string();
        assert!(error.contains("1 record does not fit") && error.contains("`id` 10: field `x`"), "{error}");
        table.remove_by_key(10_u64).unwrap();
    }
    Alteration::of(&path).set_type("x", FieldType::F32).apply().unwrap();
    table.reopen().unwrap();
    for (expected, id) in exact.into_iter().zip(0_u64..) {
        let found = table.find(id).unwrap().unwrap().get("x").and_then(Value::as_f64).unwrap();
        assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan(), "{found} {expected}");
    }
}

// -- what others notice -----------------------------------------------------------------------------

#[test]
fn others_are_told_by_each_call_and_go_on_after_reopening() {
    let (_directory, path) = scratch();
    let table = used_table(&path);
    let reader = options().open_read_only(&path).unwrap();
    let untyped = Table::<Values>::open(&path).unwrap();
    let id = table.find(&1).unwrap().unwrap().id();
    Alteration::of(&path).add_field(note()).apply().unwrap();
    for (name, outcome) in [
        ("get", table.get(id).map(drop)),
        ("find", table.find(&1).map(drop)),
        ("len", table.len().map(drop)),
        ("iter", table.iter().next().unwrap().map(drop)),
        ("insert", table.insert(&visit(100, 0)).map(drop)),
        ("update", table.update(id, |_| {}).map(drop)),
        ("delete", table.delete(id).map(drop)),
        ("write", table.write(|_| Ok(()))),
        ("snapshot", table.snapshot(|_| Ok(()))),
        ("sync", table.sync().map(drop)),
        ("find of a reader", reader.find(&1).map(drop)),
        ("len of a reader", reader.len().map(drop)),
    ] {
        assert!(matches!(outcome, Err(Error::Superseded)), "{name}: {outcome:?}");
    }
    untyped.reopen().unwrap();
    untyped.update_fields(id, values! { note: "seen" }).unwrap();
    // The type of the record has no such field, and says so.
    match table.reopen() {
        Err(error @ Error::SchemaMismatch { .. }) => {
            assert!(error.to_string().contains("`note: text(40)?`"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    Alteration::of(&path).drop_field("note").apply().unwrap();
    table.reopen().unwrap();
    reader.reopen().unwrap();
    assert_eq!(
        reader.get(id).unwrap().map(|row| row.update_count()),
        table.get(id).unwrap().map(|row| row.update_count())
    );
}

// -- what stops it ----------------------------------------------------------------------------------

/// Nothing has changed, and the table can be used.
#[track_caller]
fn assert_stopped(path: &Path, table: &Visits, outcome: Result<locule::maintenance::Rebuilt, Error>) -> String {
    let error = outcome.expect_err("it does not fit").to_string();
    assert_eq!(schema_of(path), "key visitor: u64, hits: u64, name: text(100)");
    table.update_by_key(&1, |found| *found = visit(1, found.hits + 1)).unwrap();
    test_kit::assert_consistent(table);
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [path]);
    error
}

#[test]
fn what_does_not_fit_stops_it_before_anything_changed_and_is_named() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..20);
    let stopped = |alteration: Alteration| assert_stopped(&path, &table, alteration.apply());

    let error = stopped(Alteration::of(&path).set_type("name", FieldType::Text(82)));
    assert!(error.starts_with("20 records do not fit, so nothing was changed:\n  record "), "{error}");
    assert!(error.contains("`visitor` 0: field `name`") && error.ends_with("and 10 more"), "{error}");
    let high = table.insert(&visit(1 << 40, 0)).unwrap();
    let error = stopped(Alteration::of(&path).set_type("visitor", FieldType::U32));
    assert!(error.contains("1 record does not fit") && error.contains("`visitor` 1099511627776"), "{error}");
    let error = stopped(Alteration::of(&path).capacity(20));
    assert!(error.contains(&high.to_string()) && error.contains("slot 20"), "{error}");
    assert!(stopped(Alteration::of(&path).capacity(0)).contains("slots"));
    assert!(stopped(Alteration::of(&path).add_field(FieldSchema::new("age", FieldType::U8))).contains("`age`"));
    assert!(stopped(Alteration::of(&path).drop_field("nmae")).contains("did you mean `name`?"));
    assert!(stopped(Alteration::of(&path).rename_field("hits", "name")).contains("`name`"));

    Alteration::of(&path).set_nullable("hits", true).apply().unwrap();
    let untyped = Table::<Values>::open(&path).unwrap();
    untyped.update_by_key(7, |row| row.set("hits", Value::Null).unwrap()).unwrap();
    let error = Alteration::of(&path).set_nullable("hits", false).apply().unwrap_err().to_string();
    assert!(error.contains("`visitor` 7: field `hits`"), "{error}");
    assert_eq!(untyped.len().unwrap(), 21);
}

#[test]
fn a_function_that_fails_panics_or_waits_for_itself_changes_nothing() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    let own = Arc::clone(Table::<Values>::open_read_only(&path).unwrap().schema());
    let other: Arc<Schema> = Arc::new("key visitor: u8".parse().unwrap());

    let misfit = |_, _| Err(Error::InvalidValue { reason: "too long".to_owned() });
    let error = assert_stopped(&path, &table, migrate(&path, &own, misfit));
    assert!(error.contains("5 records") && error.contains("`visitor` 0: too long"), "{error}");
    // Any other error is the caller's, and comes back as it is.
    let outcome = migrate(&path, &own, |_, _| Err(Error::caller(std::fmt::Error)));
    assert!(matches!(&outcome, Err(Error::Caller { .. })), "{outcome:?}");
    assert_stopped(&path, &table, outcome);
    // Values of another schema than the one that was said.
    let error = assert_stopped(&path, &table, migrate(&path, &other, |_, values| Ok(values)));
    assert!(error.contains("not `key visitor: u8`"), "{error}");
    // All records with one key.
    let same_key = |_, _| Values::named(&other, values! { visitor: 7 });
    assert!(assert_stopped(&path, &table, migrate(&path, &other, same_key)).contains('7'));
    // The table is locked in part of these calls, so writing to it is refused in all of them.
    let nested = migrate(&path, &own, |_, values| {
        assert!(matches!(table.insert(&visit(100, 0)), Err(Error::Nested)));
        table.sync().map(|_| values)
    });
    assert_stopped(&path, &table, nested);
    let panicked = std::panic::catch_unwind(|| migrate(&path, &own, |_, _| panic!("a mistake")));
    assert!(panicked.is_err());
    assert_stopped(&path, &table, Err(Error::StaleSnapshot));
    // Keys are swapped.
    migrate(&path, &own, |_, mut row| {
        let key = row.key().and_then(Value::as_i128).unwrap();
        row.set("visitor", 4 - key)?;
        Ok(row)
    })
    .unwrap();
    assert_eq!(Table::<Values>::open(&path).unwrap().len().unwrap(), 5);
}

#[test]
fn one_of_two_alterations_at_once_wins_and_the_other_one_is_told() {
    let (_directory, path) = scratch();
    let table = used_table(&path);
    let own = Arc::clone(Table::<Values>::open_read_only(&path).unwrap().schema());
    let mut is_first = true;
    let slower = migrate(&path, &own, |_, row| {
        if std::mem::take(&mut is_first) {
            let faster = path.clone();
            std::thread::spawn(move || Alteration::of(faster).add_field(note()).apply().unwrap()).join().unwrap();
        }
        Ok(row)
    });
    assert!(matches!(slower, Err(Error::Superseded)), "{slower:?}");
    assert_eq!(schema_of(&path), "key visitor: u64, hits: u64, name: text(100), note: text(40)?");
    drop(table);
}

#[test]
fn a_file_that_took_the_name_meanwhile_is_left_alone() {
    let (directory, path) = scratch();
    let table = used_table(&path);
    let own = Arc::clone(Table::<Values>::open_read_only(&path).unwrap().schema());
    let other = directory.path().join("other.loc");
    drop(options().create(&other).unwrap());
    let slower = migrate(&path, &own, |_, row| {
        // As if a user moved it there: nobody is told.
        if other.exists() {
            std::fs::rename(&other, &path).unwrap();
        }
        Ok(row)
    });
    assert!(matches!(slower, Err(Error::Superseded)), "{slower:?}");
    assert_eq!(Visits::open(&path).unwrap().len().unwrap(), 0);
    drop(table);
}

#[test]
fn what_a_dead_writer_left_is_undone_first() {
    let (_directory, path) = scratch();
    let table = used_table(&path);
    let mut child = Child::spawn("hold a transaction", &path, "");
    let told: u64 = child.hear().parse().unwrap();
    child.kill();
    Alteration::of(&path).capacity(70).apply().unwrap();
    table.reopen().unwrap();
    assert_eq!(test_kit::keys(&table), [0, 1, 3, 4, 5, 7, 8, 9]);
    for key in 100..150 {
        assert_ne!(table.insert(&visit(key, 0)).unwrap(), RecordId::from_u64(told));
    }
}

fn hold_a_transaction(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    table
        .write(|transaction| {
            say(transaction.insert(&visit(1000, 0))?.to_u64());
            hear();
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_schema_of_very_many_fields_is_altered_too() {
    let (_directory, path) = scratch();
    let fields = (0..2000).map(|number| FieldSchema::new(format!("f{number}"), FieldType::U16));
    let schema = Schema::new(fields.collect()).unwrap();
    let table = Table::<Values>::options().schema(schema).capacity(3).create(&path).unwrap();
    let id = table.insert(&table.values((0..2000).map(|number| (format!("f{number}"), number))).unwrap()).unwrap();
    Alteration::of(&path).set_type("f1000", FieldType::I128).drop_field("f0").apply().unwrap();
    table.reopen().unwrap();
    let row = table.get(id).unwrap().unwrap();
    for number in [1, 999, 1000, 1001, 1999] {
        assert_eq!(row.get(&format!("f{number}")).and_then(Value::as_i128), Some(number), "{number}");
    }
}

#[test]
fn how_long_ten_thousand_records_keep_others_from_writing() {
    let (_directory, path) = scratch();
    let table = options().capacity(10_000).create(&path).unwrap();
    insert_all(&table, 0..10_000);
    let start = std::time::Instant::now();
    let rebuilt = Alteration::of(&path).add_field(note()).apply().unwrap();
    println!("10,000 records in {:?}, of which others waited {:?}", start.elapsed(), rebuilt.locked);
    assert_eq!(rebuilt.live_count, 10_000);
}

// -- deaths -----------------------------------------------------------------------------------------

struct Scenario {
    is_used: bool,
    /// Whether the file system can have files without a name.
    knows_nameless: bool,
}

const UNUSED: Scenario = Scenario { is_used: false, knows_nameless: true };
const USED: Scenario = Scenario { is_used: true, ..UNUSED };
const NAMED: Scenario = Scenario { knows_nameless: false, ..USED };

fn kill_at_every_stop(path: &Path, scenario: &Scenario) {
    if !scenario.knows_nameless && !test_kit::in_fork(|| assert!(filter(SYS_openat, End::InputOutputError))) {
        return;
    }
    let kept = {
        let _table = used_table(path);
        kept_of(&Table::<Values>::open(path).unwrap(), "hits")
    };
    let stop_count = at_every_stop_of(
        || {
            for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
            drop(used_table(path));
            scenario.is_used.then(|| {
                let open = || Table::<Values>::options().sync_every(None).open(path).unwrap();
                Users { writers: [open(), open()], reader: Table::<Values>::open_read_only(path).unwrap() }
            })
        },
        || {
            let flag = nix::fcntl::OFlag::O_TMPFILE - nix::fcntl::OFlag::O_DIRECTORY;
            assert!(scenario.knows_nameless || filter_flag(SYS_openat, 2, flag.bits(), End::InputOutputError));
            everything(path).apply().unwrap();
        },
        |users| look_at(path, users, &kept),
    );
    match stop_count {
        Ok(stop_count) => say(format!("{stop_count} stops")),
        Err(_) => say("skipped"),
    }
}

/// Those that have the table open when the process is killed.
struct Users {
    writers: [Table<Values>; 2],
    reader: Table<Values>,
}

/// Checks that the table is the old one or the new one, and that all of its users know. Returns whether it is the new one.
fn look_at(path: &Path, users: Option<Users>, kept: &Kept) -> bool {
    let table = Table::<Values>::options().sync_every(None).open(path).unwrap();
    let is_new = table.schema().to_string() == EVERYTHING;
    let hits = if is_new { "count" } else { "hits" };
    assert_eq!(kept_of(&table, hits), *kept);
    assert!(locule::admin::verify(path).unwrap().is_good());
    if let Some(Users { writers, reader }) = users {
        assert_eq!(matches!(reader.len(), Err(Error::Superseded)), is_new);
        for (writer, new_hits) in writers.iter().zip([33, 34]) {
            let update = || {
                let id = writer.find(3)?.unwrap().id();
                writer.update(id, |row| row.set(hits, new_hits).unwrap())
            };
            if is_new {
                // The other writer has been told before, and has gone on.
                assert!(matches!(update(), Err(Error::Superseded)));
                writer.reopen().unwrap();
            }
            update().unwrap();
            assert_eq!(table.find(3).unwrap().unwrap().get(hits).and_then(Value::as_i128), Some(new_hits));
        }
        let names = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert!(!is_new || names == 1, "what has lost its name is deleted by those that notice");
    }
    drop(table);
    // The next one can do it, and leaves nothing behind.
    let next = if is_new { Alteration::of(path) } else { everything(path) };
    next.apply().unwrap();
    assert_eq!(schema_of(path), EVERYTHING);
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [path]);
    is_new
}

#[test]
fn a_table_that_is_being_altered_is_the_old_or_the_new_one_whenever_the_process_is_killed() {
    for role in ["alter", "alter while it is used", "alter without nameless files"] {
        if let Some(stops) = run_watched(role) {
            assert!(stops.trim_end_matches(" stops").parse::<usize>().unwrap() >= 100);
        }
    }
}

/// A write that had happened was once reported as one that had not, if its sync found the file altered: whoever did it
/// again did it twice.
#[test]
fn what_was_written_before_the_switch_counts_as_written_even_if_its_sync_comes_after() {
    run_watched("write around a switch");
}

fn write_around_a_switch(path: &Path, _: &str) {
    let table = used_table(path);
    let write = || {
        let table = options().sync_every(Some(std::time::Duration::ZERO)).open(path).unwrap();
        table.insert(&visit(200, 0)).unwrap();
    };
    let altered = interrupt_at(SYS_msync, write, || _ = Alteration::of(path).capacity(70).apply().unwrap());
    if altered.is_err() {
        return say("skipped");
    }
    table.reopen().unwrap();
    assert!(table.contains_key(&200).unwrap());
    say("written");
}

#[test]
fn a_disk_that_fails_leaves_the_table_as_it_was() {
    run_watched("alter with a disk that fails");
}

fn alter_with_a_disk_that_fails(path: &Path, _: &str) {
    let table = used_table(path);
    let schema = schema_of(path);
    let is_done = test_kit::in_fork(|| {
        assert!(filter(SYS_fsync, End::InputOutputError));
        assert!(matches!(everything(path).apply(), Err(Error::Io { .. })));
    });
    assert!(is_done);
    assert_eq!(schema_of(path), schema);
    table.insert(&visit(100, 0)).unwrap();
    say("failed as it should");
}

// -- eight others -----------------------------------------------------------------------------------

const WORKER_COUNT: u64 = 8;
const KEYS_PER_WORKER: u64 = 20;

/// The steps of a circle: each is done to the table that the ones before have left.
fn step(path: &Path, number: usize) -> Alteration {
    let alteration = Alteration::of(path);
    match number % 8 {
        0 => alteration.add_field(note()),
        1 => alteration.rename_field("hits", "count"),
        2 => alteration.set_type("count", FieldType::U128),
        3 => alteration.capacity(1000),
        4 => alteration.drop_field("note"),
        5 => alteration.set_type("name", FieldType::Text(300)).set_doc("name", "Longer."),
        6 => alteration.rename_field("count", "hits").set_type("hits", FieldType::U64),
        _ => alteration.set_type("name", FieldType::Text(100)).set_default("hits", Some(5.into())).capacity(500),
    }
}

/// Which step is next for a table: what was done is seen from its schema and its capacity.
fn next_step(table: &Table<Values>) -> usize {
    let schema = table.schema();
    let has = |name: &str| schema.field(name).is_some();
    let type_of = |name: &str| schema.field(name).map(FieldSchema::field_type);
    if has("hits") {
        return match (has("note"), type_of("name")) {
            (false, Some(FieldType::Text(100))) => 0,
            (true, _) => 1,
            _ => 7,
        };
    }
    match (has("note"), type_of("count"), table.capacity()) {
        (true, Some(FieldType::U64), _) => 2,
        (true, _, 500) => 3,
        (true, ..) => 4,
        (false, ..) if type_of("name") == Some(FieldType::Text(100)) => 5,
        (false, ..) => 6,
    }
}

/// Alters the table until it is killed or told that it is enough, and says so each time.
fn alter_again_and_again(path: &Path, argument: &str) {
    for _ in 0..argument.parse().unwrap() {
        let number = next_step(&Table::<Values>::open_read_only(path).unwrap());
        let rebuilt = step(path, number).apply().unwrap_or_else(|error| panic!("step {number}: {error}"));
        say(format!("step {number}: {} done again, others waited {:?}", rebuilt.changed_count, rebuilt.locked));
    }
    say("enough");
}

/// Inserts, updates and deletes its own keys, and remembers what it was told had happened. When the file `stop` is there,
/// compares that with the table.
fn work(path: &Path, argument: &str) {
    let worker: u64 = argument.parse().unwrap();
    let table = Table::<Values>::open(path).unwrap();
    let mut told: BTreeMap<u64, (RecordId, i128)> = BTreeMap::new();
    let (mut change_count, mut reopening_count) = (0_u64, 0_u64);
    let stop = path.with_extension("stop");
    let mut turn = 0_u64;
    while !stop.exists() {
        let key = worker * 1000 + turn % KEYS_PER_WORKER;
        match change(&table, key, turn, told.get(&key).copied()) {
            Ok(found) => {
                match found {
                    Some(found) => told.insert(key, found),
                    None => told.remove(&key),
                };
                change_count += 1;
                turn += 1;
            }
            Err(Error::Superseded) => {
                table.reopen().unwrap();
                reopening_count += 1;
            }
            Err(error) => panic!("worker {worker}: {error}"),
        }
    }
    if table.len().is_err() {
        table.reopen().unwrap();
    }
    let name = if table.schema().field("hits").is_some() { "hits" } else { "count" };
    for key in worker * 1000..worker * 1000 + KEYS_PER_WORKER {
        let found = table.find(key).unwrap().map(|row| (row.id(), row.get(name).and_then(Value::as_i128).unwrap()));
        assert_eq!(found, told.get(&key).copied(), "worker {worker}, key {key}");
    }
    say(format!("{} {change_count} {reopening_count}", told.len()));
}

/// One change of a record of the worker's own. Returns how the record is then, or nothing if it is deleted.
fn change(
    table: &Table<Values>,
    key: u64,
    turn: u64,
    told: Option<(RecordId, i128)>,
) -> Result<Option<(RecordId, i128)>, Error> {
    let name = if table.schema().field("hits").is_some() { "hits" } else { "count" };
    match told {
        None => {
            let row = table.values([("visitor", Value::from(key)), (name, 1.into()), ("name", "worker".into())])?;
            Ok(Some((table.insert(&row)?, 1)))
        }
        Some((id, _)) if turn % 7 == 0 => table.delete(id).map(|_| None),
        Some((id, hits)) => {
            table.update(id, |row| row.set(name, Value::from(u64::try_from(hits).unwrap() + 1)).unwrap())?;
            Ok(Some((id, hits + 1)))
        }
    }
}

#[test]
fn eight_processes_lose_nothing_while_their_table_is_altered_and_those_that_alter_it_are_killed() {
    let (directory, path) = scratch();
    let schema: Schema = "key visitor: u64, hits: u64, name: text(100)".parse().unwrap();
    drop(Table::<Values>::options().schema(schema).capacity(500).create(&path).unwrap());
    let mut workers: Vec<Child> = (0..WORKER_COUNT).map(|worker| Child::spawn("work", &path, worker)).collect();
    for round in 0..12 {
        let mut child = Child::spawn("alter again and again", &path, 1000);
        for _ in 0..=round % 3 {
            let said = child.hear();
            println!("{said}");
        }
        // Wherever it is by now.
        child.kill();
    }
    let mut child = Child::spawn("alter again and again", &path, 16);
    while child.hear() != "enough" {}
    child.finish();
    std::fs::write(path.with_extension("stop"), "").unwrap();
    let mut record_count = 0;
    for worker in &mut workers {
        let said = worker.hear();
        println!("records, changes, reopenings: {said}");
        record_count += said.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    assert_eq!(Table::<Values>::open(&path).unwrap().len().unwrap(), record_count);
    assert!(locule::admin::verify(&path).unwrap().is_good());
    workers.into_iter().for_each(Child::finish);
    // What those that were killed have left is deleted by the next.
    Alteration::of(&path).apply().unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["visits.loc", "visits.stop"]);
}
