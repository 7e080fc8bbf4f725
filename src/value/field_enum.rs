//! The macro that declares an enumeration which can be a field.

/// Declares an enumeration without contents that can be a field of a [`record!`](crate::record): the file stores the
/// number of the variant, as the integer type after the colon.
///
/// ```
/// locule::field_enum! {
///     /// What a worker does.
///     #[derive(Default)]
///     pub enum State: u8 {
///         /// Nothing.
///         #[default]
///         Idle = 0,
///         Busy = 1,
///         Gone = 2,
///     }
/// }
///
/// locule::record! {
///     pub struct Worker {
///         pub key pid: u32,
///         pub state: State = State::Busy,
///         pub before: Option<State>,
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Worker>::options().capacity(9).create(directory.path().join("workers.loc"))?;
/// let id = table.insert(&Worker { pid: 42, before: Some(State::Idle), ..Worker::default() })?;
/// table.update(id, |worker| worker.state = State::Gone)?;
/// assert_eq!(table.get(id)?.map(|row| row.state), Some(State::Gone));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The enumeration is an ordinary one, with the attributes, documentation and visibility that are written. It also has
/// `Clone`, `Copy`, `PartialEq`, `Eq`, `Hash` and `Debug`, derived, and [`FieldValue`](crate::FieldValue). Other traits
/// can be derived by an attribute; those that are derived already can be written, and change nothing.
///
/// Each variant has its number written out, since the file keeps it: a variant can get another name and another place
/// in the list, but its number must stay the same. A number that no variant has, perhaps from a newer program, is an
/// error when the record is read: [`Error::InvalidValue`](crate::Error::InvalidValue), which names the field. A number
/// that does not fit the integer type, or that two variants have, does not compile.
#[macro_export]
macro_rules! field_enum {
    (
        $(#[$($attribute:tt)*])*
        $visibility:vis enum $name:ident : $stored:ident {
            $($(#[$($variant_attribute:tt)*])* $variant:ident = $number:expr),+ $(,)?
        }
    ) => {
        $crate::derive_rules! { @attributes enumeration [] { $(#[$($attribute)*])* } {
            #[derive(
                ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq, ::core::hash::Hash,
                ::core::fmt::Debug,
            )]
            #[repr($stored)]
            $visibility enum $name {
                $($(#[$($variant_attribute)*])* $variant = $number,)+
            }
        } }

        $($($crate::derive_rules! { @variant $($variant_attribute)* })*)+

        impl $crate::FieldValue for $name {
            type Stored = $stored;

            #[inline]
            fn to_stored(&self) -> $stored {
                *self as $stored
            }

            #[inline]
            fn from_stored(stored: $stored) -> $crate::Result<Self> {
                $(if stored == $name::$variant as $stored {
                    return ::core::result::Result::Ok($name::$variant);
                })+
                ::core::result::Result::Err($crate::macro_support::no_variant(
                    ::core::stringify!($name),
                    &[$((::core::stringify!($variant), &($name::$variant as $stored))),+],
                    &stored,
                ))
            }
        }
    };
    ($(#[$($attribute:tt)*])* $visibility:vis enum $name:ident { $($rest:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "expected the integer type that is stored: `enum ", ::core::stringify!($name), ": u8 { ... }`"
        ));
    };
    ($(#[$($attribute:tt)*])* $visibility:vis enum $name:ident : $stored:ident { $($rest:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "expected variants without contents and with the numbers that are stored, `Variant = number`, in `",
            ::core::stringify!($name), "`"
        ));
    };
    ($($other:tt)*) => {
        ::core::compile_error!("expected one enumeration: `enum Name: integer { Variant = number, ... }`");
    };
}
