//! Power cuts: what a disk may hold after one, before and after each system call of an operation on files.
//!
//! A page that was written is on the disk after the next flush of its file, and may be there before. Names that were given
//! are there after the next flush of the directory, and may be there before, in the order in which they were given. What
//! is put together from that is in another directory, where a table is recovered as it is after a boot: its file is not
//! the one that its locks were in.

use crate::system_calls::{Stop, fork_traced, go_to_next_stop, kill_traced, stop_of};
use nix::libc::{SYS_fdatasync, SYS_fsync};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// In a child: forks a process that does something in a directory that is on the disk as it is, and looks at everything
/// that a power cut may leave. `look_at` is told whether the operation was done by then. Returns how many different disks
/// it has seen, or an error if processes may not be traced.
pub fn at_every_power_cut_of(
    directory: &Path,
    operation: impl FnOnce(),
    mut look_at: impl FnMut(&Path, bool),
) -> nix::Result<usize> {
    let mut disk = Disk::flushed(directory);
    let mut seen = BTreeSet::new();
    let child = fork_traced(operation)?;
    let mut call = None;
    loop {
        let is_done = !go_to_next_stop(child)?;
        if !is_done {
            match stop_of(child)? {
                Stop::Entry { number, arguments } => call = Some((number, arguments[0])),
                Stop::Exit { is_error: false } => match call {
                    Some((number, descriptor)) if [SYS_fsync, SYS_fdatasync].contains(&number) => {
                        disk.flush(child, descriptor);
                    }
                    _ => disk.find_files(),
                },
                Stop::Exit { is_error: true } => {}
            }
        }
        for names in [disk.names.clone(), names_in(directory)] {
            for pages in [Pages::Flushed, Pages::Written, Pages::EverySecondWritten] {
                let content = disk.content(&names, pages);
                let mut hasher = DefaultHasher::new();
                (&content, is_done).hash(&mut hasher);
                if !seen.insert(hasher.finish()) {
                    continue;
                }
                let after = tempfile::tempdir_in(directory.parent().unwrap()).unwrap();
                for (name, bytes) in content {
                    std::fs::write(after.path().join(name), bytes).unwrap();
                }
                look_at(after.path(), is_done);
            }
        }
        if is_done {
            kill_traced(child);
            return Ok(seen.len());
        }
    }
}

/// Which pages of each file are as they were last written; the others are as they were last flushed.
#[derive(Clone, Copy)]
enum Pages {
    Flushed,
    Written,
    EverySecondWritten,
}

/// A directory with the files in it, and what of it is on the disk for certain.
struct Disk<'d> {
    directory: &'d Path,
    names: BTreeMap<OsString, u64>,
    /// By their inodes: all files that have ever been seen. They are kept open, so that no other gets the same inode.
    files: BTreeMap<u64, (File, Vec<u8>)>,
}

impl<'d> Disk<'d> {
    fn flushed(directory: &'d Path) -> Self {
        let mut disk = Disk { directory, names: names_in(directory), files: BTreeMap::new() };
        disk.find_files();
        disk.files.values_mut().for_each(|(file, flushed)| *flushed = bytes_of(file));
        disk
    }

    /// Opens the files whose names are new. Nothing of them has been flushed.
    fn find_files(&mut self) {
        for (name, inode) in names_in(self.directory) {
            let file = || File::open(self.directory.join(name)).unwrap();
            self.files.entry(inode).or_insert_with(|| (file(), Vec::new()));
        }
    }

    /// What a descriptor of a process stands for is on the disk from now on.
    fn flush(&mut self, process: Pid, descriptor: u64) {
        let path = format!("/proc/{process}/fd/{descriptor}");
        let metadata = std::fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            self.names = names_in(self.directory);
            return;
        }
        let (file, flushed) =
            self.files.entry(metadata.ino()).or_insert_with(|| (File::open(&path).unwrap(), Vec::new()));
        *flushed = bytes_of(file);
    }

    /// The files that have these names.
    fn content(&self, names: &BTreeMap<OsString, u64>, pages: Pages) -> BTreeMap<OsString, Vec<u8>> {
        let bytes = |inode: &u64| {
            let (file, flushed) = self.files.get(inode)?;
            let written = bytes_of(file);
            Some(match pages {
                Pages::Flushed => flushed.clone(),
                Pages::Written => written,
                Pages::EverySecondWritten => {
                    let mut mixed = written;
                    let flushed = flushed.iter().copied().chain(std::iter::repeat(0));
                    for (index, (byte, flushed)) in mixed.iter_mut().zip(flushed).enumerate() {
                        if index / 4096 % 2 == 0 {
                            *byte = flushed;
                        }
                    }
                    mixed
                }
            })
        };
        names.iter().filter_map(|(name, inode)| Some((name.clone(), bytes(inode)?))).collect()
    }
}

fn names_in(directory: &Path) -> BTreeMap<OsString, u64> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.ino()))).collect()
}

fn bytes_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
