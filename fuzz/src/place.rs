//! Where the targets keep their files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const PREFIX: &str = "locule-fuzz-";

/// A directory for this process, in memory if the machine has such a place: a target makes thousands of tables a second.
///
/// A fuzzer's process ends without destructors, so the next one removes what is left of those that have ended.
pub fn directory() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        remove_leftovers(&parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).expect("a place for files");
        directory.keep()
    });
    &DIRECTORY
}

fn remove_leftovers(parent: &Path) {
    for entry in parent.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some((process_id, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')) else { continue };
        if !Path::new("/proc").join(process_id).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
