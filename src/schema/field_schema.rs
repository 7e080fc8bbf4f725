//! One field of a schema: its name, its type, its default and its documentation.

use crate::value::bytes::wrong_length;
use crate::value::field_type::FieldType;
use crate::value::fitting::shortened;
use crate::value::untyped::Value;
use crate::{Error, Result};

/// The presence byte before a value that is there.
const PRESENT: u8 = 1;

/// One field of a [`Schema`](crate::Schema). It is described by [`new`](Self::new) and the methods after it, and gets its place in the
/// record from [`Schema::new`](crate::Schema::new).
///
/// ```
/// use locule::{FieldSchema, FieldType};
///
/// let field = FieldSchema::new("note", FieldType::Text(40)).nullable().with_doc("What the visitor said.");
/// assert_eq!(field.to_string(), "/// What the visitor said.\nnote: text(40)?");
/// assert_eq!(field.field_bytes(), 1 + 2 + 40);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldSchema {
    pub(super) name: String,
    pub(super) field_type: FieldType,
    pub(super) is_nullable: bool,
    pub(super) is_key: bool,
    pub(super) offset_bytes: usize,
    pub(super) default: Option<Vec<u8>>,
    pub(super) doc: String,
}

impl FieldSchema {
    /// A field that is not nullable and not the key, without default and documentation.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).to_string(), "id: u64");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, field_type: FieldType) -> Self {
        FieldSchema {
            name: name.into(),
            field_type,
            is_nullable: false,
            is_key: false,
            offset_bytes: 0,
            default: None,
            doc: String::new(),
        }
    }

    /// The same, but it can hold nothing. A default that it has already stays.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().to_string(), "age: u8?");
    /// ```
    #[must_use]
    pub fn nullable(mut self) -> Self {
        let value_bytes = self.field_type.value_bytes();
        if let Some(default) = self.default.as_mut().filter(|default| default.len() == value_bytes) {
            default.insert(0, PRESENT);
        }
        self.is_nullable = true;
        self
    }

    /// The same, but it is the key.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).key().to_string(), "key id: u64");
    /// ```
    #[must_use]
    pub fn key(mut self) -> Self {
        self.is_key = true;
        self
    }

    /// The same, with the encoded value that is used by inserts that leave the field out. What is known as a value
    /// is a default by [`with_default_value`](Self::with_default_value).
    ///
    /// ```
    /// use locule::{Field, FieldSchema, FieldType, decode_value};
    /// let mut bytes = vec![0; u32::FIELD_BYTES];
    /// 7_u32.encode(&mut bytes);
    /// let field = FieldSchema::new("hits", FieldType::U32).with_default(bytes);
    /// let default = field.default().map(|bytes| decode_value(&field, bytes)).transpose()?;
    /// assert_eq!(default, Some(7_u32.into()));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn with_default(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.default = Some(bytes.into());
        self
    }

    /// The same, with documentation for people.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).with_doc("Never reused.").doc(), "Never reused.");
    /// ```
    #[must_use]
    pub fn with_doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// The field's name: ASCII letters, digits and underscores, not beginning with a digit, at most 255 bytes.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("id", FieldType::U64).name(), "id");
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The field's type, without the option.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().field_type(), FieldType::U8);
    /// ```
    #[must_use]
    pub fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// Whether the field can hold nothing.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// let age = FieldSchema::new("age", FieldType::U8);
    /// assert!(!age.is_nullable() && age.nullable().is_nullable());
    /// ```
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.is_nullable
    }

    /// Whether the field is the key.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// let id = FieldSchema::new("id", FieldType::U64);
    /// assert!(!id.is_key() && id.key().is_key());
    /// ```
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// Where the field begins in the record, in bytes. It is 0 until the field is part of a [`Schema`](crate::Schema).
    ///
    /// ```
    /// use locule::Record;
    /// locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// assert_eq!(Visit::schema().field("hits").map(|field| field.offset_bytes()), Some(8));
    /// ```
    #[must_use]
    pub fn offset_bytes(&self) -> usize {
        self.offset_bytes
    }

    /// The width of the field in the record, in bytes, with the presence byte of a nullable one.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).nullable().field_bytes(), 1 + 1);
    /// ```
    #[must_use]
    pub fn field_bytes(&self) -> usize {
        usize::from(self.is_nullable) + self.field_type.value_bytes()
    }

    /// The encoded default value, if there is one.
    ///
    /// ```
    /// use locule::{FieldSchema, FieldType};
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).default(), None);
    /// assert_eq!(FieldSchema::new("age", FieldType::U8).with_default([9]).default(), Some(&[9][..]));
    /// ```
    #[must_use]
    pub fn default(&self) -> Option<&[u8]> {
        self.default.as_deref()
    }

    /// The documentation, empty if there is none.
    ///
    /// ```
    /// use locule::Record;
    /// locule::record! {
    ///     struct Visit {
    ///         /// The number in the cookie.
    ///         key id: u64,
    ///     }
    /// }
    /// assert_eq!(Visit::schema().key().map(|key| key.doc().to_owned()), Some("The number in the cookie.".to_owned()));
    /// ```
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The value that these bytes are.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Value> {
        if bytes.len() != self.field_bytes() {
            return Err(wrong_length(self.field_bytes(), bytes.len()));
        }
        Value::decode(self.field_type, self.is_nullable, bytes)
    }

    /// The rules that concern a single field.
    pub(super) fn check(&self) -> Result<()> {
        let name = &self.name;
        if !is_field_name(name.as_bytes()) {
            return Err(invalid(format!(
                "a field is named {}: expected ASCII letters, digits and underscores, no digit first, \
                 1 to 255 bytes",
                shortened(name)
            )));
        }
        if let FieldType::Text(0) | FieldType::Bytes(0) = self.field_type {
            return Err(invalid(format!("field `{name}` has type {}, which holds nothing", self.field_type)));
        }
        if self.is_key && self.is_nullable {
            return Err(invalid(format!("key `{name}` is nullable: a key must have a value")));
        }
        if self.is_key && !self.field_type.can_be_key() {
            return Err(invalid(format!("key `{name}` is a float: expected a type whose values equal themselves")));
        }
        if u32::try_from(self.doc.len()).is_err() {
            return Err(invalid(format!("the documentation of field `{name}` has more than 4 GiB")));
        }
        if let Some(default) = &self.default {
            self.decode(default).map_err(|error| {
                // These bytes are the caller's, and of no table.
                let reason = if let Error::Damaged { reason } = error { reason } else { error.to_string() };
                invalid(format!("the default of field `{name}` is not one of its values: {reason}"))
            })?;
        }
        Ok(())
    }
}

/// Whether a field can have this name. It is a constant function so that `record!` can ask when a program is compiled.
pub(crate) const fn is_field_name(name: &[u8]) -> bool {
    if let [] | [b'0'..=b'9', ..] = name {
        return false;
    }
    let mut rest = name;
    while let [byte, others @ ..] = rest {
        if !(byte.is_ascii_alphanumeric() || *byte == b'_') {
            return false;
        }
        rest = others;
    }
    name.len() <= 255
}

pub(super) fn invalid(reason: String) -> Error {
    Error::InvalidArgument { reason }
}
