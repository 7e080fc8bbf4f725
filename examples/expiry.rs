//! Sessions that expire: how long it takes to delete them from a table of 10,000.
//!
//! ```sh
//! cargo run --release --example expiry
//! ```

use locule::{Result, Table, Timestamp};
use std::time::{Duration, Instant};

locule::record! {
    pub struct Session {
        pub key id: u64,
        pub seen: Timestamp,
        pub content: [u8; 200],
    }
}

/// Deletes sessions that nobody has used for an hour, at most this many. Returns how many.
pub fn expire(table: &Table<Session>, limit: u64) -> Result<u64> {
    let an_hour_ago = Timestamp::now() - Duration::from_secs(3600);
    table.query().filter(Session::FIELDS.seen.lt(an_hour_ago)).limit(limit).delete()
}

const COUNT: u64 = 10_000;
const RUN_COUNT: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("sessions.loc");
    // Flushes are another matter: one of them takes as long as the disk needs.
    let table = Table::<Session>::options().capacity(COUNT).sync_every(None).create(path)?;
    println!("of {COUNT} sessions, the median of {RUN_COUNT} calls:");
    for expired_count in [0, 1, 100, 1_000, COUNT] {
        let median = median_of_calls(&table, expired_count)?;
        println!("{expired_count:>6} expired and deleted in one transaction: {median:?}");
    }
    Ok(())
}

/// How long a call takes that finds this many expired sessions.
fn median_of_calls(table: &Table<Session>, expired_count: u64) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..RUN_COUNT {
        let (now, long_ago) = (Timestamp::now(), Timestamp::now() - Duration::from_secs(7200));
        let session =
            |id| Session { id, seen: if id < expired_count { long_ago } else { now }, content: [id as u8; 200] };
        table.replace_all((0..COUNT).map(session))?;
        let start = Instant::now();
        let deleted_count = expire(table, COUNT)?;
        times.push(start.elapsed());
        assert_eq!(deleted_count, expired_count);
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
