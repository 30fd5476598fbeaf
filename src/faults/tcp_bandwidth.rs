//! Makes a proxy a narrow line.

use super::line::{OnLine, on_line};
use crate::adapters::proxy::{Attempt, Attempted, Direction, Effect, Outcome};
use crate::model::{Bandwidth, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is sent through a line this wide takes this.
const TAKES: Duration = Duration::from_millis(200);
/// Narrower lines take too long to look at.
const SLOWEST: u64 = 1000;
/// Wider ones are wider than a look is.
const FASTEST: u64 = 100_000_000;
/// Clients have the line at the same time.
const LIMIT: Duration = Duration::from_secs(10);

/// Makes a proxy a narrow line: all connections together get no more than so many bytes a second, each way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpBandwidth {
    /// A target of kind `proxy`.
    pub target: TargetRef,
    /// So much passes, for all connections together.
    pub rate: Bandwidth,
    /// Which way; both ways, each of this width, if not given.
    #[serde(default = "both")]
    pub direction: Direction,
    /// The share of connections that it touches; all if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
}

fn both() -> Direction {
    Direction::Both
}

impl TcpBandwidth {
    fn bytes(&self) -> usize {
        usize::try_from(self.rate.0 / 5).unwrap_or(usize::MAX)
    }
}

impl OnLine for TcpBandwidth {
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
        Effect::Bandwidth { rate: self.rate }
    }

    fn attempt(&self) -> Option<Attempt> {
        let measured = (SLOWEST..=FASTEST).contains(&self.rate.0);
        measured.then_some(Attempt { bytes: self.bytes(), end: false, limit: LIMIT })
    }

    fn shows(&self, seen: &Attempted) -> bool {
        // The first 10 ms pass at once.
        seen.outcome != Outcome::Echoed || seen.took >= TAKES.mul_f64(0.8)
    }
}

on_line!(TcpBandwidth, "tcp_bandwidth", "let no more than so many bytes a second through a proxy");
