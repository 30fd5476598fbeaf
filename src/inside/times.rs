//! How long a drill in a cluster may take at worst: from what its playbook allows and what healing may take.

use crate::plan::{Plan, StepPlan, Verb};
use std::time::Duration;

/// Until both pods run: images are fetched, nodes are found.
const START: Duration = Duration::from_secs(600);
/// Until a run's folder is judged, sealed and packed.
const SEAL: Duration = Duration::from_secs(120);

/// The times of a drill in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The drill itself, staging included.
    pub drill: Duration,
    /// Healing everything that it may have broken at once, every attempt taking as long as it may.
    pub heal: Duration,
    /// The runner's pod waits so long until its folder is fetched.
    pub hold: Duration,
}

impl Times {
    /// Of a plan. `heal_bound` is what healing one fault may take.
    #[must_use]
    pub fn of(plan: &Plan, heal_bound: Duration, hold: Duration) -> Self {
        let lists = [&plan.steady, &plan.outage, &plan.failover, &plan.restore, &plan.verify];
        let faults: u32 = lists.iter().flat_map(|list| list.iter()).map(injections).sum();
        Self { drill: plan.max_duration, heal: heal_bound * faults.max(1), hold }
    }

    /// From the order to end until the container is killed: it heals, seals, and its folder is fetched.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.heal + SEAL + self.hold
    }

    /// The Job is ended after this, with its grace.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        START + self.drill + self.grace()
    }

    /// A guardian waits so long for its runner.
    #[must_use]
    pub fn start(&self) -> Duration {
        START
    }
}

fn injections(step: &StepPlan) -> u32 {
    match &step.verb {
        Verb::Inject(inject) => u32::try_from(inject.faults().count()).unwrap_or(u32::MAX),
        Verb::Parallel(steps) => steps.iter().map(injections).sum(),
        _ => 0,
    }
}
