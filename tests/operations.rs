//! What the operations of one handle promise: full tables, ids, keys, versions, nesting, panics, transactions.

use locule::{Error, RecordId};
use std::panic::{AssertUnwindSafe, catch_unwind};
use test_kit::{Visit, Visits, assert_consistent, insert_all, keys, options, scratch, visit};

fn full_table(path: &std::path::Path) -> Visits {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..64);
    table
}

fn id_of(table: &Visits, key: u64) -> RecordId {
    table.find(&key).unwrap().unwrap().id()
}

#[test]
fn a_full_table_says_so_and_has_room_again_after_a_delete() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    for _ in 0..100 {
        for outcome in [
            table.insert(&visit(64, 0)),
            table.upsert(&visit(64, 0)).map(|upserted| upserted.id),
            table.write(|transaction| transaction.insert(&visit(64, 0))),
        ] {
            match outcome {
                Err(Error::Full { live_count: 64, capacity: 64, retired_count: 0 }) => {}
                other => panic!("expected a full table, found {other:?}"),
            }
        }
        table.upsert(&visit(63, 9)).unwrap();
        let id = id_of(&table, 7);
        table.delete(id).unwrap();
        let new = table.insert(&visit(7, 0)).unwrap();
        assert_eq!(new.slot(), id.slot());
        assert!(new.generation() > id.generation());
    }
    assert_consistent(&table);
}

#[test]
fn the_slot_that_became_free_last_is_used_first() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    let mut freed = [5, 60, 1, 33].map(|key| (id_of(&table, key), table.delete(id_of(&table, key)).unwrap()).0.slot());
    let used = [100, 101, 102, 103].map(|key| table.insert(&visit(key, 0)).unwrap().slot());
    freed.reverse();
    assert_eq!(used, freed);
}

#[test]
fn the_id_of_a_deleted_record_never_names_the_next_one_in_its_slot() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    let old = id_of(&table, 3);
    table.delete(old).unwrap();
    let new = table.insert(&visit(100, 0)).unwrap();
    assert_eq!(new.slot(), old.slot());
    for stale in
        [old, RecordId::from_u64(u64::MAX), RecordId::from_u64(0), RecordId::from_u64(u64::from(new) + (1 << 24))]
    {
        assert_eq!(table.get(stale).unwrap(), None);
        for outcome in [
            table.update(stale, |visit| visit.hits = 1).map(drop),
            table.replace(stale, &visit(100, 1)).map(drop),
            table.update_if(stale, 1, &visit(100, 1)).map(drop),
            table.delete(stale).map(drop),
            table.delete_if(stale, 1).map(drop),
            table.write(|transaction| transaction.update(stale, |visit| visit.hits = 1)).map(drop),
            table.write(|transaction| transaction.delete(stale)),
        ] {
            assert!(matches!(outcome, Err(Error::NotFound { id }) if id == stale), "{outcome:?}");
        }
    }
    assert_eq!(table.get(new).unwrap().unwrap().into_record(), visit(100, 0));
}

#[test]
fn a_key_is_there_once_and_an_update_never_changes_it() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    let duplicate = table.insert(&visit(1, 5));
    assert!(
        matches!(&duplicate, Err(Error::DuplicateKey { key, id: there }) if key == "1" && *there == id),
        "{duplicate:?}"
    );
    let duplicate = table.write(|transaction| {
        transaction.insert(&visit(2, 0))?;
        transaction.insert(&visit(2, 1))
    });
    assert!(matches!(&duplicate, Err(Error::DuplicateKey { key, .. }) if key == "2"), "{duplicate:?}");
    for outcome in [
        table.update(id, |visit| visit.visitor = 2),
        table.replace(id, &visit(2, 0)),
        table.write(|transaction| transaction.replace(id, &visit(2, 0))),
    ] {
        assert!(matches!(outcome, Err(Error::KeyChanged)), "{outcome:?}");
    }
    assert_eq!(table.get(id).unwrap().unwrap().into_record(), visit(1, 0));
    assert_eq!(keys(&table), [1]);
    assert_eq!(table.upsert(&visit(1, 7)).unwrap().id, id);
    assert_eq!(table.find(&1).unwrap().unwrap().hits, 7);
}

#[test]
fn who_comes_second_with_a_version_gets_a_conflict() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let (id, seen) = table.insert_versioned(&visit(1, 0)).unwrap();
    let now = table.update_if(id, seen, &visit(1, 1)).unwrap();
    assert!(now > seen);
    for outcome in [
        table.update_if(id, seen, &visit(1, 2)).map(drop),
        table.delete_if(id, seen).map(drop),
        table.write(|transaction| transaction.update_if(id, seen, &visit(1, 2)).map(drop)),
        table.write(|transaction| transaction.delete_if(id, seen)),
    ] {
        let is_conflict =
            matches!(outcome, Err(Error::Conflict { expected, found }) if (expected, found) == (seen, now));
        assert!(is_conflict, "{outcome:?}");
    }
    let row = table.get(id).unwrap().unwrap();
    assert_eq!((row.version(), row.update_count(), row.hits), (now, 1, 1));
    table.delete_if(id, now).unwrap();
    assert!(table.is_empty().unwrap());
}

/// Every call that takes a lock.
fn locking_calls(table: &Visits, id: RecordId) -> Vec<(&'static str, locule::Result<()>)> {
    vec![
        ("insert", table.insert(&visit(9, 0)).map(drop)),
        ("insert_versioned", table.insert_versioned(&visit(9, 0)).map(drop)),
        ("upsert", table.upsert(&visit(9, 0)).map(drop)),
        ("update", table.update(id, |visit| visit.hits += 1).map(drop)),
        ("update_if", table.update_if(id, 1, &visit(1, 1)).map(drop)),
        ("replace", table.replace(id, &visit(1, 1)).map(drop)),
        ("delete", table.delete(id).map(drop)),
        ("delete_if", table.delete_if(id, 1).map(drop)),
        ("write", table.write(|_| Ok(()))),
        ("sync", table.sync().map(drop)),
    ]
}

#[track_caller]
fn assert_all_nested(table: &Visits, id: RecordId) -> locule::Result<()> {
    for (name, outcome) in locking_calls(table, id) {
        assert!(matches!(outcome, Err(Error::Nested)), "{name}: {outcome:?}");
    }
    // Reading takes no lock.
    assert!(table.find(&1).unwrap().is_some() && table.get(id).unwrap().is_some() && table.iter().count() == 1);
    Ok(())
}

#[test]
fn a_locking_call_inside_a_closure_is_an_error_and_another_table_is_fine() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let same = options().open(&path).unwrap();
    let other = options().create(path.with_extension("other")).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    let other_id = other.insert(&visit(1, 0)).unwrap();
    let check = || {
        assert_all_nested(&table, id)?;
        assert_all_nested(&same, id)?;
        other.update(other_id, |visit| visit.hits += 1).unwrap();
        other.write(|transaction| transaction.upsert(&visit(2, 0))).unwrap();
        other.sync().unwrap();
        // A closure of the other table in between changes nothing, whichever table it is.
        other.write(|_| assert_all_nested(&table, id)).unwrap();
        other.update(other_id, |_| assert_all_nested(&table, id).unwrap()).unwrap();
        other.snapshot(|_| assert_all_nested(&table, id))
    };
    table.write(|_| check()).unwrap();
    table.update(id, |_| check().unwrap()).unwrap();
    table.snapshot(|_| check()).unwrap();
    // And after the closures all is as before.
    table.update(id, |counter| *counter = visit(1, 1)).unwrap();
    table.insert(&visit(9, 0)).unwrap();
    assert_consistent(&table);
}

#[test]
fn two_handles_of_one_table_see_the_same() {
    let (_directory, path) = scratch();
    let first = options().create(&path).unwrap();
    let second = options().open(&path).unwrap();
    let id = first.insert(&visit(1, 0)).unwrap();
    assert_eq!(second.get(id).unwrap().unwrap().into_record(), visit(1, 0));
    second.delete(id).unwrap();
    assert_eq!(first.find(&1).unwrap(), None);
}

#[test]
fn a_panic_or_an_error_in_a_closure_undoes_all_of_it() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    let mut before: Vec<_> = table.iter().map(Result::unwrap).collect();
    let change_everything = |transaction: &mut locule::WriteTransaction<'_, Visit>, rows: &[locule::Row<Visit>]| {
        for row in rows {
            match row.visitor % 3 {
                0 => drop(transaction.replace(row.id(), &visit(row.visitor, 9))?),
                1 => transaction.delete(row.id())?,
                _ => {
                    transaction.delete(row.id())?;
                    transaction.insert(&visit(row.visitor, 8))?;
                }
            }
        }
        transaction.insert(&visit(1000, 0))
    };
    for _ in 0..3 {
        let outcome = table.write(|transaction| {
            change_everything(transaction, &before)?;
            Err::<(), _>(Error::caller("no"))
        });
        assert!(matches!(outcome, Err(Error::Caller { .. })), "{outcome:?}");
        let panicking = AssertUnwindSafe(|| {
            table.write::<()>(|transaction| {
                change_everything(transaction, &before)?;
                std::panic::resume_unwind(Box::new("a panic"))
            })
        });
        assert!(catch_unwind(panicking).is_err());
        let panicking = AssertUnwindSafe(|| {
            table.update(before[0].id(), |visit| {
                visit.hits = 5;
                std::panic::resume_unwind(Box::new("a panic"))
            })
        });
        assert!(catch_unwind(panicking).is_err());
        let panicking = AssertUnwindSafe(|| table.snapshot::<()>(|_| std::panic::resume_unwind(Box::new("a panic"))));
        assert!(catch_unwind(panicking).is_err());
        assert_eq!(table.status().writer, None);
        assert_eq!(table.iter().map(Result::unwrap).collect::<Vec<_>>(), before);
        assert_consistent(&table);
        // Another transaction, so that whatever was left has a lower number than the newest.
        table.replace(before[1].id(), before[1].record()).unwrap();
        before = table.iter().map(Result::unwrap).collect();
        test_kit::assert_recovers_the_same(&table, &path);
    }
    table.write(|transaction| change_everything(transaction, &before)).unwrap();
    assert_consistent(&table);
    test_kit::assert_recovers_the_same(&table, &path);
}

#[test]
fn update_runs_again_when_somebody_was_faster_and_loses_nothing() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let id = table.insert(&visit(0, 0)).unwrap();
    let mut run_count = 0;
    let version = table.update(id, |counter| {
        run_count += 1;
        if run_count <= 3 {
            // Another thread, since a call in here would be nested.
            std::thread::scope(|scope| {
                scope.spawn(|| table.update(id, |counter| *counter = visit(0, counter.hits + 10)).unwrap());
            });
        }
        *counter = visit(0, counter.hits + 1);
    });
    let row = table.get(id).unwrap().unwrap();
    assert_eq!((run_count, row.hits, row.version()), (4, 31, version.unwrap()));
}

#[test]
fn one_transaction_replaces_every_record_of_a_full_table() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    for round in 1..10 {
        let old: Vec<_> = table.iter().map(Result::unwrap).collect();
        let new_keys = || (0..64).map(|key| round * 1000 + key);
        table
            .write(|transaction| {
                for row in &old {
                    transaction.delete(row.id())?;
                }
                for key in new_keys() {
                    assert_eq!(transaction.find(&key)?, None);
                    transaction.insert(&visit(key, round))?;
                    assert_eq!(*transaction.find(&key)?.unwrap(), visit(key, round));
                }
                assert!(matches!(transaction.insert(&visit(999_999, 0)), Err(Error::Full { .. })));
                assert!(old.iter().all(|row| transaction.find(&row.visitor).unwrap().is_none()));
                Ok(())
            })
            .unwrap();
        assert_consistent(&table);
        assert_eq!(keys(&table), new_keys().collect::<Vec<_>>());
        assert!(old.iter().all(|row| table.find(&row.visitor).unwrap().is_none()));
        assert!(old.iter().all(|row| table.get(row.id()).unwrap().is_none()));
    }
    // All slots in one update, and all of one version.
    let ids: Vec<_> = table.iter().map(|row| row.unwrap().id()).collect();
    let bump = |counter: &mut Visit| *counter = visit(counter.visitor, 77);
    table.write(|transaction| ids.iter().try_for_each(|id| transaction.update(*id, bump).map(drop))).unwrap();
    let rows: Vec<_> = table.iter().map(Result::unwrap).collect();
    assert!(rows.iter().all(|row| row.hits == 77 && row.version() == rows[0].version()));
    table.write(|transaction| ids.iter().try_for_each(|id| transaction.delete(*id))).unwrap();
    assert!(table.is_empty().unwrap() && table.iter().next().is_none());
}

#[test]
fn a_key_deleted_and_inserted_in_one_transaction_keeps_its_slot_with_another_generation() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    let old = id_of(&table, 9);
    let new = table
        .write(|transaction| {
            transaction.delete(old)?;
            assert_eq!(transaction.get(old)?, None);
            transaction.insert(&visit(9, 1))
        })
        .unwrap();
    assert_eq!(new.slot(), old.slot());
    assert!(new.generation() > old.generation());
    assert_eq!(table.get(old).unwrap(), None);
    assert_eq!(table.find(&9).unwrap().unwrap().into_record(), visit(9, 1));
    assert_consistent(&table);
}

#[test]
fn a_key_whose_slot_was_given_away_in_the_same_transaction_cannot_come_back() {
    let (_directory, path) = scratch();
    let table = full_table(&path);
    let id = id_of(&table, 9);
    let outcome = table.write(|transaction| {
        transaction.delete(id)?;
        assert_eq!(transaction.insert(&visit(100, 0))?.slot(), id.slot());
        transaction.insert(&visit(9, 0))
    });
    assert!(matches!(outcome, Err(Error::SlotTaken { slot }) if slot == id.slot()), "{outcome:?}");
    assert_eq!(keys(&table), (0..64).collect::<Vec<_>>());
    // In the other order there is no room, and the table is as it was.
    assert_consistent(&table);
}

/// The sync was once made while the write still held its lock, and so waited for itself.
#[test]
fn a_write_that_finds_a_sync_due_makes_it() {
    let (_directory, path) = scratch();
    let table = options().sync_every(Some(std::time::Duration::ZERO)).create(&path).unwrap();
    let check = |version| assert_eq!((table.status().last, table.status().durable), (version, version));
    let (id, version) = table.insert_versioned(&visit(1, 0)).unwrap();
    check(version);
    check(table.update(id, |counter| counter.hits += 1).unwrap());
    check(table.replace(id, &visit(1, 1)).unwrap());
    table.upsert(&visit(1, 2)).unwrap();
    check(table.get(id).unwrap().unwrap().version());
    check(table.write(|transaction| transaction.replace(id, &visit(1, 3))).unwrap());
    check(table.delete(id).unwrap());
    assert_eq!(table.status().sync_count, 6);
}

#[test]
fn a_snapshot_is_of_one_moment_while_others_write() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let ids: Vec<_> = (0..8).map(|key| table.insert(&visit(key, 0)).unwrap()).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..500 {
                let set = |counter: &mut Visit| *counter = visit(counter.visitor, round);
                table
                    .write(|transaction| ids.iter().try_for_each(|id| transaction.update(*id, set).map(drop)))
                    .unwrap();
            }
        });
        for _ in 0..500 {
            let hits: Vec<_> =
                table.snapshot(|snapshot| ids.iter().map(|id| Ok(snapshot.get(*id)?.unwrap().hits)).collect()).unwrap();
            assert!(hits.iter().all(|found| *found == hits[0]), "{hits:?}");
        }
    });
}
