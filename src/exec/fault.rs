//! The life of a fault within a run: prepare, intent on disk, inject, look whether it bites, heal, look whether it is
//! healed. Kinds of faults are in `faults`; when a fault is injected and healed is decided by steps and by the end.

use super::context::{HealContext, Inside};
use super::drill::Drill;
use super::guardian::FromRunner;
use super::heal::{self, Noted, Turn};
use super::several::{Narrowed, Part};
use super::verb::VerbEnd;
use crate::event::{FaultIntent, HealCause, StepOutcome, What};
use crate::faults::{Cx, FaultError, FaultSpec, PreparedFault, Scope, journaled};
use crate::model::{FaultId, Mono, Span};
use crate::plan::{AtMost, InjectPlan, StepPlan};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// From an injection's first look to the second; doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// A fault whose intent is on disk.
pub(super) struct OpenFault {
    pub intent: FaultIntent,
    pub prepared: PreparedFault,
    /// When the injection was called.
    pub injected: Mono,
    /// One healer at a time.
    turn: tokio::sync::Mutex<()>,
    healed: AtomicBool,
    /// All attempts failed once; the deadline does not try again, the end does.
    stuck: AtomicBool,
}

/// A fault, or a part of one on several targets.
pub(super) struct Member {
    pub id: FaultId,
    pub fault: FaultSpec,
    /// Only these parts of its target.
    pub only: Option<Vec<Part>>,
}

impl OpenFault {
    /// Does somebody still have to heal it?
    pub fn is_open(&self) -> bool {
        !self.intent.irreversible && !self.healed.load(Ordering::SeqCst)
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::SeqCst)
    }
}

impl Drill<'_> {
    /// The `inject` verb. It is never broken off in the middle.
    pub async fn inject(&self, step: &StepPlan, plan: &InjectPlan) -> VerbEnd {
        if !plan.is_one() {
            return self.inject_several(step, plan).await;
        }
        let began = self.now();
        let whole = Member { id: FaultId(step.id.to_string()), fault: plan.fault.clone(), only: None };
        match self.prepare(step, plan, &whole).await {
            Ok((intent, prepared)) => self.injection(step, intent, prepared).await,
            Err(error) => VerbEnd::new(StepOutcome::Errored { error }, Span::new(began, self.now())),
        }
    }

    /// Read-only: the target's state, and everything that another process needs to heal.
    pub async fn prepare(
        &self,
        step: &StepPlan,
        plan: &InjectPlan,
        member: &Member,
    ) -> Result<(FaultIntent, PreparedFault), String> {
        let fault = member.id.clone();
        if self.open_fault(&fault).is_some() {
            return Err(format!("the fault `{fault}` is still open from an earlier round"));
        }
        let target = member.fault.targets().first().map(|target| target.name().to_owned());
        let narrowed = Narrowed { scene: &self.scene, target: target.zip(member.only.clone()) };
        let cx = Cx { scope: &narrowed, ..self.scene.cx_for(&fault) };
        let unreadable = |e: serde_json::Error| format!("the fault's parameters cannot be journaled: {e}");
        // What runs is what is journaled: a heal in another process does exactly the same.
        let spec = journaled(serde_json::to_value(&member.fault).map_err(unreadable)?, &cx);
        let parameters: FaultSpec = serde_json::from_value(spec.clone()).map_err(unreadable)?;
        let undo = parameters.prepare(&cx).await.map_err(|e| match e {
            FaultError::NothingToBreak(why) => format!("nothing to break: {why}"),
            other => other.to_string(),
        })?;
        let undo_json = journaled(serde_json::to_value(&undo).map_err(unreadable)?, &cx);
        let undo = serde_json::from_value(undo_json.clone()).map_err(unreadable)?;
        let prepared = PreparedFault { spec: parameters, undo };
        if plan.is_one() {
            self.bounded(plan, &prepared).await?;
        }
        let context = HealContext { inside: self.inside(&prepared).await, ..self.scene.context() };
        let context = serde_json::to_value(context).map_err(unreadable)?;
        let boot = self.world.clock.boot_nanos();
        let intent = FaultIntent {
            fault,
            name: step.name.clone(),
            kind: member.fault.kind().to_owned(),
            spec,
            undo: undo_json,
            context,
            targets: prepared.touched(),
            deadline: Some(plan.deadline),
            deadline_boot: Some(Mono(boot).after(plan.deadline).0),
            by_hand: prepared.by_hand(),
            irreversible: prepared.spec.irreversible(),
        };
        let text = format!("{} {} {}", intent.spec, intent.undo, intent.context);
        if let Some(why) = self.record.redactor.refuses(&text) {
            return Err(why);
        }
        Ok((intent, prepared))
    }

    /// Is all that it touches inside the embedded staging? Then it is gone when the runner is.
    async fn inside(&self, prepared: &PreparedFault) -> Option<Inside> {
        let staging = self.progress().held_staging.clone()?;
        if !prepared.spec.kind().starts_with("process_") {
            return None;
        }
        let within = self.world.processes.descendants(&staging).ok()?;
        let mut touched = Vec::new();
        for target in prepared.spec.targets() {
            let found = self.scene.target(target).await.ok()?;
            touched.extend(found.processes);
        }
        let all = !touched.is_empty() && touched.iter().all(|process| within.contains(process));
        all.then_some(Inside { staging, touched })
    }

    /// The blast radius that the playbook allows.
    async fn bounded(&self, plan: &InjectPlan, prepared: &PreparedFault) -> Result<(), String> {
        let mut touched = prepared.touched().len();
        let mut all = self.scene.processes().max(touched);
        // Of a cluster, what counts is the objects of the target: what a fault touches besides is there for them.
        for target in prepared.spec.targets() {
            let objects = self.scene.target(target).await?.objects.len();
            if objects > 0 {
                (touched, all) = (objects, objects);
            }
        }
        let allowed = match plan.at_most {
            None => return Ok(()),
            Some(AtMost::Count(count)) => count as usize,
            Some(AtMost::Share(share)) => (share * all as f64).floor() as usize,
        };
        if touched <= allowed {
            return Ok(());
        }
        Err(format!("it would touch {touched} of {all}, and `at_most` allows {allowed}"))
    }

    /// No journal, no injection; no guardian, no injection.
    pub async fn injection(&self, step: &StepPlan, intent: FaultIntent, prepared: PreparedFault) -> VerbEnd {
        let (fault, began) = (intent.fault.clone(), self.now());
        let unwritten = |error: String| VerbEnd::new(StepOutcome::Errored { error }, Span::point(began));
        if let Err(error) = self.index.add(&self.options.run, &self.dir) {
            return unwritten(format!("nothing was injected: {error}"));
        }
        if let Err(error) = self.record.write(What::FaultIntent(Box::new(intent.clone()))) {
            return unwritten(format!("nothing was injected: {error}"));
        }
        let confirmed = self.confirmed(&intent).await;
        let recorded = if confirmed.is_ok() { self.recorded(&intent, &prepared).await } else { Ok(()) };
        let untouched = recorded.is_err();
        let lo = self.now();
        let open = Arc::new(OpenFault {
            intent,
            prepared,
            injected: lo,
            turn: tokio::sync::Mutex::default(),
            healed: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        });
        self.progress().faults.push(Arc::clone(&open));
        let called = match confirmed.and(recorded) {
            Ok(()) => {
                self.progress().first_fault.get_or_insert(lo);
                self.call(&open).await.map_err(|e| e.to_string())
            }
            Err(why) => Err(format!("nothing was injected: {why}")),
        };
        let span = Span::new(lo, self.now());
        match called {
            Ok(()) => {
                self.note(What::FaultInjected { fault, span });
                self.effect(&open, span).await
            }
            Err(error) => {
                self.note(What::FaultInjectFailed { fault, error: error.clone() });
                if untouched {
                    self.never_injected(&open).await;
                }
                // Perhaps half of it was done.
                let _named_at_the_end = self.heal(&open, HealCause::Step(step.id.clone())).await;
                VerbEnd::new(StepOutcome::Errored { error }, span)
            }
        }
    }

    /// Its record could not be kept in the cluster, so nothing was called: there is nothing to heal.
    async fn never_injected(&self, open: &OpenFault) {
        let (id, span) = (&open.intent.fault, Span::point(self.now()));
        let (cx, note) = (self.scene.cx_for(id), |what| self.noted(what));
        heal::healed(id, &open.prepared, span, "nothing was injected".to_owned(), (&cx, &note)).await;
        open.healed.store(true, Ordering::SeqCst);
        self.tell_guardian(FromRunner::Healed(id.clone()));
    }

    /// The injection itself. Only one that lasts, and says that it can be, is broken off.
    async fn call(&self, open: &OpenFault) -> Result<(), FaultError> {
        let cx = self.scene.cx_for(&open.intent.fault);
        if !open.prepared.breaks_off() {
            return open.prepared.inject(&cx).await;
        }
        self.unless_stopped(open.prepared.inject(&cx)).await.unwrap_or(Err(FaultError::Stopped))
    }

    /// Independent looks until the effect is seen, or can no longer be expected.
    async fn effect(&self, open: &OpenFault, injected: Span) -> VerbEnd {
        let limit = self.options.limits.effect.min(open.intent.deadline.unwrap_or(Duration::MAX));
        let until = self.now().after(limit);
        let (fault, mut looks) = (open.intent.fault.clone(), 0);
        // Close looks at first: the width of the fault's own moment is part of every recovery time.
        let mut pause = FIRST_PAUSE;
        loop {
            let lo = self.now();
            let look = open.prepared.effective(&self.scene.cx_for(&fault)).await;
            let span = Span::new(lo, self.now());
            looks += 1;
            let (effective, detail) = match look {
                Ok(look) => (look.holds, look.detail),
                Err(error) => (false, error.to_string()),
            };
            let over = span.hi >= until || self.stop.requested().is_some();
            if effective || over {
                self.note(What::FaultEffect { fault, effective, span, detail: detail.clone() });
                let whole = Span::new(injected.lo, span.hi);
                let outcome = match (effective, self.stop.requested()) {
                    (true, _) => StepOutcome::Passed { detail: detail.clone() },
                    (false, Some(_)) => StepOutcome::Aborted,
                    (false, None) => StepOutcome::Errored { error: format!("the fault did not bite: {detail}") },
                };
                // What was seen is what a later step can know of it.
                return VerbEnd { looks, answer: detail, ..VerbEnd::new(outcome, whole) };
            }
            self.world.clock.sleep_until(span.hi.after(pause.max(span.hi.since(span.lo)))).await;
            pause = (pause * 2).min(self.options.limits.look_every);
        }
    }

    /// Heals a fault with retries, unless it is healed already.
    pub async fn heal(&self, open: &OpenFault, cause: HealCause) -> Result<(), String> {
        self.heal_in(open, cause, Turn::Last).await
    }

    async fn heal_in(&self, open: &OpenFault, cause: HealCause, turn: Turn) -> Result<(), String> {
        let _turn = open.turn.lock().await;
        if !open.is_open() {
            return Ok(());
        }
        let fault = &open.intent.fault;
        self.load.healing.send_replace(Some(self.now()));
        self.note(What::HealStarted { fault: fault.clone(), by: cause });
        self.tell_guardian(FromRunner::Healing(fault.clone()));
        let note = |what| self.noted(what);
        let (prepared, cx, limits) = (&open.prepared, self.scene.cx_for(fault), &self.options.limits);
        let done = match turn {
            Turn::First => heal::brief(fault, prepared, &cx, limits, &note).await,
            Turn::Last => heal::heal(fault, prepared, &cx, limits, &note).await,
        };
        open.healed.store(done.is_ok(), Ordering::SeqCst);
        open.stuck.store(done.is_err(), Ordering::SeqCst);
        let end = if done.is_ok() { FromRunner::Healed } else { FromRunner::Stuck };
        self.tell_guardian(end(fault.clone()));
        done
    }

    fn noted(&self, what: What) -> Noted {
        if self.record.write(what).is_ok() { Noted::Yes } else { Noted::No }
    }

    /// A step that says `closes:` has done the healing; this looks whether it is so. If not, the fault stays open and
    /// the end runs its way back.
    pub async fn closed(&self, id: &FaultId, step: &StepPlan) -> Result<(), String> {
        for open in self.open_set(id) {
            self.closed_part(&open, step).await?;
        }
        Ok(())
    }

    async fn closed_part(&self, open: &OpenFault, step: &StepPlan) -> Result<(), String> {
        let id = &open.intent.fault;
        let _turn = open.turn.lock().await;
        if !open.is_open() {
            return Ok(());
        }
        let lo = self.now();
        self.note(What::HealStarted { fault: id.clone(), by: HealCause::Closes(step.id.clone()) });
        let limits = &self.options.limits;
        match heal::confirm(&open.prepared, &self.scene.cx_for(id), limits, limits.heal_look).await {
            Ok(detail) => {
                let span = Span::new(lo, self.now());
                let (cx, note) = (self.scene.cx_for(id), |what| self.noted(what));
                heal::healed(id, &open.prepared, span, detail, (&cx, &note)).await;
                open.healed.store(true, Ordering::SeqCst);
                self.tell_guardian(FromRunner::Healed(id.clone()));
                Ok(())
            }
            Err(error) => {
                self.note(What::HealFailed { fault: id.clone(), attempt: 1, error: error.clone(), last: false });
                Err(format!("`{id}` is not closed by it: {error}"))
            }
        }
    }

    /// Heals everything that is open, newest first; what needs that another one is healed has a second turn.
    pub async fn unwind(&self) {
        let turns = heal::turns(self.open_faults().len());
        for (turn, open) in turns.iter().flat_map(|turn| self.open_faults().into_iter().map(move |open| (*turn, open)))
        {
            if let Err(why) = self.heal_in(&open, HealCause::Unwind, turn).await
                && turn == Turn::Last
            {
                let (fault, by_hand) = (&open.intent.fault, &open.intent.by_hand);
                self.say(format!("the fault `{fault}` is NOT HEALED ({why}); by hand: {by_hand}"));
            }
        }
    }
}
