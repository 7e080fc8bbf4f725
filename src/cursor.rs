//! A moment of a table's past, from which its changes can be followed.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

const UUID_BYTES: usize = 16;

/// A moment in the past of one table: everything up to one transaction has happened.
/// [`changes_since`](crate::Table::changes_since) tells what has changed since then.
///
/// A cursor can be kept anywhere, such as in a file beside what was made of the records, by the text that its `Display`
/// writes: one short word of letters, digits and a hyphen. It can be followed across processes, restarts and recoveries. If it
/// cannot be, [`CursorLost`](crate::Error::CursorLost) says so, with the reason:
///
/// - What it had seen was rolled back, by a recovery or by [`restore`](crate::maintenance::restore); or it is newer than the
///   table, because an older copy of the file was put back.
/// - The table was recovered more than eight times since. The first process that opens it after the machine was started does
///   so, and so does the first after an alteration. If a sync record is damaged, fewer are remembered.
/// - It is of another table, such as of this one before it was replaced, or altered so that records may be others: see
///   [`maintenance`](crate::maintenance).
///
/// Two cursors of one table are equal if they stand for the same transaction. There is no order between cursors, since
/// they may be of different tables.
///
/// ```
/// # locule::record! { struct Visit { key id: u64, hits: u32 } }
/// # let directory = tempfile::tempdir()?;
/// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
/// let kept_elsewhere: String = table.cursor()?.to_string();
/// table.insert(&Visit { id: 42, hits: 1 })?;
/// // Later, perhaps in another process:
/// let changes = table.changes_since(&kept_elsewhere.parse()?)?;
/// assert_eq!(changes.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(crate) uuid: [u8; UUID_BYTES],
    pub(crate) number: u64,
}

impl Cursor {
    /// The number of the last transaction that had happened; 0 before the first. It is what
    /// [`Row::version`](crate::Row::version) and [`Table::sync`](crate::Table::sync) return.
    ///
    /// ```
    /// # locule::record! { struct Visit { key id: u64, hits: u32 } }
    /// # let directory = tempfile::tempdir()?;
    /// # let table = locule::Table::<Visit>::create(directory.path().join("visits.loc"), 9)?;
    /// table.insert(&Visit { id: 42, hits: 1 })?;
    /// let cursor = table.cursor()?;
    /// assert_eq!(table.find(&42)?.map(|row| row.version()), Some(cursor.number()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// The table's UUID as 32 hexadecimal digits, a hyphen, and the number.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{}", u128::from_be_bytes(self.uuid), self.number)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// Reads what `Display` writes, and nothing else.
impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (uuid, number) = text.split_once('-')?;
            let uuid = u128::from_str_radix(uuid, 16).ok()?;
            let cursor = Cursor { uuid: uuid.to_be_bytes(), number: number.parse().ok()? };
            // There is one text for each cursor: no signs, no capital letters, no zeros in front.
            (cursor.to_string() == text).then_some(cursor)
        };
        read().ok_or_else(|| Error::InvalidValue {
            reason: format!("expected a cursor, 32 hexadecimal digits, a hyphen and a number, and found {text:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_text_and_no_other_text_is_one() {
        let cursors = [
            (Cursor { uuid: [0; 16], number: 0 }, "00000000000000000000000000000000-0"),
            (Cursor { uuid: *b"locule golden \x01\x02", number: 7 }, "6c6f63756c6520676f6c64656e200102-7"),
            (Cursor { uuid: [0xff; 16], number: u64::MAX }, "ffffffffffffffffffffffffffffffff-18446744073709551615"),
        ];
        for (cursor, text) in cursors {
            assert_eq!((cursor.to_string(), text.parse::<Cursor>().unwrap()), (text.to_owned(), cursor));
        }
        for text in [
            "",
            "-",
            "6c6f63756c6520676f6c64656e200102",
            "6c6f63756c6520676f6c64656e200102-",
            "6c6f63756c6520676f6c64656e200102-07",
            "6c6f63756c6520676f6c64656e200102-+7",
            "6c6f63756c6520676f6c64656e200102--7",
            "6c6f63756c6520676f6c64656e200102-7 ",
            "6C6F63756C6520676F6C64656E200102-7",
            "+c6f63756c6520676f6c64656e200102-7",
            "6c6f63756c6520676f6c64656e20010-7",
            "06c6f63756c6520676f6c64656e200102-7",
            "6c6f63756c6520676f6c64656e200102-18446744073709551616",
        ] {
            let error = text.parse::<Cursor>().unwrap_err();
            assert!(matches!(error, Error::InvalidValue { .. }) && error.to_string().contains("cursor"), "{text}");
        }
    }
}
