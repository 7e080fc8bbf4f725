//! The live view: events come from the table, the keyboard and the kernel, and after each the screen is drawn.

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
use crate::{Result, Verdict};

/// How long a view that is told to end may take to give the terminal back.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many events wait at most, while the terminal takes nothing.
const WAITING_COUNT: usize = 4;

/// What happens.
enum Event {
    Facts(Box<Facts>),
    Input(Input),
    /// A signal that ends the view has come. Which one, another channel says, in which there is always room.
    Signal,
    /// The process was stopped, and goes on.
    Continued,
    /// A thread has ended: the terminal is gone, or there was a panic.
    End,
}

/// Says that its thread has ended, however that happened.
struct Farewell(SyncSender<Event>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.send(Event::End);
    }
}

/// Shows a table until a key, a signal or the end of the terminal ends it.
pub fn show(file: &Path, interval: Duration) -> Result<Verdict> {
    // Before any thread is started, also that of the watcher, since each has a mask of its own.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCONT] {
        signals.add(signal);
    }
    signals.thread_block()?;

    let mut watcher = Watcher::open(file)?;
    let mut view = View::new(shown(file), watcher.look(), interval);
    let theme = Theme::of_environment();
    let (events, received) = sync_channel(WAITING_COUNT);
    let (wishes, wished) = channel();
    let mut screen = Screen::take()?;
    start(&events, move |events| watch(&mut watcher, events, &wished, interval));
    start(&events, read_input);
    let (fatal, fatal_received) = channel();
    start(&events, move |events| wait_for_signals(&signals, &fatal, events));
    let ending = loop {
        if let Ok(signal) = fatal_received.try_recv() {
            break Some(signal);
        }
        let drawn = screen.draw(|frame| draw(frame, &view, &theme));
        match drawn.map_or(Ok(Event::End), |()| received.recv()) {
            Ok(Event::Facts(facts)) => view.show(*facts),
            Ok(Event::Input(Input::Key(key))) => match view.press(key) {
                Wish::Nothing => {}
                Wish::Quit => break None,
                // The whole job, as the kernel does it.
                Wish::Suspend => screen.without(|| kill(Pid::from_raw(0), Signal::SIGTSTP))?,
                Wish::Interval(interval) => drop(wishes.send(interval)),
            },
            // Another size, above all.
            Ok(Event::Input(_)) => {}
            Ok(Event::Signal) => {}
            Ok(Event::Continued) => screen.take_again()?,
            // When the terminal is gone, the kernel says so by a signal, too.
            Ok(Event::End) | Err(_) => match fatal_received.recv_timeout(LAST_WORDS) {
                Ok(signal) => break Some(signal),
                Err(_) => return Err("the view ended: the terminal is gone, or a part of it failed".into()),
            },
        }
    };
    drop(screen);
    if let Some(signal) = ending {
        end_by(&signals, signal);
    }
    Ok(Verdict::Good)
}

fn start(events: &SyncSender<Event>, work: impl FnOnce(&SyncSender<Event>) + Send + 'static) {
    let farewell = Farewell(events.clone());
    thread::spawn(move || work(&farewell.0));
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

fn read_input(events: &SyncSender<Event>) {
    while let Ok(input) = event::read() {
        if events.send(Event::Input(input)).is_err() {
            return;
        }
    }
}

fn wait_for_signals(signals: &SigSet, fatal: &Sender<Signal>, events: &SyncSender<Event>) {
    while let Ok(signal) = signals.wait() {
        if signal == Signal::SIGCONT {
            let _ = events.try_send(Event::Continued);
            continue;
        }
        // The view ends the process as soon as it hears of this. It hears nothing while the terminal takes nothing.
        let _ = fatal.send(signal);
        let _ = events.try_send(Event::Signal);
        thread::sleep(LAST_WORDS);
        end_raw_mode();
        end_by(signals, signal);
    }
}

/// Ends the process by a signal, so that whoever has sent it sees that.
fn end_by(signals: &SigSet, signal: Signal) {
    let _ = signals.thread_unblock();
    let _ = raise(signal);
}
