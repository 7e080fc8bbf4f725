//! Without a terminal: a line for each look, in columns that stay where they are.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::facts::Facts;
use super::figures::{age, percent, rate, time};
use super::watcher::Watcher;
use crate::writing::shown_json;
use crate::{Result, Verdict, counts, output};

/// The names of the columns, and how wide they are.
const COLUMNS: [(&str, usize); 12] = [
    ("time", 20),
    ("writes/s", 9),
    ("syncs/s", 7),
    ("records", 8),
    ("capacity", 8),
    ("newest", 10),
    ("synced", 10),
    ("unsynced", 8),
    ("synced_ago", 10),
    ("held", 6),
    ("held_p50", 8),
    ("waited", 6),
];

/// Prints lines until there are enough of them, or nobody reads them.
pub fn print(watcher: &mut Watcher, interval: Duration, count: Option<u64>, is_json: bool) -> Result<Verdict> {
    let mut stdout = output::buffered();
    if !is_json {
        let names: Vec<_> = COLUMNS.iter().map(|(name, width)| format!("{name:>width$}")).collect();
        writeln!(stdout, "{}  holder", names.join("  "))?;
        stdout.flush()?;
    }
    // Rates are those since another look.
    let mut facts = watcher.look();
    complain(facts.problem.as_ref());
    let mut printed = 0;
    while count.is_none_or(|count| printed < count) {
        thread::sleep(interval);
        let last_problem = std::mem::replace(&mut facts, watcher.look()).problem;
        if facts.problem != last_problem {
            complain(facts.problem.as_ref());
        }
        let line = if is_json { shown_json(&facts.to_json()) } else { line_of(&facts) };
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        printed += 1;
    }
    Ok(Verdict::good_if(facts.is_watched))
}

fn complain(problem: Option<&String>) {
    if let Some(problem) = problem {
        output::complain(format_args!("locule: {}", output::visible(problem)));
    }
}

/// A line with - for what is not known.
fn line_of(facts: &Facts) -> String {
    let status = facts.status;
    let (lock, rates) = (&facts.lock, facts.rates);
    let is_looked_at = lock.look_count > 0;
    // A second is fine enough.
    let moment = facts.time.to_string();
    let moment = moment.split('.').next().map(|seconds| format!("{}Z", seconds.trim_end_matches('Z')));
    let cells = [
        moment,
        rates.map(|rates| rate(rates.writes_per_second).replace(',', "")),
        rates.map(|rates| rate(rates.syncs_per_second).replace(',', "")),
        status.map(|status| match counts::is_possible(status.live_count, &status) {
            true => status.live_count.to_string(),
            false => "damaged".to_owned(),
        }),
        status.map(|status| status.capacity.to_string()),
        status.map(|status| status.last.to_string()),
        status.map(|status| status.durable.to_string()),
        facts.lag().map(|lag| lag.to_string()),
        facts.seconds_since_sync().map(age),
        is_looked_at.then(|| percent(lock.held_share)),
        lock.holdings.quantile(0.5).map(time),
        is_looked_at.then(|| percent(lock.waited_for_share)),
    ];
    // Units stand beside their numbers, so that each column is one word.
    let cells = cells.map(|cell| cell.map_or("-".to_owned(), |cell| cell.replace(' ', "")));
    let cells = COLUMNS.iter().zip(cells).map(|((_, width), cell)| format!("{cell:>width$}"));
    let holder = match lock.long_holder() {
        Some((holder, seconds)) => {
            format!("{}, {}, for {} at least", holder.identity(), holder.activity.in_words(), age(seconds))
        }
        None if lock.is_abandoned => "a process that died".to_owned(),
        None => "-".to_owned(),
    };
    format!("{}  {holder}", cells.collect::<Vec<_>>().join("  "))
}
