//! Restarts containers as `docker restart` does; they come back by themselves. Healing starts one that did not.

use super::container::{ACCESS, Held, all_run, by_hand, each_is, run_all_again, stoppable};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::containers::Act;
use crate::model::{Dur, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// As `docker restart` has it.
const GRACE: Duration = Duration::from_secs(10);

/// Stops containers (their stop signal, and SIGKILL after a grace) and starts them at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerRestart {
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

impl Fault for ContainerRestart {
    const KIND: &'static str = "container_restart";
    const TARGETS: &'static [&'static str] = &["container"];
    const SUMMARY: &'static str = "restart containers";
    const REVERSIBILITY: Reversibility = Reversibility::SelfHealing;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![ACCESS.to_owned()]
    }

    fn way_back(&self) -> String {
        "the engine starts the containers again; one that it did not is started by the heal".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        Ok(Undo { containers: stoppable(&self.target, cx).await? })
    }

    /// One that has been started since is not restarted once more.
    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for each in &undo.containers {
            if each.itself(cx).await?.is_some_and(|c| c.started == each.started) {
                each.act(&each.id, &Act::Restart(self.grace.map_or(GRACE, |grace| grace.0)), cx).await?;
            }
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        each_is(&undo.containers, cx, |each, c| {
            (c.started != each.started).then(|| format!("{} was started at {}", each.name, c.started))
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
