//! What plotters draws on: SVG whose colours are classes, so that a style sheet can give it others in the dark and on paper.
//!
//! Coordinates are whole numbers to plotters. So it draws ten times as large, and curves are as smooth as a tenth of a unit.

use std::convert::Infallible;
use std::fmt::Write;

use plotters::prelude::{DrawingBackend, RGBColor};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontTransform};

/// How many of plotters' units are one of the picture's.
pub const SCALE: i32 = 10;

/// What something is drawn with. To plotters it is a colour, in SVG a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Text,
    Axis,
    Grid,
    FineGrid,
    Read,
    Update,
    Insert,
    Delete,
    Sync,
    Throughput,
    Fairness,
    Mean,
    Kill,
}

impl Ink {
    pub const ALL: [(Ink, &'static str); 13] = [
        (Ink::Text, "text"),
        (Ink::Axis, "axis"),
        (Ink::Grid, "grid"),
        (Ink::FineGrid, "fine-grid"),
        (Ink::Read, "read"),
        (Ink::Update, "update"),
        (Ink::Insert, "insert"),
        (Ink::Delete, "delete"),
        (Ink::Sync, "sync"),
        (Ink::Throughput, "throughput"),
        (Ink::Fairness, "fairness"),
        (Ink::Mean, "mean"),
        (Ink::Kill, "kill"),
    ];

    /// The colour that plotters gets to see, which is no colour to anybody.
    pub const fn color(self) -> RGBColor {
        RGBColor(0, 0, self as u8)
    }

    /// The ink of this class; an unknown one is drawn as text is.
    pub fn named(name: &str) -> Ink {
        Ink::ALL.into_iter().find(|(_, class)| *class == name).map_or(Ink::Text, |(ink, _)| ink)
    }

    fn class_of(color: BackendColor) -> &'static str {
        let (_, _, number) = color.rgb;
        Ink::ALL.get(usize::from(number)).map_or("text", |(_, class)| class)
    }
}

/// A picture that is being drawn.
pub struct Canvas<'text> {
    width: u32,
    height: u32,
    out: &'text mut String,
}

impl<'text> Canvas<'text> {
    /// The size is that of the picture, in its own units.
    pub fn new(width: u32, height: u32, out: &'text mut String) -> Self {
        Canvas { width, height, out }
    }

    /// A line, or what it goes around. Points in the place of the one before are left out.
    fn path(&mut self, kind: &str, points: impl IntoIterator<Item = BackendCoord>, color: BackendColor, end: &str) {
        let mut data = String::new();
        let mut last = None;
        for point in points {
            if last != Some(point) {
                let command = if last.is_none() { 'M' } else { 'L' };
                // Writing to a string does not fail.
                let _ = write!(data, "{command}{} {}", Tenths(point.0), Tenths(point.1));
                last = Some(point);
            }
        }
        if !data.is_empty() {
            let class = Ink::class_of(color);
            let _ = writeln!(self.out, r#"<path class="{kind} {class}" d="{data}{end}"/>"#);
        }
    }
}

/// A coordinate of plotters in units of the picture.
struct Tenths(i32);

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(SCALE))
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width * SCALE.unsigned_abs(), self.height * SCALE.unsigned_abs())
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    /// Nothing is drawn point by point.
    fn draw_pixel(&mut self, _: BackendCoord, _: BackendColor) -> Drawn {
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.path("line", [from, to], style.color(), "");
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.path("line", path, style.color(), "");
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        self.path("area", path, style.color(), "Z");
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        let shift = match style.anchor().v_pos {
            VPos::Top => "0.75em",
            VPos::Center => "0.35em",
            VPos::Bottom => "-0.25em",
        };
        let (x, y) = (Tenths(x), Tenths(y));
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(r#" transform="rotate(90 {x} {y})""#),
            FontTransform::Rotate180 => format!(r#" transform="rotate(180 {x} {y})""#),
            FontTransform::Rotate270 => format!(r#" transform="rotate(270 {x} {y})""#),
        };
        let (class, text) = (Ink::class_of(style.color()), super::markup::escape(text));
        let _ = writeln!(
            self.out,
            r#"<text class="{class}" x="{x}" y="{y}" dy="{shift}" text-anchor="{anchor}"{turn}>{text}</text>"#
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::style::{Color, IntoFont};

    #[test]
    fn each_ink_has_its_own_class() {
        for (number, (ink, class)) in Ink::ALL.into_iter().enumerate() {
            assert_eq!(ink as usize, number);
            assert_eq!(Ink::class_of(ink.color().to_backend_color()), class);
            assert_eq!(Ink::named(class), ink);
        }
    }

    #[test]
    fn what_is_drawn_has_classes_and_no_colours() {
        let mut out = String::new();
        let mut canvas = Canvas::new(100, 50, &mut out);
        assert_eq!(canvas.get_size(), (1000, 500));
        let style = Ink::Read.color();
        canvas.draw_path([(0, 0), (15, 20), (15, 20), (30, 0)], &style).unwrap();
        canvas.fill_polygon([(0, 0), (10, 0), (10, 10)], &Ink::Fairness.color()).unwrap();
        canvas.draw_text("<b>", &("sans-serif", 12).into_font().color(&Ink::Text.color()), (5, 5)).unwrap();
        assert_eq!(
            out,
            "<path class=\"line read\" d=\"M0 0L1.5 2L3 0\"/>\n\
             <path class=\"area fairness\" d=\"M0 0L1 0L1 1Z\"/>\n\
             <text class=\"text\" x=\"0.5\" y=\"0.5\" dy=\"0.75em\" text-anchor=\"start\">&lt;b&gt;</text>\n"
        );
    }
}
