//! Bytes to values and back. Pure and total: any bytes in, a value or an error out.

pub mod field_type;
pub mod inline;
pub mod schema;
pub mod time;
pub mod untyped;
pub mod values;
