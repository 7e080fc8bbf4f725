//! A clean shutdown spares the next opener the proof: but only of the control group that it was made for, and only once.

use super::common::{Child, Role, Visits, hear, insert_all, options, say, scratch, visit};
use super::{Image, assert_good, mix, open, use_busily};
use locule::testing::SharedWords;
use locule::{Error, RecoveryOutcome};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

pub const ROLES: &[(&str, Role)] = &[("open and wait", open_and_wait)];

const CLEAN_CHANGE_TIME: usize = 72;
const CLEAN_SEAL: usize = 73;

fn open_and_wait(path: &Path, _: &str) {
    let _table = open(path);
    say("open");
    hear();
}

/// A table that was shut down cleanly, with the keys 0 to 9.
fn clean_table(path: &Path) {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..10);
    table.close().unwrap();
    assert!(has_mark(path));
}

fn has_mark(path: &Path) -> bool {
    *Image::of(path).control(CLEAN_SEAL) != 0
}

#[track_caller]
fn assert_is_whole(table: &Visits, path: &Path) {
    assert_eq!(super::common::keys(table), (0..10).collect::<Vec<_>>());
    assert_good(table, path);
    use_busily(table, 300, &mut fastrand::Rng::with_seed(7));
    assert_good(table, path);
}

/// The file's words, mapped: a store through this mapping moves the file's time on once, and then no more until the
/// page is written back.
struct Mapped(SharedWords);

impl Mapped {
    fn word(&self, offset_field: usize, index: usize) -> &AtomicU64 {
        let start = usize::try_from(self.0.words()[offset_field].load(Ordering::Relaxed) / 8).unwrap();
        &self.0.words()[start + index]
    }
}

#[test]
fn a_clean_shutdown_is_not_believed_of_another_control_group() {
    // A head, and an entry of the free stack.
    for (offset_field, index) in [(10, 2), (11, 20)] {
        let (_directory, path) = scratch();
        clean_table(&path);
        let mapped = Mapped(SharedWords::open(&path).unwrap());
        mapped.word(offset_field, index).fetch_xor(1 << 62, Ordering::Relaxed);
        let change_time = mapped.word(8, CLEAN_CHANGE_TIME);
        change_time.fetch_xor(1, Ordering::Relaxed);
        // The time of the file reveals nothing.
        let metadata = std::fs::metadata(&path).unwrap();
        let [seconds, nanoseconds] = [metadata.ctime(), metadata.ctime_nsec()].map(|part| u64::try_from(part).unwrap());
        change_time.store(mix(seconds, nanoseconds, 0), Ordering::Relaxed);
        let table = open(&path);
        assert_eq!(table.recovery().outcome, RecoveryOutcome::Newest);
        assert_is_whole(&table, &path);
    }
}

#[test]
fn a_clean_shutdown_is_believed_once() {
    let (_directory, path) = scratch();
    clean_table(&path);
    let mut child = Child::spawn("open and wait", &path, "");
    child.expect("open");
    assert!(!has_mark(&path));
    child.kill();
    // It did nothing, but it might have.
    assert!(!has_mark(&path));
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    assert_is_whole(&table, &path);
}

#[test]
fn no_shutdown_is_clean_while_others_use_the_table_or_something_is_not_synced() {
    let (_directory, path) = scratch();
    clean_table(&path);
    let mut child = Child::spawn("open and wait", &path, "");
    child.expect("open");
    open(&path).close().unwrap();
    assert!(!has_mark(&path));
    child.tell("end");
    child.finish();
    assert!(has_mark(&path));
    let table = open(&path);
    table.insert(&visit(10, 0)).unwrap();
    drop(table);
    assert!(!has_mark(&path));
}

/// The cells of a transaction that was given up are wiped in memory. If the file system is lost then, and the mark is
/// not, they are back, and no process looks for them.
#[test]
fn no_shutdown_is_clean_after_something_was_given_up_that_no_sync_has_wiped_on_the_disk() {
    let (_directory, path) = scratch();
    clean_table(&path);
    let table = open(&path);
    let outcome = table.write(|transaction| {
        transaction.insert(&visit(20, 0))?;
        Err::<(), _>(Error::caller("given up"))
    });
    assert!(matches!(outcome, Err(Error::Caller { .. })));
    table.close().unwrap();
    assert!(!has_mark(&path));
    let table = open(&path);
    assert_eq!(table.recovery().outcome, RecoveryOutcome::InOrder);
    table.upsert(&visit(0, 0)).unwrap();
    table.close().unwrap();
    assert!(has_mark(&path));
    assert_is_whole(&open(&path), &path);
}
