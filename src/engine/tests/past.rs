//! What really happened to a table, and what a recovery must therefore report and serve.

use crate::cursor::Cursor;
use crate::engine::Store;
use crate::engine::outcome::RecoveryOutcome;
use crate::error::{CursorLoss, Error};
use crate::format::control::{DURABLE, PREPARED, USED};
use crate::format::geometry::{Geometry, SYNC_RECORD_COUNT};
use crate::format::sync_record::SYNC_RECORD_WORDS;
use std::collections::{BTreeMap, BTreeSet};

/// What the table holds under each key: the generation and the value of the record.
pub type Content = Vec<Option<(u64, u64)>>;

/// A recovery that is going on, or was cut short.
#[derive(Clone)]
pub struct Recovering {
    /// The transaction whose state it is; by the end that state has another number.
    pub number: u64,
    pub content: Content,
    /// Everything on the disk was certain when it began: then, however often it is cut short, it arrives at this
    /// content. Or at a newer one that was published too: words that were missing from a newer sync's record are the
    /// same in the record that is written over it.
    pub is_settled: bool,
}

/// What really happened to a table.
#[derive(Clone, Default)]
pub struct Past {
    /// Contents by the number of the transaction that made them. What was rolled back by a recovery is no longer there.
    pub published: BTreeMap<u64, Content>,
    pub newest_published: u64,
    pub acknowledged: u64,
    /// What the transaction that is being written will make.
    pub intended: Content,
    pub intended_ids: Vec<(usize, u64)>,
    /// Every record id that was given out, and every version.
    pub given_ids: BTreeSet<(usize, u64)>,
    pub given_numbers: BTreeSet<u64>,
    /// The highest number that was ever taken or written down, whether or not it was given out.
    pub highest_number: u64,
    /// The sync records that were written: number and time.
    pub sync_times: BTreeSet<(u64, i64)>,
    pub recovering: Option<Recovering>,
    pub sync_count: u64,
    /// The numbers of transactions that were published, and then rolled back by a recovery.
    pub rolled_back: BTreeSet<u64>,
}

/// What a recovery made of an image.
#[derive(Clone)]
pub struct Recovered {
    pub number: u64,
    pub content: Content,
}

impl Past {
    /// A table that was just created, with this many keys.
    pub fn new(key_count: usize) -> Self {
        let nothing = vec![None; key_count];
        Past { published: BTreeMap::from([(0, nothing.clone())]), intended: nothing, ..Past::default() }
    }

    /// A word of the table was written; `words` are all of them now.
    pub fn see_store(&mut self, geometry: &Geometry, words: &[u64], index: usize, value: u64) {
        let control = geometry.control();
        if index == control + USED {
            self.highest_number = self.highest_number.max(value);
        } else if index == control + PREPARED && self.recovering.is_none() {
            self.published.insert(value, self.intended.clone());
            self.newest_published = value;
            for id in std::mem::take(&mut self.intended_ids) {
                assert!(self.given_ids.insert(id), "the id {id:?} was given out twice");
            }
        } else if index == control + DURABLE && self.recovering.is_none() {
            // Any process that waits for this sync is told from here on.
            self.acknowledge(value);
            self.sync_count += 1;
        }
        for record in 0..SYNC_RECORD_COUNT {
            let start = geometry.sync_record(record);
            if index == start + SYNC_RECORD_WORDS - 1 {
                let [number, time] = [words[start], words[start + 5]];
                self.sync_times.insert((number, i64::from_ne_bytes(time.to_ne_bytes())));
                self.highest_number = self.highest_number.max(number);
            }
        }
    }

    pub fn acknowledge(&mut self, number: u64) {
        assert!(number <= self.newest_published, "transaction {number} was acknowledged before it was published");
        self.acknowledged = self.acknowledged.max(number);
    }

    /// Checks what a first opener recovered, what it reports about that, and what it serves.
    pub fn judge(&self, store: &Store, is_same_boot: bool) -> Recovered {
        let recovered = self.judge_state(store);
        self.judge_report(store, is_same_boot, &recovered.content);
        recovered
    }

    /// Checks only what is served.
    pub fn judge_state(&self, store: &Store) -> Recovered {
        let number = store.recovery().number;
        let content = content_of(store, self.key_count());
        if let Some(Recovering { number: chosen, content: expected, is_settled: true }) = &self.recovering {
            let is_newer = self.published.contains_key(&number) && number > *chosen;
            assert!(content == *expected || is_newer, "a recovery was cut short, and then came to something older");
        }
        match (self.published.get(&number), &self.recovering) {
            (Some(published), _) => {
                assert_eq!(content, *published, "transaction {number} with another moment's content");
            }
            // Under another number, which the interrupted recovery had given it.
            (None, Some(recovering)) if recovering.content == content && self.is_new(number) => {}
            (None, _) => panic!("transaction {number} was never published, or was rolled back"),
        }
        assert!(number >= self.acknowledged, "sync {} was acknowledged and is lost: {number}", self.acknowledged);
        self.judge_cursors(store, number);
        let served = store.view().newest_state().expect("a served table has its newest state");
        assert!(self.is_new(served.number), "numbers go on above all before");
        assert_eq!(served.live_count, live_count(&content), "the live count that is served");
        Recovered { number, content }
    }

    /// Of all numbers that were ever published, exactly those are refused that are not part of the past of what is served.
    fn judge_cursors(&self, store: &Store, recovered: u64) {
        // An interrupted recovery has given the state that it had chosen another number.
        let chosen = match &self.recovering {
            Some(recovering) if !self.published.contains_key(&recovered) => recovering.number,
            _ => recovered,
        };
        let outcome = |number: u64| store.changes_since(Cursor { number, ..store.first_cursor() }).map(drop);
        let remembered = store.gaps().expect("a served table has them").forgotten_below;
        for number in self.rolled_back.iter().chain(self.published.keys()).copied() {
            let is_past = number <= chosen && !self.rolled_back.contains(&number);
            match outcome(number) {
                Ok(()) => assert!(is_past, "{number} was rolled back, and its cursor is followed"),
                Err(Error::CursorLost { reason: CursorLoss::TooManyRecoveries }) => assert!(number < remembered),
                Err(Error::CursorLost { reason: CursorLoss::RolledBack }) => {
                    assert!(!is_past, "{number} is part of the past, and its cursor is refused");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn judge_report(&self, store: &Store, is_same_boot: bool, content: &Content) {
        let recovery = store.recovery();
        assert_eq!(recovery.live_count, live_count(content), "the live count that is reported");
        let is_newest = self.published.get(&self.newest_published).is_some_and(|newest| newest == content);
        match recovery.outcome {
            RecoveryOutcome::New => assert_eq!(self.newest_published, 0, "a table that was used is said to be new"),
            RecoveryOutcome::Checkpoint { wall_time } => {
                let made = self.sync_times.contains(&(recovery.number, wall_time.microseconds()));
                assert!(made, "there was no sync of {} at {wall_time}", recovery.number);
            }
            RecoveryOutcome::Newest | RecoveryOutcome::InOrder => {}
            RecoveryOutcome::Unopened { .. } => panic!("a table that was used is said to be unopened"),
        }
        if recovery.nothing_lost {
            assert!(is_newest, "nothing lost is said, and something is");
            assert!(is_same_boot || self.newest_published == 0, "after a loss of power nobody can know that");
        }
        let seen = recovery.highest_number_seen;
        assert!(recovery.number <= seen && seen <= self.highest_number, "a trace of {seen}: {}", self.highest_number);
    }

    /// Whether a number is above every one that was given out.
    pub fn is_new(&self, number: u64) -> bool {
        self.given_numbers.last().is_none_or(|given| number > *given)
    }

    pub fn key_count(&self) -> usize {
        self.published.values().next().map_or(0, Vec::len)
    }

    /// A first opener has begun to recover a state. `is_certain`: there is no doubt about what the disk holds.
    pub fn begin_recovery(&mut self, recovered: &Recovered, is_certain: bool) {
        let before = self.recovering.take();
        let number = match &before {
            Some(before) if !self.published.contains_key(&recovered.number) => before.number,
            _ => recovered.number,
        };
        let is_settled = is_certain || before.is_some_and(|before| before.is_settled);
        self.recovering = Some(Recovering { number, content: recovered.content.clone(), is_settled });
    }

    /// The recovered state is served from here on, under a new number: what was rolled back must never return.
    pub fn end_recovery(&mut self, served: u64) {
        let Some(Recovering { number, content, .. }) = self.recovering.take() else { return };
        self.rolled_back.extend(self.published.keys().copied().filter(|published| *published > number));
        self.published.retain(|published, _| *published <= number);
        self.published.insert(served, content);
        self.newest_published = served;
        self.acknowledged = served;
        self.highest_number = self.highest_number.max(served);
    }
}

fn live_count(content: &Content) -> u64 {
    content.iter().flatten().count() as u64
}

// -- records -----------------------------------------------------------------------------------------

/// The keys are numbered.
pub fn key_of(number: usize) -> u64 {
    1000 + number as u64
}

/// A record: its key, its value, and words that follow from the value.
pub fn record_of(store: &Store, key_number: usize, value: u64) -> Vec<u64> {
    let mut record = vec![key_of(key_number), value];
    record.extend((2..store.geometry.record_words() as u64).map(|position| filler(value, position)));
    record
}

fn filler(value: u64, position: u64) -> u64 {
    value.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(position)
}

/// What a table serves, by slot and by key.
pub fn content_of(store: &Store, key_count: usize) -> Content {
    let mut content = vec![None; key_count];
    let mut record = vec![0; store.geometry.record_words()];
    for slot in 0..store.geometry.capacity() {
        if let Some(meta) = store.read_slot(slot, &mut record).expect("served") {
            let key_number = record[0].wrapping_sub(key_of(0)) as usize;
            assert_eq!(record, record_of(store, key_number, record[1]), "a record that nobody wrote");
            assert_eq!(content[key_number].replace((meta.id.generation(), record[1])), None, "one key in two slots");
        }
    }
    for (key_number, expected) in content.iter().enumerate() {
        let found = store.find(&key_of(key_number).to_ne_bytes(), &mut record).expect("served");
        assert_eq!(found.map(|meta| (meta.id.generation(), record[1])), *expected, "what is found by key");
    }
    content
}
