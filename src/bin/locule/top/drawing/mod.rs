//! Draws the view: a line about the file, panels, and the keys.

mod bars;
mod help;
mod lists;
mod panels;
pub mod theme;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use self::theme::Theme;
use super::figures::grouped;
use super::view::View;
use crate::output::visible;

/// What the panels need at least.
const LEAST_WIDTH: u16 = 38;
const LEAST_HEIGHT: u16 = 8;
/// From here on two panels fit beside each other.
const WIDE: u16 = 76;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &View, theme: &Theme) {
    let area = frame.area();
    if area.width < LEAST_WIDTH || area.height < LEAST_HEIGHT {
        let text = format!("{} × {} is too small: {LEAST_WIDTH} × {LEAST_HEIGHT} is needed", area.width, area.height);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let problem = view.facts.problem.as_deref().map(|problem| Line::styled(visible(problem), theme.bad()));
    let banner_height = problem.as_ref().map_or(0, |line| match line.width() {
        width if width <= usize::from(area.width) => 1,
        // Words are not broken, so a line holds somewhat less than its width.
        width => (width / usize::from(area.width - 8) + 1).min(usize::from(area.height / 6).max(3)),
    });
    let [head, below, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(u16::try_from(banner_height).unwrap_or(0)),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(head_of(view, theme), head);
    if let Some(problem) = problem {
        frame.render_widget(Paragraph::new(problem).wrap(Wrap { trim: true }), below);
    }
    if area.width >= WIDE {
        draw_wide(frame, body, view, theme)
    } else {
        draw_narrow(frame, body, view, theme)
    }
    draw_foot(frame, foot, view, theme);
    if view.shows_help {
        help::draw(frame, theme);
    }
}

/// What is drawn into a panel's area.
type Panel = fn(&mut Frame<'_>, Rect, &View, &Theme);

/// Three lines of two panels each, of which the last gets what is left.
fn draw_wide(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let height = (area.height * 3 / 10).clamp(6, 12);
    let pairs: [[Panel; 2]; 3] = [
        [panels::draw_writes, panels::draw_records],
        [panels::draw_lock, panels::draw_syncs],
        [lists::draw_users, lists::draw_changes],
    ];
    let mut rest = area;
    for (number, pair) in pairs.into_iter().enumerate() {
        // A line that would be too low leaves its place to the one before it.
        let is_last = number == 2 || rest.height < height + 4;
        let line = Rect { height: if is_last { rest.height } else { height }, ..rest };
        let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(line);
        for (panel, half) in pair.into_iter().zip(halves) {
            panel(frame, half, view, theme);
        }
        if is_last {
            break;
        }
        rest = Rect { y: rest.y + height, height: rest.height - height, ..rest };
    }
}

/// As many panels as there is room for, one below the other.
fn draw_narrow(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let all: [(Panel, u16); 6] = [
        (panels::draw_writes, 5),
        (panels::draw_lock, 6),
        (panels::draw_records, 5),
        (panels::draw_syncs, 6),
        (lists::draw_changes, 6),
        (lists::draw_users, 6),
    ];
    let mut rest = area;
    for (position, (panel, height)) in all.iter().enumerate() {
        let next = all.get(position + 1).map_or(u16::MAX, |(_, height)| *height);
        let is_last = rest.height < height.saturating_add(next);
        let height = if is_last { rest.height } else { *height };
        panel(frame, Rect { height, ..rest }, view, theme);
        if is_last {
            break;
        }
        rest = Rect { y: rest.y + height, height: rest.height - height, ..rest };
    }
}

fn head_of<'a>(view: &'a View, theme: &Theme) -> Line<'a> {
    let mut spans = vec![Span::styled(format!(" {}", view.file), theme.figure())];
    let count = view.facts.users.len() as u64;
    let users = match count {
        0 => "  open in no process that can be seen".to_owned(),
        1 => "  open in 1 process".to_owned(),
        count => format!("  open in {} processes", grouped(count)),
    };
    spans.push(Span::styled(users, theme.quiet()));
    let death_count = view.facts.death_count;
    if death_count > 0 {
        spans.push(Span::styled(format!("  {} died at work", grouped(death_count)), theme.worse()));
    }
    if view.is_paused {
        spans.push(Span::styled("  paused", theme.worse()));
    }
    Line::from(spans)
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let keys =
        [("q", "quit"), ("?", "help"), ("space", if view.is_paused { "go on" } else { "pause" }), ("+ -", "interval")];
    let mut spans = Vec::new();
    for (key, what) in keys {
        spans.push(Span::styled(format!(" {key} "), theme.key()));
        spans.push(Span::raw(format!("{what} ")));
    }
    frame.render_widget(Line::from(spans), area);
    let interval = Line::styled(format!("every {} s ", view.interval.as_secs_f64()), theme.quiet());
    let width = interval.width() as u16;
    // Not over the keys.
    if area.width >= width + 42 {
        frame.render_widget(interval.alignment(Alignment::Right), area);
    }
}

/// A frame with a title, and something in its lower edge.
fn frame_of<'a>(title: &'a str, below: impl Into<Line<'a>>, theme: &Theme) -> Block<'a> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.frame())
        .title(Span::styled(format!(" {title} "), theme.title()))
        .title_bottom(below.into().style(theme.quiet()).alignment(Alignment::Right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock_holder::Holder;
    use crate::map::SlotMap;
    use crate::surroundings::Activity;
    use crate::top::facts::{Facts, Rates, RecentChange, User};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::style::Color;
    use std::time::Duration;

    fn view() -> View {
        let directory = tempfile::tempdir().unwrap();
        let schema: locule::Schema = "key id: u64".parse().unwrap();
        let options = locule::Table::<locule::Values>::options().schema(schema).capacity(1_000);
        let table = options.create(directory.path().join("rows.loc")).unwrap();
        let mut status = table.status();
        (status.live_count, status.last, status.durable) = (250, 12_345_678, 12_000_000);
        status.last_sync = None;
        let mut facts = Facts {
            seconds: 1.0,
            status: Some(status),
            rates: Some(Rates { writes_per_second: 152_340.0, syncs_per_second: 1.0 }),
            map: Some(SlotMap {
                capacity: 1_000,
                slots_per_run: 1,
                live_counts: [vec![1; 250], vec![0; 750]].concat(),
            }),
            ..Facts::default()
        };
        facts.death_count = 2;
        facts.lock.look_count = 500;
        (facts.lock.held_share, facts.lock.waited_for_share) = (0.63, 0.125);
        (0..100).for_each(|number| facts.lock.holdings.add(number * 100));
        facts.lock.flushes.add(3_400_000);
        facts.users = (1..60)
            .map(|pid| User { pid, name: "worker".to_owned(), activity: Activity::Running, held_share: 0.05 })
            .collect();
        let changes =
            (1..60).map(|key| RecentChange { mark: '~', name: key.to_string(), rest: "hits: 7".to_owned() }).collect();
        facts.changes = Some(changes);
        View::new("visits.loc".to_owned(), facts, Duration::from_secs(1))
    }

    fn drawn(view: &View, columns: u16, rows: u16, theme: &Theme) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, view, theme)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> String {
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    #[test]
    fn the_view_fits_80_by_24() {
        let seen = text(&drawn(&view(), 80, 24, &Theme::new(true)));
        snapbox::assert_data_eq!(
            seen,
            snapbox::str![[r#"
 visits.loc  open in 59 processes  2 died at work
╭ Writes ──────────────────────────────╮╭ Records ─────────────────────────────╮
│152,340 a second, 152,340 at most     ││250 of 1,000, 25 % ━━━━━──────────────│
│                                     █││████████████████████████████··········│
│                                     █││······································│
│                                     █││····································  │
╰───────────────────── the last minute ╯╰─────────── each character is 9 slots ╯
╭ Lock ────────────────────────────────╮╭ Syncs ───────────────────────────────╮
│held 63 % of looks, waited for 12 %   ││1.0 a second                          │
│it changes hands, and is free now     ││346k unsynced: 12M of 12M             │
│▁▁ ▁▁ ▁▁ ▃▃ ██ ▁▁                     ││      ██                              │
│.1µs  1µs   10µs  .1ms  1ms   10ms    ││1ms   4ms   16ms  64ms  ¼s    1s      │
╰─ ½ 5.1 µs · 99 % 9.9 µs · max 9.9 µs ╯╰─ ½ 3.4 ms · 99 % 3.4 ms · max 3.4 ms ╯
╭ Processes ───────────────────────────╮╭ Changes ─────────────────────────────╮
│      1 running   5.0 %  worker       ││~ 1  hits: 7                          │
│      2 running   5.0 %  worker       ││~ 2  hits: 7                          │
│      3 running   5.0 %  worker       ││~ 3  hits: 7                          │
│      4 running   5.0 %  worker       ││~ 4  hits: 7                          │
│      5 running   5.0 %  worker       ││~ 5  hits: 7                          │
│      6 running   5.0 %  worker       ││~ 6  hits: 7                          │
│      7 running   5.0 %  worker       ││~ 7  hits: 7                          │
│      8 running   5.0 %  worker       ││~ 8  hits: 7                          │
╰───────────────────────── and 51 more ╯╰──────────────────── the newest first ╯
 q quit  ? help  space pause  + - interval                            every 1 s

"#]]
        );
    }

    #[test]
    fn it_is_drawn_in_every_size() {
        let mut view = view();
        for shows_help in [false, true] {
            view.shows_help = shows_help;
            for columns in (1..200).step_by(3) {
                for rows in (1..80).step_by(3) {
                    let seen = text(&drawn(&view, columns, rows, &Theme::new(true)));
                    assert_eq!(
                        seen.contains("Writes") || shows_help,
                        columns >= LEAST_WIDTH && rows >= LEAST_HEIGHT || shows_help
                    );
                    assert!(!seen.contains('\u{1b}'));
                }
            }
        }
        let view = View::new("visits.loc".to_owned(), Facts::default(), Duration::from_secs(1));
        for (columns, rows) in [(80, 24), (40, 10), (1, 1)] {
            drawn(&view, columns, rows, &Theme::new(true));
        }
    }

    #[test]
    fn a_problem_is_said_and_a_stopped_holder_is_named() {
        let mut view = view();
        view.facts.problem = Some("visits.loc is damaged: \u{1b}[31m ".to_owned() + &"word ".repeat(30));
        let stopped = Holder {
            pid: 4711,
            thread_id: 4713,
            name: "wo\u{202e}rker".to_owned(),
            activity: Activity::Stopped,
            state: None,
            held_for: Some(Duration::from_millis(12_340)),
        };
        view.facts.lock.holder = Some(stopped);
        let buffer = drawn(&view, 80, 24, &Theme::new(true));
        let seen = text(&buffer);
        assert!(
            seen.contains(r"visits.loc is damaged: \u{1b}[31m word") && seen.matches("word").count() == 30,
            "{seen}"
        );
        assert!(seen.contains(r"stopped for 12.3 s+: 4711/4713 wo\u{20"), "{seen}");
        assert!(buffer.content.iter().any(|cell| cell.fg == Color::Red));
        // A line of it takes no more than a line.
        view.facts.problem = Some("word ".repeat(16).trim_end().to_owned());
        let seen = text(&drawn(&view, 80, 24, &Theme::new(true)));
        assert!(seen.lines().nth(2).is_some_and(|line| line.starts_with("╭ Writes")), "{seen}");
    }

    #[test]
    fn there_are_no_colours_where_none_are_wanted() {
        let is_coloured =
            |buffer: &Buffer| buffer.content.iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
        assert!(is_coloured(&drawn(&view(), 80, 24, &Theme::new(true))));
        assert!(!is_coloured(&drawn(&view(), 80, 24, &Theme::new(false))));
    }
}
