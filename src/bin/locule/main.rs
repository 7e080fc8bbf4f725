//! `locule`, the command: measures, shows and checks tables. It uses nothing but the library's public API.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used,
    unsafe_code
)]
#![cfg_attr(test, allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used))]

mod bench;
mod dump;
mod info;
mod output;
mod verify;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::signal::{SigSet, Signal};

/// What a verb returns when it could do its work; an `Err` is reported on stderr and counts as bad.
type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What a verb found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// There is damage, or a check failed. The verb has reported which.
    Bad,
}

/// Measures, shows and checks locule tables, even while other programs use them.
///
/// Exit status: 0 when all is well, 1 for damage, a failed check or an error, 2 for a mistake in the arguments.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Info(info::Options),
    Dump(dump::Options),
    Verify(verify::Options),
    Bench(bench::Options),
    #[command(hide = true)]
    BenchWorker(bench::worker::Options),
}

fn main() -> ExitCode {
    // Exceeding a limit for the size of files (`ulimit -f`) is then an error of the write, and does not end this
    // process.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    let _ = signals.thread_block();
    let outcome = match Arguments::parse().verb {
        Verb::Info(options) => info::run(&options),
        Verb::Dump(options) => dump::run(&options),
        Verb::Verify(options) => verify::run(&options),
        Verb::Bench(options) => bench::run(&options),
        Verb::BenchWorker(options) => bench::worker::run(&options).map(|()| Verdict::Good),
    };
    match outcome {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) if output::is_broken_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("locule: {error}"));
            ExitCode::FAILURE
        }
    }
}
