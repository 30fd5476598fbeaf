//! What each verb does: looks, commands, waits, questions. When a step is run, skipped or repeated is in `step`;
//! injections are in `fault`.

use super::drill::Drill;
use crate::adapters::AdapterError;
use crate::event::{HealCause, StepOutcome};
use crate::faults::{Done, FaultError};
use crate::model::{CommandSpec, Dur, FaultId, Mono, RequestSpec, RunSpec, Span};
use crate::plan::{Since, StepPlan, Verb};
use crate::probes::{ProbeError, ProbeSpec, Sample};
use std::time::Duration;

/// A slow probe is not asked more often than every other one of its own cost, up to this.
const PAUSE_MOST: Duration = Duration::from_millis(500);
/// Of a condition whose playbook gives no limit.
pub(super) const EXPECT_LIMIT: Duration = Duration::from_secs(60);

/// How a verb ended.
#[derive(Debug)]
pub(super) struct VerbEnd {
    pub outcome: StepOutcome,
    pub span: Span,
    /// What outputs are taken from.
    pub answer: String,
    pub looks: u32,
}

impl VerbEnd {
    pub fn new(outcome: StepOutcome, span: Span) -> Self {
        Self { outcome, span, answer: String::new(), looks: 0 }
    }
}

/// How long a condition is waited for.
pub(super) struct Wait {
    /// It may have become true since then without anybody looking.
    pub earliest: Mono,
    pub until: Mono,
    pub hold: Duration,
}

impl Drill<'_> {
    /// Does what a step says. Injecting and healing are never broken off; everything else is, when the run shall stop.
    pub async fn verb(&self, step: &StepPlan, round: u32) -> VerbEnd {
        let began = self.now();
        let until = match self.limit(step, began) {
            Ok(until) => until,
            Err(error) => return VerbEnd::new(StepOutcome::Errored { error }, Span::point(began)),
        };
        match &step.verb {
            Verb::Inject(plan) => self.inject(step, plan).await,
            Verb::Heal(fault) => self.heal_verb(step, fault).await,
            Verb::Parallel(steps) => self.parallel(steps, round).await,
            _ => match self.unless_stopped(self.stoppable((step, round), began, until)).await {
                Ok(end) => end,
                Err(_) => VerbEnd::new(StepOutcome::Aborted, Span::new(began, self.now())),
            },
        }
    }

    /// When the step must be over.
    fn limit(&self, step: &StepPlan, began: Mono) -> Result<Option<Mono>, String> {
        let Some(within) = step.within else { return Ok(None) };
        let base = match &step.since {
            Since::Start => Some(began),
            Since::Fault => self.progress().first_fault,
            Since::Declared => self.progress().declared,
            Since::Step(id) => self.ended_at(id),
        };
        let base = base.ok_or_else(|| format!("`since: {}` has not happened", since_word(&step.since)))?;
        Ok(Some(base.after(within)))
    }

    async fn stoppable(&self, (step, round): (&StepPlan, u32), began: Mono, until: Option<Mono>) -> VerbEnd {
        let done = |outcome| VerbEnd::new(outcome, Span::new(began, self.now()));
        match &step.verb {
            Verb::Expect { probe, hold } => {
                let fault = self.progress().first_fault.filter(|_| step.milestone.is_some());
                let until = until.unwrap_or_else(|| began.after(EXPECT_LIMIT));
                let wait = Wait { earliest: fault.unwrap_or(began).min(began), until, hold: hold.unwrap_or_default() };
                self.expect(probe, &wait).await
            }
            Verb::Check(probe) => self.check(probe, began).await,
            Verb::Restore(restore) => self.restore((step, round), restore, began, until).await,
            Verb::Run(spec) => self.run(spec, began, until).await,
            Verb::Wait(time) => {
                self.world.clock.sleep_until(began.after(*time)).await;
                done(StepOutcome::Passed { detail: format!("{} passed", Dur(*time)) })
            }
            Verb::Ask(question) => done(self.ask(step, question, until).await),
            Verb::Inject(_) | Verb::Heal(_) | Verb::Parallel(_) => {
                done(StepOutcome::Errored { error: "this verb cannot be broken off".to_owned() })
            }
        }
    }

    async fn heal_verb(&self, step: &StepPlan, id: &FaultId) -> VerbEnd {
        let began = self.now();
        let outcome = if self.open_set(id).is_empty() {
            StepOutcome::Passed { detail: format!("`{id}` is not open: there is nothing to heal") }
        } else {
            let stuck = self.heal_set(id, &HealCause::Step(step.id.clone())).await;
            match stuck.first() {
                None => StepOutcome::Passed { detail: format!("`{id}` is healed") },
                Some(why) => StepOutcome::Failed { detail: format!("`{id}` is not healed: {why}") },
            }
        };
        VerbEnd::new(outcome, Span::new(began, self.now()))
    }

    /// One look. A condition that is cut off at the limit has not become true.
    async fn look(&self, probe: &ProbeSpec, until: Mono) -> (Result<Sample, ProbeError>, Span) {
        let lo = self.now();
        let cx = self.scene.cx();
        let sample = match tokio::time::timeout(until.since(lo), probe.sample(&cx)).await {
            Ok(sample) => sample,
            Err(_) => Err(AdapterError::TimedOut("no answer before the limit".to_owned()).into()),
        };
        (sample, Span::new(lo, self.now()))
    }

    /// Before the next look.
    pub async fn pause(&self, look: Span) {
        let cost = look.hi.since(look.lo).min(PAUSE_MOST);
        self.world.clock.sleep_until(look.hi.after(cost.max(self.options.limits.look_every))).await;
    }

    pub(super) async fn expect(&self, probe: &ProbeSpec, wait: &Wait) -> VerbEnd {
        let (mut last_false, mut true_since, mut looks, mut said) = (None, None::<Span>, 0, None);
        loop {
            let bound = if true_since.is_some() { self.now().after(EXPECT_LIMIT) } else { wait.until };
            let (sample, span) = self.look(probe, bound).await;
            looks += 1;
            let end = |outcome, answer, span| VerbEnd { outcome, span, answer, looks };
            match sample {
                Ok(sample) if sample.holds => {
                    let since = *true_since.get_or_insert(Span::new(last_false.unwrap_or(wait.earliest), span.hi));
                    if span.lo.since(since.hi) >= wait.hold {
                        return end(StepOutcome::Passed { detail: sample.detail }, sample.answer, since);
                    }
                }
                other => {
                    true_since = None;
                    let cut = matches!(&other, Err(ProbeError::World(AdapterError::TimedOut(_))));
                    let outcome = not_true(other, &mut last_false, span);
                    if span.hi >= wait.until {
                        // What the look before it said says more than that the last one was cut off.
                        return end(said.filter(|_| cut).unwrap_or(outcome), String::new(), span);
                    }
                    said = Some(outcome);
                }
            }
            self.pause(span).await;
        }
    }

    async fn check(&self, probe: &ProbeSpec, began: Mono) -> VerbEnd {
        let limit = match probe {
            ProbeSpec::Fingerprint(print) => self.scene.fingerprint_plan(&print.0).map(|plan| plan.within),
            ProbeSpec::FingerprintAt(print) => self.scene.fingerprint_plan(&print.name).map(|plan| plan.within),
            _ => None,
        };
        let (sample, span) = self.look(probe, began.after(limit.unwrap_or(EXPECT_LIMIT))).await;
        let (outcome, answer) = match sample {
            Ok(sample) if sample.holds => (StepOutcome::Passed { detail: sample.detail }, sample.answer),
            Ok(sample) => (StepOutcome::Failed { detail: sample.detail }, sample.answer),
            Err(error) => (StepOutcome::Errored { error: error.to_string() }, String::new()),
        };
        VerbEnd { outcome, span, answer, looks: 1 }
    }

    async fn run(&self, spec: &RunSpec, began: Mono, until: Option<Mono>) -> VerbEnd {
        let cx = self.scene.cx();
        let done = match until {
            None => cx.run(spec).await,
            Some(until) => {
                let left = until.since(self.now());
                let spec = patient(spec, left);
                let late =
                    || AdapterError::TimedOut(format!("it was not over within {}", Dur(until.since(began)))).into();
                tokio::time::timeout(left, cx.run(&spec)).await.unwrap_or_else(|_| Err(late()))
            }
        };
        let span = Span::new(began, self.now());
        match done {
            Ok(Done { ok: true, detail, answer }) => {
                VerbEnd { answer, ..VerbEnd::new(StepOutcome::Passed { detail }, span) }
            }
            Ok(Done { detail, .. }) => VerbEnd::new(StepOutcome::Failed { detail }, span),
            Err(error) => VerbEnd::new(not_done(error), span),
        }
    }

    async fn ask(&self, step: &StepPlan, question: &str, until: Option<Mono>) -> StepOutcome {
        let clock = &self.world.clock;
        let asked = self.options.answers.answer(&step.id, question, clock);
        let answer = match until {
            None => asked.await,
            Some(until) => {
                let nobody = |_| Err("nobody answered in time".to_owned());
                tokio::time::timeout(until.since(self.now()), asked).await.unwrap_or_else(nobody)
            }
        };
        match answer {
            Ok(answer) if answer.done => StepOutcome::Passed { detail: format!("done, says {}", answer.by) },
            Ok(answer) => StepOutcome::Failed { detail: format!("not done, says {}", answer.by) },
            Err(error) => StepOutcome::Errored { error },
        }
    }
}

/// What a look that was not true means if it is the last one. Only a definite answer counts as having been false.
fn not_true(sample: Result<Sample, ProbeError>, last_false: &mut Option<Mono>, span: Span) -> StepOutcome {
    let decided = match &sample {
        Ok(_) => true,
        Err(ProbeError::World(e)) => {
            matches!(e, AdapterError::Unreachable(_) | AdapterError::TimedOut(_) | AdapterError::Refused(_))
        }
        Err(ProbeError::Undecided(_)) => false,
    };
    if decided {
        *last_false = Some(span.lo);
    }
    match sample {
        Ok(sample) => StepOutcome::Failed { detail: sample.detail },
        Err(error) if decided => StepOutcome::Failed { detail: error.to_string() },
        Err(error) => StepOutcome::Errored { error: error.to_string() },
    }
}

/// Did it fail, or does nobody know?
pub(super) fn not_done(error: FaultError) -> StepOutcome {
    match error {
        FaultError::World(
            error @ (AdapterError::Unreachable(_) | AdapterError::TimedOut(_) | AdapterError::Refused(_)),
        ) => StepOutcome::Failed { detail: error.to_string() },
        other => StepOutcome::Errored { error: other.to_string() },
    }
}

/// A command or request without a time-out of its own may take as long as its step.
fn patient(spec: &RunSpec, left: Duration) -> RunSpec {
    let own = |timeout: Option<Dur>| timeout.or(Some(Dur(left + Duration::from_secs(1))));
    match spec {
        RunSpec::Command(c) => RunSpec::Command(CommandSpec { timeout: own(c.timeout), ..c.clone() }),
        RunSpec::Request(r) => RunSpec::Request(RequestSpec { timeout: own(r.timeout), ..r.clone() }),
    }
}

fn since_word(since: &Since) -> String {
    match since {
        Since::Start => "start".to_owned(),
        Since::Fault => "fault".to_owned(),
        Since::Declared => "declared".to_owned(),
        Since::Step(id) => id.to_string(),
    }
}
