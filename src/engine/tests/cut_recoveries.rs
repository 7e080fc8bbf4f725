//! The power is cut after every step of a recovery of a small table, in every way that its disk allows, if these are at
//! most a thousand: exhaustively, and not at random as in the histories.
//!
//! What a recovery finds is a short history: writes and syncs, the last of which its process may not have survived. It
//! is found in the same boot, where the disk may have less of it than the recovery sees, and after a loss of power.

use crate::engine::tests::actor::{Actor, Outcome};
use crate::engine::tests::cuts::Effort;
use crate::engine::tests::world::{World, header};

const NO_EFFORT: Effort = Effort { image_count: 0, all_up_to: 0, one_of: u32::MAX };
/// The effort in a recovery. If there are more ways, some are chosen at random.
const EFFORT: Effort = Effort { image_count: 4, all_up_to: if cfg!(miri) { 1 } else { 1000 }, one_of: u32::MAX };

/// What is done before the recovery.
#[derive(Clone, Copy, Debug)]
enum Done {
    Write,
    Sync,
    /// Ended after this many accesses, as by SIGKILL.
    DeadWrite(u32),
    DeadSync(u32),
    /// Its flush fails, after which some pages may be taken for clean.
    FailedSync,
}

use Done::{DeadSync, DeadWrite, FailedSync, Sync, Write};

const HISTORIES: [&[Done]; 11] = [
    &[],
    &[Write],
    &[Write, Sync],
    &[Write, Sync, Write],
    &[Write, Sync, Write, Write],
    &[Write, Sync, Write, Sync, Write],
    &[Write, Sync, DeadWrite(12)],
    &[Write, Sync, Write, DeadSync(12)],
    &[Write, Sync, Write, DeadSync(20), Write, DeadWrite(25)],
    &[Write, Sync, Write, FailedSync],
    &[Write, Sync, Write, FailedSync, Write, Write],
];

fn live(world: &mut World, history: &[Done]) {
    for done in history {
        let (actor, access_count) = match done {
            Write => (world.writer(), None),
            Sync | FailedSync => (world.syncer(), None),
            DeadWrite(access_count) => (world.writer(), Some(*access_count)),
            DeadSync(access_count) => (world.syncer(), Some(*access_count)),
        };
        let rate = if matches!(done, FailedSync) { 1.0 } else { 0.0 };
        world.fail_flushes_at(rate);
        go_on(world, actor, access_count);
    }
    world.fail_flushes_at(0.0);
}

/// Lets an actor make this many accesses, and kills it; or lets it finish.
fn go_on(world: &World, mut actor: Actor, access_count: Option<u32>) {
    let mut left = access_count.unwrap_or(u32::MAX);
    while left > 0 {
        // It stops on its own now and then.
        match actor.advance(if access_count.is_some() { 1 } else { left }) {
            Outcome::Running(running) => actor = running,
            Outcome::Done => return,
        }
        left = access_count.map_or(left, |_| left - 1);
    }
    actor.kill(&world.store);
}

#[test]
fn a_recovery_that_is_cut_short_at_any_step_and_in_any_way_comes_to_what_was_synced_or_is_newer() {
    let mut counts = crate::engine::tests::cuts::Counts::default();
    for (number, history) in HISTORIES.iter().enumerate() {
        for seed in 0..if cfg!(miri) { 1 } else { 8 } {
            for loses_power in [false, true] {
                let mut world = World::with_cuts(&header(1 + seed % 2), seed, NO_EFFORT);
                live(&mut world, history);
                if loses_power {
                    world.lose_power();
                }
                world.truth().cuts.spend(EFFORT);
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.open(!loses_power)));
                assert!(
                    outcome.is_ok(),
                    "history {number}, {history:?}, seed {seed}, power lost before: {loses_power}"
                );
                counts.add(&world.truth().cuts.counts());
            }
        }
    }
    println!("{counts:#?}");
    assert!(counts.image_of_all_count > 5_000 || cfg!(miri), "{counts:?}");
}
