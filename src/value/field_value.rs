//! How a program's own types become field types of the file.

use super::field::FieldValue;
use super::field::sealed::Present;
use super::inline::{Bytes, Text};
use super::time::{Date, Timestamp};
use crate::record_id::RecordId;
use crate::{Error, Result};
use std::str::FromStr;

/// The types that are stored as they are.
macro_rules! stored_as_itself {
    ($([$($capacity:ident)?] $type:ty),+) => {$(
        impl $(<const $capacity: usize>)? FieldValue for $type {
            type Stored = Self;

            #[inline(always)]
            fn to_stored(&self) -> Self {
                *self
            }

            #[inline(always)]
            fn from_stored(stored: Self) -> Result<Self> {
                Ok(stored)
            }
        }
    )+};
}

stored_as_itself!([] bool, [] i8, [] i16, [] i32, [] i64, [] i128, [] u8, [] u16, [] u32, [] u64, [] u128, [] f32, [] f64);
stored_as_itself!([] Timestamp, [] Date, [N] Text<N>, [N] Bytes<N>);

impl<T: FieldValue<Stored: Present>> FieldValue for Option<T> {
    type Stored = Option<T::Stored>;

    #[inline(always)]
    fn to_stored(&self) -> Self::Stored {
        self.as_ref().map(T::to_stored)
    }

    #[inline(always)]
    fn from_stored(stored: Self::Stored) -> Result<Self> {
        stored.map(T::from_stored).transpose()
    }
}

/// Stored as the number that it is, so that a record can name another one.
///
/// ```
/// locule::record! {
///     struct Node {
///         key name: locule::Text<16>,
///         parent: Option<locule::RecordId>,
///     }
/// }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Node>::options().capacity(9).create(directory.path().join("nodes.loc"))?;
/// let root = table.insert(&Node { name: "root".parse()?, parent: None })?;
/// let leaf = table.insert(&Node { name: "leaf".parse()?, parent: Some(root) })?;
/// assert_eq!(table.get(leaf)?.and_then(|node| node.parent), Some(root));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl FieldValue for RecordId {
    type Stored = u64;

    #[inline]
    fn to_stored(&self) -> u64 {
        (*self).into()
    }

    #[inline]
    fn from_stored(stored: u64) -> Result<Self> {
        Ok(RecordId::from_u64(stored))
    }
}

/// Reads what `Display` writes: the number.
impl FromStr for RecordId {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidValue`] if it is not a number of 64 bits.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(RecordId::from_u64).map_err(|_| Error::InvalidValue {
            reason: format!("expected a record id, a number of up to 64 bits, found {text:?}"),
        })
    }
}

/// Stored as [`Bytes`] that are full.
///
/// ```
/// locule::record! {
///     struct Blob {
///         key digest: [u8; 32],
///         owner: Option<[u8; 16]>,
///     }
/// }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Blob>::options().capacity(9).create(directory.path().join("blobs.loc"))?;
/// table.insert(&Blob { digest: [7; 32], owner: None })?;
/// assert!(table.contains_key(&[7; 32])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<const N: usize> FieldValue for [u8; N] {
    type Stored = Bytes<N>;

    #[inline]
    fn to_stored(&self) -> Bytes<N> {
        (*self).into()
    }

    #[inline]
    fn from_stored(stored: Bytes<N>) -> Result<Self> {
        <[u8; N]>::try_from(stored.as_slice())
            .map_err(|_| Error::InvalidValue { reason: format!("expected {N} bytes, found {}", stored.len()) })
    }
}
