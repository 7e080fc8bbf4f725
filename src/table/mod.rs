//! What users type.

pub mod changes;
mod clock;
pub mod content;
mod derives;
mod handles;
#[cfg(all(test, loom))]
mod loom_tests;
pub mod macro_support;
pub mod options;
pub mod query;
mod query_source;
mod query_write;
pub mod record;
mod replace_all;
pub mod row;
pub mod rows;
pub mod snapshot;
#[expect(clippy::module_inception, reason = "the type of that name is what users type")]
pub mod table;
pub mod transaction;
pub mod untyped;
pub mod upserted;
pub mod values;
mod which;
mod words;
mod write;
