//! What a query reads from: a table, a moment of it, or a transaction.

use super::transaction::{WriteTransaction, broken};
use crate::engine::Store;
use crate::engine::guard::inside_closure;
use crate::engine::read::{Meta, Moment};
use crate::engine::transaction::Transaction;
use crate::error::{Error, Internal, Result};
use crate::query::predicate::Predicate;
use std::ops::Range;

/// What is done inside a transaction. While the flag is set, an error leaves only part of it done.
pub type Body<'b> = dyn FnMut(&mut Transaction<'_>, &mut bool) -> Result<u64> + 'b;

pub trait Source {
    fn store(&self) -> &Store;

    /// Copies the next record for which the predicate is true: see `scan`.
    fn next(&mut self, predicate: &mut Predicate, slots: &mut Range<u32>, words: &mut [u64]) -> Internal<Option<Meta>>;

    /// Does something in a transaction: all of it, or nothing.
    fn write(&mut self, body: &mut Body<'_>) -> Result<u64>;
}

impl Source for &Store {
    fn store(&self) -> &Store {
        self
    }

    fn next(&mut self, predicate: &mut Predicate, slots: &mut Range<u32>, words: &mut [u64]) -> Internal<Option<Meta>> {
        predicate.scan(self, slots, words)
    }

    fn write(&mut self, body: &mut Body<'_>) -> Result<u64> {
        let mut transaction = self.begin()?;
        let done = inside_closure(self, || body(&mut transaction, &mut false))?;
        transaction.commit()?;
        // A sync takes the write lock itself.
        drop(transaction);
        self.sync_if_due().map_err(Error::from)?;
        Ok(done)
    }
}

impl Source for Moment<'_> {
    fn store(&self) -> &Store {
        Moment::store(*self)
    }

    fn next(&mut self, predicate: &mut Predicate, slots: &mut Range<u32>, words: &mut [u64]) -> Internal<Option<Meta>> {
        predicate.scan(self, slots, words)
    }

    fn write(&mut self, _body: &mut Body<'_>) -> Result<u64> {
        let reason = "a snapshot can only be read: query the table itself, or a transaction".to_owned();
        Err(Error::InvalidArgument { reason })
    }
}

impl Source for &mut Transaction<'_> {
    fn store(&self) -> &Store {
        Transaction::store(self)
    }

    fn next(&mut self, predicate: &mut Predicate, slots: &mut Range<u32>, words: &mut [u64]) -> Internal<Option<Meta>> {
        predicate.scan(*self, slots, words)
    }

    fn write(&mut self, body: &mut Body<'_>) -> Result<u64> {
        body(self, &mut false)
    }
}

impl<T> Source for &mut WriteTransaction<'_, T> {
    fn store(&self) -> &Store {
        self.transaction.store()
    }

    fn next(&mut self, predicate: &mut Predicate, slots: &mut Range<u32>, words: &mut [u64]) -> Internal<Option<Meta>> {
        predicate.scan(&mut self.transaction, slots, words)
    }

    fn write(&mut self, body: &mut Body<'_>) -> Result<u64> {
        if self.is_broken {
            return Err(broken());
        }
        body(&mut self.transaction, &mut self.is_broken)
    }
}
