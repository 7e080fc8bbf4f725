//! Which records are wanted, in which order, and what they amount to.
//!
//! | file | what is there |
//! |---|---|
//! | `condition` | the tree of comparisons that a user writes |
//! | `field_name`, `typed_field` | what the tree is built from: fields by name, and fields whose type the compiler knows |
//! | `literal` | how names and values are written in the text of a condition |
//! | `filter` | conditions read from text (feature `filter`) |
//! | `compile` | a condition, checked against a schema, becomes a predicate |
//! | `predicate` | which records a condition is true for, decided on a few words of each |
//! | `interval`, `number` | a comparison of a value of fixed width as an interval of keys that are ordered like the values |
//! | `place` | a value of fixed width taken out of the words of a record, as such a key |
//! | `content`, `pattern` | tests of text and bytes (patterns with the feature `filter`) |
//! | `order` | sorting values, with none first or last |
//! | `sorting` | by which fields records are sorted |
//! | `aggregate` | the smallest, the largest, and the sum |

pub mod aggregate;
mod compile;
pub mod condition;
mod content;
pub mod field_name;
#[cfg(feature = "filter")]
pub mod filter;
mod interval;
mod literal;
mod number;
pub mod order;
#[cfg(feature = "filter")]
mod pattern;
mod place;
pub mod predicate;
pub mod sorting;
#[cfg(all(test, not(loom)))]
mod tests;
pub mod typed_field;
