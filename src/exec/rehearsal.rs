//! A rehearsal: every fault of a plan is prepared once before anything is touched, so that a missing permission or tool is
//! a failed preflight and not half an outage. Preparing is read-only, and here even the vault keeps nothing; where a
//! cluster can say what it would do, it is asked.

use super::drill::Drill;
use super::scene::Scene;
use crate::adapters::{AdapterError, Fut, Vault};
use crate::faults::{Cx, FaultError, FaultSpec, PreparedFault, Scope, journaled};
use crate::model::{FaultId, PinnedTarget, Reference, TargetRef, TargetSpec};
use crate::plan::{StepPlan, Verb};
use std::path::PathBuf;

/// The drill's scene with a vault that keeps nothing.
struct Rehearsal<'a>(&'a Scene);

impl Scope for Rehearsal<'_> {
    fn lookup(&self, reference: &Reference) -> Result<String, String> {
        self.0.lookup(reference)
    }

    fn target<'a>(&'a self, target: &'a TargetRef) -> Fut<'a, Result<PinnedTarget, String>> {
        self.0.target(target)
    }

    fn url(&self, target: &TargetRef) -> Result<String, String> {
        self.0.url(target)
    }

    fn spec(&self, target: &TargetRef) -> Result<TargetSpec, String> {
        self.0.spec(target)
    }

    fn base(&self) -> PathBuf {
        self.0.base()
    }

    fn vault(&self) -> Vault {
        self.0.vault().rehearsing()
    }
}

/// Is anything in the way that is not in the way by itself later on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strict {
    /// The targets are as the fault will meet them.
    Yes,
    /// What is missing now may be there when its turn comes.
    No,
}

impl Drill<'_> {
    /// Why a fault of the plan could not be injected, as far as it can be known now.
    pub async fn rehearse(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let later = self.plan.failover.iter().chain(&self.plan.restore).chain(&self.plan.verify);
        // After the first fault the world is another one.
        let mut strict = Strict::Yes;
        for step in self.plan.outage.iter().chain(later) {
            strict = self.rehearse_step(step, strict, &mut reasons).await;
        }
        reasons
    }

    fn rehearse_step<'a>(
        &'a self,
        step: &'a StepPlan,
        strict: Strict,
        reasons: &'a mut Vec<String>,
    ) -> Fut<'a, Strict> {
        Box::pin(async move {
            match &step.verb {
                Verb::Inject(inject) if step.when.is_none() => {
                    let id = FaultId(step.id.to_string());
                    for fault in inject.faults() {
                        if let Err(error) = self.prepared_once(&id, fault).await
                            && hinders(&error, strict)
                        {
                            reasons.push(format!(
                                "{}:{}: `{id}` could not be injected: {error}",
                                step.place.file, step.place.line
                            ));
                        }
                    }
                    Strict::No
                }
                Verb::Parallel(steps) => {
                    let mut after = strict;
                    for step in steps {
                        if self.rehearse_step(step, strict, reasons).await == Strict::No {
                            after = Strict::No;
                        }
                    }
                    after
                }
                _ => strict,
            }
        })
    }

    async fn prepared_once(&self, id: &FaultId, fault: &FaultSpec) -> Result<(), FaultError> {
        let rehearsal = Rehearsal(&self.scene);
        let cx = Cx { scope: &rehearsal, ..self.scene.cx_for(id) };
        let unreadable = |e: serde_json::Error| FaultError::Journal(e.to_string());
        let spec = journaled(serde_json::to_value(fault).map_err(unreadable)?, &cx);
        let spec: FaultSpec = serde_json::from_value(spec).map_err(unreadable)?;
        let undo = spec.prepare(&cx).await?;
        PreparedFault { spec, undo }.rehearse(&cx).await
    }
}

/// A reference may get its value, and a target its place, when its turn comes; a permission does not come by itself.
fn hinders(error: &FaultError, strict: Strict) -> bool {
    match error {
        FaultError::World(AdapterError::Refused(_)) => true,
        FaultError::World(AdapterError::Missing(_)) => strict == Strict::Yes,
        _ => false,
    }
}
