//! The documents name files, functions and tests that exist.

use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "TESTING.md",
    "CONTRIBUTING.md",
    "docs/coming-from-buzhug.md",
    "docs/expiry.md",
    "docs/filter-language.md",
    "docs/forking-servers.md",
];
const PLACES: [&str; 9] = ["docs/", "src/", "tests/", "crates/", "fuzz/", "examples/", "benches/", ".ci/", ".cargo/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a document names in backticks: a path, and the items in the parentheses after it.
fn named(document: &str) -> Vec<(String, Vec<String>)> {
    let prose: String = document.split("```").step_by(2).collect();
    // Lines break anywhere, also between the names of a list.
    let prose = prose.split_whitespace().collect::<Vec<_>>().join(" ");
    let pieces: Vec<&str> = prose.split('`').collect();
    let mut found = Vec::new();
    for (position, piece) in pieces.iter().enumerate().skip(1).step_by(2) {
        if !PLACES.iter().any(|place| piece.starts_with(place)) || piece.contains(' ') {
            continue;
        }
        // Between two names are the characters that tell whether they belong together.
        let mut items = Vec::new();
        let mut next = position + 1;
        while pieces.get(next) == Some(if items.is_empty() { &" (" } else { &", " }) {
            items.extend(pieces.get(next + 1).map(|item| (*item).to_owned()));
            next += 2;
        }
        found.push(((*piece).to_owned(), items));
    }
    found
}

/// The Rust files of a path, which is a file or a directory.
fn sources(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .flat_map(|entry| sources(&entry.unwrap().path()))
        .filter(|path| path.extension() == Some("rs".as_ref()))
        .collect()
}

/// Whether some code declares a function, a type, a constant or a macro of this name.
fn declares(code: &str, item: &str) -> bool {
    ["fn ", "struct ", "enum ", "trait ", "const ", "type ", "macro_rules! "].iter().any(|keyword| {
        let declaration = format!("{keyword}{item}");
        code.match_indices(&declaration).any(|(start, _)| {
            let rest = &code[start + declaration.len()..];
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    })
}

/// What is wrong with a document.
fn mistakes(document: &str, directory: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (path, items) in named(document) {
        let place = root().join(&path);
        if !place.exists() {
            mistakes.push(format!("{path} does not exist"));
            continue;
        }
        for item in items {
            if !sources(&place).iter().any(|file| declares(&std::fs::read_to_string(file).unwrap(), &item)) {
                mistakes.push(format!("{path} has no {item}"));
            }
        }
    }
    for command in document.split("--test ").skip(1) {
        let name: String = command.chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect();
        if !name.is_empty()
            && !root().join(format!("tests/{name}.rs")).exists()
            && !root().join("tests").join(&name).exists()
        {
            mistakes.push(format!("there is no test {name}"));
        }
    }
    for link in document.split("](").skip(1) {
        let target = link.split([')', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !root().join(directory).join(target).exists() {
            mistakes.push(format!("the link to {target} leads nowhere"));
        }
    }
    mistakes
}

#[test]
fn each_file_function_and_test_that_a_document_names_exists() {
    for document in DOCUMENTS {
        assert_eq!(
            mistakes(&text(document), if document.starts_with("docs/") { "docs" } else { "" }),
            [""; 0],
            "{document}"
        );
    }
    let count = named(&text("ARCHITECTURE.md")).iter().map(|(_, items)| items.len()).sum::<usize>();
    assert!(count > 40, "the names are found: {count}");
}

#[test]
fn what_does_not_exist_is_found() {
    let found = mistakes(
        "`src/engine/sync.rs` (`sync`, `sink`), `src/engine/sink.rs`, [a](b.md), `cargo test --test nothing`, `src/engine` (`choose_cell`)",
        "",
    );
    let expected = [
        "src/engine/sync.rs has no sink",
        "src/engine/sink.rs does not exist",
        "there is no test nothing",
        "the link to b.md leads nowhere",
    ];
    assert_eq!(found, expected);
    assert!(declares("pub const fn code(self)", "code") && !declares("fn code_of(self)", "code"));
}

#[test]
fn the_layers_are_those_of_the_test_of_layers() {
    let section = text("ARCHITECTURE.md");
    let section = section.split("\n## ").find(|section| section.starts_with("Layers")).unwrap();
    let documented: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split('`').next())
        .map(|name| name.strip_suffix(".rs").unwrap_or(name))
        .collect();
    let code = text("tests/layers.rs");
    let list = code.split("const LAYERS").nth(1).and_then(|rest| rest.split('=').nth(1)?.split(';').next()).unwrap();
    let tested: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert_eq!(documented, tested);
}

#[test]
fn the_files_with_unsafe_code_are_those_that_are_named() {
    let section = text("ARCHITECTURE.md");
    let section = section.split("\n## ").find(|section| section.starts_with("Where `unsafe` is")).unwrap().to_owned();
    let mut documented: Vec<String> = named(&section).into_iter().map(|(path, _)| path).collect();
    let mut found: Vec<String> = sources(&root().join("src"))
        .into_iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("#![allow(unsafe_code)]"))
        .map(|file| file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .collect();
    documented.sort();
    found.sort();
    assert_eq!(documented, found);
}

/// The number of planted faults once stood still while the list grew.
#[test]
fn the_number_of_planted_faults_is_right() {
    let script = text("tests/plant_faults.py");
    let list = script.split("FAULTS = {\n").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
    let count = list.lines().filter(|line| line.starts_with(" '") || line.starts_with(" \"")).count()
        + script.matches("\nFAULTS['").count();
    let documented = format!("{count} planted faults");
    assert!(text("TESTING.md").contains(&documented), "TESTING.md has to say: {documented}");
}

/// The lines of some code without what they are indented by.
fn plain(code: &str) -> String {
    code.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

/// What a page shows is compiled and run: as a test of the documentation, or it is a part of the test of the same name, or of
/// the example.
#[test]
fn each_example_of_a_page_is_compiled_and_run() {
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let page = entry.unwrap().path();
        // Pictures.
        if page.is_dir() {
            continue;
        }
        assert!(DOCUMENTS.iter().any(|document| root().join(document) == page), "{page:?} is one of the documents");
        let file_name = page.file_name().unwrap().to_str().unwrap();
        if text("src/lib.rs").contains(&format!("include_str!(\"../docs/{file_name}\")")) {
            continue;
        }
        let name = page.file_stem().unwrap().to_str().unwrap().replace('-', "_");
        let files = ["tests", "examples"].map(|place| root().join(place).join(format!("{name}.rs")));
        let code: String = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        let (page, code) = (std::fs::read_to_string(page).unwrap(), plain(&code));
        let examples = page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        assert!(page.contains("```rust\n"), "{name} has examples");
        for example in examples {
            assert!(code.contains(&format!("\n{}", plain(example))), "this is not in {name}.rs:\n{example}");
        }
    }
}

#[test]
fn the_first_test_is_the_file_of_that_name() {
    let guide = text("CONTRIBUTING.md");
    let block = guide.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let code: String =
        block.trim_end().lines().map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect();
    assert_eq!(code, text("tests/first.rs"));
}
