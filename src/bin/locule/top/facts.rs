//! What is known of a table at one moment: what the view draws and the lines print.

use locule::{Status, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::durations::Durations;
use super::figures::seconds_since;
use super::looks::Looks;
use crate::counts;
use crate::lock_holder::Holder;
use crate::map::SlotMap;
use crate::surroundings::Activity;

/// What is known of a table at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub time: Timestamp,
    /// Since the facts before.
    pub seconds: f64,
    /// Whether the table is open, and the figures are those of now.
    pub is_watched: bool,
    /// Whether nothing but the sync records of the file is believed.
    pub is_damaged: bool,
    /// What keeps the table from being watched, or what is special about what is seen.
    pub problem: Option<String>,
    /// The counters, unless nothing of the table was ever seen.
    pub status: Option<Status>,
    /// None at first, and after the table was replaced or recovered.
    pub rates: Option<Rates>,
    pub lock: Lock,
    /// How many writers and syncers of the table that is watched died since its last recovery.
    pub death_count: u64,
    /// The processes that have the table open: the busiest first.
    pub users: Vec<User>,
    pub map: Option<SlotMap>,
    /// The newest first; none if the table is too large to be followed.
    pub changes: Option<Vec<RecentChange>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub writes_per_second: f64,
    pub syncs_per_second: f64,
}

/// What looks at the lock and at syncs have shown.
#[derive(Clone, Debug, Default)]
pub struct Lock {
    pub look_count: u64,
    pub held_share: f64,
    pub waited_for_share: f64,
    /// Who has kept it for long, or held it at the last look.
    pub holder: Option<Holder>,
    /// Its last holder died, and nobody has taken it since.
    pub is_abandoned: bool,
    pub holdings: Durations,
    pub flushes: Durations,
    pub is_flushing: bool,
}

impl Lock {
    pub fn new(looks: Looks, holder: Option<Holder>) -> Self {
        let share = |count: u64| if looks.look_count == 0 { 0.0 } else { count as f64 / looks.look_count as f64 };
        Lock {
            look_count: looks.look_count,
            held_share: share(looks.held_count),
            waited_for_share: share(looks.waited_for_count),
            holder,
            is_abandoned: looks.is_abandoned,
            holdings: looks.holdings,
            flushes: looks.flushes,
            is_flushing: looks.is_flushing,
        }
    }
}

/// After this long it is worth saying who holds the lock.
pub const LONG_SECONDS: f64 = 0.1;

impl Lock {
    /// The holder, if it has kept the lock for long, and for how long.
    pub fn long_holder(&self) -> Option<(&Holder, f64)> {
        let holder = self.holder.as_ref()?;
        let seconds = holder.held_for?.as_secs_f64();
        (seconds >= LONG_SECONDS).then_some((holder, seconds))
    }
}

/// A process that has the table open.
#[derive(Clone, Debug)]
pub struct User {
    pub pid: u32,
    pub name: String,
    pub activity: Activity,
    /// In how much of the looks it held the lock.
    pub held_share: f64,
}

/// What became of a record, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentChange {
    /// `+` for a record that was inserted, `~` for one that was updated, `-` for one that was deleted.
    pub mark: char,
    /// Its key, or what else names it.
    pub name: String,
    /// Its other fields.
    pub rest: String,
}

impl Facts {
    /// How many transactions a power cut would cost now.
    pub fn lag(&self) -> Option<u64> {
        self.status.filter(|_| !self.is_damaged).map(|status| status.last.saturating_sub(status.durable))
    }

    pub fn seconds_since_sync(&self) -> Option<f64> {
        self.status.and_then(|status| status.last_sync).map(seconds_since)
    }

    /// One object, with the names that `locule info --json` has.
    pub fn to_json(&self) -> Json {
        let number = |number: fn(&Status) -> u64| self.status.as_ref().map(number);
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let members = [
            ("time", json!(self.time.to_string())),
            ("elapsed_seconds", json!(self.seconds)),
            ("problem", json!(self.problem)),
            ("writes_per_second", json!(self.rates.map(|rates| rates.writes_per_second))),
            ("syncs_per_second", json!(self.rates.map(|rates| rates.syncs_per_second))),
            ("record_count", json!(self.status.map(|status| counts::json_of(status.live_count, &status)))),
            ("capacity", json!(number(|status| status.capacity))),
            ("newest_number", json!(text(number(|status| status.last)))),
            ("synced_number", json!(text(number(|status| status.durable)))),
            ("unsynced_count", json!(self.lag())),
            ("since_sync_seconds", json!(self.seconds_since_sync())),
            ("lock", self.lock.to_json()),
            ("users", self.users.iter().map(User::to_json).collect()),
        ];
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    }
}

impl Lock {
    fn to_json(&self) -> Json {
        json!({
            "look_count": self.look_count,
            "held_share": self.held_share,
            "waited_for_share": self.waited_for_share,
            "holder": self.holder.as_ref().map(Holder::to_json),
            "is_abandoned": self.is_abandoned,
            "holdings": durations(&self.holdings),
            "flushes": durations(&self.flushes),
        })
    }
}

fn durations(durations: &Durations) -> Json {
    json!({
        "count": durations.count,
        "percentiles_ns": { "50": durations.quantile(0.5), "99": durations.quantile(0.99) },
        "longest_ns": (durations.count > 0).then_some(durations.longest),
    })
}

impl User {
    fn to_json(&self) -> Json {
        json!({
            "pid": self.pid,
            "name": self.name,
            "activity": self.activity.in_words(),
            "held_share": self.held_share,
        })
    }
}
