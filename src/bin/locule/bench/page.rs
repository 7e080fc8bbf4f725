//! The report as one page, or as one picture: nothing is fetched, and no script is needed.

use super::facts::{self, Fact};
use super::latency::PERCENTILES;
use super::markup::{escape, table};
use super::plots::{self, Picture};
use super::report::{Report, grouped, time};
use super::report_file::{Kind, MARK};
use super::timeline::{Stretch, per_second};
use crate::Result;

const PLOT_STYLE: &str = include_str!("plots.css");
const PAGE_STYLE: &str = include_str!("page.css");
/// In how many parts the run is told as numbers.
const PART_COUNT: u32 = 10;

/// What a report file of this kind holds.
pub fn content(report: &Report, kind: Kind) -> Result<String> {
    match kind {
        Kind::Page => page(report),
        Kind::Picture => picture(report),
    }
}

fn mark() -> String {
    format!("<!-- {MARK} {} -->", env!("CARGO_PKG_VERSION"))
}

/// The plots alone.
fn picture(report: &Report) -> Result<String> {
    let all = [latencies(report)?, throughput(report)?, fairness(report)?];
    let rate = grouped(per_second(report.all.count(), report.elapsed).round() as u64);
    let heading =
        format!("locule bench: {} processes, {rate} operations a second", grouped(report.iterations.len() as u64));
    let below = facts::in_short(&report.parameters, &report.machine);
    Ok(plots::stacked(&all, &heading, &below, &format!("{}\n<style>{}{PLOT_STYLE}</style>", mark(), plain_style())))
}

/// The rules with the colours of the light instead of variables, for viewers of pictures that know none. Other viewers obey the
/// rules that come after these.
fn plain_style() -> String {
    let (variables, rules) = style_parts();
    let colours = variables.split(';').filter_map(|part| part.trim().strip_prefix("--")?.split_once(": "));
    colours.fold(rules.to_owned(), |rules, (name, colour)| rules.replace(&format!("var(--{name})"), colour))
}

/// The variables of the light, and the rules.
fn style_parts() -> (&'static str, &'static str) {
    let (light, rest) = PLOT_STYLE.split_once("@media").unwrap_or_default();
    (light, rest.split_once("\n}\n").unwrap_or_default().1)
}

fn page(report: &Report) -> Result<String> {
    let (verdict, class) = match report.is_good() {
        true => ("Everything adds up.".to_owned(), "verdict"),
        false => (format!("FAILED: {} faults.", grouped(report.findings.faults.count)), "verdict bad"),
    };
    let interrupted = if report.was_interrupted { " The run was interrupted." } else { "" };
    let sections = [
        section(
            &latencies(report)?,
            "Each line shows, from left to right, which part of the operations of a kind was no slower. The scale is \
             stretched towards the right: from one mark to the next, ten times fewer operations were slower. The time that \
             a worker needs to choose and to check a record is counted with the operation behind it.",
            &percentile_table(report),
        ),
        section(
            &throughput(report)?,
            "All operations of all workers: reads, writes, and syncs that a worker asked for.",
            &throughput_table(report),
        ),
        section(
            &fairness(report)?,
            "An iteration reads one record and writes one. A worker that was killed and replaced counts as one.",
            &fairness_table(report),
        ),
    ];
    Ok(format!(
        "<!DOCTYPE html>\n{mark}\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>locule bench, {began}</title>\n<style>\n{PLOT_STYLE}{PAGE_STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>locule bench</h1>\n<p class=\"{class}\">{verdict}{interrupted}</p>\n{figures}{sections}\
         <h2>The run</h2>\n<p>Again: <code>{command}</code></p>\n<div class=\"pair\">\n{parameters}{machine}</div>\n\
         <h2>As a terminal shows it</h2>\n<pre>{text}</pre>\n</main>\n</body>\n</html>\n",
        mark = mark(),
        began = escape(report.machine.iter().find(|fact| fact.label == "began").map_or("", |fact| &fact.text)),
        figures = figures(report),
        sections = sections.concat(),
        command = escape(&report.command_line),
        parameters = facts_table("What it was asked for", &report.parameters),
        machine = facts_table("Where it ran", &report.machine),
        text = escape(&report.text()),
    ))
}

fn section(picture: &Picture, explanation: &str, table: &str) -> String {
    let (title, svg) = (escape(picture.title), picture.svg());
    format!(
        "<section>\n<h2>{title}</h2>\n<p>{}</p>\n<figure>\n{svg}</figure>\n{table}</section>\n",
        escape(explanation)
    )
}

/// The few numbers that are looked for first.
fn figures(report: &Report) -> String {
    let rate = |count| grouped(per_second(count, report.elapsed).round() as u64);
    let mut figures = vec![
        ("operations a second".to_owned(), rate(report.all.count())),
        ("iterations a second".to_owned(), rate(report.iterations.iter().sum())),
    ];
    let shown = report
        .latencies
        .iter()
        .filter(|(name, merged)| ["read", "update", "sync"].contains(name) && merged.count() > 0);
    figures.extend(shown.map(|(name, merged)| (format!("{name}, 99 % within"), time(merged.quantile_ns(0.99)))));
    if report.kills.total() > 0 {
        figures.push(("workers killed".to_owned(), grouped(report.kills.total())));
    }
    let figure =
        |(name, value): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
    format!("<dl class=\"figures\">\n{}</dl>\n", figures.iter().map(figure).collect::<String>())
}

fn latencies(report: &Report) -> Result<Picture> {
    plots::latencies(&report.latencies.iter().map(|(name, merged)| (*name, merged)).collect::<Vec<_>>())
}

fn throughput(report: &Report) -> Result<Picture> {
    plots::throughput(&report.timeline, report.elapsed)
}

fn fairness(report: &Report) -> Result<Picture> {
    plots::fairness(&report.iterations, report.elapsed)
}

fn percentile_table(report: &Report) -> String {
    let names: Vec<String> = PERCENTILES.iter().map(|(name, _)| format!("p{name}")).collect();
    let mut head = vec!["", "operations", "a second"];
    head.extend(names.iter().map(String::as_str));
    head.push("longest");
    let kinds = report.latencies.iter().map(|(name, merged)| (*name, merged)).chain([("all", &report.all)]);
    let rows = kinds.filter(|(_, merged)| merged.count() > 0).map(|(name, merged)| {
        let rate = per_second(merged.count(), report.elapsed).round() as u64;
        let mut row = vec![name.to_owned(), grouped(merged.count()), grouped(rate)];
        row.extend(PERCENTILES.iter().map(|(_, quantile)| time(merged.quantile_ns(*quantile))));
        row.push(time(merged.longest_ns));
        row
    });
    table("Latencies by percentile", &head, rows)
}

fn throughput_table(report: &Report) -> String {
    let row = |part: &Stretch| {
        let seconds = |time: std::time::Duration| format!("{:.2}", time.as_secs_f64());
        let span = format!("{} to {} s", seconds(part.from), seconds(part.to));
        let rate = grouped(part.operations_per_second().round() as u64);
        vec![span, grouped(part.operation_count), rate, grouped(report.timeline.kill_count(part) as u64)]
    };
    let head = ["time", "operations", "a second", "workers killed"];
    table("Operations in each part of the run", &head, report.timeline.parts(PART_COUNT).iter().map(row))
}

fn fairness_table(report: &Report) -> String {
    let mut sorted = report.iterations.clone();
    sorted.sort_unstable();
    let rate = |count: u64| grouped(per_second(count, report.elapsed).round() as u64);
    let at =
        |share: f64| sorted.get((share * sorted.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0);
    let rows =
        [("slowest", 0.0), ("a tenth is slower", 0.1), ("median", 0.5), ("a tenth is faster", 0.9), ("fastest", 1.0)]
            .map(|(name, share)| vec![name.to_owned(), grouped(at(share)), rate(at(share))]);
    table("Iterations of the workers", &["worker", "iterations", "a second"], rows)
}

fn facts_table(caption: &str, facts: &[Fact]) -> String {
    table(caption, &[], facts.iter().map(|fact| vec![fact.label, fact.text.as_str()]))
}

#[cfg(test)]
mod tests;
