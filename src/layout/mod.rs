//! Where everything lies in a table's words, and in which order it is read and written: slots, the index of keys, the
//! intent list, the free stack.

pub mod filter;
pub mod index;
pub mod slot;
pub mod view;
