//! Tables with a past, from which images are made: at each moment of a fixed history, deaths included, the bytes of the
//! file, and what was in the table after each transaction.

use crate::image::{Image, Layout, Sealed, Surrounding};
use crate::place;
use locule::testing::die_at_access;
use locule::{Error, Record, Row, Table};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A record type that the targets can make values of.
pub trait Subject: Record + Copy + PartialEq + Debug + Send + Sync {
    /// The record with this key, if it has one, and with a content that follows from the value.
    fn made(key: u8, value: u16) -> Self;
}

/// Options for tables that sync only when they are told to.
pub fn options<T: Record>() -> locule::OpenOptions<T> {
    Table::<T>::options().sync_every(None)
}

/// A table's file, overwritten in place, so that its inode stays, and with it what the library recognises it by.
pub struct TableFile {
    path: PathBuf,
    file: std::fs::File,
}

impl TableFile {
    /// A new table that is the same in every run, except for its surroundings.
    pub fn create<T: Record>(name: &str, capacity: u64) -> Self {
        let path = place::directory().join(name);
        drop(options::<T>().capacity(capacity).create(&path).expect("a new table"));
        let file = std::fs::File::options().read(true).write(true).open(&path).expect("a table");
        let file = TableFile { path, file };
        let mut image = file.image();
        image.make_new();
        file.put(&image);
        file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn image(&self) -> Image {
        let mut bytes = vec![0; self.file.metadata().expect("an open file").len() as usize];
        self.file.read_exact_at(&mut bytes, 0).expect("an open file");
        Image(bytes)
    }

    pub fn put(&self, image: &Image) {
        self.file.write_all_at(&image.0, 0).expect("room for a table");
        self.file.set_len(image.0.len() as u64).expect("room for a table");
    }
}

/// The records of a table, each with all that is known of it.
pub type Content<T> = Vec<Row<T>>;

pub fn content<T: Record>(table: &Table<T>) -> Content<T> {
    table.iter().collect::<Result<_, _>>().expect("a table in order")
}

pub struct Template<T> {
    pub file: TableFile,
    pub layout: Layout,
    pub moments: Vec<Image>,
    /// Everything that proves itself and was in the file at some moment.
    pub genuine: HashSet<Sealed>,
    /// What was in the table after each transaction.
    pub contents: BTreeMap<u64, Content<T>>,
}

impl<T: Subject> Template<T> {
    pub fn new(name: &str, capacity: u8) -> Self {
        let file = TableFile::create::<T>(name, u64::from(capacity));
        let image = file.image();
        let layout = image.layout();
        let contents = BTreeMap::from([(0, Vec::new())]);
        let mut template = Template { file, layout, moments: Vec::new(), genuine: HashSet::new(), contents };
        template.look();
        template.live(capacity);
        template
    }

    fn live(&mut self, capacity: u8) {
        let mut table = self.open();
        for step in 0..40_u16 {
            if step % 16 == 15 {
                // Another boot.
                drop(table);
                let mut image = self.file.image();
                image.surround(&self.layout, Surrounding::OtherStart);
                self.file.put(&image);
                table = self.open();
            } else if step % 3 == 2 {
                let access = u32::from(step) * 7 % 60;
                std::thread::scope(|scope| {
                    let dying = scope.spawn(|| die_at_access(access, || operate(&table, capacity, step)));
                    dying.join().expect("a death is no panic");
                });
                self.look();
                // The next writer repairs.
                table.write(|_| Ok(())).expect("a repair");
            } else {
                operate(&table, capacity, step);
            }
            self.look();
            self.contents.insert(table.status().last, content(&table));
        }
    }

    fn open(&mut self) -> Table<T> {
        let table = options().open(self.file.path()).expect("a table");
        self.contents.insert(table.status().last, content(&table));
        self.look();
        table
    }

    fn look(&mut self) {
        let image = self.file.image();
        self.genuine.extend(image.sealed(&self.layout));
        self.moments.push(image);
    }
}

/// One operation of the history.
fn operate<T: Subject>(table: &Table<T>, capacity: u8, step: u16) {
    let key = (step % (u16::from(capacity) + 1)) as u8;
    let rows = content(table);
    let outcome = match step % 8 {
        0 | 1 | 4 => table.insert(&T::made(key, step)).map(drop),
        2 => rows.first().map_or(Ok(()), |row| {
            let key = key_of(row, capacity);
            table.replace(row.id(), &T::made(key, step)).map(drop)
        }),
        3 => table.sync().map(drop),
        5 => table.write(|transaction| {
            for row in &rows {
                transaction.replace(row.id(), &T::made(key_of(row, capacity), step))?;
            }
            rows.last().map_or(Ok(()), |row| transaction.delete(row.id()))
        }),
        6 => rows.last().map_or(Ok(()), |row| table.delete(row.id()).map(drop)),
        _ => table.write(|transaction| {
            for row in &rows {
                transaction.delete(row.id())?;
            }
            for key in 0..capacity {
                transaction.insert(&T::made(key, step))?;
            }
            Ok(())
        }),
    };
    match outcome {
        Ok(()) | Err(Error::DuplicateKey { .. } | Error::Full { .. }) => {}
        Err(error) => panic!("the history fails: {error}"),
    }
}

/// The key of a record, which is found by trying all.
fn key_of<T: Subject>(row: &Row<T>, capacity: u8) -> u8 {
    (0..=capacity).find(|key| (0..40).any(|step| T::made(*key, step) == *row.record())).expect("made by this history")
}
