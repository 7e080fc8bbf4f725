//! Fields by name.

use crate::query::condition::{Comparison, Condition, Fragment, Question, Test};
use crate::query::order::{Direction, Order};
#[cfg(feature = "filter")]
use crate::query::pattern::Pattern;
use crate::value::untyped::Value;
use std::borrow::Cow;

/// The field of this name, to be compared with values: see [`Condition`].
///
/// ```
/// use locule::field;
/// assert_eq!(field("hits").between(3, 5).to_string(), "hits >= 3 && hits <= 5");
/// ```
#[must_use]
pub fn field(name: impl Into<Cow<'static, str>>) -> FieldName {
    FieldName { name: name.into() }
}

/// A field by its name, to be compared with values of any type. Whether there is such a field, and whether it can be
/// compared with such a value, is checked against the schema of a table before any record is read. See
/// [`field`] and [`Condition`].
///
/// ```
/// use locule::field;
/// let age = field("age");
/// let adult = age.ge(18);
/// assert_eq!((adult | age.is_none()).to_string(), "age >= 18 || age == null");
/// ```
#[derive(Clone, Debug)]
pub struct FieldName {
    name: Cow<'static, str>,
}

/// The field of this name.
impl From<&'static str> for FieldName {
    fn from(name: &'static str) -> Self {
        field(name)
    }
}

/// The field of this name.
impl From<String> for FieldName {
    fn from(name: String) -> Self {
        field(name)
    }
}

macro_rules! comparisons {
    ($($(#[doc = $doc:literal])+ $method:ident $comparison:ident $example:literal;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// ```
        #[doc = concat!("assert_eq!(locule::field(\"hits\").", stringify!($method), "(3).to_string(), ", $example, ");")]
        /// ```
        #[must_use]
        pub fn $method(&self, value: impl Into<Value>) -> Condition {
            self.is(Comparison::$comparison, value.into())
        }
    )+};
}

macro_rules! fragments {
    ($($(#[doc = $doc:literal])+ $method:ident $fragment:ident $example:literal;)+) => {$(
        $(#[doc = $doc])+
        ///
        /// ```
        #[doc = concat!("assert_eq!(locule::field(\"user\").", stringify!($method), "(\"bo\").to_string(), ", $example, ");")]
        /// ```
        #[must_use]
        pub fn $method(&self, fragment: impl Into<Value>) -> Condition {
            self.asked(Question::Has(Fragment::$fragment, fragment.into()))
        }
    )+};
}

impl FieldName {
    comparisons! {
        /// Whether the field is equal to a value.
        eq Equal r#""hits == 3""#;
        /// Whether the field has a value that is not equal to this one.
        ne NotEqual r#""hits != 3""#;
        /// Whether the field is less than a value.
        lt Less r#""hits < 3""#;
        /// Whether the field is less than a value or equal to it.
        le AtMost r#""hits <= 3""#;
        /// Whether the field is greater than a value.
        gt Greater r#""hits > 3""#;
        /// Whether the field is greater than a value or equal to it.
        ge AtLeast r#""hits >= 3""#;
    }

    /// Whether the field is at least one value and at most another.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").between(3, 5).to_string(), "hits >= 3 && hits <= 5");
    /// ```
    #[must_use]
    pub fn between(&self, least: impl Into<Value>, greatest: impl Into<Value>) -> Condition {
        self.ge(least) & self.le(greatest)
    }

    /// Whether the field is equal to one of some values.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").is_in([3, 5]).to_string(), "hits in [3, 5]");
    /// ```
    #[must_use]
    pub fn is_in(&self, values: impl IntoIterator<Item = impl Into<Value>>) -> Condition {
        self.asked(Question::IsIn(values.into_iter().map(Into::into).collect()))
    }

    fragments! {
        /// Whether the field, which holds text or bytes, begins with these.
        starts_with Start r#""user.startsWith(\"bo\")""#;
        /// Whether these are somewhere in the field, which holds text or bytes.
        contains Anywhere r#""user.contains(\"bo\")""#;
        /// Whether the field, which holds text or bytes, ends with these.
        ends_with End r#""user.endsWith(\"bo\")""#;
    }

    /// Whether a pattern is found somewhere in the field, which holds text. It is a regular expression in the syntax of
    /// RE2, without Unicode's classes of characters, as the crate `regex-lite` has it; `^` and `$` stand for the ends of
    /// the text. What is no pattern is refused when the condition is used.
    ///
    /// ```
    /// assert_eq!(locule::field("user").matches("^bo+b$").to_string(), "user.matches(\"^bo+b$\")");
    /// ```
    #[cfg(feature = "filter")]
    #[must_use]
    pub fn matches(&self, pattern: impl Into<String>) -> Condition {
        self.asked(Question::Matches(Pattern::new(pattern.into())))
    }

    /// Whether the field holds nothing.
    ///
    /// ```
    /// assert_eq!(locule::field("note").is_none().to_string(), "note == null");
    /// ```
    #[must_use]
    pub fn is_none(&self) -> Condition {
        self.asked(Question::IsNone)
    }

    /// Whether the field holds a value.
    ///
    /// ```
    /// assert_eq!(locule::field("note").is_some().to_string(), "note != null");
    /// ```
    #[must_use]
    pub fn is_some(&self) -> Condition {
        self.asked(Question::IsSome)
    }

    /// The order by this field, the smallest first.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").ascending().field(), "hits");
    /// ```
    #[must_use]
    pub fn ascending(&self) -> Order {
        Order::new(self.name.clone(), Direction::Ascending)
    }

    /// The order by this field, the largest first.
    ///
    /// ```
    /// assert_ne!(locule::field("hits").descending(), locule::field("hits").ascending());
    /// ```
    #[must_use]
    pub fn descending(&self) -> Order {
        Order::new(self.name.clone(), Direction::Descending)
    }

    /// The name.
    ///
    /// ```
    /// assert_eq!(locule::field("hits").name(), "hits");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is(&self, comparison: Comparison, value: Value) -> Condition {
        self.asked(Question::Is(comparison, value))
    }

    fn asked(&self, question: Question) -> Condition {
        Condition::of_test(Test { field: self.name.clone(), question })
    }
}
