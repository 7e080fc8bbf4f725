//! The command line: which verb, and what is said about mistakes in it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    ERROR, alter, backup, bench, completions, count, create, delete, destroy, diff, dump, exists, export, get, import,
    info, man, output, put, repair, restore, schema, scrub, set, summary, sync, tail, top, verify,
};

/// Makes, fills, shows, changes and checks locule tables, even while other programs use them.
///
/// `locule FILE` alone shows what a table is, and its first records.
#[derive(Parser)]
#[command(name = "locule", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(override_usage = "locule FILE\n       locule VERB FILE [OPTIONS]")]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
#[command(after_help = "\
Exit status: 0 yes, 1 no, differences or damage, 2 for an error or a mistake in the arguments.
Results are written to stdout, all else to stderr. Verbs that only look never take a lock and never change a byte.

Examples:
  locule create visits.loc --schema 'key id: u64, user: text(32), hits: u32 = 0'
  locule create languages.loc --from languages.csv --key alpha_3
  locule languages.loc
  locule dump languages.loc --where 'scope == \"M\"' --sort name --limit 5

`locule VERB --help` tells more about a verb, with examples.")]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    Summary(summary::Options),
    Create(create::Options),
    Schema(schema::Options),
    Destroy(destroy::Options),
    Dump(dump::Options),
    Get(get::Options),
    Put(put::Options),
    Set(set::Options),
    Delete(delete::Options),
    Count(count::Options),
    Exists(exists::Options),
    Import(import::Options),
    Export(export::Options),
    Diff(diff::Options),
    Info(info::Options),
    Verify(verify::Options),
    Repair(repair::Options),
    Backup(backup::Options),
    Restore(restore::Options),
    Sync(sync::Options),
    Scrub(scrub::Options),
    Alter(alter::Options),
    Tail(tail::Options),
    Top(top::Options),
    Bench(bench::Options),
    Completions(completions::Options),
    Man(man::Options),
    #[command(hide = true)]
    BenchWorker(bench::worker::Options),
}

impl Verb {
    /// Whether it changes nothing and prints once, so that it can be run again.
    pub fn is_looking(&self) -> bool {
        use Verb::{Count, Diff, Dump, Exists, Export, Get, Info, Schema, Summary, Verify};
        matches!(self, Summary(_) | Schema(_) | Dump(_) | Get(_) | Count(_) | Exists(_) | Export(_) | Diff(_))
            || matches!(self, Info(_) | Verify(_))
    }
}

/// The command as a whole.
pub fn command() -> Command {
    with_negative_numbers(Arguments::command())
}

/// What looks like a number behind an option is its value: one below zero is refused for what it is, and not as an option that
/// there is not.
fn with_negative_numbers(command: Command) -> Command {
    let allow = |argument: Arg| {
        if takes_a_value(&argument) { argument.allow_negative_numbers(true) } else { argument }
    };
    command.mut_args(allow).mut_subcommands(with_negative_numbers)
}

/// Whether an argument is an option with a value.
fn takes_a_value(argument: &Arg) -> bool {
    !argument.is_positional() && argument.get_action().takes_values()
}

/// Reads the arguments. If there is no verb to be run, what there is to say has been said, and the exit status is
/// returned.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Verb, ExitCode> {
    let arguments = with_a_verb(arguments.into_iter().collect());
    let verb =
        arguments.get(1).and_then(|first| command().find_subcommand(first).map(|verb| verb.get_name().to_owned()));
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments);
    match matches.and_then(|mut matches| Arguments::from_arg_matches_mut(&mut matches)) {
        Ok(arguments) => Ok(arguments.verb),
        Err(error) => {
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if is_help || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                return Err(match error.print() {
                    // A reader that has seen enough is no error.
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                        output::complain(format_args!("locule: cannot write the help: {error}"));
                        ExitCode::from(ERROR)
                    }
                    _ if is_help => ExitCode::SUCCESS,
                    _ => ExitCode::from(ERROR),
                });
            }
            let text = match meant_instead_of(&error) {
                Some(text) if verb.is_none() => text,
                _ => in_one_line(&with_the_nearest_first(error).to_string(), verb.as_deref()),
            };
            output::complain(format_args!("locule: {text}"));
            Err(ExitCode::from(ERROR))
        }
    }
}

/// `locule FILE` is short for `locule summary FILE`, unless it is a verb: then `locule ./FILE` is the file.
fn with_a_verb(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|first| is_file(first)) {
        arguments.insert(1, "summary".into());
    }
    arguments
}

fn is_file(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    let is_verb = || command().find_subcommand(argument).is_some();
    // No verb has a point or a slash. A file that looks like a mistyped verb has to be there.
    !text.starts_with('-') && !is_verb() && (text.contains(['.', '/']) || Path::new(argument).exists())
}

/// What somebody means who types the name that another command has for it.
const MEANT: [(&str, &str); 15] = [
    ("add insert upsert write", "`locule put`"),
    ("cat list ls print query select show view", "`locule dump`"),
    ("change edit update", "`locule set`"),
    ("check fsck", "`locule verify`"),
    ("compare", "`locule diff`"),
    ("copy cp clone", "`locule backup`"),
    ("drop", "`locule destroy`"),
    ("find", "`locule get` or `locule dump --where`"),
    ("follow watch", "`locule tail` or `locule top`"),
    ("help", "`locule --help`"),
    ("init make new", "`locule create`"),
    ("load", "`locule import`"),
    ("remove rm", "`locule delete` for records or `locule destroy` for a table"),
    ("stat status", "`locule info`"),
    ("version", "`locule --version`"),
];

/// What is said of a verb that there is not, if it is known what was meant.
fn meant_instead_of(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (_, meant) = MEANT.iter().find(|(names, _)| names.split(' ').any(|name| name == verb))?;
    Some(format!("unrecognized verb '{verb}'; you probably mean {meant}; see `locule --help`"))
}

/// Clap names what is most like a mistyped verb last.
fn with_the_nearest_first(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::SuggestedSubcommand) {
        let names = names.iter().rev().cloned().collect();
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(names));
    }
    error
}

/// What clap says, without the usage that it adds: the mistake, what was probably meant, and where to read more.
fn in_one_line(text: &str, verb: Option<&str>) -> String {
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let mistake = first.strip_prefix("error: ").unwrap_or(first);
    let tips = paragraphs.filter(|paragraph| paragraph.trim_start().starts_with("tip: "));
    let parts =
        std::iter::once(mistake).chain(tips).flat_map(str::lines).map(|line| line.trim().trim_start_matches("tip: "));
    let parts: Vec<String> =
        parts.filter(|line| !line.is_empty()).map(|line| output::visible(line).into_owned()).collect();
    let help = match verb {
        Some(verb) => format!("locule {verb} --help"),
        None => "locule --help".to_owned(),
    };
    let parts = in_plain_words(&parts.join("; ").replace(":; ", ": ").replace("subcommand", "verb"));
    let parts = match verb {
        Some("delete" | "exists") => parts.replace("<KEY>", "<KEY>, or --where <EXPR>"),
        _ => parts,
    };
    format!("{parts}; see `{help}`")
}

/// What the standard library and clap say of numbers, in other words.
fn in_plain_words(text: &str) -> String {
    const WHOLE_NUMBER: &str = "expected a whole number, 0 or more";
    let mut text = text.to_owned();
    for (theirs, ours) in [
        ("invalid digit found in string", WHOLE_NUMBER),
        ("cannot parse integer from empty string", WHOLE_NUMBER),
        ("number too large to fit in target type", "expected a smaller whole number"),
        ("number too small to fit in target type", WHOLE_NUMBER),
        ("invalid float literal", "expected a number"),
        ("cannot parse float from empty string", "expected a number"),
    ] {
        text = text.replace(theirs, ours);
    }
    // `7 is not in 1..5`, or 1..=4.
    let Some((before, range)) = text.rsplit_once(" is not in ") else { return text };
    let Some((before, _)) = before.rsplit_once(": ") else { return text };
    let numbers = range.split("..").map(|end| end.trim_start_matches('=').parse::<u64>());
    match numbers.collect::<Result<Vec<u64>, _>>().as_deref() {
        Ok([first, u64::MAX]) => format!("{before}: expected a whole number, {first} or more"),
        Ok([first, end]) => {
            let last = if range.contains("..=") { *end } else { end.saturating_sub(1) };
            format!("{before}: expected a whole number from {first} to {last}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn each_verb_has_examples_that_can_be_typed() {
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = help.lines().filter(|line| line.starts_with("  ")).collect();
            assert!(help.contains("Example") && !examples.is_empty(), "{} has examples", verb.get_name());
            assert!(help.contains(&format!("locule {}", verb.get_name())), "{} is in its examples", verb.get_name());
        }
    }

    /// `--interval -1` was once an unexpected argument, and nothing said what an interval can be.
    #[test]
    fn a_number_below_zero_is_the_value_of_the_option_before_it() {
        let mut option_count = 0;
        for verb in command().get_subcommands() {
            for option in verb.get_arguments().filter(|argument| takes_a_value(argument)).filter_map(Arg::get_long) {
                let tried = command().try_get_matches_from(["locule", verb.get_name(), &format!("--{option}"), "-1"]);
                assert_ne!(tried.map_err(|error| error.kind()).err(), Some(ErrorKind::UnknownArgument), "--{option}");
                option_count += 1;
            }
        }
        assert!(option_count > 30, "{option_count}");
    }

    #[test]
    fn a_file_is_told_from_a_verb() {
        let first = |argument: &str| with_a_verb(vec!["locule".into(), argument.into()]).remove(1);
        assert_eq!(first("visits.loc"), "summary");
        assert_eq!(first("./dump"), "summary");
        assert_eq!(first("dump"), "dump");
        assert_eq!(first("dmp"), "dmp");
        assert_eq!(first("--help"), "--help");
    }
}
