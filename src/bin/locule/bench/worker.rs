//! One worker process of the bench: reads a record, writes one, and keeps its ledger, until it is told to stop.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use locule::{Error, Row, Table};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use quanta::Clock;

use super::SyncEvery;
use super::item::{Item, content_seed_of, item, key_of};
use super::latency::{Kind, Latencies};
use super::ledger::{DELETED, Ledger, Operation, WriteKind};
use super::worker_file::{Control, Counter, Counters, Phase, WorkerFile};
use crate::Result;

/// How often a worker looks for a live record before it assumes that there is none.
const CHOICE_LIMIT: usize = 64;

/// What `locule bench` tells its workers. Not for people.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    pub table: PathBuf,
    #[arg(long)]
    pub control: PathBuf,
    #[arg(long)]
    pub worker_file: PathBuf,
    #[arg(long)]
    pub key_count: u32,
    #[arg(long)]
    pub seed: u64,
    #[arg(long)]
    pub durable: bool,
    #[arg(long)]
    pub sync_every: SyncEvery,
    #[arg(long)]
    pub parent: i32,
}

/// The table did something that it must never do, and a worker saw it at once.
#[derive(Debug)]
enum Fault {
    Torn { key_index: u32, version: u64 },
    WrongRecord { key_index: u32, found: u128 },
    WentBack { key_index: u32, version: u64, own: u64 },
    VersionNotNewer { key_index: u32, version: u64, read_version: u64 },
    SyncedTooLittle { version: u64, synced: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Torn { key_index, version } => {
                write!(f, "read a torn record: key {key_index}, version {version}, is no payload that was ever written")
            }
            Fault::WrongRecord { key_index, found } => {
                write!(f, "looked up key {key_index} and was given the record with key {found:#034x}")
            }
            Fault::WentBack { key_index, version, own } => {
                write!(f, "read version {version} of key {key_index} after having written version {own} of it")
            }
            Fault::VersionNotNewer { key_index, version, read_version } => {
                write!(f, "a write of key {key_index} over version {read_version} was given version {version}")
            }
            Fault::SyncedTooLittle { version, synced } => {
                write!(f, "synced after writing version {version}, and was told that {synced} is durable")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Another worker was faster, or no slot was free: both are normal, and counted.
    Refused(Counter),
}

/// Works until the parent says stop. What it did is in its worker file, even when it is killed.
pub fn run(options: &Options) -> Result<()> {
    die_with(options.parent)?;
    let table = Table::<Item>::options().sync_every(options.sync_every.0).open(&options.table)?;
    let control = Control::open(&options.control, options.key_count)?;
    let worker_file = WorkerFile::open(&options.worker_file)?;
    let worker = Worker {
        table: &table,
        control: &control,
        ledger: worker_file.ledger(),
        latencies: worker_file.latencies(),
        counters: worker_file.counters(),
        clock: Clock::new(),
        random: Rng::with_seed(options.seed),
        durable: options.durable,
        last_ticks: 0,
    };
    worker_file.counters().set(Counter::Ready, 1);
    while control.phase() == Phase::Wait {
        std::thread::sleep(Duration::from_millis(1));
    }
    worker.work()
}

/// Lets the kernel kill this process when its parent dies, however that happens.
fn die_with(parent: i32) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != Pid::from_raw(parent) {
        return Err("the process that started this worker is gone".into());
    }
    Ok(())
}

struct Worker<'run> {
    table: &'run Table<Item>,
    control: &'run Control,
    ledger: Ledger<'run>,
    latencies: Latencies<'run>,
    counters: Counters<'run>,
    clock: Clock,
    random: Rng,
    durable: bool,
    last_ticks: u64,
}

impl Worker<'_> {
    fn work(mut self) -> Result<()> {
        self.last_ticks = self.clock.raw();
        while self.control.phase() == Phase::Work {
            let Some((key_index, row)) = self.read()? else { continue };
            let done = match self.random.u8(0..100) {
                0..70 => self.update(key_index, &row)?,
                _ => self.insert_or_delete(key_index, &row)?,
            };
            if done == Outcome::Done {
                self.counters.add(Counter::Iteration);
            }
        }
        Ok(())
    }

    /// Reads a random live record. `None` when there was none under the chosen key, or none to choose.
    fn read(&mut self) -> Result<Option<(u32, Row<Item>)>> {
        let mut choices = (0..CHOICE_LIMIT).map(|_| self.random.u32(0..self.control.key_count()));
        let Some(key_index) = choices.find(|&key_index| self.control.is_probably_live(key_index)) else {
            let key_index = self.random.u32(0..self.control.key_count());
            self.insert(key_index)?;
            return Ok(None);
        };
        let Some(row) = self.table.find(&key_of(key_index))? else {
            self.control.set_absent(key_index);
            self.skip(Counter::Absent);
            return Ok(None);
        };
        self.measure(Kind::Read);
        self.judge(key_index, &row)?;
        Ok(Some((key_index, row)))
    }

    /// Every read is checked: the record must be the one that was asked for, whole, and no older than what this worker
    /// wrote.
    fn judge(&self, key_index: u32, row: &Row<Item>) -> Result<(), Fault> {
        let (version, found) = (row.version(), row.key);
        if found != key_of(key_index) {
            return Err(Fault::WrongRecord { key_index, found });
        }
        if content_seed_of(row.record()).is_none() {
            return Err(Fault::Torn { key_index, version });
        }
        match self.ledger.entry(key_index) {
            Some(own) if own.version > version => Err(Fault::WentBack { key_index, version, own: own.version }),
            _ => Ok(()),
        }
    }

    fn update(&mut self, key_index: u32, row: &Row<Item>) -> Result<Outcome> {
        let content_seed = self.new_content_seed();
        let operation = Operation { kind: WriteKind::Update, key_index, content_seed, read_version: row.version() };
        let changed = item(key_index, content_seed);
        self.write(operation, Kind::Update, |table| table.update_if(row.id(), row.version(), &changed))
    }

    /// Half of the keys should be live. So a random key decides: if it is absent it is inserted, and if it is live the
    /// record that was read is deleted. Both happen equally often, so the count of records stays about the same.
    fn insert_or_delete(&mut self, key_index: u32, row: &Row<Item>) -> Result<Outcome> {
        let other = self.random.u32(0..self.control.key_count());
        if !self.control.is_probably_live(other) {
            return self.insert(other);
        }
        let operation =
            Operation { kind: WriteKind::Delete, key_index, content_seed: DELETED, read_version: row.version() };
        let outcome = self.write(operation, Kind::Delete, |table| table.delete_if(row.id(), row.version()))?;
        if outcome == Outcome::Done {
            self.control.set_absent(key_index);
        }
        Ok(outcome)
    }

    fn insert(&mut self, key_index: u32) -> Result<Outcome> {
        let content_seed = self.new_content_seed();
        let operation = Operation { kind: WriteKind::Insert, key_index, content_seed, read_version: 0 };
        let record = item(key_index, content_seed);
        let outcome = self.write(operation, Kind::Insert, |table| Ok(table.insert_versioned(&record)?.1))?;
        if let Outcome::Done | Outcome::Refused(Counter::Duplicate) = outcome {
            self.control.set_live(key_index);
        }
        Ok(outcome)
    }

    /// Does one write, with the ledger around it. After an error the operation stays in flight: it may have happened.
    #[inline]
    fn write(
        &mut self,
        operation: Operation,
        kind: Kind,
        call: impl FnOnce(&Table<Item>) -> Result<u64, Error>,
    ) -> Result<Outcome> {
        self.ledger.begin(&operation);
        let refused = match call(self.table) {
            Ok(version) => {
                self.ledger.acknowledge(&operation, version);
                self.measure(kind);
                let Operation { key_index, read_version, .. } = operation;
                if version <= read_version {
                    return Err(Fault::VersionNotNewer { key_index, version, read_version }.into());
                }
                if self.durable {
                    self.sync(version)?;
                }
                return Ok(Outcome::Done);
            }
            Err(Error::Conflict { .. } | Error::NotFound { .. }) => Counter::Conflict,
            Err(Error::DuplicateKey { .. }) => Counter::Duplicate,
            Err(Error::Full { .. }) => Counter::Full,
            Err(error) => return Err(error.into()),
        };
        self.ledger.abandon();
        self.skip(refused);
        Ok(Outcome::Refused(refused))
    }

    fn sync(&mut self, version: u64) -> Result<()> {
        let synced = self.table.sync()?;
        self.ledger.acknowledge_sync(synced);
        self.measure(Kind::Sync);
        if synced < version {
            return Err(Fault::SyncedTooLittle { version, synced }.into());
        }
        Ok(())
    }

    /// Counts the time since the last measured operation. The clock is read once for each operation: what the worker
    /// does between two of them (choosing, checking, the ledger) is counted with the one that follows.
    #[inline]
    fn measure(&mut self, kind: Kind) {
        let ticks = self.clock.raw();
        self.latencies.record(kind, ticks.saturating_sub(self.last_ticks));
        self.counters.add(Counter::Operation);
        self.last_ticks = ticks;
    }

    /// Counts something that did not happen. The time it took is not attributed to the operation that follows.
    fn skip(&mut self, counter: Counter) {
        self.counters.add(counter);
        self.last_ticks = self.clock.raw();
    }

    fn new_content_seed(&mut self) -> u64 {
        // 0 stands for a deleted record.
        self.random.u64(1..)
    }
}
