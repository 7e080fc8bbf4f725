//! Making a table hold exactly what it is given.
//!
//! In this order: what stays is updated in place, the rest is deleted, and then the new ones are inserted. So a key
//! that was there never looks for another slot, and a full table has room.

use super::content::Content;
use super::record::Keyed;
use super::transaction::WriteTransaction;
use crate::engine::Encoded;
use crate::engine::read::Meta;
use crate::error::Result;
use std::borrow::Borrow;
use std::collections::HashSet;

impl<T: Keyed> WriteTransaction<'_, T> {
    /// Makes the table hold exactly these records. See [`Table::replace_all`](crate::Table::replace_all). An error may
    /// come when part of the records have been replaced already. So after one nothing of the transaction happens,
    /// whatever the closure returns.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 1, hits: 1 })?;
    /// let old_count = table.write(|transaction| {
    ///     let count = transaction.len()?;
    ///     transaction.replace_all([Visit { id: 2, hits: 1 }, Visit { id: 3, hits: 1 }])?;
    ///     Ok(count)
    /// })?;
    /// assert_eq!((old_count, table.len()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Table::replace_all`](crate::Table::replace_all); and [`SlotTaken`](crate::Error::SlotTaken) if this
    /// transaction deleted one of the records before, and gave its slot to another that stays.
    pub fn replace_all(&mut self, records: impl IntoIterator<Item = impl Borrow<T>>) -> Result<()> {
        self.hold_exactly(records)
    }
}

impl<T: Content> WriteTransaction<'_, T> {
    /// What `replace_all` does. The table has a key.
    pub(super) fn hold_exactly(&mut self, records: impl IntoIterator<Item = impl Borrow<T>>) -> Result<()> {
        let was_broken = std::mem::replace(&mut self.is_broken, true);
        let (kept_slots, absent) = self.update_in_place(records)?;
        self.delete_others(&kept_slots)?;
        self.insert_absent(&absent)?;
        // If an earlier call failed, this one does not mend that.
        self.is_broken = was_broken;
        Ok(())
    }

    /// Updates the records that exist already. Returns their slots, and the records that do not exist.
    fn update_in_place(
        &mut self,
        records: impl IntoIterator<Item = impl Borrow<T>>,
    ) -> Result<(HashSet<u32>, Vec<T::Words>)> {
        let (mut kept_slots, mut absent) = (HashSet::new(), Vec::new());
        for record in records {
            let words = record.borrow().to_words(self.transaction.store().schema())?;
            let mut found = self.zeroed();
            let Some(Meta { id, .. }) = self.transaction.find(words.as_ref(), found.as_mut())? else {
                absent.push(words);
                continue;
            };
            let encoded = Encoded::new(words.as_ref());
            if !kept_slots.insert(id.slot()) {
                // This returns the error that says so.
                self.transaction.insert(encoded)?;
            }
            if found.as_ref() != words.as_ref() {
                self.transaction.update(id, None, encoded)?;
            }
        }
        Ok((kept_slots, absent))
    }

    fn delete_others(&mut self, kept_slots: &HashSet<u32>) -> Result<()> {
        let mut words = self.zeroed();
        for slot in (0..self.transaction.capacity()).filter(|slot| !kept_slots.contains(slot)) {
            if let Some(Meta { id, .. }) = self.transaction.read_slot(slot, words.as_mut())? {
                self.transaction.delete(id, None)?;
            }
        }
        Ok(())
    }

    /// Inserts records. Those that have slots to come back to come first, since the others take any slot.
    fn insert_absent(&mut self, absent: &[T::Words]) -> Result<()> {
        let mut others = Vec::new();
        for words in absent {
            let encoded = Encoded::new(words.as_ref());
            if self.transaction.insert_again(encoded)?.is_none() {
                others.push(encoded);
            }
        }
        for encoded in others {
            self.transaction.insert(encoded)?;
        }
        Ok(())
    }
}
