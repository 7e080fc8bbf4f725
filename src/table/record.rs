//! Typed records: the traits, and the macro that implements them for a struct.

use crate::{Field, FieldValue, KeyField, Result, Schema};

/// A struct whose values are the records of a table.
///
/// It is implemented by [`record!`](crate::record), and only by that: the trait has hidden parts, which are not part of
/// the interface.
///
/// ```
/// use locule::Record;
///
/// locule::record! {
///     pub struct Visit {
///         key id: u64,
///         hits: u32 = 1,
///     }
/// }
///
/// let visit = Visit { id: 7, ..Visit::default() };
/// let mut bytes = [0; Visit::RECORD_BYTES];
/// visit.encode(&mut bytes);
/// assert_eq!(Visit::decode(&bytes)?, visit);
/// assert_eq!(Visit::schema().to_string(), "key id: u64, hits: u32 = 1");
/// # Ok::<(), locule::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    note = "declare the struct inside `locule::record! {{ ... }}`"
)]
pub trait Record: Sized + 'static {
    /// The width of an encoded record, in bytes: the widths of its fields, which lie there in order and without gaps.
    const RECORD_BYTES: usize;

    /// An array of words that holds [`RECORD_BYTES`](Self::RECORD_BYTES) bytes: a record is shared in whole words.
    #[doc(hidden)]
    type Words: WordArray;

    /// Words to encode into, all zero.
    #[doc(hidden)]
    const ZEROED: Self::Words;

    /// The names, types, defaults and documentation of the fields. It is made anew by each call.
    ///
    /// ```
    /// use locule::Record;
    ///
    /// locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(Visit::schema().fields().len(), 2);
    /// ```
    fn schema() -> Schema;

    /// Writes the record.
    ///
    /// ```
    /// use locule::Record;
    ///
    /// locule::record! { struct Visit { key id: u8, hits: u8 } }
    /// let mut bytes = vec![0; Visit::RECORD_BYTES]; // such as a message to another process
    /// Visit { id: 7, hits: 2 }.encode(&mut bytes);
    /// assert_eq!(bytes, [7, 2]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `bytes` is not exactly [`RECORD_BYTES`](Self::RECORD_BYTES) long.
    fn encode(&self, bytes: &mut [u8]);

    /// Reads a record that [`encode`](Self::encode) wrote.
    ///
    /// ```
    /// use locule::Record;
    ///
    /// locule::record! { struct Visit { key id: u8, is_new: bool } }
    /// assert_eq!(Visit::decode(&[7, 1])?, Visit { id: 7, is_new: true });
    /// assert!(Visit::decode(&[7, 2]).is_err()); // no `bool`
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`](crate::Error::Damaged), which names the field, for any bytes that `encode` does not write.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

/// An array of words: `[u64; N]`, and nothing else. Of use to [`record!`](crate::record) alone.
///
/// ```
/// use locule::Record;
///
/// locule::record! { struct Visit { key id: u64, hits: u32 } }
///
/// assert_eq!(Visit::ZEROED, [0; 2]); // twelve bytes
/// ```
///
/// If users could write a type of their own, it could give another length each time that it is asked, and so reach into
/// records that lie beside it.
///
/// ```compile_fail
/// #[derive(Clone, Copy)]
/// struct Elastic;
/// impl AsRef<[u64]> for Elastic {
///     fn as_ref(&self) -> &[u64] { &[0; 99] }
/// }
/// impl AsMut<[u64]> for Elastic {
///     fn as_mut(&mut self) -> &mut [u64] { &mut [] }
/// }
/// impl locule::WordArray for Elastic {}
/// ```
#[doc(hidden)]
pub trait WordArray: Copy + AsRef<[u64]> + AsMut<[u64]> + Send + Sync + 'static + sealed::Sealed {}

impl<const N: usize> WordArray for [u64; N] {}

mod sealed {
    pub trait Sealed {}
    impl<const N: usize> Sealed for [u64; N] {}
}

/// A [`Record`] that has a key. Like that trait, it is implemented by [`record!`](crate::record) only.
///
/// ```
/// use locule::Keyed;
///
/// locule::record! { struct User { age: u8, key name: locule::Text<32> } }
///
/// let user = User { name: "ada".parse()?, age: 36 };
/// assert_eq!(user.key(), "ada");
/// assert_eq!((User::KEY_OFFSET_BYTES, User::KEY_BYTES), (1, 2 + 32));
/// # Ok::<(), locule::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key",
    note = "write `key` before a field inside `locule::record! {{ ... }}`"
)]
pub trait Keyed: Record {
    /// The type of the key.
    type Key: FieldValue<Stored: KeyField>;
    /// Where the key begins in an encoded record, in bytes.
    const KEY_OFFSET_BYTES: usize;
    /// The width of the key in an encoded record, in bytes.
    const KEY_BYTES: usize = <<Self::Key as FieldValue>::Stored as Field>::FIELD_BYTES;
    /// An array that holds an encoded key.
    #[doc(hidden)]
    type EncodedKey: AsRef<[u8]> + AsMut<[u8]>;
    /// A key to encode into, all zero.
    #[doc(hidden)]
    const ZEROED_KEY: Self::EncodedKey;

    /// The key of this record.
    ///
    /// ```
    /// use locule::Keyed;
    ///
    /// locule::record! { struct User { age: u8, key name: locule::Text<32> } }
    ///
    /// /// Works for records of any type that have a key.
    /// fn keys<T: Keyed>(records: &[T]) -> Vec<&T::Key> {
    ///     records.iter().map(T::key).collect()
    /// }
    ///
    /// assert_eq!(keys(&[User { name: "ada".parse()?, age: 36 }]), ["ada"]);
    /// # Ok::<(), locule::Error>(())
    /// ```
    fn key(&self) -> &Self::Key;
}

/// Declares a struct whose values are the records of a table.
///
/// ```
/// use locule::{Text, Timestamp};
///
/// locule::record! {
///     /// One visitor's session.
///     #[derive(PartialOrd)]
///     pub struct Session {
///         /// The number in the visitor's cookie.
///         pub key id: u64,
///         pub user: Text<32>,
///         pub hits: u32 = 1,
///         pub score: f64,
///         pub seen: Timestamp,
///         pub note: Option<Text<40>> = Some(Text::literal("new")),
///     }
/// }
///
/// let session = Session { id: 42, user: "alice".parse()?, ..Session::default() };
/// assert_eq!((session.hits, session.note.as_deref()), (1, Some("new")));
/// # Ok::<(), locule::Error>(())
/// ```
///
/// The struct is an ordinary one, with the attributes, documentation and visibility that are written, on it and on each
/// field. It also has:
///
/// * `Clone`, `PartialEq` and `Debug`, derived. Other traits can be derived by an attribute; those that the macro adds
///   anyway can be written, and change nothing. (If another macro writes the derive, the compiler says "conflicting
///   implementations".)
/// * `Copy`, if the types of all fields have it.
/// * `Default`, if the types of all fields without a default have it: each field has its default, or else that of its
///   type.
/// * `FIELDS`, a constant that has the fields under their names, as [`TypedField`](crate::TypedField)s: conditions are
///   made from them, such as `Session::FIELDS.hits.gt(3)`.
/// * [`Record`](crate::Record), and [`Keyed`](crate::Keyed) if there is a key.
///
/// A **field** is a `bool`, an integer, `f32`, `f64`, [`Text`](crate::Text), [`Bytes`](crate::Bytes), `[u8; N]`,
/// [`Timestamp`](crate::Timestamp), [`Date`](crate::Date), an enumeration made by [`field_enum!`](crate::field_enum),
/// any other type that implements [`FieldValue`](crate::FieldValue), or an `Option` of one of these. Those of this
/// crate have to be imported or written with their path, like any type. All fields together have at most 65,536 bytes.
/// Field names are ASCII; a raw one, such as `r#type`, has its plain name in the file. A field's documentation goes
/// into the file.
///
/// **`key`** before the name of at most one field makes it the [key](crate::KeyField): any type but one that is stored
/// as a float or an option.
///
/// A **default** is a constant expression of the field's type. One that does not fit, such as a too long
/// [`Text::literal`](crate::Text::literal), does not compile.
///
/// The struct is not generic. Fields cannot be conditional (`#[cfg]`), since all programs that share a file must agree
/// on them. A struct of more than about a hundred fields, attributes and derives needs `#![recursion_limit = "512"]` at
/// the top of the crate.
#[macro_export]
macro_rules! record {
    (
        $(#[$($attribute:tt)*])*
        $visibility:vis struct $name:ident { $($fields:tt)* }
    ) => {
        $crate::record_rules! {
            @read [$(#[$($attribute)*])* $visibility struct $name] [] [] { $($fields)* }
        }
    };
    ($(#[$($attribute:tt)*])* $visibility:vis struct $name:ident < $($rest:tt)*) => {
        ::core::compile_error!("a record cannot have generics: its encoding must be known");
    };
    ($(#[$($attribute:tt)*])* $visibility:vis struct $name:ident $($rest:tt)*) => {
        ::core::compile_error!("a record needs named fields: `struct Name { field: type, ... }`");
    };
    ($($other:tt)*) => {
        ::core::compile_error!("expected one record: `struct Name { field: type, ... }`");
    };
}

/// The rules behind [`record!`](crate::record). `@read` takes one field off the front of `{ ... }` at each step:
///
/// ```text
/// @read [attributes visibility struct Name] [the key, if it was read] [the fields read so far] { the others }
/// ```
///
/// The key is `name (type) [the types before it]`, a field is `{[attributes] [visibility] is_key name (type)
/// [default]}`. Mistakes are looked for first, since a type cannot be looked into once it is matched as one.
#[doc(hidden)]
#[macro_export]
macro_rules! record_rules {
    // The end.
    (@read $head:tt $key:tt [] {}) => {
        ::core::compile_error!("a record needs at least one field");
    };
    (@read [$($head:tt)*] $key:tt [$($field:tt)+] {}) => {
        $crate::record_rules! { @write [$($head)*] $($field)+ }
        $crate::record_rules! { @write_key [$($head)*] $key }
    };

    // `key pub id` is read like `pub key id`.
    (@read $head:tt $key:tt $done:tt {
        $(#[$($attribute:tt)*])* key pub $(($($scope:tt)*))? $name:ident : $($rest:tt)*
    }) => {
        $crate::record_rules! {
            @read $head $key $done { $(#[$($attribute)*])* pub $(($($scope)*))? key $name : $($rest)* }
        }
    };

    // Mistakes.
    (@read $head:tt [$($key:tt)+] $done:tt { $(#[$($attribute:tt)*])* $visibility:vis key $name:ident : $($rest:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "two keys: a record has at most one, and `", ::core::stringify!($name), "` is the second"
        ));
    };
    (@read $head:tt $key:tt $done:tt { $(#[$($attribute:tt)*])* $visibility:vis key $name:ident : Option < $($rest:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "a nullable key: `", ::core::stringify!($name), "` must always have a value"
        ));
    };
    (@read $head:tt $key:tt $done:tt { $(#[$($attribute:tt)*])* $visibility:vis key $name:ident : f32 $($rest:tt)* }) => {
        $crate::record_rules! { @float_key $name }
    };
    (@read $head:tt $key:tt $done:tt { $(#[$($attribute:tt)*])* $visibility:vis key $name:ident : f64 $($rest:tt)* }) => {
        $crate::record_rules! { @float_key $name }
    };
    (@float_key $name:ident) => {
        ::core::compile_error!(::core::concat!(
            "a float key: `", ::core::stringify!($name), "` could be a value that does not equal itself"
        ));
    };
    (@read $head:tt $key:tt $done:tt {
        $(#[$($attribute:tt)*])* $visibility:vis $($name:ident)+ : $($segment:ident)::+ < 0 $($rest:tt)*
    }) => {
        $crate::record_rules! { @zero_width $($name)+ }
    };
    (@read $head:tt $key:tt $done:tt {
        $(#[$($attribute:tt)*])* $visibility:vis $($name:ident)+ : Option < $($segment:ident)::+ < 0 $($rest:tt)*
    }) => {
        $crate::record_rules! { @zero_width $($name)+ }
    };
    (@zero_width $($name:ident)+) => {
        ::core::compile_error!(::core::concat!(
            "a zero-width field: `", ::core::stringify!($($name)+), "` can hold nothing, its capacity is at least 1 byte"
        ));
    };

    // The key, and any other field.
    (@read $head:tt [] [$({
        $attributes_before:tt $visibility_before:tt $is_key_before:tt $name_before:ident ($type_before:ty) $default_before:tt
    })*] {
        $(#[$($attribute:tt)*])* $visibility:vis key $name:ident : $type:ty $(= $default:expr)? $(, $($rest:tt)*)?
    }) => {
        $crate::record_rules! {
            @read $head
            [$name ($type) [$($type_before),*]]
            [
                $({
                    $attributes_before $visibility_before $is_key_before $name_before ($type_before) $default_before
                })*
                {[$(#[$($attribute)*])*] [$visibility] true $name ($type) [$($default)?]}
            ]
            { $($($rest)*)? }
        }
    };
    (@read $head:tt $key:tt [$($done:tt)*] {
        $(#[$($attribute:tt)*])* $visibility:vis $name:ident : $type:ty $(= $default:expr)? $(, $($rest:tt)*)?
    }) => {
        $crate::record_rules! {
            @read $head $key
            [$($done)* {[$(#[$($attribute)*])*] [$visibility] false $name ($type) [$($default)?]}]
            { $($($rest)*)? }
        }
    };
    (@read $head:tt $key:tt $done:tt { $($rest:tt)+ }) => {
        ::core::compile_error!(::core::concat!(
            "expected a field, `[pub] [key] name: type [= default]`, found: ", ::core::stringify!($($rest)+)
        ));
    };

    (@write [$(#[$($attribute:tt)*])* $visibility:vis struct $name:ident] $({
        [$(#[$($field_attribute:tt)*])*] [$field_visibility:vis] $is_key:tt $field:ident ($type:ty) [$($default:expr)?]
    })+) => {
        $crate::derive_rules! { @attributes record [] { $(#[$($attribute)*])* } {
            #[derive(::core::clone::Clone, ::core::cmp::PartialEq, ::core::fmt::Debug)]
            $visibility struct $name {
                $($(#[$($field_attribute)*])* $field_visibility $field: $type,)+
            }
        } }

        // `for<'a>`, although nothing has that lifetime: without it a condition that is never true does not compile.
        impl ::core::marker::Copy for $name where $(for<'a> $type: ::core::marker::Copy),+ {}

        // What the rules above cannot see. Nothing in this block has a name, so that it hides no name of the caller.
        const _: () = {
            ::core::assert!(
                <$name as $crate::Record>::RECORD_BYTES <= $crate::Schema::RECORD_BYTES_MAX,
                "a record has at most 65,536 bytes"
            );
            $(::core::assert!(
                $crate::macro_support::is_field_name(::core::stringify!($field)),
                "a field name is made of at most 255 ASCII letters, digits and underscores"
            );)+
        };
        // Each default once more, since a constant without a name is computed even if nothing uses it.
        $($(const _: $type = $default;)?)+

        // The struct has no name outside of this block. Its types are parameters, named like the fields, so that a type
        // that does not exist is one error and not two.
        const _: () = {
            #[allow(dead_code, missing_docs, non_camel_case_types, clippy::builtin_type_shadow)]
            #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
            $visibility struct Fields<$($field),+> {
                $($field_visibility $field: $crate::TypedField<$field>,)+
            }

            impl $name {
                /// The fields, to be named in conditions and queries.
                #[allow(dead_code)]
                $visibility const FIELDS: Fields<$($type),+> = Fields {
                    $($field: $crate::TypedField::new($crate::macro_support::plain_name(::core::stringify!($field))),)+
                };
            }
        };

        impl $crate::Record for $name {
            const RECORD_BYTES: usize = 0 $(+ <$type as $crate::macro_support::RecordField>::CODE.stored_bytes)+;
            type Words = [u64; <$name as $crate::Record>::RECORD_BYTES.div_ceil(8)];
            const ZEROED: Self::Words = [0; <$name as $crate::Record>::RECORD_BYTES.div_ceil(8)];

            fn schema() -> $crate::Schema {
                $crate::macro_support::schema([$(
                    (<$type as $crate::macro_support::RecordField>::CODE.schema)(
                        &$crate::macro_support::Declaration {
                            name: ::core::stringify!($field),
                            is_key: $is_key,
                            doc_lines: &[$($crate::record_rules!(@doc $($field_attribute)*)),*],
                        },
                        &[$($crate::record_rules!(@default $default))?],
                    )
                ),+])
            }

            #[inline(always)]
            fn encode(&self, bytes: &mut [u8]) {
                // Checked once, so that the compiler need not check at each field.
                ::core::assert_eq!(bytes.len(), <$name as $crate::Record>::RECORD_BYTES, "the width of a record");
                let mut rest = bytes;
                $((<$type as $crate::macro_support::RecordField>::CODE.encode_next)(&self.$field, &mut rest);)+
            }

            #[inline(always)]
            fn decode(bytes: &[u8]) -> $crate::Result<Self> {
                let mut rest = $crate::macro_support::exactly(bytes, <$name as $crate::Record>::RECORD_BYTES)?;
                // The fields of a struct expression are computed in the order in which they are written.
                ::core::result::Result::Ok($name {
                    $($field: (<$type as $crate::macro_support::RecordField>::CODE.decode_next)(
                        &mut rest,
                        ::core::stringify!($field),
                    )?,)+
                })
            }
        }

        impl ::core::default::Default for $name
        where
            $(for<'a> $crate::record_rules!(@unless_default $type, $($default)?): ::core::default::Default),+
        {
            fn default() -> Self {
                $name { $($field: $crate::record_rules!(@default_or_else $type, $($default)?),)+ }
            }
        }
    };

    (@write_key $head:tt []) => {};
    (@write_key [$(#[$($attribute:tt)*])* $visibility:vis struct $name:ident] [$key:ident ($type:ty) [$($before:ty),*]]) => {
        impl $crate::Keyed for $name {
            type Key = $type;
            const KEY_OFFSET_BYTES: usize = 0 $(+ <$before as $crate::macro_support::RecordField>::CODE.stored_bytes)*;
            type EncodedKey = [u8; <$type as $crate::macro_support::RecordField>::CODE.stored_bytes];
            const ZEROED_KEY: Self::EncodedKey = [0; <$type as $crate::macro_support::RecordField>::CODE.stored_bytes];

            #[inline]
            fn key(&self) -> &$type {
                &self.$key
            }
        }
    };

    (@default $default:expr) => { $default };
    (@default_or_else $type:ty,) => { <$type as ::core::default::Default>::default() };
    (@default_or_else $type:ty, $default:expr) => { $default };

    // A type that must have a default itself, if none is written.
    (@unless_default $type:ty,) => { $type };
    (@unless_default $type:ty, $default:expr) => { () };

    (@doc doc = $text:expr) => { ::core::option::Option::Some($text) };
    (@doc cfg $($condition:tt)*) => {
        ::core::compile_error!("a field of a record cannot be conditional: all programs that share a file need the same ones")
    };
    (@doc $($other:tt)*) => { ::core::option::Option::None };
}
