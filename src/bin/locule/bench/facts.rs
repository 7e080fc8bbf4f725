//! What has to be known of a run to understand its figures, and to repeat it: one list for people and for programs.

use std::fs;
use std::path::Path;

use locule::Timestamp;
use serde_json::{Map, Value as Json};

use super::report::grouped;
use super::{Options, SyncEvery};
use crate::failure::shown;
use crate::surroundings::file_system_of;

/// One thing that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// As JSON spells it.
    name: &'static str,
    value: Json,
    /// As people read it.
    pub label: &'static str,
    pub text: String,
}

impl Fact {
    pub fn new(label: &'static str, text: impl Into<String>, name: &'static str, value: impl Into<Json>) -> Fact {
        Fact { name, value: value.into(), label, text: text.into() }
    }

    fn text(label: &'static str, name: &'static str, text: Option<String>) -> Fact {
        Fact::new(label, text.clone().unwrap_or_else(|| "unknown".to_owned()), name, text)
    }
}

/// The members of an object.
pub fn json_of(facts: &[Fact]) -> Json {
    Json::Object(facts.iter().map(|fact| (fact.name.to_owned(), fact.value.clone())).collect::<Map<_, _>>())
}

/// What matters most for the figures, in one line.
pub fn in_short(parameters: &[Fact], machine: &[Fact]) -> String {
    let of = |name: &str| {
        let found = parameters.iter().chain(machine).find(|fact| fact.name == name);
        found.map_or("unknown", |fact| fact.text.as_str())
    };
    format!(
        "{} records, {}; {} processors ({}), {}; locule {}, {}",
        of("record_count"),
        of("run_seconds"),
        of("processor_count"),
        of("processor"),
        of("file_system"),
        of("locule_version"),
        of("architecture"),
    )
}

/// What the run was asked to do.
pub fn parameters(options: &Options, table_path: &Path, seed: u64) -> Vec<Fact> {
    let Options { processes, records, capacity, kill, .. } = *options;
    let sync_every = match options.sync_every.0 {
        Some(interval) => format!("{} ms", interval.as_millis()),
        None => "off".to_owned(),
    };
    let sync_every_ms = options.sync_every.0.map(|interval| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
    let seconds = options.seconds.as_secs_f64();
    vec![
        Fact::new("processes", grouped(processes.into()), "process_count", processes),
        Fact::new("time", format!("{seconds} s"), "run_seconds", seconds),
        Fact::new("records at the start", grouped(records.into()), "record_count", records),
        Fact::new("room for", format!("{} records", grouped(capacity.into())), "capacity", capacity),
        Fact::new("sync after each write", if options.durable { "yes" } else { "no" }, "is_durable", options.durable),
        Fact::new("sync at least every", sync_every, "sync_every_ms", sync_every_ms),
        Fact::new("workers to kill", grouped(kill), "kill_count", kill),
        // A seed can be any number of 64 bits, which readers of JSON may take for a double.
        Fact::new("seed", seed.to_string(), "seed", seed.to_string()),
        Fact::new("table", shown(table_path).to_string(), "table_path", table_path.to_string_lossy()),
        Fact::text("file system", "file_system", file_system_of(table_path)),
    ]
}

/// The command that does the same again.
pub fn command_line(options: &Options, seed: u64) -> String {
    let Options { processes, records, capacity, kill, sync_every, .. } = options;
    let mut line = format!("locule bench --processes {processes} --seconds {}", options.seconds.as_secs_f64());
    line.push_str(&format!(" --records {records} --capacity {capacity}"));
    if options.durable {
        line.push_str(" --durable");
    }
    if *sync_every != SyncEvery(Some(std::time::Duration::from_secs(1))) {
        line.push_str(&format!(" --sync-every {sync_every}"));
    }
    if *kill > 0 {
        line.push_str(&format!(" --kill {kill}"));
    }
    if let Some(file) = &options.file {
        line.push_str(&format!(" --file {}", shown(file)));
    }
    format!("{line} --seed {seed}")
}

/// Where it ran, and what else ran there. To be asked before the workers start, since they are load too.
pub fn machine() -> Vec<Fact> {
    let processor_count = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let memory_bytes = memory_bytes();
    let memory = memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64));
    let load = first_word("/proc/loadavg").and_then(|text| text.parse::<f64>().ok());
    let build = if cfg!(debug_assertions) { "debug: slower than a release" } else { "release" };
    vec![
        Fact::text("processor", "processor", processor()),
        Fact::new("processors to run on", processor_count.to_string(), "processor_count", processor_count),
        Fact::new("memory", memory.unwrap_or_else(|| "unknown".to_owned()), "memory_bytes", memory_bytes),
        Fact::new(
            "load before the run",
            load.map_or_else(|| "unknown".to_owned(), |load| format!("{load} processes, over the minute before")),
            "load_average",
            load,
        ),
        Fact::text("Linux", "kernel_version", first_word("/proc/sys/kernel/osrelease")),
        Fact::new("locule", env!("CARGO_PKG_VERSION"), "locule_version", env!("CARGO_PKG_VERSION")),
        Fact::new("built for", format!("{}, {build}", std::env::consts::ARCH), "architecture", std::env::consts::ARCH),
        Fact::new("began", Timestamp::now().to_string(), "began", Timestamp::now().to_string()),
    ]
}

fn first_word(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.split_whitespace().next().map(str::to_owned)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let names = ["model name", "Processor", "cpu model", "Model"];
    let value =
        |name: &str| text.lines().filter_map(|line| line.split_once(':')).find(|(found, _)| found.trim() == name);
    names.iter().find_map(|name| value(name)).map(|(_, value)| value.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments;
    use std::ffi::OsString;

    fn options(line: &str) -> Options {
        let words = line.split(' ').map(OsString::from);
        match arguments::read(words) {
            Ok(arguments::Verb::Bench(options)) => options,
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn the_command_line_of_a_run_asks_for_the_same_run() {
        for line in [
            "locule bench --seed 7",
            "locule bench --processes 3 --seconds 0.5 --records 9 --capacity 10 --durable --kill 2 --seed 7",
            "locule bench --sync-every off --file it's.loc --seed 18446744073709551615",
        ] {
            let options = options(line);
            let seed = options.seed.unwrap();
            let again = command_line(&options, seed);
            let parameters = |options: &Options| parameters(options, Path::new("x"), seed);
            let words = again.replace(r"'it'\''s.loc'", "it's.loc");
            assert_eq!(parameters(&options), parameters(&self::options(&words)), "{again}");
            assert_eq!(options.file, self::options(&words).file);
        }
    }

    #[test]
    fn the_machine_is_known() {
        let facts = machine();
        let json = json_of(&facts);
        assert!(json["processor_count"].as_u64() > Some(0) && json["memory_bytes"].as_u64() > Some(1 << 20), "{json}");
        assert!(json["kernel_version"].is_string(), "{json}");
        assert!(facts.iter().all(|fact| !fact.text.is_empty()));
    }
}
