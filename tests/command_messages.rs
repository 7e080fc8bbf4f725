//! Whatever names a command names one that exists, and every verb says what is wrong with what it was given.
#![cfg(feature = "cli")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use test_kit::command_line::{complaint, printed, session};

/// Every verb but `bench`, which has tests of its own: what it is given after the name of a file.
const VERBS: [(&str, &str); 27] = [
    ("summary", "FILE"),
    ("schema", "FILE"),
    ("dump", "FILE"),
    ("dump", "FILE --salvage"),
    ("export", "FILE"),
    ("export", "FILE --format json --where 'hits > 1'"),
    ("get", "FILE 1"),
    ("count", "FILE --where 'hits > 1'"),
    ("exists", "FILE 1"),
    ("diff", "FILE FILE"),
    ("info", "FILE"),
    ("info", "FILE --json"),
    ("dump", "FILE --raw 0"),
    ("tail", "FILE --from start --until-now"),
    ("top", "FILE --count 1"),
    ("top", "FILE --json"),
    ("verify", "FILE"),
    ("put", "FILE id=1"),
    ("set", "FILE 1 hits=2"),
    ("delete", "FILE 1"),
    ("import", "FILE rows.csv"),
    ("sync", "FILE"),
    ("scrub", "FILE"),
    ("alter", "FILE resize 100"),
    ("backup", "FILE new.loc"),
    ("restore", "FILE new.loc"),
    ("repair", "FILE new.loc"),
];

/// The words that a verb's help knows: verbs, options and what they take.
fn help_of(verb: &str) -> String {
    printed(Path::new("/"), &format!("locule {verb} --help"))
}

fn verbs() -> BTreeSet<String> {
    let help = printed(Path::new("/"), "locule --help");
    let verbs = help.split("Verbs:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    // A description can go on in a line that is indented by more.
    let lines = verbs.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// The files in which something can be written that people read.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = ["src", "docs", "README.md", "ARCHITECTURE.md", "format.md"];
    let mut places: Vec<PathBuf> = names.map(|name| root.join(name)).into();
    let mut texts = Vec::new();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&place).unwrap();
            texts.push((place, text));
        }
    }
    texts
}

/// The commands that a text names in backticks, each in one line.
fn commands(text: &str) -> Vec<String> {
    // In code, a line of a message can go on in the next one.
    let text = text.replace("\\\n", " ").replace("\n///", " ").replace("\n//!", " ");
    let named = text.split("`locule ").skip(1).filter_map(|rest| rest.split('`').next());
    named.map(|command| command.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_message_that_names_a_command_names_one_that_exists() {
    let verbs = verbs();
    let mut named_count = 0;
    for (path, text) in texts() {
        for command in commands(&text) {
            let mut words = command.split(' ');
            let verb = words.next().unwrap_or_default();
            // `locule FILE`, `locule VERB --help` and patterns of formats name no verb.
            if verb.is_empty()
                || verb.starts_with(['{', '-', '.'])
                || verb.chars().all(char::is_uppercase)
                || verb.contains('.')
            {
                continue;
            }
            assert!(verbs.contains(verb), "{}: `locule {command}`", path.display());
            let help = help_of(verb);
            for option in words.filter(|word| word.starts_with("--")) {
                assert!(help.contains(option), "{}: `locule {command}` has no {option}", path.display());
            }
            named_count += 1;
        }
    }
    assert!(named_count > 20, "{named_count}");
    assert_eq!(commands("`locule dump \\\n    --salvage` and `locule\n"), ["dump --salvage"]);
}

/// Each example in the help of a verb has options that the verb knows.
#[test]
fn the_examples_of_every_verb_can_be_parsed() {
    for verb in verbs() {
        let help = help_of(&verb);
        let examples: Vec<&str> = help.split("Examples:\n").nth(1).unwrap().lines().map(str::trim).collect();
        assert!(!examples.is_empty(), "{verb}");
        for example in examples.iter().flat_map(|line| line.split("locule ").skip(1)) {
            // What is before a pipe, or another command, is one command line; each of its options is known to the verb.
            let words: Vec<&str> = example.split(['|', ';', '&', '>', '<', ')']).next().unwrap().split(' ').collect();
            let named = words.first().copied().unwrap_or_default();
            if named.contains('.') {
                continue;
            }
            let known = help_of(named);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(known.contains(option), "{verb}: {example}: {option}");
            }
        }
    }
}

/// A verb, and what it said.
fn tried(directory: &Path, verb: &str, arguments: &str, file: &str) -> (Option<i32>, String) {
    let line = format!("locule {verb} {}", arguments.replace("FILE", file));
    // What a verb before it has made is of no use to the next one.
    let _ = std::fs::remove_file(directory.join("new.loc"));
    complaint(directory, &line)
}

#[test]
fn every_verb_complains_about_a_file_that_is_no_table() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("foreign.loc"), "no table").unwrap();
    std::fs::write(here.join("rows.csv"), "id\n1\n").unwrap();
    std::fs::create_dir(here.join("directory.loc")).unwrap();
    for (verb, arguments) in VERBS {
        for (file, expected) in [
            ("none.loc", "none.loc does not exist"),
            ("foreign.loc", "it ends after 8 bytes"),
            ("directory.loc", "directory.loc"),
        ] {
            let (code, complaint) = tried(here, verb, arguments, file);
            if verb == "verify" && file != "none.loc" {
                assert_eq!(code, Some(1), "{verb} {file}");
                continue;
            }
            assert_eq!(code, Some(2), "{verb} {file}: {complaint}");
            let is_one_line = complaint.lines().count() == 1 && complaint.starts_with("locule: ");
            assert!(is_one_line && complaint.contains(expected), "{verb} {file}: {complaint}");
        }
    }
}

#[test]
fn a_mistyped_verb_or_option_is_told_what_was_probably_meant() {
    let directory = tempfile::tempdir().unwrap();
    snapbox::assert_data_eq!(
        session(
            directory.path(),
            "locule verfy visits.loc
             locule nonsense visits.loc
             locule creat visits.loc
             locule select visits.loc
             locule ls visits.loc
             locule rm visits.loc
             locule cp visits.loc copy.loc
             locule insert visits.loc id=1
             locule version
             locule help
             locule dump visits.loc --salvge
             locule dump visits.loc --format xml
             locule dump visits.loc --limit many
             locule top visits.loc --interval -1
             locule alter visits.loc resize -1
             locule dump visits.loc --limit ''
             locule import visits.loc visits.csv --batch 0
             locule bench --processes 0
             locule exists visits.loc
             locule dump
             locule get visits.loc
             locule delete visits.loc
             locule delete visits.loc 42 --where 'id == 1'
             locule put visits.loc
             locule set visits.loc 42
             locule alter visits.loc
             locule alter visits.loc grow 7
             locule completions tcsh
             locule man verfy
             locule man --into nowhere
             locule create visits.loc --schema 'key id: u46'
             locule create visits.loc --schema 'key id: u64' --mode 8
             locule create visits.loc --schema 'key id: u64' --capacity 0
             locule create visits.loc --schema 'key id: u64' --key id
             locule create visits.loc --schema 'key id: u64'
             locule dump visits.loc --where 'id = 1'
             locule dump visits.loc --sort -it
             locule dump visits.loc --fields id,@versoin
             locule export visits.loc --null 'a,b'
             locule get visits.loc x
             locule set visits.loc 1 id
             locule put visits.loc id=- id=-
             locule put visits.loc id:=x
             locule put visits.loc id=1
             locule set visits.loc 1 id=2
             locule import visits.loc visits.loc
             locule visits
             locule ./visits
             mkdir gone && cd gone && rmdir ../gone && locule top visits.loc"
        ),
        snapbox::str![[r#"
$ locule verfy visits.loc
locule: unrecognized verb 'verfy'; a similar verb exists: 'verify'; see `locule --help`
[exit 2]
$ locule nonsense visits.loc
locule: unrecognized verb 'nonsense'; see `locule --help`
[exit 2]
$ locule creat visits.loc
locule: unrecognized verb 'creat'; some similar verbs exist: 'create', 'repair', 'schema'; see `locule --help`
[exit 2]
$ locule select visits.loc
locule: unrecognized verb 'select'; you probably mean `locule dump`; see `locule --help`
[exit 2]
$ locule ls visits.loc
locule: unrecognized verb 'ls'; you probably mean `locule dump`; see `locule --help`
[exit 2]
$ locule rm visits.loc
locule: unrecognized verb 'rm'; you probably mean `locule delete` for records or `locule destroy` for a table; see `locule --help`
[exit 2]
$ locule cp visits.loc copy.loc
locule: unrecognized verb 'cp'; you probably mean `locule backup`; see `locule --help`
[exit 2]
$ locule insert visits.loc id=1
locule: unrecognized verb 'insert'; you probably mean `locule put`; see `locule --help`
[exit 2]
$ locule version
locule: unrecognized verb 'version'; you probably mean `locule --version`; see `locule --help`
[exit 2]
$ locule help
locule: unrecognized verb 'help'; you probably mean `locule --help`; see `locule --help`
[exit 2]
$ locule dump visits.loc --salvge
locule: unexpected argument '--salvge' found; a similar argument exists: '--salvage'; see `locule dump --help`
[exit 2]
$ locule dump visits.loc --format xml
locule: invalid value 'xml' for '--format <FORMAT>'; [possible values: table, csv, json, jsonl]; see `locule dump --help`
[exit 2]
$ locule dump visits.loc --limit many
locule: invalid value 'many' for '--limit <COUNT>': expected a whole number, 0 or more; see `locule dump --help`
[exit 2]
$ locule top visits.loc --interval -1
locule: invalid value '-1' for '--interval <SECONDS>': expected a number of seconds from 0.01 to 3600; see `locule top --help`
[exit 2]
$ locule alter visits.loc resize -1
locule: invalid value '-1' for '<CAPACITY>': expected a whole number, 0 or more; see `locule alter --help`
[exit 2]
$ locule dump visits.loc --limit ''
locule: invalid value '' for '--limit <COUNT>': expected a whole number, 0 or more; see `locule dump --help`
[exit 2]
$ locule import visits.loc visits.csv --batch 0
locule: invalid value '0' for '--batch <COUNT>': expected a whole number, 1 or more; see `locule import --help`
[exit 2]
$ locule bench --processes 0
locule: invalid value '0' for '--processes <PROCESSES>': expected a whole number from 1 to 10000; see `locule bench --help`
[exit 2]
$ locule exists visits.loc
locule: the following required arguments were not provided: <KEY>, or --where <EXPR>; see `locule exists --help`
[exit 2]
$ locule dump
locule: the following required arguments were not provided: <FILE>; see `locule dump --help`
[exit 2]
$ locule get visits.loc
locule: the following required arguments were not provided: <KEY>; see `locule get --help`
[exit 2]
$ locule delete visits.loc
locule: the following required arguments were not provided: <KEY>, or --where <EXPR>; see `locule delete --help`
[exit 2]
$ locule delete visits.loc 42 --where 'id == 1'
locule: the argument '[KEY]' cannot be used with '--where <EXPR>'; see `locule delete --help`
[exit 2]
$ locule put visits.loc
locule: the following required arguments were not provided: <FIELD=VALUE>...; see `locule put --help`
[exit 2]
$ locule set visits.loc 42
locule: the following required arguments were not provided: <FIELD=VALUE>...; see `locule set --help`
[exit 2]
$ locule alter visits.loc
locule: 'locule alter' requires a verb but one was not provided; [verbs: add, drop, rename, default, widen, resize]; see `locule alter --help`
[exit 2]
$ locule alter visits.loc grow 7
locule: unexpected argument 'grow' found; see `locule alter --help`
[exit 2]
$ locule completions tcsh
locule: invalid value 'tcsh' for '<SHELL>'; [possible values: bash, zsh, fish]; a similar value exists: 'zsh'; see `locule completions --help`
[exit 2]
$ locule man verfy
locule: there is no verb "verfy": `locule --help` lists them
[exit 2]
$ locule man --into nowhere
locule: cannot write nowhere/locule.1: No such file or directory (os error 2)
[exit 2]
$ locule create visits.loc --schema 'key id: u46'
locule: --schema: column 9: expected a type such as u64, text(32) or timestamp, found `u46`
[exit 2]
$ locule create visits.loc --schema 'key id: u64' --mode 8
locule: invalid value '8' for '--mode <OCTAL>': expected permissions such as 640; see `locule create --help`
[exit 2]
$ locule create visits.loc --schema 'key id: u64' --capacity 0
locule: a table has 1 to 16777216 slots, not 0
[exit 2]
$ locule create visits.loc --schema 'key id: u64' --key id
locule: --key, --type and --null are for --from CSV: a schema says `key id: u64`
[exit 2]
$ locule create visits.loc --schema 'key id: u64'
$ locule dump visits.loc --where 'id = 1'
locule: expected `==`, found `=`
    id = 1
       ^
[exit 2]
$ locule dump visits.loc --sort -it
locule: there is no field `it`
[exit 2]
$ locule dump visits.loc --fields id,@versoin
locule: there is no `@versoin`, but @id and @version
[exit 2]
$ locule export visits.loc --null 'a,b'
locule: --null "a,b": expected a text without commas, quotes and line breaks
[exit 2]
$ locule get visits.loc x
locule: field `id`: expected a u64, 0 to 18446744073709551615, found "x"
[exit 2]
$ locule set visits.loc 1 id
locule: expected field=value, found "id"
[exit 2]
$ locule put visits.loc id=- id=-
locule: field `id`: expected a u64, 0 to 18446744073709551615, found ""
[exit 2]
$ locule put visits.loc id:=x
locule: id: not JSON: expected value at line 1 column 1
[exit 2]
$ locule put visits.loc id=1
inserted, version 2
$ locule set visits.loc 1 id=2
locule: the key of a record cannot be changed: `locule put` it under its new key, and `locule delete` the old one
[exit 2]
$ locule import visits.loc visits.loc
locule: visits.loc: column "locule": there is no field `locule`; `--ignore` leaves a column out; nothing was imported
[exit 2]
$ locule visits
locule: unrecognized verb 'visits'; a similar verb exists: 'exists'; see `locule --help`
[exit 2]
$ locule ./visits
locule: ./visits does not exist: `locule create ./visits --schema …` makes a table, or `--from` a CSV file
[exit 2]
$ mkdir gone && cd gone && rmdir ../gone && locule top visits.loc
locule: cannot find visits.loc: No such file or directory (os error 2); the current directory was removed
[exit 2]

"#]]
    );
}

#[test]
fn without_arguments_the_help_is_shown_and_it_is_an_error() {
    let (code, help) = complaint(Path::new("/"), "locule");
    assert_eq!(code, Some(2));
    assert!(help.contains("Usage: locule FILE") && help.contains("Exit status: 0 yes, 1 no"), "{help}");
    assert!(printed(Path::new("/"), "locule --version").starts_with("locule 0."));
}

/// The script for each shell knows every verb; that the shell takes it is seen only where there is that shell.
#[test]
fn completions_and_manual_pages_know_every_verb() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "mkdir pages && locule man --into pages");
    let overview = printed(here, "locule man");
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(here, &format!("locule completions {shell} | tee {shell}.txt"));
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
        if printed(here, &format!("command -v {shell} || true")).is_empty() {
            continue;
        }
        printed(here, &format!("{shell} -n {shell}.txt"));
    }
    for verb in verbs() {
        assert!(overview.contains(&format!("locule\\-{verb}")), "{verb}");
        let page = std::fs::read_to_string(here.join("pages").join(format!("locule-{verb}.1"))).unwrap();
        assert!(page.contains(&format!("locule\\-{verb}")) && page.contains("Examples"), "{verb}: {page}");
        assert_eq!(printed(here, &format!("locule man {verb}")), page);
    }
}

/// `man locule-alter-add` once found nothing, although the page of `alter` named it.
#[test]
fn every_manual_page_that_a_page_names_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    printed(here, "mkdir pages && locule man --into pages");
    let names = |text: &str| -> BTreeSet<String> {
        let before = text.split("(1)").map(|before| before.rsplit([' ', '\n']).next().unwrap_or_default());
        before.filter(|name| name.starts_with("locule\\-")).map(|name| name.replace('\\', "")).collect()
    };
    let written: BTreeSet<String> = printed(here, "ls pages").lines().map(str::to_owned).collect();
    let mut named = BTreeSet::from(["locule".to_owned()]);
    for page in &written {
        named.extend(names(&std::fs::read_to_string(here.join("pages").join(page)).unwrap()));
    }
    assert_eq!(written, named.iter().map(|name| format!("{name}.1")).collect());
    let page = printed(here, "locule man alter add");
    assert_eq!(page, std::fs::read_to_string(here.join("pages/locule-alter-add.1")).unwrap());
    assert!(page.contains("locule\\-alter\\-add \\- Adds a field") && page.contains("\\-\\-after"), "{page}");
    assert!(page.contains("\\fBlocule alter <FILE> add\\fR"), "the file is in front of the verb: {page}");
    let (code, said) = complaint(here, "locule man alter ad");
    assert_eq!((code, said.as_str()), (Some(2), "locule: there is no verb \"alter ad\": `locule --help` lists them\n"));
}

#[test]
fn a_link_to_nothing_is_told_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (code, said) = complaint(here, "ln -s nowhere link.loc; locule put link.loc id=1");
    let expected = "locule: link.loc cannot be read as a table: the path is a symbolic link that leads to no file\n";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

/// The command that is named is typed as it is written, in a shell that knows `$'…'`.
#[test]
fn a_file_of_any_name_is_shown_as_bash_takes_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    if printed(here, "command -v bash || true").is_empty() {
        eprintln!("there is no bash here");
        return;
    }
    for name in [&b"-x.loc"[..], b"a b.loc", b"it's\n\\.loc", b"\xff\x1b[31m.loc", "łódź\u{202e}.loc".as_bytes()] {
        let name = OsStr::from_bytes(name);
        let run = |arguments: &[&str]| {
            let mut shell = test_kit::command_line::shell(here, r#"locule "$@" 2>&1"#);
            // The name of the shell, before its arguments.
            shell.arg("sh").args(arguments).arg("--").arg(name).output().unwrap()
        };
        let said = String::from_utf8(run(&["info"]).stdout).unwrap();
        assert!(!said.trim_end().contains(|next: char| next.is_control() || next == '\u{202e}'), "{said}");
        let named = said.split('`').nth(1).unwrap().replace(" --schema …", " --schema 'a: u8'");
        std::fs::write(here.join("script"), named).unwrap();
        printed(here, "bash script");
        assert!(here.join(name).exists(), "{said}");
        printed(here, "rm script");
    }
}
