//! Forks the workers, kills them at random moments, and compares all that they recorded.

use super::check::check;
use super::event::{Event, Seen, Step, now};
use super::ledger::Ledger;
use super::watcher::Watcher;
use super::worker::{CAPACITY, KEY_COUNT, WorkerFile, ledger_path, options, work};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use test_kit::{self, Visits, assert_consistent, say};

const WORKER_COUNT: u64 = 50;
/// Every third epoch has so few workers that often none of them has the table open.
const OPENER_COUNT: u64 = 4;
/// After this many kills, all workers are killed at once and everything is checked.
const KILLS_IN_EPOCH: u64 = 50;
/// The longest pause between two kills.
const PAUSE_MICROSECONDS: u64 = 10_000;
/// How often a worker is stopped that may hold the lock.
const TRACE_COUNT: u32 = 50;
/// For how many instructions a worker is traced until its transaction is prepared, and from there on.
const STEP_COUNT: u32 = 30_000;
const STEP_COUNT_THERE: u32 = 2_000;
/// How often the supervisor looks for a holder of the lock.
const LOOK_COUNT: u32 = 300_000;
/// The role must live as long as it takes, at worst, to kill this many in a second.
const KILLS_PER_SECOND: u64 = 3;

/// The totals of all epochs.
#[derive(Default, Debug)]
struct Tally {
    epoch_count: u64,
    kill_count: u64,
    stop_count: u64,
    /// How many were traced past the point of no return.
    led_count: u64,
    event_count: usize,
    in_flight_count: usize,
    /// Owners that died holding a lock: with nothing half done, staging, prepared, publishing, syncing.
    repair_counts: [u64; 5],
}

/// The role of the process that all workers are forked from. `argument`: how many are killed, and a seed.
pub fn lead(path: &Path, argument: &str) {
    let numbers: Vec<u64> = argument.split(' ').map(|number| number.parse().unwrap()).collect();
    nix::unistd::alarm::set(u32::try_from(60 + numbers[0] / KILLS_PER_SECOND).unwrap());
    drop(options().create(path).unwrap());
    let mut supervisor = Supervisor {
        path,
        watcher: Watcher::new(path),
        random: fastrand::Rng::with_seed(numbers[1]),
        supervisor: Vec::new(),
        table: None,
        tally: Tally::default(),
    };
    let mut before = BTreeMap::new();
    while supervisor.tally.kill_count < numbers[0] {
        before = supervisor.work_an_epoch(&before);
    }
    say(supervisor.summary());
}

struct Supervisor<'a> {
    path: &'a Path,
    watcher: Watcher,
    random: fastrand::Rng,
    /// The process of each worker file.
    supervisor: Vec<Pid>,
    /// A handle that some workers use as well, in the epochs of many.
    table: Option<Visits>,
    tally: Tally,
}

impl Supervisor<'_> {
    /// Lets workers work and die on the table that holds `before`; returns what it holds afterwards.
    fn work_an_epoch(&mut self, before: &BTreeMap<u64, Seen>) -> BTreeMap<u64, Seen> {
        self.tally.epoch_count += 1;
        let is_of_openers = self.tally.epoch_count % 3 == 0;
        let worker_count = if is_of_openers { OPENER_COUNT } else { WORKER_COUNT };
        let ledgers: Vec<_> =
            (0..worker_count).map(|worker_file| Ledger::create(&ledger_path(self.path, worker_file))).collect();
        self.table = (!is_of_openers).then(|| open(self.path));
        self.supervisor = (0..worker_count).map(|worker_file| self.employ(worker_file)).collect();
        for _ in 0..KILLS_IN_EPOCH {
            std::thread::sleep(Duration::from_micros(self.random.u64(0..PAUSE_MICROSECONDS)));
            self.kill_one();
            if ledgers.iter().filter(|ledger| !ledger.has_room(1000)).count() > ledgers.len() / 4 {
                break;
            }
        }
        self.kill_all();
        // No process has the table any more, and one may have died holding its locks.
        self.table = None;
        let table = open(self.path);
        let mut events: Vec<Event> =
            (0..).zip(&ledgers).flat_map(|(worker_file, ledger)| ledger.events(worker_file)).collect();
        let after = self.look_at_everything(&table, &mut events);
        self.count_repairs(&table);
        self.judge(before, &events);
        for worker_file in 0..worker_count {
            std::fs::remove_file(ledger_path(self.path, worker_file)).unwrap();
        }
        after
    }

    // -- the supervisor ----------------------------------------------------------------------------------

    fn employ(&mut self, worker_file: u64) -> Pid {
        // Every tenth of many opens and closes all the time, and every tenth uses the handle of this process.
        let steps_per_opening = match (&self.table, worker_file % 10) {
            (None, _) => 3,
            (Some(_), 0) => 30,
            (Some(_), _) => u64::MAX,
        };
        let inherited = self.table.as_ref().filter(|_| worker_file % 10 == 1);
        let worker_file =
            WorkerFile { epoch: self.tally.epoch_count, worker_file, seed: self.random.u64(..), steps_per_opening };
        test_kit::fork(|| work(self.path, worker_file, inherited))
    }

    /// Kills one worker, and starts another in its place.
    fn kill_one(&mut self) {
        self.watcher.assert_not_left_behind();
        if self.random.u32(0..4) == 0 && self.kill_past_the_point_of_no_return() {
            return;
        }
        let any = self.random.usize(0..self.supervisor.len());
        let is_prepared = self.random.bool();
        let holder = self.watcher.find_holder(&self.supervisor, is_prepared, LOOK_COUNT);
        match (self.random.u32(0..10), holder) {
            // The worker that holds the lock at this moment, or did a moment ago.
            (0..4, Some(holder)) => self.kill(holder),
            // The same, after the others have come to wait for it.
            (4..6, Some(holder)) => {
                self.stop_for_a_while(holder);
                self.kill(holder);
            }
            // A holder that was only slow.
            (6, Some(holder)) => {
                self.stop_for_a_while(holder);
                let _ = kill(self.supervisor[holder], Signal::SIGCONT);
                self.kill(any);
            }
            // A holder, and a worker that is probably waiting for it.
            (7, Some(holder)) if any != holder => {
                let _ = kill(self.supervisor[any], Signal::SIGKILL);
                self.kill(holder);
                self.kill(any);
            }
            _ => self.kill(any),
        }
    }

    /// Kills a worker between preparing a transaction and the end of publishing it, where few kills would meet one by
    /// chance: stops a worker that holds the lock, and takes it there instruction by instruction. Returns false if no
    /// worker was stopped while it held the lock, or processes cannot be traced here.
    fn kill_past_the_point_of_no_return(&mut self) -> bool {
        for _ in 0..TRACE_COUNT {
            let Some(at) = self.watcher.find_holder(&self.supervisor, false, LOOK_COUNT) else { return false };
            let pid = self.supervisor[at];
            if ptrace::seize(pid, ptrace::Options::empty()).and_then(|()| ptrace::interrupt(pid)).is_err() {
                return false;
            }
            let status = waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
            if is_end(status) {
                self.replace(at, status);
                return true;
            }
            if self.watcher.is_holder(pid) {
                match self.lead_on(pid) {
                    Some(status) => self.replace(at, status),
                    None => self.kill(at),
                }
                return true;
            }
            let _ = ptrace::detach(pid, None);
        }
        false
    }

    /// Traces a stopped worker until its transaction is prepared, and then a bit further. Returns how it ended, if it
    /// did so on its own.
    fn lead_on(&mut self, pid: Pid) -> Option<WaitStatus> {
        let mut left = STEP_COUNT;
        let mut is_there = false;
        while left > 0 {
            let was_there = std::mem::replace(&mut is_there, self.watcher.is_prepared_by(pid));
            match (was_there, is_there) {
                (false, true) => {
                    self.tally.led_count += 1;
                    left = self.random.u32(0..STEP_COUNT_THERE);
                }
                (true, false) => return None,
                _ => left -= 1,
            }
            if left == 0 || ptrace::step(pid, None).is_err() {
                return None;
            }
            let status = waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
            if is_end(status) {
                return Some(status);
            }
        }
        None
    }

    fn stop_for_a_while(&mut self, at: usize) {
        self.tally.stop_count += 1;
        let _ = kill(self.supervisor[at], Signal::SIGSTOP);
        std::thread::sleep(Duration::from_micros(self.random.u64(0..3 * PAUSE_MICROSECONDS)));
    }

    fn kill(&mut self, at: usize) {
        // It may have killed itself already.
        let _ = kill(self.supervisor[at], Signal::SIGKILL);
        let status = self.wait_for(at);
        self.replace(at, status);
    }

    /// Starts another worker in the place of one that is gone.
    fn replace(&mut self, at: usize, status: WaitStatus) {
        self.count_death(at, status);
        self.supervisor[at] = self.employ(at as u64);
    }

    fn kill_all(&mut self) {
        // All at once, so that none repairs what another left.
        for pid in &self.supervisor {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for at in 0..self.supervisor.len() {
            let status = self.wait_for(at);
            self.count_death(at, status);
        }
    }

    fn wait_for(&self, at: usize) -> WaitStatus {
        loop {
            let status = waitpid(self.supervisor[at], Some(WaitPidFlag::__WALL)).unwrap();
            // The last stop of one that was traced may still be reported.
            if is_end(status) {
                return status;
            }
        }
    }

    /// A worker was killed: nothing else may end it.
    fn count_death(&mut self, at: usize, status: WaitStatus) {
        self.tally.kill_count += 1;
        assert_eq!(status, WaitStatus::Signaled(self.supervisor[at], Signal::SIGKILL, false), "the worker failed");
    }

    // -- the comparison ----------------------------------------------------------------------------

    /// Reads every key, as one more witness, after all the others.
    fn look_at_everything(&self, table: &Visits, events: &mut Vec<Event>) -> BTreeMap<u64, Seen> {
        // What the last worker that died left is repaired by the next writer, which changes what the others see.
        table.write(|_| Ok(())).unwrap();
        let mut after = BTreeMap::new();
        for key in 0..KEY_COUNT {
            let start = now();
            let row = table.find(&key).unwrap();
            let step = match row {
                Some(row) => {
                    let (id, update_count) = (row.id().into(), row.update_count().into());
                    let seen = Seen { version: row.version(), value: row.hits, id, update_count };
                    after.insert(key, seen);
                    Step::Saw(seen)
                }
                None => Step::SawNone,
            };
            events.push(Event { worker_file: WORKER_COUNT, key, start, end: Some(now()), step, is_snapshot: false });
        }
        assert_consistent(table);
        test_kit::assert_recovers_the_same(table, self.path);
        // No slot was lost: all can be filled, and are then made free again.
        let others: Vec<_> = (1000..).map_while(|key| table.insert(&test_kit::visit(key, 0)).ok()).collect();
        assert_eq!((after.len() + others.len()) as u64, CAPACITY);
        table.write(|transaction| others.into_iter().try_for_each(|id| transaction.delete(id))).unwrap();
        after
    }

    fn judge(&mut self, before: &BTreeMap<u64, Seen>, events: &[Event]) {
        self.tally.event_count += events.len();
        self.tally.in_flight_count += events.iter().filter(|event| event.end.is_none()).count();
        let start = Instant::now();
        let faults = check(before, events);
        if std::env::var_os("LOCULE_TORTURE_VERBOSE").is_some() {
            eprintln!("{} events, checked in {:?}; {:?}", events.len(), start.elapsed(), self.tally);
        }
        for fault in faults.iter().take(5) {
            eprintln!("{:?} of key {}: {}", fault.kind, fault.key, fault.detail);
        }
        assert!(faults.is_empty(), "{} faults in epoch {}", faults.len(), self.tally.epoch_count);
    }

    fn count_repairs(&mut self, table: &Visits) {
        let status = table.status();
        let repairs = status.repair_counts;
        // A recovery starts the counters anew, and none is made here.
        self.tally.repair_counts =
            [repairs.holding, repairs.staging, repairs.prepared, repairs.publishing, status.dead_syncer_count];
    }

    fn summary(&self) -> String {
        let Tally { epoch_count, kill_count, stop_count, led_count, event_count, in_flight_count, repair_counts } =
            &self.tally;
        let [holding, staging, prepared, publishing, syncing] = repair_counts;
        format!(
            "{kill_count} kills and {stop_count} stops in {epoch_count} rounds, {led_count} led to where a transaction is \
             prepared; {event_count} operations, {in_flight_count} of them in flight at a death; died holding: {holding}, \
             staging: {staging}, prepared: {prepared}, publishing: {publishing}, syncing: {syncing}"
        )
    }
}

fn is_end(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Signaled(..) | WaitStatus::Exited(..))
}

/// Opens the table. However its users died, no finished write is lost.
fn open(path: &Path) -> Visits {
    let table = options().open(path).unwrap();
    assert!(table.recovery().nothing_lost, "{}", table.recovery());
    table
}
