//! The outcome of opening a table, as its user is told.

use crate::value::time::Timestamp;
use std::fmt;

/// Which state a table was found in when it was opened.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// match table.recovery().outcome {
///     locule::RecoveryOutcome::New => println!("made"),
///     locule::RecoveryOutcome::Checkpoint { wall_time } => println!("back to {wall_time}"),
///     _ => println!("opened"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecoveryOutcome {
    /// The table was new.
    New,
    /// The table was in order: other processes use it, or it was left in order in this boot.
    InOrder,
    /// The newest state that is whole, though no sync record has it. In the same boot this is usually the newest published
    /// transaction, or one that was prepared and is published now; see [`Recovery::nothing_lost`].
    Newest,
    /// Exactly the last sync that is whole.
    Checkpoint {
        /// When that sync was made.
        wall_time: Timestamp,
    },
    /// What was put into a file that no process had opened yet: all that is in [`maintenance`](crate::maintenance) makes such
    /// files, except `scrub`.
    Unopened {
        /// When it was made.
        wall_time: Timestamp,
    },
}

/// What opening a table found and repaired.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// assert_eq!(table.recovery().outcome, locule::RecoveryOutcome::New);
/// drop(table);
/// // In the same boot nothing has to be recovered, however the last process ended.
/// let table = locule::Table::<Visit>::open(&path)?;
/// assert_eq!(table.recovery().outcome, locule::RecoveryOutcome::InOrder);
/// assert!(table.recovery().nothing_lost);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Recovery {
    /// Which state it was.
    pub outcome: RecoveryOutcome,
    /// Whether it is certain that every published transaction is there. After a power cut it never is: the newest state on the
    /// disk verifies, but a newer one may never have reached the disk.
    pub nothing_lost: bool,
    /// The number of the transaction whose state was found.
    pub number: u64,
    /// The highest transaction number of which there was any trace. What lies between the two numbers is lost.
    pub highest_number_seen: u64,
    /// Records in the table.
    pub live_count: u64,
    /// Whether the handle works on a recovered copy in its own memory, since it may not change the file.
    pub is_private_copy: bool,
}

impl Recovery {
    /// Nothing had to be done.
    pub(super) const IN_ORDER: Recovery = Recovery {
        outcome: RecoveryOutcome::InOrder,
        nothing_lost: true,
        number: 0,
        highest_number_seen: 0,
        live_count: 0,
        is_private_copy: false,
    };
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            RecoveryOutcome::New => f.write_str("new table")?,
            RecoveryOutcome::InOrder => f.write_str("in order")?,
            RecoveryOutcome::Newest => write!(f, "recovered the newest whole state, transaction {}", self.number)?,
            RecoveryOutcome::Checkpoint { wall_time } => {
                write!(f, "went back to the sync of {wall_time}, transaction {}", self.number)?;
            }
            RecoveryOutcome::Unopened { wall_time } => {
                write!(f, "as it was made at {wall_time}, transaction {}", self.number)?;
            }
        }
        if !self.nothing_lost && self.highest_number_seen > self.number {
            write!(f, ", losing transactions up to {}", self.highest_number_seen)?;
        }
        write!(f, ", {} records", self.live_count)?;
        f.write_str(if self.nothing_lost { "; nothing lost" } else { "; what was not synced may be lost" })?;
        if self.is_private_copy {
            f.write_str(" (in a private copy: the file itself still needs a recovery)")?;
        }
        Ok(())
    }
}
