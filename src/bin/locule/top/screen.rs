//! The live view: events come from the table, the keyboard and the kernel, and after each the screen is drawn.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::Pid;
use ratatui::crossterm::event::{self, Event as Input};

use super::drawing::{draw, theme::Theme};
use super::facts::Facts;
use super::terminal::{Screen, end_raw_mode};
use super::view::{View, Wish};
use super::watcher::Watcher;
use crate::failure::shown;
use crate::interruption::ENDING;
use crate::{Result, Verdict};

/// How long a view that is told to end may take to give the terminal back.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many events wait at most, while the terminal takes nothing.
const WAITING_COUNT: usize = 4;
/// How many files are opened to read the keyboard, or more.
const KEYBOARD_FILE_COUNT: usize = 8;

/// What happens.
enum Event {
    Facts(Box<Facts>),
    Input(Input),
    /// A signal has come. Which one, another channel says, in which there is always room.
    Signal,
    /// A thread has ended, and why; a panic has said that itself.
    End(Option<io::Error>),
}

/// Says that its thread has ended, however that happened.
struct Farewell {
    events: SyncSender<Event>,
    cause: Option<io::Error>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.events.send(Event::End(self.cause.take()));
    }
}

/// Shows a table until a key, a signal or the end of the terminal ends it.
pub fn show(file: &Path, interval: Duration) -> Result<Verdict> {
    // Before any thread is started, also that of the watcher, since each has a mask of its own.
    let signals = SigSet::from_iter(ENDING.into_iter().chain([Signal::SIGTSTP, Signal::SIGCONT]));
    signals.thread_block()?;

    let mut watcher = Watcher::open(file)?;
    let mut view = View::new(shown(file), watcher.look(), interval);
    let theme = Theme::of_environment();
    let (events, received) = sync_channel(WAITING_COUNT);
    let (wishes, wished) = channel();
    let mut screen = Screen::take()?;
    start(&events, move |events| {
        watch(&mut watcher, events, &wished, interval);
        None
    });
    start(&events, read_input);
    let (caught, signals_received) = channel();
    start(&events, move |events| wait_for_signals(&signals, &caught, events));
    let ending = 'view: loop {
        for signal in signals_received.try_iter() {
            match signal {
                Signal::SIGTSTP => screen.without(stop)?,
                Signal::SIGCONT => screen.take_again()?,
                fatal => break 'view Some(fatal),
            }
        }
        let drawn = screen.draw(|frame| draw(frame, &view, &theme));
        let event = match drawn {
            Ok(()) => received.recv().unwrap_or(Event::End(None)),
            Err(error) => Event::End(Some(error)),
        };
        match event {
            Event::Facts(facts) => view.show(*facts),
            Event::Input(Input::Key(key)) => match view.press(key) {
                Wish::Nothing => {}
                Wish::Quit => break None,
                // The whole job, as the kernel does it; this process is among those that get the signal.
                Wish::Suspend => kill(Pid::from_raw(0), Signal::SIGTSTP)?,
                Wish::Interval(interval) => drop(wishes.send(interval)),
            },
            // Another size, above all.
            Event::Input(_) => {}
            Event::Signal => {}
            // When the terminal is gone, the kernel says so by a signal, too.
            Event::End(cause) => match signals_received.recv_timeout(LAST_WORDS) {
                Ok(signal) if is_fatal(signal) => break Some(signal),
                _ => {
                    let cause = cause.map_or("a part of it failed".to_owned(), |cause| cause.to_string());
                    return Err(format!("the view ended: {cause}").into());
                }
            },
        }
    };
    drop(screen);
    if let Some(signal) = ending {
        end_by(&signals, signal);
    }
    Ok(Verdict::Good)
}

fn is_fatal(signal: Signal) -> bool {
    !matches!(signal, Signal::SIGTSTP | Signal::SIGCONT)
}

/// Stops this process until it is continued, unless nobody is there who could continue it.
fn stop() -> nix::Result<()> {
    let signal = SigSet::from(Signal::SIGTSTP);
    signal.thread_unblock()?;
    raise(Signal::SIGTSTP)?;
    signal.thread_block()
}

/// Starts a thread, whose end ends the view.
fn start(events: &SyncSender<Event>, work: impl FnOnce(&SyncSender<Event>) -> Option<io::Error> + Send + 'static) {
    let events = events.clone();
    thread::spawn(move || {
        let mut farewell = Farewell { events, cause: None };
        farewell.cause = work(&farewell.events);
    });
}

/// Looks at the table again and again, in intervals that can be changed.
fn watch(watcher: &mut Watcher, events: &SyncSender<Event>, wished: &Receiver<Duration>, mut interval: Duration) {
    loop {
        match wished.recv_timeout(interval) {
            Ok(wish) => interval = wish,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if events.send(Event::Facts(Box::new(watcher.look()))).is_err() {
            return;
        }
    }
}

fn read_input(events: &SyncSender<Event>) -> Option<io::Error> {
    loop {
        match event::read() {
            Ok(input) => events.send(Event::Input(input)).ok()?,
            Err(error) => return Some(cause_of(error)),
        }
    }
}

/// What is behind an error of the keyboard: that there are too many open files is told by none.
fn cause_of(error: io::Error) -> io::Error {
    let opened: io::Result<Vec<File>> = (0..KEYBOARD_FILE_COUNT).map(|_| File::open("/dev/null")).collect();
    opened.err().unwrap_or(error)
}

fn wait_for_signals(signals: &SigSet, caught: &Sender<Signal>, events: &SyncSender<Event>) -> Option<io::Error> {
    loop {
        let signal = match signals.wait() {
            Ok(signal) => signal,
            Err(error) => return Some(error.into()),
        };
        let _ = caught.send(signal);
        let _ = events.try_send(Event::Signal);
        if is_fatal(signal) {
            // The view ends the process as soon as it hears of this. It hears nothing while the terminal takes nothing.
            thread::sleep(LAST_WORDS);
            end_raw_mode();
            end_by(signals, signal);
        }
    }
}

/// Ends the process by a signal, so that whoever has sent it sees that.
fn end_by(signals: &SigSet, signal: Signal) {
    let _ = signals.thread_unblock();
    let _ = raise(signal);
}
