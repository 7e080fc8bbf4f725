//! The language codes of ISO 639-3 as a table: from CSV to typed records, and back to compare.
//!
//! ```text
//! csv=examples/languages/languages.csv
//! cargo run --release --example languages -- $csv languages.loc
//! cargo run --release --example languages -- $csv languages.loc --check
//! cargo run --release --example languages -- $csv languages.loc --hammer 10 --processes 50 --kill 100
//! ```
//!
//! The first loads a CSV file with the columns alpha_3, alpha_2, bibliographic, name, common_name, inverted_name, scope and
//! type. The second compares table and file cell by cell. The third lets many processes rewrite the table while some of them
//! are killed, and then compares.
//!
//! The file beside this one has 27 languages. The whole standard has about 7,900: the package iso-codes, which most
//! distributions have, holds them as JSON (`iso_639-3.json`) with the same names of columns.

mod hammer;

use csv::StringRecord;
use locule::{Table, Text};
use std::collections::HashSet;
use std::error::Error;
use std::path::Path;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

locule::record! {
    /// One language.
    pub struct Language {
        /// The code of three letters.
        pub key alpha_3: Text<3>,
        /// The code of two letters, which the better known languages have.
        pub alpha_2: Option<Text<2>>,
        /// The code that libraries use, if it is different.
        pub bibliographic: Option<Text<3>>,
        pub name: Text<64>,
        pub common_name: Option<Text<32>>,
        /// "Arabic, Standard".
        pub inverted_name: Option<Text<64>>,
        /// Individual, macrolanguage or special.
        pub scope: Text<1>,
        /// Living, historical, extinct, ancient, constructed or special.
        pub r#type: Text<1>,
    }
}

impl Language {
    const COLUMNS: [&str; 8] =
        ["alpha_3", "alpha_2", "bibliographic", "name", "common_name", "inverted_name", "scope", "type"];

    /// An empty cell becomes nothing; one that does not fit its field is an error, and is never cut.
    fn from_cells(cells: &StringRecord) -> Result<Self> {
        let cells: Vec<&str> = cells.iter().collect();
        let [alpha_3, alpha_2, bibliographic, name, common_name, inverted_name, scope, r#type] = cells[..] else {
            return Err(format!("expected {} cells, found {cells:?}", Self::COLUMNS.len()).into());
        };
        Ok(Language {
            alpha_3: Text::new(alpha_3)?,
            alpha_2: optional(alpha_2)?,
            bibliographic: optional(bibliographic)?,
            name: Text::new(name)?,
            common_name: optional(common_name)?,
            inverted_name: optional(inverted_name)?,
            scope: Text::new(scope)?,
            r#type: Text::new(r#type)?,
        })
    }

    fn cells(&self) -> [&str; 8] {
        [
            &self.alpha_3,
            self.alpha_2.as_deref().unwrap_or_default(),
            self.bibliographic.as_deref().unwrap_or_default(),
            &self.name,
            self.common_name.as_deref().unwrap_or_default(),
            self.inverted_name.as_deref().unwrap_or_default(),
            &self.scope,
            &self.r#type,
        ]
    }
}

fn optional<const N: usize>(cell: &str) -> locule::Result<Option<Text<N>>> {
    if cell.is_empty() { Ok(None) } else { Text::new(cell).map(Some) }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [csv, table] => load(csv.as_ref(), table.as_ref()),
        [csv, table, "--check"] => check(csv.as_ref(), table.as_ref()),
        [csv, table, "--hammer", seconds, "--processes", processes, "--kill", kills] => {
            hammer::run([csv, table], seconds.parse()?, processes.parse()?, kills.parse()?)?;
            check(csv.as_ref(), table.as_ref())
        }
        [_, table, "--worker", seconds] => hammer::work(table.as_ref(), seconds.parse()?),
        _ => Err("usage: languages CSV TABLE [--check | --hammer SECONDS --processes COUNT --kill COUNT]".into()),
    }
}

/// Reads the whole file, or nothing: it is one transaction.
fn load(csv: &Path, table: &Path) -> Result<()> {
    let table = Table::<Language>::options().capacity(10_000).open_or_create(table)?;
    let languages: Vec<Language> = read(csv)?.iter().map(Language::from_cells).collect::<Result<_>>()?;
    table.write(|transaction| languages.iter().try_for_each(|language| transaction.upsert(language).map(drop)))?;
    println!("{} languages", table.len()?);
    Ok(table.close()?)
}

/// Compares every cell of the file with the table, and looks for records that are not in the file.
fn check(csv: &Path, table: &Path) -> Result<()> {
    let table = Table::<Language>::options().open_read_only(table)?;
    let mut difference_count = 0;
    let mut differs = |place: &str, expected: &str, found: &str| {
        eprintln!("{place}: expected {expected:?}, found {found:?}");
        difference_count += 1;
    };
    let rows = read(csv)?;
    for cells in &rows {
        let code = &cells[0];
        let Some(language) = table.find(code)? else {
            differs(code, "a record", "none");
            continue;
        };
        for ((column, expected), found) in Language::COLUMNS.into_iter().zip(cells).zip(language.cells()) {
            if expected != found {
                differs(&format!("{code} {column}"), expected, found);
            }
        }
    }
    let codes: HashSet<&str> = rows.iter().map(|cells| &cells[0]).collect();
    for language in table.iter() {
        let code = language?.alpha_3;
        if !codes.contains(code.as_str()) {
            differs(&code, "no record", "one");
        }
    }
    if difference_count > 0 {
        return Err(format!("{difference_count} differences").into());
    }
    println!("{} languages, every cell as in {}", rows.len(), csv.display());
    Ok(())
}

fn read(csv: &Path) -> Result<Vec<StringRecord>> {
    let mut reader = csv::Reader::from_path(csv)?;
    if *reader.headers()? != Language::COLUMNS[..] {
        return Err(format!("expected the columns {:?}, found {:?}", Language::COLUMNS, reader.headers()?).into());
    }
    Ok(reader.records().collect::<Result<_, _>>()?)
}
