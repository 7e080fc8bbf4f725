//! `locule info`: what a table is, and how it is doing.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use locule::Timestamp;
use locule::admin::{self, Condition, Info};
use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::lock_holder::{self, Holder};
use crate::surroundings::{User, file_system_of, users_of};
use crate::writing::{Members, Reporting};
use crate::{Result, Verdict, counts, map, output};

/// Shows what a table is, how full, how far synced, which processes have it open, and which one holds its lock.
///
/// Takes no lock and changes nothing, so it can be used at any time. Exit status 1 if the table needs a recovery that
/// is not possible.
#[derive(Args)]
#[command(after_help = "\
Examples:
  locule info visits.loc
  locule info visits.loc --json | jq '.users[].pid'
  locule info visits.loc --map")]
pub struct Options {
    /// The table.
    file: PathBuf,
    #[command(flatten)]
    reporting: Reporting,
    /// Draw where the records are in the table.
    #[arg(long, conflicts_with = "json")]
    map: bool,
}

/// Prints a line for each fact.
pub fn run(options: &Options) -> Result<Verdict> {
    let info = admin::info(&options.file).map_err(Failure::about(&options.file))?;
    let around = Around {
        users: users_of(&options.file),
        holder: info.status.writer.map(|writer| lock_holder::watch(&options.file, writer)),
        file_system: file_system_of(&options.file),
    };
    let text = describe(&info, &around)?;
    options.reporting.print_findings(|| members(&info, &around), || text)?;
    if options.map {
        map::print(&options.file)?;
    }
    match info.condition {
        Condition::NeedsRecovery { outcome: Err(_), .. } => Ok(Verdict::Bad),
        _ => Ok(Verdict::Good),
    }
}

/// What is not in the file.
struct Around {
    users: Vec<User>,
    holder: Option<Holder>,
    file_system: Option<String>,
}

fn describe(info: &Info, around: &Around) -> Result<String> {
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<16}{value}");
    let status = &info.status;
    line("format", info.format_version.to_string())?;
    line("uuid", info.uuid.clone())?;
    line("created", info.created.to_string())?;
    line("file", format!("{} bytes{}", info.file_bytes, if info.is_in_use { ", in use" } else { "" }))?;
    line("schema", in_column(&info.schema.to_string()))?;
    line("record", format!("{} bytes", info.schema.record_bytes()))?;
    let retired_count = status.capacity.saturating_sub(status.live_count).saturating_sub(info.free_count);
    let retired = if retired_count == 0 { String::new() } else { format!(", {retired_count} worn out") };
    let counts = format!("{} of {}, {} free{retired}", status.live_count, status.capacity, info.free_count);
    let is_possible = [status.live_count, info.free_count].iter().all(|count| counts::is_possible(*count, status));
    line("records", if is_possible { counts } else { format!("impossible: the file is damaged: it says {counts}") })?;
    match &info.condition {
        Condition::NeedsRecovery { reason, outcome } => {
            line("condition", format!("needs a recovery: {reason}"))?;
            line("recovery", outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string))?;
        }
        Condition::Unopened { made } => {
            line("condition", format!("in order, and not opened since it was made at {made}"))?
        }
        _ => line("condition", "in order".to_owned())?,
    }
    if let Some(pending) = info.pending {
        let what =
            if pending.is_prepared { "has happened: the next writer finishes it" } else { "the next writer undoes it" };
        line("pending", format!("transaction {} of a writer that died; {what}", pending.number))?;
    }
    line("transactions", format!("{} published, {} durable", status.last, status.durable))?;
    if let Some(seconds) = seconds_since_sync(info) {
        line("last sync", format!("{seconds:.1} s ago"))?;
    }
    for (record, sync) in info.syncs.iter().enumerate() {
        let sync = sync.map_or("not whole".to_owned(), |sync| {
            format!("transaction {}, {} records, {}", sync.number, sync.live_count, sync.wall_time)
        });
        line(&format!("sync record {record}"), sync)?;
    }
    if let Some(file_system) = &around.file_system {
        line("file system", output::visible(file_system).into_owned())?;
    }
    if info.is_in_memory {
        line("storage", "in memory: sync() makes nothing durable, a restart deletes the table".to_owned())?;
    }
    if status.flush_failed {
        line("storage", "a flush failed: nothing is synced until everybody has closed the table".to_owned())?;
    }
    line("write lock", around.holder.as_ref().map_or("free".to_owned(), in_words))?;
    for user in &around.users {
        line("open in", format!("process {}, {}", user.pid, output::visible(&user.name)))?;
    }
    let repairs = &status.repair_counts;
    line("syncs", status.sync_count.to_string())?;
    line("recoveries", status.recovery_count.to_string())?;
    line(
        "owner deaths",
        format!(
            "{} holding, {} staging, {} prepared, {} publishing, {} syncing",
            repairs.holding, repairs.staging, repairs.prepared, repairs.publishing, status.dead_syncer_count
        ),
    )?;
    line("index rebuilds", status.index_rebuild_count.to_string())?;
    Ok(text)
}

/// Who holds the lock, what it does, and for how long at least. When it took the lock, nobody knows.
fn in_words(holder: &Holder) -> String {
    let state = holder.state.map(|state| format!(", {state}")).unwrap_or_default();
    let who = format!("held by {}{state}, {}", holder.identity(), holder.activity.in_words());
    match holder.held_for.map(|time| time.as_millis()) {
        Some(0) => format!("{who}; let go at once"),
        Some(milliseconds) => format!("{who}, for {milliseconds} ms at least"),
        None => who,
    }
}

/// How long ago the newest sync was, by the clock of this machine.
fn seconds_since_sync(info: &Info) -> Option<f64> {
    let newest = info.syncs.iter().flatten().map(|sync| sync.wall_time).max()?;
    let passed = Timestamp::now().microseconds().checked_sub(newest.microseconds())?;
    Some(passed.max(0) as f64 / 1e6)
}

/// The same facts for programs. Numbers are numbers: none of them comes near 2^53 in practice, but for the versions, which
/// are texts like those of records.
fn members(info: &Info, around: &Around) -> Members {
    let status = &info.status;
    let repairs = &status.repair_counts;
    let sync = |sync: &admin::SyncInfo| {
        json!({
            "number": sync.number.to_string(),
            "record_count": sync.live_count,
            "time": sync.wall_time.to_string(),
        })
    };
    vec![
        ("format_version", info.format_version.into()),
        ("uuid", info.uuid.clone().into()),
        ("created", info.created.to_string().into()),
        ("file_bytes", info.file_bytes.into()),
        ("file_system", around.file_system.clone().into()),
        ("is_in_memory", info.is_in_memory.into()),
        ("schema", info.schema.to_string().into()),
        ("record_bytes", info.schema.record_bytes().into()),
        ("record_count", counts::json_of(status.live_count, status)),
        ("capacity", status.capacity.into()),
        ("free_count", counts::json_of(info.free_count, status)),
        ("condition", json_of_condition(&info.condition)),
        (
            "pending",
            info.pending.as_ref().map_or(
                Json::Null,
                |pending| json!({ "number": pending.number.to_string(), "is_prepared": pending.is_prepared }),
            ),
        ),
        ("newest_number", status.last.to_string().into()),
        ("synced_number", status.durable.to_string().into()),
        ("since_sync_seconds", seconds_since_sync(info).into()),
        ("syncs", info.syncs.iter().map(|found| found.as_ref().map_or(Json::Null, sync)).collect()),
        ("has_flush_failed", status.flush_failed.into()),
        ("is_in_use", info.is_in_use.into()),
        ("users", around.users.iter().map(|user| json!({ "pid": user.pid, "name": user.name })).collect()),
        ("writer", around.holder.as_ref().map_or(Json::Null, Holder::to_json)),
        ("sync_count", status.sync_count.into()),
        ("recovery_count", status.recovery_count.into()),
        (
            "owner_deaths",
            json!({
                "holding": repairs.holding,
                "staging": repairs.staging,
                "prepared": repairs.prepared,
                "publishing": repairs.publishing,
                "syncing": status.dead_syncer_count,
            }),
        ),
        ("index_rebuild_count", status.index_rebuild_count.into()),
    ]
}

/// Whether a table is in order, and otherwise what will come of it.
pub fn json_of_condition(condition: &Condition) -> Json {
    match condition {
        Condition::NeedsRecovery { reason, outcome } => json!({
            "is_in_order": false,
            "reason": reason,
            "can_be_recovered": outcome.is_ok(),
            "recovery": outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string),
        }),
        Condition::Unopened { made } => json!({ "is_in_order": true, "unopened_since": made.to_string() }),
        _ => json!({ "is_in_order": true }),
    }
}

/// A text of several lines, each below the one before it, and without control characters, which a documentation can
/// have.
fn in_column(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(output::visible).collect();
    lines.join(&format!("\n{:16}", ""))
}
