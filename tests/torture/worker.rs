//! What a worker does until it is killed: one random operation after the other on keys that all workers share, each
//! recorded in its ledger before and after. Now and then it dies, forks, executes another program, panics or gives up
//! at the worst moment: inside a transaction.

use super::event::{Seen, now};
use super::ledger::{Entry, Kind, Ledger, Outcome};
use locule::{Error, RecordId, Row, WriteTransaction};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use test_kit::{self, Visit, Visits, assert_whole, visit};

/// The keys that all workers share. There is room for most of them, so that the table is full now and then.
pub const KEY_COUNT: u64 = 24;
pub const CAPACITY: u64 = 22;

/// A worker never waits in vain, since stopped holders are continued or killed; this only ends a test that hangs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// How many entries one step makes at most.
const STEP_ENTRY_COUNT: usize = KEY_COUNT as usize;

pub fn options() -> locule::OpenOptions<Visit> {
    Visits::options().capacity(CAPACITY).lock_timeout(LOCK_TIMEOUT).sync_every(Some(Duration::from_millis(20)))
}

/// Where a worker's ledger is.
pub fn ledger_path(path: &Path, worker_file: u64) -> PathBuf {
    path.with_extension(format!("ledger {worker_file}"))
}

/// A worker's number, the number of the round, and a seed of its own.
#[derive(Clone, Copy, Debug)]
pub struct WorkerFile {
    pub epoch: u64,
    pub worker_file: u64,
    pub seed: u64,
    /// After how many steps it closes the table and opens it again.
    pub steps_per_opening: u64,
}

impl WorkerFile {
    pub fn to_argument(self) -> String {
        format!("{} {} {} {}", self.epoch, self.worker_file, self.seed, self.steps_per_opening)
    }

    pub fn from_argument(argument: &str) -> Self {
        let numbers: Vec<u64> = argument.split(' ').map(|number| number.parse().unwrap()).collect();
        WorkerFile { epoch: numbers[0], worker_file: numbers[1], seed: numbers[2], steps_per_opening: numbers[3] }
    }
}

/// The role of a worker that has executed this program anew.
pub fn work_after_executing(path: &Path, argument: &str) {
    work(path, WorkerFile::from_argument(argument), None);
}

/// Works until it is killed. Some workers use the handle of the process that they were forked from.
pub fn work(path: &Path, worker_file: WorkerFile, inherited: Option<&Visits>) -> ! {
    let mut worker = Worker::new(path, worker_file, worker_file.seed, None);
    loop {
        match inherited {
            Some(table) => worker.take_steps(table, u64::MAX),
            None => {
                let table = options().open(path).unwrap();
                assert!(table.recovery().nothing_lost, "{}", table.recovery());
                worker.take_steps(&table, worker_file.steps_per_opening);
                if worker.random.bool() {
                    table.close().unwrap();
                }
            }
        }
    }
}

struct Worker<'a> {
    path: &'a Path,
    worker_file: WorkerFile,
    ledger: Ledger,
    random: fastrand::Rng,
    /// The record of each key that was seen last.
    ids: Vec<Option<RecordId>>,
    /// Told when this thread is about to end inside a transaction.
    is_ending: Option<Sender<()>>,
}

/// What a transaction does to one key.
struct Part {
    entry: Entry,
    key: u64,
    is_delete: bool,
}

/// How a transaction should end, if not well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mischief {
    GiveUp,
    Panic,
    Die,
    Execute,
    Fork,
    EndThread,
}

fn seen_of(row: &Row<Visit>) -> Seen {
    assert_whole(row);
    Seen { version: row.version(), value: row.hits, id: row.id().into(), update_count: row.update_count().into() }
}

impl<'a> Worker<'a> {
    fn new(path: &'a Path, worker_file: WorkerFile, seed: u64, is_ending: Option<Sender<()>>) -> Self {
        let ledger = Ledger::open(&ledger_path(path, worker_file.worker_file));
        let random = fastrand::Rng::with_seed(seed);
        Worker { path, worker_file, ledger, random, ids: vec![None; KEY_COUNT as usize], is_ending }
    }

    fn take_steps(&mut self, table: &Visits, count: u64) {
        for _ in 0..count {
            while !self.ledger.has_room(STEP_ENTRY_COUNT) {
                nix::unistd::pause();
            }
            self.take_step(table);
        }
    }

    fn take_step(&mut self, table: &Visits) {
        match self.random.u32(0..100) {
            0..25 => self.find(table),
            25..35 => self.get(table),
            35..40 => self.take_snapshot(table),
            40 => self.iterate(table),
            41..53 => self.insert(table),
            53..67 => self.update(table),
            67..75 => self.update_if(table),
            75..82 => self.delete(table),
            82..85 => self.delete_if(table),
            85..99 => self.transact(table, None),
            _ => match self.random.u32(0..40) {
                0 => drop(table.sync().unwrap()),
                1..10 => self.transact(table, Some(Mischief::GiveUp)),
                10 => self.transact(table, Some(Mischief::Panic)),
                11 => self.transact(table, Some(Mischief::Die)),
                12 => self.transact(table, Some(Mischief::Execute)),
                13 => self.transact(table, Some(Mischief::Fork)),
                14 => self.transact_in_a_thread(),
                _ => {}
            },
        }
    }

    fn key(&mut self) -> u64 {
        self.random.u64(0..KEY_COUNT)
    }

    fn unique_value(&self) -> u64 {
        self.ledger.unique_value(self.worker_file.epoch, self.worker_file.worker_file)
    }

    /// A record that is there, or was.
    fn id_of(&mut self, table: &Visits, key: u64) -> Option<RecordId> {
        // Half of the time the newest.
        if self.random.bool() { self.find_row(table, key).map(|row| row.id()) } else { self.ids[key as usize] }
    }

    // -- reading -----------------------------------------------------------------------------------

    fn find(&mut self, table: &Visits) {
        let key = self.key();
        self.find_row(table, key);
    }

    fn find_row(&mut self, table: &Visits, key: u64) -> Option<Row<Visit>> {
        let start = now();
        let row = table.find(&key).unwrap();
        let end = now();
        self.note_read(Kind::Read, key, row.as_ref(), start, end);
        row
    }

    fn note_read(&mut self, kind: Kind, key: u64, row: Option<&Row<Visit>>, start: u64, end: u64) {
        let outcome = row.map_or(Outcome::SawNone, |row| Outcome::Saw(seen_of(row)));
        let entry = self.ledger.begin_at(kind, key, 0, 0, start);
        self.ledger.end_at(entry, outcome, end);
        if let Some(row) = row {
            assert_eq!(row.visitor, key);
            self.ids[key as usize] = Some(row.id());
        }
    }

    fn get(&mut self, table: &Visits) {
        let key = self.key();
        let Some(id) = self.ids[key as usize] else { return };
        let start = now();
        let row = table.get(id).unwrap();
        let end = now();
        match row {
            Some(row) => {
                assert_eq!(row.id(), id);
                self.note_read(Kind::Read, key, Some(&row), start, end);
            }
            None => {
                let entry = self.ledger.begin_at(Kind::Read, key, id.into(), 0, start);
                self.ledger.end_at(entry, Outcome::SawGone, end);
                self.ids[key as usize] = None;
            }
        }
    }

    fn take_snapshot(&mut self, table: &Visits) {
        let first = self.key();
        let keys = [first, (first + 1) % KEY_COUNT, (first + 7) % KEY_COUNT];
        let start = now();
        let rows = table.snapshot(|snapshot| {
            let [one, two, three] = keys.map(|key| snapshot.find(&key));
            Ok([one?, two?, three?])
        });
        let end = now();
        for (key, row) in keys.into_iter().zip(rows.unwrap()) {
            self.note_read(Kind::SnapshotRead, key, row.as_ref(), start, end);
        }
    }

    fn iterate(&mut self, table: &Visits) {
        let start = now();
        let rows: Vec<_> = table.iter().map(Result::unwrap).collect();
        let end = now();
        let mut ids: Vec<u64> = rows.iter().map(|row| row.id().into()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rows.len(), "a record was seen twice in one iteration");
        for row in rows.iter().take(STEP_ENTRY_COUNT) {
            self.note_read(Kind::Read, row.visitor, Some(row), start, end);
        }
    }

    // -- writing one record ------------------------------------------------------------------------

    /// Records the result of a write of one record: `wrote` is its version and id.
    fn end(&self, entry: Entry, wrote: Result<(u64, RecordId), Error>, replaced: Option<u64>) {
        let outcome = match wrote {
            Ok((version, id)) => Outcome::Wrote { version, id: id.into(), replaced },
            Err(Error::DuplicateKey { .. }) => Outcome::SawSome,
            Err(Error::NotFound { .. }) => Outcome::SawGone,
            Err(Error::Conflict { found, .. }) => Outcome::SawVersion(found),
            Err(Error::Full { .. }) => Outcome::Nothing,
            Err(error) => panic!("unexpected: {error:?}"),
        };
        self.ledger.end(entry, outcome);
    }

    fn insert(&mut self, table: &Visits) {
        let (key, value) = (self.key(), self.unique_value());
        let entry = self.ledger.begin(Kind::Insert, key, 0, value);
        let wrote = table.insert_versioned(&visit(key, value));
        self.end(entry, wrote.map(|(id, version)| (version, id)), None);
    }

    fn update(&mut self, table: &Visits) {
        let key = self.key();
        let Some(id) = self.id_of(table, key) else { return };
        let value = self.unique_value();
        let mut replaced = None;
        let entry = self.ledger.begin(Kind::Update, key, id.into(), value);
        let wrote = table.update(id, |record| {
            replaced = Some(record.hits);
            *record = visit(key, value);
        });
        self.end(entry, wrote.map(|version| (version, id)), replaced);
    }

    fn update_if(&mut self, table: &Visits) {
        let key = self.key();
        let Some(row) = self.find_row(table, key) else { return };
        let value = self.unique_value();
        let entry = self.ledger.begin(Kind::Update, key, row.id().into(), value);
        let wrote = table.update_if(row.id(), row.version(), &visit(key, value));
        self.end(entry, wrote.map(|version| (version, row.id())), Some(row.hits));
    }

    fn delete(&mut self, table: &Visits) {
        let key = self.key();
        let Some(id) = self.id_of(table, key) else { return };
        let entry = self.ledger.begin(Kind::Delete, key, id.into(), 0);
        let wrote = table.delete(id);
        self.end(entry, wrote.map(|version| (version, id)), None);
    }

    fn delete_if(&mut self, table: &Visits) {
        let key = self.key();
        let Some(row) = self.find_row(table, key) else { return };
        let entry = self.ledger.begin(Kind::Delete, key, row.id().into(), 0);
        let wrote = table.delete_if(row.id(), row.version());
        self.end(entry, wrote.map(|version| (version, row.id())), Some(row.hits));
    }

    // -- transactions ------------------------------------------------------------------------------

    /// Writes one key and deletes, updates or inserts others, at once.
    fn transact(&mut self, table: &Visits, mischief: Option<Mischief>) {
        let first = self.key();
        let key_count = if self.random.u32(0..3) == 0 { KEY_COUNT / 2 } else { 2 };
        let value = self.unique_value();
        let start = now();
        // What the parts will be is decided inside; until then nothing has happened.
        let parts: Vec<_> = (first..first + key_count)
            .map(|key| key % KEY_COUNT)
            .map(|key| Part {
                entry: self.ledger.begin_at(Kind::Read, key, 0, value, start),
                key,
                // At least one is written, and its version is that of all.
                is_delete: key != first && self.random.u32(0..4) == 0,
            })
            .collect();
        let attempt = std::panic::AssertUnwindSafe(|| {
            table.write(|transaction| {
                let write = |part| self.write_part(transaction, part, value);
                let written = parts.iter().map(write).collect::<locule::Result<Vec<_>>>()?;
                let version = transaction.get(written[0].0)?.expect("what was written in the transaction").version();
                if let Some(mischief) = mischief {
                    self.make(mischief, transaction, written[0].0)?;
                }
                Ok((version, written))
            })
        });
        let outcome = if mischief == Some(Mischief::Panic) {
            std::panic::catch_unwind(attempt).unwrap_or_else(|_| Err(Error::caller("panicked")))
        } else {
            attempt.0()
        };
        let end = now();
        match outcome {
            Ok((version, written)) => {
                for (part, (id, replaced)) in parts.iter().zip(written) {
                    self.ledger.end_at(part.entry, Outcome::Wrote { version, id: id.into(), replaced }, end);
                }
            }
            Err(Error::Full { .. } | Error::Caller { .. }) => {
                parts.iter().for_each(|part| self.ledger.end_at(part.entry, Outcome::Nothing, end));
            }
            Err(error) => panic!("unexpected: {error:?}"),
        }
    }

    /// Deletes a record, or writes one over what is there, if anything. Returns its id, and the value that it replaced.
    fn write_part(
        &self,
        transaction: &mut WriteTransaction<'_, Visit>,
        part: &Part,
        value: u64,
    ) -> locule::Result<(RecordId, Option<u64>)> {
        let Part { entry, key, is_delete } = *part;
        match transaction.find(&key)? {
            Some(row) if is_delete => {
                self.ledger.decide(entry, Kind::Delete, row.id().into());
                transaction.delete(row.id())?;
                Ok((row.id(), Some(row.hits)))
            }
            Some(row) => {
                self.ledger.decide(entry, Kind::Update, row.id().into());
                Ok((transaction.upsert(&visit(key, value))?.id, Some(row.hits)))
            }
            None => {
                self.ledger.decide(entry, Kind::Insert, 0);
                Ok((transaction.upsert(&visit(key, value))?.id, None))
            }
        }
    }

    fn make(
        &self,
        mischief: Mischief,
        transaction: &mut WriteTransaction<'_, Visit>,
        id: RecordId,
    ) -> locule::Result<()> {
        match mischief {
            Mischief::GiveUp => return Err(Error::caller("gave up")),
            Mischief::Panic => {
                // Without the message that `panic!` prints.
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            Mischief::Die => nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap(),
            // From a thread other than the main one that would leave the lock with a thread that is gone: see
            // `tests/dying.rs`.
            Mischief::Execute if nix::unistd::gettid() != nix::unistd::getpid() => {}
            Mischief::Execute => {
                let worker_file = WorkerFile { seed: self.worker_file.seed ^ now(), ..self.worker_file };
                panic!("{}", test_kit::command("work after executing", self.path, worker_file.to_argument()).exec());
            }
            Mischief::Fork => {
                let is_well = test_kit::in_fork(|| {
                    // `Forked`, or, when the parent was killed and its transaction undone meanwhile, `NotFound`.
                    assert!(transaction.delete(id).is_err());
                });
                assert!(is_well);
            }
            Mischief::EndThread => {
                self.is_ending.as_ref().expect("a thread of its own").send(()).unwrap();
                // SAFETY: ends this thread alone, with nothing unwound, as if it had been killed. Nothing on its stack
                // is used by others.
                unsafe { nix::libc::syscall(nix::libc::SYS_exit, 0) };
            }
        }
        Ok(())
    }

    /// A thread ends inside a transaction, without releasing the lock; this one goes on.
    fn transact_in_a_thread(&mut self) {
        let (is_ending, ending) = channel();
        let (path, worker_file, seed) = (self.path.to_owned(), self.worker_file, self.random.u64(..));
        std::thread::spawn(move || {
            let table = options().open(&path).unwrap();
            Worker::new(&path, worker_file, seed, Some(is_ending)).transact(&table, Some(Mischief::EndThread));
        });
        // From then on it does not write to the ledger any more. There is an error if the table was full.
        let _ = ending.recv();
    }
}
