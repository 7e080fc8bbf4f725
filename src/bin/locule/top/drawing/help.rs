//! What is behind `?`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Wrap};

use super::theme::Theme;

const TEXT: &str = "\
Writes     Transactions a second, by their numbers.
Records    How full the table is, and which of its slots are taken.
Lock       In how many of 500 looks a second it was held, and some
           thread slept until it is free. The columns: how long it
           is held, of holdings that were seen to begin.
           A holder that keeps it is named, with its state.
Syncs      What is unsynced is lost if the power fails, but not if
           a process dies. The columns: waiting for the disk, ±2 ms.
Processes  Which have the table open, and their shares of the lock.
Changes    + inserted  ~ updated  - deleted: each record once a look.

Reads are not shown: they take no lock and write nothing, so nobody
can see them, nor how long one writer waits for another.

q Esc Ctrl-C  quit        space  pause        + -  interval
Ctrl-Z  suspend           any key closes this";

/// Draws it over the rest.
pub fn draw(frame: &mut Frame<'_>, theme: &Theme) {
    let lines: Vec<Line<'_>> = TEXT.lines().map(Line::raw).collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [area] = Layout::horizontal([Constraint::Max(72)]).flex(ratatui::layout::Flex::Center).areas(frame.area());
    let [area] = Layout::vertical([Constraint::Max(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    let block = Block::bordered().border_type(BorderType::Rounded).title(" What is shown ").style(theme.figure());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}
