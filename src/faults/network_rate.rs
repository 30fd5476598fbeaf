//! Limits the bandwidth of an interface with the kernel's token bucket (tbf).

use super::network::qdisc;
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::World;
use crate::model::{Bandwidth, Dur, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Packets wait at most so long, if not given.
const QUEUE: Duration = Duration::from_millis(200);
/// The bucket holds what the rate lets through in this, if not given: enough for the kernel's clock.
const BUCKET_PER_SECOND: u64 = 100;
/// But never less than so many packets.
const PACKETS: u64 = 4;

/// Limits the bandwidth of what leaves through an interface. What comes in is limited at the other end of the line. An
/// interface that has a queueing discipline of somebody's own is refused: taking ours away would not bring it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRate {
    /// A target of kind `network` with an `interface`.
    pub target: TargetRef,
    /// So much passes.
    pub rate: Bandwidth,
    /// So much may pass at once after a pause; what the rate gives in 10 ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Size>,
    /// A packet that would have to wait longer is dropped; 200ms if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Dur>,
}

impl NetworkRate {
    /// tc's words: bytes a second, bytes, microseconds.
    fn words(&self, mtu: u32) -> Vec<String> {
        let least = PACKETS * (u64::from(mtu) + 14);
        let burst = self.burst.map_or((self.rate.0 / BUCKET_PER_SECOND).max(least), |size| size.0);
        let queue = self.queue.map_or(QUEUE, |dur| dur.0);
        let words = [
            "tbf".to_owned(),
            "rate".to_owned(),
            format!("{}bps", self.rate.0),
            "burst".to_owned(),
            burst.to_string(),
            "latency".to_owned(),
            format!("{}us", queue.as_micros()),
        ];
        words.to_vec()
    }
}

impl Fault for NetworkRate {
    const KIND: &'static str = "network_rate";
    const SUMMARY: &'static str = "limit the bandwidth of an interface (tbf)";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["network"];
    type Undo = qdisc::Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        qdisc::permissions()
    }

    fn way_back(&self) -> String {
        "its queueing discipline is removed, and the kernel puts its default back".to_owned()
    }

    async fn unavailable(&self, world: &World) -> Option<String> {
        qdisc::unavailable(&self.words(1500), world).await
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Self::Undo, FaultError> {
        qdisc::prepare(&self.target, |mtu| self.words(mtu), cx).await
    }

    async fn inject(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        qdisc::inject(undo, cx).await
    }

    async fn effective(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        qdisc::effective(undo, cx).await
    }

    async fn heal(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        qdisc::heal(undo, cx).await
    }

    async fn healed(&self, undo: &Self::Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        qdisc::healed(undo, cx).await
    }

    fn by_hand(&self, undo: &Self::Undo) -> String {
        qdisc::undo_by_hand(undo)
    }

    fn touched(&self, undo: &Self::Undo) -> Vec<String> {
        qdisc::touched(undo)
    }
}
