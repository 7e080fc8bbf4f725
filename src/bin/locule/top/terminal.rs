//! The terminal while it is a screen: whatever ends the program gives it back as it was.

use std::io::{self, Stdout, stdout};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::{Frame, Terminal};

/// The terminal, taken until this is dropped, or a thread panics.
pub struct Screen {
    /// Never dropped: it would say on the standard error that the terminal is gone, which may be that very terminal.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Self> {
        let earlier = panic::take_hook();
        // What a panic says is to be seen on the screen that stays.
        panic::set_hook(Box::new(move |what| {
            give_back();
            earlier(what);
        }));
        enter()?;
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => Ok(Screen { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // After a panic of another thread this one is about to end too.
        if IS_TAKEN.load(Ordering::Relaxed) { self.terminal.draw(draw).map(drop) } else { Ok(()) }
    }

    /// Takes the terminal again, whatever others have made of it meanwhile.
    pub fn take_again(&mut self) -> io::Result<()> {
        end_raw_mode();
        enter()?;
        self.terminal.clear()
    }

    /// Gives the terminal back while something else is done, and takes it again.
    pub fn without(&mut self, work: impl FnOnce() -> nix::Result<()>) -> io::Result<()> {
        give_back();
        work()?;
        self.take_again()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether the terminal is taken now. To give it back twice would bring the cursor to where it was the first time.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    IS_TAKEN.store(true, Ordering::Relaxed);
    execute!(stdout(), EnterAlternateScreen).inspect_err(|_| give_back())
}

/// If the terminal is gone, nothing can be done about it.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::Relaxed) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        end_raw_mode();
    }
}

/// Gives back what can be given back while the terminal takes nothing.
pub fn end_raw_mode() {
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use test_kit::terminal::Terminal as Outside;

    const ROLE: &str = "LOCULE_TEST_SCREEN";

    /// In a terminal of its own: takes it, and panics in one thread or another.
    #[test]
    fn child_process() {
        let Ok(role) = std::env::var(ROLE) else { return };
        let mut screen = Screen::take().unwrap();
        screen.draw(|frame| frame.render_widget("the view", frame.area())).unwrap();
        // As soon as a key is pressed.
        std::io::Read::read_exact(&mut std::io::stdin(), &mut [0]).unwrap();
        match role.as_str() {
            "panic" => panic!("something is wrong"),
            _ => drop(std::thread::spawn(|| panic!("something is wrong")).join()),
        }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_what_it_says_is_seen() {
        for role in ["panic", "panic in a thread"] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let name = "top::terminal::tests::child_process";
            command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, role);
            // A backtrace may leave no room for what is said before it.
            command.env("RUST_BACKTRACE", "0");
            let mut outside = Outside::run(command);
            outside.wait_for_text("the view");
            assert!(!outside.is_cooked());
            outside.type_in("x");
            let (_, outside) = outside.end();
            assert!(outside.is_cooked() && !outside.screen().alternate_screen() && !outside.screen().hide_cursor());
            let seen = outside.screen().contents();
            assert!(seen.contains("something is wrong") && !seen.contains("the view"), "{role}: {seen}");
        }
    }
}
