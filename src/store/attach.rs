//! The file of a handle: its locks, and what tells one surrounding of a table from another.
//!
//! Invariants:
//!
//! - Two bytes of the file carry open-file-description locks. The gate is held, exclusively by writers and shared by
//!   read-only handles, while a handle is being opened. The attachment is held shared by every handle as long as it is
//!   open. Who holds the gate and gets the attachment exclusively is alone.
//! - Such locks belong to the open file, so they end with the last process that has it, however that ends; a child of
//!   `fork` shares its parent's.
//! - Nothing here is used on the hot path.

use crate::error::{Error, Result};
use crate::format::control::INCARNATION_WORDS;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const GATE: i64 = 0;
const ATTACHMENT: i64 = 1;
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// How a byte of the file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Shared,
    Exclusive,
    Nothing,
}

/// An open file and its locks, which go when it is dropped.
pub struct Attachment {
    file: File,
    path: PathBuf,
}

impl Attachment {
    pub fn new(file: File, path: &Path) -> Self {
        Attachment { file, path: path.to_owned() }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the gate.
    pub fn enter_gate(&self, hold: Hold, timeout: Duration) -> Result<()> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        while !self.try_lock(GATE, hold)? {
            if start.elapsed() >= timeout {
                return Err(Error::Timeout { lock: "gate", holder_pid: None, waited: timeout });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    pub fn leave_gate(&self) -> Result<()> {
        self.try_lock(GATE, Hold::Nothing).map(drop)
    }

    /// Takes the attachment, or changes how it is held. False if somebody else's hold is in the way.
    pub fn try_attach(&self, hold: Hold) -> Result<bool> {
        self.try_lock(ATTACHMENT, hold)
    }

    /// Whether another handle, of this process or another, has the attachment.
    pub fn is_attached_by_others(&self) -> Result<bool> {
        // Asking whether it could be had exclusively changes nothing.
        let mut range = byte_range(ATTACHMENT, libc::F_WRLCK);
        fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut range))
            .map_err(|error| Error::io("look at the locks of", &self.path)(error.into()))?;
        Ok(libc::c_int::from(range.l_type) != libc::F_UNLCK)
    }

    /// Gives the attachment up; the handle is of no use any more.
    pub fn let_go(&self) {
        // Nothing can be done about a failure, and the lock goes with the file at the latest.
        let _ = self.try_lock(ATTACHMENT, Hold::Nothing);
    }

    /// Whether the path still names this very file.
    pub fn is_named_by_path(&self) -> Result<bool> {
        let own = self.file.metadata().map_err(Error::io("look at", &self.path))?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("look at", &self.path)(error)),
        }
    }

    /// Whether the file has no name any more.
    pub fn is_unlinked(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    fn try_lock(&self, byte: i64, hold: Hold) -> Result<bool> {
        let kind = match hold {
            Hold::Shared => libc::F_RDLCK,
            Hold::Exclusive => libc::F_WRLCK,
            Hold::Nothing => libc::F_UNLCK,
        };
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&byte_range(byte, kind))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(Error::io("lock", &self.path)(error.into())),
        }
    }
}

fn byte_range(byte: i64, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or(0),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or(0),
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Everything that must be the same for two processes to share the mutexes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub boot_id: [u64; 2],
    pub device: u64,
    pub inode: u64,
    pub pid_namespace: u64,
    pub mutex_fingerprint: u64,
}

impl Incarnation {
    /// That of this process and this file.
    pub fn current(file: &File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(Error::io("look at", path))?;
        Ok(Incarnation {
            boot_id: boot_id()?,
            device: metadata.dev(),
            inode: metadata.ino(),
            pid_namespace: pid_namespace()?,
            mutex_fingerprint: mutex_fingerprint()?,
        })
    }

    pub fn to_words(self) -> [u64; INCARNATION_WORDS] {
        let [high, low] = self.boot_id;
        [high, low, self.device, self.inode, self.pid_namespace, self.mutex_fingerprint]
    }

    pub fn from_words([high, low, device, inode, pid_namespace, mutex_fingerprint]: [u64; INCARNATION_WORDS]) -> Self {
        Incarnation { boot_id: [high, low], device, inode, pid_namespace, mutex_fingerprint }
    }

    /// Whether the file was last used here, in place, on this machine start, though perhaps by another kind of process.
    pub fn is_same_start(&self, other: &Self) -> bool {
        (self.boot_id, self.device, self.inode) == (other.boot_id, other.device, other.inode)
    }

    /// How the processes that have the file attached differ from this one, and what to do.
    pub fn difference(&self, attached: Option<&Self>) -> String {
        let Some(attached) = attached else {
            return "the file is attached by processes that have not finished opening or repairing it: end them, or \
                    wait for them"
                .to_owned();
        };
        if attached.boot_id != self.boot_id {
            return "the file is attached under another boot id: by another machine, or one that was restored from a \
                    snapshot; processes share a table within one running kernel only"
                .to_owned();
        }
        if (attached.device, attached.inode) != (self.device, self.inode) {
            return "the file is attached under another device or inode number: it was copied or moved under its \
                    users; end them"
                .to_owned();
        }
        if attached.pid_namespace != self.pid_namespace {
            return format!(
                "the file is attached by processes of another PID namespace ({}, this is {}): a mutex cannot tell \
                 their thread ids from ours; run both in one (docker run --pid=container:NAME, shareProcessNamespace)",
                attached.pid_namespace, self.pid_namespace
            );
        }
        "the file is attached by processes whose C library makes other mutexes (another architecture, pointer size, \
         or glibc against musl): build them alike"
            .to_owned()
    }
}

fn boot_id() -> Result<[u64; 2]> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let [a, b] = uuid_words(read_uuid(path)?);
    Ok([a, b])
}

/// A new random UUID, from the kernel.
pub fn random_uuid() -> Result<[u8; 16]> {
    read_uuid(Path::new("/proc/sys/kernel/random/uuid"))
}

/// Reads one of the kernel's files that hold a UUID as text.
fn read_uuid(path: &Path) -> Result<[u8; 16]> {
    let mut text = [0; 64];
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.read_at(&mut text, 0).map_err(Error::io("read", path))?;
    let digits = text.iter().take(length).filter_map(|byte| char::from(*byte).to_digit(16));
    let value = digits.fold(0_u128, |value, digit| value << 4 | u128::from(digit));
    Ok(value.to_be_bytes())
}

/// The two halves of a UUID as words.
pub fn uuid_words(uuid: [u8; 16]) -> [u64; 2] {
    bytemuck::cast(uuid)
}

fn pid_namespace() -> Result<u64> {
    let path = Path::new("/proc/self/ns/pid");
    Ok(std::fs::metadata(path).map_err(Error::io("look at", path))?.ino())
}

#[cfg(not(loom))]
fn mutex_fingerprint() -> Result<u64> {
    crate::shm::lock::mutex_fingerprint().map_err(Error::io("make a mutex for", Path::new("comparison")))
}

#[cfg(loom)]
fn mutex_fingerprint() -> Result<u64> {
    Ok(0)
}

#[cfg(not(any(loom, miri)))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_of_this_machine_start_this_file_and_this_c_library() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = File::create_new(&path).unwrap();
        let own = Incarnation::current(&file, &path).unwrap();
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let bytes: [u8; 16] = bytemuck::cast(own.boot_id);
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, text.trim().replace('-', ""));
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((own.device, own.inode), (metadata.dev(), metadata.ino()));
        assert_eq!(own.pid_namespace, std::fs::metadata("/proc/self/ns/pid").unwrap().ino());
        assert_eq!(own.mutex_fingerprint, crate::shm::lock::mutex_fingerprint().unwrap());
        assert_eq!(Incarnation::from_words(own.to_words()), own);
        assert_ne!(random_uuid().unwrap(), random_uuid().unwrap());

        // What is the same machine start, and how each other difference is described.
        assert!(own.is_same_start(&Incarnation { pid_namespace: 1, mutex_fingerprint: 2, ..own }));
        for (other, phrase, is_same_start) in [
            (None, "not finished opening", true),
            (Some(Incarnation { boot_id: [0, own.boot_id[1]], ..own }), "another boot id", false),
            (Some(Incarnation { device: !own.device, ..own }), "another device or inode", false),
            (Some(Incarnation { inode: !own.inode, ..own }), "another device or inode", false),
            (Some(Incarnation { pid_namespace: 1, ..own }), "another PID namespace (1,", true),
            (Some(Incarnation { mutex_fingerprint: 2, ..own }), "C library makes other mutexes", true),
        ] {
            let reason = own.difference(other.as_ref());
            assert!(reason.contains(phrase), "{reason:?}: {phrase:?}");
            assert_eq!(other.is_none_or(|other| own.is_same_start(&other)), is_same_start, "{phrase:?}");
        }
    }

    #[test]
    fn a_file_knows_whether_its_path_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let attachment = Attachment::new(File::create_new(&path).unwrap(), &path);
        assert!(attachment.is_named_by_path().unwrap() && !attachment.is_unlinked());
        let other = directory.path().join("other");
        std::fs::rename(&path, &other).unwrap();
        assert!(!attachment.is_named_by_path().unwrap() && !attachment.is_unlinked());
        std::fs::write(&path, "another file").unwrap();
        assert!(!attachment.is_named_by_path().unwrap());
        std::fs::remove_file(&other).unwrap();
        assert!(attachment.is_unlinked());
        // A path that cannot be looked at is an error: not of a file that was replaced.
        let behind_a_file = Attachment::new(File::open(&path).unwrap(), &path.join("file"));
        assert!(matches!(behind_a_file.is_named_by_path(), Err(Error::Io { .. })));
    }

    #[test]
    fn the_gate_and_the_attachment_are_two_locks_of_an_open_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let open = || {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            Attachment::new(file, &path)
        };
        let [first, second] = [open(), open()];
        let now = Duration::ZERO;
        first.enter_gate(Hold::Exclusive, now).unwrap();
        assert!(matches!(second.enter_gate(Hold::Shared, now), Err(Error::Timeout { lock: "gate", .. })));
        first.leave_gate().unwrap();
        second.enter_gate(Hold::Shared, now).unwrap();
        first.enter_gate(Hold::Shared, now).unwrap();
        assert!(!first.is_attached_by_others().unwrap());
        assert!(second.try_attach(Hold::Shared).unwrap());
        assert!(first.is_attached_by_others().unwrap() && !first.try_attach(Hold::Exclusive).unwrap());
        assert!(first.try_attach(Hold::Shared).unwrap());
        second.let_go();
        assert!(first.try_attach(Hold::Exclusive).unwrap() && !first.is_attached_by_others().unwrap());
    }
}
