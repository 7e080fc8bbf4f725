//! What is asked of the kernel and of the C library: mappings, mutexes, futexes, file locks, access control lists, and which process
//! and boot this is. Knows nothing of schemas and records. All `unsafe` of the crate is here.

pub mod access_list;
pub mod atomic;
pub mod attachment;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
mod copy_words;
pub mod deadline;
#[cfg(all(any(test, fuzzing), not(loom)))]
pub mod heap;
pub mod lock;
mod lock_holder;
#[cfg(not(loom))]
pub mod mapping;
pub mod medium;
#[cfg(loom)]
pub mod modelled;
pub mod once_box;
pub mod private;
#[cfg(any(test, fuzzing))]
pub mod probe;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
pub mod robust_mutex;
#[cfg(not(loom))]
pub mod thread;
pub mod words;

#[cfg(loom)]
pub use modelled::heap;

/// Memory for words; an error if there is not that much, which a table of any size may ask for.
pub fn zeroed_words(word_count: usize) -> std::io::Result<Vec<u64>> {
    let mut words = Vec::new();
    words.try_reserve_exact(word_count).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
    words.resize(word_count, 0);
    Ok(words)
}

/// Which process this is, counted by forks: see [`process::fork_generation`].
#[inline(always)]
pub fn fork_generation() -> u32 {
    #[cfg(not(loom))]
    return process::fork_generation();
    // The model checker runs threads only.
    #[cfg(loom)]
    return 1;
}
