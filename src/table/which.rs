//! Which record is meant: one with an id, or one with a key. Everything that is done to a record can be done to either.

use super::content::Content;
use super::record::Keyed;
use super::words::key_words;
use crate::engine::Store;
use crate::engine::read::{Meta, Moment};
use crate::engine::transaction::Transaction;
use crate::error::{Error, Internal, Result};
use crate::record_id::RecordId;
use crate::value::field::Key;

/// Which record is meant.
pub trait Which<T: Content> {
    /// Copies the record as it is published.
    fn read(&self, store: &Store, words: &mut T::Words) -> Internal<Option<Meta>>;

    /// Copies the record as it is at a moment.
    fn read_at(&self, moment: Moment<'_>, words: &mut T::Words) -> Internal<Option<Meta>>;

    /// Copies the record as a transaction sees it.
    fn read_in(&self, transaction: &mut Transaction<'_>, words: &mut T::Words) -> Internal<Option<Meta>>;
}

impl<T: Content> Which<T> for RecordId {
    #[inline(always)]
    fn read(&self, store: &Store, words: &mut T::Words) -> Internal<Option<Meta>> {
        store.get(*self, words.as_mut())
    }

    fn read_at(&self, moment: Moment<'_>, words: &mut T::Words) -> Internal<Option<Meta>> {
        moment.get(*self, words.as_mut())
    }

    fn read_in(&self, transaction: &mut Transaction<'_>, words: &mut T::Words) -> Internal<Option<Meta>> {
        transaction.get(*self, words.as_mut())
    }
}

/// The record with a key.
pub struct ByKey<'k, Q: ?Sized>(pub &'k Q);

impl<T: Keyed, Q: Key<T::Key> + ?Sized> Which<T> for ByKey<'_, Q> {
    #[inline(always)]
    fn read(&self, store: &Store, words: &mut T::Words) -> Internal<Option<Meta>> {
        let mut encoded = T::ZEROED_KEY;
        if !self.0.encode_key(encoded.as_mut()) {
            return Ok(None);
        }
        store.find(encoded.as_ref(), words.as_mut())
    }

    fn read_at(&self, moment: Moment<'_>, words: &mut T::Words) -> Internal<Option<Meta>> {
        let mut encoded = T::ZEROED_KEY;
        if !self.0.encode_key(encoded.as_mut()) {
            return Ok(None);
        }
        moment.find(encoded.as_ref(), words.as_mut())
    }

    fn read_in(&self, transaction: &mut Transaction<'_>, words: &mut T::Words) -> Internal<Option<Meta>> {
        let Some(key) = key_words::<T, Q>(self.0) else { return Ok(None) };
        transaction.find(key.as_ref(), words.as_mut())
    }
}

/// Why nothing was written: the closure left the record as it is, or there was an error.
pub(super) enum Unwritten {
    Left,
    Failed(Error),
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Unwritten::Failed(error)
    }
}

impl Unwritten {
    pub(super) fn catch<R>(result: Result<R, Self>) -> Result<Option<R>> {
        match result {
            Ok(result) => Ok(Some(result)),
            Err(Unwritten::Left) => Ok(None),
            Err(Unwritten::Failed(error)) => Err(error),
        }
    }
}

/// What was done to the record with an id, if there was one.
#[inline(always)]
pub(super) fn found<R>(id: RecordId, done: Option<R>) -> Result<R> {
    done.ok_or_else(|| not_found(id))
}

#[cold]
fn not_found(id: RecordId) -> Error {
    Error::NotFound { id }
}
