//! Model-checked builds only (`--cfg loom`): what the model checker uses in place of atomics, the heap medium, and
//! thread-locals.

pub mod heap;
pub mod thread;
pub mod words;
