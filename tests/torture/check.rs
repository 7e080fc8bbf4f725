//! Checks whether what all workers saw and did can have happened one after the other, each at one moment between the
//! beginning and the end of its call: linearizability.
//!
//! Versions are numbers of transactions, which were given out under a lock. So the order of a key's writes is known,
//! and what is left to check are intervals. A key goes through *states*: absent, one after each write, absent again.
//! Each state has a moment before which it cannot have begun: the start of its write. Each event that ended proves that
//! a state had been reached by its end; an event that began after that must not see an earlier one.
//!
//! A write in flight when its process died happened or not. It is known to have happened if any event saw its value,
//! and then counts like any other. Otherwise it is *hidden*, and only explains what would be a fault without it.

use super::event::{Change, Event, Seen, Step, Write};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What cannot have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value was read that was never written to this key.
    NeverWritten,
    /// A record was read as it had been before a later write was over, or before another event saw a later one.
    Stale,
    /// A record was read as it was later, before its write had begun.
    FromTheFuture,
    /// A record that was there was not found.
    NotFound,
    /// A record was there that could not be.
    Unexpected,
    /// One version stands for two things, or one value for two versions.
    VersionTwice,
    /// A write that began after the end of another has a lower version.
    VersionsOutOfOrder,
    /// Two writes replaced the same content, or one replaced content that was gone.
    LostUpdate,
    /// An id named two records, or a record that had been deleted.
    IdTwice,
    /// Two records of one key at a time.
    KeyTwice,
    /// A record counts more or fewer updates than were made.
    UpdateCount,
    /// Reads that should agree are of two moments.
    Snapshot,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub key: u64,
    /// The details that show it.
    pub detail: String,
}

/// All that contradicts itself in these events. `before` is what was in the table before the first of them.
pub fn check(before: &BTreeMap<u64, Seen>, events: &[Event]) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_order_of_versions(events, &mut faults);
    let mut by_key: BTreeMap<u64, Vec<&Event>> = before.keys().map(|key| (*key, Vec::new())).collect();
    for event in events {
        by_key.entry(event.key).or_default().push(event);
    }
    let mut histories = BTreeMap::new();
    for (key, events) in &by_key {
        let mut history = History::new(*key, before.get(key).copied(), events);
        history.check_lives();
        history.check_replacements();
        history.check_update_counts();
        history.check_intervals(events);
        faults.append(&mut history.faults);
        histories.insert(*key, history);
    }
    check_snapshots(&histories, events, &mut faults);
    faults
}

/// Numbers grow over the whole table and belong to one transaction each.
fn check_order_of_versions(events: &[Event], faults: &mut Vec<Fault>) {
    let mut versions = Vec::new();
    for event in events {
        if let (Step::Wrote(Write { version: Some(version), .. }), Some(end)) = (event.step, event.end) {
            versions.push((version, event.start, end, event));
        }
    }
    versions.sort_unstable_by_key(|(version, start, ..)| (*version, *start));
    let mut latest: Option<&(u64, u64, u64, &Event)> = None;
    for pair in versions.windows(2) {
        let [(version, start, _, one), (next_version, next_start, _, next)] = pair else { continue };
        // The parts of one transaction have the same worker file and the same start.
        if version == next_version && (one.worker_file, start) != (next.worker_file, next_start) {
            faults.push(fault(Kind::VersionTwice, next.key, [one, next]));
        }
    }
    for write in &versions {
        let (version, start, end, event) = write;
        if let Some((latest_version, latest_start, _, latest_event)) = latest {
            if end < latest_start && version != latest_version {
                faults.push(fault(Kind::VersionsOutOfOrder, event.key, [latest_event, event]));
            }
        }
        if latest.is_none_or(|(_, latest_start, ..)| start > latest_start) {
            latest = Some(write);
        }
    }
}

fn fault<const N: usize>(kind: Kind, key: u64, events: [&Event; N]) -> Fault {
    Fault { kind, key, detail: format!("{events:?}") }
}

/// A write whose version is known.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: u64,
    id: u64,
    /// `None` for a delete.
    value: Option<u64>,
    /// The change; `None` for a record that was there before the first event.
    change: Option<Change>,
    replaced: Option<u64>,
    start: u64,
}

/// A write of a process that died in it, of which nothing was ever seen.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    change: Change,
    id: Option<u64>,
    value: Option<u64>,
    start: u64,
}

/// What a key is at some time.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The write that made it so; `None` if the key was absent before the first event, or was deleted by a hidden write.
    write: Option<Known>,
    /// It cannot have begun before.
    earliest: u64,
}

impl State {
    /// The id of the record that is there.
    fn present_id(&self) -> Option<u64> {
        self.write.filter(|write| write.value.is_some()).map(|write| write.id)
    }
}

/// Where states are among all the states of a key.
#[derive(Default)]
struct Positions {
    of_version: HashMap<u64, usize>,
    of_value: HashMap<u64, usize>,
    last_of_id: HashMap<u64, usize>,
}

/// Everything that is known about one key.
struct History {
    key: u64,
    /// In the order of their versions.
    known: Vec<Known>,
    hidden: Vec<Hidden>,
    /// What was read under each version.
    seen: HashMap<u64, Seen>,
    /// In the order in which the key went through them.
    states: Vec<State>,
    faults: Vec<Fault>,
}

impl History {
    fn new(key: u64, before: Option<Seen>, events: &[&Event]) -> Self {
        let mut history = History {
            key,
            known: Vec::new(),
            hidden: Vec::new(),
            seen: HashMap::new(),
            states: Vec::new(),
            faults: Vec::new(),
        };
        let seen_by_value = history.collect_seen(before, events);
        if let Some(Seen { version, value, id, .. }) = before {
            history.known.push(Known { version, id, value: Some(value), change: None, replaced: None, start: 0 });
        }
        for event in events {
            if let Step::Wrote(write) = event.step {
                history.add_write(event, write, &seen_by_value);
            }
        }
        history.known.sort_by_key(|known| known.version);
        history
    }

    fn add(&mut self, kind: Kind, detail: impl std::fmt::Debug) {
        self.faults.push(Fault { kind, key: self.key, detail: format!("{detail:?}") });
    }

    /// What was read of each value, which must be the same each time.
    fn collect_seen(&mut self, before: Option<Seen>, events: &[&Event]) -> HashMap<u64, Seen> {
        let mut written: HashSet<u64> = before.iter().map(|seen| seen.value).collect();
        written.extend(events.iter().filter_map(|event| match event.step {
            Step::Wrote(write) => write.value,
            _ => None,
        }));
        let mut by_value = HashMap::new();
        let reads = events.iter().filter_map(|event| match event.step {
            Step::Saw(seen) => Some(seen),
            _ => None,
        });
        for seen in before.into_iter().chain(reads) {
            if !written.contains(&seen.value) {
                self.add(Kind::NeverWritten, seen);
                continue;
            }
            for other in [*by_value.entry(seen.value).or_insert(seen), *self.seen.entry(seen.version).or_insert(seen)] {
                if other != seen {
                    self.add(Kind::VersionTwice, [other, seen]);
                }
            }
        }
        by_value
    }

    /// Adds a write with everything that others saw of it.
    fn add_write(&mut self, event: &Event, write: Write, seen_by_value: &HashMap<u64, Seen>) {
        let seen = write.value.and_then(|value| seen_by_value.get(&value));
        let Write { mut change, value, replaced, .. } = write;
        if let Some(seen) = seen {
            let differs = |told: Option<u64>, seen: u64| told.is_some_and(|told| told != seen);
            if differs(write.version, seen.version) || differs(write.id, seen.id) {
                self.add(Kind::VersionTwice, (event, seen));
            }
            if change == Change::Upsert {
                change = if seen.update_count == 0 { Change::Insert } else { Change::Update };
            }
        }
        let version = write.version.or(seen.map(|seen| seen.version));
        let id = write.id.or(seen.map(|seen| seen.id));
        match (version, id) {
            (Some(version), Some(id)) => {
                self.known.push(Known { version, id, value, change: Some(change), replaced, start: event.start });
            }
            _ => self.hidden.push(Hidden { change, id, value, start: event.start }),
        }
    }

    /// Divides the writes into the lives of records, from their inserts to their deletes, and derives the states.
    fn check_lives(&mut self) {
        let mut ids = HashSet::new();
        let mut current: Option<Known> = None;
        let starts_present = self.known.first().is_some_and(|known| known.change.is_none());
        if !starts_present {
            self.push_state(State { write: None, earliest: 0 });
        }
        for position in 0..self.known.len() {
            let write = self.known[position];
            if let Some(before) = self.known[..position].last().filter(|before| before.version == write.version) {
                let detail = [*before, write];
                self.add(Kind::VersionTwice, detail);
            }
            let is_new = current.is_none_or(|current| current.id != write.id);
            if is_new {
                if let Some(last) = current {
                    self.end_life(last, write);
                }
                if !ids.insert(write.id) {
                    self.add(Kind::IdTwice, write);
                }
                let can_be_hidden = self.hidden.iter().any(|hidden| hidden.change != Change::Delete);
                let begins = matches!(write.change, None | Some(Change::Insert | Change::Upsert));
                if !begins && !can_be_hidden {
                    self.add(Kind::Unexpected, write);
                }
            } else if write.change == Some(Change::Insert) {
                self.add(Kind::KeyTwice, write);
            } else if self.states.last().is_some_and(|state| state.present_id().is_none()) {
                self.add(Kind::IdTwice, write);
            }
            self.push_state(State { write: Some(write), earliest: write.start });
            current = Some(write);
        }
        if let Some(last) = current.filter(|last| last.value.is_some()) {
            if let Some(earliest) = self.earliest_hidden_delete(last.id) {
                self.push_state(State { write: None, earliest });
            }
        }
    }

    /// A state cannot have begun before those that came before it.
    fn push_state(&mut self, state: State) {
        let before = self.states.last().map_or(0, |last| last.earliest);
        self.states.push(State { earliest: state.earliest.max(before), ..state });
    }

    /// A life ended before another began: by a delete, or by one in flight.
    fn end_life(&mut self, last: Known, next: Known) {
        if last.value.is_none() {
            return;
        }
        match self.earliest_hidden_delete(last.id) {
            Some(earliest) => self.push_state(State { write: None, earliest }),
            None => self.add(Kind::KeyTwice, [last, next]),
        }
    }

    fn earliest_hidden_delete(&self, id: u64) -> Option<u64> {
        let deletes = self.hidden.iter().filter(|hidden| hidden.change == Change::Delete && hidden.id == Some(id));
        deletes.map(|hidden| hidden.start).min()
    }

    /// Each update replaced what was there, so nothing that was written was overlooked.
    fn check_replacements(&mut self) {
        let mut replaced_values = HashSet::new();
        for position in 0..self.known.len() {
            let write = self.known[position];
            let Some(replaced) = write.replaced else { continue };
            if !replaced_values.insert(replaced) {
                self.add(Kind::LostUpdate, write);
                continue;
            }
            let before = self.known[..position].last().and_then(|before| before.value);
            let is_hidden = self.hidden.iter().any(|hidden| hidden.value == Some(replaced));
            if before != Some(replaced) && !is_hidden {
                let is_known = self.known.iter().any(|known| known.value == Some(replaced));
                self.add(if is_known { Kind::LostUpdate } else { Kind::NeverWritten }, write);
            }
        }
    }

    /// A record counts its updates, hidden ones among them.
    fn check_update_counts(&mut self) {
        let hidden_count = self.hidden.iter().filter(|hidden| hidden.change != Change::Delete).count() as u64;
        // The record, and the lowest count that it can have.
        let mut last: Option<(u64, u64)> = None;
        for position in 0..self.known.len() {
            let write = self.known[position];
            let expected = match write.change {
                Some(Change::Insert) => Some(0..=0),
                _ => last.filter(|(id, _)| *id == write.id).map(|(_, count)| count + 1..=count + 1 + hidden_count),
            };
            let seen = self.seen.get(&write.version).map(|seen| seen.update_count);
            if let (Some(expected), Some(seen)) = (&expected, seen) {
                if !expected.contains(&seen) {
                    self.add(Kind::UpdateCount, (write, seen));
                }
            }
            last = seen.or(expected.map(|expected| *expected.start())).map(|count| (write.id, count));
        }
    }

    fn positions(&self) -> Positions {
        let mut positions = Positions::default();
        for (position, state) in (0..).zip(&self.states) {
            if let Some(write) = state.write {
                positions.of_version.insert(write.version, position);
                if let Some(value) = write.value {
                    positions.of_value.insert(value, position);
                    positions.last_of_id.insert(write.id, position);
                }
            }
        }
        positions
    }

    /// No event sees a state before it can have begun, or after a later one was proved.
    fn check_intervals(&mut self, events: &[&Event]) {
        let mut ended: Vec<(u64, &Event)> = events.iter().filter_map(|event| Some((event.end?, *event))).collect();
        ended.sort_unstable_by_key(|(end, _)| *end);
        let positions = self.positions();
        // Which state had been reached by which moment.
        let mut proofs: Vec<(u64, usize, &Event)> = Vec::new();
        for (end, event) in ended {
            let proof = proofs.partition_point(|(end, ..)| *end < event.start).checked_sub(1).map(|at| proofs[at]);
            let floor = proof.map_or(0, |(_, floor, _)| floor);
            let found = match self.placed(event, floor, &positions) {
                Ok(Some(position)) => position,
                Ok(None) => continue,
                Err(kind) => {
                    self.add(kind, (event, proof.map(|(.., event)| event)));
                    continue;
                }
            };
            if found < floor {
                self.add(Kind::Stale, (event, proof.map(|(.., event)| event)));
            } else if self.states[found].earliest > end {
                self.add(Kind::FromTheFuture, (event, self.states[found]));
            }
            if proofs.last().is_none_or(|(_, highest, _)| *highest < found) {
                proofs.push((end, found, event));
            }
        }
    }

    /// Which state an event was in, the earliest if several are possible and none of them before `floor`; `None` if nothing is
    /// known.
    fn placed(&self, event: &Event, floor: usize, positions: &Positions) -> Result<Option<usize>, Kind> {
        let end = event.end.unwrap_or(u64::MAX);
        let first = |accept: &dyn Fn(usize, &State) -> bool| {
            let mut candidates = (0..).zip(&self.states).skip(floor);
            candidates.find(|(position, state)| state.earliest <= end && accept(*position, state)).map(|(at, _)| at)
        };
        match event.step {
            Step::Saw(Seen { version, .. }) | Step::Wrote(Write { version: Some(version), .. }) => {
                Ok(positions.of_version.get(&version).copied())
            }
            // A write whose version was not told may have been seen by others.
            Step::Wrote(Write { version: None, value, .. }) => {
                Ok(value.and_then(|value| positions.of_value.get(&value)).copied())
            }
            Step::SawVersion { version } => match positions.of_version.get(&version) {
                Some(position) => Ok(Some(*position)),
                None if self.may_be_hidden(end) => Ok(None),
                None => Err(Kind::NeverWritten),
            },
            Step::SawNone => first(&|_, state| state.present_id().is_none()).map(Some).ok_or(Kind::NotFound),
            Step::SawSome => match self.states.get(floor) {
                Some(state) if state.present_id().is_some() => Ok(Some(floor)),
                _ if self.may_be_hidden(end) => Ok(None),
                _ => first(&|_, state| state.present_id().is_some()).map(Some).ok_or(Kind::Unexpected),
            },
            Step::SawGone { id } => {
                // Nothing is known about a record that only a hidden write made.
                let Some(last) = positions.last_of_id.get(&id).copied() else { return Ok(None) };
                first(&|position, _| position > last).map(Some).ok_or(Kind::NotFound)
            }
            Step::Nothing => Ok(None),
        }
    }

    fn may_be_hidden(&self, end: u64) -> bool {
        self.hidden.iter().any(|hidden| hidden.change != Change::Delete && hidden.start <= end)
    }

    /// The numbers of all later transactions that deleted the key, and of those after which a hidden one may have.
    fn possible_deletes(&self, after: u64) -> impl Iterator<Item = u64> + '_ {
        let start = self.known.partition_point(|known| known.version <= after);
        let is_delete = |known: &&Known| known.value.is_none() || self.earliest_hidden_delete(known.id).is_some();
        self.known[start..].iter().filter(is_delete).map(|known| known.version)
    }

    /// Whether the key can have shown this when the transaction with this number was the last.
    fn shows(&self, step: Step, number: u64) -> bool {
        let count = self.known.partition_point(|known| known.version <= number);
        self.known[..count].last().is_none_or(|latest| match step {
            Step::Saw(seen) => latest.version <= seen.version,
            _ => latest.value.is_none() || self.earliest_hidden_delete(latest.id).is_some(),
        })
    }
}

/// The reads of one snapshot are of one moment: there is a number such that all of them show what was there when the
/// transaction with that number was the last.
fn check_snapshots(histories: &BTreeMap<u64, History>, events: &[Event], faults: &mut Vec<Fault>) {
    let mut snapshots: BTreeMap<(u64, u64), Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.is_snapshot && event.end.is_some()) {
        snapshots.entry((event.worker_file, event.start)).or_default().push(event);
    }
    for reads in snapshots.values() {
        let shown = |event: &&Event| match event.step {
            Step::Saw(seen) => Some(seen.version),
            _ => None,
        };
        let newest = reads.iter().filter_map(shown).max().unwrap_or(0);
        // What was not there may have been deleted later than anything that was.
        let absent = reads.iter().filter(|read| shown(read).is_none()).filter_map(|read| histories.get(&read.key));
        let deletes = absent.flat_map(|history| history.possible_deletes(newest));
        let is_of_moment = |number| {
            let is_shown = |read: &&Event| histories.get(&read.key).is_none_or(|key| key.shows(read.step, number));
            reads.iter().all(is_shown)
        };
        if !std::iter::once(newest).chain(deletes).any(is_of_moment) {
            faults.push(Fault { kind: Kind::Snapshot, key: reads[0].key, detail: format!("{reads:?}") });
        }
    }
}
