//! Mounts that only one process sees. They need the rights of root: a test says so and is skipped without them.

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use test_kit::say;

/// In a child: gives this thread mounts of its own. Returns false, and tells the parent, if that is not permitted.
pub fn have_own() -> bool {
    let nothing: Option<&str> = None;
    let is_done = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing));
    if let Err(error) = is_done {
        say(format!("skipped: mounts need the rights of root: {error}"));
    }
    is_done.is_ok()
}

/// Mounts a file system in memory on a directory, which is made.
pub fn mount_small_disk(directory: &Path, size: &str) {
    std::fs::create_dir(directory).unwrap();
    let size = format!("size={size}");
    mount(Some("none"), directory, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
}

pub fn make_read_only(directory: &Path) {
    let nothing: Option<&str> = None;
    mount(nothing, directory, nothing, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, nothing).unwrap();
}

/// Shows a file's content under another path.
pub fn mount_file_over(content: &Path, path: &str) {
    let nothing: Option<&str> = None;
    mount(Some(content), path, nothing, MsFlags::MS_BIND, nothing).unwrap();
}
