//! Conditions, compiled and evaluated, against what they should mean.

mod conditions;
mod errors;
mod naive;
pub mod twins;
