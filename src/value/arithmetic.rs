//! Calculating with points in time and days.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::time::{Date, MICROSECONDS_PER_DAY, Timestamp};
use crate::{Error, Result};

impl Timestamp {
    /// The moment that is later by a duration, which is cut to whole microseconds; `None` if it is later than
    /// [`MAX`](Self::MAX).
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// let epoch = Timestamp::default();
    /// assert_eq!(epoch.checked_add(Duration::from_secs(1)), Some(Timestamp::from_microseconds(1_000_000)));
    /// assert_eq!(Timestamp::MAX.checked_add(Duration::from_secs(1)), None);
    /// ```
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.microseconds().checked_add_unsigned(whole_microseconds(duration)?).map(Self::from_microseconds)
    }

    /// The moment that is earlier by a duration, which is cut to whole microseconds; `None` if it is earlier than
    /// [`MIN`](Self::MIN).
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// let epoch = Timestamp::default();
    /// assert_eq!(epoch.checked_sub(Duration::from_secs(1)), Some(Timestamp::from_microseconds(-1_000_000)));
    /// assert_eq!(Timestamp::MIN.checked_sub(Duration::from_secs(1)), None);
    /// ```
    #[must_use]
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.microseconds().checked_sub_unsigned(whole_microseconds(duration)?).map(Self::from_microseconds)
    }

    /// How long after another moment this one is; `None` if it is before that.
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// let (earlier, later) = (Timestamp::from_microseconds(5), Timestamp::from_microseconds(7));
    /// assert_eq!(later.checked_duration_since(earlier), Some(Duration::from_micros(2)));
    /// assert_eq!(earlier.checked_duration_since(later), None);
    /// ```
    #[must_use]
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        (self >= earlier).then(|| Duration::from_micros(self.microseconds().abs_diff(earlier.microseconds())))
    }

    /// How long after another moment this one is, and zero if it is before that: clocks are set back, and the clocks of
    /// two processes are read in any order. `later - earlier` is the same.
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// let (earlier, later) = (Timestamp::from_microseconds(5), Timestamp::from_microseconds(7));
    /// assert_eq!(later.duration_since(earlier), Duration::from_micros(2));
    /// assert_eq!(earlier.duration_since(later), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        self.checked_duration_since(earlier).unwrap_or_default()
    }

    /// The day in which the moment is, in UTC.
    ///
    /// ```
    /// use locule::{Date, Timestamp};
    ///
    /// let moment: Timestamp = "1969-12-31T23:59:59Z".parse()?;
    /// assert_eq!(moment.date(), Date::new(1969, 12, 31)?);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn date(self) -> Date {
        // 64 bits of microseconds are 107 million days, which 32 bits hold.
        Date::from_days(self.microseconds().div_euclid(MICROSECONDS_PER_DAY) as i32)
    }
}

fn whole_microseconds(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_micros()).ok()
}

/// The first moment of the day, in UTC.
impl TryFrom<Date> for Timestamp {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the day is more than 290,000 years from 1970.
    fn try_from(date: Date) -> Result<Self> {
        i64::from(date.days())
            .checked_mul(MICROSECONDS_PER_DAY)
            .map(Self::from_microseconds)
            .ok_or_else(|| Error::InvalidValue { reason: format!("{date} is too far from 1970 for a timestamp") })
    }
}

/// The moment that is later by a duration, which is cut to whole microseconds.
///
/// ```
/// use locule::Timestamp;
/// use std::time::Duration;
///
/// let born: Timestamp = "2024-02-29T23:00:00Z".parse()?;
/// assert_eq!((born + Duration::from_secs(3600)).to_string(), "2024-03-01T00:00:00.000000Z");
/// # Ok::<(), locule::Error>(())
/// ```
impl Add<Duration> for Timestamp {
    type Output = Self;

    /// # Panics
    ///
    /// If it is later than [`Timestamp::MAX`], as `SystemTime` does. [`checked_add`](Timestamp::checked_add) does not
    /// panic.
    #[allow(clippy::expect_used, reason = "an operator has no other way to say it, and std says it so")]
    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration).expect("overflow when adding a duration to a timestamp")
    }
}

/// The moment that is earlier by a duration, which is cut to whole microseconds.
///
/// ```
/// use locule::Timestamp;
/// use std::time::Duration;
///
/// let born: Timestamp = "2024-03-01T00:00:00Z".parse()?;
/// assert_eq!((born - Duration::from_secs(3600)).to_string(), "2024-02-29T23:00:00.000000Z");
/// # Ok::<(), locule::Error>(())
/// ```
impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// # Panics
    ///
    /// If it is earlier than [`Timestamp::MIN`], as `SystemTime` does. [`checked_sub`](Timestamp::checked_sub) does not
    /// panic.
    #[allow(clippy::expect_used, reason = "an operator has no other way to say it, and std says it so")]
    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).expect("overflow when subtracting a duration from a timestamp")
    }
}

/// How long after another moment this one is, and zero if it is before that, as
/// [`duration_since`](Timestamp::duration_since).
impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

impl Date {
    /// The day that is later by this many days, or earlier if they are negative; `None` if there is no such `Date`.
    ///
    /// ```
    /// use locule::Date;
    ///
    /// assert_eq!(Date::new(2024, 2, 28)?.checked_add(2), Some(Date::new(2024, 3, 1)?));
    /// assert_eq!(Date::MAX.checked_add(1), None);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub const fn checked_add(self, days: i32) -> Option<Self> {
        match self.days().checked_add(days) {
            Some(days) => Some(Self::from_days(days)),
            None => None,
        }
    }

    /// The day that is earlier by this many days, or later if they are negative; `None` if there is no such `Date`.
    ///
    /// ```
    /// use locule::Date;
    ///
    /// assert_eq!(Date::new(2024, 3, 1)?.checked_sub(2), Some(Date::new(2024, 2, 28)?));
    /// assert_eq!(Date::MIN.checked_sub(1), None);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub const fn checked_sub(self, days: i32) -> Option<Self> {
        match self.days().checked_sub(days) {
            Some(days) => Some(Self::from_days(days)),
            None => None,
        }
    }
}

/// The day that is later by this many days, or earlier if they are negative.
///
/// ```
/// use locule::Date;
///
/// assert_eq!(Date::new(2024, 2, 28)? + 2, Date::new(2024, 3, 1)?);
/// # Ok::<(), locule::Error>(())
/// ```
impl Add<i32> for Date {
    type Output = Self;

    /// # Panics
    ///
    /// If there is no such `Date`. [`checked_add`](Date::checked_add) does not panic.
    #[allow(clippy::expect_used, reason = "an operator has no other way to say it, and std says it so")]
    fn add(self, days: i32) -> Self {
        self.checked_add(days).expect("overflow when adding days to a date")
    }
}

/// The day that is earlier by this many days, or later if they are negative.
impl Sub<i32> for Date {
    type Output = Self;

    /// # Panics
    ///
    /// If there is no such `Date`. [`checked_sub`](Date::checked_sub) does not panic.
    #[allow(clippy::expect_used, reason = "an operator has no other way to say it, and std says it so")]
    fn sub(self, days: i32) -> Self {
        self.checked_sub(days).expect("overflow when subtracting days from a date")
    }
}

/// How many days after another day this one is, negative if it is before that.
///
/// ```
/// use locule::Date;
///
/// assert_eq!(Date::new(2024, 3, 1)? - Date::new(2024, 2, 28)?, 2);
/// assert_eq!(Date::MIN - Date::MAX, -4_294_967_295);
/// # Ok::<(), locule::Error>(())
/// ```
impl Sub for Date {
    type Output = i64;

    fn sub(self, other: Self) -> i64 {
        i64::from(self.days()) - i64::from(other.days())
    }
}

macro_rules! assigning {
    ($($type:ty, $step:ty);+) => {$(
        /// # Panics
        ///
        /// As the operator without `=`.
        impl AddAssign<$step> for $type {
            fn add_assign(&mut self, step: $step) {
                *self = *self + step;
            }
        }

        /// # Panics
        ///
        /// As the operator without `=`.
        impl SubAssign<$step> for $type {
            fn sub_assign(&mut self, step: $step) {
                *self = *self - step;
            }
        }
    )+};
}

assigning!(Timestamp, Duration; Date, i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_add_up_to_the_ends_of_time() {
        let nanosecond = Duration::from_nanos(1);
        let microsecond = Duration::from_micros(1);
        let epoch = Timestamp::default();
        assert_eq!(epoch + Duration::from_nanos(1_999), Timestamp::from_microseconds(1));
        assert_eq!(epoch - Duration::from_nanos(1_999), Timestamp::from_microseconds(-1));
        let all = Duration::from_micros(u64::MAX);
        assert_eq!(Timestamp::MIN + all, Timestamp::MAX);
        assert_eq!(Timestamp::MAX - all, Timestamp::MIN);
        assert_eq!(Timestamp::MAX - Timestamp::MIN, all);
        assert_eq!(Timestamp::MAX + nanosecond, Timestamp::MAX);
        for duration in [microsecond, all, all + microsecond, Duration::MAX] {
            assert_eq!(Timestamp::MAX.checked_add(duration), None, "{duration:?}");
            assert_eq!(Timestamp::MIN.checked_sub(duration), None, "{duration:?}");
        }
        assert_eq!(epoch - (epoch + microsecond), Duration::ZERO);
        assert_eq!(epoch.checked_duration_since(epoch + microsecond), None);
        assert_eq!(epoch.checked_duration_since(epoch), Some(Duration::ZERO));
        let mut moment = epoch;
        moment += Duration::from_secs(60);
        moment -= Duration::from_secs(1);
        assert_eq!(moment.to_string(), "1970-01-01T00:00:59.000000Z");
        assert!(std::panic::catch_unwind(|| Timestamp::MAX + microsecond).is_err());
        assert!(std::panic::catch_unwind(|| Timestamp::MIN - microsecond).is_err());
    }

    #[test]
    fn days_add_up_to_the_ends_of_the_calendar() {
        let day = Date::new(2024, 2, 29).unwrap();
        assert_eq!(
            [day + 1, day - 1, day + -366].map(|day| day.to_string()),
            ["2024-03-01", "2024-02-28", "2023-02-28"]
        );
        assert_eq!((day - Date::new(2023, 2, 28).unwrap(), Date::MAX - Date::MIN), (366, u32::MAX.into()));
        let mut other = day;
        other += 2;
        other -= 1;
        assert_eq!(other - day, 1);
        for (date, days) in [(Date::MAX, 1), (Date::MIN, -1), (Date::from_days(-2), i32::MIN)] {
            assert_eq!(date.checked_add(days), None);
            assert!(std::panic::catch_unwind(|| date + days).is_err());
        }
        for (date, days) in [(Date::MAX, -1), (Date::MIN, 1), (Date::default(), i32::MIN)] {
            assert_eq!(date.checked_sub(days), None);
            assert!(std::panic::catch_unwind(|| date - days).is_err());
        }
    }

    #[test]
    fn a_moment_is_in_a_day_that_begins_with_one() {
        for microseconds in [i64::MIN, -86_400_000_001, -86_400_000_000, -1, 0, 86_399_999_999, i64::MAX] {
            let moment = Timestamp::from_microseconds(microseconds);
            assert!(moment.to_string().starts_with(&moment.date().to_string()), "{moment} is in {}", moment.date());
        }
        let day = Date::new(1899, 12, 31).unwrap();
        assert_eq!(Timestamp::try_from(day).unwrap().to_string(), "1899-12-31T00:00:00.000000Z");
        assert_eq!(Timestamp::try_from(day).unwrap().date(), day);
        // The first day of the range begins before the range.
        assert!(matches!(Timestamp::try_from(Timestamp::MIN.date()), Err(Error::InvalidValue { .. })));
        assert!(Timestamp::try_from(Timestamp::MIN.date() + 1).is_ok());
        assert!(Timestamp::try_from(Date::MAX).is_err());
    }
}
