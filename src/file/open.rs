//! Opening a file for writing: through the gate, beside others or as the first.

use crate::engine::{Access, Settings, Store};
use crate::error::{Error, Result};
use crate::format::geometry::word;
use crate::format::header::{FIRST_PAGE_BYTES, Header};
use crate::sys::attachment::{Attachment, Hold, Incarnation, OPEN_FLAGS, absolute};
use nix::errno::Errno;
use nix::sys::statfs;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// File systems on which processes of several machines, or even of one, do not share pages coherently.
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

/// A file whose gate is held and whose path names it: no process can begin to write to it meanwhile.
pub struct GatedFile {
    attachment: Attachment,
    header: Header,
}

impl GatedFile {
    /// Opens a file for writing, and enters its gate.
    pub fn enter(path: &Path, settings: &Settings) -> Result<Self> {
        Self::enter_if_exists(path, settings)?.ok_or_else(|| Error::DoesNotExist { path: path.to_owned() })
    }

    /// The same; `None` if there is no such file.
    pub fn enter_if_exists(path: &Path, settings: &Settings) -> Result<Option<Self>> {
        loop {
            let Some(attachment) = open_file(path, true, settings)? else { return Ok(None) };
            attachment.enter_gate(Hold::Exclusive, settings.lock_timeout)?;
            // The file may have been replaced while this process waited at its gate.
            if attachment.is_named_by_path()? {
                let header = read_header(attachment.file(), path)?;
                return Ok(Some(GatedFile { attachment, header }));
            }
        }
    }

    /// A whole new file that has no name yet, and whose gate is held.
    pub fn of_new_file(attachment: Attachment) -> Result<Self> {
        let header = read_header(attachment.file(), attachment.path())?;
        Ok(GatedFile { attachment, header })
    }

    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Attaches to a file that no other process knows. The gate is still held.
    pub fn attach_as_the_first(self, settings: &Settings) -> Result<Store> {
        let own = Incarnation::current(self.attachment.id(), self.attachment.path(), None)?;
        self.attachment.try_attach(Hold::Exclusive)?;
        let mut store = self.map(settings)?;
        store.attach_as_the_first(&own)?;
        Ok(store)
    }

    /// Attaches to a file that others use.
    pub fn attach_to_users(self, settings: &Settings) -> Result<Store> {
        let mut store = self.map(settings)?;
        store.attach_as_one_of_many()?;
        Ok(store)
    }

    /// Makes a handle on the mapped file, not attached yet.
    pub(super) fn map(self, settings: &Settings) -> Result<Store> {
        Store::map(self.attachment, self.header, Access::ReadWrite, settings)
    }
}

/// Opens a file; `None` if there is none.
pub(super) fn open_file(path: &Path, is_writable: bool, settings: &Settings) -> Result<Option<Attachment>> {
    let path = &absolute(path)?;
    let opened = OpenOptions::new().read(true).write(is_writable).custom_flags(OPEN_FLAGS.bits()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) && path.is_symlink() => {
            return Err(symbolic_link(path));
        }
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    check_file_system(&file, path, settings)?;
    let attachment = Attachment::new(file, path)?;
    if attachment.is_nameless() && attachment.is_at_path() {
        return Err(Error::Foreign {
            path: path.to_owned(),
            reason: "it was deleted or replaced, and the path is a mount of what it was: mount its directory instead"
                .to_owned(),
        });
    }
    Ok(Some(attachment))
}

/// A table must be opened by its own path, since replacing or deleting it would change the link.
fn symbolic_link(path: &Path) -> Error {
    let target = std::fs::canonicalize(path).ok();
    let reason = match target {
        Some(target) => format!("the path is a symbolic link: open {}, which it leads to", target.display()),
        None => "the path is a symbolic link that leads to no file".to_owned(),
    };
    Error::Foreign { path: path.to_owned(), reason }
}

impl Store {
    /// Opens a table for reading and writing. The first process to open it in a boot recovers it. A process that
    /// expects other records in it does not, and leaves the file as it was.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self> {
        let entry = GatedFile::enter(path, settings)?;
        if let Some(required) = &settings.required_schema {
            required.expect_in_file(&entry.header.schema)?;
        }
        let store = if entry.attachment.try_attach(Hold::Exclusive)? {
            reserve_blocks(&entry.attachment, &entry.header)?;
            let own = Incarnation::current(entry.attachment.id(), path, None)?;
            let mut store = entry.map(settings)?;
            store.attach_as_the_first(&own)?;
            store
        } else {
            entry.attach_to_users(settings)?
        };
        store.leave_gate()?;
        Ok(store)
    }
}

/// Gives a sparse file its blocks, so that a full disk is an error here, and does not end the process when a page is
/// first written to. A process that opens a file that others use finds that done.
fn reserve_blocks(attachment: &Attachment, header: &Header) -> Result<()> {
    let (file, path) = (attachment.file(), attachment.path());
    let file_bytes = word(header.geometry.file_bytes());
    let length = i64::try_from(file_bytes)
        .map_err(|_| Error::io("reserve the blocks of", path)(io::ErrorKind::FileTooLarge.into()))?;
    // A new table is filled when it is made; only a copy has holes.
    if attachment.first_hole().is_ok_and(|first_hole| first_hole >= file_bytes) {
        return Ok(());
    }
    match nix::fcntl::fallocate(file, nix::fcntl::FallocateFlags::empty(), 0, length) {
        // A file system that cannot reserve blocks, such as ZFS, has no use for them either: it writes elsewhere each time.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(error) => Err(Error::io("reserve the blocks of", path)(error.into())),
    }
}

/// The header of a file that is long enough for all that the header says.
pub(super) fn read_header(file: &File, path: &Path) -> Result<Header> {
    let (header, found) = read_header_alone(file, path, Header::decode)?;
    let expected = word(header.geometry.file_bytes());
    if found < expected {
        let reason = format!(
            "expected {expected} bytes, found {found}: it was cut short; `locule dump --salvage FILE` prints what is left"
        );
        return Err(Error::Foreign { path: path.to_owned(), reason });
    }
    Ok(header)
}

/// The header of a file, as `decode` understands it, and how long the file is, which may be too short for the rest.
pub(super) fn read_header_alone<H>(
    file: &File,
    path: &Path,
    decode: impl FnOnce(&[u8], &Path) -> Result<H>,
) -> Result<(H, u64)> {
    let metadata = file.metadata().map_err(Error::io("look at", path))?;
    let foreign = |reason: String| Error::Foreign { path: path.to_owned(), reason };
    if !metadata.is_file() {
        return Err(foreign("it is not a regular file".to_owned()));
    }
    let read = |length_bytes: usize| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length_bytes];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && metadata.len() == 0 => {
                Err(foreign("it is empty".to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(foreign(format!("it ends after {} bytes, inside its header", metadata.len())))
            }
            Err(error) => Err(Error::io("read", path)(error)),
        }
    };
    let first_page = read(FIRST_PAGE_BYTES)?;
    let header_bytes = Header::length_bytes(&first_page, path)?;
    let bytes = if header_bytes == FIRST_PAGE_BYTES { first_page } else { read(header_bytes)? };
    Ok((decode(&bytes, path)?, metadata.len()))
}

/// Refuses file systems on which shared mappings are not shared by every process.
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

/// The name of a file system that is refused, by the kernel's number for it.
fn refused_file_system(found: i64) -> Option<&'static str> {
    REFUSED_FILE_SYSTEMS.iter().find(|(magic, _)| *magic == found).map(|(_, name)| *name)
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldType;
    use crate::engine::Encoded;
    use crate::engine::outcome::{Recovery, RecoveryOutcome};
    use crate::engine::tests::world::{header, settings};
    use crate::file::create::{Plan, create};
    use crate::schema::{FieldSchema, Schema};

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
    #[cfg_attr(miri, ignore = "Miri maps no files")]
    fn who_opens_a_table_that_is_in_order_is_told_what_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.loc");
        let schema = header(5).schema;
        let first = create(&path, &Plan { capacity: 5, mode: 0o600, schema: schema.clone() }, &settings()).unwrap();
        let last = [1, 2, 3].map(|key| first.insert(Encoded::new(&[key, 0])).unwrap().version)[2];
        let check = |store: &Store| {
            let Recovery { outcome: found, nothing_lost, number, highest_number_seen, live_count, is_private_copy } =
                *store.recovery();
            assert_eq!((found, nothing_lost, is_private_copy), (RecoveryOutcome::InOrder, true, false));
            assert_eq!((number, highest_number_seen, live_count), (last, last, 3));
        };
        // While another handle uses it, and as the only one.
        check(&Store::open(&path, &settings()).unwrap());
        check(&Store::open_read_only(&path, &settings()).unwrap());
        drop(first);
        check(&Store::open(&path, &settings()).unwrap());
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
        let plan = Plan { capacity: 1, mode: 0o600, schema: schema.into() };
        drop(create(&path, &plan, &settings()).unwrap());
        let store = Store::open(&path, &settings()).unwrap();
        assert!(store.header().schema == plan.schema && store.geometry().header_bytes() > FIRST_PAGE_BYTES);
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
        // This was once reported as a file that ends inside its header.
        std::fs::write(&path, b"").unwrap();
        match read_header(&File::open(&path).unwrap(), &path) {
            Err(Error::Foreign { reason, .. }) => assert_eq!(reason, "it is empty"),
            other => panic!("{other:?}"),
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_header(&File::open(&path).unwrap(), &path) {
            Err(Error::Foreign { reason, .. }) => assert!(reason.contains("it was cut short"), "{reason}"),
            other => panic!("{other:?}"),
        }
        // This one was opened for writing only.
        let unreadable = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(matches!(read_header(&unreadable, &path), Err(Error::Io { .. })));
        let directory_itself = File::open(directory.path()).unwrap();
        assert!(matches!(read_header(&directory_itself, directory.path()), Err(Error::Foreign { .. })));
    }
}
