//! `locule bench`: the main job, measured and checked. Many processes read and write one table as fast as they can,
//! some of them are killed if that is wanted, and in the end the table must show exactly what was acknowledged.

mod axis;
mod canvas;
mod check;
mod facts;
mod item;
mod json;
mod kill_schedule;
mod latency;
mod ledger;
mod markup;
mod page;
mod plots;
mod progress;
mod report;
mod report_file;
mod run_directory;
mod supervisor;
mod timeline;
pub mod worker;
mod worker_file;

pub use self::report::grouped;

use std::process::Command;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fmt, process};

use locule::Table;
use quanta::Clock;

use self::check::{History, View, compare};
use self::item::{Item, item};
use self::kill_schedule::{Deaths, KillSchedule};
use self::latency::{Kind, Merged};
use self::ledger::Entry;
use self::progress::Progress;
use self::report::{Refusals, Report};
use self::report_file::ReportFile;
use self::run_directory::RunDirectory;
use self::supervisor::Supervisor;
use self::timeline::Timeline;
use self::worker_file::{Control, Counter, Phase};
use crate::failure::shown;
use crate::interruption::Interruption;
use crate::writing::Reporting;
use crate::{Result, Verdict, output};

/// How long workers may take to start, and to end once they are told to. A good run comes nowhere near it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the parent checks whether a worker has ended on its own, when there is nothing else to do.
const WATCH_INTERVAL: Duration = Duration::from_millis(10);

/// Measures a table under its main job, and checks that nothing was lost.
///
/// Makes a table, fills it, and starts many processes that each repeat: read one random record by its key; then update
/// that record (70 %), insert another (15 %), or delete it (15 %). Every read is checked as it is made. Each worker
/// keeps a ledger, outside the table, of what it did and of the one write in flight; in the end the table is opened
/// anew and compared with all ledgers, record by record.
///
/// With --kill, half of the victims are chosen at random. The others are aimed at: a process that holds the write lock
/// is stopped and killed in the state (holding, staging, prepared, publishing) in which the fewest have died so far.
///
/// With --report, a page with plots is written too: one file, which needs no network and no script. A report of an earlier
/// run is replaced, and anything else that is there is left alone.
///
/// Ctrl-C, or a signal that ends programs, cuts the run short: what was done until then is checked and reported. Only
/// `kill -9` leaves temporary files, which the next run removes.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  locule bench --processes 50 --seconds 5
  locule bench --seconds 10 --kill 200 --durable
  locule bench --report bench.html
  locule bench --json | jq .operations_per_second")]
pub struct Options {
    /// How many processes work at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    processes: u32,

    /// For how long they work, in seconds
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Duration,

    /// How many records there are at the start, and, about, at all times
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    records: u32,

    /// How many records the table has room for
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    capacity: u32,

    /// Sync after each write
    #[arg(long)]
    durable: bool,

    /// Kill this many workers during the run, and replace each at once
    #[arg(long, default_value_t = 0, value_name = "N")]
    kill: u64,

    /// Where the table is made, and left; nothing may be there [default: in a temporary directory, removed afterwards]
    #[arg(long, value_name = "PATH")]
    file: Option<std::path::PathBuf>,

    /// How old the last sync may get before a write makes another, in milliseconds, or "off"
    #[arg(long, default_value = "1000", value_name = "MS|off")]
    sync_every: SyncEvery,

    /// What the random choices follow from [default: the time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Write a report with plots: a page if the name ends in .html, the plots alone if it ends in .svg
    #[arg(long, value_name = "PATH")]
    report: Option<std::path::PathBuf>,

    #[command(flatten)]
    reporting: Reporting,
}

/// The table's option of the same name, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncEvery(pub Option<Duration>);

impl FromStr for SyncEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "off" => Ok(SyncEvery(None)),
            Ok(milliseconds) if milliseconds > 0 => Ok(SyncEvery(Some(Duration::from_millis(milliseconds)))),
            _ => Err("expected a number of milliseconds above 0, or \"off\"".into()),
        }
    }
}

impl fmt::Display for SyncEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(interval) => write!(f, "{}", interval.as_millis()),
            None => f.write_str("off"),
        }
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=1e6).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected a number of seconds from 0.1 to 1000000".into())
}

/// Runs the bench and prints its report.
pub fn run(options: &Options) -> Result<Verdict> {
    if options.records > options.capacity {
        let Options { records, capacity, .. } = options;
        return Err(format!("{records} records do not fit a table with --capacity {capacity}: give it more").into());
    }
    // Before anything is made that has to be removed.
    let interruption = Interruption::block()?;
    // What cannot be written is said now, and not when the work is done.
    let prepare = |path| ReportFile::prepare(path, options.file.as_deref());
    let report_file = options.report.as_deref().map(prepare).transpose()?;
    let mut run_directory = RunDirectory::new(options)?;
    let table = Table::<Item>::options()
        .capacity(u64::from(options.capacity))
        .sync_every(options.sync_every.0)
        .create(run_directory.table_path())?;
    let outcome = measure(options, &run_directory, table, &interruption);
    let is_good = outcome.as_ref().is_ok_and(Report::is_good);
    let told = outcome.and_then(|report| tell(&report, options, report_file));
    if !is_good {
        // The file may show what went wrong.
        output::complain(format_args!("locule: the table is kept as {}", shown(run_directory.keep())));
    }
    told?;
    Ok(Verdict::good_if(is_good))
}

/// Prints the report, and writes its file if there is to be one.
fn tell(report: &Report, options: &Options, report_file: Option<ReportFile>) -> Result<()> {
    options.reporting.print_findings(|| json::members(report), || report.text())?;
    let Some(report_file) = report_file else { return Ok(()) };
    let content = page::content(report, report_file.kind())?;
    let path = report_file.finish(&content)?;
    if !options.reporting.is_for_programs() {
        output::print(&format!("plots in {}\n", shown(&path)))?;
    }
    Ok(())
}

fn measure(
    options: &Options,
    run_directory: &RunDirectory,
    table: Table<Item>,
    interruption: &Interruption,
) -> Result<Report> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let machine = facts::machine();
    // Half of the keys are live, so a random key is as good for an insert as for a delete.
    let key_count = options.records.saturating_mul(2);
    let control = Control::create(&run_directory.control_path(), key_count)?;
    let mut history = History::new(key_count);
    fill(&table, &control, &mut history, options.records, seed, interruption)?;

    let program = env::current_exe()?;
    let worker_file_paths = run_directory.worker_file_paths(options.processes);
    let command_line = |number: usize, start_number: u64| {
        let mut command = Command::new(&program);
        command.arg("bench-worker");
        command.arg("--table").arg(run_directory.table_path()).arg("--control").arg(run_directory.control_path());
        command.arg("--worker-file").args(worker_file_paths.get(number));
        command.args([format!("--key-count={key_count}"), format!("--parent={}", process::id())]);
        command.args([
            format!("--seed={}", seed.wrapping_add(start_number)),
            format!("--sync-every={}", options.sync_every),
        ]);
        command.args(options.durable.then_some("--durable"));
        command
    };
    let mut supervisor = Supervisor::start(&worker_file_paths, key_count, command_line)?;
    let mut kill_schedule = KillSchedule::plan(options.kill, options.seconds, seed);
    let (elapsed, mut timeline) =
        conduct(options, &mut supervisor, &mut kill_schedule, &control, &table, interruption)?;
    timeline.kills = kill_schedule.done().to_vec();
    // Before the table is opened anew: a recovery starts counting afresh.
    let deaths = Deaths::counted_by(&table);
    // The check is made by a process that opens the table when no other process has it open, as it would be after the
    // workers are gone for good.
    drop(table);

    history.add_uncertain(supervisor.uncertain().iter().copied());
    for worker_file in supervisor.worker_files() {
        history.add_ledger(worker_file.ledger());
    }
    let table = Table::<Item>::options().sync_every(None).open(run_directory.table_path())?;
    let findings = compare(&history, &View::of(&table, key_count)?);
    let clock = Clock::new();
    let merge = |kinds: &[Kind]| {
        Merged::new(kinds, supervisor.worker_files().map(|worker_file| worker_file.latencies()), |ticks| {
            clock.delta_as_nanos(0, ticks)
        })
    };
    Ok(Report {
        title: title(options, run_directory, seed),
        parameters: facts::parameters(options, run_directory.table_path(), seed),
        machine,
        command_line: facts::command_line(options, seed),
        elapsed,
        was_interrupted: elapsed < options.seconds,
        latencies: Kind::ALL.into_iter().map(|kind| Ok((kind.name(), merge(&[kind])?))).collect::<Result<_>>()?,
        all: merge(&Kind::ALL)?,
        iterations: supervisor
            .worker_files()
            .map(|worker_file| worker_file.counters().get(Counter::Iteration))
            .collect(),
        timeline,
        refusals: Refusals {
            conflict_count: supervisor.sum(Counter::Conflict),
            duplicate_count: supervisor.sum(Counter::Duplicate),
            full_count: supervisor.sum(Counter::Full),
            absent_count: supervisor.sum(Counter::Absent),
        },
        kills: kill_schedule.counts(),
        deaths,
        findings,
    })
}

fn fill(
    table: &Table<Item>,
    control: &Control,
    history: &mut History,
    record_count: u32,
    seed: u64,
    interruption: &Interruption,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    for key_index in 0..record_count {
        if interruption.came()? {
            break;
        }
        let content_seed = random.u64(1..);
        let (_, version) = table.insert_versioned(&item(key_index, content_seed))?;
        history.add(key_index, Entry { version, content_seed });
        control.set_live(key_index);
    }
    table.sync()?;
    Ok(())
}

/// Releases the workers, lets them work, kills some, and tells them to stop. Returns how long they worked, and how far they
/// had come by when.
fn conduct(
    options: &Options,
    supervisor: &mut Supervisor<'_>,
    kill_schedule: &mut KillSchedule,
    control: &Control,
    table: &Table<Item>,
    interruption: &Interruption,
) -> Result<(Duration, Timeline)> {
    let starting = Instant::now();
    while !supervisor.is_ready() && !interruption.came()? {
        supervisor.watch()?;
        if starting.elapsed() > PATIENCE {
            return Err(format!("the workers did not all start within {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut progress = Progress::new(options.seconds);
    let mut timeline = Timeline::new();
    control.set_phase(Phase::Work);
    let released = Instant::now();
    while released.elapsed() < options.seconds && !interruption.came()? {
        supervisor.watch()?;
        kill_schedule.act(released.elapsed(), supervisor, table)?;
        timeline.look(released.elapsed(), || supervisor.sum(Counter::Operation));
        progress.show(released.elapsed(), || {
            let kills = kill_schedule.counts().total();
            (supervisor.sum(Counter::Iteration), (options.kill > 0).then_some(kills))
        });
        let next_event = kill_schedule.next_due().map_or(options.seconds, |due| due.min(options.seconds));
        thread::sleep(next_event.saturating_sub(released.elapsed()).min(WATCH_INTERVAL));
    }
    if !interruption.came()? {
        // The kills that the run had no time for, if starting processes is slow here.
        kill_schedule.act(options.seconds, supervisor, table)?;
    }
    control.set_phase(Phase::Stop);
    let elapsed = released.elapsed();
    timeline.end(elapsed, supervisor.sum(Counter::Operation));
    progress.finish();
    supervisor.dismiss(PATIENCE)?;
    Ok((elapsed, timeline))
}

fn title(options: &Options, run_directory: &RunDirectory, seed: u64) -> String {
    let syncs = match options.sync_every {
        _ if options.durable => "a sync after each write".into(),
        SyncEvery(Some(interval)) => format!("a sync every {interval:?}"),
        SyncEvery(None) => "no syncs".into(),
    };
    format!(
        "locule bench: {} processes, about {} records of 16 + 112 bytes in {} slots, {syncs}, seed {seed}\ntable: {}",
        grouped(u64::from(options.processes)),
        grouped(u64::from(options.records)),
        grouped(u64::from(options.capacity)),
        run_directory.description(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_written_and_refused_when_senseless() {
        assert_eq!("off".parse(), Ok(SyncEvery(None)));
        assert_eq!("250".parse(), Ok(SyncEvery(Some(Duration::from_millis(250)))));
        for wrong in ["0", "-1", "on", "", "1.5"] {
            assert!(wrong.parse::<SyncEvery>().is_err(), "{wrong}");
        }
        for text in ["off", "1000"] {
            assert_eq!(text.parse::<SyncEvery>().map(|value| value.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-3", "NaN", "inf", "x"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
