//! A server that forks its workers after it has opened the table: they use the inherited handle, die at any moment,
//! meet a disk that fails, and reopen whenever they are told to, and so does their parent. What was acknowledged stays.

use super::{CONDEMNED, ControlWords, RECOVERY_NUMBER, assert_good, can_make_flushes_fail};
use locule::testing::SharedWords;
use locule::{Error, Result};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use test_kit::system_calls::{End, filter};
use test_kit::{Child, Role, Visits, fork, options, say, scratch, visit, wait_until};

pub const ROLES: &[(&str, Role)] = &[("serve", serve)];

const WORKER_COUNT: usize = 8;
/// The worker files of the workers, and that of their parent.
const WORKER_FILE_COUNT: usize = WORKER_COUNT + 1;
const KEYS_EACH: usize = 5;
/// The record that all of them increment together.
const COUNTER: u64 = 1000;
const AT_LEAST: Duration = Duration::from_secs(3);

/// What was done in one worker file, in memory that outlives its worker.
struct WorkerFile<'a>(&'a [AtomicU64]);

const WORKER_FILE_WORDS: usize = 3 + 2 * KEYS_EACH;

impl<'a> WorkerFile<'a> {
    fn of(ledger: &'a SharedWords, worker_file: usize) -> Self {
        WorkerFile(&ledger.words()[1 + worker_file * WORKER_FILE_WORDS..][..WORKER_FILE_WORDS])
    }

    /// How often this worker file's increments were acknowledged.
    fn counted(&self) -> &AtomicU64 {
        &self.0[0]
    }

    /// The same, including the increment in progress.
    fn counting(&self) -> &AtomicU64 {
        &self.0[1]
    }

    /// How often a worker of this file died while it incremented.
    fn perhaps_counted(&self) -> &AtomicU64 {
        &self.0[2]
    }

    /// The content under a key that was acknowledged; 0: none.
    fn acknowledged(&self, key: usize) -> &AtomicU64 {
        &self.0[3 + 2 * key]
    }

    /// The same, or what is being done instead.
    fn intended(&self, key: usize) -> &AtomicU64 {
        &self.0[4 + 2 * key]
    }
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::SeqCst)
}

fn set(word: &AtomicU64, content: u64) {
    word.store(content, Ordering::SeqCst);
}

fn ledger_of(path: &Path) -> PathBuf {
    path.with_extension("ledger")
}

fn is_stopped(ledger: &SharedWords) -> bool {
    get(&ledger.words()[0]) != 0
}

fn key_of(worker_file: usize, key: usize) -> u64 {
    u64::try_from(worker_file * 100 + key).unwrap()
}

/// A process that does things to the table through a handle, in a worker file.
struct Clerk<'a> {
    table: &'a Visits,
    worker_file: WorkerFile<'a>,
    number: usize,
    random: fastrand::Rng,
    /// Whether the disk fails for this process.
    has_no_disk: bool,
}

impl Clerk<'_> {
    /// What the previous process did at the end may have happened or not; the process that has the lock can tell, and
    /// writes it down.
    fn take_the_worker_file(&mut self) -> Result<()> {
        if get(self.worker_file.counting()) != get(self.worker_file.counted()) {
            set(self.worker_file.perhaps_counted(), get(self.worker_file.perhaps_counted()) + 1);
            set(self.worker_file.counting(), get(self.worker_file.counted()));
        }
        self.table.write(|_| Ok(()))?;
        for key in 0..KEYS_EACH {
            let found = self.content_of(key)?;
            self.assert_found(key, found);
            set(self.worker_file.intended(key), found);
            set(self.worker_file.acknowledged(key), found);
        }
        Ok(())
    }

    fn content_of(&self, key: usize) -> Result<u64> {
        Ok(self.table.find(&key_of(self.number, key))?.map_or(0, |row| row.hits))
    }

    #[track_caller]
    fn assert_found(&self, key: usize, found: u64) {
        let expected = [self.worker_file.acknowledged(key), self.worker_file.intended(key)].map(get);
        assert!(expected.contains(&found), "worker {}, key {key}: {found}, expected one of {expected:?}", self.number);
    }

    /// Does one thing or another.
    fn step(&mut self) -> Result<()> {
        match self.random.u32(0..100) {
            0..70 => {
                let key = self.random.usize(0..KEYS_EACH);
                self.change(key)
            }
            70..90 => self.count(),
            _ => self.table.sync().map(drop),
        }
    }

    /// Inserts, updates or deletes.
    fn change(&mut self, key: usize) -> Result<()> {
        let (key_word, before) = (key_of(self.number, key), get(self.worker_file.acknowledged(key)));
        let after = if before != 0 && self.random.bool() { 0 } else { self.random.u64(1..) };
        let found = self.table.find(&key_word)?;
        assert_eq!(found.as_ref().map_or(0, |row| row.hits), before, "worker {}, key {key}", self.number);
        set(self.worker_file.intended(key), after);
        let outcome = match found {
            None => self.table.insert(&visit(key_word, after)).map(drop),
            Some(row) if after == 0 => self.table.delete(row.id()).map(drop),
            Some(row) => self.table.update(row.id(), |content| *content = visit(key_word, after)).map(drop),
        };
        match outcome {
            Ok(()) => set(self.worker_file.acknowledged(key), after),
            Err(_) => set(self.worker_file.intended(key), before),
        }
        outcome
    }

    fn count(&mut self) -> Result<()> {
        let before = get(self.worker_file.counted());
        set(self.worker_file.counting(), before + 1);
        let outcome = self.table.write(|transaction| {
            let row = transaction.find(&COUNTER)?.expect("it is never deleted");
            transaction.update(row.id(), |counter| *counter = visit(COUNTER, row.hits + 1)).map(drop)
        });
        match outcome {
            Ok(()) => set(self.worker_file.counted(), before + 1),
            Err(_) => set(self.worker_file.counting(), before),
        }
        outcome
    }

    /// Does what the documentation says to do after an error. False if this process is of no use any more.
    fn answer(&mut self, outcome: Result<()>) -> bool {
        match outcome {
            Ok(()) => return true,
            Err(Error::FlushFailed { .. } | Error::Condemned | Error::Superseded | Error::Recovered) => {}
            // The process that was recovering the table has been killed.
            Err(Error::Incompatible { .. }) => {}
            Err(error) => panic!("worker {}: {error:?}", self.number),
        }
        match self.table.reopen() {
            Ok(()) => true,
            Err(Error::FlushFailed { source: Some(_) }) if self.has_no_disk => false,
            Err(
                Error::FlushFailed { source: None } | Error::Condemned | Error::Superseded | Error::Incompatible { .. },
            ) => {
                // Others have not noticed yet, and have the processor now.
                std::thread::yield_now();
                true
            }
            Err(error) => panic!("worker {}: reopening: {error:?}", self.number),
        }
    }
}

/// A worker, in a fork: until it is told to stop, or is of no use.
fn work(table: &Visits, ledger: &SharedWords, number: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let has_no_disk = random.u32(0..4) == 0;
    if has_no_disk {
        assert!(filter(libc::SYS_msync, End::InputOutputError));
    }
    let mut clerk = Clerk { table, worker_file: WorkerFile::of(ledger, number), number, random, has_no_disk };
    let mut is_seated = false;
    while !is_stopped(ledger) {
        let outcome = if is_seated { clerk.step() } else { clerk.take_the_worker_file() };
        is_seated |= outcome.is_ok();
        if !clerk.answer(outcome) {
            return;
        }
    }
}

fn serve(path: &Path, seed: &str) {
    if !can_make_flushes_fail() {
        return;
    }
    let seed: u64 = seed.parse().unwrap();
    let ledger = SharedWords::open(ledger_of(path)).unwrap();
    let control = ControlWords::of(path);
    let table = options().open(path).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut parent = Clerk {
        table: &table,
        worker_file: WorkerFile::of(&ledger, WORKER_COUNT),
        number: WORKER_COUNT,
        random: random.fork(),
        has_no_disk: false,
    };
    let hire = |number, seed| fork(|| work(&table, &ledger, number, seed));
    let mut workers: Vec<Pid> = (0..WORKER_COUNT).map(|number| hire(number, random.u64(..))).collect();

    say("serving");
    // Other workers may have used this file before.
    loop {
        let outcome = parent.take_the_worker_file();
        let is_seated = outcome.is_ok();
        assert!(parent.answer(outcome));
        if is_seated {
            break;
        }
    }

    let start = Instant::now();
    let first_recovery = control.get(RECOVERY_NUMBER);
    let mut kill_count = 0;
    let mut next_kill = start;
    while start.elapsed() < AT_LEAST || control.get(RECOVERY_NUMBER) < first_recovery + 5 || kill_count < 20 {
        let outcome = parent.step();
        assert!(parent.answer(outcome));
        if random.u32(0..2000) == 0 {
            // As a process leaves it that executes another program in a thread under the lock.
            control.set(CONDEMNED, 1);
        }
        if next_kill <= Instant::now() {
            next_kill = Instant::now() + Duration::from_micros(random.u64(0..10_000));
            kill(workers[random.usize(0..WORKER_COUNT)], Signal::SIGKILL).unwrap();
            kill_count += 1;
        }
        for (number, worker) in workers.iter_mut().enumerate() {
            match waitpid(*worker, Some(WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::StillAlive => continue,
                WaitStatus::Exited(_, 0) | WaitStatus::Signaled(_, Signal::SIGKILL, _) => {}
                status => panic!("{status:?}"),
            }
            *worker = hire(number, random.u64(..));
        }
    }
    set(&ledger.words()[0], 1);
    for worker in workers {
        let status = waitpid(worker, None).unwrap();
        assert!(matches!(status, WaitStatus::Exited(_, 0) | WaitStatus::Signaled(_, Signal::SIGKILL, _)), "{status:?}");
    }
    wait_until("the parent, alone, has a table in order", || table.reopen().is_ok());
    eprintln!("{kill_count} killed, {} recoveries", control.get(RECOVERY_NUMBER) - first_recovery);
    say("served");
    test_kit::hear();
}

/// Everything that was acknowledged is there, and nothing else except what may have been done by workers that died.
#[track_caller]
fn assert_nothing_lost(table: &Visits, ledger: &SharedWords) {
    table.write(|_| Ok(())).unwrap();
    let (mut counted, mut perhaps_counted) = (0, 0);
    for number in 0..WORKER_FILE_COUNT {
        let worker_file = WorkerFile::of(ledger, number);
        let random = fastrand::Rng::with_seed(0);
        counted += get(worker_file.counted());
        perhaps_counted +=
            get(worker_file.perhaps_counted()) + get(worker_file.counting()) - get(worker_file.counted());
        let clerk = Clerk { table, worker_file, number, random, has_no_disk: false };
        for key in 0..KEYS_EACH {
            clerk.assert_found(key, clerk.content_of(key).unwrap());
        }
    }
    let found = table.find(&COUNTER).unwrap().unwrap().hits;
    assert!(
        counted > 0 && (counted..=counted + perhaps_counted).contains(&found),
        "{found} of {counted}, {perhaps_counted}"
    );
}

/// A table in which nothing was done yet, and a ledger for it.
fn make_table(path: &Path) {
    let table = options().create(path).unwrap();
    table.insert(&visit(COUNTER, 0)).unwrap();
    SharedWords::create(ledger_of(path), 1 + WORKER_FILE_COUNT * WORKER_FILE_WORDS).unwrap();
}

/// A server at work; `None` if flushes cannot be made to fail.
fn start(path: &Path, seed: u64) -> Option<Child> {
    let mut child = Child::spawn("serve", path, seed);
    match child.hear() {
        message if message.starts_with("skipped") => {
            eprintln!("{message}");
            None
        }
        message => {
            assert_eq!(message, "serving");
            Some(child)
        }
    }
}

fn first_seed() -> u64 {
    std::env::var("LOCULE_SEED").map_or(7, |seed| seed.parse().unwrap())
}

#[test]
fn workers_that_are_killed_and_reopen_an_inherited_handle_at_any_moment_lose_nothing() {
    let (_directory, path) = scratch();
    make_table(&path);
    let Some(mut child) = start(&path, first_seed()) else { return };
    child.expect("served");
    let ledger = SharedWords::open(ledger_of(&path)).unwrap();
    // Beside the parent, and alone.
    let table = options().open(&path).unwrap();
    assert_nothing_lost(&table, &ledger);
    assert_good(&table, &path, &super::keys(&table));
    child.tell("end");
    child.finish();
    drop(table);
    let table = options().open(&path).unwrap();
    assert_nothing_lost(&table, &ledger);
    assert_good(&table, &path, &super::keys(&table));
}

#[test]
fn a_server_that_is_killed_with_all_its_workers_leaves_everything_to_the_next_opener() {
    let (_directory, path) = scratch();
    make_table(&path);
    let ledger = SharedWords::open(ledger_of(&path)).unwrap();
    let count = || -> u64 { (0..WORKER_FILE_COUNT).map(|number| get(WorkerFile::of(&ledger, number).counted())).sum() };
    let mut random = fastrand::Rng::with_seed(first_seed());
    for _ in 0..6 {
        let moment = count() + random.u64(1..3000);
        let Some(mut child) = start(&path, random.u64(..)) else { return };
        wait_until("they have done so much", || count() >= moment);
        child.kill();
        child.wait_for_its_forks();
        let table = options().open(&path).unwrap();
        // A process that dies while it recovers leaves no record of what the table was: then it is true that nothing is
        // lost, but it is not reported.
        println!("{}", table.recovery());
        assert_nothing_lost(&table, &ledger);
        assert_good(&table, &path, &super::keys(&table));
    }
}
