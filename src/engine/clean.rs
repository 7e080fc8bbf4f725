//! The mark of a clean shutdown, which spares the next first opener the proof of what it believes.
//!
//! Invariants:
//!
//! 1. It is set by the last handle that leaves, which holds the gate and is alone, when everything is durable and nothing is in
//!    progress. So the cells are on the disk, whatever becomes of the file system.
//! 2. It is bound to the control group by a checksum over everything in it that a proof would look at, and to the file by the
//!    time of its last change. Nobody can set this time, and every write to the file moves it on, also the restoring of a copy
//!    or of a part of one.
//! 3. The next first opener looks at it, and takes it away before other processes can attach. So a file whose users were killed
//!    has none, and neither has a copy that was made while the file was in use.
//!
//! A mark that does not fit costs a proof, and nothing else.

use crate::engine::Store;
use crate::error::{Error, Result};
use crate::format::checksum::mix;
use crate::format::control::{
    ARBITER_MUTEX, CLEAN_CHANGE_TIME, CLEAN_SEAL, CONDEMNED, DURABLE, FAILED, FLUSHING, INTENT_COUNT, LAST, NO_PIN,
    PIN, PREPARED, SUPERSEDED, USED,
};
use crate::sys::words::Ordering;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use xxhash_rust::xxh3::Xxh3;

/// How many words are summed up at a time.
const CHUNK_WORDS: usize = 512;

impl Store {
    /// Whether the file is as a clean shutdown left it. The caller is alone.
    pub(super) fn is_clean(&self) -> Result<bool> {
        let control = self.control();
        let seal = control.load(CLEAN_SEAL, Ordering::Relaxed);
        let is_marked = seal != 0 && self.is_at_rest();
        let is_unchanged = is_marked && self.change_time()? == control.load(CLEAN_CHANGE_TIME, Ordering::Relaxed);
        Ok(is_unchanged && seal == self.clean_seal())
    }

    /// Takes the mark away, before any process can change what it vouches for.
    pub(super) fn clear_clean_mark(&self) {
        if self.control().load(CLEAN_SEAL, Ordering::Relaxed) != 0 {
            self.control().store(CLEAN_SEAL, 0, Ordering::Release);
        }
    }

    /// Marks the file as left by a clean shutdown, if it was. The caller is alone, holds the gate, and changes nothing
    /// afterwards.
    pub(super) fn put_clean_mark(&self) -> Result<()> {
        if !self.is_at_rest() || !self.has_fine_times()? {
            return Ok(());
        }
        let control = self.control();
        // This store moves the time on, if the page was clean; the stores that follow no longer do.
        control.store(CLEAN_SEAL, 0, Ordering::Relaxed);
        control.store(CLEAN_CHANGE_TIME, self.change_time()?, Ordering::Relaxed);
        control.store(CLEAN_SEAL, self.clean_seal(), Ordering::Release);
        Ok(())
    }

    /// Nothing is in progress, everything is durable, and nothing has failed. Nor was a transaction given up since the last one
    /// that committed: the wiping of its cells reaches the disk only with a later sync.
    fn is_at_rest(&self) -> bool {
        let word = |index| self.control().load(index, Ordering::Relaxed);
        let marks = [INTENT_COUNT, FLUSHING, FAILED, SUPERSEDED, CONDEMNED].map(word);
        let numbers = [USED, PREPARED, DURABLE].map(word);
        marks == [0; 5] && numbers == [word(LAST); 3] && word(PIN) == NO_PIN
    }

    /// When the file was last changed, as one number.
    fn change_time(&self) -> Result<u64> {
        let [seconds, nanoseconds] = self.change_time_parts()?;
        Ok(mix(seconds, nanoseconds, 0))
    }

    /// Whether times are finer than seconds: where they are not (ext4 with small inodes, FAT), a change in the same second as
    /// the shutdown would go unnoticed.
    fn has_fine_times(&self) -> Result<bool> {
        let [_, nanoseconds] = self.change_time_parts()?;
        Ok(nanoseconds != 0)
    }

    fn change_time_parts(&self) -> Result<[u64; 2]> {
        let Some(attachment) = &self.attachment else { return Ok([0; 2]) };
        let metadata = attachment.file().metadata().map_err(Error::io("look at", attachment.path()))?;
        Ok([metadata.ctime(), metadata.ctime_nsec()].map(|part| u64::from_ne_bytes(part.to_ne_bytes())))
    }

    /// A checksum over what the control group says, and the time of the mark. Never 0, which stands for no mark.
    fn clean_seal(&self) -> u64 {
        let mut hash = Xxh3::with_seed(self.digest_seed);
        let mut chunk = [0; CHUNK_WORDS];
        for range in self.summed_words() {
            for start in range.clone().step_by(CHUNK_WORDS) {
                let words = self.words().part(start..range.end.min(start + CHUNK_WORDS));
                let Some(chunk) = chunk.get_mut(..words.len()) else { continue };
                words.copy_to(chunk);
                hash.update(bytemuck::cast_slice(chunk));
            }
        }
        mix(hash.digest(), self.control().load(CLEAN_CHANGE_TIME, Ordering::Relaxed), 0) | 1
    }

    /// The control region between the mutexes, the heads, the free stack, and the hash table that is in use.
    fn summed_words(&self) -> [Range<usize>; 3] {
        let control = self.geometry.control();
        let index = self.view().index();
        [
            control + SUPERSEDED..control + ARBITER_MUTEX,
            self.geometry.heads()..self.geometry.index(),
            index.words_of(index.epoch()),
        ]
    }
}
