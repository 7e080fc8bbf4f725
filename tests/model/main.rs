//! A random program of operations, transactions, queries and schema changes gives the same on a table as on a plain map,
//! for fields of all types.
//!
//! For more: `LOCULE_MODEL_STORIES` says how many programs, and `LOCULE_MODEL_SEED` with which seed to begin. The fuzz
//! target `tables` plays the same stories.

mod alterations;
mod choices;
mod conditions;
mod fields;
mod operations;
mod queries;
mod story;
mod target;
mod world;

use choices::Choices;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const STORY_COUNT: u64 = 100;

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn a_random_program_gives_the_same_on_a_table_as_on_a_map() {
    let first = number_from_environment("LOCULE_MODEL_SEED").unwrap_or(1);
    let count = number_from_environment("LOCULE_MODEL_STORIES").unwrap_or(STORY_COUNT);
    let directory = tempfile::tempdir().unwrap();
    for seed in first..first + count {
        let path = directory.path().join(format!("{seed}.loc"));
        let outcome = catch_unwind(AssertUnwindSafe(|| story::play(&path, &mut Choices::of_seed(seed))));
        if let Err(panic) = outcome {
            eprintln!("again with LOCULE_MODEL_SEED={seed} LOCULE_MODEL_STORIES=1");
            resume_unwind(panic);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
