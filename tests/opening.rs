//! Every way in which making or opening a table fails, and what is left of the file then: the file, as it was.

use locule::{Error, RecoveryOutcome};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use test_kit::{Child, Visits, assert_consistent, keys, options, scratch, visit};

#[test]
fn child_process() {
    test_kit::play(&[("lack permission", lack_permission)]);
}

/// Everything that opens a file that should be a table already.
fn open_in_every_way(path: &Path) -> Vec<(&'static str, Error)> {
    vec![
        ("open", options().open(path).map(drop).unwrap_err()),
        ("open_read_only", options().open_read_only(path).map(drop).unwrap_err()),
        ("open_or_create", options().open_or_create(path).map(drop).unwrap_err()),
        ("replace", options().replace(path).map(drop).unwrap_err()),
        ("destroy", locule::destroy(path).unwrap_err()),
    ]
}

#[track_caller]
fn assert_foreign(path: &Path) {
    for (name, error) in open_in_every_way(path) {
        assert!(matches!(&error, Error::Foreign { path: named, .. } if named == path), "{name}: {error:?}");
    }
}

#[test]
fn what_exists_is_not_created_and_what_does_not_exist_is_not_opened() {
    let (directory, path) = scratch();
    for outcome in [options().open(&path).map(drop), options().open_read_only(&path).map(drop), locule::destroy(&path)]
    {
        assert!(matches!(&outcome, Err(Error::DoesNotExist { path: named }) if *named == path), "{outcome:?}");
    }
    let table = options().create(&path).unwrap();
    assert_eq!(table.recovery().outcome, RecoveryOutcome::New);
    table.insert(&visit(1, 0)).unwrap();
    let outcome = options().create(&path).map(drop);
    assert!(matches!(&outcome, Err(Error::AlreadyExists { path: named }) if *named == path), "{outcome:?}");
    assert_eq!(keys(&options().open_or_create(&path).unwrap()), [1]);

    let nowhere = directory.path().join("no such directory/visits.loc");
    assert!(matches!(options().open(&nowhere).map(drop), Err(Error::DoesNotExist { .. })));
    assert!(matches!(options().create(&nowhere).map(drop), Err(Error::Io { .. })));
    assert!(matches!(options().open_or_create(&nowhere).map(drop), Err(Error::Io { .. })));
    assert!(matches!(options().replace(&nowhere).map(drop), Err(Error::Io { .. })));
}

/// A mismatch was once silently ignored: a program that asked for room for 200 records got room for 100.
#[test]
fn a_required_capacity_is_that_of_the_table_or_an_error_that_says_both() {
    let (_directory, path) = scratch();
    let of = |capacity| Visits::options().sync_every(None).require_capacity(capacity);
    let table = of(100).create(&path).unwrap();
    assert_eq!((table.capacity(), of(100).open(&path).unwrap().capacity()), (100, 100));
    for outcome in [of(200).open(&path), of(200).open_or_create(&path), of(200).open_read_only(&path)] {
        let error = outcome.map(drop).unwrap_err();
        assert!(matches!(error, Error::CapacityMismatch { expected: 200, found: 100 }), "{error:?}");
        assert!(error.to_string().contains("200") && error.to_string().contains("100"), "{error}");
    }
    assert_eq!(options().capacity(200).open_or_create(&path).unwrap().capacity(), 100, "it is not required");
    // It is required of what is reopened too.
    drop(Visits::options().capacity(50).replace(&path).unwrap());
    assert!(matches!(table.len(), Err(Error::Superseded)));
    assert!(matches!(table.reopen(), Err(Error::CapacityMismatch { expected: 100, found: 50 })));
}

#[test]
fn the_short_ways_to_make_and_to_open_a_table_are_those_with_the_usual_options() {
    let (_directory, path) = scratch();
    let table = Visits::create(&path, 7).unwrap();
    table.insert(&visit(1, 0)).unwrap();
    assert_eq!((table.capacity(), table.path()), (7, path.as_path()));
    assert!(matches!(Visits::create(&path, 7), Err(Error::AlreadyExists { .. })));
    let reader = Visits::open_read_only(&path).unwrap();
    assert_eq!((keys(&reader), reader.path()), (vec![1], path.as_path()));
    assert!(matches!(reader.insert(&visit(2, 0)), Err(Error::ReadOnly { .. })));
}

#[test]
fn what_is_printed_to_find_a_mistake_says_which_table_it_is_and_what_is_in_a_row() {
    let (_directory, path) = scratch();
    let table = Visits::create(&path, 7).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    let shown = format!("{table:?}");
    assert!(shown.contains(path.to_str().unwrap()) && shown.contains("capacity: 7"), "{shown}");
    let shown = format!("{:?}", table.get(id).unwrap().unwrap());
    assert!(shown.starts_with(&format!("Row {{ id: {id:?}, version: ")), "{shown}");
    assert!(shown.contains("update_count: 0, record: Visit { visitor: 1, "), "{shown}");
    assert!(format!("{:?}", Visits::options().require_capacity(9)).contains("required_capacity: Some(9)"));
    assert!(format!("{:?}", table.iter()).starts_with("Rows {"));
    let shown = table.snapshot(|view| Ok(format!("{view:?}"))).unwrap();
    assert!(shown.starts_with("Snapshot"), "{shown}");
    let shown =
        table.write(|transaction| Ok([format!("{transaction:?}"), format!("{:?}", transaction.iter())])).unwrap();
    assert!(shown[0].starts_with("WriteTransaction") && shown[1].starts_with("TransactionRows {"), "{shown:?}");
}

#[test]
fn impossible_options_are_refused_and_leave_nothing_behind() {
    let (directory, path) = scratch();
    for capacity in [0, (1 << 24) + 1, u64::MAX] {
        for outcome in [
            options().capacity(capacity).create(&path),
            options().capacity(capacity).open_or_create(&path),
            options().capacity(capacity).replace(&path),
        ] {
            assert!(matches!(outcome.map(drop), Err(Error::InvalidArgument { .. })));
        }
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_file_has_the_mode_that_was_asked_for_and_only_its_own_name() {
    let (directory, path) = scratch();
    drop(options().create(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&path).unwrap();
    drop(options().mode(0o700).create(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

#[test]
fn what_is_not_a_table_is_refused_and_left_alone() {
    let (directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let table = fs::read(&path).unwrap();
    let mut other_version = table.clone();
    other_version[16] = 99;
    let mut other_byte_order = table;
    other_byte_order[8..16].reverse();
    for (name, bytes) in [
        ("empty", vec![]),
        ("short", b"locule".to_vec()),
        ("text", b"A text that is longer than a page.\n".repeat(1000)),
        ("zeros", vec![0; 1 << 20]),
        ("magic", [&b"locule\n\0"[..], &[0; 10_000]].concat()),
        ("version", other_version),
        ("byte order", other_byte_order),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, &bytes).unwrap();
        assert_foreign(&path);
        assert!(fs::read(&path).unwrap() == bytes, "{name} was changed");
    }
    let message = options().open(directory.path().join("version")).map(drop).unwrap_err().to_string();
    assert!(message.contains("expected format version 1, found 99"), "{message}");

    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    assert_foreign(&fifo);

    // These cannot even be opened for writing, or as what the link points to.
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    let dangling = directory.path().join("dangling");
    symlink(directory.path().join("nothing"), &dangling).unwrap();
    let sub_directory = directory.path().join("directory");
    fs::create_dir(&sub_directory).unwrap();
    for path in [&link, &dangling, &sub_directory] {
        for (name, error) in open_in_every_way(path) {
            assert!(matches!(error, Error::Io { .. } | Error::Foreign { .. }), "{name} {}: {error:?}", path.display());
        }
        let outcome = options().create(path).map(drop);
        assert!(matches!(outcome, Err(Error::AlreadyExists { .. })), "{outcome:?}");
        assert!(path.symlink_metadata().is_ok());
    }
    assert!(!directory.path().join("nothing").exists());
    assert_consistent(&options().open(&path).unwrap());
}

#[test]
fn a_file_cut_short_at_any_page_is_refused() {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    table.insert(&visit(1, 0)).unwrap();
    table.close().unwrap();
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    let length_bytes = fs::metadata(&path).unwrap().len();
    assert_eq!(length_bytes % 4096, 0);
    let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
    for length_bytes in (0..length_bytes).rev().filter(|length| [0, 1, 4095].contains(&(length % 4096))) {
        file.set_len(length_bytes).unwrap();
        assert_foreign(&copy);
        assert_eq!(fs::metadata(&copy).unwrap().len(), length_bytes);
    }
}

#[test]
fn a_header_with_any_byte_changed_is_refused() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut header = vec![0; 4096];
    file.read_exact_at(&mut header, 0).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for (offset, byte) in (0..).zip(&header) {
        file.write_all_at(&[byte ^ random.u8(1..)], offset).unwrap();
        let outcome = options().open(&path).map(drop);
        assert!(matches!(outcome, Err(Error::Foreign { .. })), "byte {offset}: {outcome:?}");
        if offset % 16 == 0 {
            assert_foreign(&path);
        }
        file.write_all_at(&[*byte], offset).unwrap();
    }
    assert_consistent(&options().open(&path).unwrap());
}

#[test]
fn another_record_type_is_refused_field_by_field() {
    mod other {
        locule::record! { pub struct Visit { pub key visitor: u64, pub hits: u32 } }
    }
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    table.insert(&visit(1, 0)).unwrap();
    for outcome in [
        locule::Table::<other::Visit>::open(&path).map(drop),
        locule::Table::<other::Visit>::options().open_read_only(&path).map(drop),
        locule::Table::<other::Visit>::options().open_or_create(&path).map(drop),
    ] {
        let error = outcome.unwrap_err();
        let message = error.to_string();
        let Error::SchemaMismatch { expected, found, differences } = error else { panic!("{message}") };
        assert_eq!(expected, "key visitor: u64, hits: u32");
        let doc = "/// Longer than a cache line, so that a torn record would show.";
        assert_eq!(found, format!("key visitor: u64,\nhits: u64,\n{doc}\nname: text(100)"));
        assert_eq!(differences, ["`hits` is u64 instead of u32", "`name: text(100)` is new, after `hits`"]);
        assert!(differences.iter().all(|difference| message.contains(difference)), "{message}");
    }
    assert_eq!(keys(&table), [1]);
}

/// A program with another record type once recovered a copy, or a table from before a reboot, before it looked at the
/// schema and refused it: a refusal that had changed the file.
#[test]
fn a_file_that_needs_a_recovery_and_holds_other_records_is_left_as_it_is() {
    mod other {
        locule::record! { pub struct Visit { pub key visitor: u64, pub hits: u32 } }
    }
    let (directory, path) = scratch();
    options().create(&path).unwrap().insert(&visit(1, 0)).unwrap();
    let copy = directory.path().join("copy.loc");
    fs::copy(&path, &copy).unwrap();
    let before = fs::read(&copy).unwrap();
    let options_of_other = locule::Table::<other::Visit>::options;
    for outcome in [
        options_of_other().open(&copy).map(drop),
        options_of_other().open_or_create(&copy).map(drop),
        options_of_other().open_read_only(&copy).map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::SchemaMismatch { .. })), "{outcome:?}");
        assert!(fs::read(&copy).unwrap() == before, "the file was changed");
    }
    assert_eq!(keys(&options().open(&copy).unwrap()), [1]);
}

#[test]
fn a_read_only_handle_reads_and_refuses_to_write() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    let id = table.insert(&visit(1, 0)).unwrap();
    let reader = options().open_read_only(&path).unwrap();
    assert!(!reader.recovery().is_private_copy);
    for outcome in [
        reader.insert(&visit(2, 0)).map(drop),
        reader.upsert(&visit(1, 1)).map(drop),
        reader.update(id, |visit| visit.hits += 1).map(drop),
        reader.replace(id, &visit(1, 1)).map(drop),
        reader.delete(id).map(drop),
        reader.write(|_| Ok(())),
        reader.sync().map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::ReadOnly { .. })), "{outcome:?}");
    }
    assert_consistent(&reader);
    table.insert(&visit(2, 0)).unwrap();
    assert_eq!(keys(&reader), [1, 2]);
    reader.close().unwrap();
}

// -- permissions -----------------------------------------------------------------------------------

/// Gives up being root, if this process is, and tries what is not allowed.
fn lack_permission(path: &Path, _: &str) {
    if nix::unistd::Uid::effective().is_root() {
        nix::unistd::setgid(nix::unistd::Gid::from_raw(65_534)).unwrap();
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65_534)).unwrap();
    }
    let directory = path.parent().unwrap();
    let (readable, hidden) = (directory.join("readable.loc"), directory.join("hidden.loc"));

    let reader = options().open_read_only(&readable).unwrap();
    assert_eq!(keys(&reader), [1]);
    assert_denied(options().open(&readable));
    assert_denied(options().open(&hidden));
    assert_denied(options().open_read_only(&hidden));
    assert_denied(options().create(directory.join("new.loc")));
    assert_denied(options().open_or_create(directory.join("new.loc")));
    assert!(!directory.join("new.loc").exists());
}

#[track_caller]
fn assert_denied(outcome: locule::Result<Visits>) {
    let error = outcome.map(drop).unwrap_err();
    let is_denied = matches!(&error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    assert!(is_denied, "{error:?}");
}

#[test]
fn what_the_file_system_does_not_permit_is_an_error_that_says_so() {
    let (directory, path) = scratch();
    for name in ["readable.loc", "hidden.loc"] {
        let table = options().create(directory.path().join(name)).unwrap();
        table.insert(&visit(1, 0)).unwrap();
    }
    let permit = |name, mode| {
        fs::set_permissions(directory.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    permit("readable.loc", 0o444);
    permit("hidden.loc", 0o000);
    permit("", 0o555);
    Child::spawn("lack permission", &path, "").finish();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    permit("", 0o755);
}
