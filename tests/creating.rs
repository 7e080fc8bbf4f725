//! Making files, and giving them their names: with little permitted, with system calls that fail, and with what others left.

mod common;

use common::{Child, options, say, scratch};
use locule::Error;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

#[test]
fn child_process() {
    common::play(&[
        ("create in two forks", create_in_two_forks),
        ("have few descriptors", have_few_descriptors),
        ("write no large files", write_no_large_files),
    ]);
}

fn names_in(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

// -- what is random --------------------------------------------------------------------------------

fn create_in_two_forks(path: &Path, _: &str) {
    // What this thread's random numbers begin with is there before the fork, so both children have the same.
    drop(HashMap::<u8, u8>::new());
    for name in ["first.loc", "second.loc"] {
        assert!(common::in_fork(|| drop(options().create(path.with_file_name(name)).unwrap())));
    }
}

/// Children of one process had the same random numbers, when those were made without the kernel's help.
#[test]
fn tables_made_by_children_of_one_process_have_uuids_and_seeds_of_their_own() {
    let (_directory, path) = scratch();
    Child::spawn("create in two forks", &path, "").finish();
    let [first, second] = ["first.loc", "second.loc"].map(|name| fs::read(path.with_file_name(name)).unwrap());
    let uuid = 128..144;
    assert_ne!(first[uuid.clone()], second[uuid]);
    let hash_seed = 144..152;
    assert_ne!(first[hash_seed.clone()], second[hash_seed]);
}

// -- limits of the process -------------------------------------------------------------------------

fn have_few_descriptors(path: &Path, _: &str) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let (directory, new) = (path.parent().unwrap(), path.with_file_name("new.loc"));
    let attempts: [fn(&Path, &Path) -> locule::Result<()>; 2] =
        [|path, _| options().open(path).map(drop), |path, _| options().open_read_only(path).map(drop)];
    for attempt in attempts {
        let is_enough = (4..100).any(|limit| {
            setrlimit(Resource::RLIMIT_NOFILE, limit, most).unwrap();
            let outcome = attempt(path, &new);
            setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
            match outcome {
                Ok(()) => return true,
                Err(Error::Io { source, path: blamed, .. }) => {
                    assert_eq!(source.raw_os_error(), Some(nix::libc::EMFILE));
                    assert!([path, &new, directory].contains(&blamed.as_path()), "{limit}: {blamed:?}");
                }
                Err(error) => panic!("{limit}: {error:?}"),
            }
            assert_eq!(names_in(directory), ["visits.loc"], "{limit}");
            false
        });
        assert!(is_enough);
    }
    say("done");
}

/// Where a process had all files open that it may have, opening a table said that it could not open the kernel's `boot_id`.
#[test]
fn too_many_open_files_are_an_error_of_the_table_that_leaves_nothing_behind() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let mut child = Child::spawn("have few descriptors", &path, "");
    child.expect("done");
    child.finish();
}

fn write_no_large_files(path: &Path, _: &str) {
    let needed_bytes = fs::metadata(path).unwrap().len();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let limit_bytes = needed_bytes - 1;
    setrlimit(Resource::RLIMIT_FSIZE, limit_bytes, most).unwrap();
    let new = path.with_file_name("new.loc");
    for outcome in [
        options().create(&new).map(drop),
        options().open_or_create(&new).map(drop),
        options().replace(&new).map(drop),
        options().replace(path).map(drop),
    ] {
        let message = outcome.unwrap_err().to_string();
        for part in ["ulimit -f", &needed_bytes.to_string(), &limit_bytes.to_string()] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert_eq!(names_in(path.parent().unwrap()), ["visits.loc"]);
    // Whoever uses a table writes no file.
    let table = options().open(path).unwrap();
    common::insert_all(&table, 0..64);
    table.commit().unwrap();
    drop(table);
    setrlimit(Resource::RLIMIT_FSIZE, needed_bytes, most).unwrap();
    drop(options().create(&new).unwrap());
    drop(options().replace(path).unwrap());
    say("done");
}

/// The kernel ended a process that made a larger file than it may, with a signal and no word.
#[test]
fn a_limit_for_the_size_of_files_is_an_error_that_says_what_is_needed() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let mut child = Child::spawn("write no large files", &path, "");
    child.expect("done");
    child.finish();
}

// -- who is told -----------------------------------------------------------------------------------

/// The word that tells users of a file that it has lost its name.
fn superseded(file: &fs::File) -> u64 {
    let word_at = |offset_bytes| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, offset_bytes).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let control_offset = word_at(64);
    word_at(control_offset + 128)
}

/// Who only reads holds no lock that whoever replaces a table could see: it said nothing when it saw none.
#[test]
fn a_table_that_nobody_seems_to_use_says_that_it_was_replaced_or_destroyed() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let old = fs::File::open(&path).unwrap();
    drop(options().replace(&path).unwrap());
    let new = fs::File::open(&path).unwrap();
    assert_eq!((superseded(&old), superseded(&new)), (1, 0));
    locule::destroy(&path).unwrap();
    assert_eq!(superseded(&new), 1);
}

/// By its second name it is opened as any table whose users have gone.
#[test]
fn a_table_with_two_names_is_a_table_by_the_one_that_is_left() {
    let (directory, path) = scratch();
    let second_name = directory.path().join("second name.loc");
    for take_away in
        [|path: &Path| drop(options().replace(path).unwrap()), |path: &Path| locule::destroy(path).unwrap()]
    {
        let table = options().create(&path).unwrap();
        common::insert_all(&table, 0..3);
        drop(table);
        fs::hard_link(&path, &second_name).unwrap();
        take_away(&path);
        let table = options().open(&second_name).unwrap();
        assert_eq!(common::keys(&table), [0, 1, 2]);
        common::insert_all(&table, 3..5);
        common::assert_consistent(&table);
        drop(table);
        for name in names_in(directory.path()) {
            locule::destroy(directory.path().join(name)).unwrap();
        }
    }
}
