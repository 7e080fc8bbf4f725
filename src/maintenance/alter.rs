//! Another schema or another capacity for a table, while others use it.

use super::new_schema::{NewSchema, Position, Step};
use crate::engine::Settings;
use crate::error::{Error, Result};
use crate::file::rebuild::{Plan, Rebuilt, rebuild};
use crate::format::header::Header;
use crate::record_id::RecordId;
use crate::schema::{FieldSchema, Schema};
use crate::table::untyped::open_for_looking;
use crate::table::values::Values;
use crate::value::field_type::FieldType;
use crate::value::untyped::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Changes of a table's schema and capacity, which [`apply`](Self::apply) makes all at once, while others use the table.
///
/// The table is made anew in a new file, which then takes the place of the old one: see [the module](super). Records keep
/// their ids, versions and update counts. Others write meanwhile; they wait only while what they have changed since is
/// done again and the file is switched. Then each of them gets [`Superseded`](Error::Superseded) from every call, and
/// goes on after [`reopen`](crate::Table::reopen); a handle whose record type no longer fits is told which field it is.
///
/// The new file has the owner and the permissions of the old one as far as this process may set them: see
/// [`OpenOptions::replace`](crate::OpenOptions::replace). If another user alters the table, that one may become the owner.
/// Only the name in the path goes over to the new file: another name of the old one (a hard link) leads to the old one as
/// before, and so to another table from then on. Each `reopen` keeps the mapping of the file before, and with it the disk
/// space of a file that was deleted, until the handle is dropped: a process that outlives many alterations should open the
/// table anew now and then.
///
/// The steps are taken in the order in which they were added, each on what the one before it has left.
///
/// ```
/// use locule::maintenance::Alteration;
/// use locule::{FieldSchema, FieldType, Table, Values, values};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("users.loc");
/// let schema: locule::Schema = "key id: u64, name: text(8), hits: u16".parse()?;
/// let table = Table::<Values>::options().schema(schema).create(&path)?;
/// table.insert(&table.values(values! { id: 1, name: "ada", hits: 7 })?)?;
///
/// let rebuilt = Alteration::of(&path)
///     .rename_field("name", "user")
///     .set_type("user", FieldType::Text(32))
///     .set_type("hits", FieldType::U64)
///     .add_field(FieldSchema::new("note", FieldType::Text(40)).nullable())
///     .apply()?;
/// assert_eq!(rebuilt.live_count, 1);
///
/// table.reopen()?;
/// assert_eq!(table.schema().to_string(), "key id: u64, user: text(32), hits: u64, note: text(40)?");
/// assert_eq!(table.find(1)?.ok_or("not there")?.to_string(), "id: 1, user: ada, hits: 7, note: null");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an alteration does nothing before `apply`"]
pub struct Alteration {
    path: PathBuf,
    steps: Vec<Step>,
    capacity: Option<u64>,
    settings: Settings,
}

impl Alteration {
    /// Nothing to be changed yet of the table of this path.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// // Makes the file anew, as it is.
    /// assert_eq!(locule::maintenance::Alteration::of(&path).apply()?.live_count, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        Alteration { path, steps: Vec::new(), capacity: None, settings: Settings::default() }
    }

    /// Adds a field after all others. The records that there are get its default; without one they hold nothing in it,
    /// so it must be nullable.
    ///
    /// ```
    /// # use locule::{FieldSchema, FieldType, maintenance::Alteration};
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let note = FieldSchema::new("note", FieldType::Text(40)).nullable();
    /// let schema = Alteration::of(&path).add_field(note).preview()?;
    /// assert_eq!(schema.to_string(), "key id: u64, hits: u32, note: text(40)?");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_field(self, field: FieldSchema) -> Self {
        self.add_field_at(Position::Last, field)
    }

    /// Adds a field in a certain place.
    ///
    /// ```
    /// # use locule::{FieldSchema, FieldType, maintenance::{Alteration, Position}};
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let note = FieldSchema::new("note", FieldType::Text(40)).nullable();
    /// let schema = Alteration::of(&path).add_field_at(Position::First, note).preview()?;
    /// assert_eq!(schema.to_string(), "note: text(40)?, key id: u64, hits: u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_field_at(self, position: Position, field: FieldSchema) -> Self {
        self.step(Step::Add(position, field))
    }

    /// Drops a field, and what the records hold in it.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// assert_eq!(Alteration::of(&path).drop_field("hits").preview()?.to_string(), "key id: u64");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_field(self, name: impl Into<String>) -> Self {
        self.step(Step::Drop(name.into()))
    }

    /// Gives a field another name.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let schema = Alteration::of(&path).rename_field("hits", "count").preview()?;
    /// assert_eq!(schema.to_string(), "key id: u64, count: u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rename_field(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.step(Step::Rename { from: from.into(), to: to.into() })
    }

    /// Gives a field another type: a wider or a narrower text or integer, or any other type that can hold all the values
    /// that there are. A value that does not fit, also one that a narrower float would round, stops the alteration before
    /// anything has changed. So does a default that does not fit: then [`set_default`](Self::set_default) first.
    ///
    /// ```
    /// # use locule::{FieldType, maintenance::Alteration};
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::create(&path, 100)?;
    /// table.insert(&Visit { id: 42, hits: 256 })?;
    /// let error = Alteration::of(&path).set_type("hits", FieldType::U8).apply().unwrap_err();
    /// assert!(error.to_string().contains("`id` 42: field `hits`: expected a u8, 0 to 255, found the integer 256"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_type(self, name: impl Into<String>, field_type: FieldType) -> Self {
        self.step(Step::SetType(name.into(), field_type))
    }

    /// Lets a field hold nothing, or no longer. A record that holds nothing in it stops the alteration then.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let schema = Alteration::of(&path).set_nullable("hits", true).preview()?;
    /// assert_eq!(schema.to_string(), "key id: u64, hits: u32?");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_nullable(self, name: impl Into<String>, is_nullable: bool) -> Self {
        self.step(Step::SetNullable(name.into(), is_nullable))
    }

    /// Gives a field another default, or takes it away. Records that there are do not change.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let schema = Alteration::of(&path).set_default("hits", Some(1.into())).preview()?;
    /// assert_eq!(schema.to_string(), "key id: u64, hits: u32 = 1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_default(self, name: impl Into<String>, default: Option<Value>) -> Self {
        self.step(Step::SetDefault(name.into(), default))
    }

    /// Gives a field another documentation.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let schema = Alteration::of(&path).set_doc("hits", "Since Monday.").preview()?;
    /// assert_eq!(schema.field("hits").map(|field| field.doc()), Some("Since Monday."));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_doc(self, name: impl Into<String>, doc: impl Into<String>) -> Self {
        self.step(Step::SetDoc(name.into(), doc.into()))
    }

    /// Gives the table room for another number of records. A record in a slot that would be gone stops the alteration:
    /// an id names its slot, so no record changes it. To delete it and to insert it again may not help, since the slot that
    /// was freed last is the first to be taken. A new table of the smaller capacity takes the records instead.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// let table = locule::Table::<Visit>::create(&path, 1)?;
    /// let id = table.insert(&Visit { id: 1, hits: 0 })?;
    /// Alteration::of(&path).capacity(2).apply()?;
    /// table.reopen()?;
    /// table.insert(&Visit { id: 2, hits: 0 })?;
    /// assert!(table.get(id)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(mut self, slot_count: u64) -> Self {
        self.capacity = Some(slot_count);
        self
    }

    /// Alters a table on a file system that machines may share, which is refused otherwise: see
    /// [`OpenOptions::allow_any_file_system`](crate::OpenOptions::allow_any_file_system).
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// Alteration::of(&path).allow_any_file_system(true).capacity(200).apply()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_any_file_system(mut self, is_allowed: bool) -> Self {
        self.settings.any_file_system = is_allowed;
        self
    }

    /// How long to wait for each of the locks that are taken: the one that is held while others open the file, and that of
    /// a process that writes. By default that is 5 seconds.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// Alteration::of(&path).lock_timeout(std::time::Duration::from_secs(60)).capacity(200).apply()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.settings.lock_timeout = timeout;
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The schema that the table would have. Nothing is changed. Whether all values fit, and whether there can be so many slots,
    /// is not looked at.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let error = Alteration::of(&path).drop_field("hit").preview().unwrap_err();
    /// assert_eq!(error.to_string(), "there is no field `hit`: did you mean `hits`?");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnknownField`](Error::UnknownField), [`InvalidArgument`](Error::InvalidArgument) if a step, the schema that
    /// it leads to or the capacity is not possible, [`InvalidValue`](Error::InvalidValue) if a default does
    /// not fit its field, and those of [`OpenOptions::open_read_only`](crate::OpenOptions::open_read_only).
    pub fn preview(&self) -> Result<Arc<Schema>> {
        let table = open_for_looking(&self.path)?;
        let new = NewSchema::of(table.schema(), &self.steps)?;
        let capacity = self.capacity.unwrap_or(table.capacity());
        // Whether there can be such a table. What else is in the header is for no file.
        Header::new(capacity, Arc::clone(new.schema()), [0; 16], 0, 0)?;
        Ok(Arc::clone(new.schema()))
    }

    /// Makes the changes.
    ///
    /// ```
    /// # use locule::maintenance::Alteration;
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("visits.loc");
    /// # drop(locule::Table::<Visit>::create(&path, 100)?);
    /// let rebuilt = Alteration::of(&path).drop_field("hits").apply()?;
    /// println!("writers waited for {:?}", rebuilt.locked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`preview`](Self::preview), of [`OpenOptions::open`](crate::OpenOptions::open) and of
    /// [`OpenOptions::replace`](crate::OpenOptions::replace); [`InvalidValue`](Error::InvalidValue), which names the records,
    /// if a value does not fit; [`DuplicateKey`](Error::DuplicateKey) if two records would have the same key;
    /// [`Superseded`](Error::Superseded) if another process replaced the table meanwhile. After an error nothing has
    /// changed, except after one that is about flushing the directory: then the change may be undone by a power cut.
    pub fn apply(&self) -> Result<Rebuilt> {
        rebuild(&self.path, &self.settings, |old| {
            let new = NewSchema::of(old, &self.steps)?;
            let (schema, may_change_content) = (Arc::clone(new.schema()), !new.keeps_content(old));
            let convert =
                move |_: RecordId, values: Values| Values::positional(new.schema(), new.convert(&values.into_vec())?);
            Ok(plan(old, &schema, self.capacity, may_change_content, convert))
        })
    }
}

/// Makes a table anew, with a schema and a function of the caller's that makes each new record from an old one. For all
/// else it is as [`Alteration::apply`]. The function may be called again for a record that is changed meanwhile, and a call in
/// it that would take a lock of this table is refused ([`Nested`](Error::Nested)). If it returns an error or panics, nothing
/// has changed. Records keep their versions, whatever the function makes of them; cursors are lost
/// ([`CursorLost`](Error::CursorLost)), since nothing else would tell those that follow the table.
///
/// ```
/// use locule::{Keyed, Record, RecordId, Table, Value, Values, maintenance, values};
/// use std::sync::Arc;
///
/// mod old {
///     locule::record! { pub struct Visit { pub key id: u64, pub hits: u32 } }
/// }
/// locule::record! { struct Visit { key name: locule::Text<16>, is_frequent: bool } }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// let table = Table::<old::Visit>::create(&path, 100)?;
/// table.insert(&old::Visit { id: 42, hits: 7 })?;
///
/// let schema = Arc::new(Visit::schema());
/// maintenance::migrate(&path, &schema, |_id: RecordId, visit: Values| {
///     let hits = visit.get("hits").and_then(Value::as_i128).unwrap_or(0);
///     let name = format!("visitor {}", visit.key().unwrap_or(&Value::Null));
///     Values::named(&schema, values! { name: name, is_frequent: hits > 5 })
/// })?;
///
/// let table = Table::<Visit>::open(&path)?;
/// assert!(table.find("visitor 42")?.is_some_and(|row| row.is_frequent));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Alteration::apply`]. An [`InvalidValue`](Error::InvalidValue) of the function counts as a record that does not fit; the
/// error then names all of these. Any other error of the function ends it at once, and is returned as it is: see
/// [`Error::caller`]. [`InvalidArgument`](Error::InvalidArgument) if the values that the function returns are not for
/// `schema`.
pub fn migrate(
    path: impl AsRef<Path>,
    schema: &Arc<Schema>,
    convert: impl FnMut(RecordId, Values) -> Result<Values>,
) -> Result<Rebuilt> {
    rebuild(path.as_ref(), &Settings::default(), |old| Ok(plan(old, schema, None, true, convert)))
}

fn plan<'c>(
    old: &Arc<Schema>,
    new: &Arc<Schema>,
    capacity: Option<u64>,
    may_change_content: bool,
    mut convert: impl FnMut(RecordId, Values) -> Result<Values> + 'c,
) -> Plan<'c> {
    let (old, schema) = (Arc::clone(old), Arc::clone(new));
    let new = Arc::clone(new);
    let convert = move |id: RecordId, old_words: &[u64], new_words: &mut [u64]| {
        let values = Values::of_words(old_words, &old)?;
        let key = values.key().map(Value::to_string);
        let converted = convert(id, values).and_then(|values| {
            if !values.schema().same_records(&new) {
                let reason = format!("its new values are for the schema `{}`, not `{new}`", values.schema());
                return Err(Error::InvalidArgument { reason });
            }
            values.write_to(&new, new_words)
        });
        converted.map_err(|error| match (error, old.key(), key) {
            (Error::InvalidValue { reason }, Some(field), Some(key)) => {
                Error::InvalidValue { reason: format!("`{}` {key}: {reason}", field.name()) }
            }
            (error, ..) => error,
        })
    };
    Plan { schema, capacity, may_change_content, convert: Box::new(convert) }
}
