//! Wiping what nobody can read any more, but somebody who looks at the bytes of the file.

use crate::engine::outcome::Recovery;
use crate::engine::{Settings, Store};
use crate::error::Result;
use std::path::Path;

/// What [`scrub`] wiped.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # let table = locule::Table::<Visit>::create(&path, 100)?;
/// let id = table.insert(&Visit { id: 42, hits: 7 })?;
/// table.update(id, |visit| visit.hits = 8)?;
/// assert_eq!(locule::maintenance::scrub(&path)?.cell_count, 1); // with the 7
/// assert_eq!(locule::maintenance::scrub(&path)?.cell_count, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scrubbed {
    /// How many old contents, of records that were changed or deleted.
    pub cell_count: u64,
    /// What opening the table found and repaired.
    pub recovery: Recovery,
}

/// Overwrites with zeros what is left in the file of records that were deleted, and of older contents of those that were
/// changed, and waits until that is on the disk. Everything else stays as it is, ids and versions too.
///
/// The write lock is held for as long as that takes, and the table is synced first: an older content is kept for the
/// sake of the last sync. The handles of other processes go on.
///
/// What the file system or the disk keep of blocks that were overwritten, in a journal, in a snapshot, or on flash memory,
/// is out of reach. So are backups.
///
/// ```
/// # locule::record! { struct User { key id: u64, name: locule::Text<16> } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("users.loc");
/// let table = locule::Table::<User>::create(&path, 100)?;
/// let id = table.insert(&User { id: 42, name: "Ada Lovelace".parse()? })?;
/// table.delete(id)?;
/// locule::maintenance::scrub(&path)?;
/// let bytes = std::fs::read(&path)?;
/// assert!(!bytes.windows(8).any(|part| part == b"Lovelace"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`OpenOptions::open`](crate::OpenOptions::open) and of any call that writes and syncs. After one, part may
/// have been wiped.
pub fn scrub(path: impl AsRef<Path>) -> Result<Scrubbed> {
    let store = Store::open(path.as_ref(), &Settings::default())?;
    Ok(Scrubbed { cell_count: store.scrub()?, recovery: *store.recovery() })
}
