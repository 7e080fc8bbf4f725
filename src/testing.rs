//! Not part of the interface: what this crate's own command, tests and benchmarks need beside a table.

#![allow(missing_debug_implementations)]

use crate::error::{Error, Result};
use crate::format::control::CONTROL_WORDS;
use crate::sys::lock::Lock;
use crate::sys::mapping::{Map, MappedWords};
use crate::sys::medium::Medium;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A file of words, mapped and shared. What one process has stored, others see, even after that process was killed.
pub struct SharedWords {
    words: MappedWords,
}

impl SharedWords {
    /// Makes a file of zeros; there must be no file of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, word_count: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = create_zeros(path, word_count)?;
        let words = MappedWords::of_file(&file, word_count, true, false).map_err(Error::io("map", path))?;
        Ok(SharedWords { words })
    }

    /// Maps a file that [`create`](Self::create) made.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("open", path))?;
        let length_bytes = file.metadata().map_err(Error::io("look at", path))?.len();
        let word_count = usize::try_from(length_bytes / 8).unwrap_or(usize::MAX);
        let words = MappedWords::of_file(&file, word_count, true, false).map_err(Error::io("map", path))?;
        Ok(SharedWords { words })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        self.words.words()
    }
}

/// A mutex of the kind that tables have, alone in a file: shows the least that locking costs.
pub struct SharedMutex {
    medium: Medium,
}

impl SharedMutex {
    /// Makes a file with a mutex; there must be no file of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = create_zeros(path, CONTROL_WORDS)?;
        let words = MappedWords::of_file(&file, CONTROL_WORDS, true, true);
        let map = words.and_then(|words| Map::new(words, 0)).map_err(Error::io("map", path))?;
        let medium = Medium::Mapped(map);
        medium.initialise_locks().map_err(Error::io("make a mutex in", path))?;
        Ok(SharedMutex { medium })
    }

    /// Takes the mutex and releases it.
    ///
    /// # Errors
    ///
    /// [`Error::Condemned`] if it could not be taken.
    #[inline]
    pub fn lock_and_unlock(&self) -> Result<()> {
        match self.medium.lock(Lock::Write, Duration::from_secs(5)) {
            Ok(_) => self.medium.unlock(Lock::Write),
            Err(_) => return Err(Error::Condemned),
        }
        Ok(())
    }
}

/// Runs `body`, and ends it at its access with this number, counted from 0, as SIGKILL would: nothing that it does from
/// then on reaches the table, its locks or its flushes. Accesses are the stores to shared memory, and the locks and
/// flushes, each before and after it. `None` if it was ended; then its thread must end too before the table is used
/// again, so that the kernel hands on the locks that it held.
#[cfg(fuzzing)]
pub fn die_at_access<R>(number: u32, body: impl FnOnce() -> R) -> Option<R> {
    use crate::sys::probe::{self, Event};
    let mut left = number;
    let hook = move |event: &Event<'_>| match event {
        Event::Load => {}
        _ if left == 0 => probe::die(),
        _ => left -= 1,
    };
    probe::with_hook(hook, body)
}

fn create_zeros(path: &Path, word_count: usize) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let file = file.map_err(Error::io("create", path))?;
    let length_bytes = crate::format::geometry::word(word_count).saturating_mul(8);
    file.set_len(length_bytes).map_err(Error::io("create", path))?;
    Ok(file)
}
