//! The worker processes: starts them, watches them, kills and replaces them, and never leaves one behind.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::ledger::Operation;
use super::worker_file::{Counter, WorkerFile};
use crate::Result;

/// How long a process that was told to stop is given to do so. A process that runs needs microseconds; one that was
/// preempted is as good as stopped already, since it takes the signal before its next instruction.
const STOP_WAIT: Duration = Duration::from_micros(200);

/// Makes the command line for the worker of a worker file; the second number is the seed of its random numbers.
type CommandLine<'run> = Box<dyn Fn(usize, u64) -> Command + 'run>;

struct Member {
    worker_file: WorkerFile,
    /// `None` once the process has been reaped.
    worker: Option<Child>,
}

/// All worker files, and the process of each.
pub struct Supervisor<'run> {
    command_line: CommandLine<'run>,
    members: Vec<Member>,
    uncertain: Vec<Operation>,
    start_count: u64,
}

impl<'run> Supervisor<'run> {
    /// Starts a worker for each worker file. They wait to be released.
    ///
    /// The kernel kills a worker when the *thread* that started it ends, so this must be called by the main thread.
    pub fn start(
        worker_file_paths: &[PathBuf],
        key_count: u32,
        command_line: impl Fn(usize, u64) -> Command + 'run,
    ) -> Result<Self> {
        let mut supervisor = Supervisor {
            command_line: Box::new(command_line),
            members: Vec::new(),
            uncertain: Vec::new(),
            start_count: 0,
        };
        for (number, path) in worker_file_paths.iter().enumerate() {
            let worker_file = WorkerFile::create(path, key_count as usize)?;
            let worker = Some(supervisor.start_worker(number)?);
            supervisor.members.push(Member { worker_file, worker });
        }
        Ok(supervisor)
    }

    fn start_worker(&mut self, number: usize) -> Result<Child> {
        self.start_count += 1;
        let mut command = (self.command_line)(number, self.start_count);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map_err(|error| format!("cannot start worker {number}: {error}").into())
    }

    pub fn worker_files(&self) -> impl Iterator<Item = &WorkerFile> {
        self.members.iter().map(|member| &member.worker_file)
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }

    pub fn sum(&self, counter: Counter) -> u64 {
        self.worker_files().map(|worker_file| worker_file.counters().get(counter)).sum()
    }

    /// What was in flight in workers that were killed, and may or may not have happened.
    pub fn uncertain(&self) -> &[Operation] {
        &self.uncertain
    }

    pub fn is_ready(&self) -> bool {
        self.worker_files().all(|worker_file| worker_file.counters().get(Counter::Ready) == 1)
    }

    /// The number of the worker file that the process with this id works in.
    pub fn number_of(&self, pid: u32) -> Option<usize> {
        self.members.iter().position(|member| member.worker.as_ref().is_some_and(|worker| worker.id() == pid))
    }

    /// Fails if a worker has ended that was neither killed nor told to stop.
    pub fn watch(&mut self) -> Result<()> {
        for (number, member) in self.members.iter_mut().enumerate() {
            let Some(worker) = &mut member.worker else { continue };
            if let Some(status) = worker.try_wait()? {
                let ended = Ended::of(number, worker, status);
                member.worker = None;
                return Err(ended.into());
            }
        }
        Ok(())
    }

    /// Kills the worker of a worker file, keeps what it had in flight, and starts another in its place.
    pub fn kill_and_replace(&mut self, number: usize) -> Result<()> {
        let Some(member) = self.members.get_mut(number) else { return Ok(()) };
        if let Some(mut worker) = member.worker.take() {
            worker.kill()?;
            let status = worker.wait()?;
            if status.signal() != Some(Signal::SIGKILL as i32) {
                return Err(Ended::of(number, &mut worker, status).into());
            }
        }
        // Only now is no process writing to the worker file.
        self.uncertain.extend(member.worker_file.ledger().settle());
        let worker = self.start_worker(number)?;
        if let Some(member) = self.members.get_mut(number) {
            member.worker = Some(worker);
        }
        Ok(())
    }

    /// Stops the worker of a worker file for as long as the returned value lives, and waits until it has stopped.
    pub fn stop(&self, number: usize) -> Result<Option<Stopped>> {
        let Some(worker) = self.members.get(number).and_then(|member| member.worker.as_ref()) else { return Ok(None) };
        let pid = Pid::from_raw(i32::try_from(worker.id())?);
        signal::kill(pid, Signal::SIGSTOP)?;
        let stopped = Stopped { pid };
        let deadline = Instant::now() + STOP_WAIT;
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags)? == WaitStatus::StillAlive && Instant::now() < deadline {
            thread::yield_now();
        }
        Ok(Some(stopped))
    }

    /// Waits for all workers, which have been told to end. Those that do not end in time are named in the error, and
    /// killed.
    pub fn dismiss(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        for (number, member) in self.members.iter_mut().enumerate() {
            let Some(worker) = &mut member.worker else { continue };
            let status = loop {
                if let Some(status) = worker.try_wait()? {
                    break status;
                }
                if Instant::now() >= deadline {
                    let pid = worker.id();
                    return Err(format!("worker {number} (process {pid}) did not end within {timeout:?}").into());
                }
                thread::sleep(Duration::from_millis(1));
            };
            let ended = Ended::of(number, worker, status);
            member.worker = None;
            if !status.success() {
                return Err(ended.into());
            }
        }
        Ok(())
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        for worker in self.members.iter_mut().filter_map(|member| member.worker.as_mut()) {
            // It may have ended already, and nothing more can be done about one that cannot be killed.
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

/// A worker that does not run, until this is dropped.
pub struct Stopped {
    pid: Pid,
}

impl Stopped {
    /// Kills it where it stands. The supervisor has to reap and replace it.
    pub fn kill(&self) -> Result<()> {
        Ok(signal::kill(self.pid, Signal::SIGKILL)?)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // The process is not reaped yet, so its number is still its own. If it is killed already, this does nothing.
        let _ = signal::kill(self.pid, Signal::SIGCONT);
    }
}

/// A worker that was not supposed to end yet, or not in this way.
#[derive(Debug)]
struct Ended {
    number: usize,
    pid: u32,
    status: ExitStatus,
    stderr: String,
}

impl Ended {
    /// Reads what a reaped worker has written to stderr: the other end of the pipe is closed, so this does not wait.
    fn of(number: usize, worker: &mut Child, status: ExitStatus) -> Ended {
        let mut stderr = Vec::new();
        if let Some(mut pipe) = worker.stderr.take() {
            // Reporting part of it is better than reporting nothing.
            let _ = pipe.read_to_end(&mut stderr);
        }
        Ended { number, pid: worker.id(), status, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ended { number, pid, status, stderr } = self;
        write!(f, "worker {number} (process {pid}) ended by itself, {status}")?;
        // One that was killed has said nothing.
        match stderr.trim_end() {
            "" => Ok(()),
            said => write!(f, ": {said}"),
        }
    }
}

impl std::error::Error for Ended {}
