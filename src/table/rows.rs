//! Iterating over a table.

use super::content::Content;
use super::row::Row;
use super::words::row_of;
use crate::engine::Store;
use crate::engine::read::Moment;
use crate::error::Result;
use std::fmt;
use std::marker::PhantomData;

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
pub struct Rows<'a, T> {
    store: &'a Store,
    /// The moment that all of the records are of; if there is none, they are of any moment.
    moment: Option<Moment<'a>>,
    next_slot: u32,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Content> Rows<'a, T> {
    pub(super) fn new(store: &'a Store) -> Self {
        Rows { store, moment: None, next_slot: 0, _records: PhantomData }
    }

    pub(super) fn of_moment(moment: Moment<'a>) -> Self {
        Rows { moment: Some(moment), ..Rows::new(moment.store()) }
    }

    fn next_row(&mut self) -> Option<Result<Row<T>>> {
        if self.next_slot < self.store.geometry().capacity() {
            if let Err(error) = self.store.check_usable() {
                self.end();
                return Some(Err(error.into()));
            }
        }
        let mut words = T::zeroed(self.store.schema());
        while self.next_slot < self.store.geometry().capacity() {
            let slot = self.next_slot;
            self.next_slot += 1;
            match self.store.read_slot(slot, words.as_mut()) {
                Ok(None) => {}
                Ok(meta) => return row_of(self.store, meta, &words).transpose(),
                Err(fault) => return Some(Err(fault.into())),
            }
        }
        None
    }

    /// What is returned now is the last item.
    fn end(&mut self) {
        self.next_slot = self.store.geometry().capacity();
        self.moment = None;
    }
}

impl<T: Content> Iterator for Rows<'_, T> {
    type Item = Result<Row<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row();
        let Some(moment) = self.moment else { return row };
        // This is checked even if nothing more was found: that there is nothing more has to be of this moment too.
        if let Err(fault) = moment.check() {
            self.end();
            return Some(Err(fault.into()));
        }
        if row.is_none() {
            self.end();
        }
        row
    }
}

impl<T: Content> std::iter::FusedIterator for Rows<'_, T> {}

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        Rows { ..*self }
    }
}

impl<T> fmt::Debug for Rows<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("next_slot", &self.next_slot).finish_non_exhaustive()
    }
}
