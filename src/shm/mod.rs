//! Shared words: how they are mapped, locked, read and written. Knows nothing of schemas and records.

#[cfg(all(any(test, fuzzing), not(loom)))]
pub mod heap;
pub mod index;
#[cfg(not(loom))]
pub mod lock;
#[cfg(not(loom))]
pub mod map;
pub mod medium;
#[cfg(loom)]
pub mod modelled;
#[cfg(loom)]
pub use modelled::heap;
#[cfg(any(test, fuzzing))]
pub mod probe;
pub mod slot;
#[cfg(not(loom))]
pub mod thread;
pub mod words;
