//! Which process holds a lock on a byte of a file, as far as /proc shows it; for messages.

use std::path::Path;

/// A process that has an open file with a lock on a byte of a file, as far as this process may see that.
pub fn process_that_holds(inode: u64, byte: i64) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut process_ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    process_ids.find(|process_id| holds(*process_id, inode, byte))
}

fn holds(process_id: u32, inode: u64, byte: i64) -> bool {
    let directory = format!("/proc/{process_id}/fdinfo");
    let Ok(descriptors) = std::fs::read_dir(Path::new(&directory)) else { return false };
    descriptors.filter_map(Result::ok).any(|descriptor| {
        let text = std::fs::read_to_string(descriptor.path()).unwrap_or_default();
        text.lines().any(|line| is_lock_on(line, inode, byte))
    })
}

/// Whether a line describes a lock on this byte, of an open file (`OFDLCK`) or of a process (`POSIX`). Such a line is
/// `lock: 1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 0 0`: a number, its kind, its process, the file, the first byte and
/// the last.
fn is_lock_on(line: &str, inode: u64, byte: i64) -> bool {
    let Some(lock) = line.strip_prefix("lock:") else { return false };
    let mut words = lock.split_whitespace().skip(1);
    let (kind, mut rest) = (words.next(), words.skip(3));
    let (Some(file), Some(first), Some(last)) = (rest.next(), rest.next(), rest.next()) else { return false };
    let is_file = file.rsplit(':').next().and_then(|number| number.parse().ok()) == Some(inode);
    let is_behind = |last: &str| last == "EOF" || last.parse().is_ok_and(|last: i64| byte <= last);
    matches!(kind, Some("OFDLCK" | "POSIX"))
        && is_file
        && first.parse().is_ok_and(|first: i64| first <= byte)
        && is_behind(last)
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_lock_is_read() {
        let line = "lock:\t1: OFDLCK  ADVISORY  WRITE -1 fe:00:1234 0 1";
        assert!(is_lock_on(line, 1234, 0) && is_lock_on(line, 1234, 1));
        assert!(!is_lock_on(line, 1234, 2) && !is_lock_on(line, 123, 0));
        assert!(is_lock_on("lock:\t2: OFDLCK  ADVISORY  READ  -1 00:1f:7 1 EOF", 7, 5));
        assert!(is_lock_on("lock:\t1: POSIX  ADVISORY  WRITE 812 fe:00:1234 0 0", 1234, 0));
        for other in ["", "pos:\t0", "lock:", "lock:\t1: OFDLCK", "lock:\t1: FLOCK  ADVISORY  WRITE 9 fe:00:1234 0 EOF"]
        {
            assert!(!is_lock_on(other, 1234, 0), "{other}");
        }
    }
}
