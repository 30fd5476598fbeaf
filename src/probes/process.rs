//! Looks whether the processes of a target are alive, stopped or gone.

use super::{Probe, ProbeError, Sample};
use crate::adapters::ProcessState;
use crate::faults::Cx;
use crate::model::TargetRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a process must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Alive and not stopped.
    #[default]
    Running,
    /// Stopped by a signal.
    Stopped,
    /// Gone.
    Gone,
}

/// The processes of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessProbe {
    /// A target of kind `process`.
    pub target: TargetRef,
    /// What all of them must be; `running` if not given.
    #[serde(default)]
    pub state: Wanted,
}

impl Probe for ProcessProbe {
    const KIND: &'static str = "process";
    const SUMMARY: &'static str = "a target's processes: running, stopped or gone";

    fn target(&self) -> Option<&TargetRef> {
        Some(&self.target)
    }

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let processes = match cx.scope.target(&self.target).await {
            Ok(target) => target.processes,
            // Nothing there is exactly what "gone" means.
            Err(why) => {
                let mut sample = Sample { holds: true, answer: why.clone(), detail: why, ..Sample::default() };
                if self.state != Wanted::Gone {
                    sample.fail(format!("{}\nwanted: {}", sample.detail, self.state.word()));
                }
                return Ok(sample);
            }
        };
        let mut sample = Sample { holds: true, ..Sample::default() };
        let mut seen = Vec::new();
        for process in &processes {
            let state = Wanted::of(cx.world.processes.state(process)?);
            sample.holds &= state == self.state;
            seen.push(format!("{} (pid {}) {}", process.name, process.pid, state.word()));
        }
        sample.answer = seen.join(", ");
        sample.detail.clone_from(&sample.answer);
        if !sample.holds {
            sample.fail(format!("{}\nwanted: {}", sample.answer, self.state.word()));
        }
        Ok(sample)
    }
}

impl Wanted {
    fn of(state: ProcessState) -> Self {
        match state {
            ProcessState::Running => Self::Running,
            ProcessState::Stopped => Self::Stopped,
            ProcessState::Dying | ProcessState::Gone => Self::Gone,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }
}
