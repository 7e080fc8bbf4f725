//! Several reads that agree: beside writers that never pause, that hold the lock, and that died half way.

mod common;

use common::{Visit, Visits, insert_all, options, scratch, visit};
use locule::{Error, RecordId, Snapshot};

#[test]
fn child_process() {
    common::play(&[]);
}

/// Somebody else writes a record, in the middle of a snapshot.
fn write_elsewhere(table: &Visits, key: u64) {
    std::thread::scope(|scope| scope.spawn(|| table.upsert(&visit(key, 0)).map(drop)).join().unwrap()).unwrap();
}

#[track_caller]
fn assert_stale<R>(outcome: Result<R, Error>) {
    assert!(matches!(outcome, Err(Error::StaleSnapshot)), "{:?}", outcome.map(drop));
}

/// One read, and whether it found what is there.
type Read = fn(&Snapshot<'_, Visit>, RecordId) -> Result<bool, Error>;

/// A body that compared two reads could find them of two moments, before it was run again: a check of what always holds failed
/// on a table in which it held.
#[test]
fn no_read_of_a_snapshot_succeeds_after_its_moment() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let id = table.find(&0).unwrap().unwrap().id;
    let reads: [(&str, Read); 6] = [
        ("get", |view, id| Ok(view.get(id)?.is_some())),
        ("find", |view, _| Ok(view.find(&0)?.is_some())),
        ("find what is not there", |view, _| Ok(view.find(&63)?.is_none())),
        ("len", |view, _| Ok(view.len()? == 3)),
        ("is_empty", |view, _| Ok(!view.is_empty()?)),
        ("iter", |view, _| Ok(view.iter().next().unwrap()?.visitor == 0)),
    ];
    for (name, read) in reads {
        let mut run_count = 0;
        let result = table.snapshot(|view| {
            run_count += 1;
            assert!(read(view, id)?, "{name}");
            if run_count == 1 {
                write_elsewhere(&table, 1);
                assert_stale(read(view, id));
                // Who keeps the error for himself runs again all the same.
                return Ok("of no moment");
            }
            Ok(name)
        });
        assert_eq!((result.unwrap(), run_count), (name, 2));
    }
}

#[test]
fn an_iteration_that_outlives_its_moment_ends_with_the_error_wherever_it_stands() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    for row_count in 0..=3 {
        let mut run_count = 0;
        let count = table.snapshot(|view| {
            run_count += 1;
            let mut rows = view.iter();
            for _ in 0..row_count {
                rows.next().unwrap()?;
            }
            if run_count == 1 {
                write_elsewhere(&table, 1);
                // Also after the last record: that there was no other was so at that moment.
                assert_stale(rows.next().unwrap());
                assert!(rows.next().is_none(), "the error is the last item");
            }
            Ok(view.iter().collect::<Result<Vec<_>, _>>()?.len())
        });
        assert_eq!((count.unwrap(), run_count), (3, 2), "after {row_count} records");
    }
}

#[test]
fn an_iteration_that_has_ended_has_ended() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let mut run_count = 0;
    table
        .snapshot(|view| {
            run_count += 1;
            let mut rows = view.iter();
            assert_eq!(rows.by_ref().map(|row| row.map(drop)).collect::<Result<Vec<_>, _>>()?.len(), 3);
            if run_count == 1 {
                write_elsewhere(&table, 1);
            }
            assert!(rows.next().is_none());
            Ok(())
        })
        .unwrap();
    assert_eq!(run_count, 2);
}
