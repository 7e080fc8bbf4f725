//! Making a table anew from its own records, while others use it: with another schema, or another capacity.
//!
//! 1. *Copy.* The newest state is copied while others write, and each record of it is turned into a new one, in a new
//!    file that has no name and that is written to the disk.
//! 2. *Catch up.* Under the write mutex, the records that were changed meanwhile are done again.
//! 3. *Switch.* The new file, flushed once more, gets the name, and the users of the old one get `Superseded`.
//!
//! A process that dies before the switch leaves nothing behind, and after it the new table; so does a power cut.

use crate::engine::copy::CopyOfNewest;
use crate::engine::{Settings, Store};
use crate::error::{Error, Result};
use crate::file::create::retire;
use crate::file::image::{Continuation, Image};
use crate::file::open::GatedFile;
use crate::file::temporary::remove_leftovers;
use crate::format::geometry::{widen, word};
use crate::format::header::Header;
use crate::record_id::RecordId;
use crate::schema::Schema;
use crate::sys::attachment::{Attachment, absolute, random_uuid, random_word};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a table is to be.
#[derive(Clone, Debug)]
pub struct NewShape {
    pub schema: Arc<Schema>,
    /// How many slots; as many as it has, if that is not said.
    pub capacity: Option<u64>,
}

/// How it went to make a table anew: see [`Alteration::apply`](crate::maintenance::Alteration::apply).
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// let rebuilt = locule::maintenance::Alteration::of(&path).capacity(200).apply()?;
/// assert_eq!((rebuilt.live_count, rebuilt.changed_count), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rebuilt {
    /// How many records the table has.
    pub live_count: u64,
    /// How many slots were done again, since they had changed meanwhile.
    pub changed_count: u64,
    /// For how long nobody else could write.
    pub locked: Duration,
}

/// Turns the words of an old record into those of a new one.
pub type Transform<'t> = dyn FnMut(RecordId, &[u64], &mut [u64]) -> Result<()> + 't;

/// How many records that do not fit an error names.
const NAMED_COUNT: usize = 10;

/// Makes a table anew. If a record cannot be turned into a new one, nothing has changed.
pub fn rebuild(path: &Path, shape: &NewShape, settings: &Settings, transform: &mut Transform<'_>) -> Result<Rebuilt> {
    let path = &absolute(path)?;
    remove_leftovers(path);
    let source = Store::open(path, settings)?;
    let header = new_header(source.header(), shape, settings)?;
    let image = Image::begin(path, header, 0o600, source.attachment().map(Attachment::file), settings)?;
    let mut work = Work::begin(&source, image, transform)?;
    // What is flushed here need not be flushed while others wait.
    work.catch_up()?;
    work.seal(settings)?;
    let put_count = work.put_count;

    let entry = GatedFile::enter(path, settings)?;
    if source.attachment().map(Attachment::id) != Some(entry.attachment().id()) {
        return Err(Error::Superseded);
    }
    let mut locked_since = Instant::now();
    let rebuilt = retire(entry, settings, |_| {
        locked_since = Instant::now();
        work.catch_up()?;
        let changed_count = work.put_count - put_count;
        if changed_count > 0 {
            work.seal(settings)?;
        }
        let live_count = work.image.live_count();
        Ok((work.image.exchange()?, Rebuilt { live_count, changed_count, locked: Duration::ZERO }))
    });
    let locked = locked_since.elapsed();
    rebuilt.map(|(_old, rebuilt)| Rebuilt { locked, ..rebuilt })
}

/// The header of the new table. To those that follow its changes it is the same table as long as its records are the
/// same.
fn new_header(old: &Header, shape: &NewShape, settings: &Settings) -> Result<Header> {
    let uuid = if old.schema.same_records(&shape.schema) { old.uuid } else { random_uuid() };
    let capacity = shape.capacity.unwrap_or_else(|| u64::from(old.geometry.capacity()));
    Header::new(capacity, Arc::clone(&shape.schema), uuid, random_word(), (settings.wall_clock)())
}

struct Work<'s, 'p, 'w> {
    source: &'s Store,
    copy: CopyOfNewest<'s>,
    image: Image<'p>,
    transform: &'w mut Transform<'w>,
    /// The number of the cell of each old slot that was put into the new table.
    done: Vec<u64>,
    /// The number of the state that was copied.
    number: u64,
    /// The highest generation of a tombstone whose slot the new table does not have.
    dropped_generation: u64,
    put_count: u64,
    payload: Vec<u64>,
}

impl<'s, 'p, 'w> Work<'s, 'p, 'w> {
    fn begin(source: &'s Store, image: Image<'p>, transform: &'w mut Transform<'w>) -> Result<Self> {
        Ok(Work {
            source,
            copy: CopyOfNewest::begin(source)?,
            transform,
            done: vec![0; widen(source.geometry().capacity())],
            number: 0,
            dropped_generation: 0,
            put_count: 0,
            payload: vec![0; image.header().geometry.record_words()],
            image,
        })
    }

    /// Puts every record into the new table that is not there as it is now.
    fn catch_up(&mut self) -> Result<()> {
        self.number = self.copy.catch_up()?.number;
        let mut misfits = Misfits::default();
        for (slot, done) in (0..).zip(&mut self.done) {
            let Some((header, payload)) = self.copy.cell(slot).filter(|(header, _)| header.number != *done) else {
                continue;
            };
            *done = header.number;
            self.put_count += 1;
            let id = RecordId::new(slot, header.generation);
            if slot >= self.image.header().geometry.capacity() {
                if header.is_live {
                    let reason =
                        format!("it is in slot {slot}, which would be gone: delete it first, or insert it anew");
                    misfits.note(id, &reason);
                } else {
                    self.dropped_generation = self.dropped_generation.max(header.generation);
                }
                continue;
            }
            if !header.is_live {
                self.image.put(slot, header, None)?;
                continue;
            }
            self.payload.fill(0);
            match (self.transform)(id, payload, &mut self.payload) {
                Ok(()) => self.image.put(slot, header, Some(&self.payload))?,
                Err(error) => misfits.note(id, &error),
            }
        }
        misfits.check()?;
        self.image.check_keys()
    }

    fn seal(&self, settings: &Settings) -> Result<()> {
        let generation_floor = self.source.current_generation_floor().max(self.dropped_generation);
        self.image.seal(Continuation { number: self.number, generation_floor }, settings)
    }
}

/// The records that do not fit a new table.
#[derive(Default)]
struct Misfits {
    count: u64,
    /// What is said of the first of them.
    named: Vec<String>,
}

impl Misfits {
    fn note(&mut self, id: RecordId, reason: &dyn fmt::Display) {
        self.count += 1;
        if self.named.len() < NAMED_COUNT {
            self.named.push(format!("\n  record {id}: {reason}"));
        }
    }

    fn check(self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - word(self.named.len());
        let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
        let records = if self.count == 1 { "1 record does" } else { &format!("{} records do", self.count) };
        let reason = format!("{records} not fit, so nothing was changed:{}{more}", self.named.concat());
        Err(Error::InvalidValue { reason })
    }
}
