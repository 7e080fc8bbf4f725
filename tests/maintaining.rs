//! Copies of a table, going back to one, saving what is left of a damaged one, and wiping what was deleted.

use locule::admin::Condition;
use locule::maintenance::{Alteration, backup, repair, restore, scrub};
use locule::{Error, RecordId, RecoveryOutcome, Table, TableLock};
use nix::libc::SYS_openat;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;
use test_kit::system_calls::{
    End, at_every_stop_of, filter, filter_flag, fork_traced, go_to_next_stop, kill_traced, run_watched,
};
use test_kit::{Child, Visit, Visits, assert_consistent, insert_all, keys, options, say, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("back up", |path, _| kill_at_every_stop(path, &BACK_UP)),
        ("back up without nameless files", |path, _| {
            kill_at_every_stop(path, &Scenario { knows_nameless: false, ..BACK_UP })
        }),
        ("restore", |path, _| kill_at_every_stop(path, &RESTORE)),
        ("restore while it is used", |path, _| kill_at_every_stop(path, &Scenario { is_used: true, ..RESTORE })),
        ("restore without nameless files", |path, _| {
            kill_at_every_stop(path, &Scenario { knows_nameless: false, is_used: true, ..RESTORE });
        }),
        ("scrub", kill_a_scrub),
        ("move units", move_units),
        ("read", read),
        ("read beside an opener", read_beside_an_opener),
        ("read beside an alteration", read_beside_an_alteration),
    ]);
}

const COPY: &str = "copy.loc";

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn open(path: &Path) -> Visits {
    options().open(path).unwrap()
}

// -- backup -----------------------------------------------------------------------------------------

const UNITS: u64 = 1000;

/// Moves units from one record to another, so that their sum stays, until the file `stop` is there.
fn move_units(path: &Path, argument: &str) {
    let table = open(path);
    let mut random: u64 = argument.parse().unwrap();
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    say("begun");
    while !path.with_extension("stop").exists() {
        let (from, to) = (next(20), next(20));
        table
            .write(|transaction| {
                let change = |hits: u64| move |found: &mut Visit| *found = visit(found.visitor, hits);
                let Some(source) = transaction.find(&from)?.filter(|row| row.hits > 0 && from != to) else {
                    return Ok(());
                };
                transaction.update(source.id(), change(source.hits - 1))?;
                let target = transaction.find(&to)?.expect("it is there");
                // Slots come and go too.
                if target.hits % 5 == 0 {
                    transaction.delete(target.id())?;
                    transaction.insert(&visit(to, target.hits + 1)).map(drop)
                } else {
                    transaction.update(target.id(), change(target.hits + 1)).map(drop)
                }
            })
            .unwrap();
    }
    say("ended");
}

#[test]
fn a_backup_under_load_is_of_one_moment_and_a_whole_table() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    (0..20).for_each(|key| _ = table.insert(&visit(key, UNITS)).unwrap());
    let mut writers: Vec<Child> = (0..4).map(|seed| Child::spawn("move units", &path, seed)).collect();
    writers.iter_mut().for_each(|writer| writer.expect("begun"));
    let mut last = 0;
    for number in 0..20 {
        let copy = directory.path().join(format!("copy {number}.loc"));
        let copied = backup(&path, &copy).unwrap();
        assert!(copied.number >= last && copied.live_count == 20);
        last = copied.number;
        let reader = options().open_read_only(&copy).unwrap();
        assert_eq!(reader.iter().map(|row| row.unwrap().hits).sum::<u64>(), 20 * UNITS);
        drop(reader);
        // Nothing but the header, one sync record and the cells: no lock, no head, no index.
        let words: Vec<u64> = words_of(&std::fs::read(&copy).unwrap());
        let control = 4096 / 8;
        assert!(words[control..control + 512].iter().all(|word| *word == 0));
        if number % 5 == 0 {
            let opened = open(&copy);
            assert_consistent(&opened);
            opened.insert(&visit(100, 0)).unwrap();
            assert!(locule::admin::verify(&copy).unwrap().is_good());
        }
        std::fs::remove_file(&copy).unwrap();
    }
    std::fs::write(path.with_extension("stop"), "").unwrap();
    writers.iter_mut().for_each(|writer| writer.expect("ended"));
    assert_consistent(&table);
}

fn words_of(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn a_backup_takes_the_place_of_nothing_and_has_the_permissions_of_the_table() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("there.loc"), "something").unwrap();
    std::fs::hard_link(&path, at("linked.loc")).unwrap();
    symlink(&path, at("symbolic.loc")).unwrap();
    symlink(at("nothing"), at("dangling.loc")).unwrap();
    let before = names_in(directory.path());
    for taken in
        [&path, &at("there.loc"), &at("linked.loc"), &at("symbolic.loc"), &at("dangling.loc"), directory.path()]
    {
        let outcome = backup(&path, taken);
        assert!(matches!(outcome, Err(Error::AlreadyExists { .. })), "{}: {outcome:?}", taken.display());
    }
    assert!(matches!(backup(&path, at("missing/copy.loc")), Err(Error::Io { .. })));
    assert_eq!((names_in(directory.path()), std::fs::read(at("there.loc")).unwrap().len()), (before, 9));
    backup(&path, at(COPY)).unwrap();
    let [of_table, of_copy] = [&path, &at(COPY)].map(|path| std::fs::metadata(path).unwrap());
    assert_eq!((of_copy.mode(), of_copy.uid(), of_copy.gid()), (of_table.mode(), of_table.uid(), of_table.gid()));
    assert_consistent(&table);
}

#[test]
fn a_table_that_needs_a_recovery_is_backed_up_as_it_will_be_and_left_as_it_is() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..5);
    table.sync().unwrap();
    let moved = directory.path().join("moved.loc");
    std::fs::copy(&path, &moved).unwrap();
    let before = std::fs::read(&moved).unwrap();
    let copy = directory.path().join(COPY);
    assert_eq!(backup(&moved, &copy).unwrap().live_count, 5);
    assert!(std::fs::read(&moved).unwrap() == before);
    assert_eq!(keys(&open(&copy)), [0, 1, 2, 3, 4]);
    // A copy of a copy.
    backup(&copy, directory.path().join("second.loc")).unwrap();
    // One that is damaged is refused, and there is no copy.
    let file = std::fs::OpenOptions::new().write(true).open(&moved).unwrap();
    file.write_all_at(&[0xff; 4096], place_of_cells(&moved).0).unwrap();
    drop(file);
    let third = directory.path().join("third.loc");
    assert!(matches!(backup(&moved, &third), Err(Error::Damaged { .. })) && !third.exists());
}

// -- restore ----------------------------------------------------------------------------------------

#[test]
fn ids_and_numbers_go_on_above_those_of_the_table_and_of_the_backup() {
    let (directory, path) = scratch();
    let copy = directory.path().join(COPY);
    let table = options().capacity(4).create(&path).unwrap();
    let (kept, kept_version) = table.insert_versioned(&visit(0, 7)).unwrap();
    let mut told: Vec<RecordId> = Vec::new();
    for key in 1..4 {
        told.push(table.insert(&visit(key, 0)).unwrap());
        table.remove_by_key(&key).unwrap();
    }
    backup(&path, &copy).unwrap();
    let mut highest = 0;
    for key in 1..4 {
        let (id, version) = table.insert_versioned(&visit(key, 0)).unwrap();
        told.push(id);
        highest = version;
    }
    // An id that was told and given up.
    let given_up = table.write(|transaction| {
        transaction.remove_by_key(&1)?;
        told.push(transaction.insert(&visit(10, 0))?);
        Err::<(), _>(Error::StaleSnapshot)
    });
    assert!(given_up.is_err());

    let restored = restore(&copy, &path).unwrap();
    assert_eq!(restored.live_count, 1);
    assert!(matches!(table.find(&0), Err(Error::Superseded)));
    table.reopen().unwrap();
    let row = table.get(kept).unwrap().unwrap();
    assert_eq!((row.version(), row.hits, table.len().unwrap()), (kept_version, 7, 1));
    for key in 1..4 {
        let (id, version) = table.insert_versioned(&visit(key, 0)).unwrap();
        assert!(!told.contains(&id) && version > highest, "{id} {version}, after {told:?} and {highest}");
    }
    // The backup stays what it is, and can be restored again, also to where nothing is.
    assert_eq!(options().open_read_only(&copy).unwrap().len().unwrap(), 1);
    drop(table);
    locule::destroy(&path).unwrap();
    restore(&copy, &path).unwrap();
    assert!(!told.contains(&open(&path).insert(&visit(1, 0)).unwrap()));
    assert_eq!(names_in(directory.path()), [COPY, "visits.loc"]);
}

/// The table may be further ahead of the backup than any one recovery jumps: each restoration is itself such a jump.
#[test]
fn ids_and_numbers_go_on_however_often_a_backup_is_restored() {
    let (directory, path) = scratch();
    let copy = directory.path().join(COPY);
    let table = options().create(&path).unwrap();
    backup(&path, &copy).unwrap();
    let mut last = (0, 0);
    for _ in 0..10 {
        let (id, version) = table.insert_versioned(&visit(1, 0)).unwrap();
        assert!(id.generation() > last.0 && version > last.1, "{id} and {version}, after {last:?}");
        last = (id.generation(), version);
        restore(&copy, &path).unwrap();
        table.reopen().unwrap();
    }
}

#[test]
fn a_table_is_not_restored_from_itself() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let linked = directory.path().join("linked.loc");
    std::fs::hard_link(&path, &linked).unwrap();
    for backup in [&path, &linked] {
        let outcome = restore(backup, &path);
        assert!(matches!(outcome, Err(Error::InvalidArgument { .. })), "{outcome:?}");
    }
    table.insert(&visit(3, 0)).unwrap();
    assert_eq!(names_in(directory.path()), ["linked.loc", "visits.loc"]);
}

#[test]
fn a_damaged_table_and_one_of_another_schema_and_capacity_are_replaced_and_keep_their_owner_and_mode() {
    let (directory, path) = scratch();
    let copy = directory.path().join(COPY);
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    backup(&path, &copy).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    Alteration::of(&path).drop_field("name").capacity(500).apply().unwrap();
    drop(table);
    restore(&copy, &path).unwrap();
    assert_eq!(keys(&open(&path)), [0, 1, 2]);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    // Everything behind the header.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0xa5; 100_000], 4096).unwrap();
    drop(file);
    assert!(options().open(&path).is_err());
    restore(&copy, &path).unwrap();
    assert_eq!(keys(&open(&path)), [0, 1, 2]);
    // What is no table any more has to be deleted first.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
    assert!(matches!(restore(&copy, &path), Err(Error::Foreign { .. })));
    std::fs::remove_file(&path).unwrap();
    restore(&copy, &path).unwrap();
    assert_eq!(keys(&open(&path)), [0, 1, 2]);
    assert_eq!(names_in(directory.path()), [COPY, "visits.loc"]);
}

// -- repair -----------------------------------------------------------------------------------------

/// Where the cells of the table of visits begin, and how long one is.
fn place_of_cells(path: &Path) -> (u64, u64) {
    let first = std::fs::read(path).unwrap();
    let number = |at: usize| u64::from_ne_bytes(first[at..at + 8].try_into().unwrap());
    (number(112), u64::from(u32::from_ne_bytes(first[56..60].try_into().unwrap())))
}

#[test]
fn what_is_whole_of_a_damaged_file_is_saved_and_the_rest_is_named() {
    let (directory, path) = scratch();
    let table = options().capacity(10).create(&path).unwrap();
    insert_all(&table, 0..10);
    let ids: Vec<RecordId> = (0..10).map(|key| table.find(&key).unwrap().unwrap().id()).collect();
    table.remove_by_key(&9).unwrap();
    let version = table.update(ids[8], |found| *found = visit(8, 1)).unwrap();
    table.sync().unwrap();
    // Only a later sync shows that this one was acknowledged.
    table.update(ids[7], |found| *found = visit(7, 1)).unwrap();
    table.sync().unwrap();
    drop(table);
    let (cells, cell_bytes) = place_of_cells(&path);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The record of slot 3, in whichever cell it is, and the control group.
    for cell in 0..4 {
        file.write_all_at(&[0xff], cells + (4 * u64::from(ids[3].slot()) + cell) * cell_bytes + 40).unwrap();
    }
    file.write_all_at(&[0xa5; 3000], 4096).unwrap();
    drop(file);
    let damaged = std::fs::read(&path).unwrap();
    assert!(options().open(&path).is_err());

    let new = directory.path().join("new.loc");
    let repaired = repair(&path, &new).unwrap();
    assert_eq!((repaired.live_count, repaired.left_out.len()), (8, 0));
    let named = repaired.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(named.contains(&format!("slot {}", ids[3].slot())), "{named}");
    assert!(std::fs::read(&path).unwrap() == damaged, "the damaged file stays as it is");
    let saved = open(&new);
    assert_eq!(keys(&saved), [0, 1, 2, 4, 5, 6, 7, 8]);
    assert_eq!(saved.get(ids[8]).unwrap().map(|row| (row.version(), row.hits)), Some((version, 1)));
    assert!(locule::admin::verify(&new).unwrap().is_good());
    for key in [3, 9] {
        assert!(!ids.contains(&saved.insert(&visit(key, 0)).unwrap()), "an id comes again");
    }
    assert!(matches!(repair(&path, &new), Err(Error::AlreadyExists { .. })));
    assert!(matches!(repair(&path, &path), Err(Error::AlreadyExists { .. })));
}

#[test]
fn of_a_file_that_was_cut_short_what_is_left_is_saved_and_of_one_without_a_header_nothing() {
    let (directory, path) = scratch();
    let table = options().capacity(10).create(&path).unwrap();
    insert_all(&table, 0..10);
    let by_slot: Vec<u64> = table.iter().map(|row| row.unwrap().visitor).collect();
    drop(table);
    let (cells, cell_bytes) = place_of_cells(&path);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(cells + 4 * 4 * cell_bytes).unwrap();
    let at = |name: &str| directory.path().join(name);
    let repaired = repair(&path, at("new.loc")).unwrap();
    assert_eq!((repaired.live_count, repaired.problems.len()), (4, 1));
    let mut expected = by_slot[..4].to_vec();
    expected.sort_unstable();
    assert_eq!(keys(&open(&at("new.loc"))), expected);
    // Not even a record is left: ids go on nevertheless.
    file.set_len(8192).unwrap();
    assert_eq!(repair(&path, at("empty.loc")).unwrap().live_count, 0);
    let id = open(&at("empty.loc")).insert(&visit(1, 0)).unwrap();
    assert!(id.generation() > 1 << 20, "{id}");
    file.write_all_at(&[0xff], 200).unwrap();
    assert!(matches!(repair(&path, at("none.loc")), Err(Error::Foreign { .. })));
    assert_eq!(names_in(directory.path()), ["empty.loc", "new.loc", "visits.loc"]);
}

/// The tombstone of a record is damaged, and its key is in another slot by now.
#[test]
fn of_two_records_with_one_key_the_newer_is_saved() {
    for is_other_way_round in [false, true] {
        let (directory, path) = scratch();
        let table = options().capacity(2).create(&path).unwrap();
        let ids = [0, 1].map(|key| table.insert(&visit(key, 0)).unwrap());
        let (moved, other) = if is_other_way_round { (1, 0) } else { (0, 1) };
        // The slot that became free last is used first.
        let versions = [moved, other].map(|key| table.delete(ids[key as usize]).unwrap());
        let new = table.insert(&visit(moved, 5)).unwrap();
        assert_eq!(new.slot(), ids[other as usize].slot());
        drop(table);
        let (cells, cell_bytes) = place_of_cells(&path);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        for cell in 0..4 {
            let place = cells + (4 * u64::from(ids[moved as usize].slot()) + cell) * cell_bytes;
            let mut number = [0; 8];
            file.read_exact_at(&mut number, place).unwrap();
            if u64::from_ne_bytes(number) == versions[0] {
                file.write_all_at(&[0xff], place + 16).unwrap();
            }
        }
        let repaired = repair(&path, directory.path().join("new.loc")).unwrap();
        assert_eq!((repaired.live_count, &repaired.left_out[..]), (1, &[ids[moved as usize]][..]));
        let saved = open(&directory.path().join("new.loc"));
        assert_eq!(saved.find(&moved).unwrap().map(|row| (row.id(), row.hits)), Some((new, 5)));
        assert_consistent(&saved);
    }
}

// -- scrub ------------------------------------------------------------------------------------------

fn contains(path: &Path, text: &str) -> bool {
    std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
}

fn secret(key: u64, text: &str) -> Visit {
    Visit { visitor: key, hits: 0, name: text.parse().unwrap() }
}

#[test]
fn what_was_deleted_or_replaced_is_not_in_the_file_any_more_and_everything_else_is() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let replaced = table.insert(&secret(1, "the old secret")).unwrap();
    let deleted = table.insert(&secret(2, "the deleted secret")).unwrap();
    let given_up = table.write(|transaction| {
        transaction.insert(&secret(4, "the secret given up"))?;
        Err::<(), _>(Error::StaleSnapshot)
    });
    assert!(given_up.is_err());
    table.sync().unwrap();
    table.update(replaced, |found| *found = secret(1, "the new text")).unwrap();
    table.delete(deleted).unwrap();
    // The tombstone takes the cell of the content in the middle, and leaves its text there.
    let behind = table.insert(&secret(5, "first")).unwrap();
    for text in ["the secret behind", "last"] {
        table.update(behind, |found| *found = secret(5, text)).unwrap();
    }
    table.delete(behind).unwrap();
    let secrets = ["the old secret", "the deleted secret", "the secret given up", "the secret behind"];
    assert!(secrets.iter().all(|secret| contains(&path, secret)));
    let before: Vec<_> = table.iter().map(|row| row.unwrap()).collect();
    assert!(scrub(&path).unwrap().cell_count >= 3);
    assert!(secrets.iter().all(|secret| !contains(&path, secret)) && contains(&path, "the new text"));
    assert_eq!(table.iter().map(|row| row.unwrap()).collect::<Vec<_>>(), before);
    assert_eq!(scrub(&path).unwrap().cell_count, 0);
    assert!(locule::admin::verify(&path).unwrap().is_good());
    let copy = path.with_extension("copied");
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(open(&copy).iter().map(|row| row.unwrap()).collect::<Vec<_>>(), before);
    let id = table.insert(&secret(3, "next")).unwrap();
    assert!(id != deleted && table.get(deleted).unwrap().is_none());
}

/// Reads all records again and again: each is one that a writer put there.
fn read(path: &Path, _: &str) {
    let table = options().open_read_only(path).unwrap();
    say("begun");
    while !path.with_extension("stop").exists() {
        for key in 0..20 {
            if let Some(row) = table.find(&key).unwrap() {
                test_kit::assert_whole(&row);
            }
        }
        let rows = table.iter().map(|row| row.unwrap());
        rows.filter(|row| row.visitor < 20).for_each(|row| test_kit::assert_whole(&row));
    }
    say("ended");
}

#[test]
fn readers_and_writers_notice_nothing_of_a_scrub_but_that_it_is_done() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    (0..20).for_each(|key| _ = table.insert(&visit(key, UNITS)).unwrap());
    let mut others: Vec<Child> = (0..4).map(|seed| Child::spawn("move units", &path, seed)).collect();
    others.extend((0..4).map(|_| Child::spawn("read", &path, "")));
    others.iter_mut().for_each(|other| other.expect("begun"));
    for number in 0..30 {
        let text = format!("secret number {number}.");
        let id = table.insert(&secret(500, &text)).unwrap();
        table.delete(id).unwrap();
        // The bytes of it may still be on their way from one cell to nowhere, but it is deleted by now.
        scrub(&path).unwrap();
        assert!(!contains(&path, &text), "{text}");
    }
    std::fs::write(path.with_extension("stop"), "").unwrap();
    others.iter_mut().for_each(|other| other.expect("ended"));
    assert_eq!(table.iter().map(|row| row.unwrap().hits).sum::<u64>(), 20 * UNITS);
    assert_consistent(&table);
    assert!(locule::admin::verify(&path).unwrap().is_good());
}

// -- deaths -----------------------------------------------------------------------------------------

struct Scenario {
    /// Of the path of the table.
    operation: fn(&Path) -> locule::Result<()>,
    /// Which keys the file has in the end that is made, and what it is called.
    result: &'static str,
    keys: &'static [u64],
    is_used: bool,
    knows_nameless: bool,
}

const BACK_UP: Scenario = Scenario {
    operation: |path| backup(path, path.with_file_name("made.loc")).map(drop),
    result: "made.loc",
    keys: &[0, 1, 2, 3, 4],
    is_used: true,
    knows_nameless: true,
};
const RESTORE: Scenario = Scenario {
    operation: |path| restore(path.with_file_name(COPY), path).map(drop),
    result: "visits.loc",
    keys: &[0, 1, 2],
    is_used: false,
    knows_nameless: true,
};

fn kill_at_every_stop(path: &Path, scenario: &Scenario) {
    if !scenario.knows_nameless && !test_kit::in_fork(|| assert!(filter(SYS_openat, End::InputOutputError))) {
        return;
    }
    let directory = path.parent().unwrap();
    let result = path.with_file_name(scenario.result);
    let stop_count = at_every_stop_of(
        || {
            names_in(directory).iter().for_each(|name| std::fs::remove_file(directory.join(name)).unwrap());
            let table = options().create(path).unwrap();
            insert_all(&table, 0..3);
            backup(path, path.with_file_name(COPY)).unwrap();
            insert_all(&table, 3..5);
            scenario.is_used.then_some(table)
        },
        || {
            let flag = nix::fcntl::OFlag::O_TMPFILE - nix::fcntl::OFlag::O_DIRECTORY;
            assert!(scenario.knows_nameless || filter_flag(SYS_openat, 2, flag.bits(), End::InputOutputError));
            (scenario.operation)(path).unwrap();
        },
        |user| {
            let found = result.exists().then(|| {
                let table = open(&result);
                assert_consistent(&table);
                assert!(locule::admin::verify(&result).unwrap().is_good());
                keys(&table)
            });
            let is_done = found.as_deref() == Some(scenario.keys);
            assert!(is_done || found.is_none_or(|found| found == [0, 1, 2, 3, 4]));
            if let Some(user) = user {
                let is_superseded = matches!(user.sync(), Err(Error::Superseded));
                assert_eq!(is_superseded, is_done && result == path);
                if is_superseded {
                    user.reopen().unwrap();
                }
                user.insert(&visit(100, 0)).unwrap();
            }
            match (scenario.operation)(path) {
                Ok(()) => {}
                Err(Error::AlreadyExists { .. }) => assert!(is_done),
                Err(error) => panic!("again: {error}"),
            }
            assert!(names_in(directory).iter().all(|name| !name.starts_with('.')));
            is_done
        },
    );
    match stop_count {
        Ok(stop_count) => say(format!("{stop_count} stops")),
        Err(_) => say("skipped"),
    }
}

/// Kills a scrub before and after each system call; in `src/engine/tests/crash_points` it is killed at each store.
fn kill_a_scrub(path: &Path, _: &str) {
    let stop_count = at_every_stop_of(
        || {
            let _ = std::fs::remove_file(path);
            let table = options().create(path).unwrap();
            insert_all(&table, 0..5);
            let id = table.insert(&secret(500, "the deleted secret")).unwrap();
            table.delete(id).unwrap();
            table
        },
        || _ = scrub(path).unwrap(),
        |table| {
            assert_eq!(keys(&table), [0, 1, 2, 3, 4]);
            assert_consistent(&table);
            let is_done = !contains(path, "the deleted secret");
            scrub(path).unwrap();
            assert!(!contains(path, "the deleted secret") && locule::admin::verify(path).unwrap().is_good());
            is_done
        },
    );
    match stop_count {
        Ok(stop_count) => say(format!("{stop_count} stops")),
        Err(_) => say("skipped"),
    }
}

#[track_caller]
fn run_kills(role: &str) {
    if let Some(stops) = run_watched(role) {
        assert!(stops.trim_end_matches(" stops").parse::<usize>().unwrap() >= 20);
    }
}

#[test]
fn a_backup_is_there_whole_or_not_at_all_whenever_the_process_is_killed() {
    run_kills("back up");
    run_kills("back up without nameless files");
}

#[test]
fn a_table_that_is_being_restored_is_the_old_or_the_new_one_whenever_the_process_is_killed() {
    run_kills("restore");
    run_kills("restore while it is used");
    run_kills("restore without nameless files");
}

#[test]
fn a_scrub_that_is_killed_changes_no_record_and_can_be_made_again() {
    run_kills("scrub");
}

#[test]
fn a_table_that_was_made_from_a_backup_is_what_a_table_is() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let copy = directory.path().join(COPY);
    backup(&path, &copy).unwrap();
    let copied = Table::<Visit>::open(&copy).unwrap();
    // Both go on, each for itself: their ids do not meet.
    let ids =
        [&table, &copied].map(|table| (10..15).map(|key| table.insert(&visit(key, 0)).unwrap()).collect::<Vec<_>>());
    assert!(ids[0].iter().all(|id| !ids[1].contains(id)));
    Alteration::of(&copy).capacity(80).apply().unwrap();
    copied.reopen().unwrap();
    assert_eq!(copied.len().unwrap(), 8);
}

/// A backup was once said to need a recovery, in which something may have been lost, and an altered table to be damaged.
#[test]
fn a_file_that_no_process_has_opened_yet_is_in_order_and_has_lost_nothing() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    let [copy, repaired, restored, altered] =
        [COPY, "repaired.loc", "restored.loc", "altered.loc"].map(|name| directory.path().join(name));
    for made in [&copy, &restored, &altered] {
        backup(&path, made).unwrap();
    }
    repair(&copy, &repaired).unwrap();
    restore(&copy, &restored).unwrap();
    Alteration::of(&altered).capacity(100).apply().unwrap();
    for made in [&copy, &repaired, &restored, &altered] {
        let info = || locule::admin::info(made).unwrap();
        assert!(matches!(info().condition, Condition::Unopened { .. }), "{}: {:?}", made.display(), info().condition);
        assert_eq!(info().status.live_count, 3);
        let verification = locule::admin::verify(made).unwrap();
        assert!(verification.is_good(), "{verification}");
        let said = verification.to_string();
        assert!(said.starts_with("checked everything, 3 records; it was made at "), "{said}");
        for open in [Table::<Visit>::open_read_only, Table::open] {
            let opened = open(made).unwrap();
            let recovery = opened.recovery();
            assert!(
                matches!(recovery.outcome, RecoveryOutcome::Unopened { .. }) && recovery.nothing_lost,
                "{recovery}"
            );
            assert_consistent(&opened);
        }
        assert!(matches!(info().condition, Condition::InOrder), "it was opened");
        let moved = made.with_extension("moved");
        std::fs::copy(made, &moved).unwrap();
        assert!(matches!(locule::admin::info(&moved).unwrap().condition, Condition::NeedsRecovery { .. }));
    }
}

/// Lets a process do something, and reads the table whenever that one stands before or behind a system call.
fn read_beside(path: &Path, body: impl FnOnce()) {
    let Ok(child) = fork_traced(body) else { return say("skipped") };
    let mut stop_count = 0;
    let mut readers = Vec::new();
    while go_to_next_stop(child).unwrap() {
        stop_count += 1;
        let reader = Table::<Visit>::open_read_only(path).unwrap();
        assert_eq!(keys(&reader), [0, 1, 2], "at stop {stop_count}");
        match stop_count % 4 {
            0 => assert!(locule::admin::verify(path).unwrap().is_good(), "at stop {stop_count}"),
            2 => assert_eq!(locule::admin::info(path).unwrap().status.live_count, 3, "at stop {stop_count}"),
            _ => {}
        }
        readers.push(reader);
    }
    kill_traced(child);
    // No reader goes on with what it has copied once somebody writes.
    open(path).insert(&visit(3, 0)).unwrap();
    for reader in readers {
        match reader.iter().map(|row| row.map(|row| row.visitor)).collect::<Result<Vec<_>, _>>() {
            Ok(visitors) => assert_eq!(visitors, [0, 1, 2, 3]),
            Err(error) => assert!(matches!(error, Error::Recovered | Error::Superseded), "{error}"),
        }
        reader.reopen().unwrap();
        assert_eq!(keys(&reader), [0, 1, 2, 3]);
    }
    say(format!("{stop_count} stops"));
}

/// A copy of a table has to be recovered by its first opener.
fn read_beside_an_opener(path: &Path, _: &str) {
    let original = path.with_file_name("original.loc");
    insert_all(&options().create(&original).unwrap(), 0..3);
    std::fs::copy(&original, path).unwrap();
    read_beside(path, || drop(options().open(path).unwrap()));
}

fn read_beside_an_alteration(path: &Path, _: &str) {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..3);
    drop(table);
    read_beside(path, || _ = Alteration::of(path).capacity(100).apply().unwrap());
}

/// A process that was stopped while it recovered or replaced a table kept those out that only read.
#[test]
fn a_process_that_stands_still_anywhere_while_it_opens_a_table_holds_no_reader_up() {
    run_kills("read beside an opener");
}

#[test]
fn a_process_that_stands_still_anywhere_while_it_alters_a_table_holds_no_reader_up() {
    run_kills("read beside an alteration");
}

/// What is copied beside a process that goes on can be torn, which is no damage.
#[test]
fn what_cannot_be_recovered_beside_an_opener_is_waited_for() {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_WRLCK, SEEK_SET, flock};
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..3);
    table.close().unwrap();
    let copy = directory.path().join(COPY);
    std::fs::copy(&path, &copy).unwrap();
    let (cells, _) = place_of_cells(&path);
    let opener = std::fs::File::options().read(true).write(true).open(&copy).unwrap();
    opener.write_all_at(&[0x55; 24], cells).unwrap();
    let gate = flock { l_type: F_WRLCK as i16, l_whence: SEEK_SET as i16, l_start: 0, l_len: 1, l_pid: 0 };
    fcntl(&opener, FcntlArg::F_OFD_SETLK(&gate)).unwrap();
    let read = || options().lock_timeout(Duration::from_millis(300)).open_read_only(&copy).map(drop);
    assert!(matches!(read(), Err(Error::Timeout { lock: TableLock::Gate, .. })), "{:?}", read());
    drop(opener);
    assert!(matches!(read(), Err(Error::Damaged { .. })), "{:?}", read());
}
