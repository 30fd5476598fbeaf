//! Looks whether the processes of a target are alive, stopped or gone.

use super::{Probe, ProbeError, Sample};
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

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
