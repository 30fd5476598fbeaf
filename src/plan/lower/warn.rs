//! What a playbook may say, but what probably is not meant: warnings, never errors.

use super::Cx;
use crate::model::{Dur, ObjectiveKind};
use crate::plan::{Drill, Replication, StagingPlan};
use crate::playbook::Region;
use crate::playbook::ast::DrillAst;
use std::time::Duration;

/// What the embedded staging does if its settings do not say.
const LAG: Duration = Duration::from_millis(300);
const CHECK_EVERY: Duration = Duration::from_millis(100);
const FAILURES: u32 = 3;

pub(super) fn about(cx: &Cx<'_>, sections: &DrillAst<'_>, drill: &Drill) {
    if let Some(name) = &sections.name
        && sections.workloads.is_empty()
        && sections.objectives.is_empty()
        && !cx.said.failed()
    {
        cx.warn(
            name.region,
            "this drill has no workload, so it measures neither an outage nor a loss",
            "add `workload:` with a `ledger` or `http`",
        );
    }
    if let Some(node) = sections.objectives.iter().find(|(k, _)| k.text == "rto").map(|(_, n)| n.region) {
        recovery(cx, node, drill);
    }
    if let Some(node) = sections.objectives.iter().find(|(k, _)| k.text == "rpo").map(|(_, n)| n.region) {
        loss(cx, node, drill);
    }
}

fn recovery(cx: &Cx<'_>, at: Region, drill: &Drill) {
    for objective in drill.objectives.iter().filter(|o| o.kind == ObjectiveKind::Rto) {
        let Some(workload) = drill.workloads.iter().find(|w| w.name == objective.workload) else { continue };
        let target = Duration::from_nanos(objective.target.unsigned_abs());
        let resolution = Duration::from_secs_f64(if workload.rate > 0.0 { 2.0 / workload.rate } else { 0.0 });
        if target <= resolution {
            let message = format!(
                "the RTO {} is shorter than what a rate of {}/s of `{}` can tell",
                Dur(target),
                workload.rate,
                workload.name
            );
            cx.warn(at, message, format!("raise the rate above {}/s", (2.0 / target.as_secs_f64()).ceil()));
        }
        if target >= drill.max_duration {
            let message = format!(
                "the RTO {} is not shorter than the whole drill may take, {}",
                Dur(target),
                Dur(drill.max_duration)
            );
            cx.warn(at, message, "raise `max_duration` under `guards`");
        }
        if let Some(StagingPlan::Embedded(staging)) = &drill.staging {
            let check = staging.check_every.map_or(CHECK_EVERY, |d| d.0);
            let notices = check * staging.failures.unwrap_or(FAILURES).saturating_sub(1);
            if target < notices && staging.failover {
                let message =
                    format!("the RTO {} cannot be met: the router needs {} to notice", Dur(target), Dur(notices));
                cx.warn(at, message, "lower `check_every` or `failures` of the staging, or raise the RTO");
            }
        }
    }
}

fn loss(cx: &Cx<'_>, at: Region, drill: &Drill) {
    let Some(StagingPlan::Embedded(staging)) = &drill.staging else { return };
    let lag = staging.lag.map_or(LAG, |d| d.0);
    if staging.replication == Replication::Sync || drill.outage.is_empty() {
        return;
    }
    for objective in drill.objectives.iter().filter(|o| o.kind == ObjectiveKind::RpoTime) {
        let target = Duration::from_nanos(objective.target.unsigned_abs());
        if target < lag {
            let message =
                format!("the RPO {} will hardly be met: asynchronous replication lags {}", Dur(target), Dur(lag));
            cx.warn(at, message, "write `replication: sync`, or accept the loss in the objective");
        }
    }
}
