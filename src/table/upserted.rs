//! What an upsert did.

use crate::engine::read::Meta;
use crate::record_id::RecordId;

/// What an `upsert` did.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// let first = table.upsert(&Visit { id: 1, hits: 1 })?;
/// let second = table.upsert(&Visit { id: 1, hits: 2 })?;
/// assert!(first.is_new && !second.is_new);
/// assert!(first.id == second.id && first.version < second.version);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Upserted {
    /// The record that was inserted or written over.
    pub id: RecordId,
    /// Its version now.
    pub version: u64,
    /// Whether it was inserted: no record had its key.
    pub is_new: bool,
}

impl Upserted {
    pub(super) fn new(meta: Meta) -> Self {
        // A record that was written over has been updated, and the count never returns to 0.
        Upserted { id: meta.id, version: meta.version, is_new: meta.update_count == 0 }
    }
}
