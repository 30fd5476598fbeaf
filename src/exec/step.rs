//! Runs steps with their modifiers: order, `after`, `when`, `repeat`, `closes`, outputs, milestones, `on_fail`. What a
//! verb does is in `verb`.

use super::drill::{Drill, StepDone};
use super::output;
use super::verb::VerbEnd;
use super::when::{self, StepView};
use crate::adapters::Fut;
use crate::event::{AbortCause, StepOutcome, What};
use crate::model::{Span, StepId};
use crate::plan::{OnFail, StepPlan, Verb};
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// What follows a list of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// All is well.
    On,
    /// A step failed: its phase is over.
    PhaseOver,
    /// The run shall stop.
    Stopped,
}

impl Drill<'_> {
    /// Runs steps one after the other. The first that fails ends the list; the rest are noted as skipped.
    pub async fn steps(&self, steps: &[StepPlan], first_round: u32) -> Flow {
        let mut failed: Option<&StepId> = None;
        for step in steps {
            self.look_at_switch();
            if self.stop.requested().is_some() {
                return Flow::Stopped;
            }
            if let Some(id) = failed {
                self.skip(step, first_round, &format!("`{id}` failed before it"));
            } else if self.step(step, first_round, &[]).await == Flow::PhaseOver {
                failed = Some(&step.id);
            }
        }
        match (self.stop.requested(), failed) {
            (Some(_), _) => Flow::Stopped,
            (None, Some(_)) => Flow::PhaseOver,
            (None, None) => Flow::On,
        }
    }

    /// Notes that steps are not run at all.
    pub fn skip_all(&self, steps: &[StepPlan], reason: &str) {
        steps.iter().for_each(|step| self.skip(step, 0, reason));
    }

    fn skip(&self, step: &StepPlan, round: u32, reason: &str) {
        self.note(What::StepStarted { step: step.id.clone(), round });
        if let Verb::Parallel(inner) = &step.verb {
            inner.iter().for_each(|step| self.skip(step, round, reason));
        }
        let outcome = StepOutcome::Skipped { by_when: false, reason: reason.to_owned() };
        self.end(step, round, VerbEnd::new(outcome, Span::point(self.now())), BTreeMap::new());
    }

    /// One step, all its rounds.
    pub fn step<'s>(&'s self, step: &'s StepPlan, first_round: u32, siblings: &'s [StepId]) -> Fut<'s, Flow> {
        Box::pin(async move {
            if let Some(reason) = self.not_before(step, siblings).await {
                self.skip(step, first_round, &reason);
                return Flow::On;
            }
            let (rounds, every) = step.repeat.map_or((1, std::time::Duration::ZERO), |r| (r.times, r.every));
            let mut due = self.now();
            for round in 0..rounds {
                if self.unless_stopped(self.world.clock.sleep_until(due)).await.is_err() {
                    return Flow::Stopped;
                }
                due = due.after(every);
                let flow = self.round(step, first_round + round).await;
                if flow != Flow::On {
                    return flow;
                }
            }
            Flow::On
        })
    }

    /// Why its `after:` is not fulfilled. Steps beside it in a `parallel` are waited for.
    async fn not_before(&self, step: &StepPlan, siblings: &[StepId]) -> Option<String> {
        let mut ended = self.ended.subscribe();
        for id in step.after.iter() {
            if siblings.contains(id) {
                let over = ended.wait_for(|_| self.outcome_of(id).is_some());
                // Stopped: the round is not begun either.
                let _stopped = self.unless_stopped(over).await;
            }
            match self.outcome_of(id) {
                Some("passed") => {}
                Some(outcome) => return Some(format!("`{id}` must have passed before it, and {outcome}")),
                None => return Some(format!("`{id}` must have passed before it, and has not ended")),
            }
        }
        None
    }

    fn outcome_of(&self, id: &StepId) -> Option<&'static str> {
        self.progress().steps.get(id.as_str()).map(|done| done.view.outcome)
    }

    async fn round(&self, step: &StepPlan, round: u32) -> Flow {
        let wanted = self.wanted(step);
        if wanted.is_ok() {
            self.read_back_before_healing(step).await;
        }
        self.note(What::StepStarted { step: step.id.clone(), round });
        let mut end = match wanted {
            Ok(()) => self.verb(step, round).await,
            Err(outcome) => VerbEnd::new(outcome, Span::point(self.now())),
        };
        let mut output = BTreeMap::new();
        if matches!(end.outcome, StepOutcome::Passed { .. }) {
            match output::take(&step.output, &end.answer) {
                Ok(taken) => output = taken,
                Err(detail) => end.outcome = StepOutcome::Failed { detail },
            }
        }
        if matches!(end.outcome, StepOutcome::Passed { .. }) {
            self.close(step, &mut end).await;
        }
        self.end(step, round, end, output)
    }

    /// Is it wanted, as far as its own `when:` goes?
    fn wanted(&self, step: &StepPlan) -> Result<(), StepOutcome> {
        let Some(source) = &step.when else { return Ok(()) };
        let steps = self.progress().steps.iter().map(|(id, done)| (id.clone(), done.view.clone())).collect();
        match when::holds(source, &self.plan.params, &self.scene, &steps) {
            Ok(true) => Ok(()),
            Ok(false) => Err(StepOutcome::Skipped { by_when: true, reason: format!("`when: {source}` is false") }),
            Err(error) => Err(StepOutcome::Errored { error }),
        }
    }

    /// It took the heal of a fault over: does the fault's own look agree?
    async fn close(&self, step: &StepPlan, end: &mut VerbEnd) {
        let Some(id) = &step.closes else { return };
        match self.unless_stopped(self.closed(id, step)).await {
            Ok(Ok(())) => {}
            Ok(Err(detail)) => end.outcome = StepOutcome::Failed { detail },
            Err(_) => end.outcome = StepOutcome::Aborted,
        }
    }

    /// Notes the end of a round and what it means for the rest.
    fn end(&self, step: &StepPlan, round: u32, end: VerbEnd, output: BTreeMap<String, String>) -> Flow {
        let VerbEnd { outcome, span, looks, .. } = end;
        let view = StepView { outcome: word(&outcome), output: output.clone() };
        self.scene.set_output(&step.id, &output);
        let (id, passed) = (step.id.clone(), matches!(outcome, StepOutcome::Passed { .. }));
        self.note(What::StepEnded { step: id.clone(), round, outcome: outcome.clone(), span, output, looks });
        if let Some(name) = step.milestone.as_ref().filter(|_| passed) {
            self.note(What::Milestone { name: name.clone(), step: id.clone(), span });
            if name == "declared" {
                self.progress().declared.get_or_insert(span.hi);
            }
        }
        self.progress().steps.insert(id.to_string(), StepDone { view, span, looks });
        self.ended.send_modify(|count| *count += 1);
        match outcome {
            StepOutcome::Passed { .. } | StepOutcome::Skipped { .. } => Flow::On,
            StepOutcome::Aborted => Flow::Stopped,
            StepOutcome::Failed { .. } | StepOutcome::Errored { .. } => {
                if step.on_fail == OnFail::Abort {
                    self.stop.trigger(AbortCause::Step(id));
                }
                Flow::PhaseOver
            }
        }
    }

    /// All at once; over when all have ended, and as good as the worst of them.
    pub async fn parallel(&self, steps: &[StepPlan], round: u32) -> VerbEnd {
        let (began, ids) = (self.now(), steps.iter().map(|s| s.id.clone()).collect::<Vec<_>>());
        let rounds = |step: &StepPlan| round * step.repeat.map_or(1, |r| r.times);
        let flows = join_all(steps.iter().map(|step| self.step(step, rounds(step), &ids))).await;
        let bad: Vec<String> =
            ids.iter().filter(|id| matches!(self.outcome_of(id), Some("failed"))).map(|id| format!("`{id}`")).collect();
        let outcome = if flows.contains(&Flow::Stopped) {
            StepOutcome::Aborted
        } else if !bad.is_empty() {
            StepOutcome::Failed { detail: format!("{} failed", bad.join(", ")) }
        } else if flows.contains(&Flow::PhaseOver) {
            StepOutcome::Errored { error: "a step in it could not be decided".to_owned() }
        } else {
            StepOutcome::Passed { detail: format!("{} steps passed", steps.len()) }
        };
        VerbEnd::new(outcome, Span::new(began, self.now()))
    }
}

fn word(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Passed { .. } => "passed",
        StepOutcome::Failed { .. } => "failed",
        StepOutcome::Errored { .. } => "errored",
        StepOutcome::Skipped { .. } => "skipped",
        StepOutcome::Aborted => "aborted",
    }
}
