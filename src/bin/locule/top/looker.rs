//! A thread that looks at a table's lock, all the time but seldom enough to disturb nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use locule::{Table, Values};

use super::extent::Extent;
use super::looks::{Looks, Tally};

/// The interval of the looks that shares are of: 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);
/// Every so many of them it looks on without a pause, to see how long the lock is held: for this long, and until it is let go,
/// but not for longer than the second time. That takes 2 % of a processor.
const LOOKS_PER_STARE: u64 = 5;
const STARE: Duration = Duration::from_micros(200);
const LONG_STARE: Duration = Duration::from_millis(2);

/// Looks until it is dropped, or the file is cut off.
pub struct Looker {
    tally: Arc<Mutex<Tally>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Looker {
    pub fn start(table: Arc<Table<Values>>, extent: Arc<Extent>) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, end) = (Arc::clone(&tally), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for number in 0_u64.. {
                if end.load(Ordering::Relaxed) || extent.is_cut_off() {
                    break;
                }
                look(&table, &mut shared.lock().unwrap_or_else(PoisonError::into_inner), number % LOOKS_PER_STARE == 0);
                thread::sleep(INTERVAL);
            }
        });
        Looker { tally, is_over, thread: Some(thread) }
    }

    /// What was seen since the last time.
    pub fn take(&self) -> Looks {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn look(table: &Table<Values>, tally: &mut Tally, stares: bool) {
    let start = Instant::now();
    tally.add(&table.glance(), start, true);
    loop {
        let now = Instant::now();
        let passed = now.saturating_duration_since(start);
        let is_long_enough = passed >= STARE && (!tally.is_held() || passed >= LONG_STARE);
        if !stares || is_long_enough {
            break;
        }
        tally.add(&table.glance(), now, false);
        if passed < STARE {
            std::hint::spin_loop();
        } else {
            // The holder may be waiting for this processor.
            thread::yield_now();
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_look_at_a_file_that_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let schema: locule::Schema = "key id: u64".parse().unwrap();
        let path = directory.path().join("rows.loc");
        let table = Arc::new(Table::<Values>::options().schema(schema).create(&path).unwrap());
        // Only said of it: to be wrong would end the test.
        let other = directory.path().join("other");
        std::fs::write(&other, "whole").unwrap();
        let extent = Arc::new(Extent::of(&other).unwrap());
        let looker = Looker::start(Arc::clone(&table), Arc::clone(&extent));
        while looker.take().look_count == 0 {
            thread::yield_now();
        }
        std::fs::write(&other, "").unwrap();
        let wait_for_end = |looker: &Looker| {
            let start = Instant::now();
            while !looker.thread.as_ref().unwrap().is_finished() {
                assert!(start.elapsed() < Duration::from_secs(60), "it looks on");
                thread::yield_now();
            }
        };
        wait_for_end(&looker);
        let looker = Looker::start(table, extent);
        wait_for_end(&looker);
        assert_eq!(looker.take().look_count, 0);
    }
}
