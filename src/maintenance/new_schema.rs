//! What becomes of each field when a schema is altered.

use crate::error::{Error, Result};
use crate::schema::{FieldSchema, Schema, decode_value};
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use std::sync::Arc;

/// Where a field is put.
///
/// ```
/// use locule::maintenance::{Alteration, Position};
/// use locule::{FieldSchema, FieldType};
///
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// let note = FieldSchema::new("note", FieldType::Text(9)).nullable();
/// let alteration = Alteration::of(&path).add_field_at(Position::After("id".to_owned()), note);
/// assert_eq!(alteration.preview()?.to_string(), "key id: u64, note: text(9)?, hits: u32");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// After this field.
    After(String),
    /// After all others.
    Last,
}

/// One change of a schema.
#[derive(Clone, Debug)]
pub enum Step {
    Add(Position, FieldSchema),
    Drop(String),
    Rename { from: String, to: String },
    SetType(String, FieldType),
    SetNullable(String, bool),
    SetDefault(String, Option<Value>),
    SetDoc(String, String),
}

/// A field to be, and where its values come from.
#[derive(Clone)]
struct Column {
    field: FieldSchema,
    /// Which of the old fields it was, if it was one.
    old: Option<usize>,
}

/// A schema to be, and how records get there.
pub struct NewSchema {
    columns: Vec<Column>,
    schema: Arc<Schema>,
}

impl NewSchema {
    pub fn of(old: &Schema, steps: &[Step]) -> Result<Self> {
        let fields = old.fields().iter().enumerate();
        let mut columns: Vec<Column> =
            fields.map(|(position, field)| Column { field: field.clone(), old: Some(position) }).collect();
        for step in steps {
            apply(&mut columns, step)?;
        }
        let schema = Schema::new(columns.iter().map(|column| column.field.clone()).collect())?;
        Ok(NewSchema { columns, schema: Arc::new(schema) })
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Whether every record stays what it is, to the last bit.
    pub fn keeps_content(&self, old: &Schema) -> bool {
        let is_its_own = |(position, column): (usize, &Column)| column.old == Some(position);
        old.same_records(&self.schema) && self.columns.iter().enumerate().all(is_its_own)
    }

    /// The values of a new record, from those of the old one.
    pub fn convert(&self, old: &[Value]) -> Result<Vec<Value>> {
        let value = |column: &Column| match column.old {
            Some(position) => kept(&column.field, old.get(position).cloned().unwrap_or_default()),
            None => fill(&column.field),
        };
        self.columns.iter().map(value).collect()
    }
}

/// What existing records have in a field from before. A value that is put into a narrower float is rounded elsewhere, but here
/// nobody has looked at it.
fn kept(field: &FieldSchema, value: Value) -> Result<Value> {
    match value {
        Value::Float64(wide) if field.field_type() == FieldType::F32 && !is_f32(wide) => Err(Error::InvalidValue {
            reason: format!(
                "field `{}`: expected an f32, found the float {value}, which no f32 is exactly",
                field.name()
            ),
        }),
        _ => Ok(value),
    }
}

/// Whether an `f32` is this number exactly.
fn is_f32(wide: f64) -> bool {
    let narrow = wide as f32;
    wide.is_nan() || f64::from(narrow).to_bits() == wide.to_bits()
}

/// What existing records get in a new field.
fn fill(field: &FieldSchema) -> Result<Value> {
    match field.default() {
        Some(default) => decode_value(field, default),
        None => Ok(Value::Null),
    }
}

fn apply(columns: &mut Vec<Column>, step: &Step) -> Result<()> {
    match step {
        Step::Add(position, field) => {
            if field.default().is_none() && !field.is_nullable() {
                return Err(invalid(format!(
                    "the new field `{}` needs a default, for the records that there are, or must be nullable",
                    field.name()
                )));
            }
            let place = match position {
                Position::First => 0,
                Position::After(name) => find(columns, name)? + 1,
                Position::Last => columns.len(),
            };
            columns.insert(place, Column { field: field.clone(), old: None });
        }
        Step::Drop(name) => {
            columns.remove(find(columns, name)?);
        }
        Step::Rename { from, to } => change(columns, from, |field| Ok(Parts { name: to.clone(), ..field }))?,
        Step::SetType(name, field_type) => {
            change(columns, name, |field| Ok(Parts { field_type: *field_type, ..field }))?;
        }
        Step::SetNullable(name, is_nullable) => {
            change(columns, name, |field| Ok(Parts { is_nullable: *is_nullable, ..field }))?;
        }
        Step::SetDefault(name, default) => {
            change(columns, name, |field| Ok(Parts { default: default.clone(), ..field }))?;
        }
        Step::SetDoc(name, doc) => change(columns, name, |field| Ok(Parts { doc: doc.clone(), ..field }))?,
    }
    Ok(())
}

fn find(columns: &[Column], name: &str) -> Result<usize> {
    columns.iter().position(|column| column.field.name() == name).ok_or_else(|| {
        let names = columns.iter().map(|column| column.field.name());
        let suggestion = crate::nearest::nearest(name, names).map(str::to_owned);
        Error::UnknownField { name: name.to_owned(), suggestion }
    })
}

/// What a field is made of.
struct Parts {
    name: String,
    field_type: FieldType,
    is_nullable: bool,
    is_key: bool,
    default: Option<Value>,
    doc: String,
}

impl Parts {
    fn of(field: &FieldSchema) -> Result<Self> {
        Ok(Parts {
            name: field.name().to_owned(),
            field_type: field.field_type(),
            is_nullable: field.is_nullable(),
            is_key: field.is_key(),
            default: field.default().map(|default| decode_value(field, default)).transpose()?,
            doc: field.doc().to_owned(),
        })
    }

    fn into_field(self) -> Result<FieldSchema> {
        let mut field = FieldSchema::new(self.name, self.field_type).with_doc(self.doc);
        if self.is_nullable {
            field = field.nullable();
        }
        if self.is_key {
            field = field.key();
        }
        let Some(default) = self.default else { return Ok(field) };
        let mut bytes = vec![0; field.field_bytes()];
        field.encode_value(&default, &mut bytes).map_err(|error| match error {
            Error::InvalidValue { reason } => Error::InvalidValue { reason: format!("the default of {reason}") },
            other => other,
        })?;
        Ok(field.with_default(bytes))
    }
}

fn change(columns: &mut [Column], name: &str, change: impl FnOnce(Parts) -> Result<Parts>) -> Result<()> {
    let position = find(columns, name)?;
    if let Some(column) = columns.get_mut(position) {
        column.field = change(Parts::of(&column.field)?)?.into_field()?;
    }
    Ok(())
}

fn invalid(reason: String) -> Error {
    Error::InvalidArgument { reason }
}
