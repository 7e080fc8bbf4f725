//! Looking inside a table, even while other processes use it, and without its record type.
//!
//! | function | what it tells |
//! |---|---|
//! | [`info`] | what the table is, how full, how far synced, which process holds its lock, whether it needs a recovery |
//! | [`dump`] | every record, as named values |
//! | [`verify`] | every place where the file contradicts itself |
//! | [`salvage`] | every record whose own checksum holds, in a file that is too damaged for all others |
//! | [`raw_slots`] | every slot as it is, byte by byte |
//!
//! None of them takes a mutex or changes a byte, so none of them can hold up or harm the processes that use the table,
//! and none waits for a writer that is stopped. A process that is stopped while it opens the table as the first one is waited for
//! like a lock, for five seconds at most. A table that needs a recovery is recovered in a private copy in memory.
//!
//! ```
//! # locule::record! { struct Visit { key id: u64, hits: u32 } }
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("visits.loc");
//! let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
//! table.insert(&Visit { id: 42, hits: 7 })?;
//!
//! assert_eq!(locule::admin::info(&path)?.status.live_count, 1);
//! for row in locule::admin::dump(&path)? {
//!     assert_eq!(row?.values, [locule::Value::Unsigned(42), locule::Value::Unsigned(7)]);
//! }
//! assert!(locule::admin::verify(&path)?.is_good());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cell;
mod check;
mod dump;
mod info;
mod raw;
mod readable;
pub(crate) mod salvage;
#[cfg(test)]
mod tests;
mod verification;
mod verify;

pub use crate::engine::pending::Pending;
pub use dump::{Dump, DumpedRow, dump};
pub use info::{Condition, Info, SyncInfo, info};
pub use raw::{RawCell, RawSlot, RawSlots, raw_slots};
pub use salvage::{Salvage, salvage};
pub use verification::{Extent, Location, Problem, Verification};
pub use verify::verify;

use crate::engine::Settings;

/// Looking does no harm on any file system.
fn settings() -> Settings {
    Settings { any_file_system: true, ..Settings::default() }
}

/// What is wrong with a table at rest that no other process uses.
#[cfg(test)]
pub(crate) fn problems_of(store: &crate::engine::Store) -> Vec<Problem> {
    let mut verification = Verification::new();
    check::everything(store, &mut verification);
    verification.problems
}
