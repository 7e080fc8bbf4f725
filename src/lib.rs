//! A memory-mapped fixed-slot record store: one preallocated file, one lock inside it, many processes.

#![deny(missing_docs, unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)
)]

#[cfg(not(target_os = "linux"))]
compile_error!("locule runs on Linux only: it needs robust process-shared mutexes and open-file-description locks");

mod error;
mod format;
mod shm;
mod store;
mod table;

pub use error::{Error, Result};
pub use format::cell::RecordId;
pub use format::field_type::FieldType;
pub use format::inline::{Bytes, Text};
pub use format::schema::{FieldSchema, Schema};
pub use format::time::{Date, Timestamp};
pub use format::untyped::{Value, decode_value};
pub use format::values::{Field, Key, KeyField};
pub use table::record::{Keyed, Record};

#[doc(hidden)]
pub use table::record::macro_support;
