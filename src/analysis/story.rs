//! The events of a record folded into what happened: phases, steps, faults, milestones, stalls, how it ended.
//! Operations are not looked at here.

use super::drift::Look;
use super::{Record, Verdict};
use crate::event::{
    AbortCause, Event, FaultIntent, HealCause, Healer, HostSeal, Phase, ReadBackDone, RunStarted, StallCause,
    StepOutcome, What,
};
use crate::model::{Exposure, FaultId, Interval, Mono, RunState, Span, StepId, WorkloadName};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// What happened, in the runner's monotonic nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub start: Option<RunStarted>,
    pub t0: i64,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    pub last: i64,
    pub end: Option<End>,
    /// Workloads that stopped in order, so that their logs are whole.
    pub stopped: Vec<WorkloadName>,
    pub taken_over: Vec<(Healer, String)>,
    pub faults: Vec<FaultStory>,
    pub phases: Vec<(Phase, i64, Option<i64>)>,
    pub steps: Vec<StepStory>,
    pub milestones: Vec<(String, StepId, Span)>,
    pub stalls: Vec<Stalled>,
    /// Spans in which a vantage could not see, with its name.
    pub vantage_stalls: Vec<(String, Stalled)>,
    /// Vantages that were pods, with the place of each.
    pub vantage_pods: Vec<(String, String)>,
    /// Looks at the clocks of vantages on other machines.
    pub vantage_clocks: BTreeMap<String, Vec<Look>>,
    /// Vantages that were gone before the load ended, with the reason.
    pub lost_vantages: Vec<(String, i64, String)>,
    /// What the worst moment of each history of backups would have cost, or why nobody can say.
    pub exposures: Vec<Result<Exposure, String>>,
    pub origins: BTreeMap<WorkloadName, i64>,
    pub read_backs: Vec<ReadBackDone>,
    pub aborts: Vec<AbortCause>,
    pub guards: Vec<(String, String)>,
    pub preflight: Vec<String>,
    pub staging_errors: Vec<String>,
    pub notes: Vec<String>,
}

/// A span in which somebody could not see.
#[derive(Debug)]
pub(super) struct Stalled {
    pub span: Span,
    pub cause: StallCause,
    /// Whose schedule it was; everybody's if not given.
    pub workload: Option<WorkloadName>,
}

impl Stalled {
    /// Could this workload not see?
    pub fn concerns(&self, workload: &WorkloadName) -> bool {
        self.workload.as_ref().is_none_or(|own| own == workload)
    }
}

#[derive(Debug)]
pub(super) struct End {
    pub state: RunState,
    pub error: Option<String>,
}

#[derive(Debug)]
pub(super) struct StepStory {
    pub id: StepId,
    pub round: u32,
    pub from: i64,
    pub to: Option<i64>,
    pub outcome: Option<StepOutcome>,
    pub output: BTreeMap<String, String>,
}

/// One injection and what became of it.
#[derive(Debug)]
pub(super) struct FaultStory {
    pub intent: FaultIntent,
    pub phase: Option<Phase>,
    pub injected: Option<Span>,
    pub inject_error: Option<String>,
    /// The first look that saw the effect.
    pub seen: Option<Span>,
    /// The last look: did it see the effect, and what did it see?
    pub effect: Option<(bool, String)>,
    pub heal_started: Option<i64>,
    /// On whose behalf the last healing was begun.
    pub healer: Option<HealCause>,
    pub healed: Option<Span>,
    pub heal_error: Option<String>,
}

impl FaultStory {
    fn new(intent: FaultIntent, phase: Option<Phase>) -> Self {
        let (injected, inject_error, seen, effect) = (None, None, None, None);
        let (heal_started, healer, healed, heal_error) = (None, None, None, None);
        Self { intent, phase, injected, inject_error, seen, effect, heal_started, healer, healed, heal_error }
    }

    pub fn id(&self) -> &FaultId {
        &self.intent.fault
    }

    /// t_fault = [call, first look that saw the effect]; up to the return if no look saw it.
    pub fn at(&self) -> Option<Span> {
        let injected = self.injected?;
        let hi = self.seen.map_or(injected.hi, |look| look.hi);
        Some(Span::new(injected.lo, hi.max(injected.lo)))
    }

    /// Did it bite? A look that saw the effect once is enough: what heals by itself is gone at a later look.
    pub fn effective(&self) -> Option<bool> {
        if self.seen.is_some() { Some(true) } else { self.effect.as_ref().map(|(effective, _)| *effective) }
    }

    pub fn open(&self) -> bool {
        self.healed.is_none() && !self.intent.irreversible
    }
}

impl Story {
    pub fn of(record: &Record) -> Self {
        let mut story = Self::default();
        if let Some(first) = record.events.first() {
            (story.t0, story.started, story.last) = (first.at.mono.0, first.at.wall, first.at.mono.0);
        }
        let mut phase = None;
        for event in &record.events {
            story.last = story.last.max(event.at.mono.0);
            story.take(event, &mut phase);
        }
        story
    }

    fn take(&mut self, event: &Event, phase: &mut Option<Phase>) {
        let at = event.at.mono.0;
        match &event.what {
            What::RunStarted(start) => self.start = Some((**start).clone()),
            What::PhaseStarted { phase: began } => {
                *phase = Some(*began);
                self.phases.push((*began, at, None));
            }
            What::PhaseEnded { phase: over } => {
                *phase = None;
                if let Some(open) = self.phases.iter_mut().rev().find(|(p, _, to)| p == over && to.is_none()) {
                    open.2 = Some(at);
                }
            }
            What::WorkloadStarted { workload, origin } => {
                self.origins.insert(workload.clone(), origin.0);
            }
            What::StepStarted { step, round } => {
                let (id, round, output) = (step.clone(), *round, BTreeMap::new());
                self.steps.push(StepStory { id, round, from: at, to: None, outcome: None, output });
            }
            What::StepEnded { step, round, outcome, output, .. } => {
                let ours = |s: &&mut StepStory| s.id == *step && s.round == *round && s.to.is_none();
                if let Some(open) = self.steps.iter_mut().rev().find(ours) {
                    (open.to, open.outcome, open.output) = (Some(at), Some(outcome.clone()), output.clone());
                }
            }
            What::Milestone { name, step, span } => self.milestones.push((name.clone(), step.clone(), *span)),
            What::Stall { span, cause, workload } => {
                self.stalls.push(Stalled { span: *span, cause: *cause, workload: workload.clone() });
            }
            What::VantageStalled { vantage, span, cause, workload } => {
                let stalled = Stalled { span: *span, cause: *cause, workload: workload.clone() };
                self.vantage_stalls.push((vantage.clone(), stalled));
            }
            What::VantagePlaced(placed) => {
                let place = format!("in {} of {}", placed.namespace, placed.server);
                self.vantage_pods.push((placed.vantage.clone(), place));
            }
            What::VantageClock { vantage, span, said } => {
                self.vantage_clocks.entry(vantage.clone()).or_default().push(Look { span: *span, said: *said });
            }
            What::VantageLost { vantage, at, why } => self.lost_vantages.push((vantage.clone(), at.0, why.clone())),
            What::Restored(done) => self.exposures.extend(done.claim.exposure.clone()),
            What::ReadBack(done) => self.read_backs.push(done.clone()),
            What::WorkloadStopped(mark) => self.stopped.push(mark.workload.clone()),
            What::TakenOver { by, why } => self.taken_over.push((*by, why.clone())),
            What::AbortRequested { cause } => self.aborts.push(cause.clone()),
            What::GuardBroken { guard, detail } => self.guards.push((guard.clone(), detail.clone())),
            What::PreflightFailed { reasons, .. } => self.preflight.extend(reasons.iter().cloned()),
            What::StagingDown { error: Some(error) } => self.staging_errors.push(error.clone()),
            What::Note { text } => self.notes.push(text.clone()),
            What::RunEnded { state, error, .. } => {
                self.end = Some(End { state: *state, error: error.clone() });
                self.ended = Some(event.at.wall);
            }
            other => self.take_fault(other, at, *phase),
        }
    }

    fn take_fault(&mut self, what: &What, at: i64, phase: Option<Phase>) {
        match what {
            What::FaultIntent(intent) => self.faults.push(FaultStory::new((**intent).clone(), phase)),
            What::FaultInjected { fault, span } => self.with(fault, |f| f.injected = f.injected.or(Some(*span))),
            What::FaultInjectFailed { fault, error } => self.with(fault, |f| f.inject_error = Some(error.clone())),
            What::FaultEffect { fault, effective, span, detail } => self.with(fault, |f| {
                f.seen = f.seen.or(effective.then_some(*span));
                f.effect = Some((*effective, detail.clone()));
            }),
            What::HealStarted { fault, by } => self.with(fault, |f| {
                f.heal_started = f.heal_started.or(Some(at));
                f.healer = Some(by.clone());
            }),
            What::Healed { fault, span, .. } => {
                self.with(fault, |f| f.healed = Some(*span));
                let healer = self.faults.iter().rev().find(|f| f.id() == fault).and_then(|f| f.healer.clone());
                if let Some(by @ (HealCause::Recover | HealCause::Guardian | HealCause::Deadline)) = healer {
                    self.notes.push(format!("the fault `{fault}` was healed by {}", cause(&by)));
                }
            }
            What::HealFailed { fault, error, .. } => self.with(fault, |f| f.heal_error = Some(error.clone())),
            _ => {}
        }
    }

    /// The latest injection of that fault.
    fn with(&mut self, id: &FaultId, change: impl FnOnce(&mut FaultStory)) {
        if let Some(fault) = self.faults.iter_mut().rev().find(|f| f.id() == id) {
            change(fault);
        }
    }

    /// How it ended. A record that stops in the middle is dirty while a fault is open, and aborted otherwise.
    pub fn state(&self) -> RunState {
        let open = self.faults.iter().any(FaultStory::open);
        match &self.end {
            _ if open => RunState::Dirty,
            // It ended dirty, and somebody healed it later.
            Some(End { state: RunState::Dirty, .. }) if !self.faults.is_empty() => RunState::Aborted,
            Some(end) => end.state,
            None if !self.preflight.is_empty() => RunState::NotRun,
            None => RunState::Aborted,
        }
    }

    /// The milestone that says "this is a disaster", the first at or after `from`, else the first of all.
    pub fn declared(&self, from: i64) -> Option<Span> {
        let good = |span: &Span| sane(span.lo) && sane(span.hi);
        let all = self.milestones.iter().filter(|(name, _, _)| name == "declared").map(|(_, _, span)| *span);
        let mut all = all.filter(good);
        all.clone().find(|span| span.hi.0 >= from).or_else(|| all.next())
    }

    /// From the fault to the first milestone `detected` after it: [detected.lo − t_fault.hi, detected.hi − t_fault.lo],
    /// never below 0.
    pub fn detected_after(&self, fault: &FaultStory) -> Option<Interval> {
        let at = fault.at().filter(|at| sane(at.lo) && sane(at.hi))?;
        let all = self.milestones.iter().filter(|(name, _, _)| name == "detected").map(|(_, _, span)| *span);
        let mut after = all.filter(|span| sane(span.lo) && sane(span.hi) && span.hi >= at.lo);
        let seen = after.next()?;
        let high = seen.hi.0 - at.lo.0;
        Interval::between((seen.lo.0 - at.hi.0).clamp(0, high), high)
    }

    /// When a step first began to restore, at or after `from`. One that was skipped has restored nothing.
    pub fn restoring(&self, from: i64) -> Option<i64> {
        let seals = &self.start.as_ref()?.steps;
        let restores = |id: &StepId| seals.iter().any(|seal| seal.id == *id && seal.verb == "restore");
        let skipped = |step: &StepStory| matches!(step.outcome, Some(StepOutcome::Skipped { .. }));
        let ours = self.steps.iter().filter(|step| step.from >= from && !skipped(step) && restores(&step.id));
        ours.map(|step| step.from).min()
    }

    /// When the first fault of a later phase comes, after which an earlier fault can prove nothing any more.
    pub fn next_chapter(&self, fault: &FaultStory) -> Option<Span> {
        let (ours, at) = (fault.phase, fault.at()?);
        let later = self.faults.iter().filter(|f| f.phase > ours).filter_map(FaultStory::at);
        later.filter(|span| span.lo > at.lo).min_by_key(|span| span.lo)
    }

    /// Is it the first injected fault of its phase?
    pub fn leads(&self, fault: &FaultStory) -> bool {
        let first = self.faults.iter().find(|f| f.phase == fault.phase && f.injected.is_some());
        first.is_some_and(|f| std::ptr::eq(f, fault))
    }

    /// `file:line` of a step (or of the injection of a fault, which has its step's id).
    pub fn place(&self, id: &str) -> Option<String> {
        let seal = self.start.as_ref()?.steps.iter().find(|seal| seal.id.as_str() == id)?;
        Some(format!("{}:{}", seal.file, seal.line))
    }
}

/// What a step's end does to the verdict. An expectation that was false is a failure, and so is a recovery action
/// that said no; an action that prepares or breaks something and said no leaves the drill undecided.
pub(super) fn judge_step(verb: &str, phase: Phase, outcome: Option<&StepOutcome>) -> Verdict {
    match outcome {
        Some(StepOutcome::Passed { .. } | StepOutcome::Skipped { by_when: true, .. }) => Verdict::Pass,
        Some(StepOutcome::Failed { .. }) => match (verb, phase) {
            ("expect" | "check" | "restore", _) => Verdict::Fail,
            ("run", Phase::Failover | Phase::Restore | Phase::Verify) => Verdict::Fail,
            _ => Verdict::Inconclusive,
        },
        Some(StepOutcome::Errored { .. } | StepOutcome::Skipped { .. } | StepOutcome::Aborted) | None => {
            Verdict::Inconclusive
        }
    }
}

/// Who healed in place of the runner.
pub(super) fn in_place_of_the_runner(by: &HealCause) -> Option<Healer> {
    match by {
        HealCause::Guardian => Some(Healer::Guardian),
        HealCause::Recover => Some(Healer::Recover),
        HealCause::Step(_) | HealCause::Closes(_) | HealCause::Unwind | HealCause::Deadline => None,
    }
}

fn cause(by: &HealCause) -> &'static str {
    match by {
        HealCause::Recover => "`recover`, after the run",
        HealCause::Guardian => "the guardian, after the runner was gone",
        HealCause::Deadline => "its deadline",
        HealCause::Step(_) | HealCause::Closes(_) => "a step",
        HealCause::Unwind => "the end of the drill",
    }
}

/// Stands in where a record has no start record.
pub(super) fn nobody() -> RunStarted {
    let nothing = String::new;
    RunStarted {
        run: "".into(),
        drill: "".into(),
        title: nothing(),
        environment: nothing(),
        playbook: nothing(),
        playbook_digest: nothing(),
        resolved_digest: nothing(),
        params: BTreeMap::new(),
        metadata: BTreeMap::new(),
        objectives: Vec::new(),
        workloads: Vec::new(),
        steps: Vec::new(),
        fingerprints: Vec::new(),
        sites: Vec::new(),
        waivers: Vec::new(),
        expects_failover: false,
        host: HostSeal {
            tool: nothing(),
            host: nothing(),
            system: nothing(),
            boot: nothing(),
            cores: 0,
            trigger: nothing(),
        },
        lineage: None,
    }
}

/// Moments in a record that no clock of ours can have given would make arithmetic overflow.
pub(super) fn sane(at: Mono) -> bool {
    (0..=i64::MAX / 8).contains(&at.0)
}
