//! Processes whose system calls fail, or are watched, with nothing changed in the library.

use crate::process::{Child, say};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// Lets a child watch what it does itself, with a table in memory if possible: on a disk it would wait for that thousands
/// of times. Returns what it says, unless it may not do it here.
pub fn run_watched(role: &str) -> Option<String> {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut child = Child::spawn(role, &directory.path().join("visits.loc"), "");
    let said = child.hear();
    println!("{role}: {said}");
    if said.starts_with("skipped") {
        eprintln!("skipped: processes may not be traced here, or their calls not be filtered");
        return None;
    }
    child.finish();
    Some(said)
}

/// How a system call should end.
#[derive(Clone, Copy)]
pub enum End {
    InputOutputError,
    Death,
}

/// Makes each call of a kind end like this in this thread from now on. Returns false, and tells the parent, if the
/// kernel has no such filters.
pub fn filter(system_call: libc::c_long, end: End) -> bool {
    install(&mut [load(NUMBER), unless(system_call, 1), finish(failure(end)), finish(libc::SECCOMP_RET_ALLOW)])
}

/// The same, only for calls whose first argument is this descriptor.
pub fn filter_descriptor(system_call: libc::c_long, descriptor: i32, end: End) -> bool {
    install(&mut [
        load(NUMBER),
        unless(system_call, 3),
        load(low_half_of_argument(0)),
        unless(descriptor.into(), 1),
        finish(failure(end)),
        finish(libc::SECCOMP_RET_ALLOW),
    ])
}

/// The same, only for calls that have this flag in this argument, counted from 0.
pub fn filter_flag(system_call: libc::c_long, argument: u32, flag: i32, end: End) -> bool {
    let flag = u32::try_from(flag).unwrap();
    install(&mut [
        load(NUMBER),
        unless(system_call, 3),
        load(low_half_of_argument(argument)),
        libc::sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, flag) },
        finish(failure(end)),
        finish(libc::SECCOMP_RET_ALLOW),
    ])
}

/// Where the number of the call is in what a filter sees of a call, in bytes.
const NUMBER: u32 = 0;

/// Where an argument of 32 bits is.
fn low_half_of_argument(number: u32) -> u32 {
    16 + 8 * number + if cfg!(target_endian = "little") { 0 } else { 4 }
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap(), jt: 0, jf: 0, k }
}

fn load(offset_bytes: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset_bytes)
}

/// Skips this many statements unless what was loaded last is this.
fn unless(expected: libc::c_long, skipped_count: u8) -> libc::sock_filter {
    let expected = u32::try_from(expected).unwrap();
    libc::sock_filter { jf: skipped_count, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, expected) }
}

fn finish(result: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, result)
}

fn failure(end: End) -> u32 {
    match end {
        End::InputOutputError => libc::SECCOMP_RET_ERRNO | u32::try_from(libc::EIO).unwrap(),
        End::Death => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

fn install(program: &mut [libc::sock_filter]) -> bool {
    let program = libc::sock_fprog { len: u16::try_from(program.len()).unwrap(), filter: program.as_mut_ptr() };
    // SAFETY: the program and its statements live through both calls, and the kernel only reads them.
    let is_done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if !is_done {
        say(format!("skipped: no filters of system calls: {}", std::io::Error::last_os_error()));
    }
    is_done
}

/// Forks a process that does something and then stops itself. It is traced, and has not begun yet. Returns an error if
/// that is not permitted.
pub fn fork_traced(body: impl FnOnce()) -> nix::Result<Pid> {
    let child = super::fork(|| {
        ptrace::traceme().unwrap();
        raise(Signal::SIGSTOP).unwrap();
        body();
        raise(Signal::SIGSTOP).unwrap();
    });
    match waitpid(child, None)? {
        WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
        status => {
            eprintln!("not traced: {status:?}");
            return Err(nix::errno::Errno::EPERM);
        }
    }
    ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL)?;
    Ok(child)
}

/// Lets a traced process go on to its next system call, or back from one. False once it has stopped itself: it is done.
pub fn go_to_next_stop(child: Pid) -> nix::Result<bool> {
    ptrace::syscall(child, None)?;
    match waitpid(child, None)? {
        WaitStatus::PtraceSyscall(_) => Ok(true),
        WaitStatus::Stopped(_, Signal::SIGSTOP) => Ok(false),
        status => panic!("the traced process ended: {status:?}"),
    }
}

/// In a child: forks a process that does something, and kills it before and after each of its system calls, each time with
/// everything prepared anew; then looks at what is left, which says whether the operation has happened. Once it has, it
/// must have at each later stop. Returns how many stops there were, or an error if processes may not be traced.
pub fn at_every_stop_of<P>(
    mut prepare: impl FnMut() -> P,
    operation: impl Fn(),
    mut look_at: impl FnMut(P) -> bool,
) -> nix::Result<usize> {
    let mut has_happened = false;
    for stop_number in 0.. {
        let prepared = prepare();
        let was_killed = killed_at(stop_number, &operation)?;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look_at(prepared)));
        let Ok(happened) = outcome else { panic!("killed at stop {stop_number}") };
        assert!(happened || !has_happened, "killed at stop {stop_number}");
        assert!(happened || was_killed, "what was done was not done");
        has_happened = happened;
        if !was_killed {
            return Ok(stop_number);
        }
    }
    unreachable!("everything ends")
}

/// Forks a process that does something, and kills it when it has come to the stop with this number: before a system
/// call or after one. Returns whether it was killed before it was done.
fn killed_at(stop_number: usize, body: impl FnOnce()) -> nix::Result<bool> {
    let child = fork_traced(body)?;
    for _ in 0..=stop_number {
        if !go_to_next_stop(child)? {
            kill_traced(child);
            return Ok(false);
        }
    }
    kill_traced(child);
    Ok(true)
}

pub fn kill_traced(child: Pid) {
    kill(child, Signal::SIGKILL).unwrap();
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Signaled(child, Signal::SIGKILL, false));
}

/// In a child: forks a process that does something, and does something else while that one stands before its first system
/// call of a kind. Fails if the process does not come there, or does not end well. An error if it may not be traced.
pub fn interrupt_at(system_call: libc::c_long, body: impl FnOnce(), meanwhile: impl FnOnce()) -> nix::Result<()> {
    let child = fork_traced(body)?;
    loop {
        assert!(go_to_next_stop(child)?, "it ends without that call");
        if entered_call(child)? == Some(system_call) {
            break;
        }
    }
    meanwhile();
    while go_to_next_stop(child)? {}
    kill_traced(child);
    Ok(())
}

/// The number of the system call before which a traced process stands; `None` if it comes back from one.
fn entered_call(child: Pid) -> nix::Result<Option<i64>> {
    Ok(match stop_of(child)? {
        Stop::Entry { number, .. } => Some(number),
        Stop::Exit { .. } => None,
    })
}

/// Where a traced process stands.
pub enum Stop {
    /// Before a system call.
    Entry { number: i64, arguments: [u64; 6] },
    /// Behind one.
    Exit { is_error: bool },
}

pub fn stop_of(child: Pid) -> nix::Result<Stop> {
    let info = ptrace::syscall_info(child)?;
    // SAFETY: the kernel says that this is the part that it has filled.
    unsafe {
        Ok(match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                Stop::Entry { number: i64::try_from(info.u.entry.nr).unwrap(), arguments: info.u.entry.args }
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => Stop::Exit { is_error: info.u.exit.is_error != 0 },
            other => panic!("no system call: {other}"),
        })
    }
}

/// In a child: runs a command, and makes one of its system calls of a kind fail, the one with this number, counted from 1:
/// the kernel does not do it. Returns how the command ended, and whether it came to that call; an error if it may not be
/// traced.
#[cfg(target_arch = "x86_64")]
pub fn run_with_a_failure(
    command: &mut std::process::Command,
    system_call: libc::c_long,
    number: usize,
) -> nix::Result<(i32, bool)> {
    use std::os::unix::process::CommandExt;
    let child = fork_traced(|| panic!("{}", command.exec()))?;
    let mut count = 0;
    loop {
        ptrace::syscall(child, None)?;
        match waitpid(child, None)? {
            WaitStatus::PtraceSyscall(_) => {}
            // It has become the command.
            WaitStatus::Stopped(_, Signal::SIGTRAP) => continue,
            WaitStatus::Exited(_, code) => return Ok((code, count >= number)),
            status => panic!("the traced process ended: {status:?}"),
        }
        if entered_call(child)? != Some(system_call) {
            continue;
        }
        count += 1;
        if count == number {
            let mut registers = ptrace::getregs(child)?;
            // No call has this number, so the kernel does nothing.
            registers.orig_rax = u64::MAX;
            ptrace::setregs(child, registers)?;
            assert!(go_to_next_stop(child)?);
            registers.rax = (-i64::from(libc::EIO)) as u64;
            ptrace::setregs(child, registers)?;
        }
    }
}
