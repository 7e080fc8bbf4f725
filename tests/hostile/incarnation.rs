//! Other boots, other machines, other C libraries: processes that may not share a table's locks.

use super::mounts::{have_own, mount_file_over};
use super::{open_after_the_others, table_of_three};
use locule::testing::SharedWords;
use locule::{Error, RecoveryOutcome};
use std::path::Path;
use std::sync::atomic::Ordering;
use test_kit::{Child, Role, assert_consistent, hear, keys, options, say, scratch, visit};

pub const ROLES: &[(&str, Role)] = &[("start the machine anew", start_the_machine_anew)];

/// The word of the header that says where the control region begins, in bytes.
const CONTROL_OFFSET: usize = 8;
/// Where the incarnation is in the control region, and how many words come before its seal: see `format.md`.
const INCARNATION: usize = 48;
const INCARNATION_WORDS: usize = 7;

/// `format.md` under "Checks".
fn mix(a: u64, b: u64, c: u64) -> u64 {
    let sum = a
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(b.wrapping_mul(0xBF58_476D_1CE4_E5B9))
        .wrapping_add(c.wrapping_mul(0x94D0_49BB_1331_11EB));
    let once = (sum ^ (sum >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    once ^ (once >> 29)
}

fn seal_of(words: [u64; INCARNATION_WORDS]) -> u64 {
    let [a, b, c, d, e, f, g] = words;
    mix(mix(a, b, c), mix(d, e, f), g) | 1
}

/// The incarnation in a file, as the process that made it wrote it.
struct Written {
    words: SharedWords,
    start: usize,
}

impl Written {
    fn new(path: &Path) -> Self {
        let words = SharedWords::open(path).unwrap();
        let control = usize::try_from(words.words()[CONTROL_OFFSET].load(Ordering::Relaxed) / 8).unwrap();
        let written = Written { words, start: control + INCARNATION };
        assert_eq!(written.seal(), seal_of(written.get()), "this test does not know the format");
        written
    }

    fn seal(&self) -> u64 {
        self.words.words()[self.start + INCARNATION_WORDS].load(Ordering::Relaxed)
    }

    fn get(&self) -> [u64; INCARNATION_WORDS] {
        std::array::from_fn(|word| self.words.words()[self.start + word].load(Ordering::Relaxed))
    }

    fn put(&self, words: [u64; INCARNATION_WORDS], seal: u64) {
        for (word, content) in words.into_iter().chain([seal]).enumerate() {
            self.words.words()[self.start + word].store(content, Ordering::Relaxed);
        }
    }
}

/// What processes are told that meet a table whose users have another incarnation than theirs, by the word that
/// differs.
const DIFFERENCES: [(usize, &str); INCARNATION_WORDS] = [
    (0, "another boot id"),
    (1, "another boot id"),
    (2, "another device number, inode number or time of birth"),
    (3, "another device number, inode number or time of birth"),
    (4, "another device number, inode number or time of birth"),
    (5, "another PID namespace"),
    (6, "C library makes other mutexes"),
];

#[test]
fn each_part_of_an_incarnation_keeps_others_out_while_the_table_is_in_use() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let written = Written::new(&path);
    let own = written.get();
    let refused = |what: &str, message: &str| {
        let before = std::fs::read(&path).unwrap();
        for outcome in [
            options().open(&path).map(drop),
            options().open_or_create(&path).map(drop),
            options().replace(&path).map(drop),
            locule::destroy(&path),
        ] {
            match outcome {
                Err(Error::Incompatible { reason }) if reason.contains(message) => {}
                outcome => panic!("{what}: {outcome:?}"),
            }
        }
        // Readers use no locks; what is not from this boot, they read in a copy.
        let reader = options().open_read_only(&path).unwrap();
        assert_eq!(keys(&reader), [0, 1, 2], "{what}");
        drop(reader);
        assert!(std::fs::read(&path).unwrap() == before, "{what}: the file was changed");
    };
    for (word, message) in DIFFERENCES {
        for other in [own[word] ^ 1, own[word].wrapping_add(1), 0, u64::MAX] {
            // A time of birth that is not known tells nothing.
            if (word, other) == (4, 0) {
                continue;
            }
            let mut words = own;
            words[word] = other;
            written.put(words, seal_of(words));
            refused(&format!("word {word} is {other:#x}"), message);
        }
    }
    for seal in [0, 1, u64::MAX, seal_of(own) ^ 2] {
        written.put(own, seal);
        refused(&format!("the seal is {seal:#x}"), "not finished opening or repairing");
    }
    // Processes that have it open do not look at it.
    table.insert(&visit(3, 0)).unwrap();
    written.put(own, seal_of(own));
    assert_eq!(keys(&options().open(&path).unwrap()), [0, 1, 2, 3]);
}

#[test]
fn a_table_that_another_kind_of_process_left_is_recovered_and_says_what_it_knows() {
    let (_directory, path) = scratch();
    drop(table_of_three(&path));
    for (word, message) in DIFFERENCES {
        let written = Written::new(&path);
        let mut words = written.get();
        words[word] ^= 1;
        written.put(words, seal_of(words));
        let table = open_after_the_others(&path);
        // A process of another kind was in this boot, so nothing can be lost.
        assert_eq!(table.recovery().nothing_lost, word >= 5, "{message}: {}", table.recovery());
        assert_ne!(table.recovery().outcome, RecoveryOutcome::InOrder, "{message}");
        assert_eq!(keys(&table), [0, 1, 2]);
        assert_consistent(&table);
        table.sync().unwrap();
    }
}

/// Makes the kernel show another boot id to this process.
fn start_the_machine_anew(path: &Path, _: &str) {
    if !have_own() {
        return;
    }
    let boot_id = path.with_file_name("boot_id");
    std::fs::write(&boot_id, "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    mount_file_over(&boot_id, "/proc/sys/kernel/random/boot_id");
    // The parent has the table open.
    for outcome in [options().open(path).map(drop), options().replace(path).map(drop), locule::destroy(path)] {
        match outcome {
            Err(Error::Incompatible { reason }) if reason.contains("another boot id") => {}
            outcome => panic!("expected another boot id, found {outcome:?}"),
        }
    }
    let reader = options().open_read_only(path).unwrap();
    assert!(reader.recovery().is_private_copy && !reader.recovery().nothing_lost);
    assert_eq!(keys(&reader), [0, 1, 2]);
    drop(reader);
    say("refused");
    hear();
    // No process has.
    let table = open_after_the_others(path);
    assert_eq!((table.recovery().outcome, table.recovery().nothing_lost), (RecoveryOutcome::Newest, false));
    assert_eq!(keys(&table), [0, 1, 2, 3]);
    assert_consistent(&table);
    table.insert(&visit(4, 0)).unwrap();
    say("recovered");
    hear();
}

#[test]
fn a_table_is_not_shared_with_another_machine_start_and_recovered_after_one() {
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let mut child = Child::spawn("start the machine anew", &path, "");
    match child.hear() {
        message if message.starts_with("skipped") => return eprintln!("{message}"),
        message => assert_eq!(message, "refused"),
    }
    table.insert(&visit(3, 0)).unwrap();
    drop(table);
    child.tell("go on");
    child.expect("recovered");
    assert!(matches!(options().open(&path).map(drop), Err(Error::Incompatible { .. })));
    child.tell("end");
    child.finish();
    let table = open_after_the_others(&path);
    assert!(!table.recovery().nothing_lost);
    assert_eq!(keys(&table), [0, 1, 2, 3, 4]);
}
