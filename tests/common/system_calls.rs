//! Processes whose system calls fail, or are watched, with nothing changed in the library.

use super::say;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

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
