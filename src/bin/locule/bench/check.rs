//! Compares the table with the ledgers, once all workers are gone.
//!
//! For each key, the acknowledged write with the highest version over all worker files is what the table must show,
//! unless a worker that was killed had an operation on that key in flight. Whether such an *uncertain* operation
//! happened is not known, so the table may show it or not, but only if it fits:
//!
//! - an update or a delete happened to the very version that the worker had read. No acknowledged version of the key is
//!   newer than that one, or the uncertain operation would be hidden below it;
//! - what it read was there: the acknowledged version itself, or the outcome of another uncertain operation;
//! - an insert met no record: the key was last deleted, or never there, or another uncertain operation deleted it.

use std::collections::HashSet;
use std::fmt;

use locule::Table;

use super::item::{Item, content_seed_of, index_of, key_of};
use super::ledger::{DELETED, Entry, Ledger, Operation, WriteKind};
use crate::Result;

/// How many faults are described; the others are only counted.
const TOLD_FAULT_COUNT: usize = 10;

/// All that is known about what was done to the table.
pub struct History {
    /// For each key, the newest acknowledged write.
    newest: Vec<Option<Entry>>,
    /// What was in flight when a worker was killed.
    uncertain: Vec<Operation>,
    /// The highest number that a sync returned to any worker.
    synced: u64,
    faults: Faults,
    versions: HashSet<u64>,
}

impl History {
    pub fn new(key_count: u32) -> Self {
        History {
            newest: vec![None; key_count as usize],
            uncertain: Vec::new(),
            synced: 0,
            faults: Faults::default(),
            versions: HashSet::new(),
        }
    }

    /// Adds one acknowledged write. Versions are numbers of transactions, and each of the bench's transactions is one
    /// write. So a version that was given to two writes is a fault, whether or not one of them shows in the table.
    pub fn add(&mut self, key_index: u32, entry: Entry) {
        if !self.versions.insert(entry.version) {
            self.faults.add(Fault::VersionGivenTwice { key_index, entry });
        }
        if let Some(newest) = self.newest.get_mut(key_index as usize) {
            if newest.is_none_or(|newest| newest.version < entry.version) {
                *newest = Some(entry);
            }
        }
    }

    /// Adds the ledger of a worker file whose last worker is gone.
    pub fn add_ledger(&mut self, ledger: Ledger<'_>) {
        self.add_uncertain(ledger.settle());
        self.synced = self.synced.max(ledger.synced());
        for key_index in (0..).take(self.newest.len()) {
            if let Some(entry) = ledger.entry(key_index) {
                self.add(key_index, entry);
            }
        }
    }

    pub fn add_uncertain(&mut self, operations: impl IntoIterator<Item = Operation>) {
        self.uncertain.extend(operations);
    }

    fn uncertain_of(&self, key_index: u32) -> impl Iterator<Item = &Operation> {
        self.uncertain.iter().filter(move |operation| operation.key_index == key_index)
    }

    /// Whether an uncertain operation can have been done on top of the newest acknowledged write.
    fn fits(&self, operation: &Operation) -> bool {
        let newest = self.newest.get(operation.key_index as usize).copied().flatten();
        let is_live = newest.is_some_and(|entry| entry.content_seed != DELETED);
        let version = newest.map_or(0, |entry| entry.version);
        let mut others = self.uncertain_of(operation.key_index).filter(|other| *other != operation);
        match operation.kind {
            WriteKind::Insert => !is_live || others.any(|other| other.kind == WriteKind::Delete),
            WriteKind::Update | WriteKind::Delete if operation.read_version == version => is_live,
            WriteKind::Update | WriteKind::Delete => {
                operation.read_version > version && others.any(|other| other.kind != WriteKind::Delete)
            }
        }
    }

    /// Compares what one key shows with what may be there.
    fn judge(&self, key_index: u32, shown: Option<Shown>) -> Result<Agreement, Fault> {
        let newest = self.newest.get(key_index as usize).copied().flatten();
        let Some(shown) = shown else {
            let deleted = |operation: &Operation| operation.kind == WriteKind::Delete && self.fits(operation);
            return match newest.filter(|entry| entry.content_seed != DELETED) {
                None => Ok(Agreement::Acknowledged),
                Some(_) if self.uncertain_of(key_index).any(deleted) => Ok(Agreement::Uncertain),
                Some(expected) => Err(Fault::Lost { key_index, expected }),
            };
        };
        let Some(content_seed) = shown.content_seed else {
            return Err(Fault::Torn { key_index, version: shown.version });
        };
        let found = Entry { version: shown.version, content_seed };
        if newest == Some(found) {
            return Ok(Agreement::Acknowledged);
        }
        let wrote = |operation: &Operation| {
            operation.kind != WriteKind::Delete
                && operation.content_seed == content_seed
                && found.version > operation.read_version
                && self.fits(operation)
        };
        match newest {
            None if self.uncertain_of(key_index).any(wrote) => Ok(Agreement::Uncertain),
            None => Err(Fault::Unexplained { key_index, found }),
            Some(expected) if expected.version > found.version && expected.content_seed == DELETED => {
                Err(Fault::Resurrected { key_index, expected, found })
            }
            Some(expected) if expected.version > found.version => Err(Fault::LostUpdate { key_index, expected, found }),
            Some(expected) if expected.version == found.version => {
                Err(Fault::WrongContent { key_index, expected, found })
            }
            Some(_) if self.uncertain_of(key_index).any(wrote) => Ok(Agreement::Uncertain),
            Some(expected) => Err(Fault::TooNew { key_index, expected, found }),
        }
    }
}

/// What the table shows under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub version: u64,
    /// The seed that the payload is the expansion of, if there is one.
    pub content_seed: Option<u64>,
}

/// Why what a key shows is right.
enum Agreement {
    Acknowledged,
    Uncertain,
}

/// One way in which the table contradicts the ledgers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Lost { key_index: u32, expected: Entry },
    LostUpdate { key_index: u32, expected: Entry, found: Entry },
    Resurrected { key_index: u32, expected: Entry, found: Entry },
    WrongContent { key_index: u32, expected: Entry, found: Entry },
    TooNew { key_index: u32, expected: Entry, found: Entry },
    Unexplained { key_index: u32, found: Entry },
    Torn { key_index: u32, version: u64 },
    Foreign { key: u128, version: u64 },
    LiveTwice { key_index: u32 },
    NotFoundByKey { key_index: u32 },
    FoundByKeyOnly { key_index: u32 },
    FoundOtherByKey { key_index: u32 },
    VersionGivenTwice { key_index: u32, entry: Entry },
    WrongLength { counted: u64, length: u64 },
    SyncLost { synced: u64, durable: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Lost { key_index, expected } => {
                write!(f, "lost record: key {key_index} is absent, but {expected} was acknowledged")
            }
            Fault::LostUpdate { key_index, expected, found } => {
                write!(f, "lost update: key {key_index} shows {found}, but {expected} was acknowledged")
            }
            Fault::Resurrected { key_index, expected, found } => {
                write!(f, "resurrected record: key {key_index} shows {found}, but {expected} was acknowledged")
            }
            Fault::WrongContent { key_index, expected, found } => {
                write!(f, "wrong content: key {key_index} shows {found}, but {expected} was acknowledged")
            }
            Fault::TooNew { key_index, expected, found } => write!(
                f,
                "unexplained version: key {key_index} shows {found}, which no ledger has; the newest there is {expected}"
            ),
            Fault::Unexplained { key_index, found } => {
                write!(f, "unexplained record: key {key_index} shows {found}, and no ledger says that it was written")
            }
            Fault::Torn { key_index, version } => {
                write!(f, "torn record: key {key_index}, version {version}, holds no payload that was ever written")
            }
            Fault::Foreign { key, version } => {
                write!(f, "unexplained record: {key:#034x}, version {version}, is no key of this run")
            }
            Fault::LiveTwice { key_index } => write!(f, "two live records have key {key_index}"),
            Fault::NotFoundByKey { key_index } => {
                write!(f, "key {key_index} is live, and looking it up finds nothing")
            }
            Fault::FoundByKeyOnly { key_index } => {
                write!(f, "looking up key {key_index} finds a record that is not among the live ones")
            }
            Fault::FoundOtherByKey { key_index } => {
                write!(f, "looking up key {key_index} finds another record than the live one")
            }
            Fault::VersionGivenTwice { key_index, entry } => {
                write!(f, "{entry} of key {key_index} was acknowledged, and so was another write with this version")
            }
            Fault::WrongLength { counted, length } => {
                write!(f, "there are {counted} live records, and len() is {length}")
            }
            Fault::SyncLost { synced, durable } => {
                write!(f, "a sync returned {synced}, and the table says that {durable} is durable")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content_seed {
            DELETED => write!(f, "version {}, a delete", self.version),
            content_seed => write!(f, "version {} with content {content_seed:016x}", self.version),
        }
    }
}

/// The faults found: the first few, and how many.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    pub first: Vec<Fault>,
    pub count: u64,
}

impl Faults {
    fn add(&mut self, fault: Fault) {
        self.count += 1;
        if self.first.len() < TOLD_FAULT_COUNT {
            self.first.push(fault);
        }
    }
}

/// What was compared, and with which result.
#[derive(Debug, Default)]
pub struct Findings {
    pub live_count: u64,
    pub deleted_count: u64,
    pub untouched_count: u64,
    /// How many operations were in flight when their worker was killed.
    pub uncertain_count: u64,
    /// How many keys show such an operation.
    pub uncertain_shown_count: u64,
    /// How many acknowledged writes the ledgers hold, superseded ones among them.
    pub acknowledged_count: u64,
    pub synced: u64,
    pub faults: Faults,
}

/// What there is to see in a table.
pub struct View {
    /// Every live record that iteration yields.
    pub iterated: Vec<(u128, Shown)>,
    /// What `find` shows for each key.
    pub found: Vec<Option<Shown>>,
    pub length: u64,
    pub durable: u64,
}

impl View {
    /// Looks at every record both ways.
    pub fn of(table: &Table<Item>, key_count: u32) -> Result<View> {
        let show =
            |row: &locule::Row<Item>| Shown { version: row.version(), content_seed: content_seed_of(row.record()) };
        // Before anything else: the check itself must not make anything durable.
        let durable = table.status().durable;
        let iterated = table.iter().map(|row| row.map(|row| (row.key, show(&row)))).collect::<Result<_, _>>()?;
        let find = |key_index| {
            let key = key_of(key_index);
            // A record with a key other than the one asked for is as good as none.
            Ok::<_, locule::Error>(table.find(&key)?.filter(|row| row.key == key).as_ref().map(show))
        };
        let found = (0..key_count).map(find).collect::<Result<_, _>>()?;
        Ok(View { iterated, found, length: table.len()?, durable })
    }
}

/// Compares what the table shows with all that was done to it.
pub fn compare(history: &History, view: &View) -> Findings {
    let mut findings = Findings {
        uncertain_count: history.uncertain.len() as u64,
        acknowledged_count: history.versions.len() as u64,
        synced: history.synced,
        faults: history.faults.clone(),
        ..Findings::default()
    };
    let mut shown: Vec<Option<Shown>> = vec![None; history.newest.len()];
    for &(key, record) in &view.iterated {
        findings.live_count += 1;
        let place = index_of(key).and_then(|key_index| Some((key_index, shown.get_mut(key_index as usize)?)));
        match place {
            None => findings.faults.add(Fault::Foreign { key, version: record.version }),
            Some((key_index, Some(_))) => findings.faults.add(Fault::LiveTwice { key_index }),
            Some((_, place)) => *place = Some(record),
        }
    }
    for (key_index, ((shown, found), newest)) in (0..).zip(shown.iter().zip(&view.found).zip(&history.newest)) {
        match history.judge(key_index, *shown) {
            Ok(Agreement::Acknowledged) => {}
            Ok(Agreement::Uncertain) => findings.uncertain_shown_count += 1,
            Err(fault) => findings.faults.add(fault),
        }
        match (shown, found) {
            (Some(_), None) => findings.faults.add(Fault::NotFoundByKey { key_index }),
            (None, Some(_)) => findings.faults.add(Fault::FoundByKeyOnly { key_index }),
            (Some(shown), Some(found)) if shown != found => findings.faults.add(Fault::FoundOtherByKey { key_index }),
            _ => {}
        }
        match (shown, newest) {
            (Some(_), _) => {}
            (None, Some(_)) => findings.deleted_count += 1,
            (None, None) => findings.untouched_count += 1,
        }
    }
    if view.length != findings.live_count {
        findings.faults.add(Fault::WrongLength { counted: findings.live_count, length: view.length });
    }
    if view.durable < history.synced {
        findings.faults.add(Fault::SyncLost { synced: history.synced, durable: view.durable });
    }
    findings
}

#[cfg(test)]
mod tests;
