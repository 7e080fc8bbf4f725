//! The one value that is made by looking at a clock. It is here since the format layer is pure.

use std::time::SystemTime;

use crate::Timestamp;

impl Timestamp {
    /// The time that the system clock shows, cut to microseconds.
    ///
    /// The clock can be set back, so a later call can give an earlier time.
    ///
    /// ```
    /// assert!(locule::Timestamp::now() > "2024-01-01T00:00:00.000000Z".parse()?);
    /// # Ok::<(), locule::Error>(())
    /// ```
    pub fn now() -> Self {
        // A clock that shows a year beyond 294,000 is broken in a way that no caller can do anything about.
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX)
    }
}
