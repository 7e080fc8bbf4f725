//! The pictures of the README, of real runs.
#![cfg(feature = "cli")]

use std::path::Path;
use test_kit::command_line::shell;
use test_kit::terminal::Terminal;

const ROWS: u16 = 30;
const COLUMNS: u16 = 100;

/// Ends when it is dropped, and with it its workers.
struct Bench(std::process::Child);

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `LOCULE_WRITE_PICTURES=1 cargo test --release --features cli --test command_pictures` makes `docs/pictures/top.svg` anew: the
/// live view, while 20 processes read and write for more than a minute.
#[test]
fn the_picture_of_the_live_view_is_made() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures/top.svg");
    if std::env::var_os("LOCULE_WRITE_PICTURES").is_none() {
        let picture = std::fs::read_to_string(&path).unwrap();
        for text in ["<svg ", "Writes", "Records", "Lock", "Syncs", "Processes", "Changes", "quit"] {
            assert!(picture.contains(text), "the picture shows {text}");
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let line = "exec locule bench --file visits.loc --processes 20 --seconds 70 > /dev/null 2>&1";
    let mut bench = Bench(shell(here, line).spawn().unwrap());
    while !here.join("visits.loc").exists() {
        assert!(bench.0.try_wait().unwrap().is_none(), "the bench has ended");
        std::thread::yield_now();
    }
    let mut top = Terminal::run_in(ROWS, COLUMNS, shell(here, "exec locule top visits.loc"));
    // A minute of history, which is what the view shows, and to the end of a drawing: there the cursor is hidden again.
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() < 62 || !top.written().ends_with("\u{1b}[?25l") {
        assert!(top.read(), "the view has ended: {}", top.screen().contents());
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, test_kit::picture::svg(top.screen(), "locule top visits.loc")).unwrap();
    top.type_in("q");
    assert_eq!(top.finish().0, Some(0));
}

#[test]
fn a_screen_is_drawn_with_its_colours_letters_and_shapes() {
    let mut screen = vt100::Parser::new(2, 8, 0);
    screen.process("\u{1b}[1;32ma<b\u{1b}[0m ▄░\r\n\u{1b}[7m╭─\u{1b}[0m".as_bytes());
    let svg = test_kit::picture::svg(screen.screen(), "x & y");
    assert!(svg.contains("x &amp; y</title>") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("fill=\"#8cc570\" font-weight=\"700\"") && svg.contains(">a&lt;b</text>"), "{svg}");
    assert!(svg.contains("height=\"9.0\" fill=\"#d7dae0\"/>") && svg.contains("opacity=\"0.25\""), "{svg}");
    assert_eq!(svg.matches("<path ").count(), 2, "{svg}");
}
