//! What may follow what: the single `match` of legal next events. Everything else is an error, which the writer
//! reports in debug builds and the reader always.

use crate::event::{Phase, What};
use crate::model::{FaultId, RunState, StepId, WorkloadName};
use std::collections::{BTreeMap, BTreeSet};

/// The events so far, folded to what decides which may follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    life: Life,
    phase: Option<Phase>,
    last_phase: Option<Phase>,
    sealed_steps: BTreeSet<StepId>,
    started_steps: BTreeSet<StepId>,
    open_steps: BTreeSet<(StepId, u32)>,
    workloads: BTreeMap<WorkloadName, Load>,
    /// Of a ledger that is written at several sites: one of the workloads that it consists of.
    parts: BTreeMap<WorkloadName, WorkloadName>,
    faults: BTreeMap<FaultId, Fault>,
    pinned: bool,
    fingerprints: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Planned,
    Running,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Sealed,
    Running { blocks: u64 },
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    stage: Stage,
    irreversible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Intended,
    Injected,
    Healing,
    Healed,
}

impl State {
    /// May this event follow?
    ///
    /// # Errors
    /// Why not, in plain words.
    pub fn check(&self, what: &What) -> Result<(), String> {
        match (self.life, what) {
            (Life::Planned, What::RunStarted(_)) => Ok(()),
            (Life::Planned, _) => Err("the start record comes first".to_owned()),
            (Life::Running, What::RunStarted(_)) => Err("there is a start record already".to_owned()),
            (Life::Ended, _) => self.check_after_end(what),
            (Life::Running, _) => self.check_running(what),
        }
    }

    /// After the end only `recover` may write, and only while a fault is open.
    fn check_after_end(&self, what: &What) -> Result<(), String> {
        if self.open().next().is_none() {
            return Err("the run has ended, and nothing is open".to_owned());
        }
        match what {
            What::HealStarted { .. } | What::Healed { .. } | What::HealFailed { .. } => self.check_running(what),
            What::RunEnded { .. } | What::Note { .. } => self.check_running(what),
            _ => Err("the run has ended; only healing may follow".to_owned()),
        }
    }

    fn check_running(&self, what: &What) -> Result<(), String> {
        match what {
            What::RunStarted(_) => Err("there is a start record already".to_owned()),
            What::PhaseStarted { phase } => self.may_begin(*phase),
            What::PhaseEnded { phase } => {
                ensure(self.phase == Some(*phase), || format!("the phase {phase:?} is not open"))
            }
            What::TargetsResolved { pinned, .. } => {
                ensure(!(*pinned && self.pinned), || "the targets are pinned already".to_owned())
            }
            What::WorkloadStarted { workload, .. } => self.load(workload, |load| load == Load::Sealed, "started"),
            What::OpsMark(mark) | What::WorkloadStopped(mark) => {
                let grows = |load| matches!(load, Load::Running { blocks } if blocks <= mark.blocks);
                self.load(&mark.workload, grows, "marked")
            }
            What::ReadBack(done) => self.load(&done.workload, |load| load != Load::Sealed, "read back"),
            What::Sites(look) => {
                let of = self.parts.get(&look.workload).unwrap_or(&look.workload);
                self.load(of, |load| load != Load::Sealed, "compared")
            }
            What::Fingerprint(taken) => ensure(self.fingerprints.contains(&taken.name), || {
                format!("the fingerprint `{}` is not in the start record", taken.name)
            }),
            What::StepStarted { step, round } => self.may_start(step, *round),
            What::StepEnded { step, round, .. } => ensure(self.open_steps.contains(&(step.clone(), *round)), || {
                format!("round {round} of the step `{step}` has not started")
            }),
            What::Restored(done) => ensure(self.open_steps.contains(&(done.step.clone(), done.round)), || {
                format!("round {} of the step `{}` has not started", done.round, done.step)
            }),
            What::Milestone { step, .. } => {
                ensure(self.started_steps.contains(step), || format!("the step `{step}` has not started"))
            }
            What::FaultIntent(intent) => {
                self.fault(&intent.fault, "intended", |stage| matches!(stage, None | Some(Stage::Healed)))
            }
            What::FaultInjected { fault, .. } | What::FaultInjectFailed { fault, .. } => {
                self.fault(fault, "injected", |stage| matches!(stage, Some(Stage::Intended | Stage::Injected)))
            }
            What::FaultEffect { fault, .. } => {
                self.fault(fault, "looked at", |stage| matches!(stage, Some(s) if s != Stage::Healed))
            }
            What::HealStarted { fault, .. } => {
                self.fault(fault, "healed", |stage| matches!(stage, Some(s) if s != Stage::Healed))
            }
            What::Healed { fault, .. } | What::HealFailed { fault, .. } => {
                self.fault(fault, "called healed", |stage| stage == Some(Stage::Healing))
            }
            What::PreflightFailed { .. } => {
                ensure(self.faults.is_empty(), || "the preflight is over: a fault was intended".to_owned())
            }
            What::RunEnded { state, open, .. } => self.may_end(*state, open),
            What::StagingUp { .. }
            | What::StagingDown { .. }
            | What::GuardBroken { .. }
            | What::AbortRequested { .. }
            | What::Guarded { .. }
            | What::StagingBegun { .. }
            | What::TakenOver { .. }
            | What::Stall { .. }
            | What::VantageStalled { .. }
            | What::VantageLost { .. }
            | What::VantagePlaced(_)
            | What::VantageClock { .. }
            | What::Note { .. } => Ok(()),
        }
    }

    fn may_begin(&self, phase: Phase) -> Result<(), String> {
        if let Some(open) = self.phase {
            return Err(format!("the phase {phase:?} cannot begin: {open:?} has not ended"));
        }
        let in_order = self.last_phase.is_none_or(|last| last <= phase);
        ensure(in_order, || format!("the phase {phase:?} cannot begin: {:?} was before it", self.last_phase))
    }

    fn may_start(&self, step: &StepId, round: u32) -> Result<(), String> {
        ensure(self.sealed_steps.contains(step), || format!("the step `{step}` is not in the start record"))?;
        let closed = !self.open_steps.contains(&(step.clone(), round));
        ensure(closed, || format!("round {round} of the step `{step}` has started already"))
    }

    fn may_end(&self, state: RunState, open: &[FaultId]) -> Result<(), String> {
        let ours: BTreeSet<&FaultId> = self.open().collect();
        let theirs: BTreeSet<&FaultId> = open.iter().collect();
        ensure(ours == theirs, || format!("open faults are {ours:?}, and the end says {theirs:?}"))?;
        let clean = ours.is_empty() || state == RunState::Dirty;
        ensure(clean, || format!("a run with open faults is dirty, not {state:?}"))
    }

    fn load(&self, name: &WorkloadName, fits: impl Fn(Load) -> bool, verb: &str) -> Result<(), String> {
        match self.workloads.get(name) {
            None => Err(format!("the workload `{name}` is not in the start record")),
            Some(load) => ensure(fits(*load), || format!("the workload `{name}` cannot be {verb}: it is {load:?}")),
        }
    }

    fn fault(&self, id: &FaultId, verb: &str, fits: impl Fn(Option<Stage>) -> bool) -> Result<(), String> {
        let stage = self.faults.get(id).map(|fault| fault.stage);
        ensure(fits(stage), || match stage {
            None => format!("the fault `{id}` cannot be {verb}: it has no intent"),
            Some(stage) => format!("the fault `{id}` cannot be {verb}: it is {stage:?}"),
        })
    }

    /// Faults that somebody still has to heal.
    fn open(&self) -> impl Iterator<Item = &FaultId> {
        self.faults.iter().filter(|(_, f)| f.stage != Stage::Healed && !f.irreversible).map(|(id, _)| id)
    }

    /// Takes the event as having happened, legal or not.
    pub fn apply(&mut self, what: &What) {
        match what {
            What::RunStarted(start) => {
                self.life = Life::Running;
                self.sealed_steps = start.steps.iter().map(|seal| seal.id.clone()).collect();
                self.fingerprints = start.fingerprints.iter().map(|seal| seal.name.clone()).collect();
                let parts = start.workloads.iter().filter_map(|seal| Some((seal.site.as_ref()?.of.clone(), seal)));
                self.parts = parts.map(|(of, seal)| (of, seal.name.clone())).collect();
                self.workloads = start.workloads.iter().map(|seal| (seal.name.clone(), Load::Sealed)).collect();
            }
            What::PhaseStarted { phase } => (self.phase, self.last_phase) = (Some(*phase), Some(*phase)),
            What::PhaseEnded { .. } => self.phase = None,
            What::TargetsResolved { pinned, .. } => self.pinned |= pinned,
            What::WorkloadStarted { workload, .. } => {
                self.workloads.insert(workload.clone(), Load::Running { blocks: 0 });
            }
            What::OpsMark(mark) => {
                self.workloads.insert(mark.workload.clone(), Load::Running { blocks: mark.blocks });
            }
            What::WorkloadStopped(mark) => {
                self.workloads.insert(mark.workload.clone(), Load::Stopped);
            }
            What::StepStarted { step, round } => {
                self.started_steps.insert(step.clone());
                self.open_steps.insert((step.clone(), *round));
            }
            What::StepEnded { step, round, .. } => {
                self.open_steps.remove(&(step.clone(), *round));
            }
            What::FaultIntent(intent) => {
                let fault = Fault { stage: Stage::Intended, irreversible: intent.irreversible };
                self.faults.insert(intent.fault.clone(), fault);
            }
            What::FaultInjected { fault, .. } => self.stage(fault, Stage::Injected),
            What::HealStarted { fault, .. } => self.stage(fault, Stage::Healing),
            What::Healed { fault, .. } => self.stage(fault, Stage::Healed),
            What::RunEnded { .. } => self.life = Life::Ended,
            _ => {}
        }
    }

    fn stage(&mut self, id: &FaultId, stage: Stage) {
        if let Some(fault) = self.faults.get_mut(id) {
            fault.stage = stage;
        }
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
