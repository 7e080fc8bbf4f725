//! The plots of a report: latencies by percentile, throughput over time, and how evenly the workers got on.

use std::time::Duration;

use plotters::chart::ChartContext;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, DrawingArea, IntoDrawingArea, PathElement, Polygon, Text, TextStyle,
};
use plotters::style::IntoFont;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{Axis, plain, short};
use super::canvas::{Canvas, Ink, SCALE};
use super::latency::Merged;
use super::markup::escape;
use super::report::{grouped, rounded, time};
use super::timeline::{Stretch, Timeline, per_second};
use crate::Result;

const WIDTH: u32 = 800;
/// What is free beside a plot on the left, and how wide the texts of its axis are.
const LEFT: i32 = 12;
const AXIS_WIDTH: i32 = 80;
/// How many steps the line of a histogram has in each power of ten of the share that was slower.
const STEPS_IN_A_DECADE: u32 = 24;
/// Of more workers than this, only so many are drawn, evenly chosen.
const DRAWN_WORKER_COUNT: usize = 400;

/// A plot, and what it says to those who do not see it.
pub struct Picture {
    /// Its place in the page.
    pub name: &'static str,
    pub title: &'static str,
    pub description: String,
    pub height: u32,
    /// What is inside of the `svg` element.
    content: String,
}

impl Picture {
    /// The plot as an element of a page.
    pub fn svg(&self) -> String {
        let Picture { name, title, description, height, content } = self;
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{name}-title {name}-text\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{name}-title\">{title}</title>\n\
             <desc id=\"{name}-text\">{}</desc>\n{content}</svg>\n",
            escape(description)
        )
    }
}

/// Plots below each other in a file of their own, with their style.
pub fn stacked(pictures: &[Picture], heading: &str, below: &str, head: &str) -> String {
    const HEADING_HEIGHT: u32 = 70;
    const TITLE_HEIGHT: u32 = 22;
    const GAP: u32 = 22;
    let mut top = HEADING_HEIGHT;
    let mut content = format!("<text class=\"heading\" x=\"20\" y=\"28\">{}</text>\n", escape(heading));
    content.push_str(&format!("<text x=\"20\" y=\"48\">{}</text>\n", escape(below)));
    for picture in pictures {
        let title = format!("<text class=\"title\" x=\"20\" y=\"14\">{}</text>\n", picture.title);
        let plot = format!("<g transform=\"translate(0 {TITLE_HEIGHT})\">\n{}</g>\n", picture.content);
        content.push_str(&format!("<g transform=\"translate(0 {top})\">\n{title}{plot}</g>\n"));
        top += TITLE_HEIGHT + picture.height + GAP;
    }
    let descriptions: Vec<&str> = pictures.iter().map(|picture| picture.description.as_str()).collect();
    format!(
        "<svg class=\"plot\" width=\"{WIDTH}\" height=\"{top}\" viewBox=\"0 0 {WIDTH} {top}\" role=\"img\" \
         aria-labelledby=\"title text\" xmlns=\"http://www.w3.org/2000/svg\">\n{head}\n<title id=\"title\">{}</title>\n\
         <desc id=\"text\">{}</desc>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{top}\" rx=\"8\"/>\n{content}</svg>\n",
        escape(heading),
        escape(&descriptions.join(" ")),
    )
}

/// How long each kind of operation took, by the share of operations that was no slower. The axis shows each power of ten of
/// the slower rest with the same width, so that rare waits, which matter most, have most of the room.
pub fn latencies(latencies: &[(&'static str, &Merged)]) -> Result<Picture> {
    let measured: Vec<_> = latencies.iter().filter(|(_, merged)| merged.count() > 0).collect();
    let sentences = measured.iter().map(|(name, merged)| {
        let of = |quantile| time(merged.quantile_ns(quantile));
        format!(
            "{name}: half within {}, 99.9 % within {}, the longest {}.",
            of(0.5),
            of(0.999),
            time(merged.longest_ns)
        )
    });
    let description = sentences.collect::<Vec<_>>().join(" ");
    let lines: Vec<_> =
        measured.iter().map(|(name, merged)| (Ink::named(name), *name, percentile_line(merged))).collect();
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let last_x = points().map(|(x, _)| *x).fold(2.0, f64::max);
    let least = points().map(|(_, y)| *y).fold(f64::MAX, f64::min);
    let greatest = points().map(|(_, y)| *y).fold(1.0, f64::max);
    let (x_axis, y_axis) = (Axis::of_nines(last_x), Axis::logarithmic(least.min(greatest), greatest, rounded));
    draw("latencies", "Latency by percentile", description, 380, |area| {
        let mut chart = chart_on(area).build_cartesian_2d(x_axis, y_axis)?;
        mesh(&mut chart, ["operations that were no slower", "latency"])?;
        for (ink, _, points) in &lines {
            chart.draw_series(std::iter::once(PathElement::new(points.clone(), ink.color())))?;
        }
        legend(area, lines.iter().map(|(ink, name, _)| (*ink, *name)))
    })
}

/// The points of a histogram: which share was no slower, as how many nines it has, and how slow that was.
fn percentile_line(merged: &Merged) -> Vec<(f64, f64)> {
    let end = (merged.count() as f64).log10();
    let steps = (0..).map(|step| f64::from(step) / f64::from(STEPS_IN_A_DECADE)).take_while(|x| *x < end);
    let at = |x: f64| (x, merged.quantile_ns(1.0 - 10f64.powf(-x)).max(1) as f64);
    steps.map(at).chain([(end, merged.longest_ns.max(1) as f64)]).collect()
}

/// How many operations all workers did in each second.
pub fn throughput(timeline: &Timeline, elapsed: Duration) -> Result<Picture> {
    let stretches = timeline.stretches();
    let rates: Vec<f64> = stretches.iter().map(Stretch::operations_per_second).collect();
    let mean = per_second(stretches.iter().map(|stretch| stretch.operation_count).sum(), elapsed);
    let (least, most) = (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
    let kills = match timeline.kills.len() {
        0 => String::new(),
        count => format!(" {} workers were killed meanwhile, each where a mark is.", grouped(count as u64)),
    };
    let description = match rates.is_empty() {
        true => "Nothing was measured.".to_owned(),
        false => format!(
            "{} operations a second on average, {} in the slowest and {} in the fastest of {} intervals.{kills}",
            grouped(mean.round() as u64),
            grouped(least.round() as u64),
            grouped(most.round() as u64),
            rates.len(),
        ),
    };
    let steps = stretches.iter().zip(&rates);
    let steps = steps.flat_map(|(stretch, rate)| [stretch.from, stretch.to].map(|at| (at.as_secs_f64(), *rate)));
    let points: Vec<(f64, f64)> = steps.collect();
    let end = elapsed.as_secs_f64().max(1e-3);
    let (x_axis, y_axis) = (Axis::up_to(end, 10, plain), Axis::beyond(most, 5, short));
    let mark_height = y_axis.end() * 0.05;
    draw("throughput", "Throughput over time", description, 260, |area| {
        let mut chart = chart_on(area).build_cartesian_2d(x_axis, y_axis)?;
        mesh(&mut chart, ["seconds since the start", "operations a second"])?;
        chart.draw_series(std::iter::once(Polygon::new(on_the_ground(&points), Ink::Throughput.color())))?;
        chart.draw_series(std::iter::once(PathElement::new(points, Ink::Throughput.color())))?;
        chart.draw_series(std::iter::once(PathElement::new(vec![(0.0, mean), (end, mean)], Ink::Mean.color())))?;
        let marks = timeline.kills.iter().map(|at| at.as_secs_f64()).filter(|x| *x <= end);
        chart.draw_series(marks.map(|x| PathElement::new(vec![(x, 0.0), (x, mark_height)], Ink::Kill.color())))?;
        let kill = (!timeline.kills.is_empty()).then_some((Ink::Kill, "a worker was killed"));
        legend(area, [(Ink::Throughput, "operations a second"), (Ink::Mean, "mean")].into_iter().chain(kill))
    })
}

/// How much each worker got done, from the slowest to the fastest.
pub fn fairness(iterations: &[u64], elapsed: Duration) -> Result<Picture> {
    let mut rates: Vec<f64> = iterations.iter().map(|count| per_second(*count, elapsed)).collect();
    rates.sort_by(f64::total_cmp);
    let (slowest, fastest) = (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0));
    let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    let description = format!(
        "{} workers: the slowest did {} iterations a second, the fastest {}, all on average {}.",
        grouped(rates.len() as u64),
        grouped(slowest.round() as u64),
        grouped(fastest.round() as u64),
        grouped(mean.round() as u64),
    );
    let step = rates.len().div_ceil(DRAWN_WORKER_COUNT).max(1);
    let drawn = rates.iter().enumerate().step_by(step);
    let bars = drawn.flat_map(|(rank, rate)| [(rank as f64, *rate), ((rank + step).min(rates.len()) as f64, *rate)]);
    let points: Vec<(f64, f64)> = bars.collect();
    let end = rates.len().max(1) as f64;
    let (x_axis, y_axis) = (Axis::up_to(end, rates.len().clamp(1, 10) as u32, plain), Axis::beyond(fastest, 4, short));
    draw("fairness", "Fairness: how much each worker got done", description, 220, |area| {
        let mut chart = chart_on(area).build_cartesian_2d(x_axis, y_axis)?;
        mesh(&mut chart, ["workers, from the slowest to the fastest", "iterations a second"])?;
        chart.draw_series(std::iter::once(Polygon::new(on_the_ground(&points), Ink::Fairness.color())))?;
        chart.draw_series(std::iter::once(PathElement::new(points, Ink::Fairness.color())))?;
        chart.draw_series(std::iter::once(PathElement::new(vec![(0.0, mean), (end, mean)], Ink::Mean.color())))?;
        legend(area, [(Ink::Fairness, "one worker"), (Ink::Mean, "mean")].into_iter())
    })
}

type Area<'text> = DrawingArea<Canvas<'text>, plotters::coord::Shift>;

fn draw(
    name: &'static str,
    title: &'static str,
    description: String,
    height: u32,
    draw_on: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<Picture> {
    let mut content = String::new();
    let area = Canvas::new(WIDTH, height, &mut content).into_drawing_area();
    draw_on(&area)?;
    drop(area);
    Ok(Picture { name, title, description, height, content })
}

fn chart_on<'a, 'text>(area: &'a Area<'text>) -> ChartBuilder<'a, 'text, Canvas<'text>> {
    let mut builder = ChartBuilder::on(area);
    builder
        .margin_left(LEFT * SCALE)
        .margin_top(34 * SCALE)
        .margin_right(36 * SCALE)
        .x_label_area_size(46 * SCALE)
        .y_label_area_size(AXIS_WIDTH * SCALE);
    builder
}

fn text_style<'a>(horizontal: HPos) -> TextStyle<'a> {
    let style = ("sans-serif", 12 * SCALE).into_font().color(&Ink::Text.color());
    style.pos(Pos::new(horizontal, VPos::Center))
}

/// The axes, and the lines behind the data.
fn mesh(chart: &mut ChartContext<'_, Canvas<'_>, Cartesian2d<Axis, Axis>>, [x_name, y_name]: [&str; 2]) -> Result<()> {
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(Ink::Grid.color()).light_line_style(Ink::FineGrid.color()).axis_style(Ink::Axis.color());
    mesh.set_all_tick_mark_size(5 * SCALE);
    mesh.label_style(("sans-serif", 12 * SCALE).into_font().color(&Ink::Text.color()));
    mesh.x_desc(x_name).y_desc(y_name);
    Ok(mesh.draw()?)
}

/// What is drawn how, above the plot.
fn legend<'a>(area: &Area<'_>, entries: impl Iterator<Item = (Ink, &'a str)>) -> Result<()> {
    let mut left = (LEFT + AXIS_WIDTH) * SCALE;
    let middle = 16 * SCALE;
    for (ink, name) in entries {
        area.draw(&PathElement::new(vec![(left, middle), (left + 28 * SCALE, middle)], ink.color()))?;
        area.draw(&Text::new(name.to_owned(), (left + 34 * SCALE, middle), text_style(HPos::Left)))?;
        let character_count = i32::try_from(name.chars().count()).unwrap_or(0);
        left += (54 + 7 * character_count) * SCALE;
    }
    Ok(())
}

/// A line, closed along the axis below it.
fn on_the_ground(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let ends = [points.last(), points.first()].into_iter().flatten().map(|(x, _)| (*x, 0.0));
    points.iter().copied().chain(ends).collect()
}
