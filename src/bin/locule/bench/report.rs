//! What the bench tells people: numbers first, then whether everything added up.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::check::Findings;
use super::facts::Fact;
use super::kill_schedule::{Deaths, KillCounts};
use super::latency::Merged;
use super::timeline::{Timeline, per_second};

/// Everything that the report is made of.
pub struct Report {
    pub title: String,
    pub parameters: Vec<Fact>,
    pub machine: Vec<Fact>,
    /// The command that does the same again.
    pub command_line: String,
    pub elapsed: Duration,
    pub was_interrupted: bool,
    pub latencies: Vec<(&'static str, Merged)>,
    /// The latencies of all operations together.
    pub all: Merged,
    /// Iterations of each worker file: one record read and one written.
    pub iterations: Vec<u64>,
    pub timeline: Timeline,
    pub refusals: Refusals,
    pub kills: KillCounts,
    pub deaths: Deaths,
    pub findings: Findings,
}

/// How often the table refused what it had to refuse.
#[derive(Debug, Default, Clone, Copy)]
pub struct Refusals {
    pub conflict_count: u64,
    pub duplicate_count: u64,
    pub full_count: u64,
    pub absent_count: u64,
}

impl Report {
    pub fn is_good(&self) -> bool {
        self.findings.faults.count == 0
    }

    /// The report as lines of text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let operation_count = self.all.count();
        let iteration_count = self.iterations.iter().sum();
        writeln!(text, "{}", self.title)?;
        if self.was_interrupted {
            writeln!(text, "interrupted after {:.1} s", self.elapsed.as_secs_f64())?;
        }
        writeln!(
            text,
            "{} operations/s, {} iterations/s (each reads one record and writes one) over {:.1} s\n",
            self.rate(operation_count),
            self.rate(iteration_count),
            self.elapsed.as_secs_f64(),
        )?;
        writeln!(text, "{}\n", self.latency_table().trim_fmt())?;
        self.write_workers(text)?;
        self.write_refusals(text)?;
        self.write_kills(text)?;
        self.write_findings(text)
    }

    fn rate(&self, count: u64) -> String {
        grouped(per_second(count, self.elapsed).round() as u64)
    }

    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["", "operations", "per second", "p50", "p99", "p99.9", "max"]);
        let kinds = self.latencies.iter().map(|(name, merged)| (*name, merged));
        for (name, merged) in kinds.chain([("all", &self.all)]).filter(|(_, merged)| merged.count() > 0) {
            table.add_row([
                name.to_owned(),
                grouped(merged.count()),
                self.rate(merged.count()),
                time(merged.quantile_ns(0.5)),
                time(merged.quantile_ns(0.99)),
                time(merged.quantile_ns(0.999)),
                time(merged.longest_ns),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn write_workers(&self, text: &mut String) -> std::fmt::Result {
        let slowest = self.iterations.iter().copied().min().unwrap_or(0);
        let fastest = self.iterations.iter().copied().max().unwrap_or(0);
        write!(
            text,
            "workers: slowest {} iterations/s, fastest {} iterations/s",
            self.rate(slowest),
            self.rate(fastest)
        )?;
        match slowest {
            0 => writeln!(text),
            _ => writeln!(text, " (1 : {:.2})", fastest as f64 / slowest as f64),
        }
    }

    fn write_refusals(&self, text: &mut String) -> std::fmt::Result {
        let Refusals { conflict_count, duplicate_count, full_count, absent_count } = self.refusals;
        writeln!(
            text,
            "refused, as they must be: {} writes (somebody was faster), {} inserts (key taken), {} inserts (table full); \
             {} reads found nothing",
            grouped(conflict_count),
            grouped(duplicate_count),
            grouped(full_count),
            grouped(absent_count),
        )
    }

    fn write_kills(&self, text: &mut String) -> std::fmt::Result {
        let Deaths { holding, staging, prepared, publishing } = self.deaths;
        if self.kills.total() > 0 {
            writeln!(
                text,
                "killed: {} workers, {} at random and {} aimed at while they held the write lock",
                grouped(self.kills.total()),
                grouped(self.kills.random),
                grouped(self.kills.aimed),
            )?;
        }
        writeln!(
            text,
            "owner deaths repaired: {} ({holding} holding, {staging} staging, {prepared} prepared, {publishing} publishing)",
            grouped(self.deaths.total()),
        )
    }

    fn write_findings(&self, text: &mut String) -> std::fmt::Result {
        let findings = &self.findings;
        writeln!(
            text,
            "checked: {} live records, {} deleted and {} untouched keys against the newest acknowledged writes of each worker to each key, {} in all",
            grouped(findings.live_count),
            grouped(findings.deleted_count),
            grouped(findings.untouched_count),
            grouped(findings.acknowledged_count),
        )?;
        if findings.uncertain_count > 0 {
            writeln!(
                text,
                "         {} writes were in flight when their worker was killed; {} of them show",
                grouped(findings.uncertain_count),
                grouped(findings.uncertain_shown_count),
            )?;
        }
        if findings.synced > 0 {
            writeln!(text, "         that version {} is durable, as a sync had said", grouped(findings.synced))?;
        }
        if self.is_good() {
            return writeln!(text, "everything adds up");
        }
        writeln!(text, "FAILED: {} faults", grouped(findings.faults.count))?;
        for fault in &findings.faults.first {
            writeln!(text, "  {fault}")?;
        }
        match findings.faults.count - findings.faults.first.len() as u64 {
            0 => Ok(()),
            more => writeln!(text, "  and {} more", grouped(more)),
        }
    }
}

/// A number with a comma between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds for people: about three digits, and a unit.
pub fn time(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

/// The same for the marks of an axis: no digits that say nothing.
pub fn rounded(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (size, unit) = units.into_iter().find(|(size, _)| nanoseconds >= *size).unwrap_or((1.0, "ns"));
    format!("{} {unit}", (nanoseconds / size).round())
}

#[cfg(test)]
mod tests {
    use super::super::check::{Fault, Faults};
    use super::super::ledger::Entry;
    use super::*;

    fn report() -> Report {
        Report {
            title: "locule bench".into(),
            parameters: Vec::new(),
            machine: Vec::new(),
            command_line: "locule bench --seed 7".into(),
            elapsed: Duration::from_secs(2),
            was_interrupted: false,
            latencies: Vec::new(),
            all: Merged::new(&[], std::iter::empty(), |ticks| ticks).expect("an empty histogram"),
            iterations: vec![1_000_000, 2_000_000],
            timeline: Timeline::new(),
            refusals: Refusals::default(),
            kills: KillCounts::default(),
            deaths: Deaths::default(),
            findings: Findings::default(),
        }
    }

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (nanoseconds, text) in
            [(0, "0 ns"), (999, "999 ns"), (1_500, "1.50 µs"), (12_340_000, "12.3 ms"), (250_000_000_000, "250 s")]
        {
            assert_eq!(time(nanoseconds), text);
        }
        for (nanoseconds, text) in [(1.0, "1 ns"), (100.0, "100 ns"), (1e3, "1 µs"), (1e8, "100 ms"), (1e10, "10 s")] {
            assert_eq!(rounded(nanoseconds), text);
        }
    }

    #[test]
    fn a_good_run_says_so_and_how_fast_it_was() {
        let text = report().text();
        assert!(text.contains("1,500,000 iterations/s"), "{text}");
        assert!(text.contains("(1 : 2.00)"), "{text}");
        assert!(text.ends_with("everything adds up\n"), "{text}");
    }

    #[test]
    fn a_bad_run_tells_the_first_faults_and_how_many_there_are() {
        let fault = Fault::Lost { key_index: 3, expected: Entry { version: 5, content_seed: 255 } };
        let mut report = report();
        report.findings.faults = Faults { first: vec![fault], count: 4 };
        let text = report.text();
        assert!(!report.is_good());
        assert!(text.contains("FAILED: 4 faults"), "{text}");
        assert!(
            text.contains("key 3 is absent, but version 5 with content 00000000000000ff was acknowledged"),
            "{text}"
        );
        assert!(text.ends_with("and 3 more\n"), "{text}");
        assert!(!text.contains("adds up"), "{text}");
    }
}
