//! Tables of visits, which most tests use, and what holds for them at all times.

use std::path::{Path, PathBuf};

locule::record! {
    /// What most tests store.
    #[derive(Eq)]
    pub struct Visit {
        pub key visitor: u64,
        pub hits: u64,
        /// Longer than a cache line, so that a torn record would show.
        pub name: locule::Text<100>,
    }
}

/// A table of visits.
pub type Visits = locule::Table<Visit>;

/// A visit whose name follows from the rest, so that a mix of two shows.
pub fn visit(visitor: u64, hits: u64) -> Visit {
    let sum = visitor.wrapping_mul(31).wrapping_add(hits);
    let name = format!("{visitor:020} {hits:020} {:020} {sum:020}", visitor ^ hits);
    Visit { visitor, hits, name: name.parse().unwrap() }
}

/// Fails if a visit is not one that [`visit`] made.
#[track_caller]
pub fn assert_whole(found: &Visit) {
    assert_eq!(*found, visit(found.visitor, found.hits));
}

/// Options for tests that are not about syncs, which make the disk wait.
pub fn options() -> locule::OpenOptions<Visit> {
    Visits::options().capacity(64).sync_every(None)
}

/// A directory that is removed with the test, and the path of a table in it that does not exist yet.
pub fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("visits.loc");
    (directory, path)
}

/// Inserts a visit with each of these keys.
pub fn insert_all(table: &Visits, keys: std::ops::Range<u64>) {
    for key in keys {
        table.insert(&visit(key, 0)).unwrap();
    }
}

/// The keys in a table, sorted.
pub fn keys(table: &Visits) -> Vec<u64> {
    let mut keys: Vec<u64> = table.iter().map(|row| row.unwrap().visitor).collect();
    keys.sort_unstable();
    keys
}

/// Checks that all of a table agrees: what is counted, what is iterated over, and what is found by key and by id.
#[track_caller]
pub fn assert_consistent(table: &Visits) {
    let rows: Vec<_> = table.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(table.len().unwrap(), rows.len() as u64);
    for row in &rows {
        assert_whole(row);
        assert_eq!(table.find(&row.visitor).unwrap().as_ref(), Some(row));
        assert_eq!(table.get(row.id()).unwrap().as_ref(), Some(row));
    }
}

/// Checks that a recovery, which believes cells and nothing else, finds the same records as the users of the table: so
/// nothing was left half done in it.
#[track_caller]
pub fn assert_recovers_the_same(table: &Visits, path: &Path) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let recovered = options().open(&copy).unwrap();
    assert_consistent(&recovered);
    let records = |table: &Visits| table.iter().map(|row| row.unwrap().into_record()).collect::<Vec<_>>();
    assert_eq!(records(&recovered), records(table));
    std::fs::remove_file(copy).unwrap();
}
