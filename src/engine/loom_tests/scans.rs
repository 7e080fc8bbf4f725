//! Looking at words of a record while it is written, and copying it only if it is wanted.

use super::{Start, body, first};
use crate::engine::scan::Scan;
use crate::engine::{Encoded, Store};
use crate::error::Error;
use crate::layout::filter::{Filter, RecordWords};

/// Accepts records whose two words are equal: a mixture of two writes is no such record.
struct Equal;

impl Filter for Equal {
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        record.word(0) == record.word(1)
    }
}

/// Accepts records whose two words are not equal, of which there are none.
struct Mixed;

impl Filter for Mixed {
    fn accepts<W: RecordWords>(&mut self, record: W) -> bool {
        record.word(0) != record.word(1)
    }
}

fn start() -> Start {
    Start::new(1, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
    })
}

fn scan(store: &Store, mut filter: impl Filter) -> Option<[u64; 2]> {
    let mut source = store;
    let mut slots = source.slots();
    let mut payload = [0; 2];
    let found = source.scan(&mut slots, &mut filter, &mut payload).unwrap();
    found.map(|meta| {
        let value = 100 + u64::from(meta.update_count);
        assert_eq!(payload, [value, value], "a mixture of two writes");
        payload
    })
}

/// Publishes twice, so that the cell that was read from is written again.
fn writer() -> super::Body<Store> {
    body(|store: &Store| {
        store.update(first(0), None, Encoded::new(&[101, 101])).unwrap();
        // Staged in the cell that was current before.
        let mut transaction = store.begin().unwrap();
        transaction.update(first(0), None, Encoded::new(&[999, 999])).unwrap();
    })
}

#[test]
fn what_a_filter_accepts_beside_a_writer_is_found_whole() {
    let reader = body(|store: &Store| {
        let found = scan(store, Equal).expect("each content that was published is accepted");
        assert!([[100, 100], [101, 101]].contains(&found), "{found:?}");
    });
    start().explore(Some(3), [reader, writer()], |_| {});
}

#[test]
fn a_filter_never_decides_on_a_mixture_of_two_writes() {
    let reader = body(|store: &Store| assert_eq!(scan(store, Mixed), None, "no record is accepted"));
    start().explore(Some(3), [reader, writer()], |_| {});
}

#[test]
fn a_scan_of_a_moment_against_a_transaction_over_two_records_sees_both_or_none() {
    let start = Start::new(2, false, |store| {
        store.insert(Encoded::new(&[100, 100])).unwrap();
        store.insert(Encoded::new(&[100, 100])).unwrap();
    });
    let reader = body(|store: &Store| {
        let seen = store.snapshot(|mut moment| {
            let mut slots = moment.slots();
            let mut payload = [0; 2];
            let mut values = Vec::new();
            while moment.scan(&mut slots, &mut Equal, &mut payload)?.is_some() {
                values.push(payload[0]);
            }
            // Even in a run whose result is thrown away.
            assert!(values == [100, 100] || values == [101, 101], "two records of different moments: {values:?}");
            Ok::<_, Error>(())
        });
        seen.unwrap();
    });
    let writer = body(|store: &Store| {
        let mut transaction = store.begin().unwrap();
        for slot in [0, 1] {
            transaction.update(first(slot), None, Encoded::new(&[101, 101])).unwrap();
        }
        transaction.commit().unwrap();
    });
    start.explore(Some(3), [reader, writer], |_| {});
}
