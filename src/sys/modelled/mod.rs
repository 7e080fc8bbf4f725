//! Model-checked builds only (`--cfg loom`): what the model checker puts in the place of atomics, of the heap medium, and of
//! thread-locals.

pub mod heap;
pub mod thread;
pub mod words;
