//! Making a new file, which no process sees before it is whole; replacing and destroying one that others may be using.

use crate::engine::guard::WriteGuard;
use crate::engine::{Settings, Store};
use crate::error::{Error, Result};
use crate::file::name::Name;
use crate::file::open::{GatedFile, check_file_system};
use crate::file::temporary::{NewFile, TemporaryName, directory_of, remove_leftovers};
use crate::format::gaps::Gaps;
use crate::format::geometry::word;
use crate::format::header::Header;
use crate::format::sync_record::{State, SyncRecord};
use crate::schema::Schema;
use crate::sys::access_list::AccessList;
use crate::sys::attachment::{Hold, absolute, random_uuid, random_word};
use crate::sys::deadline::poll;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::sync::Arc;

/// What a new table should be.
#[derive(Clone, Debug)]
pub struct Plan {
    pub capacity: u64,
    pub mode: u32,
    pub schema: Arc<Schema>,
}

/// Who may use a new file.
#[derive(Clone, Copy, Debug)]
pub enum Permissions<'a> {
    /// Its maker, and others by this mode as far as the process's `umask` lets it.
    Mode(u32),
    /// The same as the file of this name: it gets the owner, the group, the mode and the access control list of that one.
    Of(&'a Path),
}

/// A file is written page by page. After larger writes the kernel keeps it in larger units (folios), and a flush of one page
/// that was changed through the mapping writes the whole unit: 2 MiB on Linux 6.18, 420 µs instead of 118.
const PAGE_BYTES: usize = 4096;

/// Makes a new table; there must be no file of that name.
pub fn create(path: &Path, plan: &Plan, settings: &Settings) -> Result<Store> {
    let path = &absolute(path)?;
    remove_leftovers(path);
    if path.symlink_metadata().is_ok() {
        // Checked first so that nothing large is written in vain; what decides is the link at the end.
        return Err(Error::AlreadyExists { path: path.to_owned() });
    }
    let NewTable { store, name, temporary } = NewTable::build(path, plan, Permissions::Mode(plan.mode), settings)?;
    name.give(temporary.as_ref())?;
    let outcome = name.make_last().and_then(|()| store.leave_gate());
    outcome.inspect_err(|_| {
        name.take_away();
        store.supersede();
    })?;
    Ok(store)
}

/// Opens a table, or makes it if there is none. Any number of processes may do this at once: they get one table. What it
/// should be is asked only if there is none.
pub fn open_or_create(path: &Path, plan: impl Fn() -> Result<Plan>, settings: &Settings) -> Result<Store> {
    let path = &absolute(path)?;
    // The loop is bounded only in case a program makes and destroys the file all the time.
    for _ in 0..1000 {
        match Store::open(path, settings) {
            Err(Error::DoesNotExist { .. }) => {}
            opened => return opened,
        }
        // One process builds while the others wait; without this lock they would all build, and one would win.
        let _turn = DirectoryTurn::take(path, settings);
        if path.symlink_metadata().is_err() {
            match create(path, &plan()?, settings) {
                Err(Error::AlreadyExists { .. }) => {}
                created => return created,
            }
        }
    }
    Err(Error::DoesNotExist { path: path.to_owned() })
}

/// Makes a new table in the place of one that may be in use. Its users get `Superseded`.
pub fn replace(path: &Path, plan: &Plan, settings: &Settings) -> Result<Store> {
    let path = &absolute(path)?;
    remove_leftovers(path);
    if let Some(entry) = GatedFile::enter_if_exists(path, settings)? {
        let NewTable { store, name, temporary } = NewTable::build(path, plan, Permissions::Of(path), settings)?;
        // As soon as the names are exchanged, this names the old file.
        let temporary = temporary.map_or_else(|| name.give_temporary(), Ok)?;
        retire(entry, Fate::Lost, settings, |leaving| {
            leaving.announce();
            name.exchange(&temporary, || store.leave_gate())
        })?;
        return Ok(store);
    }
    create(path, plan, settings)
}

/// Deletes a table that may be in use. Its users get `Superseded`.
pub fn destroy(path: &Path, settings: &Settings) -> Result<()> {
    let path = &absolute(path)?;
    remove_leftovers(path);
    let entry = GatedFile::enter(path, settings)?;
    let name = Name::of(path, entry.attachment().file())?;
    retire(entry, Fate::Lost, settings, |leaving| {
        leaving.announce();
        std::fs::remove_file(path).map_err(Error::io("delete", path))
    })?;
    name.make_last()
}

/// What becomes of the records of a file that loses its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    /// They go on in the file that gets the name.
    CarriedOn,
}

/// Takes a file away from its users, under the write mutex if others can write: `action` announces the departure when it
/// has prepared everything, and takes the name.
pub fn retire<R>(
    entry: GatedFile,
    fate: Fate,
    settings: &Settings,
    action: impl FnOnce(&Leaving<'_>) -> Result<R>,
) -> Result<R> {
    // A handle that gets the attachment is alone, and stays so: the gate is held, and behind it the name is looked at
    // again.
    let is_alone = entry.attachment().try_attach(Hold::Exclusive)?;
    // A file that loses its name need not be synced. And if waiting for the lock was in vain, it must not be repeated
    // when the handle is dropped.
    let settings = &Settings { sync_every: None, ..settings.clone() };
    let store = if is_alone { entry.map(settings)? } else { entry.attach_to_users(settings)? };
    let _guard = if is_alone { None } else { Some(WriteGuard::lock(&store)?) };
    let outcome = action(&Leaving { store: &store, fate });
    // A file that has lost its name is no longer a table, even if the change could not be made to last. Its users are
    // told even if there seem to be none: a process that only reads holds nothing.
    if outcome.is_ok() || store.has_lost_its_name() {
        store.supersede();
    } else {
        store.call_departure_off();
    }
    outcome
}

/// A file that is about to lose its name.
pub struct Leaving<'a> {
    pub store: &'a Store,
    fate: Fate,
}

impl Leaving<'_> {
    /// Must be called before the name is taken: a process that dies behind this tells the users nothing, and they look for
    /// themselves. Those that have written and are about to sync will find the name gone, and what that means for them.
    pub fn announce(&self) {
        self.store.announce_departure(self.fate == Fate::CarriedOn);
    }
}

/// A whole table that has not got its name yet. Its gate is held, and this process is attached. Once it has its name,
/// nothing is left to do that can fail, except making the name last.
struct NewTable<'a> {
    store: Store,
    name: Name<'a>,
    /// The name it has for now, if the file system cannot have files without one.
    temporary: Option<TemporaryName>,
}

impl<'a> NewTable<'a> {
    /// Makes the file that is to have this path.
    fn build(path: &'a Path, plan: &Plan, permissions: Permissions<'_>, settings: &Settings) -> Result<Self> {
        if plan.mode & !0o777 != 0 {
            let reason =
                format!("a mode is up to 0o777, read and write for whom it is to be, and not {:#o}", plan.mode);
            return Err(Error::InvalidArgument { reason });
        }
        let now = (settings.wall_clock)();
        let header = Header::new(plan.capacity, Arc::clone(&plan.schema), random_uuid(), random_word(), now)?;
        let new = new_file(path, &header, permissions, settings)?;
        let file = new.attachment.file();
        let name = Name::of(path, file)?;
        let store = GatedFile::of_new_file(new.attachment)?.attach_as_the_first(settings)?;
        Ok(NewTable { store, name, temporary: new.temporary })
    }
}

/// A file that has everything of a new table but a name.
pub(super) fn new_file(
    path: &Path,
    header: &Header,
    permissions: Permissions<'_>,
    settings: &Settings,
) -> Result<NewFile> {
    check_size_limit(header.geometry.file_bytes(), path)?;
    let mode = match permissions {
        Permissions::Mode(mode) => mode,
        // Until it has its owner, nobody else may open it.
        Permissions::Of(_) => 0o600,
    };
    let new = NewFile::open(path, mode)?;
    let file = new.attachment.file();
    check_file_system(file, path, settings)?;
    #[cfg(not(loom))]
    crate::sys::mapping::avoid_copy_on_write(file);
    fill(file, header).map_err(Error::io("write", path))?;
    if let Permissions::Of(other) = permissions {
        give_permissions(file, other).map_err(Error::io("set the permissions of what is to be", path))?;
    }
    Ok(new)
}

/// Writes everything, zeros too. If space were only reserved, the first flushes would pay for its first use; if the
/// file were sparse, a full disk would become a SIGBUS.
fn fill(file: &File, header: &Header) -> io::Result<()> {
    let file_bytes = header.geometry.file_bytes();
    let length = libc_length(file_bytes)?;
    match nix::fcntl::fallocate(file, nix::fcntl::FallocateFlags::empty(), 0, length) {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    // A table is whole pages. They are written one by one: what is written in larger pieces, the kernel keeps in larger
    // pieces, and a flush of one changed page then writes all of its piece.
    for offset_bytes in (0..file_bytes).step_by(PAGE_BYTES) {
        file.write_all_at(&[0; PAGE_BYTES], word(offset_bytes))?;
    }
    file.write_all_at(&header.encode(), 0)?;
    let record = first_sync_record(header);
    let record_offset = word(header.geometry.sync_record(0) * 8);
    file.write_all_at(bytemuck::cast_slice(&record), record_offset)?;
    file.sync_all()
}

/// Gives a new file the owner, the group and the permissions of another. If this process may not give files away, it stays
/// the owner; if it may not give the file the group either, the group that the file then has gets no permissions. And if the
/// file cannot have the access control list of the other, nobody may do more with it than with that one.
fn give_permissions(new: &File, other: &Path) -> io::Result<()> {
    let list = AccessList::of(other)?;
    let other = other.metadata()?;
    let may = |outcome: io::Result<()>| match outcome {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => Ok(false),
        Err(error) => Err(error),
    };
    let group = Some(other.gid());
    let has_group = may(fchown(new, Some(other.uid()), group))? || may(fchown(new, None, group))?;
    let list = list.map(|list| if has_group { list } else { list.without_group() });
    if list.as_ref().is_some_and(|list| list.give_to(new).is_ok()) {
        return Ok(());
    }
    // It may have one from its directory, and the mode would be about that.
    AccessList::take_from(new)?;
    let mode = other.mode() & if has_group || list.is_some() { 0o777 } else { 0o707 };
    let mode = list.map_or(mode, |list| list.narrowed(mode));
    new.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// The record of an empty table: transaction 0.
pub fn first_sync_record(header: &Header) -> [u64; crate::format::sync_record::SYNC_RECORD_WORDS] {
    let record = SyncRecord {
        state: State { number: 0, live_count: 0, digest: header.digest_seed() },
        predecessor: 0,
        generation_floor: 0,
        wall_time_microseconds: header.created_microseconds,
        gaps: Gaps::default(),
    };
    record.to_words(header.digest_seed())
}

fn libc_length(file_bytes: usize) -> io::Result<i64> {
    i64::try_from(file_bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Refuses to write a file that is longer than this process may write: it would not get an error but a signal that ends
/// it.
fn check_size_limit(file_bytes: usize, path: &Path) -> Result<()> {
    let limit = getrlimit(Resource::RLIMIT_FSIZE);
    let (limit_bytes, _) = limit.map_err(|error| Error::io("ask for the limits to", path)(error.into()))?;
    #[allow(clippy::useless_conversion, reason = "the type of the number is not the same for every C library")]
    let (file_bytes, limit_bytes) = (word(file_bytes), u64::from(limit_bytes));
    if file_bytes <= limit_bytes {
        return Ok(());
    }
    let reason = format!(
        "the table needs {file_bytes} bytes, and this process may write files of at most {limit_bytes} (`ulimit -f`, \
         RLIMIT_FSIZE): raise that limit, or choose a smaller capacity"
    );
    Err(Error::io("create", path)(io::Error::new(io::ErrorKind::FileTooLarge, reason)))
}

/// An advisory lock on a directory, so that of many processes that make one table, one builds it.
struct DirectoryTurn {
    _lock: Option<nix::fcntl::Flock<File>>,
}

impl DirectoryTurn {
    /// Waits for the lock as long as for any other. After that, or if there are no such locks, it goes on without: the
    /// lock only saves work.
    fn take(path: &Path, settings: &Settings) -> Self {
        let mut directory = File::open(directory_of(path)).ok();
        let turn = poll(settings.lock_timeout, || {
            let Some(file) = directory.take() else { return Some(None) };
            match nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock) {
                Ok(lock) => Some(Some(lock)),
                Err((file, Errno::EAGAIN)) => {
                    directory = Some(file);
                    None
                }
                Err(_) => Some(None),
            }
        });
        DirectoryTurn { _lock: turn.flatten() }
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::world::{header, settings};
    use crate::format::control::{LOSING_ITS_NAME, SUCCESSOR, SUPERSEDED};
    use crate::sys::attachment::Attachment;
    use std::fs::OpenOptions;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    #[test]
    fn a_length_that_no_file_can_have_is_refused_and_any_other_is_asked_for() {
        for file_bytes in [0, 1, 4096, 1 << 20] {
            assert_eq!(libc_length(file_bytes).unwrap(), i64::try_from(file_bytes).unwrap());
        }
        if i64::try_from(usize::MAX).is_err() {
            assert_eq!(libc_length(usize::MAX).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        }
    }

    /// The names in a directory.
    fn names_in(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// A new file as it is if the file system cannot have files without a name.
    fn new_with_name(path: &Path) -> NewFile {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let new = NewFile::open_with_name(path, options).unwrap();
        fill(new.attachment.file(), &header(3)).unwrap();
        new
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_file_that_needs_a_name_before_it_is_whole_gets_its_own_or_leaves_none_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let given_up = new_with_name(&path);
        assert_eq!(names_in(directory.path()).len(), 1);
        assert!(!path.exists());
        drop(given_up);
        assert!(names_in(directory.path()).is_empty());

        let give = |new: NewFile| Name::of(&path, new.attachment.file()).unwrap().give(new.temporary.as_ref());
        give(new_with_name(&path)).unwrap();
        assert_eq!(names_in(directory.path()), [path.as_path()]);
        Store::open(&path, &settings()).unwrap();

        // Another file has the name by now.
        assert!(matches!(give(new_with_name(&path)), Err(Error::AlreadyExists { .. })));
        assert_eq!(names_in(directory.path()), [path.as_path()]);

        let replaced = Attachment::new(File::open(&path).unwrap(), &path).unwrap();
        let new = new_with_name(&path);
        let name = Name::of(&path, new.attachment.file()).unwrap();
        // It is undone if what comes last fails.
        let failed = name.exchange(new.temporary.as_ref().unwrap(), || Err(Error::Forked));
        assert!(matches!(failed, Err(Error::Forked)) && replaced.is_named_by_path().unwrap());
        name.exchange(new.temporary.as_ref().unwrap(), || Ok(())).unwrap();
        assert!(!replaced.is_named_by_path().unwrap() && new.attachment.is_named_by_path().unwrap());
        drop(new);
        assert_eq!(names_in(directory.path()), [path.as_path()]);

        // The name is taken away only from this file.
        name.take_away();
        assert!(names_in(directory.path()).is_empty());
        std::fs::write(&path, "another file").unwrap();
        name.take_away();
        assert_eq!(names_in(directory.path()), [path.as_path()]);
    }

    /// A process that died before the exchange of the names once left its announcement behind, and one that died after it
    /// users that wrote to the old file for ever.
    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn whoever_finds_a_departure_announced_looks_whether_the_file_has_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let plan = Plan { capacity: 9, mode: 0o600, schema: header(3).schema };
        let [writer, other] = [create(&path, &plan, &settings()).unwrap(), Store::open(&path, &settings()).unwrap()];
        let reader = Store::open_read_only(&path, &settings()).unwrap();
        let insert =
            |store: &Store, key: u64| store.insert(crate::engine::Encoded::new(&[key, 0])).map_err(Error::from);
        let marks = || [SUPERSEDED, SUCCESSOR].map(|index| writer.control_word(index));

        writer.announce_departure(true);
        assert_eq!((marks(), reader.live_count().unwrap()), ([LOSING_ITS_NAME, 1], 0));
        insert(&other, 1).unwrap();
        assert_eq!((marks(), reader.live_count().unwrap()), ([0, 0], 1));

        writer.announce_departure(false);
        std::fs::rename(&path, directory.path().join("temporary")).unwrap();
        assert!(matches!(reader.live_count().map_err(Error::from), Err(Error::Superseded)));
        for store in [&writer, &other] {
            assert!(matches!(insert(store, 2), Err(Error::Superseded)));
        }
        // Somebody may know it under another name.
        assert_eq!(marks(), [LOSING_ITS_NAME, 0]);
        drop([writer, other, reader]);
        std::fs::rename(directory.path().join("temporary"), &path).unwrap();
        let again = Store::open(&path, &settings()).unwrap();
        assert_eq!(again.control_word(SUPERSEDED), 0);
        insert(&again, 2).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn every_byte_of_a_new_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let new = new_with_name(&path);
        let file = new.attachment.file();
        // As if the disk had held garbage: what `fill` does not write stays.
        let file_bytes = header(3).geometry.file_bytes();
        file.write_all_at(&vec![0xAA; file_bytes], 0).unwrap();
        fill(file, &header(3)).unwrap();
        let mut found = vec![1; file_bytes];
        file.read_exact_at(&mut found, 0).unwrap();
        let expected = crate::engine::tests::new_words(&header(3));
        assert!(found == bytemuck::cast_slice::<u64, u8>(&expected));
        assert_eq!(file.metadata().unwrap().len(), word(file_bytes));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_turn_is_waited_for_as_long_as_a_lock_and_a_table_is_made_without_it_then() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let first = DirectoryTurn::take(&path, &settings());
        assert!(first._lock.is_some());
        let patience = Duration::from_millis(20);
        let impatient = Settings { lock_timeout: patience, ..settings() };
        let start = Instant::now();
        assert!(DirectoryTurn::take(&path, &impatient)._lock.is_none());
        assert!(start.elapsed() >= patience);
        let plan = Plan { capacity: 3, mode: 0o600, schema: header(3).schema };
        open_or_create(&path, || Ok(plan.clone()), &impatient).unwrap();
        drop(first);
        assert!(DirectoryTurn::take(&path, &settings())._lock.is_some());
    }
}
