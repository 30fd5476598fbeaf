//! Closes one side of connections through a proxy and never tells the other.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome, Side};
use crate::model::{Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Neither an answer nor an end came within this.
const SILENCE: Duration = Duration::from_millis(100);

/// Closes one side of connections and does not tell the other, as when a host dies or a firewall forgets: the other side waits
/// for answers that nobody will send. Healed, it is reset; new connections are led on again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpHalfOpen {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// The side that is closed: `upstream` or `client`.
    pub closed: Side,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

impl OnLine for TcpHalfOpen {
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
        Effect::HalfOpen { closed: self.closed }
    }

    fn attempt(&self) -> Option<Attempt> {
        (self.closed == Side::Upstream).then_some(Attempt { bytes: 1, end: false, limit: SILENCE })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        seen.outcome == Outcome::Silent
    }
}

on_line!(TcpHalfOpen, "tcp_half_open", "close one side of connections through a proxy and never tell the other");
