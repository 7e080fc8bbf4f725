//! The bytes of a file and back: pure and total functions, so that any bytes give a structure or an error.

pub mod cell;
pub mod checksum;
pub mod control;
pub mod gaps;
pub mod geometry;
pub mod header;
pub mod sync_record;
