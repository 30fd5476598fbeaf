//! Kills containers with a signal; the engine does not restart them by itself after that. Healing starts them.

use super::container::{ACCESS, Held, all_run, by_hand, each_is, run_all_again, said, stoppable};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::AdapterError;
use crate::adapters::containers::{Act, Status};
use crate::model::{SignalName, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sends a signal to the first process of containers, and starts them again when it is healed. A container that is
/// killed through its engine is not restarted by its policy; to try the policy, kill its process (`process_kill` with
/// `pid: "${targets.NAME.pid}"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerKill {
    /// A target of kind `container`.
    pub target: TargetRef,
    /// By name or number; KILL if not given. One that does not end the process is no effect.
    #[serde(default = "kill")]
    pub signal: SignalName,
}

fn kill() -> SignalName {
    SignalName::KILL
}

/// Which containers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Those that it is done to.
    pub containers: Vec<Held>,
}

impl Fault for ContainerKill {
    const KIND: &'static str = "container_kill";
    const TARGETS: &'static [&'static str] = &["container"];
    const SUMMARY: &'static str = "kill containers with a signal, and start them again";
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
            let act = Act::Kill(self.signal.as_str());
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
            let ended = c.status != Status::Running || c.started != each.started;
            ended.then(|| format!("{} is {}", each.name, said(c.status)))
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
