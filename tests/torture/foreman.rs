//! Forks the workers, kills them at random moments, and compares all that they noted.

use super::check::check;
use super::common::{self, Visits, assert_consistent, say};
use super::event::{Event, Seen, Step, now};
use super::ledger::Ledger;
use super::lookout::Lookout;
use super::worker::{CAPACITY, KEY_COUNT, Seat, ledger_path, options, work};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

pub const WORKER_COUNT: u64 = 50;
/// After so many kills, all workers are killed at once and everything is checked.
const KILLS_IN_EPOCH: u64 = 50;
/// The longest pause between two kills.
const PAUSE_MICROSECONDS: u64 = 10_000;
/// How often the foreman looks for a holder of the lock.
const LOOK_COUNT: u32 = 300_000;
/// The role must live as long as it takes to kill, at worst, so many in a second.
const KILLS_PER_SECOND: u64 = 3;

/// What all epochs together came to.
#[derive(Default, Debug)]
struct Tally {
    epoch_count: u64,
    kill_count: u64,
    stop_count: u64,
    event_count: usize,
    in_flight_count: usize,
    /// Owners that died holding a lock: with nothing half done, staging, prepared, publishing, committing.
    repair_counts: [u64; 5],
}

/// The role of the process that all workers are forked from. `argument`: how many are killed, and a seed.
pub fn lead(path: &Path, argument: &str) {
    let numbers: Vec<u64> = argument.split(' ').map(|number| number.parse().unwrap()).collect();
    nix::unistd::alarm::set(u32::try_from(60 + numbers[0] / KILLS_PER_SECOND).unwrap());
    drop(options().create(path).unwrap());
    let mut foreman = Foreman {
        path,
        lookout: Lookout::new(path),
        random: fastrand::Rng::with_seed(numbers[1]),
        crew: Vec::new(),
        tally: Tally::default(),
    };
    let mut before = BTreeMap::new();
    while foreman.tally.kill_count < numbers[0] {
        before = foreman.work_an_epoch(&before);
    }
    say(foreman.summary());
}

struct Foreman<'a> {
    path: &'a Path,
    lookout: Lookout,
    random: fastrand::Rng,
    /// The process of each seat.
    crew: Vec<Pid>,
    tally: Tally,
}

impl Foreman<'_> {
    /// Lets 50 workers work and die on the table that holds `before`; returns what it holds afterwards.
    fn work_an_epoch(&mut self, before: &BTreeMap<u64, Seen>) -> BTreeMap<u64, Seen> {
        self.tally.epoch_count += 1;
        let ledgers: Vec<_> = (0..WORKER_COUNT).map(|seat| Ledger::create(&ledger_path(self.path, seat))).collect();
        let table = options().open(self.path).unwrap();
        assert!(table.recovery().nothing_lost, "{}", table.recovery());
        self.crew = (0..WORKER_COUNT).map(|seat| self.employ(seat, &table)).collect();
        for _ in 0..KILLS_IN_EPOCH {
            std::thread::sleep(Duration::from_micros(self.random.u64(0..PAUSE_MICROSECONDS)));
            self.kill_one(&table);
            if ledgers.iter().filter(|ledger| !ledger.has_room(1000)).count() > ledgers.len() / 4 {
                break;
            }
        }
        self.kill_all();
        self.count_repairs(&table);
        // Nobody has the table any more, and somebody may have died holding its locks.
        drop(table);
        let table = options().open(self.path).unwrap();
        assert!(table.recovery().nothing_lost, "{}", table.recovery());
        let mut events: Vec<Event> = (0..).zip(&ledgers).flat_map(|(seat, ledger)| ledger.events(seat)).collect();
        let after = self.look_at_everything(&table, &mut events);
        self.judge(before, &events);
        for seat in 0..WORKER_COUNT {
            std::fs::remove_file(ledger_path(self.path, seat)).unwrap();
        }
        after
    }

    // -- the crew ----------------------------------------------------------------------------------

    fn employ(&mut self, seat: u64, table: &Visits) -> Pid {
        let seat = Seat { epoch: self.tally.epoch_count, seat, seed: self.random.u64(..) };
        let path = self.path;
        // Every tenth uses the handle of this process.
        common::fork(|| work(path, seat, Some(table).filter(|_| seat.seat % 10 == 1)))
    }

    /// Kills one worker, and employs another in its place.
    fn kill_one(&mut self, table: &Visits) {
        self.lookout.assert_not_left_behind();
        if self.random.bool() {
            // Somebody past the point of no return, at once: that does not last long.
            if let Some(holder) = self.lookout.find_holder(&self.crew, true, LOOK_COUNT) {
                return self.kill(holder, table);
            }
        }
        let any = self.random.usize(0..self.crew.len());
        let holder = self.lookout.find_holder(&self.crew, false, LOOK_COUNT);
        match (self.random.u32(0..10), holder) {
            // Whoever holds the lock at this moment, or did a moment ago.
            (0..4, Some(holder)) => self.kill(holder, table),
            // The same, after the others have come to wait for it.
            (4..6, Some(holder)) => {
                self.stop_for_a_while(holder);
                self.kill(holder, table);
            }
            // A holder that was only slow.
            (6, Some(holder)) => {
                self.stop_for_a_while(holder);
                let _ = kill(self.crew[holder], Signal::SIGCONT);
                self.kill(any, table);
            }
            // A holder, and somebody who is probably waiting for it.
            (7, Some(holder)) if any != holder => {
                let _ = kill(self.crew[any], Signal::SIGKILL);
                self.kill(holder, table);
                self.kill(any, table);
            }
            _ => self.kill(any, table),
        }
    }

    fn stop_for_a_while(&mut self, at: usize) {
        self.tally.stop_count += 1;
        let _ = kill(self.crew[at], Signal::SIGSTOP);
        std::thread::sleep(Duration::from_micros(self.random.u64(0..3 * PAUSE_MICROSECONDS)));
    }

    fn kill(&mut self, at: usize, table: &Visits) {
        // It may have killed itself already.
        let _ = kill(self.crew[at], Signal::SIGKILL);
        self.reap(at);
        self.crew[at] = self.employ(at as u64, table);
    }

    fn kill_all(&mut self) {
        // Those that stand in the way of others first would let these go on; so all at once.
        for pid in &self.crew {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        (0..self.crew.len()).for_each(|at| self.reap(at));
    }

    /// Waits until a worker is gone. It was killed: nothing else may end it.
    fn reap(&mut self, at: usize) {
        self.tally.kill_count += 1;
        let status = waitpid(self.crew[at], Some(WaitPidFlag::empty())).unwrap();
        assert_eq!(status, WaitStatus::Signaled(self.crew[at], Signal::SIGKILL, false), "the worker failed");
    }

    // -- the comparison ----------------------------------------------------------------------------

    /// Reads every key, as one more witness, after everybody else.
    fn look_at_everything(&self, table: &Visits, events: &mut Vec<Event>) -> BTreeMap<u64, Seen> {
        // Whoever died last is repaired by the next writer, which changes what the others see.
        table.write(|_| Ok(())).unwrap();
        let mut after = BTreeMap::new();
        for key in 0..KEY_COUNT {
            let start = now();
            let row = table.find(&key).unwrap();
            let step = match row {
                Some(row) => {
                    let (id, update_count) = (row.id.into(), row.update_count.into());
                    let seen = Seen { version: row.version, value: row.hits, id, update_count };
                    after.insert(key, seen);
                    Step::Saw(seen)
                }
                None => Step::SawNone,
            };
            events.push(Event { seat: WORKER_COUNT, key, start, end: Some(now()), step, is_snapshot: false });
        }
        assert_consistent(table);
        common::assert_recovers_the_same(table, self.path);
        // No slot was lost: all can be filled, and are made free again.
        let others: Vec<_> = (1000..).map_while(|key| table.insert(&common::visit(key, 0)).ok()).collect();
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
        // The counters begin anew with a recovery, and none is made here.
        self.tally.repair_counts =
            [repairs.holding, repairs.staging, repairs.prepared, repairs.publishing, status.dead_committer_count];
    }

    fn summary(&self) -> String {
        let Tally { epoch_count, kill_count, stop_count, event_count, in_flight_count, repair_counts } = &self.tally;
        let [holding, staging, prepared, publishing, committing] = repair_counts;
        format!(
            "{kill_count} kills and {stop_count} stops in {epoch_count} rounds; {event_count} operations, \
             {in_flight_count} of them in flight at a death; died holding: {holding}, staging: {staging}, \
             prepared: {prepared}, publishing: {publishing}, committing: {committing}"
        )
    }
}
