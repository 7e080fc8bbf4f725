//! `locule man`: the manual pages.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;

use crate::failure::{cause, shown};
use crate::{Result, Verdict, arguments, output};

/// Prints a manual page, or writes all of them into a directory.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule man | man -l -
  locule man import | man -l -
  locule man --into ~/.local/share/man/man1")]
pub struct Options {
    /// The verb whose page it is, instead of that of the command as a whole.
    verb: Option<String>,
    /// Write the page of each verb into this directory, which has to exist.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "verb")]
    into: Option<PathBuf>,
}

/// Prints or writes them.
pub fn run(options: &Options) -> Result<Verdict> {
    let mut command = arguments::command();
    command.build();
    if let Some(directory) = &options.into {
        write(directory, "locule", &page(&command)?)?;
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            write(directory, &format!("locule-{}", verb.get_name()), &page(&named(verb))?)?;
        }
        return Ok(Verdict::Good);
    }
    let text = match &options.verb {
        None => page(&command)?,
        Some(name) => {
            let verb = command.find_subcommand(name).filter(|verb| !verb.is_hide_set());
            page(&named(verb.ok_or_else(|| format!("there is no verb {name:?}: `locule --help` lists them"))?))?
        }
    };
    let mut stdout = output::buffered();
    stdout.write_all(&text)?;
    stdout.flush()?;
    Ok(Verdict::Good)
}

fn named(verb: &clap::Command) -> clap::Command {
    let name = format!("locule-{}", verb.get_name());
    verb.clone().name(name)
}

fn page(command: &clap::Command) -> Result<Vec<u8>> {
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
