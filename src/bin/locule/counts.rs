//! Counts as a file says them: a damaged one can say anything.

use locule::Status;
use serde_json::Value as Json;

/// Whether a table can have so many records, or so many free slots.
pub fn is_possible(count: u64, status: &Status) -> bool {
    count <= status.capacity
}

/// A count for programs: null if it is impossible.
pub fn json_of(count: u64, status: &Status) -> Json {
    is_possible(count, status).then_some(count).into()
}

/// How many records there are, for people.
pub fn records(status: &Status) -> String {
    let Status { live_count, capacity, .. } = status;
    if is_possible(*live_count, status) {
        format!("{live_count} of {capacity} records")
    } else {
        format!("an impossible count of records, {live_count} of {capacity}: the file is damaged")
    }
}
