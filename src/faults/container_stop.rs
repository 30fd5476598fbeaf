//! Stops containers as `docker stop` does. Healing starts them.

use super::container::{ACCESS, Held, all_run, by_hand, each_is, run_all_again, said, stoppable};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::adapters::containers::{Act, Status};
use crate::model::{Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// As `docker stop` has it.
const GRACE: Duration = Duration::from_secs(10);

/// Stops containers (their stop signal, and SIGKILL after a grace), and starts them again when it is healed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerStop {
    /// A target of kind `container`.
    pub target: TargetRef,
    /// How long they have to end by themselves; 10s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Dur>,
}

/// Which containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Those that it is done to.
    pub containers: Vec<Held>,
}

impl Fault for ContainerStop {
    const KIND: &'static str = "container_stop";
    const TARGETS: &'static [&'static str] = &["container"];
    const SUMMARY: &'static str = "stop containers, and start them again";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![ACCESS.to_owned()]
    }

    fn way_back(&self) -> String {
        "the containers are started again".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let containers = stoppable(&self.target, cx).await?;
        Ok(Undo { containers })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for each in &undo.containers {
            let now = each.itself(cx).await?;
            if !now.is_some_and(|c| c.status == Status::Running && c.started == each.started) {
                continue;
            }
            let act = Act::Stop(self.grace.map_or(GRACE, |grace| grace.0));
            match each.act(&each.id, &act, cx).await {
                // It ended, or somebody did the same, between the look and the call; `effective` decides.
                Err(FaultError::World(AdapterError::Refused(_) | AdapterError::Missing(_))) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        each_is(&undo.containers, cx, |each, c| {
            let stopped = c.status == Status::Stopped;
            stopped.then(|| format!("{} is {}", each.name, said(c.status)))
        })
        .await
    }

    async fn heal(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        run_all_again(&undo.containers, cx).await
    }

    async fn healed(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        all_run(&undo.containers, cx).await
    }

    fn by_hand(&self, undo: &Undo) -> String {
        by_hand(&undo.containers, "start")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.containers.iter().map(Held::shown).collect()
    }
}
