//! A memory-mapped fixed-slot record store: one preallocated file, one lock inside it, many processes.

#[cfg(not(target_os = "linux"))]
compile_error!("locule runs on Linux only: it needs robust process-shared mutexes and open-file-description locks");

mod error;

pub use error::{Error, Result};
