//! Heals what runs left open, from their journals alone: also after the runner, or the whole machine, died.

use super::context::HealContext;
use super::heal;
use super::options::{Limits, Observer};
use super::redact::Redactor;
use super::scene::Scene;
use super::secrets;
use crate::adapters::World;
use crate::event::{Event, FaultIntent, HealCause, What};
use crate::faults::PreparedFault;
use crate::journal::state::{Index, OpenRun};
use crate::journal::{Journal, JournalError, open_faults};
use crate::model::{FaultId, RunId, RunState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a recovery did for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// What it healed.
    pub healed: Vec<FaultId>,
    /// What is still open.
    pub open: Vec<StillOpen>,
    /// Why nothing can be said, if so: its record cannot be read, or it is still alive.
    pub error: Option<String>,
}

/// A fault that could not be healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StillOpen {
    /// The fault.
    pub fault: FaultId,
    /// Why.
    pub why: String,
    /// The command that a person can run.
    pub by_hand: String,
}

/// Heals every open fault of every run that the state directory lists, newest first. What it does is appended to the
/// same journals.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn recover(
    state_dir: &Path,
    world: &World,
    limits: &Limits,
    observer: Arc<dyn Observer>,
) -> Result<Vec<Recovered>, JournalError> {
    let index = Index::open(state_dir)?;
    let mut all = Vec::new();
    for entry in index.list()?.into_iter().rev() {
        let mut recovered = one(&entry, world, limits, &observer).await;
        if recovered.error.is_none() && recovered.open.is_empty() {
            recovered.error = index.remove(&entry.run).err().map(|e| e.to_string());
        }
        all.push(recovered);
    }
    Ok(all)
}

async fn one(entry: &OpenRun, world: &World, limits: &Limits, observer: &Arc<dyn Observer>) -> Recovered {
    let OpenRun { run, dir } = entry.clone();
    let mut recovered = Recovered { run, dir, healed: Vec::new(), open: Vec::new(), error: None };
    let (journal, stored) = match Journal::reopen(&entry.dir, world.clock.clone()) {
        Ok(reopened) => reopened,
        Err(error) => return Recovered { error: Some(error.to_string()), ..recovered },
    };
    let redactor = Redactor::default();
    let note = |mut what: What| {
        redactor.event(&mut what);
        // The healing counts, not that it is written down: a full disk must not keep a fault open.
        let event = journal.append(what.clone()).unwrap_or_else(|_| Event { at: world.clock.stamp(), what });
        observer.event(&event);
    };
    for intent in open_faults(&stored.events).into_iter().rev() {
        match heal_one(&intent, entry, world, limits, (&redactor, &note)).await {
            Ok(()) => recovered.healed.push(intent.fault),
            Err(why) => {
                let (fault, by_hand) = (intent.fault, intent.by_hand);
                recovered.open.push(StillOpen { fault, why, by_hand });
            }
        }
    }
    let ended = stored.events.iter().any(|e| matches!(e.what, What::RunEnded { .. }));
    let open: Vec<FaultId> = recovered.open.iter().map(|o| o.fault.clone()).collect();
    if !ended {
        let state = if open.is_empty() { RunState::Aborted } else { RunState::Dirty };
        let error = Some("the runner died; this end was written by a recovery".to_owned());
        note(What::RunEnded { state, open, error });
    }
    recovered
}

async fn heal_one(
    intent: &FaultIntent,
    entry: &OpenRun,
    world: &World,
    limits: &Limits,
    (redactor, note): (&Redactor, heal::Note<'_>),
) -> Result<(), String> {
    let unreadable = |e: serde_json::Error| format!("its intent cannot be read: {e}");
    let spec = serde_json::from_value(intent.spec.clone()).map_err(unreadable)?;
    let undo = serde_json::from_value(intent.undo.clone()).map_err(unreadable)?;
    let context: HealContext = serde_json::from_value(intent.context.clone()).map_err(unreadable)?;
    let scene = Scene::recovered(context, world, &entry.run);
    // A secret that is gone matters only if the heal needs it; then the heal says so.
    let _unread = secrets::read(&scene, redactor).await;
    note(What::HealStarted { fault: intent.fault.clone(), by: HealCause::Recover });
    heal::heal(&intent.fault, &PreparedFault { spec, undo }, &scene.cx_for(&intent.fault), limits, note).await
}
