//! Every record of a damaged file whose own checksum holds.

use super::cell::{CellContent, content_of};
use super::dump::DumpedRow;
use super::verification::{Location, Problem};
use crate::error::Result;
use crate::file::remains::Remains;
use crate::format::cell::{CELLS_PER_SLOT, CellHeader};
use crate::format::geometry::{SYNC_RECORD_COUNT, word};
use crate::format::header::Header;
use crate::format::sync_record::SyncRecord;
use crate::record_id::RecordId;
use crate::schema::Schema;
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;

/// How often a slot is read again if something is wrong with it, and something else each time.
const READ_COUNT: u32 = 16;

/// Reads what is left of the records of a file, by the schema in it. For files that [`dump`](super::dump) refuses: it
/// believes nothing but the header, and each cell on its own.
///
/// For each slot it gives the record in the cell with the highest transaction number whose checksum holds, unless that
/// cell says that the record was deleted; and it names each cell that holds something and is not as it should be.
///
/// A salvaged record is, bit by bit, what a writer once put into this slot. Nothing else is promised:
///
/// * It may be older than the last sync, if what was newer is damaged.
/// * It may be newer than the last sync, even of a transaction that was never finished.
/// * The records may be of several moments. A record that was deleted may be there again, and a key may be there twice.
/// * Records may be missing. If the file was cut short, what is missing counts as never written.
///
/// It takes no lock and changes nothing. In a table that is in use, writers can slow it down, but it never waits for
/// them.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// # table.insert(&Visit { id: 42, hits: 7 })?;
/// for found in locule::admin::salvage(&path)? {
///     match found {
///         Ok(row) => println!("{:?}", row.values),
///         Err(problem) => eprintln!("{problem}"),
///     }
/// }
/// # assert_eq!(locule::admin::salvage(&path)?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`DoesNotExist`](crate::Error::DoesNotExist), [`Foreign`](crate::Error::Foreign) if the file is not a locule table,
/// or what its header says of the schema, the capacity and the places of records is damaged, [`Io`](crate::Error::Io) if the
/// header cannot be read. Any other damage is an item, also that of a header of which only the checksum is wrong.
pub fn salvage(path: impl AsRef<Path>) -> Result<Salvage> {
    let remains = Remains::open(path.as_ref(), &super::settings())?;
    let payload = vec![0; remains.header().geometry.record_words()];
    let mut salvage = Salvage { remains, next_slot: 0, found: VecDeque::new(), payload };
    salvage.found.extend(salvage.problems_with_the_file().into_iter().map(Err));
    Ok(salvage)
}

/// What is left of a table, one slot after the other; made by [`salvage`].
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
/// # table.insert(&Visit { id: 42, hits: 7 })?;
/// let whole = locule::admin::salvage(&path)?.filter_map(|found| found.ok());
/// assert_eq!(whole.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Salvage {
    remains: Remains,
    next_slot: u32,
    /// What was found in earlier slots, and has not been asked for yet.
    found: VecDeque<Result<DumpedRow, Problem>>,
    payload: Vec<u64>,
}

/// What was found in a slot.
pub(crate) struct SalvagedSlot {
    pub slot: u32,
    /// The newest cell that is whole.
    pub newest: Option<SalvagedCell>,
    pub problems: Vec<Problem>,
}

/// A cell that is whole: a record, or a tombstone without a payload.
#[derive(Clone)]
pub(crate) struct SalvagedCell {
    pub header: CellHeader,
    pub payload: Option<Vec<u64>>,
}

impl Salvage {
    /// The schema of the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::options().capacity(100).create(&path)?;
    /// assert_eq!(locule::admin::salvage(&path)?.schema().to_string(), "key id: u64, hits: u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.remains.header().schema
    }

    pub(crate) fn header(&self) -> &Header {
        self.remains.header()
    }

    /// The sync records that are whole.
    pub(crate) fn sync_records(&self) -> [Option<SyncRecord>; SYNC_RECORD_COUNT] {
        [0, 1].map(|record| self.remains.sync_record(record))
    }

    /// What is wrong with the file as a whole.
    pub(crate) fn problems_with_the_file(&self) -> Vec<Problem> {
        let expected_bytes = word(self.header().geometry.file_bytes());
        let found_bytes = self.remains.found_bytes();
        let damage = self.remains.damage_of_header();
        let of_header = damage.map(|damage| format!("{damage}; what it says agrees with itself, and is believed here"));
        let of_length = (found_bytes < expected_bytes).then(|| {
            format!(
                "expected {expected_bytes} bytes, found {found_bytes}: it was cut short, \
                 and what is missing counts as zeros"
            )
        });
        let descriptions = of_header.into_iter().chain(of_length);
        descriptions.map(|description| Problem { place: Location::File, description }).collect()
    }

    /// What was found in the next slot.
    pub(crate) fn next_slot(&mut self) -> Option<SalvagedSlot> {
        let slot = self.next_slot;
        if slot >= self.header().geometry.capacity() || self.remains.ends_before(slot) {
            return None;
        }
        self.next_slot += 1;
        Some(settled(|| self.read(slot)))
    }

    fn read(&mut self, slot: u32) -> SalvagedSlot {
        let mut newest: Option<SalvagedCell> = None;
        let mut faults = Vec::new();
        for cell in 0..CELLS_PER_SLOT {
            match self.read_cell(slot, cell) {
                Ok((_, CellContent::Nothing)) => {}
                Ok((header, content)) => {
                    if newest.as_ref().is_none_or(|newest| newest.header.number < header.number) {
                        let payload = matches!(content, CellContent::Record).then(|| self.payload.clone());
                        newest = Some(SalvagedCell { header, payload });
                    }
                }
                Err(reason) => faults.push((cell, reason)),
            }
        }
        let rest = match &newest {
            None => "nothing else is left of the slot".to_owned(),
            Some(SalvagedCell { header, payload: Some(_) }) => {
                format!("the record of transaction {} is given", header.number)
            }
            Some(SalvagedCell { header, payload: None }) => {
                format!("that of transaction {} is whole, and deletes the record", header.number)
            }
        };
        let problem =
            |(cell, reason)| Problem { place: Location::Cell { slot, cell }, description: format!("{reason}; {rest}") };
        let problems = faults.into_iter().map(problem).collect();
        SalvagedSlot { slot, newest, problems }
    }

    /// The record that was found, as a row.
    fn row(&self, slot: u32, newest: Option<SalvagedCell>) -> Option<DumpedRow> {
        let SalvagedCell { header, payload } = newest?;
        // It was decoded before.
        let values = self.schema().decode_record(&payload?).ok()?;
        let id = RecordId::new(slot, header.generation);
        Some(DumpedRow { id, version: header.number, update_count: header.update_count, values })
    }

    fn read_cell(&mut self, slot: u32, cell: u32) -> Result<(CellHeader, CellContent), String> {
        let header = self
            .remains
            .read_cell(slot, cell, &mut self.payload)
            .map_err(|error| format!("it cannot be read: {error}"))?;
        let content = content_of(self.schema(), &header, &self.payload)?;
        Ok((header, content))
    }
}

/// Reads a slot until nothing is wrong with it, or the same thing is wrong twice. A cell that is filled while it is
/// read can look torn, but not twice in the same way: while it is filled, it counts as one that holds nothing.
fn settled(mut read: impl FnMut() -> SalvagedSlot) -> SalvagedSlot {
    let mut slot = read();
    for _ in 1..READ_COUNT {
        if slot.problems.is_empty() {
            break;
        }
        let before = std::mem::replace(&mut slot, read());
        if before.problems == slot.problems {
            break;
        }
    }
    slot
}

impl fmt::Debug for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage").field("next_slot", &self.next_slot).finish_non_exhaustive()
    }
}

impl Iterator for Salvage {
    type Item = Result<DumpedRow, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            let SalvagedSlot { slot, newest, problems } = self.next_slot()?;
            self.found.extend(self.row(slot, newest).map(Ok));
            self.found.extend(problems.into_iter().map(Err));
        }
    }
}

impl std::iter::FusedIterator for Salvage {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for a slot that has this problem (0 for none) each time it is read, and how often it was read.
    fn settled_after(problems: impl IntoIterator<Item = u32>) -> (Vec<Problem>, u32) {
        let (mut problems, mut read_count) = (problems.into_iter(), 0);
        let slot = settled(|| {
            read_count += 1;
            let number = problems.next().unwrap();
            let problem = Problem { place: Location::Cell { slot: 0, cell: 0 }, description: number.to_string() };
            SalvagedSlot { slot: 0, newest: None, problems: (number != 0).then_some(problem).into_iter().collect() }
        });
        (slot.problems, read_count)
    }

    #[test]
    fn what_is_wrong_with_a_slot_only_once_is_no_damage() {
        assert_eq!(settled_after([0]), (Vec::new(), 1));
        assert_eq!(settled_after([1, 0]), (Vec::new(), 2));
        assert_eq!(settled_after([1, 2, 3, 0]), (Vec::new(), 4));
        let (problems, read_count) = settled_after([1, 2, 2]);
        assert_eq!((problems[0].description.as_str(), read_count), ("2", 3));
        // Whatever happens in the file, the reading ends.
        let (problems, read_count) = settled_after(1..);
        assert_eq!((problems.len(), read_count), (1, READ_COUNT));
    }
}
