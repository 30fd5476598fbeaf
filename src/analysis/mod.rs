//! Pure folds from a run's events and operations to numbers and verdicts. No IO, no clock: the same record gives the
//! same analysis, always. What each number means stands in `docs/timing.md`.
//!
//! Invariant: a number that cannot be known is `None`; an interval whose low is above its high is never shown.

mod drift;
mod fingerprints;
mod lane;
mod ledger;
mod level;
mod loss;
mod numbers;
mod objective;
mod outage;
mod parts;
mod places;
mod quantiles;
mod reasons;
mod record;
mod recovery;
mod restores;
mod sites;
pub mod stats;
mod story;
pub mod types;
mod vantage;
mod workload;

pub use fingerprints::{FingerprintResult, PartResult};
pub use parts::AtSite;
pub use record::Record;
pub use restores::{PartTime, RestoreResult};
pub use sites::{SiteResult, SitesResult};
pub use types::*;

use crate::event::WorkloadSeal;
use crate::model::{FaultId, Mono, Objective, ObjectiveKind, OpRecord, Ops, Span, Verdict, WorkloadName};
use objective::Evidence;
use parts::Told;
use recovery::{Clock, Judged};
use std::borrow::Cow;
use std::collections::BTreeMap;
use story::{FaultStory, Story, judge_step, sane};
use workload::{Context, Measurement};

/// Computes everything that reports show from a run's record.
#[must_use]
pub fn analyze(record: &Record) -> Analysis {
    let story = Story::of(record);
    let run = vantage::timed(story.start.clone().unwrap_or_else(story::nobody), &story);
    let clocks: Vec<Clock> = story.faults.iter().filter_map(|fault| Clock::of(&story, fault)).collect();
    let context = Context { story: &story, clocks: &clocks, stalls: &[], read_backs: &record.read_backs };
    let (mut internal, mut notes) = (Vec::new(), story.notes.clone());
    let mut measured: Vec<Measurement> = Vec::new();
    for seal in &run.workloads {
        let ops = vantage::on_our_clock(seal, usable(record, &seal.name, &mut notes));
        let (clocks, stalls) = (vantage::clocks(seal, &clocks), vantage::stalls(seal, &story));
        let told = Told::of(seal, &run.workloads, Cow::Borrowed(&*ops), |part| quietly(record, &part.name));
        measured.push(workload::measure(seal, &ops, &told, &Context { clocks: &clocks, stalls: &stalls, ..context }));
    }
    notes.extend(vantage::notes(&story));
    fold_probes(&mut measured);
    for (measurement, seal) in measured.iter_mut().zip(&run.workloads) {
        let own = quietly(record, &seal.name);
        let told = Told::of(seal, &run.workloads, own, |part| quietly(record, &part.name));
        internal.extend(workload::settle(measurement, &told.ops, &context));
        // The parts of a ledger that is written at each site are settled by their own site.
        if let Some(of) = run.sites.iter().find(|of| of.workload == seal.name) {
            internal.extend(workload::settle_copies(measurement, (seal, &of.sites), &told, &context));
        }
        internal.extend(measurement.judged.iter().flat_map(|judged| judged.internal.iter().cloned()));
        measurement.result.recoveries = measurement.judged.iter().map(|judged| judged.recovery.clone()).collect();
        notes.append(&mut measurement.notes);
    }
    let combined = vantage::combined(&run.workloads, &measured);
    let judge = |o| judge(o, &run.workloads, &story, &measured, &combined);
    let objectives: Vec<ObjectiveResult> = run.objectives.iter().map(judge).collect();
    let sites = sites::all(&run, record, &measured, &objectives);
    let restored = restores::all(&record.events, &story, clocks.first());
    notes.extend(run.waivers.iter().map(|waiver| format!("waived: {waiver}")));
    let mut analysis = Analysis {
        started: story.started,
        ended: story.ended,
        length: story.last.saturating_sub(story.t0),
        state: story.state(),
        verdict: Verdict::Inconclusive,
        reasons: Vec::new(),
        objectives,
        timeline: Vec::new(),
        phases: phases(&story),
        steps: steps(&story),
        faults: faults(&story),
        stalls: stall_results(&story),
        sites,
        fingerprints: fingerprints::all(&run.fingerprints, &record.events),
        restores: restored,
        notes,
        journal_head: record.head.clone(),
        journal_lines: record.lines,
        journal_cut: cut(record, &story),
        workloads: measured.into_iter().map(|measurement| measurement.result).collect(),
        run,
    };
    analysis.notes.extend(restores::contradictions(&analysis.restores, &analysis.workloads));
    analysis.timeline = timeline(&analysis, &story, &clocks);
    analysis.reasons = reasons::all(&analysis, &story, record, &internal);
    analysis.verdict = analysis.reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Pass);
    analysis
}

/// The operations of a workload in order, without those whose times are none of our clock's.
fn usable<'a>(record: &'a Record, name: &WorkloadName, notes: &mut Vec<String>) -> Cow<'a, Ops> {
    let Some(ops) = record.ops.get(name) else { return Cow::Owned(Ops::new()) };
    let (first, last) = ops.bounds();
    let all_good = ops.is_empty() || sane(first) && sane(last);
    if all_good && ops.is_sorted() {
        return Cow::Borrowed(ops);
    }
    let good = |op: &OpRecord| sane(op.due) && sane(op.sent) && sane(op.done);
    let mut kept: Ops = ops.iter().filter(good).collect();
    kept.sort();
    let strange = ops.len() - kept.len();
    if strange > 0 {
        notes.push(format!("{strange} operations of `{name}` have impossible times and are not used"));
    }
    Cow::Owned(kept)
}

/// A ledger's availability is decided together with its own probe: the worse of the two.
fn fold_probes(measured: &mut [Measurement]) {
    let probes: Vec<(WorkloadName, Vec<Judged>)> =
        measured.iter().filter_map(|m| Some((m.result.probe_of.clone()?, m.judged.clone()))).collect();
    for (ledger, probe) in probes {
        let Some(owner) = measured.iter_mut().find(|m| m.result.name == ledger) else { continue };
        let own = std::mem::take(&mut owner.judged);
        owner.judged = own.into_iter().zip(probe).map(|(own, probe)| own.worse(probe)).collect();
    }
}

/// As [`usable`], with nothing said of what is not.
fn quietly<'a>(record: &'a Record, name: &WorkloadName) -> Cow<'a, Ops> {
    usable(record, name, &mut Vec::new())
}

/// One objective at every place that it is about: the worst decides.
fn judge(
    objective: &Objective,
    seals: &[WorkloadSeal],
    story: &Story,
    measured: &[Measurement],
    combined: &vantage::Combined,
) -> ObjectiveResult {
    let at = |objective: &Objective| objective::judge(objective, &evidence(objective, story, measured, combined));
    let parts = seals.iter().filter_map(|seal| {
        let site = seal.site.as_ref().filter(|site| site.of == objective.workload)?;
        let own = at(&Objective { workload: seal.name.clone(), ..objective.clone() });
        Some((Some(site.name.as_str()), ObjectiveResult { objective: objective.clone(), ..own }))
    });
    let mut each: Vec<(Option<&str>, ObjectiveResult)> = parts.collect();
    if each.is_empty() {
        each.push((None, vantage::named(at(objective), combined)));
    }
    let whole = measured.iter().find(|m| m.result.name == objective.workload);
    for (site, copy) in whole.iter().filter(|_| objective.kind != ObjectiveKind::Rto).flat_map(|m| &m.copies) {
        let evidence = Evidence { ledger: Some(copy), ..evidence(objective, story, measured, combined) };
        each.push((Some(site), objective::judge(objective, &evidence)));
    }
    let nothing = || objective::judge(objective, &evidence(objective, story, measured, combined));
    parts::worst(each).unwrap_or_else(nothing)
}

fn evidence<'a>(
    objective: &Objective,
    story: &'a Story,
    measured: &'a [Measurement],
    combined: &'a vantage::Combined,
) -> objective::Evidence<'a> {
    let found = measured.iter().find(|m| m.result.name == objective.workload);
    let places = combined.get(&objective.workload).map(|(judged, _)| judged.as_slice());
    let first = || story.faults.iter().find(|f| f.injected.is_some()).or(story.faults.first());
    let fault = match &objective.fault {
        Some(id) => story.faults.iter().find(|f| f.id() == id),
        None => first(),
    };
    let no_clock = match (fault, &objective.fault) {
        (Some(fault), _) => reasons::not_effective(fault),
        (None, Some(id)) => Some(format!("the fault `{id}` was not injected")),
        (None, None) => Some("no fault was injected".to_owned()),
    };
    objective::Evidence {
        judged: found.map(|m| m.judged.as_slice()).or(places).unwrap_or_default(),
        ledger: found.and_then(|m| m.result.ledger.as_ref()),
        fault: fault.map(FaultStory::id),
        no_clock,
        detected: fault.and_then(|fault| story.detected_after(fault)),
        exposures: &story.exposures,
    }
}

fn at(span: Span, t0: i64) -> At {
    let (low, high) = (span.lo.0.saturating_sub(t0), span.hi.0.saturating_sub(t0));
    At { low, best: low.midpoint(high), high }
}

fn phases(story: &Story) -> Vec<PhaseResult> {
    let result = |(phase, from, to): &(crate::event::Phase, i64, Option<i64>)| PhaseResult {
        phase: *phase,
        from: from.saturating_sub(story.t0),
        to: to.unwrap_or(story.last).saturating_sub(story.t0),
    };
    story.phases.iter().map(result).collect()
}

fn steps(story: &Story) -> Vec<StepResult> {
    let seals = story.start.as_ref().map_or(&[][..], |start| &start.steps);
    let result = |step: &story::StepStory| {
        let seal = seals.iter().find(|seal| seal.id == step.id);
        let phase = seal.map_or(crate::event::Phase::Preflight, |seal| seal.phase);
        let verb = seal.map_or_else(String::new, |seal| seal.verb.clone());
        StepResult {
            id: step.id.clone(),
            name: seal.map_or_else(|| step.id.to_string(), |seal| seal.name.clone()),
            phase,
            verdict: judge_step(&verb, phase, step.outcome.as_ref()),
            verb,
            round: step.round,
            from: step.from.saturating_sub(story.t0),
            to: step.to.map(|to| to.saturating_sub(story.t0)),
            outcome: step.outcome.clone(),
            place: story.place(step.id.as_str()).unwrap_or_default(),
            output: step.output.clone(),
        }
    };
    story.steps.iter().map(result).collect()
}

fn faults(story: &Story) -> Vec<FaultResult> {
    let result = |fault: &FaultStory| FaultResult {
        id: fault.id().clone(),
        name: fault.intent.name.clone(),
        kind: fault.intent.kind.clone(),
        targets: fault.intent.targets.clone(),
        at: fault.at().map(|span| at(span, story.t0)),
        effective: fault.effective(),
        effect: fault.effect.as_ref().map_or_else(String::new, |(_, detail)| detail.clone()),
        healed: !fault.open(),
        healed_at: fault.healed.map(|span| at(span, story.t0)),
        healed_by: fault.healed.and(fault.healer.as_ref()).and_then(story::in_place_of_the_runner),
        by_hand: fault.intent.by_hand.clone(),
    };
    story.faults.iter().map(result).collect()
}

fn stall_results(story: &Story) -> Vec<StallResult> {
    let result = |stalled: &story::Stalled| StallResult {
        from: stalled.span.lo.0.saturating_sub(story.t0),
        to: stalled.span.hi.0.saturating_sub(story.t0),
        cause: stalled.cause,
        workload: stalled.workload.clone(),
    };
    story.stalls.iter().map(result).collect()
}

fn cut(record: &Record, story: &Story) -> Option<String> {
    let unfinished = || story.end.is_none().then(|| "it stops in the middle of the run".to_owned());
    record.cut.clone().or_else(unfinished)
}

/// Marks in order of their best estimate; of the clients' marks, those of the workloads that objectives are about.
fn timeline(analysis: &Analysis, story: &Story, clocks: &[Clock]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for fault in &analysis.faults {
        let of = fault.id.to_string();
        marks.extend(fault.at.map(|at| Mark { name: "fault".to_owned(), of: of.clone(), at }));
        marks.extend(fault.healed_at.map(|at| Mark { name: "healed".to_owned(), of, at }));
    }
    for (name, step, span) in &story.milestones {
        marks.push(Mark { name: name.clone(), of: step.to_string(), at: at(*span, story.t0) });
    }
    for workload in &analysis.workloads {
        for recovery in workload.recoveries.iter().filter(|recovery| !recovery.unnoticed) {
            let Some(clock) = clocks.iter().find(|clock| clock.fault == recovery.fault) else { continue };
            marks.extend(client_marks(workload, recovery, clock, story.t0));
        }
    }
    marks.sort_by_key(|mark| (mark.at.best, mark.at.low));
    marks
}

/// Durations since the fault, as moments: [t_fault.hi + low, t_fault.lo + high].
fn client_marks<'a>(
    workload: &'a WorkloadResult,
    recovery: &'a Recovery,
    clock: &'a Clock,
    t0: i64,
) -> impl Iterator<Item = Mark> + 'a {
    let named = [
        ("first_error", recovery.first_error),
        ("first_ok", recovery.first_ok),
        ("restored", recovery.first_restored),
        ("sustained", recovery.sustained),
    ];
    named.into_iter().filter_map(move |(name, interval)| {
        let interval = interval?;
        let (a, b) = (clock.hi + interval.low - t0, clock.lo + interval.high - t0);
        let span = Span::new(Mono(a.min(b)), Mono(a.max(b)));
        Some(Mark { name: name.to_owned(), of: workload.name.to_string(), at: at(span, 0) })
    })
}

/// The recovery after one fault, by its id.
#[must_use]
pub fn recovery_of<'a>(workload: &'a WorkloadResult, fault: &FaultId) -> Option<&'a Recovery> {
    workload.recoveries.iter().find(|recovery| recovery.fault == *fault)
}

/// The operations of all workloads in a record, by name.
pub type Operations = BTreeMap<WorkloadName, Ops>;

#[cfg(test)]
mod tests;
