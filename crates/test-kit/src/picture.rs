//! A terminal's screen as a picture, SVG: letters as text, blocks and frames as shapes, so that it looks the same with every
//! font.

use std::fmt::Write;

const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: f64 = 18.0;
const MARGIN: f64 = 16.0;
/// The bar above the screen.
const BAR: f64 = 30.0;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";
/// The sixteen colours of the terminal.
const PALETTE: [&str; 16] = [
    "#23262e", "#ef6b73", "#8cc570", "#e5c07b", "#61afef", "#c98bdb", "#56b6c2", "#c8ccd4", "#6b7280", "#ff8a91",
    "#a5e075", "#ffd787", "#82c4ff", "#dfa6f0", "#74d3df", "#ffffff",
];

/// Draws a screen.
pub fn svg(screen: &vt100::Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (width, height) =
        (f64::from(columns) * CELL_WIDTH + 2.0 * MARGIN, f64::from(rows) * CELL_HEIGHT + 2.0 * MARGIN + BAR);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"9\" fill=\"{BACKGROUND}\"/>\n\
         <circle cx=\"20\" cy=\"18\" r=\"5.5\" fill=\"#ff5f57\"/><circle cx=\"38\" cy=\"18\" r=\"5.5\" fill=\"#febc2e\"/>\
         <circle cx=\"56\" cy=\"18\" r=\"5.5\" fill=\"#28c840\"/>\n\
         <text x=\"{:.0}\" y=\"23\" fill=\"#8b919c\" font-size=\"13\" text-anchor=\"middle\">{title}</text>\n",
        width / 2.0,
        title = escaped(title),
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let run = run_at(screen, row, column, columns);
            draw(&mut text, screen, row, column, run);
            column += run;
        }
    }
    text.push_str("</svg>\n");
    text
}

/// How many cells look alike from this one on, and are all text or all shapes.
fn run_at(screen: &vt100::Screen, row: u16, column: u16, columns: u16) -> u16 {
    let look = |column: u16| {
        let cell = screen.cell(row, column).unwrap();
        let kind = if is_shape(&cell.contents()) { cell.contents() } else { String::new() };
        (cell.fgcolor(), cell.bgcolor(), cell.bold(), cell.inverse(), kind)
    };
    let first = look(column);
    u16::try_from((column..columns).take_while(|next| look(*next) == first).count()).unwrap()
}

fn draw(text: &mut String, screen: &vt100::Screen, row: u16, column: u16, run: u16) {
    let cell = screen.cell(row, column).unwrap();
    let (x, y) = (MARGIN + f64::from(column) * CELL_WIDTH, MARGIN + BAR + f64::from(row) * CELL_HEIGHT);
    let width = f64::from(run) * CELL_WIDTH;
    let (mut ink, mut paper) = (colour(cell.fgcolor(), FOREGROUND), colour(cell.bgcolor(), BACKGROUND));
    if cell.inverse() {
        std::mem::swap(&mut ink, &mut paper);
    }
    if paper != BACKGROUND {
        rectangle(text, [x, y, width, CELL_HEIGHT], paper, 1.0);
    }
    let symbol = cell.contents();
    if is_shape(&symbol) {
        shape(text, &symbol, [x, y, width], run, ink);
        return;
    }
    let letters: String = (column..column + run)
        .map(|column| screen.cell(row, column).unwrap().contents())
        .map(|contents| if contents.is_empty() { " ".to_owned() } else { contents })
        .collect();
    if letters.trim().is_empty() {
        return;
    }
    let weight = if cell.bold() { " font-weight=\"700\"" } else { "" };
    writeln!(
        text,
        "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{ink}\"{weight} textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\">{}</text>",
        y + 13.5,
        escaped(&letters)
    )
    .unwrap();
}

fn is_shape(symbol: &str) -> bool {
    symbol.chars().next().is_some_and(|next| ('\u{2500}'..='\u{259f}').contains(&next))
}

/// A block or a part of a frame, repeated over a width.
fn shape(text: &mut String, symbol: &str, [x, y, width]: [f64; 3], run: u16, ink: &str) {
    let (middle, half) = (y + CELL_HEIGHT / 2.0, CELL_WIDTH / 2.0);
    let eighths = "▁▂▃▄▅▆▇█".chars().position(|block| symbol.starts_with(block));
    let shade = "░▒▓".chars().position(|block| symbol.starts_with(block));
    if let Some(eighths) = eighths {
        let height = CELL_HEIGHT * (eighths as f64 + 1.0) / 8.0;
        rectangle(text, [x, y + CELL_HEIGHT - height, width, height], ink, 1.0);
        return;
    }
    if let Some(shade) = shade {
        rectangle(text, [x, y, width, CELL_HEIGHT], ink, [0.25, 0.5, 0.75][shade]);
        return;
    }
    for cell in 0..if symbol == "─" { 1 } else { run } {
        let x = x + f64::from(cell) * CELL_WIDTH;
        let (centre, bottom) = (x + half, y + CELL_HEIGHT);
        let path = match symbol {
            "─" => format!("M{x:.1} {middle:.1}h{width:.1}"),
            "━" => {
                rectangle(text, [x, middle - 2.0, CELL_WIDTH, 4.0], ink, 1.0);
                continue;
            }
            "│" => format!("M{centre:.1} {y:.1}V{bottom:.1}"),
            "╭" => format!("M{centre:.1} {bottom:.1}V{:.1}q0 -4 4 -4H{:.1}", middle + 4.0, x + CELL_WIDTH),
            "╮" => format!("M{centre:.1} {bottom:.1}V{:.1}q0 -4 -4 -4H{x:.1}", middle + 4.0),
            "╰" => format!("M{centre:.1} {y:.1}V{:.1}q0 4 4 4H{:.1}", middle - 4.0, x + CELL_WIDTH),
            "╯" => format!("M{centre:.1} {y:.1}V{:.1}q0 4 -4 4H{x:.1}", middle - 4.0),
            // Parts of a block that are not from the bottom up: as wide as they are.
            other => {
                let part = "▏▎▍▌▋▊▉"
                    .chars()
                    .position(|block| other.starts_with(block))
                    .map_or(1.0, |part| (part as f64 + 1.0) / 8.0);
                rectangle(text, [x, y, CELL_WIDTH * part, CELL_HEIGHT], ink, 1.0);
                continue;
            }
        };
        writeln!(text, "<path d=\"{path}\" stroke=\"{ink}\" fill=\"none\"/>").unwrap();
    }
}

fn rectangle(text: &mut String, [x, y, width, height]: [f64; 4], ink: &str, opacity: f64) {
    let opacity = if opacity < 1.0 { format!(" opacity=\"{opacity}\"") } else { String::new() };
    // A little more, so that no gap shows between two.
    writeln!(
        text,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{ink}\"{opacity}/>",
        width + 0.2
    )
    .unwrap();
}

fn colour(colour: vt100::Color, otherwise: &'static str) -> &'static str {
    match colour {
        vt100::Color::Idx(index) => PALETTE.get(usize::from(index)).copied().unwrap_or(otherwise),
        _ => otherwise,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
