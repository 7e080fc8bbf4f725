//! A file mapped into this process, and the page that notices a fork.
//!
//! Invariants:
//!
//! - The mapping lives exactly as long as its [`Map`]; words and mutexes borrow from that, so a thread that is still
//!   unlocking keeps the page of the lock mapped.
//! - A file is at least as long as its mapping when it is mapped. Nothing in this crate ever makes a table shorter;
//!   who truncates one under its users kills them with SIGBUS.
//! - Shared bytes are only ever seen as atomics.
#![allow(unsafe_code)]

use super::lock::RobustMutex;
use super::medium::Lock;
use super::words::AtomicU64;
use crate::format::control::{COMMIT_MUTEX, MUTEX_WORDS, WRITE_MUTEX};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A mapped table.
pub struct Map {
    raw: MmapRaw,
    word_count: usize,
    /// Where the control region begins, in words.
    control: usize,
}

impl Map {
    /// Maps `word_count` words of a file that is at least that long, whose control region begins at `control`.
    pub fn new(file: &File, word_count: usize, control: usize, writable: bool, prefault: bool) -> io::Result<Self> {
        if control.checked_add(COMMIT_MUTEX + MUTEX_WORDS).is_none_or(|end| end > word_count) {
            return Err(io::Error::other("no room for the control region"));
        }
        let raw = Self::map(file, word_count, writable, prefault)?;
        Ok(Map { raw, word_count, control })
    }

    /// Maps a whole file of words that has no mutexes.
    pub fn of_words(file: &File, word_count: usize) -> io::Result<Self> {
        Ok(Map { raw: Self::map(file, word_count, true, false)?, word_count, control: 0 })
    }

    fn map(file: &File, word_count: usize, writable: bool, prefault: bool) -> io::Result<MmapRaw> {
        let length_bytes =
            word_count.checked_mul(8).ok_or_else(|| io::Error::other("larger than the address space"))?;
        let mut options = MmapOptions::new();
        options.len(length_bytes);
        if prefault {
            options.populate();
        }
        if writable { options.map_raw(file) } else { options.map_raw_read_only(file) }
    }

    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `word_count` words long, page-aligned, and lives as long as `self`. Every bit pattern is
        // an AtomicU64. Other processes change the words, which is what atomics are for; no plain reference to
        // them is ever made. In a read-only mapping they are only loaded: the engine refuses to write through a
        // read-only handle before it stores anything, and loads of 64 bits do not write on any Linux target.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().cast(), self.word_count) }
    }

    /// One of the table's mutexes.
    #[inline]
    pub fn mutex(&self, lock: Lock) -> RobustMutex<'_> {
        let start = self.control
            + match lock {
                Lock::Write => WRITE_MUTEX,
                Lock::Commit => COMMIT_MUTEX,
            };
        // `new` has checked that the range is inside the mapping.
        let words = self.words().get(start..start + MUTEX_WORDS).unwrap_or_default();
        // SAFETY: the words are in the mapping, which is writable: locks are only taken through writable handles. The engine
        // attaches to a file only if its incarnation says that its mutexes were made on this machine start with this
        // machine's C library, or else initialises them first. The engine stores nothing into these words.
        unsafe { RobustMutex::new(words) }
    }

    /// Waits until these words are on the disk.
    pub fn flush(&self, words: Range<usize>) -> io::Result<()> {
        self.raw.flush_range(words.start.saturating_mul(8), words.len().saturating_mul(8))
    }
}

/// Copies shared words, two at a time: as by a relaxed load of each, in order. Stops at the end of the shorter one.
///
/// Loads of 16 bytes, since what is copied is next read by 16 bytes (for its checksum): a processor that has just written 8
/// and 8 cannot hand them on as 16 until both have left for its cache, which takes as long as all the rest of a read.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn copy_words(source: &[AtomicU64], target: &mut [u64]) {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_storeu_si128};
    let word_count = source.len().min(target.len());
    let mut index = 0;
    while index + 2 <= word_count {
        let pair: __m128i;
        // SAFETY: both words are inside `source`, since `index + 2` is at most its length, so the load is of memory that is
        // mapped and stays so. It is assembly and no load of the language, for which other processes' stores to these words
        // would be a race; to the machine it is two loads of 8 aligned bytes, no later than any load or store that
        // follows, as relaxed loads are here. It writes nothing and uses no stack. The store is inside `target`, which is
        // borrowed mutably, and need not be aligned.
        unsafe {
            asm!(
                "movdqu {pair}, xmmword ptr [{words}]",
                pair = lateout(xmm_reg) pair,
                words = in(reg) source.as_ptr().add(index),
                options(nostack, readonly, preserves_flags),
            );
            _mm_storeu_si128(target.as_mut_ptr().add(index).cast(), pair);
        }
        index += 2;
    }
    if let (Some(target), Some(word)) = (target.get_mut(index), source.get(index)) {
        *target = word.load(Ordering::Relaxed);
    }
}

/// The id of this process, without a system call but the first time in each process.
///
/// It is kept in a page that the kernel wipes in a child of `fork`, so a child never sees its parent's id.
#[inline]
pub fn process_id() -> u32 {
    // SAFETY: the pointer is null or was stored by `ask_process_id`: to a page that is mapped for the life of the process,
    // aligned, and only ever used as this one atomic.
    let known = unsafe { PROCESS_ID_PAGE.load(Ordering::Acquire).as_ref() };
    match known.map_or(0, |known| known.load(Ordering::Relaxed)) {
        0 => ask_process_id(),
        id => id,
    }
}

static PROCESS_ID_PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());

#[cold]
fn ask_process_id() -> u32 {
    static PAGE: OnceLock<Option<MmapRaw>> = OnceLock::new();
    let id = std::process::id();
    let page = PAGE.get_or_init(|| {
        if cfg!(miri) {
            return None;
        }
        let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon().ok()?);
        // SAFETY: the page was just mapped, private and anonymous, is a whole page, and nothing refers to it yet.
        let code = unsafe { nix::libc::madvise(page.as_mut_ptr().cast(), 4096, nix::libc::MADV_WIPEONFORK) };
        (code == 0).then_some(page)
    });
    // Without such a page (kernels before 4.14) the system call is made each time.
    if let Some(page) = page {
        // SAFETY: as in `process_id`.
        unsafe { &*page.as_ptr().cast::<AtomicU32>() }.store(id, Ordering::Relaxed);
        PROCESS_ID_PAGE.store(page.as_mut_ptr().cast(), Ordering::Release);
    }
    id
}

/// Asks a copy-on-write file system (btrfs) to overwrite this file in place: it is to be done while the file is empty, and
/// one that cannot, or need not, is left as it is.
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
        let map = Map::of_words(file.as_file(), 1024).unwrap();
        let words = crate::shm::words::Words::new(map.words());
        words.store(0, 7, Ordering::Relaxed);
        map.flush(0..1024).unwrap();
        assert_eq!(dirty_kib(&name), 0);
        words.touch(0);
        words.touch(512);
        assert_eq!(dirty_kib(&name), 8);
        assert_eq!(words.load(0, Ordering::Relaxed), 7);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    #[cfg_attr(miri, ignore = "Miri runs no assembly")]
    fn words_are_copied_whatever_their_count_and_whichever_is_shorter() {
        let source: Vec<AtomicU64> = (1..=20).map(AtomicU64::new).collect();
        for source_count in 0..=20 {
            for target_count in 0..=20 {
                let mut target = [0; 20];
                copy_words(&source[..source_count], &mut target[..target_count]);
                for (index, word) in target.into_iter().enumerate() {
                    let is_copied = index < source_count.min(target_count);
                    assert_eq!(word, if is_copied { index as u64 + 1 } else { 0 }, "{source_count} {target_count}");
                }
            }
        }
    }
}
