//! New files before they have their names, and what is left of them if the process that made them died.
//!
//! Invariants:
//!
//! - A new file has no name until it is whole. If the file system cannot have such files, and while the new file takes
//!   the name of another, it has a temporary name: `.locule.`, a hash of the table's name, a random number, `.new`.
//!   That always has the same length, since the table's name may have as many bytes as a name can have.
//! - A process that made such a file, or is about to delete one that got such a name by an exchange, holds the gate of
//!   the file before it relies on the name, and for as long as the file has the name. So a file with such a name whose
//!   gate is free was left by a process that died: the next process that creates, replaces or destroys that table
//!   deletes it.

use crate::error::{Error, Result};
use crate::sys::attachment::{Attachment, Hold, random_word};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SUFFIX: &str = ".new";
/// How often a name is chosen, if each time another process takes the file for what a dead process left, before its
/// gate is held.
const ATTEMPT_COUNT: u32 = 1000;

/// An open file that is empty and not yet the table's, and whose gate is held.
pub struct NewFile {
    pub attachment: Attachment,
    pub temporary: Option<TemporaryName>,
}

impl NewFile {
    /// Makes a file for the table of this path, without a name if the file system and this process can do that.
    pub fn open(table: &Path, mode: u32) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(mode);
        let nameless = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(directory_of(table));
        if let Ok(file) = nameless {
            let attachment = Attachment::new(file, table)?;
            attachment.enter_gate(Hold::Exclusive, Duration::ZERO)?;
            return Ok(NewFile { attachment, temporary: None });
        }
        Self::open_with_name(table, options)
    }

    pub(super) fn open_with_name(table: &Path, mut options: OpenOptions) -> Result<Self> {
        options.create_new(true);
        for _ in 0..ATTEMPT_COUNT {
            let temporary = temporary_path(table);
            let file = options.open(&temporary).map_err(Error::io("create", table))?;
            let temporary = TemporaryName(temporary);
            let attachment = Attachment::new(file, table)?;
            // Until here another process may have taken it for what a dead process left, and deleted it.
            let is_held = match attachment.enter_gate(Hold::Exclusive, Duration::ZERO) {
                Err(Error::Timeout { .. }) => false,
                outcome => outcome.map(|()| true)?,
            };
            let metadata = attachment.file().metadata().map_err(Error::io("look at", table))?;
            if is_held && metadata.nlink() > 0 {
                return Ok(NewFile { attachment, temporary: Some(temporary) });
            }
        }
        Err(Error::io("create", table)(io::ErrorKind::ResourceBusy.into()))
    }
}

/// A name that a file has for now, or keeps until it is deleted.
pub struct TemporaryName(PathBuf);

impl TemporaryName {
    /// Lets `give` give a file a temporary name.
    pub fn give<E>(table: &Path, give: impl FnOnce(&Path) -> Result<(), E>) -> Result<Self, E> {
        let path = temporary_path(table);
        give(&path)?;
        Ok(TemporaryName(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        // An attempt that gave up leaves nothing behind; after a renaming there is no file with this name.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn temporary_path(table: &Path) -> PathBuf {
    table.with_file_name(format!("{}{:016x}{SUFFIX}", prefix(table), random_word()))
}

/// What all temporary names for one table begin with.
fn prefix(table: &Path) -> String {
    let name = table.file_name().unwrap_or_default();
    format!(".locule.{:016x}.", xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
}

pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Deletes the files of processes that died while they were making the table of this path, replacing it or destroying
/// it. Does what it can: if the directory or a file may not be read, it stays.
pub fn remove_leftovers(table: &Path) {
    let Ok(entries) = std::fs::read_dir(directory_of(table)) else { return };
    let prefix = prefix(table);
    for entry in entries.flatten() {
        let is_temporary = |name: &str| name.starts_with(&prefix) && name.ends_with(SUFFIX);
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(is_temporary) {
            let _ = remove_if_left(&entry.path());
        }
    }
}

fn remove_if_left(path: &Path) -> Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(Error::io("open", path))?;
    let left = Attachment::new(file, path)?;
    left.enter_gate(Hold::Shared, Duration::ZERO)?;
    // The process that made it may have unlocked the gate since the file was opened, because the file has another name
    // by now.
    if left.is_named_by_path()? {
        std::fs::remove_file(path).map_err(Error::io("delete", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory_of(Path::new("a.loc")), Path::new("."));
        assert_eq!(directory_of(Path::new("b/a.loc")), Path::new("b"));
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the clock of the machine")]
    fn temporary_names_are_of_one_length_and_of_one_table() {
        let [short, long] = [Path::new("t"), &Path::new("d").join("l".repeat(255))];
        let names = [short, short, long].map(|table| temporary_path(table).file_name().unwrap().to_owned());
        assert!(names.iter().all(|name| name.len() == 45));
        assert_ne!(names[0], names[1]);
        assert_eq!(temporary_path(long).parent(), Some(Path::new("d")));
        assert_ne!(prefix(short), prefix(long));
        assert_eq!(prefix(Path::new("elsewhere/t")), prefix(short));
    }

    /// The names in a directory.
    fn names_in(directory: &Path) -> Vec<PathBuf> {
        let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn what_nobody_holds_is_deleted_and_what_is_of_the_living_or_of_others_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let table = directory.path().join("table.loc");
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            NewFile::open_with_name(&table, options).unwrap()
        };
        let living = open();
        // As it is when its process dies: its files are closed, and the name stays.
        let NewFile { attachment, temporary } = open();
        drop(attachment);
        let left = temporary.unwrap();
        let others = [
            temporary_path(&directory.path().join("other.loc")),
            directory.path().join(format!("{}old", prefix(&table))),
            directory.path().join("table.loc.new"),
        ];
        others.iter().for_each(|other| std::fs::write(other, "").unwrap());
        let (linked, made) = (temporary_path(&table), temporary_path(&table));
        std::os::unix::fs::symlink(&others[0], &linked).unwrap();
        std::fs::create_dir(&made).unwrap();
        remove_leftovers(&table);
        let living_name = living.temporary.as_ref().unwrap().path();
        assert!(!left.path().exists());
        let mut expected: Vec<_> =
            others.iter().chain([&linked, &made]).map(PathBuf::as_path).chain([living_name]).collect();
        expected.sort();
        assert_eq!(names_in(directory.path()), expected);
    }

    /// Between the making of a file and the holding of its gate, another process can take it for what a dead process
    /// left.
    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn whoever_makes_files_while_others_clean_up_gets_them_with_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let table = directory.path().join("table.loc");
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let cleaner = scope.spawn(|| {
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    remove_leftovers(&table);
                }
            });
            for _ in 0..2000 {
                let mut options = OpenOptions::new();
                options.read(true).write(true);
                let new = NewFile::open_with_name(&table, options).unwrap();
                let name = new.temporary.as_ref().unwrap().path();
                assert_eq!(name.metadata().unwrap().ino(), new.attachment.file().metadata().unwrap().ino());
            }
            is_done.store(true, std::sync::atomic::Ordering::Relaxed);
            cleaner.join().unwrap();
        });
        assert_eq!(names_in(directory.path()), Vec::<PathBuf>::new());
    }
}
