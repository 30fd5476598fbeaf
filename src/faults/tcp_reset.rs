//! Resets connections through a proxy.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome};
use crate::model::{Percent, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// More bytes are not sent only to look.
const MOST: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(5);

/// Resets connections through a proxy (RST to both sides): open ones at once and new ones when they come, or each when so
/// many bytes have passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpReset {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// So many bytes pass before, counted from the injection; none if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Size>,
    /// Which way; bytes of both directions count if not given.
    #[serde(default = "both")]
    pub direction: Direction,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

fn both() -> Direction {
    Direction::Both
}

impl OnLine for TcpReset {
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
        Effect::Reset { after: self.after.unwrap_or(Size(0)) }
    }

    fn attempt(&self) -> Option<Attempt> {
        let bytes = usize::try_from(self.after.map_or(0, |size| size.0)).unwrap_or(usize::MAX);
        (bytes <= MOST).then_some(Attempt { bytes: bytes + 1, end: false, limit: LIMIT })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        matches!(seen.outcome, Outcome::Reset | Outcome::Refused)
    }
}

on_line!(TcpReset, "tcp_reset", "reset connections through a proxy, at once or after so many bytes");
