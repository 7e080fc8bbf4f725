//! Standard output and standard error, for readers that may go away at any time, and for terminals, which obey some
//! characters instead of showing them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether anything was written that somebody may have seen.
static IS_ANYTHING_WRITTEN: AtomicBool = AtomicBool::new(false);

/// The same, to be asked.
pub fn is_anything_written() -> bool {
    IS_ANYTHING_WRITTEN.load(Ordering::Relaxed)
}

/// Standard output. Its errors say that it is what cannot be written, and one that is not open for writing is an error, too.
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        IS_ANYTHING_WRITTEN.store(true, Ordering::Relaxed);
        nix::unistd::write(io::stdout(), bytes).map_err(|error| {
            let error = io::Error::from(error);
            match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted => error,
                kind => io::Error::new(kind, format!("cannot write to standard output: {error}")),
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to stdout. A reader that has seen enough (`| head`) is not an error, and changes nothing about the verdict.
pub fn print(text: &str) -> io::Result<()> {
    match Stdout.write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Stdout for much, as it is: what is for a terminal has to be made visible before.
pub fn buffered() -> BufWriter<Stdout> {
    BufWriter::new(Stdout)
}

/// Whether a person sees what is written to stdout.
pub fn is_for_a_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes a line to stderr. If even that fails, the line cannot be reported anywhere.
pub fn complain(line: fmt::Arguments<'_>) {
    IS_ANYTHING_WRITTEN.store(true, Ordering::Relaxed);
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether a verb ended because the reader of its output went away.
pub fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A text as it can be shown on one line: characters that a terminal would obey as their escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|character| {
        if is_obeyed(character) { character.escape_default().to_string() } else { character.to_string() }
    });
    Cow::Owned(shown.collect())
}

/// The same for a text of several lines.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal would do something else than to show the character: a control character, or one that changes the
/// direction of what is around it, so that a text would look like another.
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_the_rest_is_as_it_is() {
        assert_eq!(visible("Łódź 👩‍🚀 العربية"), "Łódź 👩‍🚀 العربية");
        assert_eq!(visible("a\u{1b}[31m\n\0\u{9b}"), r"a\u{1b}[31m\n\u{0}\u{9b}");
        assert_eq!(visible("gpj.\u{202e}exe\u{2069}"), r"gpj.\u{202e}exe\u{2069}");
        assert_eq!(visible_lines("a\rb\nc"), "a\\rb\nc");
    }
}
