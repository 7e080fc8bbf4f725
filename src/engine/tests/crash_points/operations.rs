//! Each operation alone, killed at each place.

use crate::engine::tests::crash_points::death::{Tally, at_every_place};
use crate::engine::tests::crash_points::model::Step;
use crate::engine::tests::crash_points::settle::Deaths;
use crate::engine::tests::crash_points::table::{Image, Operation, SMALL, Shape, table_with_history};
use crate::format::control::INDEX_OCCUPIED;
use Operation::{Nothing, One, OneAndSync, RolledBack, Scrub, ScrubCells, Several, Sync};
use Step::{Delete, Insert, Update, Upsert};

/// An operation on a table with a history.
struct Scenario {
    name: &'static str,
    shape: Shape,
    history: Vec<Operation>,
    operation: Operation,
}

fn scenario(name: &'static str, shape: Shape, history: &[&[Operation]], operation: Operation) -> Scenario {
    Scenario { name, shape, history: history.concat(), operation }
}

impl Scenario {
    /// Kills the operation at each place, and each process that takes over.
    fn run(&self) -> Tally {
        self.run_on(|_| {})
    }

    fn run_on(&self, prepare: impl Fn(&mut Image)) -> Tally {
        let _name = crate::engine::tests::crash_points::check::Context::new(self.name);
        let (mut start, old) = table_with_history(self.shape, &self.history);
        prepare(&mut start);
        let (new, _) = self.operation.apply(&old);
        let mut deaths = Deaths::new(self.shape, &start, &old, &new);
        let open = match self.operation {
            OneAndSync(_) => Image::syncing_store,
            _ => Image::store,
        };
        let body = |store: &crate::engine::Store| self.operation.perform(store, self.shape, &old);
        let mut has_happened = false;
        let (finished, tally) = at_every_place(&start, open, body, |place, image| {
            let _place = crate::engine::tests::crash_points::check::Context::new(format!("{place:?}"));
            let outcome = deaths.settle(image);
            assert!(outcome || !has_happened, "what had happened has not, at a later place");
            has_happened = outcome;
        });
        assert!(deaths.settle(finished) || new.last == old.last, "what was acknowledged has happened");
        println!(
            "{}: {tally}; {} in repairs; {} different tables",
            self.name,
            deaths.repair_place_count,
            deaths.image_count()
        );
        assert!(tally.lock_count > 0 && deaths.repair_place_count > tally.place_count);
        tally
    }
}

const KEYLESS: Shape = Shape { is_keyed: false, ..SMALL };
const ONE_SLOT: Shape = Shape { slot_count: 1, ..SMALL };
/// 112 bytes behind a key and a value of 8 each.
const WIDE: Shape = Shape { record_words: 16, ..SMALL };

/// Two records, the second of which is synced and updated afterwards; one slot was used and is free again, and one
/// never was.
fn used() -> [Operation; 5] {
    [
        One(Insert { key: 1, value: 10 }),
        One(Insert { key: 2, value: 20 }),
        Sync,
        One(Update { key: 2, value: 21 }),
        One(Delete { key: 1 }),
    ]
}

fn full() -> [Operation; 4] {
    let insert = |key| Insert { key, value: key * 10 };
    [Several([1, 2, 3].map(insert).to_vec()), Sync, One(Update { key: 3, value: 31 }), Nothing]
}

#[test]
fn an_insert_happens_or_does_not() {
    let insert = || One(Insert { key: 5, value: 50 });
    scenario("insert into an empty table", SMALL, &[], insert()).run();
    scenario("insert", SMALL, &[&used()], insert()).run();
    scenario("insert without a key", KEYLESS, &[&used()], insert()).run();
    scenario("insert into a table of one slot", ONE_SLOT, &[], insert()).run();
    let again = [One(Insert { key: 5, value: 1 }), Sync, One(Delete { key: 5 }), Sync];
    scenario("insert into the slot that a deletion freed", ONE_SLOT, &[&again], insert()).run();
}

#[test]
fn an_update_happens_or_does_not_and_has_a_point_for_every_word() {
    let update = || One(Update { key: 2, value: 22 });
    scenario("update", SMALL, &[&used()], update()).run();
    scenario("update without a key", KEYLESS, &[&used()], update()).run();
    scenario("update in a full table", SMALL, &[&full()], update()).run();
    let tally = scenario("update of 112 bytes", WIDE, &[&used()], update()).run();
    assert!(tally.payload_store_count >= 14, "112 bytes are 14 words, and each of them is stored");
    let one = [One(Insert { key: 2, value: 20 }), Sync];
    scenario("update in a table of one slot", ONE_SLOT, &[&one], update()).run();
}

#[test]
fn a_delete_happens_or_does_not() {
    let delete = || One(Delete { key: 2 });
    scenario("delete", SMALL, &[&used()], delete()).run();
    scenario("delete without a key", KEYLESS, &[&used()], delete()).run();
    scenario("delete in a full table", SMALL, &[&full()], delete()).run();
    let one = [One(Insert { key: 2, value: 20 }), Sync];
    scenario("delete in a table of one slot", ONE_SLOT, &[&one], delete()).run();
}

#[test]
fn an_upsert_happens_or_does_not() {
    scenario("upsert that inserts", SMALL, &[&used()], One(Upsert { key: 5, value: 50 })).run();
    scenario("upsert that overwrites", SMALL, &[&used()], One(Upsert { key: 2, value: 22 })).run();
    scenario("upsert in a full table", SMALL, &[&full()], One(Upsert { key: 1, value: 11 })).run();
    scenario("upsert into a table of one slot", ONE_SLOT, &[], One(Upsert { key: 1, value: 11 })).run();
}

#[test]
fn a_transaction_happens_or_does_not() {
    let twice = vec![
        Update { key: 2, value: 22 },
        Insert { key: 5, value: 50 },
        Update { key: 2, value: 23 },
        Update { key: 5, value: 51 },
    ];
    scenario("transaction that touches records twice", SMALL, &[&used()], Several(twice.clone())).run();
    scenario("transaction without a key", KEYLESS, &[&used()], Several(twice)).run();
    let back = vec![Delete { key: 2 }, Insert { key: 2, value: 29 }];
    scenario("transaction that deletes and inserts one key", SMALL, &[&used()], Several(back)).run();
    let fill = vec![Insert { key: 5, value: 50 }, Insert { key: 6, value: 60 }];
    scenario("transaction that fills the table", SMALL, &[&used()], Several(fill)).run();
    let fleeting = vec![Insert { key: 5, value: 50 }, Delete { key: 5 }, Insert { key: 6, value: 60 }];
    scenario("transaction that deletes what it inserted", SMALL, &[&used()], Several(fleeting)).run();
}

#[test]
fn a_transaction_that_uses_slots_again_happens_or_does_not() {
    let reuse = vec![Delete { key: 1 }, Delete { key: 3 }, Insert { key: 7, value: 70 }, Insert { key: 8, value: 80 }];
    scenario("transaction that uses freed slots again", SMALL, &[&full()], Several(reuse.clone())).run();
    let keyless =
        scenario("transaction that uses freed slots again, without a key", KEYLESS, &[&full()], Several(reuse));
    keyless.run();
    let all = vec![
        Delete { key: 1 },
        Delete { key: 2 },
        Delete { key: 3 },
        Insert { key: 2, value: 28 },
        Insert { key: 9, value: 90 },
    ];
    scenario("transaction that empties a full table and begins anew", SMALL, &[&full()], Several(all)).run();
    let one = [One(Insert { key: 2, value: 20 }), Sync];
    let swap = vec![Delete { key: 2 }, Insert { key: 3, value: 30 }];
    scenario("transaction that swaps the record of one slot", ONE_SLOT, &[&one], Several(swap)).run();
    let six = Shape { slot_count: 6, ..SMALL };
    let many = (1..=6).map(|key| Insert { key, value: key }).collect();
    scenario("transaction of six records", six, &[], Several(many)).run();
}

#[test]
fn a_rollback_leaves_nothing() {
    let steps = vec![Update { key: 2, value: 22 }, Insert { key: 5, value: 50 }, Delete { key: 2 }];
    scenario("rollback", SMALL, &[&used()], RolledBack(steps.clone())).run();
    scenario("rollback without a key", KEYLESS, &[&used()], RolledBack(steps)).run();
}

#[test]
fn an_insert_that_rebuilds_the_index_happens_or_does_not() {
    let shape = Shape { slot_count: 3, ..SMALL };
    let rebuild = scenario("insert that rebuilds the index", shape, &[&used()], One(Insert { key: 5, value: 50 }));
    let plain = scenario("insert", shape, &[&used()], One(Insert { key: 5, value: 50 })).run();
    // As after many deaths that left one too many counted.
    let tally = rebuild.run_on(|image| {
        let geometry = &image.header.geometry;
        image.words[geometry.control() + INDEX_OCCUPIED] = geometry.index_entry_count() as u64;
    });
    let entry_count = rebuild.shape.header().geometry.index_entry_count();
    assert!(tally.store_count >= plain.store_count + entry_count, "the other table is cleared and filled");
}

#[test]
fn an_insert_that_makes_the_index_grow_happens_or_does_not() {
    // The index of a new table has 64 entries, of which it fills a quarter.
    let shape = Shape { slot_count: 40, ..SMALL };
    let history = [Several((0..16).map(|key| Insert { key, value: key }).collect()), Sync];
    let tally =
        scenario("insert that makes the index grow", shape, &[&history], One(Insert { key: 50, value: 5 })).run();
    assert!(tally.store_count >= 128 + 16, "the other table is cleared and filled");
}

#[test]
fn a_scrub_changes_no_record_wherever_it_dies() {
    let tally = scenario("scrub", SMALL, &[&used()], Scrub).run();
    assert!(tally.payload_store_count >= 4, "an older content of a record, and what is behind a tombstone");
    scenario("scrub without a key", KEYLESS, &[&used()], ScrubCells).run();
    scenario("scrub of a full table", SMALL, &[&full()], ScrubCells).run();
}

#[test]
fn a_sync_changes_nothing_wherever_it_dies() {
    let sync = scenario("sync", SMALL, &[&used()], Sync).run();
    assert!(sync.flush_count > 0 && sync.lock_count >= 2);
    scenario("sync of nothing new", SMALL, &[&used(), &[Sync]], Sync).run();
    let update = Update { key: 2, value: 22 };
    scenario("update that finds a sync due", SMALL, &[&used()], OneAndSync(update)).run();
    let nothing = scenario("taking and letting go the lock", SMALL, &[&used()], Nothing).run();
    assert_eq!(nothing.store_count, 0);
}
