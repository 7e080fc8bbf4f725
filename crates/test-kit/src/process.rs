//! Real processes for tests: the test binary runs itself again, as a child that plays one role.
//!
//! A file of tests lists its roles in one test of its own, which does nothing unless it is such a child:
//!
//! ```ignore
//! #[test]
//! fn child_process() {
//!     test_kit::play(&[("insert one", insert_one)]);
//! }
//! ```
//!
//! Children and their parent agree on an order by messages through pipes, never by sleeping. A child ends with its
//! parent, and after two minutes at the latest, so a hang is a test that fails.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

const ROLE: &str = "LOCULE_TEST_ROLE";
const PATH: &str = "LOCULE_TEST_PATH";
const ARGUMENT: &str = "LOCULE_TEST_ARGUMENT";
/// The test harness writes to the same pipe, so messages are marked.
const MARK: &str = "@";
/// The time after which a child that hangs is ended.
const LIFE_SECONDS: u32 = 120;

/// What a child does.
pub type Role = fn(&Path, &str);

/// In a child: plays its role and ends the process. Does nothing in the test run itself.
pub fn play(roles: &[(&str, Role)]) {
    let Ok(name) = std::env::var(ROLE) else { return };
    end_with_parent();
    let (_, role) = roles.iter().find(|(known, _)| *known == name).expect("a role of this file");
    let path = PathBuf::from(std::env::var_os(PATH).unwrap());
    role(&path, &std::env::var(ARGUMENT).unwrap());
    std::process::exit(0);
}

/// Makes the kernel end this process when its parent ends, and after a while at the latest.
pub fn end_with_parent() {
    nix::unistd::alarm::set(LIFE_SECONDS);
    // SAFETY: the call takes plain numbers and only sets an attribute of this process.
    let code = unsafe { nix::libc::prctl(nix::libc::PR_SET_PDEATHSIG, nix::libc::SIGKILL) };
    assert_eq!(code, 0);
    // The parent may have ended before.
    if nix::unistd::getppid() == Pid::from_raw(1) {
        // SAFETY: `_exit` only ends the process.
        unsafe { nix::libc::_exit(1) };
    }
}

/// In a child: sends the parent a message, which is one line.
pub fn say(message: impl std::fmt::Display) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{MARK}{message}").unwrap();
    output.flush().unwrap();
}

/// In a child: waits for a message from the parent, and ends if there is no parent any more.
pub fn hear() -> String {
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line).unwrap() == 0 {
        std::process::exit(0);
    }
    line.trim_end().to_owned()
}

/// The command that runs this test binary as a child with a role.
pub fn command(role: &str, path: &Path, argument: impl std::fmt::Display) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_process", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PATH, path)
        .env(ARGUMENT, argument.to_string());
    command
}

/// A child process, killed when it is dropped.
pub struct Child {
    process: std::process::Child,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub fn spawn(role: &str, path: &Path, argument: impl std::fmt::Display) -> Self {
        let mut process = command(role, path, argument).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Child { process, output }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// Waits until a thread of the child sleeps on a word of a file, such as a mutex of a table. Its main thread sleeps all the
    /// time, on a word of its own, until the test harness's other thread has played the role.
    #[track_caller]
    pub fn wait_until_asleep_on_shared_word(&self) {
        wait_until("it sleeps on a shared word", || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            threads.flatten().any(|thread| {
                let call = std::fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
                let mut words = call.split(' ');
                let is_futex = words.next() == Some(&nix::libc::SYS_futex.to_string());
                let operation = words.nth(1).and_then(|word| i32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
                is_futex && operation.is_some_and(|operation| operation & nix::libc::FUTEX_PRIVATE_FLAG == 0)
            })
        });
    }

    /// Waits for the child's next message.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the child ended without a message");
            if let Some(message) = line.strip_prefix(MARK) {
                return message.trim_end().to_owned();
            }
        }
    }

    /// Waits for the child's next message, which must be this one.
    #[track_caller]
    pub fn expect(&mut self, message: &str) {
        assert_eq!(self.hear(), message);
    }

    pub fn tell(&mut self, message: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    /// Kills the child as `kill -9` does, and waits until it is gone.
    #[track_caller]
    pub fn kill(&mut self) {
        kill(self.pid(), Signal::SIGKILL).unwrap();
        assert_eq!(self.process.wait().unwrap().signal(), Some(nix::libc::SIGKILL));
    }

    /// Waits until no process is left that it forked: no more messages can come.
    #[track_caller]
    pub fn wait_for_its_forks(&mut self) {
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
    }

    /// Stops the child, and waits until it stands still.
    #[track_caller]
    pub fn stop(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        let status = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(self.pid(), Signal::SIGSTOP));
    }

    pub fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Waits until the child has ended, in the way it should.
    #[track_caller]
    pub fn finish(mut self) {
        let status = self.wait();
        assert!(status.success(), "the child failed: {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until a condition holds that no message reports. It fails only after a minute, so a slow machine does not make
/// it fail.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In a child: runs `body` in a fork of this process and waits for its end. Returns whether it ended well.
pub fn in_fork(body: impl FnOnce()) -> bool {
    let child = fork(body);
    waitpid(child, None).unwrap() == WaitStatus::Exited(child, 0)
}

/// In a child: runs `body` in a fork of this process, as its main thread. Its exit status says whether it panicked.
pub fn fork(body: impl FnOnce()) -> Pid {
    // SAFETY: only roles fork, in a process whose only other thread is the harness's, which does nothing but wait; so no
    // lock that the fork needs is held.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Parent { child } => child,
        nix::unistd::ForkResult::Child => {
            end_with_parent();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // No destructors: what the parent holds is the parent's.
            // SAFETY: `_exit` only ends the process.
            unsafe { nix::libc::_exit(i32::from(outcome.is_err())) }
        }
    }
}
