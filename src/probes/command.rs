//! Looks at the exit status and the output of a command.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::{CommandSpec, Comparison};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A command whose end is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// What to run.
    pub run: CommandSpec,
    /// The exit status; 0 if not given.
    #[serde(default)]
    pub exit: i32,
    /// Its standard output, without the final line break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Comparison>,
}

impl Probe for CommandProbe {
    const KIND: &'static str = "command";
    const SUMMARY: &'static str = "a command's exit status and output";

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
