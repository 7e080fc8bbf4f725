//! Waiting for something, but no longer than a given time.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// The time until which something is waited for.
#[derive(Clone, Copy)]
pub struct Deadline {
    start: Instant,
    timeout: Duration,
}

impl Deadline {
    pub fn after(timeout: Duration) -> Self {
        Deadline { start: Instant::now(), timeout }
    }

    /// How much time is left, which may be for ever.
    pub fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.start.elapsed())
    }

    pub fn has_passed(&self) -> bool {
        self.left().is_zero()
    }
}

/// Tries again and again until there is an answer, with pauses that grow; `None` if none came in time. Tries at least
/// once.
pub fn poll<T>(timeout: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(timeout);
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = attempt();
        if answer.is_some() {
            return answer;
        }
        let left = deadline.left();
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_after_its_timeout() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
        let long = Deadline::after(Duration::MAX);
        assert!(!long.has_passed() && long.left() > Duration::MAX / 2);
    }

    #[test]
    fn an_answer_is_polled_for_until_there_is_one_or_the_time_is_over() {
        let mut attempt_count = 0;
        let mut third = || {
            attempt_count += 1;
            (attempt_count == 3).then_some("third")
        };
        assert_eq!(poll(Duration::MAX, &mut third), Some("third"));
        assert_eq!(attempt_count, 3);
        assert_eq!(poll(Duration::ZERO, || Some(1)), Some(1), "it tries once, whatever the time");
        let start = Instant::now();
        let timeout = Duration::from_millis(5);
        assert_eq!(poll(timeout, || None::<()>), None);
        assert!(start.elapsed() >= timeout);
    }
}
