//! A reader stands still at each of its accesses while a process dies in an operation, at each of its places, and
//! others repair and write: the reader gets what was right at some moment between its first access and its last.

use crate::engine::Store;
use crate::engine::tests::crash_points::check::{Context, changes_since, find, get, snapshot, which};
use crate::engine::tests::crash_points::death::{End, kill_at, left_locked};
use crate::engine::tests::crash_points::model::{Model, Record, Step};
use crate::engine::tests::crash_points::table::{Image, Operation, SMALL, Shape, table_with_history};
use crate::format::control::INDEX_OCCUPIED;
use crate::sys::probe::{self, Event};
use Operation::{Nothing, One, Several, Sync};
use Step::{Delete, Insert, Update};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// What a reader asks.
#[derive(Clone, Copy, Debug)]
enum Question {
    ById(crate::RecordId),
    ByKey(u64),
    Count,
    Snapshot,
    ChangesSince(u64),
}

impl Question {
    fn ask(self, store: &Store, shape: Shape) -> String {
        match self {
            Question::ById(id) => format!("{:?}", get(store, shape, id)),
            Question::ByKey(key) => format!("{:?}", find(store, shape, key)),
            Question::Count => format!("{}", store.live_count().unwrap()),
            Question::Snapshot => format!("{:?}", snapshot(store, shape).unwrap()),
            Question::ChangesSince(number) => format!("{:?}", changes_since(store, shape, number)),
        }
    }

    fn answer(self, model: &Model) -> String {
        match self {
            Question::ById(id) => format!("{:?}", model.get(id)),
            Question::ByKey(key) => format!("{:?}", model.find(key)),
            Question::Count => format!("{}", model.live_count()),
            Question::Snapshot => format!("{:?}", (model.records(), model.live_count())),
            Question::ChangesSince(number) => format!("{:?}", (model.changes_since(number), model.last)),
        }
    }
}

/// Asks, and lets something happen before the access with this number. `None` if the reader has no such access.
fn ask_while(
    store: &Arc<Store>,
    shape: Shape,
    question: Question,
    access: usize,
    meanwhile: impl Fn() + Send + std::marker::Sync + 'static,
) -> Option<String> {
    let was_there = Rc::new(Cell::new(false));
    let hook = {
        let was_there = Rc::clone(&was_there);
        let mut left = access;
        let mut is_reading = true;
        move |event: &Event<'_>| {
            // A snapshot that is disturbed too often takes the lock: from then on no other process can do anything.
            is_reading &= !matches!(event, Event::Lock);
            if !is_reading || !matches!(event, Event::Load) || was_there.get() {
                return;
            }
            if left == 0 {
                was_there.set(true);
                // On a thread of its own, since a thread may not write inside its own snapshot.
                std::thread::scope(|scope| scope.spawn(&meanwhile).join().unwrap());
            }
            left = left.saturating_sub(1);
        }
    };
    let answer = probe::with_hook(hook, || question.ask(store, shape)).unwrap();
    was_there.get().then_some(answer)
}

/// An operation and a table.
struct Scene {
    shape: Shape,
    image: Image,
    old: Model,
    new: Model,
    operation: Operation,
    questions: Vec<Question>,
}

impl Scene {
    fn new(shape: Shape, history: &[Operation], operation: Operation) -> Self {
        let (image, old) = table_with_history(shape, history);
        let (new, written) = operation.apply(&old);
        let mut questions = vec![Question::Count, Question::Snapshot, Question::ChangesSince(old.last)];
        for record in written {
            questions.push(Question::ById(record.id));
            questions.extend(shape.is_keyed.then_some(Question::ByKey(record.key)));
        }
        Scene { shape, image, old, new, operation, questions }
    }

    /// What a table holds that others repair and then write to four times: each state, the last of which is that of the
    /// table.
    fn go_on(&self, store: &Store) -> Vec<Model> {
        Nothing.perform(store, self.shape, &self.old);
        let mut states = vec![which(store, self.shape, [&self.old, &self.new]).1];
        for value in 700..704 {
            let now = states.last().unwrap();
            let update = |record: Record| Update { key: record.key, value };
            let operation = Several(now.records().into_iter().map(update).collect());
            operation.perform(store, self.shape, now);
            let next = operation.apply(now).0;
            states.push(next);
        }
        states
    }

    /// Asks every question, and stops at each access. There a process begins the operation and dies at each of its
    /// places.
    fn ask_before_the_death(self: &Arc<Self>) -> usize {
        let mut run_count = 0;
        for question in &self.questions {
            let allowed = [&self.old, &self.new].map(|model| question.answer(model));
            for place in 0.. {
                let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
                for access in 0.. {
                    let store = self.image.store();
                    let _context = Context::new(format!("{question:?}, at access {access}, death at {place}"));
                    let meanwhile = {
                        let (scene, store, is_over) = (Arc::clone(self), Arc::clone(&store), Arc::clone(&is_over));
                        move || {
                            let end = kill_at(&store, place, || {
                                scene.operation.perform(&store, scene.shape, &scene.old);
                            });
                            is_over.store(end == End::Finished, std::sync::atomic::Ordering::Relaxed);
                            if access % 2 == 0 {
                                Nothing.perform(&store, scene.shape, &scene.old);
                            }
                        }
                    };
                    let Some(answer) = ask_while(&store, self.shape, *question, access, meanwhile) else { break };
                    assert!(allowed.contains(&answer), "{answer}, expected one of {allowed:?}");
                    run_count += 1;
                }
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        }
        run_count
    }

    /// A process has died at each place of the operation. Asks every question, and stops at each access, at which
    /// others repair and write.
    fn ask_after_the_death(self: &Arc<Self>) -> usize {
        let mut run_count = 0;
        for place in 0.. {
            let store = self.image.store();
            let end = kill_at(&store, place, || self.operation.perform(&store, self.shape, &self.old));
            if end == End::Finished {
                break;
            }
            let image = Image::of(&store, &left_locked(&store));
            let states = self.go_on(&store);
            for question in &self.questions {
                let allowed: Vec<_> =
                    [&self.old, &self.new].into_iter().chain(&states).map(|state| question.answer(state)).collect();
                for access in 0.. {
                    let _context = Context::new(format!("{question:?}, at access {access}, death at {place}"));
                    let store = image.store();
                    let meanwhile = {
                        let (scene, store) = (Arc::clone(self), Arc::clone(&store));
                        move || drop(scene.go_on(&store))
                    };
                    let Some(answer) = ask_while(&store, self.shape, *question, access, meanwhile) else { break };
                    assert!(allowed.contains(&answer), "{answer}, expected one of {allowed:?}");
                    run_count += 1;
                }
            }
        }
        run_count
    }

    fn run(self, name: &str) {
        probe::see_all_loads();
        let _name = Context::new(name);
        let scene = Arc::new(self);
        let (before, after) = (scene.ask_before_the_death(), scene.ask_after_the_death());
        println!("{name}: {before} readers who began before a death, {after} who began after it");
        assert!(before > 0 && after > 0);
    }
}

fn used() -> [Operation; 4] {
    [One(Insert { key: 1, value: 10 }), One(Insert { key: 2, value: 20 }), Sync, One(Update { key: 2, value: 21 })]
}

#[test]
fn a_reader_who_stands_still_while_a_writer_dies_sees_the_record_as_it_was_at_some_moment() {
    Scene::new(SMALL, &used(), One(Insert { key: 5, value: 50 })).run("insert beside a reader");
    Scene::new(SMALL, &used(), One(Update { key: 2, value: 22 })).run("update beside a reader");
    Scene::new(SMALL, &used(), One(Delete { key: 2 })).run("delete beside a reader");
}

#[test]
fn a_reader_who_stands_still_while_a_transaction_dies_sees_each_record_as_it_was_at_some_moment() {
    let shape = Shape { slot_count: 2, ..SMALL };
    let back = Several(vec![Delete { key: 2 }, Insert { key: 2, value: 29 }]);
    Scene::new(shape, &used(), back).run("deletion and insertion of one key beside a reader");
    let swap = Several(vec![Delete { key: 1 }, Insert { key: 8, value: 80 }]);
    Scene::new(shape, &used(), swap).run("reuse of a slot beside a reader");
    let mut rebuild = Scene::new(SMALL, &used(), One(Insert { key: 5, value: 50 }));
    let geometry = rebuild.image.header.geometry;
    rebuild.image.words[geometry.control() + INDEX_OCCUPIED] = geometry.index_entry_count() as u64;
    rebuild.questions.push(Question::ByKey(1));
    rebuild.run("index rebuild beside a reader");
}
