//! Looks at the exit status and the output of a command.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::{CommandSpec, Comparison, Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command whose end is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandProbe {
    /// Program and arguments; a relative program path is relative to the playbook.
    pub argv: Vec<Template>,
    /// Environment variables besides those of the runner. Secrets belong here, never into `argv`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// Text for its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Template>,
    /// Working directory; the playbook's folder if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Template>,
    /// It is ended (with its children) after this; 60s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
    /// The exit status; 0 if not given.
    #[serde(default)]
    pub exit: i32,
    /// Its standard output, without the final line break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Comparison>,
}

impl CommandProbe {
    /// The command alone.
    #[must_use]
    pub fn command(&self) -> CommandSpec {
        CommandSpec {
            argv: self.argv.clone(),
            env: self.env.clone(),
            stdin: self.stdin.clone(),
            cwd: self.cwd.clone(),
            timeout: self.timeout,
        }
    }
}

impl Probe for CommandProbe {
    const KIND: &'static str = "command";
    const SUMMARY: &'static str = "a command's exit status and output";

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
