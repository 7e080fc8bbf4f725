//! Garbage is written over everything in a table except its header and its mutexes, while processes read and write it:
//! they get errors or right records, and none crashes, hangs or panics. The seeds are fixed.

use locule::testing::SharedWords;
use locule::{Error, RecordId};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use test_kit::{Child, Visits, assert_consistent, assert_whole, hear, options, say, scratch, visit};

/// More keys than this are used than are in the table, so that some are absent.
const KEY_COUNT: u64 = 90;
const OPERATION_COUNT: u64 = 200;
/// Words of the control region, from its start: what the two mutexes have, and the words that end the use of a table.
const MUTEX_WORDS: usize = 16;
const END_WORDS: Range<usize> = 16..19;
/// The bit of a head word that says that the slot's current cell is a record and not a tombstone.
const LIVE_BIT: u64 = 1 << 61;

#[test]
fn child_process() {
    test_kit::play(&[("read", read), ("write", write)]);
}

/// Waits for the message to start, works for a while, and says how many operations succeeded and failed.
fn work(path: &Path, argument: &str, mut operation: impl FnMut(&Visits, &mut fastrand::Rng) -> locule::Result<()>) {
    let table = options().open(path).unwrap();
    let mut random = fastrand::Rng::with_seed(argument.parse().unwrap());
    say("ready");
    loop {
        hear();
        let (mut success_count, mut error_count) = (0, 0);
        for _ in 0..OPERATION_COUNT {
            match operation(&table, &mut random) {
                Ok(()) => success_count += 1,
                Err(_) => error_count += 1,
            }
        }
        let _ = table.reopen();
        say(format!("{success_count} {error_count}"));
    }
}

fn read(path: &Path, argument: &str) {
    let mut ids = vec![RecordId::from_u64(0)];
    work(path, argument, |table, random| {
        let key = random.u64(0..KEY_COUNT);
        match random.u32(0..6) {
            0 => {
                for row in table {
                    let row = row?;
                    assert_whole(&row);
                    ids.push(row.id());
                }
            }
            1 => {
                let id = ids[random.usize(0..ids.len())];
                if let Some(row) = table.get(id)? {
                    assert_eq!(row.id(), id);
                    assert_whole(&row);
                }
            }
            2 => {
                table.snapshot(|snapshot| snapshot.find(&key).map(drop))?;
            }
            3 => {
                let _ = (table.status(), table.len()?);
            }
            _ => {
                if let Some(row) = table.find(&key)? {
                    assert_eq!(row.visitor, key);
                    assert_whole(&row);
                }
            }
        }
        ids.truncate(1000);
        Ok(())
    });
}

fn write(path: &Path, argument: &str) {
    work(path, argument, |table, random| {
        let (key, hits) = (random.u64(0..KEY_COUNT), random.u64(0..1000));
        match random.u32(0..6) {
            0 => drop(table.insert(&visit(key, hits))?),
            1 => drop(table.upsert(&visit(key, hits))?),
            2 => {
                if let Some(row) = table.find(&key)? {
                    table.update(row.id(), |visit| *visit = test_kit::visit(visit.visitor, visit.hits + 1))?;
                }
            }
            3 => {
                if let Some(row) = table.find(&key)? {
                    table.delete(row.id())?;
                }
            }
            4 => table.write(|transaction| {
                for key in key..key + random.u64(0..40) {
                    match transaction.find(&key)? {
                        Some(row) if row.hits % 2 == 0 => transaction.delete(row.id())?,
                        _ => drop(transaction.upsert(&visit(key, hits))?),
                    }
                }
                Ok(())
            })?,
            _ => {
                if random.u32(0..20) == 0 {
                    table.sync()?;
                }
            }
        }
        Ok(())
    });
}

/// The regions of a table that may be written over, in words, from its header.
fn regions(words: &SharedWords) -> Vec<Range<usize>> {
    // The offsets of control, intents, heads, free stack, index, sync records, cells and the end, in bytes.
    let offsets: Vec<_> = words.words()[8..16].iter().map(|offset| offset.load(Ordering::Relaxed) / 8).collect();
    let offsets: Vec<_> = offsets.into_iter().map(|offset| usize::try_from(offset).unwrap()).collect();
    let mut regions: Vec<_> = offsets.windows(2).map(|pair| pair[0]..pair[1]).collect();
    assert_eq!(regions.last().unwrap().end, words.words().len());
    regions[0].start += MUTEX_WORDS;
    // Only the words that are in use, or most garbage would hit what is never read.
    regions[0].end = regions[0].start + 47;
    regions[5].end = regions[5].start + 7;
    regions
}

/// Writes garbage over one word; what would end the use of the table, seldom.
fn scribble(words: &SharedWords, regions: &[Range<usize>], random: &mut fastrand::Rng) {
    let region = &regions[random.usize(0..regions.len())];
    let at = random.usize(region.clone());
    let control = regions[0].start - MUTEX_WORDS;
    if (END_WORDS.start..END_WORDS.end).contains(&at.wrapping_sub(control)) && random.u32(0..50) != 0 {
        return;
    }
    let old = words.words()[at].load(Ordering::Relaxed);
    let new = match random.u32(0..7) {
        0 => 0,
        1 => u64::MAX,
        2 => random.u64(0..200),
        3 => old ^ 1 << random.u32(0..64),
        4 => old.wrapping_add(1),
        5 => words.words()[random.usize(region.clone())].load(Ordering::Relaxed),
        _ => random.u64(..),
    };
    words.words()[at].store(new, Ordering::Relaxed);
}

/// A table that is half full, its words, and a good copy of those that may be written over.
fn prepare(path: &Path) -> (SharedWords, Vec<Range<usize>>, Vec<(usize, u64)>) {
    let table = options().create(path).unwrap();
    for key in 0..50 {
        table.insert(&visit(key, 0)).unwrap();
    }
    for key in (0..50).step_by(5) {
        table.delete(table.find(&key).unwrap().unwrap().id()).unwrap();
    }
    table.sync().unwrap();
    let words = SharedWords::open(path).unwrap();
    let regions = regions(&words);
    let whole = regions[0].start..words.words().len();
    let good = whole.map(|at| (at, words.words()[at].load(Ordering::Relaxed))).collect();
    (words, regions, good)
}

fn restore(words: &SharedWords, good: &[(usize, u64)]) {
    for (at, word) in good {
        words.words()[*at].store(*word, Ordering::Relaxed);
    }
}

/// A tombstone's checksum does not cover the payload behind it. A head that called one live once gave that payload out, as
/// a record that had never been.
#[test]
fn a_flipped_bit_in_a_head_does_not_make_a_record_of_a_deleted_one() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let id = table.insert(&visit(1, 1)).unwrap();
    table.delete(id).unwrap();
    let words = SharedWords::open(&path).unwrap();
    let head = &words.words()[regions(&words)[2].start];
    assert_ne!(head.load(Ordering::Relaxed), 0);
    head.fetch_xor(LIVE_BIT, Ordering::Relaxed);
    assert!(matches!(table.get(id), Err(Error::Damaged { .. })));
    assert!(matches!(table.iter().next(), Some(Err(Error::Damaged { .. }))));
}

#[test]
fn garbage_under_readers_and_writers_is_an_error_or_right_data_and_never_a_crash_or_a_hang() {
    let (_directory, path) = scratch();
    let (words, regions, good) = prepare(&path);
    let mut children: Vec<_> =
        (0..4).map(|seed| Child::spawn(if seed < 2 { "read" } else { "write" }, &path, seed)).collect();
    children.iter_mut().for_each(|child| child.expect("ready"));
    let mut random = fastrand::Rng::with_seed(11);
    let (mut success_count, mut error_count) = (0, 0);
    for _ in 0..200 {
        children.iter_mut().for_each(|child| child.tell("go"));
        // From hardly any to everything in ruins.
        let scribble_count = 1 << random.u32(0..13);
        for _ in 0..scribble_count {
            scribble(&words, &regions, &mut random);
            // Now and then the others get on with their work.
            if random.u32(0..scribble_count) < 20 {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        for child in &mut children {
            let message = child.hear();
            let (successes, errors) = message.split_once(' ').unwrap();
            success_count += successes.parse::<u64>().unwrap();
            error_count += errors.parse::<u64>().unwrap();
        }
        restore(&words, &good);
    }
    // Garbage that no process meets, or that none survives, would test nothing.
    assert!(success_count > 10_000 && error_count > 10_000, "{success_count} successes, {error_count} errors");
    assert_consistent(&options().open(&path).unwrap());
}

#[test]
fn a_file_full_of_garbage_is_refused_or_recovered_and_then_a_table_like_any_other() {
    let (directory, path) = scratch();
    let (words, regions, good) = prepare(&path);
    let mut random = fastrand::Rng::with_seed(12);
    let (mut recovered_count, mut refused_count) = (0, 0);
    for round in 0..300 {
        for _ in 0..1 << random.u32(0..8) {
            scribble(&words, &regions, &mut random);
        }
        let copy = directory.path().join(format!("copy {round}.loc"));
        std::fs::copy(&path, &copy).unwrap();
        let seen_read_only = options().open_read_only(&copy).map(|table| test_kit::keys(&table));
        match options().open(&copy) {
            Ok(table) => {
                recovered_count += 1;
                assert_consistent(&table);
                assert_eq!(seen_read_only.unwrap(), test_kit::keys(&table));
                // The table is in order: every slot can be filled and emptied.
                for key in 1000.. {
                    match table.insert(&visit(key, 0)) {
                        Ok(_) => {}
                        Err(Error::Full { live_count: 64, capacity: 64, retired_count: 0 }) => break,
                        Err(error) => panic!("expected a full table, found {error}: {:?}", table.status()),
                    }
                }
                assert_consistent(&table);
                table.write(|transaction| table.iter().try_for_each(|row| transaction.delete(row?.id()))).unwrap();
                assert!(table.is_empty().unwrap());
                table.close().unwrap();
            }
            Err(Error::Damaged { .. }) => {
                refused_count += 1;
                assert!(matches!(seen_read_only, Err(Error::Damaged { .. })));
            }
            Err(error) => panic!("expected damage, found {error:?}"),
        }
        std::fs::remove_file(&copy).unwrap();
        restore(&words, &good);
    }
    assert!(recovered_count > 20 && refused_count > 20, "{recovered_count} recovered, {refused_count} refused");
}
