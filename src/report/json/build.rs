//! From an analysis to the shape of `report.json`: units and names change, nothing is computed.

use super::{
    Age, Bar, Class, Downtime, Fault, FaultLoss, Finding, Host, Journal, Ledger, LostRun, Mark, Objective, Operations,
    Outage, Outcome, Percentiles, Phases, Place, Playbook, Recovery, Report, Run, Series, Service, Stall, Step, Strip,
    Unit, VERSION, Vantage, Workload, restored_by,
};
use crate::analysis::{self as a, Analysis, At};
use crate::event::{StepOutcome, VantageSeal, WorkloadSeal};
use crate::model::{Interval, ObjectiveKind};
use crate::report::words::{self, seconds};
use chrono::{DateTime, SecondsFormat, Utc};

pub(super) fn report(a: &Analysis, exit_code: u8) -> Report {
    Report {
        schema: VERSION,
        run: run(a, exit_code),
        objectives: a.objectives.iter().map(objective).collect(),
        workloads: a.workloads.iter().map(|w| (w.name.0.clone(), workload(a, w))).collect(),
        timeline: a.timeline.iter().map(mark).collect(),
        steps: a.steps.iter().map(|s| step(a, s)).collect(),
        faults: a.faults.iter().map(fault).collect(),
        phases: a.phases.iter().map(phase).collect(),
        findings: a.reasons.iter().map(finding).collect(),
        stalls: a.stalls.iter().map(stall).collect(),
        notes: a.notes.clone(),
        sites: a.sites.iter().map(super::data::sites).collect(),
        fingerprints: a.fingerprints.iter().map(super::data::fingerprint).collect(),
        restores: a.restores.iter().map(super::data::restore).collect(),
        lineage: a.run.lineage.as_deref().map(super::lineage::lineage),
        journal: Journal { head: a.journal_head.clone(), lines: a.journal_lines, cut: a.journal_cut.clone() },
    }
}

fn stall(s: &a::StallResult) -> Stall {
    let workload = s.workload.as_ref().map(|name| name.0.clone());
    Stall { from: seconds(s.from), to: seconds(s.to), cause: s.cause, workload }
}

pub(super) fn wall(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn time(i: Interval) -> Bar {
    Bar { low: seconds(i.low), best: seconds(i.best), high: seconds(i.high) }
}

fn at(at: At) -> Bar {
    Bar { low: seconds(at.low), best: seconds(at.best), high: seconds(at.high) }
}

fn run(a: &Analysis, exit_code: u8) -> Run {
    let r = &a.run;
    Run {
        id: r.run.0.clone(),
        drill: r.drill.0.clone(),
        environment: r.environment.clone(),
        started: wall(a.started),
        state: a.state,
        verdict: a.verdict,
        exit_code,
        reasons: a.reasons.iter().map(|r| r.text.clone()).collect(),
        title: r.title.clone(),
        ended: a.ended.map(wall),
        seconds: seconds(a.length),
        playbook: Playbook {
            path: r.playbook.clone(),
            digest: r.playbook_digest.clone(),
            resolved_digest: r.resolved_digest.clone(),
        },
        params: r.params.clone(),
        metadata: r.metadata.clone(),
        waivers: r.waivers.clone(),
        expects_failover: r.expects_failover,
        host: Host {
            tool: r.host.tool.clone(),
            host: r.host.host.clone(),
            system: r.host.system.clone(),
            boot: r.host.boot.clone(),
            cores: r.host.cores,
            trigger: r.host.trigger.clone(),
        },
    }
}

fn objective(o: &a::ObjectiveResult) -> Objective {
    let of = &o.objective;
    let writes = of.kind == ObjectiveKind::RpoWrites;
    let scale = |n: i64| if writes { n as f64 } else { seconds(n) };
    Objective {
        name: of.kind,
        workload: of.workload.0.clone(),
        target: scale(of.target),
        unit: if writes { Unit::Writes } else { Unit::S },
        basis: (!writes).then_some(of.basis),
        fault: o.fault.as_ref().map(|f| f.0.clone()),
        actual: o.actual.map(|i| Bar { low: scale(i.low), best: scale(i.best), high: scale(i.high) }),
        verdict: o.verdict,
        why: o.why.clone(),
    }
}

fn workload(a: &Analysis, w: &a::WorkloadResult) -> Workload {
    let seal = a.run.workloads.iter().find(|s| s.name == w.name);
    Workload {
        kind: w.kind.clone(),
        probe_of: w.probe_of.as_ref().map(|n| n.0.clone()),
        vantage: seal.and_then(|s| s.vantage.as_ref()).map(vantage),
        site: seal.and_then(|s| s.site.as_ref()).map(|s| Place { name: s.name.clone(), of: s.of.0.clone() }),
        client: seal.map(|s| words::client(&s.client)),
        rate: seal.map(|s| s.rate),
        service: seal.map(service),
        operations: operations(&w.operations),
        reads: w.reads.as_ref().map(operations),
        latency: w.latency.map(percentiles),
        latency_before: w.latency_before.map(percentiles),
        lateness: w.lateness.map(percentiles),
        downtime: Downtime {
            outages: w.outages.len(),
            longest: w.longest.map(time),
            total: time(w.downtime),
            lost: seconds(w.lost_time),
            degraded: seconds(w.degraded),
            each: w.outages.iter().map(outage).collect(),
        },
        recoveries: w.recoveries.iter().map(recovery).collect(),
        ledger: w.ledger.as_ref().map(ledger),
        series: series(&w.series),
    }
}

fn vantage(v: &VantageSeal) -> Vantage {
    Vantage {
        name: v.name.clone(),
        of: v.of.0.clone(),
        namespace: v.namespace.clone(),
        clock_offset: seconds(v.offset),
        clock_error: seconds(v.offset_error),
    }
}

fn operations(o: &a::OpCounts) -> Operations {
    Operations {
        due: o.due,
        ok: o.ok,
        late: o.late,
        fail: o.fail,
        unknown: o.unknown,
        missed: o.missed,
        unsent: o.unsent,
        ok_local: o.ok_local,
    }
}

fn service(s: &WorkloadSeal) -> Service {
    Service {
        availability: s.service.availability,
        latency: s.service.latency.map(|d| d.as_secs_f64()),
        deadline: s.service.deadline.as_secs_f64(),
        stable: s.service.stable.as_secs_f64(),
        merge: s.service.merge.as_secs_f64(),
        timeout: s.timeout.as_secs_f64(),
    }
}

fn percentiles(p: a::Percentiles) -> Percentiles {
    Percentiles { p50: seconds(p.p50), p95: seconds(p.p95), p99: seconds(p.p99), max: seconds(p.max) }
}

fn outage(o: &a::Outage) -> Outage {
    Outage {
        from: at(o.from),
        to: o.to.map(at),
        perceived: o.perceived.map(time),
        operations: o.operations,
        doubtful: o.doubtful,
    }
}

fn recovery(r: &a::Recovery) -> Recovery {
    Recovery {
        fault: r.fault.0.clone(),
        unnoticed: r.unnoticed,
        perceived: r.perceived.map(time),
        first_error: r.first_error.map(time),
        first_ok: r.first_ok.map(time),
        first_restored: r.first_restored.map(time),
        sustained: r.sustained.map(time),
        sustained_from_declared: r.sustained_from_declared.map(time),
        at_least: r.at_least.map(seconds),
        outages: r.outages,
        restored_by: restored_by(r.attribution),
        why: r.why.clone(),
    }
}

fn ledger(l: &a::LedgerResult) -> Ledger {
    Ledger {
        attempted: l.attempted,
        acked: l.acked,
        acked_local: l.acked_local,
        local_absent: l.local_absent,
        kept: l.kept,
        lost: l.lost,
        lost_upper: l.lost_upper,
        corrupted: l.corrupted,
        duplicated: l.duplicated,
        duplicated_by_server: l.duplicated_by_server,
        resurrected: l.resurrected,
        unknown_present: l.unknown_present,
        unknown_absent: l.unknown_absent,
        holes: l.holes,
        phantom: l.phantom,
        reordered: l.reordered,
        stale: l.stale,
        stale_age: l.stale_age.map(time),
        observed_then_lost: l.observed_then_lost,
        transiently_missing: l.transiently_missing,
        lost_by_healing: l.lost_by_healing,
        rpo_time: l.rpo_time.map(time),
        resolution: seconds(l.resolution),
        losses: l.losses.iter().map(fault_loss).collect(),
        lost_runs: l.lost_runs.iter().map(lost_run).collect(),
        ages: l.ages.iter().map(|&(up_to, writes)| Age { up_to: seconds(up_to), writes }).collect(),
        strip: strip(&l.strip),
        why: l.why.clone(),
    }
}

fn fault_loss(l: &a::FaultLoss) -> FaultLoss {
    FaultLoss { fault: l.fault.0.clone(), lost: l.lost, rpo_time: l.rpo_time.map(time) }
}

fn lost_run(r: &a::LostRun) -> LostRun {
    LostRun {
        writer: r.writer,
        from: r.from,
        to: r.to,
        acked_first: seconds(r.acked_first),
        acked_last: seconds(r.acked_last),
    }
}

fn strip(writes: &[(i64, a::Class)]) -> Vec<Strip> {
    writes
        .chunk_by(|left, right| left.1 == right.1)
        .filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            let class = match first.1 {
                a::Class::Kept => Class::Kept,
                a::Class::Failed => Class::Failed,
                a::Class::Unknown => Class::Unknown,
                a::Class::Odd => Class::Odd,
                a::Class::Lost => Class::Lost,
            };
            Some(Strip { class, from: seconds(first.0), to: seconds(last.0), writes: run.len() as u64 })
        })
        .collect()
}

fn series(s: &a::Series) -> Series {
    let column = |f: fn(&a::Bucket) -> u32| s.buckets.iter().map(f).collect();
    let latency =
        |f: fn(&a::Bucket) -> i64| s.buckets.iter().map(|b| Some(f(b)).filter(|&n| n > 0).map(seconds)).collect();
    Series {
        from: seconds(s.from),
        width: seconds(s.width),
        due: column(|b| b.due),
        served: column(|b| b.served),
        fail: column(|b| b.fail),
        unknown: column(|b| b.unknown),
        other: column(|b| b.other),
        worst_share: s.buckets.iter().map(|b| (b.due > 0).then(|| f64::from(b.worst_share) / 10_000.0)).collect(),
        p50: latency(|b| b.p50),
        p95: latency(|b| b.p95),
        p99: latency(|b| b.p99),
    }
}

fn mark(m: &a::Mark) -> Mark {
    Mark { mark: m.name.clone(), of: m.of.clone(), at: at(m.at) }
}

fn step(a: &Analysis, s: &a::StepResult) -> Step {
    let kind = a.run.steps.iter().find(|seal| seal.id == s.id).map(|seal| seal.kind.clone());
    Step {
        id: s.id.0.clone(),
        name: s.name.clone(),
        phase: s.phase,
        verb: s.verb.clone(),
        kind: kind.unwrap_or_default(),
        round: s.round,
        verdict: s.verdict,
        outcome: s.outcome.as_ref().map(|o| match o {
            StepOutcome::Passed { .. } => Outcome::Passed,
            StepOutcome::Failed { .. } => Outcome::Failed,
            StepOutcome::Errored { .. } => Outcome::Errored,
            StepOutcome::Skipped { .. } => Outcome::Skipped,
            StepOutcome::Aborted => Outcome::Aborted,
        }),
        detail: words::detail(s).to_owned(),
        started: seconds(s.from),
        ended: s.to.map(seconds),
        place: s.place.clone(),
        output: s.output.clone(),
    }
}

fn fault(f: &a::FaultResult) -> Fault {
    Fault {
        id: f.id.0.clone(),
        name: f.name.clone(),
        kind: f.kind.clone(),
        targets: f.targets.clone(),
        at: f.at.map(at),
        effective: f.effective,
        effect: f.effect.clone(),
        healed: f.healed,
        healed_at: f.healed_at.map(at),
        healed_by: f.healed_by.map(words::healer),
        by_hand: f.by_hand.clone(),
    }
}

fn phase(p: &a::PhaseResult) -> Phases {
    Phases { phase: p.phase, started: seconds(p.from), ended: seconds(p.to) }
}

fn finding(r: &a::Reason) -> Finding {
    Finding { verdict: r.verdict, text: r.text.clone(), place: r.place.clone() }
}
