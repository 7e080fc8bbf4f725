//! The checker finds each kind of fault, and finds none where there is none.

use super::check::{Kind, check};
use super::event::{Change, Event, Seen, Step, Write};
use std::collections::BTreeMap;

const KEY: u64 = 7;
/// A record, and one of the same key that comes after it.
const ID: u64 = 1;
const NEXT_ID: u64 = 2;

fn event(start: u64, end: u64, step: Step) -> Event {
    Event { worker_file: start, key: KEY, start, end: Some(end), step, is_snapshot: false }
}

/// The value of a write is its version in these tests, times ten.
fn wrote(start: u64, end: u64, change: Change, version: u64, id: u64, replaced: Option<u64>) -> Event {
    let value = (change != Change::Delete).then_some(version * 10);
    event(start, end, Step::Wrote(Write { change, version: Some(version), value, id: Some(id), replaced }))
}

fn inserted(start: u64, end: u64, version: u64, id: u64) -> Event {
    wrote(start, end, Change::Insert, version, id, None)
}

fn updated(start: u64, end: u64, version: u64, replaced: u64) -> Event {
    wrote(start, end, Change::Update, version, ID, Some(replaced * 10))
}

fn deleted(start: u64, end: u64, version: u64) -> Event {
    wrote(start, end, Change::Delete, version, ID, None)
}

/// A write whose process died in it, and that is version `version` if it happened.
fn in_flight(start: u64, change: Change, version: u64, id: Option<u64>) -> Event {
    let value = (change != Change::Delete).then_some(version * 10);
    let step = Step::Wrote(Write { change, version: None, value, id, replaced: None });
    Event { end: None, ..event(start, 0, step) }
}

fn record(version: u64, id: u64, update_count: u64) -> Seen {
    Seen { version, value: version * 10, id, update_count }
}

fn saw(start: u64, end: u64, version: u64, update_count: u64) -> Event {
    event(start, end, Step::Saw(record(version, ID, update_count)))
}

fn saw_none(start: u64, end: u64) -> Event {
    event(start, end, Step::SawNone)
}

/// The kinds of faults that are found, each once.
fn kinds(before: &[(u64, Seen)], events: &[Event]) -> Vec<Kind> {
    let before: BTreeMap<_, _> = before.iter().copied().collect();
    let mut kinds: Vec<Kind> = check(&before, events).into_iter().map(|fault| fault.kind).collect();
    kinds.dedup();
    kinds
}

#[track_caller]
fn assert_right(events: &[Event]) {
    assert_eq!(kinds(&[], events), []);
}

#[track_caller]
fn assert_wrong(kind: Kind, events: &[Event]) {
    let found = kinds(&[], events);
    assert!(found.contains(&kind), "expected {kind:?}, found {found:?}");
}

#[test]
fn a_life_of_a_record_is_right() {
    assert_right(&[
        saw_none(1, 2),
        inserted(3, 4, 5, ID),
        saw(5, 6, 5, 0),
        event(7, 8, Step::SawSome),
        updated(9, 10, 6, 5),
        event(11, 12, Step::SawVersion { version: 6 }),
        saw(13, 14, 6, 1),
        deleted(15, 16, 7),
        saw_none(17, 18),
        event(19, 20, Step::SawGone { id: ID }),
        inserted(21, 22, 8, NEXT_ID),
        event(23, 24, Step::Saw(record(8, NEXT_ID, 0))),
        event(25, 26, Step::SawGone { id: ID }),
    ]);
}

#[test]
fn reads_beside_a_write_may_see_it_or_not_but_not_go_back() {
    let history = |first, second| [inserted(1, 2, 5, ID), updated(10, 20, 6, 5), first, second];
    let (old, new) = (|start, end| saw(start, end, 5, 0), |start, end| saw(start, end, 6, 1));
    assert_right(&history(old(11, 12), new(13, 14)));
    assert_right(&history(new(11, 12), new(13, 14)));
    // Two reads beside each other may see it in either order.
    assert_right(&history(new(11, 14), old(12, 13)));
    assert_wrong(Kind::Stale, &history(new(11, 12), old(13, 14)));
    assert_wrong(Kind::Stale, &history(new(15, 25), old(21, 30)));
    assert_wrong(Kind::FromTheFuture, &history(new(5, 9), new(13, 14)));
    assert_right(&history(old(5, 9), new(25, 26)));
}

#[test]
fn a_finished_write_is_not_lost() {
    let insert = inserted(1, 2, 5, ID);
    assert_wrong(Kind::Stale, &[insert, updated(3, 4, 6, 5), saw(5, 6, 5, 0)]);
    assert_wrong(Kind::NotFound, &[insert, saw_none(3, 4)]);
    assert_wrong(Kind::NotFound, &[insert, event(3, 4, Step::SawGone { id: ID })]);
    assert_wrong(Kind::Stale, &[insert, deleted(3, 4, 6), saw(5, 6, 5, 0)]);
    // What was there before the first event is as good as written.
    let before = [(KEY, record(5, ID, 3))];
    assert_eq!(kinds(&before, &[saw(1, 2, 5, 3)]), []);
    assert_eq!(kinds(&before, &[saw_none(1, 2)]), [Kind::NotFound]);
    assert_eq!(kinds(&before, &[updated(1, 2, 6, 5), saw(3, 4, 6, 4)]), []);
    assert_eq!(kinds(&before, &[updated(1, 2, 6, 5), saw(3, 4, 6, 3)]), [Kind::UpdateCount]);
}

#[test]
fn a_write_in_flight_at_a_death_happened_or_not_but_not_both() {
    let begun = [inserted(1, 2, 5, ID), in_flight(3, Change::Update, 6, Some(ID))];
    let with = |more: &[Event]| [&begun[..], more].concat();
    assert_right(&with(&[saw(5, 6, 5, 0), saw(7, 8, 5, 0)]));
    assert_right(&with(&[saw(5, 6, 5, 0), saw(7, 8, 6, 1)]));
    assert_wrong(Kind::Stale, &with(&[saw(5, 6, 6, 1), saw(7, 8, 5, 0)]));
    assert_wrong(Kind::FromTheFuture, &with(&[saw(1, 2, 6, 1)]));
    // It was overwritten before any event saw it.
    assert_right(&with(&[updated(5, 6, 7, 6), saw(7, 8, 7, 2)]));
    assert_right(&with(&[updated(5, 6, 7, 5), saw(7, 8, 7, 1)]));
    assert_wrong(Kind::UpdateCount, &with(&[updated(5, 6, 7, 6), saw(7, 8, 7, 3)]));
}

#[test]
fn a_delete_in_flight_at_a_death_happened_or_not_but_not_both() {
    let begun = [inserted(1, 2, 5, ID), in_flight(3, Change::Delete, 6, Some(ID))];
    let with = |more: &[Event]| [&begun[..], more].concat();
    assert_right(&with(&[saw(5, 6, 5, 0)]));
    assert_right(&with(&[saw(5, 6, 5, 0), saw_none(7, 8)]));
    assert_right(&with(&[inserted(5, 6, 7, NEXT_ID), saw_none(4, 5)]));
    assert_wrong(Kind::Stale, &with(&[saw_none(5, 6), saw(7, 8, 5, 0)]));
    // It was not even begun.
    let later = in_flight(9, Change::Delete, 6, Some(ID));
    assert_wrong(Kind::NotFound, &[begun[0], later, saw_none(5, 6)]);
    assert_wrong(Kind::NotFound, &[begun[0], in_flight(3, Change::Delete, 6, Some(NEXT_ID)), saw_none(5, 6)]);
}

#[test]
fn an_insert_in_flight_at_a_death_happened_or_not() {
    let begun = in_flight(1, Change::Insert, 5, None);
    assert_right(&[begun, saw_none(2, 3)]);
    assert_right(&[begun, event(2, 3, Step::SawSome)]);
    // A write that comes later did not have to be there yet, though it was begun.
    let update = updated(2, 9, 6, 5);
    assert_right(&[
        begun,
        update,
        event(2, 3, Step::SawSome),
        updated(4, 5, 7, 6),
        event(6, 7, Step::SawVersion { version: 7 }),
    ]);
    assert_right(&[begun, updated(2, 9, 7, 6), event(2, 3, Step::SawSome), updated(4, 5, 6, 5)]);
    assert_right(&[begun, event(2, 3, Step::SawVersion { version: 5 })]);
    assert_right(&[begun, saw(2, 3, 5, 0), deleted(4, 5, 6)]);
    // No event saw it before it was deleted.
    assert_right(&[begun, deleted(4, 5, 6), saw_none(6, 7)]);
    assert_wrong(Kind::Stale, &[begun, saw(2, 3, 5, 0), saw_none(4, 5), saw(6, 7, 5, 0), deleted(4, 5, 6)]);
    assert_wrong(Kind::Unexpected, &[event(2, 3, Step::SawSome)]);
    assert_wrong(Kind::NeverWritten, &[event(2, 3, Step::SawVersion { version: 5 })]);
}

#[test]
fn what_nobody_wrote_is_not_read() {
    assert_wrong(Kind::NeverWritten, &[inserted(1, 2, 5, ID), saw(3, 4, 9, 0)]);
    // Such as what a transaction wrote that was undone.
    assert_wrong(Kind::NeverWritten, &[event(1, 2, Step::Nothing), saw(3, 4, 5, 0)]);
    assert_wrong(Kind::NeverWritten, &[inserted(1, 2, 5, ID), updated(3, 4, 6, 9)]);
    // Such as what was written to another key.
    let elsewhere = Event { key: 8, ..inserted(1, 2, 5, ID) };
    assert_wrong(Kind::NeverWritten, &[elsewhere, saw(3, 4, 5, 0)]);
}

#[test]
fn an_update_takes_the_place_of_what_was_there() {
    let insert = inserted(1, 2, 5, ID);
    assert_right(&[insert, updated(3, 10, 6, 5), updated(3, 10, 7, 6)]);
    assert_wrong(Kind::LostUpdate, &[insert, updated(3, 10, 6, 5), updated(3, 10, 7, 5)]);
    assert_wrong(Kind::LostUpdate, &[insert, updated(3, 10, 6, 5), updated(3, 11, 7, 6), updated(3, 12, 8, 6)]);
    assert_wrong(Kind::LostUpdate, &[insert, wrote(3, 4, Change::Update, 6, ID, None), updated(5, 6, 7, 5)]);
    // Not even if its process died.
    let overwritten = in_flight(3, Change::Update, 6, Some(ID));
    assert_wrong(Kind::LostUpdate, &[insert, overwritten, saw(4, 5, 6, 1), updated(6, 7, 7, 5)]);
}

#[test]
fn a_version_stands_for_one_thing() {
    let insert = inserted(1, 2, 5, ID);
    let other_key = Event { key: 8, ..inserted(1, 3, 5, NEXT_ID) };
    // The parts of one transaction share theirs.
    assert_right(&[insert, Event { end: Some(2), ..other_key }]);
    assert_wrong(Kind::VersionTwice, &[insert, Event { start: 2, worker_file: 2, ..other_key }]);
    let same_version = Seen { value: 60, ..record(5, ID, 0) };
    let update = wrote(3, 4, Change::Update, 6, ID, Some(50));
    assert_wrong(Kind::VersionTwice, &[insert, update, saw(5, 6, 6, 1), event(7, 8, Step::Saw(same_version))]);
    assert_wrong(Kind::VersionTwice, &[insert, event(3, 4, Step::Saw(Seen { id: NEXT_ID, ..record(5, ID, 0) }))]);
    assert_wrong(Kind::VersionTwice, &[insert, updated(3, 4, 5, 5)]);
}

#[test]
fn versions_grow_with_time_over_the_whole_table() {
    let elsewhere = |start, end, version| Event { key: 8, ..inserted(start, end, version, NEXT_ID) };
    assert_right(&[inserted(1, 2, 5, ID), elsewhere(3, 4, 6)]);
    assert_right(&[inserted(1, 4, 6, ID), elsewhere(3, 5, 5)]);
    assert_wrong(Kind::VersionsOutOfOrder, &[inserted(1, 2, 6, ID), elsewhere(3, 4, 5)]);
}

#[test]
fn an_id_is_one_record_until_it_is_deleted() {
    let insert = inserted(1, 2, 5, ID);
    assert_wrong(Kind::IdTwice, &[insert, deleted(3, 4, 6), updated(5, 6, 7, 5)]);
    let next = inserted(5, 6, 7, NEXT_ID);
    assert_wrong(Kind::IdTwice, &[insert, deleted(3, 4, 6), next, updated(7, 8, 8, 7)]);
    assert_wrong(Kind::KeyTwice, &[insert, inserted(3, 4, 6, NEXT_ID)]);
    assert_wrong(Kind::KeyTwice, &[insert, inserted(3, 4, 6, ID)]);
    assert_wrong(Kind::Unexpected, &[updated(3, 4, 6, 5)]);
}

#[test]
fn a_record_counts_its_updates() {
    let history = |count| [inserted(1, 2, 5, ID), updated(3, 4, 6, 5), saw(5, 6, 6, count)];
    assert_right(&history(1));
    assert_wrong(Kind::UpdateCount, &history(0));
    assert_wrong(Kind::UpdateCount, &history(2));
    assert_wrong(Kind::UpdateCount, &[inserted(1, 2, 5, ID), saw(3, 4, 5, 1)]);
}

#[test]
fn the_reads_of_a_snapshot_are_of_one_moment() {
    let elsewhere = |event: Event| Event { key: 8, ..event };
    let read = |key, step| Event { worker_file: 99, key, start: 1, end: Some(30), step, is_snapshot: true };
    let seen = |version, id, count| Step::Saw(record(version, id, count));
    // One key is inserted, updated and deleted; the other is inserted in the transaction that deletes it.
    let writes = [
        inserted(1, 20, 5, ID),
        updated(1, 20, 6, 5),
        deleted(1, 20, 7),
        elsewhere(inserted(1, 20, 7, NEXT_ID)),
        elsewhere(wrote(1, 20, Change::Update, 8, NEXT_ID, Some(70))),
    ];
    let with = |one, other| [&writes[..], &[read(KEY, one), read(8, other)]].concat();
    assert_right(&with(Step::SawNone, Step::SawNone));
    assert_right(&with(seen(5, ID, 0), Step::SawNone));
    assert_right(&with(seen(6, ID, 1), Step::SawNone));
    assert_right(&with(Step::SawNone, seen(7, NEXT_ID, 0)));
    assert_right(&with(Step::SawNone, seen(8, NEXT_ID, 1)));
    assert_wrong(Kind::Snapshot, &with(seen(5, ID, 0), seen(7, NEXT_ID, 0)));
    assert_wrong(Kind::Snapshot, &with(seen(6, ID, 1), seen(7, NEXT_ID, 0)));
    assert_wrong(Kind::Snapshot, &with(seen(6, ID, 1), seen(8, NEXT_ID, 1)));
    // A key that is absent in between only: after its delete, and before it is inserted anew.
    let again = wrote(1, 20, Change::Insert, 9, 3, None);
    let with = |one, other| [&writes[..], &[again, read(KEY, one), read(8, other)]].concat();
    assert_right(&with(Step::SawNone, seen(8, NEXT_ID, 1)));
    let update = elsewhere(wrote(1, 20, Change::Update, 10, NEXT_ID, Some(80)));
    let with = |one, other| [&writes[..], &[again, update, read(KEY, one), read(8, other)]].concat();
    assert_wrong(Kind::Snapshot, &with(Step::SawNone, seen(10, NEXT_ID, 2)));
}
