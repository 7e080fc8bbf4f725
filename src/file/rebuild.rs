//! Making a table anew from its own records, while others use it: with another schema, or another capacity.
//!
//! 1. *Copy.* The newest state is copied while others write, and each record of it is turned into a new one, in a new
//!    file that has no name and that is written to the disk. What was changed meanwhile is done again, until little is left.
//! 2. *Catch up.* Under the write mutex, the records that were changed since are done again.
//! 3. *Switch.* The new file, flushed once more, gets the name, and the users of the old one get `Superseded`.
//!
//! A process that dies before the switch leaves nothing behind, and after it the new table; so does a power cut.
//!
//! Invariants:
//!
//! 1. The new table has each record of the old one under its id and its number, and a tombstone where that has one. What
//!    the tombstones of dropped slots say is in the generation floor. So no id and no number comes again.
//! 2. What is sealed under the write mutex is the state of the last transaction: nobody else can prepare one.

use crate::engine::choose::GivenOut;
use crate::engine::copy::CopyOfNewest;
use crate::engine::guard::inside_closure;
use crate::engine::outcome::Recovery;
use crate::engine::{Settings, Store};
use crate::error::{Error, Result};
use crate::file::create::{Fate, Permissions, retire};
use crate::file::image::{Continuation, Image};
use crate::file::open::GatedFile;
use crate::file::temporary::remove_leftovers;
use crate::file::unique_keys::UniqueKeys;
use crate::format::cell::{CellHeader, GENERATION_LIMIT};
use crate::format::geometry::{widen, word};
use crate::format::header::Header;
use crate::record_id::RecordId;
use crate::schema::Schema;
use crate::sys::attachment::{Attachment, absolute, random_uuid, random_word};
use crate::value::untyped::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a table is to be.
pub struct Plan<'c> {
    pub schema: Arc<Schema>,
    /// How many slots; as many as it has, if that is not said.
    pub capacity: Option<u64>,
    /// Whether a record can get another content. That of a schema of other records is another in any case.
    pub may_change_content: bool,
    pub convert: Box<Convert<'c>>,
}

/// Turns the words of an old record into those of a new one.
pub type Convert<'c> = dyn FnMut(RecordId, &[u64], &mut [u64]) -> Result<()> + 'c;

/// How it went to make a table anew: see [`Alteration::apply`](crate::maintenance::Alteration::apply).
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("visits.loc");
/// # drop(locule::Table::<Visit>::create(&path, 100)?);
/// let rebuilt = locule::maintenance::Alteration::of(&path).capacity(200).apply()?;
/// assert_eq!((rebuilt.live_count, rebuilt.changed_count), (0, 0));
/// assert!(rebuilt.recovery.nothing_lost);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// How many records the table has.
    pub live_count: u64,
    /// How many slots were done again while nobody else could write, since they had changed just before.
    pub changed_count: u64,
    /// For how long nobody else could write.
    pub locked: Duration,
    /// What opening the table found and repaired, before it was made anew.
    pub recovery: Recovery,
}

/// How many records that do not fit an error names.
const NAMED_COUNT: usize = 10;
/// How many passes are made at most before others are kept from writing.
const PASS_COUNT: u32 = 8;

/// Makes a table anew, as planned for its schema. If a record cannot be turned into a new one, nothing has changed.
pub fn rebuild<'c>(
    path: &Path,
    settings: &Settings,
    plan: impl FnOnce(&Arc<Schema>) -> Result<Plan<'c>>,
) -> Result<Rebuilt> {
    let path = &absolute(path)?;
    remove_leftovers(path);
    // This handle writes nothing, so it leaves the syncs that are due to those that do: they may hold the lock. If all others
    // are gone, it syncs in the end.
    let source = Store::open(path, &Settings { sync_every: Some(Duration::MAX), ..settings.clone() })?;
    let plan = plan(source.schema())?;
    let header = new_header(source.header(), &plan, settings)?;
    let image = Image::begin(path, header, Permissions::Of(path), settings)?;
    let mut work = Work::begin(&source, image, plan.convert)?;
    work.copy_beside_others(settings)?;

    let entry = GatedFile::enter(path, settings)?;
    if source.attachment().map(Attachment::id) != Some(entry.attachment().id()) {
        return Err(Error::Superseded);
    }
    let mut locked_since = Instant::now();
    let rebuilt = retire(entry, Fate::CarriedOn, settings, |leaving| {
        locked_since = Instant::now();
        let changed_count = work.catch_up()?;
        work.seal(settings)?;
        let live_count = work.image.live_count();
        leaving.announce();
        let recovery = *source.recovery();
        Ok((work.image.exchange()?, Rebuilt { live_count, changed_count, locked: Duration::ZERO, recovery }))
    });
    let locked = locked_since.elapsed();
    // The old file is deleted here, when nobody waits any more.
    rebuilt.map(|(_old, rebuilt)| Rebuilt { locked, ..rebuilt })
}

/// The header of the new table. To those that follow its changes it is the same table as long as its records are the
/// same: a record keeps its number, so nothing would tell them of its new content.
fn new_header(old: &Header, plan: &Plan<'_>, settings: &Settings) -> Result<Header> {
    let old_capacity = u64::from(old.geometry.capacity());
    let capacity = plan.capacity.unwrap_or(old_capacity);
    // A smaller one has forgotten what was deleted from the slots that are gone.
    let has_the_same_records = !plan.may_change_content && old.schema.same_records(&plan.schema);
    let is_the_same = has_the_same_records && capacity >= old_capacity;
    let uuid = if is_the_same { old.uuid } else { random_uuid() };
    Header::new(capacity, Arc::clone(&plan.schema), uuid, random_word(), (settings.wall_clock)())
}

struct Work<'s, 'p, 'c> {
    source: &'s Store,
    copy: CopyOfNewest<'s>,
    image: Image<'p>,
    convert: Box<Convert<'c>>,
    keys: UniqueKeys,
    /// The number of the cell of each old slot that was put into the new table.
    done: Vec<u64>,
    /// The number of the state that was copied.
    number: u64,
    /// The highest generation of a tombstone whose slot the new table does not have.
    dropped_generation: u64,
    /// What the new table goes on from by now, and is on the disk; `None` if something was put since.
    sealed: Option<Continuation>,
    payload: Vec<u64>,
}

impl<'s, 'p, 'c> Work<'s, 'p, 'c> {
    fn begin(source: &'s Store, image: Image<'p>, convert: Box<Convert<'c>>) -> Result<Self> {
        image.note_that_nothing_is_missing()?;
        let geometry = &image.header().geometry;
        Ok(Work {
            source,
            copy: CopyOfNewest::begin(source)?,
            convert,
            keys: UniqueKeys::new(if geometry.key().is_some() { widen(geometry.capacity()) } else { 0 }),
            done: vec![0; widen(source.geometry().capacity())],
            number: 0,
            dropped_generation: 0,
            sealed: None,
            payload: vec![0; geometry.record_words()],
            image,
        })
    }

    /// Copies the table while others write, until a pass finds little that has changed since the one before. What is
    /// flushed here need not be flushed while they wait.
    fn copy_beside_others(&mut self, settings: &Settings) -> Result<()> {
        let mut changed_before = u64::MAX;
        for _ in 0..PASS_COUNT {
            let changed_count = self.catch_up()?;
            self.seal(settings)?;
            if changed_count == 0 || changed_count > changed_before / 2 {
                break;
            }
            changed_before = changed_count;
        }
        Ok(())
    }

    /// Puts every record into the new table that is not there as it is now. Returns how many slots had changed.
    fn catch_up(&mut self) -> Result<u64> {
        self.number = self.copy.catch_up()?.number;
        let mut misfits = Misfits::default();
        let changed: Vec<u32> = (0..)
            .zip(&self.done)
            .filter(|(slot, done)| self.copy.number_in(*slot) != **done)
            .map(|(slot, _)| slot)
            .collect();
        changed.iter().for_each(|slot| self.keys.take_out(*slot));
        for slot in &changed {
            self.put(*slot, &mut misfits)?;
        }
        misfits.check()?;
        Ok(word(changed.len()))
    }

    fn put(&mut self, slot: u32, misfits: &mut Misfits) -> Result<()> {
        let Some((header, payload)) = self.copy.cell(slot) else { return Ok(()) };
        self.sealed = None;
        if let Some(done) = self.done.get_mut(widen(slot)) {
            *done = header.number;
        }
        let id = RecordId::new(slot, header.generation);
        if slot >= self.image.header().geometry.capacity() {
            if header.is_live {
                let key = self.key_of(payload).map_or_else(String::new, |(name, value)| format!("`{name}` {value}: "));
                misfits.note(id, &format!("{key}it is in slot {slot}, which would be gone"));
            } else {
                self.drop_tombstone(header);
            }
            return Ok(());
        }
        if !header.is_live {
            return self.image.put(slot, header, None);
        }
        self.payload.fill(0);
        let (convert, new) = (&mut self.convert, &mut self.payload);
        // It may not wait for a lock that is held around it.
        match inside_closure(self.source, || convert(id, payload, new)) {
            Ok(()) => {}
            Err(Error::InvalidValue { reason }) => {
                misfits.note(id, &reason);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.image.put(slot, header, Some(&self.payload))?;
        let key = self.image.header().geometry.key_bytes_of(&self.payload);
        match key.and_then(|key| self.keys.put(slot, key).map(|other| (key, other))) {
            Some((key, other)) => Err(self.duplicate(key, other)),
            None => Ok(()),
        }
    }

    fn drop_tombstone(&mut self, tombstone: CellHeader) {
        // A record of the last generation leaves no next one, so it must not make that of all others.
        if tombstone.generation < GENERATION_LIMIT - 1 {
            self.dropped_generation = self.dropped_generation.max(tombstone.generation);
        }
    }

    /// The name and the value of the key of an old record.
    fn key_of(&self, payload: &[u64]) -> Option<(&str, Value)> {
        let field = self.source.schema().key()?;
        let bytes = self.source.geometry().key_bytes_of(payload)?;
        Some((field.name(), crate::schema::decode_value(field, bytes).ok()?))
    }

    #[cold]
    fn duplicate(&self, key: &[u8], slot: u32) -> Error {
        let field = self.image.header().schema.key();
        let value = field.and_then(|field| crate::schema::decode_value(field, key).ok()).unwrap_or_default();
        Error::DuplicateKey { key: value.to_string(), id: self.image.id_in(slot) }
    }

    /// Makes what was put the state of the new table, on the disk, unless it is that already.
    fn seal(&mut self, settings: &Settings) -> Result<()> {
        let GivenOut { number, generation } = self.source.given_out();
        let after = Continuation {
            // What was given up since has burned numbers and generations, and changed no slot.
            number: self.number.max(number),
            generation_floor: generation.max(self.dropped_generation),
            gaps: self.source.gaps()?,
        };
        if self.sealed != Some(after) {
            self.image.seal(after, settings)?;
            self.sealed = Some(after);
        }
        Ok(())
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
