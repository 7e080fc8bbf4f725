//! The code has layers, and each imports only from those below it: see ARCHITECTURE.md. No two files import from each
//! other, not even through others.
//!
//! The sources are read as text: every `crate::` and `super::` in them names a file. Tests are left out, since they may look at
//! everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the bottom to the top. A layer is a directory or a file of `src`.
const LAYERS: [&str; 15] = [
    "nearest",
    "record_id",
    "error",
    "cursor",
    "value",
    "schema",
    "format",
    "sys",
    "layout",
    "engine",
    "file",
    "query",
    "table",
    "admin",
    "maintenance",
];

/// A module, by its path, such as `["engine", "read"]`; that of `src/engine/mod.rs` is `["engine"]`.
type Module = Vec<String>;

/// What each module of the library imports from others.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = BTreeMap::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let is_left_out = ["bin", "testing.rs", "lib.rs", "sys/modelled"].contains(&name.as_str())
                || name.ends_with("tests")
                || name.ends_with("tests.rs");
            if is_left_out {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if let Some(stem) = name.strip_suffix(".rs") {
                let module: Module = stem.strip_suffix("/mod").unwrap_or(stem).split('/').map(str::to_owned).collect();
                sources.insert(module, code_of(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let modules: BTreeSet<Module> = sources.keys().cloned().collect();
    sources.iter().map(|(module, code)| (module.clone(), named_in(code, module, &modules))).collect()
}

/// The code, without comments and without the tests at the end of the file.
fn code_of(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The modules that a module names, except itself and those that it consists of.
fn named_in(code: &str, module: &Module, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let mut named = BTreeSet::new();
    for (start, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        if code[..start].ends_with([':', '$']) {
            continue;
        }
        let path: String = code[start..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
        let mut found: Module = Vec::new();
        for (number, part) in path.split("::").filter(|part| !part.is_empty()).enumerate() {
            match (number, part) {
                (0, "crate") => {}
                (_, "super") => {
                    if number == 0 {
                        found.clone_from(module);
                    }
                    found.pop();
                }
                (_, part) => found.push(part.to_owned()),
            }
        }
        // What follows the module is an item of it.
        while !found.is_empty() && !modules.contains(&found) {
            found.pop();
        }
        if !found.is_empty() && found != *module {
            named.insert(found);
        }
    }
    named
}

fn layer_of(module: &Module) -> usize {
    let layer = module.first().unwrap();
    LAYERS.iter().position(|name| name == layer).unwrap_or_else(|| panic!("{layer} is in no layer"))
}

#[test]
fn each_layer_imports_only_from_those_below_it() {
    let mut found = Vec::new();
    for (module, named) in imports() {
        for other in named {
            if layer_of(&other) > layer_of(&module) {
                found.push(format!("{} imports {}", module.join("::"), other.join("::")));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports();
    assert!(imports.len() > 50, "the sources are there");
    let mut imports = imports;
    // A room's own file is its table of contents and has what all of its files are about: they name it, and it names them.
    for (module, named) in &mut imports {
        named.retain(|other| !is_room_of(other, module) && !is_room_of(module, other));
    }
    let circular: Vec<_> = imports.keys().filter(|module| reachable_from(module, &imports).contains(*module)).collect();
    let circles = circular.iter().map(|module| {
        let named = imports[*module].iter().filter(|other| circular.contains(other)).map(|other| other.join("::"));
        format!("{} imports {}", module.join("::"), named.collect::<Vec<_>>().join(", "))
    });
    assert!(circular.is_empty(), "{}", circles.collect::<Vec<_>>().join("\n"));
}

/// What a module imports, and what that imports, and so on.
fn reachable_from(module: &Module, imports: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&Module> = imports[module].iter().collect();
    while let Some(next) = left.pop() {
        if reached.insert(next.clone()) {
            left.extend(&imports[next]);
        }
    }
    reached
}

fn is_room_of(room: &Module, module: &Module) -> bool {
    module.len() > room.len() && module.starts_with(room)
}

#[test]
fn an_import_from_above_and_a_circle_would_be_found() {
    let modules: BTreeSet<Module> = [vec!["sys"], vec!["sys", "words"], vec!["engine"], vec!["engine", "read"]]
        .map(|path| path.into_iter().map(str::to_owned).collect())
        .into();
    let module: Module = vec!["sys".to_owned(), "words".to_owned()];
    let named = |code: &str| named_in(&code_of(code), &module, &modules);
    let paths = |code: &str| named(code).into_iter().map(|module| module.join("::")).collect::<Vec<_>>();
    assert_eq!(paths("use crate::engine::read::{Meta, Moment};"), ["engine::read"]);
    assert_eq!(paths("use super::super::engine::Store;"), ["engine"]);
    assert_eq!(paths("fn f() -> super::Lock {}"), ["sys"]);
    assert_eq!(paths("// use crate::engine::Store;"), [""; 0]);
    assert_eq!(paths("use super::words::Words;"), [""; 0]);
}
