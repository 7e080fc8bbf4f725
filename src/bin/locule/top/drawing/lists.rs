//! The panels with lists: processes and changes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::frame_of;
use super::theme::Theme;
use crate::output::visible;
use crate::surroundings::Activity;
use crate::top::facts::{RecentChange, User};
use crate::top::figures::{grouped, percent};
use crate::top::view::View;

pub fn draw_users(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let users = &view.facts.users;
    let line_count = usize::from(area.height.saturating_sub(2));
    let hidden_count = users.len().saturating_sub(line_count) as u64;
    let below = if hidden_count > 0 { format!(" and {} more ", grouped(hidden_count)) } else { String::new() };
    let block = frame_of("Processes", below, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines: Vec<Line<'_>> = users.iter().take(line_count).map(|user| line_of_user(user, theme)).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line_of_user<'a>(user: &User, theme: &Theme) -> Line<'a> {
    let activity = match user.activity {
        Activity::Stopped | Activity::Dead => theme.bad(),
        Activity::WaitingForDevice => theme.worse(),
        Activity::Running => theme.good(),
        Activity::Sleeping => theme.quiet(),
    };
    let mut spans = vec![
        Span::styled(format!("{:>7} ", user.pid), theme.figure()),
        Span::styled(format!("{:<9}", user.activity.in_words()), activity),
    ];
    let share = if user.held_share > 0.0 { percent(user.held_share) } else { String::new() };
    spans.push(Span::styled(format!("{share:>6}  "), theme.lock()));
    spans.push(Span::raw(visible(&user.name).into_owned()));
    Line::from(spans)
}

pub fn draw_changes(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let block = frame_of("Changes", " the newest first ", theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines: Vec<Line<'_>> = match &view.facts.changes {
        Some(changes) => {
            changes.iter().take(usize::from(inner.height)).map(|change| line_of_change(change, theme)).collect()
        }
        None if view.facts.is_watched => vec![Line::styled("the table is too large to follow here", theme.quiet())],
        None => Vec::new(),
    };
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line_of_change<'a>(change: &'a RecentChange, theme: &Theme) -> Line<'a> {
    let style = match change.mark {
        '+' => theme.good(),
        '-' => theme.bad(),
        _ => theme.worse(),
    };
    Line::from(vec![
        Span::styled(format!("{} ", change.mark), style),
        Span::styled(change.name.as_str(), theme.figure()),
        Span::styled(format!("  {}", change.rest), theme.quiet()),
    ])
}
