//! Records that fulfil a condition: read, sorted, counted, changed and deleted.

use super::content::Content;
use super::query_source::Source;
use super::row::Row;
use super::snapshot::Snapshot;
use super::table::Table;
use super::transaction::WriteTransaction;
use crate::engine::read::Meta;
use crate::error::Result;
use crate::query::aggregate::{Extreme, Sum};
use crate::query::condition::Condition;
use crate::query::field_name::FieldName;
use crate::query::order::Order;
use crate::query::predicate::Predicate;
use crate::query::sorting::Sorter;
use crate::schema::FieldSchema;
use crate::value::untyped::Value;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// Which records of a table are wanted, in which order; made by [`Table::query`], [`Snapshot::query`] and
/// [`WriteTransaction::query`], and ended by one of the calls that read or write.
///
/// A query goes over all records. Of those that do not fulfil the condition it reads only the words that the condition
/// names, without a lock, so 10,000 records take a few tens of microseconds. Conditions are made from the fields of the
/// record type, or from names, and are checked against the schema before any record is read: see [`Condition`].
///
/// On a table, each record is as it was at some moment during the call; for one moment of all of them use a snapshot, or
/// a transaction.
///
/// ```
/// use locule::{Table, Text};
///
/// locule::record! {
///     struct Session {
///         key id: u64,
///         user: Text<16>,
///         hits: u32,
///         note: Option<Text<16>>,
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// let table = Table::<Session>::create(directory.path().join("sessions.loc"), 100)?;
/// for (id, user, hits) in [(1, "ada", 7), (2, "bob", 3), (3, "bo", 9), (4, "eve", 3)] {
///     table.insert(&Session { id, user: user.parse()?, hits, note: None })?;
/// }
///
/// let f = Session::FIELDS;
/// let rows = table.query().filter(f.hits.gt(3) | f.user.starts_with("bo")).sort_by(f.hits.descending()).rows()?;
/// assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 1, 2]);
///
/// assert_eq!(table.query().filter(f.note.is_none()).count()?, 4);
/// assert_eq!(table.query().sum(f.hits)?, Some(22_u32.into()));
/// // In one transaction:
/// assert_eq!(table.query().filter(f.hits.le(3)).update(|session| session.hits += 1)?, 2);
/// assert_eq!(table.query().filter(f.hits.ge(7)).delete()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Without a record type, fields are named:
///
/// ```
/// use locule::{Table, Values, field, values};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # let schema: locule::Schema = "key id: u64, hits: u32 = 0".parse()?;
/// let table = Table::<Values>::options().schema(schema).create(&path)?;
/// table.insert(&table.values(values! { id: 42, hits: 7 })?)?;
/// assert!(table.query().filter(field("hits").between(5, 10)).exists()?);
/// let error = table.query().filter(field("hit").gt(5)).count().unwrap_err();
/// assert_eq!(error.to_string(), "there is no field `hit`: did you mean `hits`?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a query does nothing before one of its last calls, such as `rows`"]
pub struct Query<'q, T> {
    pub(super) source: Box<dyn Source + 'q>,
    pub(super) selection: Selection,
    _records: PhantomData<fn() -> T>,
}

/// Which records are wanted.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    condition: Option<Condition>,
    orders: Vec<Order>,
    offset: u64,
    limit: u64,
}

impl<T: Content> Table<T> {
    /// Begins a query of this table.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// let busiest = table.query().sort_by(Visit::FIELDS.hits.descending()).first()?;
    /// assert_eq!(busiest.map(|row| row.id), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&self) -> Query<'_, T> {
        Query::new(Box::new(self.store()))
    }
}

impl<'a, T: Content> Snapshot<'a, T> {
    /// Begins a query of this moment.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// let f = Visit::FIELDS;
    /// let (few, many) = table.snapshot(|view| {
    ///     Ok((view.query().filter(f.hits.lt(3)).count()?, view.query().filter(f.hits.ge(3)).count()?))
    /// })?;
    /// assert_eq!((few, many), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&self) -> Query<'a, T> {
        Query::new(Box::new(self.moment))
    }
}

impl<T: Content> WriteTransaction<'_, T> {
    /// Begins a query of the table as this transaction sees it. Nobody else can change what it finds before the
    /// transaction ends.
    ///
    /// ```
    /// # locule::record! { struct Job { key id: u64, is_taken: bool } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Job>::create(directory.path().join("jobs.loc"), 9)?;
    /// # table.replace_all([5, 3, 4].map(|id| Job { id, is_taken: false }))?;
    /// let f = Job::FIELDS;
    /// // Takes the oldest job that is free.
    /// let job = table.write(|transaction| {
    ///     let free = transaction.query().filter(f.is_taken.eq(false)).sort_by(f.id.ascending()).first()?;
    ///     if let Some(job) = &free {
    ///         transaction.update(job.id(), |job| job.is_taken = true)?;
    ///     }
    ///     Ok(free)
    /// })?;
    /// assert_eq!(job.map(|job| job.id), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn query(&mut self) -> Query<'_, T> {
        Query::new(Box::new(self))
    }
}

impl<'q, T: Content> Query<'q, T> {
    fn new(source: Box<dyn Source + 'q>) -> Self {
        let selection = Selection { condition: None, orders: Vec::new(), offset: 0, limit: u64::MAX };
        Self::of(source, selection)
    }

    pub(super) fn of(source: Box<dyn Source + 'q>, selection: Selection) -> Self {
        Query { source, selection, _records: PhantomData }
    }

    /// Wants only records that fulfil this condition, besides those before it.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// let f = Visit::FIELDS;
    /// assert_eq!(table.query().filter(f.hits.gt(0)).filter(f.id.eq(2)).count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(mut self, condition: Condition) -> Self {
        self.selection.condition = Some(match self.selection.condition.take() {
            Some(before) => before & condition,
            None => condition,
        });
        self
    }

    /// Wants only records that fulfil the condition that this text is, besides those before it: see
    /// [`Condition::parse`].
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().filter_text("hits > 0 && id == 2")?.count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`FilterError`](crate::FilterError). No record is read before.
    #[cfg(feature = "filter")]
    pub fn filter_text(self, text: &str) -> Result<Self, crate::FilterError> {
        let condition = Condition::parse(text, self.source.store().schema())?;
        Ok(self.filter(condition))
    }

    /// Sorts by a field; those that are equal in it are sorted by the one that is given next. Without this, records come
    /// in the order of their slots.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// let f = Visit::FIELDS;
    /// let rows = table.query().sort_by(f.hits.ascending()).sort_by(f.id.descending()).rows()?;
    /// assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2, 3, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sort_by(mut self, order: Order) -> Self {
        self.selection.orders.push(order);
        self
    }

    /// Passes over this many of the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().offset(2).count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offset(mut self, count: u64) -> Self {
        self.selection.offset = count;
        self
    }

    /// Wants no more records than this.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().limit(2).count()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limit(mut self, count: u64) -> Self {
        self.selection.limit = count;
        self
    }

    /// Reads the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// let rows = table.query().filter(Visit::FIELDS.hits.eq(5)).rows()?;
    /// assert_eq!(rows.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnknownField`](crate::Error::UnknownField), [`InvalidArgument`](crate::Error::InvalidArgument) if a condition
    /// compares a field with what it cannot be, those of [any call](crate::Table#errors-that-any-call-can-return), and
    /// [`StaleSnapshot`](crate::Error::StaleSnapshot) in a snapshot.
    pub fn rows(self) -> Result<Vec<Row<T>>> {
        self.iter()?.collect()
    }

    /// Reads the records one after the other. If they are sorted, all of them are read first.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// for row in table.query().filter(Visit::FIELDS.hits.eq(5)).iter()? {
    ///     println!("{}", row?.id);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows); those that come later are items.
    pub fn iter(self) -> Result<QueryRows<'q, T>> {
        let found = self.find()?;
        Ok(QueryRows { words: T::zeroed(found.source.store().schema()), found, is_over: false })
    }

    /// The first of the records; `None` if there is none.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert_eq!(table.query().first()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn first(self) -> Result<Option<Row<T>>> {
        self.iter()?.next().transpose()
    }

    /// Whether there is any such record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert!(!table.query().exists()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn exists(mut self) -> Result<bool> {
        self.selection.limit = self.selection.limit.min(1);
        let mut is_there = false;
        self.unsorted()?.for_each(|_, _| {
            is_there = true;
            Ok(())
        })?;
        Ok(is_there)
    }

    /// How many such records there are: no more than the [`limit`](Self::limit).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// assert_eq!(table.query().count()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn count(self) -> Result<u64> {
        let mut count = 0;
        self.unsorted()?.for_each(|_, _| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// The smallest value of a field; `None` if no record holds anything in it. Of floats, NaN counts only if there is no
    /// other.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().min(Visit::FIELDS.hits)?, Some(1_u32.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn min(self, field: impl Into<FieldName>) -> Result<Option<Value>> {
        self.extreme(field, Extreme::smallest())
    }

    /// The largest value of a field. For all else it is as [`min`](Self::min).
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().max("hits")?, Some(5_u32.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn max(self, field: impl Into<FieldName>) -> Result<Option<Value>> {
        self.extreme(field, Extreme::largest())
    }

    /// The sum of the values of a field of numbers; `None` if no record holds anything in it. That of integers is exact,
    /// floats are added as `f64` in the order of the records.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// assert_eq!(table.query().sum("hits")?, Some(11_u32.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows); and [`InvalidArgument`](crate::Error::InvalidArgument) if the field holds no numbers, or
    /// the sum has more than 128 bits.
    pub fn sum(self, field: impl Into<FieldName>) -> Result<Option<Value>> {
        let field = field.into();
        let mut sum = Sum::of(self.source.store().schema().expect_field(field.name())?.1)?;
        self.for_each_value(field, |value| sum.add(&value))?;
        sum.result()
    }

    /// The values of some fields alone, record by record.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
    /// let hits = table.query().sort_by(Visit::FIELDS.id.descending()).values(["hits", "id"])?;
    /// assert_eq!(hits.first(), Some(&vec![5_u32.into(), 3_u64.into()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn values(self, fields: impl IntoIterator<Item = impl Into<FieldName>>) -> Result<Vec<Vec<Value>>> {
        let schema = self.source.store().schema();
        let field = |name: FieldName| Ok(schema.expect_field(name.name())?.1.clone());
        let fields: Vec<FieldSchema> = fields.into_iter().map(|name| field(name.into())).collect::<Result<_>>()?;
        let mut all = Vec::new();
        self.for_each(|_, record| {
            all.push(fields.iter().map(|field| field.value_in(record.as_ref())).collect::<Result<_>>()?);
            Ok(())
        })?;
        Ok(all)
    }

    fn extreme(self, field: impl Into<FieldName>, mut extreme: Extreme) -> Result<Option<Value>> {
        self.for_each_value(field, |value| {
            extreme.add(value);
            Ok(())
        })?;
        Ok(extreme.result())
    }

    /// The same query for something that no order changes. That the order is possible is checked all the same.
    fn unsorted(mut self) -> Result<Self> {
        Sorter::new(&self.selection.orders, self.source.store().schema())?;
        self.selection.orders.clear();
        Ok(self)
    }

    fn for_each_value(self, field: impl Into<FieldName>, mut body: impl FnMut(Value) -> Result<()>) -> Result<()> {
        let (_, field) = self.source.store().schema().expect_field(field.into().name())?;
        let field = field.clone();
        self.for_each(|_, record| body(field.value_in(record.as_ref())?))
    }

    /// Calls `body` with each of the records.
    pub(super) fn for_each(self, mut body: impl FnMut(Meta, &T::Words) -> Result<()>) -> Result<()> {
        let mut found = self.find()?;
        let mut words = T::zeroed(found.source.store().schema());
        while let Some(meta) = found.next(words.as_mut())? {
            body(meta, &words)?;
        }
        Ok(())
    }

    /// Compiles the query. If its records are to be sorted, it finds all of them.
    fn find(mut self) -> Result<Found<'q>> {
        let schema = self.source.store().schema();
        let Selection { condition, orders, offset, limit } = self.selection;
        let mut predicate = match &condition {
            Some(condition) => Predicate::compile(condition, schema)?,
            None => Predicate::everything(),
        };
        let sorter = Sorter::new(&orders, schema)?;
        let mut slots = 0..self.source.store().geometry().capacity();
        let sorted = if orders.is_empty() {
            None
        } else {
            let mut words = T::zeroed(schema);
            let mut records = Vec::new();
            while let Some(meta) = self.source.next(&mut predicate, &mut slots, words.as_mut())? {
                records.push((sorter.key_of(words.as_ref())?, meta, words.as_ref().to_vec()));
            }
            // The order of slots among those that are equal.
            records.sort_by(|(left, ..), (right, ..)| sorter.compare(left, right));
            let records = records.into_iter().map(|(_, meta, words)| (meta, words));
            Some(records.collect::<Vec<_>>().into_iter())
        };
        Ok(Found { source: self.source, predicate, slots, sorted, offset, left: limit })
    }
}

/// The records of a query, one after the other.
struct Found<'q> {
    source: Box<dyn Source + 'q>,
    predicate: Predicate,
    slots: Range<u32>,
    /// All of them, if they had to be sorted.
    sorted: Option<std::vec::IntoIter<(Meta, Vec<u64>)>>,
    /// How many are passed over, and how many come after that.
    offset: u64,
    left: u64,
}

impl Found<'_> {
    fn next(&mut self, words: &mut [u64]) -> Result<Option<Meta>> {
        while self.offset > 0 {
            self.offset -= 1;
            if self.next_of_all(words)?.is_none() {
                (self.offset, self.left) = (0, 0);
            }
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.next_of_all(words)
    }

    fn next_of_all(&mut self, words: &mut [u64]) -> Result<Option<Meta>> {
        let Some(sorted) = &mut self.sorted else {
            return Ok(self.source.next(&mut self.predicate, &mut self.slots, words)?);
        };
        let Some((meta, record)) = sorted.next() else { return Ok(None) };
        words.copy_from_slice(&record);
        Ok(Some(meta))
    }
}

/// The records of a query, one after the other; made by [`Query::iter`].
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// # table.replace_all([(1, 5), (2, 1), (3, 5)].map(|(id, hits)| Visit { id, hits }))?;
/// let ids = table.query().iter()?.map(|row| Ok(row?.id)).collect::<locule::Result<Vec<u64>>>()?;
/// assert_eq!(ids.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct QueryRows<'q, T: Content> {
    found: Found<'q>,
    words: T::Words,
    is_over: bool,
}

impl<T: Content> Iterator for QueryRows<'_, T> {
    type Item = Result<Row<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.found.next(self.words.as_mut()).and_then(|meta| {
            let Some(meta) = meta else { return Ok(None) };
            Ok(Some(Row::new(meta, T::from_words(&self.words, self.found.source.store().schema())?)))
        });
        self.is_over = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}

impl<T: Content> std::iter::FusedIterator for QueryRows<'_, T> {}

impl<T: Content> fmt::Debug for QueryRows<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryRows").field("slots", &self.found.slots).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Query<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("selection", &self.selection).finish_non_exhaustive()
    }
}
