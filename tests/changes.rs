//! Changing and removing one record: by id and by key, from the table and in a transaction, alone and against others.

use locule::{Error, RecordId, Row};
use std::path::Path;
use test_kit::{Child, Visit, Visits, assert_consistent, hear, keys, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[("count", count), ("collect", collect), ("take", take)]);
}

/// A table with visit 1, which was written once, and its id.
fn table_of_one(path: &Path) -> (Visits, RecordId) {
    let table = options().create(path).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    (table, id)
}

fn hit(record: &mut Visit) {
    *record = visit(record.visitor, record.hits + 1);
}

/// A record once hid its own `id` behind the row's.
#[test]
fn a_row_hides_no_field_of_its_record() {
    locule::record! {
        struct Document {
            key id: u64,
            version: u16,
            update_count: u8,
            meta: i8,
            record: bool,
        }
    }
    let (_directory, path) = scratch();
    let table = locule::Table::<Document>::create(&path, 4).unwrap();
    let document = Document { id: 42, version: 7, update_count: 3, meta: -1, record: true };
    let id = table.insert(&document).unwrap();
    let row: Row<Document> = table.find(&42).unwrap().unwrap();
    let fields: (u64, u16, u8, i8, bool) = (row.id, row.version, row.update_count, row.meta, row.record);
    assert_eq!(fields, (42, 7, 3, -1, true));
    assert_eq!((row.id(), row.version(), row.update_count()), (id, table.status().last, 0));
    assert_eq!((*row.record(), *row, row.into_record()), (document, document, document));
}

#[test]
fn an_upsert_says_what_it_did() {
    let (_directory, path) = scratch();
    let (table, id) = table_of_one(&path);
    let updated = table.upsert(&visit(1, 1)).unwrap();
    assert_eq!((updated.id, updated.version, updated.is_new), (id, table.find(&1).unwrap().unwrap().version(), false));
    let inserted = table.upsert(&visit(2, 0)).unwrap();
    let row = table.find(&2).unwrap().unwrap();
    assert_eq!((inserted.id, inserted.version, inserted.is_new), (row.id(), row.version(), true));
    let (id, version) = table.write(|transaction| transaction.insert_versioned(&visit(9, 0))).unwrap();
    assert_eq!(table.get(id).unwrap().map(|row| (row.visitor, row.version())), Some((9, version)));
    let several = |transaction: &mut locule::WriteTransaction<'_, Visit>| {
        Ok([transaction.upsert(&visit(1, 2))?, transaction.upsert(&visit(3, 0))?, transaction.upsert(&visit(3, 1))?])
    };
    let several = table.write(several).unwrap();
    assert_eq!(several.map(|upserted| upserted.is_new), [false, true, false]);
    for (upserted, key) in several.iter().zip([1, 3, 3]) {
        let row = table.find(&key).unwrap().unwrap();
        assert_eq!((upserted.id, upserted.version), (row.id(), row.version()));
    }
}

/// Does the same by the table's methods and by those of a transaction.
macro_rules! both_ways {
    ($table:ident, |$target:ident| $body:expr) => {{
        let by_table = {
            let $target = &$table;
            $body
        };
        let in_transaction = $table.write(|$target| Ok($body)).unwrap();
        [by_table, in_transaction]
    }};
}

#[test]
fn an_upsert_with_a_closure_inserts_or_changes_and_returns_what_is_there_now() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let [first, second] = both_ways!(table, |target| target.upsert_with(&visit(1, 0), hit).unwrap());
    assert_eq!((first.hits, first.update_count()), (0, 0), "inserted as it is, without the closure");
    assert_eq!((second.hits, second.update_count(), second.id()), (1, 1, first.id()));
    assert_eq!(table.find(&1).unwrap(), Some(second), "the version too");
    let [first, second] = both_ways!(table, |target| {
        let row = target.upsert_with(&visit(2, 0), hit).unwrap();
        assert_eq!(target.remove(row.id()).unwrap(), row);
        row
    });
    assert_ne!(first.id(), second.id());
    for outcome in both_ways!(table, |target| target.upsert_with(&visit(1, 0), |visit| visit.visitor = 9)) {
        assert!(matches!(outcome, Err(Error::KeyChanged)), "{outcome:?}");
    }
    assert_eq!(keys(&table), [1]);
    assert_consistent(&table);
}

#[test]
fn an_update_by_key_returns_what_is_there_now_or_that_there_is_nothing() {
    let (_directory, path) = scratch();
    let (table, id) = table_of_one(&path);
    let rows = both_ways!(table, |target| target.update_by_key(&1, hit).unwrap().unwrap());
    assert_eq!(rows.map(|row| (row.id(), row.hits, row.update_count())), [(id, 1, 1), (id, 2, 2)]);
    assert_eq!(table.get(id).unwrap(), Some(rows[1]));
    assert_eq!(both_ways!(table, |target| target.update_by_key(&2, hit).unwrap()), [None, None]);
    assert_eq!(keys(&table), [1]);
}

#[test]
fn an_update_can_leave_the_record_and_return_something() {
    let (_directory, path) = scratch();
    let (table, id) = table_of_one(&path);
    let change = |record: &mut Visit| {
        hit(record);
        (record.hits < 2).then_some(record.hits * 100)
    };
    assert_eq!(both_ways!(table, |target| target.update_with(id, change).unwrap()), [Some(100), None]);
    assert_eq!(both_ways!(table, |target| target.update_with(id, change).unwrap()), [None, None]);
    let row = table.get(id).unwrap().unwrap();
    assert_eq!((row.hits, row.update_count()), (1, 1), "what was left has the version that it had");
    let gone = RecordId::from_u64(u64::from(id) + (1 << 24));
    for outcome in both_ways!(table, |target| target.update_with(gone, |_| Some(()))) {
        assert!(matches!(outcome, Err(Error::NotFound { id }) if id == gone), "{outcome:?}");
    }
}

#[derive(Debug)]
enum Refusal {
    Enough { hits: u64 },
    Table(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Table(error)
    }
}

#[test]
fn an_update_that_fails_changes_nothing_and_its_error_comes_through() {
    let (_directory, path) = scratch();
    let (table, id) = table_of_one(&path);
    let change = |record: &mut Visit| {
        hit(record);
        if record.hits > 1 { Err(Refusal::Enough { hits: record.hits }) } else { Ok(record.hits) }
    };
    let outcomes = both_ways!(table, |target| target.try_update(id, change));
    assert!(matches!(outcomes, [Ok(1), Err(Refusal::Enough { hits: 2 })]), "{outcomes:?}");
    let outcomes = both_ways!(table, |target| target.try_update(id, change));
    assert!(matches!(outcomes, [Err(Refusal::Enough { .. }), Err(Refusal::Enough { .. })]), "{outcomes:?}");
    assert_eq!(table.get(id).unwrap().unwrap().hits, 1);
    table.delete(id).unwrap();
    for outcome in both_ways!(table, |target| target.try_update(id, |_| Ok::<_, Refusal>(()))) {
        assert!(matches!(&outcome, Err(Refusal::Table(Error::NotFound { .. }))), "{outcome:?}");
    }
}

#[test]
fn what_is_removed_is_returned_as_it_was() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    test_kit::insert_all(&table, 0..4);
    let row = |key: u64| table.find(&key).unwrap().unwrap();
    let expected = [row(0), row(1), row(2), row(3)];
    assert_eq!(table.remove(expected[0].id()).unwrap(), expected[0]);
    assert_eq!(table.remove_by_key(&1).unwrap(), Some(expected[1]));
    let removed = table.write(|transaction| {
        Ok([
            Some(transaction.remove(expected[2].id())?),
            transaction.remove_by_key(&3)?,
            transaction.remove_by_key(&3)?,
        ])
    });
    assert_eq!(removed.unwrap(), [Some(expected[2]), Some(expected[3]), None]);
    assert_eq!(table.remove_by_key(&1).unwrap(), None);
    for outcome in both_ways!(table, |target| target.remove(expected[0].id())) {
        assert!(matches!(outcome, Err(Error::NotFound { .. })), "{outcome:?}");
    }
    assert!(table.is_empty().unwrap());
}

// -- against others --------------------------------------------------------------------------------

/// What another thread does while a closure runs, each time that it runs.
fn meanwhile(other: &Visits, change: impl FnOnce(&Visits) + Send) {
    // In a thread of its own: the closure's may not lock.
    std::thread::scope(|scope| scope.spawn(move || change(other)).join().unwrap());
}

fn remove(other: &Visits) {
    assert!(other.remove_by_key(&1).unwrap().is_some());
}

/// A handle of its own on the same table.
fn other_handle(path: &Path) -> Visits {
    options().open(path).unwrap()
}

#[test]
fn a_change_by_key_finds_the_key_again_when_its_record_was_replaced_meanwhile() {
    let (_directory, path) = scratch();
    let (table, old) = table_of_one(&path);
    let other = other_handle(&path);
    let mut run_count = 0;
    let changed = table.update_by_key(&1, |record| {
        run_count += 1;
        if run_count == 1 {
            meanwhile(&other, |other| {
                other.delete(old).unwrap();
                other.insert(&visit(1, 50)).unwrap();
            });
        }
        hit(record);
    });
    let row = changed.unwrap().unwrap();
    assert_eq!((run_count, row.hits), (2, 51));
    assert_ne!(row.id(), old);
    // Once deleted for good, it is not there any more, and using its id is an error.
    let changed = table.update_by_key(&1, |_| meanwhile(&other, remove));
    assert_eq!(changed.unwrap(), None);
    let id = table.insert(&visit(1, 0)).unwrap();
    let changed = table.update(id, |_| meanwhile(&other, remove));
    assert!(matches!(changed, Err(Error::NotFound { .. })), "{changed:?}");
}

#[test]
fn an_upsert_with_a_closure_inserts_when_the_record_is_deleted_meanwhile() {
    let (_directory, path) = scratch();
    let (table, _) = table_of_one(&path);
    let other = other_handle(&path);
    let upserted = table.upsert_with(&visit(1, 7), |record| {
        meanwhile(&other, remove);
        hit(record);
    });
    let row = upserted.unwrap();
    assert_eq!((row.hits, row.update_count()), (7, 0));
    assert_eq!(table.find(&1).unwrap(), Some(row));
}

#[test]
fn a_closure_that_others_are_always_faster_than_runs_under_the_lock_in_the_end() {
    let (_directory, path) = scratch();
    let (table, id) = table_of_one(&path);
    let other = options().lock_timeout(std::time::Duration::ZERO).open(&path).unwrap();
    let others_are_faster = || {
        meanwhile(&other, |other| match other.update_by_key(&1, hit) {
            Ok(_) | Err(Error::Timeout { .. }) => {}
            Err(error) => panic!("{error}"),
        });
    };
    let mut run_count = 0;
    let mut change = |record: &mut Visit| {
        run_count += 1;
        others_are_faster();
        hit(record);
    };
    let upserted = table.upsert_with(&visit(1, 0), &mut change).unwrap();
    let updated = table.update_by_key(&1, &mut change).unwrap().unwrap();
    let version = table.update(id, &mut change).unwrap();
    // One hit of the others for each run but the last, which could not be disturbed, and one of its own.
    assert!(run_count > 3);
    let row = table.get(id).unwrap().unwrap();
    assert_eq!((row.hits, row.version()), (run_count, version));
    assert!(upserted.version() < updated.version() && updated.version() < version);
}

const PROCESS_COUNT: u64 = 10;
const COUNTS_EACH: u64 = 200;
const KEY_COUNT: u64 = 3;

fn count(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    say("ready");
    hear();
    for number in 0..COUNTS_EACH {
        let row = table.upsert_with(&visit(number % KEY_COUNT, 1), hit).unwrap();
        test_kit::assert_whole(&row);
        assert_eq!(u64::from(row.update_count()) + 1, row.hits);
    }
}

#[test]
fn processes_that_insert_or_count_up_lose_no_count() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut children: Vec<_> = (0..PROCESS_COUNT).map(|_| Child::spawn("count", &path, "")).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    children.iter_mut().for_each(|child| child.tell("go"));
    children.into_iter().for_each(Child::finish);
    let sum: u64 = table.iter().map(|row| row.unwrap().hits).sum();
    assert_eq!((sum, table.len().unwrap()), (PROCESS_COUNT * COUNTS_EACH, KEY_COUNT));
    assert_consistent(&table);
}

fn collect(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    say("ready");
    hear();
    let mut sum = 0;
    // Until a message says that the others are done: they put a last record in.
    while table.remove_by_key(&KEY_COUNT).unwrap().is_none() {
        for key in 0..KEY_COUNT {
            sum += table.remove_by_key(&key).unwrap().map_or(0, |row| row.hits);
        }
    }
    say(sum);
}

/// A removal returns what it has removed, and not what was there before another thread was faster.
#[test]
fn counts_that_are_removed_while_others_count_are_all_there() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let mut collector = Child::spawn("collect", &path, "");
    collector.expect("ready");
    let mut children: Vec<_> = (0..PROCESS_COUNT).map(|_| Child::spawn("count", &path, "")).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    collector.tell("go");
    children.iter_mut().for_each(|child| child.tell("go"));
    children.into_iter().for_each(Child::finish);
    table.insert(&visit(KEY_COUNT, 0)).unwrap();
    let removed: u64 = collector.hear().parse().unwrap();
    collector.finish();
    let left: u64 = table.iter().map(|row| row.unwrap().hits).sum();
    assert_eq!(removed + left, PROCESS_COUNT * COUNTS_EACH);
}

fn take(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    say("ready");
    hear();
    let taken = (0..64).filter_map(|key| table.remove_by_key(&key).unwrap());
    let taken: Vec<_> = taken.map(|row| row.visitor.to_string()).collect();
    say(format_args!("taken {}", taken.join(" ")));
}

#[test]
fn of_processes_that_remove_a_record_by_its_key_one_gets_it() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    test_kit::insert_all(&table, 0..64);
    let mut children: Vec<_> = (0..PROCESS_COUNT).map(|_| Child::spawn("take", &path, "")).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    children.iter_mut().for_each(|child| child.tell("go"));
    let mut taken: Vec<u64> = Vec::new();
    for child in &mut children {
        let message = child.hear();
        taken.extend(message.trim_start_matches("taken").split_whitespace().map(|key| key.parse::<u64>().unwrap()));
    }
    children.into_iter().for_each(Child::finish);
    taken.sort_unstable();
    assert_eq!(taken, (0..64).collect::<Vec<_>>());
    assert!(table.is_empty().unwrap());
}
