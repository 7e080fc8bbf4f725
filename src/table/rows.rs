//! Iterating over a table.

use super::content::Content;
use super::row::Row;
use crate::engine::Store;
use crate::engine::read::{Meta, Moment};
use crate::error::{Internal, Result};
use std::fmt;

/// The records of a table, one slot after the other. See [`Table::iter`](crate::Table::iter). If the handle ends
/// meanwhile, such as when the table is replaced, the error that says so is the last item. A clone goes on from the same
/// slot.
///
/// ```
/// use locule::{Result, Rows};
///
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// /// All hits together.
/// fn sum(rows: Rows<'_, Visit>) -> Result<u32> {
///     rows.map(|row| Ok(row?.hits)).sum()
/// }
///
/// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
/// assert_eq!(sum(table.iter())?, 6);
/// // The same, of one moment.
/// assert_eq!(table.snapshot(|view| sum(view.iter()))?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Rows<'a, T: Content> {
    store: &'a Store,
    /// The moment that all of the records are of; if there is none, they are of any moment.
    moment: Option<Moment<'a>>,
    next_slot: u32,
    /// The words of the record that was copied last: room that is made once.
    words: T::Words,
}

impl<'a, T: Content> Rows<'a, T> {
    pub(super) fn new(store: &'a Store) -> Self {
        Rows { store, moment: None, next_slot: 0, words: T::zeroed(store.schema()) }
    }

    pub(super) fn of_moment(moment: Moment<'a>) -> Self {
        Rows { moment: Some(moment), ..Rows::new(moment.store()) }
    }

    /// The records that a closure accepts. One that it does not accept is never moved.
    pub(super) fn select(mut self, mut accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        let mut selected = Vec::new();
        while let Some(meta) = self.next_words()? {
            let record = T::from_words(&self.words, self.store.schema())?;
            if accept(&record) {
                selected.push(Row::new(meta, record));
            }
        }
        Ok(selected)
    }

    /// Copies the next record. What is returned fits registers, and so nothing waits for it to be written and read again.
    #[inline(always)]
    fn next_words(&mut self) -> Internal<Option<Meta>> {
        let next = self.next_of_any_moment();
        let Some(moment) = self.moment else { return next };
        // This is checked even if nothing more was found: that there is nothing more has to be of this moment too.
        if let Err(fault) = moment.check() {
            self.end();
            return Err(fault);
        }
        if let Ok(None) = next {
            self.end();
        }
        next
    }

    #[inline(always)]
    fn next_of_any_moment(&mut self) -> Internal<Option<Meta>> {
        let capacity = self.store.geometry().capacity();
        if self.next_slot < capacity {
            if let Err(fault) = self.store.check_usable() {
                self.end();
                return Err(fault);
            }
        }
        while self.next_slot < capacity {
            let slot = self.next_slot;
            self.next_slot += 1;
            if let Some(meta) = self.store.read_slot(slot, self.words.as_mut())? {
                return Ok(Some(meta));
            }
        }
        Ok(None)
    }

    /// What is returned now is the last item.
    fn end(&mut self) {
        self.next_slot = self.store.geometry().capacity();
        self.moment = None;
    }
}

impl<T: Content> Iterator for Rows<'_, T> {
    type Item = Result<Row<T>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let meta = match self.next_words() {
            Ok(Some(meta)) => meta,
            Ok(None) => return None,
            Err(fault) => return Some(Err(fault.into())),
        };
        match T::from_words(&self.words, self.store.schema()) {
            Ok(record) => Some(Ok(Row::new(meta, record))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<T: Content> std::iter::FusedIterator for Rows<'_, T> {}

impl<T: Content> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        Rows { words: self.words.clone(), ..*self }
    }
}

impl<T: Content> fmt::Debug for Rows<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("next_slot", &self.next_slot).finish_non_exhaustive()
    }
}
