//! Where the files of a run are: the table, and beside it the words that the workers share.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

use super::Options;
use super::worker_file::WorkerFile;
use crate::Result;
use crate::failure::{cause, shown};

/// The directories of a run. Those that are temporary are removed when this is dropped.
pub struct RunDirectory {
    table_path: PathBuf,
    table_directory: Option<TemporaryDirectory>,
    ledger_directory: TemporaryDirectory,
}

impl RunDirectory {
    pub fn new(options: &Options) -> Result<RunDirectory> {
        let key_count = options.records as usize * 2;
        let ledger_bytes = WorkerFile::word_count(key_count) as u64 * 8 * u64::from(options.processes);
        let ledger_directory = TemporaryDirectory::make_in(&ledger_parent(ledger_bytes)?)?;
        let table_directory = match options.file {
            Some(_) => None,
            None => Some(TemporaryDirectory::make_in(&env::temp_dir())?),
        };
        let table_path = match (&options.file, &table_directory) {
            (Some(path), _) => path.clone(),
            (None, directory) => directory.as_ref().map_or_else(env::temp_dir, |it| it.path().into()).join("bench.loc"),
        };
        Ok(RunDirectory { table_path, table_directory, ledger_directory })
    }

    pub fn table_path(&self) -> &Path {
        &self.table_path
    }

    pub fn control_path(&self) -> PathBuf {
        self.ledger_directory.path().join("control")
    }

    pub fn worker_file_paths(&self, count: u32) -> Vec<PathBuf> {
        (0..count).map(|number| self.ledger_directory.path().join(format!("worker_file-{number}"))).collect()
    }

    /// Leaves the table where it is, and says where that is.
    pub fn keep(&mut self) -> &Path {
        if let Some(directory) = &mut self.table_directory {
            directory.keep();
        }
        &self.table_path
    }

    /// Where the table is, and what that means for syncs.
    pub fn description(&self) -> String {
        let path = shown(&self.table_path);
        match statfs(&self.table_path) {
            Ok(found) if found.filesystem_type() == TMPFS_MAGIC => {
                format!("{path}, in memory (tmpfs): syncs make nothing durable here, and cost nothing")
            }
            _ => path,
        }
    }
}

/// In memory, if there is room: writing ledgers to a disk would slow the table down on the same disk, and workers that
/// write to a page that is on its way to the disk have to wait. Running out of room under a mapping kills a process, so
/// a good part must stay free.
fn ledger_parent(ledger_bytes: u64) -> Result<PathBuf> {
    let candidates = [PathBuf::from("/dev/shm"), env::temp_dir()];
    for candidate in &candidates {
        if statvfs(candidate.as_path()).is_ok_and(|room| available_bytes(&room) / 2 > ledger_bytes) {
            return Ok(candidate.clone());
        }
    }
    let [first, second] = candidates.map(|path| path.display().to_string());
    Err(format!(
        "the ledgers take {} MiB, and neither {first} nor {second} has twice as much to spare: \
         take fewer processes or records, or set TMPDIR",
        ledger_bytes >> 20
    )
    .into())
}

fn available_bytes(room: &nix::sys::statvfs::Statvfs) -> u64 {
    // The types of these fields differ between platforms.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    (room.blocks_available() as u64).saturating_mul(room.fragment_size() as u64)
}

/// A directory that is removed when this is dropped; or by the next run, if this process is killed before.
struct TemporaryDirectory {
    directory: TempDir,
    /// None where directories cannot be locked.
    _lock: Option<Flock<File>>,
}

/// What the names of temporary directories begin with.
const PREFIX: &str = "locule-bench-";
/// A directory with a file of this name is only of use to the run that has locked it.
const MARK: &str = "running";

impl TemporaryDirectory {
    fn make_in(parent: &Path) -> Result<TemporaryDirectory> {
        let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
        let cannot = |error| format!("cannot make a temporary directory in {}: {}", shown(&parent), cause(&error));
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent).map_err(cannot)?;
        let lock = lock(directory.path()).ok();
        if let Some(lock) = &lock {
            // Not before it is locked: others take what nobody has locked for left behind.
            let mark = directory.path().join(MARK);
            File::create(&mark).map_err(|error| format!("cannot create {}: {error}", shown(&mark)))?;
            remove_leftovers(&parent, lock.metadata()?.uid());
        }
        Ok(TemporaryDirectory { directory, _lock: lock })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn keep(&mut self) {
        let _ = fs::remove_file(self.path().join(MARK));
        self.directory.disable_cleanup(true);
    }
}

fn lock(directory: &Path) -> io::Result<Flock<File>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(directory)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes what runs of the same user have left that were killed. Does what it can.
fn remove_leftovers(parent: &Path, user_id: u32) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        // The lock of a run that goes on, or of another one that removes this, is held.
        let Ok(lock) = lock(&entry.path()) else { continue };
        let is_own = lock.metadata().is_ok_and(|metadata| metadata.uid() == user_id);
        if is_own && entry.path().join(MARK).symlink_metadata().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
