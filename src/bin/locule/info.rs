//! `locule info`: what a table is, and how it is doing.

use crate::failure::Failure;
use crate::{Result, Verdict, output};
use clap::Args;
use locule::admin::{self, Condition, Info};
use std::fmt::Write;
use std::path::PathBuf;

/// Shows what a table is, how full, how far synced, and which process holds its lock.
///
/// Takes no lock and changes nothing, so it can be used at any time. Exit status 1 if the table needs a recovery that
/// is not possible.
#[derive(Args)]
#[command(after_help = "Examples:\n  locule info visits.loc")]
pub struct Options {
    /// The table.
    file: PathBuf,
}

/// Prints a line for each fact.
pub fn run(options: &Options) -> Result<Verdict> {
    let info = admin::info(&options.file).map_err(Failure::about(&options.file))?;
    output::print(&describe(&info)?)?;
    match info.condition {
        Condition::NeedsRecovery { outcome: Err(_), .. } => Ok(Verdict::Bad),
        _ => Ok(Verdict::Good),
    }
}

fn describe(info: &Info) -> Result<String> {
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
    line("records", format!("{} of {}, {} free{retired}", status.live_count, status.capacity, info.free_count))?;
    match &info.condition {
        Condition::NeedsRecovery { reason, outcome } => {
            line("condition", format!("needs a recovery: {reason}"))?;
            line("recovery", outcome.as_ref().map_or_else(ToString::to_string, ToString::to_string))?;
        }
        _ => line("condition", "in order".to_owned())?,
    }
    if let Some(pending) = info.pending {
        let what =
            if pending.is_prepared { "has happened: the next writer finishes it" } else { "the next writer undoes it" };
        line("pending", format!("transaction {} of a writer that died; {what}", pending.number))?;
    }
    line("transactions", format!("{} published, {} durable", status.last, status.durable))?;
    for (record, sync) in info.syncs.iter().enumerate() {
        let sync = sync.map_or("not whole".to_owned(), |sync| {
            format!("transaction {}, {} records, {}", sync.number, sync.live_count, sync.wall_time)
        });
        line(&format!("sync record {record}"), sync)?;
    }
    if info.is_in_memory {
        line("storage", "in memory: sync() makes nothing durable, a restart deletes the table".to_owned())?;
    }
    if status.flush_failed {
        line("storage", "a flush failed: nothing is synced until everybody has closed the table".to_owned())?;
    }
    let writer =
        status.writer.map_or("free".to_owned(), |writer| format!("held by process {}, {}", writer.pid, writer.state));
    line("write lock", writer)?;
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

/// A text of several lines, each below the one before it, and without control characters, which a documentation can
/// have.
fn in_column(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(output::visible).collect();
    lines.join(&format!("\n{:16}", ""))
}
