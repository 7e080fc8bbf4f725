//! Tests of the engine on tables in memory.

mod actor;
mod commits;
// Every store of every operation, each with a table of its own: days, under Miri. What it runs is run by the others too.
#[cfg(not(miri))]
mod crash_points;
mod cuts;
mod disk;
mod histories;
mod keys;
mod limits;
mod past;
mod readers;
mod recoveries;
mod rot;
mod threads;
pub(crate) mod world;

use super::{Access, Settings, Store, create};
use crate::error::Result;
use crate::format::header::Header;
use crate::shm::heap::Heap;
use crate::shm::medium::Medium;

/// The words of a new file, as `create` writes them.
pub(crate) fn new_words(header: &Header) -> Vec<u64> {
    let mut words = vec![0; header.geometry.word_count()];
    let header_bytes = header.encode();
    bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..header_bytes.len()].copy_from_slice(&header_bytes);
    let record = create::first_commit_record(header);
    words[header.geometry.commit_record(0)..][..record.len()].copy_from_slice(&record);
    words
}

/// A table in memory, as the first opener of a file of these words gets it: recovered, with locks that are free.
/// `is_same_start` is as in [`Store::recover`].
pub(crate) fn heap_store_of(words: Vec<u64>, header: Header, settings: Settings, is_same_start: bool) -> Result<Store> {
    let mut store = Store::new(
        Medium::Heap(Box::new(Heap::new(words, header.geometry.control()))),
        header,
        settings,
        Access::ReadWrite,
        None,
    );
    store.recovery = store.recover(is_same_start)?;
    Ok(store)
}

/// A new table in memory, as the first opener of a new file gets it.
pub(crate) fn heap_store(header: Header, settings: Settings) -> Store {
    heap_store_of(new_words(&header), header, settings, false).expect("a new table has nothing to refuse")
}
