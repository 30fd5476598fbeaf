//! Holds memory of this machine until it is healed, and never so much that the kernel has to kill somebody for it.

use super::pressure::{self, Residents};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::pressure::HeldMemory;
use crate::adapters::{AdapterError, usage};
use crate::model::{Dur, Percent, Size, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// It takes some seconds to fill a gigabyte.
const START: Duration = Duration::from_secs(120);
/// At least so much is left to others, and at least this share.
const RESERVE: u64 = 256 << 20;
const RESERVE_SHARE: f64 = 0.05;

/// Holds memory of this machine. The helper that holds it is the first that the kernel takes when memory runs out, and it
/// lets go by itself when less than half of the reserve is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryPressure {
    /// A target of kind `host`.
    pub target: TargetRef,
    /// How much is held; this or `share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How much of the machine's memory is held; this or `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// So much must stay available to others, or nothing is injected; 5% of the memory, at least 256MiB, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Size>,
    /// It is let go by itself after this, whatever happens; a little after the deadline if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Dur>,
}

/// What is started, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// What the helper is told.
    pub held: HeldMemory,
    /// The owner's tag, by which it is found.
    pub tag: String,
}

impl Fault for MemoryPressure {
    const KIND: &'static str = "memory_pressure";
    const SUMMARY: &'static str = "hold memory of this machine";
    const REVERSIBILITY: Reversibility = Reversibility::Reversible;
    const TARGETS: &'static [&'static str] = &["host"];
    type Undo = Undo;

    fn targets(&self) -> Vec<&TargetRef> {
        vec![&self.target]
    }

    fn permissions(&self) -> Vec<String> {
        vec!["none".to_owned()]
    }

    fn way_back(&self) -> String {
        "what holds the memory is ended; it also ends by itself".to_owned()
    }

    fn bound(&mut self, deadline: Duration) {
        self.limit.get_or_insert(pressure::limit(deadline));
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let memory = usage::memory()?;
        let share = |share: f64| (memory.total as f64 * share) as u64;
        let bytes = match (self.size, self.share) {
            (Some(size), None) => size.0,
            (None, Some(part)) => share(part.0),
            _ => {
                let why = "memory_pressure holds a `size` or a `share`, exactly one of them";
                return Err(FaultError::NothingToBreak(why.to_owned()));
            }
        };
        let reserve = self.reserve.map_or_else(|| share(RESERVE_SHARE).max(RESERVE), |reserve| reserve.0);
        if bytes == 0 || bytes.saturating_add(reserve) > memory.available {
            let why = format!(
                "{} MiB cannot be held: {} MiB are available, and {} MiB must stay so",
                bytes >> 20,
                memory.available >> 20,
                reserve >> 20
            );
            return Err(AdapterError::Refused(why).into());
        }
        let limit = self.limit.unwrap_or(pressure::DEFAULT_LIMIT);
        Ok(Undo { held: HeldMemory { bytes, reserve, limit }, tag: cx.owner.tag() })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        pressure::start(HeldMemory::HELPER, &undo.held, START, cx).await
    }

    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let held = Residents::of(cx)?.memory();
        let detail = format!("{} MiB of {} MiB are held", held >> 20, undo.held.bytes >> 20);
        Ok(Look { holds: held >= undo.held.bytes, detail })
    }

    async fn heal(&self, _: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        pressure::end(cx).await
    }

    async fn healed(&self, _: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        pressure::ended(cx)
    }

    fn by_hand(&self, undo: &Undo) -> String {
        pressure::by_hand(&undo.tag)
    }

    fn touched(&self, undo: &Undo) -> Vec<String> {
        vec![format!("{} MiB of memory", undo.held.bytes >> 20)]
    }
}
