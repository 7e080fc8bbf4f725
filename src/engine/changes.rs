//! What has changed since a transaction, as of one moment, in words.
//!
//! Nothing is logged for this. Each cell has the number of the transaction that wrote it, and deletions leave tombstones. So
//! what has changed since transaction N is every slot whose current cell has a number above N: it tells how each of them is now,
//! and not what it was in between. A look at all heads, which lie one after the other, finds these slots.
//!
//! Invariants:
//!
//! 1. What is read is of one moment: that of a snapshot, or that of the newest sync. Until another sync is durable, writers keep
//!    the cells that are visible at its number; one that overwrites such a cell has loaded a newer `DURABLE`, and a reader that
//!    meets what it wrote finds a newer one too, after an acquire fence.
//! 2. A number is followed only if it is one of the table's past: see [`gaps`](crate::format::gaps).
//! 3. A recovery wipes cells before it points heads elsewhere, and is counted before both. A reader that met any of that finds
//!    itself stale, after an acquire fence, and returns nothing.

use super::Store;
use crate::cursor::Cursor;
use crate::engine::read::{Meta, Moment};
use crate::error::{CursorLoss, Error, Fault, Internal, Result};
use crate::format::cell::Head;
use crate::format::checksum::crc32;
use crate::format::control::{DURABLE, LAST, PREPARED};
use crate::format::gaps::Gaps;
use crate::format::geometry::widen;
use crate::layout::slot::visible_cell;
use crate::sys::deadline::Deadline;
use crate::sys::words::{Ordering, fence};

/// The slots that have changed, each with what it holds now.
pub struct ChangedSlots {
    /// The moment that they are of.
    pub cursor: Cursor,
    /// A cursor of a lower number cannot be followed, but for that from before the first transaction.
    pub forgotten_below: u64,
    slots: Vec<ChangedSlot>,
    /// The records one after the other.
    records: Vec<u64>,
    record_words: usize,
}

/// What a slot holds.
#[derive(Clone, Copy)]
struct ChangedSlot {
    meta: Meta,
    /// Where its record begins; `None` for a tombstone.
    start: Option<usize>,
}

impl ChangedSlots {
    /// What each of them holds, a record or a tombstone, in the order of transactions.
    pub fn iter(&self) -> impl Iterator<Item = (Meta, Option<&[u64]>)> {
        self.slots.iter().map(|changed| {
            let record = changed.start.and_then(|start| self.records.get(start..start + self.record_words));
            (changed.meta, record)
        })
    }
}

impl Store {
    /// The cursor of everything that is published now.
    pub fn newest_cursor(&self) -> Internal<Cursor> {
        self.check_usable()?;
        Ok(self.cursor_of(self.control().load(LAST, Ordering::Acquire)))
    }

    /// The cursor of everything that has happened. It is newer than the newest one while something is being published, or if its
    /// writer died; a read-only handle tells it then, since it works on a copy in which that is published.
    pub(super) fn last_prepared_cursor(&self) -> Internal<Cursor> {
        self.check_usable()?;
        Ok(self.cursor_of(self.control().load(PREPARED, Ordering::Acquire)))
    }

    /// The cursor from before the first transaction.
    pub fn first_cursor(&self) -> Cursor {
        Cursor { uuid: self.header.uuid, number: 0 }
    }

    /// The cursor of a state that has this number here. The number that a recovery gave to its own copy means nothing to others;
    /// that of the state that it chose does.
    pub(super) fn cursor_of(&self, number: u64) -> Cursor {
        let number = if self.recovery.is_private_copy { self.recovery.number } else { number };
        Cursor { uuid: self.header.uuid, number }
    }

    /// What has changed since a cursor, as of one moment.
    pub fn changes_since(&self, cursor: Cursor) -> Result<ChangedSlots> {
        self.snapshot(|moment| Ok(moment.changes_since(cursor)?))
    }

    /// The same, as of the newest sync.
    pub fn synced_changes_since(&self, cursor: Cursor) -> Result<ChangedSlots> {
        let deadline = Deadline::after(self.settings.lock_timeout);
        let mut attempt_count: u32 = 0;
        loop {
            let newest = self.last_prepared_cursor()?;
            let durable = self.control().load(DURABLE, Ordering::Acquire);
            let gaps = self.check_cursor(cursor, newest)?;
            let synced = self.cursor_of(durable);
            // A cursor from before the sync stays what it is: it must not go back.
            let found = if synced.number <= cursor.number {
                Ok(self.nothing_changed(cursor, gaps))
            } else {
                self.changed_slots(cursor.number, durable, synced, gaps)
            };
            // If a cell was not what it should be, because it was overwritten after another sync, this finds a newer one: what was
            // read is behind the acquire fence at the end of `changed_slots`.
            if self.control().load(DURABLE, Ordering::Relaxed) == durable {
                return Ok(found?);
            }
            attempt_count = attempt_count.saturating_add(1);
            if deadline.has_passed() {
                return Err(Error::SnapshotBusy { attempt_count });
            }
        }
    }

    /// Checks that a cursor is one of the past that led to the newest one. Returns what is known of that past.
    pub(super) fn check_cursor(&self, cursor: Cursor, newest: Cursor) -> Internal<Gaps> {
        if cursor.uuid != newest.uuid {
            return Err(lost(CursorLoss::OtherTable));
        }
        let is_newer = cursor.number > newest.number;
        let gaps = self.gaps()?;
        let loss = gaps.loss_of(cursor.number).or(is_newer.then_some(CursorLoss::NewerThanTable));
        loss.map_or(Ok(gaps), |reason| Err(lost(reason)))
    }

    /// The numbers that recoveries have jumped over.
    pub fn gaps(&self) -> Internal<Gaps> {
        loop {
            let durable = self.control().load(DURABLE, Ordering::Acquire);
            if let Some((_, record)) = self.record_carrying(durable) {
                return Ok(record.gaps);
            }
            // A record is overwritten only once another one is durable.
            fence(Ordering::Acquire);
            if self.control().load(DURABLE, Ordering::Relaxed) == durable {
                self.check_usable()?;
                return Err(Error::damaged(format!("no sync record is that of transaction {durable}")).into());
            }
        }
    }

    fn nothing_changed(&self, cursor: Cursor, gaps: Gaps) -> ChangedSlots {
        let record_words = self.geometry.record_words();
        ChangedSlots {
            cursor,
            forgotten_below: gaps.forgotten_below,
            slots: Vec::new(),
            records: Vec::new(),
            record_words,
        }
    }

    /// The slots that transactions above one number and up to another have changed. The caller makes sure that the cells that
    /// are visible at that other number stay.
    fn changed_slots(&self, after: u64, up_to: u64, cursor: Cursor, gaps: Gaps) -> Internal<ChangedSlots> {
        let mut found = self.nothing_changed(cursor, gaps);
        let collected = self.collect(after, up_to, &mut found);
        // What was read may be that of a recovery under way. Then this handle is stale, whatever was found. It may also be what
        // was written after another sync; then that is found by the next look.
        fence(Ordering::Acquire);
        self.check_usable()?;
        collected?;
        found.slots.sort_unstable_by_key(|changed| (changed.meta.version, changed.meta.id));
        Ok(found)
    }

    fn collect(&self, after: u64, up_to: u64, found: &mut ChangedSlots) -> Internal<()> {
        let heads = self.words().part_of(self.geometry.heads(), widen(self.geometry.capacity()));
        for index in 0..self.geometry.capacity() {
            if Head::from_word(heads.load(widen(index), Ordering::Relaxed)).number() > after {
                self.collect_slot(index, after, up_to, found)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn collect_slot(&self, index: u32, after: u64, up_to: u64, found: &mut ChangedSlots) -> Internal<()> {
        let slot = self.slot(index);
        let mut head = slot.head();
        if head.number() > up_to {
            let numbers = slot.cell_numbers();
            let cell = visible_cell(numbers, up_to).map(|cell| (cell, numbers.get(widen(cell)).copied().unwrap_or(0)));
            match cell {
                Some((cell, number)) if number > after => head = Head::new(number, true, cell),
                // It was first used later, or not written to in between.
                _ => return Ok(()),
            }
        }
        let start = found.records.len();
        found.records.resize(start + found.record_words, 0);
        let payload = found.records.get_mut(start..).unwrap_or_default();
        let Some(header) = slot.copy(head, payload) else { return Err(torn(index, head)) };
        if self.settings.verify_reads && !header.verifies(crc32(bytemuck::cast_slice(payload))) {
            return Err(torn(index, head));
        }
        let start = if header.is_live { Some(start) } else { None };
        if start.is_none() {
            found.records.truncate(found.records.len() - found.record_words);
        }
        found.slots.push(ChangedSlot { meta: Meta::new(index, header), start });
        Ok(())
    }
}

impl Moment<'_> {
    /// The cursor of this moment.
    pub fn cursor(self) -> Cursor {
        self.store().cursor_of(self.number())
    }

    /// What has changed since a cursor.
    pub fn changes_since(self, cursor: Cursor) -> Internal<ChangedSlots> {
        let (store, newest) = (self.store(), self.cursor());
        let gaps = store.check_cursor(cursor, newest)?;
        if cursor == newest {
            return Ok(store.nothing_changed(cursor, gaps));
        }
        store.changed_slots(cursor.number, self.number(), newest, gaps)
    }
}

#[cold]
fn lost(reason: CursorLoss) -> Fault {
    Error::CursorLost { reason }.into()
}

#[cold]
fn torn(slot: u32, head: Head) -> Fault {
    let (number, cell) = (head.number(), head.cell());
    let reason = format!("cell {cell} of slot {slot} does not hold what transaction {number} wrote there");
    Error::damaged(reason).into()
}
