//! Any bytes as a file. Looking at it changes nothing; opening it gives a table or an error; and what the table then
//! returns is what was once written to it, or an error, unless a check was forged.
//!
//! An input that begins with `l`, as a table does, is a file. Any other is a plan of how to damage a table with a past.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use locule::admin::{Location, Problem};
use locule::{Error, RecordId, RecoveryOutcome, Table, Text};
use locule_fuzz::image::{Image, Layout, Reseal, Surrounding, control};
use locule_fuzz::template::{Content, Subject, TableFile, Template, content, options};
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

locule::record! {
    /// As in the golden file.
    struct Visit {
        key id: u32,
        name: Text<6>,
        score: Option<f32> = Some(0.5),
    }
}

locule::record! {
    /// Without a key.
    struct Note {
        value: u64,
        text: Text<10>,
    }
}

impl Subject for Visit {
    fn made(key: u8, value: u16) -> Self {
        let name = Text::new(&format!("{value:x}")).expect("at most four digits");
        Visit { id: key.into(), name, score: (value % 3 != 0).then_some(value.into()) }
    }
}

impl Subject for Note {
    fn made(key: u8, value: u16) -> Self {
        let text = Text::new(&format!("{key}.{value}")).expect("at most nine digits");
        Note { value: value.into(), text }
    }
}

/// What is done to an image, and where it is then opened.
#[derive(Debug, Arbitrary)]
struct Plan {
    table: u8,
    moment: u8,
    surrounding: Surrounding,
    reseal: Option<Reseal>,
    longer_bytes: Option<i16>,
    damages: Vec<Damage>,
}

#[derive(Debug, Arbitrary)]
enum Damage {
    Word {
        region: u8,
        index: u16,
        change: Change,
    },
    /// A word of the control region, where most words mean something.
    Control {
        index: u8,
        change: Change,
    },
    Bytes {
        offset: u32,
        content: [u8; 3],
    },
    /// A cell is copied over another.
    Cell {
        from: u8,
        to: u8,
    },
    /// A region is as it was at another moment.
    Region {
        region: u8,
        moment: u8,
    },
    /// A page is as it was at another moment.
    Page {
        page: u8,
        moment: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Change {
    Set(u64),
    Add(i8),
    Flip(u8),
    /// What a word of the control region holds.
    Control(u8),
    /// What another word of the region holds.
    Other(u16),
}

impl Change {
    fn apply(&self, image: &Image, layout: &Layout, region: &Range<usize>, old: u64) -> u64 {
        match self {
            Change::Set(word) => *word,
            Change::Add(difference) => old.wrapping_add_signed((*difference).into()),
            Change::Flip(bit) => old ^ 1 << (bit % 64),
            Change::Control(index) => image.word(layout.control() + usize::from(*index) % control::END),
            Change::Other(index) => image.word(region.start + usize::from(*index) % region.len()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.first() == Some(&b'l') {
        raw(bytes);
    } else if let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(bytes)) {
        locule_fuzz::show(&plan);
        static VISITS: LazyLock<Template<Visit>> = LazyLock::new(|| Template::new("visits.loc", 4));
        static VISIT: LazyLock<Template<Visit>> = LazyLock::new(|| Template::new("visit.loc", 1));
        static NOTES: LazyLock<Template<Note>> = LazyLock::new(|| Template::new("notes.loc", 3));
        match plan.table % 4 {
            0 | 1 => planned(&VISITS, &plan, use_keys),
            2 => planned(&VISIT, &plan, use_keys),
            _ => planned(&NOTES, &plan, |_| {}),
        }
    }
});

// -- bytes that are a file --------------------------------------------------------------------------

fn raw(bytes: &[u8]) {
    static FILE: LazyLock<TableFile> = LazyLock::new(|| TableFile::create::<Visit>("raw.loc", 1));
    let mut image = Image(bytes.to_vec());
    // A process that may write a file is trusted with the mutexes in it: so the file must not say that these are this
    // process's own.
    if let Some(header_bytes) = bytes.get(20..24).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes) {
        let seal = header_bytes as usize + 8 * (control::INCARNATION + 7);
        if let Some(seal) = image.0.get_mut(seal..seal + 8) {
            seal.fill(0);
        }
    }
    FILE.put(&image);
    look::<Visit>(FILE.path(), &FILE);
    if let Ok(table) = options::<Visit>().open(FILE.path()) {
        use_table(&table);
        use_keys(&table);
    }
    drop(options::<Note>().open(FILE.path()));
}

// -- plans -------------------------------------------------------------------------------------------

fn damage(image: &mut Image, plan: &Plan, moments: &[Image], layout: &Layout) {
    for damage in plan.damages.iter().take(12) {
        match damage {
            Damage::Word { region, index, change } => {
                let region = &layout.regions[usize::from(*region) % layout.regions.len()];
                put(image, plan, layout, region, usize::from(*index) % region.len(), change);
            }
            Damage::Control { index, change } => {
                put(image, plan, layout, &layout.regions[1], usize::from(*index) % control::END, change);
            }
            Damage::Bytes { offset, content } => {
                let offset = *offset as usize % (image.0.len() - content.len());
                if !is_mutex(plan, layout, offset / 8) && !is_mutex(plan, layout, offset / 8 + 1) {
                    image.0[offset..offset + content.len()].copy_from_slice(content);
                }
            }
            Damage::Cell { from, to } => {
                let [from, to] = [from, to].map(|cell| {
                    let cell = usize::from(*cell) % (4 * layout.capacity);
                    layout.cell(cell / 4, cell % 4)
                });
                image.0.copy_within(8 * from.start..8 * from.end, 8 * to.start);
            }
            Damage::Region { region, moment } => {
                let region = layout.regions[usize::from(*region) % layout.regions.len()].clone();
                restore(image, plan, layout, region, &moments[usize::from(*moment) % moments.len()]);
            }
            Damage::Page { page, moment } => {
                let start = usize::from(*page) * 512 % (image.0.len() / 8);
                restore(image, plan, layout, start..start + 512, &moments[usize::from(*moment) % moments.len()]);
            }
        }
    }
}

fn put(image: &mut Image, plan: &Plan, layout: &Layout, region: &Range<usize>, index: usize, change: &Change) {
    let at = region.start + index;
    if !is_mutex(plan, layout, at) {
        let word = change.apply(image, layout, region, image.word(at));
        image.set_word(at, word);
    }
}

fn restore(image: &mut Image, plan: &Plan, layout: &Layout, range: Range<usize>, other: &Image) {
    for at in range {
        if !is_mutex(plan, layout, at) {
            image.set_word(at, other.word(at));
        }
    }
}

/// Whether a word is part of a mutex that an opener would use: a process that may write the file is trusted with these.
fn is_mutex(plan: &Plan, layout: &Layout, at: usize) -> bool {
    plan.surrounding == Surrounding::Same && control::MUTEXES.contains(&at.wrapping_sub(layout.control()))
}

fn planned<T: Subject>(template: &Template<T>, plan: &Plan, use_keys: impl Fn(&Table<T>)) {
    let (file, layout, moments) = (&template.file, &template.layout, &template.moments);
    let mut image = moments[usize::from(plan.moment) % moments.len()].clone();
    damage(&mut image, plan, moments, layout);
    if let Some(reseal) = plan.reseal {
        image.reseal(layout, reseal);
    }
    let is_forged = !image.sealed(layout).is_subset(&template.genuine);
    image.surround(layout, plan.surrounding);
    if let Some(longer_bytes) = plan.longer_bytes {
        let length_bytes = image.0.len().saturating_add_signed(longer_bytes.into());
        image.0.resize(length_bytes, 0);
    }
    file.put(&image);

    let (is_good, seen) = look::<T>(file.path(), file);
    // What a dead writer has left half done, a writer finishes; a reader in place does not see it before that.
    let is_pending = locule::admin::info(file.path()).is_ok_and(|info| info.pending.is_some());
    let table = match options::<T>().lock_timeout(std::time::Duration::from_secs(2)).open(file.path()) {
        Ok(table) => table,
        Err(error) => {
            assert!(matches!(error, Error::Foreign { .. } | Error::Damaged { .. } | Error::SchemaMismatch { .. }));
            // A writer looks at the schema first, whatever else is in the file. After a failed flush only a writer
            // recovers, and until then readers believe the heads.
            assert!(
                matches!(error, Error::SchemaMismatch { .. })
                    || !is_good && seen.is_none_or(|(found, _)| found == RecoveryOutcome::InOrder),
                "only who writes is refused: {error}"
            );
            assert!(file.image() == image, "a refused file was changed");
            return;
        }
    };
    let (seen_as, seen) = seen.expect("who reads gets the table as well");
    let found: Vec<_> = table.iter().map(|row| row.map_err(drop)).collect();
    if seen_as == table.recovery().outcome && !is_pending {
        assert_eq!(found, seen);
    }
    if !is_forged {
        for row in found.iter().flatten() {
            assert!(template.genuine.contains(&locule_fuzz::image::Sealed::of_row(row)), "never written: {row:?}");
        }
    }
    let recovery = *table.recovery();
    if recovery.outcome != RecoveryOutcome::InOrder && !is_forged {
        let expected = template.contents.get(&recovery.number).expect("a number that was published");
        assert_eq!(&content(&table), expected, "{recovery}");
        // Heads, index, free stack and counters were made anew: nothing of the damage is left.
        let verification = locule::admin::verify(file.path()).expect("a table");
        let is_wrong = |problem: &Problem| problem.place != Location::File || plan.longer_bytes.is_none();
        assert!(!verification.problems.iter().any(is_wrong), "{verification}");
        use_up(&table, layout.capacity);
        drop(table);
        let table = options::<T>().open(file.path()).expect("it was in order");
        assert_eq!((table.recovery().outcome, table.len().ok()), (RecoveryOutcome::InOrder, Some(0)));
    } else {
        use_table(&table);
        use_keys(&table);
        let _ = table.close();
        let _ = locule::admin::verify(file.path());
    }
}

// -- what is done with a file ------------------------------------------------------------------------

/// A state, and what was read in it, slot by slot.
type Seen<T> = (RecoveryOutcome, Vec<Result<locule::Row<T>, ()>>);

/// Looks at a file in every way, which must not change it. Returns whether it is good, and the records, if it can be
/// read.
fn look<T: Subject>(path: &Path, file: &TableFile) -> (bool, Option<Seen<T>>) {
    let before = file.image();
    if let Ok(info) = locule::admin::info(path) {
        drop(format!("{info:?}"));
    }
    let verification = locule::admin::verify(path).expect("a file that can be read");
    drop(verification.to_string());
    if let Ok(rows) = locule::admin::dump(path) {
        let limit = rows.schema().fields().len() + 100_000;
        assert!(rows.take(limit).count() < limit);
    }
    let rows = options::<T>().open_read_only(path).ok().map(|table| {
        drop((table.status(), table.recovery().to_string(), table.snapshot(|view| view.len())));
        for write in [table.insert(&T::made(0, 0)).map(drop), table.delete(RecordId::from_u64(0)).map(drop)] {
            assert!(matches!(write, Err(Error::ReadOnly { .. } | Error::Superseded | Error::Condemned)), "{write:?}");
        }
        (table.recovery().outcome, table.iter().map(|row| row.map_err(drop)).collect())
    });
    assert!(file.image() == before, "looking changed the file");
    (verification.is_good(), rows)
}

/// Uses a table that may be damaged: each call gives a value or an error that says so, and none waits.
fn use_table<T: Subject>(table: &Table<T>) {
    let rows: Vec<_> = table.iter().flatten().collect();
    for row in &rows {
        if let Some(found) = judge(table.get(row.id())).flatten() {
            assert_eq!(found.id(), row.id());
        }
        judge(table.update_if(row.id(), row.version(), row.record()));
        judge(table.update(row.id(), |_| {}));
    }
    for key in 0..3 {
        judge(table.insert(&T::made(key, 1)));
    }
    judge(table.write(|transaction| {
        for row in &rows {
            judge(transaction.delete(row.id()));
            judge(transaction.insert(row.record()));
        }
        judge(transaction.insert(&T::made(9, 9)));
        Ok(())
    }));
    judge(table.sync());
    judge(table.snapshot(|view| view.iter().collect::<Result<Vec<_>, _>>()));
    let _: Option<()> = judge(table.write(|transaction| {
        for row in &rows {
            judge(transaction.update(row.id(), |_| {}));
        }
        Err(Error::caller("not today"))
    }));
    for row in &rows {
        judge(table.delete(row.id()));
    }
    judge(table.sync());
    let _ = table.status();
}

fn use_keys(table: &Table<Visit>) {
    for key in 0..6 {
        if let Some(row) = judge(table.find(&key)).flatten() {
            assert_eq!(row.id, key);
        }
        judge(table.upsert(&Visit::made(key as u8, 2)));
        judge(table.contains_key(&key));
        judge(table.write(|transaction| transaction.find(&key)));
    }
}

/// The result, if there is one. A damaged table may answer that it is damaged, or give an error that its content leads
/// to; but the locks are whole, nothing was replaced, and no flush fails.
fn judge<R>(outcome: Result<R, Error>) -> Option<R> {
    match outcome {
        Ok(result) => Some(result),
        Err(
            Error::Damaged { .. }
            | Error::Full { .. }
            | Error::DuplicateKey { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::SlotTaken { .. }
            | Error::KeyChanged
            | Error::Caller { .. },
        ) => None,
        Err(other) => panic!("unexpected: {other:?}"),
    }
}

/// Fills a table in order, and empties it.
fn use_up<T: Subject>(table: &Table<T>, capacity: usize) {
    let rows: Content<T> = content(table);
    for row in &rows {
        assert_eq!(table.get(row.id()).expect("in order").as_ref(), Some(row));
        table.update_if(row.id(), row.version(), row.record()).expect("in order");
    }
    let mut live_count = rows.len();
    for key in 100.. {
        match table.insert(&T::made(key, 0)) {
            Ok(_) => live_count += 1,
            Err(Error::Full { .. }) => break,
            Err(error) => panic!("expected a full table, found {error}"),
        }
    }
    assert_eq!((live_count, table.len().expect("in order")), (capacity, capacity as u64));
    table.sync().expect("in order");
    table.write(|transaction| table.iter().try_for_each(|row| transaction.delete(row?.id()))).expect("in order");
    assert!(table.is_empty().expect("in order"));
}
