//! A line that shows how the run is going: redrawn on a terminal, otherwise one line a second.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::report::grouped;
use crate::output;

pub struct Progress {
    run_time: Duration,
    bar: Option<ProgressBar>,
    shown_at: Duration,
    shown_iterations: u64,
}

impl Progress {
    pub fn new(run_time: Duration) -> Progress {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(u64::try_from(run_time.as_millis()).unwrap_or(u64::MAX));
            // The template is fixed and known to be right; without it the line only looks different.
            match ProgressStyle::with_template("{bar:30} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Progress { run_time, bar, shown_at: Duration::ZERO, shown_iterations: 0 }
    }

    /// Shows the progress if it is time to. `numbers` returns all iterations so far, and the kills if there are any to
    /// report.
    pub fn show(&mut self, elapsed: Duration, numbers: impl FnOnce() -> (u64, Option<u64>)) {
        let interval = if self.bar.is_some() { Duration::from_millis(200) } else { Duration::from_secs(1) };
        let since = elapsed.saturating_sub(self.shown_at);
        if since < interval {
            return;
        }
        let (iterations, kills) = numbers();
        let rate = iterations.saturating_sub(self.shown_iterations) as f64 / since.as_secs_f64();
        (self.shown_at, self.shown_iterations) = (elapsed, iterations);
        let kills = kills.map(|kills| format!(", {} killed", grouped(kills))).unwrap_or_default();
        let message = format!(
            "{:.1} of {:.1} s: {} iterations/s{kills}",
            elapsed.as_secs_f64(),
            self.run_time.as_secs_f64(),
            grouped(rate as u64),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(message);
                bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            }
            None => output::complain(format_args!("{message}")),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
