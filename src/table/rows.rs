//! Iterating over a table.

use super::record::Record;
use super::row::Row;
use super::table::row_of;
use crate::error::Result;
use crate::store::Store;
use std::marker::PhantomData;

/// The records of a table, one slot after the other. See [`Table::iter`](crate::Table::iter). When the table is replaced
/// or condemned meanwhile, the error that says so is the last item.
pub struct Rows<'a, T> {
    store: &'a Store,
    next_slot: u32,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Record> Rows<'a, T> {
    pub(super) fn new(store: &'a Store) -> Self {
        Rows { store, next_slot: 0, _records: PhantomData }
    }
}

impl<T: Record> Iterator for Rows<'_, T> {
    type Item = Result<Row<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_slot < self.store.geometry().capacity() {
            if let Err(error) = self.store.check_usable() {
                // The error is the last thing that is given out.
                self.next_slot = self.store.geometry().capacity();
                return Some(Err(error.into()));
            }
        }
        let mut words = T::ZEROED;
        while self.next_slot < self.store.geometry().capacity() {
            let slot = self.next_slot;
            self.next_slot += 1;
            match self.store.read_slot(slot, words.as_mut()) {
                Ok(None) => {}
                Ok(meta) => return row_of(meta, &words).transpose(),
                Err(fault) => return Some(Err(fault.into())),
            }
        }
        None
    }
}

impl<T: Record> std::iter::FusedIterator for Rows<'_, T> {}

impl<'a, T: Record> IntoIterator for &'a super::table::Table<T> {
    type Item = Result<Row<T>>;
    type IntoIter = Rows<'a, T>;

    fn into_iter(self) -> Rows<'a, T> {
        self.iter()
    }
}
