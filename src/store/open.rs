//! Opening a file: through the gate, with others or as the first.

use super::attach::{Attachment, Hold, Incarnation};
use super::recover::Recovery;
use super::{Access, Settings, Store};
use crate::error::{Error, Result};
use crate::format::checksum::mix;
use crate::format::control::{CONDEMNED, FAILED, INCARNATION, INCARNATION_SEAL, INCARNATION_WORDS, LAST, SUPERSEDED};
use crate::format::geometry::word;
use crate::format::header::{FIRST_PAGE_BYTES, Header};
use crate::format::schema::Schema;
use crate::shm::map::{Map, MappedWords};
use crate::shm::medium::Medium;
use crate::shm::words::Ordering;
use nix::fcntl::OFlag;
use nix::sys::statfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// File systems on which processes of several machines, or none at all, share pages coherently.
const REFUSED_FILE_SYSTEMS: [(i64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x00C3_6400, "Ceph"),
    (0x0102_1997, "9P"),
    (0x5346_414F, "AFS"),
    (0x0BD0_0BD0, "Lustre"),
];

/// A file whose gate is held and whose path names it: nobody can begin to use it meanwhile.
pub struct Entry {
    attachment: Attachment,
    header: Header,
    is_writable: bool,
}

impl Entry {
    /// Opens a file and enters its gate: exclusively to write, shared to read.
    pub fn enter(path: &Path, gate: Hold, settings: &Settings) -> Result<Self> {
        Self::enter_if_exists(path, gate, settings)?.ok_or_else(|| Error::DoesNotExist { path: path.to_owned() })
    }

    /// The same; `None` if there is no such file.
    pub fn enter_if_exists(path: &Path, gate: Hold, settings: &Settings) -> Result<Option<Self>> {
        let is_writable = gate == Hold::Exclusive;
        loop {
            let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
            let opened = OpenOptions::new().read(true).write(is_writable).custom_flags(flags.bits()).open(path);
            let file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::io("open", path)(error)),
            };
            check_file_system(&file, path, settings)?;
            let attachment = Attachment::new(file, path);
            attachment.enter_gate(gate, settings.lock_timeout)?;
            // Somebody may have replaced the file while this one waited at its gate.
            if attachment.is_named_by_path()? {
                let header = read_header(attachment.file(), path)?;
                return Ok(Some(Entry { attachment, header, is_writable }));
            }
        }
    }

    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn path(&self) -> &Path {
        self.attachment.path()
    }

    /// Attaches to a file that others use.
    pub fn attach_to_users(self, settings: &Settings) -> Result<Store> {
        let own = Incarnation::current(self.attachment.file(), self.path())?;
        let store = self.map(settings)?;
        store.attach_as_one_of_many(&own)?;
        Ok(store)
    }

    /// Makes a handle on the mapped file, not attached yet.
    fn map(self, settings: &Settings) -> Result<Store> {
        let geometry = self.header.geometry;
        let file = self.attachment.file();
        let map = MappedWords::of_file(file, geometry.word_count(), self.is_writable, settings.prefault)
            .and_then(|words| Map::new(words, geometry.control()))
            .map_err(Error::io("map", self.path()))?;
        let access = if self.is_writable { Access::ReadWrite } else { Access::ReadOnly };
        Ok(Store::new(Medium::Mapped(map), self.header, settings.clone(), access, Some(self.attachment)))
    }

    /// Makes a handle on a copy of the file in this process's memory.
    fn copy(self, settings: &Settings) -> Result<Store> {
        let mut words = vec![0_u64; self.header.geometry.word_count()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        self.attachment.file().read_exact_at(bytes, 0).map_err(Error::io("read", self.path()))?;
        let medium = Medium::private(words, self.header.geometry.control()).map_err(Error::io("copy", self.path()))?;
        Ok(Store::new(medium, self.header, settings.clone(), Access::PrivateCopy, None))
    }
}

/// A table that was opened for reading and not recovered.
pub struct AsFound {
    /// A handle on the file; on a copy of it if it needs a recovery.
    pub store: Store,
    pub is_same_start: bool,
    /// Why the file needs a recovery before it can be read.
    pub recovery_reason: Option<&'static str>,
    /// Whether others had the file open.
    pub is_in_use: bool,
}

impl Store {
    /// Opens a table for reading and writing. The first process to open it on a machine start recovers it; whoever expects
    /// other records in it does not, and leaves the file as it was.
    pub fn open(path: &Path, schema: &Schema, settings: &Settings) -> Result<Self> {
        let entry = Entry::enter(path, Hold::Exclusive, settings)?;
        schema.expect_in_file(&entry.header.schema)?;
        let own = Incarnation::current(entry.attachment.file(), path)?;
        let mut store = entry.map(settings)?;
        if store.hold(Hold::Exclusive)? {
            store.attach_as_the_first(&own)?;
        } else {
            store.attach_as_one_of_many(&own)?;
            store.recovery = store.recovery_in_order();
        }
        store.leave_gate()?;
        Ok(store)
    }

    /// Opens a table for reading. Never changes a byte of the file: if that needs a recovery, the handle recovers a copy.
    pub fn open_read_only(path: &Path, settings: &Settings) -> Result<Self> {
        let AsFound { mut store, is_same_start, recovery_reason, .. } = Self::open_as_found(path, settings)?;
        if recovery_reason.is_some() {
            store.recovery = Recovery { is_private_copy: true, ..store.recover(is_same_start)? };
        }
        Ok(store)
    }

    /// Opens a table for reading; if it needs a recovery, makes a copy of it, which is not recovered yet.
    pub fn open_as_found(path: &Path, settings: &Settings) -> Result<AsFound> {
        let entry = Entry::enter(path, Hold::Shared, settings)?;
        let own = Incarnation::current(entry.attachment.file(), path)?;
        let is_in_use = entry.attachment.is_attached_by_others()?;
        let mut store = entry.map(settings)?;
        // Readers use no mutex, so it does not matter whose they are.
        let mut recovery_reason = store.recovery_reason(&own);
        if recovery_reason.is_none() {
            if store.hold(Hold::Shared)? {
                store.recovery = store.recovery_in_order();
                store.leave_gate()?;
                return Ok(AsFound { store, is_same_start: true, recovery_reason, is_in_use });
            }
            recovery_reason = Some("another program locks it, and may be changing it");
        }
        let entry = Entry {
            attachment: store.attachment.take().ok_or(Error::Superseded)?,
            header: store.header,
            is_writable: false,
        };
        let store = entry.copy(settings)?;
        let is_same_start = store.incarnation().is_some_and(|attached| attached.is_same_start(&own));
        Ok(AsFound { store, is_same_start, recovery_reason, is_in_use })
    }

    /// Why the file cannot be read as it is.
    fn recovery_reason(&self, own: &Incarnation) -> Option<&'static str> {
        let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;
        if is_set(CONDEMNED) {
            return Some("one of its locks can no longer be used");
        }
        if is_set(SUPERSEDED) {
            return Some("it is marked as replaced");
        }
        match self.incarnation() {
            None => Some("whoever opened or repaired it last did not finish"),
            Some(attached) if attached.boot_id != own.boot_id => Some("it was last used on another machine start"),
            Some(attached) if !attached.is_same_start(own) => Some("it was copied, moved or restored"),
            Some(_) => None,
        }
    }

    /// Nobody else is attached, and nobody can be: recovers if need be, and makes room for others.
    pub(super) fn attach_as_the_first(&mut self, own: &Incarnation) -> Result<()> {
        let attached = self.incarnation();
        let is_same_start = attached.is_some_and(|attached| attached.is_same_start(own));
        // The file can have been restored in place, with a mutex that somebody held.
        if attached == Some(*own) && self.trouble().is_none() && self.medium.locks_are_free() {
            self.recovery = self.recovery_in_order();
        } else {
            self.recovery = self.recover(is_same_start)?;
            self.medium.initialise_locks().map_err(Error::io("make the locks of", self.path()))?;
            self.put_incarnation(own);
        }
        self.hold(Hold::Shared)?;
        Ok(())
    }

    fn attach_as_one_of_many(&self, own: &Incarnation) -> Result<()> {
        let attached = self.incarnation();
        if attached != Some(*own) {
            return Err(Error::Incompatible { reason: own.difference(attached.as_ref()) });
        }
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        if !self.hold(Hold::Shared)? {
            let reason = "somebody has the file to himself: another program locks it".to_owned();
            return Err(Error::Incompatible { reason });
        }
        Ok(())
    }

    /// Why nobody can attach before a recovery.
    fn trouble(&self) -> Option<Error> {
        let is_set = |index| self.control().load(index, Ordering::Acquire) != 0;
        if is_set(CONDEMNED) {
            Some(Error::Condemned)
        } else if is_set(FAILED) {
            Some(Error::FlushFailed { source: None })
        } else if is_set(SUPERSEDED) {
            Some(Error::Superseded)
        } else {
            None
        }
    }

    fn recovery_in_order(&self) -> Recovery {
        let number = self.control().load(LAST, Ordering::Acquire);
        let live_count = self.control().load(crate::format::control::NEWEST + 1, Ordering::Acquire);
        Recovery { number, highest_number_seen: number, live_count, ..self.recovery }
    }

    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        let words = self.control().to_array::<INCARNATION_WORDS>(INCARNATION);
        let seal = self.control().load(INCARNATION_SEAL, Ordering::Acquire);
        (seal == incarnation_seal(words)).then(|| Incarnation::from_words(words))
    }

    fn put_incarnation(&self, incarnation: &Incarnation) {
        let words = incarnation.to_words();
        for (offset, content) in words.into_iter().enumerate() {
            self.control().store(INCARNATION + offset, content, Ordering::Relaxed);
        }
        self.control().store(INCARNATION_SEAL, incarnation_seal(words), Ordering::Release);
    }

    fn hold(&self, hold: Hold) -> Result<bool> {
        self.attachment.as_ref().map_or(Ok(true), |attachment| attachment.try_attach(hold))
    }

    fn leave_gate(&self) -> Result<()> {
        self.attachment.as_ref().map_or(Ok(()), Attachment::leave_gate)
    }
}

/// Never 0, which is what is written while there is no incarnation.
fn incarnation_seal([a, b, c, d, e, f]: [u64; INCARNATION_WORDS]) -> u64 {
    mix(mix(a, b, c), mix(d, e, f), 1) | 1
}

fn read_header(file: &File, path: &Path) -> Result<Header> {
    let metadata = file.metadata().map_err(Error::io("look at", path))?;
    let foreign = |reason: String| Error::Foreign { path: path.to_owned(), reason };
    if !metadata.is_file() {
        return Err(foreign("it is not a regular file".to_owned()));
    }
    let read = |length_bytes: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length_bytes];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(foreign(format!("it ends after {} bytes, inside its header", metadata.len())))
            }
            Err(error) => Err(Error::io("read", path)(error)),
        }
    };
    let first_page = read(FIRST_PAGE_BYTES)?;
    let header_bytes = Header::length_bytes(&first_page, path)?;
    let bytes = if header_bytes == FIRST_PAGE_BYTES { first_page } else { read(header_bytes)? };
    let header = Header::decode(&bytes, path)?;
    let expected = word(header.geometry.file_bytes());
    if metadata.len() < expected {
        return Err(foreign(format!("expected {expected} bytes, found {}: it was cut short", metadata.len())));
    }
    Ok(header)
}

/// Refuses file systems on which shared mappings are not shared by everybody.
pub fn check_file_system(file: &File, path: &Path, settings: &Settings) -> Result<()> {
    if settings.any_file_system {
        return Ok(());
    }
    let found = statfs::fstatfs(file).map_err(|error| Error::io("look at", path)(error.into()))?.filesystem_type();
    #[allow(clippy::useless_conversion, reason = "the type of the number is not the same for every C library")]
    let found = i64::from(found.0);
    match refused_file_system(found) {
        None => Ok(()),
        Some(name) => Err(Error::Incompatible {
            reason: format!(
                "{} is on {name}, where machines do not share memory: put the table on a local file system, or set \
                 `allow_any_file_system` if only one machine ever uses it",
                path.display()
            ),
        }),
    }
}

/// The name of a file system that is refused, by the number that the kernel has for it.
fn refused_file_system(found: i64) -> Option<&'static str> {
    REFUSED_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == found).map(|(_, name)| *name)
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldType;
    use crate::format::schema::FieldSchema;
    use crate::store::Encoded;
    use crate::store::create::{Plan, create};
    use crate::store::recover::Found;
    use crate::store::tests::heap_store;
    use crate::store::tests::world::{header, incarnation, settings};

    #[test]
    fn file_systems_that_machines_share_are_refused_and_no_others() {
        #[allow(clippy::useless_conversion, reason = "as in `check_file_system`")]
        let name_of = |file_system: statfs::FsType| refused_file_system(i64::from(file_system.0));
        for (file_system, name) in [
            (statfs::NFS_SUPER_MAGIC, "NFS"),
            (statfs::SMB_SUPER_MAGIC, "SMB"),
            (statfs::FUSE_SUPER_MAGIC, "FUSE"),
            (statfs::AFS_SUPER_MAGIC, "AFS"),
        ] {
            assert_eq!(name_of(file_system), Some(name));
        }
        // Those for which the C library has no name: CIFS, SMB2, Ceph, 9P, Lustre; and ZFS, which is local.
        let others = [0xFF53_4D42, 0xFE53_4D42, 0x00C3_6400, 0x0102_1997, 0x0BD0_0BD0, 0x2FC1_2FC1];
        let names = [Some("CIFS"), Some("SMB2"), Some("Ceph"), Some("9P"), Some("Lustre"), None];
        assert_eq!(others.map(refused_file_system), names);
        for file_system in [
            statfs::EXT4_SUPER_MAGIC,
            statfs::XFS_SUPER_MAGIC,
            statfs::BTRFS_SUPER_MAGIC,
            statfs::TMPFS_MAGIC,
            statfs::OVERLAYFS_SUPER_MAGIC,
        ] {
            assert_eq!(name_of(file_system), None, "{file_system:?}");
        }
    }

    #[test]
    fn an_incarnation_is_there_only_if_its_seal_fits() {
        let store = heap_store(header(1), settings());
        // Zeros, as in a new file, are none.
        assert_eq!(store.incarnation(), None);
        let own = incarnation(1);
        store.put_incarnation(&own);
        assert_eq!(store.incarnation(), Some(own));
        for index in INCARNATION..=INCARNATION_SEAL {
            let place = store.geometry.control() + index;
            let content = store.word_at(place);
            store.plant(place, &[content ^ 1 << 7]);
            assert_eq!(store.incarnation(), None, "word {index}");
            store.plant(place, &[content]);
        }
        assert_eq!(store.incarnation(), Some(own));
    }

    #[test]
    fn a_reader_is_told_why_a_file_needs_a_recovery() {
        let store = heap_store(header(1), settings());
        let own = incarnation(1);
        let reason = || store.recovery_reason(&own).unwrap_or("in order");
        assert_eq!(reason(), "whoever opened or repaired it last did not finish");
        store.put_incarnation(&own);
        assert_eq!(reason(), "in order");
        // Readers use no mutex.
        store.put_incarnation(&Incarnation { pid_namespace: !own.pid_namespace, ..own });
        assert_eq!(reason(), "in order");
        store.put_incarnation(&Incarnation { inode: !own.inode, ..own });
        assert_eq!(reason(), "it was copied, moved or restored");
        store.put_incarnation(&incarnation(2));
        assert_eq!(reason(), "it was last used on another machine start");
        let mark = |index: usize| store.plant(store.geometry.control() + index, &[1]);
        mark(SUPERSEDED);
        assert_eq!(reason(), "it is marked as replaced");
        mark(CONDEMNED);
        assert_eq!(reason(), "one of its locks can no longer be used");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn who_opens_a_table_that_is_in_order_is_told_what_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let schema = header(5).schema;
        let first = create(&path, &Plan { capacity: 5, mode: 0o600, schema: schema.clone() }, &settings()).unwrap();
        let last = [1, 2, 3].map(|key| first.insert(Encoded::new(&[key, 0])).unwrap().version)[2];
        let check = |store: &Store| {
            let Recovery { found, nothing_lost, number, highest_number_seen, live_count, is_private_copy } =
                store.recovery;
            assert_eq!((found, nothing_lost, is_private_copy), (Found::InOrder, true, false));
            assert_eq!((number, highest_number_seen, live_count), (last, last, 3));
        };
        // While another uses it, and as the only one.
        check(&Store::open(&path, &schema, &settings()).unwrap());
        check(&Store::open_read_only(&path, &settings()).unwrap());
        drop(first);
        check(&Store::open(&path, &schema, &settings()).unwrap());
        check(&Store::open_read_only(&path, &settings()).unwrap());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn a_schema_that_is_longer_than_a_page_is_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let fields =
            (0..300).map(|number| FieldSchema::new(format!("a_field_of_this_number_{number}"), FieldType::U64));
        let schema = Schema::new(fields.collect()).unwrap();
        let plan = Plan { capacity: 1, mode: 0o600, schema };
        drop(create(&path, &plan, &settings()).unwrap());
        let store = Store::open(&path, &plan.schema, &settings()).unwrap();
        assert!(store.header().schema == plan.schema && store.geometry.header_bytes() > FIRST_PAGE_BYTES);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_file_that_ends_in_its_header_is_foreign_and_one_that_cannot_be_read_is_an_error_of_the_system() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let bytes = header(1).encode();
        std::fs::write(&path, &bytes[..FIRST_PAGE_BYTES - 1]).unwrap();
        match read_header(&File::open(&path).unwrap(), &path) {
            Err(Error::Foreign { reason, .. }) => assert_eq!(reason, "it ends after 4095 bytes, inside its header"),
            other => panic!("{other:?}"),
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_header(&File::open(&path).unwrap(), &path) {
            Err(Error::Foreign { reason, .. }) => assert!(reason.ends_with("it was cut short"), "{reason}"),
            other => panic!("{other:?}"),
        }
        // This one was opened to be written to only.
        let unreadable = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(matches!(read_header(&unreadable, &path), Err(Error::Io { .. })));
        let directory_itself = File::open(directory.path()).unwrap();
        assert!(matches!(read_header(&directory_itself, directory.path()), Err(Error::Foreign { .. })));
    }
}
