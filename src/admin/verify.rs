//! Looking for contradictions in a whole table.

use super::check;
use super::readable::read_through;
use super::salvage::salvage;
use super::verification::{Extent, Location, PROBLEM_LIMIT, Problem, Verification, reason_of};
use crate::engine::Store;
use crate::engine::inspect::COPY_ATTEMPT_COUNT;
use crate::error::{Error, Result};
use crate::file::open_read_only::{Belief, FileForReading};
use std::path::Path;

/// Reads a whole file and reports every contradiction in it. If the file is damaged, or not a table at all, that is a
/// result and not an error.
///
/// While others use the table, a copy of one moment is checked; if they write too much for that, each record is checked
/// on its own. If the file needs a recovery, that recovery is made in a copy, and its result is checked; cells that are
/// not whole, and not needed for it, are named as [`remnants`](Verification::remnants). If the recovery is not
/// possible, each cell is checked on its own.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// let verification = locule::admin::verify(&path)?;
/// assert_eq!(verification.extent, locule::admin::Extent::Everything);
/// for problem in &verification.problems {
///     println!("{problem}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`DoesNotExist`](Error::DoesNotExist), [`Timeout`](Error::Timeout) if another process was opening it all the time,
/// [`Io`](Error::Io) if the file cannot be read.
pub fn verify(path: impl AsRef<Path>) -> Result<Verification> {
    let path = path.as_ref();
    let mut verification = Verification::new();
    if let Err(error) = read_through(path) {
        verification.report(Location::File, reason_of(error));
        cells_alone(path, &mut verification);
        return Ok(verification);
    }
    let FileForReading { store, is_same_boot, recovery_reason, .. } =
        match Store::open_for_reading(path, &super::settings(), Belief::Marks) {
            Ok(found) => found,
            Err(Error::Foreign { reason, .. }) => {
                verification.report(Location::File, reason);
                cells_alone(path, &mut verification);
                return Ok(verification);
            }
            Err(error) => return Err(error),
        };
    if recovery_reason.is_some() {
        // The recovery wipes what it does not need.
        let broken_cells = check::broken_cells(&store, PROBLEM_LIMIT);
        match store.recover_copy(is_same_boot) {
            Ok(recovery) => {
                verification.remnants = broken_cells;
                verification.extent = Extent::Recovery(recovery);
                check::everything(&store, &mut verification);
            }
            Err(error) => {
                verification.report(Location::File, format!("it needs a recovery, and {}", reason_of(error)));
                cells_alone(path, &mut verification);
            }
        }
        return Ok(verification);
    }
    usable(&store, &mut verification)?;
    Ok(verification)
}

/// Verifies each cell on its own, if the header can be believed, in a file about which something was reported as a
/// whole.
fn cells_alone(path: &Path, verification: &mut Verification) {
    let Ok(salvage) = salvage(path) else { return };
    verification.extent = Extent::CellsOnly;
    for found in salvage {
        match found {
            Ok(_) => verification.record_count += 1,
            Err(Problem { place: Location::File, .. }) => {}
            Err(Problem { place, description }) => verification.report(place, description),
        }
    }
}

/// Verifies a table that needs no recovery, and may be in use.
pub(super) fn usable(store: &Store, verification: &mut Verification) -> Result<()> {
    let Some(mut copy) = store.copy_of_one_moment()? else {
        verification.extent = Extent::RecordsOnly { attempt_count: COPY_ATTEMPT_COUNT };
        check::records(store, verification);
        return Ok(());
    };
    verification.extent = Extent::Everything;
    check::numbers(&copy, verification);
    // What a writer is doing, or was doing when it died, is not a contradiction: the next writer would finish or undo
    // it.
    let settled = copy.settle().map_err(reason_of);
    check::everything(&copy, verification);
    match settled {
        Ok(true) => {}
        Err(reason) => verification.report(Location::Control, reason),
        Ok(false) if !verification.is_good() => {}
        // The checks look at what is settled, but settling looks at more before that.
        Ok(false) => verification.report(
            Location::Control,
            "what a writer left half done, or a sync, contradicts the records: the next opener would recover them",
        ),
    }
    Ok(())
}
