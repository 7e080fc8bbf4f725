//! A file mapped into this process.
//!
//! Invariants:
//!
//! - The mapping lives exactly as long as its [`MappedWords`]; words and mutexes borrow from that, so a thread that is
//!   still unlocking keeps the page of the lock mapped.
//! - A file is at least as long as its mapping when it is mapped. Nothing in this crate ever makes a table shorter; a
//!   program that truncates a table in use kills its users with SIGBUS.
//! - Shared bytes are only ever seen as atomics.
#![allow(unsafe_code)]

use crate::format::control::{ARBITER_MUTEX, CONTROL_WORDS, MUTEX_WORDS, SYNC_MUTEX, WRITE_MUTEX};
use crate::sys::atomic::AtomicU64;
use crate::sys::lock::Lock;
use crate::sys::robust_mutex::RobustMutex;
use memmap2::{MmapOptions, MmapRaw};
use nix::libc;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Mapped words.
pub struct MappedWords {
    /// Borrowed from the mapping, and therefore never given out for longer than `self` is borrowed.
    words: &'static [AtomicU64],
    mapping: MmapRaw,
}

impl MappedWords {
    /// Maps the first `word_count` words of a file that is at least that long.
    pub fn of_file(file: &File, word_count: usize, writable: bool, prefault: bool) -> io::Result<Self> {
        let mut options = Self::options(word_count)?;
        if prefault {
            options.populate();
        }
        let mapping = if writable { options.map_raw(file) } else { options.map_raw_read_only(file) }?;
        Ok(Self::new(mapping, word_count))
    }

    /// Maps the control region of a file, which begins at the word `control`, for writing, and nothing else of it.
    pub fn of_control_region(file: &File, control: usize) -> io::Result<Self> {
        let offset_bytes = control.checked_mul(8).and_then(|offset| u64::try_from(offset).ok());
        let mapping = Self::options(CONTROL_WORDS)?
            .offset(offset_bytes.ok_or_else(|| io::Error::other("larger than the address space"))?)
            .map_raw(file)?;
        Ok(Self::new(mapping, CONTROL_WORDS))
    }

    /// Words of this process alone.
    #[cfg(not(any(test, fuzzing)))]
    pub fn private(words: &[u64]) -> io::Result<Self> {
        let mut mapping = Self::options(words.len())?.map_anon()?;
        mapping.copy_from_slice(bytemuck::cast_slice(words));
        Ok(Self::new(mapping.into(), words.len()))
    }

    fn options(word_count: usize) -> io::Result<MmapOptions> {
        let length_bytes =
            word_count.checked_mul(8).ok_or_else(|| io::Error::other("larger than the address space"))?;
        let mut options = MmapOptions::new();
        options.len(length_bytes);
        Ok(options)
    }

    /// `mapping` is `word_count` words long.
    fn new(mapping: MmapRaw, word_count: usize) -> Self {
        // SAFETY: the mapping is `word_count` words long, which all constructors have asked for, and begins at a multiple of
        // 4096 in a page;
        // nothing that is mapped is longer than isize::MAX bytes. It is unmapped when `mapping` is dropped. Until then
        // the words stay where they are when `self` is moved, and no reference to them is given out that outlives
        // `self`. Every bit pattern is an AtomicU64. Other processes change the words, which is what atomics are for;
        // no plain reference to them is ever made. In a read-only mapping they are only loaded: the engine refuses to
        // write through a read-only handle before it stores anything, and loads of 64 bits do not write on any Linux
        // target.
        let words = unsafe { std::slice::from_raw_parts(mapping.as_ptr().cast(), word_count) };
        MappedWords { words, mapping }
    }

    #[inline(always)]
    pub fn words(&self) -> &[AtomicU64] {
        self.words
    }

    /// Maps the same file again, in the same place, through another open file. The mapping no longer keeps the previous
    /// one open. The file is mapped for writing, and the process must have no threads inside.
    fn map_again(&self, file: &File) -> io::Result<()> {
        let (address, length_bytes) = (self.mapping.as_mut_ptr().cast(), self.mapping.len());
        let (protection, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
        // SAFETY: what is mapped over is this mapping, all of it and nothing else, since memmap2 asked for these pages
        // with this length. It is replaced in one step: no thread finds the place empty, and other threads wait. The
        // bytes are those of the same file, so what is seen through references to its atomics stays what it was.
        // `mapping` unmaps the new pages when it is dropped, as it would have unmapped the old ones. The descriptor is
        // open.
        let mapped = unsafe { libc::mmap(address, length_bytes, protection, kind, file.as_raw_fd(), 0) };
        if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits until these words are on the disk.
    pub fn flush(&self, words: Range<usize>) -> io::Result<()> {
        self.mapping.flush_range(words.start.saturating_mul(8), words.len().saturating_mul(8))
    }
}

/// A mapped table.
pub struct Map {
    // The words that every operation needs are looked up once. This reference lives as long as `words`, and like those
    // is never given out for longer than `self` is borrowed.
    control: &'static [AtomicU64; CONTROL_WORDS],
    write_mutex: &'static [AtomicU64; MUTEX_WORDS],
    sync_mutex: &'static [AtomicU64; MUTEX_WORDS],
    arbiter: &'static [AtomicU64; MUTEX_WORDS],
    words: MappedWords,
}

impl Map {
    /// A table whose control region begins at the word `control`.
    pub fn new(words: MappedWords, control: usize) -> io::Result<Self> {
        fn find<const N: usize>(words: &MappedWords, start: usize) -> io::Result<&'static [AtomicU64; N]> {
            let found = words.words.get(start..).and_then(|rest| rest.first_chunk());
            found.ok_or_else(|| io::Error::other("no room for the control region"))
        }
        Ok(Map {
            control: find(&words, control)?,
            write_mutex: find(&words, control + WRITE_MUTEX)?,
            sync_mutex: find(&words, control + SYNC_MUTEX)?,
            arbiter: find(&words, control + ARBITER_MUTEX)?,
            words,
        })
    }

    /// Maps the same file through another open file of this process, for writing.
    pub fn map_again(&self, file: &File) -> io::Result<()> {
        self.words.map_again(file)
    }

    #[inline(always)]
    pub fn words(&self) -> &[AtomicU64] {
        self.words.words
    }

    #[inline(always)]
    pub fn control(&self) -> &[AtomicU64; CONTROL_WORDS] {
        self.control
    }

    /// One of the table's mutexes.
    #[inline(always)]
    pub fn mutex(&self, lock: Lock) -> RobustMutex<'_> {
        let words = match lock {
            Lock::Write => self.write_mutex,
            Lock::Sync => self.sync_mutex,
        };
        self.mutex_in(words)
    }

    /// The mutex under which one of the others is taken from an owner that is gone.
    #[inline(always)]
    pub fn arbiter(&self) -> RobustMutex<'_> {
        self.mutex_in(self.arbiter)
    }

    #[inline(always)]
    fn mutex_in<'a>(&'a self, words: &'a [AtomicU64; MUTEX_WORDS]) -> RobustMutex<'a> {
        // SAFETY: both callers pass words in the mapping. Through a read-only one the engine asks only for the holder
        // and whether the mutex is free. A writable handle locks only once it is attached: to a file whose incarnation
        // says that its mutexes were made in this boot with this machine's C library, or whose mutexes it has
        // initialised. The engine stores nothing into these words.
        unsafe { RobustMutex::new(words) }
    }

    /// Waits until these words are on the disk.
    pub fn flush(&self, words: Range<usize>) -> io::Result<()> {
        self.words.flush(words)
    }
}

/// Asks a copy-on-write file system (btrfs) to overwrite this file in place. It must be called while the file is empty.
/// A file system that cannot do that, or need not, is left as it is.
pub fn avoid_copy_on_write(file: &File) {
    use nix::libc;
    use std::os::fd::AsRawFd;
    const FS_NOCOW_FL: libc::c_long = 0x0080_0000;
    let is_btrfs = nix::sys::statfs::fstatfs(file)
        .is_ok_and(|file_system| file_system.filesystem_type() == nix::sys::statfs::BTRFS_SUPER_MAGIC);
    if !is_btrfs {
        return;
    }
    let mut flags: libc::c_long = 0;
    // SAFETY: the descriptor is open for the whole block. Both requests take a pointer to a long, which is writable
    // and outlives the calls; a failure changes nothing.
    unsafe {
        if libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) == 0 {
            flags |= FS_NOCOW_FL;
            libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &flags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    /// How much of a mapping of this file is dirty in this process's page table, in KiB.
    fn dirty_kib(name: &str) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let from = maps.find(name).expect("the file is mapped");
        let line = maps[from..].lines().find_map(|line| line.strip_prefix("Shared_Dirty:")).unwrap();
        let private = maps[from..].lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
        [line, private].iter().map(|line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()).sum()
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn a_touched_page_is_dirty_and_unchanged() {
        // Not on a memory file system, where every page always counts as dirty.
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        std::fs::create_dir_all(&directory).unwrap();
        let file = tempfile::Builder::new().prefix("touched-page").tempfile_in(directory).unwrap();
        let name = file.path().to_str().unwrap().to_owned();
        file.as_file().set_len(8192).unwrap();
        let map = Map::new(MappedWords::of_file(file.as_file(), 1024, true, false).unwrap(), 0).unwrap();
        let words = crate::sys::words::Words::new(map.words());
        words.store(0, 7, Ordering::Relaxed);
        map.flush(0..1024).unwrap();
        assert_eq!(dirty_kib(&name), 0);
        words.touch(0);
        words.touch(512);
        assert_eq!(dirty_kib(&name), 8);
        assert_eq!(words.load(0, Ordering::Relaxed), 7);
    }
}
