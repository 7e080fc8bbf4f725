//! Kills workers during the run: at random moments, and in the rare states that random moments hardly ever hit.
//!
//! Every other victim is *aimed at*. A worker is in the critical section for some tens of nanoseconds at a time, and in
//! some of its states only for a few. So the hunter asks the table which process holds the write lock, stops that
//! process, checks again in which state it was stopped, and kills it if that is the state in which the fewest owners
//! have died so far. Otherwise it lets it go on, and tries again. When half of its time is over any state will do, and
//! when all of it is over a random worker dies instead: the planned number of kills is always reached.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use locule::{RepairCounts, Table, WriterState};

use super::item::Item;
use super::supervisor::Supervisor;
use crate::Result;

/// How long one hunt may take at most. While a holder is stopped no other worker can write.
const HUNT_LIMIT: Duration = Duration::from_millis(20);
/// The pause between two looks at the writer. Waking up takes a processor away from some worker at a random
/// instruction, which is what makes the hunter see all states.
const LOOK_INTERVAL: Duration = Duration::from_micros(50);

/// How many workers were killed, and how they were chosen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct KillCounts {
    pub random: u64,
    pub aimed: u64,
}

impl KillCounts {
    pub fn total(&self) -> u64 {
        self.random + self.aimed
    }
}

pub struct KillSchedule {
    /// When the kills are due, counted from the start of the run, soonest first.
    due: VecDeque<Duration>,
    run_time: Duration,
    random: Rng,
    counts: KillCounts,
    /// When the kills were, counted from the start of the run.
    done: Vec<Duration>,
}

impl KillSchedule {
    /// Spreads the kills at random over the run, except for a little time at its start and its end.
    pub fn plan(kill_count: u64, run_time: Duration, seed: u64) -> KillSchedule {
        let mut random = Rng::with_seed(seed);
        let mut due: Vec<Duration> = (0..kill_count).map(|_| run_time.mul_f64(0.02 + 0.93 * random.f64())).collect();
        due.sort_unstable();
        KillSchedule { due: due.into(), run_time, random, counts: KillCounts::default(), done: Vec::new() }
    }

    pub fn counts(&self) -> KillCounts {
        self.counts
    }

    /// When the workers were killed, soonest first.
    pub fn done(&self) -> &[Duration] {
        &self.done
    }

    /// When the next kill is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.front().copied()
    }

    /// Does the kills that are due by now.
    pub fn act(&mut self, now: Duration, supervisor: &mut Supervisor<'_>, table: &Table<Item>) -> Result<()> {
        let began = Instant::now();
        while self.due.front().is_some_and(|&due| due <= now + began.elapsed()) {
            let limit = self.hunt_limit(now + began.elapsed());
            self.due.pop_front();
            let is_aimed = self.counts.total() % 2 == 1 && hunt(supervisor, table, limit)?;
            if is_aimed {
                self.counts.aimed += 1;
            } else {
                let number = self.random.usize(0..supervisor.size().max(1));
                supervisor.kill_and_replace(number)?;
                self.counts.random += 1;
            }
            self.done.push(now + began.elapsed());
        }
        Ok(())
    }

    /// Half of what is left of the run, divided by the kills that are left: hunting must not push the others out of the
    /// run.
    fn hunt_limit(&self, now: Duration) -> Duration {
        let left = u32::try_from(self.due.len()).unwrap_or(u32::MAX).max(1);
        (self.run_time.saturating_sub(now) / left / 2).min(HUNT_LIMIT)
    }
}

/// Kills a worker that holds the write lock. `false` if none could be caught in time.
fn hunt(supervisor: &mut Supervisor<'_>, table: &Table<Item>, limit: Duration) -> Result<bool> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(number) = table.status().writer.and_then(|writer| supervisor.number_of(writer.pid)) {
            if kill_if_wanted(supervisor, table, number, began.elapsed() > limit / 2)? {
                return Ok(true);
            }
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(false)
}

fn kill_if_wanted(
    supervisor: &mut Supervisor<'_>,
    table: &Table<Item>,
    number: usize,
    any_state: bool,
) -> Result<bool> {
    let Some(stopped) = supervisor.stop(number)? else { return Ok(false) };
    let writer = table.status().writer.filter(|writer| supervisor.number_of(writer.pid) == Some(number));
    let deaths = Deaths::counted_by(table);
    let is_wanted = writer.is_some_and(|writer| any_state || deaths.are_fewest_in(writer.state));
    if is_wanted {
        stopped.kill()?;
        drop(stopped);
        supervisor.kill_and_replace(number)?;
    }
    Ok(is_wanted)
}

/// How many owners of the write lock have died and were repaired, by what they were doing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Deaths {
    pub holding: u64,
    pub staging: u64,
    pub prepared: u64,
    pub publishing: u64,
}

impl Deaths {
    pub fn counted_by(table: &Table<Item>) -> Deaths {
        let RepairCounts { holding, staging, prepared, publishing, .. } = table.status().repair_counts;
        Deaths { holding, staging, prepared, publishing }
    }

    pub fn total(&self) -> u64 {
        self.holding + self.staging + self.prepared + self.publishing
    }

    /// Whether there is no other state in which fewer owners have died.
    fn are_fewest_in(&self, state: WriterState) -> bool {
        let &Deaths { holding, staging, prepared, publishing } = self;
        let count = match state {
            WriterState::Holding => holding,
            WriterState::Staging => staging,
            WriterState::Prepared => prepared,
            WriterState::Publishing => publishing,
            // A state that this program does not know yet is not hunted for.
            _ => return false,
        };
        count <= holding.min(staging).min(prepared).min(publishing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_over_the_run_and_none_is_lost() {
        let run_time = Duration::from_secs(10);
        let kill_schedule = KillSchedule::plan(1000, run_time, 7);
        assert_eq!(kill_schedule.due.len(), 1000);
        assert!(kill_schedule.due.iter().zip(kill_schedule.due.iter().skip(1)).all(|(one, next)| one <= next));
        assert!(kill_schedule.due.iter().all(|&due| due < run_time));
        for tenth in 0..9 {
            let share = kill_schedule.due.iter().filter(|due| due.as_secs() == tenth).count();
            assert!((50..200).contains(&share), "{share} kills in second {tenth}");
        }
        assert_eq!(KillSchedule::plan(0, run_time, 7).next_due(), None);
    }

    #[test]
    fn hunts_leave_time_for_the_kills_that_follow() {
        let kill_schedule = KillSchedule::plan(100, Duration::from_secs(1), 7);
        assert_eq!(kill_schedule.hunt_limit(Duration::ZERO), Duration::from_millis(5));
        assert_eq!(kill_schedule.hunt_limit(Duration::from_secs(2)), Duration::ZERO);
        assert_eq!(KillSchedule::plan(1, Duration::from_secs(9), 7).hunt_limit(Duration::ZERO), HUNT_LIMIT);
    }

    #[test]
    fn the_state_with_the_fewest_deaths_is_wanted() {
        let deaths = Deaths { holding: 3, staging: 2, prepared: 0, publishing: 1 };
        assert!(deaths.are_fewest_in(WriterState::Prepared));
        assert!(!deaths.are_fewest_in(WriterState::Publishing));
        assert!(Deaths::default().are_fewest_in(WriterState::Holding));
    }
}
