//! Several reads that agree: beside writers that never pause, that hold the lock, and that died half way.

use locule::{Error, RecordId, Snapshot};
use std::path::Path;
use std::time::Duration;
use test_kit::{Child, Visit, Visits, insert_all, options, say, scratch, visit, wait_until};

#[test]
fn child_process() {
    test_kit::play(&[("transfer", transfer), ("renumber", renumber)]);
}

/// The money for each account: the sum over all accounts stays the same, whatever is transferred.
const MONEY_EACH: u64 = 1000;

/// A table of accounts.
fn create_accounts(path: &Path, account_count: u64, capacity: u64) {
    let table = options().capacity(capacity).create(path).unwrap();
    table
        .write(|transaction| (0..account_count).try_for_each(|id| transaction.insert(&visit(id, MONEY_EACH)).map(drop)))
        .unwrap();
}

/// Moves money between two accounts in each transaction, without a pause: between all of them, or a few.
fn transfer(path: &Path, account_count: &str) {
    let table = options().open(path).unwrap();
    let account_count = account_count.parse().unwrap();
    let ids: Vec<_> = (0..account_count).map(|key| table.find(&key).unwrap().unwrap().id()).collect();
    let mut random = fastrand::Rng::new();
    let mut has_begun = false;
    loop {
        let [from, to] = [0; 2].map(|_| ids[random.usize(..ids.len())]);
        let result = table.write(|transaction| {
            let amount = random.u64(..=transaction.get(from)?.unwrap().hits);
            transaction.update(from, |account| *account = visit(account.visitor, account.hits - amount))?;
            transaction.update(to, |account| *account = visit(account.visitor, account.hits + amount))
        });
        result.unwrap();
        if !has_begun {
            say("begun");
            has_begun = true;
        }
    }
}

/// Closes all accounts and opens others with their money in each transaction: so publishing takes a good part of it.
fn renumber(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    for round in 0_u64.. {
        let renumbered = table.write(|transaction| {
            let rows = table.iter().collect::<Result<Vec<_>, _>>()?;
            rows.iter().try_for_each(|row| transaction.delete(row.id()))?;
            rows.iter().try_for_each(|row| transaction.insert(&visit(row.visitor + 1000, row.hits)).map(drop))
        });
        renumbered.unwrap();
        if round == 0 {
            say("begun");
        }
    }
}

/// All accounts in one snapshot: how many there are, and the money on them.
fn count_money(table: &Visits) -> Result<(u64, u64), Error> {
    table.snapshot(|view| {
        let (mut count, mut sum) = (0, 0);
        for row in view.iter() {
            let row = row?;
            test_kit::assert_whole(&row);
            assert_eq!(view.find(&row.visitor)?.as_ref(), Some(&row));
            count += 1;
            sum += row.hits;
        }
        assert_eq!(view.len()?, count);
        assert!(view.find(&u64::MAX)?.is_none());
        Ok((count, sum))
    })
}

/// Of ten snapshots of a read-only handle beside one busy writer seven failed: each of sixteen tries was overtaken.
#[test]
fn snapshots_of_a_read_only_handle_succeed_beside_a_writer_that_never_pauses() {
    for (capacity, busy_count) in [(64, 64), (64, 2), (10_000, 10_000), (10_000, 64), (10_000, 2)] {
        let (_directory, path) = scratch();
        create_accounts(&path, capacity, capacity);
        let mut writer = Child::spawn("transfer", &path, busy_count);
        writer.expect("begun");
        let reader = options().open_read_only(&path).unwrap();
        for _ in 0..20 {
            let found = count_money(&reader).unwrap();
            assert_eq!(found, (capacity, capacity * MONEY_EACH), "{busy_count} of {capacity} are busy");
        }
    }
}

/// After the death of a writer that had prepared a transaction and not finished it, a read-only snapshot once failed
/// until another writer came.
#[test]
fn snapshots_of_a_read_only_handle_succeed_at_once_beside_a_writer_that_was_killed_anywhere() {
    let (_directory, path) = scratch();
    create_accounts(&path, 32, 64);
    // It does not wait at all.
    let reader = options().lock_timeout(Duration::ZERO).open_read_only(&path).unwrap();
    let mut random = fastrand::Rng::new();
    for round in 0.. {
        let mut writer = Child::spawn("renumber", &path, "");
        writer.expect("begun");
        // It goes on for a while, so that it dies anywhere and not where it has just sent a message.
        let last = reader.status().last + random.u64(1..100);
        wait_until("the writer goes on", || reader.status().last > last);
        writer.kill();
        assert_eq!(count_money(&reader).unwrap(), (32, 32 * MONEY_EACH));
        // The writer after it finds where it died.
        let died = reader.status().repair_counts;
        if died.prepared + died.publishing > 3 {
            println!("{round} writers died: {died:?}");
            return;
        }
        assert!(round < 1000, "no writer dies where it publishes: {died:?}");
    }
}

/// Another process writes a record, in the middle of a snapshot.
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
    let id = table.find(&0).unwrap().unwrap().id();
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
                // A closure that keeps the error to itself runs again all the same.
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
                // The same after the last record: that there was no other was true at that moment.
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

#[test]
fn the_records_of_a_snapshot_can_be_gone_through_again() {
    let (_directory, path) = scratch();
    create_accounts(&path, 3, 8);
    let table = options().open(&path).unwrap();
    let found = table.snapshot(|view| {
        let copy = view.clone();
        let mut sum = 0;
        for row in &copy {
            sum += row?.hits;
        }
        let mut rest = view.iter();
        let first = rest.next().unwrap()?;
        assert_eq!(AsRef::<Visit>::as_ref(&first), first.record());
        Ok((sum, rest.clone().count(), rest.count()))
    });
    assert_eq!(found.unwrap(), (3 * MONEY_EACH, 2, 2));
    let mut rest = table.iter();
    rest.next();
    assert_eq!((rest.clone().count(), rest.count()), (2, 2));
}
