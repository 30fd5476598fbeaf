//! Looks whether a TCP port accepts connections.

use super::{Probe, ProbeError, Sample};
use crate::adapters::AdapterError;
use crate::faults::Cx;
use crate::model::{Dur, Template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Of one look, if the playbook says nothing.
const LIMIT: Duration = Duration::from_secs(1);

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

    async fn sample(&self, cx: &Cx<'_>) -> Result<Sample, ProbeError> {
        let address = cx.text(&self.address)?;
        let limit = self.timeout.map_or(LIMIT, |d| d.0);
        let (open, detail) = match cx.world.tcp.connect(&address, limit).await {
            Ok(()) => (true, format!("{address} accepts connections")),
            Err(AdapterError::Unreachable(why) | AdapterError::TimedOut(why)) => (false, why),
            Err(other) => return Err(other.into()),
        };
        let wanted = match self.port {
            Port::Open => "open",
            Port::Closed => "closed",
        };
        let mut sample = Sample { holds: true, answer: detail.clone(), detail, ..Sample::default() };
        if open != (self.port == Port::Open) {
            sample.fail(format!("{}\nwanted: {wanted}", sample.detail));
        }
        Ok(sample)
    }
}
