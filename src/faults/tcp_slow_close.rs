//! Lets a proxy pass the end of a stream on late.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect};
use crate::model::{Dur, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A look may take twice this.
const PATIENCE: Duration = Duration::from_secs(5);
/// On top of what is expected.
const SPARE: Duration = Duration::from_secs(5);

/// The end of a stream is passed on later than its bytes: whoever waits for the other side to close waits longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpSlowClose {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// So much later.
    pub delay: Dur,
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

impl OnLine for TcpSlowClose {
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
        Effect::SlowClose { delay: self.delay }
    }

    fn attempt(&self) -> Option<Attempt> {
        (self.delay.0 <= PATIENCE).then_some(Attempt { bytes: 1, end: true, limit: self.delay.0 * 2 + SPARE })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        seen.took >= self.delay.0 * if self.direction == Direction::Both { 2 } else { 1 }
    }
}

on_line!(TcpSlowClose, "tcp_slow_close", "pass the end of connections through a proxy on late");
