//! Lets a proxy refuse new connections.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome};
use crate::model::{Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// New connections to a proxy are refused, as by a port that nobody listens on; open ones go on. A share of them cannot be
/// refused by the system: those are accepted and reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpRefuse {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

impl OnLine for TcpRefuse {
    fn target(&self) -> &TargetRef {
        &self.target
    }

    fn share(&self) -> Option<Percent> {
        self.share
    }

    fn direction(&self) -> Direction {
        Direction::Both
    }

    fn effect(&self) -> Effect {
        Effect::Refuse
    }

    fn attempt(&self) -> Option<Attempt> {
        Some(Attempt { bytes: 1, end: false, limit: LIMIT })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        matches!(seen.outcome, Outcome::Refused | Outcome::Reset)
    }
}

on_line!(TcpRefuse, "tcp_refuse", "refuse new connections at a proxy");
