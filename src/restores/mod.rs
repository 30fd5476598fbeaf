//! Restore actions that verify themselves: one file per kind, and their registry.

use crate::model::{CommandSpec, Dur, Template};
use crate::probes::ProbeSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A restore by a command, verified by a probe of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRestore {
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
    /// What must be true afterwards.
    pub verify: ProbeSpec,
}

impl CommandRestore {
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

/// A restore of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum RestoreSpec {
    /// `command`
    #[serde(rename = "command")]
    Command(CommandRestore),
}

/// All kinds, in the order of the registry.
pub const KINDS: &[crate::faults::KindInfo] = &[crate::faults::KindInfo {
    kind: "command",
    summary: "a command that restores, verified by a probe of its own",
    note: "",
    schema: || schemars::schema_for!(CommandRestore),
}];

impl RestoreSpec {
    /// The key in a playbook.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
        }
    }
}
