//! What the kernel knows of a file and of processes: which file system it is on, which processes have it mapped, and whether
//! they go on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};

/// A process that has the table open.
pub struct User {
    pub pid: u32,
    /// The first word of its command line, without directories.
    pub name: String,
}

/// The processes that have a file mapped, as far as this process may look into them, in the order of their ids.
pub fn users_of(path: &Path) -> Vec<User> {
    let (Ok(metadata), Ok(processes)) = (fs::metadata(path), fs::read_dir("/proc")) else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut users: Vec<User> = pids
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| has_mapped(&maps, &metadata)))
        .map(|pid| User { pid, name: name_of(pid) })
        .collect();
    users.sort_by_key(|user| user.pid);
    users
}

/// Whether a list of mappings has one of this file. A line is: addresses, permissions, offset, device, inode, path.
fn has_mapped(maps: &str, metadata: &fs::Metadata) -> bool {
    let device = format!("{:02x}:{:02x}", major(metadata.dev()), minor(metadata.dev()));
    let inode = metadata.ino().to_string();
    maps.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(3);
        (fields.next(), fields.next()) == (Some(&device), Some(&inode))
    })
}

/// Whether a process or a thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Running,
    Sleeping,
    /// Mostly for a disk; it cannot be killed then.
    WaitingForDevice,
    /// By a signal, or by a debugger.
    Stopped,
    /// It has ended, or there is none.
    Dead,
}

impl Activity {
    pub fn in_words(self) -> &'static str {
        match self {
            Activity::Running => "running",
            Activity::Sleeping => "sleeping",
            Activity::WaitingForDevice => "in a disk wait",
            Activity::Stopped => "stopped",
            Activity::Dead => "dead",
        }
    }
}

/// What a process or a thread does, by its id.
pub fn activity_of(id: u32) -> Activity {
    // `kill` is not asked: a process of somebody else is one too.
    let state = status_field(id, "State:");
    match state.as_deref().and_then(|state| state.chars().next()) {
        Some('R') => Activity::Running,
        Some('D') => Activity::WaitingForDevice,
        Some('T' | 't') => Activity::Stopped,
        Some('Z' | 'X') | None => Activity::Dead,
        Some(_) => Activity::Sleeping,
    }
}

/// The process that a thread belongs to, if there is still such a thread.
pub fn process_of(thread_id: u32) -> Option<u32> {
    status_field(thread_id, "Tgid:")?.parse().ok()
}

fn status_field(id: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|content| content.trim().to_owned())
}

/// The first word of a process's command line, without directories.
pub fn name_of(pid: u32) -> String {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    Path::new(&first).file_name().map_or(first.clone(), |name| name.to_string_lossy().into_owned())
}

/// The type of the file system that a file is on, such as `ext4`, if the kernel says it.
pub fn file_system_of(path: &Path) -> Option<String> {
    let device = fs::metadata(path).ok()?.dev();
    let device = format!("{}:{}", major(device), minor(device));
    // A line is: ids, the device, the root and the place of the mount, options, a hyphen, the type, and more.
    fs::read_to_string("/proc/self/mountinfo").ok()?.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_there = mount.split(' ').nth(2) == Some(&device);
        is_there.then(|| file_system.split(' ').next().map(str::to_owned)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_found_by_its_device_and_inode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let (device, inode) = (metadata.dev(), metadata.ino());
        let line = |device: u64, inode: u64| {
            format!("7f00-7f10 rw-s 00000000 {:02x}:{:02x} {inode}   /tmp/visits.loc\n", major(device), minor(device))
        };
        assert!(has_mapped(&(line(device, inode + 1) + &line(device, inode)), &metadata));
        assert!(!has_mapped(&(line(device, inode + 1) + &line(device + 1, inode)), &metadata));
    }

    #[test]
    fn a_process_is_running_and_one_that_there_is_not_is_dead() {
        let own = std::process::id();
        let this_thread = nix::unistd::gettid().as_raw().unsigned_abs();
        assert_eq!((activity_of(this_thread), process_of(this_thread)), (Activity::Running, Some(own)));
        // The kernel gives out no such id.
        assert_eq!((activity_of(1 << 22), process_of(1 << 22)), (Activity::Dead, None));
        let mut stopped = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(stopped.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!((activity_of(stopped.id()), name_of(stopped.id())), (Activity::Stopped, "sleep".to_owned()));
        stopped.kill().unwrap();
        stopped.wait().unwrap();
    }

    #[test]
    fn every_mounted_file_has_a_file_system() {
        assert_eq!(file_system_of(Path::new("/proc/self/stat")).as_deref(), Some("proc"));
        assert_eq!(file_system_of(Path::new("/no such file")), None);
    }
}
