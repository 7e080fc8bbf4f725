//! Any bytes as a file: looking at it and opening it gives values or errors, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use locule::{Table, Text};

locule::record! {
    struct Visit {
        key id: u32,
        name: Text<10>,
        score: Option<f32>,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = tempfile::NamedTempFile::new() else { return };
    if std::fs::write(file.path(), bytes).is_err() {
        return;
    }
    let _ = locule::admin::info(file.path());
    let _ = locule::admin::verify(file.path());
    if let Ok(rows) = locule::admin::dump(file.path()) {
        for _ in rows {}
    }
    if let Ok(table) = Table::<Visit>::open(file.path()) {
        for _ in &table {}
        let _ = table.upsert(&Visit { id: 1, ..Visit::default() });
        let _ = table.find(&1).map(|row| row.map(|row| table.delete(row.id)));
    }
});
