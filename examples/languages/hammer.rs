//! Many processes rewrite one table, and some of them are killed, as by `kill -9`: nothing is lost, and nothing has to
//! be cleaned up.

use crate::{Language, Result};
use locule::{RepairCounts, Table};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Runs the workers, and kills and replaces some of them in turn.
pub fn run(files: [&str; 2], seconds: f64, process_count: usize, kill_count: u32) -> Result<()> {
    let table = Table::<Language>::open(files[1])?;
    let (update_count, deaths) = (updates_in(&table)?, table.status().repair_counts);
    let end = Instant::now() + Duration::try_from_secs_f64(seconds)?;
    let spawn = || -> Result<Child> {
        let seconds_left = end.saturating_duration_since(Instant::now()).as_secs_f64().to_string();
        Ok(Command::new(std::env::current_exe()?).args(files).args(["--worker", &seconds_left]).spawn()?)
    };
    let mut workers = (0..process_count).map(|_| spawn()).collect::<Result<Vec<_>>>()?;
    let pause = end.saturating_duration_since(Instant::now()) / (kill_count + 1);
    for kill in 0..kill_count as usize {
        std::thread::sleep(pause);
        let victim = &mut workers[kill % process_count];
        victim.kill()?;
        victim.wait()?;
        *victim = spawn()?;
    }
    for mut worker in workers {
        if !worker.wait()?.success() {
            return Err("a worker failed".into());
        }
    }
    println!(
        "{} rewrites by {process_count} processes, {kill_count} killed, {} of them while they held the lock",
        updates_in(&table)? - update_count,
        sum(table.status().repair_counts) - sum(deaths),
    );
    let verification = locule::admin::verify(files[1])?;
    println!("{verification}");
    if verification.is_good() { Ok(()) } else { Err("the table contradicts itself".into()) }
}

/// What each process does: looks languages up by their codes, and rewrites them.
pub fn work(table: &Path, seconds: f64) -> Result<()> {
    let end = Instant::now() + Duration::try_from_secs_f64(seconds)?;
    let table = Table::<Language>::open(table)?;
    let codes = table.iter().map(|row| row.map(|row| row.alpha_3)).collect::<locule::Result<Vec<_>>>()?;
    // Each process goes its own way through the table.
    let stride = 2 * std::process::id() as usize + 1;
    for step in (0_usize..).take_while(|_| Instant::now() < end) {
        let code = &codes[step.wrapping_mul(stride) % codes.len()];
        let row = table.find(code)?.ok_or_else(|| format!("{code} is gone"))?;
        table.update(row.id(), |language| *language = *row)?;
    }
    Ok(())
}

/// How often all rows together were updated.
fn updates_in(table: &Table<Language>) -> Result<u64> {
    Ok(table.iter().map(|row| row.map(|row| u64::from(row.update_count()))).sum::<locule::Result<_>>()?)
}

fn sum(deaths: RepairCounts) -> u64 {
    deaths.holding + deaths.staging + deaths.prepared + deaths.publishing
}
