//! What a table has to hold, computed with a vector, a queue and two counters, and nothing of the engine.

use crate::RecordId;
use std::cmp::Reverse;

/// What is written to one record. Records are named by their key; in a table without one, by their first field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Insert { key: u64, value: u64 },
    Update { key: u64, value: u64 },
    Upsert { key: u64, value: u64 },
    Delete { key: u64 },
}

/// A record as a reader gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    pub version: u64,
    pub update_count: u32,
    pub key: u64,
    pub value: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    record: Option<Record>,
    generation: u64,
    /// The transaction that made the slot free; 0 if it was never used.
    freed_by: u64,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    is_keyed: bool,
    slots: Vec<Slot>,
    /// Free slots, the one that became free last at the end.
    free: Vec<usize>,
    /// The number of the newest published transaction.
    pub last: u64,
    /// The highest number that was ever taken.
    pub used: u64,
    pub generation_floor: u64,
}

impl Model {
    /// An empty table.
    pub fn new(slot_count: usize, is_keyed: bool, last: u64) -> Self {
        let slots = vec![Slot::default(); slot_count];
        Model { is_keyed, slots, free: (0..slot_count).rev().collect(), last, used: last, generation_floor: 0 }
    }

    pub fn records(&self) -> Vec<Record> {
        self.slots.iter().filter_map(|slot| slot.record).collect()
    }

    pub fn live_count(&self) -> u64 {
        self.records().len() as u64
    }

    pub fn free_slots(&self) -> Vec<usize> {
        self.free.clone()
    }

    pub fn find(&self, key: u64) -> Option<Record> {
        self.records().into_iter().find(|record| record.key == key)
    }

    pub fn get(&self, id: RecordId) -> Option<Record> {
        self.slots[id.slot() as usize].record.filter(|record| record.id == id)
    }

    /// What is newer than a transaction: the version and id of each slot's record or last deletion, and the record.
    pub fn changes_since(&self, number: u64) -> Vec<(u64, RecordId, Option<Record>)> {
        let changes = (0..).zip(&self.slots).map(|(index, slot)| match slot.record {
            Some(record) => (record.version, record.id, Some(record)),
            None => (slot.freed_by, RecordId::new(index, slot.generation), None),
        });
        let mut changes: Vec<_> = changes.filter(|(version, ..)| *version > number).collect();
        changes.sort_by_key(|(version, id, _)| (*version, *id));
        changes
    }

    /// The same table, in which numbers and generations up to these were taken by transactions that never happened.
    pub fn with_used(&self, used: u64, generation_floor: u64) -> Model {
        Model { used, generation_floor, ..self.clone() }
    }

    /// The same table after a transaction of these steps was given up: its number is burned, and the ids that it gave out.
    pub fn rolled_back(&self, steps: &[Step]) -> Model {
        let (after, _) = self.after(steps);
        let slots = after.slots.iter().zip(&self.slots);
        let given_out = slots.filter(|(after, before)| after.generation > before.generation);
        let highest = given_out.map(|(after, _)| after.generation).max().unwrap_or(0);
        self.with_used(self.used + 1, self.generation_floor.max(highest))
    }

    /// The highest generation that a record ever got.
    pub fn highest_generation(&self) -> u64 {
        self.slots.iter().map(|slot| slot.generation).max().unwrap_or(0)
    }

    /// The same table after a recovery by a first opener, which puts the free slots in order anew.
    pub fn recovered(&self, last: u64, generation_floor: u64) -> Model {
        let mut free = self.free_slots();
        free.sort_by_key(|slot| (self.slots[*slot].freed_by, Reverse(*slot)));
        Model { free, last, used: last, generation_floor, ..self.clone() }
    }

    /// What a transaction of these steps makes of the table, and what each step writes: the record, or for a deletion
    /// the record that is gone.
    pub fn after(&self, steps: &[Step]) -> (Model, Vec<Record>) {
        let mut after = self.clone();
        let number = self.used + 1;
        let mut touched = Vec::new();
        let mut written = Vec::new();
        for step in steps {
            let record = match *step {
                Step::Insert { key, value } => after.insert(key, value, number, self, &touched),
                Step::Update { key, value } => after.update(key, value, number),
                Step::Upsert { key, .. } if after.find(key).is_none() => {
                    let Step::Upsert { value, .. } = *step else { unreachable!() };
                    after.insert(key, value, number, self, &touched)
                }
                Step::Upsert { key, value } => after.update(key, value, number),
                Step::Delete { key } => {
                    let record = after.find(key).expect("a script deletes what is there");
                    after.slots[record.id.slot() as usize].record = None;
                    Record { version: number, ..record }
                }
            };
            let slot = record.id.slot() as usize;
            if !touched.contains(&slot) {
                touched.push(slot);
            }
            written.push(record);
        }
        for slot in touched {
            if after.slots[slot].record.is_none() {
                after.slots[slot].freed_by = number;
                after.free.push(slot);
            }
        }
        if !steps.is_empty() {
            (after.last, after.used) = (number, number);
        }
        (after, written)
    }

    fn insert(&mut self, key: u64, value: u64, number: u64, before: &Model, touched: &[usize]) -> Record {
        assert!(!self.is_keyed || self.find(key).is_none(), "a script inserts what is not there");
        // A key that the transaction has deleted gets its slot back. Any other gets the slot that became free last, or,
        // if there is none, one that the transaction itself has made free.
        let own = before.find(key).filter(|_| self.is_keyed).map(|record| record.id.slot() as usize);
        let freed = || touched.iter().copied().find(|slot| self.slots[*slot].record.is_none());
        let slot = match own {
            Some(slot) => slot,
            None => self.free.last().copied().or_else(freed).expect("a script does not overfill a table"),
        };
        if self.free.last() == Some(&slot) {
            self.free.pop();
        }
        let generation = 1 + self.slots[slot].generation.max(self.generation_floor);
        let id = RecordId::new(slot as u32, generation);
        let record = Record { id, version: number, update_count: 0, key, value };
        self.slots[slot] = Slot { record: Some(record), generation, freed_by: 0 };
        record
    }

    fn update(&mut self, key: u64, value: u64, number: u64) -> Record {
        let old = self.find(key).expect("a script updates what is there");
        let record = Record { version: number, update_count: old.update_count + 1, value, ..old };
        self.slots[old.id.slot() as usize].record = Some(record);
        record
    }
}
