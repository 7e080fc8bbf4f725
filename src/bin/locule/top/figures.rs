//! Numbers as people read them.

use std::time::Duration;

use locule::Timestamp;

/// A rate: whole numbers, and a digit more for small ones.
pub fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 9.95 { format!("{per_second:.1}") } else { grouped(per_second.round() as u64) }
}

pub use crate::bench::grouped;

/// A number in at most six columns.
pub fn short(number: u64) -> String {
    let scaled = |unit: f64, name: char| {
        let value = number as f64 / unit;
        if value < 9.95 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
    };
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => scaled(1e3, 'k'),
        1_000_000..1_000_000_000 => scaled(1e6, 'M'),
        _ => scaled(1e9, 'G'),
    }
}

/// How long something took, with about two digits.
pub fn time(nanoseconds: u64) -> String {
    let scaled = |unit: f64, name: &str| {
        let value = nanoseconds as f64 / unit;
        if value < 9.95 { format!("{value:.1} {name}") } else { format!("{value:.0} {name}") }
    };
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => scaled(1e3, "µs"),
        1_000_000..1_000_000_000 => scaled(1e6, "ms"),
        _ => scaled(1e9, "s"),
    }
}

/// How long ago something was, or for how long it lasts.
pub fn age(seconds: f64) -> String {
    match seconds.max(0.0) {
        seconds if seconds < 99.95 => format!("{seconds:.1} s"),
        seconds if seconds < 2.0 * 3600.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 48.0 * 3600.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} days", seconds / 86_400.0),
    }
}

pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// The seconds from a moment until now, by the clock of this machine.
pub fn seconds_since(moment: Timestamp) -> f64 {
    let passed = Timestamp::now().microseconds().saturating_sub(moment.microseconds());
    passed.max(0) as f64 / 1e6
}

pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        let seen = [rate(0.0), rate(0.54), rate(12.4), rate(152_340.2)];
        assert_eq!(seen, ["0", "0.5", "12", "152,340"]);
        assert_eq!([9_999, 12_345, 1_234_567, 12_345_678_901].map(short), ["9999", "12k", "1.2M", "12G"]);
        assert_eq!(
            [850, 2_100, 14_000, 3_400_000, 12_000_000_000].map(time),
            ["850 ns", "2.1 µs", "14 µs", "3.4 ms", "12 s"]
        );
        assert_eq!([0.34, 99.9, 150.0, 7_200.0, 200_000.0].map(age), ["0.3 s", "99.9 s", "2 min", "2 h", "2 days"]);
        assert_eq!([0.0, 0.0123, 0.634].map(percent), ["0 %", "1.2 %", "63 %"]);
    }
}
