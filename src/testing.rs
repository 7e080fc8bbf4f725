//! Not part of the interface: what this crate's own command, tests and benchmarks need beside a table.

use crate::error::{Error, Result};
use crate::shm::map::Map;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// A file of words, mapped and shared. What one process has stored, others see, also after it was killed.
pub struct SharedWords {
    map: Map,
}

impl SharedWords {
    /// Makes a file of zeros; there must be none of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(path: impl AsRef<Path>, word_count: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(Error::io("create", path))?;
        let length_bytes = crate::format::geometry::word(word_count).saturating_mul(8);
        file.set_len(length_bytes).map_err(Error::io("create", path))?;
        let map = Map::of_words(&file, word_count).map_err(Error::io("map", path))?;
        Ok(SharedWords { map })
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
        let map = Map::of_words(&file, word_count).map_err(Error::io("map", path))?;
        Ok(SharedWords { map })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        self.map.words()
    }
}
