//! What the closure of a snapshot reads from.

use super::record::{Keyed, Record};
use super::row::Row;
use super::rows::Rows;
use super::words::row_of;
use crate::engine::read::{Meta, Moment};
use crate::error::Result;
use crate::record_id::RecordId;
use crate::value::field::Key;
use std::fmt;
use std::marker::PhantomData;

/// A table as of one moment. See [`Table::snapshot`](crate::Table::snapshot).
///
/// Whatever is read from it is of this moment. Once something else is written the moment has passed, and each read
/// returns [`StaleSnapshot`](crate::Error::StaleSnapshot): the closure passes that on, and runs again with another
/// moment.
pub struct Snapshot<'a, T> {
    moment: Moment<'a>,
    _records: PhantomData<fn() -> T>,
}

impl<'a, T: Record> Snapshot<'a, T> {
    pub(super) fn new(moment: Moment<'a>) -> Self {
        Snapshot { moment, _records: PhantomData }
    }

    /// The record with an id.
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::get`](crate::Table::get).
    pub fn get(&self, id: RecordId) -> Result<Option<Row<T>>> {
        let mut words = T::ZEROED;
        let meta = self.moment.get(id, words.as_mut())?;
        row_of(meta, &words)
    }

    /// All records. Once the moment has passed, an error that says so is the last item.
    pub fn iter(&self) -> Rows<'a, T> {
        Rows::of_moment(self.moment)
    }

    /// The records that a closure accepts.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the first error ends the search.
    pub fn select(&self, mut accept: impl FnMut(&T) -> bool) -> Result<Vec<Row<T>>> {
        self.iter().filter(|row| row.as_ref().map_or(true, |row| accept(row))).collect()
    }

    /// How many records there are.
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::len`](crate::Table::len).
    pub fn len(&self) -> Result<u64> {
        Ok(self.moment.live_count()?)
    }

    /// Whether there is no record.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl<T: Keyed> Snapshot<'_, T> {
    /// The record with a key.
    ///
    /// # Errors
    ///
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) once the moment has passed, and as
    /// [`Table::find`](crate::Table::find).
    pub fn find<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<Option<Row<T>>> {
        let mut words = T::ZEROED;
        let meta = self.find_words(key, &mut words)?;
        row_of(meta, &words)
    }

    /// Whether there is a record with a key.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn contains_key<Q: Key<T::Key> + ?Sized>(&self, key: &Q) -> Result<bool> {
        let mut words = T::ZEROED;
        Ok(self.find_words(key, &mut words)?.is_some())
    }

    fn find_words<Q: Key<T::Key> + ?Sized>(&self, key: &Q, words: &mut T::Words) -> Result<Option<Meta>> {
        let mut encoded = T::ZEROED_KEY;
        if !key.encode_key(encoded.as_mut()) {
            return Ok(None);
        }
        Ok(self.moment.find(encoded.as_ref(), words.as_mut())?)
    }
}

impl<T> fmt::Debug for Snapshot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
