//! The name of a record. It is beside the errors, and not among the formats, since errors say which record they are
//! about.

use std::fmt;

/// Slot numbers have 24 bits, generations the 40 above them.
const SLOT_BITS: u32 = 24;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// Which record: a slot of the table and the generation of the record in it, so that the id of a deleted record never
/// names the record that has its slot now.
///
/// The table gives ids out: they come with each insert and each row. An id stays valid across processes and restarts
/// until the record is deleted. To keep one elsewhere, such as in a field of another record, take it as a number and
/// make it from that number again. There is no `From<u64>`: a key that is a `u64` is no id, and cannot be taken for one
/// by mistake.
///
/// ```
/// use locule::RecordId;
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 10)?;
/// let id = table.insert(&Visit { id: 42, hits: 1 })?;
/// let kept_elsewhere: u64 = id.to_u64();
/// assert_eq!(table.get(RecordId::from_u64(kept_elsewhere))?.map(|row| row.hits), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0277
/// let id: locule::RecordId = 42_u64.into();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u64);

impl RecordId {
    #[inline]
    pub(crate) fn new(slot: u32, generation: u64) -> Self {
        RecordId(generation << SLOT_BITS | (slot & SLOT_MASK) as u64)
    }

    /// The id that was kept elsewhere as this number. Any number is an id; one that the table has not given out names
    /// no record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// let text = table.insert(&Visit { id: 42, hits: 1 })?.to_string(); // such as in a link
    /// let id = locule::RecordId::from_u64(text.parse()?);
    /// assert_eq!(table.get(id)?.map(|row| row.hits), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        RecordId(number)
    }

    /// The number to keep the id as.
    ///
    /// ```
    /// let id = locule::RecordId::from_u64(42);
    /// assert_eq!(id.to_u64(), 42);
    /// ```
    #[inline]
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The slot: 0 to the table's capacity - 1.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// // A value for each record, beside the table.
    /// let table = locule::Table::<Visit>::create(&path, 9)?;
    /// let mut seen = vec![false; 9];
    /// let id = table.insert(&Visit { id: 42, hits: 1 })?;
    /// seen[id.slot() as usize] = true;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the mask has fewer bits")]
    pub const fn slot(self) -> u32 {
        self.0 as u32 & SLOT_MASK
    }

    /// How often the slot had been given to a record when this one was inserted; recoveries skip some.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 1)?;
    /// let first = table.insert(&Visit { id: 1, hits: 0 })?;
    /// table.delete(first)?;
    /// // The table has one slot.
    /// let second = table.insert(&Visit { id: 2, hits: 0 })?;
    /// assert_eq!(second.slot(), first.slot());
    /// assert!(second.generation() > first.generation());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0 >> SLOT_BITS
    }
}

impl From<RecordId> for u64 {
    #[inline]
    fn from(id: RecordId) -> Self {
        id.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId(slot {}, generation {})", self.slot(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_id_is_a_slot_and_a_generation() {
        let slot_limit = 1 << 24;
        for (slot, generation) in [(0, 1), (5, 3), (slot_limit - 1, (1 << 40) - 1), (0x55_5555, 0xaa_aaaa_aaaa)] {
            let id = RecordId::new(slot, generation);
            assert_eq!((id.slot(), id.generation()), (slot, generation));
            let number = u64::from(id);
            assert_eq!((number, id.to_u64()), (generation << 24 | u64::from(slot), number));
            assert_eq!((RecordId::from_u64(number), id.to_string()), (id, number.to_string()));
        }
        assert_eq!(RecordId::new(slot_limit | 5, 1), RecordId::new(5, 1));
    }
}
