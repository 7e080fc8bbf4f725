//! What surrounds a table: its name, clocks, processes that come and go, full disks, locks of others, and processes
//! that only read.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "hostile/mounts.rs"]
mod mounts;

use locule::testing::SharedWords;
use locule::{Error, RecoveryOutcome};
use nix::libc;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use test_kit::{
    Child, Visits, assert_consistent, hear, in_fork, insert_all, keys, options, say, scratch, visit, wait_until,
};

const HOUR: Duration = Duration::from_secs(3600);

// Words of the control region, as in format.md.
const FAILED: usize = 18;
const LAST_SYNC_MILLISECONDS: usize = 43;
const LAST_SYNC_WALL_MILLISECONDS: usize = 47;

#[test]
fn child_process() {
    test_kit::play(&[
        ("insert and go", insert_and_go),
        ("insert when told and go", insert_when_told_and_go),
        ("sync in another time", sync_in_another_time),
        ("use a full disk", use_a_full_disk),
        ("open by a relative path", open_by_a_relative_path),
        ("hold the gate", hold_the_gate),
        ("read again and again", read_again_and_again),
        ("mount over the directory", mount_over_the_directory),
        ("mount the file itself", mount_the_file_itself),
        ("change the root", change_the_root),
        ("read from another PID namespace", read_from_another_pid_namespace),
        ("do without /proc", do_without_proc),
        ("be refused", be_refused),
    ]);
}

fn table_of_three(path: &Path) -> Visits {
    let table = options().create(path).unwrap();
    insert_all(&table, 0..3);
    table
}

fn set_control_word(path: &Path, index: usize, content: u64) {
    let words = SharedWords::open(path).unwrap();
    let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
    words.words()[control + index].store(content, Ordering::Relaxed);
}

fn is_synced(path: &Path) -> bool {
    let status = locule::admin::info(path).unwrap().status;
    status.last == status.durable
}

// -- the name --------------------------------------------------------------------------------------

/// Takes the table's name away.
type Theft = fn(&Path);

const THEFTS: [(&str, Theft); 3] = [
    ("deleted", |path| fs::remove_file(path).unwrap()),
    ("moved away", |path| fs::rename(path, path.with_extension("moved")).unwrap()),
    ("another moved over it", |path| {
        let other = path.with_extension("other");
        drop(table_of_three(&other));
        fs::rename(&other, path).unwrap();
    }),
];

/// Users of a file that had lost its name once went on syncing for ever, while newcomers made a second table.
#[test]
fn a_sync_of_a_file_that_has_lost_its_name_says_so_to_every_user() {
    for (name, steal) in THEFTS {
        let (_directory, path) = scratch();
        let table = table_of_three(&path);
        let [other, automatic] = [None, Some(Duration::ZERO)].map(|interval| {
            let options = Visits::options().sync_every(interval);
            options.open(&path).unwrap()
        });
        steal(&path);
        // Writes do not look at the name.
        table.insert(&visit(10, 0)).unwrap();
        // What was written is in a file that can no longer be found: so the failed sync is not reported as a success
        // with a blemish. A file that was moved may be found by its new name.
        match automatic.insert(&visit(11, 0)) {
            Err(Error::SyncAfterWrite { source }) if name == "moved away" => {
                assert!(matches!(*source, Error::Superseded), "{source:?}")
            }
            outcome => assert!(matches!(outcome, Err(Error::Superseded)), "{name}: {outcome:?}"),
        }
        // From here on all are told, if the file has no name at all; one that was moved may be in use under its new
        // name.
        if name != "moved away" {
            assert!(matches!(table.insert(&visit(12, 0)), Err(Error::Superseded)), "{name}");
            assert!(matches!(other.find(&0), Err(Error::Superseded)), "{name}");
        }
        assert!(matches!(table.sync(), Err(Error::Superseded)), "{name}");
        assert!(matches!(other.close(), Err(Error::Superseded)), "{name}");
    }
}

#[test]
fn a_sync_with_nothing_to_do_looks_at_the_name_too() {
    for (name, steal) in THEFTS {
        let (_directory, path) = scratch();
        let table = table_of_three(&path);
        table.sync().unwrap();
        steal(&path);
        assert!(matches!(table.close(), Err(Error::Superseded)), "{name}");
    }
}

/// A lock that no process of the library takes alone for long was waited for without end.
#[test]
fn a_reader_waits_no_longer_than_it_was_told_whatever_others_lock() {
    use nix::fcntl::{FcntlArg, fcntl};
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let other_program = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let attachment = nix::libc::flock {
        l_type: nix::libc::F_WRLCK.try_into().unwrap(),
        l_whence: nix::libc::SEEK_SET.try_into().unwrap(),
        l_start: 1,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&other_program, FcntlArg::F_OFD_SETLK(&attachment)).unwrap();
    let opened = options().lock_timeout(Duration::from_millis(20)).open_read_only(&path);
    assert!(matches!(opened.map(drop), Err(Error::Timeout { lock: locule::TableLock::Gate, .. })));
}

/// In the new root there is a directory with the same path, or not.
fn change_the_root(path: &Path, directory: &str) {
    let table = options().open(path).unwrap();
    let root = path.with_file_name("root");
    fs::create_dir_all(if directory.is_empty() { root.clone() } else { root.join(&directory[1..]) }).unwrap();
    if let Err(error) = nix::unistd::chroot(&root) {
        return say(format!("skipped: {error}"));
    }
    table.insert(&visit(3, 0)).unwrap();
    table.sync().unwrap();
    // There is nothing to go over to, and nothing wrong with what there is.
    table.reopen().unwrap();
    table.insert(&visit(4, 0)).unwrap();
    table.sync().unwrap();
    // Its child once said that the file had been replaced: it looked for it in the new root.
    let is_told_why = || match table.insert(&visit(6, 0)) {
        Err(error @ Error::Io { .. }) => assert!(error.to_string().contains("another root directory"), "{error}"),
        outcome => panic!("{outcome:?}"),
    };
    assert!(in_fork(is_told_why));
    say("synced");
}

/// A process that has changed its root cannot see the name, which says nothing about the file.
#[test]
fn a_process_that_has_changed_its_root_goes_on() {
    for has_directory in [false, true] {
        let (_directory, path) = scratch();
        let bystander = table_of_three(&path);
        let directory = if has_directory { path.parent().unwrap().to_str().unwrap() } else { "" };
        let mut child = Child::spawn("change the root", &path, directory);
        match child.hear() {
            message if message.starts_with("skipped") => return eprintln!("{message}"),
            message => assert_eq!(message, "synced", "{has_directory}"),
        }
        child.finish();
        // A process in a jail that has a directory with the same path once took the table from every process.
        bystander.insert(&visit(5, 0)).unwrap();
        bystander.close().unwrap();
        assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2, 3, 4, 5], "{has_directory}");
    }
}

fn mount_over_the_directory(path: &Path, _: &str) {
    if !mounts::have_own() {
        return;
    }
    let table = options().open(path).unwrap();
    let nothing: Option<&str> = None;
    nix::mount::mount(Some("none"), path.parent().unwrap(), Some("tmpfs"), nix::mount::MsFlags::empty(), nothing)
        .unwrap();
    table.insert(&visit(3, 0)).unwrap();
    // For this process the file has no name.
    assert!(matches!(table.sync(), Err(Error::Superseded)));
    say("told");
}

/// What one process sees in a mount namespace of its own once took the table from every process.
#[test]
fn what_one_process_alone_sees_of_a_name_ends_the_use_of_the_table_for_nobody_else() {
    let (_directory, path) = scratch();
    let bystander = table_of_three(&path);
    let mut child = Child::spawn("mount over the directory", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert_eq!(message, "told"),
    }
    child.finish();
    bystander.insert(&visit(4, 0)).unwrap();
    bystander.close().unwrap();
    assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2, 3, 4]);
}

fn mount_the_file_itself(path: &Path, _: &str) {
    if !mounts::have_own() {
        return;
    }
    let name = path.with_file_name("mounted.loc");
    fs::write(&name, "").unwrap();
    mounts::mount_file_over(path, name.to_str().unwrap());
    let table = options().open(&name).unwrap();
    table.insert(&visit(3, 0)).unwrap();
    table.sync().unwrap();
    fs::remove_file(path).unwrap();
    table.insert(&visit(4, 0)).unwrap();
    assert!(matches!(table.sync(), Err(Error::Superseded)));
    let outcome = table.reopen();
    assert!(
        matches!(&outcome, Err(Error::Foreign { reason, .. }) if reason.contains("mount its directory")),
        "{outcome:?}"
    );
    say("told");
}

/// As `docker -v file:file` does: the path led to the file for ever, though no other process could find it, and syncs
/// were `Ok`.
#[test]
fn a_file_that_is_mounted_itself_and_was_deleted_is_lost() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut child = Child::spawn("mount the file itself", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => eprintln!("{message}"),
        message => assert_eq!(message, "told"),
    }
    child.finish();
}

fn open_by_a_relative_path(path: &Path, _: &str) {
    std::env::set_current_dir(path.parent().unwrap()).unwrap();
    let table = options().open("visits.loc").unwrap();
    std::env::set_current_dir("/").unwrap();
    table.sync().unwrap();
    drop(options().replace(path).unwrap());
    assert!(matches!(table.len(), Err(Error::Superseded)));
    table.reopen().unwrap();
    table.insert(&visit(5, 0)).unwrap();
    table.close().unwrap();
}

/// A table that was opened by a relative path was once looked for in another directory when it was opened again.
#[test]
fn a_relative_path_is_that_of_the_directory_in_which_it_was_opened() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    Child::spawn("open by a relative path", &path, "").finish();
    assert_eq!(keys(&options().open(&path).unwrap()), [5]);
}

/// A symbolic link was once reported as "too many levels of symbolic links".
#[test]
fn a_symbolic_link_is_refused_with_the_path_that_it_leads_to() {
    let (directory, path) = scratch();
    drop(table_of_three(&path));
    let [link, dangling] = ["link.loc", "dangling.loc"].map(|name| directory.path().join(name));
    std::os::unix::fs::symlink("visits.loc", &link).unwrap();
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    let target = fs::canonicalize(&path).unwrap();
    for outcome in [options().open(&link), options().open_read_only(&link), options().open_or_create(&link)] {
        let message = outcome.map(drop).unwrap_err().to_string();
        assert!(message.contains("symbolic link") && message.contains(target.to_str().unwrap()), "{message}");
    }
    let message = options().open(&dangling).map(drop).unwrap_err().to_string();
    assert!(message.contains("symbolic link") && message.contains("leads to no file"), "{message}");
}

// -- clocks ----------------------------------------------------------------------------------------

/// Writes until some process has synced.
fn write_until_synced(table: &Visits) {
    let before = table.status().sync_count;
    wait_until("an automatic sync", || {
        table.upsert(&visit(50, 0)).unwrap();
        table.status().sync_count > before
    });
}

/// One clock that showed a time in the future ended the automatic syncs of all processes for ever.
#[test]
fn automatic_syncs_go_on_whatever_the_clocks_have_shown() {
    let (_directory, path) = scratch();
    let table = Visits::options().capacity(64).sync_every(Some(Duration::from_millis(5))).create(&path).unwrap();
    for (monotonic, wall) in [(u64::MAX, u64::MAX), (u64::MAX, 0), (0, u64::MAX), (1 << 40, 1 << 60)] {
        set_control_word(&path, LAST_SYNC_MILLISECONDS, monotonic);
        set_control_word(&path, LAST_SYNC_WALL_MILLISECONDS, wall);
        write_until_synced(&table);
    }
}

/// A clock that differs from the one before must not make every write sync.
#[test]
fn no_single_clock_makes_every_write_sync() {
    let (_directory, path) = scratch();
    let table = Visits::options().capacity(64).sync_every(Some(HOUR)).create(&path).unwrap();
    table.upsert(&visit(1, 0)).unwrap();
    table.sync().unwrap();
    let before = table.status().sync_count;
    for index in [LAST_SYNC_MILLISECONDS, LAST_SYNC_WALL_MILLISECONDS] {
        let words = SharedWords::open(&path).unwrap();
        let control = usize::try_from(words.words()[8].load(Ordering::Relaxed) / 8).unwrap();
        let right = words.words()[control + index].load(Ordering::Relaxed);
        for wrong in [0, u64::MAX] {
            set_control_word(&path, index, wrong);
            table.upsert(&visit(1, 0)).unwrap();
        }
        set_control_word(&path, index, right);
    }
    assert_eq!(table.status().sync_count, before);
}

fn sync_in_another_time(path: &Path, _: &str) {
    const CLONE_NEWTIME: libc::c_int = 0x80;
    // SAFETY: the call takes a number, and changes only in which namespace children of this process begin.
    if unsafe { libc::unshare(CLONE_NEWTIME) } != 0 {
        return say(format!("skipped: no time namespace: {}", std::io::Error::last_os_error()));
    }
    if let Err(error) = fs::write("/proc/self/timens_offsets", "monotonic 864000 0\n") {
        return say(format!("skipped: {error}"));
    }
    assert!(test_kit::in_fork(|| {
        let table = Visits::options().sync_every(Some(HOUR)).open(path).unwrap();
        table.insert(&visit(7, 0)).unwrap();
        table.sync().unwrap();
        say("synced");
        hear();
        // Others have synced since, by another clock, and not long ago.
        let before = table.status().sync_count;
        for hits in 0..100 {
            table.upsert(&visit(7, hits)).unwrap();
        }
        assert_eq!(table.status().sync_count, before, "a write in another time namespace syncs each time");
    }));
}

/// A sync by a process in another time namespace ended the automatic syncs of all others.
#[test]
fn a_process_in_another_time_namespace_neither_ends_automatic_syncs_nor_makes_one_with_each_write() {
    let (_directory, path) = scratch();
    let table = Visits::options().capacity(64).sync_every(Some(Duration::from_millis(5))).create(&path).unwrap();
    let mut child = Child::spawn("sync in another time", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert_eq!(message, "synced"),
    }
    write_until_synced(&table);
    table.sync().unwrap();
    child.tell("go on");
    child.finish();
}

// -- processes that come and go --------------------------------------------------------------------

fn insert_and_go(path: &Path, key: &str) {
    let table = Visits::options().sync_every(Some(HOUR)).open(path).unwrap();
    table.insert(&visit(key.parse().unwrap(), 0)).unwrap();
}

fn insert_when_told_and_go(path: &Path, key: &str) {
    let table = Visits::options().sync_every(Some(HOUR)).open(path).unwrap();
    table.insert(&visit(key.parse().unwrap(), 0)).unwrap();
    say("inserted");
    hear();
}

/// What short-lived processes had written once stayed unsynced until another process wrote.
#[test]
fn whoever_detaches_last_syncs() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    for key in 0..10 {
        Child::spawn("insert and go", &path, key).finish();
        assert!(is_synced(&path), "{key}");
    }
    // Of the processes that leave at the same moment, one is the last.
    for round in 1..=8 {
        let mut children: Vec<_> =
            (0..6).map(|number| Child::spawn("insert when told and go", &path, 10 * round + number)).collect();
        children.iter_mut().for_each(|child| child.expect("inserted"));
        assert!(!is_synced(&path));
        children.iter_mut().for_each(|child| child.tell("go"));
        children.into_iter().for_each(Child::finish);
        assert!(is_synced(&path), "round {round}");
    }
    // A process that asked for no automatic syncs makes none.
    let table = options().open(&path).unwrap();
    table.upsert(&visit(0, 0)).unwrap();
    drop(table);
    assert!(!is_synced(&path));
}

#[test]
fn whoever_drops_a_handle_syncs_if_the_last_sync_is_older_than_the_interval() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    drop(Visits::options().sync_every(Some(HOUR)).open(&path).unwrap());
    assert!(!is_synced(&path), "others are attached, and it was not long ago");
    drop(Visits::options().sync_every(Some(Duration::ZERO)).open(&path).unwrap());
    assert!(is_synced(&path));
    drop(table);
}

// -- a full disk -----------------------------------------------------------------------------------

/// With a table that ends the file, or with something behind it that has more blocks than the table lacks.
fn use_a_full_disk(path: &Path, end: &str) {
    if !mounts::have_own() {
        return;
    }
    drop(table_of_three(path));
    let bytes = fs::read(path).unwrap();
    let disk = path.with_file_name("disk");
    mounts::mount_small_disk(&disk, "1m");
    let copy = disk.join("visits.loc");
    let file = fs::File::create_new(&copy).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (page, content) in bytes.chunks(4096).enumerate().filter(|(_, content)| content.iter().any(|byte| *byte != 0)) {
        file.write_all_at(content, page as u64 * 4096).unwrap();
    }
    let blocks = || file.metadata().unwrap().blocks() * 512;
    assert!(blocks() < bytes.len() as u64, "the copy is not sparse");
    if end == "goes on" {
        let lacking_bytes = bytes.len() - usize::try_from(blocks()).unwrap();
        file.write_all_at(&vec![1; lacking_bytes + 4096], bytes.len() as u64).unwrap();
    }
    let filler = disk.join("filler");
    let _full = fs::write(&filler, vec![1; 1 << 20]);
    let before = fs::read(&copy).unwrap();
    match options().open(&copy).map(drop) {
        Err(Error::Io { source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::ENOSPC)),
        outcome => panic!("{outcome:?}"),
    }
    assert!(fs::read(&copy).unwrap() == before);
    fs::remove_file(&filler).unwrap();
    let table = options().open(&copy).unwrap();
    assert!(blocks() >= bytes.len() as u64);
    assert_eq!(keys(&table), [0, 1, 2]);
    assert_consistent(&table);
    say("opened");
}

/// A sparse copy of a table on a full disk once ended every process that opened it by SIGBUS.
#[test]
fn a_sparse_file_gets_its_blocks_when_it_is_opened_or_is_an_error() {
    let (_directory, path) = scratch();
    for end in ["ends", "goes on"] {
        let mut child = Child::spawn("use a full disk", &path, end);
        match child.hear() {
            message if message.starts_with("skipped") => eprintln!("{message}"),
            message => assert_eq!(message, "opened", "{end}"),
        }
        child.finish();
        let _ = fs::remove_dir_all(path.with_file_name("disk"));
        fs::remove_file(&path).unwrap();
    }
}

// -- processes that only read, and the gate --------------------------------------------------------

fn hold_the_gate(path: &Path, _: &str) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let gate =
        libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 1, l_pid: 0 };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&gate)).unwrap();
    say("held");
    hear();
}

/// A process that waited for one that was stopped while it opened a table was once not told which.
#[test]
fn whoever_cannot_open_a_table_is_told_who_is_at_it() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut holder = Child::spawn("hold the gate", &path, "");
    holder.expect("held");
    match options().lock_timeout(Duration::from_millis(20)).open(&path).map(drop) {
        Err(Error::Timeout { lock: locule::TableLock::Gate, holder_pid: Some(pid), .. }) => {
            assert_eq!(i32::try_from(pid).unwrap(), holder.pid().as_raw());
        }
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(keys(&options().open_read_only(&path).unwrap()), [0, 1, 2]);
}

fn read_again_and_again(path: &Path, _: &str) {
    say("reading");
    loop {
        assert!(options().open_read_only(path).unwrap().find(&0).unwrap().is_some());
    }
}

/// Readers that opened a table all the time once kept a writer from opening it.
#[test]
fn readers_that_come_and_go_keep_no_writer_out() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let mut readers: Vec<_> = (0..6).map(|_| Child::spawn("read again and again", &path, "")).collect();
    readers.iter_mut().for_each(|reader| reader.expect("reading"));
    for _ in 0..50 {
        // The gate is free at the first look: there is no other writer.
        drop(options().lock_timeout(Duration::ZERO).open(&path).unwrap());
    }
}

fn read_from_another_pid_namespace(path: &Path, _: &str) {
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
        return say(format!("skipped: {error}"));
    }
    assert!(test_kit::in_fork(|| {
        let reader = options().open_read_only(path).unwrap();
        assert_eq!(keys(&reader), [0, 1, 2]);
        say("reading");
        hear();
        assert!(matches!(reader.find(&0), Err(Error::Recovered)));
        reader.reopen().unwrap();
        assert_eq!(keys(&reader), [0, 1, 2, 3]);
    }));
}

/// A monitor on the host, in another PID namespace, once kept the writers of a container out.
#[test]
fn a_reader_in_another_pid_namespace_keeps_nobody_out_and_is_told_of_a_recovery() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut reader = Child::spawn("read from another PID namespace", &path, "");
    match reader.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert_eq!(message, "reading"),
    }
    set_control_word(&path, FAILED, 1);
    drop(table);
    let table = options().open(&path).unwrap();
    assert_ne!(table.recovery().outcome, RecoveryOutcome::InOrder);
    table.insert(&visit(3, 0)).unwrap();
    reader.tell("go on");
    reader.finish();
}

/// A read-only handle on a file that needed a recovery once stayed with its private copy for ever.
#[test]
fn a_private_copy_is_left_when_the_file_is_recovered_or_replaced() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    let reader = options().open_read_only(&copy).unwrap();
    assert!(reader.recovery().is_private_copy);
    assert_eq!(keys(&reader), [0, 1, 2]);
    // There is nothing else to see before: no new copy is made each time that a caller asks.
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..200 {
        reader.reopen().unwrap();
    }
    // Other tests of this process open files too.
    assert!(descriptors() < before + 150);
    let table = options().open(&copy).unwrap();
    table.insert(&visit(3, 0)).unwrap();
    assert!(matches!(reader.find(&0), Err(Error::Recovered)));
    assert!(matches!(reader.iter().next(), Some(Err(Error::Recovered))));
    reader.reopen().unwrap();
    assert!(!reader.recovery().is_private_copy);
    assert_eq!(keys(&reader), [0, 1, 2, 3]);
}

// -- without /proc ---------------------------------------------------------------------------------

fn do_without_proc(path: &Path, _: &str) {
    if !mounts::have_own() {
        return;
    }
    nix::mount::mount(Some("none"), "/proc", Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).unwrap();
    // The parent has the table open: on this kernel, so in this boot.
    let attached = options().open(path);
    say(match attached.map(|table| table.insert(&visit(3, 0)).map(drop)) {
        Ok(Ok(())) => "inserted".to_owned(),
        // Kernels before 6.11 tell the PID namespace in /proc only.
        Ok(Err(error)) | Err(error) => error.to_string(),
    });
    hear();
    for outcome in [options().open(path), options().open_read_only(path), options().create(path.with_extension("new"))]
    {
        let message = outcome.map(drop).unwrap_err().to_string();
        assert!(message.contains("without /proc") && message.contains("ProcSubset"), "{message}");
    }
    assert!(!path.with_extension("new").exists());
}

/// If /proc was not mounted, nothing opened, and nothing said why.
#[test]
fn a_machine_start_cannot_be_told_without_proc_and_the_error_says_so() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = Child::spawn("do without /proc", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert!(message == "inserted" || message.contains("without /proc"), "{message}"),
    }
    drop(table);
    child.tell("go on");
    child.finish();
}

fn be_refused(path: &Path, _: &str) {
    if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
        return say(format!("skipped: {error}"));
    }
    assert!(test_kit::in_fork(|| {
        // It would sync at once, if it were let in.
        let outcome = Visits::options().sync_every(Some(Duration::ZERO)).open(path).map(drop);
        assert!(matches!(outcome, Err(Error::Incompatible { .. })), "{outcome:?}");
        say("refused");
    }));
}

/// A handle that was refused once synced when it was dropped, under locks that it may not use.
#[test]
fn whoever_is_refused_changes_nothing_and_syncs_nothing() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let before = fs::read(&path).unwrap();
    let mut child = Child::spawn("be refused", &path, "");
    let message = child.hear();
    assert!(message == "refused" || message.starts_with("skipped"), "{message}");
    child.finish();
    assert!(fs::read(&path).unwrap() == before);
    drop(table);
}
