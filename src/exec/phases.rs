//! The phases of a drill up to its verification, in their order. What always happens at the end is in `finish`.

use super::drill::{Broken, Drill};
use super::lock::{self, Holder};
use super::step::Flow;
use super::{secrets, targets};
use crate::event::{Phase, What};
use crate::model::{Mono, PinnedTarget, Span, TargetRef};
use crate::plan::{Plan, StepPlan, Verb};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two looks at the steady state while it must hold.
const STEADY_EVERY: Duration = Duration::from_secs(1);

impl Drill<'_> {
    /// From preflight to verification.
    pub async fn conduct(&self) -> Result<(), Broken> {
        self.phase(Phase::Preflight, async {
            self.preflight().await?;
            self.have_guardian().await
        })
        .await?;
        if self.plan.staging.is_some() {
            self.phase(Phase::StagingUp, self.staging_up()).await?;
        }
        if self.has_doors() {
            self.doors_up().await?;
        }
        self.phase(Phase::Baseline, self.baseline()).await?;
        self.emergency().await
    }

    /// Clients work, and all is as it should be, for long enough; then the targets are pinned.
    async fn baseline(&self) -> Result<(), Broken> {
        let known = secrets::weak(&self.record.redactor);
        self.unless_stopped(secrets::read(&self.scene, &self.record.redactor)).await?.map_err(Broken::Preflight)?;
        secrets::weak(&self.record.redactor).into_iter().filter(|w| !known.contains(w)).for_each(|w| self.say(w));
        self.allowed().await?;
        self.find_targets(Pin::Not).await?;
        let hindered = self.unless_stopped(self.hindered()).await?;
        if !hindered.is_empty() {
            return Err(Broken::Preflight(hindered));
        }
        self.start_load().await?;
        match self.steps(&self.plan.steady, 0).await {
            Flow::On => {}
            Flow::Stopped => return Err(Broken::Stopped),
            Flow::PhaseOver => return Err(Broken::Preflight(vec!["the steady state does not hold".to_owned()])),
        }
        // Before clients are looked at: what reading all data costs them must not touch the baseline or the outage.
        self.fingerprints_before().await?;
        self.armed.store(true, Ordering::SeqCst);
        self.unless_stopped(self.healthy()).await??;
        self.find_targets(Pin::Now).await?;
        let hindrances = self.unless_stopped(self.rehearse()).await?;
        if hindrances.is_empty() { Ok(()) } else { Err(Broken::Preflight(hindrances)) }
    }

    async fn find_targets(&self, pin: Pin) -> Result<(), Broken> {
        let found = self.unless_stopped(targets::resolve_all(&self.scene)).await?.map_err(Broken::Preflight)?;
        let real = |folder: PathBuf| std::fs::canonicalize(&folder).unwrap_or(folder);
        let folders = [real(self.scene.cx().scope.base()), real(self.dir.clone())];
        let strange: Vec<String> = found.iter().filter_map(|target| self.plan.allows(target, &folders).err()).collect();
        if !strange.is_empty() {
            return Err(Broken::Preflight(strange));
        }
        if pin == Pin::Not {
            let limit = self.options.limits.reach;
            let later = restored(self.plan);
            let there: Vec<PinnedTarget> =
                found.iter().filter(|t| !later.contains(&t.name.as_str())).cloned().collect();
            let unreached = self.unless_stopped(targets::reach(&there, self.world, limit)).await?;
            if !unreached.is_empty() {
                return Err(Broken::Preflight(unreached));
            }
            let protected = self.unless_stopped(targets::protected(&found, &self.scene)).await?;
            if !protected.is_empty() {
                return Err(Broken::Preflight(protected));
            }
        }
        self.lock(&found)?;
        self.claim(&found).await?;
        self.scene.set_found(&found);
        self.note(What::TargetsResolved { targets: found, pinned: pin == Pin::Now });
        Ok(())
    }

    /// One drill per target at a time.
    fn lock(&self, found: &[PinnedTarget]) -> Result<(), Broken> {
        let until = self.world.clock.stamp().wall + self.plan.max_duration;
        let holder = |target| Holder {
            target,
            run: self.options.run.clone(),
            pid: std::process::id(),
            until: until.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        };
        let mut progress = self.progress();
        let taken = lock::take(&self.options.state_dir, &self.index, lock::keys(found), holder, &progress.locks);
        progress.locks.extend(taken.map_err(Broken::Held)?);
        Ok(())
    }

    /// Waits until all workloads and the steady state have been good for `baseline`.
    async fn healthy(&self) -> Result<(), Broken> {
        let wanted = self.plan.baseline;
        let until = self.now().after(wanted + wanted.max(self.options.limits.warm_up));
        let (mut steady_since, mut looked) = (self.now(), self.now());
        loop {
            let now = self.now();
            if now.since(looked) >= STEADY_EVERY {
                looked = now;
                if let Some(why) = self.unsteady().await {
                    if self.now() >= until {
                        return Err(Broken::Preflight(vec![format!("the steady state does not hold: {why}")]));
                    }
                    steady_since = self.now();
                }
            }
            let lost = self.load.lost();
            if !lost.is_empty() {
                return Err(Broken::Preflight(lost));
            }
            let bad = self.load.not_good_for(wanted, now);
            let steady = now.since(steady_since) >= wanted;
            if bad.is_empty() && steady {
                return Ok(());
            }
            if now >= until {
                let mut reasons = vec![format!("clients were not served well enough for {wanted:?} before the outage")];
                reasons.extend(bad);
                return Err(Broken::Preflight(reasons));
            }
            self.world.clock.sleep_until(now.after(LOOK_EVERY)).await;
        }
    }

    /// Why a condition of the steady state is not true right now.
    async fn unsteady(&self) -> Option<String> {
        for step in &self.plan.steady {
            if let Verb::Expect { probe, .. } | Verb::Check(probe) = &step.verb {
                match probe.sample(&self.scene.cx()).await {
                    Ok(sample) if sample.holds => {}
                    Ok(sample) => return Some(format!("{}: {}", step.name, sample.detail)),
                    Err(error) => return Some(format!("{}: {error}", step.name)),
                }
            }
        }
        None
    }

    /// Outage, failover, restore, verify. After a failed outage there is nothing that could fail over; restore and
    /// verification run in any case.
    async fn emergency(&self) -> Result<(), Broken> {
        let plan = self.plan;
        let outage = self.list(Phase::Outage, &plan.outage).await?;
        if outage == Flow::On {
            let failover = self.list(Phase::Failover, &plan.failover).await?;
            self.progress().failed_over = failover == Flow::On && !plan.failover.is_empty();
        } else if !plan.failover.is_empty() {
            self.phase(Phase::Failover, async { self.skip_all(&plan.failover, "the outage failed") }).await;
        }
        self.list(Phase::Restore, &plan.restore).await?;
        self.list(Phase::Verify, &plan.verify).await?;
        if !self.open_faults().is_empty() {
            self.early_read_back().await;
        }
        Ok(())
    }

    async fn list(&self, phase: Phase, steps: &[StepPlan]) -> Result<Flow, Broken> {
        if self.stop.requested().is_some() {
            return Err(Broken::Stopped);
        }
        if steps.is_empty() {
            return Ok(Flow::On);
        }
        match self.phase(phase, self.steps(steps, 0)).await {
            Flow::Stopped => Err(Broken::Stopped),
            flow => Ok(flow),
        }
    }

    /// Redundancy comes back: the steady state holds again.
    pub async fn converge(&self) -> bool {
        let mut all = true;
        for step in &self.plan.steady {
            let rounds = step.repeat.map_or(1, |r| r.times);
            all &= self.step(step, rounds, &[]).await == Flow::On;
        }
        if let (true, Some(last)) = (all, self.plan.steady.last()) {
            let (name, step) = ("converged".to_owned(), last.id.clone());
            self.note(What::Milestone { name, step, span: self.converged() });
        }
        all
    }

    /// When the steady state held with nothing broken. A condition that was true at the first look may have been so ever
    /// since the fault, but not before what closes a fault began.
    fn converged(&self) -> Span {
        let progress = self.progress();
        let done = self.plan.steady.iter().filter_map(|step| progress.steps.get(step.id.as_str()));
        let closing = self.plan.restore.iter().filter(|step| step.closes.is_some());
        let closed = closing.filter_map(|step| progress.steps.get(step.id.as_str())).map(|step| step.span.lo).max();
        let mut span = Span::point(progress.first_fault.max(closed).unwrap_or_default());
        for step in done {
            let lo = if step.looks > 1 { step.span.lo } else { span.lo };
            span = Span::new(span.lo.max(lo), span.hi.max(step.span.hi));
        }
        span
    }

    /// Goes on under load until it can be decided for every workload whether its service is sustained, or it is too
    /// late to hope.
    pub async fn settle(&self) {
        let Some(fault) = self.progress().first_fault else { return };
        let until = self.hope_ends(fault);
        let last = self.progress().faults.iter().map(|open| open.injected).max().unwrap_or(fault);
        loop {
            let now = self.now();
            let undecided = self.load.undecided(now, last);
            if undecided.is_empty() {
                return;
            }
            if now >= until {
                return self.say(format!("service was not sustained for: {}", undecided.join(", ")));
            }
            if self.unless_stopped(self.world.clock.sleep_until(now.after(LOOK_EVERY))).await.is_err() {
                return;
            }
        }
    }

    /// Long enough for the service to become stable, and for every missed objective to be certainly missed.
    fn hope_ends(&self, fault: Mono) -> Mono {
        let stable = self.plan.workloads.iter().map(|w| w.service.stable).max().unwrap_or_default();
        let rto = self.plan.objectives.iter().filter(|o| o.kind == crate::model::ObjectiveKind::Rto).map(|o| o.target);
        let longest = Duration::from_nanos(rto.max().unwrap_or(0).max(0).unsigned_abs());
        let usual = self.now().after(stable * 3 + self.options.limits.settle);
        usual.max(fault.after(longest + stable + Duration::from_secs(5)))
    }
}

/// Targets that a restore brings up: nobody need answer there before it.
fn restored(plan: &Plan) -> Vec<&str> {
    let mut open: Vec<&StepPlan> = plan.restore.iter().chain(&plan.verify).collect();
    let mut names = Vec::new();
    while let Some(step) = open.pop() {
        match &step.verb {
            Verb::Restore(restore) => names.extend(restore.target().map(TargetRef::name)),
            Verb::Parallel(steps) => open.extend(steps),
            _ => {}
        }
    }
    names
}

/// Is this the resolution that counts?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pin {
    Not,
    Now,
}
