//! The last changes of a table, from its change feed.

use std::collections::VecDeque;

use locule::{Change, Cursor, Error, Row, Table, Values};

use super::facts::RecentChange;
use super::paced::Paced;
use crate::writing::for_people;

/// How many changes are kept.
const KEPT_COUNT: usize = 100;
/// What is in a larger table is not looked through for what happened before.
const SMALL_BYTES: u64 = 16 << 20;
/// Beside busy writers, the feed copies the table into this process's memory: a larger one is not followed.
const LARGE_BYTES: u64 = 256 << 20;

/// Follows the changes of one table.
pub struct Recent {
    cursor: Option<Cursor>,
    kept: VecDeque<RecentChange>,
    paced: Paced,
}

impl Recent {
    /// Begins with what happened last.
    pub fn new(table: &Table<Values>) -> Self {
        let record_bytes = u64::try_from(table.schema().record_bytes()).unwrap_or(u64::MAX);
        let bytes = table.capacity().saturating_mul(record_bytes);
        let cursor = if bytes <= SMALL_BYTES {
            Some(table.first_cursor())
        } else if bytes <= LARGE_BYTES {
            table.cursor().ok()
        } else {
            None
        };
        Recent { cursor, kept: VecDeque::new(), paced: Paced::default() }
    }

    /// Adds what has happened since. That others write too much for it is no error: then it is for the next time.
    pub fn look(&mut self, table: &Table<Values>) -> Result<(), Error> {
        let Some(cursor) = self.cursor else { return Ok(()) };
        let Some(outcome) = self.paced.run(|| table.changes_since(&cursor)) else { return Ok(()) };
        match outcome {
            Ok(changes) => {
                self.cursor = Some(changes.cursor());
                let skipped = changes.len().saturating_sub(KEPT_COUNT);
                for change in changes.iter().skip(skipped) {
                    self.kept.push_front(described(change));
                }
                self.kept.truncate(KEPT_COUNT);
                Ok(())
            }
            Err(Error::SnapshotBusy { .. } | Error::Timeout { .. }) => Ok(()),
            Err(Error::CursorLost { .. }) => {
                self.cursor = table.cursor().ok();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The newest first; none if the table is too large to be followed.
    pub fn newest_first(&self) -> Option<Vec<RecentChange>> {
        self.cursor.map(|_| self.kept.iter().cloned().collect())
    }
}

fn described(change: &Change<Values>) -> RecentChange {
    match change {
        Change::Put(row) => {
            let key = row.schema().key().map(|field| field.name().to_owned());
            let is_key = |name: &str| key.as_deref() == Some(name);
            let name = row.iter().find(|(name, _)| is_key(name)).map(|(_, value)| for_people(value));
            let rest = row.iter().filter(|(name, _)| !is_key(name));
            let rest: Vec<_> = rest.map(|(name, value)| format!("{name}: {}", for_people(value))).collect();
            RecentChange {
                mark: if row.update_count() == 0 { '+' } else { '~' },
                name: name.unwrap_or_else(|| id_of(row)),
                rest: rest.join(", "),
            }
        }
        // What its key was is gone.
        change => RecentChange { mark: '-', name: format!("@id {}", change.id()), rest: String::new() },
    }
}

fn id_of(row: &Row<Values>) -> String {
    format!("@id {}", row.id())
}
