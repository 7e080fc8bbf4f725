//! A terminal of 80 × 24 for a command.

#![allow(dead_code, reason = "no file of tests uses all of this")]

use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

/// A command that runs in a terminal, and the other side of that terminal.
pub struct Terminal {
    child: Child,
    user: File,
    seen: Vec<u8>,
}

impl Terminal {
    /// Starts a command with its three streams in a new terminal.
    pub fn run(mut command: Command) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let child = command.env("TERM", "xterm").stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        // The command alone holds the other side, so that its end is the end of what can be read.
        drop(command);
        drop(slave);
        Terminal { child, user: File::from(master), seen: Vec::new() }
    }

    /// Reads until this has been seen. If the command ends before, the test fails.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            assert!(self.read(), "expected {text:?}, seen: {}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// Types something.
    pub fn type_in(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the end of the command: its exit status, and all that was seen.
    pub fn finish(mut self) -> (Option<i32>, String) {
        while self.read() {}
        (self.child.wait().unwrap().code(), String::from_utf8_lossy(&self.seen).into_owned())
    }

    /// Whether there was something more. When nobody has the other side open any more, that is an error.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let count = self.user.read(&mut buffer).unwrap_or(0);
        self.seen.extend_from_slice(&buffer[..count]);
        count > 0
    }
}
