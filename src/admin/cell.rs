//! What one cell holds, judged on its own.

use super::verification::reason_of;
use crate::format::cell::{CellHeader, NUMBER_LIMIT};
use crate::format::checksum::crc32;
use crate::schema::Schema;

/// What is in a cell that is as it should be.
pub enum CellContent {
    Nothing,
    Tombstone,
    Record,
}

/// What is in a cell, or what is wrong with it.
pub fn content_of(schema: &Schema, header: &CellHeader, payload: &[u64]) -> Result<CellContent, String> {
    let number = header.number;
    if number == 0 {
        return Ok(CellContent::Nothing);
    }
    if number >= NUMBER_LIMIT {
        return Err(format!("transaction {number} wrote it, and there can be none of that number"));
    }
    if !header.verifies(crc32(bytemuck::cast_slice(payload))) {
        return Err(format!("transaction {number} wrote it, and its check does not match"));
    }
    if !header.is_live {
        return Ok(CellContent::Tombstone);
    }
    schema.decode_record(payload).map(|_| CellContent::Record).map_err(reason_of)
}
