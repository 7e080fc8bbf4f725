//! Each fault is planted and found, and each outcome that is allowed passes.

use super::*;

const KEY_COUNT: u32 = 6;

fn entry(version: u64, content_seed: u64) -> Entry {
    Entry { version, content_seed }
}

fn shown(version: u64, content_seed: u64) -> Option<Shown> {
    Some(Shown { version, content_seed: Some(content_seed) })
}

/// Keys 0 and 1 are live, key 2 was deleted, keys 3 to 5 were never there. Older writes of other worker files lie below.
fn history() -> History {
    let mut history = History::new(KEY_COUNT);
    for (key_index, version, content_seed) in
        [(0, 1, 100), (1, 2, 101), (2, 3, 102), (0, 9, 109), (2, 8, DELETED), (2, 6, 106), (0, 4, 104)]
    {
        history.add(key_index, entry(version, content_seed));
    }
    history.synced = 5;
    history
}

fn good() -> Vec<Option<Shown>> {
    vec![shown(9, 109), shown(2, 101), None, None, None, None]
}

fn view(keys: &[Option<Shown>]) -> View {
    let iterated: Vec<_> = (0..).zip(keys).filter_map(|(index, shown)| Some((key_of(index), (*shown)?))).collect();
    let length = iterated.len() as u64;
    View { iterated, found: keys.to_vec(), length, durable: 9 }
}

/// The only fault that comparing finds when the table shows `shown` under one key, and all else is as it should be.
fn fault_with(history: &History, key_index: u32, shown: Option<Shown>) -> Option<Fault> {
    let mut keys = good();
    keys[key_index as usize] = shown;
    fault_in(history, &view(&keys))
}

fn fault_in(history: &History, view: &View) -> Option<Fault> {
    let faults = compare(history, view).faults;
    assert!(faults.count <= 1, "more than was planted: {:?}", faults.first);
    faults.first.first().cloned()
}

fn with_uncertain(operations: &[Operation]) -> History {
    let mut history = history();
    history.add_uncertain(operations.iter().copied());
    history
}

fn update(key_index: u32, read_version: u64, content_seed: u64) -> Operation {
    Operation { kind: WriteKind::Update, key_index, content_seed, read_version }
}

fn insert(key_index: u32, content_seed: u64) -> Operation {
    Operation { kind: WriteKind::Insert, key_index, content_seed, read_version: 0 }
}

fn delete(key_index: u32, read_version: u64) -> Operation {
    Operation { kind: WriteKind::Delete, key_index, content_seed: DELETED, read_version }
}

#[test]
fn a_table_that_shows_each_newest_write_is_good() {
    let findings = compare(&history(), &view(&good()));
    assert_eq!(findings.faults.first, []);
    assert_eq!((findings.live_count, findings.deleted_count, findings.untouched_count), (2, 1, 3));
    assert_eq!((findings.uncertain_count, findings.acknowledged_count, findings.synced), (0, 7, 5));
}

#[test]
fn an_update_that_was_lost_is_found() {
    let (expected, found) = (entry(9, 109), entry(4, 104));
    let fault = fault_with(&history(), 0, shown(4, 104));
    assert_eq!(fault, Some(Fault::LostUpdate { key_index: 0, expected, found }));
}

#[test]
fn an_insert_that_was_lost_is_found() {
    let fault = fault_with(&history(), 1, None);
    assert_eq!(fault, Some(Fault::Lost { key_index: 1, expected: entry(2, 101) }));
}

#[test]
fn a_delete_that_was_lost_is_found() {
    let (expected, found) = (entry(8, DELETED), entry(6, 106));
    let fault = fault_with(&history(), 2, shown(6, 106));
    assert_eq!(fault, Some(Fault::Resurrected { key_index: 2, expected, found }));
}

#[test]
fn a_record_that_nobody_wrote_is_found() {
    let fault = fault_with(&history(), 4, shown(20, 1));
    assert_eq!(fault, Some(Fault::Unexplained { key_index: 4, found: entry(20, 1) }));
    let mut strange = view(&good());
    strange.iterated.push((7, Shown { version: 20, content_seed: Some(1) }));
    strange.length += 1;
    assert_eq!(fault_in(&history(), &strange), Some(Fault::Foreign { key: 7, version: 20 }));
}

#[test]
fn a_torn_payload_is_found() {
    let fault = fault_with(&history(), 0, Some(Shown { version: 9, content_seed: None }));
    assert_eq!(fault, Some(Fault::Torn { key_index: 0, version: 9 }));
}

#[test]
fn the_right_version_with_the_content_of_another_is_found() {
    let fault = fault_with(&history(), 0, shown(9, 104));
    let (expected, found) = (entry(9, 109), entry(9, 104));
    assert_eq!(fault, Some(Fault::WrongContent { key_index: 0, expected, found }));
}

#[test]
fn the_right_content_with_a_version_that_nobody_was_given_is_found() {
    let fault = fault_with(&history(), 0, shown(10, 109));
    let (expected, found) = (entry(9, 109), entry(10, 109));
    assert_eq!(fault, Some(Fault::TooNew { key_index: 0, expected, found }));
}

#[test]
fn a_version_that_two_writes_were_given_is_found() {
    let mut history = history();
    history.add(1, entry(1, 7));
    let fault = fault_in(&history, &view(&good()));
    assert_eq!(fault, Some(Fault::VersionGivenTwice { key_index: 1, entry: entry(1, 7) }));
}

#[test]
fn an_index_that_disagrees_with_the_records_is_found() {
    let mut lost = view(&good());
    lost.found[1] = None;
    assert_eq!(fault_in(&history(), &lost), Some(Fault::NotFoundByKey { key_index: 1 }));
    let mut stale = view(&good());
    stale.found[2] = shown(6, 106);
    assert_eq!(fault_in(&history(), &stale), Some(Fault::FoundByKeyOnly { key_index: 2 }));
    let mut other = view(&good());
    other.found[0] = shown(4, 104);
    assert_eq!(fault_in(&history(), &other), Some(Fault::FoundOtherByKey { key_index: 0 }));
}

#[test]
fn two_live_records_with_one_key_are_found() {
    let mut twice = view(&good());
    twice.iterated.push((key_of(0), Shown { version: 4, content_seed: Some(104) }));
    twice.length += 1;
    assert_eq!(fault_in(&history(), &twice), Some(Fault::LiveTwice { key_index: 0 }));
}

#[test]
fn a_length_that_is_not_the_number_of_records_is_found() {
    let wrong = View { length: 3, ..view(&good()) };
    assert_eq!(fault_in(&history(), &wrong), Some(Fault::WrongLength { counted: 2, length: 3 }));
}

#[test]
fn a_sync_that_was_lost_is_found() {
    let early = View { durable: 4, ..view(&good()) };
    assert_eq!(fault_in(&history(), &early), Some(Fault::SyncLost { synced: 5, durable: 4 }));
}

#[test]
fn an_uncertain_update_may_show_or_not() {
    let history = with_uncertain(&[update(0, 9, 200)]);
    assert_eq!(fault_with(&history, 0, shown(9, 109)), None);
    assert_eq!(fault_with(&history, 0, shown(12, 200)), None);
    let mut keys = good();
    keys[0] = shown(12, 200);
    let findings = compare(&history, &view(&keys));
    assert_eq!((findings.uncertain_count, findings.uncertain_shown_count), (1, 1));
}

#[test]
fn an_uncertain_update_excuses_nothing_else() {
    let history = with_uncertain(&[update(0, 9, 200)]);
    for wrong in [shown(4, 104), shown(12, 201), shown(9, 200), shown(8, 200), None] {
        assert!(fault_with(&history, 0, wrong).is_some(), "{wrong:?}");
    }
    assert!(fault_with(&history, 1, shown(12, 200)).is_some(), "under another key");
}

#[test]
fn an_uncertain_update_of_an_older_version_than_the_newest_does_not_fit() {
    // It happened before the acknowledged version 9, and is below it, or not at all.
    let history = with_uncertain(&[update(0, 4, 200)]);
    assert!(fault_with(&history, 0, shown(12, 200)).is_some());
    assert_eq!(fault_with(&history, 0, shown(9, 109)), None);
}

#[test]
fn an_uncertain_update_of_a_version_that_nobody_was_told_needs_its_writer() {
    // It read version 11, which only another uncertain write can have been.
    let alone = with_uncertain(&[update(0, 11, 200)]);
    assert!(fault_with(&alone, 0, shown(12, 200)).is_some());
    let after_another = with_uncertain(&[update(0, 11, 200), update(0, 9, 300)]);
    assert_eq!(fault_with(&after_another, 0, shown(12, 200)), None);
    assert_eq!(fault_with(&after_another, 0, shown(11, 300)), None);
    assert!(fault_with(&after_another, 0, shown(11, 200)).is_some(), "not newer than what it read");
}

#[test]
fn an_uncertain_insert_may_show_where_there_was_no_record() {
    let history = with_uncertain(&[insert(2, 200), insert(3, 201)]);
    assert_eq!(fault_with(&history, 2, shown(12, 200)), None);
    assert_eq!(fault_with(&history, 3, shown(12, 201)), None);
    assert_eq!(fault_with(&history, 3, None), None);
    assert!(fault_with(&history, 3, shown(12, 200)).is_some(), "content of the other");
    let over_a_live_one = with_uncertain(&[insert(0, 200)]);
    assert!(fault_with(&over_a_live_one, 0, shown(12, 200)).is_some());
}

#[test]
fn an_uncertain_delete_may_show_or_not() {
    let history = with_uncertain(&[delete(1, 2)]);
    assert_eq!(fault_with(&history, 1, None), None);
    assert_eq!(fault_with(&history, 1, shown(2, 101)), None);
    let of_an_older_version = with_uncertain(&[delete(0, 4)]);
    assert!(fault_with(&of_an_older_version, 0, None).is_some());
}

#[test]
fn uncertain_operations_may_follow_each_other() {
    let deleted_and_inserted = with_uncertain(&[delete(0, 9), insert(0, 200)]);
    for allowed in [shown(9, 109), None, shown(12, 200)] {
        assert_eq!(fault_with(&deleted_and_inserted, 0, allowed), None, "{allowed:?}");
    }
    let inserted_and_deleted = with_uncertain(&[insert(2, 200), delete(2, 11)]);
    for allowed in [None, shown(11, 200)] {
        assert_eq!(fault_with(&inserted_and_deleted, 2, allowed), None, "{allowed:?}");
    }
}

#[test]
fn the_ledger_of_a_killed_worker_adds_its_entries_and_what_was_in_flight() {
    let words: Vec<_> = (0..crate::bench::ledger::word_count(KEY_COUNT as usize)).map(|_| Default::default()).collect();
    let ledger = Ledger::new(&words);
    ledger.begin(&update(0, 9, 200));
    ledger.acknowledge(&update(0, 9, 200), 12);
    ledger.acknowledge_sync(7);
    ledger.begin(&delete(1, 2));
    let mut history = history();
    history.add_ledger(ledger);
    let findings = compare(&history, &view(&[shown(12, 200), None, None, None, None, None]));
    assert_eq!(findings.faults.first, []);
    assert_eq!((findings.uncertain_count, findings.uncertain_shown_count, findings.synced), (1, 1, 7));
}

#[test]
fn only_the_first_faults_are_told_and_all_are_counted() {
    let mut history = History::new(50);
    for key_index in 0..50 {
        history.add(key_index, entry(u64::from(key_index) + 1, 1));
    }
    let empty = View { iterated: Vec::new(), found: vec![None; 50], length: 0, durable: 0 };
    let faults = compare(&history, &empty).faults;
    assert_eq!((faults.first.len(), faults.count), (TOLD_FAULT_COUNT, 50));
}
