//! What the fuzz targets share. It is of use only to them: letting a process die at an access takes a build for
//! fuzzing.

#![cfg(fuzzing)]

pub mod image;
pub mod model;
pub mod place;
pub mod tables;
pub mod template;

/// Prints what an input means, if `LOCULE_SHOW` is set: for people who look at a finding.
pub fn show(input: &impl std::fmt::Debug) {
    static IS_ASKED_FOR: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| std::env::var_os("LOCULE_SHOW").is_some());
    if *IS_ASKED_FOR {
        eprintln!("{input:#?}");
    }
}
