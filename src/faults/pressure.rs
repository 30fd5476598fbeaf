//! What the faults share that put pressure on a machine by a helper: it is started once, looked at, and ended.

use super::{Cx, FaultError, Look};
use crate::adapters::usage::Usage;
use crate::adapters::{AdapterError, ProcessState};
use crate::model::Dur;
use serde::Serialize;
use std::time::Duration;

/// The helper's own limit when no deadline is known.
pub(super) const DEFAULT_LIMIT: Dur = Dur(Duration::from_secs(600));
/// A helper outlives the deadline by so much, so that the healing ends it and not its own limit.
const GRACE: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(10);

pub(super) fn limit(deadline: Duration) -> Dur {
    Dur(deadline.saturating_add(GRACE))
}

/// Starts the helper, unless it runs already.
pub(super) async fn start<P: Serialize>(
    kind: &str,
    parameters: &P,
    within: Duration,
    cx: &Cx<'_>,
) -> Result<(), FaultError> {
    if !cx.world.helpers.find(&cx.owner)?.is_empty() {
        return Ok(());
    }
    let parameters = serde_json::to_value(parameters).map_err(|e| FaultError::Journal(e.to_string()))?;
    cx.world.helpers.start(&cx.owner, kind, &parameters, within).await?;
    Ok(())
}

/// Ends the helper.
pub(super) async fn end(cx: &Cx<'_>) -> Result<(), FaultError> {
    Ok(cx.world.helpers.end(&cx.owner, END).await?)
}

/// Is it gone?
pub(super) fn ended(cx: &Cx<'_>) -> Result<Look, FaultError> {
    let mut left = Vec::new();
    for process in cx.world.helpers.find(&cx.owner)? {
        if cx.world.processes.state(&process)? != ProcessState::Gone {
            left.push(process.pid.to_string());
        }
    }
    let detail =
        if left.is_empty() { "the helper is gone".to_owned() } else { format!("pid {} lives", left.join(", ")) };
    Ok(Look { holds: left.is_empty(), detail })
}

pub(super) fn by_hand(tag: &str) -> String {
    format!("pkill -f -- '^blackstart helper --owner {tag} '")
}

/// What the helpers of a fault use.
pub(super) struct Residents(Vec<Usage>);

impl Residents {
    pub fn of(cx: &Cx<'_>) -> Result<Self, FaultError> {
        let mut all = Vec::new();
        for process in cx.world.helpers.find(&cx.owner)? {
            match cx.world.processes.usage(&process) {
                Ok(usage) => all.push(usage),
                Err(AdapterError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self(all))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Time that was asked of the cores so far.
    pub fn wanted(&self) -> Duration {
        self.0.iter().map(|usage| usage.wanted).sum()
    }

    /// Bytes.
    pub fn memory(&self) -> u64 {
        self.0.iter().map(|usage| usage.memory).sum()
    }
}
