//! A terminal for a command, of 80 × 24 unless said otherwise.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A command that runs in a terminal, and the other side of that terminal.
pub struct Terminal {
    child: Child,
    user: File,
    seen: Vec<u8>,
    /// What a person sees.
    screen: vt100::Parser,
}

/// A test that fails leaves no command behind.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The command with its streams' terminal as its own: otherwise it would find the one of who runs the tests.
fn with_a_session_of_its_own(command: &Command) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        session.current_dir(directory);
    }
    session
}

impl Terminal {
    /// Starts a command with its three streams in a new terminal.
    pub fn run(command: Command) -> Terminal {
        Terminal::run_in(24, 80, command)
    }

    /// The same in a terminal of another size.
    pub fn run_in(rows: u16, columns: u16, command: Command) -> Terminal {
        let OpenptyResult { master, slave } = openpty(Some(&size(rows, columns)), None).unwrap();
        // The command has only its own side: else the terminal could not be closed.
        fcntl(&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let mut command = with_a_session_of_its_own(&command);
        command.env("TERM", "xterm").stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().unwrap();
        // The command alone holds the other side, so that its end is the end of what can be read.
        drop(command);
        drop(slave);
        Terminal { child, user: File::from(master), seen: Vec::new(), screen: vt100::Parser::new(rows, columns, 0) }
    }

    /// Reads until this has been seen. If the command ends before, the test fails.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            assert!(self.read(), "expected {text:?}, seen: {}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// Reads until the screen fulfils a condition, and returns what is on it.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let contents = self.screen().contents();
            if condition(&contents) {
                return contents;
            }
            // A view is drawn again and again, so this is looked at from time to time.
            let has_time = start.elapsed() < Duration::from_secs(60);
            assert!(has_time && self.read(), "expected {what}, on the screen:\n{contents}");
        }
    }

    /// Reads until there is this text on the screen.
    #[track_caller]
    pub fn wait_for_text(&mut self, text: &str) -> String {
        self.wait_for(text, |contents| contents.contains(text))
    }

    /// What a person sees now, as far as it was read.
    pub fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// All that was written to the terminal so far.
    pub fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Types something.
    pub fn type_in(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// Gives the terminal another size; the kernel tells the command.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.set_size(rows, columns);
        let mut stty = Command::new("stty");
        stty.args(["rows", &rows.to_string(), "columns", &columns.to_string()]);
        assert!(stty.stdin(self.user.try_clone().unwrap()).status().unwrap().success());
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Sends a signal to the process that the command has started.
    pub fn signal_child(&self, signal: Signal) {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        kill(Pid::from_raw(children.trim().parse().unwrap()), signal).unwrap();
    }

    /// Whether what is typed is shown, and comes line by line: as it is before a program takes the terminal.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Closes the terminal, as a window is closed.
    pub fn close(&mut self) {
        self.user = File::open("/dev/null").unwrap();
    }

    /// Whether the command waits until the terminal takes more.
    pub fn is_writing(&self) -> bool {
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", self.child.id())).unwrap();
        call.starts_with(&format!("{} ", nix::libc::SYS_write))
    }

    /// How many threads of the command wait for others of it.
    pub fn futex_sleeper_count(&self) -> usize {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().flatten();
        let calls = threads.map(|thread| std::fs::read_to_string(thread.path().join("syscall")).unwrap_or_default());
        calls.filter(|call| call.starts_with(&format!("{} ", nix::libc::SYS_futex))).count()
    }

    /// Waits for the end of the command, and reads nothing of what it says.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the command does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end of the command: its exit status, and all that was seen.
    pub fn finish(self) -> (Option<i32>, String) {
        let (status, terminal) = self.end();
        (status.code(), terminal.written())
    }

    /// Waits for the end of the command: how it ended, and the terminal that it leaves.
    pub fn end(mut self) -> (ExitStatus, Terminal) {
        while self.read() {}
        (self.child.wait().unwrap(), self)
    }

    /// Waits for something more to be written, and says whether there was any. When nobody has the other side open any more, that is an error.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.user.read(&mut buffer).unwrap_or(0);
        self.seen.extend_from_slice(&buffer[..count]);
        self.screen.process(&buffer[..count]);
        count > 0
    }
}
