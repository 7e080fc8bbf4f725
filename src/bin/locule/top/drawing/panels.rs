//! The panels with figures: writes, records, the lock, syncs.

use locule::Status;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::bars::draw_bars;
use super::frame_of;
use super::theme::Theme;
use crate::counts;
use crate::map::Drawn;
use crate::surroundings::Activity;
use crate::top::durations::Durations;
use crate::top::facts::{Facts, Lock};
use crate::top::figures::{age, grouped, percent, rate, short, time};
use crate::top::view::View;

/// The columns of holdings, in nanoseconds, and the names of every other one.
const HOLDING_LIMITS: [u64; 11] =
    [100, 316, 1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000, 3_162_278, 10_000_000];
const HOLDING_NAMES: [&str; 6] = [".1µs", "1µs", "10µs", ".1ms", "1ms", "10ms"];
/// The same of flushes.
const FLUSH_LIMITS: [u64; 11] =
    [MS, 2 * MS, 4 * MS, 8 * MS, 16 * MS, 32 * MS, 64 * MS, 128 * MS, 256 * MS, 512 * MS, 1024 * MS];
const FLUSH_NAMES: [&str; 6] = ["1ms", "4ms", "16ms", "64ms", "¼s", "1s"];
const MS: u64 = 1_000_000;

/// Draws a frame, and returns what is in it: a line or two, and the rest.
fn inside(frame: &mut Frame<'_>, area: Rect, title: &str, below: &str, lines: Vec<Line<'_>>, theme: &Theme) -> Rect {
    let block = frame_of(title, below, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let line_count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let [text, rest] = Layout::vertical([Constraint::Length(line_count), Constraint::Min(0)]).areas(inner);
    frame.render_widget(Paragraph::new(lines), text);
    rest
}

/// A figure, and what it is.
fn figure<'a>(figure: impl Into<String>, what: impl Into<String>, theme: &Theme) -> [Span<'a>; 2] {
    [Span::styled(figure.into(), theme.figure()), Span::raw(what.into())]
}

pub fn draw_writes(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let mut line = match view.facts.rates {
        Some(rates) => figure(rate(rates.writes_per_second), " a second", theme).to_vec(),
        None => vec![Span::styled("–", theme.quiet())],
    };
    let peak = view.history.peak();
    if peak > 0.0 {
        line.push(Span::styled(format!(", {} at most", rate(peak)), theme.quiet()));
    }
    let rest = inside(frame, area, "Writes", " the last minute ", vec![line.into()], theme);
    let values = view.history.writes_per_second(rest.width);
    draw_bars(rest, frame.buffer_mut(), &values, 1, 0, theme.writes());
}

pub fn draw_records(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let map = view.facts.map.as_ref();
    let map_height = area.height.saturating_sub(3);
    let drawn = map.map(|map| map.drawn(area.width.saturating_sub(2), map_height));
    let below = match &drawn {
        Some(Drawn { slots_per_character: 1, .. }) => " each character is a slot ".to_owned(),
        Some(Drawn { slots_per_character, .. }) => {
            format!(" each character is {} slots ", grouped(u64::from(*slots_per_character)))
        }
        None => String::new(),
    };
    let rest = inside(frame, area, "Records", &below, vec![Line::default()], theme);
    let line = Rect { y: rest.y.saturating_sub(1), height: 1, ..rest };
    if let Some(status) = view.facts.status.filter(|_| area.height > 2) {
        frame.render_widget(gauge_of(&status, usize::from(line.width), theme), line);
    }
    if let Some(drawn) = drawn {
        let lines: Vec<Line<'_>> = drawn.lines.into_iter().map(|line| Line::styled(line, theme.records())).collect();
        frame.render_widget(Paragraph::new(lines), rest);
    }
}

/// How many records there are, and how full that is.
fn gauge_of<'a>(status: &Status, width: usize, theme: &Theme) -> Line<'a> {
    let counts = format!("{} of {}", grouped(status.live_count), grouped(status.capacity));
    if !counts::is_possible(status.live_count, status) {
        return Line::styled(format!("impossible: {counts}"), theme.bad());
    }
    let share = status.live_count as f64 / status.capacity.max(1) as f64;
    let label = format!("{counts}, {} ", percent(share));
    let rest = width.saturating_sub(label.chars().count());
    let full = (share.clamp(0.0, 1.0) * rest as f64).round() as usize;
    Line::from_iter([
        Span::styled(label, theme.figure()),
        Span::styled("━".repeat(full), theme.records()),
        Span::styled("─".repeat(rest - full), theme.quiet()),
    ])
}

pub fn draw_lock(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let lock = &view.facts.lock;
    let shares = if lock.look_count == 0 {
        Line::styled("–", theme.quiet())
    } else {
        let held = figure(percent(lock.held_share), " of looks, waited for ", theme);
        let waited_for = figure(percent(lock.waited_for_share), "", theme);
        Line::from_iter(std::iter::once(Span::raw("held ")).chain(held).chain(waited_for))
    };
    let holdings = view.history.holdings();
    let rest = inside(frame, area, "Lock", &quantiles(&holdings), vec![shares, holder_of(lock, theme)], theme);
    draw_distribution(frame, rest, &holdings, &HOLDING_LIMITS, HOLDING_NAMES, theme.lock(), theme);
}

/// Who holds the lock: worth a name only if it keeps it.
fn holder_of<'a>(lock: &Lock, theme: &Theme) -> Line<'a> {
    if let Some((holder, seconds)) = lock.long_holder() {
        let style = match holder.activity {
            Activity::Stopped | Activity::Dead => theme.bad(),
            _ => theme.worse(),
        };
        let name = crate::output::visible(&holder.name).into_owned();
        let thread = if holder.thread_id == holder.pid { String::new() } else { format!("/{}", holder.thread_id) };
        let what = format!("{} for {}+", holder.activity.in_words(), age(seconds));
        let text = format!("{what}: {}{thread} {name}", holder.pid);
        return Line::styled(text, style);
    }
    if lock.is_abandoned {
        return Line::styled("its holder died; the next one repairs", theme.worse());
    }
    match &lock.holder {
        None if lock.look_count == 0 => Line::default(),
        Some(_) => Line::styled("it changes hands", theme.good()),
        None if lock.held_share > 0.0 => Line::styled("it changes hands, and is free now", theme.good()),
        None => Line::styled("free", theme.good()),
    }
}

pub fn draw_syncs(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let Facts { status, lock, .. } = &view.facts;
    let mut first = match view.history.syncs_per_second() {
        Some(syncs_per_second) => figure(rate(syncs_per_second), " a second", theme).to_vec(),
        None => vec![Span::styled("–", theme.quiet())],
    };
    if let Some(seconds) = view.facts.seconds_since_sync() {
        first.push(Span::raw(", the last "));
        first.extend(figure(age(seconds), " ago", theme));
    }
    if lock.is_flushing {
        first.push(Span::styled(", one now", theme.quiet()));
    }
    let second = match (status, view.facts.lag()) {
        (Some(_), Some(0)) => Line::styled("all that is written is synced", theme.good()),
        (Some(status), Some(lag)) => {
            let lag = figure(short(lag), " unsynced: ", theme);
            Line::from_iter(lag.into_iter().chain([Span::raw(format!(
                "{} of {}",
                short(status.durable),
                short(status.last)
            ))]))
        }
        _ => Line::default(),
    };
    let flushes = view.history.flushes();
    let rest = inside(frame, area, "Syncs", &quantiles(&flushes), vec![first.into(), second], theme);
    draw_distribution(frame, rest, &flushes, &FLUSH_LIMITS, FLUSH_NAMES, theme.syncs(), theme);
}

/// The middle, the rare and the longest time, for the lower edge of a panel.
fn quantiles(durations: &Durations) -> String {
    match (durations.quantile(0.5), durations.quantile(0.99)) {
        (Some(median), Some(rare)) => {
            format!(" ½ {} · 99 % {} · max {} ", time(median), time(rare), time(durations.longest))
        }
        _ => String::new(),
    }
}

/// A column for each limit and one for what is beyond, with the name of every other one below it.
fn draw_distribution(
    frame: &mut Frame<'_>,
    area: Rect,
    durations: &Durations,
    limits: &[u64],
    names: [&str; 6],
    style: Style,
    theme: &Theme,
) {
    let [columns, below] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    let values: Vec<_> = durations.between(limits).into_iter().map(|count| Some(count as f64)).collect();
    let pitch = (area.width / u16::try_from(values.len()).unwrap_or(u16::MAX).max(1)).max(2);
    draw_bars(columns, frame.buffer_mut(), &values, pitch - 1, 1, style);
    let names: String = names.iter().map(|name| format!("{name:<width$}", width = 2 * usize::from(pitch))).collect();
    frame.render_widget(Line::styled(names, theme.quiet()), below);
}
