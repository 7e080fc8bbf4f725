//! Making, opening, replacing and destroying a file, killed by SIGKILL before and after every system call: afterwards
//! the path names the old table or the new one, whole, or nothing; the next process gets a table that it can use; and a
//! process that still has the old one open is told, or goes on.
//!
//! Nothing in the library knows about this: a process forks, lets itself be traced, and is killed when it has come to
//! its n-th stop. If tracing is not permitted the test says so, and shows nothing.

use locule::Error;
use nix::libc::SYS_openat;
use std::path::{Path, PathBuf};
use test_kit::system_calls::{End, at_every_stop_of, filter, filter_flag, run_watched};
use test_kit::{Visits, assert_consistent, keys, options, say, visit};

#[test]
fn child_process() {
    test_kit::play(&[
        ("create", |path, _| at_every_stop(path, &CREATE)),
        ("open or create", |path, _| at_every_stop(path, &OPEN_OR_CREATE)),
        ("open first", |path, _| at_every_stop(path, &OPEN_FIRST)),
        ("replace", |path, _| at_every_stop(path, &REPLACE)),
        ("replace while it is used", |path, _| at_every_stop(path, &REPLACE_USED)),
        ("destroy", |path, _| at_every_stop(path, &DESTROY)),
        ("destroy while it is used", |path, _| at_every_stop(path, &DESTROY_USED)),
        ("create without nameless files", |path, _| at_every_stop(path, &CREATE_NAMED)),
        ("replace without nameless files", |path, _| at_every_stop(path, &REPLACE_NAMED)),
        ("replace what has two names", |path, _| at_every_stop(path, &REPLACE_LINKED)),
        ("destroy what has two names", |path, _| at_every_stop(path, &DESTROY_LINKED)),
    ]);
}

/// What is done with a file, and how it is before.
struct Scenario {
    /// How many records the table has before; `None`: there is no file.
    record_count: Option<u64>,
    /// Whether it was moved here, so that the first opener recovers it.
    is_moved: bool,
    is_used: bool,
    /// Whether it has a second name, so that the file stays when the first is taken away.
    is_linked: bool,
    /// Whether the file system can have files without a name.
    knows_nameless: bool,
    operation: fn(&Path) -> locule::Result<()>,
    /// What may be found afterwards besides what was there before: a table with this many records, or no file.
    after: Option<u64>,
}

const CREATE: Scenario = Scenario {
    record_count: None,
    is_moved: false,
    is_used: false,
    is_linked: false,
    knows_nameless: true,
    operation: |path| options().create(path).map(drop),
    after: Some(0),
};
const OPEN_OR_CREATE: Scenario = Scenario { operation: |path| options().open_or_create(path).map(drop), ..CREATE };
const OPEN_FIRST: Scenario = Scenario {
    record_count: Some(3),
    is_moved: true,
    operation: |path| options().open(path).map(drop),
    after: Some(3),
    ..CREATE
};
const REPLACE: Scenario =
    Scenario { record_count: Some(3), operation: |path| options().replace(path).map(drop), after: Some(0), ..CREATE };
const REPLACE_USED: Scenario = Scenario { is_used: true, ..REPLACE };
const DESTROY: Scenario =
    Scenario { record_count: Some(3), operation: |path| locule::destroy(path), after: None, ..CREATE };
const DESTROY_USED: Scenario = Scenario { is_used: true, ..DESTROY };
const REPLACE_LINKED: Scenario = Scenario { is_linked: true, ..REPLACE_USED };
const DESTROY_LINKED: Scenario = Scenario { is_linked: true, ..DESTROY_USED };
const CREATE_NAMED: Scenario = Scenario { knows_nameless: false, ..CREATE };
const REPLACE_NAMED: Scenario = Scenario { knows_nameless: false, ..REPLACE_USED };

const SECOND_NAME: &str = "second name.loc";

/// In a child: kills the operation at each of its stops, and looks at what is left each time.
fn at_every_stop(path: &Path, scenario: &Scenario) {
    if !scenario.knows_nameless && !test_kit::in_fork(|| assert!(filter(SYS_openat, End::InputOutputError))) {
        return;
    }
    let stop_count = at_every_stop_of(
        || prepare(path, scenario),
        || {
            let flag = nix::fcntl::OFlag::O_TMPFILE - nix::fcntl::OFlag::O_DIRECTORY;
            assert!(scenario.knows_nameless || filter_flag(SYS_openat, 2, flag.bits(), End::InputOutputError));
            (scenario.operation)(path).unwrap();
        },
        |user| look_at(path, scenario, user),
    );
    match stop_count {
        Ok(stop_count) => say(format!("{stop_count} stops")),
        Err(_) => say("skipped"),
    }
}

/// Puts the table there as it is before. Returns a handle on it if a process uses it.
fn prepare(path: &Path, scenario: &Scenario) -> Option<Visits> {
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let record_count = scenario.record_count?;
    let made_at = if scenario.is_moved { path.with_extension("before") } else { path.to_owned() };
    let table = options().create(&made_at).unwrap();
    test_kit::insert_all(&table, 0..record_count);
    if scenario.is_moved {
        drop(table);
        std::fs::copy(&made_at, path).unwrap();
        std::fs::remove_file(made_at).unwrap();
        return None;
    }
    if scenario.is_linked {
        std::fs::hard_link(path, path.with_file_name(SECOND_NAME)).unwrap();
    }
    scenario.is_used.then_some(table)
}

/// Checks what the path names, what else is in the directory, and what a process finds that had the table open. Returns
/// whether the operation has happened.
fn look_at(path: &Path, scenario: &Scenario, user: Option<Visits>) -> bool {
    let found = match options().open(path) {
        Ok(table) => {
            assert_consistent(&table);
            let count = table.len().unwrap();
            // A process that gets it can use it.
            table.insert(&visit(100, 0)).unwrap();
            table.delete(table.find(&100).unwrap().unwrap().id()).unwrap();
            assert!(locule::admin::verify(path).unwrap().is_good());
            Some(count)
        }
        Err(Error::DoesNotExist { .. }) => None,
        Err(error) => panic!("opening what a death left failed: {error}"),
    };
    assert!(found == scenario.record_count || found == scenario.after, "{found:?}");
    if let Some(user) = user {
        look_as_user(path, &user, found == scenario.record_count);
    }
    for name in others_in_directory(path) {
        // A name that no table has and that is never opened. There is room for the next.
        assert!(name.starts_with(".locule.") && name.ends_with(".new") && name.len() == 45, "{name}");
        assert!(scenario.record_count.is_some() || !scenario.knows_nameless, "making a file leaves nothing");
    }
    // Doing the same again succeeds, whatever was left.
    match (scenario.operation)(path) {
        Ok(()) => {}
        Err(Error::AlreadyExists { .. }) => assert!(found.is_some()),
        Err(Error::DoesNotExist { .. }) => assert!(found.is_none()),
        Err(error) => panic!("again: {error}"),
    }
    assert_eq!(others_in_directory(path), Vec::<String>::new(), "again");
    let expected = scenario.after.map(|count| (0..count).collect::<Vec<_>>());
    assert_eq!(options().open(path).ok().map(|table| keys(&table)), expected, "again");
    found == scenario.after && (found != scenario.record_count || scenario.record_count == scenario.after)
}

/// A process had the table open all the time. If the path still names it, the process goes on; if not, none of its
/// writes is taken.
fn look_as_user(path: &Path, user: &Visits, is_still_there: bool) {
    // Readers take no lock, so nobody tells them but what was announced.
    assert!(is_still_there || matches!(user.find(&0), Err(Error::Superseded)));
    let inserted = user.insert(&visit(50, 0));
    if is_still_there {
        inserted.unwrap();
        assert_consistent(user);
        let other = options().open(path).unwrap();
        assert!(other.contains_key(&50).unwrap(), "what was written is in the table that the path names");
        user.delete(user.find(&50).unwrap().unwrap().id()).unwrap();
    } else {
        assert!(matches!(inserted, Err(Error::Superseded)), "{inserted:?}");
        assert!(matches!(user.find(&0), Err(Error::Superseded)));
    }
}

fn others_in_directory(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let others = entries.filter(|other: &PathBuf| other != path);
    let names = others.map(|other| other.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != SECOND_NAME).collect()
}

/// Lets a child go through a scenario.
#[track_caller]
fn run(role: &str) {
    let Some(stops) = run_watched(role) else { return };
    let count: usize = stops.trim_end_matches(" stops").parse().unwrap();
    assert!(count >= 10, "{role} makes more system calls than that");
}

#[test]
fn a_file_that_is_being_made_is_there_entirely_or_not_at_all() {
    run("create");
    run("open or create");
    run("create without nameless files");
}

#[test]
fn a_first_opener_killed_at_any_system_call_leaves_a_table_for_the_next() {
    run("open first");
}

#[test]
fn a_table_that_is_being_replaced_is_the_old_or_the_new_one_and_its_users_are_told() {
    run("replace");
    run("replace while it is used");
    run("replace without nameless files");
}

#[test]
fn a_table_that_is_being_destroyed_is_there_or_not_and_its_users_are_told() {
    run("destroy");
    run("destroy while it is used");
}

/// The successor of a dead replacer once checked whether the file had any name left, and so took one that was linked
/// twice for the table.
#[test]
fn users_of_a_table_with_two_names_are_told_when_the_one_they_opened_is_gone() {
    run("replace what has two names");
    run("destroy what has two names");
}
