//! Restore actions that verify themselves: one file per kind, and their registry.

use crate::model::CommandSpec;
use crate::probes::ProbeSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A restore by a command, verified by a probe of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRestore {
    /// What restores.
    pub run: CommandSpec,
    /// What must be true afterwards.
    pub verify: ProbeSpec,
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
