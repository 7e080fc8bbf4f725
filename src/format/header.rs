//! The header: what never changes after a file was created. All offsets in bytes; numbers in native byte order.

use crate::error::{Error, Result};
use crate::format::checksum::crc32;
use crate::format::geometry::{Geometry, KeyPosition};
use crate::schema::Schema;
use std::path::Path;
use std::sync::Arc;

/// The first eight bytes of every table. The line ending shows a transfer as text, the zero stops a terminal.
pub const MAGIC: [u8; 8] = *b"locule\n\0";
/// Reads differently on a machine of the other byte order.
pub const BYTE_ORDER_MARK: u64 = 0x0102_0304_0506_0708;
/// The version of the format that this code reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// The first page of a header, which says how long the header is.
pub const FIRST_PAGE_BYTES: usize = 4096;
/// No header is longer.
const HEADER_BYTES_LIMIT: usize = 1 << 26;

/// Name, offset and width of each field before the schema; `format.md` is compared with this.
pub const FIELDS: [(&str, usize, usize); 22] = [
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
    ("uuid", 128, 16),
    ("hash_seed", 144, 8),
];
const CREATED: usize = 152;
const SCHEMA_BYTES: usize = 160;
const HEADER_CRC: usize = 164;
/// Where the schema begins.
pub const SCHEMA: usize = 168;

/// A header that was checked, or is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub geometry: Geometry,
    pub uuid: [u8; 16],
    /// What key hashes start from.
    pub hash_seed: u64,
    pub created_microseconds: i64,
    pub schema: Arc<Schema>,
}

impl Header {
    /// The header of a new table.
    pub fn new(
        capacity: u64,
        schema: impl Into<Arc<Schema>>,
        uuid: [u8; 16],
        hash_seed: u64,
        created_microseconds: i64,
    ) -> Result<Self> {
        let schema = schema.into();
        let header_bytes = SCHEMA.saturating_add(schema.encode().len()).next_multiple_of(FIRST_PAGE_BYTES);
        if header_bytes > HEADER_BYTES_LIMIT {
            return Err(Error::InvalidArgument {
                reason: format!("the schema needs {header_bytes} bytes, of {HEADER_BYTES_LIMIT}: shorten its texts"),
            });
        }
        let geometry = Geometry::new(capacity, schema.record_bytes(), key_position(&schema), header_bytes)?;
        Ok(Header { geometry, uuid, hash_seed, created_microseconds, schema })
    }

    /// What digests and seals of this table start from: never zero, and different for each table.
    pub fn digest_seed(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.uuid;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]) | 1
    }

    /// The bytes of the header region.
    pub fn encode(&self) -> Vec<u8> {
        let schema = self.schema.encode();
        let mut bytes = self.fixed_fields(schema.len());
        bytes.extend_from_slice(&schema);
        bytes.resize(self.geometry.header_bytes(), 0);
        let crc = crc32(&bytes);
        put(&mut bytes, HEADER_CRC, &crc.to_ne_bytes());
        bytes
    }

    /// Everything before the schema, with a CRC of zero.
    fn fixed_fields(&self, schema_bytes: usize) -> Vec<u8> {
        let geometry = &self.geometry;
        let key = geometry.key().unwrap_or(KeyPosition { offset_bytes: 0, key_bytes: 0 });
        let mut bytes = Vec::with_capacity(geometry.header_bytes());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&BYTE_ORDER_MARK.to_ne_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_ne_bytes());
        bytes.extend_from_slice(&narrow(geometry.header_bytes()));
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&geometry.capacity().to_ne_bytes());
        bytes.extend_from_slice(&narrow(geometry.record_bytes()));
        bytes.extend_from_slice(&narrow(key.offset_bytes));
        bytes.extend_from_slice(&narrow(key.key_bytes));
        bytes.extend_from_slice(&narrow(geometry.cell_words() * 8));
        bytes.extend_from_slice(&narrow(geometry.index_entry_count()));
        for word in [
            geometry.control(),
            geometry.intents(),
            geometry.heads(),
            geometry.free_stack(),
            geometry.index(),
            geometry.sync_records(),
            geometry.cells(),
            geometry.word_count(),
        ] {
            bytes.extend_from_slice(&word.saturating_mul(8).to_ne_bytes());
        }
        bytes.extend_from_slice(&self.uuid);
        bytes.extend_from_slice(&self.hash_seed.to_ne_bytes());
        bytes.extend_from_slice(&self.created_microseconds.to_ne_bytes());
        bytes.extend_from_slice(&narrow(schema_bytes));
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    /// The length of the header that begins with this page. Foreign files are recognised here.
    pub fn length_bytes(first_page: &[u8], path: &Path) -> Result<usize> {
        let foreign = |reason: String| Error::Foreign { path: path.to_owned(), reason };
        let magic = first_page.get(..8);
        if magic != Some(&MAGIC) {
            let found = magic.unwrap_or(first_page).escape_ascii().to_string();
            return Err(foreign(format!(
                "expected it to begin with \"{}\", found \"{found}\": it is not a locule table",
                MAGIC.escape_ascii()
            )));
        }
        let mark = u64::from_ne_bytes(array(first_page, 8));
        if mark == BYTE_ORDER_MARK.swap_bytes() {
            return Err(foreign("it was made on a machine of the other byte order: dump it there".to_owned()));
        }
        if mark != BYTE_ORDER_MARK {
            return Err(foreign(format!(
                "its header is damaged: expected the byte order mark {BYTE_ORDER_MARK:#018x}, found {mark:#018x}"
            )));
        }
        let version = u32::from_ne_bytes(array(first_page, 16));
        if version != FORMAT_VERSION {
            return Err(foreign(format!(
                "expected format version {FORMAT_VERSION}, found {version}: use a locule of that version"
            )));
        }
        let header_bytes = widen_u32(first_page, 20);
        if header_bytes == 0 || header_bytes % FIRST_PAGE_BYTES != 0 || header_bytes > HEADER_BYTES_LIMIT {
            return Err(foreign(format!("a header of {header_bytes} bytes: its first page is damaged")));
        }
        Ok(header_bytes)
    }

    /// Decodes and checks the whole header region. The result contains a geometry that was computed anew and agrees
    /// with every field of the file.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        match Self::decode_despite_checksum(bytes, path)? {
            (header, None) => Ok(header),
            (_, Some(damage)) => Err(Error::Foreign { path: path.to_owned(), reason: damage }),
        }
    }

    /// The same; if only its checksum is wrong, that is said beside it. For those that save what is left: the fields depend on each
    /// other, so what is damaged can be a seed, a time, a name, or what means nothing.
    pub fn decode_despite_checksum(bytes: &[u8], path: &Path) -> Result<(Self, Option<String>)> {
        let header_bytes = Self::length_bytes(bytes, path)?;
        let foreign = |reason: String| Error::Foreign { path: path.to_owned(), reason };
        let Some(bytes) = bytes.get(..header_bytes) else {
            return Err(foreign(format!(
                "expected a header of {header_bytes} bytes, found {}: cut short",
                bytes.len()
            )));
        };
        let stored_crc = u32::from_ne_bytes(array(bytes, HEADER_CRC));
        let mut without_crc = bytes.to_vec();
        put(&mut without_crc, HEADER_CRC, &[0; 4]);
        let found_crc = crc32(&without_crc);
        let damage = (found_crc != stored_crc)
            .then(|| format!("its header is damaged: expected CRC {stored_crc:08x}, found {found_crc:08x}"));
        let header = Self::decode_fields(bytes, path);
        match (header, damage) {
            // What the fields say is of no use then.
            (Err(_), Some(damage)) => Err(foreign(damage)),
            (header, damage) => header.map(|header| (header, damage)),
        }
    }

    fn decode_fields(bytes: &[u8], path: &Path) -> Result<Self> {
        let foreign = |reason: String| Error::Foreign { path: path.to_owned(), reason };
        let header_bytes = bytes.len();
        let incompatible_features = u64::from_ne_bytes(array(bytes, 32));
        if incompatible_features != 0 {
            return Err(foreign(format!(
                "it uses features {incompatible_features:#x}, which this version does not know: use a newer locule"
            )));
        }
        let schema_end = SCHEMA.saturating_add(widen_u32(bytes, SCHEMA_BYTES));
        let schema_bytes =
            bytes.get(SCHEMA..schema_end).ok_or_else(|| foreign("its schema is cut short".to_owned()))?;
        let schema =
            Schema::decode(schema_bytes).map_err(|error| foreign(format!("its schema is damaged: {error}")))?;
        let capacity = u64::from(u32::from_ne_bytes(array(bytes, 40)));
        let geometry = Geometry::new(capacity, schema.record_bytes(), key_position(&schema), header_bytes)
            .map_err(|error| foreign(format!("its header is damaged: {error}")))?;
        let header = Header {
            geometry,
            uuid: array(bytes, 128),
            hash_seed: u64::from_ne_bytes(array(bytes, 144)),
            created_microseconds: i64::from_ne_bytes(array(bytes, CREATED)),
            schema: Arc::new(schema),
        };
        // The region offsets are in the file for readers in other languages; here they follow from the sizes.
        let expected = header.fixed_fields(schema_bytes.len());
        for (name, offset, width) in FIELDS {
            let range = offset..offset + width;
            // Compatible features are those that an old reader may ignore.
            if name != "compatible_features" && expected.get(range.clone()) != bytes.get(range) {
                return Err(foreign(format!("its header contradicts itself in {name}")));
            }
        }
        Ok(header)
    }
}

fn key_position(schema: &Schema) -> Option<KeyPosition> {
    schema.key().map(|field| KeyPosition { offset_bytes: field.offset_bytes(), key_bytes: field.field_bytes() })
}

/// The bytes at an offset; zeros beyond the end.
fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(source) = offset.checked_add(N).and_then(|end| bytes.get(offset..end)) {
        array.copy_from_slice(source);
    }
    array
}

fn widen_u32(bytes: &[u8], offset: usize) -> usize {
    crate::format::geometry::widen(u32::from_ne_bytes(array(bytes, offset)))
}

fn put(bytes: &mut [u8], offset: usize, source: &[u8]) {
    if let Some(target) = bytes.get_mut(offset..offset + source.len()) {
        target.copy_from_slice(source);
    }
}

/// A size that the geometry has checked to be far below 2^32.
fn narrow(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FieldSchema;
    use crate::value::field_type::FieldType;

    fn header() -> Header {
        let schema = Schema::new(vec![FieldSchema::new("id", FieldType::U64).key()]).unwrap();
        Header::new(10, schema, [7; 16], 5, 6).unwrap()
    }

    /// Why a header is refused after a number was put at an offset; its CRC is right.
    fn reason_against(offset: usize, number: &[u8]) -> String {
        let mut bytes = header().encode();
        put(&mut bytes, offset, number);
        put(&mut bytes, HEADER_CRC, &[0; 4]);
        let crc = crc32(&bytes);
        put(&mut bytes, HEADER_CRC, &crc.to_ne_bytes());
        match Header::decode(&bytes, Path::new("table")) {
            Err(Error::Foreign { reason, .. }) => reason,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    #[test]
    fn a_header_comes_back_and_any_changed_byte_shows() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes, Path::new("table")).unwrap(), header());
        for position in (0..SCHEMA + 32).step_by(if cfg!(miri) { 29 } else { 1 }).chain([bytes.len() - 1]) {
            let mut changed = bytes.clone();
            changed[position] ^= 0x10;
            assert!(Header::decode(&changed, Path::new("table")).is_err(), "{position}");
        }
        assert!(Header::decode(&bytes[..bytes.len() - 1], Path::new("table")).is_err());
    }

    #[test]
    fn what_this_version_cannot_read_is_refused_with_the_reason() {
        for (offset, number, phrase) in [
            (0, 7_u64, "not a locule table"),
            (8, BYTE_ORDER_MARK.swap_bytes(), "other byte order"),
            // This was once reported as "expected format version 1, found 1".
            (
                8,
                BYTE_ORDER_MARK + 1,
                "damaged: expected the byte order mark 0x0102030405060708, found 0x0102030405060709",
            ),
            (16, 2 | 4096 << 32, "format version 1, found 2"),
            (32, 1, "uses features 0x1"),
            (40, 11 | 8 << 32, "contradicts itself"),
        ] {
            let reason = reason_against(offset, &number.to_ne_bytes());
            assert!(reason.contains(phrase), "{reason:?}: {phrase:?}");
        }
        // Compatible features are those that it may ignore.
        let mut bytes = header().encode();
        put(&mut bytes, 24, &[1]);
        put(&mut bytes, HEADER_CRC, &[0; 4]);
        let crc = crc32(&bytes);
        put(&mut bytes, HEADER_CRC, &crc.to_ne_bytes());
        assert_eq!(Header::decode(&bytes, Path::new("table")).unwrap(), header());
    }

    #[test]
    fn the_length_of_a_header_is_some_pages_up_to_the_limit() {
        let length = |header_bytes: usize| {
            let mut page = header().encode();
            put(&mut page, 20, &narrow(header_bytes));
            Header::length_bytes(&page, Path::new("table")).ok()
        };
        for right in [4096, 8192, HEADER_BYTES_LIMIT] {
            assert_eq!(length(right), Some(right));
        }
        for wrong in [0, 1, 4095, 4097, HEADER_BYTES_LIMIT + 1, HEADER_BYTES_LIMIT + 4096] {
            assert_eq!(length(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_seed_is_of_one_table_and_never_zero() {
        let seed = |number: u64| {
            let mut uuid = [0; 16];
            put(&mut uuid, 0, &number.to_ne_bytes());
            Header { uuid, ..header() }.digest_seed()
        };
        assert_eq!([0, 1, 2, 3].map(seed), [1, 1, 3, 3]);
    }
}
