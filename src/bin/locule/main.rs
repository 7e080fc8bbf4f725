//! `locule`, the command: makes, fills, shows, changes, checks and measures tables. It uses nothing but the library's public
//! API.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used,
    unsafe_code
)]
#![cfg_attr(test, allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used))]

mod alter;
mod arguments;
mod asking;
mod backup;
mod bench;
mod choosing;
mod completions;
mod count;
mod counts;
mod create;
mod csv_cells;
mod csv_form;
mod csv_rows;
mod delete;
mod destroy;
mod diff;
mod dump;
mod exists;
mod export;
mod failure;
mod get;
mod import;
mod inference;
mod info;
mod input;
mod interruption;
mod json_rows;
mod lock_holder;
mod man;
mod map;
mod opening;
mod output;
mod put;
mod raw;
mod record_choice;
mod records;
mod refusal;
mod repair;
mod restore;
mod rows;
mod schema;
mod scrub;
mod set;
mod summary;
mod surroundings;
mod sync;
mod tail;
mod top;
mod verify;
mod writing;

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::Duration;

use arguments::Verb;
use nix::sys::signal::{SigSet, Signal};

/// What a verb returns when it could do its work; an `Err` is reported on stderr.
type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What a verb found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Yes.
    Good,
    /// No: what was asked for is not there, or there are differences or damage. The verb has reported which.
    Bad,
}

impl Verdict {
    fn good_if(is_good: bool) -> Self {
        if is_good { Verdict::Good } else { Verdict::Bad }
    }
}

/// The exit status of an error, and of a mistake in the arguments.
const ERROR: u8 = 2;

/// How many more times a verb looks at a table that becomes another one meanwhile, and how long it waits before.
const RETRY_COUNT: u32 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    // Exceeding a limit for the size of files (`ulimit -f`) is then an error of the write, and does not end this
    // process.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    let _ = signals.thread_block();
    let verb = match arguments::read(std::env::args_os()) {
        Ok(verb) => verb,
        Err(exit_code) => return exit_code,
    };
    match run_until_it_is_settled(&verb) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) if output::is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is found by a path that begins there, and the kernel does not say why.
            let is_nowhere = std::env::current_dir().is_err_and(|error| error.kind() == ErrorKind::NotFound);
            let hint = if is_nowhere { "; the current directory was removed" } else { "" };
            output::complain(format_args!("locule: {}{hint}", failure::report(error.as_ref())));
            ExitCode::from(ERROR)
        }
    }
}

/// Runs a verb. One that only looks at a table, and has said nothing yet, looks again if the table was altered or recovered by
/// another process meanwhile.
fn run_until_it_is_settled(verb: &Verb) -> Result<Verdict> {
    for _ in 0..RETRY_COUNT {
        match run(verb) {
            Err(error)
                if verb.is_looking() && failure::is_passing(error.as_ref()) && !output::is_anything_written() =>
            {
                std::thread::sleep(RETRY_PAUSE);
            }
            outcome => return outcome,
        }
    }
    run(verb)
}

fn run(verb: &Verb) -> Result<Verdict> {
    match verb {
        Verb::Summary(options) => summary::run(options),
        Verb::Create(options) => create::run(options),
        Verb::Schema(options) => schema::run(options),
        Verb::Destroy(options) => destroy::run(options),
        Verb::Dump(options) => dump::run(options),
        Verb::Get(options) => get::run(options),
        Verb::Put(options) => put::run(options),
        Verb::Set(options) => set::run(options),
        Verb::Delete(options) => delete::run(options),
        Verb::Count(options) => count::run(options),
        Verb::Exists(options) => exists::run(options),
        Verb::Import(options) => import::run(options),
        Verb::Export(options) => export::run(options),
        Verb::Diff(options) => diff::run(options),
        Verb::Info(options) => info::run(options),
        Verb::Verify(options) => verify::run(options),
        Verb::Repair(options) => repair::run(options),
        Verb::Backup(options) => backup::run(options),
        Verb::Restore(options) => restore::run(options),
        Verb::Sync(options) => sync::run(options),
        Verb::Scrub(options) => scrub::run(options),
        Verb::Alter(options) => alter::run(options),
        Verb::Tail(options) => tail::run(options),
        Verb::Top(options) => top::run(options),
        Verb::Bench(options) => bench::run(options),
        Verb::Completions(options) => completions::run(options),
        Verb::Man(options) => man::run(options),
        Verb::BenchWorker(options) => bench::worker::run(options).map(|()| Verdict::Good),
    }
}
