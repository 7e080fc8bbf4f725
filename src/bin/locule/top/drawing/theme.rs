//! Colours: those of the terminal's own sixteen, and none with NO_COLOR.

use ratatui::style::{Color, Modifier, Style};

/// Which colours there are.
pub struct Theme {
    has_colours: bool,
}

impl Theme {
    pub fn new(has_colours: bool) -> Self {
        Theme { has_colours }
    }

    /// As <https://no-color.org> has it.
    pub fn of_environment() -> Self {
        Theme::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn colour(&self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub fn frame(&self) -> Style {
        self.colour(Color::DarkGray)
    }

    pub fn title(&self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is not in the foreground.
    pub fn quiet(&self) -> Style {
        if self.has_colours { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    pub fn figure(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn writes(&self) -> Style {
        self.colour(Color::Green)
    }

    pub fn records(&self) -> Style {
        self.colour(Color::Blue)
    }

    pub fn lock(&self) -> Style {
        self.colour(Color::Yellow)
    }

    pub fn syncs(&self) -> Style {
        self.colour(Color::Magenta)
    }

    pub fn good(&self) -> Style {
        self.colour(Color::Green)
    }

    pub fn worse(&self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub fn bad(&self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The name of a key.
    pub fn key(&self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }
}
