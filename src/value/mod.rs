//! Values of one field: their types, their texts, and their bytes in a record.

mod arithmetic;
pub mod bytes;
mod comparisons;
pub mod field;
pub mod field_enum;
pub mod field_type;
mod field_value;
pub mod fitting;
mod float_text;
pub mod inline;
pub mod padding;
mod reading;
#[cfg(feature = "serde")]
mod serde_forms;
pub mod time;
pub mod untyped;
