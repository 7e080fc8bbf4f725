//! The table at the end: what each operation took, in floors, and whether that is within its limit.

use std::collections::HashMap;
use std::time::Duration;

/// An operation, the floors whose sum it is compared with, and how many times that sum it may take; `None` if there is
/// no such aim.
type Aim = (&'static str, &'static [&'static str], Option<f64>);

const FLOORS: [&str; 4] = ["copy", "crc", "lock", "flush"];
const AIMS: [Aim; 27] = [
    ("bare find", &["copy"], None),
    ("bare update", &["lock", "copy", "crc"], None),
    ("bare insert + delete", &["lock", "copy", "crc"], None),
    ("flush, 25 pages", &["flush"], None),
    ("find, unverified", &["bare find"], Some(1.2)),
    ("find, absent", &["copy"], Some(3.0)),
    ("find", &["bare find", "crc"], Some(1.2)),
    ("get", &["copy", "crc"], None),
    ("len", &["copy"], None),
    ("iterate, a record", &["copy", "crc"], None),
    ("select, a record", &["copy", "crc"], None),
    ("scan for none, a record", &["copy"], None),
    ("scan for 1 %, a record", &["copy"], None),
    ("changes, none", &["copy"], None),
    ("changes, each of 100", &["copy", "crc"], None),
    ("update", &["bare update"], Some(1.5)),
    ("replace", &["bare update"], None),
    ("insert + delete", &["bare insert + delete"], Some(1.5)),
    ("small find", &["copy"], None),
    ("small update", &["lock"], None),
    ("small insert + delete", &["lock"], None),
    ("sparse find", &["small find"], Some(1.2)),
    ("sparse update", &["small update"], Some(1.2)),
    ("sparse insert + delete", &["small insert + delete"], Some(1.2)),
    ("durable write + sync", &["flush"], Some(1.5)),
    ("bare attach", &[], None),
    ("attach + first read", &[], None),
];
/// The one aim that is a time.
const ATTACH_AT_MOST: Duration = Duration::from_micros(60);

/// What was measured, each sample as nanoseconds of one operation.
#[derive(Default)]
pub struct Summary {
    samples: HashMap<&'static str, Vec<f64>>,
}

impl Summary {
    /// Records that this many operations took this long, and returns the time.
    pub fn add(&mut self, name: &'static str, elapsed: Duration, count: u64) -> Duration {
        self.samples.entry(name).or_default().push(elapsed.as_nanos() as f64 / count as f64);
        elapsed
    }

    /// The median of the samples; `None` if they were filtered out.
    fn median(&self, name: &str) -> Option<f64> {
        let mut samples = self.samples.get(name)?.clone();
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied()
    }

    pub fn print(&self) {
        println!("{:24} {:>12} {:>24} {:>8} {:>8}", "", "median ns", "floor ns", "ratio", "at most");
        for name in FLOORS {
            if let Some(median) = self.median(name) {
                println!("{name:24} {median:12.1}");
            }
        }
        for (name, floors, at_most) in AIMS {
            let Some(median) = self.median(name) else { continue };
            let floor = floors.iter().map(|floor| self.median(floor)).sum::<Option<f64>>();
            match floor.filter(|floor| *floor > 0.0) {
                Some(floor) => {
                    let ratio = median / floor;
                    let (limit, verdict) = match at_most {
                        Some(at_most) => (format!("{at_most:.1}"), verdict(ratio <= at_most)),
                        None => (String::new(), ""),
                    };
                    let floor = format!("{} {floor:.1}", floors.join(" + "));
                    println!("{name:24} {median:12.1} {floor:>24} {ratio:8.2} {limit:>8}  {verdict}");
                }
                None => println!("{name:24} {median:12.1}"),
            }
        }
        if let Some(median) = self.median("attach + first read") {
            let at_most = ATTACH_AT_MOST.as_nanos() as f64;
            println!("an attachment may take {at_most} ns: {}", verdict(median <= at_most));
        }
    }
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}
