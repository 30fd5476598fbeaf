//! Freezes all processes of containers. Healing lets them go on, and starts one that was ended meanwhile.

use super::container::{ACCESS, Held, all_run, by_hand, each_is, run_all_again, running, said};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::adapters::containers::{Act, Status};
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Freezes containers until it is healed. One that somebody has paused already is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerPause {
    /// A target of kind `container`.
    pub target: TargetRef,
}

/// Which containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Those that it is done to.
    pub containers: Vec<Held>,
}

impl Fault for ContainerPause {
    const KIND: &'static str = "container_pause";
    const TARGETS: &'static [&'static str] = &["container"];
    const SUMMARY: &'static str = "freeze containers until they are let go";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec![ACCESS.to_owned()]
    }

    fn way_back(&self) -> String {
        "the containers are let go on".to_owned()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let containers = running(&self.target, cx).await?.into_iter().map(|(held, _)| held).collect();
        Ok(Undo { containers })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for each in &undo.containers {
            let now = each.itself(cx).await?;
            if !now.is_some_and(|c| c.status == Status::Running) {
                continue;
            }
            let act = Act::Pause;
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
            let paused = c.status == Status::Paused;
            paused.then(|| format!("{} is {}", each.name, said(c.status)))
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
        by_hand(&undo.containers, "unpause")
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.containers.iter().map(Held::shown).collect()
    }
}
