//! Faults 1 and 2: several processes, and processes that are killed.
//!
//! What is seen must not depend on luck: the naive versions take their time between two halves of a write, and a check ends
//! when it has seen a fault.

use super::{Finding, assert_gone, ensure};
use locule::maintenance::Alteration;
use locule::{RecordId, Table};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use test_kit::{Child, Role, hear, say, scratch};

pub const ROLES: &[(&str, Role)] = &[
    ("locule inserts", insert::<Table<Wide>>),
    ("naive inserts", insert::<NaiveFile>),
    ("locule counts", count::<Table<Wide>>),
    ("naive counts", count::<NaiveFile>),
    ("locule updates", update_for_ever::<Table<Wide>>),
    ("naive updates", update_for_ever::<NaiveFile>),
    ("locule cleans up", clean_up_for_ever::<Table<Wide>>),
    ("naive cleans up", clean_up_for_ever::<NaiveFile>),
];

locule::record! {
    /// All words are the same, so that half a write shows.
    struct Wide {
        words: [u8; 64],
        more_words: [u8; 64],
    }
}

/// What processes do with one table.
trait Shared: Sized {
    const NAME: &str;

    fn create(path: &Path) -> Self;
    fn open(path: &Path) -> Self;
    /// Inserts a record full of this number, and returns its id.
    fn insert(&mut self, number: u8) -> u64;
    /// Inserts two records that belong together, and calls a function between them.
    fn insert_two(&mut self, between: &mut dyn FnMut());
    fn update(&mut self, id: u64, number: u8);
    /// The bytes of a record; `None` if it is not there.
    fn read(&mut self, id: u64) -> Option<[u8; 128]>;
    fn count(&mut self) -> u64;
    /// Makes the file anew, without what was deleted.
    fn clean_up(&mut self);
}

impl Shared for Table<Wide> {
    const NAME: &str = "locule";

    fn create(path: &Path) -> Self {
        Table::<Wide>::options().capacity(64).sync_every(None).create(path).unwrap()
    }

    fn open(path: &Path) -> Self {
        Table::<Wide>::options().sync_every(None).open(path).unwrap()
    }

    fn insert(&mut self, number: u8) -> u64 {
        Table::insert(self, &wide(number)).unwrap().to_u64()
    }

    fn insert_two(&mut self, between: &mut dyn FnMut()) {
        self.write(|transaction| {
            transaction.insert(&wide(1))?;
            between();
            transaction.insert(&wide(2))
        })
        .unwrap();
    }

    fn update(&mut self, id: u64, number: u8) {
        self.replace(RecordId::from_u64(id), &wide(number)).unwrap();
    }

    fn read(&mut self, id: u64) -> Option<[u8; 128]> {
        let row = self.get(RecordId::from_u64(id)).unwrap()?;
        let bytes = [row.words, row.more_words].concat();
        Some(bytes.try_into().unwrap())
    }

    fn count(&mut self) -> u64 {
        self.len().unwrap()
    }

    fn clean_up(&mut self) {
        Alteration::of(self.path()).apply().unwrap();
        self.reopen().unwrap();
    }
}

fn wide(number: u8) -> Wide {
    Wide { words: [number; 64], more_words: [number; 64] }
}

/// Records one after the other in a file, and what Buzhug remembered about it in each process.
struct NaiveFile {
    file: File,
    next_id: u64,
}

impl NaiveFile {
    fn write(&self, id: u64, number: u8) {
        self.file.write_all_at(&[number; 64], id * 128).unwrap();
        take_time();
        self.file.write_all_at(&[number; 64], id * 128 + 64).unwrap();
    }
}

impl Shared for NaiveFile {
    const NAME: &str = "naive";

    fn create(path: &Path) -> Self {
        File::create(path).unwrap();
        Self::open(path)
    }

    fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let next_id = file.metadata().unwrap().len() / 128;
        NaiveFile { file, next_id }
    }

    fn insert(&mut self, number: u8) -> u64 {
        self.write(self.next_id, number);
        self.next_id += 1;
        self.next_id - 1
    }

    fn insert_two(&mut self, between: &mut dyn FnMut()) {
        // With a lock around the whole; but the end of the inner call releases it.
        self.insert(1);
        between();
        self.insert(2);
    }

    fn update(&mut self, id: u64, number: u8) {
        self.write(id, number);
    }

    fn read(&mut self, id: u64) -> Option<[u8; 128]> {
        let mut bytes = [0; 128];
        self.file.read_exact_at(&mut bytes, id * 128).ok().map(|()| bytes)
    }

    fn count(&mut self) -> u64 {
        self.file.metadata().unwrap().len() / 128
    }

    fn clean_up(&mut self) {
        let records: Vec<u8> = (0..self.count()).map(|id| self.read(id).map_or(0, |bytes| bytes[0])).collect();
        self.file.set_len(0).unwrap();
        take_time();
        for (id, number) in (0..).zip(records) {
            self.write(id, number);
        }
    }
}

/// Most of the time that a naive call takes is between its halves.
fn take_time() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(200) {
        std::hint::spin_loop();
    }
}

fn insert<S: Shared>(path: &Path, _: &str) {
    let mut table = S::open(path);
    say("opened");
    hear();
    for number in 0..20 {
        say(table.insert(number));
    }
}

fn count<S: Shared>(path: &Path, _: &str) {
    let mut table = S::open(path);
    loop {
        hear();
        say(table.count());
    }
}

fn update_for_ever<S: Shared>(path: &Path, id: &str) {
    let (mut table, id) = (S::open(path), id.parse().unwrap());
    say("opened");
    for number in (0..=u8::MAX).cycle() {
        table.update(id, number);
    }
}

fn clean_up_for_ever<S: Shared>(path: &Path, _: &str) {
    let mut table = S::open(path);
    say("opened");
    loop {
        table.clean_up();
    }
}

fn spawn<S: Shared>(role: &str, path: &Path, argument: u64) -> Child {
    Child::spawn(&format!("{} {role}", S::NAME), path, argument)
}

fn is_whole(bytes: [u8; 128]) -> bool {
    bytes.iter().all(|byte| *byte == bytes[0])
}

/// Lets a child work for another while in each round, so that it is caught anywhere.
fn wait_a_while(round: u64, longest_us: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(round * 2_379 % longest_us) {
        std::hint::spin_loop();
    }
}

// -- fault 1 ---------------------------------------------------------------------------------------

fn check_that_no_id_is_given_out_twice<S: Shared>() -> Finding {
    let (_directory, path) = scratch();
    let mut table = S::create(&path);
    let mut children = [0, 1].map(|argument| spawn::<S>("inserts", &path, argument));
    children.iter_mut().for_each(|child| child.expect("opened"));
    children.iter_mut().for_each(|child| child.tell("go"));
    let mut ids: Vec<String> = children.iter_mut().flat_map(|child| [(); 20].map(|()| child.hear())).collect();
    ids.sort();
    ids.dedup();
    ensure(ids.len() == 40, "an id was given out twice")?;
    ensure(table.count() == 40, "the count is wrong")
}

fn check_that_no_reader_sees_half_a_write<S: Shared>() -> Finding {
    let (_directory, path) = scratch();
    let mut table = S::create(&path);
    let id = table.insert(0);
    let mut writer = spawn::<S>("updates", &path, id);
    writer.expect("opened");
    for round in 0..200 {
        wait_a_while(round, 2_000);
        writer.stop();
        let seen = table.read(id);
        writer.resume();
        ensure(seen.is_some_and(is_whole), "half a write was read")?;
    }
    Ok(())
}

fn check_that_a_call_inside_another_keeps_the_lock<S: Shared>() -> Finding {
    let (_directory, path) = scratch();
    let mut table = S::create(&path);
    let mut other = spawn::<S>("counts", &path, 0);
    let mut seen = || {
        other.tell("count");
        other.hear()
    };
    let mut seen_between = String::new();
    table.insert_two(&mut || seen_between = seen());
    ensure(seen_between == "0", "another process saw one of two that belong together")?;
    ensure(seen() == "2", "the count is wrong")
}

#[test]
fn fault_1_several_processes_corrupt_the_files() {
    assert_gone(
        check_that_no_id_is_given_out_twice::<Table<Wide>>(),
        check_that_no_id_is_given_out_twice::<NaiveFile>(),
        "an id was given out twice",
    );
    assert_gone(
        check_that_no_reader_sees_half_a_write::<Table<Wide>>(),
        check_that_no_reader_sees_half_a_write::<NaiveFile>(),
        "half a write was read",
    );
    assert_gone(
        check_that_a_call_inside_another_keeps_the_lock::<Table<Wide>>(),
        check_that_a_call_inside_another_keeps_the_lock::<NaiveFile>(),
        "another process saw one of two that belong together",
    );
}

// -- fault 2 ---------------------------------------------------------------------------------------

fn check_that_a_killed_writer_leaves_the_record_whole<S: Shared>() -> Finding {
    let (_directory, path) = scratch();
    let id = S::create(&path).insert(0);
    for round in 0..30 {
        let mut writer = spawn::<S>("updates", &path, id);
        writer.expect("opened");
        wait_a_while(round, 2_000);
        writer.kill();
        ensure(S::open(&path).read(id).is_some_and(is_whole), "a killed process left half a write")?;
    }
    Ok(())
}

fn check_that_a_killed_cleanup_loses_nothing<S: Shared>() -> Finding {
    let (_directory, path) = scratch();
    let mut table = S::create(&path);
    for number in 0..20 {
        table.insert(number);
    }
    drop(table);
    for round in 0..20 {
        let mut cleaner = spawn::<S>("cleans up", &path, 0);
        cleaner.expect("opened");
        wait_a_while(round, 20_000);
        cleaner.kill();
        ensure(S::open(&path).count() == 20, "a killed cleanup lost records")?;
    }
    Ok(())
}

#[test]
fn fault_2_a_process_that_is_killed_leaves_the_table_torn_or_loses_it() {
    assert_gone(
        check_that_a_killed_writer_leaves_the_record_whole::<Table<Wide>>(),
        check_that_a_killed_writer_leaves_the_record_whole::<NaiveFile>(),
        "a killed process left half a write",
    );
    assert_gone(
        check_that_a_killed_cleanup_loses_nothing::<Table<Wide>>(),
        check_that_a_killed_cleanup_loses_nothing::<NaiveFile>(),
        "a killed cleanup lost records",
    );
}
