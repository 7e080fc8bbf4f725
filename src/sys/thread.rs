//! Whether a thread of this PID namespace will never run again.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The kernel gives out no thread ids from this one on, on any machine.
pub const THREAD_ID_LIMIT: u32 = 1 << 22;

/// Whether no thread has this id, or only one that has ended and has not been waited for: neither runs any instruction
/// of a program any more, and the kernel has already looked through its robust list. If this cannot be found out, the
/// thread counts as not gone.
pub fn is_gone(thread_id: u32) -> bool {
    let Ok(id) = i32::try_from(thread_id) else { return false };
    // Signal 0 only asks; `kill` finds threads by their id too.
    kill(Pid::from_raw(id), None) == Err(Errno::ESRCH) || has_ended(thread_id) && proc_is_of_this_namespace()
}

fn has_ended(thread_id: u32) -> bool {
    let state = field(&format!("/proc/{thread_id}/status"), "State:");
    state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

/// Whether /proc shows the ids of this PID namespace, and not those of one around it, as in a container where the
/// host's /proc is mounted. It shows this process's ids in its own namespace first, and then those in each one further
/// inside.
fn proc_is_of_this_namespace() -> bool {
    field("/proc/self/status", "NSpid:").is_some_and(|ids| ids.split_whitespace().count() == 1)
}

/// The rest of the line that begins with a name.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|content| content.trim().to_owned())
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_gone_when_it_has_ended_whether_or_not_anybody_waited_for_it() {
        assert!(!is_gone(u32::try_from(nix::unistd::gettid().as_raw()).unwrap()));
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(!is_gone(child.id()));
        drop(child.stdin.take());
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(i32::try_from(child.id()).unwrap()));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(id, flags).unwrap();
        assert_eq!(kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), None), Ok(()), "a zombie has its id");
        assert!(is_gone(child.id()));
        child.wait().unwrap();
        assert!(is_gone(child.id()));
        assert!(is_gone(THREAD_ID_LIMIT) && !is_gone(u32::MAX));
    }
}
