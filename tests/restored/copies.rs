//! Backups that were made by copying a file, even under load, and put back when no process used it.

use super::{assert_good, open, use_busily};
use locule::RecoveryOutcome;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use test_kit::{Child, Role, Visits, insert_all, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[("write without end", write_without_end)];

/// So many slots that it takes a while to copy the file.
const CAPACITY: u64 = 2000;
const WRITER_COUNT: u64 = 4;

fn large() -> locule::OpenOptions<super::Visit> {
    options().capacity(CAPACITY)
}

/// Inserts, updates and deletes, of one record and of many.
fn write_without_end(path: &Path, argument: &str) {
    let writer: u64 = argument.parse().unwrap();
    let mut random = fastrand::Rng::with_seed(writer);
    let table = large().open(path).unwrap();
    say("writing");
    loop {
        // Not to get an order, but so that the lock is mostly free when a copy begins, and something happens while it
        // is made.
        std::thread::sleep(Duration::from_micros(random.u64(0..50)));
        let key = writer * 1000 + random.u64(0..300);
        match table.find(&key).unwrap() {
            Some(row) if random.bool() => drop(table.delete(row.id()).unwrap()),
            Some(row) => drop(table.update(row.id(), |content| *content = visit(key, content.hits + 1)).unwrap()),
            None => drop(table.insert(&visit(key, 0)).unwrap()),
        }
        if random.u32(0..8) == 0 {
            let keys: Vec<u64> = (0..20).map(|_| writer * 1000 + random.u64(0..300)).collect();
            table
                .write(|transaction| {
                    keys.iter().try_for_each(|key| match transaction.find(key)? {
                        Some(row) => transaction.delete(row.id()),
                        None => transaction.insert(&visit(*key, 0)).map(drop),
                    })
                })
                .unwrap();
        }
    }
}

/// How a backup is put back.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Over the file, as `cp` does.
    Over,
    /// In place of the file, as `rm` and `cp` do: mostly with the same inode number.
    Instead,
}

#[test]
fn a_backup_made_under_load_and_put_back_contradicts_itself_nowhere() {
    let (directory, path) = scratch();
    let backup = directory.path().join("backup");
    let table = large().create(&path).unwrap();
    insert_all(&table, 9000..9100);
    let mut random = fastrand::Rng::with_seed(7);
    let mut recovery_count = 0;
    let mut table = Some(table);
    for round in 0..10 {
        let writers: Vec<_> = (0..WRITER_COUNT)
            .map(|writer| {
                let mut child = Child::spawn("write without end", &path, writer);
                child.expect("writing");
                child
            })
            .collect();
        let mut backups = Vec::new();
        for _ in 0..2 {
            // No other process syncs, and none does while the file is copied: so there always is a state in it that is
            // whole.
            table.as_ref().unwrap().sync().unwrap();
            std::fs::copy(&path, &backup).unwrap();
            backups.push(std::fs::read(&backup).unwrap());
        }
        drop(writers);
        drop(table.take());
        for bytes in backups {
            let way = if random.bool() { Way::Over } else { Way::Instead };
            let inode = std::fs::metadata(&path).unwrap().ino();
            match way {
                Way::Over => assert_eq!(
                    {
                        std::fs::write(&path, &bytes).unwrap();
                        std::fs::metadata(&path).unwrap().ino()
                    },
                    inode
                ),
                Way::Instead => {
                    std::fs::remove_file(&path).unwrap();
                    std::fs::write(&path, &bytes).unwrap();
                }
            }
            let restored = large().open(&path).unwrap();
            recovery_count += u32::from(restored.recovery().outcome != RecoveryOutcome::InOrder);
            assert_good(&restored, &path);
            // What was there before all of that is there.
            (9000..9100).for_each(|key| assert!(restored.contains_key(&key).unwrap(), "{round}, {way:?}: {key}"));
            use_busily(&restored, 500, &mut random);
            assert_good(&restored, &path);
        }
        table = Some(large().open(&path).unwrap());
    }
    assert!(recovery_count > 0);
}

/// Every id and version that a table gives out while it is used for a while.
fn given_out(table: &Visits) -> BTreeSet<(&'static str, u64)> {
    let mut given_out = BTreeSet::new();
    for round in 0..20 {
        for key in 100..120 {
            let (id, version) = table.insert_versioned(&visit(key, round)).unwrap();
            assert!(given_out.insert(("id", id.into())) && given_out.insert(("version", version)));
            assert!(given_out.insert(("version", table.delete(id).unwrap())));
        }
    }
    given_out
}

#[test]
fn what_was_given_out_after_a_backup_does_not_come_again_in_what_is_restored_to_another_file() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..10);
    table.close().unwrap();
    let backup = std::fs::read(&path).unwrap();

    // The original goes on, loses something, and goes on.
    let table = open(&path);
    let mut known = given_out(&table);
    drop(table);
    let mut image = super::Image::of(&path);
    *image.control(super::FAILED) = 1;
    image.put_back(&path);
    let table = open(&path);
    assert_ne!(table.recovery().outcome, RecoveryOutcome::InOrder);
    known.append(&mut given_out(&table));

    // A file that is made where another was deleted: mostly with the same inode number, but born later.
    drop(table);
    for _ in 0..3 {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &backup).unwrap();
        let restored = open(&path);
        if std::fs::metadata(&path).unwrap().created().is_err() {
            eprintln!("skipped: the file system does not say when a file was made");
            break;
        }
        assert_ne!(restored.recovery().outcome, RecoveryOutcome::InOrder);
        let given_out = given_out(&restored);
        assert!(known.is_disjoint(&given_out), "{:?}", known.intersection(&given_out).collect::<Vec<_>>());
        known.extend(given_out);
        assert_good(&restored, &path);
    }

    // Two files beside it, and one that takes its name.
    let original_inode = std::fs::metadata(&path).unwrap().ino();
    let mut restored_inodes = BTreeSet::from([original_inode]);
    for name in ["first.loc", "second.loc", "visits.loc"] {
        let new = directory.path().join("new");
        std::fs::write(&new, &backup).unwrap();
        let path = directory.path().join(name);
        std::fs::rename(&new, &path).unwrap();
        assert!(restored_inodes.insert(std::fs::metadata(&path).unwrap().ino()));
        let restored = open(&path);
        assert_ne!(restored.recovery().outcome, RecoveryOutcome::InOrder);
        let given_out = given_out(&restored);
        assert!(known.is_disjoint(&given_out), "{name}: {:?}", known.intersection(&given_out).collect::<Vec<_>>());
        known.extend(given_out);
        assert_good(&restored, &path);
        // So that its inode is not given to the next.
        std::mem::forget(restored);
    }
}
