//! The hot operations, each beside the floor below which no store can get: `cargo bench` measures both in one run and
//! prints their ratios, since absolute figures drift from one machine and moment to the next.
//!
//! The floors: `copy` reads a random record out of a plain array, `crc` is the CRC-32 of a record, `lock` an uncontended lock
//! and unlock of a mutex of our kind, `flush` the fdatasync of one page that was just overwritten. The rows that begin with `bare`
//! are what the layout and the kernel alone cost, see [`bare`]. `small` and `sparse` are the same 5,000 records of 16 bytes, in a table
//! of 10,000 slots and in one of a million. `flush, 25 pages` is what a sync costs the disk when half of 50
//! processes have written a record each since the one before.

mod bare;
mod summary;

use bare::Bare;
use criterion::{BenchmarkId, Criterion, SamplingMode};
use locule::testing::SharedMutex;
use locule::{Condition, RecordId, Table};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use summary::Summary;

const RECORD_COUNT: u64 = 5_000;
const CAPACITY: u64 = 10_000;
const CHANGE_COUNT: u64 = 100;
const PAGE_BYTES: usize = 4096;
/// The first argument of this program when it starts itself to measure an attachment.
const ATTACH: &str = "attach-and-read";
/// The same, to measure the part of it that the kernel and the processor take.
const ATTACH_BARE: &str = "attach-bare";

locule::record! {
    /// 16 bytes of key and 112 of payload.
    struct Item {
        key id: u128,
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64,
        h: u64, i: u64, j: u64, k: u64, l: u64, m: u64, n: u64,
    }
}

locule::record! {
    /// 16 bytes.
    struct Counter { key id: u64, count: u64 }
}

fn item(id: u64) -> Item {
    Item { id: id.into(), a: id, n: !id, ..Item::default() }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(first), Some(path)) if first == ATTACH => return report_duration_of(|| attach_and_read(path.as_ref())),
        (Some(first), Some(path)) if first == ATTACH_BARE => return report_duration_of(|| bare::attach(path.as_ref())),
        _ => {}
    }
    let directory = tempfile::tempdir().unwrap();
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut bench = Bench { criterion: &mut criterion, summary: Summary::default() };
    let path = directory.path().join("items.loc");
    let table = Table::<Item>::options().capacity(CAPACITY).sync_every(None).prefault(true).create(&path).unwrap();
    for id in 0..RECORD_COUNT {
        table.insert(&item(id)).unwrap();
    }
    floors(&mut bench, directory.path());
    reads(&mut bench, &table, &path);
    changes(&mut bench, &table);
    writes(&mut bench, &table);
    scale(&mut bench, directory.path(), CAPACITY, ["small find", "small update", "small insert + delete"]);
    scale(&mut bench, directory.path(), 1_000_000, ["sparse find", "sparse update", "sparse insert + delete"]);
    bench.few("attach + first read", |count| (0..count).map(|_| duration_in_a_child(ATTACH, &path)).sum());
    bench.few("bare attach", |count| (0..count).map(|_| duration_in_a_child(ATTACH_BARE, &path)).sum());
    bench.summary.print();
    criterion.final_summary();
}

fn floors(bench: &mut Bench<'_>, directory: &Path) {
    let records: Vec<[u64; 16]> = (0..RECORD_COUNT).map(|id| [id; 16]).collect();
    bench.many("copy", |random| records[random]);
    bench.many("crc", |random| crc32fast::hash(bytemuck::cast_slice(&records[random])));
    let mutex = SharedMutex::create(directory.join("mutex")).unwrap();
    bench.many("lock", |_| mutex.lock_and_unlock().unwrap());
    let mut bare = Bare::new(RECORD_COUNT as usize, CAPACITY as usize);
    bench.many("bare find", |random| bare.find(random as u64));
    bench.many("bare update", |random| bare.update(random, &mutex, |record| record[3] += 1));
    bench.many("bare insert + delete", |random| bare.insert_and_delete(&[RECORD_COUNT + random as u64; 16], &mutex));
    let file = File::create_new(directory.join("pages")).unwrap();
    let page_count = 1_600;
    file.write_all_at(&vec![1; page_count * PAGE_BYTES], 0).unwrap();
    file.sync_all().unwrap();
    let mut round = 0_usize;
    for (name, changed_count) in [("flush", 1), ("flush, 25 pages", 25)] {
        bench.few(name, |count| {
            let start = Instant::now();
            for _ in 0..count {
                for _ in 0..changed_count {
                    round += 1;
                    let page = [u8::try_from(round % 251).unwrap(); PAGE_BYTES];
                    // Pages that are far from each other.
                    file.write_all_at(&page, (round * 607 % page_count * PAGE_BYTES) as u64).unwrap();
                }
                file.sync_data().unwrap();
            }
            start.elapsed()
        });
    }
}

fn reads(bench: &mut Bench<'_>, table: &Table<Item>, path: &Path) {
    let unverified = Table::<Item>::options().sync_every(None).verify_reads(false).prefault(true).open(path).unwrap();
    let ids = ids_of(table);
    bench.many("find, unverified", |random| unverified.find(&(random as u128)));
    bench.many("find, absent", |random| unverified.find(&(random as u128 + (1 << 64))));
    bench.many("find", |random| table.find(&(random as u128)));
    bench.many("get", |random| table.get(ids[random]));
    bench.many("len", |_| table.len());
    bench.each("iterate, a record", RECORD_COUNT, || table.iter().map(black_box).count());
    bench.each("select, a record", RECORD_COUNT, || table.select(|item| item.a < RECORD_COUNT / 100));
    let matching = |condition: Condition| move || table.query().filter(condition.clone()).rows();
    bench.each("scan for none, a record", RECORD_COUNT, matching(Item::FIELDS.b.gt(u64::MAX - 1)));
    bench.each("scan for 1 %, a record", RECORD_COUNT, matching(Item::FIELDS.a.lt(RECORD_COUNT / 100)));
}

/// Only what is there to be read is measured: waiting for it is not.
fn changes(bench: &mut Bench<'_>, table: &Table<Item>) {
    let ids = ids_of(table);
    let before = table.cursor().unwrap();
    for id in ids.iter().take(CHANGE_COUNT as usize) {
        table.update(*id, |item| item.b += 1).unwrap();
    }
    let after = table.cursor().unwrap();
    bench.many("changes, none", |_| table.changes_since(&after));
    bench.each("changes, each of 100", CHANGE_COUNT, || table.changes_since(&before));
}

fn writes(bench: &mut Bench<'_>, table: &Table<Item>) {
    let ids = ids_of(table);
    bench.many("update", |random| table.update(ids[random], |item| item.b += 1));
    bench.many("replace", |random| table.replace(ids[random], &item(random as u64)));
    let mut id = RECORD_COUNT;
    bench.many("insert + delete", |_| {
        id += 1;
        table.delete(table.insert(&item(id)).unwrap())
    });
    bench.few("durable write + sync", |count| {
        let start = Instant::now();
        for round in 0..count {
            let id = ids[(round * 7 % RECORD_COUNT) as usize];
            table.update(id, |item| item.b += 1).unwrap();
            table.sync().unwrap();
        }
        start.elapsed()
    });
}

/// The same few records in a table of any size.
fn scale(bench: &mut Bench<'_>, directory: &Path, capacity: u64, [find, update, insert_and_delete]: [&'static str; 3]) {
    let path = directory.join("counters.loc");
    let table = Table::<Counter>::options().capacity(capacity).sync_every(None).create(&path).unwrap();
    for id in 0..RECORD_COUNT {
        table.insert(&Counter { id, count: 0 }).unwrap();
    }
    bench.many(find, |random| table.find(&(random as u64)));
    bench.many(update, |random| table.update_by_key(&(random as u64), |counter| counter.count += 1));
    let mut id = RECORD_COUNT;
    bench.many(insert_and_delete, |_| {
        id += 1;
        table.delete(table.insert(&Counter { id, count: 0 }).unwrap())
    });
    std::fs::remove_file(path).unwrap();
}

/// The ids of the records, in the order of their keys. Not whole rows, which would push the table out of the cache.
fn ids_of(table: &Table<Item>) -> Vec<RecordId> {
    (0..RECORD_COUNT).map(|id| table.find(&u128::from(id)).unwrap().unwrap().id()).collect()
}

struct Bench<'a> {
    criterion: &'a mut Criterion,
    summary: Summary,
}

impl Bench<'_> {
    /// Measures what takes nanoseconds. Each call is given a random number below the number of records, and its result
    /// is looked at in place: moving it would be measured too.
    fn many<R>(&mut self, name: &'static str, mut operation: impl FnMut(usize) -> R) {
        // Made before, so that the floors are not raised by the time that it takes to make one.
        let mut source = fastrand::Rng::with_seed(1);
        let randoms: Vec<usize> = (0..1 << 14).map(|_| source.usize(..RECORD_COUNT as usize)).collect();
        let summary = &mut self.summary;
        self.criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                for round in 0..count as usize {
                    black_box(&operation(randoms[round % (1 << 14)]));
                }
                summary.add(name, start.elapsed(), count)
            });
        });
    }

    /// Measures an operation on many records, and counts the time of each.
    fn each<R>(&mut self, name: &'static str, record_count: u64, mut operation: impl FnMut() -> R) {
        self.few(name, |count| {
            let start = Instant::now();
            (0..count).for_each(|_| drop(black_box(operation())));
            start.elapsed() / u32::try_from(record_count).unwrap()
        });
    }

    /// Measures what takes long: the operation is given a count and returns how long that many took.
    fn few(&mut self, name: &'static str, mut operation: impl FnMut(u64) -> Duration) {
        let summary = &mut self.summary;
        let mut group = self.criterion.benchmark_group("slow");
        group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_millis(100));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|count| summary.add(name, operation(count), count));
        });
    }
}

// -- attaching in a new process --------------------------------------------------------------------

fn attach_and_read(path: &Path) -> bool {
    let table = Table::<Item>::open(path).unwrap();
    table.find(&(RECORD_COUNT as u128 / 2)).unwrap().is_some()
}

/// What the child does: it prints how many nanoseconds the body took.
fn report_duration_of(body: impl FnOnce() -> bool) {
    let start = Instant::now();
    let is_done = body();
    let elapsed = start.elapsed();
    assert!(is_done);
    println!("{}", elapsed.as_nanos());
}

fn duration_in_a_child(what: &str, path: &Path) -> Duration {
    let child = Command::new(std::env::current_exe().unwrap()).arg(what).arg(path).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    Duration::from_nanos(String::from_utf8(child.stdout).unwrap().trim().parse().unwrap())
}
