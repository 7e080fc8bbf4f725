//! `replace_all`: a table holds exactly the records that it was given, or what it held before.

use locule::{Error, RecordId, Result, WriteTransaction};
use std::collections::BTreeMap;
use std::path::Path;
use test_kit::{Visit, Visits, assert_consistent, keys, options, scratch, visit};

fn table_of(path: &Path, capacity: u64, keys: std::ops::Range<u64>) -> Visits {
    let table = options().capacity(capacity).create(path).unwrap();
    test_kit::insert_all(&table, keys);
    table
}

fn rows(table: &Visits) -> BTreeMap<u64, (RecordId, u64, u64)> {
    table.iter().map(Result::unwrap).map(|row| (row.visitor, (row.id(), row.version(), row.hits))).collect()
}

#[test]
fn a_full_table_holds_exactly_the_new_records_with_old_keys_among_them() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 64, 0..64);
    let before = rows(&table);
    // Every other key stays, half of these with the same content; the new ones come first.
    let new: Vec<Visit> =
        (100..132).map(|key| visit(key, 1)).chain((0..64).step_by(2).map(|key| visit(key, key % 4))).collect();
    table.replace_all(&new).unwrap();
    let after = rows(&table);
    assert_eq!(after.len(), 64);
    for record in &new {
        let (id, version, hits) = after[&record.visitor];
        assert_eq!(hits, record.hits);
        if let Some((old_id, old_version, old_hits)) = before.get(&record.visitor) {
            assert_eq!(id, *old_id, "updated in place");
            assert_eq!(version == *old_version, hits == *old_hits, "what is the same is left as it is");
        }
    }
    assert_consistent(&table);
    test_kit::assert_recovers_the_same(&table, &path);
    // All of it in one transaction.
    let versions: std::collections::BTreeSet<_> =
        after.values().filter(|row| row.1 > before[&63].1).map(|row| row.1).collect();
    assert_eq!(versions.len(), 1);

    table.replace_all([] as [Visit; 0]).unwrap();
    assert!(table.is_empty().unwrap());
    table.replace_all((0..64).map(|key| visit(key, 9))).unwrap();
    assert_eq!(keys(&table), (0..64).collect::<Vec<_>>());
}

/// What people used to do: it fails on a full table, since a slot of a key that comes back is given to a new one.
#[test]
fn deleting_all_and_inserting_again_says_that_replace_all_can_do_it() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 4, 0..4);
    let new = [9, 0, 1, 2].map(|key| visit(key, 1));
    let outcome = table.write(|transaction| {
        for row in transaction.select(|_| true)? {
            transaction.delete(row.id())?;
        }
        new.iter().try_for_each(|record| transaction.insert(record).map(drop))
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::SlotTaken { .. }), "{error:?}");
    assert!(error.to_string().contains("replace_all"), "{error}");
    table.replace_all(new).unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 9]);
}

#[test]
fn a_replacement_that_cannot_be_is_an_error_and_the_table_is_as_it_was() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 8, 0..6);
    let before = rows(&table);
    for (key, records) in
        [("1", [visit(9, 0), visit(1, 1), visit(1, 2)]), ("9", [visit(9, 0), visit(1, 1), visit(9, 2)])]
    {
        let outcome = table.replace_all(records);
        assert!(matches!(&outcome, Err(Error::DuplicateKey { key: named, .. }) if named == key), "{outcome:?}");
        assert_eq!(rows(&table), before);
    }
    let outcome = table.replace_all((0..9).map(|key| visit(key + 3, 1)));
    assert!(matches!(outcome, Err(Error::Full { capacity: 8, .. })), "{outcome:?}");
    assert_eq!(rows(&table), before);
    assert_consistent(&table);
}

/// Half of the records would be replaced, so it must not matter what the closure does with the error.
#[test]
fn a_transaction_whose_replacement_failed_does_not_happen() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 8, 0..6);
    let before = rows(&table);
    let outcome = table.write(|transaction| {
        transaction.insert(&visit(7, 0))?;
        assert!(transaction.replace_all([visit(9, 0), visit(1, 1), visit(1, 2)]).is_err());
        Ok(())
    });
    assert!(
        matches!(&outcome, Err(Error::InvalidArgument { reason }) if reason.contains("replace_all")),
        "{outcome:?}"
    );
    assert_eq!(rows(&table), before);
}

/// In a transaction that has deleted and inserted before, on a full table: what comes back gets the slot that it had, before the
/// new ones take any.
#[test]
fn a_replacement_sees_what_its_transaction_did_before() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 4, 0..4);
    let change = |transaction: &mut WriteTransaction<'_, Visit>| {
        transaction.remove_by_key(&0)?;
        transaction.remove_by_key(&1)?;
        transaction.update_by_key(&2, |record| *record = visit(2, 5))?;
        transaction.replace_all([visit(9, 1), visit(1, 1), visit(0, 1), visit(2, 5)])
    };
    table.write(change).unwrap();
    assert_eq!(keys(&table), [0, 1, 2, 9]);
    assert_eq!(table.find(&2).unwrap().unwrap().hits, 5);
    assert_consistent(&table);
    test_kit::assert_recovers_the_same(&table, &path);
}

/// A second call in the same transaction once made it forget the failure of the first.
#[test]
fn one_that_failed_is_not_mended_by_another() {
    let (_directory, path) = scratch();
    let table = table_of(&path, 8, 0..3);
    let before = rows(&table);
    let outcome = table.write(|transaction| {
        let twice = [visit(9, 0), visit(9, 0)];
        assert!(matches!(transaction.replace_all(twice), Err(Error::DuplicateKey { .. })));
        transaction.replace_all([visit(0, 0), visit(1, 0), visit(2, 0)]).unwrap();
        Ok(())
    });
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(rows(&table), before);
}
