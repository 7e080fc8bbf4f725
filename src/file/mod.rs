//! Tables as files: made, opened, rebuilt, replaced and deleted.

#[cfg(not(loom))]
pub mod create;
#[cfg(not(loom))]
pub mod image;
#[cfg(not(loom))]
pub mod name;
#[cfg(not(loom))]
pub mod open;
#[cfg(not(loom))]
pub mod open_read_only;
#[cfg(not(loom))]
pub mod rebuild;
#[cfg(not(loom))]
pub mod remains;
#[cfg(not(loom))]
pub mod temporary;
#[cfg(not(loom))]
pub mod unique_keys;
