//! A sequence of operations, deaths at any access, reopenings and power cuts, against a plain map: after each step the table
//! holds exactly what it should, an operation that was cut short has happened entirely or not at all, a power cut leaves a
//! state that the table had, no older than the last sync, and no id and no version is given out twice.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use locule::testing::die_at_access;
use locule::{Error, RecordId, Result, Table, WriteTransaction};
use locule_fuzz::image::{Image, Layout, Surrounding};
use locule_fuzz::model::{Item, KEY_COUNT, Known, Model, World, item};
use locule_fuzz::template::TableFile;
use std::sync::LazyLock;

#[derive(Debug, Arbitrary)]
struct Story {
    capacity: u8,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Do(Operation),
    /// A process dies at one of its accesses, and perhaps the process that repairs after it does too, unless the file
    /// is opened anew before.
    Die {
        operation: Operation,
        access: u16,
        repair_access: Option<u8>,
        is_left_to_opener: bool,
    },
    Sync,
    DieInSync {
        access: u8,
    },
    Reopen {
        surrounding: Surrounding,
        access: Option<u16>,
    },
    CutPower {
        old_sectors: u64,
        access: Option<u16>,
    },
}

#[derive(Clone, Debug, Arbitrary)]
enum Operation {
    One(Change),
    /// All or nothing.
    Write {
        changes: Vec<Change>,
        end: End,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Arbitrary)]
enum End {
    Publish,
    GiveUp,
    Panic,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
struct Change {
    key: u8,
    value: u16,
    action: Action,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Action {
    Insert,
    Upsert,
    Update,
    Replace,
    UpdateIf { is_current: bool },
    Delete,
    DeleteIf { is_current: bool },
    ChangeKey,
}

/// How a change ends.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    DuplicateKey,
    Full,
    NotFound,
    Conflict,
    KeyChanged,
    SlotTaken,
}

struct NewTable {
    file: TableFile,
    image: Image,
    layout: Layout,
}

/// One for each capacity, 1 to 6.
static NEW_TABLES: LazyLock<Vec<NewTable>> = LazyLock::new(|| {
    let make = |capacity| {
        let file = TableFile::create::<Item>(&format!("items {capacity}.loc"), capacity);
        let image = file.image();
        NewTable { layout: image.layout(), file, image }
    };
    (1..=6).map(make).collect()
});

fuzz_target!(|story: Story| {
    locule_fuzz::show(&story);
    let new = &NEW_TABLES[usize::from(story.capacity) % NEW_TABLES.len()];
    let mut world = World::new(&new.file, &new.image, &new.layout);
    for step in story.steps.iter().take(40) {
        play(&mut world, step);
    }
    world.reopen(Surrounding::OtherStart, None);
});

fn play(world: &mut World, step: &Step) {
    let wide = |access: &Option<u16>| access.map(u32::from);
    match step {
        Step::Reopen { surrounding, access } => return world.reopen(*surrounding, wide(access)),
        Step::CutPower { old_sectors, access } => return world.cut_power(*old_sectors, wide(access)),
        _ if world.pending.is_some() => world.repair(),
        _ => {}
    }
    match step {
        Step::Do(operation) => {
            let mut model = world.now().clone();
            operate(world.table(), operation, &mut model, world.dead_id());
            world.expect(model);
        }
        Step::Die { operation, access, repair_access, is_left_to_opener } => {
            let mut model = world.now().clone();
            let dead_id = world.dead_id();
            let table = world.table();
            if die((*access).into(), || operate(table, operation, &mut model, dead_id)) {
                if let Some(access) = repair_access {
                    die((*access).into(), || table.write(|_| Ok(())).expect("a repair"));
                }
                world.pending = Some(model);
                if !is_left_to_opener {
                    world.repair();
                }
            } else {
                world.expect(model);
            }
        }
        Step::Sync => world.sync(),
        Step::DieInSync { access } => {
            let table = world.table();
            if die((*access).into(), || table.sync().map(drop).expect("nothing fails")) {
                // The disk may have it all already.
                world.disk = world.file.image();
            } else {
                world.sync();
            }
        }
        Step::Reopen { .. } | Step::CutPower { .. } => {}
    }
}

/// Runs an operation in a thread of its own, which dies at its access with this number. Returns whether it did.
fn die(access: u32, body: impl FnOnce() + Send) -> bool {
    std::thread::scope(|scope| scope.spawn(move || die_at_access(access, body)).join().expect("no panic").is_none())
}

/// Performs an operation, and does the same to the model, always first: so if the operation is cut short, the model is
/// what it is if the operation happened nevertheless.
fn operate(table: &Table<Item>, operation: &Operation, model: &mut Model, dead_id: RecordId) {
    let capacity = table.capacity() as usize;
    let (changes, end) = match operation {
        Operation::One(change) => {
            let target = target(model, change.key, dead_id);
            let (expected, _) = apply(*change, model, capacity);
            assert_eq!(outcome(one(table, *change, target)), expected, "{change:?}");
            return;
        }
        Operation::Write { changes, end } => (changes, *end),
    };
    let before = model.clone();
    let mut write = |transaction: &mut WriteTransaction<'_, Item>| {
        for change in changes.iter().take(12) {
            let old = model.get(&(change.key % KEY_COUNT)).copied();
            let (expected, is_new) = apply(*change, model, capacity);
            let found = outcome(in_write(transaction, *change, dead_id, old.is_some()));
            if found == Outcome::SlotTaken {
                // A key that was there before can only come back to its own slot, which has another record now.
                assert!(matches!(change.action, Action::Insert | Action::Upsert) && old.is_none());
                assert!(before.contains_key(&(change.key % KEY_COUNT)), "{change:?}");
                if is_new {
                    model.remove(&(change.key % KEY_COUNT));
                }
                continue;
            }
            assert_eq!(found, expected, "{change:?}");
        }
        match end {
            End::Publish => return Ok(()),
            End::GiveUp | End::Panic => model.clone_from(&before),
        }
        if end == End::Panic {
            // Not `panic!`, which would end the fuzzer.
            std::panic::resume_unwind(Box::new("the closure panics"));
        }
        Err(Error::caller("not today"))
    };
    if end == End::Panic {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| table.write(&mut write))).unwrap_err();
        // A death goes on.
        if !panic.is::<&str>() {
            std::panic::resume_unwind(panic);
        }
    } else {
        let result = table.write(write);
        assert!(
            matches!((&result, end), (Ok(()), End::Publish) | (Err(Error::Caller { .. }), End::GiveUp)),
            "{result:?}"
        );
    }
}

/// What a change is about: a record of the model, or one that is not there.
fn target(model: &Model, key: u8, dead_id: RecordId) -> (RecordId, u64) {
    let known = model.get(&(key % KEY_COUNT));
    let id = known.map_or(dead_id, |known| known.id.expect("read after it was inserted"));
    (id, known.map_or(1, |known| known.version.expect("read after it was written")))
}

/// What a change does to the model, what it returns, and whether it made a record.
fn apply(change: Change, model: &mut Model, capacity: usize) -> (Outcome, bool) {
    let (key, value) = (change.key % KEY_COUNT, change.value);
    let live_count = model.len();
    let old = model.get_mut(&key);
    let outcome = match (change.action, old) {
        (Action::Insert, Some(_)) => Outcome::DuplicateKey,
        (Action::Insert | Action::Upsert, None) if live_count == capacity => Outcome::Full,
        (Action::Insert | Action::Upsert, None) => {
            model.insert(key, Known { value, update_count: 0, id: None, version: None });
            return (Outcome::Done, true);
        }
        (_, None) => Outcome::NotFound,
        (Action::UpdateIf { is_current: false } | Action::DeleteIf { is_current: false }, Some(_)) => Outcome::Conflict,
        (Action::ChangeKey, Some(_)) => Outcome::KeyChanged,
        (Action::Upsert | Action::Update | Action::Replace | Action::UpdateIf { .. }, Some(old)) => {
            *old = Known { value, update_count: old.update_count + 1, version: None, ..*old };
            Outcome::Done
        }
        (Action::Delete | Action::DeleteIf { .. }, Some(_)) => {
            model.remove(&key);
            Outcome::Done
        }
    };
    (outcome, false)
}

fn one(table: &Table<Item>, change: Change, (id, version): (RecordId, u64)) -> Result<()> {
    let new = item(change.key % KEY_COUNT, change.value);
    let seen = |is_current| if is_current { version } else { version - 1 };
    match change.action {
        Action::Insert => table.insert(&new).map(drop),
        Action::Upsert => table.upsert(&new).map(drop),
        Action::Update => table.update(id, |item| *item = new).map(drop),
        Action::Replace => table.replace(id, &new).map(drop),
        Action::UpdateIf { is_current } => table.update_if(id, seen(is_current), &new).map(drop),
        Action::Delete => table.delete(id).map(drop),
        Action::DeleteIf { is_current } => table.delete_if(id, seen(is_current)).map(drop),
        Action::ChangeKey => table.update(id, |item| item.id += 1).map(drop),
    }
}

/// The same in a transaction, which alone knows the ids and versions of what it has written.
fn in_write(write: &mut WriteTransaction<'_, Item>, change: Change, dead_id: RecordId, is_there: bool) -> Result<()> {
    let new = item(change.key % KEY_COUNT, change.value);
    let row = write.find(&new.id)?;
    assert_eq!(row.is_some(), is_there, "a transaction sees its own writes: {change:?}");
    let (id, version) = row.map_or((dead_id, 1), |row| (row.id(), row.version()));
    let seen = |is_current| if is_current { version } else { version - 1 };
    match change.action {
        Action::Insert => write.insert(&new).map(drop),
        Action::Upsert => write.upsert(&new).map(drop),
        Action::Update => write.update(id, |item| *item = new).map(drop),
        Action::Replace => write.replace(id, &new).map(drop),
        Action::UpdateIf { is_current } => write.update_if(id, seen(is_current), &new).map(drop),
        Action::Delete => write.delete(id),
        Action::DeleteIf { is_current } => write.delete_if(id, seen(is_current)),
        Action::ChangeKey => write.update(id, |item| item.id += 1).map(drop),
    }
}

fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(Error::DuplicateKey { .. }) => Outcome::DuplicateKey,
        Err(Error::Full { .. }) => Outcome::Full,
        Err(Error::NotFound { .. }) => Outcome::NotFound,
        Err(Error::Conflict { .. }) => Outcome::Conflict,
        Err(Error::KeyChanged) => Outcome::KeyChanged,
        Err(Error::SlotTaken { .. }) => Outcome::SlotTaken,
        Err(other) => panic!("unexpected: {other:?}"),
    }
}
