//! What is read, what is refused with which words, and that what a condition shows is read as the same condition.

mod mistakes;
mod reading;

use crate::schema::Schema;

fn schema() -> Schema {
    "key id: u64, user: text(32), hits: u32, note: text(40)?, score: f64, ratio: f32, is_new: bool, is_old: bool?, \
     digest: bytes(8), seen: timestamp?, born: date, wide: i128, in: u8"
        .parse()
        .unwrap()
}
