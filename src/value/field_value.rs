//! How types of a program's own become field types of the file.

use std::fmt;

use super::field::Field;
use super::field::sealed::Present;
use super::inline::{Bytes, Text};
use super::time::{Date, Timestamp};
use crate::format::cell::RecordId;
use crate::{Error, Result};

/// A type that a field of a [`record!`](crate::record) can have. Implement it for a type of your own to say as which field type
/// the file stores it; for an enumeration, [`field_enum!`](crate::field_enum) does that.
///
/// It is implemented for each [`Field`], which is stored as it is; for `[u8; N]`, which is stored as [`Bytes<N>`](Bytes); for
/// [`RecordId`]; and for an `Option` of each type that has it, unless that is stored as an option already. Other arrays have no implementation: the
/// format has no type that could tell a dump what their bytes mean, so give each number a field, or write a type of your own for
/// the array that says how it becomes [`Bytes`].
///
/// ```
/// use locule::{FieldValue, Text};
///
/// /// An address that has been looked at once, when it was made.
/// #[derive(Clone, Debug, PartialEq)]
/// pub struct Email(String);
///
/// impl Email {
///     const BYTES_MAX: usize = 64;
///
///     pub fn new(address: &str) -> Option<Self> {
///         let is_good = address.contains('@') && address.len() <= Self::BYTES_MAX;
///         is_good.then(|| Email(address.to_owned()))
///     }
/// }
///
/// impl FieldValue for Email {
///     type Stored = Text<{ Email::BYTES_MAX }>;
///
///     fn to_stored(&self) -> Self::Stored {
///         Text::new(&self.0).expect("no longer than BYTES_MAX, as `new` saw to")
///     }
///
///     fn from_stored(stored: Self::Stored) -> locule::Result<Self> {
///         // What another program wrote need not be an address.
///         Email::new(&stored).ok_or_else(|| locule::Error::InvalidValue { reason: format!("{stored:?} is no address") })
///     }
/// }
///
/// locule::record! {
///     struct User {
///         key email: Email,
///         invited_by: Option<Email>,
///     }
/// }
///
/// // A user can be looked up by an `Email`; and by a `str`, if that is said.
/// impl locule::Key<Email> for str {
///     fn encode_key(&self, bytes: &mut [u8]) -> bool {
///         locule::Key::<Text<{ Email::BYTES_MAX }>>::encode_key(self, bytes)
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("users.loc");
/// let table = locule::Table::<User>::options().capacity(100).create(&path)?;
/// let ada = Email::new("ada@example.org").ok_or("no address")?;
/// table.insert(&User { email: ada.clone(), invited_by: None })?;
/// assert_eq!(table.find(&ada)?.map(|row| row.email.clone()), Some(ada));
/// assert!(table.find("ada@example.org")?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Changing the stored type makes another record, and a file of the old one is refused. The file knows nothing of this type, so
/// `locule dump` and programs that use the stored type by itself can read it too.
///
/// # Rules
///
/// `from_stored` should give back the value of which `to_stored` made what is stored. Values that are equal should be stored
/// equal, and if they are keys, values that are not equal should not: the file compares what is stored. Where this is broken,
/// records are not found or have other values than were written, and nothing worse.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    note = "a field is a bool, an integer from i8 to i128 or u8 to u128, f32, f64, Text<N>, Bytes<N>, [u8; N], Timestamp, Date, \
            a type that implements `locule::FieldValue`, or an Option of one of these"
)]
pub trait FieldValue: Clone + PartialEq + fmt::Debug + 'static {
    /// The field type that the file has.
    type Stored: Field;

    /// What is stored of this value.
    fn to_stored(&self) -> Self::Stored;

    /// The value of which this is stored.
    ///
    /// # Errors
    ///
    /// Any error if no value is stored like this, such as [`Error::InvalidValue`]; the reason of that one gets the name of the
    /// field put in front. It is returned by the read that met it.
    fn from_stored(stored: Self::Stored) -> Result<Self>;
}

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
        Ok(stored.into())
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
