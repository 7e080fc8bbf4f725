//! A user of a table: the shipped code on a thread of its own, of which only one runs at any moment. At each access to
//! shared memory, the scheduler decides which actor goes on, which one stops there, and which one is killed there.

use crate::engine::Store;
use crate::sys::heap::Heap;
use crate::sys::lock::Lock;
use crate::sys::medium::Medium;
use crate::sys::probe::{self, Event};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

enum Command {
    /// Goes on for this many accesses.
    Go(u32),
    Die,
}

enum Report {
    /// It stands at an access.
    Stopped,
    Done,
    Killed,
    Panicked(String),
}

/// A thread that waits at an access to shared memory.
pub struct Actor {
    commands: Sender<Command>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    held: Arc<Mutex<Vec<Lock>>>,
}

/// What became of an actor when it was allowed to go on.
pub enum Outcome {
    Running(Actor),
    Done,
}

struct Hook<O> {
    commands: Receiver<Command>,
    reports: Sender<Report>,
    observer: O,
    held: Arc<Mutex<Vec<Lock>>>,
    left: u32,
}

impl<O: FnMut(&Event<'_>) -> bool> Hook<O> {
    fn see(&mut self, event: &Event<'_>) {
        let stops = (self.observer)(event);
        let mut held = self.held.lock().expect("not poisoned");
        if let Event::Locked { which } = event {
            held.push(*which);
        }
        drop(held);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || stops || matches!(event, Event::Blocked) {
            if self.reports.send(Report::Stopped).is_err() {
                probe::die();
            }
            match self.commands.recv() {
                Ok(Command::Go(count)) => self.left = count,
                Ok(Command::Die) | Err(_) => probe::die(),
            }
        }
        if let Event::Unlock { which } = event {
            self.held.lock().expect("not poisoned").retain(|held| held != which);
        }
    }
}

impl Actor {
    /// Starts `body`, and stops it at its first access. The observer sees each access, and says whether to stop there.
    pub fn start(
        observer: impl FnMut(&Event<'_>) -> bool + Send + 'static,
        body: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (commands, commands_received) = channel();
        let (reports_sent, reports) = channel();
        let held = Arc::new(Mutex::new(Vec::new()));
        let held_by_hook = Arc::clone(&held);
        let thread = std::thread::spawn(move || {
            let last_report = reports_sent.clone();
            let mut hook =
                Hook { commands: commands_received, reports: reports_sent, observer, held: held_by_hook, left: 1 };
            let outcome = catch_unwind(AssertUnwindSafe(|| probe::with_hook(move |event| hook.see(event), body)));
            let report = match outcome {
                Ok(Some(())) => Report::Done,
                Ok(None) => Report::Killed,
                Err(payload) => Report::Panicked(message_of(&*payload)),
            };
            // The scheduler may have lost interest.
            let _ = last_report.send(report);
        });
        let actor = Actor { commands, reports, thread: Some(thread), held };
        match actor.reports.recv() {
            Ok(Report::Panicked(message)) => panic!("{message}"),
            Ok(Report::Stopped) => actor,
            _ => panic!("an actor makes at least one access"),
        }
    }

    /// Lets the actor go on for this many accesses, or until its observer stops it or a lock does.
    pub fn advance(self, count: u32) -> Outcome {
        self.commands.send(Command::Go(count)).expect("the actor waits");
        match self.reports.recv().expect("the actor answers") {
            Report::Stopped => Outcome::Running(self),
            Report::Done => Outcome::Done,
            Report::Killed => unreachable!("nobody killed it"),
            Report::Panicked(message) => panic!("{message}"),
        }
    }

    /// SIGKILL: whatever the actor holds is now held by a dead owner.
    pub fn kill(mut self, store: &Store) {
        self.commands.send(Command::Die).expect("the actor waits");
        assert!(matches!(self.reports.recv(), Ok(Report::Killed)), "an actor that is killed dies");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("caught before");
        }
        for lock in self.held.lock().expect("not poisoned").iter() {
            heap_of(store).owner_died(*lock);
        }
    }
}

pub fn heap_of(store: &Store) -> &Heap {
    let Medium::Heap(heap) = &store.medium else { unreachable!("tables of tests are on the heap") };
    heap
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        payload.downcast_ref::<&str>().map_or("a panic".to_owned(), |text| (*text).to_owned())
    }
}
