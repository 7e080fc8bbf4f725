//! Tests of the engine on tables in memory.

mod actor;
mod syncs;
// Every store of every operation, each with a table of its own, would take days under Miri. The other tests run the
// same code.
#[cfg(not(miri))]
mod crash_points;
mod cut_recoveries;
mod cuts;
mod disk;
mod feed;
mod histories;
mod keys;
mod limits;
mod past;
mod readers;
mod recoveries;
mod rot;
mod scans;
mod snapshots;
mod stale_writers;
mod threads;
pub(crate) mod world;

use super::{Access, Settings, Store};
use crate::error::Result;
use crate::file::create;
use crate::format::header::Header;
use crate::sys::heap::Heap;
use crate::sys::medium::Medium;
use crate::sys::words::Ordering;
use std::ops::Range;

/// The words of a new file, as `create` writes them.
pub(crate) fn new_words(header: &Header) -> Vec<u64> {
    let mut words = vec![0; header.geometry.word_count()];
    let header_bytes = header.encode();
    bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..header_bytes.len()].copy_from_slice(&header_bytes);
    let record = create::first_sync_record(header);
    words[header.geometry.sync_record(0)..][..record.len()].copy_from_slice(&record);
    words
}

/// The words of a table. Miri, which needs seconds for all of them, reads only the header and what the engine ever
/// writes. The histories that run without Miri check that it writes nothing else.
pub(crate) fn words_of(store: &Store) -> Vec<u64> {
    let all = store.words().all();
    let mut words = vec![0; all.len()];
    let mut read = |range: Range<usize>| {
        for (target, word) in words[range.clone()].iter_mut().zip(&all[range]) {
            *target = word.load(Ordering::Relaxed);
        }
    };
    if cfg!(miri) {
        read(0..store.geometry.control());
        disk::written_ranges(&store.geometry).into_iter().for_each(read);
    } else {
        read(0..all.len());
    }
    words
}

/// Which of the cases of a test are tried: every one; under Miri, which takes seconds for each, one out of this many.
pub(crate) fn one_of(under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { 1 }
}

/// A table in memory, as the first opener of a file of these words gets it: recovered, with locks that are free.
/// `is_same_boot` is as in [`Store::recover`].
pub(crate) fn heap_store_of(words: Vec<u64>, header: Header, settings: Settings, is_same_boot: bool) -> Result<Store> {
    let mut store = Store::new(
        Medium::Heap(Box::new(Heap::new(words, header.geometry.control()))),
        header,
        settings,
        Access::ReadWrite,
        None,
    );
    store.recovery = store.recover(is_same_boot)?;
    Ok(store)
}

/// A new table in memory, as the first opener of a new file gets it.
pub(crate) fn heap_store(header: Header, settings: Settings) -> Store {
    heap_store_of(new_words(&header), header, settings, false).expect("a new table has nothing to refuse")
}
