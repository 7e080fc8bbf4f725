//! Random histories of a table under process death, failed flushes, power loss, and recoveries that are cut short.
//!
//! Each interleaves one writer, one committer and first openers, access by access; kills any of them anywhere; lets everybody
//! exit; cuts the power at any moment, and again inside recovery, and goes on from what the disk then holds. After every loss:
//! something is recovered, it is no older than the last acknowledged commit, it is exactly what was published under that
//! number, and was not rolled back. After every repair and recovery: what is served is the newest published transaction.

use super::actor::{Actor, Outcome};
use super::world::World;

const BURSTS: [u32; 6] = [1, 5, 20, 60, 150, 400];

/// One history.
pub fn live(seed: u64) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(random.u64(1..=3), random.u64(..));
    world.flush_failure_rate = 0.1;
    world.truth().flush_failure_rate = 0.1;
    let (mut writer, mut committer): (Option<Actor>, Option<Actor>) = (None, None);
    for _ in 0..random.u32(10..120) {
        let event = random.f64();
        let advance = |actor: Actor, world: &World, random: &mut fastrand::Rng| {
            let count = BURSTS[random.usize(..BURSTS.len())];
            match actor.advance(count) {
                Outcome::Running(actor) if random.f64() < 0.01 => {
                    actor.kill(&world.store);
                    (None, false)
                }
                Outcome::Running(actor) => (Some(actor), false),
                Outcome::Done => (None, true),
            }
        };
        if event < 0.06 {
            for actor in [writer.take(), committer.take()].into_iter().flatten() {
                actor.kill(&world.store);
            }
            if event < 0.03 {
                world.lose_power();
                world.open(false);
            } else if world.store.status().flush_failed || random.f64() < 0.3 {
                world.open(true);
            }
        } else if event < 0.10 {
            let victim = if event < 0.08 { writer.take() } else { committer.take() };
            if let Some(actor) = victim {
                actor.kill(&world.store);
            }
        } else if event < 0.60 {
            let actor = writer.take().unwrap_or_else(|| world.writer());
            let done;
            (writer, done) = advance(actor, &world, &mut random);
            if done {
                world.check_served();
            }
        } else {
            let actor = committer.take().unwrap_or_else(|| world.committer());
            (committer, _) = advance(actor, &world, &mut random);
        }
        if random.f64() < 0.3 {
            world.look_at_a_loss();
        }
    }
    for actor in [writer, committer].into_iter().flatten() {
        actor.kill(&world.store);
    }
    world
}

/// How many histories a test run goes through; `LOCULE_HISTORIES` asks for more.
fn history_count() -> u64 {
    std::env::var("LOCULE_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(1000)
}

#[test]
fn whatever_dies_and_whenever_the_power_fails_the_table_is_a_moment_that_was() {
    let first: u64 = std::env::var("LOCULE_FIRST_HISTORY").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut commit_count = 0;
    for seed in first..first + history_count() {
        let outcome = std::panic::catch_unwind(|| live(seed));
        match outcome {
            Ok(world) => commit_count += u64::from(world.truth().commit_count),
            Err(payload) => {
                eprintln!("history {seed}; again with LOCULE_FIRST_HISTORY={seed} LOCULE_HISTORIES=1");
                std::panic::resume_unwind(payload);
            }
        }
    }
    println!("{} histories with {commit_count} commits", history_count());
    assert!(commit_count >= history_count() / 2, "the histories commit");
}
