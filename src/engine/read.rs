//! Reading without a lock.
//!
//! Nothing here writes to shared memory, makes a system call, or waits for a writer, not even for one that is stopped in the
//! middle of a transaction or died there.

use super::{Access, Store};
use crate::engine::guard::{WriteGuard, inside_closure};
use crate::error::{Error, Fault, Internal, Result};
use crate::format::cell::CellHeader;
use crate::format::checksum::crc32;
use crate::format::control::{LAST, NEWEST_STATE, PREPARED};
use crate::layout::index::KeyHash;
use crate::record_id::RecordId;
use crate::sys::words::{Ordering, fence};

/// How often a snapshot is tried without the lock.
pub(super) const SNAPSHOT_ATTEMPT_COUNT: u32 = if cfg!(loom) { 2 } else { 16 };

/// Where and what a record is, besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    pub id: RecordId,
    pub version: u64,
    pub update_count: u32,
}

impl Meta {
    #[inline(always)]
    pub(super) fn new(slot: u32, header: CellHeader) -> Self {
        Meta { id: RecordId::new(slot, header.generation), version: header.number, update_count: header.update_count }
    }
}

impl Store {
    /// Copies the record with an id into `payload`, which has the table's record length. `None` if it was deleted.
    #[inline(always)]
    pub fn get(&self, id: RecordId, payload: &mut [u64]) -> Internal<Option<Meta>> {
        self.check_usable()?;
        if id.slot() >= self.geometry.capacity() {
            return Ok(None);
        }
        Ok(self.read_slot(id.slot(), payload)?.filter(|meta| meta.id == id))
    }

    /// Copies the record with a key into `payload`. `None` if there was none at some moment of the call.
    #[inline(always)]
    pub fn find(&self, key: &[u8], payload: &mut [u64]) -> Internal<Option<Meta>> {
        self.check_usable()?;
        let Some(position) = self.geometry.key() else { return Ok(None) };
        let index = self.view().index();
        let hash = KeyHash::new(key, self.header.hash_seed);
        let epoch = index.epoch();
        // Nearly always the first candidate is the record. If there is no candidate, the key is not there.
        match index.candidates(epoch, hash).next() {
            Some(slot) if slot < self.geometry.capacity() => match self.read_slot(slot, payload)? {
                Some(meta) if position.is_at(payload, key) => Ok(Some(meta)),
                _ => self.find_among_all(key, hash, payload),
            },
            None if index.is_still(epoch) => Ok(None),
            _ => self.find_among_all(key, hash, payload),
        }
    }

    #[cold]
    fn find_among_all(&self, key: &[u8], hash: KeyHash, payload: &mut [u64]) -> Internal<Option<Meta>> {
        let Some(position) = self.geometry.key() else { return Ok(None) };
        let index = self.view().index();
        let mut epoch = index.epoch();
        loop {
            for slot in index.candidates(epoch, hash) {
                if slot >= self.geometry.capacity() {
                    return Err(self.view().stray_entry(slot));
                }
                match self.read_slot(slot, payload)? {
                    Some(meta) if position.is_at(payload, key) => return Ok(Some(meta)),
                    _ => {}
                }
            }
            if index.is_still(epoch) {
                return Ok(None);
            }
            epoch = index.epoch();
        }
    }

    /// Copies the live record of a slot, which must be below the capacity.
    #[inline(always)]
    pub fn read_slot(&self, slot: u32, payload: &mut [u64]) -> Internal<Option<Meta>> {
        let Some(header) = self.slot(slot).read(payload)? else {
            return Ok(None);
        };
        if self.settings.verify_reads {
            verify(slot, header, payload)?;
        }
        Ok(Some(Meta::new(slot, header)))
    }

    /// How many records there are.
    pub fn live_count(&self) -> Internal<u64> {
        self.check_usable()?;
        Ok(self.control().load(NEWEST_STATE + 1, Ordering::Acquire))
    }

    /// Runs `body` until nothing was prepared while it ran, so that its result is of one moment. After a bounded number of
    /// tries it runs `body` under the write mutex; a read-only handle cannot take that, and runs it on a copy of its own.
    ///
    /// If the moment passed during a run, what `body` returned from it, an error or not, is thrown away.
    pub fn snapshot<R, E: From<Error>>(&self, mut body: impl FnMut(Moment<'_>) -> Result<R, E>) -> Result<R, E> {
        self.check_usable().map_err(Error::from)?;
        for _ in 0..SNAPSHOT_ATTEMPT_COUNT {
            if let Some(moment) = self.moment() {
                let result = inside_closure(self, || body(moment));
                if moment.lasts() {
                    return result;
                }
            }
            std::hint::spin_loop();
        }
        if self.access != Access::ReadWrite {
            let copy = self.copy_of_newest_state()?;
            return inside_closure(self, || body(copy.lasting_moment()));
        }
        let _guard = WriteGuard::lock(self).map_err(Error::from)?;
        inside_closure(self, || body(self.lasting_moment()))
    }

    /// This moment, while nobody can prepare anything.
    fn lasting_moment(&self) -> Moment<'_> {
        Moment { store: self, prepared: self.control().load(PREPARED, Ordering::Relaxed) }
    }

    /// This moment, if nothing is being published.
    pub fn moment(&self) -> Option<Moment<'_>> {
        let control = self.control();
        let prepared = control.load(PREPARED, Ordering::Relaxed);
        (control.load(LAST, Ordering::Acquire) == prepared).then_some(Moment { store: self, prepared })
    }
}

/// A table at a moment when everything that was prepared was published too. The moment lasts until something else is prepared.
///
/// Each read checks afterwards whether the moment lasts, and returns an error if not. So everything that was read is of this
/// moment, at any time, and not only once the snapshot is over.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    store: &'a Store,
    prepared: u64,
}

impl<'a> Moment<'a> {
    /// The table. What is read from it directly is of this moment only if [`check`](Self::check) says so afterwards.
    #[inline]
    pub fn store(self) -> &'a Store {
        self.store
    }

    /// The number of the newest transaction that had happened.
    #[inline]
    pub fn number(self) -> u64 {
        self.prepared
    }

    /// As [`Store::get`].
    pub fn get(self, id: RecordId, payload: &mut [u64]) -> Internal<Option<Meta>> {
        let found = self.store.get(id, payload);
        self.check()?;
        found
    }

    /// As [`Store::find`].
    pub fn find(self, key: &[u8], payload: &mut [u64]) -> Internal<Option<Meta>> {
        let found = self.store.find(key, payload);
        self.check()?;
        found
    }

    /// As [`Store::live_count`].
    pub fn live_count(self) -> Internal<u64> {
        let count = self.store.live_count();
        self.check()?;
        count
    }

    /// Checks that the moment lasts: then everything that was read before is of this moment.
    #[inline]
    pub fn check(self) -> Internal<()> {
        if self.lasts() { Ok(()) } else { Err(stale()) }
    }

    fn lasts(self) -> bool {
        // What is published is stored after `PREPARED`, so a thread that saw any of it sees here that the moment has passed.
        // Each read ends with an acquire of its own, and the model checker finds none that needs this one. It stays, so that a
        // snapshot does not depend on how each read is made.
        fence(Ordering::Acquire);
        self.store.control().load(PREPARED, Ordering::Relaxed) == self.prepared
    }
}

#[cold]
fn stale() -> Fault {
    Error::StaleSnapshot.into()
}

/// Checks that a record that was copied has its checksum.
#[inline(always)]
pub(super) fn verify(slot: u32, header: CellHeader, payload: &[u64]) -> Internal<()> {
    if header.verifies(crc32(bytemuck::cast_slice(payload))) { Ok(()) } else { Err(rotten(slot, header)) }
}

#[cold]
fn rotten(slot: u32, header: CellHeader) -> Fault {
    Error::damaged(format!(
        "the record in slot {slot}, written by transaction {}, does not have its checksum {:08x}",
        header.number, header.check
    ))
    .into()
}
