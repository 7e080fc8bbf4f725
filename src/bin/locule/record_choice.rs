//! Which one record is meant, and what its fields are to be.

use clap::Args;
use locule::{
    Condition, FieldType, RecordId, Result as LibraryResult, Row, Schema, Table, Value, Values, WriteTransaction,
};

use crate::Result;
use crate::choosing::Where;
use crate::input::all_of_stdin;

/// A record, by its key or, in a table without one, by its id.
#[derive(Clone, Debug)]
pub enum Which {
    Key(Value),
    Id(RecordId),
}

/// A record that is named.
#[derive(Args)]
pub struct Key {
    /// The key of the record; in a table without one its @id, as `locule dump` shows it.
    #[arg(allow_negative_numbers = true)]
    pub key: String,
}

/// A record that is named, or those that fulfil a condition.
#[derive(Args)]
pub struct KeyOrWhere {
    /// The key of the record; in a table without one its @id, as `locule dump` shows it.
    #[arg(allow_negative_numbers = true, required_unless_present = "text", conflicts_with = "text")]
    pub key: Option<String>,
    #[command(flatten)]
    condition: Where,
}

/// What is meant, checked against a schema.
pub enum Selection {
    One(Which),
    All(Condition),
}

impl KeyOrWhere {
    pub fn of(&self, schema: &Schema) -> Result<Selection> {
        match (&self.key, self.condition.condition(schema)?) {
            (Some(key), _) => Ok(Selection::One(Which::parse(key, schema)?)),
            (None, Some(condition)) => Ok(Selection::All(condition)),
            (None, None) => Err("expected KEY or --where".into()),
        }
    }
}

/// What the fields of a record are to be.
#[derive(Args)]
pub struct Assignments {
    /// The fields.
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
}

impl Assignments {
    /// `field=value`, `field=-` from standard input, and `field:=json`.
    pub fn of(&self, schema: &Schema) -> Result<Vec<(String, Value)>> {
        let mut is_stdin_read = false;
        self.fields.iter().map(|text| assignment(text, schema, &mut is_stdin_read)).collect()
    }
}

impl Which {
    pub fn parse(text: &str, schema: &Schema) -> Result<Which> {
        match schema.key() {
            // A text that is too long is the key of no record, and no mistake.
            Some(key) if matches!(key.field_type(), FieldType::Text(_)) => Ok(Which::Key(text.into())),
            Some(key) => Ok(Which::Key(key.parse_value(text)?)),
            None => {
                let id = text.parse().map_err(|_| format!("the table has no key: expected an @id, found {text:?}"))?;
                Ok(Which::Id(RecordId::from_u64(id)))
            }
        }
    }

    pub fn read(&self, table: &Table<Values>) -> LibraryResult<Option<Row<Values>>> {
        match self {
            Which::Key(key) => table.find(key.clone()),
            Which::Id(id) => table.get(*id),
        }
    }

    pub fn read_in(&self, transaction: &mut WriteTransaction<'_, Values>) -> LibraryResult<Option<Row<Values>>> {
        match self {
            Which::Key(key) => transaction.find(key.clone()),
            Which::Id(id) => transaction.get(*id),
        }
    }
}

/// How values are given, for the help of the verbs that take them.
pub const VALUES_HELP: &str = "\
Values: field=TEXT by the type of the field, field=null for nothing (in a text field field:=null),
field=- from standard input (a last line break is dropped; for bytes they are taken as they are),
and field:=JSON.";

fn assignment(text: &str, schema: &Schema, is_stdin_read: &mut bool) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected field=value, found {text:?}"))?;
    let (name, is_json) = name.strip_suffix(':').map_or((name, false), |name| (name, true));
    let (_, field) = schema.expect_field(name)?;
    let value = if is_json {
        let json = serde_json::from_str(value).map_err(|error| format!("{name}: not JSON: {error}"))?;
        field.value_from_json(&json)?
    } else if value != "-" {
        field.parse_value(value)?
    } else if std::mem::replace(is_stdin_read, true) {
        return Err("only one field can be read from standard input".into());
    } else {
        let bytes = all_of_stdin(Schema::RECORD_BYTES_MAX)
            .map_err(|error| format!("{name}: {error}, and no field holds so many"))?;
        if matches!(field.field_type(), FieldType::Bytes(_)) {
            Value::Bytes(bytes)
        } else {
            let text = String::from_utf8(bytes).map_err(|_| format!("{name}: standard input is not UTF-8"))?;
            field.parse_value(text.strip_suffix('\n').unwrap_or(&text))?
        }
    };
    Ok((name.to_owned(), value))
}
