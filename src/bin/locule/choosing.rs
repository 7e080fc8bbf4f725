//! Choosing records and fields: the options that several verbs have.

use std::cmp::Ordering;
use std::sync::Arc;

use clap::Args;
use locule::admin::DumpedRow;
use locule::{Condition, FieldSchema, Order, Schema, Value, Values, field};

use crate::Result;

/// Which records.
#[derive(Args, Default)]
pub struct Where {
    /// Only the records for which this is true, such as 'hits > 3 && user.startsWith("bo")'.
    #[arg(long = "where", value_name = "EXPR")]
    text: Option<String>,
}

impl Where {
    /// The condition, checked against the schema.
    pub fn condition(&self, schema: &Schema) -> Result<Option<Condition>> {
        Ok(self.text.as_deref().map(|text| Condition::parse(text, schema)).transpose()?)
    }
}

/// Which records, in which order, and which of their fields.
#[derive(Args, Default)]
pub struct Choice {
    #[command(flatten)]
    condition: Where,
    /// By which fields they are sorted: `--sort name,-hits` has the most hits first where the names are equal. @id and
    /// @version can be among them.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', allow_hyphen_values = true)]
    sort: Vec<String>,
    /// Which fields, in this order. @id and @version are what the store knows of a record.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<String>,
    /// At most so many records.
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

impl Choice {
    /// The first records.
    pub fn first(count: usize) -> Self {
        Choice { limit: Some(count), ..Choice::default() }
    }

    /// Checks the choice against a schema.
    pub fn of(&self, schema: &Arc<Schema>) -> Result<Chosen> {
        let orders = self.sort.iter().map(|name| order_of(name, schema)).collect::<Result<_>>()?;
        let columns = self.columns(schema)?;
        Ok(Chosen {
            schema: Arc::clone(schema),
            condition: self.condition.condition(schema)?,
            orders,
            columns: if self.fields.is_empty() { None } else { Some(columns) },
            limit: self.limit.unwrap_or(usize::MAX),
        })
    }

    /// The columns of `--fields`. None comes twice: such CSV is not imported again, and an object has a member only once.
    fn columns(&self, schema: &Schema) -> Result<Vec<Column>> {
        let mut columns = Vec::new();
        for name in &self.fields {
            let column = Column::named(name, schema)?;
            if columns.contains(&column) {
                return Err(format!("--fields {}: `{name}` is named twice", self.fields.join(",")).into());
            }
            columns.push(column);
        }
        Ok(columns)
    }
}

fn order_of(name: &str, schema: &Schema) -> Result<(Order, Column)> {
    let (name, is_descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
    let column = Column::named(name, schema)?;
    // The name does not matter: it is values that are compared.
    let name = field(name.to_owned());
    Ok((if is_descending { name.descending() } else { name.ascending() }, column))
}

/// What is shown of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Id,
    Version,
    /// A field, by its position.
    Field(usize),
}

impl Column {
    pub fn named(name: &str, schema: &Schema) -> Result<Column> {
        match name {
            "@id" => Ok(Column::Id),
            "@version" => Ok(Column::Version),
            name => match schema.expect_field(name) {
                Ok((position, _)) => Ok(Column::Field(position)),
                Err(_) if name.starts_with('@') => Err(format!("there is no `{name}`, but @id and @version").into()),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// All fields.
    pub fn all(schema: &Schema) -> Vec<Column> {
        (0..schema.fields().len()).map(Column::Field).collect()
    }

    pub fn name(self, schema: &Schema) -> &str {
        match self {
            Column::Id => "@id",
            Column::Version => "@version",
            Column::Field(position) => schema.fields().get(position).map_or("", |field| field.name()),
        }
    }

    pub fn is_nullable(self, schema: &Schema) -> bool {
        matches!(self, Column::Field(position) if schema.fields().get(position).is_some_and(FieldSchema::is_nullable))
    }

    pub fn value(self, row: &DumpedRow) -> Value {
        match self {
            Column::Id => row.id.into(),
            Column::Version => row.version.into(),
            Column::Field(position) => row.values.get(position).cloned().unwrap_or_default(),
        }
    }
}

/// A choice that fits a schema.
pub struct Chosen {
    schema: Arc<Schema>,
    condition: Option<Condition>,
    orders: Vec<(Order, Column)>,
    columns: Option<Vec<Column>>,
    limit: usize,
}

impl Chosen {
    /// The columns that were asked for, if any were.
    pub fn columns(&self) -> Option<&[Column]> {
        self.columns.as_deref()
    }

    /// The chosen ones of some rows. They are looked at one by one, unless they have to be sorted.
    pub fn of<'r>(
        &'r self,
        rows: impl Iterator<Item = DumpedRow> + 'r,
    ) -> Result<Box<dyn Iterator<Item = Result<DumpedRow>> + 'r>> {
        let fulfilling =
            rows.filter_map(|row| self.accepts(&row).map(|is_accepted| is_accepted.then_some(row)).transpose());
        if self.orders.is_empty() {
            return Ok(Box::new(fulfilling.take(self.limit)));
        }
        let mut rows = fulfilling.collect::<Result<Vec<_>>>()?;
        rows.sort_by(|left, right| self.compare(left, right));
        Ok(Box::new(rows.into_iter().take(self.limit).map(Ok)))
    }

    fn accepts(&self, row: &DumpedRow) -> Result<bool> {
        let Some(condition) = &self.condition else { return Ok(true) };
        Ok(Values::positional(&self.schema, row.values.iter().cloned())?.fulfil(condition)?)
    }

    fn compare(&self, left: &DumpedRow, right: &DumpedRow) -> Ordering {
        let compared = self.orders.iter().map(|(order, column)| match column {
            Column::Field(position) => match (left.values.get(*position), right.values.get(*position)) {
                (Some(left), Some(right)) => order.compare(left, right),
                _ => Ordering::Equal,
            },
            Column::Id | Column::Version => order.compare(&column.value(left), &column.value(right)),
        });
        compared.fold(Ordering::Equal, Ordering::then)
    }
}
