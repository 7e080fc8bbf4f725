//! Values of one field: their types, their texts, and their bytes in a record.

mod arithmetic;
mod comparisons;
pub mod field;
pub mod field_enum;
pub mod field_type;
pub mod field_value;
pub mod inline;
pub mod padding;
#[cfg(feature = "serde")]
mod serde_forms;
pub mod time;
pub mod untyped;
