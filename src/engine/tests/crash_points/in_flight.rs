//! Deaths while a sync of another process is in flight: the syncer stands still at each of its places, and a process
//! dies at each place of an operation. Then the syncer goes on, or others repair and write first, or the syncer dies
//! too.

use crate::engine::Store;
use crate::engine::tests::actor::heap_of;
use crate::engine::tests::crash_points::check::{Context, assert_is, assert_survives_the_power, control_word, which};
use crate::engine::tests::crash_points::death::{End, base_of, kill_at, place_of};
use crate::engine::tests::crash_points::model::{Model, Step};
use crate::engine::tests::crash_points::table::{Image, Operation, SMALL, Shape, table_with_history};
use crate::format::control::{DURABLE, LAST};
use crate::sys::lock::Lock;
use crate::sys::probe::{self, Event};
use Operation::{Nothing, One, RolledBack, ScrubCells, Several, Sync};
use Step::{Delete, Insert, Update, Upsert};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What happens after the death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The syncer goes on at once: if it needs the write lock, it repairs.
    SyncerGoesOn,
    /// Others repair, and write to every record twice, before the syncer goes on.
    OthersGoOn,
    /// The syncer dies where it stands.
    SyncerDies,
}

/// A table, what the syncer and the others do with it, and what must be true of it.
struct Scene {
    shape: Shape,
    store: Arc<Store>,
    operation: Operation,
    then: Then,
    old: Model,
    new: Model,
    /// The table after others went on.
    now: RefCell<Option<Model>>,
    /// Every state that the table had, by its number.
    history: RefCell<BTreeMap<u64, Model>>,
    /// The locks that the syncer holds.
    held: RefCell<Vec<Lock>>,
    end: Cell<Option<End>>,
}

impl Scene {
    /// The syncer stands still: a process begins the operation, and dies in it.
    fn interrupt(&self, operation_place: usize) {
        let operate = || self.operation.perform(&self.store, self.shape, &self.old);
        self.end.set(Some(kill_at(&self.store, operation_place, operate)));
        self.lose_power();
        if self.then == Then::OthersGoOn && !self.held.borrow().contains(&Lock::Write) {
            self.go_on();
            self.lose_power();
        }
        if self.then == Then::SyncerDies {
            probe::die();
        }
    }

    /// What a power cut at this moment would leave.
    fn lose_power(&self) {
        assert_survives_the_power(&Image::of(&self.store, &[]), self.shape, &self.history.borrow());
    }

    fn go_on(&self) {
        let mut now = self.repair();
        for round in 0..2 {
            let update = |record: crate::engine::tests::crash_points::model::Record| Update {
                key: record.key,
                value: 800 + round,
            };
            let operation = Several(now.records().into_iter().map(update).collect());
            operation.perform(&self.store, self.shape, &now);
            now = operation.apply(&now).0;
            self.history.borrow_mut().insert(now.last, now.clone());
        }
        self.now.replace(Some(now));
    }

    /// A process takes the lock, and repairs if need be. Returns the table, which is what it has to be.
    fn repair(&self) -> Model {
        Nothing.perform(&self.store, self.shape, &self.old);
        if let Some(now) = &*self.now.borrow() {
            assert_is(&self.store, self.shape, now);
            return now.clone();
        }
        which(&self.store, self.shape, [&self.old, &self.new]).1
    }

    fn see(&self, event: &Event<'_>, is_there: impl FnOnce() -> bool, operation_place: usize) {
        if let Event::Locked { which } = event {
            self.held.borrow_mut().push(*which);
        }
        if place_of(event, base_of(&self.store)).is_some() && is_there() {
            self.interrupt(operation_place);
        }
        if let Event::Unlock { which } = event {
            self.held.borrow_mut().retain(|lock| lock != which);
        }
    }
}

/// A table that was written to since its last sync, and every state of it that a power cut may leave.
struct Start {
    shape: Shape,
    image: Image,
    model: Model,
    history: BTreeMap<u64, Model>,
}

impl Start {
    fn new(shape: Shape) -> Self {
        let synced = [One(Insert { key: 1, value: 10 }), One(Insert { key: 2, value: 20 }), Sync];
        let after = [One(Update { key: 1, value: 11 }), One(Update { key: 2, value: 21 })];
        let (_, synced_model) = table_with_history(shape, &synced);
        let (image, model) = table_with_history(shape, &[&synced[..], &after].concat());
        let history = [synced_model, model.clone()].map(|model| (model.last, model));
        Start { shape, image, model, history: history.into() }
    }

    /// Returns whether the syncer has this place, and whether the operation did not end before its place.
    fn run(&self, operation: &Operation, sync_place: usize, operation_place: usize, then: Then) -> (bool, bool) {
        let store = self.image.store();
        let (new, _) = operation.apply(&self.model);
        let mut history = self.history.clone();
        history.insert(new.last, new.clone());
        let scene = Rc::new(Scene {
            shape: self.shape,
            store: Arc::clone(&store),
            operation: operation.clone(),
            then,
            old: self.model.clone(),
            new,
            now: RefCell::default(),
            history: RefCell::new(history),
            held: RefCell::default(),
            end: Cell::default(),
        });
        let hook = {
            let scene = Rc::clone(&scene);
            let mut place = 0;
            move |event: &Event<'_>| {
                let is_there = || {
                    place += 1;
                    place - 1 == sync_place
                };
                scene.see(event, is_there, operation_place);
            }
        };
        let synced = probe::with_hook(hook, || store.sync().unwrap());
        let Some(end) = scene.end.take() else { return (false, false) };
        if synced.is_none() {
            scene.held.borrow().iter().for_each(|lock| heap_of(&store).owner_died(*lock));
        }
        if let Some(number) = synced {
            assert!(number >= self.model.last, "a sync covers what was published before");
        }
        scene.lose_power();
        let now = scene.repair();
        if end == End::Finished && scene.now.borrow().is_none() {
            assert_eq!(now.last, scene.new.last, "what was acknowledged has happened");
        }
        assert_eq!(store.sync().unwrap(), now.last, "the next sync");
        assert_eq!(control_word(&store, DURABLE), control_word(&store, LAST));
        assert_is(&store, self.shape, &now);
        scene.history.replace(BTreeMap::from([(now.last, now)]));
        scene.lose_power();
        (true, matches!(end, End::Died { .. }))
    }

    /// Kills a process at each place of an operation while the syncer stands at each of the chosen places.
    fn run_all(&self, name: &str, operation: &Operation, is_chosen: impl Fn(usize) -> bool) {
        let _name = Context::new(name);
        let (mut sync_place_count, mut operation_place_count, mut run_count) = (0, 0, 0);
        for sync_place in (0..).filter(|place| is_chosen(*place)) {
            let _sync_place = Context::new(format!("the syncer at place {sync_place}"));
            let mut is_there = true;
            for operation_place in 0.. {
                let _operation_place = Context::new(format!("death at place {operation_place}"));
                let mut goes_on = false;
                for then in [Then::SyncerGoesOn, Then::OthersGoOn, Then::SyncerDies] {
                    let _then = Context::new(format!("{then:?}"));
                    (is_there, goes_on) = self.run(operation, sync_place, operation_place, then);
                    run_count += usize::from(is_there);
                }
                operation_place_count = operation_place_count.max(operation_place);
                if !is_there || !goes_on {
                    break;
                }
            }
            if !is_there {
                break;
            }
            sync_place_count += 1;
        }
        println!(
            "{name}: a syncer at {sync_place_count} places, deaths at up to {operation_place_count}, {run_count} runs"
        );
        assert!(sync_place_count > 0 && operation_place_count > 0);
    }
}

#[test]
fn one_record_is_written_or_not_while_a_sync_is_in_flight() {
    let start = Start::new(SMALL);
    start.run_all("insert during a sync", &One(Insert { key: 5, value: 50 }), |_| true);
    start.run_all("update during a sync", &One(Update { key: 2, value: 22 }), |_| true);
    start.run_all("delete during a sync", &One(Delete { key: 2 }), |_| true);
}

#[test]
fn an_upsert_or_another_sync_happens_or_not_while_a_sync_is_in_flight() {
    let start = Start::new(SMALL);
    start.run_all("upsert during a sync", &One(Upsert { key: 2, value: 22 }), |_| true);
    start.run_all("sync during a sync", &Sync, |_| true);
    start.run_all("scrub during a sync", &ScrubCells, |_| true);
    start.run_all("taking the lock during a sync", &Nothing, |_| true);
}

#[test]
fn a_transaction_happens_or_not_while_a_sync_is_in_flight() {
    let start = Start::new(SMALL);
    let steps = vec![Update { key: 2, value: 22 }, Insert { key: 5, value: 50 }, Delete { key: 1 }];
    // Some of the places of a whole sync: between two of them it does nothing that writers look at.
    start.run_all("transaction during a sync", &Several(steps.clone()), |place| place % 4 == 3);
    start.run_all("rollback during a sync", &RolledBack(steps), |place| place % 4 == 3);
    let keyless = Start::new(Shape { is_keyed: false, ..SMALL });
    keyless.run_all("update without a key during a sync", &One(Update { key: 2, value: 22 }), |place| place % 4 == 3);
}
