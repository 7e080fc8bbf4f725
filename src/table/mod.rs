//! What users type.

mod clock;
pub mod record;
