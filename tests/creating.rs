//! Making files, and giving them their names: with little permitted, with system calls that fail, and with what other
//! processes left.

use locule::{Error, maintenance};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use test_kit::system_calls::{End, filter, filter_descriptor, fork_traced, go_to_next_stop};
use test_kit::{Child, options, say, scratch};

#[test]
fn child_process() {
    test_kit::play(&[
        ("create in two forks", create_in_two_forks),
        ("have few descriptors", have_few_descriptors),
        ("write no large files", write_no_large_files),
        ("fail to flush each descriptor", fail_to_flush_each_descriptor),
        ("watch when the directory is flushed", watch_when_the_directory_is_flushed),
        ("use an unreadable directory", use_an_unreadable_directory),
        ("fail to flush the disk", fail_to_flush_the_disk),
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
    // The state that this thread's random numbers start from exists before the fork, so both children have the same.
    drop(HashMap::<u8, u8>::new());
    for name in ["first.loc", "second.loc"] {
        assert!(test_kit::in_fork(|| drop(options().create(path.with_file_name(name)).unwrap())));
    }
}

/// Children of one process once had the same random numbers, when those were made without the kernel's help.
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
    let attempts: [fn(&Path, &Path) -> locule::Result<()>; 4] = [
        |path, _| options().open(path).map(drop),
        |path, _| options().open_read_only(path).map(drop),
        |_, new| options().create(new).map(drop),
        |path, _| options().replace(path).map(drop),
    ];
    for attempt in attempts {
        let is_enough = (4..100).any(|limit| {
            setrlimit(Resource::RLIMIT_NOFILE, limit, most).unwrap();
            let outcome = attempt(path, &new);
            setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
            match outcome {
                Ok(()) => return true,
                Err(Error::Io { source, path: blamed, .. }) => {
                    assert_eq!(source.raw_os_error(), Some(libc::EMFILE));
                    assert!([path, &new, directory].contains(&blamed.as_path()), "{limit}: {blamed:?}");
                }
                Err(error) => panic!("{limit}: {error:?}"),
            }
            assert_eq!(names_in(directory), ["visits.loc"], "{limit}");
            assert_eq!(test_kit::keys(&options().open(path).unwrap()), [0], "{limit}");
            false
        });
        assert!(is_enough);
        let _ = fs::remove_file(&new);
    }
    say("done");
}

/// If a process had as many files open as it may have, opening a table said that it could not open the kernel's
/// `boot_id`.
#[test]
fn too_many_open_files_are_an_error_of_the_table_that_leaves_nothing_behind() {
    let (_directory, path) = scratch();
    test_kit::insert_all(&options().create(&path).unwrap(), 0..1);
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
    // A process that uses a table writes no file.
    let table = options().open(path).unwrap();
    test_kit::insert_all(&table, 0..64);
    table.sync().unwrap();
    drop(table);
    setrlimit(Resource::RLIMIT_FSIZE, needed_bytes, most).unwrap();
    drop(options().create(&new).unwrap());
    drop(options().replace(path).unwrap());
    say("done");
}

/// The kernel ended a process that made a larger file than it may, by a signal and without a message.
#[test]
fn a_limit_for_the_size_of_files_is_an_error_that_says_what_is_needed() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let mut child = Child::spawn("write no large files", &path, "");
    child.expect("done");
    child.finish();
}

// -- telling users --------------------------------------------------------------------------------

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

/// A process that only reads holds no lock that a process replacing a table could see: the latter told no one when it
/// saw no lock.
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

/// By its second name it is opened like any table whose users have gone.
#[test]
fn a_table_with_two_names_is_a_table_by_the_one_that_is_left() {
    let (directory, path) = scratch();
    let second_name = directory.path().join("second name.loc");
    for take_away in
        [|path: &Path| drop(options().replace(path).unwrap()), |path: &Path| locule::destroy(path).unwrap()]
    {
        let table = options().create(&path).unwrap();
        test_kit::insert_all(&table, 0..3);
        drop(table);
        fs::hard_link(&path, &second_name).unwrap();
        take_away(&path);
        let table = options().open(&second_name).unwrap();
        assert_eq!(test_kit::keys(&table), [0, 1, 2]);
        test_kit::insert_all(&table, 3..5);
        test_kit::assert_consistent(&table);
        drop(table);
        for name in names_in(directory.path()) {
            locule::destroy(directory.path().join(name)).unwrap();
        }
    }
}

// -- names that last -------------------------------------------------------------------------------

/// What gives or takes a name.
type Operation = fn(&Path) -> locule::Result<()>;

const CREATE: Operation = |path| options().create(path).map(drop);
const OPEN_OR_CREATE: Operation = |path| options().open_or_create(path).map(drop);
const REPLACE: Operation = |path| options().replace(path).map(drop);
const DESTROY: Operation = |path| locule::destroy(path);

/// A table of one record, unless it is to be created.
fn prepare(path: &Path, operation: Operation) -> Option<test_kit::Visits> {
    let _ = fs::remove_file(path);
    let is_created = [CREATE, OPEN_OR_CREATE].iter().any(|creating| std::ptr::fn_addr_eq(*creating, operation));
    (!is_created).then(|| {
        let table = options().create(path).unwrap();
        test_kit::insert_all(&table, 0..1);
        table
    })
}

#[track_caller]
fn assert_failed_to_flush(outcome: &locule::Result<()>) {
    match outcome {
        Err(Error::Io { action: "write" | "flush", source, .. }) if source.raw_os_error() == Some(libc::EIO) => {}
        outcome => panic!("{outcome:?}"),
    }
}

/// Checks that what was there before, if anything was, is there and in use.
#[track_caller]
fn assert_nothing_has_happened(path: &Path, user: Option<&test_kit::Visits>) {
    assert_eq!(names_in(path.parent().unwrap()).len(), user.into_iter().count());
    if let Some(user) = user {
        user.update(user.find(&0).unwrap().unwrap().id(), |visit| *visit = test_kit::visit(0, 1)).unwrap();
        assert_eq!(options().open(path).unwrap().find(&0).unwrap().unwrap().hits, 1);
    }
}

/// Makes each flush fail, one after the other: it need not be known for that which descriptor it is of.
fn fail_to_flush_each_descriptor(path: &Path, _: &str) {
    if !test_kit::in_fork(|| assert!(filter(libc::SYS_fsync, End::InputOutputError))) {
        return;
    }
    for (operation, expected_count) in [(CREATE, 2), (OPEN_OR_CREATE, 2), (REPLACE, 2), (DESTROY, 1)] {
        let mut failed_count = 0;
        for descriptor in 0..40 {
            let user = prepare(path, operation);
            let failed = path.with_file_name("failed");
            let has_ended_well = test_kit::in_fork(|| {
                assert!(filter_descriptor(libc::SYS_fsync, descriptor, End::InputOutputError));
                let outcome = operation(path);
                if outcome.is_err() {
                    assert_failed_to_flush(&outcome);
                    fs::write(&failed, "").unwrap();
                }
            });
            assert!(has_ended_well);
            let has_failed = fs::remove_file(failed).is_ok();
            failed_count += u32::from(has_failed);
            if std::ptr::fn_addr_eq(operation, DESTROY) {
                // A name cannot be put back; whether it comes back with the next power cut is open.
                assert_eq!(names_in(path.parent().unwrap()).len(), 0);
                assert!(matches!(user.unwrap().len(), Err(Error::Superseded)));
            } else if has_failed {
                assert_nothing_has_happened(path, user.as_ref());
            } else {
                assert!(options().open(path).unwrap().is_empty().unwrap());
                assert!(user.is_none_or(|user| matches!(user.len(), Err(Error::Superseded))));
            }
        }
        // The file and the directory, or only the directory.
        assert_eq!(failed_count, expected_count);
    }
    say("done");
}

/// An error of flushing the directory left a table behind; and no test would have noticed if the directory had never
/// been flushed.
#[test]
fn a_file_or_a_name_that_does_not_get_to_the_disk_is_an_error_after_which_nothing_has_happened() {
    run_or_skip("fail to flush each descriptor", &scratch().1);
}

#[track_caller]
fn run_or_skip(role: &str, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut child = Child::spawn(role, path, "");
    match child.hear() {
        message if message.starts_with("skipped") => eprintln!("{message}"),
        message => assert_eq!(message, "done"),
    }
    child.finish();
}

#[cfg(target_env = "gnu")]
fn watch_when_the_directory_is_flushed(path: &Path, _: &str) {
    for operation in [CREATE, OPEN_OR_CREATE, REPLACE, DESTROY] {
        drop(prepare(path, operation));
        let inode = || path.symlink_metadata().ok().map(|metadata| metadata.ino());
        let before = inode();
        // What the path names when the directory is flushed.
        let mut flushed = Vec::new();
        let Ok(child) = fork_traced(|| operation(path).unwrap()) else { return say("skipped: not traced") };
        while go_to_next_stop(child).unwrap() {
            let stop = nix::sys::ptrace::syscall_info(child).unwrap();
            if stop.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                // SAFETY: at the entry of a system call the kernel fills in this part.
                let call = unsafe { stop.u.entry };
                let is_fsync = i64::try_from(call.nr) == Ok(libc::SYS_fsync);
                let of = format!("/proc/{child}/fd/{}", call.args[0]);
                if is_fsync && fs::read_link(of).is_ok_and(|of| of == path.parent().unwrap()) {
                    flushed.push(inode());
                }
            }
        }
        nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(child, None).unwrap();
        assert_eq!(flushed, [inode()]);
        assert_ne!(inode(), before);
    }
    say("done");
}

#[cfg(not(target_env = "gnu"))]
fn watch_when_the_directory_is_flushed(_: &Path, _: &str) {
    say("skipped: this C library cannot look at system calls");
}

#[test]
fn a_directory_is_flushed_once_the_name_in_it_is_what_it_is_to_be() {
    let (directory, _) = scratch();
    let path = directory.path().canonicalize().unwrap().join("visits.loc");
    run_or_skip("watch when the directory is flushed", &path);
}

/// Gives up being root, if this process is.
fn become_nobody() {
    if nix::unistd::Uid::effective().is_root() {
        nix::unistd::setgroups(&[]).unwrap();
        nix::unistd::setgid(nix::unistd::Gid::from_raw(65_534)).unwrap();
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65_534)).unwrap();
    }
}

fn use_an_unreadable_directory(path: &Path, _: &str) {
    become_nobody();
    CREATE(path).unwrap();
    REPLACE(path).unwrap();
    DESTROY(path).unwrap();
    OPEN_OR_CREATE(path).unwrap();
    let user = options().open(path).unwrap();
    REPLACE(path).unwrap();
    assert!(matches!(user.len(), Err(Error::Superseded)));
    DESTROY(path).unwrap();
    assert!(!path.exists());
    say("done");
}

fn fail_to_flush_the_disk(path: &Path, _: &str) {
    become_nobody();
    if filter(libc::SYS_syncfs, End::InputOutputError) {
        assert_failed_to_flush(&CREATE(path));
        assert_failed_to_flush(&OPEN_OR_CREATE(path));
        assert_failed_to_flush(&REPLACE(path));
        say("done");
    }
}

/// For a directory that may be changed but not read, flushing it was an error, after the table was there.
#[test]
fn a_directory_that_may_not_be_read_is_flushed_with_its_disk() {
    let (directory, path) = scratch();
    let permit = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    permit(0o333);
    run_or_skip("use an unreadable directory", &path);
    run_or_skip("fail to flush the disk", &path);
    permit(0o755);
    assert_eq!(names_in(directory.path()), Vec::<String>::new());
}

// -- what a replaced file was ----------------------------------------------------------------------

/// A table that root replaced became root's, with the permissions of a new one.
#[test]
fn what_replaces_a_table_has_its_owner_group_and_permissions() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let nobody = 65_534;
    if std::os::unix::fs::chown(&path, Some(nobody), Some(nobody)).is_err() {
        return eprintln!("skipped: only root gives files away");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    drop(options().replace(&path).unwrap());
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (nobody, nobody, 0o660));
}

/// An access control list, as the kernel takes it: what the owner, one user, the group, all of those together, and others may.
fn access_list(permitted: [u16; 5]) -> Vec<u8> {
    let mut list = 2_u32.to_le_bytes().to_vec();
    for ((tag, id), permitted) in
        [(1_u16, None), (2, Some(1234_u32)), (4, None), (0x10, None), (0x20, None)].into_iter().zip(permitted)
    {
        list.extend([tag.to_le_bytes(), permitted.to_le_bytes()].concat());
        list.extend(id.unwrap_or(u32::MAX).to_le_bytes());
    }
    list
}

/// The list of a file; none if it has only its mode.
fn access_list_of(path: &Path) -> Option<Vec<u8>> {
    let (path, mut list) = (CString::new(path.as_os_str().as_bytes()).unwrap(), vec![0_u8; 1000]);
    // SAFETY: both texts end with a zero byte, and the list has as many bytes as the kernel is told.
    let code = unsafe { libc::getxattr(path.as_ptr(), ACCESS.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    list.truncate(usize::try_from(code).ok()?);
    Some(list)
}

fn set_access_list(path: &Path, attribute: &CStr, list: &[u8]) -> std::io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: both texts end with a zero byte, and the list has as many bytes as the kernel is told.
    let code = unsafe { libc::setxattr(path.as_ptr(), attribute.as_ptr(), list.as_ptr().cast(), list.len(), 0) };
    if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

const ACCESS: &CStr = c"system.posix_acl_access";

/// A group that could read because of a list could write to the file that came after it, and the users that the list named
/// could do nothing.
#[test]
fn what_takes_the_place_of_a_table_has_its_access_control_list() {
    let (directory, path) = scratch();
    let list = access_list([6, 6, 4, 6, 0]);
    drop(options().create(&path).unwrap());
    if let Err(error) = set_access_list(&path, ACCESS, &list) {
        return eprintln!("skipped: the file system takes no access control list: {error}");
    }
    let may = |path: &Path| (access_list_of(path), fs::metadata(path).unwrap().mode() & 0o7777);
    let expected = (Some(list.clone()), 0o660);
    drop(options().replace(&path).unwrap());
    assert_eq!(may(&path), expected);
    maintenance::Alteration::of(&path).capacity(500).apply().unwrap();
    assert_eq!(may(&path), expected);
    let copy = directory.path().join("copy.loc");
    maintenance::backup(&path, &copy).unwrap();
    assert_eq!(may(&copy), expected);
    maintenance::restore(&copy, &path).unwrap();
    assert_eq!(may(&path), expected);

    // One that has none gets none from its directory.
    let another = directory.path().join("another.loc");
    drop(options().create(&another).unwrap());
    fs::set_permissions(&another, fs::Permissions::from_mode(0o640)).unwrap();
    set_access_list(directory.path(), c"system.posix_acl_default", &list).unwrap();
    drop(options().replace(&another).unwrap());
    assert_eq!(may(&another), (None, 0o640));
}

/// The name that a file has for a moment was longer than the table's own, and there was no room for it.
#[test]
fn a_table_whose_name_is_as_long_as_names_can_be_can_be_made_and_replaced() {
    let (directory, path) = scratch();
    let path = path.with_file_name("n".repeat(255));
    drop(options().create(&path).unwrap());
    drop(options().replace(&path).unwrap());
    assert_eq!(names_in(directory.path()), ["n".repeat(255)]);
}
