//! Making a new file, which nobody sees before it is whole; replacing and destroying one that others may be using.

use super::attach::{Hold, random_uuid, random_word};
use super::guard::WriteGuard;
use super::open::{Entry, check_file_system};
use super::{Settings, Store};
use crate::error::{Error, Result};
use crate::format::commit_record::{CommitRecord, State};
use crate::format::geometry::word;
use crate::format::header::Header;
use crate::format::schema::Schema;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::resource::{Resource, getrlimit};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a new table is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    pub capacity: u64,
    pub mode: u32,
    pub schema: Schema,
}

/// A file is written page by page. After larger writes the kernel keeps it in larger units (folios), and a flush of one page
/// that was changed through the mapping writes the whole unit: 2 MiB on Linux 6.18, 420 µs instead of 118.
const PAGE_BYTES: usize = 4096;

/// Makes a new table; there must be no file of that name.
pub fn create(path: &Path, plan: &Plan, settings: &Settings) -> Result<Store> {
    if path.symlink_metadata().is_ok() {
        // Asked first so that nothing large is written in vain; what decides is the link at the end.
        return Err(Error::AlreadyExists { path: path.to_owned() });
    }
    let file = NewFile::write(path, plan, settings)?;
    file.link(path)?;
    Store::open(path, &plan.schema, settings)
}

/// Opens a table, or makes it if there is none. Any number of processes may do this at once: they get one table.
pub fn open_or_create(path: &Path, plan: &Plan, settings: &Settings) -> Result<Store> {
    // A bound only in case somebody makes and destroys the file all the time.
    for _ in 0..1000 {
        match Store::open(path, &plan.schema, settings) {
            Err(Error::DoesNotExist { .. }) => {}
            opened => return opened,
        }
        // One process builds while the others wait; without this lock they would all build, and one would win.
        let _turn = DirectoryTurn::take(path, settings);
        if path.symlink_metadata().is_err() {
            match create(path, plan, settings) {
                Err(Error::AlreadyExists { .. }) => {}
                created => return created,
            }
        }
    }
    Err(Error::DoesNotExist { path: path.to_owned() })
}

/// Makes a new table in the place of one that may be in use. Its users get `Superseded`.
pub fn replace(path: &Path, plan: &Plan, settings: &Settings) -> Result<Store> {
    if let Some(entry) = Entry::enter_if_exists(path, settings)? {
        let file = NewFile::write(path, plan, settings)?;
        retire(entry, settings, || file.rename_over(path))?;
        return Store::open(path, &plan.schema, settings);
    }
    create(path, plan, settings)
}

/// Deletes a table that may be in use. Its users get `Superseded`.
pub fn destroy(path: &Path, settings: &Settings) -> Result<()> {
    let entry = Entry::enter(path, settings)?;
    retire(entry, settings, || {
        std::fs::remove_file(path).map_err(Error::io("delete", path))?;
        sync_directory(path)
    })
}

/// Takes a file away from its users: `action` takes its name, under the write mutex if others can write.
fn retire(entry: Entry, settings: &Settings, action: impl FnOnce() -> Result<()>) -> Result<()> {
    // Who gets the attachment is alone, and stays so: the gate is held, and behind it the name is looked at again.
    let is_alone = entry.attachment().try_attach(Hold::Exclusive)?;
    // What nobody has recovered has no locks to commit under.
    let without_commits = Settings { commit_every: None, ..settings.clone() };
    let store = if is_alone { entry.map(&without_commits)? } else { entry.attach_to_users(&without_commits)? };
    let _guard = if is_alone { None } else { Some(WriteGuard::lock(&store)?) };
    action()?;
    // Also if nobody seems to use it: who only reads holds nothing.
    store.supersede();
    Ok(())
}

/// A whole file without its name.
struct NewFile {
    file: File,
    /// The name it has for now, where the file system knows no files without one.
    temporary: Option<PathBuf>,
}

impl NewFile {
    fn write(path: &Path, plan: &Plan, settings: &Settings) -> Result<Self> {
        let now = (settings.wall_clock)();
        let header = Header::new(plan.capacity, plan.schema.clone(), random_uuid(), random_word(), now)?;
        check_size_limit(header.geometry.file_bytes(), path)?;
        let new = Self::open(path, plan.mode)?;
        check_file_system(&new.file, path, settings)?;
        #[cfg(not(loom))]
        crate::shm::map::avoid_copy_on_write(&new.file);
        new.fill(&header).map_err(Error::io("write", path))?;
        Ok(new)
    }

    fn open(path: &Path, mode: u32) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(mode);
        let nameless = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(directory_of(path));
        match nameless {
            Ok(file) => Ok(NewFile { file, temporary: None }),
            Err(_) => Self::open_with_name(path, &mut options),
        }
    }

    /// Where the file system knows no files without a name.
    fn open_with_name(path: &Path, options: &mut OpenOptions) -> Result<Self> {
        let temporary = temporary_name(path);
        let file = options.create_new(true).open(&temporary).map_err(Error::io("create", path))?;
        Ok(NewFile { file, temporary: Some(temporary) })
    }

    /// Writes everything, zeros too: space that is only reserved would make the first flushes pay for its first use, and
    /// a sparse file would turn a full disk into SIGBUS.
    fn fill(&self, header: &Header) -> io::Result<()> {
        let file_bytes = header.geometry.file_bytes();
        let length = libc_length(file_bytes)?;
        match nix::fcntl::fallocate(&self.file, nix::fcntl::FallocateFlags::empty(), 0, length) {
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        // A table is whole pages.
        for offset_bytes in (0..file_bytes).step_by(PAGE_BYTES) {
            self.file.write_all_at(&[0; PAGE_BYTES], word(offset_bytes))?;
        }
        self.file.write_all_at(&header.encode(), 0)?;
        let record = first_commit_record(header);
        let record_offset = word(header.geometry.commit_record(0) * 8);
        self.file.write_all_at(bytemuck::cast_slice(&record), record_offset)?;
        self.file.sync_all()
    }

    /// Gives the file its name, which nothing else may have.
    fn link(self, path: &Path) -> Result<()> {
        let exists = |error| match error {
            Errno::EEXIST => Error::AlreadyExists { path: path.to_owned() },
            error => Error::io("create", path)(error.into()),
        };
        match &self.temporary {
            None => self.link_nameless(path).map_err(exists)?,
            Some(temporary) => {
                let flags = nix::fcntl::RenameFlags::RENAME_NOREPLACE;
                nix::fcntl::renameat2(AT_FDCWD, temporary, AT_FDCWD, path, flags).map_err(exists)?;
            }
        }
        sync_directory(path)
    }

    fn link_nameless(&self, path: &Path) -> Result<(), Errno> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        nix::unistd::linkat(AT_FDCWD, own.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
    }

    /// Gives the file a name that another one has.
    fn rename_over(mut self, path: &Path) -> Result<()> {
        let temporary = match self.temporary.take() {
            Some(temporary) => temporary,
            None => {
                let temporary = temporary_name(path);
                self.link_nameless(&temporary).map_err(|error| Error::io("create", path)(error.into()))?;
                temporary
            }
        };
        let renamed = std::fs::rename(&temporary, path).map_err(Error::io("replace", path));
        if renamed.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        renamed?;
        sync_directory(path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Whoever gave up leaves nothing behind; after a renaming there is nothing of this name.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// The record of an empty table: transaction 0.
pub(super) fn first_commit_record(header: &Header) -> [u64; crate::format::commit_record::COMMIT_RECORD_WORDS] {
    let record = CommitRecord {
        state: State { number: 0, live_count: 0, digest: header.digest_seed() },
        predecessor: 0,
        generation_floor: 0,
        wall_time_microseconds: header.created_microseconds,
    };
    record.to_words(header.digest_seed())
}

fn libc_length(file_bytes: usize) -> io::Result<i64> {
    i64::try_from(file_bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// Refuses to write a file that is longer than this process may write: instead of an error it would get a signal that ends it.
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

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{:016x}.new", random_word()))
}

fn sync_directory(path: &Path) -> Result<()> {
    let directory = directory_of(path);
    File::open(directory).and_then(|file| file.sync_all()).map_err(Error::io("flush", directory))
}

/// An advisory lock on a directory, so that of many processes that make one table, one builds it.
struct DirectoryTurn {
    _lock: Option<nix::fcntl::Flock<File>>,
}

impl DirectoryTurn {
    /// Waits for the lock as long as for any other; goes on without it then, or where there are no such locks: it only
    /// saves work.
    fn take(path: &Path, settings: &Settings) -> Self {
        let start = std::time::Instant::now();
        let Ok(mut file) = File::open(directory_of(path)) else { return DirectoryTurn { _lock: None } };
        loop {
            match nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return DirectoryTurn { _lock: Some(lock) },
                Err((back, Errno::EAGAIN)) if start.elapsed() < settings.lock_timeout => file = back,
                Err(_) => return DirectoryTurn { _lock: None },
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::attach::Attachment;
    use crate::store::tests::world::{header, settings};
    use std::time::{Duration, Instant};

    #[test]
    fn a_path_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory_of(Path::new("a.loc")), Path::new("."));
        assert_eq!(directory_of(Path::new("b/a.loc")), Path::new("b"));
    }

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

    /// A new file as it is where the file system knows none without a name.
    fn new_with_name(path: &Path) -> NewFile {
        let new = NewFile::open_with_name(path, OpenOptions::new().read(true).write(true)).unwrap();
        new.fill(&header(3)).unwrap();
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

        new_with_name(&path).link(&path).unwrap();
        assert_eq!(names_in(directory.path()), [path.as_path()]);
        Store::open(&path, &header(3).schema, &settings()).unwrap();

        // Another has the name by now.
        assert!(matches!(new_with_name(&path).link(&path), Err(Error::AlreadyExists { .. })));
        assert_eq!(names_in(directory.path()), [path.as_path()]);

        let replaced = Attachment::new(File::open(&path).unwrap(), &path).unwrap();
        new_with_name(&path).rename_over(&path).unwrap();
        assert!(replaced.has_lost_its_name());
        assert_eq!(names_in(directory.path()), [path.as_path()]);

        // A directory cannot be replaced by a file.
        let occupied = directory.path().join("directory");
        std::fs::create_dir(&occupied).unwrap();
        assert!(matches!(new_with_name(&occupied).rename_over(&occupied), Err(Error::Io { .. })));
        assert_eq!(names_in(directory.path()).len(), 2);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn every_byte_of_a_new_file_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let new = new_with_name(&path);
        // As if it had been garbage: what `fill` does not write stays.
        let file_bytes = header(3).geometry.file_bytes();
        new.file.write_all_at(&vec![0xAA; file_bytes], 0).unwrap();
        new.fill(&header(3)).unwrap();
        let mut found = vec![1; file_bytes];
        new.file.read_exact_at(&mut found, 0).unwrap();
        let expected = crate::store::tests::new_words(&header(3));
        assert!(found == bytemuck::cast_slice::<u64, u8>(&expected));
        assert_eq!(new.file.metadata().unwrap().len(), word(file_bytes));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_name_that_cannot_be_made_to_last_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        sync_directory(&directory.path().join("table.loc")).unwrap();
        let nowhere = directory.path().join("missing").join("table.loc");
        assert!(matches!(sync_directory(&nowhere), Err(Error::Io { .. })));
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
        open_or_create(&path, &plan, &impatient).unwrap();
        drop(first);
        assert!(DirectoryTurn::take(&path, &settings())._lock.is_some());
    }
}
