//! Lets a proxy accept connections and pass nothing on.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome};
use crate::model::{Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Nothing came through within this.
const SILENCE: Duration = Duration::from_millis(100);

/// Nothing passes through a proxy: new connections are accepted and not led on, open ones stand still, their ends too. What
/// was sent meanwhile passes when it is healed, as after a line that was cut for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpBlackHole {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// Which way; both ways if not given.
    #[serde(default = "both")]
    pub direction: Direction,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

fn both() -> Direction {
    Direction::Both
}

impl OnLine for TcpBlackHole {
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
        Effect::BlackHole
    }

    fn attempt(&self) -> Option<Attempt> {
        Some(Attempt { bytes: 1, end: false, limit: SILENCE })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        seen.outcome == Outcome::Silent
    }
}

on_line!(TcpBlackHole, "tcp_black_hole", "accept connections at a proxy and pass nothing on");
