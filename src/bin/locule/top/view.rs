//! What the view shows, and what keys do to it.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::facts::Facts;
use super::history::History;

/// What the interval can be.
pub const INTERVALS_MS: [u64; 7] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// What is shown.
pub struct View {
    /// The file, as it may be shown.
    pub file: String,
    pub facts: Facts,
    pub history: History,
    pub interval: Duration,
    pub is_paused: bool,
    pub shows_help: bool,
}

/// What a key asks for, besides another look of the view.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    Quit,
    /// Stop, as Ctrl-Z does for other programs.
    Suspend,
    Interval(Duration),
}

impl View {
    pub fn new(file: String, facts: Facts, interval: Duration) -> Self {
        let mut history = History::default();
        history.add(&facts);
        View { file, facts, history, interval, is_paused: false, shows_help: false }
    }

    /// Shows what was found, unless it is to stay as it is.
    pub fn show(&mut self, facts: Facts) {
        if !self.is_paused {
            self.history.add(&facts);
            self.facts = facts;
        }
    }

    pub fn press(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if is_control => Wish::Quit,
            KeyCode::Char('z') if is_control => Wish::Suspend,
            KeyCode::Char('q' | 'Q') => Wish::Quit,
            _ if self.shows_help => {
                self.shows_help = false;
                Wish::Nothing
            }
            KeyCode::Esc => Wish::Quit,
            KeyCode::Char('?' | 'h') => {
                self.shows_help = true;
                Wish::Nothing
            }
            KeyCode::Char(' ' | 'p') => {
                self.is_paused = !self.is_paused;
                Wish::Nothing
            }
            KeyCode::Char('+' | '=') => self.set_interval(|interval, own| interval > own),
            KeyCode::Char('-') => self.set_interval(|interval, own| interval < own),
            _ => Wish::Nothing,
        }
    }

    /// The nearest interval that is longer, or shorter.
    fn set_interval(&mut self, is_wanted: impl Fn(Duration, Duration) -> bool) -> Wish {
        let wanted = INTERVALS_MS.map(Duration::from_millis).into_iter().filter(|next| is_wanted(*next, self.interval));
        let Some(nearest) = wanted.min_by_key(|next| next.abs_diff(self.interval)) else { return Wish::Nothing };
        self.interval = nearest;
        Wish::Interval(nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View::new("visits.loc".to_owned(), Facts::default(), Duration::from_secs(1))
    }

    fn press(view: &mut View, code: KeyCode) -> Wish {
        view.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_quit_pause_and_explain() {
        let mut view = view();
        for key in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(&mut view, key), Wish::Quit);
        }
        let control = |key| KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
        assert_eq!(['c', 'z', 'x'].map(|key| view.press(control(key))), [Wish::Quit, Wish::Suspend, Wish::Nothing]);
        // The first key closes the help, whatever else it does.
        for key in [KeyCode::Esc, KeyCode::Char(' '), KeyCode::Char('?')] {
            press(&mut view, KeyCode::Char('?'));
            assert!(view.shows_help);
            assert_eq!(press(&mut view, key), Wish::Nothing);
            assert!(!view.shows_help && !view.is_paused);
        }
        press(&mut view, KeyCode::Char(' '));
        view.show(Facts { seconds: 7.0, ..Facts::default() });
        assert_eq!((view.is_paused, view.facts.seconds), (true, 0.0));
        press(&mut view, KeyCode::Char(' '));
        view.show(Facts { seconds: 7.0, ..Facts::default() });
        assert_eq!(view.facts.seconds, 7.0);
    }

    #[test]
    fn the_interval_is_changed_step_by_step_and_has_limits() {
        let mut view = view();
        let milliseconds = |milliseconds| Wish::Interval(Duration::from_millis(milliseconds));
        assert_eq!(press(&mut view, KeyCode::Char('+')), milliseconds(2_000));
        assert_eq!(press(&mut view, KeyCode::Char('-')), milliseconds(1_000));
        view.interval = Duration::from_millis(700);
        assert_eq!(press(&mut view, KeyCode::Char('-')), milliseconds(500));
        for _ in 0..10 {
            press(&mut view, KeyCode::Char('-'));
        }
        assert_eq!((press(&mut view, KeyCode::Char('-')), view.interval), (Wish::Nothing, Duration::from_millis(100)));
        for _ in 0..10 {
            press(&mut view, KeyCode::Char('+'));
        }
        assert_eq!(view.interval, Duration::from_secs(10));
    }
}
