//! Columns of an eighth of a line and more: a course over time, and how times are distributed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws a column for each value, from the left, so many cells wide and apart; the highest one fills the area. What is there at
/// all is seen.
pub fn draw_bars(area: Rect, buffer: &mut Buffer, values: &[Option<f64>], width: u16, gap: u16, style: Style) {
    let highest = values.iter().flatten().copied().fold(0.0, f64::max);
    let mut x = area.x;
    for value in values {
        let eighths = match value {
            Some(value) if *value > 0.0 => (value / highest * f64::from(area.height) * 8.0).round().max(1.0) as u16,
            _ => 0,
        };
        for (line, y) in (area.top()..area.bottom()).rev().enumerate() {
            let below = u16::try_from(line).unwrap_or(u16::MAX).saturating_mul(8);
            let part = usize::from(eighths.saturating_sub(below).min(8));
            let symbol = EIGHTHS.get(part).copied().unwrap_or(" ");
            for x in (x..x.saturating_add(width)).take_while(|x| *x < area.right()) {
                if let Some(cell) = buffer.cell_mut((x, y)).filter(|_| part > 0) {
                    cell.set_symbol(symbol).set_style(style);
                }
            }
        }
        x = x.saturating_add(width + gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_column_fills_the_area_and_the_lowest_is_seen() {
        let area = Rect::new(0, 0, 6, 2);
        let mut buffer = Buffer::empty(area);
        draw_bars(
            area,
            &mut buffer,
            &[Some(16.0), Some(0.01), None, Some(0.0), Some(8.0), Some(12.0)],
            1,
            0,
            Style::new(),
        );
        assert_eq!(buffer, Buffer::with_lines(["█    ▄", "█▁  ██"]));
        let mut buffer = Buffer::empty(area);
        draw_bars(area, &mut buffer, &[Some(1.0), Some(0.5), Some(1.0)], 2, 1, Style::new());
        assert_eq!(buffer, Buffer::with_lines(["██    ", "██ ██ "]));
    }
}
