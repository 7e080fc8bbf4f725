//! Many processes at once on one table, some of them killed at any moment.

use locule::testing::SharedWords;
use locule::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use test_kit::{Child, Visit, Visits, assert_consistent, hear, keys, options, say, scratch, visit};

const PROCESS_COUNT: u64 = 50;

#[test]
fn child_process() {
    test_kit::play(&[("open or create", open_or_create), ("count", count), ("work", work)]);
}

fn open_or_create(path: &Path, argument: &str) {
    say("ready");
    hear();
    let table = options().open_or_create(path).unwrap();
    table.insert(&visit(argument.parse().unwrap(), 0)).unwrap();
    say("inserted");
    // The handle stays open until all have inserted, so that no process is a first opener again.
    hear();
}

#[test]
fn fifty_processes_that_open_or_create_at_once_get_one_table() {
    let (directory, path) = scratch();
    let mut children: Vec<_> = (0..PROCESS_COUNT).map(|id| Child::spawn("open or create", &path, id)).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    children.iter_mut().for_each(|child| child.tell("go"));
    children.iter_mut().for_each(|child| child.expect("inserted"));
    let table = options().open(&path).unwrap();
    assert_eq!(keys(&table), (0..PROCESS_COUNT).collect::<Vec<_>>());
    assert_consistent(&table);
    children.iter_mut().for_each(|child| child.tell("end"));
    children.into_iter().for_each(Child::finish);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "a file with another name was left");
}

const COUNTS_EACH: u64 = 100;

fn count(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let id = table.find(&0).unwrap().unwrap().id();
    say("ready");
    hear();
    for _ in 0..COUNTS_EACH {
        table.update(id, |counter| *counter = visit(0, counter.hits + 1)).unwrap();
    }
}

#[test]
fn fifty_processes_that_count_one_record_up_lose_no_count() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    table.insert(&visit(0, 0)).unwrap();
    let mut children: Vec<_> = (0..PROCESS_COUNT).map(|_| Child::spawn("count", &path, "")).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    children.iter_mut().for_each(|child| child.tell("go"));
    children.into_iter().for_each(Child::finish);
    let counter = table.find(&0).unwrap().unwrap();
    assert_eq!(counter.hits, PROCESS_COUNT * COUNTS_EACH);
    assert_eq!(u64::from(counter.update_count()), PROCESS_COUNT * COUNTS_EACH);
    assert_consistent(&table);
}

#[test]
fn one_handle_serves_many_threads() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let id = table.insert(&visit(0, 0)).unwrap();
    std::thread::scope(|scope| {
        for thread in 1..=8 {
            let table = &table;
            scope.spawn(move || {
                for round in 0..100 {
                    table.update(id, |counter| *counter = visit(0, counter.hits + 1)).unwrap();
                    let own = table.insert(&visit(thread, round)).unwrap();
                    test_kit::assert_whole(&table.find(&0).unwrap().unwrap());
                    table.delete(own).unwrap();
                }
            });
        }
    });
    assert_eq!(table.find(&0).unwrap().unwrap().hits, 800);
    assert_eq!(keys(&table), [0]);
}

// -- killed at any moment --------------------------------------------------------------------------

const WORKER_COUNT: u64 = 6;
const KILL_COUNT: u64 = 40;
const KEYS_EACH: u64 = 8;
/// Accounts that all workers share, and the sum in all of them together.
const ACCOUNTS: u64 = 4;
const MONEY: u64 = 1000;

/// What one worker's records are after its operations up to `step`: each operation follows from its number.
fn expected_after(worker: u64, step: u64) -> BTreeMap<u64, u64> {
    let mut records = BTreeMap::new();
    // Every 16th step begins anew, so there is no need to begin at the first.
    for step in step - step % 16..=step {
        let key = own_key(worker, step);
        match step % 16 {
            0 => records = (0..KEYS_EACH).map(|key| (own_key(worker, key), step)).collect(),
            8 => records.clear(),
            _ if step % 3 == 0 => drop(records.remove(&key)),
            _ => drop(records.insert(key, step)),
        }
    }
    records
}

fn own_key(worker: u64, number: u64) -> u64 {
    1000 * (worker + 1) + number % KEYS_EACH
}

/// One operation of a worker on its own records.
fn take_step(table: &Visits, worker: u64, step: u64) -> Result<()> {
    let key = own_key(worker, step);
    match step % 16 {
        0 => table.write(|transaction| {
            for key in 0..KEYS_EACH {
                transaction.upsert(&visit(own_key(worker, key), step))?;
            }
            Ok(())
        }),
        8 => table.write(|transaction| {
            for key in 0..KEYS_EACH {
                if let Some(row) = transaction.find(&own_key(worker, key))? {
                    transaction.delete(row.id())?;
                }
            }
            Ok(())
        }),
        _ if step % 3 == 0 => match table.find(&key)? {
            Some(row) => table.delete(row.id()).map(drop),
            None => Ok(()),
        },
        _ => table.upsert(&visit(key, step)).map(drop),
    }
}

/// Moves money between two of the shared accounts.
fn transfer(table: &Visits, random: &mut fastrand::Rng) -> Result<()> {
    let (from, to) = (random.u64(0..ACCOUNTS), random.u64(0..ACCOUNTS));
    table.write(|transaction| {
        let missing = || Error::caller("an account is missing");
        let source = transaction.find(&from)?.ok_or_else(missing)?;
        let amount = source.hits.min(random.u64(0..50));
        transaction.update(source.id(), |account| *account = visit(from, account.hits - amount))?;
        let target = transaction.find(&to)?.ok_or_else(missing)?;
        transaction.update(target.id(), |account| *account = visit(to, account.hits + amount))?;
        Ok(())
    })
}

/// Which steps a worker has begun and finished, in memory that outlives it.
fn progress(board: &SharedWords, worker: u64) -> (&AtomicU64, &AtomicU64) {
    let first = usize::try_from(worker * 2).unwrap();
    (&board.words()[first], &board.words()[first + 1])
}

fn work(path: &Path, argument: &str) {
    let worker = argument.parse().unwrap();
    let board = SharedWords::open(path.with_extension("board")).unwrap();
    let (begun, finished) = progress(&board, worker);
    let table = Visits::options().sync_every(Some(Duration::from_millis(20))).open(path).unwrap();
    let mut random = fastrand::Rng::with_seed(worker ^ begun.load(Ordering::Relaxed) << 8);
    assert_one_of_two(&table, worker, &board);
    // A step in which its process died may have happened or not. The process that has the lock can tell; then it is
    // written down.
    table.write(|_| Ok(())).unwrap();
    if own_records(&table, worker) == expected_after(worker, begun.load(Ordering::Relaxed)) {
        finished.store(begun.load(Ordering::Relaxed), Ordering::Release);
    }
    let mut step = begun.load(Ordering::Relaxed).next_multiple_of(16);
    begun.store(step, Ordering::Release);
    loop {
        take_step(&table, worker, step).unwrap();
        finished.store(step, Ordering::Release);
        transfer(&table, &mut random).unwrap();
        assert_money(&table);
        step += 1;
        begun.store(step, Ordering::Release);
    }
}

#[track_caller]
fn assert_money(table: &Visits) {
    let sum = table.snapshot(|snapshot| {
        (0..ACCOUNTS).map(|key| Ok(snapshot.find(&key)?.map_or(0, |row| row.hits))).sum::<Result<u64>>()
    });
    assert_eq!(sum.unwrap(), MONEY);
}

fn own_records(table: &Visits, worker: u64) -> BTreeMap<u64, u64> {
    let own = own_key(worker, 0)..own_key(worker, 0) + KEYS_EACH;
    let rows = table.select(|visit: &Visit| own.contains(&visit.visitor)).unwrap();
    rows.iter().map(|row| (row.visitor, row.hits)).collect()
}

/// A worker's records are what they were after its last finished step, or after the one that it had begun.
#[track_caller]
fn assert_one_of_two(table: &Visits, worker: u64, board: &SharedWords) {
    let (begun, finished) = progress(board, worker);
    let (begun, finished) = (begun.load(Ordering::Acquire), finished.load(Ordering::Acquire));
    let found = own_records(table, worker);
    let (before, after) = (expected_after(worker, finished), expected_after(worker, begun));
    // A worker that is killed before its first step leaves 0 in both words.
    assert!(
        found == before || found == after || (begun == 0 && found.is_empty()),
        "worker {worker}, steps {finished} to {begun}: found {found:?}, expected {before:?} or {after:?}"
    );
}

#[test]
fn workers_killed_at_any_moment_lose_no_finished_write_and_leave_no_half_of_another() {
    let (_directory, path) = scratch();
    let board = SharedWords::create(path.with_extension("board"), usize::try_from(WORKER_COUNT * 2).unwrap()).unwrap();
    let table = options().create(&path).unwrap();
    for account in 0..ACCOUNTS {
        table.insert(&visit(account, MONEY / ACCOUNTS)).unwrap();
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut workers: Vec<_> = (0..WORKER_COUNT).map(|worker| Child::spawn("work", &path, worker)).collect();
    for _ in 0..KILL_COUNT {
        // Not to get an order: any moment will do.
        std::thread::sleep(Duration::from_micros(random.u64(0..30_000)));
        let worker = random.u64(0..WORKER_COUNT);
        let child = &mut workers[usize::try_from(worker).unwrap()];
        child.kill();
        assert_one_of_two(&table, worker, &board);
        assert_money(&table);
        *child = Child::spawn("work", &path, worker);
    }
    // No process is left, and one may have died in the middle of something.
    drop(table);
    workers.iter_mut().for_each(Child::kill);
    let table = options().open(&path).unwrap();
    assert!(table.recovery().nothing_lost, "{}", table.recovery());
    for worker in 0..WORKER_COUNT {
        assert_one_of_two(&table, worker, &board);
        let (_, finished) = progress(&board, worker);
        assert!(finished.load(Ordering::Relaxed) > 0, "worker {worker} did nothing");
    }
    assert_money(&table);
    assert_consistent(&table);
    test_kit::assert_recovers_the_same(&table, &path);

    // No slot was lost on the way.
    table.write(|transaction| table.iter().try_for_each(|row| transaction.delete(row?.id()))).unwrap();
    test_kit::insert_all(&table, 0..64);
    assert_consistent(&table);
}
