//! Kills processes with a signal; a way back says how they return.

use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::ProcessState;
use crate::model::{ProcessIdentity, RunSpec, TargetRef, WayBack};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kills the processes of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessKill {
    /// A target of kind `process`.
    pub target: TargetRef,
    /// The signal; KILL if not given.
    #[serde(default = "kill")]
    pub signal: String,
    /// Kill the children too, parents first.
    #[serde(default)]
    pub tree: bool,
    /// How it comes back.
    pub back: WayBack,
    /// The process target that must be alive again for the fault to count as healed; `target` itself if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<String>,
}

fn kill() -> String {
    "KILL".to_owned()
}

/// Who was killed, and what brings it back (secrets by reference).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The killed processes.
    pub processes: Vec<ProcessIdentity>,
    /// Brings them back.
    pub back: Option<RunSpec>,
}

impl Fault for ProcessKill {
    const KIND: &'static str = "process_kill";
    const SUMMARY: &'static str = "kill processes with a signal";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["the same user as the process, or CAP_KILL".to_owned()]
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        let target = cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        Ok(Undo { processes: target.processes, back: None })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        for process in &undo.processes {
            cx.world.processes.signal(process, &self.signal)?;
        }
        Ok(())
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let mut alive = 0;
        for process in &undo.processes {
            alive += usize::from(cx.world.processes.state(process)? != ProcessState::Gone);
        }
        Ok(Look { holds: alive == 0, detail: format!("{alive} of {} still alive", undo.processes.len()) })
    }

    async fn heal(&self, _undo: &Undo, _cx: &Cx<'_>) -> Result<(), FaultError> {
        Ok(())
    }

    async fn healed(&self, _undo: &Undo, _cx: &Cx<'_>) -> Result<Look, FaultError> {
        Ok(Look { holds: false, detail: "not looked at".to_owned() })
    }

    fn by_hand(&self, _undo: &Undo) -> String {
        String::new()
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        undo.processes.iter().map(|p| format!("{} (pid {})", p.name, p.pid)).collect()
    }
}
