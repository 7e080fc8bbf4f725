//! A file system is lost without a reboot after a sync was acknowledged, and of the control group an earlier moment is on the disk: the
//! next first opener finds what was synced, and no later sync makes it worth less.

use crate::engine::tests::crash_points::check::{Context, snapshot};
use crate::engine::tests::crash_points::model::Step;
use crate::engine::tests::crash_points::table::{HOME, Image, Operation, SMALL, table_with_history};
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::format::control::{DURABLE, LAST};
use crate::format::sync_record::{SYNC_RECORD_WORDS, SyncRecord};
use crate::sys::probe::die_after_store;
use Operation::{One, Sync};
use Step::{Insert, Update};
use std::sync::Arc;

/// What another operation would leave if it died after each of its stores in turn, and what it leaves at last.
fn moments(start: &Image, operation: impl Fn(&Store)) -> Vec<Image> {
    let mut moments = vec![start.clone()];
    for store_count in 1.. {
        let store = start.store();
        let is_finished = die_after_store(store_count, || operation(&store)).is_some();
        moments.push(Image::of(&store, &[]));
        if is_finished {
            break;
        }
    }
    moments
}

fn opened(image: &Image) -> Store {
    let mut store = Arc::into_inner(image.store()).unwrap();
    store.attach_as_the_first(&HOME).unwrap();
    store
}

/// After a power cut that leaves nothing of the control group, nor of a sync record that was just being written, and what it was before.
fn number_after_power_cut(before: &Image, image: &Image) -> u64 {
    let geometry = image.header.geometry;
    let mut cut = image.clone();
    for record in [0, 1].map(|record| geometry.sync_record(record)) {
        let words = record..record + SYNC_RECORD_WORDS;
        if cut.words[words.clone()] != before.words[words] {
            cut.words[record] ^= 1 << 40;
        }
    }
    cut.words[geometry.control()..geometry.sync_records()].fill(0);
    Arc::into_inner(cut.store()).unwrap().recover(false).unwrap().number
}

#[test]
fn an_acknowledged_sync_is_found_and_kept_whichever_control_group_a_lost_file_system_leaves() {
    let history =
        [One(Insert { key: 1, value: 10 }), One(Insert { key: 2, value: 20 }), Sync, One(Update { key: 1, value: 11 })];
    let (start, model) = table_with_history(SMALL, &history);
    let control_group = 0..start.header.geometry.sync_records();
    let sync = |store: &Store| {
        store.sync().unwrap();
    };
    let kept = moments(&start, sync);
    let [.., end] = &*kept else { panic!("there is a moment") };
    let acknowledged = end.words[start.header.geometry.control() + LAST];
    assert!(kept.len() > 15);
    for (number, kept) in kept.iter().enumerate() {
        let _place = Context::new(format!("the control group after store {number}"));
        let mut left = end.clone();
        left.words[control_group.clone()].copy_from_slice(&kept.words[control_group.clone()]);
        let store = opened(&left);
        assert_eq!(snapshot(&store, SMALL).unwrap(), (model.records(), model.live_count()));
        // More updates than there are cells, so that none is left that is not kept.
        for value in 12..18 {
            store.upsert(Encoded::new(&[1, value])).unwrap();
        }
        let torn = moments(&Image::of(&store, &[]), sync);
        let [before, .., _] = &*torn else { panic!("there are moments") };
        for (number, torn) in torn.iter().enumerate() {
            let _place = Context::new(format!("the next sync, store {number}"));
            assert!(number_after_power_cut(before, torn) >= acknowledged, "an acknowledged sync is gone");
        }
    }
}

#[test]
fn a_file_that_is_refused_is_left_as_it_was_though_a_writer_left_something_half_done() {
    let history = [One(Insert { key: 1, value: 10 }), Sync, One(Update { key: 1, value: 11 }), Sync];
    let (start, _) = table_with_history(SMALL, &history);
    let store = start.store();
    let mut transaction = store.begin().unwrap();
    transaction.upsert(Encoded::new(&[1, 12])).unwrap();
    std::mem::forget(transaction);
    let [durable, last] = [DURABLE, LAST].map(|index| store.control_word(index));
    let records = (0..).zip(store.sync_records());
    let older =
        records.filter_map(|(place, record)| Some((place, record?))).find(|(_, record)| record.state.number < durable);
    let (place, record) = older.expect("two syncs were made");
    store.put_sync_record(place, SyncRecord { predecessor: last + 1, ..record });
    let image = Image::of(&store, &[]);
    let mut first = Arc::into_inner(image.store()).unwrap();
    assert!(matches!(first.attach_as_the_first(&HOME), Err(Error::Damaged { .. })));
    assert!(Image::of(&first, &[]).words == image.words, "a refused file was changed");
}
