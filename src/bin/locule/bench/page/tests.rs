//! The page is well formed, whole, readable in the dark, and shows what people wrote as they wrote it.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use roxmltree::{Document, Node, ParsingOptions};

use super::super::check::{Fault, Faults, Findings};
use super::super::facts::Fact;
use super::super::kill_schedule::{Deaths, KillCounts};
use super::super::latency::{Kind as Measured, Latencies, Merged, WORD_COUNT};
use super::super::report::{Refusals, Report};
use super::super::timeline::Timeline;
use super::*;

const HOSTILE: &str = "/tmp/<script>alert(1)</script>&\"'\u{202e}\u{1b}[31m]]>.loc";

/// The report of a run with this many operations of each kind, whose latencies grow.
fn report(operation_count: u64, kill_count: u64, table_path: &str) -> Report {
    let words: Vec<AtomicU64> = (0..WORD_COUNT).map(|_| AtomicU64::new(0)).collect();
    for kind in Measured::ALL {
        for number in 0..operation_count {
            Latencies::new(&words).record(kind, 100 + number * number);
        }
    }
    let merge =
        |kinds: &[Measured]| Merged::new(kinds, std::iter::once(Latencies::new(&words)), |ticks| ticks).unwrap();
    let mut timeline = Timeline::new();
    for second in 1..=operation_count.min(5) {
        timeline.look(Duration::from_secs(second), || second * operation_count);
    }
    timeline.end(Duration::from_secs(operation_count.min(5)), operation_count * 5);
    timeline.kills = (0..kill_count).map(Duration::from_millis).collect();
    Report {
        title: format!("locule bench\ntable: {table_path}"),
        parameters: vec![Fact::new("table", table_path, "table_path", table_path)],
        machine: vec![Fact::new("began", "2026-01-01", "began", "2026-01-01")],
        command_line: format!("locule bench --file {table_path}"),
        elapsed: Duration::from_secs(operation_count.min(5)),
        was_interrupted: false,
        latencies: Measured::ALL.into_iter().map(|kind| (kind.name(), merge(&[kind]))).collect(),
        all: merge(&Measured::ALL),
        iterations: (0..50).map(|worker| worker * operation_count).collect(),
        timeline,
        refusals: Refusals::default(),
        kills: KillCounts { random: kill_count, aimed: 0 },
        deaths: Deaths::default(),
        findings: Findings::default(),
    }
}

fn read(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn elements<'a>(document: &'a Document<'_>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name) || node.tag_name().name() == name)
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// Both kinds of files of reports of many runs: good ones, hostile ones, and such in which nothing happened.
fn all() -> Vec<String> {
    let reports = [report(1_000, 0, "visits.loc"), report(100, 7, HOSTILE), report(1, 0, "x"), report(0, 0, "x")];
    let contents =
        reports.iter().flat_map(|report| [Kind::Page, Kind::Picture].map(|kind| content(report, kind).unwrap()));
    contents.collect()
}

#[test]
fn every_report_is_well_formed_and_its_numbers_are_finite() {
    for text in all() {
        let document = read(&text);
        for node in document.descendants().filter(Node::is_element) {
            for attribute in node.attributes() {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{node:?}");
                if attribute.name() == "d" {
                    let numbers = value.split(['M', 'L', 'Z', ' ']).filter(|number| !number.is_empty());
                    let numbers: Vec<f64> = numbers.map(|number| number.parse().unwrap()).collect();
                    assert!(numbers.iter().all(|number| (-1.0..=800.0).contains(number)), "{value}");
                }
            }
        }
        let seen = text_of(document.root_element());
        assert!(!seen.contains("NaN") && !seen.contains(" inf"), "{seen}");
    }
}

#[test]
fn nothing_is_fetched_and_nothing_is_run() {
    for text in all() {
        let document = read(&text);
        for node in document.descendants().filter(Node::is_element) {
            assert!(!["script", "link", "img", "iframe", "image", "use"].contains(&node.tag_name().name()), "{node:?}");
            let fetched = node.attributes().any(|attribute| ["src", "href", "style"].contains(&attribute.name()));
            assert!(!fetched && !node.attributes().any(|attribute| attribute.name().starts_with("on")), "{node:?}");
        }
        let style: String = elements(&document, "style").map(text_of).collect();
        assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    }
}

#[test]
fn what_people_wrote_is_shown_and_obeyed_by_nothing() {
    let text = content(&report(10, 0, HOSTILE), Kind::Page).unwrap();
    assert!(!text.contains(['\u{202e}', '\u{1b}', '\0']));
    let document = read(&text);
    let seen = text_of(document.root_element());
    let shown = r#"/tmp/<script>alert(1)</script>&"'\u{202e}\u{1b}[31m]]>.loc"#;
    // In the list of parameters, in the command, and in what the terminal printed.
    assert_eq!(seen.matches(shown).count(), 3, "{seen}");
}

#[test]
fn each_plot_says_what_it_shows_and_has_its_numbers_beside_it() {
    let text = content(&report(1_000, 3, "visits.loc"), Kind::Page).unwrap();
    let document = read(&text);
    let plots: Vec<_> = elements(&document, "svg").collect();
    assert_eq!(plots.len(), 3);
    for plot in plots {
        let named = plot.attribute("aria-labelledby").unwrap();
        for id in named.split(' ') {
            let described = plot.children().find(|node| node.attribute("id") == Some(id)).unwrap();
            assert!(text_of(described).len() > 10, "{id}");
        }
        let section = plot.ancestors().find(|node| node.has_tag_name("section")).unwrap();
        let table = section.descendants().find(|node| node.has_tag_name("table")).unwrap();
        assert!(table.descendants().any(|node| node.has_tag_name("caption")), "{named}");
        assert!(table.descendants().filter(|node| node.has_tag_name("tr")).count() > 4, "{named}");
    }
    assert!(text_of(document.root_element()).contains("everything adds up"));
    let mut bad = report(10, 0, "visits.loc");
    bad.findings.faults = Faults { first: vec![Fault::WrongLength { counted: 1, length: 2 }], count: 1 };
    let text = content(&bad, Kind::Page).unwrap();
    assert!(text.contains("FAILED: 1 faults.") && !text.contains("Everything adds up"));
}

/// All colours come from variables, each of which the dark has too.
#[test]
fn each_colour_has_one_for_the_dark() {
    let variables = |style: &str| -> Vec<String> {
        let found =
            style.split("--").skip(1).filter(|rest| rest.split(':').next().is_some_and(|name| !name.contains(')')));
        found.map(|rest| rest.split(':').next().unwrap().to_owned()).collect()
    };
    let (light, rest) = PLOT_STYLE.split_once("@media screen and (prefers-color-scheme: dark)").unwrap();
    let (dark, rules) = rest.split_once("\n}\n").unwrap();
    assert_eq!(variables(light), variables(dark));
    assert!(variables(light).len() > 12);
    for rules in [rules, PAGE_STYLE] {
        assert!(!rules.contains('#') && !rules.contains("rgb"), "{rules}");
        for used in rules.split("var(--").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(variables(light).iter().any(|name| name == used), "{used}");
        }
    }
    let picture = content(&report(10, 1, "x"), Kind::Picture).unwrap();
    assert!(picture.contains("prefers-color-scheme: dark"));
    // Some viewers know no variables, and showed it all black.
    let plain = picture.split_once("<style>").unwrap().1.split_once(":root").unwrap().0;
    assert_eq!(plain.lines().count(), rules.lines().count());
    assert!(plain.contains(".plot .paper { fill: #ffffff; }") && !plain.contains("var("), "{plain}");
    let drawn = picture.split_once("</style>").unwrap().1;
    assert!(!drawn.contains('#') && !drawn.contains("style="), "{drawn}");
    for (_, class) in super::super::canvas::Ink::ALL {
        assert!(PLOT_STYLE.contains(&format!(".{class} ")) || class == "text", "{class}");
    }
}
