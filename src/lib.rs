//! A memory-mapped fixed-slot record store: one preallocated file, one lock inside it, any number of processes.
//!
//! Declare a record with [`record!`], open a [`Table`] with [`Table::options`], and use it like plain values:
//!
//! ```
//! use locule::{Table, Text};
//!
//! locule::record! {
//!     /// One visitor's session.
//!     pub struct Session {
//!         pub key id: u64,
//!         pub user: Text<32>,
//!         pub hits: u32 = 0,
//!     }
//! }
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("sessions.loc");
//! let table = Table::<Session>::options().capacity(10_000).open_or_create(&path)?;
//! let ada = Session { id: 42, user: Text::new("ada")?, hits: 1, ..Session::default() };
//! table.upsert_with(&ada, |session| session.hits += 1)?;
//! assert_eq!(table.find(&42)?.map(|row| row.hits), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reads take no lock and never wait. Writes are all or nothing: when a process dies at any instruction, the next
//! caller finishes what it had prepared, or undoes what it had not. [`Table::sync`] makes what was published survive a
//! power cut; by default a write does that when the last sync is older than a second ([`OpenOptions::sync_every`]).
//!
//! Whatever is written can be followed: [`Table::changes_since`] a [`Cursor`] tells what has changed, and [`Table::wait`]
//! sleeps until something has.
//!
//! # Feature `serde`
//!
//! With the feature `serde`, these types can be serialized and deserialized, and so can records that derive it: write
//! `#[derive(serde::Serialize, serde::Deserialize)]` above the struct in [`record!`] or the enumeration in
//! [`field_enum!`], and serde's own attributes where they are needed. Where serde says that a format is for people to
//! read, such as JSON, each is the text that its `Display` writes and its `FromStr` reads; in other formats it is
//! smaller:
//!
//! | type | formats for people | other formats |
//! |---|---|---|
//! | [`Text`] | the text | the text |
//! | [`Bytes`] | hexadecimal digits, `"cafe00"` | bytes |
//! | [`Timestamp`] | RFC 3339, `"2024-02-29T23:59:59.999999Z"` | microseconds since 1970, an `i64` |
//! | [`Date`] | `"2024-02-29"` | days since 1970, an `i32` |
//! | [`RecordId`] | its number, as text: JSON's readers may take numbers for floats, and lose digits | its number, a `u64` |
//! | [`Cursor`] | its text, `"6c6f63756c6520676f6c64656e200102-7"` | 16 bytes and a `u64` |
//! | [`Value`] | its variant and content, `{"Unsigned": 42}`, `"Null"`; bytes, times and dates as above | the same |
//!
//! A value that is too long, or not one of the type, is an error when it is deserialized. A float that is not finite is
//! what the format makes of one: serde's JSON writes `null`, which it does not read as a float. The feature `json` has a form
//! for each float.
//!
//! # Feature `filter`
//!
//! `Condition::parse` and `Query::filter_text` read conditions from text, such as
//! `hits > 3 && user.startsWith("bo") && !(note == null)`, in a subset of CEL, and check them against the schema before
//! any record is read. `docs/filter-language.md` describes all of it. `FieldName::matches` asks for patterns.
//!
//! # Feature `json`
//!
//! `FieldSchema::value_to_json` and `FieldSchema::value_from_json` turn values into those of `serde_json` and back, so
//! that no reader loses anything, even if it takes all numbers for doubles. `format.md` has a table of the forms.
//!
//! # Trust
//!
//! A process that may write the file is trusted: see the README for that and for what locule is not for, and
//! `format.md` for every byte of the file.

#![deny(missing_docs, missing_debug_implementations, unsafe_code)]
// When the model checker runs, there are no files, and nothing uses what is for them; Miri leaves out some tests.
#![cfg_attr(loom, allow(dead_code, unused_imports, unused_variables))]
#![cfg_attr(miri, allow(dead_code))]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)
)]

#[cfg(not(target_os = "linux"))]
compile_error!("locule runs on Linux only: it needs robust process-shared mutexes and open-file-description locks");

#[cfg(not(loom))]
pub mod admin;
mod cursor;
#[cfg(all(test, not(loom)))]
mod documentation_tests;
mod engine;
mod error;
mod file;
mod format;
mod layout;
#[cfg(not(loom))]
pub mod maintenance;
mod nearest;
mod query;
mod record_id;
mod schema;
mod sys;
mod table;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod testing;
mod value;

pub use cursor::Cursor;
pub use engine::glance::Glance;
pub use engine::outcome::{Recovery, RecoveryOutcome};
pub use engine::status::{RepairCounts, Status, Writer, WriterState};
pub use error::{CursorLoss, Error, Result, TableLock};
pub use query::condition::Condition;
pub use query::field_name::{FieldName, field};
#[cfg(feature = "filter")]
pub use query::filter::mistake::FilterError;
pub use query::order::Order;
pub use query::typed_field::{Operand, TypedField};
pub use record_id::RecordId;
pub use schema::{Difference, FieldSchema, Schema, decode_value};
pub use table::changes::{Change, Changes};
pub use table::content::Content;
pub use table::options::OpenOptions;
pub use table::query::{Query, QueryRows};
pub use table::record::{Keyed, Record, WordArray};
pub use table::row::Row;
pub use table::rows::Rows;
pub use table::snapshot::Snapshot;
pub use table::table::Table;
pub use table::transaction::{TransactionRows, WriteTransaction};
pub use table::upserted::Upserted;
pub use table::values::Values;
pub use value::field::{Field, FieldValue, Key, KeyField};
pub use value::field_type::FieldType;
pub use value::inline::{Bytes, Text};
pub use value::time::{Date, Timestamp};
pub use value::untyped::Value;

#[doc(hidden)]
pub use table::macro_support;

/// Deletes a table. Processes that have it open get [`Error::Superseded`] from then on. A file that is not a locule
/// table is left alone.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(9).create(&path)?;
/// locule::destroy(&path)?;
/// assert!(matches!(table.len(), Err(locule::Error::Superseded)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::DoesNotExist`], [`Error::Foreign`], [`Error::Incompatible`] if it is in use by processes that this one
/// cannot share a lock with, [`Error::Timeout`] if its lock is held for five seconds, [`Error::Io`]: if that is about
/// flushing the directory, the table is gone for all processes, but may be back after a power cut.
#[cfg(not(loom))]
pub fn destroy(path: impl AsRef<std::path::Path>) -> Result<()> {
    file::create::destroy(path.as_ref(), &engine::Settings::default())
}

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;

/// What the page on the filter language shows is what happens.
#[cfg(all(doctest, feature = "filter"))]
#[doc = include_str!("../docs/filter-language.md")]
struct FilterLanguage;
