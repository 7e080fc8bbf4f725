//! The name of a file: given to a new one, exchanged with that of another, taken away; and made to last.

use crate::error::{Error, Result};
use crate::file::temporary::{TemporaryName, directory_of};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The name that a file is to get or to lose. Its directory is opened before anything is begun that has to be made to
/// last.
pub struct Name<'a> {
    path: &'a Path,
    file: File,
    /// `None` if the directory may be changed but not read: then it cannot be opened.
    directory: Option<File>,
}

impl<'a> Name<'a> {
    pub fn of(path: &'a Path, file: &File) -> Result<Self> {
        let directory = match File::open(directory_of(path)) {
            Ok(directory) => Some(directory),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) => return Err(Error::io("open", directory_of(path))(error)),
        };
        let file = file.try_clone().map_err(Error::io("open once more", path))?;
        Ok(Name { path, file, directory })
    }

    /// Waits until what the directory says about the name is on the disk, together with everything else on that disk if
    /// need be.
    pub fn make_last(&self) -> Result<()> {
        let flushed = match &self.directory {
            Some(directory) => directory.sync_all(),
            None => nix::unistd::syncfs(&self.file).map_err(io::Error::from),
        };
        flushed.map_err(Error::io("flush", directory_of(self.path)))
    }

    /// Gives the file its name, which no other file may have.
    pub fn give(&self, temporary: Option<&TemporaryName>) -> Result<()> {
        let given = match temporary {
            None => self.link_nameless(self.path),
            Some(temporary) => match self.rename(temporary, RenameFlags::RENAME_NOREPLACE) {
                // Network file systems cannot do that, but give a second name, and the first one is deleted later.
                Err(Errno::EINVAL) => {
                    nix::unistd::linkat(AT_FDCWD, temporary.path(), AT_FDCWD, self.path, AtFlags::empty())
                }
                renamed => renamed,
            },
        };
        given.map_err(|error| match error {
            Errno::EEXIST => Error::AlreadyExists { path: self.path.to_owned() },
            error => Error::io("create", self.path)(error.into()),
        })
    }

    pub fn give_temporary(&self) -> Result<TemporaryName> {
        let named = TemporaryName::give(self.path, |temporary| self.link_nameless(temporary));
        named.map_err(|error| Error::io("create", self.path)(error.into()))
    }

    /// Gives the file its name, and gives the temporary one to the other file that has it. If that cannot be made to
    /// last, or what comes `last` fails, each gets its own name back.
    pub fn exchange(&self, temporary: &TemporaryName, last: impl FnOnce() -> Result<()>) -> Result<()> {
        let exchange = || self.rename(temporary, RenameFlags::RENAME_EXCHANGE);
        let can_be_undone = match exchange() {
            Ok(()) => true,
            // Not every file system can do that.
            Err(Errno::EINVAL) => {
                std::fs::rename(temporary.path(), self.path).map_err(Error::io("replace", self.path))?;
                false
            }
            Err(error) => return Err(Error::io("replace", self.path)(error.into())),
        };
        self.make_last().and_then(|()| last()).inspect_err(|_| {
            if can_be_undone {
                let _ = exchange();
            }
        })
    }

    fn rename(&self, temporary: &TemporaryName, flags: RenameFlags) -> Result<(), Errno> {
        nix::fcntl::renameat2(AT_FDCWD, temporary.path(), AT_FDCWD, self.path, flags)
    }

    fn link_nameless(&self, path: &Path) -> Result<(), Errno> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        nix::unistd::linkat(AT_FDCWD, own.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
    }

    /// Takes the name away, if it is still this file's.
    pub fn take_away(&self) {
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let named = self.path.symlink_metadata().map(id);
        if named.is_ok_and(|named| self.file.metadata().map(id).is_ok_and(|own| own == named)) {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri knows few calls for files")]
    fn a_name_that_cannot_be_made_to_last_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        let path = directory.path().join("table.loc");
        Name::of(&path, &file).unwrap().make_last().unwrap();
        let nowhere = directory.path().join("missing").join("table.loc");
        assert!(matches!(Name::of(&nowhere, &file), Err(Error::Io { .. })));
        // A file that cannot be flushed by its directory is flushed with all of its disk.
        let of_disk = Name { directory: None, ..Name::of(&path, &file).unwrap() };
        of_disk.make_last().unwrap();
        let unflushable = File::open("/proc/self/status").unwrap();
        let failing = Name { directory: Some(unflushable), ..Name::of(&path, &file).unwrap() };
        assert!(matches!(failing.make_last(), Err(Error::Io { action: "flush", .. })));
    }
}
