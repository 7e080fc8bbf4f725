//! Tables without a record type: whatever is done to one, it is what a plain map says after each step.

#![no_main]

use libfuzzer_sys::fuzz_target;
use locule_fuzz::place::directory;
use locule_fuzz::tables::{Choices, play};

fuzz_target!(|bytes: &[u8]| {
    let path = directory().join("table.loc");
    play(&path, &mut Choices::of_bytes(bytes));
    for left in [path.with_extension("copy"), path] {
        let _ = std::fs::remove_file(left);
    }
});
