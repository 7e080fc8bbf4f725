//! The file of a handle: its locks, and what distinguishes the surroundings of one table from those of another.
//!
//! Invariants:
//!
//! - Three bytes of the file carry open-file-description locks. The gate is held, exclusively by writers, while a
//!   handle is being opened. The attachment is held shared by every handle that may write, as long as the handle is
//!   usable. A process that holds the gate and gets the attachment exclusively is alone: no other process can write, or
//!   begin to. The departure is held while a handle finds out whether it is the last to leave.
//! - Such locks belong to the open file, so they end with the last process that has it open. Each process that uses a
//!   handle has an open file of its own: the child of a fork opens the file again. The child only closes what it has
//!   inherited. The process that opened the file unlocks it itself, so that a child that was forked meanwhile holds
//!   nothing up.
//! - A descriptor that a program closed by its number may belong to another file by now: before a lock is released
//!   through it, or it is closed, it is compared.
//! - Nothing here is used on the hot path.

use crate::error::{Error, Result, TableLock, broken_invariant};
use crate::format::checksum::mix;
use crate::format::control::INCARNATION_WORDS;
use crate::sys::deadline::poll;
use crate::sys::fork_generation;
use crate::sys::lock_holder::process_that_holds;
use crate::sys::private::Remembered;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The byte that is locked while a handle is being opened.
const GATE: i64 = 0;
/// The byte that is locked as long as a handle may write.
const ATTACHMENT: i64 = 1;
/// The byte that is locked while a handle finds out whether it is the last to leave.
const DEPARTURE: i64 = 2;

/// How a file is opened to be mapped: opening what is not a regular file must not wait.
pub const OPEN_FLAGS: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

/// How a byte of the file is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Shared,
    Exclusive,
    Nothing,
}

/// A path that names the same file wherever this process goes.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}

/// Which file it is, as long as it exists.
#[derive(Clone, Copy, Debug)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970; 0 if the file system does not say. A file that is made after
    /// another was deleted often gets that one's inode number.
    pub birth_time: u64,
}

/// A time of birth that one side does not know tells nothing: whether it is known depends on what a process may ask the
/// kernel.
impl PartialEq for FileId {
    fn eq(&self, other: &Self) -> bool {
        let is_birth_known = self.birth_time != 0 && other.birth_time != 0;
        (self.device, self.inode) == (other.device, other.inode)
            && (!is_birth_known || self.birth_time == other.birth_time)
    }
}

impl FileId {
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let birth_time = metadata.created().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let birth_time = birth_time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0));
        FileId { device: metadata.dev(), inode: metadata.ino(), birth_time }
    }

    /// The id of what a path names, if it can be looked at.
    fn of_path(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().map(FileId::of)
    }

    /// One number for both, never 0. The probability that two files of one process have the same one is 2^-63.
    pub fn number(self) -> u64 {
        mix(self.device, self.inode, 0) | 1
    }
}

/// An open file and its locks, which are released when it is dropped.
pub struct Attachment {
    /// There until the end of [`Drop::drop`].
    file: Option<File>,
    path: PathBuf,
    id: FileId,
    /// The root of this process when it opened the file.
    root: Option<FileId>,
    /// The process that opened the file, by its fork generation: only that one releases its locks.
    process: Remembered,
    /// The position of the open file, which distinguishes it from others: a random one.
    position: Remembered,
}

impl Attachment {
    pub fn new(file: File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(Error::io("look at", path))?;
        let id = FileId::of(&metadata);
        let attachment = Attachment {
            file: Some(file),
            path: path.to_owned(),
            id,
            root: FileId::of_path(Path::new("/")),
            process: Remembered::default(),
            position: Remembered::default(),
        };
        // What is not a regular file has no position, and will be refused.
        if metadata.is_file() {
            attachment.position.set(random_word() >> 33 | 1);
            attachment.go_to_position().map_err(Error::io("seek in", path))?;
        }
        attachment.process.set(fork_generation().into());
        Ok(attachment)
    }

    fn go_to_position(&self) -> io::Result<u64> {
        self.file().seek(SeekFrom::Start(self.position.get()))
    }

    /// The start of the first part of the file that has no blocks; the file's length, if there is none.
    pub fn first_hole(&self) -> io::Result<u64> {
        let found = nix::unistd::lseek(self.file(), 0, nix::unistd::Whence::SeekHole);
        self.go_to_position()?;
        Ok(u64::try_from(found?).unwrap_or(0))
    }

    pub fn file(&self) -> &File {
        match &self.file {
            Some(file) => file,
            None => broken_invariant("an attachment has its file until it is dropped"),
        }
    }

    /// Whether the descriptor is still that of this open file. A program that closes all descriptors by their numbers,
    /// as daemons do when they start, has closed this one too, and the next file that it opens may have got the number;
    /// that may even be the same file, opened again. An open file is distinguished from others by its position, which
    /// nothing else uses.
    pub fn has_its_descriptor(&self) -> bool {
        let is_same_position = |position| position == self.position.get();
        (self.position.get() == 0 || self.file().stream_position().is_ok_and(is_same_position))
            && self.file().metadata().is_ok_and(|metadata| FileId::of(&metadata) == self.id)
    }

    /// The absolute path that the file was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn id(&self) -> FileId {
        self.id
    }

    /// Waits for the gate.
    pub fn enter_gate(&self, hold: Hold, timeout: Duration) -> Result<()> {
        if self.wait_for(GATE, hold, timeout)? {
            return Ok(());
        }
        let holder_pid = process_that_holds(self.id.inode, GATE);
        Err(Error::Timeout { lock: TableLock::Gate, holder_pid, waited: timeout })
    }

    pub fn leave_gate(&self) -> Result<()> {
        self.try_lock(GATE, Hold::Nothing).map(drop)
    }

    /// Takes the attachment, or changes how it is held. False if another handle's hold is in the way.
    pub fn try_attach(&self, hold: Hold) -> Result<bool> {
        self.try_lock(ATTACHMENT, hold)
    }

    /// Keeps others from leaving at the same time; false if that could not be had in time.
    pub fn begin_departure(&self, timeout: Duration) -> Result<bool> {
        self.wait_for(DEPARTURE, Hold::Exclusive, timeout)
    }

    /// Whether another handle, of this process or another, has the attachment.
    pub fn is_attached_by_others(&self) -> Result<bool> {
        Ok(self.hold_of_others()? != Hold::Nothing)
    }

    /// How another handle, of this process or another, has the attachment: exclusively while it is the first and has not finished
    /// opening.
    pub fn hold_of_others(&self) -> Result<Hold> {
        // Asking whether it could be had exclusively changes nothing.
        let mut range = byte_range(ATTACHMENT, libc::F_WRLCK);
        fcntl(self.file(), FcntlArg::F_OFD_GETLK(&mut range))
            .map_err(|error| Error::io("look at the locks of", &self.path)(error.into()))?;
        Ok(match libc::c_int::from(range.l_type) {
            libc::F_UNLCK => Hold::Nothing,
            libc::F_WRLCK => Hold::Exclusive,
            _ => Hold::Shared,
        })
    }

    /// A process that has the attachment, if /proc shows one.
    pub fn attached_process(&self) -> Option<u32> {
        process_that_holds(self.id.inode, ATTACHMENT)
    }

    /// Releases all locks, if they are this process's and the descriptor is still the file's. If it is not, the locks
    /// last as long as the mapping.
    pub fn let_go(&self) {
        if self.process.get() == u64::from(fork_generation()) && self.has_its_descriptor() {
            // Nothing can be done about a failure, and the locks end with the file at the latest.
            for byte in [ATTACHMENT, GATE, DEPARTURE] {
                let _ = self.try_lock(byte, Hold::Nothing);
            }
        }
    }

    /// The same file, opened again for writing by this process.
    #[cfg(not(loom))]
    pub fn open_again(&self) -> Result<Self> {
        self.check_descriptor()?;
        // By its descriptor, since its path may name another file by now; if there is no /proc, by the path.
        let descriptor = format!("/proc/self/fd/{}", self.file().as_raw_fd());
        let action = "open again, in the child of a fork,";
        match self.open_same(Path::new(&descriptor), OPEN_FLAGS - OFlag::O_NOFOLLOW, action) {
            Err(Error::Superseded) => self.open_by_path(action),
            opened => opened,
        }
    }

    /// The file that the path leads to, if it still is this one, opened again for writing by this process.
    #[cfg(not(loom))]
    pub fn open_by_path(&self, action: &'static str) -> Result<Self> {
        if FileId::of_path(Path::new("/")) != self.root {
            let other_root =
                "this process has another root directory by now, in which there is no /proc to find the file by";
            return Err(Error::io(action, &self.path)(io::Error::other(other_root)));
        }
        self.open_same(&self.path, OPEN_FLAGS, action)
    }

    #[cfg(not(loom))]
    fn open_same(&self, path: &Path, flags: OFlag, action: &'static str) -> Result<Self> {
        let file = match OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Err(Error::Superseded),
            opened => opened.map_err(Error::io(action, &self.path))?,
        };
        let own = Attachment::new(file, &self.path)?;
        if own.id == self.id { Ok(own) } else { Err(Error::Superseded) }
    }

    fn check_descriptor(&self) -> Result<()> {
        if self.has_its_descriptor() {
            return Ok(());
        }
        let closed = io::Error::other("its descriptor was closed: open the table in this process");
        Err(Error::io("attach again, in the child of a fork, to", &self.path)(closed))
    }

    /// Puts an open file of this process in the place of the one that was inherited.
    #[cfg(not(loom))]
    pub fn take_over(&self, own: &Attachment) -> Result<()> {
        self.check_descriptor()?;
        crate::sys::process::replace_descriptor(self.file(), own.file())
            .map_err(Error::io("take over, in the child of a fork, the descriptor of", &self.path))?;
        self.process.set(fork_generation().into());
        self.position.set(own.position.get());
        // The locks are those of the open file, which is now this attachment's too.
        own.process.set(0);
        Ok(())
    }

    /// Whether the path still names this very file.
    pub fn is_named_by_path(&self) -> Result<bool> {
        match std::fs::symlink_metadata(&self.path) {
            // A path that is a mount of the file itself leads to it even when the file has no name any more.
            Ok(named) => Ok(FileId::of(&named) == self.id && named.nlink() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("look at", &self.path)(error)),
        }
    }

    /// Whether the path names another file now, or no file. A process that has changed its root since it opened the
    /// file cannot know: its paths mean something else.
    pub fn has_lost_its_name(&self) -> bool {
        self.is_named_by_path().is_ok_and(|is_named| !is_named) && FileId::of_path(Path::new("/")) == self.root
    }

    /// Whether the path names this file for certain.
    pub fn has_its_name(&self) -> bool {
        self.is_named_by_path().unwrap_or(false)
    }

    /// Whether the path leads to this file, with or without a name.
    pub fn is_at_path(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|named| FileId::of(&named) == self.id)
    }

    /// Whether the file has no name at all. That is the same for every process; whether its path leads to another file
    /// may be so for this process alone, in a mount namespace of its own, or for one of two names alone. It is not known if the
    /// descriptor was closed: its number may be that of another file.
    pub fn is_nameless(&self) -> bool {
        self.has_its_descriptor() && self.file().metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    fn wait_for(&self, byte: i64, hold: Hold, timeout: Duration) -> Result<bool> {
        let attempt = || self.try_lock(byte, hold).map(|is_held| is_held.then_some(())).transpose();
        Ok(poll(timeout, attempt).transpose()?.is_some())
    }

    fn try_lock(&self, byte: i64, hold: Hold) -> Result<bool> {
        let kind = match hold {
            Hold::Shared => libc::F_RDLCK,
            Hold::Exclusive => libc::F_WRLCK,
            Hold::Nothing => libc::F_UNLCK,
        };
        match fcntl(self.file(), FcntlArg::F_OFD_SETLK(&byte_range(byte, kind))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(Error::io("lock", &self.path)(error.into())),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // Closing alone would leave the locks to a child that was forked meanwhile.
        self.let_go();
        if !self.has_its_descriptor() {
            // Nothing is left to be closed, and the file that has the number now is not this one.
            let _ = self.file.take().map(IntoRawFd::into_raw_fd);
        }
    }
}

fn short(constant: libc::c_int) -> libc::c_short {
    match constant.try_into() {
        Ok(short) => short,
        Err(_) => broken_invariant("the constants of file locks fit their fields"),
    }
}

fn byte_range(byte: i64, kind: libc::c_int) -> libc::flock {
    libc::flock { l_type: short(kind), l_whence: short(libc::SEEK_SET), l_start: byte, l_len: 1, l_pid: 0 }
}

/// Everything that must be the same for two processes to share the mutexes in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incarnation {
    pub boot_id: [u64; 2],
    pub file: FileId,
    pub pid_namespace: u64,
    pub mutex_fingerprint: u64,
}

impl Incarnation {
    /// The incarnation of this process and this file. If the boot id cannot be read, but other processes have the file
    /// open on this kernel, it is `known`: it is the boot id of their incarnation.
    pub fn current(file: FileId, path: &Path, known: Option<[u64; 2]>) -> Result<Self> {
        Ok(Incarnation {
            boot_id: boot_id()
                .or_else(|error| known.ok_or(error))
                .map_err(|error| of_table_if_too_many_are_open(error, path))?,
            file,
            pid_namespace: pid_namespace()?,
            mutex_fingerprint: mutex_fingerprint()?,
        })
    }

    pub fn to_words(self) -> [u64; INCARNATION_WORDS] {
        let ([high, low], FileId { device, inode, birth_time }) = (self.boot_id, self.file);
        [high, low, device, inode, birth_time, self.pid_namespace, self.mutex_fingerprint]
    }

    pub fn from_words(words: [u64; INCARNATION_WORDS]) -> Self {
        let [high, low, device, inode, birth_time, pid_namespace, mutex_fingerprint] = words;
        let file = FileId { device, inode, birth_time };
        Incarnation { boot_id: [high, low], file, pid_namespace, mutex_fingerprint }
    }

    /// Whether the file was last used here, in place, in this boot, though perhaps by another kind of process.
    pub fn is_same_boot(&self, other: &Self) -> bool {
        (self.boot_id, self.file) == (other.boot_id, other.file)
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
        if attached.file != self.file {
            return "the file is attached under another device number, inode number or time of birth: it was copied or moved under its \
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

/// An error because too many files are open is not about the file of the kernel's that happened to be opened next: what
/// could not be opened is the table.
fn of_table_if_too_many_are_open(error: Error, table: &Path) -> Error {
    match error {
        Error::Io { source, .. } if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
            Error::io("open", table)(source)
        }
        error => error,
    }
}

/// A random word: a different one each time, and in each process.
///
/// The randomness is the operating system's, from which the hashers of each thread start, so no file is needed for it.
/// The child of a fork starts where its parent was, so what distinguishes the two is hashed too.
pub fn random_word() -> u64 {
    RandomState::new().hash_one((std::process::id(), SystemTime::now(), Instant::now()))
}

/// A new random UUID: of version 4, which says so.
pub fn random_uuid() -> [u8; 16] {
    let random = u128::from(random_word()) << 64 | u128::from(random_word());
    let with_version = random & !(0xF << 76) | 0x4 << 76;
    (with_version & !(0b11 << 62) | 0b10 << 62).to_be_bytes()
}

/// Without /proc it cannot be known whether a table was left in this boot.
fn needs_proc(path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(
        "tell one start of the machine and one PID namespace from another without /proc, mounted whole (in systemd: ProcSubset=all):",
        path,
    )
}

/// Reads one of the kernel's files that hold a UUID as text.
fn read_uuid(path: &Path) -> Result<[u8; 16]> {
    let mut text = [0; 64];
    let file = File::open(path).map_err(needs_proc(path))?;
    let length = file.read_at(&mut text, 0).map_err(Error::io("read", path))?;
    let digits = text.iter().take(length).filter_map(|byte| char::from(*byte).to_digit(16));
    let value = digits.fold(0_u128, |value, digit| value << 4 | u128::from(digit));
    Ok(value.to_be_bytes())
}

/// The two halves of a UUID as words.
pub fn uuid_words(uuid: [u8; 16]) -> [u64; 2] {
    bytemuck::cast(uuid)
}

#[cfg(not(loom))]
fn pid_namespace() -> Result<u64> {
    crate::sys::process::pid_namespace().map_err(needs_proc(Path::new("/proc/self/ns/pid")))
}

#[cfg(loom)]
fn pid_namespace() -> Result<u64> {
    Ok(0)
}

#[cfg(not(loom))]
fn mutex_fingerprint() -> Result<u64> {
    crate::sys::robust_mutex::mutex_fingerprint().map_err(Error::io("make a mutex for", Path::new("comparison")))
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
        let own = Incarnation::current(FileId::of(&file.metadata().unwrap()), &path, None).unwrap();
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let bytes: [u8; 16] = bytemuck::cast(own.boot_id);
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, text.trim().replace('-', ""));
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!((own.file.device, own.file.inode), (metadata.dev(), metadata.ino()));
        // Only if the file system records it; a file that is made later in the same place has another time of birth.
        assert!(own.file.birth_time != 0 || metadata.created().is_err());
        assert_eq!(own.pid_namespace, std::fs::metadata("/proc/self/ns/pid").unwrap().ino());
        assert_eq!(own.mutex_fingerprint, crate::sys::robust_mutex::mutex_fingerprint().unwrap());
        assert_eq!(Incarnation::from_words(own.to_words()), own);

        // What counts as the same boot, and how each other difference is described.
        assert!(own.is_same_boot(&Incarnation { pid_namespace: 1, mutex_fingerprint: 2, ..own }));
        for (other, phrase, is_same_boot) in [
            (None, "not finished opening", true),
            (Some(Incarnation { boot_id: [0, own.boot_id[1]], ..own }), "another boot id", false),
            (
                Some(Incarnation { file: FileId { device: !own.file.device, ..own.file }, ..own }),
                "another device",
                false,
            ),
            (Some(Incarnation { file: FileId { inode: !own.file.inode, ..own.file }, ..own }), "another device", false),
            (Some(Incarnation { file: FileId { birth_time: 1, ..own.file }, ..own }), "time of birth", false),
            (Some(Incarnation { pid_namespace: 1, ..own }), "another PID namespace (1,", true),
            (Some(Incarnation { mutex_fingerprint: 2, ..own }), "C library makes other mutexes", true),
        ] {
            let reason = own.difference(other.as_ref());
            assert!(reason.contains(phrase), "{reason:?}: {phrase:?}");
            assert_eq!(other.is_none_or(|other| own.is_same_boot(&other)), is_same_boot, "{phrase:?}");
        }
    }

    #[test]
    fn each_uuid_is_another_in_all_bits_but_those_that_say_that_it_is_random() {
        let uuids: Vec<_> = (0..200).map(|_| u128::from_be_bytes(random_uuid())).collect();
        let all_set = uuids.iter().fold(u128::MAX, |all, uuid| all & uuid);
        let all_clear = uuids.iter().fold(u128::MAX, |all, uuid| all & !uuid);
        assert_eq!((all_set, all_clear), (0x4 << 76 | 0b10 << 62, 0xB << 76 | 0b01 << 62));
    }

    #[test]
    fn too_many_open_files_are_blamed_on_the_table_and_other_errors_on_what_they_are_of() {
        let (table, other) = (Path::new("table.loc"), Path::new("/proc/other"));
        for (errno, expected) in [(Errno::EMFILE, table), (Errno::ENFILE, table), (Errno::EACCES, other)] {
            let error = of_table_if_too_many_are_open(Error::io("open", other)(errno.into()), table);
            let Error::Io { action: "open", path, source } = error else { panic!("{error:?}") };
            assert_eq!((path.as_path(), source.raw_os_error()), (expected, Some(errno as i32)));
        }
    }

    #[test]
    fn a_file_knows_whether_its_path_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let attachment = Attachment::new(File::create_new(&path).unwrap(), &path).unwrap();
        let states = || (attachment.is_named_by_path().unwrap(), attachment.has_lost_its_name());
        assert_eq!(states(), (true, false));
        let other = directory.path().join("other");
        std::fs::rename(&path, &other).unwrap();
        assert_eq!(states(), (false, true));
        std::fs::write(&path, "another file").unwrap();
        assert_eq!(states(), (false, true));
        std::fs::remove_file(&path).unwrap();
        // Moved with its directory.
        let [here, there] = ["directory", "moved"].map(|name| directory.path().join(name));
        std::fs::create_dir(&here).unwrap();
        std::fs::rename(&other, here.join("file")).unwrap();
        let attachment = Attachment::new(File::open(here.join("file")).unwrap(), &here.join("file")).unwrap();
        std::fs::rename(&here, &there).unwrap();
        let states = || (attachment.is_named_by_path().unwrap(), attachment.has_lost_its_name());
        assert_eq!((states(), attachment.is_nameless()), ((false, true), false));
        std::fs::remove_file(there.join("file")).unwrap();
        assert_eq!((states(), attachment.is_nameless()), ((false, true), true));
        std::fs::write(&path, "another file").unwrap();
        // A path that cannot be looked at is an error, and does not mean that the file was replaced.
        let behind_a_file = Attachment::new(File::open(&path).unwrap(), &path.join("file")).unwrap();
        assert!(matches!(behind_a_file.is_named_by_path(), Err(Error::Io { .. })));
    }

    #[test]
    fn the_gate_and_the_attachment_are_two_locks_of_an_open_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let open = || {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            Attachment::new(file, &path).unwrap()
        };
        let [first, second] = [open(), open()];
        let now = Duration::ZERO;
        first.enter_gate(Hold::Exclusive, now).unwrap();
        assert!(matches!(second.enter_gate(Hold::Shared, now), Err(Error::Timeout { lock: TableLock::Gate, .. })));
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
