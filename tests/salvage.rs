//! What can still be recovered from a table that no recovery accepts: every bad cell is named, and every good record is
//! given.

use locule::admin::{self, Extent, Location, Problem};
use locule::{Error, RecoveryOutcome, Value};
use std::path::{Path, PathBuf};
use test_kit::{Visits, insert_all, options, scratch, visit};

/// A number of the header.
fn header_number(bytes: &[u8], offset: usize, width: usize) -> usize {
    let mut number = [0; 8];
    number[..width].copy_from_slice(&bytes[offset..offset + width]);
    usize::try_from(u64::from_ne_bytes(number)).unwrap()
}

/// Where a cell begins, as `format.md` has it.
fn cell_offset(bytes: &[u8], slot: usize, cell: usize) -> usize {
    header_number(bytes, 112, 8) + (4 * slot + cell) * header_number(bytes, 56, 4)
}

fn number_of_cell(bytes: &[u8], slot: usize, cell: usize) -> u64 {
    let offset = cell_offset(bytes, slot, cell);
    u64::from_ne_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// Which cell of a slot has the highest number.
fn newest_cell(bytes: &[u8], slot: usize) -> usize {
    (0..4).max_by_key(|cell| number_of_cell(bytes, slot, *cell)).unwrap()
}

/// Where the payload of a slot's newest cell begins.
fn newest_payload(bytes: &[u8], slot: usize) -> usize {
    cell_offset(bytes, slot, newest_cell(bytes, slot)) + 24
}

/// The bytes of a synced table: visits 0 to 9 in the slots of that number, visit 9 deleted, visit 8 updated since the sync.
fn synced_table() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let (directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..10);
    table.delete(table.find(&9).unwrap().unwrap().id()).unwrap();
    table.sync().unwrap();
    table.update(table.find(&8).unwrap().unwrap().id(), |found| *found = visit(8, 1)).unwrap();
    drop(table);
    let bytes = std::fs::read(&path).unwrap();
    (directory, path, bytes)
}

fn place(slot: usize, cell: usize) -> Location {
    Location::Cell { slot: slot.try_into().unwrap(), cell: cell.try_into().unwrap() }
}

/// The visitors and hits of the records that are salvaged, and what was wrong.
fn salvaged(path: &Path) -> (Vec<(u64, u64)>, Vec<Problem>) {
    let (mut visits, mut problems) = (Vec::new(), Vec::new());
    for found in admin::salvage(path).unwrap() {
        match found {
            Ok(row) => {
                let [Value::Unsigned(visitor), Value::Unsigned(hits), ..] = row.values[..] else { panic!("{row:?}") };
                visits.push((u64::try_from(visitor).unwrap(), u64::try_from(hits).unwrap()));
            }
            Err(problem) => problems.push(problem),
        }
    }
    (visits, problems)
}

fn visits_without(missing: &[u64]) -> Vec<(u64, u64)> {
    (0..9).filter(|key| !missing.contains(key)).map(|key| (key, u64::from(key == 8))).collect()
}

/// One flipped byte in a copy was once reported as "part of it is missing", without saying which part.
#[test]
fn verify_names_each_bad_cell_also_when_no_state_verifies() {
    let (_directory, path, mut bytes) = synced_table();
    let (second, third) = (newest_payload(&bytes, 2), newest_payload(&bytes, 3));
    bytes[second] ^= 1;
    bytes[third + 30] ^= 0x80;
    let copy = path.with_extension("copy");
    std::fs::write(&copy, &bytes).unwrap();
    assert!(matches!(options().open(&copy), Err(Error::Damaged { .. })));

    let verification = admin::verify(&copy).unwrap();
    let places: Vec<_> = verification.problems.iter().map(|problem| problem.place).collect();
    let expected = [Location::File, place(2, newest_cell(&bytes, 2)), place(3, newest_cell(&bytes, 3))];
    assert_eq!(places, expected, "{verification}");
    assert_eq!((verification.extent, verification.record_count), (Extent::CellsOnly, 7));
    assert!(verification.to_string().contains("`locule dump --salvage`"), "{verification}");
}

#[test]
fn a_salvage_gives_every_record_whose_own_checksum_holds_and_names_the_others() {
    let (_directory, path, mut bytes) = synced_table();
    // All that there is of slot 2, and the newer version in slot 8, the older version of which is left.
    let (second, eighth) = (newest_payload(&bytes, 2), newest_payload(&bytes, 8));
    bytes[second] ^= 1;
    bytes[eighth] ^= 1;
    let copy = path.with_extension("copy");
    std::fs::write(&copy, &bytes).unwrap();
    assert!(admin::dump(&copy).is_err());

    let (visits, problems) = salvaged(&copy);
    let mut expected = visits_without(&[2, 8]);
    expected.push((8, 0));
    assert_eq!(visits, expected);
    let places: Vec<_> = problems.iter().map(|problem| problem.place).collect();
    assert_eq!(places, [place(2, newest_cell(&bytes, 2)), place(8, newest_cell(&bytes, 8))], "{problems:?}");
    assert!(problems[0].description.contains("its check does not match"), "{}", problems[0]);
    assert!(problems[0].description.contains("nothing else"), "{}", problems[0]);
    let older = (0..4).map(|cell| number_of_cell(&bytes, 8, cell)).filter(|number| *number != 0).min().unwrap();
    assert!(
        problems[1].description.contains(&format!("the record of transaction {older} is given")),
        "{}",
        problems[1]
    );
    assert!(std::fs::read(&copy).unwrap() == bytes, "a byte was changed");
}

#[test]
fn a_whole_table_is_salvaged_without_a_complaint_also_while_it_is_in_use() {
    let (_directory, path, _) = synced_table();
    assert_eq!(salvaged(&path), (visits_without(&[]), Vec::new()));
    let _table = options().open(&path).unwrap();
    let salvage = admin::salvage(&path).unwrap();
    assert_eq!(salvage.schema().to_string(), <test_kit::Visit as locule::Record>::schema().to_string());
    let dumped: Vec<_> = admin::dump(&path).unwrap().map(Result::unwrap).collect();
    assert_eq!(salvage.map(Result::unwrap).collect::<Vec<_>>(), dumped);
}

#[test]
fn of_a_file_that_was_cut_short_what_is_there_is_salvaged() {
    let (_directory, path, bytes) = synced_table();
    let header_bytes = header_number(&bytes, 20, 4);
    let copy = path.with_extension("copy");
    // Behind the header, before the cells, inside the first cell, behind three slots, and behind everything that was written.
    let cut_in_cell = newest_payload(&bytes, 3) + 9;
    for (length, keys, bad) in [
        (header_bytes, 0, false),
        (cell_offset(&bytes, 0, 0), 0, false),
        (cell_offset(&bytes, 0, 0) + 20, 0, true),
        (cell_offset(&bytes, 3, 0), 3, false),
        (cut_in_cell, 3, true),
        (bytes.len() - 1, 9, false),
    ] {
        std::fs::write(&copy, &bytes[..length]).unwrap();
        let (visits, problems) = salvaged(&copy);
        assert_eq!(visits, visits_without(&(keys..9).collect::<Vec<_>>()), "{length} bytes");
        assert_eq!(problems[0].place, Location::File);
        assert!(problems[0].description.contains("cut short"), "{}", problems[0]);
        assert_eq!(problems.len(), 1 + usize::from(bad), "{length} bytes: {problems:?}");
        let verification = admin::verify(&copy).unwrap();
        assert_eq!((verification.extent, verification.problem_count), (Extent::CellsOnly, problems.len() as u64));
    }
    // Without its header nothing is known about a file.
    std::fs::write(&copy, &bytes[..header_bytes - 1]).unwrap();
    assert!(matches!(admin::salvage(&copy), Err(Error::Foreign { .. })));
    assert!(matches!(admin::salvage(path.with_extension("none")), Err(Error::DoesNotExist { .. })));
}

/// The number of its transaction and its checksum are right, and yet it is not a record: a bug, or a checksum that was
/// computed on purpose.
#[test]
fn a_cell_whose_record_does_not_decode_is_bad() {
    locule::record! { struct Flag { key id: u64, set: bool } }
    let (_directory, path) = scratch();
    let table = locule::Table::<Flag>::options().capacity(4).create(&path).unwrap();
    table.insert(&Flag { id: 1, set: true }).unwrap();
    table.insert(&Flag { id: 2, set: true }).unwrap();
    table.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let offset = cell_offset(&bytes, 0, newest_cell(&bytes, 0));
    // The check is the CRC of the payload combined with a mix of the rest, so that it follows from the old one.
    let payload = offset + 24..offset + 24 + 16;
    let before = crc32(&bytes[payload.clone()]);
    bytes[offset + 24 + 8] = 2;
    let after = crc32(&bytes[payload]);
    let check = u32::from_ne_bytes(bytes[offset + 20..offset + 24].try_into().unwrap()) ^ before ^ after;
    bytes[offset + 20..offset + 24].copy_from_slice(&check.to_ne_bytes());
    let copy = path.with_extension("copy");
    std::fs::write(&copy, &bytes).unwrap();
    let found: Vec<_> = admin::salvage(&copy).unwrap().collect();
    let [Err(problem), Ok(row)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(problem.place, place(0, newest_cell(&bytes, 0)));
    assert!(problem.description.contains("field `set`"), "{problem}");
    assert_eq!(row.values, [Value::Unsigned(2), Value::Bool(true)]);
    let verification = admin::verify(&copy).unwrap();
    assert_eq!(verification.problems.last(), Some(problem));
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A process that reads beside writers meets cells that are half written: that is not damage.
#[test]
fn what_is_being_written_is_not_told_as_damage() {
    let (_directory, path) = scratch();
    let table = options().create(&path).unwrap();
    insert_all(&table, 0..8);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut hits = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                hits += 1;
                write(&table, hits % 8, hits);
            }
        });
        let outcomes: Vec<_> = (0..300).map(|_| salvaged(&path)).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        for (visits, problems) in outcomes {
            assert_eq!((visits.len(), problems), (8, Vec::new()));
        }
    });
}

fn write(table: &Visits, key: u64, hits: u64) {
    table.upsert(&visit(key, hits)).unwrap();
}

/// A recovery goes back to the sync without the newer version that is damaged, or does not need the older one. It was
/// reported that this would succeed, but not which cell was bad.
#[test]
fn verify_names_each_bad_cell_that_a_recovery_does_without() {
    let (_directory, path, _) = synced_table();
    let table = options().open(&path).unwrap();
    table.update(table.find(&8).unwrap().unwrap().id(), |found| *found = visit(8, 2)).unwrap();
    // While the table is open: dropping the last handle syncs.
    let bytes = std::fs::read(&path).unwrap();
    let newest = newest_cell(&bytes, 8);
    let older = (0..4).filter(|cell| *cell != newest).max_by_key(|cell| number_of_cell(&bytes, 8, *cell)).unwrap();
    let copy = path.with_extension("copy");
    let verify = |cell: usize| {
        let mut damaged = bytes.clone();
        damaged[cell_offset(&bytes, 8, cell) + 24] ^= 1;
        std::fs::write(&copy, &damaged).unwrap();
        admin::verify(&copy).unwrap()
    };
    for (cell, is_found) in [
        (newest, (|found| matches!(found, RecoveryOutcome::Checkpoint { .. })) as fn(RecoveryOutcome) -> bool),
        (older, |found| found == RecoveryOutcome::Newest),
    ] {
        let verification = verify(cell);
        let Extent::Recovery(recovery) = &verification.extent else { panic!("{verification}") };
        assert!(is_found(recovery.outcome), "{verification}");
        assert_eq!(verification.remnants.iter().map(|cell| cell.place).collect::<Vec<_>>(), [place(8, cell)]);
        assert!(verification.to_string().contains("the recovery does without it"), "{verification}");
        // A power cut leaves the same, and that is not damage.
        assert!(verification.is_good(), "{verification}");
    }
    // If all is whole there is none.
    std::fs::write(&copy, &bytes).unwrap();
    assert_eq!(admin::verify(&copy).unwrap().remnants, []);
}

/// One byte of the header, and be it one that means nothing, once made all records unreachable.
#[test]
fn a_header_whose_checksum_is_wrong_and_that_agrees_with_itself_is_believed_to_save_what_is_left() {
    let (directory, path, bytes) = synced_table();
    let (visits, _) = salvaged(&path);
    let repaired = directory.path().join("repaired.loc");
    let mut saved_count = 0;
    for position in (0..4096).step_by(8) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(options().open(&path).map(drop), Err(Error::Foreign { .. })), "byte {position}");
        assert!(!admin::verify(&path).unwrap().is_good(), "byte {position}");
        match admin::salvage(&path) {
            Err(error) => assert!(matches!(error, Error::Foreign { .. }), "byte {position}: {error}"),
            Ok(_) => {
                let (found, problems) = salvaged(&path);
                assert_eq!(found, visits, "byte {position}");
                assert_eq!(problems.len(), 1, "byte {position}");
                assert!(problems[0].description.starts_with("its header is damaged: "), "{}", problems[0]);
                locule::maintenance::repair(&path, &repaired).unwrap();
                assert!(admin::verify(&repaired).unwrap().is_good(), "byte {position}");
                std::fs::remove_file(&repaired).unwrap();
                saved_count += 1;
            }
        }
    }
    assert!(saved_count > 450, "{saved_count} of 512");
}
