//! Headers in which every field in turn has every extreme value, and a right CRC: so only the field itself is wrong.

use super::{assert_refused, open_in_every_way, table_of_three};
use locule::Error;
use std::fs;
use std::path::Path;
use test_kit::{assert_consistent, keys, options, scratch};

/// Name, offset and width of each field before the schema: see `format.md`.
const FIELDS: [(&str, usize, usize); 25] = [
    ("magic", 0, 8),
    ("byte_order_mark", 8, 8),
    ("format_version", 16, 4),
    ("header_bytes", 20, 4),
    ("compatible_features", 24, 8),
    ("incompatible_features", 32, 8),
    ("capacity", 40, 4),
    ("record_bytes", 44, 4),
    ("key_offset_bytes", 48, 4),
    ("key_bytes", 52, 4),
    ("cell_bytes", 56, 4),
    ("index_entry_count", 60, 4),
    ("control_offset", 64, 8),
    ("intents_offset", 72, 8),
    ("heads_offset", 80, 8),
    ("free_stack_offset", 88, 8),
    ("index_offset", 96, 8),
    ("sync_records_offset", 104, 8),
    ("cells_offset", 112, 8),
    ("file_bytes", 120, 8),
    ("first half of uuid", 128, 8),
    ("second half of uuid", 136, 8),
    ("hash_seed", 144, 8),
    ("created", 152, 8),
    ("schema_bytes", 160, 4),
];
const HEADER_CRC: usize = 164;
const SCHEMA: usize = 168;
const HEADER_BYTES: usize = 4096;

fn number_at(bytes: &[u8], offset: usize, width: usize) -> u64 {
    match width {
        4 => u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap()).into(),
        _ => u64::from_ne_bytes(bytes[offset..offset + 8].try_into().unwrap()),
    }
}

fn put_number(bytes: &mut [u8], offset: usize, width: usize, number: u64) {
    match width {
        4 => bytes[offset..offset + 4].copy_from_slice(&u32::try_from(number).unwrap().to_ne_bytes()),
        _ => bytes[offset..offset + 8].copy_from_slice(&number.to_ne_bytes()),
    }
}

/// Computes the header's CRC anew.
fn seal(bytes: &mut [u8]) {
    bytes[HEADER_CRC..HEADER_CRC + 4].fill(0);
    let crc = crc32fast::hash(&bytes[..HEADER_BYTES]);
    bytes[HEADER_CRC..HEADER_CRC + 4].copy_from_slice(&crc.to_ne_bytes());
}

/// Every other number that such a field may easily be mistaken for.
fn extremes(number: u64, width: usize) -> Vec<u64> {
    let greatest = u64::MAX >> (64 - 8 * width);
    let mut extremes = vec![0, 1, greatest - 1, greatest, greatest / 2, greatest / 2 + 1];
    extremes.extend([number.wrapping_sub(1), number.wrapping_add(1), number.wrapping_mul(2), number / 2, number << 32]);
    extremes.iter_mut().for_each(|extreme| *extreme &= greatest);
    extremes.sort_unstable();
    extremes.dedup();
    extremes.retain(|extreme| *extreme != number);
    extremes
}

/// A new table's bytes.
fn image(path: &Path) -> Vec<u8> {
    table_of_three(path).close().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let crc = bytes[HEADER_CRC..HEADER_CRC + 4].to_vec();
    seal(&mut bytes);
    assert_eq!(bytes[HEADER_CRC..HEADER_CRC + 4], crc, "this test does not know the format");
    bytes
}

/// A reading verb of the command may refuse the file, but neither panics nor changes it.
fn look_inside(path: &Path) {
    let before = fs::read(path).unwrap();
    let _ = locule::admin::info(path).map(|info| format!("{info:?}"));
    let _ = locule::admin::verify(path).map(|verification| format!("{verification:?}"));
    let _ = locule::admin::dump(path).map(|dump| dump.take(100).count());
    assert!(fs::read(path).unwrap() == before);
}

#[test]
fn a_header_with_any_field_at_its_extremes_is_refused_or_harmless() {
    let (directory, path) = scratch();
    let original = image(&path);
    let mut count = 0;
    for (name, offset, width) in FIELDS {
        for extreme in extremes(number_at(&original, offset, width), width) {
            count += 1;
            let what = format!("{name} is {extreme:#x}");
            let path = directory.path().join("changed.loc");
            let mut bytes = original.clone();
            put_number(&mut bytes, offset, width, extreme);
            seal(&mut bytes);
            // A new file, since a copy is checked as a whole before it is used.
            fs::write(&path, &bytes).unwrap();
            look_inside(&path);
            match name {
                // Old readers ignore these; a seed matters only to the index, which is made anew; times are only
                // reported.
                "compatible_features" | "hash_seed" | "created" | "second half of uuid" => {
                    let table = options().open(&path).unwrap();
                    assert_eq!(keys(&table), [0, 1, 2], "{what}");
                    assert_consistent(&table);
                    table.close().unwrap();
                }
                // What seals start from: the table is now another one. The lowest bit is not part of that.
                "first half of uuid" if bytes[offset..offset + 8] != original[offset..offset + 8] => {
                    let is_same_seed = extreme | 1 == number_at(&original, offset, width) | 1;
                    for outcome in [
                        options().open_read_only(&path).map(drop),
                        options().open_or_create(&path).map(drop),
                        options().open(&path).map(drop),
                    ] {
                        match outcome {
                            Ok(()) if is_same_seed => {}
                            Err(Error::Damaged { .. }) if !is_same_seed => {
                                assert!(fs::read(&path).unwrap() == bytes, "{what}: the file was changed");
                            }
                            outcome => panic!("{what}: {outcome:?}"),
                        }
                    }
                }
                _ => assert_refused(
                    &path,
                    &what,
                    |error| matches!(error, Error::Foreign { path: named, .. } if *named == path),
                ),
            }
            fs::remove_file(&path).unwrap();
        }
    }
    assert!(count > 200, "{count} headers");
}

#[test]
fn a_schema_with_any_byte_changed_is_refused_or_means_the_same() {
    let (directory, path) = scratch();
    let original = image(&path);
    let schema_bytes = usize::try_from(number_at(&original, 160, 4)).unwrap();
    let (mut harmless_count, mut mismatch_count, mut foreign_count) = (0, 0, 0);
    for offset in SCHEMA..SCHEMA + schema_bytes {
        let byte = original[offset];
        for other in [0, 1, 0x7f, 0x80, 0xff, byte.wrapping_add(1), byte.wrapping_sub(1), byte ^ 0x20] {
            if other == byte {
                continue;
            }
            let mut bytes = original.clone();
            bytes[offset] = other;
            seal(&mut bytes);
            let path = directory.path().join("changed.loc");
            fs::write(&path, &bytes).unwrap();
            look_inside(&path);
            match options().open(&path) {
                // A default or a comment is another one now.
                Ok(table) => {
                    harmless_count += 1;
                    assert_eq!(keys(&table), [0, 1, 2]);
                }
                Err(error) => {
                    match error {
                        Error::SchemaMismatch { .. } => mismatch_count += 1,
                        Error::Foreign { .. } => foreign_count += 1,
                        error => panic!("byte {offset} is {other:#x}: {error:?}"),
                    }
                    assert!(fs::read(&path).unwrap() == bytes, "byte {offset} is {other:#x}: the file was changed");
                }
            }
            fs::remove_file(&path).unwrap();
        }
    }
    assert!(
        harmless_count > 0 && mismatch_count > 20 && foreign_count > 100,
        "{harmless_count} harmless, {mismatch_count} mismatches, {foreign_count} refused"
    );
}

/// Where everything is was once worked out only when the file was opened.
#[test]
fn garbage_over_the_header_is_not_noticed_by_those_who_have_the_table_open() {
    use std::os::unix::fs::FileExt;
    let (_directory, path) = scratch();
    let table = table_of_three(&path);
    let reader = options().open_read_only(&path).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut header = vec![0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..20 {
        let garbage: Vec<u8> = (0..HEADER_BYTES).map(|_| random.u8(..)).collect();
        file.write_all_at(&garbage, 0).unwrap();
        table.upsert(&test_kit::visit(round % 5, round)).unwrap();
        table.sync().unwrap();
        assert_consistent(&table);
        assert_consistent(&reader);
        for (name, outcome) in open_in_every_way(&path) {
            assert!(matches!(outcome, Err(Error::Foreign { .. })), "{name}: {outcome:?}");
        }
    }
    file.write_all_at(&header, 0).unwrap();
    assert_consistent(&options().open(&path).unwrap());
}
