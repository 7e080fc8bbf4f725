//! Whether all of a file can be read. A page that is mapped and cannot be read ends the process; here it is an error.

use crate::error::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Whence, lseek};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads all of a file once. What does not exist, or is no file, is no error here: opening it says so.
pub fn read_through(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let Ok(file) = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) else { return Ok(()) };
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        read_data(&file).map_err(Error::io("read", path))?;
    }
    Ok(())
}

/// Reads what a file has on the disk. Its holes can be read everywhere, and a file may be terabytes of them.
fn read_data(mut file: &File) -> io::Result<()> {
    let mut end = 0;
    loop {
        let start = match lseek(file, end, Whence::SeekData) {
            Ok(start) => start,
            Err(Errno::ENXIO) => return Ok(()),
            // Not every file system knows of holes: /proc does not.
            Err(Errno::EINVAL) => return io::copy(&mut file, &mut io::sink()).map(drop),
            Err(error) => return Err(error.into()),
        };
        end = lseek(file, start, Whence::SeekHole)?;
        lseek(file, start, Whence::SeekSet)?;
        let length_bytes = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
        io::copy(&mut file.take(length_bytes), &mut io::sink())?;
    }
}
