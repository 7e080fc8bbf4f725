//! `locule man`: the manual pages.

use std::io::Write;
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::failure::{cause, shown};
use crate::{Result, Verdict, arguments, output};

/// Prints a manual page, or writes all of them into a directory.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule man | man -l -
  locule man import | man -l -
  locule man alter add | man -l -
  locule man --into ~/.local/share/man/man1")]
pub struct Options {
    /// The verb whose page it is, instead of that of the command as a whole; for one of `locule alter`, both words.
    #[arg(value_name = "VERB")]
    verbs: Vec<String>,
    /// Write the page of each verb into this directory, which has to exist.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "verbs")]
    into: Option<PathBuf>,
}

/// Prints or writes them.
pub fn run(options: &Options) -> Result<Verdict> {
    let mut command = arguments::command();
    command.build();
    let commands = named(&command, "locule", "locule");
    if let Some(directory) = &options.into {
        for command in &commands {
            write(directory, command.get_name(), &page(command)?)?;
        }
        return Ok(Verdict::Good);
    }
    let name = options.verbs.iter().fold("locule".to_owned(), |name, verb| format!("{name}-{verb}"));
    let there_is_none = || format!("there is no verb {:?}: `locule --help` lists them", options.verbs.join(" "));
    let text = page(commands.iter().find(|command| command.get_name() == name).ok_or_else(there_is_none)?)?;
    let mut stdout = output::buffered();
    stdout.write_all(&text)?;
    stdout.flush()?;
    Ok(Verdict::Good)
}

/// A command, its verbs, and theirs, each with the name of its page, and with what is typed up to its own arguments.
fn named(command: &Command, name: &str, typed: &str) -> Vec<Command> {
    let own = command.clone().name(name.to_owned()).bin_name(typed);
    let typed = command.get_positionals().fold(typed.to_owned(), |typed, argument| format!("{typed} {argument}"));
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let below = verbs.flat_map(|verb| {
        let verb_name = verb.get_name();
        named(verb, &format!("{name}-{verb_name}"), &format!("{typed} {verb_name}"))
    });
    iter::once(own).chain(below).collect()
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}

fn write(directory: &Path, name: &str, page: &[u8]) -> Result<()> {
    let path = directory.join(format!("{name}.1"));
    // A page that is not whole gets no name.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let written = tempfile::Builder::new().permissions(permissions).tempfile_in(directory).and_then(|mut file| {
        file.write_all(page)?;
        Ok(file.persist(&path)?)
    });
    written.map_err(|error| format!("cannot write {}: {}", shown(&path), cause(&error)))?;
    Ok(())
}
