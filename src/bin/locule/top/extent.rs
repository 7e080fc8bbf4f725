//! How long a file is, which is asked before each look into its mapping: if a part of it is gone, to look there ends the process
//! by SIGBUS, and the terminal would stay as it is then. What is cut off in the moment between is not noticed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// A file, and how long it was.
pub struct Extent {
    file: File,
    bytes: u64,
}

impl Extent {
    pub fn of(path: &Path) -> io::Result<Self> {
        // Whatever is there, nobody is waited for.
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Extent { file, bytes })
    }

    /// Which file it is.
    pub fn id(&self) -> Option<(u64, u64)> {
        self.file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    pub fn is_cut_off(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() < self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_off_if_a_byte_is_gone_and_not_if_there_are_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(10).unwrap();
        let extent = Extent::of(file.path()).unwrap();
        let seen = [10, 11, 9, 10].map(|bytes| {
            file.as_file().set_len(bytes).unwrap();
            extent.is_cut_off()
        });
        assert_eq!(seen, [false, false, true, false]);
        assert!(Extent::of(&file.path().with_file_name("none")).is_err());
    }
}
