//! What checking a table found.

use crate::engine::outcome::{Recovery, RecoveryOutcome};
use crate::error::Error;
use crate::format::geometry::word;
use std::fmt;

/// Problems beyond this many are counted, but not kept.
pub(super) const PROBLEM_LIMIT: usize = 1000;

/// Where in a file a problem is. Places are ordered by what they are, and those of slots by the slot.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// std::fs::write(&path, "no table")?;
/// let places = locule::admin::verify(&path)?.problems.into_iter().map(|problem| problem.place);
/// assert!(places.eq([locule::admin::Location::File]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Location {
    /// The file as a whole: it is not a table, or has a wrong length.
    File,
    /// The counters and states of the control region.
    Control,
    /// One of the two sync records: 0 or 1.
    SyncRecord(usize),
    /// The head of a slot.
    Head {
        /// The slot.
        slot: u32,
    },
    /// One of the four cells of a slot.
    Cell {
        /// The slot.
        slot: u32,
        /// The cell, 0 to 3.
        cell: u32,
    },
    /// The index of keys.
    Index,
    /// The stack of free slots.
    FreeStack,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File => f.write_str("file"),
            Location::Control => f.write_str("control region"),
            Location::SyncRecord(record) => write!(f, "sync record {record}"),
            Location::Head { slot } => write!(f, "head of slot {slot}"),
            Location::Cell { slot, cell } => write!(f, "slot {slot}, cell {cell}"),
            Location::Index => f.write_str("index"),
            Location::FreeStack => f.write_str("free stack"),
        }
    }
}

/// Something in a file that contradicts something else in it.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// std::fs::write(&path, "no table")?;
/// let problem = locule::admin::verify(&path)?.problems.remove(0);
/// assert_eq!(problem.to_string(), format!("file: {}", problem.description));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Problem {
    /// Where it is.
    pub place: Location,
    /// What was expected and what was found.
    pub description: String,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.description)
    }
}

/// How much of a file could be checked.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// std::fs::write(&path, "no table")?;
/// assert_eq!(locule::admin::verify(&path)?.extent, locule::admin::Extent::Nothing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extent {
    /// All of it, as it was at one moment.
    Everything,
    /// Each record on its own: others wrote all the time, so no copy of one moment could be made. Whether the parts of
    /// the file fit each other was not checked.
    RecordsOnly {
        /// How often a copy was tried.
        attempt_count: u32,
    },
    /// The file needs a recovery. Both were checked: that the recovery is possible, and the table that it leads to.
    Recovery(Recovery),
    /// Each cell on its own, as [`salvage`](super::salvage) reads them: the file needs a recovery that is not possible,
    /// or was cut short. The records that can be salvaged were counted.
    CellsOnly,
    /// Nothing: the header cannot be believed.
    Nothing,
}

/// What [`verify`](super::verify) found.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// # table.insert(&Visit { id: 42, hits: 7 })?;
/// let verification = locule::admin::verify(&path)?;
/// assert_eq!(verification.to_string(), "checked everything, 1 records");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Verification {
    /// How much could be checked.
    pub extent: Extent,
    /// How many live records were checked.
    pub record_count: u64,
    /// How many problems were found.
    pub problem_count: u64,
    /// The problems, the first thousand of them.
    pub problems: Vec<Problem>,
    /// Cells that are not whole in a file that needs a recovery, and that the recovery does not need; the first
    /// thousand of them. They do not count as problems, since a power cut leaves such cells where something was being
    /// written. Damage looks the same.
    pub remnants: Vec<Problem>,
}

impl Verification {
    /// Whether no problem was found.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
    /// assert!(locule::admin::verify(&path)?.is_good());
    /// let other = path.with_extension("txt");
    /// std::fs::write(&other, "no table")?;
    /// assert!(!locule::admin::verify(&other)?.is_good());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problem_count == 0
    }

    pub(super) fn new() -> Self {
        Verification {
            extent: Extent::Nothing,
            record_count: 0,
            problem_count: 0,
            problems: Vec::new(),
            remnants: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, place: Location, description: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEM_LIMIT {
            self.problems.push(Problem { place, description: description.into() });
        }
    }
}

/// A line for each problem and each remnant, and one that says how much was checked.
impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        match self.problem_count.saturating_sub(word(self.problems.len())) {
            0 => {}
            more => writeln!(f, "and {more} more problems")?,
        }
        for remnant in &self.remnants {
            writeln!(f, "{remnant}; the recovery does without it")?;
        }
        let records = self.record_count;
        match self.extent {
            Extent::Everything => write!(f, "checked everything, {records} records"),
            Extent::RecordsOnly { attempt_count } => write!(
                f,
                "checked {records} records one by one; the structure was not checked, since the table is busy: it \
                 changed during each of {attempt_count} copies"
            ),
            Extent::Recovery(Recovery { outcome: RecoveryOutcome::Unopened { wall_time }, .. }) => {
                write!(
                    f,
                    "checked everything, {records} records; it was made at {wall_time}, and no process has opened it yet"
                )
            }
            Extent::Recovery(recovery) => write!(f, "the file needs a recovery, which would succeed: {recovery}"),
            Extent::CellsOnly => {
                write!(f, "checked each cell by itself: {records} records can be salvaged, see `locule dump --salvage`")
            }
            Extent::Nothing => f.write_str("nothing more could be checked"),
        }
    }
}

/// What an error says, without the advice to verify.
pub(super) fn reason_of(error: Error) -> String {
    match error {
        Error::Damaged { reason } => reason,
        other => other.to_string(),
    }
}
