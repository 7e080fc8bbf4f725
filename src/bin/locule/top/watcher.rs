//! Watches a table, through whatever becomes of it: replaced, destroyed, recovered, damaged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use locule::admin::{self, Condition, Info};
use locule::{Error, Recovery, RecoveryOutcome, Status, Table, Timestamp, Values};

use super::extent::Extent;
use super::facts::{Facts, Lock, Rates, User};
use super::looker::Looker;
use super::looks::Looks;
use super::paced::Paced;
use super::recent::Recent;
use crate::counts;
use crate::failure::{Failure, report, shown};
use crate::lock_holder::Holder;
use crate::map::SlotMap;
use crate::opening::id_of;
use crate::surroundings::{activity_of, process_of, users_of};

/// How long a look waits for others at most, such as for one that is just opening the table.
const PATIENCE: Duration = Duration::from_millis(200);
/// Into how many parts a map is divided at most.
const RUN_COUNT: u32 = 4096;

/// Watches one file.
pub struct Watcher {
    file: PathBuf,
    watched: Option<Watched>,
    problem: Option<String>,
    /// The newest counters that were seen.
    status: Option<Status>,
    users: Vec<(u32, String)>,
    users_paced: Paced,
    /// What is left of a file that cannot be opened.
    remains: Option<SlotMap>,
    is_damaged: bool,
    opening_paced: Paced,
    looked_at: Instant,
}

/// A table that is open.
struct Watched {
    table: Arc<Table<Values>>,
    /// None for a copy, whose lock nobody takes.
    looker: Option<Looker>,
    /// What the file says of itself, if the table is a copy: that one begins with a recovery, as if it had been made just now.
    status_of_file: Option<Status>,
    recent: Recent,
    map: Option<SlotMap>,
    map_paced: Paced,
    extent: Arc<Extent>,
    /// The counters at the last look, and when that was.
    before: Option<(Instant, Status)>,
}

impl Watcher {
    /// Looks at a file for the first time. It is an error if nothing can be shown of it.
    pub fn open(file: &Path) -> Result<Self, Failure> {
        let mut watcher = Watcher {
            file: file.to_owned(),
            watched: None,
            problem: None,
            status: None,
            users: Vec::new(),
            users_paced: Paced::default(),
            remains: None,
            is_damaged: false,
            opening_paced: Paced::default(),
            looked_at: Instant::now(),
        };
        watcher.open_table_if_due();
        if watcher.watched.is_none() && watcher.status.is_none() {
            // Why not; or it has become possible meanwhile.
            admin::info(file).map_err(Failure::about(file))?;
        }
        Ok(watcher)
    }

    /// Looks again.
    pub fn look(&mut self) -> Facts {
        let now = Instant::now();
        let seconds = now.saturating_duration_since(self.looked_at).as_secs_f64();
        self.looked_at = now;
        if self.watched.as_ref().is_none_or(Watched::is_only_a_copy) {
            self.open_table_if_due();
        }
        let mut facts = Facts {
            time: Timestamp::now(),
            seconds,
            is_watched: false,
            is_damaged: false,
            problem: None,
            status: self.status,
            rates: None,
            lock: Lock::default(),
            death_count: 0,
            users: Vec::new(),
            map: None,
            changes: None,
        };
        let mut count_by_thread = (HashMap::new(), 0);
        if let Some(watched) = &mut self.watched {
            let looks = watched.looker.as_ref().map(Looker::take).unwrap_or_default();
            count_by_thread = (looks.count_by_thread.clone(), looks.look_count);
            match watched.look(looks, &mut facts, &self.file) {
                Ok(()) => self.status = facts.status,
                Err(error) => {
                    self.is_damaged = matches!(error, Error::Damaged { .. });
                    self.problem = Some(what_became(error, &self.file));
                    self.watched = None;
                    // What is there now is not what took long to open.
                    self.opening_paced = Paced::default();
                }
            }
        }
        facts.is_watched = self.watched.is_some();
        facts.is_damaged = self.is_damaged;
        if self.watched.is_none() {
            facts.map.clone_from(&self.remains);
        }
        facts.problem = self.problem.clone().or(facts.problem);
        if let Some(users) = self.users_paced.run(|| users_of(&self.file)) {
            self.users = users.into_iter().map(|user| (user.pid, user.name)).collect();
        }
        facts.users = users(&self.users, &count_by_thread.0, count_by_thread.1);
        facts
    }

    fn open_table_if_due(&mut self) {
        let mut paced = std::mem::take(&mut self.opening_paced);
        paced.run(|| self.open_table());
        self.opening_paced = paced;
    }

    /// Opens the table, or says why that is not possible, and what can be seen all the same.
    fn open_table(&mut self) {
        let file = &self.file;
        self.problem = match Watched::open(file) {
            Ok(watched) => {
                self.watched = Some(watched);
                self.remains = None;
                self.is_damaged = false;
                None
            }
            Err(Error::DoesNotExist { .. }) if self.status.is_some() => {
                Some(format!("{} is gone: destroyed, moved or deleted; the figures are its last", shown(file)))
            }
            Err(error) => match admin::info(file) {
                Ok(info) => {
                    self.status = Some(known_of(&info));
                    self.remains = SlotMap::of_file(file, RUN_COUNT).ok();
                    self.is_damaged = matches!(info.condition, Condition::NeedsRecovery { outcome: Err(_), .. });
                    match info.condition {
                        Condition::NeedsRecovery { outcome: Err(error), .. } => Some(explained(error, file)),
                        _ => Some(explained(error, file)),
                    }
                }
                Err(_) => Some(explained(error, file)),
            },
        };
    }
}

impl Watched {
    fn open(file: &Path) -> Result<Self, Error> {
        // Before, so that a file that is replaced in between is noticed.
        let extent = Extent::of(file);
        let options = Table::<Values>::options().allow_any_file_system(true).lock_timeout(PATIENCE);
        let table = Arc::new(options.open_read_only(file)?);
        let open = |source| Error::Io { action: "open", path: file.to_owned(), source };
        let extent = Arc::new(extent.map_err(open)?);
        let is_copy = table.recovery().is_private_copy;
        Ok(Watched {
            looker: (!is_copy).then(|| Looker::start(Arc::clone(&table), Arc::clone(&extent))),
            status_of_file: if is_copy { admin::info(file).ok().map(|info| known_of(&info)) } else { None },
            recent: Recent::new(&table),
            map: None,
            map_paced: Paced::default(),
            extent,
            before: None,
            table,
        })
    }

    fn is_only_a_copy(&self) -> bool {
        self.table.recovery().is_private_copy
    }

    fn look(&mut self, looks: Looks, facts: &mut Facts, file: &Path) -> Result<(), Error> {
        // Whether the table is still what it was.
        self.check_extent()?;
        self.table.cursor()?;
        if id_of(file).is_some_and(|id| self.extent.id() != Some(id)) {
            return Err(Error::Superseded);
        }
        let (now, status) = (Instant::now(), self.status_of_file.unwrap_or_else(|| self.table.status()));
        if !self.is_only_a_copy() {
            facts.rates = self.before.and_then(|before| rates(before, (now, status)));
            self.before = Some((now, status));
            facts.death_count = death_count(&status);
        }
        facts.status = Some(status);
        facts.problem = self.problem(file);
        let holder = looks.holding.map(|holding| {
            let state = status.writer.filter(|writer| writer.thread_id == holding.thread_id).map(|writer| writer.state);
            Holder::of(holding.thread_id, state, Some(now.saturating_duration_since(holding.since)))
        });
        facts.lock = Lock::new(looks, holder);
        let capacity = u32::try_from(self.table.capacity()).unwrap_or(u32::MAX);
        self.check_extent()?;
        let slots_per_run = capacity.div_ceil(RUN_COUNT).max(1);
        if let Some(live_counts) = self.map_paced.run(|| self.table.live_counts(slots_per_run)) {
            self.map = Some(SlotMap { capacity, slots_per_run, live_counts: live_counts? });
        }
        facts.map.clone_from(&self.map);
        self.check_extent()?;
        self.recent.look(&self.table)?;
        facts.changes = self.recent.newest_first();
        Ok(())
    }

    fn check_extent(&self) -> Result<(), Error> {
        // A copy in memory stays whole.
        if self.extent.is_cut_off() && !self.is_only_a_copy() {
            return Err(Error::Damaged { reason: "a part of its file was cut off".to_owned() });
        }
        Ok(())
    }

    /// What is special about what is seen.
    fn problem(&self, file: &Path) -> Option<String> {
        let status = self.table.status();
        match self.table.recovery() {
            Recovery { outcome: RecoveryOutcome::Unopened { .. }, .. } => {
                return Some(format!(
                    "{} was made by a backup or a repair, and no writer has opened it yet",
                    shown(file)
                ));
            }
            Recovery { is_private_copy: true, .. } => {
                return Some(format!("{} needs a recovery: shown is what the next writer will find", shown(file)));
            }
            _ => {}
        }
        if !counts::is_possible(status.live_count, &status) {
            return Some(format!("{} has {}", shown(file), counts::records(&status)));
        }
        if status.flush_failed {
            return Some(format!("a flush of {} failed: nothing is synced until everybody has closed it", shown(file)));
        }
        let is_nameless = id_of(file).is_none();
        is_nameless.then(|| format!("{} is gone: this is a table that was moved or deleted", shown(file)))
    }
}

/// What is known of a file that cannot be used as it is. Its counters can say anything, but a sync record that is whole was
/// written by a sync.
fn known_of(info: &Info) -> Status {
    let mut status = info.status;
    let newest = info.syncs.iter().flatten().max_by_key(|sync| sync.number);
    if let Some(newest) = newest.filter(|_| !matches!(info.condition, Condition::InOrder)) {
        (status.last, status.durable, status.last_sync) = (newest.number, newest.number, Some(newest.wall_time));
    }
    if let Condition::NeedsRecovery { outcome: Ok(recovery), .. } = &info.condition {
        status.last = recovery.number;
    }
    status
}

fn death_count(status: &Status) -> u64 {
    if !counts::is_possible(status.live_count, status) {
        return 0;
    }
    let counts = status.repair_counts;
    let all = [counts.holding, counts.staging, counts.prepared, counts.publishing, status.dead_syncer_count];
    all.into_iter().fold(0, u64::saturating_add)
}

/// Writes and syncs a second; `None` if the counters began anew.
fn rates(before: (Instant, Status), now: (Instant, Status)) -> Option<Rates> {
    let seconds = now.0.saturating_duration_since(before.0).as_secs_f64();
    let is_one_count = before.1.recovery_count == now.1.recovery_count && seconds > 0.0;
    let per_second = |count: fn(&Status) -> u64| Some(count(&now.1).checked_sub(count(&before.1))? as f64 / seconds);
    let rates = || {
        Some(Rates {
            writes_per_second: per_second(|status| status.last)?,
            syncs_per_second: per_second(|status| status.sync_count)?,
        })
    };
    if is_one_count { rates() } else { None }
}

/// The users, the busiest first.
fn users(found: &[(u32, String)], count_by_thread: &HashMap<u32, u64>, look_count: u64) -> Vec<User> {
    let mut count_by_process: HashMap<u32, u64> = HashMap::new();
    for (thread_id, count) in count_by_thread {
        *count_by_process.entry(process_of(*thread_id).unwrap_or(*thread_id)).or_default() += count;
    }
    let mut users: Vec<User> = found
        .iter()
        .map(|(pid, name)| {
            let count = count_by_process.get(pid).copied().unwrap_or(0);
            let held_share = if look_count == 0 { 0.0 } else { count as f64 / look_count as f64 };
            User { pid: *pid, name: name.clone(), activity: activity_of(*pid), held_share }
        })
        .collect();
    users.sort_by(|left, right| right.held_share.total_cmp(&left.held_share));
    users
}

/// What ended the watching.
fn what_became(error: Error, file: &Path) -> String {
    match error {
        Error::Recovered => format!("{} was recovered: it is opened anew", shown(file)),
        Error::Superseded | Error::Condemned => format!("{} was replaced or destroyed: it is opened anew", shown(file)),
        error => explained(error, file),
    }
}

fn explained(error: Error, file: &Path) -> String {
    report(&Failure::about(file)(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To look there would end the process.
    #[test]
    fn a_file_that_is_cut_off_is_not_looked_into() {
        let directory = tempfile::tempdir().unwrap();
        let schema: locule::Schema = "key id: u64".parse().unwrap();
        let path = directory.path().join("rows.loc");
        Table::<Values>::options().schema(schema).create(&path).unwrap().close().unwrap();
        let mut watcher = Watcher::open(&path).unwrap();
        assert!(watcher.look().is_watched);
        // It looks at other times.
        watcher.watched.as_mut().unwrap().looker = None;
        std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        let facts = watcher.look();
        assert!(!facts.is_watched && facts.lag().is_none());
        assert!(facts.problem.unwrap().contains("a part of its file was cut off"));
        let problem = watcher.look().problem.unwrap();
        assert!(problem.contains("it is empty"), "{problem}");
    }
}
