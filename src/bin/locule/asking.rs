//! Asking before something is done that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

/// Not to be asked.
#[derive(Args)]
pub struct Consent {
    /// Do it without asking. Without a terminal nobody is asked.
    #[arg(long, short, global = true)]
    yes: bool,
}

impl Consent {
    /// Whether to go on: asks if there is somebody to answer.
    pub fn to(&self, question: &str) -> io::Result<bool> {
        if self.yes || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Ok(true);
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question} [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        if !is_yes {
            writeln!(stderr, "locule: nothing was changed")?;
        }
        Ok(is_yes)
    }
}
