//! Random histories of a table under process death, failed flushes, loss of power, and recoveries that are cut short.
//!
//! Each interleaves one writer, up to three syncers and first openers, access by access. It kills any of them anywhere;
//! lets all of them exit; cuts the power at any moment, and again inside recovery, and goes on from what the disk then
//! holds. Besides, after each step of any of them, the power is cut in images of the disk that are not used any further
//! (`cuts`). After every loss: something is recovered, it is no older than the last acknowledged sync, it is exactly
//! what was published under that number, and was not rolled back; and the report says no more than that. After every
//! repair and recovery: what is served is the newest published transaction.

use crate::engine::tests::actor::{Actor, Outcome};
use crate::engine::tests::cuts::{Counts, Effort};
use crate::engine::tests::world::{World, wide_header};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const BURSTS: [u32; 6] = [1, 5, 20, 60, 150, 400];
/// Words of a record besides its key and value, so that cells begin and end anywhere in a sector, or are longer than
/// one.
const FILLER_WORDS: [usize; 6] = [0, 0, 1, 7, 20, 60];
const SYNCER_COUNT: usize = 3;

/// What `cargo test` does, in a few seconds.
const HISTORY_COUNT: u64 = if cfg!(miri) { 2 } else { 600 };
const EFFORT: Effort = Effort { image_count: 1, all_up_to: if cfg!(miri) { 1 } else { 8 }, one_of: 100 };

/// One history.
fn live(seed: u64, effort: Effort) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let header = wide_header(random.u64(1..=3), FILLER_WORDS[random.usize(..FILLER_WORDS.len())]);
    let mut world = World::with_cuts(&header, random.u64(..), effort);
    world.fail_flushes_at(0.06);
    let mut writer: Option<Actor> = None;
    let mut syncers: [Option<Actor>; SYNCER_COUNT] = Default::default();
    let mut writer_share = 0.5;
    for _ in 0..if cfg!(miri) { 10 } else { random.u32(20..200) } {
        // At times the writers stand still, or the syncers, while much happens.
        if random.f64() < 0.15 {
            writer_share = [0.02, 0.3, 0.5, 0.98][random.usize(..4)];
        }
        let event = random.f64();
        let is_failed = world.store.status().flush_failed;
        if event < if is_failed { 0.2 } else { 0.03 } {
            for actor in [&mut writer].into_iter().chain(&mut syncers).filter_map(Option::take) {
                actor.kill(&world.store);
            }
            if random.bool() {
                world.lose_power();
                world.open(false);
            } else if is_failed || random.f64() < 0.3 {
                world.open(true);
            }
        } else if random.f64() < 0.02 {
            let victim = if random.bool() { &mut writer } else { &mut syncers[random.usize(..SYNCER_COUNT)] };
            if let Some(actor) = victim.take() {
                actor.kill(&world.store);
            }
        } else if random.f64() < writer_share {
            let actor = writer.take().unwrap_or_else(|| world.writer());
            let done;
            (writer, done) = advance(actor, &world, &mut random);
            if done {
                world.check_served();
            }
        } else {
            // Mostly the same one, so that the one that waits for it is not always another.
            let number = if random.f64() < 0.7 { 0 } else { random.usize(..SYNCER_COUNT) };
            let actor = syncers[number].take().unwrap_or_else(|| world.syncer());
            let done;
            (syncers[number], done) = advance(actor, &world, &mut random);
            if done {
                world.look_at_all_losses();
            }
        }
    }
    for actor in [writer].into_iter().chain(syncers).flatten() {
        actor.kill(&world.store);
    }
    world
}

/// Lets an actor go on for a while, which it may not survive. Returns whether it came to its end.
fn advance(actor: Actor, world: &World, random: &mut fastrand::Rng) -> (Option<Actor>, bool) {
    match actor.advance(BURSTS[random.usize(..BURSTS.len())]) {
        Outcome::Running(actor) if random.f64() < 0.005 => {
            actor.kill(&world.store);
            (None, false)
        }
        Outcome::Running(actor) => (Some(actor), false),
        Outcome::Done => (None, true),
    }
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().expect("a number"))
}

/// For more: `LOCULE_HISTORIES` says how many histories, `LOCULE_ALL_UP_TO` up to how many images of a step all are
/// looked at, and `LOCULE_FIRST_HISTORY` where to begin.
#[test]
fn whatever_dies_and_whenever_the_power_fails_the_table_is_a_moment_that_was() {
    let first = number_from_environment("LOCULE_FIRST_HISTORY").unwrap_or(0);
    let history_count = number_from_environment("LOCULE_HISTORIES").unwrap_or(HISTORY_COUNT);
    let all_up_to = number_from_environment("LOCULE_ALL_UP_TO").map_or(EFFORT.all_up_to, |count| count as usize);
    let effort = Effort { all_up_to, ..EFFORT };
    let next = AtomicU64::new(first);
    let start = Instant::now();
    let work = || {
        let (mut counts, mut sync_count) = (Counts::default(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + history_count {
                return (counts, sync_count);
            }
            let outcome = std::panic::catch_unwind(|| live(seed, effort));
            let Ok(world) = outcome else {
                next.store(u64::MAX / 2, Ordering::Relaxed);
                panic!("again with LOCULE_FIRST_HISTORY={seed} LOCULE_HISTORIES=1 LOCULE_ALL_UP_TO={all_up_to}");
            };
            counts.add(&world.truth().cuts.counts());
            sync_count += world.truth().past.sync_count;
        }
    };
    let (counts, sync_count) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let (mut counts, sync_count) = work();
        let (others, other_sync_count) = other.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload));
        counts.add(&others);
        (counts, sync_count + other_sync_count)
    });
    println!("{history_count} histories with {sync_count} syncs, in {:.1?}: {counts:#?}", start.elapsed());
    if history_count < HISTORY_COUNT || cfg!(miri) {
        return;
    }
    assert!(sync_count >= history_count / 2, "the histories sync");
    assert!(counts.image_count >= 50_000, "only {} images", counts.image_count);
    for count in [counts.image_of_all_count, counts.image_in_recovery_count, counts.written_after_count] {
        assert!(count > 0, "each kind of image is looked at: {counts:?}");
    }
    assert!(
        counts.refused_count > 0 && counts.refused_count < counts.rotten_image_count,
        "damage is found: {counts:?}"
    );
}
