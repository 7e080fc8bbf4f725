//! What many looks at a lock and at syncs add up to.
//!
//! Nobody notes when the lock is taken or a sync begins: that would cost every write. So all of this is measured from outside,
//! as far as looks can: a holding counts if it was seen to begin, for as long as it was seen.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use locule::Glance;

use super::durations::Durations;
use super::figures::nanoseconds;
use crate::lock_holder::Holding;

/// Two looks that are no further apart show when a holding begins.
const CLOSE: Duration = Duration::from_micros(20);

/// What was seen since it was last asked for.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// Looks in equal intervals, which the shares are of.
    pub look_count: u64,
    pub held_count: u64,
    pub waited_for_count: u64,
    /// How many of them found each thread to be the holder.
    pub count_by_thread: HashMap<u32, u64>,
    /// How long the lock was held.
    pub holdings: Durations,
    /// How long syncs waited for the disk.
    pub flushes: Durations,
    /// The holding that was there at the last look.
    pub holding: Option<Holding>,
    pub is_abandoned: bool,
    pub is_flushing: bool,
}

/// Adds looks up.
#[derive(Default)]
pub struct Tally {
    looks: Looks,
    /// When the last look was.
    last: Option<Instant>,
    holding: Option<Open>,
    flush: Option<Flush>,
    durable: Option<u64>,
}

/// A holding that has not ended.
struct Open {
    holding: Holding,
    seen_at: Instant,
    is_measured: bool,
}

/// A flush that has not ended.
struct Flush {
    since: Instant,
    /// When its number was seen to be durable; the mark that it is under way is taken away only after that.
    ended_at: Option<Instant>,
    is_measured: bool,
}

impl Flush {
    fn add_to(&self, flushes: &mut Durations, end: Instant) {
        if self.is_measured {
            flushes.add(nanoseconds(end.saturating_duration_since(self.since)));
        }
    }
}

impl Tally {
    /// Adds a look. Those that follow another at once do not count for the shares.
    pub fn add(&mut self, glance: &Glance, now: Instant, counts: bool) {
        if counts {
            self.looks.look_count += 1;
            // Those that waited for a holder that died are awake, or died too.
            self.looks.waited_for_count += u64::from(glance.is_waited_for && !glance.is_abandoned);
            if let Some(thread_id) = glance.holder_thread_id {
                self.looks.held_count += 1;
                *self.looks.count_by_thread.entry(thread_id).or_default() += 1;
            }
        }
        let gap = self.last.map(|last| now.saturating_duration_since(last));
        self.add_to_holding(glance, now, gap);
        self.add_to_flush(glance, now);
        self.last = Some(now);
        self.looks.is_abandoned = glance.is_abandoned;
        self.looks.is_flushing = glance.is_flushing;
        self.durable = Some(glance.durable);
    }

    fn add_to_holding(&mut self, glance: &Glance, now: Instant, gap: Option<Duration>) {
        if let Some(open) = &mut self.holding {
            if open.holding.is_in(glance) {
                open.seen_at = now;
                return;
            }
            let seen_for = open.seen_at.saturating_duration_since(open.holding.since);
            let gap = gap.unwrap_or_default();
            // It ended somewhere in the gap. If that was long, since this thread had to wait too, it counts as long as it was seen.
            if open.is_measured && (gap <= CLOSE || !seen_for.is_zero()) {
                let rest = if gap <= CLOSE { gap } else { gap.min(seen_for) };
                self.looks.holdings.add(nanoseconds(seen_for + rest / 2));
            }
        }
        self.holding = Holding::seen(glance, now).map(|holding| Open {
            holding,
            seen_at: now,
            is_measured: gap.is_some_and(|gap| gap <= CLOSE),
        });
    }

    fn add_to_flush(&mut self, glance: &Glance, now: Instant) {
        let has_ended = self.durable.is_some_and(|durable| durable != glance.durable);
        let flushes = &mut self.looks.flushes;
        match &mut self.flush {
            Some(flush) if !glance.is_flushing => {
                flush.add_to(flushes, flush.ended_at.unwrap_or(now));
                self.flush = None;
            }
            Some(flush) => {
                // After one flush the next can be under way.
                if let Some(end) = flush.ended_at.filter(|end| has_ended || now.saturating_duration_since(*end) > CLOSE)
                {
                    flush.add_to(flushes, end);
                    *flush = Flush { since: end, ended_at: None, is_measured: true };
                }
                if has_ended {
                    flush.ended_at = Some(now);
                }
            }
            None if glance.is_flushing => {
                self.flush = Some(Flush { since: now, ended_at: None, is_measured: self.last.is_some() });
            }
            None if has_ended => {
                // It began and ended between two looks.
                let gap = self.last.map(|last| now.saturating_duration_since(last)).unwrap_or_default();
                flushes.add(nanoseconds(gap / 2));
            }
            None => {}
        }
    }

    /// Whether the lock is held, so that looking on would tell for how long.
    pub fn is_held(&self) -> bool {
        self.holding.is_some()
    }

    /// All that was added since the last time.
    pub fn take(&mut self) -> Looks {
        let holding = self.holding.as_ref().map(|open| open.holding);
        let (is_abandoned, is_flushing) = (self.looks.is_abandoned, self.looks.is_flushing);
        let rest = Looks { is_abandoned, is_flushing, ..Looks::default() };
        Looks { holding, ..std::mem::replace(&mut self.looks, rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use locule::{Table, Values};

    /// Looks at what a test says is there.
    struct Scene {
        tally: Tally,
        glance: Glance,
        start: Instant,
        passed: Duration,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let schema: locule::Schema = "key id: u64".parse().unwrap();
            let table = Table::<Values>::options().schema(schema).create(directory.path().join("rows.loc")).unwrap();
            Scene { tally: Tally::default(), glance: table.glance(), start: Instant::now(), passed: Duration::ZERO }
        }

        /// Looks so many microseconds after the last look.
        fn look(&mut self, microseconds: u64, change: impl FnOnce(&mut Glance)) {
            change(&mut self.glance);
            self.passed += Duration::from_micros(microseconds);
            self.tally.add(&self.glance, self.start + self.passed, true);
        }
    }

    #[test]
    fn holdings_are_as_long_as_they_were_seen() {
        let mut scene = Scene::new();
        scene.look(0, |_| {});
        scene.look(10, |now| now.holder_thread_id = Some(7));
        (0..9).for_each(|_| scene.look(10, |_| {}));
        assert!(scene.tally.is_held());
        scene.look(10, |now| now.holder_thread_id = None);
        let looks = scene.tally.take();
        assert_eq!((looks.holdings.count, looks.holdings.longest), (1, 95_000));
        assert_eq!((looks.look_count, looks.held_count, looks.count_by_thread[&7]), (12, 10, 10));
        // Another thread, and then another transaction of the same one.
        scene.look(10, |now| now.holder_thread_id = Some(8));
        scene.look(10, |now| now.holder_thread_id = Some(9));
        scene.look(10, |now| now.taken += 1);
        assert_eq!(scene.tally.looks.holdings.count, 1);
        scene.look(10, |now| now.taken += 1);
        assert_eq!(scene.tally.take().holdings.count, 2);
        // It was preempted after that look: only what was seen counts, and half as much again.
        scene.look(10, |_| {});
        scene.look(5_000, |now| now.holder_thread_id = None);
        assert_eq!(scene.tally.take().holdings.longest, 15_000);
        // Nobody knows when this one began.
        scene.look(2_000, |now| now.holder_thread_id = Some(7));
        scene.look(10, |now| now.holder_thread_id = None);
        assert_eq!(scene.tally.take().holdings.count, 0);
    }

    #[test]
    fn who_keeps_the_lock_is_known_since_it_was_seen_first() {
        let mut scene = Scene::new();
        scene.look(0, |now| now.holder_thread_id = Some(7));
        (0..5).for_each(|_| scene.look(2_000, |_| {}));
        assert_eq!(scene.tally.take().holding.map(|holding| holding.since), Some(scene.start));
        scene.look(2_000, |now| now.is_waited_for = true);
        let looks = scene.tally.take();
        assert_eq!(looks.holding.map(|holding| (holding.thread_id, holding.since)), Some((7, scene.start)));
        assert_eq!((looks.look_count, looks.waited_for_count), (1, 1));
        scene.look(2_000, |now| (now.holder_thread_id, now.is_abandoned) = (None, true));
        let looks = scene.tally.take();
        assert!(looks.holding.is_none() && looks.is_abandoned && looks.waited_for_count == 0);
    }

    #[test]
    fn flushes_are_told_apart() {
        let mut scene = Scene::new();
        scene.look(0, |_| {});
        scene.look(2_000, |now| now.is_flushing = true);
        scene.look(2_000, |_| {});
        // The number is durable before the mark is taken away.
        scene.look(1, |now| now.durable += 1);
        scene.look(1, |now| now.is_flushing = false);
        let looks = scene.tally.take();
        assert_eq!((looks.flushes.count, looks.flushes.longest), (1, 2_001_000));
        // Between two looks.
        scene.look(2_000, |now| now.durable += 1);
        assert_eq!(scene.tally.take().flushes.longest, 1_000_000);
        // One after the other.
        scene.look(2_000, |now| now.is_flushing = true);
        scene.look(2_000, |_| {});
        scene.look(2_000, |now| now.durable += 1);
        scene.look(2_000, |now| now.durable += 1);
        scene.look(2_000, |now| now.is_flushing = false);
        let looks = scene.tally.take();
        assert_eq!((looks.flushes.count, looks.flushes.longest), (2, 4_000_000));
    }
}
