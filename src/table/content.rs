//! What the records of a table can be: values of a type that the program declares, or rows without a type. Every
//! operation is written once, for both.

use super::record::Record;
use crate::error::{Error, Result};
use crate::format::header::Header;
use crate::schema::Schema;
use std::sync::Arc;

/// What the records of a [`Table`](crate::Table) can be: a type declared by [`record!`](crate::record), or
/// [`Values`](crate::Values), which is a row without a type. It is implemented for these, and for nothing else.
///
/// ```
/// use locule::{Content, Result, Table};
///
/// /// Works for tables with and without a type.
/// fn is_half_full<T: Content>(table: &Table<T>) -> Result<bool> {
///     Ok(table.len()? * 2 >= table.capacity())
/// }
///
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// let table = Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// assert!(!is_half_full(&table)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    note = "declare the struct inside `locule::record! {{ ... }}`, or use `locule::Values`"
)]
pub trait Content: Sized + 'static {
    /// Words that hold one record.
    #[doc(hidden)]
    type Words: AsRef<[u64]> + AsMut<[u64]> + Clone;

    /// The schema that a table of these has; `None` if it is whatever the file says.
    #[doc(hidden)]
    fn own_schema() -> Option<Schema>;

    /// Checks that a file holds these.
    #[doc(hidden)]
    fn check_header(header: &Header) -> Result<()>;

    /// Words to read a record into, all zero.
    #[doc(hidden)]
    fn zeroed(schema: &Arc<Schema>) -> Self::Words;

    /// The record in words, padded with zeros.
    #[doc(hidden)]
    fn to_words(&self, schema: &Arc<Schema>) -> Result<Self::Words>;

    /// The record that these words encode.
    #[doc(hidden)]
    fn from_words(words: &Self::Words, schema: &Arc<Schema>) -> Result<Self>;
}

impl<T: Record> Content for T {
    type Words = T::Words;

    fn own_schema() -> Option<Schema> {
        Some(T::schema())
    }

    fn check_header(header: &Header) -> Result<()> {
        T::schema().expect_in_file(&header.schema)?;
        let word_count = T::ZEROED.as_ref().len();
        if (T::RECORD_BYTES, word_count) == (header.geometry.record_bytes(), header.geometry.record_words()) {
            return Ok(());
        }
        let reason = format!("{} bytes in {word_count} words are not what the schema says", T::RECORD_BYTES);
        Err(Error::InvalidArgument { reason })
    }

    #[inline(always)]
    fn zeroed(_schema: &Arc<Schema>) -> T::Words {
        T::ZEROED
    }

    #[inline(always)]
    fn to_words(&self, _schema: &Arc<Schema>) -> Result<T::Words> {
        let mut words = T::ZEROED;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.as_mut());
        if let Some(bytes) = bytes.get_mut(..T::RECORD_BYTES) {
            self.encode(bytes);
        }
        Ok(words)
    }

    #[inline(always)]
    fn from_words(words: &T::Words, _schema: &Arc<Schema>) -> Result<Self> {
        let bytes: &[u8] = bytemuck::cast_slice(words.as_ref());
        T::decode(bytes.get(..T::RECORD_BYTES).unwrap_or_default())
    }
}
