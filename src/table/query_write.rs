//! Changing and deleting all records that fulfil a condition, in one step.

use super::content::Content;
use super::query::Query;
use crate::engine::Encoded;
use crate::error::{Error, Result};
use crate::format::geometry::word;
use crate::record_id::RecordId;
use crate::schema::Schema;
use std::sync::Arc;

impl<T: Content> Query<'_, T> {
    /// Changes all of the records in one transaction: all of them, or none after an error. Returns how many.
    ///
    /// The closure is called with each record once, while the write lock is held, so it should be short.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().filter(Visit::FIELDS.hits.eq(5)).update(|visit| visit.hits = 0)?, 2);
    /// assert_eq!(table.query().sum("hits")?, Some(1_u32.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows) and [`Table::update`](crate::Table::update);
    /// [`InvalidArgument`](Error::InvalidArgument) in a snapshot.
    pub fn update(self, mut change: impl FnMut(&mut T)) -> Result<u64> {
        self.try_update(|record| {
            change(record);
            Ok(())
        })
    }

    /// The same with a closure that can fail: then nothing was changed.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// let outcome = table.query().try_update(|visit| {
    ///     visit.hits = visit.hits.checked_sub(2).ok_or_else(|| locule::Error::caller("too few"))?;
    ///     Ok(())
    /// });
    /// assert!(outcome.is_err());
    /// assert_eq!(table.query().sum("hits")?, Some(11_u32.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), and those of the closure.
    pub fn try_update(self, mut change: impl FnMut(&mut T) -> Result<()>) -> Result<u64> {
        self.write(|query, schema| {
            let geometry = *query.source.store().geometry();
            let mut steps = Vec::new();
            query.for_each(|meta, words| {
                let mut record = T::from_words(words, schema)?;
                change(&mut record)?;
                let new = record.to_words(schema)?;
                let old = words.as_ref();
                if !geometry.is_same_key(new.as_ref(), |index| old.get(index).copied().unwrap_or(0)) {
                    return Err(Error::KeyChanged);
                }
                steps.push((meta.id, Some(new)));
                Ok(())
            })?;
            Ok(steps)
        })
    }

    /// Deletes all of the records in one transaction: all of them, or none after an error. Returns how many.
    ///
    /// With a [`limit`](Self::limit) it is short: a table of sessions that expire is kept clean by a call now and then.
    ///
    /// ```
    /// use locule::Timestamp;
    /// use std::time::Duration;
    ///
    /// # locule::record! { struct Session { key id: u64, seen: Timestamp } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Session>::create(directory.path().join("sessions.loc"), 9)?;
    /// table.insert(&Session { id: 1, seen: Timestamp::now() - Duration::from_secs(7200) })?;
    /// table.insert(&Session { id: 2, seen: Timestamp::now() })?;
    /// let an_hour_ago = Timestamp::now() - Duration::from_secs(3600);
    /// assert_eq!(table.query().filter(Session::FIELDS.seen.lt(an_hour_ago)).limit(100).delete()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn delete(self) -> Result<u64> {
        self.write(|query, _| {
            let mut steps = Vec::new();
            query.for_each(|meta, _| {
                steps.push((meta.id, None));
                Ok(())
            })?;
            Ok(steps)
        })
    }

    /// Looks for the records in a transaction, and then takes the steps that `plan` says: so an error on the way leaves a
    /// transaction of the caller's as it was.
    fn write(self, mut plan: impl FnMut(Query<'_, T>, &Arc<Schema>) -> Result<Vec<Step<T>>>) -> Result<u64> {
        let Query { mut source, selection, .. } = self;
        source.write(&mut |transaction, is_half_done| {
            let schema = Arc::clone(transaction.store().schema());
            let steps = plan(Query::of(Box::new(&mut *transaction), selection.clone()), &schema)?;
            *is_half_done = true;
            for (id, new) in &steps {
                match new {
                    Some(words) => transaction.update(*id, None, Encoded::new(words.as_ref()))?,
                    None => transaction.delete(*id, None)?,
                };
            }
            *is_half_done = false;
            Ok(word(steps.len()))
        })
    }
}

/// A record, and its new content; `None` if it is to be deleted.
type Step<T> = (RecordId, Option<<T as Content>::Words>);
