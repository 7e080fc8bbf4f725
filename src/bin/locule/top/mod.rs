//! `locule top`: a table as it is used, live.

mod drawing;
mod durations;
mod extent;
mod facts;
mod figures;
mod history;
mod lines;
mod looker;
mod looks;
mod paced;
mod recent;
mod screen;
mod terminal;
mod view;
mod watcher;

use std::env;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::watcher::Watcher;
use crate::{Result, Verdict};

/// Shows a table as it is used: writes and syncs a second, where the records are, who holds the lock and for how long,
/// which processes have it open, and what changes.
///
/// On a terminal it is a live view, with its keys in the last line and more about it behind `?`. Otherwise, on a terminal on
/// which nothing can be drawn (TERM=dumb), and with --json, it prints a line for each look.
///
/// It only looks: it takes no lock, and changes no byte. Reads leave no trace, so nobody can see how many there are. How long the
/// lock is held, and how long a sync waits for the disk, is measured from outside, by looking 500 times a second, and in between
/// without a pause for a fiftieth of the time. Exit status 1 if the lines end while the table cannot be opened.
///
/// Whoever cuts off the file of a table ends the programs that use it. This one mostly notices in time and says so; if it does
/// not, `reset` gives the terminal back.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule top visits.loc
  locule top visits.loc --interval 0.2
  locule top visits.loc --count 10 | cat
  locule top visits.loc --json | jq .writes_per_second")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// The time from one look to the next, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_interval)]
    interval: Duration,
    /// End after so many lines, also on a terminal.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print a JSON object per line.
    #[arg(long)]
    json: bool,
}

/// Shows the view, or prints lines.
pub fn run(options: &Options) -> Result<Verdict> {
    if is_on_a_screen() && !options.json && options.count.is_none() {
        screen::show(&options.file, options.interval)
    } else {
        let mut watcher = Watcher::open(&options.file)?;
        lines::print(&mut watcher, options.interval, options.count, options.json)
    }
}

/// Whether there is a terminal, and one on which something can be drawn.
fn is_on_a_screen() -> bool {
    let can_draw = env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    can_draw && stdin().is_terminal() && stdout().is_terminal()
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.01..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected a number of seconds from 0.01 to 3600".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_seconds() {
        assert_eq!(parse_interval("0.2"), Ok(Duration::from_millis(200)));
        for wrong in ["0", "-1", "NaN", "x", "1e9"] {
            assert!(parse_interval(wrong).is_err(), "{wrong}");
        }
    }
}
