//! Signals that end programs, for work that has something to remove first.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Result;

/// The signals that end a program unless it has said otherwise, and that others send it. Those that tell it of a mistake of its
/// own are not among them: they cannot wait.
pub const ENDING: [Signal; 12] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGXCPU,
];

/// Ctrl-C and similar signals, noticed between two steps instead of ending the program.
pub struct Interruption {
    signals: SignalFd,
    came: std::cell::Cell<bool>,
}

impl Interruption {
    /// Must be called before any thread is started, since each thread has a mask of its own.
    pub fn block() -> Result<Interruption> {
        let mask = SigSet::from_iter(ENDING);
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Interruption { signals, came: false.into() })
    }

    pub fn came(&self) -> Result<bool> {
        if self.signals.read_signal()?.is_some() {
            self.came.set(true);
        }
        Ok(self.came.get())
    }
}
