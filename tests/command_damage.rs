//! Any bytes are a file that every verb survives: it ends, with an exit status of its own, and what only looks changes
//! nothing.
#![cfg(feature = "cli")]

use locule::{Bytes, Table, Text, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How many files are damaged.
const ROUND_COUNT: usize = 200;
/// Only a verb that hangs takes so long. Waiting for a lock takes five seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Verbs that only look.
const LOOKING: [&str; 21] = [
    "summary FILE",
    "summary FILE --json",
    "schema FILE",
    "schema FILE --json",
    "info FILE",
    "info FILE --json",
    "info FILE --map",
    "dump FILE --raw 1",
    "tail FILE --from start --until-now",
    "top FILE --count 1 --interval 0.01",
    "verify FILE",
    "verify FILE --json",
    "dump FILE",
    "dump FILE --salvage",
    "export FILE --format jsonl --where hits>3 --sort -hits",
    "get FILE 3",
    "exists FILE 7",
    "count FILE",
    "count FILE --where hits>3",
    "diff FILE good.loc",
    "backup FILE backup.loc",
];

/// Verbs that write into the file.
const WRITING: [&str; 7] = [
    "put FILE id=3 user=new hits=1 at=2024-02-29T12:00:00Z",
    "set FILE 4 hits=9",
    "delete FILE 5",
    "delete FILE --where hits>3",
    "import FILE rows.csv --on-duplicate replace",
    "sync FILE",
    "scrub FILE",
];

/// Verbs that put another file in its place, or take it away.
const REPLACING: [&str; 3] = ["alter FILE add note:u8?", "restore good.loc FILE", "destroy FILE"];

locule::record! {
    struct Visit {
        key id: u64,
        user: Text<20>,
        hits: u32,
        token: Option<Bytes<8>>,
        at: Timestamp,
    }
}

fn new_table(path: &Path) -> Vec<u8> {
    let table = Table::<Visit>::options().capacity(40).create(path).unwrap();
    for id in 0..30_u32 {
        let user = Text::new(&format!("visitor {id}")).unwrap();
        table.insert(&Visit { id: id.into(), user, hits: id, ..Visit::default() }).unwrap();
    }
    table.remove_by_key(&7).unwrap();
    table.update_by_key(&8, |visit| visit.hits = 80).unwrap();
    table.close().unwrap();
    std::fs::read(path).unwrap()
}

/// Damages a good table, in one of the ways in which files are damaged.
fn damage(bytes: &mut Vec<u8>, way: usize, random: &mut fastrand::Rng) {
    match way % 4 {
        0 => {
            for _ in 0..1 << random.u32(0..10) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
        }
        1 => bytes.truncate(random.usize(0..bytes.len())),
        2 => {
            let page = random.usize(0..bytes.len() / 4096) * 4096;
            bytes[page..page + 4096].fill_with(|| random.u8(..));
        }
        _ => {
            for _ in 0..8 {
                let at = random.usize(0..8192);
                bytes[at] = random.u8(..);
            }
        }
    }
}

/// Runs the command until it ends.
fn run_in_time(directory: &Path, verb: &str, file: &Path) -> ExitStatus {
    let arguments = verb.split(' ').map(|word| if word == "FILE" { file.as_os_str() } else { word.as_ref() });
    let mut child = Command::new(env!("CARGO_BIN_EXE_locule"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{verb} does not end");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A directory with a table, and how often each verb ended with each exit status.
struct Place {
    directory: tempfile::TempDir,
    outcomes: BTreeMap<(&'static str, i32), u32>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        new_table(&directory.path().join("good.loc"));
        std::fs::write(directory.path().join("rows.csv"), "id,user,hits,at\n50,x,1,2024-02-29T12:00:00Z\n").unwrap();
        Place { directory, outcomes: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a verb on a file, and returns its exit status.
    fn run(&mut self, verb: &'static str, file: &Path, round: usize) -> i32 {
        let _ = std::fs::remove_file(self.path("backup.loc"));
        let status = run_in_time(self.directory.path(), verb, file);
        let code = status.code().filter(|code| (0..=2).contains(code));
        let code = code.unwrap_or_else(|| panic!("round {round}: {verb} ended with {status}"));
        *self.outcomes.entry((verb, code)).or_default() += 1;
        code
    }

    /// Every verb on one damaged table.
    fn suffer(&mut self, good: &[u8], original: &Path, round: usize, random: &mut fastrand::Rng) {
        let mut bytes = good.to_vec();
        damage(&mut bytes, round / 2, random);
        let copy = self.path("copy.loc");
        // Every other one is in place, so that it is the file that was left in order.
        let file = if round % 2 == 0 { original } else { &copy };
        std::fs::write(file, &bytes).unwrap();
        for verb in LOOKING {
            self.run(verb, file, round);
            assert!(std::fs::read(file).unwrap() == bytes, "round {round}: {verb} changed a byte");
        }
        let new = self.path("new.loc");
        let _ = std::fs::remove_file(&new);
        let repaired = self.run("repair FILE new.loc", file, round);
        assert!(std::fs::read(file).unwrap() == bytes, "round {round}: repair changed a byte");
        assert_eq!(new.exists(), repaired != 2, "round {round}");
        if new.exists() {
            let verification = locule::admin::verify(&new).unwrap();
            assert!(verification.is_good(), "round {round}: {verification}");
        }
        for verb in WRITING {
            std::fs::write(file, &bytes).unwrap();
            self.run(verb, file, round);
        }
        for verb in REPLACING {
            std::fs::write(&copy, &bytes).unwrap();
            self.run(verb, &copy, round);
        }
    }
}

/// The rounds of one of two threads.
fn rounds(first: usize) -> BTreeMap<(&'static str, i32), u32> {
    let mut place = Place::new();
    let original = place.path("visits.loc");
    let good = new_table(&original);
    let mut random = fastrand::Rng::with_seed(13 + u64::try_from(first).unwrap());
    for round in (first..ROUND_COUNT).step_by(2) {
        place.suffer(&good, &original, round / 2, &mut random);
    }
    place.outcomes
}

#[test]
fn any_bytes_are_a_file_that_every_verb_survives() {
    let threads = [0, 1].map(|first| std::thread::spawn(move || rounds(first)));
    let mut outcomes = BTreeMap::new();
    for thread in threads {
        for (outcome, count) in thread.join().unwrap() {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    let count = |verb, code| outcomes.get(&(verb, code)).copied().unwrap_or(0);
    for verb in LOOKING.into_iter().chain(WRITING).chain(["alter FILE add note:u8?", "repair FILE new.loc"]) {
        // Some damage does no harm. To `verify` it is a result, and to all others it can be an error.
        assert!(count(verb, 0) > 5 || verb == "exists FILE 7", "{verb}: {outcomes:?}");
        assert_eq!(count(verb, 2) > 5, !verb.starts_with("verify"), "{verb}: {outcomes:?}");
    }
    assert!(count("verify FILE", 1) > 50 && count("dump FILE --salvage", 1) > 20, "{outcomes:?}");
    assert!(count("exists FILE 7", 1) > 5 && count("repair FILE new.loc", 1) > 20, "{outcomes:?}");
}
