//! An id that was told inside a transaction, which was then given up, later named another record: a user that had
//! written the id down elsewhere found that record.

use super::{FAILED, Image, assert_good, open};
use locule::{Error, RecordId, RecoveryOutcome};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use test_kit::{Child, Role, Visits, hear, insert_all, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[("stage", stage), ("stage a change", stage_a_change)];

/// Inserts a few records, tells their ids, and waits inside the transaction.
fn stage(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    table
        .write(|transaction| {
            for key in 20..25 {
                say(u64::from(transaction.insert(&visit(key, 0))?));
            }
            hear();
            Ok(())
        })
        .unwrap();
}

/// A process that is killed inside such a transaction; the ids that it was told.
fn staged_by_the_dead(path: &Path) -> Vec<RecordId> {
    let mut child = Child::spawn("stage", path, "");
    let ids = (0..5).map(|_| RecordId::from_u64(child.hear().parse::<u64>().unwrap())).collect();
    child.kill();
    ids
}

/// Uses every slot a few times over.
#[track_caller]
fn assert_not_given_out(table: &Visits, gone: &BTreeSet<RecordId>) {
    for id in gone {
        assert_eq!(table.get(*id).unwrap(), None);
        assert!(matches!(table.delete(*id), Err(Error::NotFound { .. })));
    }
    for _ in 0..3 {
        for key in 30..80 {
            let id = table.insert(&visit(key, 0)).unwrap();
            assert!(!gone.contains(&id), "{id:?} was given out before");
        }
        for key in 30..80 {
            table.delete(table.find(&key).unwrap().unwrap().id()).unwrap();
        }
    }
}

#[test]
fn an_id_of_a_transaction_that_was_given_up_is_not_given_out_again() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..10);
    let mut gone = BTreeSet::new();

    let outcome = table.write(|transaction| {
        for key in 20..25 {
            gone.insert(transaction.insert(&visit(key, 0))?);
        }
        // In a slot that the transaction itself made free.
        transaction.delete(*gone.first().unwrap())?;
        gone.insert(transaction.insert(&visit(20, 0))?);
        Err::<(), _>(Error::caller("given up"))
    });
    assert!(matches!(outcome, Err(Error::Caller { .. })));
    assert_eq!(gone.len(), 6);
    assert_not_given_out(&table, &gone);

    let outcome = catch_unwind(AssertUnwindSafe(|| {
        table.write(|transaction| -> locule::Result<()> {
            gone.insert(transaction.insert(&visit(20, 0))?);
            panic!("given up");
        })
    }));
    assert!(outcome.is_err());
    assert_not_given_out(&table, &gone);

    gone.extend(staged_by_the_dead(&path));
    assert_not_given_out(&table, &gone);
    assert_good(&table, &path);
}

#[test]
fn an_id_of_a_transaction_that_was_given_up_is_not_given_out_by_a_first_opener() {
    // One that finds the table in order, and one that recovers it.
    for has_failed in [false, true] {
        let (_directory, path) = scratch();
        let table = options().create(&path).unwrap();
        insert_all(&table, 0..10);
        let outcome = table.write(|transaction| {
            let id = transaction.insert(&visit(20, 0))?;
            Err::<(), _>(Error::caller(u64::from(id).to_string()))
        });
        let mut gone = BTreeSet::from([RecordId::from_u64(outcome.unwrap_err().to_string().parse::<u64>().unwrap())]);
        drop(table);
        // The last one dies, and no process is left to undo it.
        gone.extend(staged_by_the_dead(&path));
        if has_failed {
            let mut image = Image::of(&path);
            *image.control(FAILED) = 1;
            image.put_back(&path);
        }
        let table = open(&path);
        assert_eq!(table.recovery().outcome == RecoveryOutcome::InOrder, !has_failed, "{}", table.recovery());
        assert_not_given_out(&table, &gone);
        assert_good(&table, &path);
    }
}

/// Changes a record, and waits inside the transaction.
fn stage_a_change(path: &Path, _: &str) {
    let table = options().open(path).unwrap();
    let id = table.find(&0).unwrap().unwrap().id();
    table
        .write(|transaction| {
            transaction.update(id, |record| *record = visit(0, 1))?;
            say("changed");
            hear();
            Ok(())
        })
        .unwrap();
}

/// After a change of its record was given up, a slot that is nearly worn out by its generations once wore out every
/// other slot with it: no slot could be used more than once again.
#[test]
fn a_change_that_was_given_up_gives_no_generation_out() {
    const LAST_GENERATION: u64 = (1 << 40) - 3;
    for has_failed in [false, true] {
        let (_directory, path) = scratch();
        let table = options().create(&path).unwrap();
        insert_all(&table, 0..1);
        drop(table);
        let mut image = Image::of(&path);
        image.put_generation(0, LAST_GENERATION);
        image.put_back(&path);
        let table = open(&path);
        assert_eq!(table.find(&0).unwrap().unwrap().id().generation(), LAST_GENERATION);
        drop(table);
        let mut child = Child::spawn("stage a change", &path, "");
        child.expect("changed");
        child.kill();
        if has_failed {
            let mut image = Image::of(&path);
            *image.control(FAILED) = 1;
            image.put_back(&path);
        }
        let table = open(&path);
        for _ in 0..3 {
            insert_all(&table, 1..64);
            for key in 1..64 {
                table.delete(table.find(&key).unwrap().unwrap().id()).unwrap();
            }
        }
        assert_good(&table, &path);
    }
}

/// Nothing was lost, so a recovery goes on where the table was; until a sync, only the control group knows where that
/// is.
#[test]
fn an_id_that_was_given_up_is_not_given_out_after_recoveries_either() {
    for is_synced in [false, true] {
        let (_directory, path) = scratch();
        let table = options().create(&path).unwrap();
        insert_all(&table, 0..10);
        table.sync().unwrap();
        let mut gone = BTreeSet::new();
        let outcome = table.write(|transaction| {
            gone.insert(transaction.insert(&visit(20, 0))?);
            Err::<(), _>(Error::caller("given up"))
        });
        assert!(matches!(outcome, Err(Error::Caller { .. })));
        if is_synced {
            table.upsert(&visit(0, 1)).unwrap();
            table.sync().unwrap();
        }
        drop(table);
        for _ in 0..2 {
            let mut image = Image::of(&path);
            *image.control(FAILED) = 1;
            image.put_back(&path);
            let table = open(&path);
            assert_eq!((table.recovery().outcome, table.recovery().nothing_lost), (RecoveryOutcome::Newest, true));
        }
        let table = open(&path);
        assert_not_given_out(&table, &gone);
        assert_good(&table, &path);
    }
}
