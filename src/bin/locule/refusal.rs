//! What is said when the answer is no.

use std::path::Path;

use crate::Verdict;
use crate::failure::shown;
use crate::output::{self, visible};

/// There is no such record.
pub fn of_key(file: &Path, key: &str) -> Verdict {
    output::complain(format_args!("locule: {} has no record {}", shown(file), visible(key)));
    Verdict::Bad
}

/// The record has another version.
pub fn of_version(file: &Path, found: u64) -> Verdict {
    let found =
        if found == 0 { "there is no such record".to_owned() } else { format!("the record has version {found}") };
    output::complain(format_args!("locule: {}: nothing was changed: {found}", shown(file)));
    Verdict::Bad
}
