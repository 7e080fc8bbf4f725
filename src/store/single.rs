//! Operations on one record: a transaction with a list of one.
//!
//! What can be done before the lock is taken is done before: the checksum, the hash, and touching the pages of the slot.

use super::read::Meta;
use super::txn::Transaction;
use super::{Encoded, Store};
use crate::error::Internal;
use crate::format::cell::RecordId;
use crate::format::control::FREE_TAKEN;
use crate::shm::words::Ordering;

impl Store {
    /// Inserts a record.
    #[inline(always)]
    pub fn insert(&self, record: Encoded<'_>) -> Internal<Meta> {
        self.touch_next_free_slot();
        self.one(|transaction| transaction.insert(record))
    }

    /// Writes another content of a record, if it is the version that is expected.
    #[inline(always)]
    pub fn update(&self, id: RecordId, expected_version: Option<u64>, record: Encoded<'_>) -> Internal<Meta> {
        self.touch_slot(id.slot());
        self.one(|transaction| transaction.update(id, expected_version, record))
    }

    /// Deletes a record, if it is the version that is expected.
    #[inline(always)]
    pub fn delete(&self, id: RecordId, expected_version: Option<u64>) -> Internal<Meta> {
        self.touch_slot(id.slot());
        self.one(|transaction| transaction.delete(id, expected_version))
    }

    /// Inserts a record or writes it over the one with its key.
    #[inline]
    pub fn upsert(&self, record: Encoded<'_>) -> Internal<Meta> {
        self.touch_next_free_slot();
        self.one(|transaction| transaction.upsert(record))
    }

    #[inline(always)]
    fn one(&self, operation: impl FnOnce(&mut Transaction<'_>) -> Internal<Meta>) -> Internal<Meta> {
        let mut transaction = self.begin()?;
        let meta = operation(&mut transaction)?;
        transaction.publish()?;
        // A commit takes the write mutex itself.
        drop(transaction);
        self.commit_if_due()?;
        Ok(meta)
    }

    /// Touches the slot that the next insert will probably get; that it may be another by then does no harm.
    #[inline]
    fn touch_next_free_slot(&self) {
        let shared = self.shared();
        let taken = shared.control.load(FREE_TAKEN, Ordering::Relaxed);
        if let Ok(slot) = shared.free_ring_entry(taken) {
            self.touch_slot(slot);
        }
    }
}
