//! `--json`: every verb that reports something has it, and what it prints is named in one way.
#![cfg(feature = "cli")]

use serde_json::Value as Json;
use std::path::Path;
use test_kit::command_line::{printed, shell};

const TABLE: &str = "locule create visits.loc --schema 'key id: u64, user: text(32), hits: u32 = 7, note: text(40)?'";

/// The verbs that report, in an order in which they can be typed, and the names of their members.
const REPORTS: [(&str, &str); 20] = [
    ("create more.loc --schema 'key id: u64'", "schema record_count capacity is_done"),
    ("put visits.loc id=1 user=ada", "is_new id version"),
    ("set visits.loc 1 hits=2", "version"),
    ("import visits.loc rows.jsonl", "inserted_count replaced_count skipped_count"),
    ("summary visits.loc", "record_count capacity is_in_use schema condition records"),
    ("schema visits.loc", "schema record_bytes fields"),
    ("count visits.loc --where 'hits > 3'", "record_count"),
    (
        "info visits.loc",
        "format_version uuid created file_bytes file_system is_in_memory schema record_bytes record_count capacity free_count \
         condition pending newest_number synced_number since_sync_seconds syncs has_flush_failed is_in_use users writer \
         sync_count recovery_count owner_deaths index_rebuild_count",
    ),
    ("verify visits.loc", "is_good record_count problem_count problems recovery"),
    ("sync visits.loc", "synced_number"),
    ("backup visits.loc copy.loc", "record_count newest_number"),
    ("restore copy.loc visits.loc", "record_count newest_number"),
    ("repair visits.loc repaired.loc", "record_count problem_count problems left_out_count left_out"),
    ("diff visits.loc more.loc", "change difference"),
    ("alter visits.loc resize 20", "changes schema is_done record_count"),
    ("delete visits.loc 1", "deleted_count"),
    ("scrub visits.loc", "wiped_count"),
    ("get visits.loc 2", "id user hits note"),
    (
        "top visits.loc --count 1",
        "time elapsed_seconds problem writes_per_second syncs_per_second record_count capacity newest_number synced_number \
         unsynced_count since_sync_seconds lock users",
    ),
    (
        "bench --processes 2 --records 10 --seconds 0.1",
        "is_good is_interrupted elapsed_seconds operation_count operations_per_second iteration_count iterations_per_second \
         latencies throughput worker_iteration_counts refusals kills owner_deaths findings parameters machine",
    ),
];

/// The verbs that have no `--json`: they print nothing, records in a format of the user's choice, lines of JSON in any case, or
/// what is for a shell.
const OTHERS: [&str; 7] = ["completions", "destroy", "dump", "exists", "export", "man", "tail"];

fn report(directory: &Path, words: &str) -> Json {
    let output = shell(directory, &format!("locule {words} --json")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    let first = text.lines().next().unwrap_or_else(|| panic!("{words} prints nothing"));
    serde_json::from_str(first).unwrap_or_else(|error| panic!("{words}: {error} in {text}"))
}

#[test]
fn each_verb_that_reports_does_so_in_json() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, TABLE);
    std::fs::write(here.join("rows.jsonl"), "{\"id\":2,\"user\":\"bob\"}\n").unwrap();
    for (words, names) in REPORTS {
        let json = report(here, words);
        let found: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, names.split_whitespace().collect::<Vec<_>>(), "{words}");
        // The members of a record are named by the user.
        if !words.starts_with("get ") {
            assert_named_well(words, &json);
        }
    }
}

/// Names are whole words in lower case. What they begin or end with says what the value is.
fn assert_named_well(path: &str, json: &Json) {
    match json {
        Json::Array(values) => values.iter().for_each(|value| assert_named_well(path, value)),
        Json::Object(members) => members.iter().for_each(|(name, value)| {
            let path = format!("{path}/{name}");
            // Records and what percentiles are of have names of another kind.
            if name == "records" || name == "percentiles_ns" {
                return;
            }
            assert!(name.chars().all(|next| next.is_ascii_lowercase() || next == '_'), "{path}");
            let is_flag = ["is_", "has_", "can_"].iter().any(|start| name.starts_with(start));
            assert_eq!(value.is_boolean(), is_flag, "{path}: {value}");
            let is_measured =
                ["_count", "_bytes", "_seconds", "_ms", "_ns", "_second"].iter().any(|end| name.ends_with(end));
            let is_text =
                ["number", "version", "seed"].iter().any(|end| name.ends_with(end)) && name != "format_version";
            assert!(!is_measured || value.is_number() || value.is_null() || value.is_array(), "{path}: {value}");
            assert!(!is_text || value.is_string(), "{path}: {value}");
            assert_named_well(&path, value);
        }),
        _ => {}
    }
}

#[test]
fn each_verb_is_one_that_reports_or_one_that_need_not() {
    let help = printed(Path::new("/"), "locule --help");
    let list = help.split("Verbs:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let lines = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    for verb in lines.filter_map(|line| line.split_whitespace().next()) {
        let has_json = printed(Path::new("/"), &format!("locule {verb} --help")).contains("--json");
        let is_tested = REPORTS.iter().any(|(words, _)| words.split(' ').next() == Some(verb));
        let is_other = OTHERS.contains(&verb);
        assert!(is_tested != is_other && has_json == is_tested, "{verb}: {has_json} {is_tested} {is_other}");
    }
}

#[test]
fn what_is_reported_is_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, TABLE);
    printed(
        here,
        "locule put visits.loc id=18446744073709551615 user='a\"b'; locule put visits.loc id=1 user=bob note=x",
    );
    let first = printed(here, "locule visits.loc --limit 1 --json");
    let summary: Json = serde_json::from_str(&first).unwrap();
    assert_eq!([&summary["record_count"], &summary["capacity"]], [2, 10_000]);
    let record = r#"[{"id":"18446744073709551615","user":"a\"b","hits":7,"note":null}]"#;
    assert_eq!(summary["records"].to_string(), record);
    let schema: Json = serde_json::from_str(&printed(here, "locule schema visits.loc --json")).unwrap();
    let fields = r#"[{"name":"id","type":"u64","is_key":true,"is_nullable":false,"default":null},{"name":"user","type":"text(32)","is_key":false,"is_nullable":false,"default":null},{"name":"hits","type":"u32","is_key":false,"is_nullable":false,"default":7},{"name":"note","type":"text(40)","is_key":false,"is_nullable":true,"default":null}]"#;
    assert_eq!(schema["fields"].to_string(), fields);
    let dry: Json =
        serde_json::from_str(&printed(here, "locule create no.loc --schema 'key id: u8' --dry-run --json")).unwrap();
    assert!(dry["is_done"] == false && !here.join("no.loc").exists(), "{dry}");
    // A file that is too damaged to be opened is reported as such.
    printed(here, "head -c 8192 visits.loc > short.loc; truncate -s $(stat -c %s visits.loc) short.loc");
    let output = shell(here, "locule short.loc --json").output().unwrap();
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        summary["condition"]["can_be_recovered"] == false && summary["records"] == Json::Array(Vec::new()),
        "{summary}"
    );
}
