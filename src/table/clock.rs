//! The one value that is made by reading a clock. It is here since the format layer is pure.

use std::time::{Duration, SystemTime};

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
    #[must_use]
    pub fn now() -> Self {
        // A clock that shows a year beyond 294,000 is broken in a way that no caller can do anything about.
        Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX)
    }

    /// How long ago the moment was, by the system clock; zero if it is yet to come.
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert!(Timestamp::default().elapsed() > Duration::from_secs(1_700_000_000));
    /// assert_eq!(Timestamp::MAX.elapsed(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Timestamp::now().duration_since(self)
    }
}
