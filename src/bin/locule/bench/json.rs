//! The report of a run for programs.

use serde_json::{Value as Json, json};

use super::check::Findings;
use super::facts;
use super::latency::{Merged, PERCENTILES};
use super::report::{Refusals, Report};
use super::timeline::per_second;
use crate::writing::Members;

/// The members of one object.
pub fn members(report: &Report) -> Members {
    let iteration_count: u64 = report.iterations.iter().sum();
    let Refusals { conflict_count, duplicate_count, full_count, absent_count } = report.refusals;
    let stretches = report.timeline.stretches();
    let throughput = stretches.iter().map(|stretch| {
        json!({
            "from_seconds": stretch.from.as_secs_f64(),
            "to_seconds": stretch.to.as_secs_f64(),
            "operation_count": stretch.operation_count,
            "operations_per_second": stretch.operations_per_second(),
        })
    });
    let latencies = report.latencies.iter().map(|(name, merged)| ((*name).to_owned(), latency(merged)));
    let latencies = latencies.chain([("all".to_owned(), latency(&report.all))]);
    vec![
        ("is_good", report.is_good().into()),
        ("is_interrupted", report.was_interrupted.into()),
        ("elapsed_seconds", report.elapsed.as_secs_f64().into()),
        ("operation_count", report.all.count().into()),
        ("operations_per_second", per_second(report.all.count(), report.elapsed).into()),
        ("iteration_count", iteration_count.into()),
        ("iterations_per_second", per_second(iteration_count, report.elapsed).into()),
        ("latencies", Json::Object(latencies.collect())),
        ("throughput", throughput.collect()),
        ("worker_iteration_counts", report.iterations.clone().into()),
        (
            "refusals",
            json!({
                "conflict_count": conflict_count,
                "duplicate_count": duplicate_count,
                "full_count": full_count,
                "absent_count": absent_count,
            }),
        ),
        (
            "kills",
            json!({
                "random_count": report.kills.random,
                "aimed_count": report.kills.aimed,
                "at_seconds": report.timeline.kills.iter().map(|at| at.as_secs_f64()).collect::<Vec<_>>(),
            }),
        ),
        (
            "owner_deaths",
            json!({
                "holding": report.deaths.holding,
                "staging": report.deaths.staging,
                "prepared": report.deaths.prepared,
                "publishing": report.deaths.publishing,
            }),
        ),
        ("findings", findings(&report.findings)),
        ("parameters", facts::json_of(&report.parameters)),
        ("machine", facts::json_of(&report.machine)),
    ]
}

fn latency(merged: &Merged) -> Json {
    let percentiles = PERCENTILES.map(|(name, quantile)| (name.to_owned(), merged.quantile_ns(quantile).into()));
    json!({
        "operation_count": merged.count(),
        "percentiles_ns": Json::Object(percentiles.into_iter().collect()),
        "longest_ns": merged.longest_ns,
    })
}

fn findings(findings: &Findings) -> Json {
    json!({
        "record_count": findings.live_count,
        "deleted_count": findings.deleted_count,
        "untouched_count": findings.untouched_count,
        "acknowledged_count": findings.acknowledged_count,
        "uncertain_count": findings.uncertain_count,
        "uncertain_shown_count": findings.uncertain_shown_count,
        "synced_number": findings.synced.to_string(),
        "fault_count": findings.faults.count,
        "faults": findings.faults.first.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
