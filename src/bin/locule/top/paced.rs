//! Work that may take long is done seldom.

use std::time::{Duration, Instant};

/// Work takes 2 % of the time at most.
const PAUSE_PER_COST: u32 = 50;

/// When some work is due again.
#[derive(Default)]
pub struct Paced {
    next: Option<Instant>,
}

impl Paced {
    /// Does the work if it is due.
    pub fn run<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let start = Instant::now();
        if self.next.is_some_and(|next| start < next) {
            return None;
        }
        let result = work();
        self.next = start.checked_add(start.elapsed().max(Duration::from_micros(1)).saturating_mul(PAUSE_PER_COST));
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_just_taken_long_is_not_done_again_at_once() {
        let mut paced = Paced::default();
        assert_eq!(paced.run(|| std::thread::sleep(Duration::from_secs(1) / 20)), Some(()));
        assert_eq!(paced.run(|| ()), None);
        paced.next = Some(Instant::now());
        assert_eq!(paced.run(|| 7), Some(7));
    }
}
