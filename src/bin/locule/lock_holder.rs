//! Who holds the write lock of a table, and for how long at least: nobody notes when a lock is taken, but whoever looks again
//! and again sees that one thread still has it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use locule::{Glance, Table, Values, Writer, WriterState};
use serde_json::{Value as Json, json};

use crate::output::visible;
use crate::surroundings::{Activity, activity_of, name_of, process_of};

/// For how long it is watched whether a holder lets go.
const WATCH: Duration = Duration::from_millis(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// One holding of the write lock, as it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    pub thread_id: u32,
    first_taken: u64,
    /// When it was seen first.
    pub since: Instant,
}

impl Holding {
    /// The one that a look shows, if the lock is held.
    pub fn seen(glance: &Glance, now: Instant) -> Option<Holding> {
        Some(Holding { thread_id: glance.holder_thread_id?, first_taken: glance.taken, since: now })
    }

    /// Whether a later look shows the same one. A holding takes one transaction number at most; so a thread that has the lock
    /// under a later one has let go meanwhile.
    pub fn is_in(&self, glance: &Glance) -> bool {
        glance.holder_thread_id == Some(self.thread_id) && glance.taken.wrapping_sub(self.first_taken) <= 1
    }
}

/// The holder of the write lock.
#[derive(Clone, Debug)]
pub struct Holder {
    pub pid: u32,
    pub thread_id: u32,
    pub name: String,
    pub activity: Activity,
    /// Where it is in its transaction.
    pub state: Option<WriterState>,
    /// For how long it has been seen holding the lock, if anybody could look.
    pub held_for: Option<Duration>,
}

impl Holder {
    /// What is known of a thread that holds the lock.
    pub fn of(thread_id: u32, state: Option<WriterState>, held_for: Option<Duration>) -> Self {
        let pid = process_of(thread_id).unwrap_or(thread_id);
        Holder { pid, thread_id, name: name_of(pid), activity: activity_of(thread_id), state, held_for }
    }

    /// The process, and its thread if it has several.
    pub fn identity(&self) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" ({})", visible(&self.name)) };
        let thread =
            if self.thread_id == self.pid { String::new() } else { format!(", its thread {}", self.thread_id) };
        format!("process {}{name}{thread}", self.pid)
    }

    pub fn to_json(&self) -> Json {
        json!({
            "pid": self.pid,
            "thread_id": self.thread_id,
            "name": self.name,
            "activity": self.activity.in_words(),
            "state": self.state.map(|state| state.to_string()),
            "held_seconds": self.held_for.map(|time| time.as_secs_f64()),
        })
    }
}

/// The holder that somebody has just seen, after a short look at how long it keeps the lock.
pub fn watch(path: &Path, writer: Writer) -> Holder {
    let options = Table::<Values>::options().allow_any_file_system(true).lock_timeout(WATCH);
    // A table that cannot be opened cannot be looked at again.
    let held_for = options.open_read_only(path).ok().map(|table| watch_table(&table, writer.thread_id));
    Holder::of(writer.thread_id, Some(writer.state), held_for)
}

fn watch_table(table: &Table<Values>, thread_id: u32) -> Duration {
    let start = Instant::now();
    let holding = Holding::seen(&table.glance(), start).filter(|holding| holding.thread_id == thread_id);
    let mut held_for = Duration::ZERO;
    while holding.is_some_and(|holding| holding.is_in(&table.glance())) {
        held_for = start.elapsed();
        if held_for >= WATCH {
            break;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    held_for
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holding_lasts_until_another_thread_or_another_transaction_has_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let schema: locule::Schema = "key id: u64".parse().unwrap();
        let path = directory.path().join("rows.loc");
        let table = Table::<Values>::options().schema(schema).sync_every(None).create(path).unwrap();
        let row = |id: u64| Values::named(table.schema(), locule::values! { id: id }).unwrap();
        let now = Instant::now();
        assert_eq!(Holding::seen(&table.glance(), now), None);
        let hold = |id: u64, earlier: Option<Holding>| {
            let mut first = None;
            table
                .write(|transaction| {
                    first = Holding::seen(&table.glance(), now);
                    assert!(!earlier.is_some_and(|earlier| earlier.is_in(&table.glance())), "it has let go meanwhile");
                    transaction.insert(&row(id))?;
                    assert!(first.is_some_and(|first| first.is_in(&table.glance())), "it goes on");
                    assert_eq!(watch_table(&table, first.unwrap().thread_id + 1), Duration::ZERO);
                    assert!(watch_table(&table, first.unwrap().thread_id) >= WATCH);
                    Ok(())
                })
                .unwrap();
            first
        };
        let first = hold(1, None);
        assert!(!first.unwrap().is_in(&table.glance()));
        hold(2, None);
        hold(3, first);
    }

    #[test]
    fn a_holder_is_named_and_its_name_obeyed_by_no_terminal() {
        let own = std::process::id();
        let holder = Holder::of(own, None, Some(Duration::from_millis(7)));
        assert!(holder.pid == own && holder.activity != Activity::Dead);
        let holder = Holder { name: "a\u{1b}[31m".to_owned(), pid: 7, thread_id: 9, ..holder };
        assert_eq!(holder.identity(), r"process 7 (a\u{1b}[31m), its thread 9");
    }
}
