//! One slot, byte by byte: what `locule dump --raw` prints.

use std::fmt::Write;
use std::path::Path;

use locule::admin::{self, RawCell, RawSlot};
use locule::{Schema, decode_value};

use crate::failure::{Failure, shown};
use crate::output::visible;
use crate::{Result, Verdict, output};

/// How many bytes are in a line.
const LINE_BYTES: usize = 16;

/// Prints the head and the four cells of a slot, each byte with the name of what it belongs to.
pub fn print(file: &Path, slot: u32) -> Result<Verdict> {
    let mut slots = admin::raw_slots(file).map_err(Failure::about(file))?;
    let (schema, capacity) = (slots.schema().clone(), slots.capacity());
    let index = usize::try_from(slot)?;
    let Some(found) = slots.nth(index) else {
        let reason = if slot < capacity {
            format!("{} was cut short before slot {slot}", shown(file))
        } else {
            format!("{} has the slots 0 to {}", shown(file), capacity - 1)
        };
        return Err(reason.into());
    };
    let found = found.map_err(Failure::about(file))?;
    output::print(&describe(&found, &schema)?)?;
    Ok(Verdict::good_if(found.cells.iter().all(|cell| cell.problem.is_none())))
}

fn describe(slot: &RawSlot, schema: &Schema) -> Result<String> {
    let mut text = String::new();
    let head = match (slot.number, slot.is_live) {
        (0, _) => "never written".to_owned(),
        (number, true) => format!("transaction {number}, a record, in cell {}", slot.current_cell),
        (number, false) => format!("transaction {number}, deleted, in cell {}", slot.current_cell),
    };
    writeln!(text, "slot {}: {head}", slot.slot)?;
    writeln!(text, "{:#010x}  head", slot.head_offset_bytes)?;
    for (number, cell) in (0..).zip(&slot.cells) {
        let is_current = slot.number != 0 && number == slot.current_cell;
        writeln!(text, "{:#010x}  cell {number}{}", cell.offset_bytes, if is_current { ", current" } else { "" })?;
        describe_cell(&mut text, cell, schema)?;
    }
    Ok(text)
}

fn describe_cell(text: &mut String, cell: &RawCell, schema: &Schema) -> Result<()> {
    if cell.number == 0 {
        writeln!(text, "            holds nothing")?;
        return Ok(());
    }
    let what = if cell.is_live { "a record" } else { "deleted" };
    writeln!(text, "            transaction   {}", cell.number)?;
    writeln!(text, "            generation    {}, {what}", cell.generation)?;
    writeln!(text, "            update count  {}", cell.update_count)?;
    let verdict = match &cell.problem {
        Some(problem) => visible(problem).into_owned(),
        None => "matches".to_owned(),
    };
    writeln!(text, "            check         {:#010x}: {verdict}", cell.check)?;
    if !cell.is_live {
        return Ok(());
    }
    let payload_offset_bytes = cell.offset_bytes + 24;
    for field in schema.fields() {
        let bytes = cell.payload.get(field.offset_bytes()..field.offset_bytes() + field.field_bytes()).unwrap_or(&[]);
        let value = match decode_value(field, bytes) {
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        };
        let offset_bytes = payload_offset_bytes + u64::try_from(field.offset_bytes())?;
        writeln!(text, "{offset_bytes:#010x}  {}  {}", visible(field.name()), visible(&value))?;
        for line in bytes.chunks(LINE_BYTES) {
            let digits = line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            writeln!(text, "              {digits}")?;
        }
    }
    Ok(())
}
