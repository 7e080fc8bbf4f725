//! What the closures of transactions and snapshots see, and how they fail; and what many processes do with one
//! transaction each.

use locule::{Error, Result, Table, WriteTransaction};
use std::path::Path;
use test_kit::{Child, Visit, assert_consistent, hear, keys, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[("work", work)]);
}

// -- reading in a transaction ----------------------------------------------------------------------

/// Everything that a transaction can be asked agrees with what is in it.
#[track_caller]
fn assert_sees(transaction: &mut WriteTransaction<'_, Visit>, expected: &[(u64, u64)]) {
    let mut rows: Vec<_> = transaction.iter().map(Result::unwrap).collect();
    let mut others = rows.iter();
    for row in &mut *transaction {
        assert_eq!(Some(&row.unwrap()), others.next());
    }
    assert_eq!(others.next(), None);
    rows.sort_by_key(|row| row.visitor);
    assert_eq!(rows.iter().map(|row| (row.visitor, row.hits)).collect::<Vec<_>>(), expected);
    for row in &rows {
        assert_eq!(transaction.get(row.id()).unwrap().as_ref(), Some(row));
        assert_eq!(transaction.find(&row.visitor).unwrap().as_ref(), Some(row));
    }
    assert_eq!(transaction.len().unwrap(), rows.len() as u64);
    assert_eq!(transaction.is_empty().unwrap(), rows.is_empty());
    for key in 0..200 {
        let is_there = expected.iter().any(|(visitor, _)| *visitor == key);
        assert_eq!(transaction.contains_key(&key).unwrap(), is_there, "{key}");
    }
    let mut odd = transaction.select(|visit| visit.visitor % 2 == 1).unwrap();
    odd.sort_by_key(|row| row.visitor);
    rows.retain(|row| row.visitor % 2 == 1);
    assert_eq!(odd, rows);
}

#[test]
fn every_read_in_a_transaction_sees_what_it_has_written() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    test_kit::insert_all(&table, 0..5);
    let outcome = table.write(|transaction| {
        assert_sees(transaction, &[(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
        transaction.insert(&visit(100, 1))?;
        transaction.remove_by_key(&1)?;
        transaction.update_by_key(&2, |record| *record = visit(2, 7))?;
        assert_sees(transaction, &[(0, 0), (2, 7), (3, 0), (4, 0), (100, 1)]);
        // What the transaction itself has inserted, and a key that it has deleted.
        transaction.remove_by_key(&100)?;
        transaction.insert(&visit(1, 9))?;
        assert_sees(transaction, &[(0, 0), (1, 9), (2, 7), (3, 0), (4, 0)]);
        // So many that the transaction looks at them in another way.
        (110..150).try_for_each(|key| transaction.insert(&visit(key, 0)).map(drop))?;
        let mut expected = vec![(0, 0), (1, 9), (2, 7), (3, 0), (4, 0)];
        expected.extend((110..150).map(|key| (key, 0)));
        assert_sees(transaction, &expected);
        for row in transaction.iter().collect::<Result<Vec<_>>>()? {
            transaction.delete(row.id())?;
        }
        assert_sees(transaction, &[]);
        // No other reader sees any of it.
        assert_eq!((keys(&table), table.len()?), (vec![0, 1, 2, 3, 4], 5));
        Err::<(), _>(Error::caller("enough"))
    });
    assert!(matches!(outcome, Err(Error::Caller { .. })), "{outcome:?}");
    assert_eq!(keys(&table), [0, 1, 2, 3, 4]);
    assert_consistent(&table);
}

// -- errors of the closure's own type --------------------------------------------------------------

#[derive(Debug)]
enum OwnError {
    Refused,
    Table(Error),
}

impl From<Error> for OwnError {
    fn from(error: Error) -> Self {
        OwnError::Table(error)
    }
}

/// What libraries for errors of any kind use.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn a_transaction_fails_with_the_closures_own_error_and_then_nothing_has_happened() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let outcome = table.try_write(|transaction| {
        transaction.insert(&visit(1, 0))?;
        if transaction.len()? == 1 { Err(OwnError::Refused) } else { Ok(()) }
    });
    assert!(matches!(outcome, Err(OwnError::Refused)), "{outcome:?}");
    assert!(table.is_empty().unwrap());
    let outcome = table.try_write(|transaction| -> Result<(), AnyError> {
        transaction.insert(&visit(1, 0))?;
        let number: u64 = "no number".parse()?;
        transaction.insert(&visit(number, 0))?;
        Ok(())
    });
    assert!(outcome.unwrap_err().is::<std::num::ParseIntError>());
    assert!(table.is_empty().unwrap());
    // What the table reports comes as the closure's error too, from inside the closure and from outside.
    let outcome = table.try_write(|transaction| {
        transaction.insert(&visit(1, 0))?;
        transaction.insert(&visit(1, 0))?;
        Ok::<_, OwnError>(())
    });
    assert!(matches!(outcome, Err(OwnError::Table(Error::DuplicateKey { .. }))), "{outcome:?}");
    let reader = options().open_read_only(&path).unwrap();
    let outcome = reader.try_write(|_| -> Result<(), OwnError> { panic!("not called") });
    assert!(matches!(outcome, Err(OwnError::Table(Error::ReadOnly { .. }))), "{outcome:?}");
    let done = table.try_write(|transaction| Ok::<_, AnyError>(transaction.insert(&visit(1, 0))?));
    assert_eq!(table.get(done.unwrap()).unwrap().unwrap().visitor, 1);
}

/// A closure that has turned the error about a moment that has passed into another error, or into none.
#[test]
fn a_snapshot_runs_again_when_its_moment_has_passed_whatever_the_closure_returns() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    table.insert(&visit(1, 0)).unwrap();
    let writer = options().open(&path).unwrap();
    let write = |hits| {
        std::thread::scope(|scope| {
            scope.spawn(|| writer.update_by_key(&1, |record| *record = visit(1, hits)).unwrap()).join().unwrap()
        });
    };
    for returns_an_error in [false, true] {
        let mut run_count = 0;
        let seen = table.try_snapshot(|view| {
            run_count += 1;
            if run_count < 3 {
                write(run_count);
                let stale = view.find(&1).unwrap_err();
                assert!(matches!(stale, Error::StaleSnapshot), "{stale:?}");
                return if returns_an_error { Err(OwnError::Refused) } else { Ok(u64::MAX) };
            }
            assert!(view.contains_key(&1)? && !view.contains_key(&2)?);
            let hits = view.find(&1)?.map_or(0, |row| row.hits);
            assert_eq!(view.select(|visit| visit.hits == hits)?.len(), 1);
            Ok(hits)
        });
        assert_eq!((seen.unwrap(), run_count), (2, 3));
    }
    // In a run whose moment lasts the closure's own error is the result.
    let outcome = table.try_snapshot(|view| if view.is_empty()? { Ok(()) } else { Err(OwnError::Refused) });
    assert!(matches!(outcome, Err(OwnError::Refused)), "{outcome:?}");
}

// -- the oldest free job ---------------------------------------------------------------------------

locule::record! {
    struct Job {
        key number: u64,
        submitted: u64,
        worker: Option<u32>,
    }
}

const WORKER_COUNT: u64 = 20;
const JOB_COUNT: u64 = 300;

fn jobs() -> locule::OpenOptions<Job> {
    Table::options().capacity(JOB_COUNT).sync_every(None)
}

/// Takes the oldest job that no worker has: one short transaction.
fn claim(table: &Table<Job>) -> Result<Option<Job>> {
    table.write(|transaction| {
        let free = transaction.select(|job| job.worker.is_none())?;
        let Some(oldest) = free.into_iter().min_by_key(|job| job.submitted) else { return Ok(None) };
        transaction.update(oldest.id(), |job| job.worker = Some(std::process::id()))?;
        Ok(Some(oldest.into_record()))
    })
}

fn work(path: &Path, _: &str) {
    let table = jobs().open(path).unwrap();
    say("ready");
    hear();
    let claimed = std::iter::from_fn(|| claim(&table).unwrap());
    let submitted: Vec<_> = claimed.map(|job| job.submitted.to_string()).collect();
    say(format_args!("claimed {}", submitted.join(" ")));
}

#[test]
fn of_twenty_processes_each_claims_the_oldest_free_job_and_none_is_claimed_twice() {
    let (_directory, path) = scratch();
    let table = jobs().create(&path).unwrap();
    // Not in the order of their slots.
    table
        .write(|transaction| {
            (0..JOB_COUNT).try_for_each(|number| {
                let submitted = (number * 7) % JOB_COUNT;
                transaction.insert(&Job { number, submitted, worker: None }).map(drop)
            })
        })
        .unwrap();
    let mut workers: Vec<_> = (0..WORKER_COUNT).map(|_| Child::spawn("work", &path, "")).collect();
    workers.iter_mut().for_each(|worker| worker.expect("ready"));
    workers.iter_mut().for_each(|worker| worker.tell("go"));
    let mut all = Vec::new();
    for worker in &mut workers {
        let message = worker.hear();
        let claimed: Vec<u64> = message.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect();
        assert!(claimed.is_sorted(), "an older job was free when a younger one was claimed: {claimed:?}");
        let pid = u32::try_from(worker.pid().as_raw()).unwrap();
        let mut own: Vec<_> = table.select(|job| job.worker == Some(pid)).unwrap();
        own.sort_by_key(|job| job.submitted);
        assert_eq!(own.iter().map(|job| job.submitted).collect::<Vec<_>>(), claimed);
        all.extend(claimed);
    }
    workers.into_iter().for_each(Child::finish);
    all.sort_unstable();
    assert_eq!(all, (0..JOB_COUNT).collect::<Vec<_>>());
    // Each claim is one transaction, so the versions are in the order of the claims: and that is the order of the jobs' ages.
    let mut rows: Vec<_> = table.iter().map(Result::unwrap).collect();
    rows.sort_by_key(locule::Row::version);
    assert!(rows.is_sorted_by_key(|row| row.submitted), "a younger job was claimed before an older one");
}
