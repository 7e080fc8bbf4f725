//! Values of one field: their types, their texts, and their bytes in a record.

pub mod field;
pub mod field_type;
pub mod inline;
pub mod time;
pub mod untyped;
