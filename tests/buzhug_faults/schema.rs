//! Faults 3 and 10: defaults, unknown fields, and fields that are dropped.

use super::{Finding, assert_gone, ensure, table};
use locule::maintenance::Alteration;
use locule::{RecordId, Table, Value, Values, values};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use test_kit::scratch;

const SCHEMA: &str = "name: text(16), hits: u32 = 0, note: text(32)?";

/// What is done with the fields of a table.
trait Fields {
    fn create(path: &Path) -> Self;
    /// As the next program finds it.
    fn reopen(&mut self);
    fn set_default(&mut self, name: &str, value: u32) -> bool;
    /// Inserts a record, and returns its hits; `None` if that is refused.
    fn insert(&mut self, fields: &[(&str, &str)]) -> Option<u32>;
    fn drop_field(&mut self, name: &str);
}

struct Locule {
    table: Table<Values>,
}

impl Fields for Locule {
    fn create(path: &Path) -> Self {
        Locule { table: table(path, SCHEMA) }
    }

    fn reopen(&mut self) {
        self.table = Table::<Values>::open(self.table.path()).unwrap();
    }

    fn set_default(&mut self, name: &str, value: u32) -> bool {
        let is_done = Alteration::of(self.table.path()).set_default(name, Some(value.into())).apply().is_ok();
        self.table.reopen().unwrap();
        is_done
    }

    fn insert(&mut self, fields: &[(&str, &str)]) -> Option<u32> {
        let record = self.table.values(fields.iter().map(|(name, value)| (*name, *value))).ok()?;
        let id: RecordId = self.table.insert(&record).unwrap();
        let hits = self.table.get(id).unwrap()?.get("hits").and_then(Value::as_i128)?;
        u32::try_from(hits).ok()
    }

    fn drop_field(&mut self, name: &str) {
        Alteration::of(self.table.path()).drop_field(name).apply().unwrap();
    }
}

/// A directory with a file for each field; defaults in memory.
struct Naive {
    directory: PathBuf,
    names: Vec<String>,
    defaults: BTreeMap<String, u32>,
}

impl Naive {
    fn append(&self, name: &str, value: &str) {
        let file = self.directory.join(name);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(file, format!("{before}{value}\n")).unwrap();
    }
}

impl Fields for Naive {
    fn create(path: &Path) -> Self {
        std::fs::create_dir(path).unwrap();
        let names = ["name", "hits", "note"].map(str::to_owned).into();
        Naive { directory: path.to_owned(), names, defaults: BTreeMap::new() }
    }

    fn reopen(&mut self) {
        self.defaults.clear();
    }

    fn set_default(&mut self, name: &str, value: u32) -> bool {
        self.defaults.insert(name.to_owned(), value);
        true
    }

    fn insert(&mut self, fields: &[(&str, &str)]) -> Option<u32> {
        fields.iter().for_each(|(name, value)| self.append(name, value));
        Some(self.defaults.get("hits").copied().unwrap_or(0))
    }

    fn drop_field(&mut self, name: &str) {
        self.names.retain(|other| other != name);
    }
}

// -- fault 3 ---------------------------------------------------------------------------------------

fn check_that_a_default_stays<F: Fields>() -> Finding {
    let (_directory, path) = scratch();
    let mut fields = F::create(&path);
    ensure(fields.set_default("hits", 7), "a default was refused")?;
    ensure(fields.insert(&[("name", "ada")]) == Some(7), "the default was not used")?;
    fields.reopen();
    ensure(fields.insert(&[("name", "bob")]) == Some(7), "the default is gone after the next open")
}

fn check_that_an_unknown_field_is_refused<F: Fields>() -> Finding {
    let (_directory, path) = scratch();
    let mut fields = F::create(&path);
    ensure(fields.insert(&[("name", "ada"), ("nme", "bob")]).is_none(), "an unknown field was inserted")?;
    ensure(!fields.set_default("hit", 7), "an unknown field got a default")
}

#[test]
fn fault_3_a_default_is_not_saved_and_an_unknown_field_is_accepted() {
    assert_gone(
        check_that_a_default_stays::<Locule>(),
        check_that_a_default_stays::<Naive>(),
        "the default is gone after the next open",
    );
    assert_gone(
        check_that_an_unknown_field_is_refused::<Locule>(),
        check_that_an_unknown_field_is_refused::<Naive>(),
        "an unknown field was inserted",
    );
    // In every place where a field is named.
    let (_directory, path) = scratch();
    let table = table(&path, SCHEMA);
    let id = table.insert(&table.values(values! { name: "ada" }).unwrap()).unwrap();
    for error in [
        table.values(values! { nme: "ada" }).unwrap_err(),
        table.update_fields(id, values! { nme: "ada" }).unwrap_err(),
        table.query().filter(locule::field("nme").eq("ada")).count().unwrap_err(),
        table.query().sort_by(locule::field("nme").ascending()).rows().unwrap_err(),
        table.query().values(["nme"]).unwrap_err(),
        table.query().sum("nme").unwrap_err(),
        Alteration::of(&path).drop_field("nme").apply().unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "there is no field `nme`: did you mean `name`?");
    }
}

// -- fault 10 --------------------------------------------------------------------------------------

/// Whether some file of a directory, or of one in it, has this text.
fn has_text(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return has_text(&path, text);
        }
        std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
    })
}

fn check_that_a_dropped_field_leaves_nothing<F: Fields>() -> Finding {
    let (directory, path) = scratch();
    let mut fields = F::create(&path);
    fields.insert(&[("name", "ada"), ("note", "the combination is 1815")]);
    assert!(has_text(directory.path(), "1815"), "the check can find it");
    fields.drop_field("note");
    ensure(!has_text(directory.path(), "1815"), "what a dropped field held is still there")?;
    ensure(std::fs::read_dir(directory.path()).unwrap().count() == 1, "a file was left behind")
}

#[test]
fn fault_10_a_dropped_field_leaves_its_file_behind() {
    assert_gone(
        check_that_a_dropped_field_leaves_nothing::<Locule>(),
        check_that_a_dropped_field_leaves_nothing::<Naive>(),
        "what a dropped field held is still there",
    );
}
