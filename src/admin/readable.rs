//! Whether all of a file can be read. A page that is mapped and cannot be read ends the process; here it is an error.

use crate::error::{Error, Result};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads all of a file once. What does not exist, or is no file, is no error here: opening it says so.
pub fn read_through(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let Ok(mut file) = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) else { return Ok(()) };
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        std::io::copy(&mut file, &mut std::io::sink()).map_err(Error::io("read", path))?;
    }
    Ok(())
}
