//! Closes connections through a proxy after so many bytes.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome};
use crate::model::{Percent, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// More bytes are not sent only to look.
const MOST: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(5);

/// Closes each connection through a proxy when so many bytes have passed, counted from the injection: answers are cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpLimit {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// Exactly so many bytes pass.
    pub bytes: Size,
    /// Which way; bytes to the client count if not given.
    #[serde(default = "to_client")]
    pub direction: Direction,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

fn to_client() -> Direction {
    Direction::ToClient
}

impl OnLine for TcpLimit {
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
        Effect::Limit { bytes: self.bytes }
    }

    fn attempt(&self) -> Option<Attempt> {
        let bytes = usize::try_from(self.bytes.0).unwrap_or(usize::MAX);
        (bytes <= MOST).then_some(Attempt { bytes: bytes + 1, end: false, limit: LIMIT })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        // What was sent and not read any more makes a close a reset.
        matches!(seen.outcome, Outcome::Ended | Outcome::Reset) && seen.back as u64 <= self.bytes.0
    }
}

on_line!(TcpLimit, "tcp_limit", "close connections through a proxy after so many bytes");
