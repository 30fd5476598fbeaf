//! A run under a guardian: when one is started, what it is told, and what its loss means. The two ends and what they say
//! are in `guardian`.

use super::drill::{Broken, Drill};
use super::guardian::{FromRunner, Guarding, Hello, Link};
use crate::event::{AbortCause, FaultIntent, What};
use crate::plan::{Plan, StagingPlan, StepPlan, Verb};

impl Drill<'_> {
    /// From now on somebody heals if the runner cannot, unless nothing can be left broken, or nobody can be had.
    pub async fn have_guardian(&self) -> Result<(), Broken> {
        if !breaks_something(self.plan) {
            return Ok(());
        }
        let unlisted = |e: crate::journal::JournalError| Broken::Preflight(vec![e.to_string()]);
        self.index.add(&self.options.run, &self.dir).map_err(unlisted)?;
        if let Guarding::Nobody(why) = &self.options.guardian {
            self.say(format!("no guardian ({why}): if the runner dies, only `blackstart recover` heals"));
            return Ok(());
        }
        let pid = i32::try_from(std::process::id()).ok();
        let runner = pid.and_then(|pid| self.world.processes.identify(pid).ok().flatten());
        let hello = Hello {
            run: self.options.run.clone(),
            dir: self.dir.clone(),
            state_dir: std::path::absolute(&self.options.state_dir).unwrap_or(self.options.state_dir.clone()),
            runner: runner.clone(),
            limits: self.options.limits,
        };
        let failed = |why| Broken::Preflight(vec![format!("there is no guardian: {why}")]);
        let started = Link::start(&self.options.guardian, hello, &self.world.clock);
        if let Some(link) = self.unless_stopped(started).await?.map_err(failed)? {
            self.note(What::Guarded { guardian: link.who.clone(), runner });
            // Started once in a run.
            let _first = self.guardian.set(link);
        }
        Ok(())
    }

    /// The guardian knows how it is healed, or there is none. `Err` says why nothing may be injected.
    pub async fn confirmed(&self, intent: &FaultIntent) -> Result<(), String> {
        match self.guardian.get() {
            Some(link) => link.confirm(intent).await,
            None => Ok(()),
        }
    }

    pub fn tell_guardian(&self, said: FromRunner) {
        if let Some(link) = self.guardian.get() {
            link.tell(said);
        }
    }

    /// A run that nobody watches over any more is stopped and healed while its runner still can.
    pub async fn guardian_lost(&self) {
        let link = self.guardian.wait().await;
        let why = link.lost().await;
        if !link.is_let_go() {
            self.say(format!("{why}: nobody would heal if the runner died too"));
            self.stop.trigger(AbortCause::Guardian(why));
        }
        std::future::pending().await
    }

    /// The record is complete.
    pub async fn let_guardian_go(&self) {
        if let Some(link) = self.guardian.get() {
            link.goodbye().await;
        }
    }
}

/// Can anything of it be left broken, or up?
fn breaks_something(plan: &Plan) -> bool {
    let lists = [&plan.steady, &plan.outage, &plan.failover, &plan.restore, &plan.verify];
    matches!(plan.staging, Some(StagingPlan::Commands { .. })) || lists.iter().any(|list| list.iter().any(injects))
}

fn injects(step: &StepPlan) -> bool {
    match &step.verb {
        Verb::Inject(_) => true,
        Verb::Parallel(steps) => steps.iter().any(injects),
        _ => false,
    }
}
