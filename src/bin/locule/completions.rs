//! `locule completions`: what a shell has to know to complete command lines.

use std::io::Write;

use clap::{Args, ValueEnum};
use clap_complete::{Shell, generate};

use crate::{Result, Verdict, arguments, output};

/// Prints the completions for a shell.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule completions bash > ~/.local/share/bash-completion/completions/locule
  locule completions zsh > ~/.zfunc/_locule
  locule completions fish > ~/.config/fish/completions/locule.fish")]
pub struct Options {
    /// The shell.
    #[arg(value_enum)]
    shell: KnownShell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// Prints them.
pub fn run(options: &Options) -> Result<Verdict> {
    let shell = match options.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    // Written at once, since what writes it does not expect a reader that goes away.
    let mut script = Vec::new();
    generate(shell, &mut arguments::command(), "locule", &mut script);
    let mut stdout = output::buffered();
    stdout.write_all(&script)?;
    stdout.flush()?;
    Ok(Verdict::Good)
}
