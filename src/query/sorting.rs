//! By which field, in which direction, and where those go that hold nothing in it.

use crate::error::Result;
use crate::query::field_name::FieldName;
use crate::query::order::{Direction, Nones, compare};
use crate::query::typed_field::TypedField;
use crate::schema::{FieldSchema, Schema};
use crate::value::untyped::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// One field by which records are sorted. By default the smallest is first, and what holds nothing is last, whatever the
/// direction.
///
/// ```
/// use locule::{Direction, field};
///
/// let newest_first = field("seen").descending();
/// let unseen_first = field("seen").ascending().nones_first();
/// assert_eq!(newest_first.direction(), Direction::Descending);
/// # let _ = unseen_first;
/// ```
#[derive(Clone, Debug)]
pub struct Sorting {
    field: FieldName,
    direction: Direction,
    nones: Nones,
}

impl Sorting {
    /// Puts records that hold nothing in the field before all others.
    ///
    /// ```
    /// use locule::{Nones, field};
    /// assert_eq!(field("seen").descending().nones_first().nones(), Nones::First);
    /// ```
    #[must_use]
    pub fn nones_first(self) -> Self {
        Sorting { nones: Nones::First, ..self }
    }

    /// The direction.
    ///
    /// ```
    /// use locule::{Direction, field};
    /// assert_eq!(field("seen").ascending().direction(), Direction::Ascending);
    /// ```
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Where records are that hold nothing in the field.
    ///
    /// ```
    /// use locule::{Nones, field};
    /// assert_eq!(field("seen").ascending().nones(), Nones::Last);
    /// ```
    #[must_use]
    pub fn nones(&self) -> Nones {
        self.nones
    }
}

impl FieldName {
    /// Sorts by this field, the smallest first.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").ascending().direction(), locule::Direction::Ascending);
    /// ```
    #[must_use]
    pub fn ascending(&self) -> Sorting {
        Sorting { field: self.clone(), direction: Direction::Ascending, nones: Nones::Last }
    }

    /// Sorts by this field, the largest first.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").descending().direction(), locule::Direction::Descending);
    /// ```
    #[must_use]
    pub fn descending(&self) -> Sorting {
        Sorting { direction: Direction::Descending, ..self.ascending() }
    }
}

impl<V> TypedField<V> {
    /// Sorts by this field, the smallest first.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.ascending().direction(), locule::Direction::Ascending);
    /// ```
    #[must_use]
    pub fn ascending(self) -> Sorting {
        self.untyped().ascending()
    }

    /// Sorts by this field, the largest first.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.descending().direction(), locule::Direction::Descending);
    /// ```
    #[must_use]
    pub fn descending(self) -> Sorting {
        self.untyped().descending()
    }
}

/// The field of this name.
impl From<&'static str> for FieldName {
    fn from(name: &'static str) -> Self {
        crate::query::field_name::field(name)
    }
}

/// The field of this name.
impl From<String> for FieldName {
    fn from(name: String) -> Self {
        crate::query::field_name::field(Cow::Owned(name))
    }
}

/// How the records of a table are sorted.
pub struct Sorter {
    by: Vec<(FieldSchema, Direction, Nones)>,
}

impl Sorter {
    pub fn new(sortings: &[Sorting], schema: &Schema) -> Result<Self> {
        let by = |Sorting { field, direction, nones }: &Sorting| {
            Ok((schema.expect_field(field.name())?.1.clone(), *direction, *nones))
        };
        Ok(Sorter { by: sortings.iter().map(by).collect::<Result<_>>()? })
    }

    /// What a record is sorted by.
    pub fn key_of(&self, record: &[u64]) -> Result<Vec<Value>> {
        self.by.iter().map(|(field, ..)| field.value_in(record)).collect()
    }

    pub fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        let pairs = self.by.iter().zip(left.iter().zip(right));
        let mut orders = pairs.map(|((_, direction, nones), (left, right))| compare(left, right, *direction, *nones));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
