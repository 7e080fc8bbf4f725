//! Whole records by their schema: as values, and as the words that the engine knows.

use super::{FieldSchema, Schema};
use crate::error::broken_invariant;
use crate::nearest::nearest;
use crate::value::untyped::Value;
use crate::{Error, Result};

impl FieldSchema {
    /// The value of this field in a record.
    pub(crate) fn value_in(&self, record: &[u64]) -> Result<Value> {
        let start = self.offset_bytes();
        let Some(bytes) = bytemuck::cast_slice(record).get(start..start.saturating_add(self.field_bytes())) else {
            broken_invariant("a record has room for each field of its schema");
        };
        self.decode(bytes).map_err(|error| match error {
            Error::Damaged { reason } => Error::damaged(format!("field `{}`: {reason}", self.name())),
            other => other,
        })
    }
}

impl Schema {
    /// The field with a name, and its position among the others.
    ///
    /// ```
    /// # let schema: locule::Schema = "key id: u64, hits: u32".parse()?;
    /// assert_eq!(schema.expect_field("hits")?.0, 1);
    /// let error = schema.expect_field("hit").unwrap_err();
    /// assert_eq!(error.to_string(), "there is no field `hit`: did you mean `hits`?");
    /// # Ok::<(), locule::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnknownField`](Error::UnknownField), with the name that was probably meant.
    pub fn expect_field(&self, name: &str) -> Result<(usize, &FieldSchema)> {
        let found = self.fields().iter().enumerate().find(|(_, field)| field.name() == name);
        found.ok_or_else(|| {
            let names = self.fields().iter().map(FieldSchema::name);
            Error::UnknownField { name: name.to_owned(), suggestion: nearest(name, names).map(str::to_owned) }
        })
    }

    /// The values of a record, in the order of the fields.
    pub(crate) fn decode_record(&self, words: &[u64]) -> Result<Vec<Value>> {
        // Collecting results does not know how many there will be, and would allocate several times.
        let mut values = Vec::with_capacity(self.fields().len());
        for field in self.fields() {
            values.push(field.value_in(words)?);
        }
        Ok(values)
    }

    /// Writes the values of a record into words that are zero.
    pub(crate) fn encode_record(&self, values: &[Value], words: &mut [u64]) -> Result<()> {
        let mut rest: &mut [u8] = bytemuck::cast_slice_mut(words);
        for (field, value) in self.fields().iter().zip(values) {
            let Some((bytes, others)) = rest.split_at_mut_checked(field.field_bytes()) else {
                broken_invariant("a record has room for each field of its schema");
            };
            field.encode_value(value, bytes)?;
            rest = others;
        }
        Ok(())
    }
}
