//! The atomics of a table's words: the model checker's under `--cfg loom`, otherwise the standard library's.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use crate::sys::modelled::words::{AtomicU64, fence};
#[cfg(loom)]
pub use std::sync::atomic::Ordering;
