//! Looking inside a table: `info`, `dump` and `verify`, in good, damaged, busy and freshly killed tables.

use locule::admin::{self, Condition, Extent, Location};
use locule::testing::SharedWords;
use locule::{Bytes, Date, Error, RecoveryOutcome, Table, Text, Timestamp, Value, WriterState};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

locule::record! {
    struct Everything {
        a: bool, b: i8, c: i16, d: i32, e: i64, f: i128, g: u8, h: u16, i: u32, j: u64, k: u128, l: f32, m: f64,
        key n: Text<5>, o: Bytes<5>, p: Timestamp, q: Date,
        oa: Option<bool>, of: Option<i128>, ol: Option<f32>, on: Option<Text<5>>, oo: Option<Bytes<5>>,
        op: Option<Timestamp>, oq: Option<Date>,
    }
}

locule::record! { struct Item { key id: u64, count: u32 } }

/// What a record is, as named values.
fn values_of(record: &Everything) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        Value::Bool(record.a),
        Value::Signed(record.b.into()),
        Value::Signed(record.c.into()),
        Value::Signed(record.d.into()),
        Value::Signed(record.e.into()),
        Value::Signed(record.f),
        Value::Unsigned(record.g.into()),
        Value::Unsigned(record.h.into()),
        Value::Unsigned(record.i.into()),
        Value::Unsigned(record.j.into()),
        Value::Unsigned(record.k),
        Value::Float32(record.l),
        Value::Float64(record.m),
        text(record.n.as_str()),
        Value::Bytes(record.o.as_slice().to_vec()),
        Value::Timestamp(record.p),
        Value::Date(record.q),
        record.oa.map_or(Value::Null, Value::Bool),
        record.of.map_or(Value::Null, Value::Signed),
        record.ol.map_or(Value::Null, Value::Float32),
        record.on.map_or(Value::Null, |value| text(value.as_str())),
        record.oo.map_or(Value::Null, |value| Value::Bytes(value.as_slice().to_vec())),
        record.op.map_or(Value::Null, Value::Timestamp),
        record.oq.map_or(Value::Null, Value::Date),
    ]
}

fn lowest(key: &str) -> Everything {
    Everything {
        b: i8::MIN,
        c: i16::MIN,
        d: i32::MIN,
        e: i64::MIN,
        f: i128::MIN,
        l: -0.0,
        m: f64::NEG_INFINITY,
        n: Text::new(key).unwrap(),
        p: Timestamp::MIN,
        q: Date::MIN,
        ..Everything::default()
    }
}

fn highest(key: &str) -> Everything {
    Everything {
        a: true,
        b: i8::MAX,
        c: i16::MAX,
        d: i32::MAX,
        e: i64::MAX,
        f: i128::MAX,
        g: u8::MAX,
        h: u16::MAX,
        i: u32::MAX,
        j: u64::MAX,
        k: u128::MAX,
        l: f32::MIN_POSITIVE,
        m: f64::MAX,
        n: Text::new(key).unwrap(),
        o: Bytes::new(&[0, 255, 0, 128, 7]).unwrap(),
        p: Timestamp::MAX,
        q: Date::MAX,
        oa: Some(false),
        of: Some(-1),
        ol: Some(1.5),
        on: Some(Text::new("a\0\"\n").unwrap()),
        oo: Some(Bytes::default()),
        op: Some(Timestamp::from_microseconds(-1)),
        oq: Some(Date::new(1815, 12, 10).unwrap()),
    }
}

#[test]
fn a_dump_is_the_typed_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("everything.loc");
    let table = Table::<Everything>::options().capacity(9).create(&path).unwrap();
    let deleted = table.insert(&lowest("gone")).unwrap();
    table.insert(&lowest("")).unwrap();
    let updated = table.insert(&highest("Łód")).unwrap();
    table.insert(&highest("a\0b")).unwrap();
    table.update(updated, |record| record.g -= 1).unwrap();
    table.update(updated, |record| record.oa = None).unwrap();
    table.delete(deleted).unwrap();

    let check = || {
        let dump = admin::dump(&path).unwrap();
        assert_eq!(dump.schema().to_string(), <Everything as locule::Record>::schema().to_string());
        let dumped: Vec<_> = dump.map(|row| row.unwrap()).collect();
        let typed: Vec<_> = table.iter().map(|row| row.unwrap()).collect();
        assert_eq!((dumped.len(), typed.len()), (3, 3));
        for (dumped, typed) in dumped.iter().zip(&typed) {
            assert_eq!((dumped.id, dumped.version), (typed.id(), typed.version()));
            assert_eq!(dumped.update_count, typed.update_count());
            // As text too, since the two zeros are equal.
            assert_eq!(dumped.values, values_of(typed));
            assert_eq!(format!("{:?}", dumped.values), format!("{:?}", values_of(typed)));
        }
    };
    check();
    // While it is in use, after it was left, and the same in a copy, which needs a recovery.
    table.update(updated, |record| record.l = 2.5).unwrap();
    check();
    let copy = directory.path().join("copy.loc");
    std::fs::copy(&path, &copy).unwrap();
    let dump = admin::dump(&copy).unwrap();
    assert!(dump.recovery().is_private_copy);
    let original: Vec<_> = admin::dump(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(dump.map(Result::unwrap).collect::<Vec<_>>(), original);
}

#[test]
fn a_value_that_is_not_a_number_is_dumped_as_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("everything.loc");
    let table = Table::<Everything>::options().capacity(1).create(&path).unwrap();
    table.insert(&Everything { l: f32::NAN, m: -f64::NAN, ..Everything::default() }).unwrap();
    let row = admin::dump(&path).unwrap().next().unwrap().unwrap();
    let [Value::Float32(l), Value::Float64(m)] = row.values[11..13] else { panic!("{row:?}") };
    assert_eq!((l.to_bits(), m.to_bits()), (f32::NAN.to_bits(), (-f64::NAN).to_bits()));
}

// -- planted contradictions --------------------------------------------------------------------------

// Words of the control region, as `format.md` has them.
const FAILED: usize = 18;
const FLUSHING: usize = 42;
const INDEX_EPOCH: usize = 19;
const USED: usize = 24;
const PREPARED: usize = 25;
const LAST: usize = 26;
const INTENT_COUNT: usize = 27;
const FREE_COUNT: usize = 28;
const FREE_COUNT_NEXT: usize = 29;
const NEWEST_STATE: usize = 32;
const DURABLE: usize = 40;
const PIN: usize = 41;
const GENERATION_FLOOR: usize = 44;
const INDEX_OCCUPIED: usize = 45;

/// A small table of which every part is in use, and its words.
struct Planted {
    directory: tempfile::TempDir,
    path: PathBuf,
    words: SharedWords,
}

impl Planted {
    const CAPACITY: usize = 8;

    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("items.loc");
        let options = Table::<Item>::options().capacity(8).sync_every(None);
        let table = options.create(&path).unwrap();
        let ids: Vec<_> = (1..=5).map(|id| table.insert(&Item { id, count: 1 }).unwrap()).collect();
        table.delete(ids[1]).unwrap();
        table.update(ids[2], |item| item.count = 2).unwrap();
        table.sync().unwrap();
        table.update(ids[2], |item| item.count = 3).unwrap();
        table.update(ids[3], |item| item.count = 4).unwrap();
        let words = SharedWords::open(&path).unwrap();
        Planted { directory, path, words }
    }

    fn get(&self, index: usize) -> u64 {
        self.words.words()[index].load(Ordering::Relaxed)
    }

    fn set(&self, index: usize, value: u64) {
        self.words.words()[index].store(value, Ordering::Relaxed);
    }

    /// A region of the file, by the offset of its offset in the header.
    fn region(&self, header_offset_bytes: usize) -> usize {
        usize::try_from(self.get(header_offset_bytes / 8)).unwrap() / 8
    }

    fn control(&self, index: usize) -> usize {
        self.region(64) + index
    }

    fn head(&self, slot: usize) -> usize {
        self.region(80) + slot
    }

    fn free_stack(&self, position: u64) -> usize {
        self.region(88) + usize::try_from(position).unwrap()
    }

    /// The entries of the hash table that is in use.
    fn index(&self) -> std::ops::Range<usize> {
        let entry_count = usize::try_from(self.get(7) >> 32).unwrap();
        let second = usize::try_from(self.get(self.control(INDEX_EPOCH)) & 1).unwrap();
        let start = self.region(96) + second * entry_count;
        start..start + entry_count
    }

    fn cell(&self, slot: usize, cell: usize) -> usize {
        let cell_words = usize::try_from(self.get(7) & 0xffff_ffff).unwrap() / 8;
        self.region(112) + (slot * 4 + cell) * cell_words
    }

    /// Writes a word, verifies, and writes the old word back. Returns where the problems were.
    fn places_with(&self, index: usize, value: u64) -> Vec<Location> {
        let old = self.get(index);
        assert_ne!(old, value, "nothing is planted");
        self.set(index, value);
        let verification = admin::verify(&self.path).unwrap();
        self.set(index, old);
        assert_eq!(verification.is_good(), verification.problems.is_empty());
        verification.problems.iter().map(|problem| problem.place).collect()
    }

    fn assert_found(&self, what: &str, index: usize, value: u64, expected: Location) {
        let places = self.places_with(index, value);
        assert!(places.contains(&expected), "{what}: expected {expected:?}, found {places:?}");
        let after = admin::verify(&self.path).unwrap();
        assert!(after.is_good(), "{what} was taken back: {after}");
    }
}

#[test]
fn a_good_table_has_no_problems() {
    let planted = Planted::new();
    let verification = admin::verify(&planted.path).unwrap();
    assert!(verification.is_good(), "{verification}");
    assert_eq!((verification.extent, verification.record_count), (Extent::Everything, 4));
    assert_eq!(verification.to_string(), "checked everything, 4 records");
}

#[test]
fn every_word_of_every_cell_is_checked() {
    let planted = Planted::new();
    let mut used_count = 0;
    for slot in 0..Planted::CAPACITY {
        for cell in 0..4 {
            let start = planted.cell(slot, cell);
            let place = Location::Cell { slot: u32::try_from(slot).unwrap(), cell: u32::try_from(cell).unwrap() };
            // A number where nothing was written, or another one.
            planted.assert_found("number", start, planted.get(start) ^ 1 << 20, place);
            if planted.get(start) == 0 {
                continue;
            }
            used_count += 1;
            let is_live = planted.get(start + 1) >> 40 & 1 == 1;
            for word in 1..if is_live { 5 } else { 3 } {
                planted.assert_found("word", start + word, planted.get(start + word) ^ 1 << 3, place);
            }
        }
    }
    assert_eq!(used_count, 8, "five records, a tombstone, and two updates that could not use a cell again");
}

#[test]
fn a_lost_write_is_noticed_by_the_digest() {
    let planted = Planted::new();
    for slot in 0..5 {
        let head = planted.get(planted.head(slot));
        let cell = usize::try_from(head >> 62).unwrap();
        // The newest cell is gone, as if it had never been written: nothing in the slot itself is wrong but its head.
        planted.assert_found("lost cell", planted.cell(slot, cell), 0, Location::Control);
    }
    // The cell that is visible at the durable sync, and not now.
    let durable = planted.get(planted.control(DURABLE));
    let record = (0..2).find(|record| planted.get(planted.region(104) + record * 512) == durable).unwrap();
    let visible = (0..4).max_by_key(|cell| {
        let number = planted.get(planted.cell(3, *cell));
        if number <= durable { number } else { 0 }
    });
    planted.assert_found("lost sync", planted.cell(3, visible.unwrap()), 0, Location::SyncRecord(record));
}

#[test]
fn heads_are_compared_with_cells() {
    let planted = Planted::new();
    for slot in 0..Planted::CAPACITY {
        let place = Location::Head { slot: u32::try_from(slot).unwrap() };
        for bit in [0, 60, 61, 62, 63] {
            let head = planted.head(slot);
            planted.assert_found("head", head, planted.get(head) ^ 1 << bit, place);
        }
    }
}

#[test]
fn the_control_region_is_compared_with_itself_and_the_cells() {
    let planted = Planted::new();
    let control = |index| planted.control(index);
    let now = |index| planted.get(control(index));
    let last = now(LAST);
    for (what, index, value) in [
        ("a flag", FLUSHING, 2),
        ("used below prepared", USED, last - 1),
        ("used up", USED, 1 << 61),
        ("prepared without an intent", PREPARED, last + 1),
        ("published without being prepared", LAST, last + 1),
        ("an intent list longer than the table", INTENT_COUNT, 9),
        ("newest number", NEWEST_STATE, last - 1),
        ("newest live count", NEWEST_STATE + 1, 5),
        ("newest digest", NEWEST_STATE + 2, now(NEWEST_STATE + 2) ^ 1),
        ("newest seal", NEWEST_STATE + 3, now(NEWEST_STATE + 3) ^ 1),
        ("durable without a sync record", DURABLE, now(DURABLE) + 1),
        ("durable above last", DURABLE, last + 1),
        ("a sync of what is not there", PIN, last + 1),
        ("the generation floor", GENERATION_FLOOR, 1 << 40),
    ] {
        planted.assert_found(what, control(index), value, Location::Control);
    }
}

#[test]
fn sync_records_are_checked() {
    let planted = Planted::new();
    for record in 0..2 {
        for word in 0..7 {
            let index = planted.region(104) + record * 512 + word;
            planted.assert_found("record", index, planted.get(index) ^ 1 << 7, Location::SyncRecord(record));
        }
    }
}

#[test]
fn every_key_leads_to_its_record_and_no_entry_elsewhere() {
    let planted = Planted::new();
    let entries = planted.index();
    let keys: Vec<usize> = entries.clone().filter(|index| planted.get(*index) >> 63 == 1).collect();
    let empty = entries.clone().find(|index| planted.get(*index) == 0).unwrap();
    assert_eq!(keys.len(), 4);
    for index in entries {
        planted.assert_found("another entry", index, planted.get(index) ^ 1 << 3, Location::Index);
    }
    for key in keys {
        planted.assert_found("a lost entry", key, 0, Location::Index);
        planted.assert_found("another slot", key, planted.get(key) ^ 1, Location::Index);
        planted.assert_found("another hash", key, planted.get(key) ^ 1 << 62, Location::Index);
        planted.assert_found("two entries", empty, planted.get(key), Location::Index);
    }
    planted.assert_found("too few counted", planted.control(INDEX_OCCUPIED), 3, Location::Index);
}

#[test]
fn the_free_stack_holds_every_free_slot_once() {
    let planted = Planted::new();
    assert_eq!(planted.get(planted.control(FREE_COUNT)), 4);
    for position in 0..4 {
        let entry = planted.free_stack(position);
        for value in [0, 8, u64::MAX] {
            planted.assert_found("another slot", entry, value, Location::FreeStack);
        }
        let other = planted.free_stack(if position == 0 { 1 } else { 0 });
        planted.assert_found("a slot twice", entry, planted.get(other), Location::FreeStack);
    }
    for (index, value) in [
        (FREE_COUNT, 0),
        (FREE_COUNT, 3),
        (FREE_COUNT, 5),
        (FREE_COUNT, 9),
        (FREE_COUNT, u64::MAX),
        (FREE_COUNT_NEXT, 3),
        (FREE_COUNT_NEXT, 5),
    ] {
        planted.assert_found("a count", planted.control(index), value, Location::FreeStack);
    }
}

#[test]
fn a_file_that_is_no_table_or_no_whole_one_is_a_result() {
    let planted = Planted::new();
    let bytes = std::fs::read(&planted.path).unwrap();
    let file = planted.directory.path().join("file.loc");
    let verify = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        admin::verify(&file).unwrap()
    };
    let damaged_header = |offset: usize| {
        let mut bytes = bytes.clone();
        bytes[offset] ^= 1;
        bytes
    };
    for (content, extent) in [
        (&b""[..], Extent::Nothing),
        (b"#!/bin/sh\n", Extent::Nothing),
        (&bytes[..5000], Extent::CellsOnly),
        (&bytes[..bytes.len() - 1], Extent::CellsOnly),
    ] {
        let verification = verify(content);
        assert_eq!((verification.extent, verification.problems[0].place), (extent, Location::File));
    }
    // What agrees with itself is believed to look at the cells: a UUID, and what means nothing.
    let unbelievable = [0, 8, 16, 20, 40, 170].map(|offset| (offset, Extent::Nothing));
    let believable = [130, 4095].map(|offset| (offset, Extent::CellsOnly));
    for (offset, extent) in unbelievable.into_iter().chain(believable) {
        let verification = verify(&damaged_header(offset));
        assert_eq!((verification.extent, verification.problems[0].place), (extent, Location::File), "{offset}");
        assert!(matches!(admin::info(&file), Err(Error::Foreign { .. })));
    }
    // It may be longer than its table, as format.md says; a terabyte of nothing once was read, and took as long.
    let longer = verify(&[&bytes[..], &[7]].concat());
    assert!(longer.is_good(), "{longer}");
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    let longest = admin::verify(&file).unwrap();
    assert!(longest.is_good(), "{longest}");
    let no_table = admin::verify("/proc/version").unwrap();
    assert!(!no_table.to_string().contains("Invalid argument"), "{no_table}");
    assert!(matches!(admin::verify(file.with_extension("none")), Err(Error::DoesNotExist { .. })));
}

// -- files that need a recovery ------------------------------------------------------------------------

#[test]
fn a_recovery_that_is_needed_is_tried_in_a_copy() {
    let planted = Planted::new();
    let copy = planted.directory.path().join("copy.loc");
    std::fs::copy(&planted.path, &copy).unwrap();

    let verification = admin::verify(&copy).unwrap();
    let Extent::Recovery(recovery) = &verification.extent else { panic!("{verification}") };
    assert!(verification.is_good() && recovery.is_private_copy, "{verification}");
    assert_eq!((recovery.outcome, recovery.live_count, verification.record_count), (RecoveryOutcome::Newest, 4, 4));

    let info = admin::info(&copy).unwrap();
    let Condition::NeedsRecovery { outcome: Ok(outcome), .. } = &info.condition else { panic!("{info:?}") };
    assert_eq!((outcome.live_count, info.status.live_count, info.free_count), (4, 4, 4));
    assert!(!info.is_in_use);
}

/// A table that the next opener recovers once was "in order" for all who only look.
#[test]
fn a_failed_flush_needs_a_recovery_if_nobody_has_the_file_open() {
    let planted = Planted::new();
    planted.set(planted.control(FAILED), 1);
    let info = admin::info(&planted.path).unwrap();
    let Condition::NeedsRecovery { outcome: Ok(outcome), .. } = &info.condition else { panic!("{info:?}") };
    assert_eq!(outcome.outcome, RecoveryOutcome::Newest);
    let verification = admin::verify(&planted.path).unwrap();
    assert!(matches!(verification.extent, Extent::Recovery(_)) && verification.is_good(), "{verification}");
}

/// What is mapped and cannot be had in memory ends the process that looks at it.
#[test]
fn a_sparse_file_on_a_file_system_in_memory_is_read_and_not_mapped() {
    use nix::fcntl::{FallocateFlags, fallocate};
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return eprintln!("skipped: no /dev/shm") };
    let path = directory.path().join("sparse.loc");
    let table = locule::Table::<Item>::options().capacity(1_000).create(&path).unwrap();
    table.insert(&Item { id: 1, count: 2 }).unwrap();
    table.close().unwrap();
    if !admin::info(&path).unwrap().is_in_memory {
        return eprintln!("skipped: /dev/shm is not in memory");
    }
    let open = || locule::Table::<Item>::options().open_read_only(&path).unwrap();
    assert!(!open().recovery().is_private_copy);
    // The last slots were never used.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let end = i64::try_from(file.metadata().unwrap().len()).unwrap();
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, flags, end - 8192, 8192).unwrap();
    let table = open();
    assert!(table.recovery().is_private_copy);
    assert_eq!(table.find(&1).unwrap().map(|row| row.count), Some(2));
    assert!(admin::verify(&path).unwrap().is_good());
    // A writer gives it its blocks.
    drop(locule::Table::<Item>::options().open(&path).unwrap());
    assert!(!open().recovery().is_private_copy);
}

#[test]
fn a_recovery_that_is_not_possible_is_a_problem() {
    let planted = Planted::new();
    // A cell of the durable sync that is current too: no state that can be believed has its digest.
    let cell = planted.cell(0, usize::try_from(planted.get(planted.head(0)) >> 62).unwrap());
    planted.set(cell + 3, 0);
    let copy = planted.directory.path().join("copy.loc");
    std::fs::copy(&planted.path, &copy).unwrap();

    let verification = admin::verify(&copy).unwrap();
    assert_eq!((verification.extent, verification.problems[0].place), (Extent::CellsOnly, Location::File));
    let info = admin::info(&copy).unwrap();
    assert!(matches!(info.condition, Condition::NeedsRecovery { outcome: Err(Error::Damaged { .. }), .. }), "{info:?}");
    assert!(matches!(admin::dump(&copy), Err(Error::Damaged { .. })));
}

#[test]
fn a_damaged_record_does_not_hide_the_others() {
    let planted = Planted::new();
    let cell = planted.cell(0, usize::try_from(planted.get(planted.head(0)) >> 62).unwrap());
    planted.set(cell + 3, 0);
    let dumped: Vec<_> = admin::dump(&planted.path).unwrap().collect();
    assert!(matches!(dumped[0], Err(Error::Damaged { .. })));
    assert!(dumped.len() == 4 && dumped[1..].iter().all(Result::is_ok), "{dumped:?}");
}

// -- other processes -----------------------------------------------------------------------------------

/// A process of its own. It is killed when this is dropped, even by a test that fails while the process is stopped.
struct Process(Child);

impl Process {
    /// Runs one of the roles below.
    fn start(role: &str, path: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "role", "--ignored", "--nocapture"])
            .env("LOCULE_TEST_ROLE", role)
            .env("LOCULE_TEST_PATH", path)
            .stdout(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }

    /// Waits until it has stopped itself.
    fn wait_for_stop(&self) {
        let status = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What other processes do.
#[test]
#[ignore = "runs only as a process that other tests start"]
fn role() {
    let (Ok(role), Some(path)) = (std::env::var("LOCULE_TEST_ROLE"), std::env::var_os("LOCULE_TEST_PATH")) else {
        return;
    };
    let table = Table::<Item>::open(&path).unwrap();
    match role.as_str() {
        "stop" => {
            let _ = table.write(|transaction| {
                transaction.insert(&Item { id: 999, count: 0 })?;
                raise(Signal::SIGSTOP).unwrap();
                Ok(())
            });
        }
        "hammer" => hammer(&table, &AtomicBool::new(false)),
        other => panic!("no role is named {other}"),
    }
}

/// Inserts, updates and deletes one and many records, and syncs.
fn hammer(table: &Table<Item>, is_over: &AtomicBool) {
    let mut round = 0;
    while !is_over.load(Ordering::Relaxed) {
        round += 1;
        let id = round * 7919 % 97;
        let outcome = match round % 5 {
            0 => table.sync().map(drop),
            1 => table.find(&id).and_then(|row| row.map_or(Ok(0), |row| table.delete(row.id()))).map(drop),
            2 => table.write(|transaction| {
                for id in id..id + 30 {
                    match transaction.find(&id)? {
                        Some(row) if id % 2 == 0 => transaction.delete(row.id())?,
                        _ => transaction.upsert(&Item { id, count: 1 }).map(drop)?,
                    }
                }
                Ok(())
            }),
            _ => table.upsert(&Item { id, count: 2 }).map(drop),
        };
        match outcome {
            Ok(()) | Err(Error::NotFound { .. } | Error::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_stopped_writer_is_named_and_holds_nobody_up() {
    let planted = Planted::new();
    let process = Process::start("stop", &planted.path);
    process.wait_for_stop();
    let bytes = std::fs::read(&planted.path).unwrap();

    let info = admin::info(&planted.path).unwrap();
    let writer = info.status.writer.unwrap();
    assert_eq!((writer.pid, writer.state), (process.0.id(), WriterState::Staging));
    assert!(info.is_in_use && matches!(info.condition, Condition::InOrder));
    assert_eq!(info.pending, None, "its writer lives");
    let verification = admin::verify(&planted.path).unwrap();
    assert!(verification.is_good() && verification.extent == Extent::Everything, "{verification}");
    assert_eq!(verification.record_count, 4, "what is not published is not there");
    assert_eq!(admin::dump(&planted.path).unwrap().count(), 4);

    assert!(std::fs::read(&planted.path).unwrap() == bytes, "a byte was changed");
    drop(process);
    assert!(admin::verify(&planted.path).unwrap().is_good());
    // The lock is not held any more, and what was staged is still there.
    let info = admin::info(&planted.path).unwrap();
    assert_eq!((info.status.writer, info.status.last), (None, 10));
    let pending = info.pending.unwrap();
    assert_eq!((pending.number, pending.is_prepared), (11, false));
    assert_eq!(admin::dump(&planted.path).unwrap().count(), 4);
    Table::<Item>::open(&planted.path).unwrap().insert(&Item { id: 7, count: 1 }).unwrap();
    assert_eq!(admin::info(&planted.path).unwrap().pending, None);
}

#[test]
fn nothing_is_found_in_freshly_killed_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.loc");
    drop(Table::<Item>::options().capacity(200).create(&path).unwrap());
    for _ in 0..30 {
        let last = admin::info(&path).unwrap().status.last;
        let processes = [(); 2].map(|()| Process::start("hammer", &path));
        while admin::info(&path).unwrap().status.last < last + 500 {
            std::thread::yield_now();
        }
        drop(processes);
        // Nothing has been repaired yet.
        let verification = admin::verify(&path).unwrap();
        assert!(verification.is_good() && verification.extent == Extent::Everything, "{verification}");
    }
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_found_in_busy_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.loc");
    let table = Table::<Item>::options().capacity(200).create(&path).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // This also ends the writers when this test fails.
        let end = EndOnDrop(&is_over);
        let writers = [(); 2].map(|()| scope.spawn(|| hammer(&table, &is_over)));
        for _ in 0..300 {
            let verification = admin::verify(&path).unwrap();
            assert!(verification.is_good(), "{verification}");
            assert!(admin::dump(&path).unwrap().all(|row| row.is_ok()));
        }
        drop(end);
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert_eq!(admin::verify(&path).unwrap().extent, Extent::Everything);
}

// -- what they leave as it is --------------------------------------------------------------------------

#[test]
fn not_a_byte_is_changed() {
    let planted = Planted::new();
    let copy = planted.directory.path().join("copy.loc");
    std::fs::copy(&planted.path, &copy).unwrap();
    for path in [&planted.path, &copy] {
        let bytes = std::fs::read(path).unwrap();
        admin::info(path).unwrap();
        admin::dump(path).unwrap().for_each(|row| drop(row.unwrap()));
        assert!(admin::verify(path).unwrap().is_good());
        assert!(std::fs::read(path).unwrap() == bytes, "{} was changed", path.display());
    }
}

#[test]
fn info_is_what_was_done() {
    let planted = Planted::new();
    let info = admin::info(&planted.path).unwrap();
    assert_eq!(info.schema.to_string(), "key id: u64, count: u32");
    assert_eq!(info.file_bytes, std::fs::metadata(&planted.path).unwrap().len());
    assert_eq!((info.status.live_count, info.status.capacity, info.free_count), (4, 8, 4));
    // Five inserts, a deletion and an update were synced, two updates were not.
    assert_eq!((info.status.last, info.status.durable, info.status.sync_count), (10, 8, 1));
    let newest = info.syncs.into_iter().flatten().max_by_key(|sync| sync.number).unwrap();
    assert_eq!((newest.number, newest.live_count), (8, 4));
    assert!(newest.wall_time >= info.created);
    assert!(!info.is_in_use && info.status.writer.is_none());
    let other = Planted::new();
    assert_ne!(admin::info(&other.path).unwrap().uuid, info.uuid);
}

/// A table that was only created once said "recoveries 1".
#[test]
fn only_recoveries_are_counted_as_such() {
    let planted = Planted::new();
    assert_eq!(admin::info(&planted.path).unwrap().status.recovery_count, 0);
    drop(Table::<Item>::open(&planted.path).unwrap());
    assert_eq!(admin::info(&planted.path).unwrap().status.recovery_count, 0);
    let copy = planted.directory.path().join("copy.loc");
    std::fs::copy(&planted.path, &copy).unwrap();
    drop(Table::<Item>::open(&copy).unwrap());
    assert_eq!(admin::info(&copy).unwrap().status.recovery_count, 1);
}

#[test]
fn a_table_in_memory_is_told() {
    let Ok(directory) = tempfile::tempdir_in("/dev/shm") else { return };
    let path = directory.path().join("items.loc");
    drop(Table::<Item>::options().capacity(8).create(&path).unwrap());
    assert!(admin::info(&path).unwrap().is_in_memory);
}

/// The counts were once of several moments, and slots in between were said to be worn out.
#[test]
fn the_counts_of_a_table_in_use_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.loc");
    let table = Table::<Item>::create(&path, 10).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                table.insert(&Item { id: 9, count: 0 }).unwrap();
                table.remove_by_key(&9).unwrap();
            }
        });
        let seen = (0..300).map(|_| admin::info(&path).unwrap()).map(|info| info.status.live_count + info.free_count);
        let sums: Vec<u64> = seen.collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(sums, [10; 300]);
    });
}
