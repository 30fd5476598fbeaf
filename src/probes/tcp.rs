//! Looks whether a TCP port accepts connections.

use super::{Probe, ProbeError, Sample};
use crate::faults::Cx;
use crate::model::{Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a port must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// It accepts a connection.
    #[default]
    Open,
    /// It refuses, or nobody answers.
    Closed,
}

/// A TCP connection attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`
    pub address: Template,
    /// What it must do; `open` if not given.
    #[serde(default)]
    pub port: Port,
    /// Limit of one look; 1s if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Dur>,
}

impl Probe for TcpProbe {
    const KIND: &'static str = "tcp";
    const SUMMARY: &'static str = "a TCP port that accepts or refuses connections";

    async fn sample(&self, _cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        Err(ProbeError::Undecided("not wired".to_owned()))
    }
}
