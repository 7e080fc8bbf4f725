//! What is asked of the kernel for this process: which one it is, and its file descriptors.

#[cfg(not(loom))]
pub mod process;

/// Which process this is, counted by forks: see [`process::fork_generation`].
#[inline(always)]
pub fn fork_generation() -> u32 {
    #[cfg(not(loom))]
    return process::fork_generation();
    // The model checker runs threads only.
    #[cfg(loom)]
    return 1;
}
