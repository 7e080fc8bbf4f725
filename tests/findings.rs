//! What the fuzz targets found, each as a test that opens with its story.

use locule::{Error, RecordId};
use test_kit::{Visits, keys, scratch, visit};

/// Found by `open_image` in its fifth execution. Before a write takes the lock it touches the pages of its slot, if
/// syncs are made; and it did so before it checked whether the handle may write at all. The pages of a read-only handle
/// cannot be written to, so with the usual options `insert` and all other writes on such a handle ended the process by
/// SIGSEGV. The existing tests sync nothing, so they never came that far.
#[test]
fn a_write_by_a_read_only_handle_is_refused_also_when_syncs_are_made() {
    let (_directory, path) = scratch();
    let table = Visits::options().capacity(4).create(&path).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    table.sync().unwrap();
    let reader = Visits::options().open_read_only(&path).unwrap();
    assert!(!reader.recovery().is_private_copy, "the file itself is mapped");
    for outcome in [
        reader.insert(&visit(2, 0)).map(drop),
        reader.upsert(&visit(1, 1)).map(drop),
        reader.upsert(&visit(2, 1)).map(drop),
        reader.update(id, |visit| visit.hits = 9).map(drop),
        reader.replace(id, &visit(1, 1)).map(drop),
        reader.delete(id).map(drop),
        reader.delete(RecordId::from_u64(u64::MAX)).map(drop),
        reader.write(|_| Ok(())),
        reader.sync().map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::ReadOnly { .. })), "{outcome:?}");
    }
    assert_eq!(keys(&reader), [1]);
}
