//! Only the facade writes to shared memory: so the points at which the tests stop and kill are all that there are.
//!
//! The sources are read as text. Code that needs another way to write has to get it from the facade, where tests see
//! it.

use std::path::{Path, PathBuf};

/// What only some files may have in them.
struct Rule {
    why: &'static str,
    patterns: &'static [&'static str],
    files: &'static [&'static str],
}

const RULES: [Rule; 6] = [
    Rule {
        why: "an atomic of a table is only seen by the facade, the mutex, and the two media; a handle's own are in two files",
        patterns: &["AtomicU64"],
        files: &[
            "sys/atomic.rs",
            "sys/words.rs",
            "sys/copy_words.rs",
            "sys/robust_mutex.rs",
            "sys/mapping.rs",
            "sys/heap.rs",
            "engine/occupancy.rs",
            "sys/private.rs",
        ],
    },
    Rule {
        why: "words are only made from a medium",
        patterns: &["Words::new(", "map.words()", "heap.words()", "&[Atomic"],
        files: &[
            "sys/medium.rs",
            "sys/words.rs",
            "sys/copy_words.rs",
            "sys/robust_mutex.rs",
            "sys/mapping.rs",
            "sys/heap.rs",
        ],
    },
    Rule {
        why: "other writes than stores are the facade's, or of locks, or of what a process has for itself",
        patterns: &["compare_exchange", "fetch_", ".swap(Ordering", "atomic::"],
        files: &[
            "sys/atomic.rs",
            "sys/words.rs",
            "sys/copy_words.rs",
            "sys/robust_mutex.rs",
            "sys/mapping.rs",
            "sys/heap.rs",
            "engine/occupancy.rs",
            "sys/private.rs",
            "sys/process.rs",
            "sys/once_box.rs",
        ],
    },
    Rule {
        why: "only the facade copies into what is shared",
        patterns: &["copy_words_in"],
        files: &["sys/words.rs", "sys/copy_words.rs"],
    },
    Rule {
        why: "raw pointers are the mutex's and the mapping's, and the kernel's",
        patterns: &["unsafe {", "unsafe fn", "*mut ", "as_mut_ptr", ".as_ptr()", "ptr::write", "transmute"],
        files: &[
            "sys/robust_mutex.rs",
            "sys/mapping.rs",
            "sys/copy_words.rs",
            "sys/process.rs",
            "sys/once_box.rs",
            "sys/access_list.rs",
        ],
    },
    Rule {
        why: "a file is only written before it has its name",
        patterns: &["write_all", "write_at", ".set_len(", "pwrite"],
        files: &["file/create.rs", "file/image.rs"],
    },
];

/// The library proper, by the names of its files: without the command, what is for tests only, and a file of words that
/// is not a table.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            // `modelled` takes the place of the facade's atomics and of the heap while the model checker runs, and only then.
            let is_for_tests = name.ends_with("tests.rs")
                || ["engine/tests", "engine/loom_tests", "sys/modelled", "sys/probe.rs"].contains(&name.as_str());
            if is_for_tests || name == "bin" || name == "testing.rs" {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((name, code_of(&text)));
            }
        }
    }
    sources
}

/// The code, without comments and without the tests at the end of the file.
fn code_of(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Where a file has what it may not have.
fn trespasses(name: &str, code: &str) -> Vec<String> {
    let rules = RULES.iter().filter(|rule| !rule.files.contains(&name));
    let found = rules.flat_map(|rule| {
        let patterns = rule.patterns.iter().filter(|pattern| code.contains(**pattern));
        patterns.map(|pattern| format!("{name} has `{pattern}`: {}", rule.why))
    });
    found.collect()
}

#[test]
fn nothing_but_the_facade_writes_to_what_is_shared() {
    let sources = sources();
    assert!(sources.len() > 30, "the sources are there");
    let found: Vec<_> = sources.iter().flat_map(|(name, code)| trespasses(name, code)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_facade_itself_writes_in_six_places_each_of_which_tests_see() {
    let sources = sources();
    let (_, code) = sources.iter().find(|(name, _)| name == "sys/words.rs").unwrap();
    let count = |pattern: &str| code.matches(pattern).count();
    // One store; a copy that only builds without tests have, in place of which tests have that store; one touch and
    // one exchange; one count and one maximum.
    assert_eq!((count("word.store("), count(".compare_exchange("), count(".fetch_")), (1, 2, 2));
    let only_without_tests = "#[cfg(all(target_arch = \"x86_64\", not(any(test, fuzzing, loom, miri))))]\n        super::copy_words::copy_words_in(";
    assert_eq!((count(only_without_tests), count("copy_words_in")), (1, 1));
    assert_eq!(
        (count("probe::Event::Store)"), count("probe::Event::Stored {"), count("probe::Event::Touch {")),
        (4, 4, 1)
    );
}

#[test]
fn a_write_past_the_facade_would_be_found() {
    for line in [
        "word.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)",
        "fn sneak(words: &[AtomicU64]) {}",
        "unsafe { target.write(7) }",
        "file.write_all_at(bytes, 0)?;",
        "let words = map.words();",
    ] {
        assert!(!trespasses("engine/txn.rs", &code_of(line)).is_empty(), "{line}");
        assert!(trespasses("engine/txn.rs", &code_of(&format!("// {line}"))).is_empty());
    }
    // A rule whose patterns no file contains any more would check nothing.
    let sources = sources();
    for rule in &RULES {
        for file in rule.files {
            assert!(sources.iter().any(|(name, _)| name == file), "{file}");
        }
        let is_used = |(_, code): &(String, String)| rule.patterns.iter().any(|pattern| code.contains(pattern));
        assert!(sources.iter().filter(|(name, _)| rule.files.contains(&name.as_str())).any(is_used), "{}", rule.why);
    }
}
