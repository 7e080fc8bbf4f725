//! `locule tail`: what changes, as it happens.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use locule::{Change, Changes, Cursor, Error, Table, Values};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Map, Value as Json};

use crate::choosing::Column;
use crate::failure::{Failure, shown};
use crate::output::Stdout;
use crate::writing::{json_of, shown_json};
use crate::{Result, Verdict, opening};

/// Prints each change as a line of JSON, and waits for the next.
///
/// Each record that was changed comes once, as it is now: what it was in between is not kept. @change is `put` for one that
/// was inserted or updated, and `delete` for one that is gone, of which only @id and @version are told; every older record
/// with the same slot is gone too. Each line has a @cursor: `--from` it goes on behind that line, after a restart or a power
/// cut too. Of what one transaction has changed, all comes again if not all was printed.
///
/// While nothing changes it sleeps, and writers wake it: for that it leaves a mark in one word of the file, if it may
/// write to it, and otherwise looks every five milliseconds. Once a second it looks whether the file still has its name.
///
/// Where another table has taken the name, it goes on there if the cursor can be followed in it, and ends with an error if not,
/// or if there is no table any more.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule tail visits.loc
  locule tail visits.loc --from start --until-now | jq .user
  locule tail visits.loc --from \"$(tail -n 1 seen.jsonl | jq -r '.[\"@cursor\"]')\" >> seen.jsonl")]
pub struct Options {
    /// The table.
    file: PathBuf,
    /// Where to begin: with all records that there are (`start`), with the next change (`now`), or behind a line that was
    /// printed before, by its @cursor.
    #[arg(long, value_name = "start|now|CURSOR", default_value = "now")]
    from: From,
    /// Only what survives a power cut, once it does.
    #[arg(long)]
    synced: bool,
    /// End instead of waiting for more.
    #[arg(long)]
    until_now: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Start,
    Now,
    Behind(Cursor),
}

impl FromStr for From {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "start" => Ok(From::Start),
            "now" => Ok(From::Now),
            cursor => Ok(From::Behind(cursor.parse()?)),
        }
    }
}

/// How long it sleeps before it looks whether anybody still reads what it prints, and whether the table is still there.
const SLEEP: Duration = Duration::from_secs(1);

/// Prints changes until nobody reads them any more, or there is none if it is not to wait.
pub fn run(options: &Options) -> Result<Verdict> {
    let Options { file, synced, until_now, .. } = options;
    let mut followed = Followed { id: opening::id_of(file), table: opening::to_read(file)? };
    // Where another table takes the name before anything was printed, its start is meant.
    let mut is_to_begin = options.from == From::Start;
    let mut cursor = match options.from {
        From::Start => followed.table.first_cursor(),
        From::Now => followed.table.cursor().map_err(Failure::about(file))?,
        From::Behind(cursor) => cursor,
    };
    loop {
        let table = &followed.table;
        if is_to_begin {
            cursor = table.first_cursor();
        }
        let changes = if *synced { table.synced_changes_since(&cursor) } else { table.changes_since(&cursor) };
        let Some(changes) = followed.found(changes, file)? else { continue };
        print(&changes, &followed.table)?;
        is_to_begin &= changes.is_empty();
        cursor = changes.cursor();
        if *until_now {
            return Ok(Verdict::Good);
        }
        loop {
            // Nobody is woken by what happens to a name. What was written before the file lost it was printed.
            if followed.has_lost_its_name(file) {
                followed.open_anew(file)?;
                break;
            }
            let table = &followed.table;
            let is_awake = if *synced { table.wait_synced(&cursor, SLEEP) } else { table.wait(&cursor, SLEEP) };
            match followed.found(is_awake, file)? {
                Some(false) if is_read() => {}
                Some(false) => return Ok(Verdict::Good),
                Some(true) | None => break,
            }
        }
    }
}

/// The table that is followed, and which file it was opened from.
struct Followed {
    /// Asked before the table was opened, so that a file that is replaced in between is noticed.
    id: Option<(u64, u64)>,
    table: Table<Values>,
}

impl Followed {
    /// What a call has found. If the table was altered or replaced, the new one is opened; its changes are looked for again,
    /// and whether they can be told says the cursor.
    fn found<T>(&mut self, outcome: Result<T, Error>, file: &Path) -> Result<Option<T>> {
        match outcome {
            Err(Error::Superseded | Error::Recovered | Error::Condemned) => {
                self.id = named(file)?;
                self.table.reopen().map_err(Failure::about(file))?;
                Ok(None)
            }
            outcome => Ok(outcome.map(Some).map_err(Failure::about(file))?),
        }
    }

    /// Whether its name is now that of another file, or of none.
    fn has_lost_its_name(&self, file: &Path) -> bool {
        opening::id_of(file) != self.id
    }

    fn open_anew(&mut self, file: &Path) -> Result<()> {
        self.id = named(file)?;
        self.table = opening::to_read(file)?;
        Ok(())
    }
}

/// The file that has this name now.
fn named(file: &Path) -> Result<Option<(u64, u64)>> {
    match opening::id_of(file) {
        None if !file.exists() => Err(format!("{} is gone: it was destroyed, moved or deleted", shown(file)).into()),
        id => Ok(id),
    }
}

/// Prints a line for each change, at once: whoever reads it may wait for that line.
fn print(changes: &Changes<Values>, table: &Table<Values>) -> Result<()> {
    let schema = table.schema();
    for (change, cursor) in changes.with_cursors() {
        let what = if matches!(change, Change::Put(_)) { "put" } else { "delete" };
        let mut members = Map::new();
        members.insert("@cursor".to_owned(), cursor.to_string().into());
        members.insert("@change".to_owned(), what.into());
        members.insert("@id".to_owned(), json_of(schema, Column::Id, &change.id().into()));
        members.insert("@version".to_owned(), json_of(schema, Column::Version, &change.version().into()));
        if let Change::Put(row) = change {
            for (column, (name, value)) in Column::all(schema).into_iter().zip(row.iter()) {
                members.insert(name.to_owned(), json_of(schema, column, value));
            }
        }
        let line = format!("{}\n", shown_json(&Json::Object(members)));
        Stdout.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Whether somebody may still read stdout: a pipe whose other end is closed says that it is.
fn is_read() -> bool {
    let stdout = std::io::stdout();
    let mut events = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    match poll(&mut events, PollTimeout::ZERO) {
        Ok(_) => !events.iter().any(|event| event.revents().is_some_and(|found| found.contains(PollFlags::POLLERR))),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_the_start_now_or_behind_a_cursor() {
        assert_eq!("start".parse::<From>().unwrap(), From::Start);
        assert_eq!("now".parse::<From>().unwrap(), From::Now);
        let cursor = "6c6f63756c6520676f6c64656e200102-7";
        assert_eq!(cursor.parse::<From>().unwrap(), From::Behind(cursor.parse().unwrap()));
        assert!("yesterday".parse::<From>().is_err());
    }
}
