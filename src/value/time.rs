//! Points in time and days, in the Gregorian calendar, which is assumed to hold at all times ("proleptic").
//!
//! The two calendar functions are `days_from_civil` and `civil_from_days` of Howard Hinnant, "chrono-Compatible
//! Low-Level Date Algorithms", <https://howardhinnant.github.io/date_algorithms.html>. Their year begins in March, so
//! that the leap day is its last, and they count in eras of 400 years, all of which are alike.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::padding::padded;
use crate::{Error, Result};

const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01, the first day of era 0, to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

/// A day as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// 1 to 12.
    month: u8,
    /// 1 to 31.
    day: u8,
}

impl Civil {
    /// The day, or none if the calendar has no such day.
    fn new(year: i64, month: u8, day: u8) -> Option<Self> {
        let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_in_month = match month {
            2 if is_leap_year => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        (1..=days_in_month).contains(&day).then_some(Civil { year, month, day })
    }

    fn days(self) -> i64 {
        let month = i64::from(self.month);
        let year = if month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH
    }

    fn from_days(days: i64) -> Self {
        let days = days + DAYS_TO_EPOCH;
        let era = days.div_euclid(DAYS_PER_ERA);
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Civil { year, month: month as u8, day: day as u8 }
    }
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            0..=9999 => write!(f, "{:04}", self.year)?,
            _ => write!(f, "{:+05}", self.year)?,
        }
        write!(f, "-{:02}-{:02}", self.month, self.day)
    }
}

/// A day: the number of days since 1970-01-01, which an `i32` holds. Years reach from -5,877,641 to 5,881,580; year 0
/// is the one before year 1.
///
/// It is written in ISO 8601, and years beyond 0 to 9999 with a sign.
///
/// ```
/// use locule::Date;
///
/// let day: Date = "1899-12-31".parse()?;
/// assert_eq!(Date::from_days(day.days() + 1), Date::new(1900, 1, 1)?);
/// assert_eq!((day.year(), day.month(), day.day()), (1899, 12, 31));
/// assert!(Date::new(1900, 2, 29).is_err());
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    days: i32,
}

impl Date {
    /// The first day there is, -5877641-06-23.
    ///
    /// ```
    /// use locule::Date;
    /// let latest = [Date::new(2024, 2, 29)?, Date::new(1899, 12, 31)?].into_iter().fold(Date::MIN, Date::max);
    /// assert_eq!(latest.year(), 2024);
    /// # Ok::<(), locule::Error>(())
    /// ```
    pub const MIN: Self = Date { days: i32::MIN };
    /// The last day there is, +5881580-07-11.
    ///
    /// ```
    /// const NEVER: locule::Date = locule::Date::MAX;
    /// assert!(locule::Timestamp::now().date() < NEVER);
    /// ```
    pub const MAX: Self = Date { days: i32::MAX };

    /// The day that is `days` after 1970-01-01.
    ///
    /// ```
    /// assert_eq!(locule::Date::from_days(-1).to_string(), "1969-12-31");
    /// ```
    #[inline]
    #[must_use]
    pub const fn from_days(days: i32) -> Self {
        Date { days }
    }

    /// Days since 1970-01-01.
    ///
    /// ```
    /// assert_eq!(locule::Date::new(1970, 1, 2)?.days(), 1);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn days(self) -> i32 {
        self.days
    }

    /// The day with this year, month (1 to 12) and day of the month (1 to 31).
    ///
    /// ```
    /// use locule::Date;
    /// assert_eq!(Date::new(2024, 2, 29)?.to_string(), "2024-02-29");
    /// assert!(Date::new(2023, 2, 29).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the calendar has no such day, or it is too far from 1970 for a `Date`.
    pub fn new(year: i32, month: u8, day: u8) -> Result<Self> {
        Civil::new(i64::from(year), month, day)
            .and_then(Self::from_civil)
            .ok_or_else(|| invalid(format!("there is no day {year:04}-{month:02}-{day:02}")))
    }

    /// The year. Year 0 is the one before year 1.
    ///
    /// ```
    /// assert_eq!(locule::Date::new(2024, 2, 29)?.year(), 2024);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn year(self) -> i32 {
        self.civil().year as i32
    }

    /// The month, 1 to 12.
    ///
    /// ```
    /// assert_eq!(locule::Date::new(2024, 2, 29)?.month(), 2);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn month(self) -> u8 {
        self.civil().month
    }

    /// The day of the month, 1 to 31.
    ///
    /// ```
    /// assert_eq!(locule::Date::new(2024, 2, 29)?.day(), 29);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn day(self) -> u8 {
        self.civil().day
    }

    fn civil(self) -> Civil {
        Civil::from_days(i64::from(self.days))
    }

    fn from_civil(civil: Civil) -> Option<Self> {
        i32::try_from(civil.days()).ok().map(Self::from_days)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        padded(f, format_args!("{}", self.civil()))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what `Display` writes.
impl FromStr for Date {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if it is not written as `Display` writes it, the calendar has no such day, or it is too
    /// far from 1970 for a `Date`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser { rest: text };
        parser
            .civil()
            .filter(|_| parser.rest.is_empty())
            .and_then(Self::from_civil)
            .ok_or_else(|| invalid(format!("expected a date such as 2024-02-29, found {text:?}")))
    }
}

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted, which an `i64` holds. Years
/// reach from -290,308 to 294,247.
///
/// It is written in ISO 8601, as RFC 3339 has it, with six decimals and `Z`; and years beyond 0 to 9999 with a sign,
/// which is beyond RFC 3339.
///
/// ```
/// use locule::Timestamp;
///
/// let moment: Timestamp = "1969-12-31T23:59:59.999999Z".parse()?;
/// assert_eq!(moment, Timestamp::from_microseconds(-1));
/// assert_eq!(Timestamp::default().to_string(), "1970-01-01T00:00:00.000000Z");
/// # Ok::<(), locule::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    microseconds: i64,
}

impl Timestamp {
    /// The first moment there is, -290308-12-21T19:59:05.224192Z.
    ///
    /// ```
    /// const NOT_YET: locule::Timestamp = locule::Timestamp::MIN;
    /// assert!(NOT_YET < locule::Timestamp::now());
    /// ```
    pub const MIN: Self = Timestamp { microseconds: i64::MIN };
    /// The last moment there is, +294247-01-10T04:00:54.775807Z.
    ///
    /// ```
    /// const NEVER: locule::Timestamp = locule::Timestamp::MAX;
    /// assert!(locule::Timestamp::now() < NEVER);
    /// ```
    pub const MAX: Self = Timestamp { microseconds: i64::MAX };

    /// The moment that is `microseconds` after 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// assert_eq!(locule::Timestamp::from_microseconds(1).to_string(), "1970-01-01T00:00:00.000001Z");
    /// ```
    #[inline]
    #[must_use]
    pub const fn from_microseconds(microseconds: i64) -> Self {
        Timestamp { microseconds }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// assert_eq!("1970-01-01T00:00:01Z".parse::<locule::Timestamp>()?.microseconds(), 1_000_000);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn microseconds(self) -> i64 {
        self.microseconds
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = Civil::from_days(self.microseconds.div_euclid(MICROSECONDS_PER_DAY));
        let microsecond_of_day = self.microseconds.rem_euclid(MICROSECONDS_PER_DAY);
        let second_of_day = microsecond_of_day / MICROSECONDS_PER_SECOND;
        let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
        let microsecond = microsecond_of_day % MICROSECONDS_PER_SECOND;
        padded(f, format_args!("{civil}T{hour:02}:{minute:02}:{second:02}.{microsecond:06}Z"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what `Display` writes, and other times of RFC 3339: with fewer decimals than six, or none and no point, and
/// with an offset from UTC such as `+02:00` for the `Z`. `T` and `Z` are capital letters, and no second is the 60th, since
/// leap seconds are not counted. More decimals than six are refused, since nothing is cut without being asked.
///
/// ```
/// use locule::Timestamp;
///
/// let moment: Timestamp = "2024-02-29T14:30:00+02:00".parse()?;
/// assert_eq!(moment.to_string(), "2024-02-29T12:30:00.000000Z");
/// # Ok::<(), locule::Error>(())
/// ```
impl FromStr for Timestamp {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if it is written in another way, there is no such day or time of day, or it is too far
    /// from 1970 for a `Timestamp`. A second numbered 60 is no time of day: leap seconds are not counted.
    fn from_str(text: &str) -> Result<Self> {
        let mut parser = Parser { rest: text };
        parser
            .microseconds()
            .filter(|_| parser.rest.is_empty())
            .map(Self::from_microseconds)
            .ok_or_else(|| invalid(format!("expected a time such as 2024-02-29T23:59:59.999999Z, found {text:?}")))
    }
}

/// The nanoseconds are cut off, toward the past. The way back is exact.
///
/// ```
/// use locule::Timestamp;
/// use std::time::{Duration, SystemTime};
///
/// let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_999);
/// let moment = Timestamp::try_from(time)?;
/// assert_eq!(moment, Timestamp::from_microseconds(1));
/// assert_eq!(SystemTime::from(moment), SystemTime::UNIX_EPOCH + Duration::from_micros(1));
/// # Ok::<(), locule::Error>(())
/// ```
impl TryFrom<SystemTime> for Timestamp {
    type Error = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the time is more than 292,000 years from 1970.
    fn try_from(time: SystemTime) -> Result<Self> {
        let nanoseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        i64::try_from(nanoseconds.div_euclid(1_000))
            .map(Self::from_microseconds)
            .map_err(|_| invalid(format!("{time:?} is too far from 1970")))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        // On Linux, a system time has 64 bits of seconds, so neither of these can overflow.
        let distance = Duration::from_micros(timestamp.microseconds.unsigned_abs());
        if timestamp.microseconds < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidValue { reason }
}

/// Reads ISO 8601 from the front of a text.
struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn literal(&mut self, expected: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// A number with at least and at most this many digits, and how many it has.
    fn number(&mut self, least: usize, most: usize) -> Option<(i64, usize)> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(least..=most).contains(&count) {
            return None;
        }
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some((digits.parse().ok()?, count))
    }

    fn two_digits(&mut self, most: i64) -> Option<i64> {
        self.number(2, 2).map(|(number, _)| number).filter(|number| *number <= most)
    }

    fn civil(&mut self) -> Option<Civil> {
        let sign = if self.literal('-').is_some() { Some(-1) } else { self.literal('+').map(|()| 1) };
        // Seven digits reach beyond the years of both types.
        let (year, _) = self.number(4, if sign.is_some() { 7 } else { 4 })?;
        self.literal('-')?;
        let month = self.two_digits(12)?;
        self.literal('-')?;
        let day = self.two_digits(31)?;
        Civil::new(year * sign.unwrap_or(1), month as u8, day as u8)
    }

    fn microseconds(&mut self) -> Option<i64> {
        let days = self.civil()?.days();
        self.literal('T')?;
        let hour = self.two_digits(23)?;
        self.literal(':')?;
        let minute = self.two_digits(59)?;
        self.literal(':')?;
        let second = self.two_digits(59)?;
        let microsecond = match self.literal('.') {
            Some(()) => {
                let (number, digit_count) = self.number(1, 6)?;
                number * 10_i64.pow(6_u32.checked_sub(u32::try_from(digit_count).ok()?)?)
            }
            None => 0,
        };
        let offset_seconds = self.offset_seconds()?;
        let second_of_day = hour * 3_600 + minute * 60 + second;
        // In 128 bits: the first day of the range begins before the first moment of it.
        let microseconds = i128::from(days) * i128::from(MICROSECONDS_PER_DAY)
            + i128::from((second_of_day - offset_seconds) * MICROSECONDS_PER_SECOND + microsecond);
        i64::try_from(microseconds).ok()
    }

    /// How far local time is ahead of UTC: `Z`, `+02:00`, `-03:30`.
    fn offset_seconds(&mut self) -> Option<i64> {
        if self.literal('Z').is_some() {
            return Some(0);
        }
        let sign = if self.literal('-').is_some() { -1 } else { self.literal('+').map(|()| 1)? };
        let hours = self.two_digits(23)?;
        self.literal(':')?;
        let minutes = self.two_digits(59)?;
        Some(sign * (hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_agrees_with_counting_day_by_day() {
        // An independent version that knows nothing but the lengths of months and the leap year rule, from year -1200
        // to 2800.
        let (first_year, end_year) = if cfg!(miri) { (1967, 1973) } else { (-1200, 2800) };
        let (mut year, mut month, mut day) = (first_year, 1_u8, 1_u8);
        let mut days = Date::new(year, month, day).unwrap().days();
        let mut epoch_was_met = false;
        while year < end_year {
            let date = Date::from_days(days);
            assert_eq!((date.year(), date.month(), date.day()), (year, month, day));
            assert_eq!(Date::new(year, month, day).unwrap(), date);
            epoch_was_met |= days == 0 && (year, month, day) == (1970, 1, 1);
            let is_leap_year = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let february_days = if is_leap_year { 29 } else { 28 };
            let month_days = [31, february_days, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(month) - 1];
            assert!(Date::new(year, month, month_days + 1).is_err());
            days += 1;
            day += 1;
            if day > month_days {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert!(epoch_was_met);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0), (2024, 4, 31)]
        {
            assert!(matches!(Date::new(year, month, day), Err(Error::InvalidValue { .. })), "{year}-{month}-{day}");
        }
        assert!(Date::new(2000, 2, 29).is_ok());
        assert!(matches!(Date::new(i32::MAX, 1, 1), Err(Error::InvalidValue { .. })));
        assert!(matches!(Date::new(i32::MIN, 1, 1), Err(Error::InvalidValue { .. })));
    }

    #[test]
    fn dates_are_written_and_read_in_iso_8601() {
        for (text, year, month, day) in [
            ("1815-12-10", 1815, 12, 10),
            ("0000-03-01", 0, 3, 1),
            ("-0001-12-31", -1, 12, 31),
            ("9999-12-31", 9999, 12, 31),
            ("+10000-01-01", 10_000, 1, 1),
        ] {
            let date = Date::new(year, month, day).unwrap();
            assert_eq!((date.to_string().as_str(), text.parse::<Date>().unwrap()), (text, date));
        }
        assert_eq!((Date::MIN.to_string(), Date::MAX.to_string()), ("-5877641-06-23".into(), "+5881580-07-11".into()));
        for date in [Date::MIN, Date::MAX] {
            assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
        }
        for text in [
            "",
            "2024",
            "2024-1-1",
            "2024-02-30",
            "24-01-01",
            "12024-01-01",
            "2024-01-01 ",
            " 2024-01-01",
            "2024-01-0é",
            "+9999999-01-01",
            "+99999999999999999999-01-01",
            "-5877641-06-22",
        ] {
            assert!(matches!(text.parse::<Date>(), Err(Error::InvalidValue { .. })), "{text:?}");
        }
    }

    #[test]
    fn timestamps_are_written_and_read_to_the_microsecond() {
        for (text, microseconds) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("2001-09-09T01:46:40.000001Z", 1_000_000_000_000_001),
            ("1815-12-10T12:34:56.789012Z", -4_861_682_703_210_988),
            ("-290308-12-21T19:59:05.224192Z", i64::MIN),
            ("+294247-01-10T04:00:54.775807Z", i64::MAX),
        ] {
            let timestamp = Timestamp::from_microseconds(microseconds);
            assert_eq!((timestamp.to_string().as_str(), text.parse::<Timestamp>().unwrap()), (text, timestamp));
        }
        for (text, microseconds) in [
            ("1970-01-01T00:00:01Z", 1_000_000),
            ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T02:00:01+02:00", 1_000_000),
            ("1969-12-31T20:30:00.5-03:30", 500_000),
            ("1970-01-01T23:59:00+23:59", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("+294247-01-10T05:00:54.775807+01:00", i64::MAX),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().microseconds(), microseconds);
        }
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00.000000",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.0000000Z",
            "1970-01-01T00:00:00Z ",
            "1970-01-01T00:00:00+0200",
            "1970-01-01T00:00:00+02",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00-02:60",
            "1970-01-01T00:00:00Z+02:00",
            "+294247-01-10T04:00:54.775807-00:01",
            "-290308-12-21T19:59:05.224191Z",
            "+294247-01-10T04:00:54.775808Z",
        ] {
            assert!(matches!(text.parse::<Timestamp>(), Err(Error::InvalidValue { .. })), "{text:?}");
        }
    }

    #[test]
    fn system_times_become_timestamps_and_come_back() {
        for microseconds in [i64::MIN, -1_000_001, -1, 0, 1, 1_700_000_000_123_456, i64::MAX] {
            let timestamp = Timestamp::from_microseconds(microseconds);
            assert_eq!(Timestamp::try_from(SystemTime::from(timestamp)).unwrap(), timestamp);
        }
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(Timestamp::try_from(SystemTime::UNIX_EPOCH - nanosecond).unwrap().microseconds(), -1);
        assert_eq!(Timestamp::try_from(SystemTime::UNIX_EPOCH + nanosecond).unwrap().microseconds(), 0);
        let too_late = SystemTime::from(Timestamp::MAX) + Duration::from_micros(1);
        assert!(matches!(Timestamp::try_from(too_late), Err(Error::InvalidValue { .. })));
    }

    #[test]
    fn any_text_is_read_or_refused() {
        let mut random = crate::value::field::tests::Random(2);
        let alphabet: Vec<char> = "0123456789-+T:.Zé ".chars().collect();
        for _ in 0..if cfg!(miri) { 100 } else { 20_000 } {
            let mut text: Vec<char> = "2024-02-29T23:59:59.999999Z".chars().take(random.below(28)).collect();
            for _ in 0..random.below(3) {
                let place = random.below(text.len() + 1);
                text.insert(place, alphabet[random.below(alphabet.len())]);
            }
            let text: String = text.into_iter().collect();
            if let Ok(date) = text.parse::<Date>() {
                assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
            }
            if let Ok(timestamp) = text.parse::<Timestamp>() {
                assert_eq!(timestamp.to_string().parse::<Timestamp>().unwrap(), timestamp);
            }
        }
    }
}
