//! Copies that are made while eight processes write and sync, and put back: over the table, in its place, or under another name.
//! Some of them hold no state that is whole.

use super::{assert_good, use_busily};
use locule::{Error, RecoveryOutcome};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use test_kit::{Child, Role, Visits, options, say, scratch, visit, wait_until};

pub const ROLES: &[(&str, Role)] = &[("write and sync without end", write_and_sync_without_end)];

const WRITER_COUNT: u64 = 8;
const COPY_COUNT: usize = 20;

/// Inserts, changes and deletes records with keys of its own, alone and in transactions.
fn write_and_sync_without_end(path: &Path, argument: &str) {
    let table = options().sync_every(Some(Duration::from_millis(20))).open(path).unwrap();
    let worker_file: u64 = argument.parse().unwrap();
    let mut random = fastrand::Rng::with_seed(worker_file);
    say("writing");
    for step in 0.. {
        let [first, second] = [(); 2].map(|()| worker_file * 7 + random.u64(0..6));
        let outcome = match random.u32(0..5) {
            0 => table.upsert(&visit(first, step)).map(drop),
            1 => match table.find(&first).unwrap() {
                Some(row) => table.delete(row.id()).map(drop),
                None => table.insert(&visit(first, step)).map(drop),
            },
            2 => table.write(|transaction| {
                transaction.upsert(&visit(first, step))?;
                transaction.upsert(&visit(second, step)).map(drop)
            }),
            _ => match table.find(&second).unwrap() {
                Some(row) => table.replace(row.id(), &visit(second, step)).map(drop),
                None => table.insert(&visit(second, step)).map(drop),
            },
        };
        outcome.unwrap();
    }
}

/// Copies a file piece by piece, as `cp` does, while others write to it.
fn copy(from: &Path, to: &Path, piece_bytes: usize) {
    let (mut from, mut to) = (File::open(from).unwrap(), File::create(to).unwrap());
    let mut piece = vec![0; piece_bytes];
    loop {
        match from.read(&mut piece).unwrap() {
            0 => return,
            length => to.write_all(&piece[..length]).unwrap(),
        }
    }
}

/// Makes a table that eight processes write to, and copies of it meanwhile; then all of them are killed.
fn copies_made_under_load(path: &Path, directory: &Path) -> Vec<PathBuf> {
    drop(options().create(path).unwrap());
    let mut writers: Vec<Child> =
        (0..WRITER_COUNT).map(|worker_file| Child::spawn("write and sync without end", path, worker_file)).collect();
    writers.iter_mut().for_each(|writer| writer.expect("writing"));
    let reader = options().open_read_only(path).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let copies = (0..COPY_COUNT).map(|number| {
        let moment = reader.status().last + random.u64(1..20_000);
        wait_until("the writers go on", || reader.status().last >= moment);
        let copied = directory.join(format!("copy {number}"));
        copy(path, &copied, if number % 2 == 0 { 4096 } else { 1 << 20 });
        copied
    });
    let copies = copies.collect();
    writers.iter_mut().for_each(Child::kill);
    copies
}

/// Opens what was put back. Nothing in it contradicts anything else, now or later; or it is refused, since the copy
/// holds no state that is whole.
fn open_and_use(path: &Path, number: usize) -> Option<Visits> {
    let table = match options().open(path) {
        Err(Error::Damaged { .. }) => return None,
        table => table.unwrap(),
    };
    println!("copy {number}: {}", table.recovery());
    assert_good(&table, path);
    use_busily(&table, 1000, &mut fastrand::Rng::with_seed(5));
    assert_good(&table, path);
    Some(table)
}

/// One is refused if its cells were written to twice while it was made, and a sync was made too.
#[track_caller]
fn assert_most_were_opened(opened_count: usize) {
    assert!(opened_count >= COPY_COUNT / 2, "{opened_count} of {COPY_COUNT} could be opened");
}

#[test]
fn a_copy_that_raced_syncs_and_was_put_back_is_in_order_recovered_or_refused() {
    let (directory, path) = scratch();
    let mut opened_count = 0;
    for (number, copied) in copies_made_under_load(&path, directory.path()).iter().enumerate() {
        // Over the same file, and in its place, where it often gets the same inode.
        if number % 4 >= 2 {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, fs::read(copied).unwrap()).unwrap();
        opened_count += usize::from(open_and_use(&path, number).is_some());
    }
    assert_most_were_opened(opened_count);
}

#[test]
fn a_copy_that_raced_syncs_is_recovered_or_refused_under_another_name() {
    let (directory, path) = scratch();
    let mut opened_count = 0;
    for (number, copied) in copies_made_under_load(&path, directory.path()).iter().enumerate() {
        if let Some(table) = open_and_use(copied, number) {
            assert!(!table.recovery().nothing_lost && table.recovery().outcome != RecoveryOutcome::InOrder);
            opened_count += 1;
        }
    }
    assert_most_were_opened(opened_count);
    // The table itself, whose writers were killed, is as they left it.
    assert!(open_and_use(&path, COPY_COUNT).unwrap().recovery().nothing_lost);
}
