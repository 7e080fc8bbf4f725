//! Looking after a table: copies of it, another shape for it, and what to do when it is damaged.
//!
//! | function | what it does |
//! |---|---|
//! | [`backup`] | a copy of one moment, made while others write |
//! | [`restore`] | puts a backup in the place of a table; ids and numbers go on above both |
//! | [`Alteration`] | adds, drops, renames and changes fields, or changes the capacity, while others use the table |
//! | [`migrate`] | the same with a function of the caller's that makes each new record |
//! | [`repair`] | saves what can be saved of a damaged file into a new one |
//! | [`scrub`] | wipes the bytes of deleted records and of old contents |
//!
//! All of them make a whole new file and switch to it at the end, except `scrub`, which works in place. So a process that
//! dies in the middle, or a power cut, leaves the old table or the new one, and at most a stray file, which is deleted by
//! the next call, or by a user that reopens the table.
//!
//! A [`Cursor`](crate::Cursor) can be followed after an alteration as long as the records are the same: after one of defaults,
//! documentation and a capacity that is not smaller. Each such alteration counts as one of the eight recoveries that a cursor
//! outlives. After any other alteration, `migrate` and `repair`, it is lost ([`CursorLost`](crate::Error::CursorLost)), and a
//! program that follows the table begins anew. After `restore` it is lost if it had seen more than the backup has.
//!
//! Records keep their ids, versions and update counts through all of that, also those whose content an alteration or `migrate`
//! makes another. So a version that was read before says nothing about the content afterwards: a program that has been told
//! `Superseded` and reopens reads again before it calls [`update_if`](crate::Table::update_if).
//!
//! ```
//! use locule::{FieldSchema, FieldType, Table, Value, Values, maintenance};
//!
//! # locule::record! { struct Visit { key id: u64, hits: u32 } }
//! # let directory = tempfile::tempdir()?;
//! # let (path, copy) = (directory.path().join("visits.loc"), directory.path().join("copy.loc"));
//! let table = Table::<Visit>::create(&path, 100)?;
//! table.insert(&Visit { id: 42, hits: 7 })?;
//!
//! maintenance::backup(&path, &copy)?;
//! let note = FieldSchema::new("note", FieldType::Text(40)).nullable();
//! maintenance::Alteration::of(&path).add_field(note).capacity(200).apply()?;
//!
//! // Other processes that use the table are told so, and reopen it.
//! assert!(matches!(table.len(), Err(locule::Error::Superseded)));
//! let table = Table::<Values>::open(&path)?;
//! assert_eq!(table.find(42)?.and_then(|row| row.get("note").cloned()), Some(Value::Null));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alter;
mod backup;
mod new_schema;
mod repair;
mod scrub;

pub use crate::file::rebuild::Rebuilt;
pub use alter::{Alteration, migrate};
pub use backup::{Copied, backup, restore};
pub use new_schema::Position;
pub use repair::{Repaired, repair};
pub use scrub::{Scrubbed, scrub};
