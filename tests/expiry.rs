//! What the example `expiry` and the page of this name promise.

#[allow(dead_code)]
#[path = "../examples/expiry.rs"]
mod program;

use locule::{Table, Timestamp};
use program::{Session, expire};
use std::time::Duration;

#[test]
fn what_has_expired_is_deleted_up_to_the_limit_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let table = Table::<Session>::create(directory.path().join("sessions.loc"), 100).unwrap();
    for id in 0..20 {
        let age = Duration::from_secs(if id % 2 == 0 { 7200 } else { 1800 });
        table.insert(&Session { id, seen: Timestamp::now() - age, content: [0; 200] }).unwrap();
    }
    let counts: Vec<u64> = (0..4).map(|_| expire(&table, 4).unwrap()).collect();
    assert_eq!(counts, [4, 4, 2, 0]);
    assert!(table.iter().all(|row| row.unwrap().id % 2 == 1));
    assert_eq!(table.len().unwrap(), 10);
}
