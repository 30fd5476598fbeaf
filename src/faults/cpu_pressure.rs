//! Keeps cores of this machine busy until it is healed.

use super::pressure::{self, Residents};
use super::{Cx, Fault, FaultError, Look, Reversibility};
use crate::adapters::pressure::CpuLoad;
use crate::model::{Dur, Percent, TargetRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MOST_WORKERS: u32 = 4096;
/// So much of what was asked for is enough: other work is on the machine too.
const ENOUGH: f64 = 0.7;
/// A look takes so long.
const WINDOW: Duration = Duration::from_millis(60);
const START: Duration = Duration::from_secs(20);

/// Keeps cores of this machine busy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuPressure {
    /// A target of kind `host`.
    pub target: TargetRef,
    /// Threads that are busy; one per core if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// How busy each is; 100% if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Percent>,
    /// They end by themselves after this, whatever happens; a little after the deadline if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Dur>,
}

/// What is started, and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// What the helper is told.
    pub load: CpuLoad,
    /// The owner's tag, by which it is found.
    pub tag: String,
}

impl Fault for CpuPressure {
    const KIND: &'static str = "cpu_pressure";
    const SUMMARY: &'static str = "keep cores of this machine busy";
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
        "the workers are ended; they also end by themselves".to_owned()
    }

    fn bound(&mut self, deadline: Duration) {
        self.limit.get_or_insert(pressure::limit(deadline));
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Undo, FaultError> {
        cx.scope.target(&self.target).await.map_err(FaultError::NothingToBreak)?;
        let cores = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
        let workers = self.workers.unwrap_or(cores);
        let share = self.load.map_or(1.0, |load| load.0);
        if workers == 0 || workers > MOST_WORKERS || share <= 0.0 {
            let why = format!("{workers} workers that are busy {}% of the time", share * 100.0);
            return Err(FaultError::NothingToBreak(format!("{why}: it takes 1 to {MOST_WORKERS}, busy at all")));
        }
        let limit = self.limit.unwrap_or(pressure::DEFAULT_LIMIT);
        Ok(Undo { load: CpuLoad { workers, share, limit }, tag: cx.owner.tag() })
    }

    async fn inject(&self, undo: &Undo, cx: &Cx<'_>) -> Result<(), FaultError> {
        pressure::start(CpuLoad::HELPER, &undo.load, START, cx).await
    }

    /// What the workers ask of the machine: time on a core, and time waiting for one because others have them all.
    async fn effective(&self, undo: &Undo, cx: &Cx<'_>) -> Result<Look, FaultError> {
        let clock = &cx.world.clock;
        let asked = f64::from(undo.load.workers) * undo.load.share;
        let before = Residents::of(cx)?;
        let from = clock.mono();
        if before.is_empty() {
            return Ok(Look { holds: false, detail: "no worker runs".to_owned() });
        }
        clock.sleep_until(from.after(WINDOW)).await;
        let wanted = Residents::of(cx)?.wanted().saturating_sub(before.wanted());
        let cores = wanted.as_secs_f64() / clock.mono().since(from).as_secs_f64();
        let detail = format!("{cores:.1} cores are asked for, of {asked:.1}");
        Ok(Look { holds: cores >= ENOUGH * asked, detail })
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
        vec![format!("{} workers, each busy {}% of the time", undo.load.workers, undo.load.share * 100.0)]
    }
}
