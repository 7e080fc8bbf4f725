//! `locule bench --report` and `--json`: a page, a picture and an object of a run that was really made.
#![cfg(feature = "cli")]

use roxmltree::{Document, ParsingOptions};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use test_kit::command_line::complaint;

/// A short bench in this directory, whose temporary files go there too.
fn bench(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locule"));
    command.args(["bench", "--processes", "4", "--records", "100", "--seconds", "0.4", "--seed", "7"]).args(arguments);
    command.current_dir(directory).env("TMPDIR", directory).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_good(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All that is written in an element, and in all below it.
fn seen(page: &str) -> String {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"));
    let texts = document.root().descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text());
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_run_with_kills_writes_a_page_that_holds_what_the_terminal_shows() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["--kill", "5", "--report", "out.html"]);
    assert_good(&output);
    let printed = text(&output.stdout);
    assert!(printed.ends_with("everything adds up\nplots in out.html\n"), "{printed}");
    assert_eq!(names(directory.path()), ["out.html"]);
    let page = std::fs::read_to_string(directory.path().join("out.html")).unwrap();
    let seen = seen(&page);
    let report = printed.strip_suffix("plots in out.html\n").unwrap();
    assert!(seen.contains(report), "{report}\nis not in\n{seen}");
    let command = "locule bench --processes 4 --seconds 0.4 --records 100 --capacity 10000 --kill 5 --seed 7";
    assert!(seen.contains(command), "{seen}");
    assert!(seen.contains("5 workers were killed meanwhile"), "{seen}");
    assert_eq!(page.matches("class=\"line kill\"").count(), 5 + 1, "each kill, and the legend");
}

#[test]
fn a_picture_is_written_again_over_itself_and_over_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert_good(&bench(here, &["--report", "out.svg"]));
    let first = std::fs::read_to_string(here.join("out.svg")).unwrap();
    assert!(seen(&first).contains("Throughput over time") && !first.contains("class=\"line kill\""));
    assert_good(&bench(here, &["--report", "out.svg", "--durable"]));
    let second = std::fs::read_to_string(here.join("out.svg")).unwrap();
    assert!(second != first && seen(&second).contains("sync: half within"));
    std::fs::write(here.join("mine.html"), "<html>mine</html>").unwrap();
    std::fs::create_dir(here.join("directory.html")).unwrap();
    for (name, complaint) in [
        ("mine.html", "a file is there already that is no report of `locule bench`"),
        ("directory.html", "something that is no file is there already"),
        // The name of a file that nobody has typed once followed.
        ("none/out.html", "cannot make a file in none: No such file or directory (os error 2)\n"),
        ("out.pdf", "expected a name that ends in .html"),
    ] {
        let output = bench(here, &["--report", name]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("locule: --report {name}: {complaint}")), "{said}");
        // It was found before the run: there is no table, no progress and no result.
        assert_eq!((said.lines().count(), text(&output.stdout)), (1, ""), "{said}");
    }
    assert_eq!(std::fs::read_to_string(here.join("mine.html")).unwrap(), "<html>mine</html>");
    assert_eq!(names(here), ["directory.html", "mine.html", "out.svg"]);
}

/// The table was once measured first, and found to be where the report was to go.
#[test]
fn a_report_in_the_place_of_the_table_is_refused_before_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::os::unix::fs::symlink(".", here.join("here")).unwrap();
    let whole = here.join("out.html");
    for (table, report) in
        [("out.html", "out.html"), ("./here/out.html", "out.html"), (whole.to_str().unwrap(), "out.html")]
    {
        let output = bench(here, &["--file", table, "--report", report]);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stderr), "locule: --report out.html: --file has the same path\n");
        assert_eq!((names(here), text(&output.stdout)), (vec!["here".to_owned()], ""));
    }
}

#[test]
fn an_error_names_paths_as_they_were_typed() {
    let directory = tempfile::tempdir().unwrap();
    let line = "mkdir gone && cd gone && rmdir ../gone && exec locule bench --seconds 0.1 --report out.html";
    let (code, said) = complaint(directory.path(), line);
    // The error itself is another one on each file system.
    assert!(said.starts_with("locule: --report out.html: cannot make a file in .: "), "{said}");
    assert!(code == Some(2) && said.ends_with("; the current directory was removed\n"), "{said}");
}

#[test]
fn a_run_that_cannot_be_made_leaves_no_report() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["--report", "out.html", "--file", "none/bench.loc"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn programs_get_one_object_whose_parts_agree() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["--json", "--durable", "--report", "out.html"]);
    assert_good(&output);
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["is_good"] == true && report["is_interrupted"] == false, "{report}");
    let number = |pointer: &str| report.pointer(pointer).and_then(Json::as_u64).unwrap_or_else(|| panic!("{pointer}"));
    let kinds = ["read", "update", "insert", "delete", "sync"];
    let operation_count: u64 = kinds.iter().map(|kind| number(&format!("/latencies/{kind}/operation_count"))).sum();
    assert_eq!([number("/operation_count"), number("/latencies/all/operation_count")], [operation_count; 2]);
    // Some operations end after the last sample was taken.
    let stretches = report["throughput"].as_array().unwrap();
    let sampled: u64 = stretches.iter().map(|stretch| stretch["operation_count"].as_u64().unwrap()).sum();
    assert!(sampled > 0 && sampled <= operation_count, "{sampled} of {operation_count}");
    let worker_counts = report["worker_iteration_counts"].as_array().unwrap();
    assert_eq!(worker_counts.len(), 4);
    assert_eq!(number("/iteration_count"), worker_counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>());
    for kind in kinds {
        let at = |name: &str| number(&format!("/latencies/{kind}/percentiles_ns/{name}"));
        let rising =
            [at("50"), at("90"), at("99"), at("99.9"), at("99.99"), number(&format!("/latencies/{kind}/longest_ns"))];
        assert!(rising.is_sorted(), "{kind}: {rising:?}");
    }
    assert!(report["parameters"]["is_durable"] == true && report["parameters"]["seed"] == "7", "{report}");
    assert!(number("/machine/processor_count") > 0);
}
