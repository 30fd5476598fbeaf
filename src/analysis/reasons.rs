//! Why a run is not simply a pass: every reason, most important first, with its place in the playbook.

use super::story::{FaultStory, Story};
use super::{Analysis, Attribution, Reason, Record, Verdict};
use crate::event::{AbortCause, Healer, StepOutcome};
use crate::model::{ObjectiveKind, RunState, WorkloadName};

/// All reasons; the verdict is the worst of them.
pub(super) fn all(analysis: &Analysis, story: &Story, record: &Record, internal: &[String]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    ending(analysis, story, record, &mut reasons);
    faults(story, &mut reasons);
    objectives(analysis, &mut reasons);
    failover(analysis, story, &mut reasons);
    ledgers(analysis, &mut reasons);
    reasons.extend(super::sites::reasons(analysis));
    reasons.extend(super::fingerprints::reasons(analysis));
    steps(analysis, story, &mut reasons);
    let problem = |text: &String| inconclusive(format!("the record does not verify: {text}"));
    reasons.extend(record.problems.iter().map(problem));
    reasons.extend(internal.iter().map(|what| inconclusive(format!("internal error: low above high in {what}"))));
    if reasons.is_empty()
        && analysis.objectives.is_empty()
        && analysis.steps.is_empty()
        && analysis.fingerprints.is_empty()
    {
        reasons.push(inconclusive("nothing was judged: the drill has neither objectives nor steps".to_owned()));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    reasons
}

fn inconclusive(text: String) -> Reason {
    Reason { verdict: Verdict::Inconclusive, text, place: None }
}

fn ending(analysis: &Analysis, story: &Story, record: &Record, reasons: &mut Vec<Reason>) {
    if story.start.is_none() {
        reasons.push(inconclusive("the journal has no start record".to_owned()));
    }
    if let Some(cut) = &record.cut {
        reasons.push(inconclusive(format!("the journal was cut: {cut}")));
    }
    match &story.end {
        None => reasons.push(inconclusive("the record stops in the middle of the run".to_owned())),
        Some(end) => {
            reasons.extend(end.error.iter().map(|error| inconclusive(format!("the run ended early: {error}"))))
        }
    }
    reasons.extend(story.preflight.iter().map(|why| inconclusive(format!("preflight: {why}"))));
    let broken = |(guard, detail): &(String, String)| inconclusive(format!("the guard `{guard}` was broken: {detail}"));
    reasons.extend(story.guards.iter().map(broken));
    for abort in &story.aborts {
        let place = if let AbortCause::Step(step) = abort { story.place(step.as_str()) } else { None };
        reasons.push(Reason { place, ..inconclusive(aborted(abort)) });
    }
    for (vantage, _, why) in &story.lost_vantages {
        reasons
            .push(inconclusive(format!("the vantage `{vantage}` was lost: {why}; nobody looked from there any more")));
    }
    for (by, why) in &story.taken_over {
        let who = match by {
            Healer::Guardian => "its guardian",
            Healer::Recover => "`recover`",
        };
        reasons.push(inconclusive(format!("{why}; {who} took over")));
    }
    let told =
        !story.aborts.is_empty() || !story.taken_over.is_empty() || story.end.is_none() || !story.preflight.is_empty();
    match analysis.state {
        RunState::Aborted if !told => reasons.push(inconclusive("the run was aborted".to_owned())),
        RunState::NotRun | RunState::Held if !told => reasons.push(inconclusive("nothing was run".to_owned())),
        RunState::Dirty if story.end.is_some() && !story.faults.iter().any(FaultStory::open) => {
            reasons.push(inconclusive("the run did not end clean".to_owned()));
        }
        _ => {}
    }
    let down = |error: &String| inconclusive(format!("the staging could not be brought down: {error}"));
    reasons.extend(story.staging_errors.iter().map(down));
}

fn aborted(cause: &AbortCause) -> String {
    match cause {
        AbortCause::Signal(name) => format!("stopped by {name}"),
        AbortCause::Guard(name) => format!("stopped by the guard `{name}`"),
        AbortCause::MaxDuration => "stopped: it took longer than the drill may".to_owned(),
        AbortCause::Step(step) => format!("stopped by the step `{step}`"),
        AbortCause::Journal(error) => format!("stopped: the journal could not be written ({error})"),
        AbortCause::NotSteady(why) => format!("not steady before the outage: {why}"),
        AbortCause::KillSwitch(why) => format!("stopped by the kill switch: {why}"),
        AbortCause::Guardian(why) | AbortCause::Lease(why) => format!("stopped: {why}"),
    }
}

fn faults(story: &Story, reasons: &mut Vec<Reason>) {
    for fault in &story.faults {
        let (name, place) = (&fault.intent.name, story.place(fault.id().as_str()));
        let mut say = |verdict, text| reasons.push(Reason { verdict, text, place: place.clone() });
        if fault.open() {
            let verdict = if fault.heal_error.is_some() { Verdict::Fail } else { Verdict::Inconclusive };
            say(verdict, format!("the fault `{name}` is not healed; by hand: {}", fault.intent.by_hand));
        }
        if let Some(error) = &fault.inject_error {
            say(Verdict::Inconclusive, format!("the fault `{name}` could not be injected: {error}"));
        } else if let Some(why) = not_effective(fault) {
            say(Verdict::Inconclusive, why);
        }
    }
}

/// Why a fault proves nothing, if it does not.
pub(super) fn not_effective(fault: &FaultStory) -> Option<String> {
    let name = &fault.intent.name;
    match (fault.injected, fault.effective(), &fault.effect) {
        (None, ..) => Some(format!("the fault `{name}` was not injected")),
        (_, Some(true), _) => None,
        (_, Some(false), Some((_, detail))) => Some(format!("the fault `{name}` was not effective: {detail}")),
        _ => Some(format!("nobody looked whether the fault `{name}` was effective")),
    }
}

fn objectives(analysis: &Analysis, reasons: &mut Vec<Reason>) {
    for result in analysis.objectives.iter().filter(|result| result.verdict != Verdict::Pass) {
        let name = match result.objective.kind {
            ObjectiveKind::Rto => "rto",
            ObjectiveKind::RpoTime => "rpo time",
            ObjectiveKind::RpoWrites => "rpo writes",
            ObjectiveKind::Detect => "time to detect",
        };
        let text = if result.objective.kind.is_of_the_drill() {
            format!("{name}: {}", result.why)
        } else {
            format!("{name} of `{}`: {}", result.objective.workload, result.why)
        };
        reasons.push(Reason { verdict: result.verdict, text, place: None });
    }
}

/// A playbook that expects failover has failed it if service came back only because the fault was removed.
fn failover(analysis: &Analysis, story: &Story, reasons: &mut Vec<Reason>) {
    if !analysis.run.expects_failover {
        return;
    }
    for workload in analysis.workloads.iter().filter(|w| w.probe_of.is_none()) {
        // Whatever the drill restored, the fault was still there.
        let despite = |who| matches!(who, Attribution::System | Attribution::Restore);
        let saved = |fault: &super::Recovery| despite(fault.attribution) && in_outage(story, fault);
        // What the outage itself ended is one of its conditions, if service came back in spite of the rest.
        let condition =
            |fault: &super::Recovery| ended_in_outage(story, fault) && workload.recoveries.iter().any(saved);
        let healed = |fault: &&super::Recovery| {
            fault.attribution == Attribution::Heal && in_outage(story, fault) && !condition(fault)
        };
        for recovery in workload.recoveries.iter().filter(healed) {
            let text = format!(
                "failover was expected, but `{}` came back only when the fault `{}` was removed",
                workload.name, recovery.fault
            );
            reasons.push(Reason { verdict: Verdict::Fail, text, place: story.place(recovery.fault.as_str()) });
        }
    }
}

fn in_outage(story: &Story, recovery: &super::Recovery) -> bool {
    let outage = |f: &FaultStory| f.phase.is_none_or(|phase| phase <= crate::event::Phase::Outage);
    story.faults.iter().any(|f| *f.id() == recovery.fault && outage(f))
}

/// Was the fault healed by a step of the outage?
fn ended_in_outage(story: &Story, recovery: &super::Recovery) -> bool {
    let over = story.phases.iter().rfind(|(phase, ..)| *phase == crate::event::Phase::Outage).and_then(|(.., to)| *to);
    let healed = story.faults.iter().find(|fault| *fault.id() == recovery.fault).and_then(|fault| fault.healed);
    healed.zip(over).is_some_and(|(healed, over)| healed.hi.0 <= over)
}

/// Findings in the books that no objective counts, but that nobody may overlook.
fn ledgers(analysis: &Analysis, reasons: &mut Vec<Reason>) {
    for workload in &analysis.workloads {
        let Some(ledger) = &workload.ledger else { continue };
        let seal = analysis.run.workloads.iter().find(|seal| seal.name == workload.name);
        let ours = |of: &WorkloadName| *of == workload.name || seal.is_some_and(|seal| seal.whole() == of);
        let judged =
            analysis.objectives.iter().any(|o| ours(&o.objective.workload) && o.objective.kind != ObjectiveKind::Rto);
        if let Some(count) = ledger.corrupted.filter(|count| *count > 0) {
            let verdict = if judged { Verdict::Fail } else { Verdict::Inconclusive };
            let text = format!("{count} records of `{}` came back corrupted", workload.name);
            reasons.push(Reason { verdict, text, place: None });
        }
        if !judged && ledger.lost.is_none() {
            let why = ledger.why.as_deref().unwrap_or("it was not read back");
            reasons.push(inconclusive(format!("the ledger `{}` is not settled: {why}", workload.name)));
        }
    }
}

fn steps(analysis: &Analysis, story: &Story, reasons: &mut Vec<Reason>) {
    for step in analysis.steps.iter().filter(|step| step.verdict != Verdict::Pass) {
        let text = match &step.outcome {
            Some(StepOutcome::Failed { detail }) => format!("{} was false: {}: {detail}", step.verb, step.name),
            Some(StepOutcome::Errored { error }) => {
                format!("{} could not be decided: {}: {error}", step.verb, step.name)
            }
            Some(StepOutcome::Skipped { reason, .. }) => format!("{} was skipped: {}: {reason}", step.verb, step.name),
            Some(StepOutcome::Aborted) => format!("{} was stopped: {}", step.verb, step.name),
            _ => format!("{} did not end: {}", step.verb, step.name),
        };
        reasons.push(Reason { verdict: step.verdict, text, place: Some(step.place.clone()) });
    }
    if analysis.state != RunState::Ended {
        return;
    }
    let started = |id: &crate::model::StepId| analysis.steps.iter().any(|step| step.id == *id);
    for seal in analysis.run.steps.iter().filter(|seal| !started(&seal.id)) {
        let (text, place) = (format!("{} did not run: {}", seal.verb, seal.name), story.place(seal.id.as_str()));
        reasons.push(Reason { place, ..inconclusive(text) });
    }
}
