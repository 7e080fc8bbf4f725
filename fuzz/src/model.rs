//! What a table should hold: a map of plain values, and the world of files, deaths and power cuts around it.

use crate::image::{Image, Layout, Surrounding};
use crate::template::{TableFile, content, options};
use locule::{RecordId, Recovery, RecoveryOutcome, Row, Table, Text};
use std::collections::{BTreeMap, HashSet};

locule::record! {
    /// More than a word, and not a whole number of words.
    pub struct Item {
        pub tag: u8,
        pub key id: u32,
        pub value: u64,
        pub text: Text<11>,
    }
}

/// Keys are below this, which is more than a table has slots.
pub const KEY_COUNT: u8 = 8;

/// The record with this key and value: all of it follows from the two, so that a mixture of records shows.
pub fn item(key: u8, value: u16) -> Item {
    let text = Text::new(&format!("{key} {value}")).expect("at most seven bytes");
    Item { tag: value as u8 ^ key, id: key.into(), value: u64::from(value) << 40 | u64::from(key), text }
}

/// What is known about a record before it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    pub value: u16,
    pub update_count: u32,
    /// Unknown when it was inserted since the table was last looked at.
    pub id: Option<RecordId>,
    /// Unknown when it was written since then.
    pub version: Option<u64>,
}

/// The records of a table by their keys.
pub type Model = BTreeMap<u8, Known>;

/// Whether a model describes these records.
fn describes(model: &Model, rows: &[Row<Item>]) -> bool {
    model.len() == rows.len()
        && rows.iter().all(|row| {
            model.get(&(row.id_of_item())).is_some_and(|known| {
                *row.record() == item(row.id_of_item(), known.value)
                    && row.update_count() == known.update_count
                    && known.id.is_none_or(|id| id == row.id())
                    && known.version.is_none_or(|version| version == row.version())
            })
        })
}

trait ItemRow {
    fn id_of_item(&self) -> u8;
}

impl ItemRow for Row<Item> {
    fn id_of_item(&self) -> u8 {
        self.id as u8
    }
}

/// A table, its file, its disk, and what it should hold.
pub struct World {
    pub file: &'static TableFile,
    pub layout: Layout,
    pub table: Option<Table<Item>>,
    /// What the table held since the last sync that was acknowledged; the last is what it holds now.
    pub past: Vec<Model>,
    /// What the table holds if an operation that was cut short by a death has happened nevertheless.
    pub pending: Option<Model>,
    /// What is on the disk for certain, or newer.
    pub disk: Image,
    given_ids: HashSet<RecordId>,
    highest_version: u64,
}

impl World {
    /// A new table.
    pub fn new(file: &'static TableFile, image: &Image, layout: &Layout) -> Self {
        file.put(image);
        let (past, layout, disk) = (vec![Model::new()], layout.clone(), image.clone());
        let (given_ids, highest_version) = (HashSet::new(), 0);
        let mut world = World { file, layout, table: None, past, pending: None, disk, given_ids, highest_version };
        world.open_after(None, false);
        world
    }

    pub fn table(&self) -> &Table<Item> {
        self.table.as_ref().expect("open between steps")
    }

    pub fn now(&self) -> &Model {
        self.past.last().expect("never empty")
    }

    /// An id that no record has any more, or never had.
    pub fn dead_id(&self) -> RecordId {
        let is_live = |id: &RecordId| self.now().values().any(|known| known.id == Some(*id));
        self.given_ids.iter().filter(|id| !is_live(id)).max().copied().unwrap_or(RecordId::from_u64(0))
    }

    // -- checking ----------------------------------------------------------------------------------

    /// An operation has ended, and this is what the table holds if it did what it said.
    pub fn expect(&mut self, expected: Model) {
        let rows = content(self.table());
        assert!(describes(&expected, &rows), "expected {expected:#?}, found {rows:#?}");
        if expected != *self.now() {
            let model = self.learn(&rows);
            self.past.push(model);
        }
        self.check(&rows);
    }

    /// The operation that a death cut short has happened or not; which of the two is settled when another process
    /// repairs.
    pub fn repair(&mut self) {
        self.table().write(|_| Ok(())).expect("whoever takes the lock repairs");
        self.settle();
    }

    /// Takes over what was made of the operation that was cut short.
    fn settle(&mut self) {
        let rows = content(self.table());
        let pending = self.pending.take();
        if describes(self.now(), &rows) {
            self.check(&rows);
        } else {
            self.expect(pending.expect("nothing was cut short, and the table is another"));
        }
    }

    /// What is known once the records were read. New ids and versions must be ones that were never given out before.
    fn learn(&mut self, rows: &[Row<Item>]) -> Model {
        let before = self.now().clone();
        let (mut highest_version, mut new_versions) = (self.highest_version, HashSet::new());
        let mut model = Model::new();
        for row in rows {
            let key = row.id_of_item();
            let old = before.get(&key);
            if old.is_none_or(|old| old.id != Some(row.id())) {
                assert!(self.given_ids.insert(row.id()), "{:?} was given out before", row.id());
            }
            if old.is_none_or(|old| old.version != Some(row.version())) {
                assert!(row.version() > self.highest_version, "{} was given out before: {row:?}", row.version());
                new_versions.insert(row.version());
                highest_version = highest_version.max(row.version());
            }
            let value = (row.value >> 40) as u16;
            let (id, version) = (Some(row.id()), Some(row.version()));
            model.insert(key, Known { value, update_count: row.update_count(), id, version });
        }
        assert!(new_versions.len() <= 1, "one transaction has one number: {rows:#?}");
        self.highest_version = highest_version;
        model
    }

    /// All ways of looking at the table agree.
    fn check(&self, rows: &[Row<Item>]) {
        let table = self.table();
        assert_eq!(table.len().expect("in order"), rows.len() as u64);
        for key in 0..KEY_COUNT {
            let row = rows.iter().find(|row| row.id_of_item() == key);
            assert_eq!(table.find(&u32::from(key)).expect("in order").as_ref(), row, "key {key}");
        }
        for row in rows {
            assert_eq!(table.get(row.id()).expect("in order").as_ref(), Some(row));
        }
        assert_eq!(table.get(self.dead_id()).expect("in order"), None);
    }

    // -- syncing, opening, and losing power -----------------------------------------------------

    pub fn sync(&mut self) {
        self.table().sync().expect("nothing fails");
        self.synced();
    }

    /// Everything that was published is on the disk.
    fn synced(&mut self) {
        self.past.drain(..self.past.len() - 1);
        self.disk = self.file.image();
    }

    /// Every process is gone; another one opens the file. If `access` is given, an earlier opener dies there.
    pub fn reopen(&mut self, surrounding: Surrounding, access: Option<u32>) {
        self.table = None;
        let mut image = self.file.image();
        image.surround(&self.layout, surrounding);
        self.file.put(&image);
        self.open_after(access, false);
        if self.pending.is_some() {
            self.repair();
        }
    }

    /// The power fails: of the sectors that differ, those whose bit is set have what is on the disk for certain.
    pub fn cut_power(&mut self, old_sectors: u64, access: Option<u32>) {
        self.table = None;
        let mut image = self.file.image();
        let sectors = image.0.chunks_exact_mut(512).zip(self.disk.0.chunks_exact(512));
        let mut is_older = false;
        for (number, (newer, older)) in sectors.filter(|(newer, older)| newer != older).enumerate() {
            if old_sectors >> (number % 64) & 1 == 1 {
                newer.copy_from_slice(older);
                is_older = true;
            }
        }
        image.surround(&self.layout, Surrounding::OtherStart);
        self.file.put(&image);
        self.open_after(access, is_older);
    }

    /// Opens a file, after an opener that may die at one of its accesses. A reader is told beforehand what will be
    /// recovered. The table may go back only if a part of the file is older.
    fn open_after(&mut self, access: Option<u32>, may_go_back: bool) {
        let path = self.file.path();
        let reader = options::<Item>().open_read_only(path).expect("a table that was cut short is whole");
        let is_recovered = reader.recovery().outcome != RecoveryOutcome::InOrder;
        if is_recovered {
            self.choose(&content(&reader), reader.recovery(), may_go_back);
        }
        drop(reader);
        let open = || options::<Item>().open(path).expect("a table that was cut short is whole");
        if let Some(access) = access {
            std::thread::scope(|scope| {
                scope.spawn(|| drop(locule::testing::die_at_access(access, open))).join().expect("no panic");
            });
        }
        let table = open();
        let (rows, recovery) = (content(&table), *table.recovery());
        self.table = Some(table);
        assert_eq!(recovery.live_count, rows.len() as u64, "{recovery}");
        // What is half done in a table in order is repaired by the next writer.
        if self.pending.is_none() {
            assert!(describes(self.now(), &rows), "{recovery}: expected {:#?}, found {rows:#?}", self.now());
        }
        if is_recovered {
            self.synced();
            let verification = locule::admin::verify(path).expect("a table");
            assert!(verification.is_good(), "{verification}");
        }
    }

    /// A recovery has chosen a state: one that the table had.
    fn choose(&mut self, rows: &[Row<Item>], recovery: &Recovery, may_go_back: bool) {
        assert_eq!(recovery.live_count, rows.len() as u64, "{recovery}");
        let pending = self.pending.take().filter(|model| describes(model, rows));
        let chosen = self.past.iter().rposition(|model| describes(model, rows));
        match (chosen, pending) {
            (Some(chosen), _) if chosen + 1 == self.past.len() => {}
            (_, Some(_)) => {
                let model = self.learn(rows);
                self.past.push(model);
            }
            (Some(chosen), None) => {
                assert!(may_go_back && !recovery.nothing_lost, "{recovery}: the newest was {:#?}", self.now());
                self.past.truncate(chosen + 1);
            }
            (None, None) => panic!("{recovery}: never held {rows:#?}, but {:#?}", self.past),
        }
    }
}
