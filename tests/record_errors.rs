//! A mistake in `record!` does not compile, and the compiler's message names the mistake.
//!
//! Each case is a program in a scratch package that depends on this crate as a user's does. It is checked by cargo, and
//! must fail with its phrase. Programs that are right must pass, so that no case fails for a reason of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Programs that are right.
const ACCEPTED: &[(&str, &str)] = &[
    (
        "plain",
        "locule::record! { pub struct R { key id: u64, text: locule::Text<8> = locule::Text::literal(\"eight!!!\") } }",
    ),
    ("raw", "locule::record! { struct R { r#type: u8 } }"),
    ("largest", "locule::record! { struct R { text: locule::Text<65_534> } }"),
];

/// Programs with a mistake, and what the message must contain.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "two_keys",
        "struct R { key a: u8, b: u8, key c: u8 }",
        "two keys: a record has at most one, and `c` is the second",
    ),
    ("nullable_key", "struct R { a: u8, pub key b: Option<u8> }", "a nullable key: `b`"),
    ("nullable_key_path", "struct R { key b: std::option::Option<u8> }", "cannot be a key"),
    ("float_key", "struct R { key a: f64 }", "a float key: `a`"),
    ("small_float_key", "struct R { key pub a: f32, b: u8 }", "a float key: `a`"),
    ("zero_text", "struct R { a: Text<0> }", "a zero-width field: `a`"),
    ("zero_bytes", "struct R { key a: locule::Bytes<0> }", "a zero-width field: `key a`"),
    ("zero_option", "struct R { a: Option<Text<0>> }", "a zero-width field: `a`"),
    ("hidden_zero", "struct R { a: Text<{ 1 - 1 }> }", "the capacity is 1 to 65,535 bytes"),
    ("wide_text", "struct R { a: Text<65_536> }", "the capacity of Text and Bytes is 1 to 65,535 bytes"),
    ("too_large", "struct R { a: Text<65_535> }", "a record has at most 65,536 bytes"),
    ("no_fields", "struct R {}", "a record needs at least one field"),
    ("unit", "struct R;", "a record needs named fields"),
    ("tuple", "struct R(u8);", "a record needs named fields"),
    ("generics", "struct R<const N: usize> { a: Text<N> }", "a record cannot have generics"),
    ("enumeration", "enum R { A }", "expected one record"),
    ("no_type", "struct R { a: u8, b }", "expected a field, `[pub] [key] name: type [= default]`, found: b"),
    ("conditional", "struct R { #[cfg(unix)] a: u8 }", "a field of a record cannot be conditional"),
    ("long_default", "struct R { a: Text<4> = Text::literal(\"hello\") }", "the literal is longer than the field"),
    ("wrong_default", "struct R { a: u8 = \"hello\" }", "mismatched types"),
    ("name_not_ascii", "struct R { größe: u8 }", "ASCII letters, digits and underscores"),
    ("other_type", "struct R { a: String }", "`String` cannot be a field of a record"),
    ("two_options", "struct R { a: Option<Option<u8>> }", "`Option<u8>"),
];

/// Runs `cargo check` for one program of the package. Returns whether it compiled, and what the compiler said.
fn check(package: &Path, name: &str) -> (bool, String) {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--quiet", "--offline", "--color", "never", "--bin", name])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(package.join("target"))
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn each_mistake_is_named() {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record_errors");
    let sources = package.join("src/bin");
    // What an earlier version of this test left is not checked again; what was compiled stays and saves time.
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).unwrap();
    let crate_root = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"record_errors\"\nedition = \"2024\"\n[dependencies]\nlocule = {{ path = {crate_root:?} }}\n[workspace]\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    // The versions that this crate was built with are those that are there without a network.
    let _ = fs::copy(Path::new(crate_root).join("Cargo.lock"), package.join("Cargo.lock"));

    for (name, program) in ACCEPTED {
        fs::write(sources.join(format!("{name}.rs")), format!("{program}\nfn main() {{}}\n")).unwrap();
    }
    for (name, record, _) in REFUSED {
        let program = format!(
            "#![allow(unused_imports)]\nuse locule::{{Bytes, Text}};\nlocule::record! {{ {record} }}\nfn main() {{}}\n"
        );
        fs::write(sources.join(format!("{name}.rs")), program).unwrap();
    }

    for (name, program) in ACCEPTED {
        let (is_accepted, messages) = check(&package, name);
        assert!(is_accepted, "{program}\nshould compile:\n{messages}");
    }
    for (name, record, phrase) in REFUSED {
        let (is_accepted, messages) = check(&package, name);
        assert!(!is_accepted, "{record}\nshould not compile");
        assert!(messages.contains(phrase), "{record}\nshould not compile because of {phrase:?}:\n{messages}");
    }
}
