//! Fields whose type the compiler knows.

use crate::query::condition::Condition;
use crate::query::field_name::{FieldName, field};
use crate::query::order::Order;
use crate::value::field::FieldValue;
use crate::value::field::sealed::Present;
use crate::value::inline::{Bytes, Text};
use crate::value::untyped::Value;
use std::fmt;
use std::marker::PhantomData;

/// A field of a record, to be compared with values that it can have: what is compared with something else does not
/// compile. `V` is the type that the field was declared with.
///
/// ```
/// use locule::TypedField;
///
/// const HITS: TypedField<u32> = TypedField::new("hits");
/// const NOTE: TypedField<Option<locule::Text<40>>> = TypedField::new("note");
/// assert_eq!((HITS.gt(3) & NOTE.starts_with("to do")).to_string(), "hits > 3 && note.startsWith(\"to do\")");
/// ```
///
/// ```compile_fail
/// # use locule::TypedField;
/// # const HITS: TypedField<u32> = TypedField::new("hits");
/// let condition = HITS.gt("x");
/// ```
///
/// A field of a nullable type is compared with what it can hold, not with an option: whether it holds anything is asked by
/// [`is_none`](Self::is_none) and [`is_some`](Self::is_some).
///
/// ```compile_fail
/// # use locule::TypedField;
/// # const AGE: TypedField<Option<u8>> = TypedField::new("age");
/// let condition = AGE.eq(None);
/// ```
pub struct TypedField<V> {
    name: &'static str,
    _type: PhantomData<fn() -> V>,
}

/// A value that a field of type `V` can be compared with: a value of that type, or what can stand for it, such as `&str`
/// for [`Text`] and `&[u8]` for [`Bytes`]; for a nullable field, what it can hold. Implement it to say what can stand for a
/// value of your own type.
///
/// ```
/// use locule::{Operand, Text, TypedField, Value};
///
/// /// A color by its English name, which records store as text.
/// enum Color { Red, Blue }
///
/// impl Operand<Text<8>> for Color {
///     fn into_value(self) -> Value {
///         match self {
///             Color::Red => "red".into(),
///             Color::Blue => "blue".into(),
///         }
///     }
/// }
///
/// const COLOR: TypedField<Text<8>> = TypedField::new("color");
/// assert_eq!(COLOR.is_in([Color::Red, Color::Blue]).to_string(), "color in [\"red\", \"blue\"]");
/// ```
#[diagnostic::on_unimplemented(message = "a field of type `{V}` cannot be compared with `{Self}`")]
pub trait Operand<V> {
    /// The value that is stored for it.
    ///
    /// ```
    /// use locule::{Operand, Value};
    /// assert_eq!(Operand::<Option<u8>>::into_value(3_u8), Value::Unsigned(3));
    /// ```
    fn into_value(self) -> Value;
}

impl<V: FieldValue<Stored: Present + Into<Value>>> Operand<V> for V {
    fn into_value(self) -> Value {
        self.to_stored().into()
    }
}

impl<V: FieldValue<Stored: Present + Into<Value>>> Operand<V> for &V {
    fn into_value(self) -> Value {
        self.to_stored().into()
    }
}

impl<V: FieldValue<Stored: Present + Into<Value>>> Operand<Option<V>> for V {
    fn into_value(self) -> Value {
        self.to_stored().into()
    }
}

impl<V: FieldValue<Stored: Present + Into<Value>>> Operand<Option<V>> for &V {
    fn into_value(self) -> Value {
        self.to_stored().into()
    }
}

macro_rules! stands_for {
    ($($inline:ident: $([$($generic:tt)*] $type:ty),+;)+) => {$($(
        impl<$($generic)* const N: usize> Operand<$inline<N>> for $type {
            fn into_value(self) -> Value {
                self.into()
            }
        }

        impl<$($generic)* const N: usize> Operand<Option<$inline<N>>> for $type {
            fn into_value(self) -> Value {
                self.into()
            }
        }
    )+)+};
}

stands_for! {
    Text: [] &str, [] String;
    Bytes: [] &[u8], [] Vec<u8>, [const M: usize,] [u8; M], [const M: usize,] &[u8; M];
}

impl<const N: usize> Operand<Text<N>> for &String {
    fn into_value(self) -> Value {
        self.as_str().into()
    }
}

impl<const N: usize> Operand<Option<Text<N>>> for &String {
    fn into_value(self) -> Value {
        self.as_str().into()
    }
}

mod sealed {
    /// The types of fields that hold any number of bytes up to a limit, so that these can begin or end with others.
    #[diagnostic::on_unimplemented(message = "a field of type `{Self}` has no beginning and no end: it is not text")]
    pub trait Sequence {}

    /// The types of fields that hold text, so that patterns can be looked for in it.
    #[cfg(feature = "filter")]
    #[diagnostic::on_unimplemented(
        message = "no pattern can be looked for in a field of type `{Self}`: it is not text"
    )]
    pub trait Writing {}
}

use sealed::Sequence;

impl<const N: usize> Sequence for Text<N> {}
impl<const N: usize> Sequence for Bytes<N> {}
impl<V: Sequence> Sequence for Option<V> {}

#[cfg(feature = "filter")]
use sealed::Writing;

#[cfg(feature = "filter")]
impl<const N: usize> Writing for Text<N> {}
#[cfg(feature = "filter")]
impl<V: Writing> Writing for Option<V> {}

macro_rules! comparisons {
    ($($(#[doc = $doc:literal])+ $method:ident $example:literal;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// ```
        /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
        #[doc = concat!("assert_eq!(HITS.", stringify!($method), "(3).to_string(), ", $example, ");")]
        /// ```
        #[must_use]
        pub fn $method(self, value: impl Operand<V>) -> Condition {
            self.untyped().$method(value.into_value())
        }
    )+};
}

macro_rules! fragments {
    ($($(#[doc = $doc:literal])+ $method:ident $example:literal;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// ```
        /// const USER: locule::TypedField<locule::Text<8>> = locule::TypedField::new("user");
        #[doc = concat!("assert_eq!(USER.", stringify!($method), "(\"bo\").to_string(), ", $example, ");")]
        /// ```
        #[must_use]
        pub fn $method(self, fragment: impl Operand<V>) -> Condition
        where
            V: Sequence,
        {
            self.untyped().$method(fragment.into_value())
        }
    )+};
}

impl<V> TypedField<V> {
    /// The field of this name.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.name(), "hits");
    /// ```
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        TypedField { name, _type: PhantomData }
    }

    /// The name.
    ///
    /// ```
    /// assert_eq!(locule::TypedField::<u32>::new("hits").name(), "hits");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The same field, to be compared with values of any type.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.untyped().lt(2.5).to_string(), "hits < 2.5");
    /// ```
    #[must_use]
    pub fn untyped(self) -> FieldName {
        field(self.name)
    }

    comparisons! {
        /// Whether the field is equal to a value.
        eq r#""hits == 3""#;
        /// Whether the field has a value that is not equal to this one.
        ne r#""hits != 3""#;
        /// Whether the field is less than a value.
        lt r#""hits < 3""#;
        /// Whether the field is less than a value or equal to it.
        le r#""hits <= 3""#;
        /// Whether the field is greater than a value.
        gt r#""hits > 3""#;
        /// Whether the field is greater than a value or equal to it.
        ge r#""hits >= 3""#;
    }

    /// Whether the field is at least one value and at most another.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.between(3, 5).to_string(), "hits >= 3 && hits <= 5");
    /// ```
    #[must_use]
    pub fn between(self, least: impl Operand<V>, greatest: impl Operand<V>) -> Condition {
        self.untyped().between(least.into_value(), greatest.into_value())
    }

    /// Whether the field is equal to one of some values.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.is_in([3, 5]).to_string(), "hits in [3, 5]");
    /// ```
    #[must_use]
    pub fn is_in(self, values: impl IntoIterator<Item = impl Operand<V>>) -> Condition {
        self.untyped().is_in(values.into_iter().map(Operand::into_value))
    }

    fragments! {
        /// Whether the field begins with these bytes or this text.
        starts_with r#""user.startsWith(\"bo\")""#;
        /// Whether these bytes or this text are somewhere in the field.
        contains r#""user.contains(\"bo\")""#;
        /// Whether the field ends with these bytes or this text.
        ends_with r#""user.endsWith(\"bo\")""#;
    }

    /// Whether a pattern is found somewhere in the text of the field: see [`FieldName::matches`].
    ///
    /// ```
    /// const USER: locule::TypedField<locule::Text<8>> = locule::TypedField::new("user");
    /// assert_eq!(USER.matches("^bo+b$").to_string(), "user.matches(\"^bo+b$\")");
    /// ```
    #[cfg(feature = "filter")]
    #[must_use]
    pub fn matches(self, pattern: impl Into<String>) -> Condition
    where
        V: Writing,
    {
        self.untyped().matches(pattern)
    }

    /// Whether the field holds nothing, which only a nullable field can.
    ///
    /// ```
    /// const AGE: locule::TypedField<Option<u8>> = locule::TypedField::new("age");
    /// assert_eq!(AGE.is_none().to_string(), "age == null");
    /// ```
    #[must_use]
    pub fn is_none(self) -> Condition {
        self.untyped().is_none()
    }

    /// Whether the field holds a value.
    ///
    /// ```
    /// const AGE: locule::TypedField<Option<u8>> = locule::TypedField::new("age");
    /// assert_eq!(AGE.is_some().to_string(), "age != null");
    /// ```
    #[must_use]
    pub fn is_some(self) -> Condition {
        self.untyped().is_some()
    }

    /// The order by this field, the smallest first.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.ascending(), locule::field("hits").ascending());
    /// ```
    #[must_use]
    pub fn ascending(self) -> Order {
        self.untyped().ascending()
    }

    /// The order by this field, the largest first.
    ///
    /// ```
    /// const HITS: locule::TypedField<u32> = locule::TypedField::new("hits");
    /// assert_eq!(HITS.descending(), locule::field("hits").descending());
    /// ```
    #[must_use]
    pub fn descending(self) -> Order {
        self.untyped().descending()
    }
}

impl<V> Clone for TypedField<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for TypedField<V> {}

impl<V> From<TypedField<V>> for FieldName {
    fn from(typed: TypedField<V>) -> Self {
        typed.untyped()
    }
}

impl<V> fmt::Debug for TypedField<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedField").field(&self.name).finish()
    }
}
