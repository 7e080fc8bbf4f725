//! Where the records are in a table: what `locule info --map` prints and `locule top` shows.

use std::path::Path;

use console::Term;
use locule::admin;

use crate::failure::Failure;
use crate::{Result, output};

/// How wide a map is where nothing says it.
const COLUMN_COUNT: u16 = 80;
/// How many lines it has at most.
const LINE_COUNT: u16 = 20;
/// What stands for slots of which none, up to a quarter, a half, three quarters, or more are taken.
pub const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// How many records there are in each run of slots, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotMap {
    pub capacity: u32,
    pub slots_per_run: u32,
    pub live_counts: Vec<u32>,
}

/// A map as it is drawn.
pub struct Drawn {
    pub lines: Vec<String>,
    pub slots_per_character: u32,
}

impl SlotMap {
    /// What the slots of a file say, whatever state it is in.
    pub fn of_file(file: &Path, run_count: u32) -> Result<Self> {
        let slots = admin::raw_slots(file).map_err(Failure::about(file))?;
        let capacity = slots.capacity();
        let slots_per_run = capacity.div_ceil(run_count.max(1)).max(1);
        let mut live_counts = Vec::new();
        for (position, slot) in slots.enumerate() {
            if u32::try_from(position)? % slots_per_run == 0 {
                live_counts.push(0);
            }
            let is_live = slot.map_err(Failure::about(file))?.is_live;
            if let Some(count) = live_counts.last_mut() {
                *count += u32::from(is_live);
            }
        }
        Ok(SlotMap { capacity, slots_per_run, live_counts })
    }

    /// Draws it, each character for as many slots as are needed for all to fit.
    pub fn drawn(&self, column_count: u16, line_count: u16) -> Drawn {
        let column_count = usize::from(column_count.max(1));
        let character_count = column_count * usize::from(line_count.max(1));
        let runs_per_character = self.live_counts.len().div_ceil(character_count).max(1);
        let slots_per_character =
            self.slots_per_run.saturating_mul(u32::try_from(runs_per_character).unwrap_or(u32::MAX));
        let mut slots_left = self.capacity;
        let characters: Vec<char> = self
            .live_counts
            .chunks(runs_per_character)
            .map(|runs| {
                let slot_count = slots_per_character.min(slots_left);
                slots_left -= slot_count;
                shade_of(runs.iter().sum(), slot_count)
            })
            .collect();
        let lines = characters.chunks(column_count).map(|line| line.iter().collect()).collect();
        Drawn { lines, slots_per_character }
    }
}

/// Prints a map of the slots.
pub fn print(file: &Path) -> Result<()> {
    let column_count = Term::stdout().size_checked().map_or(COLUMN_COUNT, |(_, columns)| columns).max(10);
    let map = SlotMap::of_file(file, u32::from(column_count) * u32::from(LINE_COUNT))?;
    Ok(output::print(&text_of(&map, column_count))?)
}

fn text_of(map: &SlotMap, column_count: u16) -> String {
    let Drawn { lines, slots_per_character } = map.drawn(column_count, LINE_COUNT);
    let slots = if slots_per_character == 1 { "slot" } else { "slots" };
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let [none, some, half, many, all] = SHADES;
    format!(
        "{lines}each character is {slots_per_character} {slots}: {none} none taken, {some} some, {half} half, {many} many, \
         {all} nearly all\n"
    )
}

fn shade_of(live_count: u32, slot_count: u32) -> char {
    let last = SHADES.len() - 1;
    let shade = (u64::from(live_count) * last as u64).div_ceil(u64::from(slot_count.max(1)));
    usize::try_from(shade).ok().and_then(|shade| SHADES.get(shade.min(last)).copied()).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map_of(live_counts: Vec<u32>, slots_per_run: u32, capacity: u32) -> SlotMap {
        SlotMap { capacity, slots_per_run, live_counts }
    }

    #[test]
    fn each_slot_is_on_the_map_and_large_tables_are_drawn_to_scale() {
        let small = text_of(&map_of(vec![1, 0, 0, 1], 1, 4), 3);
        assert!(small.starts_with("█··\n█\neach character is 1 slot: "), "{small}");
        let large = map_of((0..100_000).map(|slot| u32::from(slot < 50_000)).collect(), 1, 100_000);
        let map = text_of(&large, 50);
        let lines: Vec<&str> = map.lines().collect();
        assert_eq!(lines.len(), usize::from(LINE_COUNT) + 1);
        assert!(lines[..10].iter().all(|line| *line == "█".repeat(50)));
        assert!(lines[10..20].iter().all(|line| *line == "·".repeat(50)));
        // One record alone is seen.
        let lonely = map_of([vec![0; 99_999], vec![1]].concat(), 1, 100_000);
        assert!(text_of(&lonely, 50).contains("·░\neach"));
    }

    #[test]
    fn the_last_run_is_as_full_as_it_can_be() {
        let drawn = map_of(vec![4, 2, 1], 4, 9).drawn(10, 1);
        assert_eq!((drawn.lines, drawn.slots_per_character), (vec!["█▒█".to_owned()], 4));
        let drawn = map_of(vec![4, 2, 1], 4, 9).drawn(1, 2);
        assert_eq!((drawn.lines, drawn.slots_per_character), (vec!["▓".to_owned(), "█".to_owned()], 8));
    }

    #[test]
    fn a_file_is_mapped_in_as_many_runs_as_are_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.loc");
        let schema: locule::Schema = "key id: u64".parse().unwrap();
        let table = locule::Table::<locule::Values>::options().schema(schema).capacity(10).create(&path).unwrap();
        for id in 0..5_u64 {
            table.insert(&locule::Values::named(table.schema(), locule::values! { id: id }).unwrap()).unwrap();
        }
        let map = SlotMap::of_file(&path, 3).unwrap();
        assert_eq!(map, map_of(table.live_counts(4).unwrap(), 4, 10));
        assert_eq!(map.live_counts, [4, 1, 0]);
    }
}
