//! Fifty processes on one table, killed and stopped at random moments. All that they did and saw is recorded in ledgers
//! beside the table, and must be something that can have happened one operation after the other.
//!
//! `LOCULE_TORTURE_KILLS=10000` runs it for longer; `LOCULE_TORTURE_SEED` with other random numbers.

mod check;
mod check_tests;
mod event;
mod ledger;
mod supervisor;
mod watcher;
mod worker;

use test_kit::{Child, scratch};

#[test]
fn child_process() {
    test_kit::play(&[("lead", supervisor::lead), ("work after executing", worker::work_after_executing)]);
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

#[test]
fn what_fifty_processes_saw_and_did_while_they_were_killed_can_have_happened_one_after_the_other() {
    let (_directory, path) = scratch();
    let kill_count = number_of("LOCULE_TORTURE_KILLS", 500);
    let seed = number_of("LOCULE_TORTURE_SEED", 21);
    let mut supervisor = Child::spawn("lead", &path, format!("{kill_count} {seed}"));
    println!("{}", supervisor.hear());
    supervisor.finish();
}
