//! A record without a Rust type: a value for each field of a schema.
//!
//! Invariant: there is one value for each field, and it is the one that the field would be decoded to. So a record that
//! exists can be written.

use super::content::Content;
use crate::error::{Error, Result};
use crate::format::header::Header;
use crate::query::condition::Condition;
use crate::query::predicate::Predicate;
use crate::schema::{FieldSchema, Schema, decode_value};
use crate::value::untyped::Value;
use std::fmt;
use std::sync::Arc;

/// The values of one record, by the names of its fields. What a [`Table`](crate::Table)`<Values>` holds: a table that is
/// used without the Rust type of its records, by the schema in its file.
///
/// A `Values` always fits its schema: it has a value for each field, and no value that the field cannot hold. Numbers are
/// compared by value when they are put in, so `5` of any integer type fits a `u8`, and is a [`Value::Unsigned`] from then
/// on.
///
/// ```
/// use locule::{Schema, Table, Value, Values, values};
///
/// let schema: Schema = "key id: u64, user: text(32), hits: u32 = 0, note: text(40)?".parse()?;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("sessions.loc");
/// let table = Table::<Values>::options().schema(schema).create(&path)?;
/// let id = table.insert(&table.values(values! { id: 42, user: "ada" })?)?;
///
/// let row = table.find(42)?.ok_or("not there")?;
/// assert_eq!(row.get("user"), Some(&Value::from("ada")));
/// assert_eq!(row.get("hits"), Some(&Value::from(0_u32))); // its default
/// assert_eq!(row.get("note"), Some(&Value::Null));
///
/// table.update_fields(id, values! { hits: 1, note: "first" })?;
/// assert_eq!(table.get(id)?.ok_or("not there")?.to_string(), "id: 42, user: ada, hits: 1, note: first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Values {
    schema: Arc<Schema>,
    values: Vec<Value>,
}

impl Values {
    /// A record of which some fields are named. A field that is not named gets its default; without one it holds nothing,
    /// if it can.
    ///
    /// ```
    /// use locule::{Values, values};
    /// # use std::sync::Arc;
    ///
    /// let schema = Arc::new("key id: u64, user: text(32), hits: u32 = 0".parse()?);
    /// let ada = Values::named(&schema, values! { id: 42, user: "ada" })?;
    /// assert_eq!(ada.to_string(), "id: 42, user: ada, hits: 0");
    /// let error = Values::named(&schema, values! { id: 42, usr: "ada" }).unwrap_err();
    /// assert_eq!(error.to_string(), "there is no field `usr`: did you mean `user`?");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnknownField`](Error::UnknownField); [`InvalidValue`](Error::InvalidValue) if a value does not
    /// fit its field; [`InvalidArgument`](Error::InvalidArgument) if a field is named twice, or one that
    /// needs a value is not named.
    pub fn named<N: AsRef<str>, V: Into<Value>>(
        schema: &Arc<Schema>,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self> {
        Self::complete(schema, fields, |_, value| Ok(value.into()))
    }

    /// A record of which all fields are given, in the order of the schema.
    ///
    /// ```
    /// use locule::{Value, Values};
    /// # use std::sync::Arc;
    ///
    /// let schema = Arc::new("key id: u64, user: text(32)".parse()?);
    /// let ada = Values::positional(&schema, [Value::from(42), "ada".into()])?;
    /// assert_eq!(ada.to_string(), "id: 42, user: ada");
    /// assert!(Values::positional(&schema, [42]).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named); and [`InvalidArgument`](Error::InvalidArgument) unless there are as many values as
    /// fields.
    pub fn positional<V: Into<Value>>(schema: &Arc<Schema>, values: impl IntoIterator<Item = V>) -> Result<Self> {
        let values: Vec<Value> = values.into_iter().map(V::into).collect();
        expect_one_for_each(schema, values.len())?;
        let values =
            schema.fields().iter().zip(values).map(|(field, value)| fit(field, value)).collect::<Result<_>>()?;
        Ok(Values { schema: Arc::clone(schema), values })
    }

    /// As [`named`](Self::named), of texts, which are read by the types of the fields: see
    /// [`FieldSchema::parse_value`].
    ///
    /// ```
    /// use locule::Values;
    /// # use std::sync::Arc;
    ///
    /// let schema = Arc::new("key id: u64, seen: timestamp?".parse()?);
    /// let row = Values::parse_named(&schema, [("id", "42"), ("seen", "2024-02-29T12:00:00Z")])?;
    /// assert_eq!(row.to_string(), "id: 42, seen: 2024-02-29T12:00:00.000000Z");
    /// assert!(Values::parse_named(&schema, [("id", "forty-two")]).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn parse_named<N: AsRef<str>, S: AsRef<str>>(
        schema: &Arc<Schema>,
        fields: impl IntoIterator<Item = (N, S)>,
    ) -> Result<Self> {
        Self::complete(schema, fields, |field, text| field.parse_value(text.as_ref()))
    }

    /// As [`positional`](Self::positional), of texts, which are read by the types of the fields.
    ///
    /// ```
    /// use locule::Values;
    /// # use std::sync::Arc;
    ///
    /// let schema = Arc::new("key id: u64, is_new: bool".parse()?);
    /// let line = "42,true";
    /// assert_eq!(Values::parse_positional(&schema, line.split(','))?.to_string(), "id: 42, is_new: true");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`positional`](Self::positional).
    pub fn parse_positional<S: AsRef<str>>(schema: &Arc<Schema>, texts: impl IntoIterator<Item = S>) -> Result<Self> {
        let texts: Vec<S> = texts.into_iter().collect();
        expect_one_for_each(schema, texts.len())?;
        let parsed = schema.fields().iter().zip(texts).map(|(field, text)| field.parse_value(text.as_ref()));
        Self::positional(schema, parsed.collect::<Result<Vec<Value>>>()?)
    }

    fn complete<N: AsRef<str>, V>(
        schema: &Arc<Schema>,
        fields: impl IntoIterator<Item = (N, V)>,
        value_of: impl Fn(&FieldSchema, V) -> Result<Value>,
    ) -> Result<Self> {
        let given = given(schema, fields, value_of)?;
        let or_default = |(field, value): (&FieldSchema, Option<Value>)| value.map_or_else(|| default_of(field), Ok);
        let values = schema.fields().iter().zip(given).map(or_default).collect::<Result<_>>()?;
        Ok(Values { schema: Arc::clone(schema), values })
    }

    /// The schema that the values fit.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64".parse()?);
    /// let row = locule::Values::positional(&schema, [42])?;
    /// assert_eq!(row.schema().to_string(), "key id: u64");
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The value of a field; `None` if there is no field of that name. A field that holds nothing has [`Value::Null`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64".parse()?);
    /// let row = locule::Values::positional(&schema, [42])?;
    /// assert_eq!((row.get("id"), row.get("di")), (Some(&42_u64.into()), None));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Gives a field another value. After an error nothing has changed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64, hits: u8".parse()?);
    /// let mut row = locule::Values::positional(&schema, [42, 1])?;
    /// row.set("hits", 2)?;
    /// assert_eq!(row.set("hits", 256).unwrap_err().to_string(), "field `hits`: expected a u8, 0 to 255, found the integer 256");
    /// assert_eq!(row.to_string(), "id: 42, hits: 2");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.set_all([(name, value)])
    }

    /// Gives several fields other values: all of them, or none after an error.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64, hits: u8, note: text(9)?".parse()?);
    /// let mut row = locule::Values::named(&schema, [("id", 42), ("hits", 1)])?;
    /// row.set_all(locule::values! { hits: 2, note: "new" })?;
    /// assert!(row.set_all(locule::values! { hits: 3, note: 4 }).is_err());
    /// assert_eq!(row.to_string(), "id: 42, hits: 2, note: new");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`named`](Self::named).
    pub fn set_all<N: AsRef<str>, V: Into<Value>>(&mut self, fields: impl IntoIterator<Item = (N, V)>) -> Result<()> {
        let given = given(&self.schema, fields, |_, value| Ok(value.into()))?;
        for (place, value) in self.values.iter_mut().zip(given) {
            if let Some(value) = value {
                *place = value;
            }
        }
        Ok(())
    }

    /// The names of the fields and their values, in the order of the schema.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64, hits: u32".parse()?);
    /// for (name, value) in &locule::Values::positional(&schema, [42, 1])? {
    ///     println!("{name} is {value}");
    /// }
    /// # Ok::<(), locule::Error>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + Clone {
        self.schema.fields().iter().map(FieldSchema::name).zip(&self.values)
    }

    /// The values alone, in the order of the schema.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("key id: u64, hits: u32".parse()?);
    /// let row = locule::Values::positional(&schema, [42, 1])?;
    /// assert_eq!(row.into_vec(), [42_u64.into(), 1_u64.into()]);
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn into_vec(self) -> Vec<Value> {
        self.values
    }

    /// Whether a condition is true of these values, as [`Query::filter`](crate::Query::filter) asks it of the records of a
    /// table. For records that come from elsewhere, such as from [`dump`](crate::admin::dump).
    ///
    /// ```
    /// use locule::{Values, field};
    /// # use std::sync::Arc;
    ///
    /// let schema = Arc::new("key id: u64, hits: u32".parse()?);
    /// let row = Values::positional(&schema, [42, 1])?;
    /// assert!(row.fulfil(&field("hits").lt(3))?);
    /// assert!(row.fulfil(&field("hit").lt(3)).is_err());
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Query::filter`](crate::Query::filter).
    pub fn fulfil(&self, condition: &Condition) -> Result<bool> {
        let mut words = Self::zeroed(&self.schema);
        self.schema.encode_record(&self.values, &mut words)?;
        Ok(Predicate::compile(condition, &self.schema)?.matches(&words))
    }

    /// The value of the key, if the schema has one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # let schema = Arc::new("hits: u32, key id: u64".parse()?);
    /// assert_eq!(locule::Values::positional(&schema, [1, 42])?.key(), Some(&42_u64.into()));
    /// # Ok::<(), locule::Error>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> Option<&Value> {
        self.get(self.schema.key()?.name())
    }
}

impl Values {
    pub(crate) fn of_words(words: &[u64], schema: &Arc<Schema>) -> Result<Self> {
        Ok(Values { schema: Arc::clone(schema), values: schema.decode_record(words)? })
    }

    /// Writes the record into words that are zero, for a table of this schema.
    pub(crate) fn write_to(&self, schema: &Arc<Schema>, words: &mut [u64]) -> Result<()> {
        self.check_schema(schema)?;
        schema.encode_record(&self.values, words)
    }

    fn check_schema(&self, schema: &Arc<Schema>) -> Result<()> {
        if Arc::ptr_eq(&self.schema, schema) { Ok(()) } else { self.schema.expect_in_file(schema) }
    }
}

/// The values that are given for the fields of a schema, each as its field holds it.
fn given<N: AsRef<str>, V>(
    schema: &Schema,
    fields: impl IntoIterator<Item = (N, V)>,
    value_of: impl Fn(&FieldSchema, V) -> Result<Value>,
) -> Result<Vec<Option<Value>>> {
    let mut given: Vec<Option<Value>> = vec![None; schema.fields().len()];
    for (name, value) in fields {
        let name = name.as_ref();
        let (position, field) = schema.expect_field(name)?;
        let Some(place) = given.get_mut(position) else { continue };
        if place.is_some() {
            return Err(Error::InvalidArgument { reason: format!("two values for the field `{name}`") });
        }
        *place = Some(fit(field, value_of(field, value)?)?);
    }
    Ok(given)
}

/// The value as the field holds it.
fn fit(field: &FieldSchema, value: Value) -> Result<Value> {
    let mut bytes = vec![0; field.field_bytes()];
    field.encode_value(&value, &mut bytes)?;
    decode_value(field, &bytes)
}

fn default_of(field: &FieldSchema) -> Result<Value> {
    match field.default() {
        Some(default) => decode_value(field, default),
        None if field.is_nullable() => Ok(Value::Null),
        None => {
            let reason = format!("the field `{}` needs a value: it has no default and cannot be null", field.name());
            Err(Error::InvalidArgument { reason })
        }
    }
}

fn expect_one_for_each(schema: &Schema, found: usize) -> Result<()> {
    let expected = schema.fields().len();
    if found == expected {
        return Ok(());
    }
    let reason = format!("expected {expected} values, one for each field of `{schema}`, found {found}");
    Err(Error::InvalidArgument { reason })
}

impl Content for Values {
    type Words = Vec<u64>;

    fn own_schema() -> Option<Schema> {
        None
    }

    fn check_header(_header: &Header) -> Result<()> {
        Ok(())
    }

    fn zeroed(schema: &Arc<Schema>) -> Vec<u64> {
        vec![0; schema.record_bytes().div_ceil(8)]
    }

    fn to_words(&self, schema: &Arc<Schema>) -> Result<Vec<u64>> {
        self.check_schema(schema)?;
        let mut words = Self::zeroed(schema);
        schema.encode_record(&self.values, &mut words)?;
        Ok(words)
    }

    fn from_words(words: &Vec<u64>, schema: &Arc<Schema>) -> Result<Self> {
        Self::of_words(words, schema)
    }
}

/// The same values of the same fields.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
            && (Arc::ptr_eq(&self.schema, &other.schema) || self.schema.same_records(&other.schema))
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = (&'a str, &'a Value);
    type IntoIter = std::vec::IntoIter<(&'a str, &'a Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

/// One line: `id: 42, user: ada, note: null`.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        f.pad(&fields.join(", "))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Names and values, for [`Values`] and for what takes fields by name.
///
/// ```
/// use locule::{Value, values};
///
/// assert_eq!(values! { id: 42, note: None::<&str> }, [("id", Value::from(42)), ("note", Value::Null)]);
/// ```
#[macro_export]
macro_rules! values {
    ($($name:ident : $value:expr),* $(,)?) => {
        [$((::core::stringify!($name), $crate::Value::from($value))),*]
    };
}
