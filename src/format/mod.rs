//! Bytes to values and back: pure, and total, so that any bytes give a value or an error.

pub mod cell;
pub mod checksum;
pub mod control;
pub mod field_type;
pub mod geometry;
pub mod header;
pub mod inline;
pub mod schema;
pub mod sync_record;
pub mod time;
pub mod untyped;
pub mod values;
