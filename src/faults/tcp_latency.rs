//! Makes answers (or requests) through a proxy come later.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect};
use crate::model::{Dur, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A look may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// On top of what is expected.
const SPARE: Duration = Duration::from_secs(5);

/// Delays what flows through a proxy, on open connections too, without changing its order. With `direction: both` a request
/// and its answer together take twice the delay. Up to 4 MiB are on their way at a time in each direction of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpLatency {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// So much later.
    pub delay: Dur,
    /// Each piece is delayed by so much more or less, at random; not at all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Dur>,
    /// Which way; `to_client`, so that answers come so much later, if not given.
    #[serde(default = "to_client")]
    pub direction: Direction,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

fn to_client() -> Direction {
    Direction::ToClient
}

impl TcpLatency {
    /// How often an echo is delayed.
    fn ways(&self) -> u32 {
        if self.direction == Direction::Both { 2 } else { 1 }
    }
}

impl OnLine for TcpLatency {
    fn target(&self) -> &TargetRef {
        &self.target
    }

    fn share(&self) -> Option<Percent> {
        self.share
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn effect(&self) -> Effect {
        Effect::Latency { delay: self.delay, jitter: self.jitter.unwrap_or(Dur(Duration::ZERO)) }
    }

    fn attempt(&self) -> Option<Attempt> {
        let most = (self.delay.0 + self.jitter.map_or(Duration::ZERO, |j| j.0)) * self.ways();
        (most <= PATIENCE).then_some(Attempt { bytes: 1, end: false, limit: most + SPARE })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        let least = self.delay.0.saturating_sub(self.jitter.map_or(Duration::ZERO, |j| j.0)) * self.ways();
        seen.took >= least
    }
}

on_line!(TcpLatency, "tcp_latency", "make answers (or requests) through a proxy come later");
