//! A mistake in `record!` or `field_enum!` does not compile, and the compiler's message names the mistake, once.
//!
//! Each case is a program in a scratch package that depends on this crate as a user's does. It is checked by cargo, and
//! must fail with one error, which contains its phrase. Programs that are right must pass, so that no case fails for
//! another reason.

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
    ("derived", "locule::record! { #[derive(Clone, Debug, Copy, PartialEq, Default, Eq)] struct R { a: u8 } }"),
    ("derived_enumeration", "locule::field_enum! { #[derive(Hash, Eq, Clone)] enum E: u8 { A = 1 } }"),
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
    ("conditional_record", "#[cfg(unix)] struct R { a: u8 }", "put `#[cfg]` on a module around it"),
    ("long_default", "struct R { a: Text<4> = Text::literal(\"hello\") }", "the literal is longer than the field"),
    ("wrong_default", "struct R { a: u8 = \"hello\" }", "mismatched types"),
    ("name_not_ascii", "struct R { größe: u8 }", "ASCII letters, digits and underscores"),
    ("other_type", "struct R { a: String, b: u8 }", "`String` cannot be a field of a record"),
    ("other_option", "struct R { a: Option<String> }", "`String` cannot be a field of a record"),
    ("two_options", "struct R { a: Option<Option<u8>> }", "`Option<u8>` is stored as an option already"),
    ("unknown_type", "struct R { a: Strin }", "cannot find type `Strin`"),
];

/// Enumerations with a mistake.
const REFUSED_ENUMERATIONS: &[(&str, &str, &str)] = &[
    ("conditional_enumeration", "#[cfg(unix)] enum E: u8 { A = 1 }", "put `#[cfg]` on a module around it"),
    ("conditional_variant", "enum E: u8 { A = 1, #[cfg(unix)] B = 2 }", "a variant cannot be conditional"),
    ("no_integer", "enum E { A = 1 }", "expected the integer type that is stored: `enum E: u8 { ... }`"),
    ("no_number", "enum E: u8 { A = 1, B }", "expected variants without contents and with the numbers that are stored"),
    ("contents", "enum E: u8 { A(u8) = 1 }", "expected variants without contents"),
    ("number_twice", "enum E: u8 { A = 1, B = 1 }", "discriminant value `1` assigned more than once"),
    ("large_number", "enum E: u8 { A = 256 }", "literal out of range for `u8`"),
    ("structure", "struct E { a: u8 }", "expected one enumeration"),
];

/// Whole programs with a mistake.
const REFUSED_PROGRAMS: &[(&str, &str, &str)] = &[
    (
        "no_default",
        "locule::field_enum! { enum E: u8 { A = 1 } } locule::record! { struct R { a: E } } pub fn f() { R::default(); }",
        "doesn't satisfy `E: Default`",
    ),
    (
        "float_key_inside",
        "#[derive(Clone, Debug, PartialEq)] pub struct Float(f64);
         impl locule::FieldValue for Float {
             type Stored = f64;
             fn to_stored(&self) -> f64 { self.0 }
             fn from_stored(stored: f64) -> locule::Result<Self> { Ok(Float(stored)) }
         }
         locule::record! { pub struct R { key a: Float } }",
        "`f64` cannot be a key",
    ),
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
    // The versions that this crate was built with are those that are available without a network.
    let _ = fs::copy(Path::new(crate_root).join("Cargo.lock"), package.join("Cargo.lock"));

    for (name, program) in ACCEPTED {
        fs::write(sources.join(format!("{name}.rs")), format!("{program}\nfn main() {{}}\n")).unwrap();
    }
    let in_macro = |(name, item, phrase): &(&'static str, &'static str, &'static str), locule_macro: &str| {
        (*name, format!("locule::{locule_macro}! {{ {item} }}"), *phrase)
    };
    let refused: Vec<_> = REFUSED
        .iter()
        .map(|case| in_macro(case, "record"))
        .chain(REFUSED_ENUMERATIONS.iter().map(|case| in_macro(case, "field_enum")))
        .chain(REFUSED_PROGRAMS.iter().map(|(name, program, phrase)| (*name, (*program).to_owned(), *phrase)))
        .collect();
    for (name, program, _) in &refused {
        let head = "#![allow(dead_code, unused_imports)]\nuse locule::{Bytes, Text};";
        fs::write(sources.join(format!("{name}.rs")), format!("{head}\n{program}\nfn main() {{}}\n")).unwrap();
    }

    for (name, program) in ACCEPTED {
        let (is_accepted, messages) = check(&package, name);
        assert!(is_accepted, "{program}\nshould compile:\n{messages}");
    }
    for (name, program, phrase) in &refused {
        let (is_accepted, messages) = check(&package, name);
        assert!(!is_accepted, "{program}\nshould not compile");
        assert!(messages.contains(phrase), "{program}\nshould not compile because of {phrase:?}:\n{messages}");
        let is_error = |line: &&str| line.starts_with("error") && !line.starts_with("error: could not compile");
        let errors: Vec<_> = messages.lines().filter(is_error).collect();
        assert_eq!(errors.len(), 1, "{program}\nhas one mistake, and the errors are {errors:#?}\n{messages}");
    }
}
