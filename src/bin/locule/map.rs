//! Where the records are in a table: what `locule info --map` prints.

use std::path::Path;

use console::Term;
use locule::admin;

use crate::failure::Failure;
use crate::{Result, output};

/// How wide a map is where nothing says it.
const COLUMN_COUNT: usize = 80;
/// How many lines it has at most.
const LINE_COUNT: usize = 20;
/// What stands for slots of which none, up to a quarter, a half, three quarters, or more are taken.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// Prints a map of the slots, each character for as many as are needed for it to fit.
pub fn print(file: &Path) -> Result<()> {
    let slots = admin::raw_slots(file).map_err(Failure::about(file))?;
    let mut is_live = Vec::with_capacity(usize::try_from(slots.capacity())?);
    for slot in slots {
        is_live.push(slot.map_err(Failure::about(file))?.is_live);
    }
    let column_count = Term::stdout().size_checked().map_or(COLUMN_COUNT, |(_, columns)| usize::from(columns));
    Ok(output::print(&map_of(&is_live, column_count.max(10)))?)
}

fn map_of(is_live: &[bool], column_count: usize) -> String {
    let slots_per_character = is_live.len().div_ceil(column_count * LINE_COUNT).max(1);
    let characters: Vec<char> = is_live.chunks(slots_per_character).map(shade_of).collect();
    let lines = characters.chunks(column_count).map(|line| line.iter().chain(&['\n']).collect::<String>());
    let slots = if slots_per_character == 1 { "slot" } else { "slots" };
    format!(
        "{}each character is {slots_per_character} {slots}: {} none taken, {} some, {} half, {} many, {} nearly all\n",
        lines.collect::<String>(),
        SHADES[0],
        SHADES[1],
        SHADES[2],
        SHADES[3],
        SHADES[4],
    )
}

fn shade_of(slots: &[bool]) -> char {
    let live_count = slots.iter().filter(|is_live| **is_live).count();
    let last = SHADES.len() - 1;
    let shade = (live_count * last).div_ceil(slots.len().max(1)).min(last);
    SHADES.get(shade).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_on_the_map_and_large_tables_are_drawn_to_scale() {
        let small = map_of(&[true, false, false, true], 3);
        assert!(small.starts_with("█··\n█\neach character is 1 slot: "), "{small}");
        let large: Vec<bool> = (0..100_000).map(|slot| slot < 50_000).collect();
        let map = map_of(&large, 50);
        let lines: Vec<&str> = map.lines().collect();
        assert_eq!(lines.len(), LINE_COUNT + 1);
        assert!(lines[..10].iter().all(|line| *line == "█".repeat(50)));
        assert!(lines[10..20].iter().all(|line| *line == "·".repeat(50)));
        // One record alone is seen.
        assert!(map_of(&[vec![false; 99_999], vec![true]].concat(), 50).contains("·░\neach"));
    }
}
